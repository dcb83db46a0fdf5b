import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { PostgresPool } from "@effect-pools/postgres"
import * as Effect from "effect/Effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import { retryUndone, retryUnsent } from "./fire.shop.ts"
import { type Server, startServer } from "./server.ts"

let server: Server
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.stop())

let tables = 0

/** A client and a table with a row for each time that something was done. */
const setUp = Effect.gen(function* () {
  const { client: sql } = yield* PostgresPool.make({ url: server.url }).pipe(Effect.provide(Reactivity.layer))
  const table = `done_${++tables}`
  yield* sql`CREATE TABLE ${sql(table)} (n int)`
  const timesDone = Effect.map(sql`SELECT FROM ${sql(table)}`, ({ length }) => length)
  return { sql, table, timesDone }
})

describe("a statement that commits and then fails", () => {
  it.live("is not safe to retry when it was a procedure that took too long", () =>
    Effect.gen(function* () {
      const { timesDone, sql, table } = yield* setUp
      yield* sql.unsafe(`CREATE PROCEDURE ${table}_do() LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO ${table} VALUES (1); COMMIT; PERFORM pg_sleep(60); END $$`)
      const hasty = yield* PostgresPool.make({
        url: server.url,
        name: "hasty",
        startupParameters: { statement_timeout: "200ms" }
      }).pipe(Effect.provide(Reactivity.layer))
      const error = yield* Effect.flip(retryUnsent(hasty.client.unsafe(`CALL ${table}_do()`)))
      assert.strictEqual(error.reason._tag, "StatementTimeoutError")
      assert.isTrue(error.isRetryable)
      assert.isFalse(PostgresPool.isSafeToRetry(error))
      assert.strictEqual(yield* timesDone, 1)
    })
  )

  it.live("is not safe to retry when it was a DO block, whatever the server says", () =>
    Effect.gen(function* () {
      const { timesDone, sql, table } = yield* setUp
      const tags = []
      for (const state of ["40P01", "40001", "55P03", "57014"]) {
        const error = yield* Effect.flip(
          retryUnsent(
            sql.unsafe(`DO $$ BEGIN INSERT INTO ${table} VALUES (1); COMMIT; RAISE SQLSTATE '${state}'; END $$`)
          )
        )
        assert.isTrue(error.isRetryable)
        tags.push(error.reason._tag)
      }
      assert.deepStrictEqual(tags, ["DeadlockError", "SerializationError", "LockTimeoutError", "StatementTimeoutError"])
      assert.strictEqual(yield* timesDone, 4)
    })
  )
})

describe("a transaction that the server has undone", () => {
  it.live("is repeated by the retry that is documented for it, and done once", () =>
    Effect.gen(function* () {
      const { timesDone, sql, table } = yield* setUp
      const states = ["40P01", "40001", "55P03"]
      let attempts = 0
      yield* retryUndone(
        sql.withTransaction(
          Effect.gen(function* () {
            const state = states[attempts++]
            yield* sql.unsafe(`INSERT INTO ${table} VALUES (1)`)
            if (state !== undefined) yield* sql.unsafe(`DO $$ BEGIN RAISE SQLSTATE '${state}'; END $$`)
          })
        )
      )
      assert.strictEqual(attempts, 4)
      assert.strictEqual(yield* timesDone, 1)
    })
  )

  it.live("has no procedure or DO block in it that commits: the server refuses that", () =>
    Effect.gen(function* () {
      const { timesDone, sql, table } = yield* setUp
      const commit = sql.unsafe(`DO $$ BEGIN INSERT INTO ${table} VALUES (1); COMMIT; END $$`)
      const error = yield* Effect.flip(retryUndone(sql.withTransaction(commit)))
      assert.match(String(error.reason.cause), /invalid transaction termination/)
      assert.strictEqual(yield* timesDone, 0)
    })
  )
})
