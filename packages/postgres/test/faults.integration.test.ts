import type { PgConnection } from "@effect/sql-pg"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { ConnectionPool } from "@effect-pools/connection"
import { PostgresPool } from "@effect-pools/postgres"
import type { PoolError } from "@effect-pools/core"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import { vi } from "vitest"
import { listen, makeProxy } from "./proxy.ts"
import { freePort, observe, type Server, startServer } from "./server.ts"

let server: Server
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.stop())

let pools = 0

/** A pool with a name of its own, by which the server tells its sessions from others. */
const makePool = (options: PostgresPool.Options = {}) =>
  PostgresPool.make({ url: server.url, name: `pool ${++pools}`, ...options }).pipe(
    Effect.provide(Reactivity.layer),
    // Faults are the point here, and the pool tells of each.
    Effect.provideService(References.MinimumLogLevel, "None")
  )

const connections = (pool: PostgresPool.PostgresPool) => ConnectionPool.connections(pool)

const pidOf = (connection: PgConnection.PgConnection) => Effect.succeed(connection.processId)

/** Ends when the pool has come to this. It is looked at whenever anything else had its turn. */
const eventually = (condition: () => boolean) => Effect.repeat(Effect.yieldNow, { until: condition })

/** Ends when a session of the pool is busy; its process id. */
const busyBackend = (observer: Effect.Success<ReturnType<typeof observe>>, name: string) =>
  Effect.map(
    Effect.repeat(
      observer.query("SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND wait_event = 'PgSleep'", [name]),
      { until: ({ rows }) => rows.length > 0 }
    ),
    ({ rows }) => Number(rows[0]!["pid"])
  )

