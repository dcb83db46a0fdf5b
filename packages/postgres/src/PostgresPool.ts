/**
 * A `SqlClient` for PostgreSQL on a pool of connections.
 *
 * It takes the place of `PgClient.layer` of `@effect/sql-pg`: the same fields say where and how to connect, the same
 * services come out, `SqlClient` and `PgClient`, on the same native connections. What is new is the pool, with all that
 * a `ConnectionPool` has: deadlines, fair waiting, validation, health, lifetimes, events, metrics.
 *
 * **When the database fails**
 *
 * Statements fail with a `SqlError`, and the pool heals by itself. Of requests that failed, those that were never sent may
 * be repeated whatever they do, others only if the server has undone them or if it does no harm to do them twice:
 * {@link isSafeToRetry} tells them apart, and shows a retry for each.
 *
 * @since 0.1.0
 */
import { PgClient, type PgConnection } from "@effect/sql-pg"
import * as ConnectionPool from "@effect-pools/connection/ConnectionPool"
import type * as Health from "@effect-pools/connection/Health"
import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import * as PoolService from "@effect-pools/core/PoolService"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reactivity from "effect/reactivity/Reactivity"
import type * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { makeClient } from "./internal/client.ts"
import { classify, isSafeToRetry as isSafe } from "./internal/errors.ts"
import { type Sorted, sortOptions } from "./internal/options.ts"
import { resetSession } from "./internal/reset.ts"
import { Session } from "./internal/session.ts"

/**
 * A pool of PostgreSQL connections, and the client that takes them from it.
 *
 * **Details**
 *
 * All functions of `ConnectionPool` work on it. What they hand out is a native `PgConnection`; the client's statements
 * and transactions take theirs from the same pool.
 *
 * @category models
 * @since 0.1.0
 */
export interface PostgresPool extends ConnectionPool.ConnectionPool<PgConnection.PgConnection, SqlError> {
  readonly client: PgClient.PgClient
}

/**
 * The pool that {@link layer} provides, as a service.
 *
 * @category services
 * @since 0.1.0
 */
export const PostgresPool: Context.Service<PostgresPool, PostgresPool> = Context.Service<PostgresPool>(
  "@effect-pools/postgres/PostgresPool"
)

type ConnectionOptions = Omit<PgClient.PgClientConfig, "multiplex" | "multiplexConcurrency">

type PoolOptions = Omit<
  ConnectionPool.Options<PgConnection.PgConnection, SqlError, never>,
  "acquire" | "reset" | "keepAlive" | "concurrency"
>

/**
 * Where and how to connect, as `PgClient.layer` takes it, and the options of a `ConnectionPool`. No field is required.
 *
 * **Details**
 *
 * What differs from the defaults of `ConnectionPool`:
 *
 * - `name` is `postgres/<database>`, and is what `pg_stat_activity` shows as `application_name`, unless
 *   `applicationName`, `startupParameters` or the URL say otherwise
 * - `validate`, and with it `health.check`, is an empty query: one round trip, nothing to plan
 * - `classify` calls an error `fatal` if it is a `SqlError` about the connection or says that the server has ended the
 *   session, a defect `suspect`, and any other `SqlError` `fine`
 * - `createRetry` ends at once if the server refuses the user, has no such database or no TLS, and when the settings
 *   can't be used
 *
 * **Gotchas**
 *
 * `keepAlive` is `PgClient`'s: TCP probes, sent by the operating system. The `ConnectionPool` option of that name is
 * called `keepAliveQuery` here.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options extends ConnectionOptions, PoolOptions {
  /** `PgClient`'s name for `max`. To give both is an error. */
  readonly maxConnections?: number | undefined
  /** `PgClient`'s name for `min`. To give both is an error. */
  readonly minConnections?: number | undefined
  /** `PgClient`'s name for `maxLifetime`. To give both is an error. */
  readonly connectionTTL?: Duration.Input | undefined
  /** Statements of several fibers never share a connection. Only there so that `false` may be said. */
  readonly multiplex?: false | undefined
  /** An idle connection is validated when it has shown no sign of life for this long. Default: off. */
  readonly keepAliveQuery?: Duration.Input | undefined
  /**
   * Cleans a session before its connection is handed out again. `true` does what `DISCARD ALL` does, but for prepared
   * statements: settings, role, temporary tables, sequences, cursors, `LISTEN` and advisory locks. Default `false`: only
   * a transaction that was left open is rolled back, which needs no round trip to find out.
   */
  readonly reset?: boolean | ((connection: PgConnection.PgConnection) => Effect.Effect<unknown, unknown>) | undefined
}

