/**
 * What the tests under fire share: how long they take, load that keeps books, watching the server, saying what was measured.
 */
import { assert } from "@effect/vitest"
import { ConnectionPool } from "@effect-pools/connection"
import { PostgresPool } from "@effect-pools/postgres"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as References from "effect/References"
import * as Schedule from "effect/Schedule"
import type { SqlError } from "effect/sql/SqlError"
import { observe, type Server } from "./server.ts"

/** With `POOL_LONG=1` in the environment the tests go on for longer. */
const isLong = process.env["POOL_LONG"] === "1"

export const inTheLongRun = <A>(normal: A, long: A): A => (isLong ? long : normal)

export const limit = { timeout: inTheLongRun(60_000, 600_000) }

let pools = 0

/** A pool with a name of its own, by which the server tells its sessions from others. */
export const makePool = (server: Server, options: PostgresPool.Options = {}) =>
  PostgresPool.make({ url: server.url, name: `fire ${++pools}`, ...options }).pipe(
    Effect.provide(Reactivity.layer),
    // Faults are the point here, and the pool tells of each.
    Effect.provideService(References.MinimumLogLevel, "None")
  )

/** The options that lead to the server by another way. */
export const through = (server: Server, port: number): PostgresPool.Options => ({
  url: undefined,
  ...server.config,
  port
})

// The retries that the documentation of `PostgresPool.isSafeToRetry` shows -------------------------------------------

const patience = Schedule.min([Schedule.exponential("10 millis"), Schedule.spaced("1 second")]).pipe(
  Schedule.jittered,
  Schedule.upTo({ duration: "10 seconds" })
)

/** For anything: repeated only if nothing of it has happened. */
export const retryUnsent = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.retry(self, { while: PostgresPool.isSafeToRetry, schedule: patience })

/** For reads, and for what has a key under which it is done only once. */
export const retryKeyed = <A, R>(self: Effect.Effect<A, SqlError, R>) =>
  Effect.retry(self, { while: (error) => error.isRetryable, schedule: patience })

// Measuring ----------------------------------------------------------------------------------------------------------

/** One line for each scenario. */
export const report = (scenario: string, measured: Readonly<Record<string, number | string>>): void => {
  const said = Object.entries(measured).map(
    ([what, value]) => `${what} ${typeof value === "number" ? round(value) : value}`
  )
  console.log(`fire: ${scenario}: ${said.join(", ")}`)
}

const round = (value: number): number => Math.round(value * 10) / 10

/** The most sessions that the server showed at one time, looked at again and again until the scope closes. */
export const watchSessions = (server: Server, name: string) =>
  Effect.gen(function* () {
    const seen = { most: 0, samples: 0 }
    // While the server is away there is nothing to see, and nobody to ask.
    const look = Effect.scoped(
      Effect.flatMap(observe(server), (observer) =>
        Effect.forever(
          Effect.andThen(
            Effect.map(observer.backends(name), ({ length }) => {
              seen.samples++
              seen.most = Math.max(seen.most, length)
            }),
            Effect.sleep("3 millis")
          )
        )
      )
    )
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.exit(look), Effect.sleep("20 millis"))))
    return seen
  })

/** Ends when the pool has come to this. It is looked at whenever anything else had its turn. */
export const eventually = (condition: () => boolean) => Effect.repeat(Effect.yieldNow, { until: condition })

/** Every one of `max` places works, all at the same time; and nothing is lost. */
export const expectHealthy = (pool: PostgresPool.PostgresPool) =>
  Effect.gen(function* () {
    const { admission } = pool
    yield* eventually(() => admission.used === 0)
    const pids = yield* Effect.scoped(
      Effect.gen(function* () {
        const connections = yield* Effect.all(
          Array.from({ length: admission.max }, () => ConnectionPool.get(pool)),
          { concurrency: "unbounded" }
        )
        return yield* Effect.forEach(
          connections,
          (connection) => Effect.map(connection.queryValues("SELECT pg_backend_pid()"), ([row]) => row![0]),
          { concurrency: "unbounded" }
        )
      })
    )
    assert.strictEqual(new Set(pids).size, admission.max)
    yield* eventually(() => admission.used === 0)
    const { acquired, created, destroyed, released } = admission.observer
    assert.strictEqual(acquired, released)
    assert.strictEqual(admission.pending, 0)
    const gone = Object.values(destroyed).reduce((sum, count) => sum + count, 0)
    assert.strictEqual(created - gone, admission.idle)
  })

/** Neither a defect nor an interruption. */
export const expectTyped = (exit: Exit.Exit<unknown, unknown>): void => {
  if (Exit.isSuccess(exit)) return
  assert.isFalse(Cause.hasDies(exit.cause), String(exit))
  assert.isFalse(Cause.hasInterrupts(exit.cause), String(exit))
}

