import { ConnectionPool } from "@effect-pools/connection"
import { InvalidOptions, PoolRegistry } from "@effect-pools/core"
import { TestPool } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { Backend, type Connection, ConnectError, fork, hold, loggingTo, now, record, tagged, touch } from "./backend.ts"

type Given = Partial<ConnectionPool.Options<Connection, ConnectError, Scope.Scope>>

/** A pool with leases in the scope of the test, and its backend. */
const open = (options: Given = {}, backend = new Backend()) =>
  Effect.map(ConnectionPool.make({ acquire: backend.connect, ...options }), (pool) => ({ pool, backend }))

const withRandom = (value: number) =>
  Effect.provideService(Random.Random, { nextDoubleUnsafe: () => value, nextIntUnsafe: () => 0 })

const reasonOf = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return "success"
  const error = Cause.squash(exit.cause) as { readonly _tag: string; readonly reason?: { readonly _tag: string } }
  return error.reason?._tag ?? error._tag
}

/** Which attempt to connect the exit failed with. */
const failedAttempt = (exit: Exit.Exit<unknown, unknown>): number => {
  assert(Exit.isFailure(exit), "did not fail")
  const error = Cause.squash(exit.cause)
  assert.instanceOf(error, ConnectError)
  return error.attempt
}

const assertFields = (error: InvalidOptions.InvalidOptions, fields: Partial<InvalidOptions.InvalidOptions>): void => {
  for (const [field, value] of Object.entries(fields)) {
    assert.strictEqual(error[field as "pool" | "field" | "value" | "rule"], value)
  }
}

/** The exit of a fiber that must have ended by now. */
const exitOf = <A, E>(fiber: Fiber.Fiber<A, E>): Exit.Exit<A, E> => {
  const exit = fiber.pollUnsafe()
  assert(exit !== undefined, "the fiber has not ended")
  return exit
}

const isPending = (fiber: Fiber.Fiber<unknown, unknown>): boolean => fiber.pollUnsafe() === undefined

describe("name", () => {
  it.effect("is connection-pool-<n> by default, another for each pool", () =>
    Effect.gen(function* () {
      const first = yield* open()
      const second = yield* open()
      assert.match(first.pool.name, /^connection-pool-\d+$/)
      assert.match(second.pool.name, /^connection-pool-\d+$/)
      assert.notStrictEqual(first.pool.name, second.pool.name)
    })
  )

  it.effect("is what stats, errors and the registry call the pool", () =>
    Effect.gen(function* () {
      const registry = PoolRegistry.makeUnsafe()
      const { pool } = yield* open({ name: "orders", max: 1 }).pipe(
        Effect.provideService(PoolRegistry.PoolRegistry, registry)
      )
      assert.strictEqual((yield* ConnectionPool.stats(pool)).name, "orders")
      assert.strictEqual(registry.find("orders")?.name, "orders")
      const error = yield* Effect.flip(ConnectionPool.use(pool, () => Effect.void, { acquireTimeout: 0 }))
      assert.include(error.message, '"orders"')
    })
  )
})

describe("min", () => {
  it.effect("is 0 by default: nothing is connected before it is needed", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open()
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* ConnectionPool.stats(pool)).min, 0)
      assert.strictEqual(backend.attempts, 0)
    })
  )

  it.effect("connections are opened in the background: make waits for none of them", () =>
    Effect.gen(function* () {
      const backend = new Backend()
      backend.connectTime = 100
      const { pool } = yield* open({ min: 3 }, backend)
      assert.deepInclude(yield* ConnectionPool.stats(pool), { size: 0, creating: 2 })
      yield* TestClock.adjust(200)
      assert.deepInclude(yield* ConnectionPool.stats(pool), { idle: 3, creating: 0 })
    })
  )

  it.effect("counts used connections too, and is refilled when one is destroyed", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open({ min: 2 })
      const held = yield* hold(pool)
      assert.strictEqual(backend.live, 2)
      yield* ConnectionPool.invalidate(pool, held.connection)
      yield* held.release()
      assert.deepInclude(yield* ConnectionPool.stats(pool), { idle: 2, created: 3 })
    })
  )

  it.effect("is not given up by a backend that is down when the pool is made", () =>
    Effect.gen(function* () {
      const backend = new Backend()
      backend.isDown = true
      const { pool } = yield* open({ min: 2 }, backend)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* ConnectionPool.stats(pool)).size, 0)
      backend.isDown = false
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* ConnectionPool.stats(pool)).idle, 2)
    })
  )
})

describe("max", () => {
  it.effect("is 10 by default: the eleventh caller waits", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open()
      for (let i = 0; i < 10; i++) yield* hold(pool)
      const eleventh = yield* fork(touch(pool))
      assert.deepInclude(yield* ConnectionPool.stats(pool), { max: 10, used: 10, pending: 1 })
      assert.strictEqual(backend.attempts, 10)
      assert.isTrue(isPending(eleventh))
    })
  )

  it.effect("bounds the connections that exist, however many ask", () =>
    Effect.gen(function* () {
      const backend = new Backend()
      backend.connectTime = 5
      const { pool } = yield* open({ max: 3, maxCreating: 10 }, backend)
      const all = yield* fork(
        Effect.forEach(Array.from({ length: 50 }), () => ConnectionPool.use(pool, () => Effect.sleep(10)), {
          concurrency: "unbounded"
        })
      )
      yield* TestClock.adjust("1 second")
      assert.isTrue(Exit.isSuccess(exitOf(all)))
      assert.strictEqual(backend.peak, 3)
    })
  )
})

describe("acquireTimeout", () => {
  it.effect("is 30 seconds by default, to the millisecond", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ max: 1 })
      yield* hold(pool)
      const waiting = yield* fork(touch(pool))
      yield* TestClock.adjust(29_999)
      assert.isTrue(isPending(waiting))
      yield* TestClock.adjust(1)
      assert.strictEqual(reasonOf(exitOf(waiting)), "AcquireTimeout")
    })
  )

  it.effect("spans waiting, creating and validating together", () =>
    Effect.gen(function* () {
      const backend = new Backend()
      const { pool } = yield* open(
        {
          max: 1,
          acquireTimeout: "1 second",
          validateAfterIdle: 0,
          validate: () => Effect.delay(Effect.succeed(false), 300)
        },
        backend
      )
      const first = yield* hold(pool)
      backend.connectTime = 10_000
      const waiting = yield* fork(touch(pool))
      yield* TestClock.adjust(500)
      yield* first.release()
      // Validated until 800 in vain, then connecting: the deadline stands.
      yield* TestClock.adjust(499)
      assert.isTrue(isPending(waiting))
      assert.deepInclude(yield* ConnectionPool.stats(pool), { creating: 1, pending: 1 })
      yield* TestClock.adjust(1)
      assert.strictEqual(reasonOf(exitOf(waiting)), "AcquireTimeout")
    })
  )

  it.effect("0 does not wait: an idle connection is handed out, else the call fails with Exhausted", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ min: 1, max: 1, acquireTimeout: 0 })
      assert.strictEqual(yield* touch(pool), 1)
      yield* hold(pool)
      assert.strictEqual(reasonOf(yield* Effect.exit(touch(pool))), "Exhausted")
    })
  )

  it.effect("Infinity waits as long as it takes", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ max: 1, acquireTimeout: Infinity, maxLifetime: Infinity })
      const held = yield* hold(pool)
      const waiting = yield* fork(touch(pool))
      yield* TestClock.adjust("1 day")
      assert.isTrue(isPending(waiting))
      yield* held.release()
      assert.strictEqual(yield* Fiber.join(waiting), 1)
    })
  )

  it.effect("Infinity for one call waits as long as it takes", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ max: 1, maxLifetime: Infinity })
      const held = yield* hold(pool)
      const waiting = yield* fork(
        ConnectionPool.use(pool, ({ id }) => Effect.succeed(id), { acquireTimeout: Infinity })
      )
      yield* TestClock.adjust("1 day")
      assert.isTrue(isPending(waiting))
      yield* held.release()
      assert.strictEqual(yield* Fiber.join(waiting), 1)
    })
  )

  it.effect("is replaced for one call by the call's own, shorter or longer", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ max: 1, acquireTimeout: "1 second" })
      yield* hold(pool)
      const shorter = yield* fork(ConnectionPool.use(pool, () => Effect.void, { acquireTimeout: 100 }))
      const longer = yield* fork(ConnectionPool.use(pool, () => Effect.void, { acquireTimeout: "2 seconds" }))
      const usual = yield* fork(touch(pool))
      yield* TestClock.adjust(99)
      assert.isTrue(isPending(shorter))
      yield* TestClock.adjust(1)
      assert.strictEqual(reasonOf(exitOf(shorter)), "AcquireTimeout")
      yield* TestClock.adjust(899)
      assert.isTrue(isPending(usual))
      yield* TestClock.adjust(1)
      assert.strictEqual(reasonOf(exitOf(usual)), "AcquireTimeout")
      yield* TestClock.adjust(999)
      assert.isTrue(isPending(longer))
      yield* TestClock.adjust(1)
      assert.strictEqual(reasonOf(exitOf(longer)), "AcquireTimeout")
    })
  )
})

