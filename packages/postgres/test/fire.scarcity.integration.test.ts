import { PgConnection } from "@effect/sql-pg"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { ConnectionPool } from "@effect-pools/connection"
import { PostgresPool } from "@effect-pools/postgres"
import type { PoolError } from "@effect-pools/core"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import { retryUnsent } from "./fire.shop.ts"
import {
  type AuditedPool,
  attemptsWithin,
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
import { makeProxy } from "./proxy.ts"
import { observe, type Server, startServer } from "./server.ts"

/** All that this server has; those that watch it take some. */
const SLOTS = 12

let server: Server
beforeAll(async () => {
  server = await startServer({ settings: { max_connections: SLOTS, superuser_reserved_connections: 0 } })
})
afterAll(() => server?.stop())

/** So many callers at once, in this order, each with one statement. */
const crowd = (pool: AuditedPool, callers: number, options?: { readonly acquireTimeout?: number }) =>
  Effect.gen(function* () {
    const start = performance.now()
    /** The callers' numbers, in the order in which they were served. */
    const served: Array<number> = []
    const fibers = yield* Effect.forEach(
      Array.from({ length: callers }, (_, n) => n),
      (n) =>
        Effect.forkChild(
          ConnectionPool.use(
            pool,
            (connection) => {
              served.push(n)
              return connection.query("SELECT pg_sleep(0.002)")
            },
            options
          ),
          // So that they ask in the order of their numbers.
          { startImmediately: true }
        )
    )
    const exits = yield* Effect.forEach(fibers, Fiber.await)
    for (const exit of exits) expectTyped(exit)
    return { served, exits, took: performance.now() - start }
  })

const expectFirstComeFirstServed = (served: ReadonlyArray<number>): void =>
  assert.deepStrictEqual(
    served,
    served.toSorted((a, b) => a - b)
  )

const errorsOf = <A, E>(exits: ReadonlyArray<Exit.Exit<A, E>>): Array<E> =>
  exits.filter(Exit.isFailure).map(({ cause }) => Cause.squash(cause) as E)

/** The most connections that were made at one time. */
const watchCreating = (pool: AuditedPool) => {
  const seen = { most: 0 }
  pool.admission.observer.listen(() => {
    seen.most = Math.max(seen.most, pool.admission.creating)
  })
  return seen
}

describe("a spike", () => {
  it.live(
    "on a pool without a connection is served by all it may make, two at a time, first come first served",
    () =>
      Effect.gen(function* () {
        const pool = yield* makePool(server, { max: 8 })
        const creating = watchCreating(pool)
        const sessions = yield* watchSessions(server, pool.name)
        const callers = inTheLongRun(1000, 20_000)
        const { exits, served, took } = yield* crowd(pool, callers)
        assert.deepStrictEqual(errorsOf(exits), [])
        assert.strictEqual(served.length, callers)
        expectFirstComeFirstServed(served)
        assert.isAtMost(creating.most, 2)
        assert.strictEqual(pool.admission.observer.created, 8)
        assert.isAtMost(sessions.most, 8)
        yield* expectHealthy(pool)
        report("spike", { callers, "served in ms": took, created: 8, "most being made": creating.most })
      }),
    limit
  )
})

describe("connections that take a second to make", () => {
  /** The server waits for a second before it answers who connects. */
  const slowly = Effect.gen(function* () {
    const observer = yield* observe(server)
    const set = (seconds: number) =>
      Effect.gen(function* () {
        yield* observer.query(`ALTER SYSTEM SET pre_auth_delay = ${seconds}`)
        yield* observer.query("SELECT pg_reload_conf()")
        // The first process is told at the same time, and those to come take after it.
        yield* Effect.repeat(observer.query("SELECT current_setting('pre_auth_delay') AS delay"), {
          until: ({ rows }) => rows[0]!["delay"] === (seconds === 0 ? "0" : `${seconds}s`)
        })
      })
    yield* Effect.acquireRelease(set(1), () => Effect.orDie(set(0)))
  })

  it.live(
    "hold nobody up beyond their deadline, and those who have time are served in turn",
    () =>
      Effect.gen(function* () {
        const pool = yield* makePool(server, { max: 6 })
        const creating = watchCreating(pool)
        yield* slowly
        const [hasty, calm] = yield* Effect.all(
          [crowd(pool, 100, { acquireTimeout: 300 }), crowd(pool, 400, { acquireTimeout: 10_000 })],
          { concurrency: "unbounded" }
        )
        const refused = errorsOf(hasty.exits)
        assert.strictEqual(refused.length, 100)
        for (const error of refused) assert.strictEqual((error as PoolError.PoolError).reason._tag, "AcquireTimeout")
        assert.isAtMost(hasty.took, 300 + lateness())
        assert.deepStrictEqual(errorsOf(calm.exits), [])
        expectFirstComeFirstServed(calm.served)
        assert.isAtMost(creating.most, 2)
        assert.isAtMost(pool.admission.observer.created, 6)
        report("slow creation", {
          hasty: 100,
          "refused after ms": hasty.took,
          calm: 400,
          "served in ms": calm.took,
          created: pool.admission.observer.created,
          "most being made": creating.most
        })
      }).pipe(Effect.scoped),
    limit
  )
})

describe("every third attempt to connect fails", () => {
  it.live(
    "and nobody notices: everybody is served, in turn, while connections come and go",
    () =>
      Effect.gen(function* () {
        const proxy = yield* makeProxy(server, { refuses: (connection) => connection % 3 === 0 })
        const pool = yield* makePool(server, { ...through(server, proxy.port), max: 8, maxUses: 10 })
        const creating = watchCreating(pool)
        const sessions = yield* watchSessions(server, pool.name)
        const rounds = inTheLongRun(3, 40)
        for (let round = 0; round < rounds; round++) {
          const { exits, served } = yield* crowd(pool, 400)
          assert.deepStrictEqual(errorsOf(exits), [])
          expectFirstComeFirstServed(served)
        }
        const { created, createFailed } = pool.admission.observer
        // Ten leases for each.
        assert.isAtLeast(created, rounds * 40)
        assert.isAtLeast(createFailed, 1)
        assert.isAtMost(createFailed, (created + createFailed) / 3)
        assert.isAtMost(creating.most, 2)
        assert.isAtMost(sessions.most, 8)
        yield* expectHealthy(pool)
        report("every third creation fails", { requests: rounds * 400, refused: 0, created, createFailed })
      }),
    limit
  )
})

describe("a server that has no more sessions to give", () => {
  /** All sessions that the server has left go to others, who give them up one by one, or when the scope closes. */
  const takeAll = Effect.gen(function* () {
    const surrounding = yield* Effect.scope
    const taken: Array<Scope.Closeable> = []
    const take = Effect.gen(function* () {
      const scope = yield* Scope.fork(surrounding)
      yield* Scope.provide(PgConnection.make(server.config), scope)
      taken.push(scope)
    })
    yield* Effect.flip(Effect.forever(take))
    return {
      giveUp: (count: number) =>
        Effect.forEach(taken.splice(0, count), (scope) => Scope.close(scope, Exit.void), { discard: true })
    }
  })

  it.live(
    "has callers told so in its own words, is asked seldom, and serves by itself when it can",
    () =>
      Effect.gen(function* () {
        const others = yield* takeAll
        const pool = yield* makePool(server, { max: 8, acquireTimeout: 300 })
        const start = performance.now()
        const period = inTheLongRun(3000, 30_000)
        const errors: Array<SqlError> = []
        let latest = 0
        const call = Effect.gen(function* () {
          const asked = performance.now()
          errors.push(yield* Effect.flip(pool.client`SELECT 1`))
          latest = Math.max(latest, performance.now() - asked - 300)
          yield* Effect.sleep("10 millis")
        })
        yield* Effect.forEach(
          Array.from({ length: 32 }, () => call),
          Effect.repeat({ until: () => performance.now() - start > period }),
          { concurrency: "unbounded" }
        )
        for (const error of errors) {
          assert.strictEqual(error.reason._tag, "ConnectionError")
          assert.match(error.message, /too many clients already/)
          assert.isTrue(PostgresPool.isSafeToRetry(error))
        }
        const attempts = pool.admission.observer.createFailed
        const allowed = attemptsWithin(performance.now() - start)
        assert.isAtMost(attempts, allowed)
        assert.isAtMost(latest, lateness())
        yield* others.giveUp(SLOTS)
        const back = performance.now()
        yield* retryUnsent(pool.client`SELECT 1`)
        const resumed = performance.now() - back
        assert.isAtMost(resumed, 750 + lateness())
        yield* expectHealthy(pool)
        report("too many clients", {
          refused: errors.length,
          "latest ms": latest,
          attempts,
          allowed,
          "resumed after ms": resumed
        })
      }).pipe(Effect.scoped),
    limit
  )

  it.live("would be asked more often than that by a pool without backoff", () =>
    Effect.gen(function* () {
      const others = yield* takeAll
      const pool = yield* makePool(server, { breaker: false, createRetry: Schedule.spaced("1 millis") })
      const waiter = yield* Effect.forkChild(Effect.exit(pool.client`SELECT 1`))
      yield* eventually(() => pool.admission.observer.createFailed > 30)
      assert.isBelow(attemptsWithin(3000), 30)
      yield* others.giveUp(1)
      yield* Fiber.join(waiter)
    }).pipe(Effect.scoped)
  )

  it.live(
    "leaves the pool to serve everybody in turn with the few it has, and to grow when it can",
    () =>
      Effect.gen(function* () {
        const others = yield* takeAll
        const pool = yield* makePool(server, { max: 8 })
        yield* others.giveUp(2)
        const start = performance.now()
        const callers = inTheLongRun(400, 8000)
        const { exits, served } = yield* crowd(pool, callers)
        assert.deepStrictEqual(errorsOf(exits), [])
        expectFirstComeFirstServed(served)
        const { observer } = pool.admission
        const { created } = observer
        assert.isAtLeast(created, 1)
        assert.isAtMost(created, 2)

        // Who waits in vain while others hold all there is, learns why there is no more.
        const holder = yield* Scope.fork(yield* Effect.scope)
        for (let n = 0; n < created; n++) yield* Scope.provide(ConnectionPool.get(pool), holder)
        const error = yield* Effect.flip(ConnectionPool.use(pool, () => Effect.void, { acquireTimeout: 200 }))
        assert.match(error.message, /no item within .* the last creation failed: .*too many clients already/)
        const attempts = observer.createFailed
        // Backoff begins anew with every success.
        const allowed = (created + 1) * attemptsWithin(performance.now() - start)
        assert.isAtLeast(attempts, 1)
        assert.isAtMost(attempts, allowed)

        const scope = yield* Scope.fork(yield* Effect.scope)
        const waiters = yield* Effect.forEach(Array.from({ length: 8 - created }), () =>
          Effect.forkChild(Scope.provide(ConnectionPool.get(pool), scope), { startImmediately: true })
        )
        yield* others.giveUp(SLOTS)
        const back = performance.now()
        yield* Effect.forEach(waiters, (waiter) => Fiber.join(waiter))
        const grown = performance.now() - back
        assert.isAtMost(grown, 750 + lateness())
        yield* Scope.close(scope, Exit.void)
        yield* Scope.close(holder, Exit.void)
        yield* expectHealthy(pool)
        report("too few sessions", { callers, "served by": created, attempts, allowed, "all 8 after ms": grown })
      }).pipe(Effect.scoped),
    limit
  )
})