describe("sessions of the server", () => {
  it.live("64 fibers on a pool of 10 never have more than 10, with connections replaced all the time", () =>
    Effect.gen(function* () {
      const observer = yield* observe(server)
      const pool = yield* makePool({ max: 10, maxUses: 5, maxCreating: 10 })
      const sql = pool.client
      let most = 0
      let samples = 0
      const sampler = yield* Effect.forkChild(
        Effect.forever(
          Effect.map(observer.backends(pool.name), (pids) => {
            samples++
            most = Math.max(most, pids.length)
          })
        )
      )
      const request = (n: number): Effect.Effect<unknown, unknown> => {
        switch (n % 4) {
          case 0:
            return sql`SELECT pg_sleep(0.002)`
          case 1:
            return sql.withTransaction(sql`SELECT ${n}::int`)
          case 2:
            return Stream.runDrain(sql`SELECT generate_series(1, 100)`.stream)
          default:
            return Effect.timeoutOption(sql`SELECT pg_sleep(1)`, "5 millis")
        }
      }
      const load = Effect.forEach(
        Array.from({ length: 800 }, (_, n) => n),
        request,
        { concurrency: 64, discard: true }
      )
      // However fast the load is done with, the sampler has looked at it.
      yield* Effect.repeat(load, { until: () => samples >= 20 })
      assert.isAtMost(most, 10)
      // Every fourth is given up, maybe before it had a connection; the others took one of five uses each.
      assert.isAtLeast(pool.admission.observer.created, 600 / 5)
      // The sampler sees what there is, and so would have seen too many.
      yield* Effect.scoped(
        Effect.andThen(
          Effect.replicateEffect(ConnectionPool.get(pool), 10),
          eventually(() => most === 10)
        )
      )
      yield* Fiber.interrupt(sampler)
    })
  )

  it.live("one that takes long to end keeps its place until it has ended", () =>
    Effect.gen(function* () {
      const pool = yield* makePool({ max: 1, maxUses: 1 })
      const sql = pool.client
      for (let round = 0; round < 3; round++) {
        // To be dropped by the server when the session ends.
        yield* sql.unsafe(`DO $$ BEGIN
          FOR n IN 1..300 LOOP EXECUTE format('CREATE TEMPORARY TABLE t%s (n int)', n); END LOOP;
        END $$`)
        const sessions = yield* sql`SELECT count(*)::int AS count FROM pg_stat_activity
          WHERE application_name = ${pool.name}`
        assert.deepStrictEqual(sessions, [{ count: 1 }])
      }
    })
  )

  it.live("none is left when the layer has closed", () =>
    Effect.gen(function* () {
      const observer = yield* observe(server)
      const name = `pool ${++pools}`
      yield* Effect.gen(function* () {
        const { client: sql } = yield* PostgresPool.PostgresPool
        yield* Effect.all(
          Array.from({ length: 8 }, () => sql`SELECT pg_sleep(0.01)`),
          { concurrency: 8 }
        )
        assert.isNotEmpty(yield* observer.backends(name))
      }).pipe(Effect.provide(PostgresPool.layer({ url: server.url, name, max: 8 })))
      assert.deepStrictEqual(yield* observer.backends(name), [])
    })
  )

  it.live("a busy one is ended, statement and all, when the grace of a close is over", () =>
    Effect.gen(function* () {
      const observer = yield* observe(server)
      const scope = yield* Scope.make()
      const pool = yield* Scope.provide(makePool({ closeGrace: 0, max: 20, maxCreating: 20 }), scope)
      const sql = pool.client
      const sleep = sql`SELECT pg_sleep(60)`
      const statements: ReadonlyArray<Effect.Effect<unknown, SqlError>> = [
        sleep,
        sleep.raw,
        sleep.values,
        sleep.unprepared,
        Stream.runDrain(sleep.stream),
        sql.withTransaction(sleep),
        sql.withTransaction(sql.withTransaction(sleep)),
        Effect.scoped(Effect.flatMap(sql.reserve, (connection) => connection.executeRaw("SELECT pg_sleep(60)", [])))
      ]
      const sleepers = yield* Effect.forEach(statements, (statement) => Effect.forkChild(Effect.flip(statement)))
      // This one has its connection, and nothing runs on it when it goes.
      const between = yield* Effect.forkChild(
        Effect.flip(
          sql.withTransaction(
            Effect.andThen(
              eventually(() => pool.admission.hasEnded),
              sql`SELECT 1`
            )
          )
        )
      )
      yield* eventually(() => pool.admission.used === statements.length + 1)
      yield* Effect.repeat(observer.asleep(pool.name), { until: (count) => count === statements.length })
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* observer.backends(pool.name), [])
      for (const error of yield* Effect.forEach([...sleepers, between], (fiber) => Fiber.join(fiber))) {
        assert.strictEqual(error.reason._tag, "ConnectionError")
        assert.strictEqual(error.isRetryable, false)
        assert.strictEqual((error.reason.cause as PoolError.PoolError).reason._tag, "Closed")
      }
    })
  )

  it.live("one that fails while the grace of a close lasts fails with its own error", () =>
    Effect.gen(function* () {
      const observer = yield* observe(server)
      const scope = yield* Scope.make()
      const pool = yield* Scope.provide(makePool(), scope)
      const sleepers = yield* Effect.forEach([0, 1], () =>
        Effect.forkChild(Effect.flip(pool.client`SELECT pg_sleep(60)`))
      )
      yield* Effect.repeat(observer.asleep(pool.name), { until: (count) => count === 2 })
      const close = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* eventually(() => pool.admission.lifecycle === "closed")
      const [first, second] = yield* observer.backends(pool.name)
      yield* observer.query("SELECT pg_cancel_backend($1)", [first])
      yield* observer.terminate(second!)
      const tags = yield* Effect.forEach(sleepers, (sleeper) =>
        Effect.map(Fiber.join(sleeper), ({ reason }) => [reason._tag, String(reason.cause)] as const)
      )
      assert.sameMembers(
        tags.map(([tag]) => tag),
        ["StatementTimeoutError", "ConnectionError"]
      )
      for (const [, cause] of tags) assert.notInclude(cause, "is closed")
      yield* Fiber.join(close)
    })
  )

  it.live("they show the pool's name, unless the application has given another", () =>
    Effect.gen(function* () {
      const shown = (options: PostgresPool.Options) =>
        Effect.gen(function* () {
          const { client: sql } = yield* makePool(options)
          const [row] = yield* sql<{ name: string }>`SELECT current_setting('application_name') AS name`
          return row!.name
        }).pipe(Effect.scoped)
      assert.strictEqual(yield* shown({ name: undefined, database: "postgres" }), "postgres/postgres")
      assert.strictEqual(yield* shown({ applicationName: "mine" }), "mine")
      assert.strictEqual(yield* shown({ startupParameters: { Application_Name: "theirs" } }), "theirs")
      const url = Redacted.make(`${Redacted.value(server.url)}?application_name=ours`)
      assert.strictEqual(yield* shown({ url }), "ours")
    })
  )
})