describe("priority", () => {
  it.effect("is 0 by default; higher ones are served first, equals in order of arrival", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ max: 1 })
      const held = yield* hold(pool)
      const served: Array<string> = []
      const waiter = (name: string, priority?: number) =>
        fork(ConnectionPool.use(pool, () => Effect.sync(() => served.push(name)), { priority }))
      const fibers = [
        yield* waiter("low", -1),
        yield* waiter("default 1"),
        yield* waiter("zero", 0),
        yield* waiter("high", 5),
        yield* waiter("fraction", 0.5),
        yield* waiter("default 2"),
        yield* waiter("high too", 5)
      ]
      yield* held.release()
      yield* Fiber.joinAll(fibers)
      assert.deepStrictEqual(served, ["high", "high too", "fraction", "default 1", "zero", "default 2", "low"])
    })
  )
})

describe("maxWaiters", () => {
  it.effect("is without limit by default", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ max: 1 })
      yield* hold(pool)
      for (let i = 0; i < 2000; i++) yield* fork(touch(pool))
      assert.strictEqual((yield* ConnectionPool.stats(pool)).pending, 2000)
    })
  )

  it.effect("callers beyond it fail at once with QueueFull, which says how many wait", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ name: "narrow", max: 1, maxWaiters: 2 })
      yield* hold(pool)
      yield* fork(touch(pool))
      yield* fork(touch(pool))
      const error = yield* Effect.flip(touch(pool))
      assert.strictEqual(error.message, 'Pool "narrow" has 2 callers waiting already')
      assert.deepInclude(yield* ConnectionPool.stats(pool), { pending: 2, exhausted: 1 })
    })
  )

  it.effect("a place in the queue that comes free can be taken", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ max: 1, maxWaiters: 1 })
      yield* hold(pool)
      const waiting = yield* fork(touch(pool))
      yield* Fiber.interrupt(waiting)
      yield* fork(touch(pool))
      assert.strictEqual((yield* ConnectionPool.stats(pool)).pending, 1)
    })
  )

  it.effect("0 lets nobody wait", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ min: 1, max: 1, maxWaiters: 0 })
      yield* hold(pool)
      assert.strictEqual(reasonOf(yield* Effect.exit(touch(pool))), "QueueFull")
    })
  )
})

describe("maxCreating", () => {
  const creatingWith = (options: Given) =>
    Effect.gen(function* () {
      const backend = new Backend()
      backend.connectTime = 100
      const { pool } = yield* open(options, backend)
      for (let i = 0; i < 8; i++) yield* fork(touch(pool))
      return (yield* ConnectionPool.stats(pool)).creating
    })

  it.effect("is 2 by default", () => Effect.map(creatingWith({}), (creating) => assert.strictEqual(creating, 2)))

  it.effect("connections are made at a time, no more", () =>
    Effect.map(creatingWith({ maxCreating: 5 }), (creating) => assert.strictEqual(creating, 5))
  )

  it.effect("Infinity leaves only max as the bound", () =>
    Effect.map(creatingWith({ max: 7, maxCreating: Infinity }), (creating) => assert.strictEqual(creating, 7))
  )
})

describe("createTimeout", () => {
  it.effect("is 30 seconds by default", () =>
    Effect.gen(function* () {
      const backend = new Backend()
      backend.connectTime = Infinity
      const { pool } = yield* open({ acquireTimeout: "1 minute" }, backend)
      yield* fork(touch(pool))
      yield* TestClock.adjust(29_999)
      assert.strictEqual((yield* ConnectionPool.stats(pool)).createFailed, 0)
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* ConnectionPool.stats(pool)).createFailed, 1)
    })
  )

  it.effect("ends an attempt that hangs, and the next one may do better", () =>
    Effect.gen(function* () {
      const backend = new Backend()
      backend.connectTime = Infinity
      const { pool } = yield* open(
        { createTimeout: "2 seconds", createRetry: Schedule.spaced(100), maxCreating: 1 },
        backend
      )
      const waiting = yield* fork(touch(pool))
      yield* TestClock.adjust("2 seconds")
      backend.connectTime = 0
      yield* TestClock.adjust(99)
      assert.isTrue(isPending(waiting))
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(exitOf(waiting), Exit.succeed(2))
    })
  )

  it.effect("counts as a failure that says so: AcquireTimeout with phase create", () =>
    Effect.gen(function* () {
      const backend = new Backend()
      backend.connectTime = Infinity
      const { pool } = yield* open(
        { name: "slow", createTimeout: "2 seconds", createRetry: Schedule.recurs(0) },
        backend
      )
      const waiting = yield* fork(Effect.flip(touch(pool)))
      yield* TestClock.adjust("2 seconds")
      const error = yield* Fiber.join(waiting)
      assert(error._tag === "PoolError" && error.reason._tag === "AcquireTimeout")
      assert.strictEqual(error.reason.phase, "create")
      assert.include(error.message, 'Pool "slow": creating an item took longer than 2000 ms')
    })
  )

  it.effect("a connection that is made after all, too late, is closed", () =>
    Effect.gen(function* () {
      const backend = new Backend()
      const { pool } = yield* open({
        acquire: Effect.uninterruptible(Effect.andThen(Effect.sleep(5000), backend.connect)),
        createTimeout: "2 seconds",
        createRetry: Schedule.spaced("1 hour")
      })
      yield* fork(touch(pool))
      yield* TestClock.adjust(5000)
      assert.deepStrictEqual(backend.closed, [1])
      assert.strictEqual((yield* ConnectionPool.stats(pool)).size, 0)
    })
  )
})

