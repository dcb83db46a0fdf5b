import { ConnectionPool, Health } from "@effect-pools/connection"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import {
  Backend,
  type Connection,
  type ConnectError,
  fork,
  hold,
  loggingTo,
  now,
  record,
  tagged,
  touch
} from "./backend.ts"

type Given = Partial<ConnectionPool.Options<Connection, ConnectError, Scope.Scope>>

const open = (options: Given = {}) =>
  Effect.gen(function* () {
    const backend = new Backend()
    const pool = yield* ConnectionPool.make({
      acquire: backend.connect,
      idleTimeout: Infinity,
      maxLifetime: Infinity,
      ...options
    })
    return { backend, pool }
  })

/** A pool whose background checks answer as the test says, and are noted. */
const openChecked = (options: Given = {}, health: Exclude<Given["health"], false> = {}) =>
  Effect.gen(function* () {
    const checks: Array<{ readonly id: number; readonly at: number }> = []
    const answers: { next: Effect.Effect<unknown, unknown> } = { next: Effect.void }
    const check = ({ id }: Connection) =>
      Effect.andThen(
        Effect.map(now, (at) => void checks.push({ id, at })),
        Effect.suspend(() => answers.next)
      )
    return { ...(yield* open({ ...options, health: { check, ...health } })), answers, checks }
  })

const infoOf = <E>(pool: ConnectionPool.ConnectionPool<Connection, E>, id: number) =>
  Effect.map(ConnectionPool.connections(pool), (all) => all.find(({ connection }) => connection.id === id))

const details = <E>(pool: ConnectionPool.ConnectionPool<Connection, E>) =>
  Effect.map(ConnectionPool.stats(pool), (stats) => stats.details)

const failing =
  (times: number) =>
  <E>(pool: ConnectionPool.ConnectionPool<Connection, E>) =>
    Effect.forEach(Array.from({ length: times }), () => Effect.exit(ConnectionPool.use(pool, () => Effect.die("oops"))))

describe("the score", () => {
  const rules = new Health.HealthRules({ reward: 10, penalty: 25, healthyAbove: 50, degradedAbove: 25, maxErrors: 5 })

  it("starts at 100, loses 25 with a failure, down to 0", () => {
    const it = { score: 100, errors: 0 }
    const scores = Array.from({ length: 6 }, () => {
      rules.failure(it)
      return it.score
    })
    assert.deepStrictEqual(scores, [75, 50, 25, 0, 0, 0])
    assert.strictEqual(it.errors, 6)
  })

  it("gains 10 with a success, up to 100; a success clears the count of errors", () => {
    const it = { score: 75, errors: 3 }
    const scores = Array.from({ length: 4 }, () => {
      rules.success(it)
      return it.score
    })
    assert.deepStrictEqual(scores, [85, 95, 100, 100])
    assert.strictEqual(it.errors, 0)
  })

  it("is healthy above 50 with fewer than 5 errors in a row, degraded above 25, else failed", () => {
    const status = (score: number, errors: number) => rules.status({ score, errors })
    assert.strictEqual(status(51, 4), "healthy")
    assert.strictEqual(status(50, 0), "degraded")
    assert.strictEqual(status(26, 0), "degraded")
    assert.strictEqual(status(25, 0), "failed")
    assert.strictEqual(status(100, 5), "degraded")
    assert.strictEqual(status(10, 5), "failed")
  })

  it.effect("of a new connection is 100, with no errors, healthy", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ min: 1 })
      assert.deepInclude(yield* infoOf(pool, 1), { score: 100, errors: 0, status: "healthy" })
    })
  )

  it.effect("is moved by leases: a defect costs 25, the successes after it give 10 each", () =>
    Effect.gen(function* () {
      const { pool } = yield* open()
      yield* failing(1)(pool)
      assert.deepInclude(yield* infoOf(pool, 1), { score: 75, errors: 1 })
      yield* touch(pool)
      assert.deepInclude(yield* infoOf(pool, 1), { score: 85, errors: 0 })
      yield* touch(pool)
      yield* touch(pool)
      assert.deepInclude(yield* infoOf(pool, 1), { score: 100, errors: 0 })
    })
  )

  it.effect("is moved by checks and by leases alike: it is one score", () =>
    Effect.gen(function* () {
      const { answers, pool } = yield* openChecked()
      yield* failing(1)(pool)
      yield* TestClock.adjust("30 seconds")
      assert.deepInclude(yield* infoOf(pool, 1), { score: 85, errors: 0 })
      answers.next = Effect.fail("no answer")
      yield* TestClock.adjust("30 seconds")
      assert.deepInclude(yield* infoOf(pool, 1), { score: 60, errors: 1 })
      yield* touch(pool)
      assert.deepInclude(yield* infoOf(pool, 1), { score: 70, errors: 0 })
    })
  )

  it.effect("that says unhealthy destroys the connection at the end of its lease", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open()
      const events = record(pool)
      yield* failing(2)(pool)
      assert.deepStrictEqual(backend.closed, [1])
      assert.strictEqual((yield* ConnectionPool.stats(pool)).destroyed.unhealthy, 1)
      assert.deepStrictEqual(
        tagged(events, "ItemHealth").map(({ errors, score }) => ({ score, errors })),
        [
          { score: 75, errors: 1 },
          { score: 50, errors: 2 }
        ]
      )
      assert.strictEqual(yield* touch(pool), 2)
    })
  )

  it.effect("five errors in a row destroy a connection whose score would still do", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open({ health: { policy: { penalty: 1 } } })
      yield* failing(4)(pool)
      assert.deepInclude(yield* infoOf(pool, 1), { score: 96, errors: 4, status: "healthy" })
      yield* failing(1)(pool)
      assert.deepStrictEqual(backend.closed, [1])
    })
  )
})

