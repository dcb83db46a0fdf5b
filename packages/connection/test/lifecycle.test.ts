import { ConnectionPool } from "@effect-pools/connection"
import { PoolRegistry } from "@effect-pools/core"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
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

const open = (options: Given = {}, backend = new Backend()) =>
  Effect.map(ConnectionPool.make({ acquire: backend.connect, ...options }), (pool) => ({ pool, backend }))

const reason = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.match(effect, {
    onSuccess: () => "success",
    onFailure: (error) => ("reason" in error ? (error.reason as { readonly _tag: string })._tag : error._tag)
  })

const isPending = (fiber: Fiber.Fiber<unknown, unknown>): boolean => fiber.pollUnsafe() === undefined

const stateOf = <A, E>(pool: ConnectionPool.ConnectionPool<A, E>) =>
  Effect.map(ConnectionPool.stats(pool), ({ state }) => state)

describe("suspend and resume", () => {
  it.effect("a suspended pool lets callers queue, and serves them in order when it goes on", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ min: 1, max: 1 })
      yield* ConnectionPool.suspend(pool)
      assert.strictEqual(yield* stateOf(pool), "suspended")
      const order: Array<number> = []
      const fibers = yield* Effect.forEach([1, 2, 3], (n) =>
        fork(ConnectionPool.use(pool, () => Effect.sync(() => order.push(n))))
      )
      yield* TestClock.adjust("10 seconds")
      assert.deepInclude(yield* ConnectionPool.stats(pool), { pending: 3, idle: 1, used: 0 })
      yield* ConnectionPool.resume(pool)
      yield* Fiber.joinAll(fibers)
      assert.deepStrictEqual(order, [1, 2, 3])
      assert.strictEqual(yield* stateOf(pool), "open")
    })
  )

  it.effect("timeouts run on while the pool is suspended", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ min: 1, acquireTimeout: "1 second" })
      yield* ConnectionPool.suspend(pool)
      const waiting = yield* fork(reason(touch(pool)))
      yield* TestClock.adjust(999)
      assert.isTrue(isPending(waiting))
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* Fiber.join(waiting), "AcquireTimeout")
    })
  )

  it.effect("leases that are out are not touched, and come back as ever", () =>
    Effect.gen(function* () {
      const { pool } = yield* open()
      const held = yield* hold(pool)
      yield* ConnectionPool.suspend(pool)
      yield* held.release()
      assert.deepInclude(yield* ConnectionPool.stats(pool), { idle: 1, used: 0 })
    })
  )

  it.effect("a call that does not wait fails with Suspended, an optional one gets nothing", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ min: 1 })
      yield* ConnectionPool.suspend(pool)
      assert.strictEqual(yield* reason(ConnectionPool.use(pool, () => Effect.void, { acquireTimeout: 0 })), "Suspended")
      assert.isTrue(Option.isNone(yield* ConnectionPool.useIfAvailable(pool, () => Effect.void)))
    })
  )

  it.effect("no connection is made for those who queue", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open()
      yield* ConnectionPool.suspend(pool)
      yield* fork(touch(pool))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(backend.attempts, 0)
      yield* ConnectionPool.resume(pool)
      assert.strictEqual(backend.attempts, 1)
    })
  )

  it.effect("both can be repeated, and resume does not open a draining pool", () =>
    Effect.gen(function* () {
      const { pool } = yield* open()
      yield* ConnectionPool.resume(pool)
      yield* ConnectionPool.suspend(pool)
      yield* ConnectionPool.suspend(pool)
      const held = yield* fork(touch(pool))
      yield* ConnectionPool.resume(pool)
      yield* ConnectionPool.resume(pool)
      yield* Fiber.join(held)
      const out = yield* hold(pool)
      const draining = yield* fork(ConnectionPool.drain(pool))
      yield* ConnectionPool.suspend(pool)
      yield* ConnectionPool.resume(pool)
      assert.strictEqual(yield* stateOf(pool), "draining")
      yield* out.release()
      yield* Fiber.join(draining)
    })
  )
})