describe("createRetry", () => {
  it.effect("grows by default from 10 ms to 5 s, jittered by a fifth, without end", () =>
    Effect.gen(function* () {
      const backend = new Backend()
      backend.isDown = true
      const { pool } = yield* open({ breaker: false, acquireTimeout: Infinity }, backend)
      const waiting = yield* fork(touch(pool))
      yield* TestClock.adjust("10 minutes")
      assert.isTrue(isPending(waiting))
      const delays = backend.attemptedAt.slice(1).map((at, i) => at - backend.attemptedAt[i]!)
      assert.isAbove(delays.length, 100)
      delays.forEach((delay, i) => {
        const base = Math.min(5000, 10 * 2 ** i)
        // Timers count whole milliseconds.
        assert.isAtLeast(delay, Math.floor(base * 0.8))
        assert.isAtMost(delay, Math.ceil(base * 1.2))
      })
      assert.isAbove(new Set(delays.slice(-20).map(Math.round)).size, 10)
      backend.isDown = false
      yield* TestClock.adjust("6 seconds")
      assert.isTrue(Exit.isSuccess(exitOf(waiting)))
    })
  )

  it.effect("spaces the attempts; when it ends, those who wait fail with the last failure itself", () =>
    Effect.gen(function* () {
      const backend = new Backend()
      backend.isDown = true
      const { pool } = yield* open({ createRetry: Schedule.upTo(Schedule.spaced(100), { times: 2 }) }, backend)
      const waiting = yield* fork(touch(pool))
      yield* TestClock.adjust(199)
      assert.isTrue(isPending(waiting))
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(backend.attemptedAt, [0, 100, 200])
      assert.strictEqual(failedAttempt(exitOf(waiting)), 3)
    })
  )

  it.effect("sees the error, so that it can decide by it", () =>
    Effect.gen(function* () {
      const backend = new Backend()
      backend.isDown = true
      const { pool } = yield* open(
        {
          createRetry: Schedule.spaced(10).pipe(
            Schedule.setInputType<ConnectError>(),
            Schedule.while(({ input }) => Effect.succeed(input.attempt < 4))
          )
        },
        backend
      )
      const waiting = yield* fork(touch(pool))
      yield* TestClock.adjust(100)
      assert.strictEqual(failedAttempt(exitOf(waiting)), 4)
    })
  )

  it.effect("starts anew after a success", () =>
    Effect.gen(function* () {
      const backend = new Backend()
      backend.isDown = true
      const { pool } = yield* open({ createRetry: Schedule.exponential(100) }, backend)
      const waiting = yield* fork(touch(pool))
      yield* TestClock.adjust(300)
      backend.isDown = false
      yield* TestClock.adjust(400)
      const id = yield* Fiber.join(waiting)
      assert.deepStrictEqual(backend.attemptedAt, [0, 100, 300, 700])
      const held = yield* hold(pool)
      assert.strictEqual(held.connection.id, id)
      yield* ConnectionPool.invalidate(pool, held.connection)
      backend.isDown = true
      yield* held.release()
      yield* fork(touch(pool))
      yield* TestClock.adjust(300)
      assert.deepStrictEqual(backend.attemptedAt.slice(4), [700, 800, 1000])
    })
  )

  it.effect("that dies is reported, and ends the wait instead of hanging it", () =>
    Effect.gen(function* () {
      const backend = new Backend()
      backend.isDown = true
      const logs: Array<string> = []
      const { pool } = yield* open(
        {
          createRetry: Schedule.modifyDelay(Schedule.forever, () => Effect.die(new Error("bad schedule")))
        },
        backend
      ).pipe(loggingTo(logs))
      const events = record(pool)
      const exit = yield* Effect.exit(touch(pool))
      assert.strictEqual(reasonOf(exit), "ConnectError")
      assert.deepInclude(tagged(events, "BackgroundFailure")[0], { during: "retry", cause: "Error: bad schedule" })
      assert.isTrue(logs.some((line) => line.includes("createRetry failed")))
    })
  )
})

describe("breaker", () => {
  const down = (options: Given = {}) =>
    Effect.gen(function* () {
      const backend = new Backend()
      backend.isDown = true
      const { pool } = yield* open({ createRetry: Schedule.spaced(10), ...options }, backend)
      return { backend, pool, events: record(pool) }
    })

  it.effect("opens by default after 8 failures in a row and answers with the last failure at once", () =>
    Effect.gen(function* () {
      const { backend, events, pool } = yield* down()
      const waiting = yield* fork(touch(pool))
      yield* TestClock.adjust(69)
      assert.strictEqual(backend.attempts, 7)
      assert.isTrue(isPending(waiting))
      yield* TestClock.adjust(1)
      assert.strictEqual(failedAttempt(exitOf(waiting)), 8)
      assert.strictEqual(failedAttempt(yield* Effect.exit(touch(pool))), 8)
      assert.strictEqual(tagged(events, "BreakerOpened")[0]?.failures, 8)
      assert.strictEqual((yield* ConnectionPool.stats(pool)).details["breakerOpen"], true)
    })
  )

  it.effect("probes every 500 ms by default with nobody asking, and closes on success", () =>
    Effect.gen(function* () {
      const { backend, events, pool } = yield* down({
        createRetry: Schedule.spaced("1 hour"),
        breaker: { failures: 1 }
      })
      assert.strictEqual(reasonOf(yield* Effect.exit(touch(pool))), "ConnectError")
      yield* TestClock.adjust(1499)
      assert.deepStrictEqual(backend.attemptedAt, [0, 500, 1000])
      backend.isDown = false
      yield* TestClock.adjust(1)
      assert.strictEqual(tagged(events, "BreakerClosed").length, 1)
      assert.strictEqual(yield* touch(pool), 4)
      assert.strictEqual((yield* ConnectionPool.stats(pool)).details["breakerOpen"], false)
    })
  )

  it.effect("failures and probeInterval can be set", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* down({ breaker: { failures: 3, probeInterval: 5 } })
      const waiting = yield* fork(touch(pool))
      yield* TestClock.adjust(20)
      assert.strictEqual(failedAttempt(exitOf(waiting)), 3)
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(backend.attemptedAt, [0, 10, 20, 25, 30])
    })
  )

  it.effect("false never opens: callers wait through any number of failures", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* down({ breaker: false, acquireTimeout: "1 minute" })
      const waiting = yield* fork(touch(pool))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(backend.attempts, 1001)
      assert.isTrue(isPending(waiting))
    })
  )

  it.effect("lets callers wait while a connection is open that may come back to them", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* down({ breaker: { failures: 2 } })
      backend.isDown = false
      const held = yield* hold(pool)
      backend.isDown = true
      const waiting = yield* fork(touch(pool))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* ConnectionPool.stats(pool)).details["breakerOpen"], true)
      assert.isTrue(isPending(waiting))
      yield* held.release()
      assert.strictEqual(yield* Fiber.join(waiting), held.connection.id)
    })
  )
})

describe("idleTimeout", () => {
  it.effect("is 5 minutes by default, counted from the end of the last lease", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open()
      yield* TestClock.adjust(1234)
      yield* touch(pool)
      yield* TestClock.adjust("100 seconds")
      yield* touch(pool)
      yield* TestClock.adjust(299_999)
      assert.strictEqual(backend.live, 1)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(backend.closed, [1])
      assert.strictEqual((yield* ConnectionPool.stats(pool)).destroyed.idleTimeout, 1)
    })
  )

  it.effect("retires down to min, and no further", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ min: 1, max: 3, idleTimeout: "10 seconds" })
      const held = [yield* hold(pool), yield* hold(pool), yield* hold(pool)]
      for (const { release } of held) yield* release()
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* ConnectionPool.stats(pool), { idle: 1, created: 3 })
    })
  )

  it.effect("does not touch a connection in use", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open({ idleTimeout: "1 second" })
      const held = yield* hold(pool)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(backend.live, 1)
      yield* held.release()
      yield* TestClock.adjust(999)
      assert.strictEqual(backend.live, 1)
      yield* TestClock.adjust(1)
      assert.strictEqual(backend.live, 0)
    })
  )

  it.effect("Infinity keeps idle connections", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open({ idleTimeout: Infinity, maxLifetime: Infinity })
      yield* touch(pool)
      yield* TestClock.adjust("1 day")
      assert.strictEqual(backend.live, 1)
    })
  )
})

