/**
 * A cap on how many fresh instances live at once.
 *
 * **When to use**
 *
 * For guest code whose state must never pass from one caller to the next: WebAssembly plugins, interpreters, worker
 * threads. Every lease gets an instance that nobody has used, and its end destroys it.
 *
 * **What it does**
 *
 * - At capacity a caller is refused at once, or waits its turn, as the pool is told.
 * - Instances are built concurrently, each in a fiber of the pool, and one that fails, dies, hangs or is no longer wanted
 *   gives its place back. So does one whose finalizer fails or hangs.
 * - Some can be built ahead: as fresh as any, and ready.
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
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { checkOptions } from "./internal/options.ts"
import { InstanceStore } from "./internal/store.ts"
import { withTestDefaults } from "./internal/testDefaults.ts"

/**
 * A pool of instances of type `A`; building one can fail with `E`.
 *
 * @category models
 * @since 0.1.0
 */
export interface InstancePool<in out A, out E = never> extends Pool.Pool<A, E> {
  readonly kind: "instance"
  readonly store: InstanceStore<A, E>
}

/**
 * How to make a pool. Only `create` is required.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options<A, E, R> {
  /** Builds one instance. What it adds to its scope is run when the instance is destroyed. */
  readonly create: Effect.Effect<A, E, R>
  /**
   * The pool's name in errors, metrics, logs and the registry. Default `instance-pool-<n>`. A second open pool of the
   * same name gets a number behind it.
   */
  readonly name?: string | undefined
  /** How many instances there are at most, those being built or destroyed included. Default 4. */
  readonly max?: number | undefined
  /**
   * What becomes of a caller when there are `max` instances in use, being built for others, or being destroyed: `fail`
   * (default) refuses it at once with `Exhausted`, `wait` lets it wait its turn.
   */
  readonly onExhausted?: "fail" | "wait" | undefined
  /**
   * How long a caller waits at most, for its turn and for the instance to be built together. With `0` it gets what is
   * prepared or fails with `Exhausted`: nothing is built for it. Default 30 seconds.
   */
  readonly acquireTimeout?: Duration.Input | undefined
  /**
   * How many callers may wait, those included for whom an instance is being built; the next one fails with `QueueFull`.
   * With `0` callers get what is prepared, or nothing. Default `Infinity`.
   */
  readonly maxWaiters?: number | undefined
  /**
   * How long building one may take before it counts as failed. One whose caller has left is built on, for the next who
   * comes within a second. Should be less than `acquireTimeout`, so that its caller hears of it. Default 10 seconds.
   */
  readonly createTimeout?: Duration.Input | undefined
  /**
   * How many instances are built ahead, in the background, so that a lease need not pay for it. They count towards `max`;
   * a caller is never refused because of one, but gets it. Default 0.
   */
  readonly prepare?: number | undefined
  /** A prepared instance older than this is replaced. Default: never. */
  readonly preparedMaxAge?: Duration.Input | undefined
  /** How long destroying one keeps its place; after that the place is free and destroying goes on. Default 5 seconds. */
  readonly destroyTimeout?: Duration.Input | undefined
  /**
   * How long closing the pool waits for instances in use; after that they are destroyed under their holders. Default 30
   * seconds.
   */
  readonly closeGrace?: Duration.Input | undefined
  /**
   * Permits that this pool shares with others, or its share in them: a `Budget`, or one with a guaranteed `minimum` and
   * the `weight` of an instance. A pool that needs one more than there are has others give up what lies idle, and otherwise
   * waits its turn, like its callers. Default: none.
   */
  readonly budget?: Budget.Budget | Budget.Share | undefined
  /**
   * A lease held longer than this is reported, once, with the place in the code that took it. Noting that place takes
   * some microseconds per lease. Default: off. A detached instance is not a lease any more: `details.detached` of the stats
   * counts those.
   */
  readonly leakDetection?: Duration.Input | undefined
}

/**
 * The instance that was to be detached is not in use.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotInUse extends Schema.TaggedError<NotInUse>("effect-pools/InstancePool/NotInUse")("NotInUse", {
  pool: Schema.String
}) {
  override get message(): string {
    return `Pool "${this.pool}": what was to be detached is not an instance in use of this pool`
  }
}

/**
 * @category guards
 * @since 0.1.0
 */
export const isInstancePool = (u: unknown): u is InstancePool<unknown, unknown> =>
  Pool.isPool(u) && hasProperty(u, "kind") && u.kind === "instance"