describe("background checks", () => {
  it.effect("a check that cleans up when it is interrupted costs its connection 25 points, not its life", () =>
    Effect.gen(function* () {
      const { answers, pool } = yield* openChecked()
      const first = yield* touch(pool)
      answers.next = Effect.onInterrupt(Effect.never, () => Effect.sleep(500))
      yield* TestClock.adjust(30_000 + 5500)
      assert.deepInclude(yield* infoOf(pool, first), { state: "idle", score: 75 })
    })
  )

  it.effect("the last free connection is left alone while others are checked", () =>
    Effect.gen(function* () {
      const { answers, pool } = yield* openChecked({ max: 2 })
      yield* Effect.scoped(Effect.andThen(ConnectionPool.get(pool), touch(pool)))
      answers.next = Effect.never
      yield* TestClock.adjust(30_000)
      const states = (yield* ConnectionPool.connections(pool)).map(({ state }) => state).sort()
      assert.deepStrictEqual(states, ["checking", "idle"])
      yield* touch(pool)
    })
  )

  it.effect("a connection whose check cannot be ended is destroyed: the check may still be at it", () =>
    Effect.gen(function* () {
      const { answers, pool } = yield* openChecked()
      const first = yield* touch(pool)
      answers.next = Effect.uninterruptible(Effect.never)
      // 5 seconds to answer, one to react to the interruption.
      yield* TestClock.adjust(30_000 + 5999)
      assert.isDefined(yield* infoOf(pool, first))
      yield* TestClock.adjust(1)
      assert.isUndefined(yield* infoOf(pool, first))
      assert.strictEqual((yield* ConnectionPool.stats(pool)).destroyed.unhealthy, 1)
    })
  )

  it.effect("look at each idle connection every 30 seconds", () =>
    Effect.gen(function* () {
      const { checks, pool } = yield* openChecked()
      const first = yield* hold(pool)
      const second = yield* hold(pool)
      yield* first.release()
      yield* TestClock.adjust("10 seconds")
      yield* second.release()
      yield* TestClock.adjust("55 seconds")
      assert.deepStrictEqual(
        checks.map(({ at }) => at),
        [30_000, 30_000, 60_000, 60_000]
      )
      assert.deepStrictEqual(new Set(checks.map(({ id }) => id)), new Set([1, 2]))
    })
  )

  it.effect("never touch a connection in use", () =>
    Effect.gen(function* () {
      const { checks, pool } = yield* openChecked()
      const held = yield* hold(pool)
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(checks, [])
      yield* held.release()
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(checks.length, 1)
    })
  )

  it.effect("are given 5 seconds: one that takes longer counts as a failure", () =>
    Effect.gen(function* () {
      const logs: Array<string> = []
      const { answers, pool } = yield* loggingTo(logs)(openChecked())
      const events = record(pool)
      yield* touch(pool)
      answers.next = Effect.never
      yield* TestClock.adjust("35 seconds")
      assert.deepInclude(yield* infoOf(pool, 1), { score: 75, errors: 1, state: "idle" })
      assert.deepInclude(tagged(events, "BackgroundFailure")[0], {
        during: "check",
        item: 1,
        cause: "took longer than 5000 ms"
      })
      assert.isTrue(logs.some((line) => line.startsWith("Warn:") && line.includes("check of connection 1 failed")))
    })
  )

  for (const [what, answer] of [
    ["fails", Effect.fail("no answer")],
    ["dies", Effect.die(new Error("no answer"))],
    ["answers false", Effect.succeed(false)]
  ] as const) {
    it.effect(`lower the score when the check ${what}`, () =>
      Effect.gen(function* () {
        const { answers, pool } = yield* openChecked()
        yield* touch(pool)
        answers.next = answer
        yield* TestClock.adjust("30 seconds")
        assert.deepInclude(yield* infoOf(pool, 1), { score: 75, errors: 1 })
      })
    )
  }

  it.effect("destroy a connection that two of them found dead, and min is refilled", () =>
    Effect.gen(function* () {
      const { answers, backend, pool } = yield* openChecked({ min: 1 })
      answers.next = Effect.fail("no answer")
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(backend.closed, [])
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(backend.closed, [1])
      assert.deepInclude(yield* ConnectionPool.stats(pool), { idle: 1, created: 2 })
      assert.strictEqual((yield* ConnectionPool.stats(pool)).destroyed.unhealthy, 1)
    })
  )

  it.effect("hold up nobody: whoever comes meanwhile gets another connection", () =>
    Effect.gen(function* () {
      const { answers, pool } = yield* openChecked()
      yield* touch(pool)
      answers.next = Effect.never
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual((yield* infoOf(pool, 1))?.state, "checking")
      assert.strictEqual(yield* touch(pool), 2)
    })
  )

  it.effect("serve the first in the queue with the connection when they are done", () =>
    Effect.gen(function* () {
      const { answers, pool } = yield* openChecked({ max: 1 })
      yield* touch(pool)
      answers.next = Effect.sleep(100)
      yield* TestClock.adjust("30 seconds")
      const waiting = yield* fork(touch(pool))
      yield* TestClock.adjust(100)
      assert.isDefined(waiting.pollUnsafe())
    })
  )

  it.effect("are few at a time, and get round all the same", () =>
    Effect.gen(function* () {
      let running = 0
      let most = 0
      const { answers, checks, pool } = yield* openChecked({ max: 8 })
      const held = yield* Effect.forEach(Array.from({ length: 8 }), () => hold(pool))
      for (const { release } of held) yield* release()
      answers.next = Effect.gen(function* () {
        most = Math.max(most, ++running)
        yield* Effect.sleep(100)
        running--
      })
      yield* TestClock.adjust(30_400)
      assert.strictEqual(new Set(checks.map(({ id }) => id)).size, 8)
      assert.isAtMost(most, 2)
    })
  )

  it.effect("keep the order of the idle connections", () =>
    Effect.gen(function* () {
      const { checks, pool } = yield* openChecked({ max: 4 })
      const held = yield* Effect.forEach(Array.from({ length: 4 }), () => hold(pool))
      for (const { release } of held) {
        yield* release()
        yield* TestClock.adjust(1)
      }
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(checks.length, 4)
      const handedOut = yield* Effect.forEach(Array.from({ length: 4 }), () => hold(pool))
      assert.deepStrictEqual(
        handedOut.map(({ connection }) => connection.id),
        [4, 3, 2, 1]
      )
    })
  )

  it.effect("end with the pool: closing waits for none of them", () =>
    Effect.gen(function* () {
      const backend = yield* Effect.scoped(
        Effect.gen(function* () {
          const { answers, backend, pool } = yield* openChecked()
          yield* touch(pool)
          answers.next = Effect.never
          yield* TestClock.adjust("30 seconds")
          assert.strictEqual((yield* infoOf(pool, 1))?.state, "checking")
          return backend
        })
      )
      assert.strictEqual(backend.live, 0)
    })
  )

  it.effect("leave at once when the pool closes, though another connection is still in use", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { answers, backend, pool } = yield* Scope.provide(openChecked({ closeGrace: "10 seconds" }), scope)
      const leaked = yield* fork(ConnectionPool.use(pool, () => Effect.sleep("35 seconds")))
      yield* touch(pool)
      answers.next = Effect.never
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual((yield* infoOf(pool, 2))?.state, "checking")
      const closing = yield* fork(Scope.close(scope, Exit.void))
      assert.deepStrictEqual(backend.closed, [2])
      assert.strictEqual((yield* ConnectionPool.stats(pool)).destroyed.closed, 1)
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(leaked)
      yield* Fiber.join(closing)
      assert.strictEqual(backend.live, 0)
    })
  )
})