describe("maxLifetime and lifetimeJitter", () => {
  const livesFor = (options: Given, random: number) =>
    Effect.gen(function* () {
      const { backend, pool } = yield* withRandom(random)(open({ idleTimeout: Infinity, ...options }))
      yield* touch(pool)
      const born = yield* now
      while (backend.live > 0) yield* TestClock.adjust(1000)
      assert.strictEqual((yield* ConnectionPool.stats(pool)).destroyed.maxLifetime, 1)
      return Duration.toMinutes((yield* now) - born)
    })

  it.effect("are 30 minutes and 0.25 by default: a connection lives between 22.5 and 30 minutes", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* livesFor({}, 0), 30)
      assert.strictEqual(yield* livesFor({}, 0.5), 26.25)
      assert.closeTo(yield* livesFor({}, 0.9999999), 22.5, 0.02)
    })
  )

  it.effect("jitter 0 makes every lifetime exact, jitter 1 any lifetime possible", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* livesFor({ maxLifetime: "10 minutes", lifetimeJitter: 0 }, 0.7), 10)
      assert.strictEqual(yield* livesFor({ maxLifetime: "10 minutes", lifetimeJitter: 1 }, 0.9), 1)
    })
  )

  it.effect("a connection in use is destroyed when it comes back, not before", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open({ maxLifetime: "1 minute", lifetimeJitter: 0 })
      const held = yield* hold(pool)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(backend.live, 1)
      yield* held.release()
      assert.strictEqual(backend.live, 0)
      assert.strictEqual((yield* ConnectionPool.stats(pool)).destroyed.maxLifetime, 1)
    })
  )

  it.effect("min is refilled when a lifetime ends", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ min: 2, maxLifetime: "1 minute", lifetimeJitter: 0 })
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* ConnectionPool.stats(pool), { idle: 2, created: 4 })
    })
  )

  it.effect("Infinity never ends a connection for its age", () =>
    Effect.gen(function* () {
      const { backend } = yield* open({ min: 1, maxLifetime: Infinity })
      yield* TestClock.adjust("20 days")
      assert.strictEqual(backend.live, 1)
    })
  )

  it.effect("with the real random numbers, connections opened together end apart, all within the jitter", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ max: 50, maxCreating: 50, maxLifetime: "10 minutes", idleTimeout: Infinity })
      for (let i = 0; i < 50; i++) yield* hold(pool)
      const expiries = Array.from(pool.store.all, ({ createdAt, expiresAt }) => expiresAt - createdAt)
      for (const expiry of expiries) {
        assert.isAtMost(expiry, 600_000)
        assert.isAbove(expiry, 450_000)
      }
      assert.strictEqual(new Set(expiries).size, 50)
    })
  )
})

describe("maxUses", () => {
  it.effect("is without limit by default", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open()
      for (let i = 0; i < 2000; i++) yield* touch(pool)
      assert.strictEqual(backend.attempts, 1)
    })
  )

  it.effect("destroys a connection when that many leases have ended", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open({ maxUses: 3 })
      const ids: Array<number> = []
      for (let i = 0; i < 7; i++) ids.push(yield* touch(pool))
      assert.deepStrictEqual(ids, [1, 1, 1, 2, 2, 2, 3])
      assert.deepStrictEqual(backend.closed, [1, 2])
      assert.strictEqual((yield* ConnectionPool.stats(pool)).destroyed.maxUses, 2)
    })
  )
})

describe("keepAlive", () => {
  const watched = (options: Given) =>
    Effect.gen(function* () {
      const checkedAt: Array<number> = []
      const check = () => Effect.map(now, (at) => void checkedAt.push(at))
      const { pool } = yield* open({ validate: check, validateAfterIdle: Infinity, ...options })
      yield* touch(pool)
      return { checkedAt, pool }
    })

  it.effect("is off by default", () =>
    Effect.gen(function* () {
      const { checkedAt } = yield* watched({ health: false })
      yield* TestClock.adjust("4 minutes")
      assert.deepStrictEqual(checkedAt, [])
    })
  )

  it.effect("checks an idle connection when it has shown no sign of life for that long", () =>
    Effect.gen(function* () {
      const { checkedAt, pool } = yield* watched({ health: false, keepAlive: "20 seconds" })
      yield* TestClock.adjust("19 seconds")
      // A lease is a sign of life.
      yield* touch(pool)
      yield* TestClock.adjust("50 seconds")
      assert.deepStrictEqual(checkedAt, [39_000, 59_000])
    })
  )

  it.effect("uses health.check where there is one", () =>
    Effect.gen(function* () {
      let checks = 0
      const { pool } = yield* open({
        keepAlive: "20 seconds",
        health: { interval: Infinity, check: () => Effect.sync(() => void checks++) }
      })
      yield* touch(pool)
      yield* TestClock.adjust("41 seconds")
      assert.strictEqual(checks, 2)
    })
  )

  it.effect("does not keep a connection from going stale", () =>
    Effect.gen(function* () {
      const { pool } = yield* watched({ keepAlive: "20 seconds", idleTimeout: "1 minute" })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* ConnectionPool.stats(pool)).destroyed.idleTimeout, 1)
    })
  )
})

describe("validate, validateAfterIdle and validationTimeout", () => {
  const validated = (options: Given = {}, answer: () => Effect.Effect<unknown, unknown> = () => Effect.void) =>
    Effect.gen(function* () {
      const validated: Array<number> = []
      const result = yield* open({
        health: false,
        validate: ({ id }) =>
          Effect.andThen(
            Effect.sync(() => validated.push(id)),
            Effect.suspend(answer)
          ),
        ...options
      })
      return { ...result, validated }
    })

  it.effect("there is no validation by default", () =>
    Effect.gen(function* () {
      const { pool } = yield* open()
      yield* touch(pool)
      yield* TestClock.adjust("4 minutes")
      assert.strictEqual(yield* touch(pool), 1)
    })
  )

  it.effect("a connection is not validated again within 500 ms by default", () =>
    Effect.gen(function* () {
      const { pool, validated: seen } = yield* validated()
      yield* touch(pool)
      yield* TestClock.adjust(499)
      yield* touch(pool)
      assert.deepStrictEqual(seen, [])
      yield* TestClock.adjust(500)
      yield* touch(pool)
      assert.deepStrictEqual(seen, [1])
    })
  )

  it.effect(
    "validateAfterIdle 0 validates before every hand-out of a used connection, also from holder to waiter",
    () =>
      Effect.gen(function* () {
        const { pool, validated: seen } = yield* validated({ max: 1, validateAfterIdle: 0 })
        const held = yield* hold(pool)
        assert.deepStrictEqual(seen, [], "a connection that was just made needs no validation")
        const waiting = yield* fork(touch(pool))
        yield* held.release()
        yield* Fiber.join(waiting)
        assert.deepStrictEqual(seen, [1])
        yield* touch(pool)
        assert.deepStrictEqual(seen, [1, 1])
      })
  )

  it.effect("validateAfterIdle Infinity never validates", () =>
    Effect.gen(function* () {
      const { pool, validated: seen } = yield* validated({ validateAfterIdle: Infinity })
      yield* touch(pool)
      yield* TestClock.adjust("4 minutes")
      yield* touch(pool)
      assert.deepStrictEqual(seen, [])
    })
  )

  for (const [what, answer] of [
    ["failing", Effect.fail("gone")],
    ["dying", Effect.die(new Error("gone"))],
    ["answering false", Effect.succeed(false)],
    ["interrupting itself", Effect.interrupt]
  ] as const) {
    it.effect(`${what} destroys the connection, and the caller gets another`, () =>
      Effect.gen(function* () {
        const logs: Array<string> = []
        const { backend, pool } = yield* loggingTo(logs)(validated({}, () => answer))
        yield* touch(pool)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* touch(pool), 2)
        assert.deepStrictEqual(backend.closed, [1])
        assert.strictEqual((yield* ConnectionPool.stats(pool)).destroyed.validationFailed, 1)
        assert.isTrue(logs.some((line) => line.includes("validate of connection 1 failed")))
      })
    )
  }

  it.effect("a validate that throws is a failure like any other", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({
        health: false,
        validate: () => {
          throw new Error("not an effect")
        }
      })
      yield* touch(pool)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* touch(pool), 2)
    })
  )

  it.effect("may take 5 seconds by default", () =>
    Effect.gen(function* () {
      const { pool } = yield* validated({ max: 1 }, () => Effect.never)
      yield* touch(pool)
      yield* TestClock.adjust("1 second")
      const waiting = yield* fork(touch(pool))
      yield* TestClock.adjust(4999)
      assert.isTrue(isPending(waiting))
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(exitOf(waiting), Exit.succeed(2))
    })
  )

  it.effect("validationTimeout can be set, and does not depend on the validation reacting to its end", () =>
    Effect.gen(function* () {
      const { pool } = yield* validated({ validationTimeout: 50 }, () => Effect.uninterruptible(Effect.sleep("1 hour")))
      yield* touch(pool)
      yield* TestClock.adjust("1 second")
      const waiting = yield* fork(touch(pool))
      yield* TestClock.adjust(50)
      assert.deepStrictEqual(exitOf(waiting), Exit.succeed(2))
    })
  )
})