describe("drain", () => {
  it.effect("refuses newcomers, fails those who wait, and ends when the last lease is back", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open({ max: 2 })
      const first = yield* hold(pool)
      const second = yield* hold(pool)
      const waiting = yield* fork(reason(touch(pool)))
      const draining = yield* fork(ConnectionPool.drain(pool))
      assert.strictEqual(yield* Fiber.join(waiting), "Closed")
      assert.strictEqual(yield* stateOf(pool), "draining")
      assert.strictEqual(yield* reason(touch(pool)), "Closed")
      assert.strictEqual(yield* reason(ConnectionPool.useIfAvailable(pool, () => Effect.void)), "Closed")
      yield* TestClock.adjust("1 day")
      yield* first.release()
      assert.isTrue(isPending(draining))
      yield* second.release()
      yield* Fiber.join(draining)
      assert.strictEqual(yield* stateOf(pool), "closed")
      assert.strictEqual(backend.live, 0)
    })
  )

  it.effect("after the grace closes anyway: connections in use are destroyed under their holders", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open()
      const held = yield* hold(pool)
      const draining = yield* fork(ConnectionPool.drain(pool, "5 seconds"))
      yield* TestClock.adjust(4999)
      assert.strictEqual(backend.live, 1)
      assert.isTrue(isPending(draining))
      yield* TestClock.adjust(1)
      yield* Fiber.join(draining)
      assert.strictEqual(backend.live, 0)
      yield* held.release()
      assert.deepInclude(yield* ConnectionPool.stats(pool), { used: 0, size: 0, released: 1, acquired: 1 })
    })
  )

  it.effect("with grace 0 does not wait; data-last too", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open()
      yield* hold(pool)
      yield* pool.pipe(ConnectionPool.drain(0))
      assert.strictEqual(backend.live, 0)
      assert.strictEqual(yield* stateOf(pool), "closed")
    })
  )

  it.effect("with grace Infinity waits as without one", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open()
      const held = yield* hold(pool)
      const draining = yield* fork(ConnectionPool.drain(pool, Infinity))
      yield* TestClock.adjust("1 day")
      assert.strictEqual(yield* stateOf(pool), "draining")
      assert.strictEqual(backend.live, 1)
      yield* held.release()
      yield* Fiber.join(draining)
      assert.strictEqual(yield* stateOf(pool), "closed")
    })
  )

  it.effect("of a pool at rest ends at once, and can be repeated", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open({ min: 2 })
      yield* ConnectionPool.drain(pool)
      assert.strictEqual(backend.live, 0)
      yield* ConnectionPool.drain(pool)
      assert.strictEqual((yield* ConnectionPool.stats(pool)).destroyed.closed, 2)
    })
  )

  it.effect("refills min no more", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open({ min: 2 })
      const held = yield* hold(pool)
      const draining = yield* fork(ConnectionPool.drain(pool))
      yield* ConnectionPool.invalidate(pool, held.connection)
      yield* held.release()
      yield* Fiber.join(draining)
      assert.strictEqual(backend.attempts, 2)
    })
  )

  it.effect("waits for resets, which belong to the lease", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ reset: () => Effect.sleep(100) })
      yield* touch(pool)
      const draining = yield* fork(ConnectionPool.drain(pool))
      yield* TestClock.adjust(99)
      assert.isTrue(isPending(draining))
      yield* TestClock.adjust(1)
      yield* Fiber.join(draining)
    })
  )

  it.effect("leaves nothing: not in the registry, and the name is free", () =>
    Effect.gen(function* () {
      const registry = PoolRegistry.makeUnsafe()
      const { pool } = yield* open({ name: "db" }).pipe(Effect.provideService(PoolRegistry.PoolRegistry, registry))
      const events = record(pool)
      yield* ConnectionPool.drain(pool)
      assert.deepStrictEqual(registry.list(), [])
      assert.strictEqual(registry.claimUnsafe("db"), "db")
      assert.deepStrictEqual(
        events.map(({ _tag }) => _tag),
        ["Draining", "Closing", "Closed"]
      )
    })
  )
})

