/**
 * Pools of objects that are taken and returned in plain code, in constant time, without a fiber and without ever waiting:
 * buffers, parsers, matrices, whatever is made by calling a function and cleaned by calling another.
 *
 * An item comes as a guard, which gives it back when it is disposed. For those who live in effects there is what every
 * pool offers. Known from the Rust crate `rpool`.
 *
 * @since 0.1.0
 */
import type * as Budget from "@effect-pools/core/Budget"
import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import * as Layout from "@effect-pools/core/Layout"
import * as Pool from "@effect-pools/core/Pool"
import * as PoolService from "@effect-pools/core/PoolService"
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import { hasProperty } from "effect/Predicate"
import type * as Scope from "effect/Scope"
import { Guard as GuardClass } from "./internal/guard.ts"
import { checkOptions } from "./internal/lockFreeOptions.ts"
import { LockFreeStore } from "./internal/lockFreeStore.ts"
import { withTestDefaults } from "./internal/lockFreeTestDefaults.ts"

export { GuardError } from "./internal/guardError.ts"

/**
 * A pool of items of type `A`; making one can fail with `E`.
 *
 * @category models
 * @since 0.1.0
 */
export interface LockFreePool<in out A, out E = never> extends Pool.Pool<A, E> {
  readonly kind: "lock-free"
  readonly store: LockFreeStore<A, E>
}

/**
 * An item in plain code's hands. Disposing the guard gives the item back.
 *
 * **Gotchas**
 *
 * Keep the guard for as long as the item is used, not only the item: a guard that nobody refers to any more, and that was
 * not disposed, is lost. The pool reports it when the garbage collector has found it, destroys its item, and has the place
 * again. An item that refers to its own guard is never found.
 *
 * A guard that is disposed in the turn of the event loop in which it was taken is cheap; one that is held for longer costs
 * some microseconds, for which the garbage collector looks after it.
 *
 * Disposed, a guard can't be used again, nor disposed: both throw {@link GuardError}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Guard<out A> extends Disposable {
  /** The item. Don't use it when the guard is disposed. */
  readonly value: A
  readonly isDisposed: boolean
}

/**
 * How many items there are.
 *
 * - `static`: always `count`. They are made when the pool opens; one that ends is replaced in the background.
 * - `auto`: `initial` (default 0) are made when the pool opens. When all are in use it grows by `chunk` (default 1; `0`
 *   doubles it), up to `maximum` (default `Infinity`). One that ends is replaced only when somebody needs it.
 *
 * @category options
 * @since 0.1.0
 */
export type Scale =
  | { readonly mode: "static"; readonly count: number }
  | {
      readonly mode: "auto"
      readonly initial?: number | undefined
      readonly maximum?: number | undefined
      readonly chunk?: number | undefined
    }

/**
 * How to make a pool. `create`, `reset` and `scale` are required.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options<A, E = never, C = undefined> {
  /** What `create`, `reset` and `destroy` are given. The pool does nothing else with it. Default `undefined`. */
  readonly context?: C
  /** Makes an item, in plain code. What it throws is the failure of the caller for whom it was called: see `catch`. */
  readonly create: (context: NoInfer<C>) => A
  /** Cleans an item that comes back. With anything but `true`, or if it throws, the item is destroyed. */
  readonly reset: (item: NoInfer<A>, context: NoInfer<C>) => boolean
  /** Ends an item. If it throws that is reported, and the item counts as ended. Default: nothing is done. */
  readonly destroy?: ((item: NoInfer<A>, context: NoInfer<C>) => void) | undefined
  /** Makes a failure of what `create` throws. Default: it is a defect, and not among the failures of the pool. */
  readonly catch?: ((thrown: unknown) => E) | undefined
  /** How many items there are. */
  readonly scale: Scale
  /**
   * The pool's name in errors, metrics, logs and the registry. Default `lock-free-pool-<n>`. A second open pool of the
   * same name gets a number behind it.
   */
  readonly name?: string | undefined
  /**
   * Whether effects wait while all items are in use. Default `false`: they fail with `Exhausted` at once, whatever
   * `acquireTimeout` a call asks for. Plain code never waits.
   */
  readonly wait?: boolean | undefined
  /** How long an effect waits at most, in a pool with `wait`. Default 30 seconds. */
  readonly acquireTimeout?: Duration.Input | undefined
  /** How many effects may wait, in a pool with `wait`; the next one fails with `QueueFull`. Default `Infinity`. */
  readonly maxWaiters?: number | undefined
  /** How long closing the pool waits for items in use; after that they are destroyed under their holders. Default 30 seconds. */
  readonly closeGrace?: Duration.Input | undefined
  /**
   * Permits that this pool shares with others, or its share in them: a `Budget`, or one with a guaranteed `minimum` and
   * the `weight` of an item. A pool that needs one more than there are has others give up what lies idle. Default: none.
   */
  readonly budget?: Budget.Budget | Budget.Share | undefined
  /**
   * A lease held longer than this is reported, once, with the place in the code that took it; so is that place of a guard
   * that was lost. Noting it takes some microseconds per lease. Default: off, and lost guards are reported without it.
   */
  readonly leakDetection?: Duration.Input | undefined
}

