import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { PostgresPool } from "@effect-pools/postgres"
import { LeakCheck } from "@effect-pools/testing"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { SqlClient } from "effect/sql"
import { type Server, startServer } from "./server.ts"

let server: Server
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.stop())

class Orders extends PostgresPool.Service<Orders>()(
  "app/Orders",
  Effect.sync(() => ({ ...server.config, max: 2, closeGrace: "10 seconds" }))
) {}

describe("an application on a real server, checked for leaks", () => {
  it.live("has none in statements, transactions, reserved connections and streams", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* Effect.all([sql`SELECT 1`, sql`SELECT 2`, sql`SELECT 3`], { concurrency: "unbounded" })
      yield* sql.withTransaction(sql.withTransaction(sql`SELECT 4`))
      yield* Effect.exit(sql.withTransaction(Effect.andThen(sql`SELECT 5`, Effect.fail("rolled back"))))
      yield* Effect.scoped(Effect.andThen(sql.reserve, sql`SELECT 6`))
      yield* Effect.exit(Effect.timeout(sql`SELECT pg_sleep(60)`, "50 millis"))
    }).pipe(Effect.provide(Orders.layerClient), LeakCheck.run)
  )

  it.live("is told which line took the connection that did not come back, and is not held up by it", () =>
    Effect.gen(function* () {
      const test = Effect.gen(function* () {
        yield* Effect.provideService(Orders.get(), Scope.Scope, yield* Scope.make())
      })
      for (const layer of [Orders.layer, Orders.layerClient]) {
        const error = yield* Effect.flip(LeakCheck.run(Effect.provide(test, layer)))
        assert.instanceOf(error, LeakCheck.LeaksFound)
        assert.match(error.message, /Pool "app\/Orders" .*1 found\n.*lease 1 .* taken .*leaks\.integration\.test\.ts/)
      }
    })
  )
})
