import { PgConnection } from "@effect/sql-pg"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { PostgresPool } from "@effect-pools/postgres"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import { makeShop } from "./fire.shop.ts"
import {
  eventually,
  expectHealthy,
  inTheLongRun,
  limit,
  makePool,
  report,
  through,
  watchSessions
} from "./fire.support.ts"
import { makeProxy } from "./proxy.ts"
import { observe, type Server, startServer } from "./server.ts"

let server: Server
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.stop())

/** Ends a session of the pool, any of them, every 50 to 100 ms, busy or not. */
const terminateAtRandom = (name: string) =>
  Effect.gen(function* () {
    const observer = yield* observe(server)
    const storm = { terminated: 0 }
    const strike = Effect.gen(function* () {
      yield* Effect.sleep(yield* Random.nextIntBetween(50, 100))
      const { rows } = yield* observer.query(
        `SELECT pg_terminate_backend(pid) FROM
          (SELECT pid FROM pg_stat_activity WHERE application_name = $1 ORDER BY random() LIMIT 1) victim`,
        [name]
      )
      storm.terminated += rows.length
    })
    const fiber = yield* Effect.forkScoped(Effect.forever(strike))
    return { storm, end: Fiber.interrupt(fiber) }
  })

describe("sessions terminated at random every 50 to 100 ms, under 64 fibers on a pool of 10", () => {
  it.live(
    "fail typed and only what had been sent; with the documented retries all succeeds, and nothing is done twice",
    () =>
      Effect.gen(function* () {
        const pool = yield* makePool(server, { max: 10 })
        const shop = yield* makeShop(pool)
        const seen = yield* watchSessions(server, pool.name)
        const { end, storm } = yield* terminateAtRandom(pool.name)
        const enough = inTheLongRun(40, 1000)
        const isEnough = (): boolean => storm.terminated >= enough && seen.samples >= 50
        // Until some were hit, those that could not be repeated among them.
        yield* shop.load(64, () => isEnough() && shop.asked.some(({ answer }) => typeof answer === "object"))
        yield* end
        yield* expectHealthy(pool)
        const balance = yield* shop.balance
        assert.strictEqual(balance["done twice"], 0)
        assert.isAtMost(balance.failed, storm.terminated)
        assert.strictEqual(seen.most, 10)
        // Whoever looks at the sessions would have seen one too many.
        yield* PgConnection.make({ ...server.config, applicationName: pool.name })
        yield* eventually(() => seen.most === 11)
        const { acquired, created, createFailed } = pool.admission.observer
        report("terminations", {
          terminated: storm.terminated,
          ...balance,
          "most sessions": 10,
          samples: seen.samples,
          leases: acquired,
          created,
          createFailed
        })
      }),
    limit
  )
})

describe("a COMMIT whose answer is lost", () => {
  const isCommitted = (data: Buffer): boolean => data.includes("COMMIT\0")

  /** A shop behind a wire that loses the next answer to a COMMIT, once it is told to. */
  const makeLossyShop = Effect.gen(function* () {
    const wire = { lossy: false, lost: 0 }
    const loses = (data: Buffer): boolean => {
      if (!wire.lossy || !isCommitted(data)) return false
      wire.lossy = false
      wire.lost++
      return true
    }
    const proxy = yield* makeProxy(server, { loses })
    const pool = yield* makePool(server, { ...through(server, proxy.port), max: 4 })
    const shop = yield* makeShop(pool)
    return { pool, shop, wire }
  })

  it.live("does the work twice if it is repeated without a key", () =>
    Effect.gen(function* () {
      const { pool, shop, wire } = yield* makeLossyShop
      wire.lossy = true
      // What the documentation warns of; and the books do show it.
      yield* Effect.retry(pool.client.withTransaction(shop.done("twice")), { while: (error) => error.isRetryable })
      assert.strictEqual(wire.lost, 1)
      assert.strictEqual(yield* shop.timesDone("twice"), 2)
    })
  )

  it.live("is not repeated where nothing says that it is safe, and fails with an error that says so", () =>
    Effect.gen(function* () {
      const { pool, shop, wire } = yield* makeLossyShop
      wire.lossy = true
      const error = yield* Effect.flip(
        Effect.retry(pool.client.withTransaction(shop.done("once")), { while: PostgresPool.isSafeToRetry })
      )
      assert.strictEqual(wire.lost, 1)
      assert.strictEqual(error.reason._tag, "ConnectionError")
      assert.isTrue(error.isRetryable)
      assert.strictEqual(yield* shop.timesDone("once"), 1)
    })
  )

  it.live("does the work once if it is repeated under a key", () =>
    Effect.gen(function* () {
      const { pool, shop, wire } = yield* makeLossyShop
      for (let round = 1; round <= 20; round++) {
        wire.lossy = true
        yield* shop.keyed(`round ${round}`)
        assert.strictEqual(wire.lost, round)
        assert.strictEqual(yield* shop.timesDone(`round ${round}`), 1)
      }
      yield* expectHealthy(pool)
      report("lost answers to COMMIT", { lost: wire.lost, "done once": 20 })
    })
  )
})