describe("last-used", () => {
  it.effect("is not touched by checks: an idle connection still goes stale", () =>
    Effect.gen(function* () {
      const { checks, pool } = yield* openChecked({ idleTimeout: "5 minutes" })
      yield* touch(pool)
      yield* TestClock.adjust(299_999)
      assert.strictEqual(checks.length, 9)
      assert.strictEqual((yield* infoOf(pool, 1))?.unusedFor, 299_999)
      yield* TestClock.adjust(1)
      assert.isUndefined(yield* infoOf(pool, 1))
      assert.strictEqual((yield* ConnectionPool.stats(pool)).destroyed.idleTimeout, 1)
    })
  )

  it.effect("is not touched by report", () =>
    Effect.gen(function* () {
      const { pool } = yield* open()
      const held = yield* hold(pool)
      yield* held.release()
      yield* TestClock.adjust(5000)
      yield* ConnectionPool.report(pool, held.connection, "fine")
      assert.strictEqual((yield* infoOf(pool, 1))?.unusedFor, 5000)
    })
  )

  it.effect("is set by the end of a lease", () =>
    Effect.gen(function* () {
      const { pool } = yield* open()
      const held = yield* hold(pool)
      yield* TestClock.adjust(5000)
      assert.strictEqual((yield* infoOf(pool, 1))?.unusedFor, 0)
      yield* held.release()
      yield* TestClock.adjust(7)
      assert.strictEqual((yield* infoOf(pool, 1))?.unusedFor, 7)
    })
  )
})

