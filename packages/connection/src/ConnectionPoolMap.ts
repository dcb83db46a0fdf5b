/**
 * Connection pools by key: one for each tenant, shard or host, opened when it is first used, closed when nobody uses it any
 * more, and all within one number of connections.
 *
 * **When to use**
 *
 * When connections of one key are of no use to another, since they differ in database, user or host, and there are more keys
 * than connections: a thousand tenants on a server that takes a hundred clients. For few keys that are all known, open a pool
 * for each, with a `Budget` that they share.
 *
 * **What it does**
 *
 * - A key's pool is opened by its first caller; others that come meanwhile wait for the same opening.
 * - All keys together never have more connections than the map's `max`. A key that needs one more than there are has the
 *   connection closed that has lain idle for longest, whosever it is: tenants in use keep theirs, quiet ones lose them.
 * - A key that nobody has used for `idleTimeToLive` has its pool closed.
 * - Each key's pool is a `ConnectionPool` with options of its own, and stands in the registry as `<map>/<key>`.
 *
 * @since 0.1.0
 */
import * as Budget from "@effect-pools/core/Budget"
import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import * as Layout from "@effect-pools/core/Layout"
import * as Lease from "@effect-pools/core/Lease"
import * as Pool from "@effect-pools/core/Pool"
import type * as PoolError from "@effect-pools/core/PoolError"
import type * as PoolEvent from "@effect-pools/core/PoolEvent"
import * as PoolService from "@effect-pools/core/PoolService"
import * as PoolStats from "@effect-pools/core/PoolStats"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import { hasProperty } from "effect/Predicate"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Struct from "effect/Struct"
import * as Tracer from "effect/Tracer"
import type { ConnectionPool, Options as PoolOptions } from "./ConnectionPool.ts"
import { KeyedCall } from "./internal/keyedCall.ts"
import { checkMapOptions } from "./internal/mapOptions.ts"
import { Members } from "./internal/members.ts"
import { withMapTestDefaults } from "./internal/testDefaults.ts"

const TypeId = "~@effect-pools/connection/ConnectionPoolMap"

/**
 * Pools of connections of type `A` by keys of type `K`. `E` is what looking up a key's options and making a connection can
 * fail with.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectionPoolMap<in out K, in out A, out E = never> extends Pipeable {
  readonly [TypeId]: typeof TypeId
  readonly name: string
  /** What all keys share: the map's own, or that of its options. */
  readonly budget: Budget.Budget
  readonly members: Members<K, A, E>
}

/**
 * The options of one key's pool: those of `ConnectionPool`, with a share of the map's permits in the place of a budget.
 * Without a name it is called `<map>/<key>`.
 *
 * @category options
 * @since 0.1.0
 */
export interface KeyOptions<A, E, R> extends Omit<PoolOptions<A, E, R>, "budget"> {
  /**
   * `minimum`: how many permits no other key gets while this one's pool is open, a multiple of `weight`; default 0. `weight`:
   * how many permits a connection takes; default 1.
   */
  readonly budget?: Omit<Budget.Share, "budget"> | undefined
}

/**
 * How to make a map. `lookup` is required, and so is one of `max` and `budget`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options<K, A, E, R, LE = never, LR = never> {
  /**
   * The options of a key's pool, or an effect that finds them. What that opens in its scope, a tunnel say, is closed after the
   * pool. It is run once for all who wait for the key, and again by the next caller if it fails; `lookup` of one key must not
   * use that key.
   */
  readonly lookup: (key: K) => KeyOptions<A, E, R> | Effect.Effect<KeyOptions<A, E, R>, LE, LR>
  /** Its name in errors, metrics, logs and the registry. Default `connection-pool-map-<n>`. */
  readonly name?: string | undefined
  /** How many connections all keys have together at most, those being made or closed included. */
  readonly max?: number | undefined
  /** In the place of `max`: a budget that the map's pools share with others. */
  readonly budget?: Budget.Budget | undefined
  /** How many connections a key has at most, if its options do not say. Default 10. */
  readonly maxPerKey?: number | undefined
  /**
   * A key that nobody has used for this long has its pool closed, its `min` included. For all keys, or by key. Default 5
   * minutes.
   */
  readonly idleTimeToLive?: Duration.Input | ((key: K) => Duration.Input) | undefined
  /**
   * How many keys have a pool at most: another has the pool closed that has been unused for longest, and fails with
   * `Exhausted` while all are in use. Default `Infinity`.
   */
  readonly capacity?: number | undefined
  /** How long looking up the options of a key may take, before who waits for it fails. Default 30 seconds. */
  readonly lookupTimeout?: Duration.Input | undefined
  /** As `leakDetection` of a `ConnectionPool`, for every key whose options do not say. Default: off. */
  readonly leakDetection?: Duration.Input | undefined
}