describe("reset and resetTimeout", () => {
  it.effect("there is no reset by default, a returned connection is idle at once", () =>
    Effect.gen(function* () {
      const { pool } = yield* open()
      yield* touch(pool)
      assert.strictEqual((yield* ConnectionPool.stats(pool)).idle, 1)
    })
  )

  it.effect("runs in the background after each lease, and the connection is handed out only after", () =>
    Effect.gen(function* () {
      const cleaned: Array<number> = []
      const { pool } = yield* open({
        max: 1,
        reset: ({ id }) =>
          Effect.andThen(
            Effect.sleep(100),
            Effect.sync(() => cleaned.push(id))
          )
      })
      yield* touch(pool)
      assert.strictEqual(yield* now, 0, "the caller does not wait for the reset")
      const next = yield* fork(touch(pool))
      yield* TestClock.adjust(99)
      assert.isTrue(isPending(next))
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(exitOf(next), Exit.succeed(1))
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(cleaned, [1, 1])
    })
  )

  it.effect("runs after failed and interrupted leases too", () =>
    Effect.gen(function* () {
      let resets = 0
      const { pool } = yield* open({ reset: () => Effect.sync(() => void resets++) })
      yield* Effect.exit(ConnectionPool.use(pool, () => Effect.fail("oops")))
      yield* Effect.exit(ConnectionPool.use(pool, () => Effect.die("oops")))
      yield* Fiber.interrupt(yield* fork(ConnectionPool.use(pool, () => Effect.never)))
      assert.strictEqual(resets, 3)
    })
  )

  for (const [what, answer] of [
    ["failing", Effect.fail("stuck")],
    ["dying", Effect.die(new Error("stuck"))],
    ["answering false", Effect.succeed(false)]
  ] as const) {
    it.effect(`${what} destroys the connection, and the caller gets another`, () =>
      Effect.gen(function* () {
        const { backend, pool } = yield* open({ reset: () => answer })
        yield* touch(pool)
        assert.deepStrictEqual(backend.closed, [1])
        assert.strictEqual((yield* ConnectionPool.stats(pool)).destroyed.resetFailed, 1)
        assert.strictEqual(yield* touch(pool), 2)
      })
    )
  }

  it.effect("may take 5 seconds by default", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open({ reset: () => Effect.never })
      yield* touch(pool)
      yield* TestClock.adjust(4999)
      assert.strictEqual(backend.live, 1)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(backend.closed, [1])
    })
  )

  it.effect("resetTimeout can be set", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open({ reset: () => Effect.never, resetTimeout: 20 })
      yield* touch(pool)
      yield* TestClock.adjust(19)
      assert.strictEqual(backend.live, 1)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(backend.closed, [1])
    })
  )
})

describe("destroyTimeout", () => {
  const closing = (options: Given, placeIsFreeAfter: number) =>
    Effect.gen(function* () {
      const backend = new Backend()
      backend.closeTime = Infinity
      const { pool } = yield* open({ max: 1, ...options }, backend)
      const held = yield* hold(pool)
      yield* ConnectionPool.invalidate(pool, held.connection)
      const waiting = yield* fork(touch(pool))
      yield* held.release()
      yield* TestClock.adjust(placeIsFreeAfter - 1)
      assert.deepInclude(yield* ConnectionPool.stats(pool), { destroying: 1, size: 0 })
      assert.isTrue(isPending(waiting))
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(exitOf(waiting), Exit.succeed(2))
      backend.closeTime = 0
    })

  it.effect("is 5 seconds by default: so long closing keeps its place", () => closing({}, 5000))

  it.effect("can be set", () => closing({ destroyTimeout: 10 }, 10))

  it.effect("a connection that closes in time frees its place at that moment", () =>
    Effect.gen(function* () {
      const backend = new Backend()
      backend.closeTime = 30
      const { pool } = yield* open({ max: 1 }, backend)
      const held = yield* hold(pool)
      yield* ConnectionPool.invalidate(pool, held.connection)
      const waiting = yield* fork(touch(pool))
      yield* held.release()
      yield* TestClock.adjust(29)
      assert.isTrue(isPending(waiting))
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(exitOf(waiting), Exit.succeed(2))
      assert.strictEqual(backend.peak, 1)
      backend.closeTime = 0
    })
  )
})

describe("closeGrace", () => {
  const closesAfter = (options: Given, millis: number) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const backend = new Backend()
      const { pool } = yield* Scope.provide(open(options, backend), scope)
      const release = yield* Deferred.make<void>()
      const user = yield* fork(ConnectionPool.use(pool, () => Deferred.await(release)))
      yield* TestClock.adjust(0)
      const closing = yield* fork(Scope.close(scope, Exit.void))
      if (millis > 0) {
        yield* TestClock.adjust(millis - 1)
        assert.isTrue(isPending(closing))
        assert.strictEqual(backend.live, 1)
        yield* TestClock.adjust(1)
      }
      yield* Fiber.join(closing)
      assert.strictEqual(backend.live, 0, "destroyed under its holder")
      yield* Deferred.succeed(release, undefined)
      yield* Fiber.join(user)
      assert.deepInclude(yield* ConnectionPool.stats(pool), { used: 0, released: 1, state: "closed" })
    })

  it.effect("is 30 seconds by default", () => closesAfter({}, 30_000))

  it.effect("can be set", () => closesAfter({ closeGrace: "2 seconds" }, 2000))

  it.effect("0 destroys connections in use at once", () => closesAfter({ closeGrace: 0 }, 0))

  it.effect("0 gives nobody a connection that was destroyed before its caller went on", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { backend, pool } = yield* Scope.provide(open({ closeGrace: 0 }), scope)
      let uses = 0
      const user = yield* fork(Effect.exit(ConnectionPool.use(pool, () => Effect.sync(() => void uses++))))
      assert.deepInclude(yield* ConnectionPool.stats(pool), { used: 1 }, "served, and not yet awake")
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(reasonOf(yield* Fiber.join(user)), "Closed")
      assert.deepStrictEqual({ uses, live: backend.live }, { uses: 0, live: 0 })
      assert.deepInclude(yield* ConnectionPool.stats(pool), { used: 0, acquired: 1, released: 1 })
    })
  )

  it.effect("Infinity waits for the last lease; the close ends the moment it is back", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { backend, pool } = yield* Scope.provide(open({ closeGrace: Infinity }), scope)
      const release = yield* Deferred.make<void>()
      yield* fork(ConnectionPool.use(pool, () => Deferred.await(release)))
      const closing = yield* fork(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("1 day")
      assert.isTrue(isPending(closing))
      yield* Deferred.succeed(release, undefined)
      yield* Fiber.join(closing)
      assert.strictEqual(backend.live, 0)
    })
  )
})

describe("order", () => {
  const handedOut = (options: Given) =>
    Effect.gen(function* () {
      const { pool } = yield* open({ max: 3, ...options })
      const held = [yield* hold(pool), yield* hold(pool), yield* hold(pool)]
      for (const { release } of held) yield* release()
      return [(yield* hold(pool)).connection.id, (yield* hold(pool)).connection.id, (yield* hold(pool)).connection.id]
    })

  it.effect("is lifo by default: the connection used last goes first", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* handedOut({}), [3, 2, 1])
      assert.deepStrictEqual(yield* handedOut({ order: "lifo" }), [3, 2, 1])
    })
  )

  it.effect("fifo hands out the one unused longest", () =>
    Effect.map(handedOut({ order: "fifo" }), (ids) => assert.deepStrictEqual(ids, [1, 2, 3]))
  )
})

