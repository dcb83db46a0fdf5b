/**
 * A pool of reused, health-checked connections.
 *
 * **What it does**
 *
 * - Demand decides creation, not callers. Callers that find nothing idle queue; the pool makes connections in fibers of
 *   its own, a few at a time, and looks again at the queue before each one; whichever comes first, a returned connection
 *   or a new one, serves the first in the queue. A short burst on a pool of five is served by those five and perhaps two
 *   more, not by a connection per caller (the behaviour HikariCP is known for).
 * - One deadline spans waiting, creating and validating.
 * - A connection is validated before hand-out unless it was used a moment ago, is cleaned on return if it must be, is
 *   watched while it lies idle, and is destroyed in good time: unused, old, worn, unhealthy.
 * - A dead backend costs a bounded number of attempts, and service resumes by itself.
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
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { Classify, HealthPolicy, HealthStatus, Verdict } from "./Health.ts"
import type { ConnectionState } from "./internal/connection.ts"
import { checkOptions } from "./internal/options.ts"
import { ConnectionStore } from "./internal/store.ts"
import { withTestDefaults } from "./internal/testDefaults.ts"

/**
 * A pool of connections of type `A`; making one can fail with `E`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectionPool<in out A, out E = never> extends Pool.Pool<A, E> {
  readonly kind: "connection"
  readonly store: ConnectionStore<A, E>
}

/**
 * How to make a pool. Only `acquire` is required.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options<A, E, R> {
  /** Makes one connection. What it adds to its scope is run when the connection is destroyed. */
  readonly acquire: Effect.Effect<A, E, R>
  /**
   * The pool's name in errors, metrics, logs and the registry. Default `connection-pool-<n>`. A second open pool of the
   * same name gets a number behind it.
   */
  readonly name?: string | undefined
  /** How many connections are kept open, idle and used together; refilled in the background. Default 0. */
  readonly min?: number | undefined
  /** How many connections there are at most, those being made or closed included. Default 10. */
  readonly max?: number | undefined
  /** How long a caller waits at most for waiting, creating and validating together. Default 30 seconds. */
  readonly acquireTimeout?: Duration.Input | undefined
  /** How many callers may wait; the next one fails with `QueueFull`. Default `Infinity`. */
  readonly maxWaiters?: number | undefined
  /** How many connections are made at a time. Default 2. */
  readonly maxCreating?: number | undefined
  /** How long making one may take before it counts as failed. Default 30 seconds. */
  readonly createTimeout?: Duration.Input | undefined
  /**
   * When to try again after a failure to make one. Its input is the failure: of `acquire`, or the pool's `AcquireTimeout`
   * when `createTimeout` was over, or a defect. While it goes on, callers wait. When it ends, they fail with the last
   * failure, unless connections in use may still come back to them. Default: exponential from 10 ms to 5 s, jittered,
   * without end.
   */
  readonly createRetry?: Schedule.Schedule<unknown, E, unknown, R> | undefined
  /**
   * After `failures` (default 8) failed attempts in a row callers are answered with the last failure at once, as long as
   * no connection is open, while an attempt every `probeInterval` (default 500 ms) tells when to go on. `false`
   * switches it off.
   */
  readonly breaker?:
    | false
    | {
        readonly failures?: number | undefined
        readonly probeInterval?: Duration.Input | undefined
      }
    | undefined
  /** A connection unused for this long is destroyed, down to `min`. Default 5 minutes. */
  readonly idleTimeout?: Duration.Input | undefined
  /** A connection older than this is destroyed once it is not in use. Default 30 minutes. */
  readonly maxLifetime?: Duration.Input | undefined
  /**
   * By which fraction (0 to 1) each connection's lifetime may be shortened at random, so that connections opened
   * together do not end together. Default 0.25.
   */
  readonly lifetimeJitter?: number | undefined
  /** After this many leases a connection is destroyed. Default `Infinity`. */
  readonly maxUses?: number | undefined
  /**
   * An idle connection is checked when it has shown no sign of life for this long, so that nothing on the way drops it.
   * Needs `validate` or `health.check`. Default: off.
   */
  readonly keepAlive?: Duration.Input | undefined
  /** Checks a connection before it is handed out. Failing, dying or answering `false` means: destroy it. */
  readonly validate?: ((connection: A) => Effect.Effect<unknown, unknown, R>) | undefined
  /** A connection that worked this recently is not validated again. 0 validates always. Default 500 ms. */
  readonly validateAfterIdle?: Duration.Input | undefined
  /** How long validation may take. Default 5 seconds. */
  readonly validationTimeout?: Duration.Input | undefined
  /**
   * Cleans a connection on return, in the background; it is handed out again only after. Failing, dying or answering
   * `false` means: destroy it. A connection shared by several leases is reset when the last of them has ended.
   */
  readonly reset?: ((connection: A) => Effect.Effect<unknown, unknown, R>) | undefined
  /** How long a reset may take. Default 5 seconds. */
  readonly resetTimeout?: Duration.Input | undefined
  /** How long closing a connection keeps its place; after that the place is free and closing goes on. Default 5 seconds. */
  readonly destroyTimeout?: Duration.Input | undefined
  /**
   * How long closing the pool waits for connections in use; after that they are destroyed under their holders.
   * Default 30 seconds.
   */
  readonly closeGrace?: Duration.Input | undefined
  /**
   * Permits that this pool shares with others, or its share in them: a `Budget`, or one with a guaranteed `minimum` and
   * the `weight` of a connection. A pool that needs one more than there are has others give up what lies idle, and otherwise
   * waits its turn, like its callers. Default: none.
   */
  readonly budget?: Budget.Budget | Budget.Share | undefined
  /** Which idle connection is handed out: the one used last (`lifo`, default) or the one unused longest (`fifo`). */
  readonly order?: "lifo" | "fifo" | undefined
  /** How many leases may share a connection. Default 1. */
  readonly concurrency?: number | undefined
  /**
   * Idle connections are checked every `interval` (default 30 seconds) with `check` (default: `validate`), which may take
   * `timeout` (default 5 seconds). What checks and leases find moves the connection's score by the `policy`; one that is
   * not healthy is destroyed, and so is one whose check does not end within a second of its interruption. At most two are checked at a time, the
   * last free one only if it is alone, and none while a caller waits; but a caller that finds the only free connection
   * under a check waits for its end. `false` switches background
   * checks off.
   */
  readonly health?:
    | false
    | {
        readonly interval?: Duration.Input | undefined
        readonly check?: ((connection: A) => Effect.Effect<unknown, unknown, R>) | undefined
        readonly timeout?: Duration.Input | undefined
        readonly policy?: HealthPolicy | undefined
      }
    | undefined
  /**
   * What an error of the body says about its connection. Default: a defect is `suspect`, anything else `fine`.
   */
  readonly classify?: Classify | undefined
  /**
   * A lease held longer than this is reported, once, with the place in the code that took it. Noting that place
   * takes some microseconds per lease: nothing beside a query, much beside a lease that takes a third of one. Default:
   * off.
   */
  readonly leakDetection?: Duration.Input | undefined
}

