/**
 * `PgClient` over a pool. sql-pg has no constructor that takes connections from elsewhere, so what its `PgClient.make`
 * does with its own pool is done here with ours, piece by piece the same.
 */
import { PgClient, type PgConnection } from "@effect/sql-pg"
import * as ConnectionPool from "@effect-pools/connection/ConnectionPool"
import * as PoolError from "@effect-pools/core/PoolError"
import * as Effect from "effect/Effect"
import type * as Reactivity from "effect/reactivity/Reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import type { Borrower, Connection } from "effect/sql/SqlConnection"
import { SqlError, UnknownError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import * as Stream from "effect/Stream"
import { endsSession, isCutOff, nameConnectionError, toSqlError } from "./errors.ts"
import type { Sorted } from "./options.ts"
import { seeThrough } from "./seeThrough.ts"

type Pool = ConnectionPool.ConnectionPool<PgConnection.PgConnection, SqlError>

/** `isEnding` says whether the pool is ending a connection's session. */
export const makeClient = (
  pool: Pool,
  isEnding: (connection: PgConnection.PgConnection) => boolean,
  { config, target }: Sorted
): Effect.Effect<PgClient.PgClient, never, Reactivity.Reactivity> => {
  const lease = withSqlErrors(ConnectionPool.get(pool))
  // A view of the connection that ends with the scope: who keeps it longer can do no harm.
  const reserve = Effect.flatMap(lease, (connection) => connection.pin)
  const closed = PoolError.make(() => new PoolError.Closed({ pool: pool.name }))
  /** What a statement fails with that the close of the pool has cut off, is the pool's refusal. */
  const errorsOf =
    (connection: PgConnection.PgConnection): Translate =>
    (error) =>
      pool.admission.lifecycle === "closed" && isEnding(connection) && isCutOff(error)
        ? toSqlError(closed)
        : nameConnectionError(error)
  const borrower: Borrower = (f) =>
    withSqlErrors(ConnectionPool.use(pool, (connection) => f(new ClientConnection(connection, errorsOf(connection)))))
  const client = SqlClient.make({
    driver: "pg",
    acquirer: Effect.map(lease, (connection) => new ClientConnection(connection, errorsOf(connection))),
    borrower,
    transactionAcquirer: Effect.flatMap(lease, (connection) =>
      Effect.map(connection.pin, (pinned) => new TransactionConnection(pinned, errorsOf(connection)))
    ),
    prepareTransactionControls: true,
    commit,
    releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`,
    compiler: PgClient.makeCompiler(config.transformQueryNames, config.transformJson),
    spanAttributes: [
      ...Object.entries(config.spanAttributes ?? {}),
      ["db.system.name", "postgresql"],
      ["db.namespace", target.database ?? "postgres"],
      ["server.address", target.host],
      ["server.port", target.port]
    ],
    transformRows:
      config.transformResultNames === undefined
        ? undefined
        : Statement.defaultTransforms(config.transformResultNames, config.transformJson).array
  })
  return Effect.map(client, (client) =>
    Object.assign(client, {
      [PgClient.TypeId]: PgClient.TypeId,
      config,
      json: (value: unknown) => Statement.fragment([pgJson(value)]),
      listen: (channel: string) => Effect.flatMap(reserve, (connection) => connection.listen(channel)),
      notify: (channel: string, payload: string) =>
        checkedChannel(channel, () =>
          borrower((connection) => Effect.asVoid(connection.executeRaw("SELECT pg_notify($1, $2)", [channel, payload])))
        )
    })
  )
}

/** Translates what the pool itself fails with; what the effect does with its connection fails with `SqlError` anyway. */
const withSqlErrors = <A, E, R>(
  self: Effect.Effect<A, E | PoolError.PoolError, R>
): Effect.Effect<A, Exclude<E, PoolError.PoolError> | SqlError, R> =>
  Effect.mapError(self, (error) =>
    error instanceof PoolError.PoolError ? toSqlError(error) : (error as Exclude<E, PoolError.PoolError>)
  )

type Translate = (error: SqlError) => SqlError

class ClientConnection implements Connection {
  readonly #connection: PgConnection.PgConnection
  readonly #translate: Translate

  constructor(connection: PgConnection.PgConnection, translate: Translate) {
    this.#connection = connection
    this.#translate = translate
  }

  execute(sql: string, params: ReadonlyArray<unknown>, transformRows: TransformRows | undefined) {
    return this.#rows(sql, params, true, transformRows)
  }

  executeRaw(sql: string, params: ReadonlyArray<unknown>) {
    return Effect.mapError(this.#connection.query(sql, params), this.#translate)
  }

  executeValues(sql: string, params: ReadonlyArray<unknown>) {
    return Effect.mapError(this.#connection.queryValues(sql, params), this.#translate)
  }

  executeValuesUnprepared(sql: string, params: ReadonlyArray<unknown>) {
    return Effect.mapError(this.#connection.queryValues(sql, params, false), this.#translate)
  }

  executeUnprepared(sql: string, params: ReadonlyArray<unknown>, transformRows: TransformRows | undefined) {
    return this.#rows(sql, params, false, transformRows)
  }

  executeStream(sql: string, params: ReadonlyArray<unknown>, transformRows: TransformRows | undefined) {
    const stream = Stream.mapError(this.#connection.stream(sql, params), this.#translate)
    return transformRows === undefined ? stream : Stream.mapArray(stream, (rows) => transformRows(rows) as typeof rows)
  }

  #rows(sql: string, params: ReadonlyArray<unknown>, prepare: boolean, transformRows: TransformRows | undefined) {
    return Effect.map(
      Effect.mapError(this.#connection.query(sql, params, prepare), this.#translate),
      transformRows === undefined ? ({ rows }) => rows : ({ rows }) => transformRows(rows)
    )
  }
}

/**
 * What a session had open when it ended, the server has rolled back. To ask for it again fails, and of that failure the
 * client's `withTransaction` would die, instead of failing with the error that tells what happened.
 */
class TransactionConnection extends ClientConnection {
  override execute(sql: string, params: ReadonlyArray<unknown>, transformRows: TransformRows | undefined) {
    const rows = super.execute(sql, params, transformRows)
    if (endsTransaction.test(sql)) return Effect.catchIf(seeThrough(rows), isOver, () => Effect.succeed([]))
    return beginsTransaction.test(sql) ? seeThrough(rows) : rows
  }

  /** A way to begin that the application has given. */
  override executeUnprepared(sql: string, params: ReadonlyArray<unknown>, transformRows: TransformRows | undefined) {
    const rows = super.executeUnprepared(sql, params, transformRows)
    return beginsTransaction.test(sql) ? seeThrough(rows) : rows
  }
}

/** A statement takes no lease: what it fails with that is a pool's refusal, is the close that has cut it off. */
const isOver = (error: SqlError): boolean => endsSession(error) || error.reason._tag === "ConnectionError"

const endsTransaction = /^(ROLLBACK|RELEASE SAVEPOINT)/

const beginsTransaction = /^\s*(BEGIN|START TRANSACTION|SAVEPOINT)\b/i

type TransformRows = <A extends object>(rows: ReadonlyArray<A>) => ReadonlyArray<A>

const pgJson = Statement.custom<Statement.Custom<"PgJson", unknown>>("PgJson")

/** PostgreSQL answers `COMMIT` with `ROLLBACK` when the transaction has failed before. */
const commit = (connection: Connection): Effect.Effect<void, SqlError> =>
  Effect.flatMap(
    seeThrough(connection.executeRaw("COMMIT", []) as Effect.Effect<PgConnection.Result, SqlError>),
    ({ command }) =>
      command === "ROLLBACK" ? failure("commit", "PgClient: COMMIT rolled back an aborted transaction") : Effect.void
  )

/** The server would cut a longer name, and notify another channel. */
const checkedChannel = <A>(channel: string, then: () => Effect.Effect<A, SqlError>): Effect.Effect<A, SqlError> =>
  Buffer.byteLength(channel) > 63
    ? failure("notify", "PostgreSQL channel names must not exceed 63 UTF-8 bytes")
    : then()

const failure = (operation: string, message: string): Effect.Effect<never, SqlError> =>
  Effect.fail(new SqlError({ reason: new UnknownError({ cause: new Error(message), message, operation }) }))