describe("resize", () => {
  it.effect("up lets those who wait have connections at once", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ max: 1 })
      yield* hold(pool)
      const waiting = yield* fork(touch(pool))
      assert.isTrue(isPending(waiting))
      yield* ConnectionPool.resize(pool, { max: 2 })
      assert.strictEqual(yield* Fiber.join(waiting), 2)
    })
  )

  it.effect("of min up fills in the background, of min down lets idle ones go in time", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ idleTimeout: "10 seconds" })
      yield* ConnectionPool.resize(pool, { min: 3 })
      assert.strictEqual((yield* ConnectionPool.stats(pool)).idle, 3)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* ConnectionPool.stats(pool)).idle, 3)
      yield* ConnectionPool.resize(pool, { min: 1 })
      assert.strictEqual((yield* ConnectionPool.stats(pool)).idle, 1)
    })
  )

  it.effect("down destroys idle connections at once, least recently used first", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open({ max: 4 })
      const held = yield* Effect.forEach([1, 2, 3, 4], () => hold(pool))
      for (const { release } of held) yield* release()
      yield* ConnectionPool.resize(pool, { max: 2 })
      assert.deepStrictEqual(backend.closed, [1, 2])
      assert.strictEqual((yield* ConnectionPool.stats(pool)).destroyed.shrink, 2)
    })
  )

  it.effect("down with leases out interrupts none of them: they are destroyed as they come back", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open({ max: 3 })
      const held = yield* Effect.forEach([1, 2, 3], () => hold(pool))
      yield* ConnectionPool.resize(pool, { max: 1 })
      const waiting = yield* fork(touch(pool))
      assert.deepInclude(yield* ConnectionPool.stats(pool), { used: 3, max: 1 })
      yield* held[0]!.release()
      yield* held[1]!.release()
      assert.deepStrictEqual(backend.closed, [1, 2])
      assert.isTrue(isPending(waiting))
      yield* held[2]!.release()
      assert.strictEqual(yield* Fiber.join(waiting), 3)
      assert.deepInclude(yield* ConnectionPool.stats(pool), { idle: 1, size: 1 })
    })
  )

  it.effect("is told to listeners", () =>
    Effect.gen(function* () {
      const { pool } = yield* open()
      const events = record(pool)
      yield* ConnectionPool.resize(pool, { min: 0, max: 3 })
      assert.deepInclude(tagged(events, "Resized")[0], { min: 0, max: 3 })
    })
  )
})