/**
 * All keys together, and each pool.
 *
 * **Details**
 *
 * `keys` have a pool, or wait for one to open (`opening`). Counts are of all pools, those that are about to close included;
 * `pending` counts who waits for an opening too. Totals are since the map was made, of pools that are gone as well. `pools`
 * are those that are there, with the names that they have in the registry.
 *
 * @category schemas
 * @since 0.1.0
 */
export const MapStats = Schema.Struct({
  ...Struct.omit(PoolStats.PoolStats.fields, ["kind", "min", "wait", "use", "create", "details"]),
  keys: Schema.Number,
  opening: Schema.Number,
  pools: Schema.Array(PoolStats.PoolStats)
})

/**
 * @category models
 * @since 0.1.0
 */
export interface MapStats extends Schema.Schema.Type<typeof MapStats> {}

/**
 * @category guards
 * @since 0.1.0
 */
export const isConnectionPoolMap = (u: unknown): u is ConnectionPoolMap<unknown, unknown, unknown> =>
  hasProperty(u, TypeId)

/**
 * Opens a map in the surrounding scope. Closing the scope closes every pool of it, each as a `ConnectionPool` closes.
 *
 * **Details**
 *
 * Nothing is looked up or connected before it is needed. Keys are compared with Effect's `Equal`; strings and numbers are
 * found ten times as fast as objects that are made for the call.
 *
 * **Gotchas**
 *
 * Each key's pool has metrics of its own, with its name as an attribute. Of more keys than your monitoring takes series, leave
 * them out where metrics are exported; {@link stats} has the sums.
 *
 * **Example** (A hundred connections for any number of tenants)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPoolMap } from "@effect-pools/connection"
 *
 * const connect = (tenant: string) =>
 *   Effect.acquireRelease(
 *     Effect.sync(() => ({ query: (sql: string) => Effect.succeed(`answer to ${sql} of ${tenant}`) })),
 *     () => Effect.log("disconnected")
 *   )
 *
 * const program = Effect.gen(function*() {
 *   const tenants = yield* ConnectionPoolMap.make({
 *     lookup: (tenant: string) => ({ acquire: connect(tenant), acquireTimeout: "2 seconds" }),
 *     max: 100,
 *     maxPerKey: 8
 *   })
 *   return yield* ConnectionPoolMap.use(tenants, "acme", (connection) => connection.query("select 1"))
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <K, A, E, R, LE = never, LR = never>(
  options: Options<K, A, E, R, LE, LR>
): Effect.Effect<
  ConnectionPoolMap<K, A, E | LE>,
  InvalidOptions.InvalidOptions,
  Exclude<R | LR, Scope.Scope> | Scope.Scope
> =>
  Effect.gen(function* () {
    const checked = yield* InvalidOptions.check(() => checkMapOptions<K>(options))
    const { max, name } = checked
    const budget = checked.budget ?? (yield* Budget.make({ name, max: max! }))
    // Background work is nobody's child: it outlives the span in which the map was made.
    const context = Context.omit(
      Tracer.ParentSpan,
      Scope.Scope
    )(yield* Effect.context<never>()) as Context.Context<never>
    const members = yield* Effect.acquireRelease(
      Effect.sync(() => Layout.make(Members, () => new Members<K, A, E | LE>(checked, budget, context))),
      (members) => members.close()
    )
    return {
      [TypeId]: TypeId,
      name,
      budget,
      members,
      pipe() {
        return pipeArguments(this, arguments)
      }
    } satisfies ConnectionPoolMap<K, A, E | LE>
  }) as Effect.Effect<ConnectionPoolMap<K, A, E | LE>, InvalidOptions.InvalidOptions, any>

// Leases -------------------------------------------------------------------------------------------------------------

/**
 * Takes a connection of a key for the surrounding scope and gives it back when the scope closes.
 *
 * **Details**
 *
 * Opens the key's pool if there is none. Fails with what `lookup` or `acquire` fails with, with `InvalidOptions` if the options
 * of the key make no sense, else with `PoolError`: `Closed` is that of the whole map, since a caller who finds the key's pool
 * closing goes on to the next one. The deadline spans that and the opening too.
 *
 * @category leases
 * @since 0.1.0
 */
