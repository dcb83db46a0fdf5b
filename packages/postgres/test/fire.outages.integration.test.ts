import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { ConnectionPool } from "@effect-pools/connection"
import type { PostgresPool } from "@effect-pools/postgres"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { makeShop } from "./fire.shop.ts"
import {
  attemptsWithin,
  eventually,
  expectHealthy,
  expectTyped,
  inTheLongRun,
  lateness,
  limit,
  makePool,
  report,
  watchSessions
} from "./fire.support.ts"
import { pause, type Server, startServer } from "./server.ts"

let server: Server
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.stop())

const away = inTheLongRun(2000, 5000)

/** Callers that come again and again, each of whom wants a connection within `deadline` and asks something with it. */
const makeCallers = (pool: PostgresPool.PostgresPool, deadline: number) =>
  Effect.gen(function* () {
    const served: Array<number> = []
    const seen = { refused: 0, latest: 0 }
    const call = Effect.gen(function* () {
      const start = performance.now()
      let isServed = false
      const exit = yield* Effect.exit(
        ConnectionPool.use(
          pool,
          (connection) => {
            isServed = true
            return Effect.timeout(connection.query("SELECT 1"), "300 millis")
          },
          { acquireTimeout: deadline }
        )
      )
      const now = performance.now()
      expectTyped(exit)
      if (Exit.isSuccess(exit)) served.push(now)
      if (isServed) return
      seen.refused++
      seen.latest = Math.max(seen.latest, now - start - deadline)
    })
    const caller = Effect.forever(Effect.andThen(call, Effect.sleep("15 millis")))
    yield* Effect.forkScoped(
      Effect.all(
        Array.from({ length: 16 }, () => caller),
        { concurrency: "unbounded" }
      )
    )
    /** Ends when somebody was served after that time; how long after. */
    const servedSince = (time: number) =>
      Effect.map(
        eventually(() => served.some((at) => at > time)),
        () => served.find((at) => at > time)! - time
      )
    return { seen, servedSince }
  })

/** Everything that is asked while the server is away for a while, by this way of going. */
const outage = (name: string, goAway: Effect.Effect<unknown, unknown, Scope.Scope>) =>
  Effect.gen(function* () {
    // The places of sessions that a paused server does not end are kept for as long as that takes.
    const destroyTimeout = 2 * away
    const pool = yield* makePool(server, { max: 10, destroyTimeout })
    // Without the breaker, which answers at once, everybody waits until their deadline.
    const patient = yield* makePool(server, { max: 4, destroyTimeout, breaker: false })
    const shop = yield* makeShop(pool)
    const sessions = yield* watchSessions(server, pool.name)
    const callers = yield* makeCallers(pool, 400)
    const waiters = yield* makeCallers(patient, 400)
    let isOver = false
    const load = yield* Effect.forkChild(shop.load(32, () => isOver))
    yield* callers.servedSince(0)
    yield* waiters.servedSince(0)
    yield* eventually(() => sessions.most === 10)
    const before = pool.admission.observer.createFailed
    const start = performance.now()
    yield* Effect.scoped(Effect.andThen(goAway, Effect.sleep(away)))
    const back = performance.now()
    const resumed = yield* callers.servedSince(back)
    const attempts = pool.admission.observer.createFailed - before
    const allowed = attemptsWithin(back - start + resumed)
    const resumedByBackoff = yield* waiters.servedSince(back)
    isOver = true
    yield* Fiber.join(load)
    const balance = yield* shop.balance
    report(name, {
      "away ms": back - start,
      refused: callers.seen.refused + waiters.seen.refused,
      "latest ms": Math.max(callers.seen.latest, waiters.seen.latest),
      "failed attempts": attempts,
      allowed,
      "resumed after ms": resumed,
      "without the breaker": resumedByBackoff,
      ...balance,
      "most sessions": sessions.most
    })
    assert.isAtLeast(waiters.seen.refused, 16)
    assert.isAtMost(Math.max(callers.seen.latest, waiters.seen.latest), lateness())
    assert.isAtMost(attempts, allowed)
    assert.isAtMost(resumed, 750 + lateness())
    assert.strictEqual(balance["done twice"], 0)
    assert.strictEqual(sessions.most, 10)
    return pool
  })

describe("a server that goes away and comes back", () => {
  const promise = (f: () => Promise<void>) => Effect.promise(f)

  it.live(
    "shut down at once",
    () =>
      Effect.gen(function* () {
        const goAway = Effect.acquireRelease(promise(server.shutDown), () => promise(server.startAgain))
        yield* expectHealthy(yield* outage("shut down", goAway))
      }),
    limit
  )

  it.live(
    "killed, and recovering when it starts",
    () =>
      Effect.gen(function* () {
        const goAway = Effect.acquireRelease(promise(server.crash), () => promise(server.startAgain))
        yield* expectHealthy(yield* outage("crash", goAway))
      }),
    limit
  )

  it.live(
    "stopped in its tracks, with all connections open",
    () =>
      Effect.gen(function* () {
        yield* expectHealthy(yield* outage("pause", pause(server)))
      }),
    limit
  )
})
