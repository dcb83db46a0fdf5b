import { assert, describe, it } from "@effect/vitest"
import { ConnectionPool } from "@effect-pools/connection"
import { Auditor, FaultProxy } from "@effect-pools/testing"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { type Address, canStart, type Client, command, connect, type observe, startServer } from "./redis.ts"
import {
  eventually,
  expectHealthy,
  expectTyped,
  limit,
  makePool,
  MARGIN,
  type Options,
  OUTAGE,
  ping,
  PUNCTUAL,
  report,
  timed,
  watchTimers,
  withPool
} from "./redis.support.ts"

describe.skipIf(!canStart)("a Redis server", () => {
  const policies: ReadonlyArray<readonly [string, Options]> = [
    ["with the default options", {}],
    [
      "without a breaker",
      {
        breaker: false,
        createRetry: Schedule.min([Schedule.exponential("10 millis"), Schedule.spaced("500 millis")])
      }
    ]
  ]

  describe.each(policies)("%s", (policy, options) => {
    it.live(
      "that is killed and started again: callers fail in time, attempts are few, service resumes",
      () =>
        Effect.gen(function* () {
          const { address, kill, start } = yield* startServer()
          yield* outage(`killed, ${policy}`, address, options, kill, start)
        }),
      limit
    )

    it.live(
      "that freezes and goes on: callers fail in time, attempts are few, service resumes",
      () =>
        Effect.gen(function* () {
          const { address, freeze, thaw } = yield* startServer()
          const doubts: Options = { createTimeout: 300, validate: ping, validateAfterIdle: 0, validationTimeout: 100 }
          yield* outage(`frozen, ${policy}`, address, { ...options, ...doubts }, freeze, thaw)
        }),
      limit
    )
  })

  /** 30 callers, one call after the other, before, while and after the server is away. */
  const outage = (
    scenario: string,
    address: Address,
    options: Options,
    begin: Effect.Effect<void>,
    end: Effect.Effect<void>
  ) =>
    Effect.gen(function* () {
      const acquireTimeout = 300
      const scope = yield* Scope.make()
      const pool = yield* Scope.provide(makePool(address, { max: 5, acquireTimeout, ...options }), scope)
      const auditor = yield* Auditor.make(pool, { callSites: false })
      const timers = yield* watchTimers
      const seen = { calls: 0, served: 0, atDeadline: 0, latest: 0 }
      let backAt = Infinity
      let servedAt = Infinity
      let isOver = false
      // The command itself may hang, on a server that is frozen.
      const body = (client: Client) => Effect.timeout(ping(client), 200)
      const call = Effect.gen(function* () {
        const startedAt = performance.now()
        let gotAt: number | undefined
        const exit = yield* Effect.exit(
          ConnectionPool.use(pool, (client) => {
            gotAt = performance.now()
            return body(client)
          })
        )
        const endedAt = performance.now()
        const waited = (gotAt ?? endedAt) - startedAt
        seen.calls++
        seen.latest = Math.max(seen.latest, waited - acquireTimeout)
        if (Exit.isSuccess(exit)) {
          seen.served++
          if (startedAt > backAt) servedAt = Math.min(servedAt, endedAt)
        } else if (gotAt === undefined) {
          expectTyped(exit)
          if (waited >= acquireTimeout) seen.atDeadline++
        }
        yield* Effect.sleep("2 millis")
      })
      const callers = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 30 }), () => Effect.repeat(call, { until: () => isOver }), {
          concurrency: "unbounded",
          discard: true
        })
      )
      yield* eventually(() => seen.served > 100)
      const { creating, observer } = pool.admission
      const attemptsBefore = observer.created + observer.createFailed + creating
      yield* begin
      yield* Effect.sleep(OUTAGE)
      const attempts = observer.created + observer.createFailed + pool.admission.creating - attemptsBefore
      yield* end
      backAt = performance.now()
      yield* eventually(() => servedAt !== Infinity || performance.now() > backAt + 10_000)
      isOver = true
      yield* Fiber.join(callers)

      report(`a server ${scenario}`, {
        outage: OUTAGE,
        calls: seen.calls,
        served: seen.served,
        attempts,
        "failed at their deadline": seen.atDeadline,
        "latest after it": seen.latest,
        "latest timer": timers.latest,
        back: servedAt - backAt
      })
      assert.isAtLeast(seen.atDeadline, 20)
      assert.isBelow(seen.latest, PUNCTUAL + timers.latest)
      // The first few follow each other fast, the others half a second apart.
      assert.isAtMost(attempts, 10 + OUTAGE / 500)
      assert.isBelow(servedAt - backAt, 1000 + MARGIN + timers.total)
      yield* expectHealthy(pool)
      yield* Auditor.expectAtRest(auditor)
      yield* Scope.close(scope, Exit.void)
      yield* Auditor.expectAtRest(auditor)
    })

  it.live("that takes no more clients serves those that there are, fails typed where there is none, and recovers", () =>
    Effect.gen(function* () {
      const { address } = yield* startServer()
      const others = yield* Scope.make()
      const occupy = (count: number) =>
        Effect.replicateEffect(Scope.provide(connect(address, "other"), others), count, { discard: true })
      const limitClients = (observer: Effect.Success<ReturnType<typeof observe>>, max: number) =>
        command(() => observer.client.configSet("maxclients", String(max)))

      const options: Options = { max: 10, acquireTimeout: "2 seconds" }
      yield* withPool(address, options, (pool, observer) =>
        Effect.gen(function* () {
          // The observer's connection is one of them.
          yield* limitClients(observer, 4)
          const work = (client: Client) => Effect.andThen(ping(client), Effect.sleep("2 millis"))
          const load = Effect.forEach(
            Array.from({ length: 300 }, (_, n) => n),
            () => ConnectionPool.use(pool, work),
            { concurrency: 30, discard: true }
          )
          const { took } = yield* timed(load)
          const { observer: totals } = pool.admission
          assert.isAtMost((yield* observer.clients(pool.name)).length, 3)
          // One at a time, further and further apart.
          const attempts = totals.createFailed
          assert.isAbove(attempts, 0)
          assert.isAtMost(attempts, 10 + took / 500)
          assert.strictEqual((yield* ConnectionPool.stats(pool)).timeouts, 0)

          // Now there is no place at all.
          for (const { connection } of yield* ConnectionPool.connections(pool)) {
            yield* ConnectionPool.invalidate(pool, connection)
          }
          yield* Effect.repeat(observer.clients(pool.name), { until: (ids) => ids.length === 0 })
          yield* occupy(3)
          const timers = yield* watchTimers
          const refused = yield* timed(ConnectionPool.use(pool, ping, { acquireTimeout: 300 }))
          expectTyped(refused.exit)
          assert.match(String(refused.exit), /max number of clients reached/)
          assert.isBelow(refused.took, 300 + MARGIN + timers.total)

          yield* Scope.close(others, Exit.void)
          yield* limitClients(observer, 100)
          const { exit, took: back } = yield* timed(
            Effect.retry(ConnectionPool.use(pool, ping), { schedule: Schedule.spaced("5 millis") })
          )
          assert.isTrue(Exit.isSuccess(exit))
          assert.isBelow(back, 1000 + MARGIN + timers.total)
          report("maxclients", { requests: 300, attempts, refused: refused.took, back })
        })
      )
    })
  )

  it.live(
    "behind a Unix domain socket: connections that break off one after the other cost no more than themselves",
    () =>
      Effect.gen(function* () {
        const server = yield* startServer()
        const proxy = yield* FaultProxy.make({ upstream: { path: server.path }, listen: "unix" })
        yield* withPool(server.address, { max: 4, via: proxy.address }, (pool) =>
          Effect.gen(function* () {
            const faults = [FaultProxy.cut(proxy), FaultProxy.reset(proxy)]
            for (let round = 0; round < 10; round++) {
              yield* expectHealthy(pool)
              yield* faults[round % 2]!
              // The clients learn of it by themselves.
              yield* eventually(() => pool.admission.idle === 0)
            }
            assert.strictEqual(pool.admission.observer.destroyed.invalidated, 40)
            assert.strictEqual(pool.admission.observer.createFailed, 0)
          })
        )
      })
  )
})
