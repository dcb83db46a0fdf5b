import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { ConnectionPool } from "@effect-pools/connection"
import { PostgresPool } from "@effect-pools/postgres"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as References from "effect/References"
import * as SqlClient from "effect/sql/SqlClient"
import { cert, key } from "./certificate.ts"
import { observe, type Server, startServer } from "./server.ts"

let server: Server
beforeAll(async () => {
  server = await startServer({ tls: { cert, key } })
})
afterAll(() => server?.stop())

const onePool = (effect: Effect.Effect<void, unknown, PostgresPool.PostgresPool | SqlClient.SqlClient>) =>
  Effect.suspend(() =>
    effect.pipe(
      Effect.provide(
        PostgresPool.layer({
          ...server.config,
          host: "127.0.0.1",
          ssl: { ca: cert, servername: "localhost" },
          name: "secure",
          max: 1
        })
      ),
      Effect.provideService(References.MinimumLogLevel, "None")
    )
  )

const isEncrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"

describe("over TLS", () => {
  it.live("an open transaction is seen and rolled back", () =>
    onePool(
      Effect.gen(function* () {
        const pool = yield* PostgresPool.PostgresPool
        const sql = yield* SqlClient.SqlClient
        yield* sql`CREATE TABLE secrets (n int)`
        const pid = yield* ConnectionPool.use(pool, (connection) =>
          Effect.gen(function* () {
            assert.deepStrictEqual(yield* connection.queryValues(isEncrypted), [[true]])
            yield* connection.query("BEGIN")
            yield* connection.query("INSERT INTO secrets VALUES (1)")
            return connection.processId
          })
        )
        const after = yield* sql`SELECT count(*)::int AS count, pg_backend_pid() AS pid FROM secrets`
        assert.deepStrictEqual(after, [{ count: 0, pid }])
      })
    )
  )

  it.live("an interrupted statement is cancelled, and its session serves on", () =>
    onePool(
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const before = yield* sql`SELECT pg_backend_pid() AS pid`
        const sleeper = yield* Effect.forkChild(sql`SELECT pg_sleep(60)`)
        // A server that has not read it yet would take no notice.
        const { asleep } = yield* observe(server)
        yield* Effect.repeat(asleep("secure"), { until: (count) => count === 1 })
        yield* Fiber.interrupt(sleeper)
        assert.deepStrictEqual(yield* sql`SELECT pg_backend_pid() AS pid`, before)
      }).pipe(Effect.scoped)
    )
  )

  it.live("a session that takes long to end keeps its place", () =>
    onePool(
      Effect.gen(function* () {
        const pool = yield* PostgresPool.PostgresPool
        const sql = yield* SqlClient.SqlClient
        for (let round = 0; round < 3; round++) {
          yield* ConnectionPool.use(pool, (connection) =>
            Effect.andThen(ConnectionPool.invalidate(pool, connection), connection.query(manyTemporaryTables))
          )
          const sessions =
            yield* sql`SELECT count(*)::int AS count FROM pg_stat_activity WHERE application_name = 'secure'`
          assert.deepStrictEqual(sessions, [{ count: 1 }])
        }
      })
    )
  )
})

const manyTemporaryTables = `DO $$ BEGIN
  FOR n IN 1..300 LOOP EXECUTE format('CREATE TEMPORARY TABLE t%s (n int)', n); END LOOP;
END $$`