describe("a session that the server ends", () => {
  it.live("while idle is never handed out again", () =>
    Effect.gen(function* () {
      const observer = yield* observe(server)
      // Nothing is ever validated: only the session itself can tell.
      const pool = yield* makePool({ validateAfterIdle: "Infinity", health: false, min: 0, max: 3 })
      // All at the same time: one that is back serves the next caller.
      yield* Effect.scoped(Effect.replicateEffect(ConnectionPool.get(pool), 3))
      yield* eventually(() => pool.admission.idle === 3)
      const pids = yield* observer.backends(pool.name)
      assert.strictEqual(pids.length, 3)
      yield* Effect.forEach(pids, observer.terminate)
      // The answer to the last termination may overtake the end of the sessions, on another connection.
      yield* eventually(() => pool.admission.idle === 0)
      assert.strictEqual(pool.admission.observer.destroyed.invalidated, 3)
      const pid = yield* ConnectionPool.use(pool, pidOf)
      assert.notInclude(pids, pid)
    })
  )

  it.live("while busy fails its statement with a typed error and is not used again", () =>
    Effect.gen(function* () {
      const observer = yield* observe(server)
      const pool = yield* makePool({ max: 1 })
      const sleeper = yield* Effect.forkChild(Effect.flip(pool.client`SELECT pg_sleep(60)`))
      const pid = yield* busyBackend(observer, pool.name)
      yield* observer.terminate(pid)
      const error = yield* Fiber.join(sleeper)
      assert.strictEqual(error.reason._tag, "ConnectionError")
      assert.strictEqual(error.isRetryable, true)
      assert.notStrictEqual(yield* ConnectionPool.use(pool, pidOf), pid)
    })
  )

  it.live("within a transaction fails it with an error worth a retry, nested or not, and the pool goes on", () =>
    Effect.gen(function* () {
      const observer = yield* observe(server)
      const pool = yield* makePool({ max: 1 })
      const sql = pool.client
      const between = Effect.gen(function* () {
        const [row] = yield* sql<{ pid: number }>`SELECT pg_backend_pid() AS pid`
        yield* observer.terminate(row!.pid)
        yield* sql`SELECT 1`
      })
      const within = Effect.gen(function* () {
        yield* Effect.forkChild(Effect.flatMap(busyBackend(observer, pool.name), observer.terminate))
        yield* sql`SELECT pg_sleep(60)`
      })
      for (const body of [between, within]) {
        const transaction = sql.withTransaction(body)
        for (const each of [transaction, sql.withTransaction(transaction)]) {
          const exit = yield* Effect.exit(each)
          assert.isTrue(Exit.hasFails(exit), String(exit))
          assert.isFalse(Exit.hasDies(exit), String(exit))
          const error = Cause.squash((exit as Exit.Failure<unknown, SqlError>).cause) as SqlError
          assert.strictEqual(error.reason._tag, "ConnectionError")
          assert.isTrue(error.isRetryable)
          assert.deepStrictEqual(yield* sql`SELECT 1 AS one`, [{ one: 1 }])
        }
      }
    })
  )

  it.live("while listened on fails the listener's queue", () =>
    Effect.gen(function* () {
      const observer = yield* observe(server)
      const pool = yield* makePool()
      const queue = yield* pool.client.listen("news")
      const [connection] = yield* connections(pool)
      yield* observer.terminate(connection!.connection.processId)
      const error = yield* Effect.flip(Queue.take(queue))
      assert.match(String((error as SqlError).reason.cause), /terminating connection/)
    }).pipe(Effect.scoped)
  )

  it.live("again and again, under load, costs no more than the statements it runs", () =>
    Effect.gen(function* () {
      const observer = yield* observe(server)
      const pool = yield* makePool({ max: 8, maxCreating: 4 })
      const sql = pool.client
      let most = 0
      let isOver = false
      const killed: Array<number> = []
      const strike = Effect.gen(function* () {
        const pids = yield* observer.backends(pool.name)
        most = Math.max(most, pids.length)
        const pid = pids[killed.length % 8]
        if (pid === undefined) return
        killed.push(pid)
        yield* observer.terminate(pid)
      })
      const storm = yield* Effect.forkChild(Effect.repeat(strike, { until: () => isOver }))
      const exits: Array<Exit.Exit<unknown, unknown>> = []
      const requests = [sql`SELECT pg_sleep(0.003)`, sql.withTransaction(sql`SELECT pg_sleep(0.001)`)]
      yield* Effect.forEach(
        Array.from({ length: 32 }, (_, n) => requests[n % 2]!),
        (request) =>
          Effect.repeat(
            Effect.map(Effect.exit(request), (exit) => exits.push(exit)),
            { until: () => killed.length >= 20 && exits.length >= 100 }
          ),
        { concurrency: 32 }
      )
      isOver = true
      yield* Fiber.join(storm)
      assert.isAtMost(most, 8)
      for (const exit of exits) {
        if (Exit.isSuccess(exit)) continue
        assert.isFalse(Exit.hasDies(exit), String(exit))
        assert.isTrue(isSqlError(Cause.squash(exit.cause)), String(exit))
      }
      const failed = exits.filter(Exit.isFailure).length
      assert.isAtMost(failed, killed.length)
      // The answer to the last termination may overtake the end of that session.
      yield* Effect.repeat(connections(pool), {
        until: (left) => left.every(({ connection }) => !killed.includes(connection.processId))
      })
      assert.deepStrictEqual(yield* sql`SELECT 1 AS one`, [{ one: 1 }])
      assert.strictEqual(pool.admission.used, 0)
      assert.strictEqual(pool.admission.pending, 0)
    })
  )

  it.live("is found by validation if sql-pg does not tell", () =>
    Effect.gen(function* () {
      const observer = yield* observe(server)
      const pool = yield* makePool({ max: 1, validateAfterIdle: 0, health: false })
      const pid = yield* ConnectionPool.use(pool, (connection) => {
        withoutHooks(connection)
        return pidOf(connection)
      })
      yield* observer.terminate(pid)
      assert.deepStrictEqual(yield* pool.client`SELECT 1 AS one`, [{ one: 1 }])
      assert.strictEqual(pool.admission.observer.destroyed.validationFailed, 1)
    })
  )

  it.live("is found by the first statement that fails if nothing else tells", () =>
    Effect.gen(function* () {
      const observer = yield* observe(server)
      const pool = yield* makePool({ max: 1, validateAfterIdle: "Infinity", health: false })
      const pid = yield* ConnectionPool.use(pool, (connection) => {
        withoutHooks(connection)
        return pidOf(connection)
      })
      yield* observer.terminate(pid)
      const error = yield* Effect.flip(pool.client`SELECT 1`)
      assert.match(String(error.reason.cause), /terminating connection|Connection closed/)
      assert.strictEqual(pool.admission.observer.destroyed.unhealthy, 1)
      assert.deepStrictEqual(yield* pool.client`SELECT 1 AS one`, [{ one: 1 }])
    })
  )
})