/**
 * A connection as `connections` shows it. Ages are in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectionInfo<A> {
  readonly id: number
  readonly connection: A
  readonly state: Exclude<ConnectionState, "destroyed">
  readonly age: number
  /** Time since its last lease ended, or since it was made. */
  readonly unusedFor: number
  readonly uses: number
  readonly score: number
  /** Failures in a row. */
  readonly errors: number
  readonly status: HealthStatus
}

/**
 * @category guards
 * @since 0.1.0
 */
export const isConnectionPool = (u: unknown): u is ConnectionPool<unknown, unknown> =>
  Pool.isPool(u) && u.kind === "connection"

/**
 * Opens a pool in the surrounding scope. Closing the scope closes the pool: callers that wait fail with `Closed`, idle
 * connections go at once, those in use when their lease ends or `closeGrace` is over.
 *
 * **Details**
 *
 * Nothing is connected before it is needed, but for `min`, which is filled in the background: `make` does not wait for
 * it, and a backend that is down does not make it fail.
 *
 * **Example** (A pool for one program)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool } from "@effect-pools/connection"
 *
 * const connect = Effect.acquireRelease(
 *   Effect.sync(() => ({ query: (sql: string) => Effect.succeed(`answer to ${sql}`) })),
 *   () => Effect.log("disconnected")
 * )
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* ConnectionPool.make({ acquire: connect, max: 4, acquireTimeout: "2 seconds" })
 *   return yield* ConnectionPool.use(pool, (connection) => connection.query("select 1"))
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A, E, R>(
  options: Options<A, E, R>
): Effect.Effect<ConnectionPool<A, E>, InvalidOptions.InvalidOptions, Exclude<R, Scope.Scope> | Scope.Scope> =>
  Effect.flatMap(
    InvalidOptions.check(() => checkOptions<A, E>(options)),
    (checked) =>
      Pool.open({
        kind: "connection",
        settings: { ...checked, noun: "connection" },
        closeGrace: checked.closeGrace,
        store: (admission, context) =>
          Layout.make(ConnectionStore, () => new ConnectionStore<A, E>(checked, admission, context))
      })
  ) as Effect.Effect<ConnectionPool<A, E>, any, any>

// Leases -------------------------------------------------------------------------------------------------------------

/**
 * Takes a connection for the surrounding scope and gives it back when the scope closes.
 *
 * **Details**
 *
 * Fails with the failure of `acquire` if no connection can be made, else with `PoolError`. Of its reasons, `Closed` is
 * final, all others are worth a retry.
 *
 * @category leases
 * @since 0.1.0
 */
