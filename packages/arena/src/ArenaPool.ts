/**
 * Arenas that are handed out, emptied and handed out again: memory for one unit of work after the other, which in steady
 * state is neither allocated nor collected.
 *
 * **When to use**
 *
 * For work that needs many buffers and is done with all of them at once: encoding a message, parsing a request, filling
 * the memory of a WebAssembly guest. `docs/guides/arenas.md` says, with measurements, when that pays in JavaScript.
 *
 * **What it does**
 *
 * - {@link use} and {@link get} lend an arena like any pool. {@link checkoutUnsafe} does so in plain code, for `using`, and
 *   makes no garbage.
 * - An arena that comes back is emptied by moving its cursor, zeroed if the pool is told to, and kept for the next.
 * - The physical pages of idle arenas go back to the operating system by {@link releaseIdle}, or by themselves.
 *
 * **Gotchas**
 *
 * An arena is the same object for whoever has it next. Who keeps one after it was given back is caught while it lies idle,
 * and from then on writes into the work of others. `checked: true` catches more, as {@link Options.checked} says.
 *
 * @since 0.1.0
 */
import type * as Budget from "@effect-pools/core/Budget"
import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import * as Layout from "@effect-pools/core/Layout"
import * as Pool from "@effect-pools/core/Pool"
import * as PoolService from "@effect-pools/core/PoolService"
import type * as Context from "effect/Context"
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import { hasProperty } from "effect/Predicate"
import type * as Scope from "effect/Scope"
import type { ArenaBacking, ArenaMemory, BackingName } from "./ArenaBacking.ts"
import { type BackingFailed, PrewarmFailed } from "./ArenaError.ts"
import type { BumpArena } from "./BumpArena.ts"
import { checkPoolOptions } from "./internal/poolOptions.ts"
import { ArenaStore } from "./internal/store.ts"
import { withTestDefaults } from "./internal/testDefaults.ts"

/**
 * A pool of arenas over memory of type `M`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ArenaPool<in out M extends ArenaMemory = ArenaMemory> extends Pool.Pool<BumpArena<M>, BackingFailed> {
  readonly kind: "arena"
  readonly store: ArenaStore<M>
}

/**
 * How to make a pool. Only `size` is required.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options<M extends ArenaMemory = ArenaMemory> {
  /** Of each arena, in bytes: from 1 to 2³¹ − 65,536. */
  readonly size: number
  /**
   * The pool's name in errors, metrics, logs and the registry. Default `arena-pool-<n>`. A second open pool of the same name
   * gets a number behind it.
   */
  readonly name?: string | undefined
  /** Where the memory comes from. Default `heap`; `resizable` is the one that can return pages. */
  readonly backing?: BackingName | ArenaBacking<M> | undefined
  /**
   * For tests and for the search of mistakes. Default `false`. Arenas that come back are overwritten, and views of them end,
   * as far as the backing can do that; see the options of `BumpArena`.
   */
  readonly checked?: boolean | undefined
  /**
   * What becomes of an allocation that does not fit: `fail` (default), or `chain`, which leases the memory of another arena
   * of the pool until the arena is emptied. That counts like any lease: with `maxOutstanding` of them out, while others
   * wait, or when the pool is suspended or closing, the arena is full.
   */
  readonly overflow?: "fail" | "chain" | undefined
  /** How many idle arenas are kept; those that come back beyond are destroyed. `Infinity` keeps all. Default 16. */
  readonly cap?: number | undefined
  /**
   * How many are made when the pool opens, and left by `idleTimeToLive`. One that cannot be made then is made when it is
   * needed; the log has the failure. Default 0.
   */
  readonly prewarm?: number | undefined
  /**
   * How many arenas there are at most, in use, idle and chained; with all in use, callers wait. It is what the functions of
   * every pool call `max`. Default: no bound.
   */
  readonly maxOutstanding?: number | undefined
  /** How long a caller waits at most; with `0` it fails with `Exhausted` at once. Default 30 seconds. */
  readonly acquireTimeout?: Duration.Input | undefined
  /** How many callers may wait; the next one fails with `QueueFull`. Default `Infinity`. */
  readonly maxWaiters?: number | undefined
  /**
   * `onReturn` zeroes what was in use of an arena when it comes back, so that nobody sees another's data. What was written
   * where nothing was allocated stays. Default `none`.
   */
  readonly clear?: "none" | "onReturn" | undefined
  /**
   * After how long idle arenas return their pages to the operating system; the address range stays, and whoever gets one
   * then finds zeroes. Only with a backing that can do that. Default: by {@link releaseIdle} alone.
   */
  readonly releaseIdleAfter?: Duration.Input | undefined
  /** After how long an idle arena is destroyed. Default: never. */
  readonly idleTimeToLive?: Duration.Input | undefined
  /** How long closing the pool waits for arenas in use; after that they are destroyed under their holders. Default 30 s. */
  readonly closeGrace?: Duration.Input | undefined
  /**
   * Permits that this pool shares with others, or its share in them: a `Budget`, or one with a guaranteed `minimum` and
   * the `weight` of an arena, by default its `size` in bytes, also while its pages are returned. What arenas chain are arenas
   * too, and count. A pool that needs
   * one more than there are permits for has others give up what lies idle. Default: none.
   */
  readonly budget?: Budget.Budget | Budget.Share | undefined
  /**
   * A lease held longer than this is reported, once, with the place in the code that took it. Noting that place takes
   * some microseconds per lease. Default: off.
   */
  readonly leakDetection?: Duration.Input | undefined
}