const bytesWritten = (connection: PgConnection.PgConnection): Effect.Effect<number> =>
  Effect.sync(() => (connection as any).session.socket.bytesWritten)

const withoutHooks = (connection: PgConnection.PgConnection): void =>
  (connection as any)["~@effect/sql-pg/PgConnection/internals"].retireHooks.clear()

describe("an interrupted statement", () => {
  it.live("is cancelled on the server, and the next statement is not", () =>
    Effect.gen(function* () {
      const observer = yield* observe(server)
      const pool = yield* makePool({ max: 1 })
      const sql = pool.client
      for (let round = 0; round < 20; round++) {
        const sleeper = yield* Effect.forkChild(sql`SELECT pg_sleep(60)`)
        yield* busyBackend(observer, pool.name)
        yield* Fiber.interrupt(sleeper)
        const after = yield* Effect.all([sql`SELECT 1 AS one`, sql`SELECT pg_sleep(0.01) IS NULL AS no`])
        assert.deepStrictEqual(after, [[{ one: 1 }], [{ no: false }]])
      }
      // All of them had been confirmed, so that one session served.
      assert.strictEqual(pool.admission.observer.created, 1)
    })
  )

  it.live("whose cancellation comes too late does not have it hit the next statement", () =>
    Effect.gen(function* () {
      const pool = yield* makePool({ max: 4 })
      const sql = pool.client
      // From shorter than the 10 ms that sql-pg waits before it cancels to longer, so that some cancels come too late.
      const request = (n: number) => Effect.timeoutOption(sql`SELECT pg_sleep(${0.005 + (n % 40) / 2000})`, "2 millis")
      const next = sql`SELECT pg_sleep(0.001) IS NULL AS no`
      const results = yield* Effect.forEach(
        Array.from({ length: 400 }, (_, n) => n),
        (n) => Effect.andThen(request(n), Effect.exit(next)),
        { concurrency: 4 }
      )
      assert.deepStrictEqual(results.filter(Exit.isFailure), [])
    })
  )
})