export const get: {
  <K>(
    key: K,
    options?: Pool.AcquireOptions | undefined
  ): <A, E>(self: ConnectionPoolMap<K, A, E>) => Effect.Effect<A, Failure<E>, Scope.Scope>
  <K, A, E>(
    self: ConnectionPoolMap<K, A, E>,
    key: K,
    options?: Pool.AcquireOptions | undefined
  ): Effect.Effect<A, Failure<E>, Scope.Scope>
} = (first: any, second?: any, third?: any): any =>
  isConnectionPoolMap(first)
    ? calling(first.members, second, undefined, third, false, siteOf(first.members))
    : (self: ConnectionPoolMap<any, any, any>) => get(self, first, second)

/**
 * Takes a connection of a key, runs an effect with it, and gives it back however the effect ends. Cheaper than {@link get},
 * which needs a scope; see there for how it fails.
 *
 * **Gotchas**
 *
 * A fiber that takes a connection of one key while it holds one of another can wait for itself once the map's permits are all
 * in such hands.
 *
 * @category leases
 * @since 0.1.0
 */
export const use: {
  <K, A, B, E2, R2>(
    key: K,
    f: (connection: A) => Effect.Effect<B, E2, R2>,
    options?: Pool.AcquireOptions | undefined
  ): <E>(self: ConnectionPoolMap<K, A, E>) => Effect.Effect<B, Failure<E> | E2, R2>
  <K, A, E, B, E2, R2>(
    self: ConnectionPoolMap<K, A, E>,
    key: K,
    f: (connection: A) => Effect.Effect<B, E2, R2>,
    options?: Pool.AcquireOptions | undefined
  ): Effect.Effect<B, Failure<E> | E2, R2>
} = (first: any, second: any, third?: any, fourth?: any): any =>
  // Told apart by hand: `dual` would cost a tenth of the lease.
  typeof third === "function"
    ? calling(first.members, second, third, fourth, false, siteOf(first.members))
    : (self: ConnectionPoolMap<any, any, any>) => use(self, first, second, third)

/**
 * As {@link get}, if a connection of the key is idle now. Never waits for its turn, never has a connection made and never opens
 * a pool: `None` if there is none.
 *
 * @category leases
 * @since 0.1.0
 */
export const getIfAvailable: {
  <K>(
    key: K
  ): <A, E>(self: ConnectionPoolMap<K, A, E>) => Effect.Effect<Option.Option<A>, PoolError.PoolError, Scope.Scope>
  <K, A, E>(self: ConnectionPoolMap<K, A, E>, key: K): Effect.Effect<Option.Option<A>, PoolError.PoolError, Scope.Scope>
} = dual(
  2,
  <K, A, E>(
    { members }: ConnectionPoolMap<K, A, E>,
    key: K
  ): Effect.Effect<Option.Option<A>, PoolError.PoolError, Scope.Scope> =>
    calling(members, key, undefined, undefined, true, siteOf(members))
)

/**
 * As {@link use}, if a connection of the key is idle now. See {@link getIfAvailable}.
 *
 * @category leases
 * @since 0.1.0
 */
export const useIfAvailable: {
  <K, A, B, E2, R2>(
    key: K,
    f: (connection: A) => Effect.Effect<B, E2, R2>
  ): <E>(self: ConnectionPoolMap<K, A, E>) => Effect.Effect<Option.Option<B>, PoolError.PoolError | E2, R2>
  <K, A, E, B, E2, R2>(
    self: ConnectionPoolMap<K, A, E>,
    key: K,
    f: (connection: A) => Effect.Effect<B, E2, R2>
  ): Effect.Effect<Option.Option<B>, PoolError.PoolError | E2, R2>
} = dual(
  3,
  <K, A, E, B, E2, R2>(
    { members }: ConnectionPoolMap<K, A, E>,
    key: K,
    f: (connection: A) => Effect.Effect<B, E2, R2>
  ): Effect.Effect<Option.Option<B>, PoolError.PoolError | E2, R2> =>
    calling(members, key, f, undefined, true, siteOf(members))
)