/**
 * Opens a pool in the surrounding scope, with a client on it. Nothing is connected before it is needed, but for `min`.
 *
 * **Details**
 *
 * Every plain statement takes a connection for itself; transactions, `reserve`, streams and listeners hold one for as
 * long as they last.
 *
 * A client fails with nothing but `SqlError`. When the pool can't give it a connection, the reason is a
 * `ConnectionError` whose `cause` is the `PoolError`; it is retryable if the `PoolError` is, that is unless the pool is
 * closed. So does a statement that is cut off when the pool's `closeGrace` is over. When connecting fails, the `SqlError`
 * is that of the attempt, once its retries or the caller's deadline are over: a database that does not answer. Wrong
 * credentials and a URL that can't be read are not retried. What the server says when it has no session to give (too many
 * connections, starting up) or has ended one is a `ConnectionError` with the server's words, and retryable; `PgClient`
 * calls it `UnknownError`. Which failures are safe to repeat, {@link isSafeToRetry} says.
 *
 * A connection whose session has died leaves the pool at once, also while idle. One whose statement was cancelled goes
 * too, unless the server confirmed that the cancellation hit that statement. One that comes back inside a transaction is
 * rolled back before anybody else gets it.
 *
 * An interrupted statement ends when the server has confirmed its cancellation, or after 5 seconds; its connection is not
 * used again if that was in doubt. `BEGIN`, `COMMIT` and `ROLLBACK` are not interrupted, but for a second at most after
 * their fiber was; then they are cancelled too.
 *
 * The place of a connection comes free when the server has ended its session, so that there are never more sessions than
 * `max`. If that takes longer than `destroyTimeout`, the place is given free all the same. Cancelling a statement opens
 * a further connection for a moment, which never becomes a session.
 *
 * **Example** (Two ways to query)
 *
 * ```ts
 * import { Effect, Redacted } from "effect"
 * import { ConnectionPool } from "@effect-pools/connection"
 * import { PostgresPool } from "@effect-pools/postgres"
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* PostgresPool.make({ url: Redacted.make("postgres://localhost/orders"), max: 20 })
 *   const sql = pool.client
 *   const open = yield* sql`SELECT id, total FROM orders WHERE NOT paid`
 *   const version = yield* ConnectionPool.use(pool, (connection) => connection.queryValues("SHOW server_version"))
 *   return { open, version }
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: Options
): Effect.Effect<PostgresPool, InvalidOptions.InvalidOptions, Scope.Scope | Reactivity.Reactivity> =>
  Effect.gen(function* () {
    const sorted = yield* InvalidOptions.check(() => sortOptions(options))
    const { isEnding, pool } = yield* makePool(sorted)
    return Object.assign(pool, { client: yield* makeClient(pool, isEnding, sorted) })
  })

/**
 * Provides a pool and its client, as `PostgresPool`, `SqlClient` and `PgClient`.
 *
 * **When to use**
 *
 * Use instead of `PgClient.layer`; nothing else of the application changes.
 *
 * **Details**
 *
 * See {@link make}. The layer does not fail with `SqlError`, as that of `PgClient` says it does: it does not connect.
 *
 * **Example** (Moving over from `PgClient.layer`)
 *
 * ```ts
 * import { Effect, Redacted } from "effect"
 * import { SqlClient } from "effect/sql"
 * import { PostgresPool } from "@effect-pools/postgres"
 *
 * // Was: PgClient.layer({ url, maxConnections: 20 })
 * const Sql = PostgresPool.layer({
 *   url: Redacted.make("postgres://localhost/orders"),
 *   max: 20,
 *   acquireTimeout: "5 seconds"
 * })
 *
 * const program = Effect.gen(function*() {
 *   const sql = yield* SqlClient.SqlClient
 *   return yield* sql`SELECT 1 AS one`
 * }).pipe(Effect.provide(Sql))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options
): Layer.Layer<PostgresPool | PgClient.PgClient | SqlClient.SqlClient, InvalidOptions.InvalidOptions> =>
  layerOf(PostgresPool, make(options))

/**
 * As {@link layer}, with options from the configuration.
 *
 * **Example** (A URL from the environment)
 *
 * ```ts
 * import { Config } from "effect"
 * import { PostgresPool } from "@effect-pools/postgres"
 *
 * const Sql = PostgresPool.layerConfig({
 *   url: Config.Redacted("DATABASE_URL"),
 *   max: Config.Int("DATABASE_CONNECTIONS").pipe(Config.withDefault(10))
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  options: Config.Wrap<Options>
): Layer.Layer<
  PostgresPool | PgClient.PgClient | SqlClient.SqlClient,
  Config.ConfigError | InvalidOptions.InvalidOptions
> => layerOf(PostgresPool, Effect.flatMap(Config.unwrap(options), make))

/**
 * The class that {@link Service} makes.
 *
 * @category services
 * @since 0.1.0
 */