describe("a transaction that is left behind", () => {
  const inTransaction = (pool: PostgresPool.PostgresPool) =>
    ConnectionPool.use(pool, (connection) =>
      Effect.map(
        connection.queryValues("SELECT pg_current_xact_id_if_assigned() IS NOT NULL, count(*) FROM left_behind"),
        ([row]) => ({ open: row![0], rows: Number(row![1]), pid: connection.processId })
      )
    )
  const leave = (last: string) => (connection: PgConnection.PgConnection) =>
    Effect.gen(function* () {
      yield* connection.query("BEGIN")
      yield* connection.query("INSERT INTO left_behind VALUES (1)")
      yield* Effect.exit(connection.query(last))
      return connection.processId
    })
  const prepare = (options: PostgresPool.Options = {}) =>
    Effect.gen(function* () {
      const pool = yield* makePool({ max: 1, ...options })
      yield* pool.client`DROP TABLE IF EXISTS left_behind`
      yield* pool.client`CREATE TABLE left_behind (n int)`
      return pool
    })

  it.live("open, is rolled back before the next holder comes", () =>
    Effect.gen(function* () {
      const pool = yield* prepare()
      const pid = yield* ConnectionPool.use(pool, leave("SELECT 1"))
      assert.deepStrictEqual(yield* inTransaction(pool), { open: false, rows: 0, pid })
    })
  )

  it.live("is told of, with the names of pool and session", () =>
    Effect.gen(function* () {
      const told: Array<unknown> = []
      const logger = Logger.make(({ message }) => void told.push(message))
      const pool = yield* PostgresPool.make({ url: server.url, name: "told", max: 1 }).pipe(
        Effect.provide([Reactivity.layer, Logger.layer([logger])])
      )
      const pid = yield* ConnectionPool.use(pool, (connection) =>
        Effect.as(connection.query("BEGIN"), connection.processId)
      )
      yield* pool.client`SELECT 1`
      assert.strictEqual(told.length, 1)
      assert.include(String(told[0]), 'Pool "told"')
      assert.include(String(told[0]), `session ${pid} `)
    })
  )

  it.live("aborted, is rolled back before the next holder comes", () =>
    Effect.gen(function* () {
      const pool = yield* prepare()
      const pid = yield* ConnectionPool.use(pool, leave("SELEKT"))
      assert.deepStrictEqual(yield* inTransaction(pool), { open: false, rows: 0, pid })
    })
  )

  it.live("by a holder that fails, dies or is interrupted, is rolled back too", () =>
    Effect.gen(function* () {
      const pool = yield* prepare()
      for (const end of [Effect.fail("no"), Effect.die("no"), Effect.interrupt]) {
        yield* Effect.exit(ConnectionPool.use(pool, (connection) => Effect.andThen(leave("SELECT 1")(connection), end)))
        assert.deepInclude(yield* inTransaction(pool), { open: false, rows: 0 })
      }
    })
  )

  it.live("on a reserved connection, is rolled back", () =>
    Effect.gen(function* () {
      const pool = yield* prepare()
      yield* Effect.scoped(
        Effect.gen(function* () {
          const connection = yield* pool.client.reserve
          yield* connection.executeRaw("BEGIN", [])
          yield* connection.executeRaw("INSERT INTO left_behind VALUES (1)", [])
        })
      )
      assert.deepInclude(yield* inTransaction(pool), { open: false, rows: 0 })
    })
  )

  it.live("by plain statements, is rolled back after the first of them", () =>
    Effect.gen(function* () {
      const pool = yield* prepare()
      yield* pool.client`BEGIN`
      yield* pool.client`INSERT INTO left_behind VALUES (1)`
      assert.deepInclude(yield* inTransaction(pool), { open: false, rows: 1 })
    })
  )

  it.live("is not missed when the server's answer comes in pieces", () =>
    Effect.gen(function* () {
      const proxy = yield* makeProxy(server, { chunk: 3 })
      const pool = yield* prepare({ url: undefined, ...server.config, port: proxy.port })
      const pid = yield* ConnectionPool.use(pool, leave("SELECT 1"))
      assert.deepStrictEqual(yield* inTransaction(pool), { open: false, rows: 0, pid })
      yield* ConnectionPool.use(pool, leave("SELEKT"))
      assert.deepStrictEqual(yield* inTransaction(pool), { open: false, rows: 0, pid })
      // And where there is none, none is seen.
      const before = yield* ConnectionPool.use(pool, bytesWritten)
      const after = yield* ConnectionPool.use(pool, bytesWritten)
      assert.strictEqual(after, before)
    })
  )

  it.live("takes no round trip to rule out where there was none", () =>
    Effect.gen(function* () {
      const pool = yield* makePool({ max: 1 })
      const round = (connection: PgConnection.PgConnection) => connection.query("SELECT 1")
      yield* ConnectionPool.use(pool, round)
      const before = yield* ConnectionPool.use(pool, bytesWritten)
      yield* ConnectionPool.use(pool, round)
      const between = yield* ConnectionPool.use(pool, bytesWritten)
      yield* ConnectionPool.use(pool, (connection) => Effect.andThen(round(connection), round(connection)))
      const after = yield* ConnectionPool.use(pool, bytesWritten)
      assert.strictEqual(after - between, 2 * (between - before))
    })
  )

  it.live("a statement that outlives its lease takes its session with it", () =>
    Effect.gen(function* () {
      const observer = yield* observe(server)
      const pool = yield* makePool({ max: 1 })
      const pid = yield* ConnectionPool.use(pool, (connection) =>
        Effect.gen(function* () {
          yield* Effect.forkDetach(Effect.exit(connection.query("SELECT pg_sleep(60)")), { startImmediately: true })
          return connection.processId
        })
      )
      assert.notStrictEqual(yield* ConnectionPool.use(pool, pidOf), pid)
      assert.notInclude(yield* observer.backends(pool.name), pid)
    })
  )

  it.live("a statement does so also if the server has not read it when it is asked to cancel it", () =>
    Effect.gen(function* () {
      const observer = yield* observe(server)
      let attempts = 0
      const refuses = () => {
        attempts++
        return false
      }
      const proxy = yield* makeProxy(server, { refuses })
      const pool = yield* makePool({ url: undefined, ...server.config, port: proxy.port, max: 1 })
      const pid = yield* ConnectionPool.use(pool, pidOf)
      yield* Effect.acquireUseRelease(
        Effect.sync(() => process.kill(pid, "SIGSTOP")),
        () =>
          Effect.gen(function* () {
            yield* ConnectionPool.use(pool, (connection) =>
              Effect.forkDetach(Effect.exit(connection.query("SELECT pg_sleep(60)")), { startImmediately: true })
            )
            // The session's, and two that ask to cancel.
            yield* eventually(() => attempts >= 3)
          }),
        () => Effect.sync(() => process.kill(pid, "SIGCONT"))
      )
      assert.notStrictEqual(yield* ConnectionPool.use(pool, pidOf), pid)
      assert.notInclude(yield* observer.backends(pool.name), pid)
    })
  )
})

