/**
 * One cap for all threads of a process: permits that any of them takes, some at a time, and gives back.
 *
 * **When to use**
 *
 * Where each worker has things of its own, connections say, and all together may have at most so many.
 *
 * **What it does**
 *
 * Permits are the slots of `SharedPool`, without memory: taken without a lock, marked with their thread from the instant
 * they are taken, and back by {@link reclaim} if it is terminated.
 *
 * They are no pool, and in no registry; as metrics there are `pool.count`, `.max` and `.pending_requests`, with `pool.kind`
 * `permits`: the same in every thread.
 *
 * @since 0.1.0
 */
import type * as Budget from "@effect-pools/core/Budget"
import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import * as Pool from "@effect-pools/core/Pool"
import * as PoolError from "@effect-pools/core/PoolError"
import * as PoolMetrics from "@effect-pools/core/PoolMetrics"
import { Clock } from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { AttachError, type HandleParts, readHandle } from "./internal/sharedHandle.ts"
import { SharedBudget } from "./internal/sharedBudget.ts"
import { Layout } from "./internal/sharedLayout.ts"
import { allocate } from "./internal/sharedMemory.ts"
import { checkThread, slotCount, threadOf } from "./internal/sharedOptions.ts"
import { PermitLedger, PermitWaiter } from "./internal/sharedPermits.ts"
import { makeSlots, NO_PLACE, type SharedSlots } from "./internal/sharedSlots.ts"
import type { WatchedWorker } from "./SharedPool.ts"

/**
 * One thread's part in permits that all threads share.
 *
 * @category models
 * @since 0.1.0
 */
export interface SharedPermits {
  readonly name: string
  /** How many there are, over all threads. */
  readonly permits: number
  /** What names them to other threads: post it, or pass it as `workerData`. */
  readonly handle: Handle
  /**
   * The permits as a budget of this thread's pools: give it to them as `budget`, in every thread, and all together have at
   * most so many items.
   *
   * **Details**
   *
   * As in any budget, idle items are given up before anybody waits, those that were used least recently first; other threads
   * are told, and give up theirs. There are no minimums: `budget.minimum` has to be 0. Have the permits end after the pools.
   */
  readonly budget: Budget.Budget
  /** For those who build on it. */
  readonly ledger: PermitLedger
}

/**
 * What names shared permits to another thread.
 *
 * @category models
 * @since 0.1.0
 */
export interface Handle extends HandleParts {}

/**
 * @category options
 * @since 0.1.0
 */
export interface AttachOptions {
  /** The number of this thread. Default: that of `node:worker_threads`; required where there is none. */
  readonly thread?: number | undefined
}

/**
 * `permits` is required.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options extends AttachOptions {
  /** How many permits there are, from 1 to 65,536. For amounts beyond that let a permit stand for more: a MiB, say. */
  readonly permits: number
  /** The name in errors. Default `permits-pool-<n>`. */
  readonly name?: string | undefined
}

/**
 * What one call may ask for.
 *
 * @category options
 * @since 0.1.0
 */
