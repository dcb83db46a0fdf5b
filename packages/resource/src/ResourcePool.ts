/**
 * A cap on how many of many named resources are allocated at a time.
 *
 * **When to use**
 *
 * For things that have a name and a state of their own, of which there may be many more than can be open together: sockets
 * to partners, files, child processes, tenants' clients. A program goes on as if each were there; those that nobody uses
 * are released when others need their places.
 *
 * **What it does**
 *
 * - A resource is allocated when somebody gets it, and has one holder at a time.
 * - Put back, it stays allocated: the next get costs no more than a lease.
 * - When all places are taken, the resource that has been idle for longest is released for the one that is needed.
 * - The cap holds for everything that is allocated, about to be, or being released.
 * - Callers wait first for their resource to be put back, and then for a place, in the order in which they came.
 *
 * It follows the Go package `resourcepool`.
 *
 * @since 0.1.0
 */
import type * as Budget from "@effect-pools/core/Budget"
import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import * as Pool from "@effect-pools/core/Pool"
import * as PoolService from "@effect-pools/core/PoolService"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import { hasProperty } from "effect/Predicate"
import * as Scope from "effect/Scope"
import { TwoStageLine } from "./internal/line.ts"
import { checkOptions, checkResource } from "./internal/options.ts"
import { Holding, resourceOf, ResourceStore } from "./internal/store.ts"
import * as Resource from "./Resource.ts"

/**
 * A pool of resources. Its leases are on those: see `Resource`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ResourcePool extends Pool.Pool<any, any> {
  readonly kind: "resource"
  readonly store: ResourceStore
}

/**
 * How to make a pool. Only `max` is required.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * The pool's name in errors, metrics, logs and the registry. Default `resource-pool-<n>`. A second open pool of the same
   * name gets a number behind it.
   */
  readonly name?: string | undefined
  /** How many places there are: for each resource that is allocated one, or as many as its `weight` says. At least 1. */
  readonly max: number
  /** How long a caller waits at most, for the resource, for a place and for allocating together. Default 30 seconds. */
  readonly acquireTimeout?: Duration.Input | undefined
  /** How many callers may wait; the next one fails with `QueueFull`. Default `Infinity`. */
  readonly maxWaiters?: number | undefined
  /** How long allocating a resource may take before it counts as failed. Default 10 seconds. */
  readonly allocateTimeout?: Duration.Input | undefined
  /**
   * How long releasing one keeps its place; after that the place is free, and releasing goes on. The resource itself is
   * not allocated again before that has ended. Default 5 seconds.
   */
  readonly releaseTimeout?: Duration.Input | undefined
  /** How long closing the pool waits for resources in use; after that they are released under their holders. Default 30 seconds. */
  readonly closeGrace?: Duration.Input | undefined
  /**
   * Permits that this pool shares with others, or its share in them: a `Budget`, or one with a guaranteed `minimum` and
   * the `weight` of a place. Default: none.
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
export const isResourcePool = (u: unknown): u is ResourcePool =>
  Pool.isPool(u) && hasProperty(u, "kind") && u.kind === "resource"

/**
 * Opens a pool in the surrounding scope. Closing the scope closes the pool: callers that wait fail with `Closed`, idle
 * resources are released at once, those in use when they are put back or `closeGrace` is over.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<ResourcePool, InvalidOptions.InvalidOptions, Scope.Scope> =>
  Effect.flatMap(
    InvalidOptions.check(() => checkOptions(options)),
    (checked) => {
      const line = new TwoStageLine(({ lease }) => resourceOf(lease)!)
      return Pool.open({
        kind: "resource",
        settings: { ...checked, noun: "resource", waiters: line },
        closeGrace: checked.closeGrace,
        store: (admission) => new ResourceStore(admission, line, checked)
      })
    }
  ) as Effect.Effect<any, InvalidOptions.InvalidOptions, Scope.Scope>

/**
 * Makes a resource of this pool. Nothing is allocated, and it needs no end of its own: one that is not used any more goes
 * when its place is needed.
 *
 * **Details**
 *
 * `allocate` runs in the context in which this runs, and in a fiber of the pool: whoever waits for it can be interrupted
 * without it. Its failure is that of all who were waiting for the resource when it began, and the place is free again.
 *
 * **Gotchas**
 *
 * With a `release`, `allocate` is not interrupted when `allocateTimeout` is over, as in `Effect.acquireRelease`, so that what it
 * comes to have after all is released. If it can be interrupted without leaving anything behind, `Effect.interruptible` around it
 * lets it be. Without a `release` it can be interrupted as it is.
 *
 * A resource is never allocated before its last release, or failed attempt, has ended: if that hangs, its callers time out
 * while all others go on.
 *
 * @category constructors
 * @since 0.1.0
 */