/**
 * Opens a pool in the surrounding scope. Closing the scope closes the pool: callers that wait fail with `Closed`, prepared
 * instances go at once, those in use when their lease ends or `closeGrace` is over.
 *
 * **Details**
 *
 * A failure of `create` is the failure of the caller for whom it was tried, at once and as it is: there are no retries
 * but the caller's own. One that was tried for nobody, or for a caller who has left, is nobody's failure; what is to be
 * prepared is tried again after a pause, from 10 ms doubling to 5 seconds.
 *
 * **Example** (A plugin whose state no two callers share)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { InstancePool } from "@effect-pools/instance"
 *
 * const plugin = Effect.sync(() => {
 *   let calls = 0
 *   return { call: () => ++calls }
 * })
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* InstancePool.make({ create: plugin, max: 4, prepare: 1 })
 *   const first = yield* InstancePool.use(pool, (plugin) => Effect.sync(() => plugin.call()))
 *   const second = yield* InstancePool.use(pool, (plugin) => Effect.sync(() => plugin.call()))
 *   return [first, second] // [1, 1]
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A, E, R>(
  options: Options<A, E, R>
): Effect.Effect<InstancePool<A, E>, InvalidOptions.InvalidOptions, Exclude<R, Scope.Scope> | Scope.Scope> =>
  Effect.flatMap(
    InvalidOptions.check(() => checkOptions<A, E>(options)),
    (checked) =>
      Pool.open({
        kind: "instance",
        settings: { ...checked, noun: "instance" },
        closeGrace: checked.closeGrace,
        store: (admission) => Layout.make(InstanceStore, () => new InstanceStore<A, E>(admission, checked))
      })
    // Instances are built in the context in which the pool is opened, which so must have all that `create` needs.
  ) as Effect.Effect<InstancePool<A, E>, any, any>

// Leases -------------------------------------------------------------------------------------------------------------

/**
 * Takes a fresh instance for the surrounding scope, which destroys it when it closes.
 *
 * @category leases
 * @since 0.1.0
 */
export const get: typeof Pool.get = Pool.get

/**
 * Takes a fresh instance, runs an effect with it, and destroys it however the effect ends.
 *
 * **Details**
 *
 * Destroying begins when the effect has ended, and keeps the place until its finalizers have run: nobody waits for them
 * but those who need the place.
 *
 * @category leases
 * @since 0.1.0
 */
export const use: typeof Pool.use = Pool.use

/**
 * As {@link get}, if an instance is prepared: never waits, never builds. `None` if there is none.
 *
 * @category leases
 * @since 0.1.0
 */
export const getIfAvailable: typeof Pool.getIfAvailable = Pool.getIfAvailable

/**
 * As {@link use}, if an instance is prepared: never waits, never builds.
 *
 * @category leases
 * @since 0.1.0
 */
export const useIfAvailable: typeof Pool.useIfAvailable = Pool.useIfAvailable

/**
 * Hands an instance in use over to the surrounding scope: when its lease ends it lives on, until that scope closes.
 *
 * **Details**
 *
 * Its place stays taken until then, so the cap holds. Detached more than once, it ends with the last of those scopes. A
 * pool that closes waits for it as for a lease, for `closeGrace`. An instance that is not in use fails with
 * {@link NotInUse}. If `create` gave one object more than once, it is the calling fiber's own.
 *
 * @category leases
 * @since 0.1.0
 */
export const detach: {
  <A>(instance: A): <E>(self: InstancePool<A, E>) => Effect.Effect<A, NotInUse, Scope.Scope>
  <A, E>(self: InstancePool<A, E>, instance: A): Effect.Effect<A, NotInUse, Scope.Scope>
} = dual(2, <A, E>(self: InstancePool<A, E>, instance: A): Effect.Effect<A, NotInUse, Scope.Scope> =>
  Effect.uninterruptible(
    Effect.flatMap(Effect.scope, (scope) =>
      Effect.withFiber((fiber) => {
        const release = self.store.keep(instance, fiber)
        if (release === undefined) return Effect.fail(new NotInUse({ pool: self.name }))
        return Effect.as(Scope.addFinalizer(scope, Effect.sync(release)), instance)
      })
    )
  )
)

/**
 * Makes sure that this instance is not handed out: a prepared one is destroyed now. One in use ends with its lease
 * anyway.
 *
 * @category operations
 * @since 0.1.0
 */
export const invalidate: typeof Pool.invalidate = Pool.invalidate

// Observation --------------------------------------------------------------------------------------------------------

/**
 * A consistent snapshot. `details` has `hits` (leases served from prepared instances), `misses` (leases that had to wait
 * for one to be built), `exhausted`, `live` and `detached`. `min` is the number of instances kept prepared.
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
 * Stops handing out instances: callers queue, as far as the pool lets them, and their timeouts run.
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
 * Changes `max`, and with `min` how many are prepared, of a living pool. Shrinking never interrupts a lease, and callers
 * that have been let in keep their turn.
 *
 * @category administration
 * @since 0.1.0
 */
export const resize: typeof Pool.resize = Pool.resize