describe("report", () => {
  it.effect("fine raises the score, suspect lowers it", () =>
    Effect.gen(function* () {
      const { pool } = yield* open()
      const { connection } = yield* hold(pool)
      yield* ConnectionPool.report(pool, connection, "suspect")
      assert.deepInclude(yield* infoOf(pool, 1), { score: 75, errors: 1 })
      yield* pool.pipe(ConnectionPool.report(connection, "fine"))
      assert.deepInclude(yield* infoOf(pool, 1), { score: 85, errors: 0 })
    })
  )

  it.effect("fatal condemns a connection in use: destroyed when its lease ends, whatever is reported later", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open()
      const held = yield* hold(pool)
      yield* ConnectionPool.report(pool, held.connection, "fatal")
      yield* ConnectionPool.report(pool, held.connection, "fine")
      assert.deepStrictEqual(backend.closed, [])
      yield* held.release()
      assert.deepStrictEqual(backend.closed, [1])
      assert.strictEqual((yield* ConnectionPool.stats(pool)).destroyed.unhealthy, 1)
    })
  )

  it.effect("of a connection that is condemned already does not change the reason", () =>
    Effect.gen(function* () {
      const { pool } = yield* open()
      const held = yield* hold(pool)
      yield* ConnectionPool.invalidate(pool, held.connection)
      yield* ConnectionPool.report(pool, held.connection, "fatal")
      yield* held.release()
      const { destroyed } = yield* ConnectionPool.stats(pool)
      assert.deepInclude(destroyed, { invalidated: 1, unhealthy: 0 })
    })
  )

  it.effect("destroys an idle connection at once when it is no longer healthy", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open()
      const held = yield* hold(pool)
      yield* held.release()
      yield* ConnectionPool.report(pool, held.connection, "suspect")
      assert.deepStrictEqual(backend.closed, [])
      yield* ConnectionPool.report(pool, held.connection, "suspect")
      assert.deepStrictEqual(backend.closed, [1])
    })
  )

  it.effect("of an unknown or destroyed connection has no effect", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open()
      const held = yield* hold(pool)
      yield* ConnectionPool.report(pool, { id: 1 }, "fatal")
      yield* held.release()
      assert.strictEqual(backend.live, 1)
      yield* ConnectionPool.invalidate(pool, held.connection)
      yield* ConnectionPool.report(pool, held.connection, "suspect")
      assert.deepStrictEqual(yield* ConnectionPool.connections(pool), [])
    })
  )
})