// Keys ---------------------------------------------------------------------------------------------------------------

/**
 * Closes the pool of a key, if there is one; whoever comes next, and who waits in it, has a new one opened, with options that
 * are looked up anew. Connections in use are closed as they come back, or when the pool's `closeGrace` is over. Does not wait
 * for that.
 *
 * **When to use**
 *
 * When what `lookup` has answered for the key does not hold any more: a tenant has moved, or its password has changed. To have
 * done with one connection, `ConnectionPool.invalidate` it in the key's {@link pool}.
 *
 * @category keys
 * @since 0.1.0
 */
export const invalidate: {
  <K>(key: K): <A, E>(self: ConnectionPoolMap<K, A, E>) => Effect.Effect<void>
  <K, A, E>(self: ConnectionPoolMap<K, A, E>, key: K): Effect.Effect<void>
} = dual(2, <K, A, E>(self: ConnectionPoolMap<K, A, E>, key: K): Effect.Effect<void> =>
  Effect.sync(() => self.members.invalidate(key))
)

/**
 * The pool of a key, opened if need be: for what a `ConnectionPool` offers beyond leases, such as its `connections` and
 * `report`.
 *
 * **Gotchas**
 *
 * The map may close it at any time when it is not in use. Take connections by {@link use} and {@link get}.
 *
 * @category keys
 * @since 0.1.0
 */
export const pool: {
  <K>(key: K): <A, E>(self: ConnectionPoolMap<K, A, E>) => Effect.Effect<ConnectionPool<A, E>, Failure<E>>
  <K, A, E>(self: ConnectionPoolMap<K, A, E>, key: K): Effect.Effect<ConnectionPool<A, E>, Failure<E>>
} = dual(2, <K, A, E>(self: ConnectionPoolMap<K, A, E>, key: K): Effect.Effect<ConnectionPool<A, E>, Failure<E>> =>
  self.members.open(key)
)

/**
 * The pool of a key, if it is open.
 *
 * @category keys
 * @since 0.1.0
 */
export const poolIfOpen: {
  <K>(key: K): <A, E>(self: ConnectionPoolMap<K, A, E>) => Effect.Effect<Option.Option<ConnectionPool<A, E>>>
  <K, A, E>(self: ConnectionPoolMap<K, A, E>, key: K): Effect.Effect<Option.Option<ConnectionPool<A, E>>>
} = dual(2, <K, A, E>(self: ConnectionPoolMap<K, A, E>, key: K): Effect.Effect<Option.Option<ConnectionPool<A, E>>> =>
  Effect.sync(() => Option.fromNullishOr(self.members.opened(key)))
)

/**
 * The keys that have a pool, or wait for one to open.
 *
 * @category keys
 * @since 0.1.0
 */
export const keys = <K, A, E>(self: ConnectionPoolMap<K, A, E>): Effect.Effect<ReadonlyArray<K>> =>
  Effect.sync(() => self.members.keys())

/**
 * Whether a key has a pool, or waits for one to open.
 *
 * @category keys
 * @since 0.1.0
 */
export const has: {
  <K>(key: K): <A, E>(self: ConnectionPoolMap<K, A, E>) => Effect.Effect<boolean>
  <K, A, E>(self: ConnectionPoolMap<K, A, E>, key: K): Effect.Effect<boolean>
} = dual(2, <K, A, E>(self: ConnectionPoolMap<K, A, E>, key: K): Effect.Effect<boolean> =>
  Effect.sync(() => self.members.has(key))
)

// Observation --------------------------------------------------------------------------------------------------------

/**
 * A consistent snapshot of the map: all keys together, and each pool. Costs some microseconds for each pool.
 *
 * @category observation
 * @since 0.1.0
 */
