/**
 * A lease: one holder's use of an item, ended exactly once.
 *
 * The shape is the lease rule of the house. The exit handler is installed *before* anything is taken, and acts on the
 * lease's state: a lease that waits leaves the queue, one that holds gives back. Whoever has an item to give sets it on a
 * waiting lease, in one synchronous step, and only then wakes its fiber. So there is no moment at which an interrupt can
 * find an item in nobody's hands. Ending is synchronous: cleaning up an item is the pool's own work and never holds up,
 * or is cut short with, the caller.
 *
 * Requests and leases are effects themselves, which the run loop evaluates without a closure around them; what that and
 * the rest of the shape save is measured in `docs/decisions/0003-the-shape-of-a-lease.md`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { Admission } from "./Admission.ts"
import { type CallSite, captureCallSite, describeCallSite } from "./internal/callSite.ts"
import { wake } from "./internal/handOver.ts"
import { enter, type Frame, makeEffects, makeFrames } from "./internal/runLoop.ts"
import { addFinalizerUnsafe, type Ending, removeFinalizerUnsafe } from "./internal/scope.ts"
import type { PoolError } from "./PoolError.ts"
import type { Waiter } from "./Waiter.ts"

/**
 * What a store hands out: the item, and who holds it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry<A> {
  readonly id: number
  /** What it is called in the log. Default: by its number. */
  readonly name?: string | undefined
  /** How many places it takes. Default 1. */
  readonly places?: number | undefined
  readonly value: A
  /** The latest of the leases on this item, which are linked through {@link Lease.previous} and {@link Lease.next}. */
  holder: Lease<A> | undefined
}

/**
 * What one call may ask for.
 *
 * @category options
 * @since 0.1.0
 */
export interface AcquireOptions {
  /** Who is served first among those who wait: the highest. Default 0. */
  readonly priority?: number | undefined
  /** Replaces the pool's `acquireTimeout` for this call; 0 means: do not wait. In milliseconds. */
  readonly timeout?: number | undefined
}

/** Where calls are made in one place and carried out in another. */
export { type CallSite, captureCallSite }

type Body<A> = (item: A) => Effect.Effect<any, any, any>

/**
 * A call of another kind, that becomes a {@link Request} when it is run: of a pool that is not known before, say.
 *
 * @category models
 * @since 0.1.0
 */
export abstract class Call {
  abstract evaluate(fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<any, any, any>
}

/**
 * One call for an item. It can be run any number of times; each run has its own lease.
 *
 * @category models
 * @since 0.1.0
 */
export class Request<A> {
  readonly admission: Admission<A>
  /** What to run with the item; `undefined` hands the item itself to the caller, for the surrounding scope. */
  readonly body: Body<A> | undefined
  readonly options: AcquireOptions | undefined
  /** Takes part only if an item is idle, and answers with an Option. */
  readonly isOptional: boolean
  /** Where the application made the call: known if the pool tracked call sites then. */
  readonly site: CallSite | undefined

  constructor(
    admission: Admission<A>,
    body: Body<A> | undefined,
    options: AcquireOptions | undefined,
    isOptional: boolean,
    /** `null` if the place of the call is not known. */
    site: CallSite | null = admission.tracksCallSites ? captureCallSite() : null
  ) {
    this.admission = admission
    this.body = body
    this.options = options
    this.isOptional = isOptional
    this.site = site ?? undefined
  }

  /**
   * What a lease goes on with that has nothing yet when its pool closes; `undefined` for the failure `Closed`. For kinds of
   * pools that have others for the same items.
   */
  elsewhere(_lease: Lease<A>): Call | undefined {
    return undefined
  }

  /** The same as a line of the stack. */
  get callSite(): string | undefined {
    return describeCallSite(this.site)
  }

  evaluate(fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<any, any, any> {
    const lease = new Lease(this)
    return this.body === undefined
      ? withinScope(lease, fiber, Context.getUnsafe(fiber.context, Scope.Scope))
      : enter(lease, fiber)
  }
}

/** Ends the lease with the scope; or with its wait, if that fails. */
const withinScope = <A>(
  lease: Lease<A>,
  fiber: Fiber.Fiber<unknown, unknown>,
  scope: Scope.Scope
): Effect.Effect<any, any, any> => {
  // A closed scope holds nothing: as with `acquireRelease`, what is taken goes back at once.
  if (!addFinalizerUnsafe(scope, lease)) return enter(lease, fiber)
  // One step with the line above: what is taken here is the scope's already.
  lease.fiber = fiber
  return lease.request.admission.take(lease) ? lease.run() : enter(new ScopedWait(lease, scope), fiber)
}

/** The wait of a lease that is to end with a scope. */
class ScopedWait<A> implements Frame {
  readonly lease: Lease<A>
  readonly scope: Scope.Scope

  constructor(lease: Lease<A>, scope: Scope.Scope) {
    this.lease = lease
    this.scope = scope
  }

  evaluate(): Effect.Effect<any, any, any> {
    return this.lease.request.admission.wait(this.lease)
  }