describe("reset", () => {
  const dirty = (connection: PgConnection.PgConnection) =>
    Effect.gen(function* () {
      yield* connection.query("SET statement_timeout = 12345")
      yield* connection.query("CREATE TEMPORARY TABLE scratch (n int)")
      yield* connection.query("SELECT pg_advisory_lock(42)")
      yield* connection.query("LISTEN somewhere")
      yield* connection.query("DECLARE c CURSOR WITH HOLD FOR SELECT 1")
      yield* connection.query("SET ROLE pg_monitor")
      return connection.processId
    })
  const state = (connection: PgConnection.PgConnection) =>
    Effect.map(
      connection.queryValues(`SELECT current_setting('statement_timeout'), to_regclass('pg_temp.scratch') IS NULL,
        (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory'), (SELECT count(*)::int FROM pg_listening_channels()),
        (SELECT count(*)::int FROM pg_cursors WHERE name = 'c'), current_user = session_user`),
      ([row]) => row
    )

  it.live("true hands out sessions as good as new", () =>
    Effect.gen(function* () {
      const pool = yield* makePool({ max: 1, reset: true })
      const pid = yield* ConnectionPool.use(pool, dirty)
      assert.deepStrictEqual(yield* ConnectionPool.use(pool, state), ["0", true, 0, 0, 0, true])
      assert.strictEqual(yield* ConnectionPool.use(pool, pidOf), pid)
    })
  )

  it.live("true leaves the prepared statements alone, on which transactions depend", () =>
    Effect.gen(function* () {
      const pool = yield* makePool({ max: 1, reset: true })
      const sql = pool.client
      for (let round = 0; round < 3; round++) {
        assert.deepStrictEqual(yield* sql.withTransaction(sql`SELECT ${1}::int AS one`), [{ one: 1 }])
      }
      assert.strictEqual(pool.admission.observer.created, 1)
    })
  )

  it.live("an effect of the application's runs after the rollback", () =>
    Effect.gen(function* () {
      const pool = yield* makePool({ max: 1, reset: (connection) => connection.query("DISCARD ALL") })
      const pid = yield* ConnectionPool.use(pool, (connection) =>
        Effect.as(connection.query("BEGIN"), connection.processId)
      )
      assert.strictEqual(yield* ConnectionPool.use(pool, pidOf), pid)
    })
  )
})

