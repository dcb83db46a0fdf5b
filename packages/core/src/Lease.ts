/**
 * A lease: one holder's use of an item, ended exactly once.
 *
 * The shape is the lease rule of the house. The exit handler (or scope finalizer) is installed *before* anything is
 * taken, and acts on the lease's state: a lease that waits leaves the queue, one that holds gives back. Whoever has an
 * item to give sets it on a waiting lease, in one synchronous step, and only then wakes its fiber. So there is no moment
 * at which an interrupt can find an item in nobody's hands. Ending is synchronous: cleaning up an item is the pool's own
 * work and never holds up, or is cut short with, the caller.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { Admission } from "./Admission.ts"
import type { Expiring, Slot } from "./data/DeadlineQueue.ts"
import type { LinkedList } from "./data/LinkedList.ts"
import type { Prioritised } from "./data/PriorityQueue.ts"
import { captureCallSite } from "./internal/callSite.ts"
import type { PoolError } from "./PoolError.ts"

/**
 * What a store hands out: the item, and who holds it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry<A> {
  readonly id: number
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

type State = "new" | "waiting" | "held" | "ended"

// Both classes are effects themselves, evaluated by the run loop without a wrapping closure: see docs/decisions/0003.
const LeaseEffect = function() {} as unknown as new<A>() => Effect.Effect<A, any, any>
LeaseEffect.prototype = Effectable.Prototype<Lease<any>>({
  label: "effect-pools/Lease",
  evaluate(fiber) {
    return this.evaluate(fiber)
  }
})

/**
 * @category models
 * @since 0.1.0
 */
export class Lease<A> extends LeaseEffect<any> implements Prioritised<Lease<A>>, Expiring<Lease<A>> {
  /** See {@link Admission.leaseId}. */
  id = 0
  state: State = "new"
  entry: Entry<A> | undefined = undefined
  /** When the present state began, in milliseconds of the pool's clock. */
  since = 0
  fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  /** While waiting: neighbours in the queue. While held: the other leases on the same item. */
  list: LinkedList<any> | undefined = undefined
  previous: Lease<A> | undefined = undefined
  next: Lease<A> | undefined = undefined
  deadline = 0
  slot: Slot<Lease<A>> | undefined = undefined
  earlier: Lease<A> | undefined = undefined
  later: Lease<A> | undefined = undefined
  resume: ((effect: Effect.Effect<any, any, any>) => void) | undefined = undefined
  readonly admission: Admission<A>
  /** What to run with the item; `undefined` hands the item itself to the caller. */
  readonly body: ((item: A) => Effect.Effect<any, any, any>) | undefined
  readonly options: AcquireOptions | undefined
  /** Takes part only if an item is idle, and answers with an Option. */
  readonly isOptional: boolean
  /** Known while leak detection is on. */
  readonly callSite: string | undefined

  constructor(
    admission: Admission<A>,
    body: ((item: A) => Effect.Effect<any, any, any>) | undefined,
    options: AcquireOptions | undefined,
    isOptional: boolean,
    callSite: string | undefined
  ) {
    super()
    this.admission = admission
    this.body = body
    this.options = options
    this.isOptional = isOptional
    this.callSite = callSite
  }

  get priority(): number {
    return this.options?.priority ?? 0
  }