  onExit(exit: Exit.Exit<unknown, unknown>): void {
    const { lease } = this
    if (exit._tag === "Failure") lease.end(exit)
    if (lease.state !== "held") removeFinalizerUnsafe(this.scope, lease)
    // Nobody is to be woken any more, whatever the wait has ended with.
    lease.waiter = undefined
  }
}

/**
 * One run of a {@link Request}: what it waits for, and what it holds.
 *
 * @category models
 * @since 0.1.0
 */
export class Lease<A> implements Frame, Ending {
  readonly request: Request<A>
  state: "new" | "waiting" | "held" | "ended"
  entry: Entry<A> | undefined
  /** When the present state began, in milliseconds of the pool's clock. */
  since: number
  fiber: Fiber.Fiber<unknown, unknown> | undefined
  /** Its place in the queue while it waits, and until it goes on. */
  waiter: Waiter<A> | undefined
  /** While held: the other leases on the same item. */
  previous: Lease<A> | undefined
  next: Lease<A> | undefined
  /** See {@link Admission.leaseId}. */
  id: number

  constructor(request: Request<A>) {
    this.request = request
    this.state = "new"
    this.entry = undefined
    this.since = 0
    this.fiber = undefined
    this.waiter = undefined
    this.previous = undefined
    this.next = undefined
    this.id = 0
  }

  evaluate(fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<any, any, any> {
    // A waiter that was served goes on here, unless its scope has closed on the way.
    const admission = this.request.admission
    if (this.state !== "new") {
      if (this.state !== "held") return Effect.interrupt
      this.waiter = undefined
      // What it was given may have been taken from it before it went on.
      return admission.hasGivenUp ? admission.refuse(this) : this.run()
    }
    this.fiber = fiber
    return admission.take(this) ? this.run() : admission.wait(this)
  }

  /** The effect that it was run as has ended. */
  onExit(exit: Exit.Exit<unknown, unknown>): void {
    this.end(exit)
    // Nobody is to be woken any more.
    this.waiter = undefined
  }

  /** The scope that it was taken for closes. */
  onClose(exit: Exit.Exit<unknown, unknown>): undefined {
    this.end(exit)
    // Has no effect on a fiber that goes on already; one that still waits does so for nothing.
    if (this.waiter !== undefined) wake(this.waiter, Effect.interrupt)
  }

  /** What the caller gets once the lease holds an item. */
  run(): Effect.Effect<any, any, any> {
    const { body, isOptional } = this.request
    const item = this.entry!.value
    if (body === undefined) return Exit.succeed(isOptional ? Option.some(item) : item)
    const effect = body(item)
    // The run loop ends a fiber over anything else without running its exit handlers.
    if (!isEffect(effect)) return Exit.die(new TypeError("the function given to a pool must return an Effect"))
    return isOptional ? Effect.asSome(effect) : effect
  }

  /** Ends the lease, whatever it was doing. Only the first call counts. */
  end(exit: Exit.Exit<unknown, unknown>): void {
    const state = this.state
    this.state = "ended"
    if (state === "held") this.request.admission.giveBack(this, exit)
    else if (state === "waiting") this.request.admission.leave(this)
  }

  /**
   * Ends the lease before its holder does: the item is taken away. One that was served and has not gone on since asks
   * again.
   */
  revoke(): void {
    const hasGoneOn = this.waiter === undefined
    this.end(Exit.void)
    if (!hasGoneOn) this.state = "new"
  }
}

makeEffects(Call.prototype, "effect-pools/Call")
makeEffects(Request.prototype, "effect-pools/Request")
makeFrames(Lease.prototype, "effect-pools/Lease")
makeFrames(ScopedWait.prototype, "effect-pools/ScopedWait")

/** As `Effect.isEffect`, which tests so many kinds of things that it cannot be fast for any. */
const isEffect = (u: unknown): boolean =>
  ((typeof u === "object" && u !== null) || typeof u === "function") && Effect.TypeId in u

/**
 * A lease around one effect: cheaper than a scope.
 *
 * @category operations
 * @since 0.1.0
 */
export const use = <A, B, E, E2, R2>(
  admission: Admission<A, E>,
  body: (item: A) => Effect.Effect<B, E2, R2>,
  options?: AcquireOptions
): Effect.Effect<B, E | PoolError | E2, R2> => new Request(admission, body, options, false) as never

/**
 * As {@link use}, if an item is idle now: never waits for its turn, never creates.
 *
 * @category operations
 * @since 0.1.0
 */
export const useIfAvailable = <A, B, E, E2, R2>(
  admission: Admission<A, E>,
  body: (item: A) => Effect.Effect<B, E2, R2>
): Effect.Effect<Option.Option<B>, PoolError | E2, R2> => new Request(admission, body, undefined, true) as never

/**
 * A lease for the surrounding scope.
 *
 * @category operations
 * @since 0.1.0
 */
export const get = <A, E>(
  admission: Admission<A, E>,
  options?: AcquireOptions
): Effect.Effect<A, E | PoolError, Scope.Scope> => new Request(admission, undefined, options, false) as never

/**
 * As {@link get}, if an item is idle now: never waits for its turn, never creates.
 *
 * @category operations
 * @since 0.1.0
 */
export const getIfAvailable = <A, E>(
  admission: Admission<A, E>
): Effect.Effect<Option.Option<A>, PoolError, Scope.Scope> =>
  new Request(admission, undefined, undefined, true) as never