describe("leak detection", () => {
  it.effect("tells once of a lease held too long, with the place that took it, as an event and in the log", () =>
    Effect.gen(function* () {
      const logs: Array<string> = []
      const { pool } = yield* loggingTo(logs)(open({ name: "leaky", leakDetection: "10 seconds" }))
      const events = record(pool)
      const held = yield* hold(pool)
      yield* TestClock.adjust("10 minutes")
      const overdue = tagged(events, "LeaseOverdue")
      assert.strictEqual(overdue.length, 1)
      assert.deepInclude(overdue[0], { item: 1, held: 10_000 })
      assert.match(overdue[0]?.takenAt ?? "", /test[/\\]backend\.ts/)
      const warnings = logs.filter((line) => line.includes("has been held"))
      assert.strictEqual(warnings.length, 1)
      assert.match(
        warnings[0] ?? "",
        /^Warn: Pool "leaky": connection 1 has been held for 10000 ms; taken at .*backend\.ts/
      )
      yield* held.release()
    })
  )

  it.effect("tells of each leaked lease", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ leakDetection: "10 seconds" })
      const events = record(pool)
      yield* hold(pool)
      yield* TestClock.adjust("3 seconds")
      yield* hold(pool)
      yield* TestClock.adjust("7 seconds")
      assert.deepStrictEqual(
        tagged(events, "LeaseOverdue").map(({ item }) => item),
        [1]
      )
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(
        tagged(events, "LeaseOverdue").map(({ item }) => item),
        [1, 2]
      )
    })
  )

  it.effect("knows the place also of a call with options of its own", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ leakDetection: "10 seconds" })
      const events = record(pool)
      yield* fork(ConnectionPool.use(pool, () => Effect.sleep("11 seconds"), { priority: 1 }))
      yield* TestClock.adjust("11 seconds")
      assert.match(tagged(events, "LeaseOverdue")[0]?.takenAt ?? "", /lifecycle\.test\.ts/)
    })
  )

  it.effect("says nothing of leases that come back in time", () =>
    Effect.gen(function* () {
      const logs: Array<string> = []
      const { pool } = yield* loggingTo(logs)(open({ leakDetection: "10 seconds" }))
      for (let i = 0; i < 5; i++) {
        const held = yield* hold(pool)
        yield* TestClock.adjust(9999)
        yield* held.release()
      }
      assert.deepStrictEqual(logs, [])
    })
  )

  it.effect("tells whoever times out how old the oldest lease is and where it was taken", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ name: "leaky", max: 1, leakDetection: "1 hour", acquireTimeout: "2 seconds" })
      yield* hold(pool)
      yield* TestClock.adjust("3 seconds")
      const waiting = yield* fork(Effect.flip(touch(pool)))
      yield* TestClock.adjust("2 seconds")
      const error = yield* Fiber.join(waiting)
      assert.match(error.message, /the oldest lease is 5000 ms old, taken at .*backend\.ts/)
    })
  )
})

describe("a nested acquire", () => {
  it.effect("from an exhausted pool is named in the timeout, in an event and in the log", () =>
    Effect.gen(function* () {
      const logs: Array<string> = []
      const { pool } = yield* loggingTo(logs)(open({ name: "db", max: 1, acquireTimeout: "1 second" }))
      const events = record(pool)
      const nested = yield* fork(Effect.flip(ConnectionPool.use(pool, () => touch(pool))))
      yield* TestClock.adjust("1 second")
      const error = yield* Fiber.join(nested)
      assert(error._tag === "PoolError" && error.reason._tag === "AcquireTimeout")
      assert.strictEqual(error.reason.explanation.heldByCaller, 1)
      assert.include(error.message, "this fiber holds 1 of the pool's items while it waits for another")
      assert.include(error.message, "self-deadlock")
      assert.deepInclude(tagged(events, "NestedAcquire")[0], { held: 1 })
      assert.isTrue(logs.some((line) => line.startsWith('Warn: Pool "db": a fiber that holds 1 of its items')))
    })
  )

  it.effect("through scopes is noticed too", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ max: 2, acquireTimeout: "1 second" })
      const nested = yield* fork(
        Effect.flip(
          Effect.scoped(
            ConnectionPool.get(pool).pipe(
              Effect.andThen(ConnectionPool.get(pool)),
              Effect.andThen(ConnectionPool.get(pool))
            )
          )
        )
      )
      yield* TestClock.adjust("1 second")
      const error = yield* Fiber.join(nested)
      assert(error._tag === "PoolError" && error.reason._tag === "AcquireTimeout")
      assert.strictEqual(error.reason.explanation.heldByCaller, 2)
    })
  )

  it.effect("is not suspected where other fibers hold the connections", () =>
    Effect.gen(function* () {
      const logs: Array<string> = []
      const { pool } = yield* loggingTo(logs)(open({ max: 1, acquireTimeout: "1 second" }))
      yield* fork(ConnectionPool.use(pool, () => Effect.never))
      const waiting = yield* fork(Effect.flip(touch(pool)))
      yield* TestClock.adjust("1 second")
      assert.notInclude((yield* Fiber.join(waiting)).message, "this fiber holds")
      assert.deepStrictEqual(logs, [])
    })
  )

  it.effect("that can be served is served, without a word", () =>
    Effect.gen(function* () {
      const logs: Array<string> = []
      const { pool } = yield* loggingTo(logs)(open({ max: 2 }))
      assert.strictEqual(yield* ConnectionPool.use(pool, () => touch(pool)), 2)
      assert.deepStrictEqual(logs, [])
    })
  )
})