describe("classify", () => {
  const classifying = (classify: Health.Classify) => open({ classify })

  it.effect("fatal destroys the connection when its lease ends", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* classifying((cause) =>
        Cause.squash(cause) === "reset by peer" ? "fatal" : "fine"
      )
      yield* Effect.exit(ConnectionPool.use(pool, () => Effect.fail("not found")))
      assert.deepStrictEqual(backend.closed, [])
      yield* Effect.exit(ConnectionPool.use(pool, () => Effect.fail("reset by peer")))
      assert.deepStrictEqual(backend.closed, [1])
    })
  )

  it.effect("suspect lowers the score, fine leaves it alone", () =>
    Effect.gen(function* () {
      const { pool } = yield* classifying((cause) => (Cause.hasDies(cause) ? "fine" : "suspect"))
      yield* Effect.exit(ConnectionPool.use(pool, () => Effect.fail("timeout")))
      assert.deepInclude(yield* infoOf(pool, 1), { score: 75, errors: 1 })
      yield* Effect.exit(ConnectionPool.use(pool, () => Effect.die("mine")))
      assert.deepInclude(yield* infoOf(pool, 1), { score: 75, errors: 1 })
    })
  )

  it.effect("sees the exit of the scope that a lease was taken for", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* classifying(() => "fatal")
      yield* Effect.exit(Effect.scoped(Effect.andThen(ConnectionPool.get(pool), Effect.fail("oops"))))
      assert.deepStrictEqual(backend.closed, [1])
    })
  )

  it.effect("that throws is reported, counts as suspect, and hides nothing from the caller", () =>
    Effect.gen(function* () {
      const logs: Array<string> = []
      const { pool } = yield* loggingTo(logs)(
        classifying(() => {
          throw new Error("bug in classify")
        })
      )
      const events = record(pool)
      const error = yield* Effect.flip(ConnectionPool.use(pool, () => Effect.fail("the error itself")))
      assert.strictEqual(error, "the error itself")
      assert.deepInclude(yield* infoOf(pool, 1), { score: 75, errors: 1, state: "idle" })
      assert.deepInclude(tagged(events, "BackgroundFailure")[0], {
        during: "classify",
        cause: "Error: bug in classify"
      })
      assert.isTrue(logs.some((line) => line.includes("classify of connection 1 failed")))
    })
  )
})

describe("cleanUp", () => {
  it.effect("destroys what is stale or unhealthy and idle, and says how many", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open({ max: 3 })
      assert.strictEqual(yield* ConnectionPool.cleanUp(pool), 0)
      const held = yield* Effect.forEach(Array.from({ length: 3 }), () => hold(pool))
      yield* held[0]!.release()
      yield* held[1]!.release()
      assert.strictEqual(yield* ConnectionPool.cleanUp(pool), 0)
      // As if the background had not come round yet.
      for (const connection of pool.store.all) connection.score = 40
      assert.strictEqual(yield* ConnectionPool.cleanUp(pool), 2)
      assert.deepStrictEqual(backend.closed, [1, 2])
      assert.strictEqual((yield* ConnectionPool.stats(pool)).destroyed.unhealthy, 2)
      yield* held[2]!.release()
    })
  )

  it.effect("counts connections that are unused for too long, and those that are too old", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ idleTimeout: "10 seconds" })
      yield* touch(pool)
      // The background is asleep: the clock moves before it can look.
      const connection = Array.from(pool.store.all)[0]!
      connection.lastUsed = -10_000
      assert.strictEqual(yield* ConnectionPool.cleanUp(pool), 1)
      assert.strictEqual((yield* ConnectionPool.stats(pool)).destroyed.idleTimeout, 1)
    })
  )

  it.effect("respects min", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ min: 2, idleTimeout: "10 seconds" })
      const held = yield* Effect.forEach(Array.from({ length: 3 }), () => hold(pool))
      for (const { release } of held) yield* release()
      for (const connection of pool.store.all) connection.lastUsed = -10_000
      assert.strictEqual(yield* ConnectionPool.cleanUp(pool), 1)
      assert.strictEqual((yield* ConnectionPool.stats(pool)).idle, 2)
    })
  )
})