export const get: typeof Pool.get = Pool.get

/**
 * Takes a connection, runs an effect with it, and gives it back however the effect ends. Cheaper than {@link get}, which
 * needs a scope.
 *
 * **Gotchas**
 *
 * A fiber that takes a second connection while it holds one can wait for itself once the pool is exhausted. Pass the
 * connection on instead.
 *
 * @category leases
 * @since 0.1.0
 */
export const use: typeof Pool.use = Pool.use

/**
 * As {@link get}, if a connection is idle now. Never waits for its turn and never has a connection made; one that has
 * been idle for a while is validated first. `None` if there is none, also while the pool is suspended.
 *
 * @category leases
 * @since 0.1.0
 */
export const getIfAvailable: typeof Pool.getIfAvailable = Pool.getIfAvailable

/**
 * As {@link use}, if a connection is idle now. See {@link getIfAvailable}.
 *
 * @category leases
 * @since 0.1.0
 */
export const useIfAvailable: typeof Pool.useIfAvailable = Pool.useIfAvailable

// Connections --------------------------------------------------------------------------------------------------------

/**
 * Makes sure that this connection is never handed out again: destroyed now if idle, at the end of its leases if in use.
 * A connection that the pool does not know has no effect.
 *
 * @category connections
 * @since 0.1.0
 */
export const invalidate: typeof Pool.invalidate = Pool.invalidate

/**
 * As {@link invalidate}, at once: for callbacks of a driver that learns of a connection's death outside of any effect.
 *
 * @category connections
 * @since 0.1.0
 */
export const invalidateUnsafe = <A, E>(self: ConnectionPool<A, E>, connection: A): void =>
  self.store.invalidate(connection)

/**
 * Every connection of the pool, with its age, health and use.
 *
 * @category connections
 * @since 0.1.0
 */
export const connections = <A, E>(self: ConnectionPool<A, E>): Effect.Effect<ReadonlyArray<ConnectionInfo<A>>> =>
  Effect.sync(() => {
    const { admission, all, options } = self.store
    const now = admission.clock.now()
    return Array.from(all, (connection) => ({
      id: connection.id,
      connection: connection.value,
      state: connection.state as ConnectionInfo<A>["state"],
      age: now - connection.createdAt,
      unusedFor: connection.state === "used" ? 0 : now - connection.lastUsed,
      uses: connection.uses,
      score: connection.score,
      errors: connection.errors,
      status: options.rules.status(connection)
    }))
  })

/**
 * Tells the pool what a caller found out about a connection: `fine` raises its score, `suspect` lowers it, `fatal`
 * condemns it. A connection that is no longer healthy is destroyed, once it is not in use. Unknown ones have no effect.
 *
 * @category connections
 * @since 0.1.0
 */
export const report: {
  <A>(connection: A, outcome: Verdict): <E>(self: ConnectionPool<A, E>) => Effect.Effect<void>
  <A, E>(self: ConnectionPool<A, E>, connection: A, outcome: Verdict): Effect.Effect<void>
} = dual(3, <A, E>(self: ConnectionPool<A, E>, connection: A, outcome: Verdict): Effect.Effect<void> =>
  Effect.sync(() => {
    const known = self.store.find(connection)
    if (known !== undefined) self.store.report(known, outcome)
  })
)

/**
 * Destroys idle connections that are too old, unused for too long or unhealthy now, without waiting for the background
 * to find them; answers how many.
 *
 * @category connections
 * @since 0.1.0
 */
export const cleanUp = <A, E>(self: ConnectionPool<A, E>): Effect.Effect<number> =>
  Effect.sync(() => self.store.housekeeping.cleanUp(self.admission.clock.now()))

// Observation --------------------------------------------------------------------------------------------------------

/**
 * A consistent snapshot. `details` has `healthy`, `healthPercent`, `utilizationPercent`, `underStress` (utilization above
 * 80 % or health below 70 %), `breakerOpen` and a one-line `summary`.
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
 * Stops handing out connections: callers queue, and their timeouts run; leases that are out are not touched.
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
 * Changes `min` and `max` of a living pool. Shrinking never interrupts a lease.
 *
 * @category administration
 * @since 0.1.0
 */