/**
 * @category guards
 * @since 0.1.0
 */
export const isArenaPool = (u: unknown): u is ArenaPool =>
  Pool.isPool(u) && hasProperty(u, "kind") && u.kind === "arena"

/**
 * Opens a pool in the surrounding scope. Closing the scope closes the pool: callers that wait fail with `Closed`, idle arenas
 * go at once, those in use when they come back or `closeGrace` is over.
 *
 * **Details**
 *
 * An arena is made in the step of the caller who finds none idle; a backing that fails is that caller's failure.
 *
 * **Example** (A response encoded without garbage)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ArenaPool, BumpArena } from "@effect-pools/arena"
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* ArenaPool.make({ size: 64 * 1024 })
 *   return yield* ArenaPool.use(pool, (arena) =>
 *     Effect.map(BumpArena.allocString(arena, "hello"), (bytes) => bytes.length)
 *   )
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <M extends ArenaMemory = ArenaMemory>(
  options: Options<M>
): Effect.Effect<ArenaPool<M>, InvalidOptions.InvalidOptions, Scope.Scope> =>
  Effect.gen(function* () {
    const checked = yield* InvalidOptions.check(() => checkPoolOptions<M>(options))
    const pool = (yield* Pool.open<BumpArena<M>, BackingFailed, ArenaStore<M>>({
      kind: "arena",
      settings: { ...checked, noun: "arena" },
      closeGrace: checked.closeGrace,
      store: (admission) => Layout.make(ArenaStore, () => new ArenaStore(admission, checked))
    })) as ArenaPool<M>
    const { failure, made } = pool.store.prewarm(checked.min)
    if (failure !== undefined) {
      yield* Effect.logWarning(`Pool "${pool.name}": ${made} of ${checked.min} arenas were made ahead`, failure)
    }
    return pool
  })

// Leases -------------------------------------------------------------------------------------------------------------

/**
 * Takes an arena for the surrounding scope, which gives it back when it closes.
 *
 * @category leases
 * @since 0.1.0
 */
export const get: typeof Pool.get = Pool.get

/**
 * Takes an arena, runs an effect with it, and gives it back however the effect ends.
 *
 * @category leases
 * @since 0.1.0
 */
export const use: typeof Pool.use = Pool.use