export const create: {
  <A, E, R, E2 = never, R2 = never>(
    options: Resource.ResourceOptions<A, E, R, E2, R2>
  ): (
    self: ResourcePool
  ) => Effect.Effect<Resource.Resource<A, E>, InvalidOptions.InvalidOptions, Exclude<R | R2, Scope.Scope>>
  <A, E, R, E2 = never, R2 = never>(
    self: ResourcePool,
    options: Resource.ResourceOptions<A, E, R, E2, R2>
  ): Effect.Effect<Resource.Resource<A, E>, InvalidOptions.InvalidOptions, Exclude<R | R2, Scope.Scope>>
} = dual(
  2,
  <A, E>(
    self: ResourcePool,
    options: Resource.ResourceOptions<A, E, any, any, any>
  ): Effect.Effect<Resource.Resource<A, E>, InvalidOptions.InvalidOptions> =>
    Effect.flatMap(
      InvalidOptions.check(() => checkResource(self, options)),
      (checked) =>
        Effect.contextWith((context: Context.Context<never>) => {
          const own = Context.omit(Scope.Scope)(context as Context.Context<Scope.Scope>)
          const allocate = Effect.provideContext(withRelease(options), own) as Effect.Effect<A, E, Scope.Scope>
          self.store.weighs(checked.weight)
          return Effect.succeed(Resource.makeUnsafe<A, E>(self, new Holding(checked, allocate)))
        })
    )
)

const withRelease = <A, E>({
  allocate,
  release
}: Resource.ResourceOptions<A, E, any, any, any>): Effect.Effect<A, E, any> =>
  release === undefined ? allocate : Effect.acquireRelease(allocate, (value) => Effect.orDie(release(value)))

/**
 * Makes sure that what this resource is now is not handed out again: it is released now if it is idle, and else when it is
 * put back. An item that the pool does not know has no effect.
 *
 * @category operations
 * @since 0.1.0
 */
export const invalidate: typeof Pool.invalidate = Pool.invalidate

// Observation --------------------------------------------------------------------------------------------------------

/**
 * A consistent snapshot. `size` counts resources that are allocated; `taken` of `details` is how many places they take,
 * together with those being allocated or released.
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
 * Stops handing out resources: callers queue, and their timeouts run.
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
 * Changes `max` of a living pool. Shrinking never interrupts a lease: idle resources that are too many are released at
 * once, others when they are put back. Callers of a resource whose weight is more than that fail with `Exhausted`.
 *
 * @category administration
 * @since 0.1.0
 */
export const resize: {
  (size: { readonly max: number }): (self: ResourcePool) => Effect.Effect<void, InvalidOptions.InvalidOptions>
  (self: ResourcePool, size: { readonly max: number }): Effect.Effect<void, InvalidOptions.InvalidOptions>
} = Pool.resize

/**
 * Refuses new leases, ends when the last one is back, and closes the pool. After `grace` (default: no limit) it closes
 * anyway: resources still in use are released under their holders.
 *
 * @category administration
 * @since 0.1.0
 */
export const drain: typeof Pool.drain = Pool.drain

// Services -----------------------------------------------------------------------------------------------------------

type CommonStatics<Self, Id extends string, LE, LR> = PoolService.PoolServiceClass<
  Self,
  Id,
  ResourcePool,
  any,
  any,
  LE,
  LR
>

/**
 * The class that {@link Service} makes.
 *
 * @category services
 * @since 0.1.0
 */
