import { PgClient } from "@effect/sql-pg"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { PostgresPool } from "@effect-pools/postgres"
import type { PoolError } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import * as Str from "effect/String"
import * as Tracer from "effect/Tracer"
import { type Server, startServer } from "./server.ts"

let server: Server
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.stop())

const transforms = {
  transformResultNames: Str.snakeToCamel,
  transformQueryNames: Str.camelToSnake
}

/** A bit of everything that applications do. */
const program = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const pg = yield* PgClient.PgClient
  const results: Record<string, unknown> = {}

  yield* sql`DROP TABLE IF EXISTS line_items`
  yield* sql`CREATE TABLE line_items (item_id int PRIMARY KEY, unit_price int NOT NULL, extra_data jsonb)`
  results["insert"] = yield* sql`INSERT INTO ${sql("lineItems")} ${sql
    .insert([
      { itemId: 1, unitPrice: 10 },
      { itemId: 2, unitPrice: 20 }
    ])
    .returning("*")}`
  results["json"] = yield* sql`UPDATE line_items SET extra_data = ${pg.json({
    giftWrap: true
  })} WHERE item_id = 1 RETURNING *`
  results["in"] = yield* sql`SELECT * FROM line_items WHERE ${sql.in("itemId", [1, 2])} ORDER BY 1`
  results["values"] = yield* sql`SELECT item_id, unit_price FROM line_items ORDER BY 1`.values
  results["raw"] = yield* sql`SELECT 1 AS one_value`.raw
  results["unprepared"] = yield* sql`SELECT 1 AS one_value`.unprepared
  results["unsafe"] = yield* sql.unsafe("SELECT $1::int AS one_value", [7])
  results["withoutTransform"] = yield* sql`SELECT 1 AS one_value`.withoutTransform
  results["withoutTransforms"] = yield* sql.withoutTransforms()`SELECT 1 AS one_value`
  results["stream"] = yield* Stream.runCollect(sql`SELECT n AS some_number FROM generate_series(1, 2000) n`.stream)
  results["stream taken in part"] = yield* sql`SELECT n FROM generate_series(1, 100000) n`.stream.pipe(
    Stream.take(3),
    Stream.runCollect
  )

  const count = Effect.map(sql<{ total: number }>`SELECT count(*)::int AS total FROM line_items`, ([row]) => row!.total)
  const add = (itemId: number) => sql`INSERT INTO line_items ${sql.insert({ itemId, unitPrice: 1 })}`
  yield* sql.withTransaction(add(3))
  results["committed"] = yield* count
  results["rolled back"] = yield* Effect.exit(sql.withTransaction(Effect.andThen(add(4), Effect.fail("no"))))
  results["after rollback"] = yield* count
  yield* sql.withTransaction(
    Effect.gen(function* () {
      yield* add(5)
      yield* Effect.ignore(sql.withTransaction(Effect.andThen(add(6), Effect.fail("no"))))
      yield* sql.withTransaction(add(7))
      // The savepoint also undoes what the server refused.
      yield* Effect.ignore(sql.withTransaction(add(5)))
      results["inside"] = yield* count
    })
  )
  results["after savepoints"] = yield* sql`SELECT item_id FROM line_items ORDER BY 1`
  results["aborted"] = yield* sql.withTransaction(Effect.ignore(add(1))).pipe(Effect.flip, Effect.map(describeError))
  const committed: Array<string> = []
  yield* sql.withTransaction(sql.afterCommit(Effect.sync(() => committed.push("yes"))))
  results["afterCommit"] = committed

  results["errors"] = yield* Effect.forEach(
    [
      sql`SELEKT`,
      sql`SELECT * FROM nowhere`,
      sql`INSERT INTO line_items (item_id) VALUES (9)`,
      sql`INSERT INTO line_items (item_id, unit_price) VALUES (1, 1)`,
      sql`SELECT ${Symbol("unfit") as never}`,
      sql`SET statement_timeout = 20`.pipe(Effect.andThen(sql`SELECT pg_sleep(10)`), sql.withTransaction),
      pg.notify("n".repeat(64), "")
    ],
    (failing) => Effect.map(Effect.flip(failing as Effect.Effect<unknown, SqlError>), describeError)
  )

  results["reserve"] = yield* Effect.scoped(
    Effect.gen(function* () {
      const connection = yield* sql.reserve
      yield* connection.execute("CREATE TEMPORARY TABLE mine (n int)", [], undefined)
      yield* connection.execute("INSERT INTO mine VALUES ($1)", [1], undefined)
      return yield* connection.executeValues("SELECT n FROM mine", [])
    })
  )
  results["listen"] = yield* Effect.scoped(
    Effect.gen(function* () {
      const queue = yield* pg.listen("Some channel")
      yield* pg.notify("Some channel", "hello")
      yield* sql`SELECT pg_notify('Some channel', 'world')`
      const first = yield* Queue.take(queue)
      const second = yield* Queue.take(queue)
      return [first.channel, first.payload, second.payload]
    })
  )
  results["reactive"] = yield* sql.reactive(["items"], count).pipe(Stream.take(1), Stream.runCollect)
  const spans = yield* spansOf(sql.withTransaction(sql`SELECT 2 AS two`))
  results["spans"] = spans.map((span) => [span.name, span.kind, Object.fromEntries(span.attributes)])
  return results
})