export const stats = <K, A, E>(self: ConnectionPoolMap<K, A, E>): Effect.Effect<MapStats> =>
  Effect.sync(() => {
    const { opening, pools, size, state } = self.members
    const each = Array.from(pools, Pool.statsUnsafe)
    const counts = { idle: 0, used: 0, creating: 0, destroying: 0, pending: opening.callers, size: 0 }
    for (const pool of each) {
      counts.idle += pool.idle
      counts.used += pool.used
      counts.creating += pool.creating
      counts.destroying += pool.destroying
      counts.pending += pool.pending
      counts.size += pool.size
    }
    const { budget, name } = self
    return {
      name,
      state,
      max: budget.max,
      keys: size,
      opening: opening.keys,
      ...counts,
      ...self.members.totals(),
      pools: each
    }
  })

/**
 * Every transition of every pool from now on, in order, those of pools that are opened later included; each says the `pool` it is
 * of. The stream ends when the map has closed. A reader that falls behind by more than `capacity` events (default 16,384)
 * loses the oldest ones.
 *
 * @category observation
 * @since 0.1.0
 */
export const events = <K, A, E>(
  self: ConnectionPoolMap<K, A, E>,
  options?: { readonly capacity?: number | undefined } | undefined
): Stream.Stream<PoolEvent.PoolEvent, InvalidOptions.InvalidOptions> =>
  Stream.unwrap(
    Effect.map(
      InvalidOptions.check(() =>
        new InvalidOptions.Checks(self.name).integer("capacity", options?.capacity, 16_384, 1)
      ),
      (bufferSize) =>
        Stream.callback<PoolEvent.PoolEvent>(
          (queue) =>
            Effect.acquireRelease(
              Effect.sync(() => {
                const forget = self.members.onClosed(() => Queue.endUnsafe(queue))
                const stop = self.members.listen((event) => Queue.offerUnsafe(queue, event))
                return { forget, stop }
              }),
              ({ forget, stop }) =>
                Effect.sync(() => {
                  forget()
                  stop()
                })
            ),
          { bufferSize, strategy: "sliding" }
        )
    )
  )

// Administration -----------------------------------------------------------------------------------------------------

/**
 * Suspends every pool, and those to come: callers queue, and their timeouts run; leases that are out are not touched.
 *
 * @category administration
 * @since 0.1.0
 */
export const suspend = <K, A, E>(self: ConnectionPoolMap<K, A, E>): Effect.Effect<void> =>
  Effect.sync(() => self.members.suspend())

/**
 * Undoes {@link suspend}, and resumes pools that were suspended by themselves as well, if the map was suspended.
 *
 * @category administration
 * @since 0.1.0
 */
export const resume = <K, A, E>(self: ConnectionPoolMap<K, A, E>): Effect.Effect<void> =>
  Effect.sync(() => self.members.resume())

/**
 * Refuses new leases of any key, ends when the last one is back, and closes every pool. After `grace` (default: no limit) it
 * closes anyway. Callers that wait fail with `Closed`.
 *
 * @category administration
 * @since 0.1.0
 */
export const drain: {
  (
    grace?: Duration.Input | undefined
  ): <K, A, E>(self: ConnectionPoolMap<K, A, E>) => Effect.Effect<void, InvalidOptions.InvalidOptions>
  <K, A, E>(
    self: ConnectionPoolMap<K, A, E>,
    grace?: Duration.Input | undefined
  ): Effect.Effect<void, InvalidOptions.InvalidOptions>
} = dual(
  (args) => isConnectionPoolMap(args[0]),
  <K, A, E>(
    self: ConnectionPoolMap<K, A, E>,
    grace?: Duration.Input | undefined
  ): Effect.Effect<void, InvalidOptions.InvalidOptions> =>
    Effect.flatMap(
      InvalidOptions.check(() =>
        new InvalidOptions.Checks(self.name).millis("grace", grace, Infinity, { zero: true, infinity: true })
      ),
      (millis) => self.members.drain(millis)
    )
)

// Inside -------------------------------------------------------------------------------------------------------------

/**
 * What a call for a connection can fail with.
 *
 * @category errors
 * @since 0.1.0
 */
export type Failure<E> = E | PoolError.PoolError | InvalidOptions.InvalidOptions

const siteOf = (members: Members<any, any, any>): Lease.CallSite | undefined =>
  members.tracksCallSites ? Lease.captureCallSite() : undefined