export interface ServiceClass<Self, Id extends string, LE, LR> extends Context.Key<Self, ResourcePool> {
  new (_: never): Context.ServiceClass.Shape<Id, ResourcePool>
  readonly key: Id
  readonly of: (pool: ResourcePool) => ResourcePool
  /** Opens the pool for the lifetime of the layer. */
  readonly layer: Layer.Layer<Self, LE, LR>
  /**
   * The same service for tests: opens a pool with these options, and nothing else. The options of the service itself are
   * not used.
   *
   * **Details**
   *
   * - `max`: 10
   * - `acquireTimeout`, `allocateTimeout`, `releaseTimeout`: 1 second
   * - `closeGrace`: 0, so that a leak does not hold up the end of a test, which under a `TestClock` it would for ever
   * - `leakDetection`: 1 minute, so that timeouts and audits know where leases were taken
   */
  readonly layerTest: (options?: Partial<Options>) => Layer.Layer<Self, InvalidOptions.InvalidOptions>
  /** See {@link create}. */
  readonly create: <A, E, R, E2 = never, R2 = never>(
    options: Resource.ResourceOptions<A, E, R, E2, R2>
  ) => Effect.Effect<Resource.Resource<A, E>, InvalidOptions.InvalidOptions, Self | Exclude<R | R2, Scope.Scope>>
  /** See {@link invalidate}. */
  readonly invalidate: CommonStatics<Self, Id, LE, LR>["invalidate"]
  /** See {@link stats}. */
  readonly stats: CommonStatics<Self, Id, LE, LR>["stats"]
  /** See {@link events}. */
  readonly events: CommonStatics<Self, Id, LE, LR>["events"]
  /** See {@link suspend}. */
  readonly suspend: CommonStatics<Self, Id, LE, LR>["suspend"]
  /** See {@link resume}. */
  readonly resume: CommonStatics<Self, Id, LE, LR>["resume"]
  /** See {@link resize}. */
  readonly resize: (size: { readonly max: number }) => Effect.Effect<void, InvalidOptions.InvalidOptions, Self>
  /** See {@link drain}. */
  readonly drain: CommonStatics<Self, Id, LE, LR>["drain"]
}

/**
 * A pool as a service: a class that is the tag, has a `layer`, and the pool's functions as statics. The pool is named
 * after the service unless its options say otherwise.
 *
 * **Example** (Partners of which each is a service)
 *
 * ```ts
 * import { Context, Effect, Layer } from "effect"
 * import { Resource, ResourcePool } from "@effect-pools/resource"
 *
 * class Sockets extends ResourcePool.Service<Sockets>()("app/Sockets", { max: 200 }) {}
 *
 * interface Socket {
 *   readonly ask: (question: string) => Effect.Effect<string>
 * }
 * const connect = (path: string): Effect.Effect<Socket> => Effect.succeed({ ask: (it) => Effect.succeed(path + it) })
 *
 * class Mail extends Context.Service<Mail, Resource.Resource<Socket>>()("app/Mail") {
 *   static readonly layer = Layer.effect(Mail, Sockets.create({ name: "mail", allocate: connect("/run/mail") })).pipe(
 *     Layer.provide(Sockets.layer)
 *   )
 * }
 *
 * const program = Effect.flatMap(Mail, Resource.use((socket) => socket.ask("?"))).pipe(Effect.provide(Mail.layer))
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export const Service =
  <Self>() =>
  <const Id extends string, OE = never, OR = never>(
    id: Id,
    options: Options | Effect.Effect<Options, OE, OR>
  ): ServiceClass<Self, Id, OE | InvalidOptions.InvalidOptions, Exclude<OR, Scope.Scope>> => {
    const given = Effect.isEffect(options) ? options : Effect.succeed(options)
    const open = Effect.flatMap(given, (options) => makeNamed(id, options))
    return PoolService.make<Self, Id, ResourcePool, any, any, OE | InvalidOptions.InvalidOptions, OR, object>(
      id,
      open,
      (tag: Context.Key<Self, ResourcePool>, opening) => ({
        layerTest: (options: Partial<Options> = {}) =>
          Layer.effect(tag, opening(makeNamed(id, InvalidOptions.withDefaults(options as Options, testDefaults)))),
        create: (options: Resource.ResourceOptions<any, any, any, any, any>) =>
          Effect.flatMap(tag, (pool) => create(pool, options))
      })
    ) as never
  }

const makeNamed = (id: string, options: Options) => make(PoolService.named(id, options))

const testDefaults: Options = {
  max: 10,
  acquireTimeout: "1 second",
  allocateTimeout: "1 second",
  releaseTimeout: "1 second",
  closeGrace: 0,
  leakDetection: "1 minute"
}
