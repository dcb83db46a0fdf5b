import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { ConnectionPool } from "@effect-pools/connection"
import type { PostgresPool } from "@effect-pools/postgres"
import { Auditor, FaultProxy } from "@effect-pools/testing"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import { makeShop } from "./fire.shop.ts"
import {
  type AuditedPool,
  eventually,
  expectHealthy,
  expectTyped,
  inTheLongRun,
  lateness,
  limit,
  makePool,
  report,
  through,
  watchSessions
} from "./fire.support.ts"
import { type Server, startServer } from "./server.ts"

let server: Server
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.stop())

/** A pool whose connections lead through a proxy. */
const makeProxied = (options: PostgresPool.Options) =>
  Effect.gen(function* () {
    const proxy = yield* FaultProxy.make({ upstream: { port: server.config.port } })
    const pool = yield* makePool(server, { ...through(server, proxy.address.port), ...options })
    return { pool, proxy }
  })

/** Has so many connections made. */
const warm = (pool: AuditedPool, count: number) =>
  Effect.scoped(Effect.replicateEffect(ConnectionPool.get(pool), count))

const idsOf = (pool: AuditedPool) =>
  Effect.map(ConnectionPool.connections(pool), (connections) => connections.map(({ id }) => id))

const millis = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const start = performance.now()
    return Effect.map(effect, (value) => ({ value, took: performance.now() - start }))
  })

describe("a network that swallows everything", () => {
  it.live(
    "is noticed by validation when its time is over, whoever waits fails at the deadline, and service resumes",
    () =>
      Effect.gen(function* () {
        const { pool, proxy } = yield* makeProxied({
          max: 4,
          validateAfterIdle: 0,
          validationTimeout: "200 millis",
          health: false
        })
        yield* warm(pool, 4)
        const before = yield* idsOf(pool)
        yield* FaultProxy.blackhole(proxy)
        const { destroyed } = pool.admission.observer
        const waiter = yield* Effect.forkChild(
          millis(Effect.flip(ConnectionPool.use(pool, () => Effect.void, { acquireTimeout: 1500 })))
        )
        const first = yield* millis(eventually(() => destroyed.validationFailed === 1))
        assert.isAtMost(first.took, 200 + lateness())
        const { took } = yield* Fiber.join(waiter)
        assert.isAtMost(took, 1500 + lateness())
        // Its one caller had them tried one after the other.
        assert.isAtLeast(destroyed.validationFailed, 3)
        yield* FaultProxy.heal(proxy)
        const resumed = yield* millis(pool.client`SELECT 1`)
        assert.isAtMost(resumed.took, 750 + lateness())
        yield* expectHealthy(pool)
        for (const id of yield* idsOf(pool)) assert.notInclude(before, id)
        report("blackhole, validation of 200 ms", {
          "noticed after ms": first.took,
          "waiter of 1500 ms failed after": took,
          "resumed after ms": resumed.took
        })
      }),
    limit
  )

  it.live(
    "is noticed by health checks when their time is over",
    () =>
      Effect.gen(function* () {
        const { pool, proxy } = yield* makeProxied({
          max: 4,
          health: { interval: "200 millis", timeout: "200 millis" }
        })
        yield* warm(pool, 4)
        yield* FaultProxy.blackhole(proxy)
        const { destroyed } = pool.admission.observer
        const first = yield* millis(eventually(() => destroyed.unhealthy > 0))
        const rest = yield* millis(eventually(() => destroyed.unhealthy === 4))
        // To the next check, its time, and a second for the check to react to its end.
        assert.isAtMost(first.took, 200 + 200 + 1000 + lateness())
        yield* FaultProxy.heal(proxy)
        yield* expectHealthy(pool)
        report("blackhole, health checks of 200 ms every 200 ms", {
          "first gone after ms": first.took,
          "all 4 gone after ms": first.took + rest.took
        })
      }),
    limit
  )

  it.live(
    "does not keep a pool from closing",
    () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const { pool, proxy } = yield* Scope.provide(
          makeProxied({ max: 6, closeGrace: "300 millis", destroyTimeout: "500 millis" }),
          scope
        )
        const auditor = yield* Auditor.make(pool, { callSites: false })
        const sql = pool.client
        yield* warm(pool, 4)
        const requests = [
          sql`SELECT pg_sleep(60)`,
          sql.withTransaction(sql`SELECT pg_sleep(60)`),
          // Stuck in COMMIT, which can't be interrupted.
          sql.withTransaction(Effect.orDie(FaultProxy.blackhole(proxy)))
        ]
        const run = (request: Effect.Effect<unknown, SqlError>) => Effect.forkChild(Effect.exit(request))
        const fibers = yield* Effect.forEach(requests, run)
        yield* eventually(() => pool.admission.used === 3)
        yield* Effect.repeat(FaultProxy.stats(proxy), { until: ({ toServer }) => toServer.lost > 0 })
        // And one that waits for a connection which is never made.
        const late = yield* Effect.replicateEffect(run(sql`SELECT 1`), 3)
        yield* eventually(() => pool.admission.creating > 0)
        const { took } = yield* millis(Scope.close(scope, Exit.void))
        assert.isAtMost(took, 300 + 500 + lateness())
        for (const fiber of [...fibers, ...late]) {
          const exit = yield* Fiber.join(fiber)
          expectTyped(exit)
          assert.isTrue(Exit.isFailure(exit))
        }
        yield* Auditor.expectAtRest(auditor)
        report("blackhole, close with a grace of 300 ms and 500 ms to destroy", { "closed after ms": took })
      }).pipe(Effect.scoped),
    limit
  )
})