describe("a database that can't be connected to", () => {
  it.live("with a wrong password fails with AuthenticationError, after one attempt", () =>
    Effect.gen(function* () {
      const pool = yield* makePool({ password: Redacted.make("wrong") })
      const error = yield* Effect.flip(pool.client`SELECT 1`)
      assert.strictEqual(error.reason._tag, "AuthenticationError")
      assert.strictEqual(error.isRetryable, false)
      assert.strictEqual(pool.admission.observer.createFailed, 1)
    })
  )

  it.live("because there is none of that name fails with what the server says, after one attempt", () =>
    Effect.gen(function* () {
      const pool = yield* makePool({ database: "nowhere" })
      const error = yield* Effect.flip(pool.client`SELECT 1`)
      assert.match(String((error.reason.cause as Error).message), /"nowhere" does not exist/)
      assert.strictEqual(pool.admission.observer.createFailed, 1)
    })
  )

  it.live("because nobody listens fails with ConnectionError when the deadline is over", () =>
    Effect.gen(function* () {
      const port = yield* Effect.promise(freePort)
      const pool = yield* makePool({ port, acquireTimeout: "1 second" })
      const error = yield* Effect.flip(pool.client`SELECT 1`)
      assert.strictEqual(error.reason._tag, "ConnectionError")
      assert.strictEqual((error.reason.cause as { code?: string }).code, "ECONNREFUSED")
    })
  )

  it.live("because it never answers fails within the deadline", () =>
    Effect.gen(function* () {
      const { port } = yield* silence
      const pool = yield* makePool({
        url: undefined,
        host: "127.0.0.1",
        port,
        username: "x",
        acquireTimeout: "100 millis"
      })
      const error = yield* Effect.flip(pool.client`SELECT 1`)
      assert.strictEqual(error.reason._tag, "ConnectionError")
    })
  )

  it.live("because the settings can't be used fails with a SqlError that says so, after one attempt", () =>
    Effect.gen(function* () {
      const url = (text: string): PostgresPool.Options => ({ url: Redacted.make(text) })
      for (const [options, said] of [
        [url("nonsense"), /URL/],
        [url("mysql://localhost/db"), /URL/],
        [url("postgres://localhost:5432/%zz"), /URL/],
        [url(`${Redacted.value(server.url)}?sslmode=bogus`), /sslmode/],
        [{ applicationName: "a\0b" }, /NUL/],
        [{ startupParameters: { user: "x" } }, /Reserved/],
        [{ port: 70_000 }, /Failed to connect/]
      ] as const) {
        const pool = yield* makePool(options)
        const error = yield* Effect.flip(pool.client`SELECT 1`)
        assert.strictEqual(error.reason._tag, "ConnectionError")
        assert.match(error.message, said)
        assert.strictEqual(pool.admission.observer.createFailed, 1, String(said))
      }
    })
  )

  it.live("because no user is named fails after one attempt", () =>
    Effect.gen(function* () {
      for (const name of ["USER", "USERNAME"]) vi.stubEnv(name, undefined)
      yield* Effect.addFinalizer(() => Effect.sync(() => vi.unstubAllEnvs()))
      const pool = yield* makePool({ url: undefined, ...server.config, username: undefined })
      const error = yield* Effect.flip(pool.client`SELECT 1`)
      assert.match(error.message, /No username/)
      assert.strictEqual(pool.admission.observer.createFailed, 1)
    })
  )

  it.live("because it has no TLS fails after one attempt", () =>
    Effect.gen(function* () {
      const pool = yield* makePool({ url: Redacted.make(`${Redacted.value(server.url)}?sslmode=require`) })
      const error = yield* Effect.flip(pool.client`SELECT 1`)
      assert.match(error.message, /refused TLS/)
      assert.strictEqual(pool.admission.observer.createFailed, 1)
    })
  )

  it.live("for now is tried again", () =>
    Effect.gen(function* () {
      const failing = { url: undefined, host: "127.0.0.1", username: "x" }
      const closing = yield* Effect.acquireRelease(
        Effect.promise(() => listen((socket) => socket.destroy())),
        ({ close }) => Effect.sync(close)
      )
      const { port: silent } = yield* silence
      for (const options of [
        { ...failing, port: yield* Effect.promise(freePort) },
        { ...failing, port: closing.port },
        { ...failing, port: silent, connectTimeout: "10 millis" },
        {
          ...failing,
          stream: () => {
            throw new Error("the tunnel is down")
          }
        }
      ] satisfies ReadonlyArray<PostgresPool.Options>) {
        const pool = yield* makePool(options)
        const waiting = yield* Effect.forkChild(pool.client`SELECT 1`, { startImmediately: true })
        yield* eventually(() => pool.admission.observer.createFailed > 1)
        yield* Fiber.interrupt(waiting)
      }
    })
  )

  it.live("until it is back serves again by itself", () =>
    Effect.gen(function* () {
      const proxy = yield* makeProxy(server)
      const pool = yield* makePool({ url: undefined, ...server.config, port: proxy.port, max: 2 })
      yield* pool.client`SELECT 1`
      proxy.cut()
      yield* eventually(() => pool.admission.idle === 0)
      const waiting = yield* Effect.forkChild(pool.client`SELECT 1 AS one`, { startImmediately: true })
      yield* eventually(() => pool.admission.observer.createFailed > 1)
      proxy.mend()
      assert.deepStrictEqual(yield* Fiber.join(waiting), [{ one: 1 }])
    })
  )
})

/** A server that accepts connections and says nothing. */
const silence = Effect.acquireRelease(
  Effect.promise(() => listen((_socket) => {})),
  ({ close }) => Effect.sync(close)
)