const calling = <K, A>(
  members: Members<K, A, any>,
  key: K,
  body: ((connection: A) => Effect.Effect<any, any, any>) | undefined,
  options: Pool.AcquireOptions | undefined,
  isOptional: boolean,
  site: Lease.CallSite | undefined
): Effect.Effect<any, any, any> =>
  options === undefined
    ? (new KeyedCall(members, key, body, undefined, isOptional, site) as never)
    : Effect.flatMap(
        Pool.checkAcquire(members.options.name, options),
        (checked) => new KeyedCall(members, key, body, checked, isOptional, site) as never
      )

// Services -----------------------------------------------------------------------------------------------------------

/**
 * The class that {@link Service} makes. `Self` is the class itself; `LE` and `LR` are what opening the map can fail with and
 * needs.
 *
 * @category services
 * @since 0.1.0
 */
export interface ServiceClass<Self, Id extends string, K, A, E, LE, LR> extends Context.Key<
  Self,
  ConnectionPoolMap<K, A, E>
> {
  new (_: never): Context.ServiceClass.Shape<Id, ConnectionPoolMap<K, A, E>>
  readonly key: Id
  /** A map made elsewhere, as this service. */
  readonly of: (map: ConnectionPoolMap<K, A, E>) => ConnectionPoolMap<K, A, E>
  /** Opens the map for the lifetime of the layer. */
  readonly layer: Layer.Layer<Self, LE, LR>
  /**
   * The same service over fakes, for tests: opens a map with these options, and nothing else.
   *
   * **Details**
   *
   * `lookup` is required. The other defaults are those of a test: for each key those of `layerTest` of a `ConnectionPool`
   * service; for the map a `max` of 10 unless it has a budget, a `lookupTimeout` of 1 second, and an `idleTimeToLive` without
   * end.
   */
  readonly layerTest: <R = never, LR2 = never>(
    options: Options<K, A, E, R, E, LR2>
  ) => Layer.Layer<Self, InvalidOptions.InvalidOptions, Exclude<R | LR2, Scope.Scope>>
  /** See {@link get}. */
  readonly get: (key: K, options?: Pool.AcquireOptions | undefined) => Effect.Effect<A, Failure<E>, Self | Scope.Scope>
  /** See {@link use}. */
  readonly use: <B, E2, R2>(
    key: K,
    f: (connection: A) => Effect.Effect<B, E2, R2>,
    options?: Pool.AcquireOptions | undefined
  ) => Effect.Effect<B, Failure<E> | E2, Self | R2>
  /** See {@link getIfAvailable}. */
  readonly getIfAvailable: (key: K) => Effect.Effect<Option.Option<A>, PoolError.PoolError, Self | Scope.Scope>
  /** See {@link useIfAvailable}. */
  readonly useIfAvailable: <B, E2, R2>(
    key: K,
    f: (connection: A) => Effect.Effect<B, E2, R2>
  ) => Effect.Effect<Option.Option<B>, PoolError.PoolError | E2, Self | R2>
  /** See {@link invalidate}. */
  readonly invalidate: (key: K) => Effect.Effect<void, never, Self>
  /** See {@link pool}. */
  readonly pool: (key: K) => Effect.Effect<ConnectionPool<A, E>, Failure<E>, Self>
  /** See {@link poolIfOpen}. */
  readonly poolIfOpen: (key: K) => Effect.Effect<Option.Option<ConnectionPool<A, E>>, never, Self>
  /** See {@link keys}. */
  readonly keys: Effect.Effect<ReadonlyArray<K>, never, Self>
  /** See {@link has}. */
  readonly has: (key: K) => Effect.Effect<boolean, never, Self>
  /** See {@link stats}. */
  readonly stats: Effect.Effect<MapStats, never, Self>
  /** See {@link events}. */
  readonly events: Stream.Stream<PoolEvent.PoolEvent, InvalidOptions.InvalidOptions, Self>
  /** See {@link suspend}. */
  readonly suspend: Effect.Effect<void, never, Self>
  /** See {@link resume}. */
  readonly resume: Effect.Effect<void, never, Self>
  /** See {@link drain}. */
  readonly drain: (grace?: Duration.Input | undefined) => Effect.Effect<void, InvalidOptions.InvalidOptions, Self>
}