/**
 * Refuses new leases, ends when the last one is back, and closes the pool. After `grace` (default: no limit) it closes
 * anyway: instances still in use are destroyed under their holders.
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
  InstancePool<A, E>,
  A,
  E,
  LE,
  LR
> {
  /**
   * The same service over fakes, for tests: opens a pool with these options, and nothing else. The options of the service
   * itself are not used, nor is anything that they need: no configuration, no files, no guest code.
   *
   * **Details**
   *
   * `create` is required, and must build what the service's own builds. The other defaults are those of a test:
   *
   * - `acquireTimeout`, `createTimeout`, `destroyTimeout`: 1 second
   * - `closeGrace`: 0, so that a leak does not hold up the end of a test, which under a `TestClock` it would for ever
   * - `leakDetection`: 1 minute, so that timeouts and audits know where leases were taken
   * - nothing happens by itself: `prepare` is 0
   *
   * **Example** (An application's test)
   *
   * ```ts
   * import { Effect, FileSystem } from "effect"
   * import { InstancePool } from "@effect-pools/instance"
   *
   * interface Plugin {
   *   readonly price: (cents: number) => number
   * }
   * declare const load: (code: Uint8Array) => Effect.Effect<Plugin>
   *
   * class Plugins extends InstancePool.Service<Plugins>()("app/Plugins", Effect.gen(function*() {
   *   const files = yield* FileSystem.FileSystem
   *   return { create: load(yield* files.readFile("price.wasm")), max: 8 }
   * })) {}
   *
   * const price = Effect.suspend(() => Plugins.use((plugin) => Effect.sync(() => plugin.price(21))))
   *
   * // it.effect("asks the plugin for the price", () => test)
   * const test = price.pipe(
   *   Effect.provide(Plugins.layerTest({ create: Effect.succeed({ price: (cents) => cents * 2 }) }))
   * )
   * ```
   */
  readonly layerTest: <R = never>(
    options: Options<A, E, R>
  ) => Layer.Layer<Self, InvalidOptions.InvalidOptions, Exclude<R, Scope.Scope>>
  /** See {@link detach}. */
  readonly detach: (instance: A) => Effect.Effect<A, NotInUse, Self | Scope.Scope>
}

/**
 * A pool as a service: a class that is the tag, has a `layer`, and the pool's functions as statics. The pool is named
 * after the service unless its options say otherwise.
 *
 * **Example** (Plugins as a service)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { InstancePool } from "@effect-pools/instance"
 *
 * class Plugins extends InstancePool.Service<Plugins>()("app/Plugins", {
 *   create: Effect.sync(() => ({ price: (cents: number) => cents * 2 })),
 *   max: 8,
 *   onExhausted: "wait"
 * }) {}
 *
 * const program = Plugins.use((plugin) => Effect.sync(() => plugin.price(21))).pipe(Effect.provide(Plugins.layer))
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export const Service =
  <Self>() =>
  <const Id extends string, A, E, R, OE = never, OR = never>(
    id: Id,
    options: Options<A, E, R> | Effect.Effect<Options<A, E, R>, OE, OR>
  ): ServiceClass<Self, Id, A, E, OE | InvalidOptions.InvalidOptions, Exclude<R | OR, Scope.Scope>> => {
    const given = Effect.isEffect(options) ? options : Effect.succeed(options)
    const open = Effect.flatMap(given, (options) => makeNamed(id, options))
    const tracksCallSites = !Effect.isEffect(options) && options?.leakDetection !== undefined
    return serviceOf<Self, Id, A, E, OE | InvalidOptions.InvalidOptions, any>(id, open, tracksCallSites)
  }

/**
 * As {@link Service}, for instance pools that are opened in a way of their own. For those who build on instance pools.
 *
 * `tracksCallSites` says whether the pool is to know where leases are taken; while one is open, the class knows by itself.
 *
 * @category services
 * @since 0.1.0
 */
export const serviceOf = <Self, const Id extends string, A, E, LE, LR>(
  id: Id,
  open: Effect.Effect<InstancePool<A, E>, LE, LR>,
  tracksCallSites = false
): ServiceClass<Self, Id, A, E, LE, Exclude<LR, Scope.Scope>> =>
  PoolService.make<Self, Id, InstancePool<A, E>, A, E, LE, LR, object>(
    id,
    open,
    (tag: Context.Key<Self, InstancePool<A, E>>, opening) => ({
      layerTest: <R2>(options: Options<A, E, R2>) =>
        Layer.effect(tag, opening(makeNamed(id, withTestDefaults(options)))),
      detach: (instance: A) => Effect.flatMap(tag, (pool) => detach(pool, instance))
    }),
    tracksCallSites
  ) as never

const makeNamed = <A, E, R>(id: string, options: Options<A, E, R>) => make(PoolService.named(id, options))