// Load with books ----------------------------------------------------------------------------------------------------

/** How a write went, as the one who asked for it was told. */
interface Asked {
  readonly key: string
  readonly kind: Kind
  readonly error: SqlError | undefined
}

type Kind = "keyed" | "unkeyed" | "read"

/**
 * Requests of three kinds. What the database has done of them can be counted, for each leaves a row: one more for each time
 * that it was done.
 */
export const makeShop = (pool: PostgresPool.PostgresPool) =>
  Effect.gen(function* () {
    const sql = pool.client
    const table = `done_${pool.name.replaceAll(/\W/g, "_")}`
    yield* sql`CREATE TABLE ${sql(`${table}_keys`)} (key text PRIMARY KEY)`
    yield* sql`CREATE TABLE ${sql(table)} (key text)`
    const done = (key: string) => sql`INSERT INTO ${sql(table)} SELECT ${key} FROM pg_sleep(0.01)`
    const asked: Array<Asked> = []
    let last = 0

    /**
     * Safe to repeat whatever has become of an earlier attempt, a COMMIT whose answer was lost included: the key is unique, so
     * either its transaction was rolled back, key and all, and this one does the work; or it was committed, and this one finds
     * the key and does nothing. One that is still going on in a session that nobody holds any more is waited for by the INSERT.
     */
    const keyed = (key: string) =>
      retryKeyed(
        sql.withTransaction(
          Effect.gen(function* () {
            const taken =
              yield* sql`INSERT INTO ${sql(`${table}_keys`)} VALUES (${key}) ON CONFLICT DO NOTHING RETURNING key`
            // A session can end between two statements too.
            yield* Effect.sleep("2 millis")
            if (taken.length === 1) yield* done(key)
          })
        )
      )

    const requests: Record<Kind, (key: string) => Effect.Effect<unknown, SqlError>> = {
      keyed,
      /** Done twice if it were repeated after it had been sent. */
      unkeyed: (key) => retryUnsent(done(key)),
      /** Nothing to be done twice. */
      read: () => retryKeyed(sql`SELECT count(*) FROM (SELECT FROM ${sql(table)} LIMIT 100) AS first`)
    }

    const request = (kind: Kind) =>
      Effect.suspend(() => {
        const key = `${kind} ${++last}`
        return Effect.map(Effect.exit(requests[kind](key)), (exit) => {
          expectTyped(exit)
          asked.push({ key, kind, error: Exit.isSuccess(exit) ? undefined : (Cause.squash(exit.cause) as SqlError) })
        })
      })

    /** So many fibers, each with one request after the other, until it is enough. */
    const load = (fibers: number, isEnough: () => boolean) =>
      Effect.forEach(
        Array.from({ length: fibers }, (_, n) => kinds[n % kinds.length]!),
        (kind) => Effect.repeat(request(kind), { until: isEnough }),
        { concurrency: "unbounded", discard: true }
      )

    /** What was asked against what was done. */
    const balance = Effect.gen(function* () {
      const rows = yield* sql<{
        key: string
        times: number
      }>`SELECT key, count(*)::int AS times FROM ${sql(table)} GROUP BY 1`
      const times = new Map(rows.map((row) => [row.key, row.times]))
      const result = { requests: asked.length, failed: 0, "failed but done": 0, "done twice": 0 }
      for (const { error, key, kind } of asked) {
        const count = times.get(key) ?? 0
        if (count > 1) result["done twice"]++
        if (error === undefined) {
          if (kind !== "read") assert.isAtLeast(count, 1, `${key} was confirmed, and lost`)
          continue
        }
        assert.strictEqual(kind, "unkeyed", `${key} was not saved by its retries: ${error.message}`)
        // Nobody can tell whether it has been done, and that is what the error is to say.
        assert.strictEqual(error.reason._tag, "ConnectionError", String(error))
        assert.strictEqual(error.reason.operation, "query", String(error))
        result.failed++
        if (count > 0) result["failed but done"]++
      }
      assert.strictEqual(
        times.size,
        asked.filter(({ error, kind }) => kind !== "read" && error === undefined).length + result["failed but done"]
      )
      return result
    })

    return {
      asked,
      balance,
      done,
      keyed,
      load,
      requests,
      timesDone: (key: string) => Effect.map(sql`SELECT FROM ${sql(table)} WHERE key = ${key}`, ({ length }) => length)
    }
  })

const kinds: ReadonlyArray<Kind> = ["keyed", "unkeyed", "keyed", "read"]