/**
 * A map as a service: a class that is the tag, has a `layer`, and the map's functions as statics. The map is named after the
 * service unless its options say otherwise.
 *
 * **Example** (Tenants as a service)
 *
 * ```ts
 * import { Config, Effect } from "effect"
 * import { ConnectionPoolMap } from "@effect-pools/connection"
 *
 * interface Connection {
 *   readonly users: Effect.Effect<ReadonlyArray<string>>
 * }
 * declare const connect: (url: string) => Effect.Effect<Connection>
 *
 * class Tenants extends ConnectionPoolMap.Service<Tenants>()("app/Tenants", {
 *   lookup: (tenant: string) =>
 *     Effect.map(Config.String(`DATABASE_URL_${tenant}`), (url) => ({ acquire: connect(url), max: 4 })),
 *   max: 100
 * }) {}
 *
 * // In a program with Tenants.layer
 * const users = (tenant: string) => Tenants.use(tenant, (connection) => connection.users)
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export const Service =
  <Self>() =>
  <const Id extends string, K, A, E, R, LE = never, LR = never, OE = never, OR = never>(
    id: Id,
    options: Options<K, A, E, R, LE, LR> | Effect.Effect<Options<K, A, E, R, LE, LR>, OE, OR>
  ): ServiceClass<Self, Id, K, A, E | LE, OE | InvalidOptions.InvalidOptions, Exclude<R | LR | OR, Scope.Scope>> => {
    type Map = ConnectionPoolMap<K, A, E | LE>
    // `Context.Service` has a `use` of its own, which hands out the service; here it hands out a connection.
    class MapService extends Context.Service<Self, Map>()(id) {}
    const tag = MapService as unknown as Context.Service<Self, Map>
    // One at most in an application; tests may open several.
    const opened = new Set<Members<any, any, any>>()
    const isStatic = !Effect.isEffect(options)
    const tracks = (isStatic && options?.leakDetection !== undefined) as boolean
    const site = (): Lease.CallSite | undefined => {
      if (tracks) return Lease.captureCallSite()
      for (const members of opened) if (members.tracksCallSites) return Lease.captureCallSite()
      return undefined
    }
    const opening = <E3, R3>(given: Effect.Effect<Options<K, A, any, any, any, any>, E3, R3>) =>
      Effect.map(
        Effect.flatMap(given, (options) => make(PoolService.named(id, options))),
        (map) => {
          opened.add(map.members)
          map.members.onClosed(() => opened.delete(map.members))
          return map
        }
      ) as Effect.Effect<Map, any, any>
    const withMap = <B, E2, R2>(f: (map: Map) => Effect.Effect<B, E2, R2>) => Effect.flatMap(tag, f)
    const call = (
      key: K,
      body: ((connection: A) => Effect.Effect<any, any, any>) | undefined,
      options: Pool.AcquireOptions | undefined,
      isOptional: boolean
    ) => {
      // A lease is taken where the application says so, not where the map is at hand.
      const takenAt = site()
      return withMap(({ members }) => calling(members, key, body, options, isOptional, takenAt))
    }
    return Object.assign(MapService, {
      layer: Layer.effect(tag, opening(isStatic ? Effect.succeed(options) : options)),
      layerTest: (options: Options<K, A, any, any, any, any>) =>
        Layer.effect(tag, opening(Effect.succeed(withMapTestDefaults(options)))),
      get: (key: K, options?: Pool.AcquireOptions) => call(key, undefined, options, false),
      use: (key: K, f: (connection: A) => Effect.Effect<any, any, any>, options?: Pool.AcquireOptions) =>
        call(key, f, options, false),
      getIfAvailable: (key: K) => call(key, undefined, undefined, true),
      useIfAvailable: (key: K, f: (connection: A) => Effect.Effect<any, any, any>) => call(key, f, undefined, true),
      invalidate: (key: K) => withMap((map) => invalidate(map, key)),
      pool: (key: K) => withMap((map) => pool(map, key)),
      poolIfOpen: (key: K) => withMap((map) => poolIfOpen(map, key)),
      keys: withMap((map) => keys(map)),
      has: (key: K) => withMap((map) => has(map, key)),
      stats: withMap((map) => stats(map)),
      events: Stream.unwrap(Effect.map(tag, (map) => events(map))),
      suspend: withMap((map) => suspend(map)),
      resume: withMap((map) => resume(map)),
      drain: (grace?: Duration.Input) => withMap((map) => drain(map, grace))
    }) as never
  }
