import { assert } from "@effect/vitest"
import { PostgresPool } from "@effect-pools/postgres"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import type { SqlError } from "effect/sql/SqlError"
import { expectTyped } from "./fire.support.ts"

// The retries that the documentation of `PostgresPool.isSafeToRetry` shows -------------------------------------------

const patience = Schedule.min([Schedule.exponential("10 millis"), Schedule.spaced("1 second")]).pipe(
  Schedule.jittered,
  Schedule.upTo({ duration: "10 seconds" })
)

/** For anything: repeated only if nothing of it was sent. */
export const retryUnsent = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.retry(self, { while: PostgresPool.isSafeToRetry, schedule: patience })

const undone = ["DeadlockError", "SerializationError", "LockTimeoutError"]

/** For a `withTransaction` in which nothing commits by itself: repeated also if the server has undone it. */
export const retryUndone = <A, R>(transaction: Effect.Effect<A, SqlError, R>) =>
  Effect.retry(transaction, {
    while: (error) => PostgresPool.isSafeToRetry(error) || undone.includes(error.reason._tag),
    schedule: patience
  })

/** For reads, and for what has a key under which it is done only once. */
const retryKeyed = <A, R>(self: Effect.Effect<A, SqlError, R>) =>
  Effect.retry(self, { while: (error) => error.isRetryable, schedule: patience })

// Load that keeps books ----------------------------------------------------------------------------------------------

const kinds = ["keyed", "unkeyed", "keyed", "read", "hurried"] as const

type Kind = (typeof kinds)[number]

/** What the one who asked was told. */
type Answer = "done" | "too late" | SqlError

/**
 * Requests of several kinds. What the database has done of them can be counted: each has a key, and leaves one row more
 * each time that it is done.
 */
export const makeShop = (pool: PostgresPool.PostgresPool) =>
  Effect.gen(function* () {
    const sql = pool.client
    const name = pool.name.replaceAll(/\W/g, "_")
    const keys = sql(`${name}_keys`)
    const table = sql(`${name}_done`)
    yield* sql`CREATE TABLE ${keys} (key text PRIMARY KEY)`
    yield* sql`CREATE TABLE ${table} (key text)`
    const done = (key: string) => sql`INSERT INTO ${table} SELECT ${key} FROM pg_sleep(0.01)`

    /**
     * Safe to repeat whatever has become of an earlier attempt, a COMMIT whose answer was lost included: the key is
     * unique, so either that transaction was rolled back, key and all, and this one does the work; or it was committed,
     * and this one finds the key and does nothing. If it still goes on, in a session that nobody holds any more, the
     * INSERT of the key waits for its end.
     */
    const keyed = (key: string) =>
      retryKeyed(
        sql.withTransaction(
          Effect.gen(function* () {
            const taken = yield* sql`INSERT INTO ${keys} VALUES (${key}) ON CONFLICT DO NOTHING RETURNING key`
            // A session can end between two statements too.
            yield* Effect.sleep("2 millis")
            if (taken.length === 1) yield* done(key)
          })
        )
      )

    const requests: Record<Kind, (key: string) => Effect.Effect<Answer, SqlError>> = {
      keyed: (key) => Effect.as(keyed(key), "done"),
      // Would be done twice if it were repeated after it had been sent.
      unkeyed: (key) => Effect.as(retryUnsent(done(key)), "done"),
      // There is nothing in it to be done twice.
      read: () => Effect.as(retryKeyed(sql`SELECT count(*) FROM (SELECT FROM ${table} LIMIT 100) AS first`), "done"),
      // Not repeated at all.
      hurried: (key) =>
        Effect.map(Effect.timeoutOption(done(key), "50 millis"), ({ _tag }) => (_tag === "Some" ? "done" : "too late"))
    }

    const asked: Array<{ readonly key: string; readonly kind: Kind; readonly answer: Answer }> = []
    let last = 0
    const request = (kind: Kind) =>
      Effect.suspend(() => {
        const key = `${kind} ${++last}`
        return Effect.map(Effect.exit(requests[kind](key)), (exit) => {
          expectTyped(exit)
          asked.push({ key, kind, answer: Exit.isSuccess(exit) ? exit.value : (Cause.squash(exit.cause) as SqlError) })
        })
      })

    /** So many fibers, each with one request after the other, until it is enough. */
    const load = (fibers: number, isEnough: () => boolean) =>
      Effect.forEach(
        Array.from({ length: fibers }, (_, n) => kinds[n % kinds.length]!),
        (kind) =>
          // Those in a hurry don't come again at once: while the breaker is open they are refused at once.
          Effect.repeat(kind === "hurried" ? Effect.andThen(request(kind), Effect.sleep("10 millis")) : request(kind), {
            until: isEnough
          }),
        { concurrency: "unbounded", discard: true }
      )

    /** What was answered against what was done. */
    const balance = Effect.gen(function* () {
      const rows = yield* sql<{
        key: string
        times: number
      }>`SELECT key, count(*)::int AS times FROM ${table} GROUP BY 1`
      const times = new Map(rows.map((row) => [row.key, row.times]))
      const result = { requests: asked.length, failed: 0, "too late": 0, "done all the same": 0, "done twice": 0 }
      for (const { answer, key, kind } of asked) {
        const count = times.get(key) ?? 0
        times.delete(key)
        if (count > 1) result["done twice"]++
        if (answer === "done") {
          if (kind !== "read") assert.isAtLeast(count, 1, `${key} was confirmed, and lost`)
          continue
        }
        if (answer === "too late") result["too late"]++
        else {
          result.failed++
          expectHonest(answer, kind, count)
        }
        if (count > 0) result["done all the same"]++
      }
      assert.deepStrictEqual(Array.from(times), [])
      return result
    })

    const timesDone = (key: string) => Effect.map(sql`SELECT FROM ${table} WHERE key = ${key}`, ({ length }) => length)

    return { asked, balance, done, keyed, load, timesDone }
  })

/** Everything that the retries may repeat has succeeded, and no error says of what was done that it was not. */
const expectHonest = (error: SqlError, kind: Kind, count: number): void => {
  const said = `${kind}: ${error.message}`
  if (kind === "hurried" && PostgresPool.isSafeToRetry(error)) return assert.strictEqual(count, 0, said)
  assert.include(["unkeyed", "hurried"], kind, said)
  assert.strictEqual(error.reason._tag, "ConnectionError", said)
  assert.strictEqual(error.reason.operation, "query", said)
}