describe("getIfAvailable and useIfAvailable", () => {
  it.effect("give an idle connection, for the scope or for the effect, and take it back", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ min: 1 })
      assert.deepStrictEqual(yield* ConnectionPool.useIfAvailable(pool, ({ id }) => Effect.succeed(id)), Option.some(1))
      const got = yield* Effect.scoped(
        Effect.gen(function* () {
          const connection = yield* ConnectionPool.getIfAvailable(pool)
          assert.strictEqual((yield* ConnectionPool.stats(pool)).used, 1)
          return connection
        })
      )
      assert.strictEqual(Option.getOrThrow(got).id, 1)
      assert.deepInclude(yield* ConnectionPool.stats(pool), { used: 0, idle: 1, acquired: 2, released: 2 })
    })
  )

  it.effect("answer None at once where nothing is idle, and have nothing made", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open()
      assert.isTrue(Option.isNone(yield* ConnectionPool.useIfAvailable(pool, () => Effect.void)))
      assert.isTrue(Option.isNone(yield* Effect.scoped(ConnectionPool.getIfAvailable(pool))))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(backend.attempts, 0)
    })
  )

  it.effect("never get ahead of those who wait", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ max: 1 })
      const held = yield* hold(pool)
      const waiting = yield* fork(touch(pool))
      assert.isTrue(Option.isNone(yield* ConnectionPool.useIfAvailable(pool, () => Effect.void)))
      yield* held.release()
      yield* Fiber.join(waiting)
    })
  )

  it.effect("validate first what has been idle for a while", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ health: false, validate: () => Effect.sleep(100) })
      yield* touch(pool)
      yield* TestClock.adjust("1 second")
      const using = yield* fork(ConnectionPool.useIfAvailable(pool, ({ id }) => Effect.succeed(id)))
      yield* TestClock.adjust(99)
      assert.isTrue(isPending(using))
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* Fiber.join(using), Option.some(1))
    })
  )

  it.effect("try the next idle one if the first does not pass, then answer None, and have nothing made", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open({ health: false, validate: ({ id }) => Effect.succeed(id === 1) })
      const held = [yield* hold(pool), yield* hold(pool)]
      for (const { release } of held) yield* release()
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* ConnectionPool.useIfAvailable(pool, ({ id }) => Effect.succeed(id)), Option.some(1))
      assert.deepStrictEqual(backend.closed, [2])
      yield* ConnectionPool.use(pool, () =>
        Effect.map(
          ConnectionPool.useIfAvailable(pool, () => Effect.void),
          (it) => assert.isTrue(Option.isNone(it))
        )
      )
      assert.strictEqual(backend.attempts, 2)
    })
  )

  it.effect("answer None when the only idle one does not pass, and have nothing made", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open({ health: false, validate: () => Effect.delay(Effect.succeed(false), 10) })
      yield* touch(pool)
      yield* TestClock.adjust("1 second")
      const using = yield* fork(ConnectionPool.useIfAvailable(pool, ({ id }) => Effect.succeed(id)))
      yield* TestClock.adjust(10)
      assert.isTrue(Option.isNone(yield* Fiber.join(using)))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(backend.attempts, 1)
    })
  )
})

