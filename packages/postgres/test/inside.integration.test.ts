/**
 * The pool looks into sql-pg further than its interface goes (docs/decisions/0008-inside-sql-pg.md). The first of these
 * tests fails when there is nothing to see there any more; the second shows what the pool is then still good for.
 */
import { PgConnection } from "@effect/sql-pg"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { ConnectionPool } from "@effect-pools/connection"
import { PostgresPool } from "@effect-pools/postgres"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as References from "effect/References"
import { vi } from "vitest"
import { observe, type Server, startServer } from "./server.ts"

const hiding = vi.hoisted(() => ({ isOn: false }))

/** Connections of which only the interface is left, on demand. */
vi.mock(import("@effect/sql-pg"), async (importOriginal) => {
  const original = await importOriginal()
  const make: typeof PgConnection.make = (config) =>
    Effect.map(original.PgConnection.make(config), (connection) =>
      hiding.isOn ? onlyInterface(connection) : connection
    )
  return { ...original, PgConnection: { ...original.PgConnection, make } }
})

const onlyInterface = (connection: PgConnection.PgConnection): PgConnection.PgConnection => ({
  [PgConnection.TypeId]: PgConnection.TypeId,
  config: connection.config,
  processId: connection.processId,
  pin: connection.pin,
  query: connection.query,
  queryValues: connection.queryValues,
  stream: connection.stream,
  listen: connection.listen,
  interrupt: connection.interrupt
})

let server: Server
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.stop())

describe("inside sql-pg", () => {
  it.live("there is a hook that tells of dead sessions, a socket, and whether a statement runs", () =>
    Effect.gen(function* () {
      const observer = yield* observe(server)
      const connection = yield* PgConnection.make({ ...server.config, applicationName: "inside" })
      const inside = connection as any
      const hooks: Set<() => void> = inside["~@effect/sql-pg/PgConnection/internals"].retireHooks
      const { socket } = inside.session
      assert.isFunction(socket.prependListener)
      assert.isFunction(socket.resume)
      assert.isFalse(socket.closed)
      assert.property(inside, "consumer")
      assert.isUndefined(inside.consumer)
      const sleeper = yield* Effect.forkChild(Effect.flip(connection.query("SELECT pg_sleep(60)")), {
        startImmediately: true
      })
      assert.isDefined(inside.consumer)

      const retired = new Promise<void>((resolve) => hooks.add(resolve))
      yield* observer.terminate(connection.processId)
      yield* Effect.promise(() => retired)
      yield* Fiber.join(sleeper)
      assert.isUndefined(inside.consumer)
    })
  )

  it.live("nothing is needed to keep dead sessions and open transactions from the next holder", () =>
    Effect.gen(function* () {
      hiding.isOn = true
      yield* Effect.addFinalizer(() => Effect.sync(() => void (hiding.isOn = false)))
      const observer = yield* observe(server)
      const pool = yield* PostgresPool.make({ url: server.url, name: "hidden", max: 1, validateAfterIdle: 0 }).pipe(
        Effect.provide(Reactivity.layer),
        Effect.provideService(References.MinimumLogLevel, "None")
      )
      const sql = pool.client
      const pid = yield* ConnectionPool.use(pool, ({ processId }) => Effect.succeed(processId))
      yield* sql`CREATE TEMPORARY TABLE mine (n int)`
      for (const last of ["SELECT 1", "SELEKT"]) {
        yield* ConnectionPool.use(pool, (connection) =>
          Effect.gen(function* () {
            yield* connection.query("BEGIN")
            yield* connection.query("INSERT INTO mine VALUES (1)")
            yield* Effect.exit(connection.query(last))
          })
        )
        assert.deepStrictEqual(yield* sql`SELECT n, pg_backend_pid() AS pid FROM mine`, [])
      }
      assert.deepStrictEqual(yield* observer.backends("hidden"), [pid])
      // Not while it is being reset, which would fail and take it out before any validation.
      yield* Effect.repeat(Effect.yieldNow, { until: () => pool.admission.idle === 1 })
      yield* observer.terminate(pid)
      assert.deepStrictEqual(yield* sql`SELECT 1 AS one`, [{ one: 1 }])
      assert.strictEqual(pool.admission.observer.destroyed.validationFailed, 1)
    })
  )
})