describe("concurrency", () => {
  it.effect("is 1 by default: nobody shares", () =>
    Effect.gen(function* () {
      const { pool } = yield* open()
      const first = yield* hold(pool)
      const second = yield* hold(pool)
      assert.notStrictEqual(first.connection.id, second.connection.id)
    })
  )

  it.effect("lets that many leases share a connection before another is made", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open({ concurrency: 3, max: 2 })
      const ids: Array<number> = []
      for (let i = 0; i < 6; i++) ids.push((yield* hold(pool)).connection.id)
      assert.deepStrictEqual(ids, [1, 1, 1, 2, 2, 2])
      assert.deepInclude(yield* ConnectionPool.stats(pool), { used: 2, acquired: 6 })
      const seventh = yield* fork(touch(pool))
      assert.isTrue(isPending(seventh))
      assert.strictEqual(backend.attempts, 2)
    })
  )
})

describe("health", () => {
  const checked = (options: Given, answer: () => Effect.Effect<unknown, unknown> = () => Effect.void) =>
    Effect.gen(function* () {
      const checkedAt: Array<number> = []
      const check = () =>
        Effect.andThen(
          Effect.map(now, (at) => checkedAt.push(at)),
          Effect.suspend(answer)
        )
      const { backend, pool } = yield* open({
        validate: check,
        validateAfterIdle: Infinity,
        idleTimeout: Infinity,
        maxLifetime: Infinity,
        ...options
      })
      yield* touch(pool)
      return { backend, checkedAt, pool }
    })

  it.effect("checks idle connections every 30 seconds by default, with validate", () =>
    Effect.gen(function* () {
      const { checkedAt } = yield* checked({})
      yield* TestClock.adjust("100 seconds")
      assert.deepStrictEqual(checkedAt, [30_000, 60_000, 90_000])
    })
  )

  it.effect("interval can be set; Infinity switches the checks off", () =>
    Effect.gen(function* () {
      const often = yield* checked({ health: { interval: "7 seconds" } })
      const never = yield* checked({ health: { interval: Infinity } })
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(often.checkedAt, [7000, 14_000])
      assert.deepStrictEqual(never.checkedAt, [])
    })
  )

  it.effect("check replaces validate in the background, and only there", () =>
    Effect.gen(function* () {
      let checks = 0
      let validations = 0
      const { pool } = yield* open({
        validate: () => Effect.sync(() => void validations++),
        health: { check: () => Effect.sync(() => void checks++) }
      })
      yield* touch(pool)
      yield* TestClock.adjust("31 seconds")
      yield* touch(pool)
      assert.deepStrictEqual({ checks, validations }, { checks: 1, validations: 1 })
    })
  )

  it.effect("a check may take 5 seconds by default", () =>
    Effect.gen(function* () {
      const { pool } = yield* checked({}, () => Effect.never)
      yield* TestClock.adjust(34_999)
      assert.strictEqual((yield* ConnectionPool.connections(pool))[0]?.state, "checking")
      yield* TestClock.adjust(1)
      assert.deepInclude((yield* ConnectionPool.connections(pool))[0], { state: "idle", score: 75, errors: 1 })
    })
  )

  it.effect("timeout can be set", () =>
    Effect.gen(function* () {
      const { pool } = yield* checked({ health: { timeout: 10 } }, () => Effect.never)
      yield* TestClock.adjust(30_010)
      assert.deepInclude((yield* ConnectionPool.connections(pool))[0], { state: "idle", score: 75 })
    })
  )

  it.effect("false switches background checks off", () =>
    Effect.gen(function* () {
      const { checkedAt } = yield* checked({ health: false })
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(checkedAt, [])
    })
  )

  it.effect("without validate and check there is nothing to check with, and connections live on", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open({ idleTimeout: Infinity, maxLifetime: Infinity })
      yield* touch(pool)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(backend.live, 1)
    })
  )

  it.effect("policy rules can be set one by one", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({
        health: { policy: { reward: 1, penalty: 5, healthyAbove: 80, degradedAbove: 70, maxErrors: 100 } }
      })
      const { connection } = yield* hold(pool)
      const look = Effect.map(ConnectionPool.connections(pool), ([info]) => [info?.score, info?.status])
      for (let i = 0; i < 3; i++) yield* ConnectionPool.report(pool, connection, "suspect")
      assert.deepStrictEqual(yield* look, [85, "healthy"])
      yield* ConnectionPool.report(pool, connection, "fine")
      assert.deepStrictEqual(yield* look, [86, "healthy"])
      for (let i = 0; i < 2; i++) yield* ConnectionPool.report(pool, connection, "suspect")
      assert.deepStrictEqual(yield* look, [76, "degraded"])
      for (let i = 0; i < 2; i++) yield* ConnectionPool.report(pool, connection, "suspect")
      assert.deepStrictEqual(yield* look, [66, "failed"])
    })
  )

  it.effect("policy.degradedAbove may be as high as healthyAbove: then nothing is degraded", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ health: { policy: { healthyAbove: 80, degradedAbove: 80 } } })
      const { connection } = yield* hold(pool)
      yield* ConnectionPool.report(pool, connection, "suspect")
      assert.deepInclude((yield* ConnectionPool.connections(pool))[0], { score: 75, status: "failed" })
    })
  )

  it.effect("policy.maxErrors failures in a row make a connection unhealthy whatever its score", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ health: { policy: { penalty: 0, maxErrors: 3 } } })
      const { connection } = yield* hold(pool)
      yield* ConnectionPool.report(pool, connection, "suspect")
      yield* ConnectionPool.report(pool, connection, "suspect")
      assert.deepInclude((yield* ConnectionPool.connections(pool))[0], { score: 100, status: "healthy" })
      yield* ConnectionPool.report(pool, connection, "suspect")
      assert.deepInclude((yield* ConnectionPool.connections(pool))[0], { score: 100, status: "degraded" })
    })
  )
})

describe("classify", () => {
  const scoreAfter = (
    body: Effect.Effect<unknown, unknown>,
    classify?: ConnectionPool.Options<Connection, ConnectError, Scope.Scope>["classify"]
  ) =>
    Effect.gen(function* () {
      const { pool } = yield* open({ classify })
      yield* Effect.exit(ConnectionPool.use(pool, () => body))
      return (yield* ConnectionPool.connections(pool))[0]?.score
    })

  it.effect("takes by default a defect for suspect, and failures and interruptions for fine", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* scoreAfter(Effect.die("oops")), 75)
      assert.strictEqual(yield* scoreAfter(Effect.fail("not found")), 100)
      assert.strictEqual(yield* scoreAfter(Effect.interrupt), 100)
    })
  )

  it.effect("sees the whole cause, and decides", () =>
    Effect.gen(function* () {
      const classify = (cause: Cause.Cause<unknown>) => (Cause.squash(cause) === "gone" ? "fatal" : "suspect")
      assert.strictEqual(yield* scoreAfter(Effect.fail("odd"), classify), 75)
      assert.isUndefined(yield* scoreAfter(Effect.fail("gone"), classify), "destroyed")
    })
  )
})