describe("a call with acquireTimeout 0", () => {
  it.effect("gets an idle connection", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ min: 1 })
      assert.strictEqual(yield* ConnectionPool.use(pool, ({ id }) => Effect.succeed(id), { acquireTimeout: 0 }), 1)
    })
  )

  it.effect("fails with Exhausted where it would have to wait, and leaves no trace", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open({ max: 1 })
      assert.strictEqual(yield* reason(ConnectionPool.use(pool, () => Effect.void, { acquireTimeout: 0 })), "Exhausted")
      yield* hold(pool)
      assert.strictEqual(yield* reason(Effect.scoped(ConnectionPool.get(pool, { acquireTimeout: 0 }))), "Exhausted")
      assert.deepInclude(yield* ConnectionPool.stats(pool), { exhausted: 2, timeouts: 0, pending: 0 })
      assert.strictEqual(backend.attempts, 1)
    })
  )
})

describe("invalidate", () => {
  it.effect("destroys an idle connection now, one in use when its lease ends, an unknown one not at all", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open()
      const held = yield* hold(pool)
      const other = yield* hold(pool)
      yield* other.release()
      yield* ConnectionPool.invalidate(pool, other.connection)
      assert.deepStrictEqual(backend.closed, [2])
      yield* pool.pipe(ConnectionPool.invalidate(held.connection))
      yield* ConnectionPool.invalidate(pool, { id: 1 })
      assert.deepStrictEqual(backend.closed, [2])
      yield* held.release()
      assert.deepStrictEqual(backend.closed, [2, 1])
      assert.strictEqual((yield* ConnectionPool.stats(pool)).destroyed.invalidated, 2)
    })
  )

  it.effect("works outside of effects too, for callbacks of a driver", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open()
      const held = yield* hold(pool)
      yield* held.release()
      ConnectionPool.invalidateUnsafe(pool, held.connection)
      assert.deepStrictEqual(backend.closed, [1])
    })
  )

  it.effect("while a connection is validated or reset destroys it after", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open({ reset: () => Effect.sleep(100) })
      const held = yield* hold(pool)
      yield* held.release()
      yield* ConnectionPool.invalidate(pool, held.connection)
      assert.strictEqual(backend.live, 1)
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(backend.closed, [1])
      assert.strictEqual((yield* ConnectionPool.stats(pool)).destroyed.invalidated, 1)
    })
  )
})