/**
 * As {@link get}, without waiting: an idle arena, or one that is made on the spot if there may be one more. `None` if there
 * may not, or if it cannot be made.
 *
 * @category leases
 * @since 0.1.0
 */
export const getIfAvailable: typeof Pool.getIfAvailable = Pool.getIfAvailable

/**
 * As {@link use}, without waiting. See {@link getIfAvailable}.
 *
 * @category leases
 * @since 0.1.0
 */
export const useIfAvailable: typeof Pool.useIfAvailable = Pool.useIfAvailable

/**
 * Makes sure that this arena is never handed out again: an idle one is destroyed now, one in use when it comes back.
 *
 * @category operations
 * @since 0.1.0
 */
export const invalidate: typeof Pool.invalidate = Pool.invalidate

// Synchronous --------------------------------------------------------------------------------------------------------

/**
 * Takes an arena in plain code. It is given back by {@link giveBackUnsafe}, or at the end of its block by `using`.
 *
 * **Details**
 *
 * It never waits, and allocates nothing once the pool has arenas. Throws a `PoolError` if there is none to be had, and
 * `BackingFailed` if one cannot be made.
 *
 * **Example** (A sum without garbage)
 *
 * ```ts
 * import { ArenaPool, BumpArena } from "@effect-pools/arena"
 *
 * const sum = (pool: ArenaPool.ArenaPool, values: ReadonlyArray<number>): number => {
 *   using arena = ArenaPool.checkoutUnsafe(pool)
 *   return BumpArena.allocArrayUnsafe(arena, Float64Array, values.length)
 *     .map((_, index) => values[index]!)
 *     .reduce((sum, value) => sum + value, 0)
 * }
 * ```
 *
 * @category synchronous
 * @since 0.1.0
 */
export const checkoutUnsafe = <M extends ArenaMemory>(self: ArenaPool<M>): BumpArena<M> => self.store.lending.checkOut()

/**
 * Gives back what {@link checkoutUnsafe} has taken. Throws `ArenaMisuse`, and changes nothing, for an arena that is not
 * this pool's, was given back already, or was taken by {@link use} or {@link get}.
 *
 * **Gotchas**
 *
 * An arena that was given back already, and was checked out by somebody since, is the same object: giving it back once more
 * takes it from them. `using` gives back exactly once.
 *
 * @category synchronous
 * @since 0.1.0
 */
export const giveBackUnsafe = <M extends ArenaMemory>(self: ArenaPool<M>, arena: BumpArena<M>): void =>
  self.store.lending.giveBack(arena)

// Idle arenas --------------------------------------------------------------------------------------------------------

/**
 * Makes arenas ahead, so that those who come need not. Answers how many: no more than fit below `cap` and `maxOutstanding`.
 *
 * **Details**
 *
 * A backing that fails ends it with `PrewarmFailed`, which says how many were made before: these are in the pool.
 *
 * @category administration
 * @since 0.1.0
 */
export const prewarm: {
  (
    count: number
  ): <M extends ArenaMemory>(self: ArenaPool<M>) => Effect.Effect<number, PrewarmFailed | InvalidOptions.InvalidOptions>
  <M extends ArenaMemory>(
    self: ArenaPool<M>,
    count: number
  ): Effect.Effect<number, PrewarmFailed | InvalidOptions.InvalidOptions>
} = dual(
  2,
  <M extends ArenaMemory>(
    self: ArenaPool<M>,
    count: number
  ): Effect.Effect<number, PrewarmFailed | InvalidOptions.InvalidOptions> =>
    Effect.flatMap(checkCount(self, count), (asked) =>
      Effect.suspend(() => {
        const { failure, made } = self.store.prewarm(asked)
        if (failure === undefined) return Effect.succeed(made)
        return Effect.fail(new PrewarmFailed({ pool: self.name, asked, made, cause: Cause.squash(failure) }))
      })
    )
)

/**
 * Destroys all idle arenas, and answers how many.
 *
 * @category administration
 * @since 0.1.0
 */