describe("leakDetection", () => {
  it.effect("is off by default", () =>
    Effect.gen(function* () {
      const { pool } = yield* open()
      const events = record(pool)
      yield* hold(pool)
      yield* TestClock.adjust("1 day")
      assert.deepStrictEqual(tagged(events, "LeaseOverdue"), [])
      assert.isFalse(pool.admission.tracksCallSites)
    })
  )

  it.effect("reports a lease held for that long, to the millisecond", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ leakDetection: "10 seconds" })
      const events = record(pool)
      yield* hold(pool)
      yield* TestClock.adjust(9999)
      assert.deepStrictEqual(tagged(events, "LeaseOverdue"), [])
      yield* TestClock.adjust(1)
      assert.strictEqual(tagged(events, "LeaseOverdue")[0]?.held, 10_000)
    })
  )

  it.effect("reports in time also when the connection lay idle before", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ leakDetection: "10 seconds" })
      const events = record(pool)
      yield* touch(pool)
      yield* TestClock.adjust("11 seconds")
      yield* hold(pool)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(tagged(events, "LeaseOverdue").length, 1)
    })
  )
})

describe("nonsense", () => {
  const acquire = Effect.succeed("connection")

  /** The error of a refused pool; nothing of it may be left. */
  const refusal = (options: unknown) =>
    Effect.gen(function* () {
      const registry = PoolRegistry.makeUnsafe()
      const exit = yield* Effect.exit(
        Effect.scoped(ConnectionPool.make(options as ConnectionPool.Options<unknown, unknown, never>)).pipe(
          Effect.provideService(PoolRegistry.PoolRegistry, registry)
        )
      )
      assert(Exit.isFailure(exit), "accepted")
      const error = Cause.squash(exit.cause)
      assert.instanceOf(error, InvalidOptions.InvalidOptions)
      assert.deepStrictEqual(registry.list(), [])
      assert.strictEqual(registry.claimUnsafe("picky"), "picky", "the name is free")
      return error
    })

  const notWhole = [-1, 1.5, NaN, Infinity, -Infinity, "5", null, true, {}, [], 5n, () => 5]
  const notLimit = [-1, 1.5, NaN, -Infinity, "5", null, true, {}, []]
  const notFraction = [-0.1, 1.1, NaN, Infinity, "0.5", null, true, {}]
  const notScore = [-1, 101, NaN, Infinity, "10", null, {}]
  const notDuration = [
    -1,
    NaN,
    -Infinity,
    "5 parsecs",
    "5",
    "",
    "-5 seconds",
    "-Infinity",
    "seconds",
    null,
    true,
    {},
    [],
    [1],
    [-1, 0],
    [NaN, 0],
    { secondss: 5 },
    { seconds: -5 },
    { seconds: NaN },
    { seconds: "5" },
    new Date(0),
    -5n,
    Duration.seconds(-5),
    Duration.negativeInfinity,
    () => 5
  ]
  const zero = [0, "0 seconds", Duration.zero, 0n, [0, 0], { seconds: 0 }]
  const infinite = [Infinity, "Infinity", Duration.infinity]
  const notFunction = [null, true, 5, "select 1", {}, Effect.void]
  const notObject = [null, true, 5, "yes", [], () => ({})]

  /** Every field, with values that make no sense in it. `validate` is there for what needs it. */
  const table: Record<string, ReadonlyArray<unknown>> = {
    name: ["", "  ", null, 5, {}, Symbol("name")],
    acquire: [undefined, null, 5, () => Effect.void, Promise.resolve(1), {}],
    min: notWhole,
    max: [0, ...notWhole],
    acquireTimeout: notDuration,
    maxWaiters: notLimit,
    maxCreating: [0, ...notLimit],
    createTimeout: [...zero, ...notDuration],
    createRetry: [null, true, 5, "exponential", {}, Effect.void, () => Schedule.forever],
    breaker: [true, ...notObject],
    "breaker.failures": [0, ...notWhole],
    "breaker.probeInterval": [...zero, ...infinite, ...notDuration],
    "breaker.failure": [5],
    idleTimeout: [...zero, ...notDuration],
    maxLifetime: [...zero, ...notDuration],
    lifetimeJitter: notFraction,
    maxUses: [0, ...notLimit],
    keepAlive: [...zero, ...notDuration],
    validate: notFunction,
    validateAfterIdle: notDuration,
    validationTimeout: [...zero, ...notDuration],
    reset: notFunction,
    resetTimeout: [...zero, ...notDuration],
    destroyTimeout: [...zero, ...notDuration],
    closeGrace: notDuration,
    budget: [null, 5, "files", {}, { budget: {} }],
    order: ["LIFO", "", "random", null, true, 0],
    concurrency: [0, ...notWhole],
    health: [true, ...notObject],
    "health.interval": [...zero, ...notDuration],
    "health.check": notFunction,
    "health.timeout": [...zero, ...notDuration],
    "health.policy": [true, false, ...notObject],
    "health.intervall": ["30 seconds"],
    "health.policy.reward": notScore,
    "health.policy.penalty": notScore,
    "health.policy.healthyAbove": [100, ...notScore],
    "health.policy.degradedAbove": [100, 51, ...notScore],
    "health.policy.maxErrors": [0, ...notLimit],
    "health.policy.bonus": [5],
    classify: notFunction,
    leakDetection: [...zero, ...notDuration],
    maxSize: [5, undefined],
    idleTimeOut: ["5 seconds"]
  }

  const nested = (path: string, value: unknown): object =>
    path.split(".").reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as object

  for (const [field, values] of Object.entries(table)) {
    it.effect(`${field} is refused with the pool, the field, the value and the rule`, () =>
      Effect.forEach(values, (value) =>
        Effect.gen(function* () {
          const options = { acquire, name: "picky", ...nested(field, value) }
          const error = yield* Effect.catchDefect(refusal(options), (defect) =>
            Effect.die(new Error(`${field}: ${String(value)} ${JSON.stringify(value, jsonSafe)}: ${String(defect)}`))
          )
          assert.strictEqual(error.field, field)
          assert.strictEqual(error.pool, field === "name" ? "connection pool" : "picky")
          assert.isAbove(error.rule.length, 5)
          assert.strictEqual(
            error.message,
            `Pool "${error.pool}": option "${field}" ${error.rule}, but is ${error.value}`
          )
        })
      )
    )
  }

  it.effect("every option is in the table above", () =>
    Effect.sync(() => {
      const all: Record<keyof ConnectionPool.Options<unknown, unknown, never>, true> = {
        acquire: true,
        name: true,
        min: true,
        max: true,
        acquireTimeout: true,
        maxWaiters: true,
        maxCreating: true,
        createTimeout: true,
        createRetry: true,
        breaker: true,
        idleTimeout: true,
        maxLifetime: true,
        lifetimeJitter: true,
        maxUses: true,
        keepAlive: true,
        validate: true,
        validateAfterIdle: true,
        validationTimeout: true,
        reset: true,
        resetTimeout: true,
        destroyTimeout: true,
        closeGrace: true,
        budget: true,
        order: true,
        concurrency: true,
        health: true,
        classify: true,
        leakDetection: true
      }
      for (const field of Object.keys(all)) assert.property(table, field)
    })
  )

  for (const [what, options] of Object.entries({
    undefined: undefined,
    null: null,
    number: 5,
    text: "options",
    array: [],
    function: () => ({})
  })) {
    it.effect(`instead of options, ${what} is refused`, () =>
      Effect.gen(function* () {
        const exit = yield* Effect.exit(Effect.scoped(ConnectionPool.make<unknown, unknown, never>(options as never)))
        assert(Exit.isFailure(exit))
        assert.instanceOf(Cause.squash(exit.cause), InvalidOptions.InvalidOptions)
      })
    )
  }

  it.effect("shows the value as it was given", () =>
    Effect.gen(function* () {
      const shown = (options: object) => Effect.map(refusal({ acquire, name: "picky", ...options }), (it) => it.message)
      assert.strictEqual(
        yield* shown({ max: 0 }),
        'Pool "picky": option "max" must be a whole number of at least 1, but is 0'
      )
      assert.strictEqual(
        yield* shown({ idleTimeout: "5 parsecs" }),
        'Pool "picky": option "idleTimeout" must be a duration, but is "5 parsecs"'
      )
      assert.strictEqual(
        yield* shown({ order: "random" }),
        'Pool "picky": option "order" must be one of lifo, fifo, but is "random"'
      )
      assert.strictEqual(yield* shown({ maxsize: 5 }), 'Pool "picky": option "maxsize" is not known, but is 5')
    })
  )

  it.effect("min above max is refused, also above the default max", () =>
    Effect.gen(function* () {
      const error = yield* refusal({ acquire, name: "picky", min: 5, max: 4 })
      assertFields(error, { field: "min", value: "5", rule: "must not exceed max (4)" })
      assert.strictEqual((yield* refusal({ acquire, name: "picky", min: 11 })).rule, "must not exceed max (10)")
    })
  )

  it.effect("keepAlive without anything to check with is refused", () =>
    Effect.gen(function* () {
      const error = yield* refusal({ acquire, name: "picky", keepAlive: "1 minute" })
      assert.strictEqual(error.field, "keepAlive")
      assert.include(error.rule, "needs `validate` or `health.check`")
    })
  )

  it.effect("a pool without a name that is refused leaves nothing either", () =>
    Effect.gen(function* () {
      assert.match((yield* refusal({ acquire, max: -1 })).pool, /^connection-pool-\d+$/)
    })
  )

  it.effect("what is undefined takes its default", () =>
    Effect.gen(function* () {
      const given = Object.fromEntries(
        Object.keys(table)
          .filter((field) => !/\.|maxSize|idleTimeOut|^acquire$/.test(field))
          .map((field) => [field, undefined])
      )
      const { pool } = yield* open(given as Given)
      assert.deepInclude(yield* ConnectionPool.stats(pool), { min: 0, max: 10 })
      yield* ConnectionPool.make({
        acquire,
        breaker: { failures: undefined, probeInterval: undefined },
        health: {
          interval: undefined,
          check: undefined,
          timeout: undefined,
          policy: {
            reward: undefined,
            penalty: undefined,
            healthyAbove: undefined,
            degradedAbove: undefined,
            maxErrors: undefined
          }
        }
      })
    })
  )

  it.effect("durations can be given in every form that Effect knows", () =>
    Effect.gen(function* () {
      for (const idleTimeout of [
        5000,
        5_000_000_000n,
        "5 seconds",
        Duration.seconds(5),
        [5, 0],
        { seconds: 5 }
      ] as const) {
        const { backend, pool } = yield* open({ idleTimeout })
        yield* touch(pool)
        yield* TestClock.adjust(4999)
        assert.strictEqual(backend.live, 1)
        yield* TestClock.adjust(1)
        assert.strictEqual(backend.live, 0)
      }
    })
  )
})