describe("a shared connection (concurrency above 1)", () => {
  it.effect("is invalidated for newcomers at once, and destroyed when its last holder leaves", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open({ concurrency: 3 })
      const first = yield* hold(pool)
      const second = yield* hold(pool)
      assert.strictEqual(first.connection, second.connection)
      yield* ConnectionPool.invalidate(pool, first.connection)
      const third = yield* hold(pool)
      assert.strictEqual(third.connection.id, 2)
      yield* first.release()
      assert.deepStrictEqual(backend.closed, [])
      yield* second.release()
      assert.deepStrictEqual(backend.closed, [1])
    })
  )

  it.effect("has its uses counted by lease: maxUses holds, the last one out destroys it", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open({ concurrency: 2, maxUses: 3 })
      const first = yield* hold(pool)
      const second = yield* hold(pool)
      yield* first.release()
      const third = yield* hold(pool)
      assert.strictEqual(third.connection.id, 1)
      yield* third.release()
      const fourth = yield* hold(pool)
      assert.strictEqual(fourth.connection.id, 2)
      assert.deepStrictEqual(backend.closed, [])
      yield* second.release()
      assert.deepStrictEqual(backend.closed, [1])
      assert.strictEqual((yield* ConnectionPool.stats(pool)).destroyed.maxUses, 1)
    })
  )

  it.effect("is reset when its last holder leaves, and shared by nobody meanwhile", () =>
    Effect.gen(function* () {
      let resets = 0
      const { pool } = yield* open({
        concurrency: 2,
        max: 1,
        reset: () =>
          Effect.andThen(
            Effect.sleep(100),
            Effect.sync(() => void resets++)
          )
      })
      const first = yield* hold(pool)
      const second = yield* hold(pool)
      yield* first.release()
      assert.deepInclude(yield* ConnectionPool.stats(pool), { used: 1, idle: 0 })
      yield* second.release()
      const third = yield* fork(touch(pool))
      yield* TestClock.adjust(99)
      assert.isTrue(isPending(third))
      yield* TestClock.adjust(1)
      yield* Fiber.join(third)
      assert.strictEqual(resets, 1)
      yield* TestClock.adjust(100)
      assert.deepInclude(yield* ConnectionPool.stats(pool), { used: 0, idle: 1, size: 1 })
    })
  )

  it.effect("serves several who wait when it is made, validated or given back", () =>
    Effect.gen(function* () {
      const backend = new Backend()
      backend.connectTime = 100
      const { pool } = yield* open({ concurrency: 4, max: 1 }, backend)
      const fibers = yield* Effect.forEach([1, 2, 3, 4, 5], () =>
        fork(ConnectionPool.use(pool, () => Effect.sleep(50)))
      )
      yield* TestClock.adjust(100)
      assert.deepInclude(yield* ConnectionPool.stats(pool), { used: 1, pending: 1, acquired: 4 })
      yield* TestClock.adjust(50)
      assert.strictEqual((yield* ConnectionPool.stats(pool)).pending, 0)
      yield* TestClock.adjust(50)
      yield* Fiber.joinAll(fibers)
      assert.strictEqual(backend.attempts, 1)
    })
  )

  it.effect("that is too old is shared no more, so that its last holder can leave", () =>
    Effect.gen(function* () {
      const { backend, pool } = yield* open({ concurrency: 2, maxLifetime: "1 minute", lifetimeJitter: 0 })
      const first = yield* hold(pool)
      yield* TestClock.adjust("1 minute")
      const second = yield* hold(pool)
      assert.strictEqual(second.connection.id, 2)
      yield* first.release()
      assert.deepStrictEqual(backend.closed, [1])
    })
  )

  it.effect("names its overdue leases one by one", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ concurrency: 2, leakDetection: "10 seconds" })
      const events = record(pool)
      yield* hold(pool)
      yield* TestClock.adjust("5 seconds")
      yield* hold(pool)
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(
        tagged(events, "LeaseOverdue").map(({ item }) => item),
        [1]
      )
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(
        tagged(events, "LeaseOverdue").map(({ item }) => item),
        [1, 1]
      )
      assert.strictEqual(new Set(tagged(events, "LeaseOverdue").map(({ lease }) => lease)).size, 2)
    })
  )
})

describe("twins: an acquire that returns the same object more than once", () => {
  const openTwins = (options: Partial<ConnectionPool.Options<string, never, Scope.Scope>> = {}) =>
    Effect.gen(function* () {
      let closed = 0
      const pool = yield* ConnectionPool.make({
        acquire: Effect.acquireRelease(Effect.succeed("localhost"), () => Effect.sync(() => void closed++)),
        ...options
      })
      return { pool, closed: () => closed }
    })

  it.effect("are two connections", () =>
    Effect.gen(function* () {
      const { pool } = yield* openTwins()
      const first = yield* hold(pool)
      const second = yield* hold(pool)
      assert.strictEqual(first.connection, second.connection)
      assert.deepInclude(yield* ConnectionPool.stats(pool), { used: 2, created: 2 })
      yield* first.release()
      assert.deepInclude(yield* ConnectionPool.stats(pool), { used: 1, idle: 1 })
    })
  )

  it.effect("are all invalidated, each destroyed once", () =>
    Effect.gen(function* () {
      const { closed, pool } = yield* openTwins()
      const held = yield* Effect.forEach([1, 2, 3], () => hold(pool))
      yield* held[1]!.release()
      yield* ConnectionPool.invalidate(pool, "localhost")
      assert.strictEqual(closed(), 1)
      yield* held[0]!.release()
      yield* held[2]!.release()
      assert.strictEqual(closed(), 3)
      yield* ConnectionPool.invalidate(pool, "localhost")
      assert.deepInclude(yield* ConnectionPool.stats(pool), { size: 0, destroying: 0, created: 3 })
    })
  )

  it.effect("that are gone are forgotten: a later one is invalidated all the same", () =>
    Effect.gen(function* () {
      const { closed, pool } = yield* openTwins({ maxUses: 1 })
      const first = yield* hold(pool)
      const second = yield* hold(pool)
      const third = yield* hold(pool)
      yield* second.release()
      yield* first.release()
      assert.strictEqual(closed(), 2)
      yield* ConnectionPool.invalidate(pool, "localhost")
      yield* third.release()
      assert.strictEqual((yield* ConnectionPool.stats(pool)).destroyed.invalidated, 1)
    })
  )
})