  evaluate(fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<any, any, any> {
    if (this.state === "held") return this.run()
    this.fiber = fiber
    return this.admission.take(this) ? this.run() : this.admission.wait(this)
  }

  /** What the caller gets once the lease holds an item. */
  run(): Effect.Effect<any, any, any> {
    const item = this.entry!.value
    const body = this.body
    if (this.isOptional) return body === undefined ? Exit.succeed(Option.some(item)) : Effect.asSome(body(item))
    return body === undefined ? Exit.succeed(item) : body(item)
  }

  /** Ends the lease, whatever it was doing. Only the first call counts. */
  end(exit: Exit.Exit<unknown, unknown>): void {
    switch (this.state) {
      case "held":
        this.state = "ended"
        this.admission.giveBack(this, exit)
        break
      case "waiting":
        this.state = "ended"
        this.admission.leave(this)
        break
      case "new":
        this.state = "ended"
    }
  }
}

/** Runs a lease and ends it with the effect it is part of. */
const within = <A>(lease: Lease<A>): Effect.Effect<any, any, any> =>
  // The handler never suspends, so it needs no uninterruptible region around it.
  Effect.onExitPrimitive(
    lease,
    (exit) => {
      lease.end(exit)
      return undefined
    },
    true
  )

const UseEffect = function() {} as unknown as new() => Effect.Effect<any, any, any>
UseEffect.prototype = Effectable.Prototype<Use<any>>({
  label: "effect-pools/Use",
  evaluate() {
    return within(new Lease(this.admission, this.body, this.options, this.isOptional, this.callSite))
  }
})

class Use<A> extends UseEffect {
  readonly admission: Admission<A>
  readonly body: ((item: A) => Effect.Effect<any, any, any>) | undefined
  readonly options: AcquireOptions | undefined
  readonly isOptional: boolean
  readonly callSite: string | undefined

  constructor(
    admission: Admission<A>,
    body: ((item: A) => Effect.Effect<any, any, any>) | undefined,
    options: AcquireOptions | undefined,
    isOptional: boolean
  ) {
    super()
    this.admission = admission
    this.body = body
    this.options = options
    this.isOptional = isOptional
    this.callSite = admission.tracksCallSites ? captureCallSite() : undefined
  }
}

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
): Effect.Effect<B, E | PoolError | E2, R2> => new Use(admission, body, options, false)

/**
 * As {@link use}, if an item is idle now: never waits for its turn, never creates.
 *
 * @category operations
 * @since 0.1.0
 */
export const useIfAvailable = <A, B, E, E2, R2>(
  admission: Admission<A, E>,
  body: (item: A) => Effect.Effect<B, E2, R2>
): Effect.Effect<Option.Option<B>, PoolError | E2, R2> => new Use(admission, body, undefined, true)

const scoped = <A>(
  admission: Admission<A>,
  options: AcquireOptions | undefined,
  isOptional: boolean
): Effect.Effect<any, any, Scope.Scope> => {
  const callSite = admission.tracksCallSites ? captureCallSite() : undefined
  // Here the item outlives the effect, so taking it and adding its finalizer are shielded together; only the wait in
  // between may be interrupted.
  return Effect.uninterruptibleMask((restore) =>
    Effect.withFiber((fiber) => {
      const lease = new Lease(admission, undefined, options, isOptional, callSite)
      const scope = Context.getUnsafe(fiber.context, Scope.Scope)
      const finalizer = (exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> => {
        lease.end(exit)
        return Effect.void
      }
      lease.fiber = fiber
      if (admission.take(lease)) return Effect.andThen(Scope.addFinalizerExit(scope, finalizer), lease.run())
      const waited = Effect.onExitPrimitive(
        restore(admission.wait(lease)),
        (exit) => {
          if (exit._tag === "Failure") lease.end(exit)
          return undefined
        },
        true
      )
      return Effect.flatMap(waited, (result) =>
        lease.state === "held"
          ? Effect.andThen(Scope.addFinalizerExit(scope, finalizer), Exit.succeed(result))
          : Exit.succeed(result))
    })
  )
}

/**
 * A lease for the surrounding scope.
 *
 * @category operations
 * @since 0.1.0
 */
export const get = <A, E>(
  admission: Admission<A, E>,
  options?: AcquireOptions
): Effect.Effect<A, E | PoolError, Scope.Scope> => scoped(admission, options, false)

/**
 * As {@link get}, if an item is idle now: never waits for its turn, never creates.
 *
 * @category operations
 * @since 0.1.0
 */
export const getIfAvailable = <A, E>(
  admission: Admission<A, E>
): Effect.Effect<Option.Option<A>, PoolError, Scope.Scope> => scoped(admission, undefined, true)