export interface AcquireOptions {
  /** How long to wait at most; `0`: not at all. Default `Infinity`. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * What there is of permits and who has them: the same in every thread, but for `held`, which is this thread's.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stats {
  readonly name: string
  readonly permits: number
  readonly used: number
  readonly held: number
  readonly pending: number
  readonly threads: number
  readonly acquired: number
  readonly released: number
  readonly reclaimed: number
}

// Construction -------------------------------------------------------------------------------------------------------

const known = new Set(["permits", "name", "thread"])
const knownAtAttach = new Set(["thread"])

/**
 * Makes permits, in the surrounding scope. Closing the scope ends them for all threads: those that wait fail with
 * `Closed`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<SharedPermits, InvalidOptions.InvalidOptions, Scope.Scope> =>
  Effect.flatMap(
    InvalidOptions.check(() => {
      const checks = new InvalidOptions.Checks(typeof options?.name === "string" ? options.name : "shared permits")
      checks.known(options, known)
      const permits = slotCount(checks, "permits", options.permits)
      const name = checks.name(options.name, () => Pool.generateName("permits"))
      const thread = threadOf(checks, options.thread)
      const shape = {
        kind: "permits",
        initial: permits,
        maximum: permits,
        chunk: 1,
        slotBytes: 0,
        reset: "none"
      } as const
      const memory = allocate(shape)
      const slots = makeSlots(new Layout(memory.control), thread, () => {})
      slots.growTo(0, permits)
      return { slots, handle: { name, ...memory } }
    }),
    ({ handle, slots }) => open(handle, slots, true)
  )

/**
 * The permits of a handle, in this thread and the surrounding scope. Closing the scope gives back what this thread has.
 * Fails with `AttachError` for what is no handle of permits, or of another version.
 *
 * @category constructors
 * @since 0.1.0
 */
export const attach = (
  handle: Handle,
  options: AttachOptions = {}
): Effect.Effect<SharedPermits, InvalidOptions.InvalidOptions | AttachError, Scope.Scope> =>
  Effect.flatMap(
    Effect.suspend(() => {
      try {
        const { control, data, layout, name } = readHandle(handle, "permits")
        const checks = new InvalidOptions.Checks(name)
        checks.known(options, knownAtAttach)
        const thread = threadOf(checks, options.thread)
        return Effect.succeed({ slots: makeSlots(layout, thread, () => {}), handle: { name, control, data } })
      } catch (error) {
        if (error instanceof InvalidOptions.InvalidOptions || error instanceof AttachError) return Effect.fail(error)
        const isFull = error instanceof RangeError && error.message === NO_PLACE
        return isFull ? Effect.fail(new AttachError({ problem: NO_PLACE })) : Effect.die(error)
      }
    }),
    ({ handle, slots }) => open(handle, slots, false)
  )

interface Opened {
  readonly permits: SharedPermits
  readonly forgetMetrics: () => void
}

const open = (handle: Handle, slots: SharedSlots, isMaker: boolean): Effect.Effect<SharedPermits, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.map(Effect.context<never>(), (context): Opened => {
      const run = Effect.runForkWith(context)
      const clock = Context.get(context, Clock)
      const ledger = new PermitLedger(slots, {
        after: (millis, f) => {
          const fiber = run(Effect.andThen(Effect.sleep(Duration.millis(millis)), Effect.sync(f)))
          return () => fiber.interruptUnsafe()
        },
        wall: () => Number(clock.currentTimeNanosUnsafe()) / 1e6
      })
      const budget = new SharedBudget(handle.name, ledger)
      const permits = slots.layout.maximum
      const counts = {
        idle: () => permits - slots.countUsed(),
        used: () => slots.countUsed(),
        max: () => permits,
        pending: () => slots.sums().pending
      }
      const forgetMetrics = PoolMetrics.registerCountsUnsafe(handle.name, "permits", counts, context)
      return { permits: { name: handle.name, permits, handle, budget, ledger }, forgetMetrics }
    }),
    ({ forgetMetrics, permits: { ledger } }) =>
      Effect.sync(() => {
        forgetMetrics()
        ledger.leaveAll()
        if (isMaker) slots.close()
      })
  ).pipe(Effect.map(({ permits }) => permits))

// Plain code ---------------------------------------------------------------------------------------------------------

/**
 * Takes so many permits, all or none, at once; `false` if there are not as many, or others of this thread wait.
 *
 * @category permits
 * @since 0.1.0
 */
export const takeUnsafe = (self: SharedPermits, permits = 1): boolean => isCount(permits) && self.ledger.take(permits)

/**
 * Gives permits back that this thread has taken; `false`, and nothing else, if it has not as many. Wakes who waits, in
 * any thread.
 *
 * @category permits
 * @since 0.1.0
 */
export const giveUnsafe = (self: SharedPermits, permits = 1): boolean => isCount(permits) && self.ledger.give(permits)

/**
 * Calls `served` when this thread has got so many permits, which may be at once, or `closed` when it will not get them.
 * What it returns ends the wait; it answers `false` if that has ended before.
 *
 * @category permits
 * @since 0.1.0
 */