/**
 * @category guards
 * @since 0.1.0
 */
export const isLockFreePool = (u: unknown): u is LockFreePool<unknown, unknown> =>
  Pool.isPool(u) && hasProperty(u, "kind") && u.kind === "lock-free"

/**
 * Opens a pool in the surrounding scope, and makes its first items. Closing the scope closes the pool: idle items go at
 * once, those in use when they come back or `closeGrace` is over.
 *
 * **Details**
 *
 * Whoever needs an item when none is idle makes it, and no other: the rest of a chunk is made in the background, for at
 * most 2 ms at a time (or one item, if that takes longer). Callers that come meanwhile make their own, which count.
 *
 * No failure of `create`, `reset` or `destroy` costs a place. If `create` fails when nobody has asked for an item, that is
 * logged, and nothing is made ahead until it has succeeded for a caller.
 *
 * **Example** (Buffers for work that does not wait)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { LockFreePool } from "@effect-pools/lock-free"
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* LockFreePool.make({
 *     create: () => new Float64Array(1024),
 *     reset: (buffer) => {
 *       buffer.fill(0)
 *       return true
 *     },
 *     scale: { mode: "auto", initial: 4, maximum: 64, chunk: 0 }
 *   })
 *   const sum = (numbers: Iterable<number>): number | undefined => {
 *     using guard = LockFreePool.getUnsafe(pool)
 *     if (guard === undefined) return undefined
 *     guard.value.set([...numbers])
 *     return guard.value.reduce((sum, n) => sum + n, 0)
 *   }
 *   return sum([1, 2, 3]) // 6
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A, E = never, C = undefined>(
  options: Options<A, E, C>
): Effect.Effect<LockFreePool<A, E>, InvalidOptions.InvalidOptions, Scope.Scope> =>
  Effect.flatMap(
    InvalidOptions.check(() => checkOptions(options)),
    (checked) =>
      Effect.tap(
        Pool.open({
          kind: "lock-free",
          settings: checked,
          closeGrace: checked.closeGrace,
          store: (admission) => Layout.make(LockFreeStore, () => new LockFreeStore<A, E>(admission, checked))
        }) as Effect.Effect<LockFreePool<A, E>, never, Scope.Scope>,
        (pool) => pool.store.filled
      )
  )

// Guards -------------------------------------------------------------------------------------------------------------

/**
 * Takes an item in plain code, or answers `undefined` if there is none now: all are in use, or the pool is suspended or
 * closed. Never waits, and never overtakes an effect that does. Throws what `create` throws, as `catch` has it.
 *
 * **Example** (With or without `using`)
 *
 * ```ts
 * import { LockFreePool } from "@effect-pools/lock-free"
 *
 * declare const pool: LockFreePool.LockFreePool<Uint8Array>
 *
 * const first = (): number => {
 *   using guard = LockFreePool.getUnsafe(pool)
 *   return guard?.value[0] ?? 0
 * }
 *
 * const second = (): number => {
 *   const guard = LockFreePool.getOrThrowUnsafe(pool)
 *   try {
 *     return guard.value[1]!
 *   } finally {
 *     guard[Symbol.dispose]()
 *   }
 * }
 * ```
 *
 * @category leases
 * @since 0.1.0
 */