export const resize: typeof Pool.resize = Pool.resize

/**
 * Refuses new leases, ends when the last one is back, and closes the pool. After `grace` (default: no limit) it closes
 * anyway: connections still in use are destroyed under their holders.
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
  ConnectionPool<A, E>,
  A,
  E,
  LE,
  LR
> {
  /**
   * The same service over fakes, for tests: opens a pool with these options, and nothing else. The options of the service
   * itself are not used, nor is anything that they need: no configuration, no secrets, no network.
   *
   * **Details**
   *
   * `acquire` is required, and must make what the service's own makes. The other defaults are those of a test:
   *
   * - `max`: 2, so that callers meet, and what is not given back is missed
   * - `acquireTimeout`, `createTimeout`, `validationTimeout`, `resetTimeout`, `destroyTimeout`: 1 second
   * - a failure of `acquire` is the caller's at once: no `createRetry`, no `breaker`
   * - nothing happens by itself: no `health` checks, no `idleTimeout`, no `maxLifetime`
   * - `validate`, if there is one, is called before every hand-out: `validateAfterIdle` is 0
   * - `closeGrace`: 0, so that a leak does not hold up the end of a test, which under a `TestClock` it would for ever
   * - `leakDetection`: 1 minute, so that timeouts and audits know where leases were taken
   *
   * **Example** (An application's test)
   *
   * ```ts
   * import { Config, Effect } from "effect"
   * import { ConnectionPool } from "@effect-pools/connection"
   *
   * interface Connection {
   *   readonly users: Effect.Effect<ReadonlyArray<string>>
   * }
   * declare const connect: (url: string) => Effect.Effect<Connection>
   *
   * class Db extends ConnectionPool.Service<Db>()("app/Db", Effect.gen(function*() {
   *   const url = yield* Config.String("DATABASE_URL")
   *   return { acquire: connect(url), max: 20 }
   * })) {}
   *
   * const users = Effect.suspend(() => Db.use((connection) => connection.users))
   *
   * // it.effect("lists users", () => test)
   * const test = users.pipe(
   *   Effect.provide(Db.layerTest({ acquire: Effect.succeed({ users: Effect.succeed(["Ada", "Grace"]) }) }))
   * )
   * ```
   */
  readonly layerTest: <R = never>(
    options: Options<A, E, R>
  ) => Layer.Layer<Self, InvalidOptions.InvalidOptions, Exclude<R, Scope.Scope>>
  /** See {@link connections}. */
  readonly connections: Effect.Effect<ReadonlyArray<ConnectionInfo<A>>, never, Self>
  /** See {@link report}. */
  readonly report: (connection: A, outcome: Verdict) => Effect.Effect<void, never, Self>
  /** See {@link cleanUp}. */
  readonly cleanUp: Effect.Effect<number, never, Self>
}

/**
 * A pool as a service: a class that is the tag, has a `layer`, and the pool's functions as statics. The pool is named
 * after the service unless its options say otherwise.
 *
 * **Example** (A pool as a service)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool } from "@effect-pools/connection"
 *
 * class Db extends ConnectionPool.Service<Db>()("app/Db", {
 *   acquire: Effect.succeed({ users: Effect.succeed(["Ada", "Grace"]) }),
 *   max: 10,
 *   acquireTimeout: "5 seconds"
 * }) {}
 *
 * const users = Db.use((connection) => connection.users)
 *
 * const program = users.pipe(Effect.provide(Db.layer))
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
    const makeNamed = <R2>(options: Options<A, E, R2>) => make(PoolService.named(id, options))
    const open = Effect.flatMap(given, makeNamed)
    return PoolService.make<
      Self,
      Id,
      ConnectionPool<A, E>,
      A,
      E,
      OE | InvalidOptions.InvalidOptions,
      Exclude<R, Scope.Scope> | OR | Scope.Scope,
      object
    >(
      id,
      open,
      (tag: Context.Key<Self, ConnectionPool<A, E>>, opening) => ({
        layerTest: <R2>(options: Options<A, E, R2>) => Layer.effect(tag, opening(makeNamed(withTestDefaults(options)))),
        connections: Effect.flatMap(tag, connections),
        report: (connection: A, outcome: Verdict) => Effect.flatMap(tag, (pool) => report(pool, connection, outcome)),
        cleanUp: Effect.flatMap(tag, cleanUp)
      }),
      !Effect.isEffect(options) && options?.leakDetection !== undefined
    ) as never
  }