describe("connections", () => {
  it.effect("shows id, age, time unused, uses, score, errors, status and state of each", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ reset: () => Effect.sleep(50) })
      const first = yield* hold(pool)
      const second = yield* hold(pool)
      yield* TestClock.adjust(1000)
      yield* second.release()
      yield* TestClock.adjust(50)
      yield* TestClock.adjust(250)
      assert.deepStrictEqual(yield* ConnectionPool.connections(pool), [
        {
          id: 1,
          connection: first.connection,
          state: "used",
          age: 1300,
          unusedFor: 0,
          uses: 1,
          score: 100,
          errors: 0,
          status: "healthy"
        },
        {
          id: 2,
          connection: second.connection,
          state: "idle",
          age: 1300,
          unusedFor: 300,
          uses: 1,
          score: 100,
          errors: 0,
          status: "healthy"
        }
      ])
      yield* first.release()
      assert.strictEqual((yield* infoOf(pool, 1))?.state, "resetting")
      yield* TestClock.adjust(50)
    })
  )

  it.effect("says degraded and failed while a condemned connection is still in use", () =>
    Effect.gen(function* () {
      const { pool } = yield* open()
      const { connection } = yield* hold(pool)
      const status = Effect.map(infoOf(pool, 1), (info) => info?.status)
      yield* ConnectionPool.report(pool, connection, "suspect")
      assert.strictEqual(yield* status, "healthy")
      yield* ConnectionPool.report(pool, connection, "suspect")
      assert.strictEqual(yield* status, "degraded")
      yield* ConnectionPool.report(pool, connection, "suspect")
      assert.strictEqual(yield* status, "failed")
    })
  )
})

describe("stats", () => {
  it.effect("of an empty pool are healthy and at rest", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ max: 4 })
      assert.deepStrictEqual(yield* details(pool), {
        healthy: 0,
        healthPercent: 100,
        utilizationPercent: 0,
        underStress: false,
        breakerOpen: false,
        summary: "0/4 used, 0 idle, 0 waiting, 100 % healthy"
      })
    })
  )

  it.effect("say how many are healthy, what part is used, and sum it up in a line", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ max: 4 })
      const held = yield* Effect.forEach(Array.from({ length: 3 }), () => hold(pool))
      yield* held[2]!.release()
      yield* ConnectionPool.report(pool, held[0]!.connection, "fatal")
      yield* ConnectionPool.report(pool, held[1]!.connection, "suspect")
      yield* ConnectionPool.report(pool, held[1]!.connection, "suspect")
      assert.deepStrictEqual(yield* details(pool), {
        healthy: 2,
        healthPercent: 67,
        utilizationPercent: 50,
        underStress: true,
        breakerOpen: false,
        summary: "2/4 used, 1 idle, 0 waiting, 67 % healthy"
      })
    })
  )

  it.effect("call a pool under stress above 80 % utilization, not at 80 %", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ max: 5 })
      for (let i = 0; i < 4; i++) yield* hold(pool)
      assert.deepInclude(yield* details(pool), { utilizationPercent: 80, underStress: false })
      yield* hold(pool)
      assert.deepInclude(yield* details(pool), { utilizationPercent: 100, underStress: true })
      yield* fork(touch(pool))
      assert.strictEqual((yield* details(pool))["summary"], "5/5 used, 0 idle, 1 waiting, 100 % healthy")
    })
  )

  it.effect("judge utilization and health by the exact numbers, not by the rounded ones", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ max: 249 })
      for (let i = 0; i < 200; i++) yield* hold(pool)
      assert.deepInclude(yield* details(pool), { utilizationPercent: 80, underStress: true })
    })
  )

  it.effect("call a pool under stress below 70 % health, not at 70 %", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ max: 20 })
      const held = yield* Effect.forEach(Array.from({ length: 10 }), () => hold(pool))
      const condemn = (index: number) =>
        Effect.forEach([1, 2], () => ConnectionPool.report(pool, held[index]!.connection, "suspect"))
      for (const index of [0, 1, 2]) yield* condemn(index)
      assert.deepInclude(yield* details(pool), { healthPercent: 70, underStress: false })
      yield* condemn(3)
      assert.deepInclude(yield* details(pool), { healthPercent: 60, underStress: true })
    })
  )
})