export const getUnsafe = <A, E>(self: LockFreePool<A, E>): Guard<A> | undefined => self.store.guards.takeIfAvailable()

/**
 * As {@link getUnsafe}, but throws why there is none: `PoolError` with `Exhausted`, `Suspended` or `Closed`.
 *
 * @category leases
 * @since 0.1.0
 */
export const getOrThrowUnsafe = <A, E>(self: LockFreePool<A, E>): Guard<A> => self.store.guards.take()

/**
 * Gives back what a guard of this pool holds. Throws {@link GuardError} for the guard of another pool, which keeps what it
 * holds, and for one that is disposed.
 *
 * @category leases
 * @since 0.1.0
 */
export const releaseUnsafe: {
  <A>(guard: Guard<A>): <E>(self: LockFreePool<A, E>) => void
  <A, E>(self: LockFreePool<A, E>, guard: Guard<A>): void
} = dual(2, <A, E>(self: LockFreePool<A, E>, guard: Guard<A>): void => {
  const { guards } = self.store
  if (!(guard instanceof GuardClass) || !guard.isOf(guards)) throw guards.error("foreign")
  guard[Symbol.dispose]()
})

/**
 * As {@link invalidate}, at once.
 *
 * @category operations
 * @since 0.1.0
 */
export const invalidateUnsafe: {
  <A>(item: A): <E>(self: LockFreePool<A, E>) => void
  <A, E>(self: LockFreePool<A, E>, item: A): void
} = dual(2, <A, E>(self: LockFreePool<A, E>, item: A): void => self.store.invalidate(item))

// Leases -------------------------------------------------------------------------------------------------------------

/**
 * Takes an item for the surrounding scope and gives it back when the scope closes. Fails with `Exhausted` if there is
 * none now; in a pool with `wait` it waits.
 *
 * @category leases
 * @since 0.1.0
 */
export const get: typeof Pool.get = Pool.get

/**
 * Takes an item, runs an effect with it, and gives it back however the effect ends. Fails with `Exhausted` if there is
 * none now; in a pool with `wait` it waits.
 *
 * @category leases
 * @since 0.1.0
 */
export const use: typeof Pool.use = Pool.use

/**
 * As {@link get}, with `None` if there is no item now and none can be made. Never waits.
 *
 * @category leases
 * @since 0.1.0
 */
export const getIfAvailable: typeof Pool.getIfAvailable = Pool.getIfAvailable

/**
 * As {@link use}, with `None` if there is no item now and none can be made. Never waits.
 *
 * @category leases
 * @since 0.1.0
 */
export const useIfAvailable: typeof Pool.useIfAvailable = Pool.useIfAvailable

/**
 * Makes sure that this item is never handed out again: an idle one is destroyed now, one in use when its lease ends. An
 * item that the pool does not know has no effect.
 *
 * @category operations
 * @since 0.1.0
 */
export const invalidate: typeof Pool.invalidate = Pool.invalidate

// Observation --------------------------------------------------------------------------------------------------------

/**
 * A consistent snapshot. `details` has `recycled` (leases on items that had been used before, or made ahead), `made`,
 * `ahead` (how many are still to be made in the background) and `abandoned` (guards that were lost). `exhausted` counts
 * the callers that found nothing, those of {@link getUnsafe} included.
 *
 * @category observation
 * @since 0.1.0
 */
export const stats: typeof Pool.stats = Pool.stats

/**
 * As {@link stats}, at once.
 *
 * @category observation
 * @since 0.1.0
 */
export const statsUnsafe: typeof Pool.statsUnsafe = Pool.statsUnsafe

/**
 * Every transition of the pool from now on. See `Pool.events` of `@effect-pools/core`.
 *
 * @category observation
 * @since 0.1.0
 */
export const events: typeof Pool.events = Pool.events

// Administration -----------------------------------------------------------------------------------------------------

/**
 * Stops handing out items, in plain code and in effects.
 *
 * @category administration
 * @since 0.1.0
 */
export const suspend: typeof Pool.suspend = Pool.suspend

/**
 * Undoes {@link suspend}: effects that queued are served in order.
 *
 * @category administration
 * @since 0.1.0
 */
export const resume: typeof Pool.resume = Pool.resume