export const clear = <M extends ArenaMemory>(self: ArenaPool<M>): Effect.Effect<number> =>
  Effect.sync(() => self.store.trim(0))

/**
 * Destroys idle arenas until `count` are left, those first that are idle for longest, and answers how many.
 *
 * @category administration
 * @since 0.1.0
 */
export const trim: {
  (count: number): <M extends ArenaMemory>(self: ArenaPool<M>) => Effect.Effect<number, InvalidOptions.InvalidOptions>
  <M extends ArenaMemory>(self: ArenaPool<M>, count: number): Effect.Effect<number, InvalidOptions.InvalidOptions>
} = dual(
  2,
  <M extends ArenaMemory>(self: ArenaPool<M>, count: number): Effect.Effect<number, InvalidOptions.InvalidOptions> =>
    Effect.map(checkCount(self, count), (left) => self.store.trim(left))
)

/**
 * Returns the physical pages of all idle arenas to the operating system, and answers how many bytes those were.
 *
 * **Details**
 *
 * The address ranges stay. Pages come back, as zeroes, when an arena is used again. Arenas whose pages are gone already, or
 * were never used, cost nothing. With a backing that cannot return pages it does nothing. An arena in which nothing was
 * allocated counts as not used, also if somebody has written to its memory.
 *
 * @category administration
 * @since 0.1.0
 */
export const releaseIdle = <M extends ArenaMemory>(self: ArenaPool<M>): Effect.Effect<number> =>
  Effect.sync(() => self.store.releaseIdle())

const checkCount = <M extends ArenaMemory>(
  self: ArenaPool<M>,
  count: number
): Effect.Effect<number, InvalidOptions.InvalidOptions> =>
  InvalidOptions.check(() => {
    const checks = new InvalidOptions.Checks(self.name)
    // What an option may leave out, a call may not.
    return count === undefined ? checks.refuse("count", count, "must be given") : checks.integer("count", count, 0, 0)
  })

// Observation --------------------------------------------------------------------------------------------------------

/**
 * How many arenas are idle.
 *
 * @category observation
 * @since 0.1.0
 */
export const idleCount = <M extends ArenaMemory>(self: ArenaPool<M>): Effect.Effect<number> =>
  Effect.sync(() => self.admission.idle)

/**
 * A consistent snapshot. `details` has
 *
 * - `minted` and `recycled`: how many arenas were made, and how often one was handed out again
 * - `reservedBytes`: the size of all arenas together
 * - `residentBytes`: how much of that is thought to be in physical memory, by what was used since its pages were returned
 * - `mostUsedBytes`: the most that one holder has had in use, which is what `size` should be above
 * - `releasedBytes`: what was returned to the operating system, in total
 *
 * @category observation
 * @since 0.1.0
 */
export const stats: typeof Pool.stats = Pool.stats

/**
 * Every transition of the pool from now on. See `Pool.events` of `@effect-pools/core`.
 *
 * @category observation
 * @since 0.1.0
 */
export const events: typeof Pool.events = Pool.events

// Administration -----------------------------------------------------------------------------------------------------

/**
 * Stops handing out arenas: callers queue, and their timeouts run; {@link checkoutUnsafe} is refused.
 *
 * @category administration
 * @since 0.1.0
 */
export const suspend: typeof Pool.suspend = Pool.suspend

/**
 * Undoes {@link suspend}: callers that queued are served in order.
 *
 * @category administration
 * @since 0.1.0
 */
export const resume: typeof Pool.resume = Pool.resume

/**
 * Changes `max`, which is `maxOutstanding`, and with `min` how many arenas `idleTimeToLive` leaves. Shrinking never interrupts
 * a lease.
 *
 * @category administration
 * @since 0.1.0
 */
export const resize: typeof Pool.resize = Pool.resize

/**
 * Refuses new leases, ends when the last one is back, and closes the pool. After `grace` (default: no limit) it closes
 * anyway: arenas still in use are destroyed under their holders.
 *
 * @category administration
 * @since 0.1.0
 */