const describeError = ({ isRetryable, message, reason }: SqlError) => [
  reason._tag,
  message,
  reason.operation,
  isRetryable
]

const spansOf = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<ReadonlyArray<Tracer.Span>, E, R> =>
  Effect.suspend(() => {
    const spans: Array<Tracer.Span> = []
    const tracer = Tracer.make({
      span(options) {
        const span = new Tracer.NativeSpan(options)
        spans.push(span)
        return span
      }
    })
    return Effect.as(Effect.withTracer(effect, tracer), spans)
  })

/** Numbered by the process, not by the program. */
const withoutIds = (results: unknown): unknown =>
  JSON.parse(JSON.stringify(results, (key, value) => (key === "spanId" || key === "traceId" ? undefined : value)))

describe("PostgresPool's client", () => {
  it.live("a program gives the same results as with PgClient.layer", () =>
    Effect.gen(function* () {
      const options = {
        ...server.config,
        ...transforms,
        spanAttributes: { team: "orders" },
        maxConnections: 4,
        minConnections: 1,
        idleTimeout: "1 minute",
        connectionTTL: "1 hour"
      } as const
      const before = yield* Effect.provide(program, PgClient.layer(options))
      const after = yield* Effect.provide(program, PostgresPool.layer(options))
      assert.deepStrictEqual(withoutIds(after), withoutIds(before))
      assert.strictEqual(after["inside"], 5)
      assert.deepStrictEqual(after["listen"], ["Some channel", "hello", "world"])
    })
  )

  it.live("SqlClient and PgClient are one client, and the pool is that which it uses", () =>
    Effect.gen(function* () {
      const pool = yield* PostgresPool.PostgresPool
      assert.strictEqual(yield* SqlClient.SqlClient, yield* PgClient.PgClient)
      assert.strictEqual(pool.client, yield* PgClient.PgClient)
      assert.strictEqual(pool.client.driver, "pg")
      yield* pool.client`SELECT 1`
      assert.strictEqual(pool.admission.observer.acquired, 1)
    }).pipe(Effect.provide(PostgresPool.layer({ url: server.url })))
  )

  it.live("spans name the database and the server of the URL", () =>
    Effect.gen(function* () {
      const { client: sql } = yield* PostgresPool.PostgresPool
      const [span] = yield* spansOf(sql`SELECT 1`)
      assert.strictEqual(span!.attributes.get("db.namespace"), "postgres")
      assert.strictEqual(span!.attributes.get("server.address"), "127.0.0.1")
      assert.strictEqual(span!.attributes.get("server.port"), server.config.port)
    }).pipe(Effect.provide(PostgresPool.layer({ url: server.url })))
  )

  it.live("a Unix domain socket does as well", () =>
    Effect.gen(function* () {
      const { client: sql } = yield* PostgresPool.PostgresPool
      assert.deepStrictEqual(yield* sql`SELECT inet_client_addr() AS address`, [{ address: null }])
    }).pipe(Effect.provide(PostgresPool.layer({ ...server.config, host: server.folder })))
  )

  it.live("statements, transactions and listeners give their connections back", () =>
    Effect.gen(function* () {
      const pool = yield* PostgresPool.PostgresPool
      const sql = pool.client
      yield* sql`SELECT 1`
      yield* sql.withTransaction(sql`SELECT 1`)
      yield* Effect.exit(sql.withTransaction(sql`SELEKT`))
      yield* Stream.runDrain(sql`SELECT 1`.stream)
      yield* Effect.scoped(sql.reserve)
      yield* Effect.scoped(sql.listen("channel"))
      const listener = yield* Effect.forkChild(Effect.scoped(Effect.andThen(sql.listen("channel"), Effect.never)))
      yield* sql.notify("channel", "")
      yield* Fiber.interrupt(listener)
      assert.strictEqual(pool.admission.used, 0)
    }).pipe(Effect.provide(PostgresPool.layer({ url: server.url, max: 2 })))
  )

  it.live("a reserved connection that is kept for too long does nothing", () =>
    Effect.gen(function* () {
      const { client: sql } = yield* PostgresPool.PostgresPool
      const connection = yield* Effect.scoped(sql.reserve)
      const error = yield* Effect.flip(connection.executeRaw("SELECT 1", []))
      assert.match(error.message, /released/)
    }).pipe(Effect.provide(PostgresPool.layer({ url: server.url })))
  )

  it.live("several databases are several services", () =>
    Effect.gen(function* () {
      class One extends PostgresPool.Service<One>()("app/One", { ...server.config, max: 2 }) {}
      class Two extends PostgresPool.Service<Two>()("app/Two", Effect.succeed({ url: server.url, max: 3 })) {}
      const who = (sql: SqlClient.SqlClient) => sql`SELECT current_setting('application_name') AS name`
      yield* Effect.gen(function* () {
        assert.deepStrictEqual(yield* who(yield* One.client), [{ name: "app/One" }])
        assert.deepStrictEqual(yield* who(yield* Two.client), [{ name: "app/Two" }])
        assert.deepStrictEqual(yield* who(yield* SqlClient.SqlClient), [{ name: "app/Two" }])
        assert.strictEqual(yield* One.use((connection) => Effect.succeed(connection.processId > 0)), true)
        assert.strictEqual((yield* One.stats).max, 2)
        assert.strictEqual((yield* Two.connections).length, 1)
        assert.strictEqual(yield* Two.cleanUp, 0)
      }).pipe(Effect.provide([One.layer, Two.layerClient]))
    })
  )

  it.live("a closed pool fails statements with a SqlError that no retry will mend", () =>
    Effect.gen(function* () {
      const sql = yield* Effect.provide(SqlClient.SqlClient, PostgresPool.layer({ url: server.url, name: "gone" }))
      const error = yield* Effect.flip(sql`SELECT 1`)
      assert.strictEqual(error.reason._tag, "ConnectionError")
      assert.strictEqual(error.isRetryable, false)
      assert.match(error.message, /"gone" is closed/)
    })
  )

  it.live("an exhausted pool fails statements with a SqlError that has the PoolError as its cause", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* sql.reserve
      const error = yield* Effect.flip(sql`SELECT 1`)
      assert.strictEqual(error.reason._tag, "ConnectionError")
      assert.strictEqual(error.isRetryable, true)
      const cause = error.reason.cause as PoolError.PoolError
      assert.strictEqual(cause._tag, "PoolError")
      assert.strictEqual(cause.reason._tag, "AcquireTimeout")
      assert.strictEqual(error.message, cause.message)
    }).pipe(Effect.scoped, Effect.provide(PostgresPool.layer({ url: server.url, max: 1, acquireTimeout: "2 seconds" })))
  )
})