describe("unlike the known system", () => {
  it.effect("unlike the known system, the cap holds while callers have their connections", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open({ max: 2 })
      const all = yield* fork(
        Effect.forEach(Array.from({ length: 20 }), () => ConnectionPool.use(pool, () => Effect.sleep(100)), {
          concurrency: "unbounded"
        })
      )
      yield* TestClock.adjust("1 second")
      assert.isDefined(all.pollUnsafe())
      assert.strictEqual(backend.peak, 2)
    })
  )

  it.effect("unlike the known system, connections are reused", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open()
      for (let i = 0; i < 100; i++) yield* touch(pool)
      assert.strictEqual(backend.attempts, 1)
      assert.deepInclude(yield* infoOf(pool, 1), { uses: 100 })
    })
  )

  it.effect("unlike the known system, what a caller reports about its connection reaches the pool", () =>
    Effect.gen(function* () {
      const { pool } = yield* open()
      yield* ConnectionPool.use(pool, (connection) => ConnectionPool.report(pool, connection, "fatal"))
      assert.strictEqual(yield* touch(pool), 2)
    })
  )

  it.effect("unlike the known system, checks do not keep a connection from going stale", () =>
    Effect.gen(function* () {
      const { backend, checks, pool } = yield* openChecked({ idleTimeout: "5 minutes" })
      yield* touch(pool)
      yield* TestClock.adjust("5 minutes")
      assert.isAbove(checks.length, 0)
      assert.deepStrictEqual(backend.closed, [1])
    })
  )

  it.effect("unlike the known system, a leaked connection is noticed and no check makes it look used", () =>
    Effect.gen(function* () {
      const { checks, pool } = yield* openChecked({ leakDetection: "1 minute" })
      const events = record(pool)
      yield* hold(pool)
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(checks, [])
      assert.strictEqual(tagged(events, "LeaseOverdue").length, 1)
    })
  )

  it.effect("unlike the known system, a score does not heal by itself: only by a check or a use that worked", () =>
    Effect.gen(function* () {
      const { answers, pool } = yield* openChecked({ max: 1 })
      yield* failing(1)(pool)
      answers.next = Effect.never
      const held = yield* hold(pool)
      yield* TestClock.adjust("10 minutes")
      assert.deepInclude(yield* infoOf(pool, 1), { score: 75, errors: 1 })
      yield* held.release()
      assert.deepInclude(yield* infoOf(pool, 1), { score: 85, errors: 0 })
    })
  )

  it.effect("unlike the known system, a check that hangs holds no lock: the rest of the pool goes on", () =>
    Effect.gen(function* () {
      const { answers, pool } = yield* openChecked({ max: 3 })
      const held = yield* Effect.forEach(Array.from({ length: 3 }), () => hold(pool))
      for (const { release } of held) yield* release()
      answers.next = Effect.never
      yield* TestClock.adjust("30 seconds")
      const before = yield* now
      assert.isNumber(yield* touch(pool))
      assert.strictEqual((yield* ConnectionPool.connections(pool)).length, 3)
      assert.strictEqual((yield* ConnectionPool.stats(pool)).size, 3)
      yield* ConnectionPool.cleanUp(pool)
      assert.strictEqual(yield* now, before)
    })
  )

  it.effect("unlike the known system, nothing lives on for a connection that is gone", () =>
    Effect.gen(function* () {
      const { checks, pool } = yield* openChecked()
      const held = yield* hold(pool)
      yield* ConnectionPool.invalidate(pool, held.connection)
      yield* held.release()
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(checks, [])
      assert.strictEqual(pool.store.all.size, 0)
    })
  )

  it.effect("unlike the known system, ages count from the connection's creation", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("365 days")
      const { pool } = yield* open()
      yield* touch(pool)
      yield* TestClock.adjust(1234)
      assert.deepInclude(yield* infoOf(pool, 1), { age: 1234, unusedFor: 1234 })
    })
  )
})