export const drain: typeof Pool.drain = Pool.drain

// Services -----------------------------------------------------------------------------------------------------------

/**
 * The class that {@link Service} makes.
 *
 * @category services
 * @since 0.1.0
 */
export interface ServiceClass<
  Self,
  Id extends string,
  M extends ArenaMemory,
  LE,
  LR
> extends PoolService.PoolServiceClass<Self, Id, ArenaPool<M>, BumpArena<M>, BackingFailed, LE, LR> {
  /**
   * The same service for tests: opens a pool with these options, and nothing else. The options of the service itself are
   * not used, nor is anything that they need.
   *
   * **Details**
   *
   * `size` is required. The other defaults are those of a test:
   *
   * - `checked`: true, so that views of arenas that were given back end
   * - `acquireTimeout`: 1 second
   * - `closeGrace`: 0, so that a leak does not hold up the end of a test, which under a `TestClock` it would for ever
   * - `leakDetection`: 1 minute, so that timeouts and audits know where leases were taken
   */
  readonly layerTest: (options: Options<M>) => Layer.Layer<Self, InvalidOptions.InvalidOptions>
  /** See {@link prewarm}. */
  readonly prewarm: (count: number) => Effect.Effect<number, PrewarmFailed | InvalidOptions.InvalidOptions, Self>
  /** See {@link clear}. */
  readonly clear: Effect.Effect<number, never, Self>
  /** See {@link trim}. */
  readonly trim: (count: number) => Effect.Effect<number, InvalidOptions.InvalidOptions, Self>
  /** See {@link releaseIdle}. */
  readonly releaseIdle: Effect.Effect<number, never, Self>
  /** See {@link idleCount}. */
  readonly idleCount: Effect.Effect<number, never, Self>
}

/**
 * A pool as a service: a class that is the tag, has a `layer`, and the pool's functions as statics. The pool is named
 * after the service unless its options say otherwise.
 *
 * **Example** (Scratch memory as a service)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ArenaPool, BumpArena } from "@effect-pools/arena"
 *
 * class Scratch extends ArenaPool.Service<Scratch>()("app/Scratch", {
 *   size: 1024 * 1024,
 *   backing: "resizable",
 *   releaseIdleAfter: "10 seconds"
 * }) {}
 *
 * const program = Scratch.use((arena) => BumpArena.allocString(arena, "hello")).pipe(Effect.provide(Scratch.layer))
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export const Service =
  <Self>() =>
  <const Id extends string, M extends ArenaMemory = ArenaMemory, OE = never, OR = never>(
    id: Id,
    options: Options<M> | Effect.Effect<Options<M>, OE, OR>
  ): ServiceClass<Self, Id, M, OE | InvalidOptions.InvalidOptions, Exclude<OR, Scope.Scope>> => {
    const given = Effect.isEffect(options) ? options : Effect.succeed(options)
    const named = (options: Options<M>) => make(PoolService.named(id, options))
    return PoolService.make<
      Self,
      Id,
      ArenaPool<M>,
      BumpArena<M>,
      BackingFailed,
      OE | InvalidOptions.InvalidOptions,
      OR | Scope.Scope,
      object
    >(
      id,
      Effect.flatMap(given, named),
      (tag: Context.Key<Self, ArenaPool<M>>, opening) => ({
        layerTest: (options: Options<M>) => Layer.effect(tag, opening(named(withTestDefaults(options)))),
        prewarm: (count: number) => Effect.flatMap(tag, (pool) => prewarm(pool, count)),
        clear: Effect.flatMap(tag, (pool) => clear(pool)),
        trim: (count: number) => Effect.flatMap(tag, (pool) => trim(pool, count)),
        releaseIdle: Effect.flatMap(tag, (pool) => releaseIdle(pool)),
        idleCount: Effect.flatMap(tag, (pool) => idleCount(pool))
      }),
      !Effect.isEffect(options) && options?.leakDetection !== undefined
    ) as never
  }