export const waitUnsafe = (
  self: SharedPermits,
  permits: number,
  served: () => void,
  closed: () => void
): (() => boolean) => {
  const { ledger } = self
  if (!isCount(permits) || permits > self.permits) throw new RangeError(`there are never ${permits} permits to be had`)
  const waiter = new PermitWaiter(permits, served, closed)
  if (ledger.isClosed) closed()
  else if (ledger.take(permits)) served()
  else ledger.wait(waiter)
  return () => ledger.leave(waiter)
}

const isCount = (permits: number): boolean => Number.isSafeInteger(permits) && permits > 0

// Leases -------------------------------------------------------------------------------------------------------------

/** One holder's permits. As everywhere, what ends it is installed first and looks at how far it has come. */
class Holding {
  readonly #self: SharedPermits
  readonly #permits: number
  #state: "new" | "held" | "ended" = "new"
  #leave: (() => boolean) | undefined = undefined

  constructor(self: SharedPermits, permits: number) {
    this.#self = self
    this.#permits = permits
  }

  obtain(
    options: AcquireOptions | undefined
  ): Effect.Effect<void, PoolError.PoolError | InvalidOptions.InvalidOptions> {
    const self = this.#self
    return Effect.flatMap(
      InvalidOptions.check(() => {
        const checks = new InvalidOptions.Checks(self.name)
        const permits = checks.integer("permits", this.#permits, 1, 1)
        if (permits > self.permits) checks.refuse("permits", permits, `must be at most ${self.permits}`)
        return checks.millis("timeout", options?.timeout, Infinity, { zero: true, infinity: true })
      }),
      (timeout) => {
        if (timeout === 0) return this.#takeNow()
        if (timeout === Infinity) return this.#wait
        return Effect.timeoutOrElse(this.#wait, {
          duration: Duration.millis(timeout),
          orElse: () => Effect.fail(timedOut(self, timeout))
        })
      }
    )
  }

  #takeNow(): Effect.Effect<void, PoolError.PoolError> {
    const self = this.#self
    if (self.ledger.isClosed) return Effect.fail(isClosed(self))
    if (!self.ledger.take(this.#permits)) {
      const { name, permits } = self
      return Effect.fail(PoolError.make(() => new PoolError.Exhausted({ pool: name, max: permits })))
    }
    this.#state = "held"
    return Effect.void
  }

  readonly #wait = Effect.callback<void, PoolError.PoolError>((resume) => {
    if (this.#state === "ended") return resume(Effect.interrupt)
    const served = (): void => {
      this.#state = "held"
      resume(Effect.void)
    }
    this.#leave = waitUnsafe(this.#self, this.#permits, served, () => resume(Effect.fail(isClosed(this.#self))))
  })

  readonly end = Effect.sync(() => {
    const state = this.#state
    this.#state = "ended"
    if (state === "held") this.#self.ledger.give(this.#permits)
    else this.#leave?.()
  })
}

/**
 * Runs an effect with so many permits, which go back however it ends. Waits for them until `timeout`, then fails with
 * `AcquireTimeout`; with `0` with `Exhausted`, at once.
 *
 * @category leases
 * @since 0.1.0
 */
export const use = <A, E, R>(
  self: SharedPermits,
  permits: number,
  effect: Effect.Effect<A, E, R>,
  options?: AcquireOptions
): Effect.Effect<A, E | PoolError.PoolError | InvalidOptions.InvalidOptions, R> =>
  Effect.suspend(() => {
    const holding = new Holding(self, permits)
    return Effect.onExit(Effect.andThen(holding.obtain(options), effect), () => holding.end)
  })

/**
 * Takes so many permits for the surrounding scope. See {@link use}.
 *
 * @category leases
 * @since 0.1.0
 */
export const get = (
  self: SharedPermits,
  permits = 1,
  options?: AcquireOptions
): Effect.Effect<void, PoolError.PoolError | InvalidOptions.InvalidOptions, Scope.Scope> =>
  Effect.suspend(() => {
    const holding = new Holding(self, permits)
    return Effect.andThen(
      Effect.addFinalizer(() => holding.end),
      Effect.onError(holding.obtain(options), () => holding.end)
    )
  })

const isClosed = ({ name }: SharedPermits): PoolError.PoolError =>
  PoolError.make(() => new PoolError.Closed({ pool: name }))