/**
 * Changes the bounds of a living pool: `max` is how many there are at most, `min` how many there always are. Shrinking
 * never takes an item from its holder.
 *
 * **Details**
 *
 * A static pool is one whose `min` is its `max`: give both, and it has another size. In others `min` is 0.
 *
 * @category administration
 * @since 0.1.0
 */
export const resize: typeof Pool.resize = Pool.resize

/**
 * Refuses new leases, ends when the last one is back, and closes the pool. After `grace` (default: no limit) it closes
 * anyway: items still in use are destroyed under their holders.
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
export interface ServiceClass<Self, Id extends string, A, E, LE, LR> extends PoolService.PoolServiceClass<
  Self,
  Id,
  LockFreePool<A, E>,
  A,
  E,
  LE,
  LR
> {
  /**
   * The same service over fakes, for tests: opens a pool with these options, and nothing else.
   *
   * **Details**
   *
   * Required is what the pool requires. The other defaults are those of a test:
   *
   * - `acquireTimeout`: 1 second
   * - `closeGrace`: 0, so that a leak does not hold up the end of a test, which under a `TestClock` it would for ever
   * - `leakDetection`: 1 minute, so that timeouts and audits know where leases were taken
   *
   * **Example** (An application's test)
   *
   * ```ts
   * import { Effect } from "effect"
   * import { LockFreePool } from "@effect-pools/lock-free"
   *
   * class Buffers extends LockFreePool.Service<Buffers>()("app/Buffers", {
   *   create: () => new Uint8Array(1_000_000),
   *   reset: () => true,
   *   scale: { mode: "static", count: 100 }
   * }) {}
   *
   * const size = Buffers.use((buffer) => Effect.succeed(buffer.length))
   *
   * // it.effect("works with small buffers, too", () => test)
   * const test = size.pipe(
   *   Effect.provide(Buffers.layerTest({
   *     create: () => new Uint8Array(16),
   *     reset: () => true,
   *     scale: { mode: "static", count: 1 }
   *   }))
   * )
   * ```
   */
  readonly layerTest: <C = undefined>(options: Options<A, E, C>) => Layer.Layer<Self, InvalidOptions.InvalidOptions>
}

/**
 * A pool as a service: a class that is the tag, has a `layer`, and the pool's functions as statics. The pool is named
 * after the service unless its options say otherwise. Plain code asks for the service itself and takes guards from that.
 *
 * **Example** (Buffers as a service)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { LockFreePool } from "@effect-pools/lock-free"
 *
 * class Buffers extends LockFreePool.Service<Buffers>()("app/Buffers", {
 *   create: () => new Uint8Array(65_536),
 *   reset: () => true,
 *   scale: { mode: "auto", maximum: 100 }
 * }) {}
 *
 * const program = Effect.gen(function*() {
 *   const buffers = yield* Buffers
 *   using guard = LockFreePool.getOrThrowUnsafe(buffers)
 *   return guard.value.length
 * }).pipe(Effect.provide(Buffers.layer))
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export const Service =
  <Self>() =>
  <const Id extends string, A, E = never, C = undefined, OE = never, OR = never>(
    id: Id,
    options: Options<A, E, C> | Effect.Effect<Options<A, E, C>, OE, OR>
  ): ServiceClass<Self, Id, A, E, OE | InvalidOptions.InvalidOptions, Exclude<OR, Scope.Scope>> => {
    const given = Effect.isEffect(options) ? options : Effect.succeed(options)
    const open = Effect.flatMap(given, (options) => makeNamed(id, options))
    const tracksCallSites = !Effect.isEffect(options) && options?.leakDetection !== undefined
    return PoolService.make<
      Self,
      Id,
      LockFreePool<A, E>,
      A,
      E,
      OE | InvalidOptions.InvalidOptions,
      OR | Scope.Scope,
      object
    >(
      id,
      open,
      (tag: Context.Key<Self, LockFreePool<A, E>>, opening) => ({
        layerTest: <C2>(options: Options<A, E, C2>) =>
          Layer.effect(tag, opening(makeNamed(id, withTestDefaults(options))))
      }),
      tracksCallSites
    ) as never
  }

const makeNamed = <A, E, C>(id: string, options: Options<A, E, C>) => make(PoolService.named(id, options))