describe("an answer that does not come", () => {
  type Client = PostgresPool.PostgresPool["client"]
  /** What is asked, while `stall` has answers wait. */
  const requests: Record<string, (sql: Client, stall: Effect.Effect<void>) => Effect.Effect<unknown, SqlError>> = {
    "to a statement": (sql, stall) => Effect.andThen(stall, sql`SELECT 1`),
    "to BEGIN": (sql, stall) => Effect.andThen(stall, sql.withTransaction(sql`SELECT 1`)),
    "to a statement of a transaction": (sql, stall) => sql.withTransaction(Effect.andThen(stall, sql`SELECT 1`)),
    "to SAVEPOINT": (sql, stall) => sql.withTransaction(Effect.andThen(stall, sql.withTransaction(sql`SELECT 1`))),
    "to ROLLBACK": (sql, stall) => sql.withTransaction(Effect.andThen(stall, Effect.never)),
    "to COMMIT": (sql, stall) => sql.withTransaction(stall)
  }

  it.live(
    "is given up after a timeout, whatever it is to, and its connection is not used again",
    () =>
      Effect.forEach(
        Object.entries(requests),
        ([name, request]) =>
          Effect.gen(function* () {
            const { pool, proxy } = yield* makeProxied({ max: 1 })
            yield* warm(pool, 1)
            const [before] = yield* idsOf(pool)
            const stall = FaultProxy.stall(proxy, { direction: "toClient", connections: "open" })
            const { took, value } = yield* millis(
              Effect.timeoutOption(request(pool.client, Effect.orDie(stall)), "200 millis")
            )
            assert.strictEqual(value._tag, "None", name)
            // A second to see it through, and sql-pg's five for the cancel to be confirmed.
            assert.isAtMost(took, 200 + 1000 + 5000 + lateness(), name)
            const next = yield* millis(pool.client`SELECT 1 AS one`)
            assert.deepStrictEqual(next.value, [{ one: 1 }], name)
            assert.notInclude(yield* idsOf(pool), before, name)
            yield* FaultProxy.heal(proxy)
            yield* expectHealthy(pool)
            report(`no answer ${name}`, {
              "timeout of ms": 200,
              "ended after ms": took,
              "next served in ms": next.took
            })
          }),
        { concurrency: "unbounded", discard: true }
      ),
    limit
  )
})