describe("what is no pool of connections", () => {
  for (const [what, value] of Object.entries({
    nothing: undefined,
    null: null,
    "a text": "connection",
    "an object that says it is": { kind: "connection" }
  })) {
    it(`is not taken for one: ${what}`, () => {
      assert.isFalse(ConnectionPool.isConnectionPool(value))
    })
  }

  it.effect("is not taken for one: a pool of another kind", () =>
    Effect.gen(function* () {
      const pool = yield* TestPool.make({ acquire: Effect.succeed("item") })
      assert.isFalse(ConnectionPool.isConnectionPool(pool))
      assert.isTrue(ConnectionPool.isConnectionPool((yield* open()).pool))
    })
  )
})

describe("per-call options", () => {
  const invalid = (options: unknown) =>
    Effect.gen(function* () {
      const { pool } = yield* open({ name: "calls" })
      const useExit = yield* Effect.exit(ConnectionPool.use(pool, () => Effect.void, options as never))
      const getExit = yield* Effect.exit(Effect.scoped(ConnectionPool.get(pool, options as never)))
      for (const exit of [useExit, Exit.asVoid(getExit)]) {
        assert(Exit.isFailure(exit), `accepted ${JSON.stringify(options, jsonSafe)}`)
        assert.instanceOf(Cause.squash(exit.cause), InvalidOptions.InvalidOptions)
      }
      assert.deepInclude(yield* ConnectionPool.stats(pool), { acquired: 0, created: 0, pending: 0 })
      return Cause.squash((useExit as Exit.Failure<never, never>).cause) as InvalidOptions.InvalidOptions
    }).pipe(Effect.scoped)

  for (const priority of [NaN, Infinity, -Infinity, "high", null, true]) {
    it.effect(`priority ${String(priority)} is refused`, () =>
      Effect.gen(function* () {
        const error = yield* invalid({ priority })
        assertFields(error, { pool: "calls", field: "priority", rule: "must be a finite number" })
      })
    )
  }

  for (const acquireTimeout of [-1, NaN, "soon", "-1 seconds", null, {}, { seconds: -1 }, Duration.seconds(-1)]) {
    it.effect(`acquireTimeout ${JSON.stringify(acquireTimeout)} is refused`, () =>
      Effect.gen(function* () {
        const error = yield* invalid({ acquireTimeout })
        assertFields(error, { pool: "calls", field: "acquireTimeout" })
      })
    )
  }

  it.effect("unknown fields, and options that are no object, are refused", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* invalid({ timeout: 5 })).field, "timeout")
      yield* invalid(null)
      yield* invalid(5)
      yield* invalid("fast")
      yield* invalid([])
    })
  )

  it.effect("an empty object changes nothing", () =>
    Effect.gen(function* () {
      const { pool } = yield* open()
      assert.strictEqual(yield* ConnectionPool.use(pool, ({ id }) => Effect.succeed(id), {}), 1)
    })
  )
})

describe("arguments of resize and drain", () => {
  it.effect("resize refuses what make would refuse, and changes nothing then", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ name: "sized", min: 2, max: 5 })
      const refused = [
        { max: 0 },
        { max: -1 },
        { max: 1.5 },
        { max: NaN },
        { max: Infinity },
        { max: "5" },
        { max: null },
        { min: -1 },
        { min: 0.5 },
        { min: 6 },
        { max: 1 },
        { min: 4, max: 3 },
        { maxx: 3 },
        null,
        5,
        undefined,
        []
      ]
      for (const size of refused) {
        const exit = yield* Effect.exit(ConnectionPool.resize(pool, size as never))
        assert(Exit.isFailure(exit), `accepted ${JSON.stringify(size)}`)
        const error = Cause.squash(exit.cause)
        assert.instanceOf(error, InvalidOptions.InvalidOptions)
        assert.strictEqual(error.pool, "sized")
      }
      assert.deepInclude(yield* ConnectionPool.stats(pool), { min: 2, max: 5 })
    })
  )

  it.effect("resize leaves what is not given as it was", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ min: 2, max: 5 })
      yield* ConnectionPool.resize(pool, { max: 7 })
      assert.deepInclude(yield* ConnectionPool.stats(pool), { min: 2, max: 7 })
      yield* pool.pipe(ConnectionPool.resize({ min: 3 }))
      assert.deepInclude(yield* ConnectionPool.stats(pool), { min: 3, max: 7 })
      yield* ConnectionPool.resize(pool, {})
      assert.deepInclude(yield* ConnectionPool.stats(pool), { min: 3, max: 7 })
    })
  )

  it.effect("drain refuses a grace that is no duration, and goes on being open", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ name: "drained" })
      for (const grace of [-1, NaN, "soon", null, {}, "-5 seconds", Duration.seconds(-5)]) {
        const exit = yield* Effect.exit(ConnectionPool.drain(pool, grace as never))
        assert(Exit.isFailure(exit), `accepted ${JSON.stringify(grace)}`)
        const error = Cause.squash(exit.cause)
        assert.instanceOf(error, InvalidOptions.InvalidOptions)
        assertFields(error, { pool: "drained", field: "grace" })
      }
      assert.strictEqual((yield* ConnectionPool.stats(pool)).state, "open")
    })
  )
})

const jsonSafe = (_key: string, value: unknown): unknown => (typeof value === "bigint" ? `${value}n` : value)