describe("the end of a pool", () => {
  it.effect("callers that wait fail with Closed, idle connections go at once", () =>
    Effect.gen(function* () {
      const ended = yield* Deferred.make<string>()
      const backend = new Backend()
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { pool } = yield* open({ max: 2 }, backend)
          yield* touch(pool)
          yield* ConnectionPool.suspend(pool)
          yield* Effect.forkDetach(
            Effect.flatMap(reason(touch(pool)), (it) => Deferred.succeed(ended, it)),
            {
              startImmediately: true
            }
          )
        })
      )
      assert.strictEqual(yield* Deferred.await(ended), "Closed")
      assert.strictEqual(backend.live, 0)
    })
  )

  it.effect("a closed pool fails every call with Closed, and hangs none", () =>
    Effect.gen(function* () {
      const { pool } = yield* Effect.scoped(open())
      assert.strictEqual(yield* reason(touch(pool)), "Closed")
      assert.strictEqual(yield* reason(Effect.scoped(ConnectionPool.get(pool))), "Closed")
      assert.strictEqual(yield* reason(Effect.scoped(ConnectionPool.getIfAvailable(pool))), "Closed")
      assert.strictEqual(yield* reason(ConnectionPool.use(pool, () => Effect.void, { acquireTimeout: 0 })), "Closed")
      assert.strictEqual(yield* ConnectionPool.cleanUp(pool), 0)
      yield* ConnectionPool.resize(pool, { min: 1 })
      yield* ConnectionPool.drain(pool)
      assert.deepInclude(yield* ConnectionPool.stats(pool), { state: "closed", size: 0 })
    })
  )

  it.effect("a connection that is being made is not waited for longer than its own end takes", () =>
    Effect.gen(function* () {
      const backend = new Backend()
      backend.connectTime = Infinity
      const { pool } = yield* Effect.scoped(open({ min: 1 }, backend))
      assert.deepInclude(yield* ConnectionPool.stats(pool), { creating: 0, state: "closed" })
      assert.strictEqual(yield* now, 0)
    })
  )

  it.effect("a failure to close a connection is logged and told, and stops nothing", () =>
    Effect.gen(function* () {
      const logs: Array<string> = []
      const events = yield* Effect.scoped(
        Effect.gen(function* () {
          const pool = yield* ConnectionPool.make({
            acquire: Effect.acquireRelease(Effect.succeed({}), () => Effect.die(new Error("cannot close"))),
            min: 2
          })
          return record(pool)
        })
      ).pipe(loggingTo(logs))
      assert.deepStrictEqual(
        tagged(events, "BackgroundFailure").map(({ cause, during }) => [during, cause]),
        [
          ["destroy", "Error: cannot close"],
          ["destroy", "Error: cannot close"]
        ]
      )
      assert.strictEqual(logs.filter((line) => line.includes("destroy of connection")).length, 2)
    })
  )

  it.effect("a lease that fails or is interrupted gives its connection back", () =>
    Effect.gen(function* () {
      const { pool } = yield* open()
      const exit = yield* Effect.exit(ConnectionPool.use(pool, () => Effect.fail("oops")))
      assert.isTrue(Exit.isFailure(exit))
      yield* Fiber.interrupt(yield* fork(ConnectionPool.use(pool, () => Effect.never)))
      assert.deepInclude(yield* ConnectionPool.stats(pool), { idle: 1, used: 0, acquired: 2, released: 2 })
    })
  )
})