describe("a COMMIT that takes its time", () => {
  it.live("is not interrupted with its fiber, and what is to follow it does", () =>
    Effect.gen(function* () {
      const { pool, proxy } = yield* makeProxied({ max: 1 })
      const sql = pool.client
      const shop = yield* makeShop(pool)
      const before = yield* idsOf(pool)
      let isSent = false
      let hasFollowed = false
      const transaction = yield* Effect.forkChild(
        sql.withTransaction(
          Effect.gen(function* () {
            yield* shop.done("late")
            yield* sql.afterCommit(
              Effect.sync(() => {
                hasFollowed = true
              })
            )
            yield* Effect.orDie(FaultProxy.delay(proxy, { latency: "200 millis", direction: "toClient" }))
            isSent = true
          })
        )
      )
      yield* eventually(() => isSent)
      const { took } = yield* millis(Fiber.interrupt(transaction))
      assert.isAtLeast(took, 150)
      assert.isTrue(hasFollowed)
      yield* FaultProxy.heal(proxy)
      assert.strictEqual(yield* shop.timesDone("late"), 1)
      assert.deepStrictEqual(yield* idsOf(pool), before)
    })
  )
})

describe("a network that fails in every way, one after the other", () => {
  const everyFault = (proxy: FaultProxy.FaultProxy): ReadonlyArray<Effect.Effect<void, unknown>> => [
    FaultProxy.delay(proxy, { latency: "10 millis", jitter: "20 millis" }),
    FaultProxy.throttle(proxy, { bytesPerSecond: 10_000 }),
    FaultProxy.stall(proxy),
    FaultProxy.stall(proxy, { direction: "toClient" }),
    FaultProxy.cut(proxy),
    FaultProxy.cut(proxy, { direction: "toClient" }),
    FaultProxy.reset(proxy),
    FaultProxy.refuse(proxy),
    Effect.andThen(FaultProxy.refuse(proxy), FaultProxy.reset(proxy)),
    Effect.flatMap(Random.nextIntBetween(0, 2000), (bytes) =>
      FaultProxy.cutAfter(proxy, { bytes, ending: bytes % 2 === 0 ? "cut" : "reset" })
    ),
    FaultProxy.blackhole(proxy),
    FaultProxy.blackhole(proxy, { direction: "toClient" }),
    FaultProxy.blackhole(proxy, { direction: "toServer", connections: "new" })
  ]

  it.live(
    "fails typed only what had been sent; with the documented retries all succeeds, and nothing is done twice",
    () =>
      Effect.gen(function* () {
        const { pool, proxy } = yield* makeProxied({ max: 8, validateAfterIdle: "50 millis" })
        const shop = yield* makeShop(pool)
        const sessions = yield* watchSessions(server, pool.name)
        const rounds = inTheLongRun(2, 30)
        let isOver = false
        const load = yield* Effect.forkChild(shop.load(40, () => isOver))
        let faults = 0
        for (let round = 0; round < rounds; round++) {
          for (const fault of yield* Random.shuffle(everyFault(proxy))) {
            yield* fault
            yield* Effect.sleep(yield* Random.nextIntBetween(50, 200))
            yield* FaultProxy.heal(proxy)
            yield* Effect.sleep(yield* Random.nextIntBetween(20, 100))
            faults++
          }
        }
        isOver = true
        yield* Fiber.join(load)
        yield* expectHealthy(pool)
        const balance = yield* shop.balance
        assert.strictEqual(balance["done twice"], 0)
        assert.isAtLeast(balance.failed, 1)
        const { created, createFailed } = pool.admission.observer
        report("every fault of the network", {
          faults,
          ...balance,
          created,
          createFailed,
          "most sessions": sessions.most
        })
      }),
    limit
  )
})