export interface ServiceClass<Self, Id extends string, LE, LR> extends PoolService.PoolServiceClass<
  Self,
  Id,
  PostgresPool,
  PgConnection.PgConnection,
  SqlError,
  LE,
  LR
> {
  /** The client that takes its connections from this pool. */
  readonly client: Effect.Effect<PgClient.PgClient, never, Self>
  /** Opens the pool, and makes its client the application's `SqlClient` and `PgClient`. */
  readonly layerClient: Layer.Layer<Self | PgClient.PgClient | SqlClient.SqlClient, LE, LR>
  /** See `ConnectionPool.connections`. */
  readonly connections: Effect.Effect<
    ReadonlyArray<ConnectionPool.ConnectionInfo<PgConnection.PgConnection>>,
    never,
    Self
  >
  /** See `ConnectionPool.report`. */
  readonly report: (connection: PgConnection.PgConnection, outcome: Health.Verdict) => Effect.Effect<void, never, Self>
  /** See `ConnectionPool.cleanUp`. */
  readonly cleanUp: Effect.Effect<number, never, Self>
}

/**
 * A pool as a service of its own, for applications with several databases. The pool is named after the service unless
 * its options say otherwise.
 *
 * **Example** (Two databases)
 *
 * ```ts
 * import { Effect, Redacted } from "effect"
 * import { PostgresPool } from "@effect-pools/postgres"
 *
 * class Orders extends PostgresPool.Service<Orders>()("app/Orders", {
 *   url: Redacted.make("postgres://localhost/orders")
 * }) {}
 *
 * class Reports extends PostgresPool.Service<Reports>()("app/Reports", {
 *   url: Redacted.make("postgres://replica.example.com/orders"),
 *   max: 4
 * }) {}
 *
 * const program = Effect.gen(function*() {
 *   const orders = yield* Orders.client
 *   const reports = yield* Reports.client
 *   yield* orders`INSERT INTO orders (total) VALUES (42)`
 *   return yield* reports`SELECT count(*) FROM orders`
 * }).pipe(Effect.provide([Orders.layer, Reports.layer]))
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
    const open = Effect.flatMap(given, (options) => make({ name: id, ...options }))
    return PoolService.make<
      Self,
      Id,
      PostgresPool,
      PgConnection.PgConnection,
      SqlError,
      OE | InvalidOptions.InvalidOptions,
      OR | Scope.Scope | Reactivity.Reactivity,
      object
    >(id, open, (tag, opening) => ({
      layer: Layer.effect(tag, opening(open)).pipe(Layer.provide(Reactivity.layer)),
      client: Effect.map(tag, (pool) => pool.client),
      layerClient: layerOf(tag, opening(open)),
      connections: Effect.flatMap(tag, ConnectionPool.connections),
      report: (connection: PgConnection.PgConnection, outcome: Health.Verdict) =>
        Effect.flatMap(tag, (pool) => ConnectionPool.report(pool, connection, outcome)),
      cleanUp: Effect.flatMap(tag, ConnectionPool.cleanUp)
    })) as never
  }

/**
 * Whether what failed with this error may be repeated whatever it does, as nothing of it was ever sent.
 *
 * **When to use**
 *
 * Use around a single statement or a whole transaction. An error's own `isRetryable` says only that another attempt may
 * succeed. That is enough for what does no harm when it is done twice: reads, and writes under a key of their own.
 *
 * **Details**
 *
 * `true` for a `PoolError` or a `SqlError` that is retryable and says that there was no connection, because the pool had
 * none to give (`operation` is `acquire`) or none could be made (`connect`).
 *
 * `false` for everything else:
 *
 * - A connection that breaks under a statement: whether the server has done what it was asked, `COMMIT` included, nobody
 *   can tell. Only with a key is that safe to repeat.
 * - A deadlock, a serialization failure, a lock or a statement that took too long. The server has undone the transaction
 *   in which that happened, so a `withTransaction` that fails with it may be repeated as a whole, unless something in it
 *   commits by itself. A statement on its own may be more than one transaction: procedures and `DO` blocks can `COMMIT`
 *   and then fail, and `CREATE INDEX CONCURRENTLY` leaves an invalid index behind.
 *
 * **Gotchas**
 *
 * Of several statements in a row, without a transaction around them, those before the failure have been done.
 *
 * **Example** (Retries for what may be done twice and for what may not)
 *
 * ```ts
 * import { Effect, Schedule } from "effect"
 * import { SqlClient, type SqlError } from "effect/sql"
 * import { PostgresPool } from "@effect-pools/postgres"
 *
 * // From 10 ms, doubling, to a second; not after 10 seconds.
 * const patience = Schedule.min([Schedule.exponential("10 millis"), Schedule.spaced("1 second")]).pipe(
 *   Schedule.jittered,
 *   Schedule.upTo({ duration: "10 seconds" })
 * )
 *
 * // For anything: repeated only if nothing of it was sent.
 * const retryUnsent = <A, E, R>(self: Effect.Effect<A, E, R>) =>
 *   Effect.retry(self, { while: PostgresPool.isSafeToRetry, schedule: patience })
 *
 * // For a `withTransaction` in which nothing commits by itself: repeated also if the server has undone it.
 * const undone = ["DeadlockError", "SerializationError", "LockTimeoutError"]
 * const retryUndone = <A, R>(transaction: Effect.Effect<A, SqlError.SqlError, R>) =>
 *   Effect.retry(transaction, {
 *     while: (error) => PostgresPool.isSafeToRetry(error) || undone.includes(error.reason._tag),
 *     schedule: patience
 *   })
 *
 * // For reads, and for what has a key under which it is done only once.
 * const retryKeyed = <A, R>(self: Effect.Effect<A, SqlError.SqlError, R>) =>
 *   Effect.retry(self, { while: (error) => error.isRetryable, schedule: patience })
 *
 * const program = Effect.gen(function*() {
 *   const sql = yield* SqlClient.SqlClient
 *   const countView = retryUnsent(sql`UPDATE pages SET views = views + 1 WHERE id = 1`)
 *   const move = retryUndone(sql.withTransaction(Effect.gen(function*() {
 *     yield* sql`UPDATE accounts SET balance = balance - 10 WHERE id = 1`
 *     yield* sql`UPDATE accounts SET balance = balance + 10 WHERE id = 2`
 *   })))
 *   // The key is made once, with the order, and not anew for each attempt.
 *   const placeOrder = (order: { readonly key: string; readonly total: number }) =>
 *     retryKeyed(sql.withTransaction(Effect.gen(function*() {
 *       const placed = yield* sql`INSERT INTO orders (key, total) VALUES (${order.key}, ${order.total})
 *         ON CONFLICT (key) DO NOTHING RETURNING key`
 *       // Else an earlier attempt got through, and only its answer was lost.
 *       if (placed.length === 1) yield* sql`UPDATE sales SET total = total + ${order.total}`
 *     })))
 *   yield* countView
 *   yield* move
 *   yield* placeOrder({ key: "0192f6c4", total: 42 })
 * })
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export const isSafeToRetry: (error: unknown) => boolean = isSafe

// Inside -------------------------------------------------------------------------------------------------------------

const makePool = ({ config, pool: options, reset }: Sorted) =>
  Effect.gen(function* () {
    const sessions = new WeakMap<PgConnection.PgConnection, Session>()
    const clean = reset === true ? resetSession : reset === false ? undefined : reset
    // Assigned below; sessions die later than they are asked for.
    let pool: ConnectionPool.ConnectionPool<PgConnection.PgConnection, SqlError> | undefined
    const retire = (connection: PgConnection.PgConnection): void => {
      if (pool !== undefined) ConnectionPool.invalidateUnsafe(pool, connection)
    }
    const acquire = Effect.map(
      Effect.suspend(() => Session.connect(config, options.destroyTimeout ?? "5 seconds", retire)),
      ([connection, session]) => {
        sessions.set(connection, session)
        return connection
      }
    )
    pool = yield* ConnectionPool.make({
      validate: (connection) => connection.query(""),
      classify,
      ...options,
      acquire,
      reset: (connection) => {
        const tidy = sessions.get(connection)!.tidy(pool!.name)
        return clean === undefined
          ? tidy
          : Effect.flatMap(tidy, (isFit): Effect.Effect<unknown, unknown> =>
              isFit ? clean(connection) : Effect.succeed(false)
            )
      }
    })
    return { pool, isEnding: (connection: PgConnection.PgConnection) => sessions.get(connection)!.isEnding }
  })

/** The services of one pool. A `Reactivity` that the application has is used, as `PgClient.layer` does. */
const layerOf = <I, E, R>(
  tag: Context.Key<I, PostgresPool>,
  open: Effect.Effect<PostgresPool, E, R>
): Layer.Layer<I | PgClient.PgClient | SqlClient.SqlClient, E, Exclude<R, Scope.Scope | Reactivity.Reactivity>> =>
  Layer.effectContext(
    Effect.map(open, (pool) =>
      Context.make(tag, pool).pipe(
        Context.add(PgClient.PgClient, pool.client),
        Context.add(SqlClient.SqlClient, pool.client)
      )
    )
  ).pipe(Layer.provide(Reactivity.layer)) as never