const timedOut = (self: SharedPermits, waited: number): PoolError.PoolError =>
  PoolError.make(() => {
    const { pending, permits, used } = statsUnsafe(self)
    const explanation = { idle: permits - used, used, creating: 0, pending, max: permits, heldByCaller: 0 }
    return new PoolError.AcquireTimeout({ pool: self.name, phase: "queue", waited, explanation })
  })

// Threads ------------------------------------------------------------------------------------------------------------

/**
 * Has the permits come back that a terminated thread had. Answers how many there were. See `SharedPool.reclaim`.
 *
 * @category threads
 * @since 0.1.0
 */
export const reclaim = (self: SharedPermits, thread: number): Effect.Effect<number, InvalidOptions.InvalidOptions> =>
  InvalidOptions.check(() => reclaimUnsafe(self, checkThread(self.name, thread)))

const reclaimUnsafe = ({ ledger: { slots } }: SharedPermits, thread: number): number => {
  if (thread + 1 === slots.owner) return 0
  const found = slots.reclaim(thread, () => {})
  slots.add("reclaimed", found)
  slots.ring()
  return found
}

/**
 * Reclaims what the worker has when it ends, and answers the worker. See `SharedPool.watch`.
 *
 * @category threads
 * @since 0.1.0
 */
export const watch = <W extends WatchedWorker>(self: SharedPermits, worker: W): W => {
  const threadId = checkThread(self.name, worker.threadId)
  worker.once("exit", () => reclaimUnsafe(self, threadId))
  return worker
}

// Observation --------------------------------------------------------------------------------------------------------

/**
 * @category observation
 * @since 0.1.0
 */
export const stats = (self: SharedPermits): Effect.Effect<Stats> => Effect.sync(() => statsUnsafe(self))

const statsUnsafe = ({ ledger, name, permits }: SharedPermits): Stats => {
  const { slots } = ledger
  const { acquired, pending, reclaimed } = slots.sums()
  const used = slots.countUsed()
  const released = Math.max(0, acquired - used)
  const threads = slots.threads().length
  return { name, permits, used, held: ledger.held, pending, threads, acquired, released, reclaimed }
}

// Services -----------------------------------------------------------------------------------------------------------

/**
 * The class that {@link Service} makes.
 *
 * @category services
 * @since 0.1.0
 */
export interface ServiceClass<Self, Id extends string> extends Context.Key<Self, SharedPermits> {
  new (_: never): Context.ServiceClass.Shape<Id, SharedPermits>
  readonly key: Id
  /** Makes or attaches the permits for the lifetime of the layer. */
  readonly layer: Layer.Layer<Self, InvalidOptions.InvalidOptions | AttachError>
}

/**
 * Permits as a service: the tag and a layer that makes them, or with a `handle` attaches them.
 *
 * **Example** (At most 20 connections in all threads)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { SharedPermits } from "@effect-pools/lock-free"
 *
 * class Connections extends SharedPermits.Service<Connections>()("app/Connections", { permits: 20 }) {}
 *
 * const query = Effect.succeed("rows")
 *
 * const program = Effect.gen(function*() {
 *   const connections = yield* Connections
 *   return yield* SharedPermits.use(connections, 1, query, { timeout: "1 second" })
 * }).pipe(Effect.provide(Connections.layer))
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export const Service =
  <Self>() =>
  <const Id extends string>(
    id: Id,
    options: Options | (AttachOptions & { readonly handle: Handle })
  ): ServiceClass<Self, Id> => {
    const opened = (): Effect.Effect<SharedPermits, InvalidOptions.InvalidOptions | AttachError, Scope.Scope> => {
      if (!("handle" in options)) return make(options.name === undefined ? { ...options, name: id } : options)
      const { handle, ...rest } = options
      return attach(handle, rest)
    }
    class PermitsService extends Context.Service<Self, SharedPermits>()(id) {}
    const tag = PermitsService as unknown as Context.Service<Self, SharedPermits>
    return Object.assign(PermitsService, { layer: Layer.effect(tag, Effect.suspend(opened)) }) as never
  }
