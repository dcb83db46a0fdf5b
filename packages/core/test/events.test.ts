import { Pool, type PoolEvent } from "@effect-pools/core"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { fork, open } from "./fake.ts"

const tags = (events: ReadonlyArray<PoolEvent.PoolEvent>) => events.map(({ _tag }) => _tag)

/** Ends when the stream of the pool listens. */
const listening = (pool: Pool.Pool<string>) =>
  Effect.whileLoop({ while: () => !pool.admission.observer.isListening, body: () => Effect.yieldNow, step: () => {} })

const opened = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const pool = yield* Scope.provide(open({ name: "watched", max: 1 }), scope)
  return { pool, close: Scope.close(scope, Exit.void) }
})

describe("the stream of events", () => {
  it.effect("tells nothing of the resize of a pool that has closed, and changes nothing", () =>
    Effect.gen(function* () {
      const scope = Scope.makeUnsafe()
      const pool = yield* Scope.provide(open({ max: 2 }), scope)
      yield* Scope.close(scope, Exit.void)
      const tags: Array<string> = []
      pool.admission.observer.listen(({ _tag }) => tags.push(_tag))
      yield* Pool.resize(pool, { max: 5 })
      assert.deepStrictEqual(tags, [])
      assert.strictEqual(Pool.statsUnsafe(pool).max, 2)
    })
  )

  it.effect("tells every transition in order, and ends when the pool has closed", () =>
    Effect.gen(function* () {
      const { close, pool } = yield* opened
      const reading = yield* fork(Stream.runCollect(Pool.events(pool)))
      yield* listening(pool)
      const user = yield* fork(Pool.use(pool, () => Effect.sleep(100)))
      const waiter = yield* fork(Pool.use(pool, () => Effect.fail("oops")))
      yield* TestClock.adjust(100)
      yield* Fiber.join(user)
      yield* Fiber.await(waiter)
      const impatient = yield* fork(Pool.use(pool, () => Effect.never))
      const interrupted = yield* fork(Pool.use(pool, () => Effect.void))
      yield* Fiber.interrupt(interrupted)
      yield* Fiber.interrupt(impatient)
      yield* Effect.exit(Pool.use(pool, () => Effect.die("bug")))
      yield* Pool.suspend(pool)
      yield* Pool.resume(pool)
      yield* Pool.resize(pool, { max: 2 })
      yield* close
      const events = yield* Fiber.join(reading)
      assert.deepStrictEqual(tags(events), [
        "LeaseAcquired",
        "WaitStarted",
        "LeaseReleased",
        "LeaseAcquired",
        "LeaseReleased",
        "LeaseAcquired",
        "WaitStarted",
        "WaitEnded",
        "LeaseReleased",
        "LeaseAcquired",
        "LeaseReleased",
        "Suspended",
        "Resumed",
        "Resized",
        "Closing",
        "Closed"
      ])
      for (const event of events) assert.strictEqual(event.pool, "watched")
      assert.deepStrictEqual(events.slice(0, 5), [
        { _tag: "LeaseAcquired", pool: "watched", at: 0, item: 1, lease: 1, waited: 0, takenAt: undefined },
        { _tag: "WaitStarted", pool: "watched", at: 0, lease: 2, pending: 1 },
        { _tag: "LeaseReleased", pool: "watched", at: 100, item: 1, lease: 1, used: 100, outcome: "success" },
        { _tag: "LeaseAcquired", pool: "watched", at: 100, item: 1, lease: 2, waited: 100, takenAt: undefined },
        { _tag: "LeaseReleased", pool: "watched", at: 100, item: 1, lease: 2, used: 0, outcome: "failure" }
      ])
      assert.deepInclude(events[7], { _tag: "WaitEnded", outcome: "interrupted" })
      assert.deepInclude(events[8], { outcome: "interrupted" })
      assert.deepInclude(events[10], { outcome: "defect" })
    })
  )

  it.effect("tells of a close once, also if the pool is drained after it", () =>
    Effect.gen(function* () {
      const { close, pool } = yield* opened
      const told: Array<PoolEvent.PoolEvent> = []
      pool.admission.observer.listen((event) => told.push(event))
      yield* close
      yield* Pool.drain(pool)
      yield* pool.admission.close(0)
      assert.deepStrictEqual(tags(told), ["Closing", "Closed"])
    })
  )

  it.effect("tells what ends a wait and how long it was: timeout, close", () =>
    Effect.gen(function* () {
      const { close, pool } = yield* opened
      const reading = yield* fork(Stream.runCollect(Pool.events(pool)))
      yield* listening(pool)
      yield* fork(Effect.exit(Pool.use(pool, () => Effect.never)))
      yield* fork(Effect.exit(Pool.use(pool, () => Effect.void, { acquireTimeout: 50 })))
      yield* TestClock.adjust(50)
      yield* fork(Effect.exit(Pool.use(pool, () => Effect.void)))
      yield* TestClock.adjust(30)
      yield* close
      const ended = (yield* Fiber.join(reading)).flatMap((event) =>
        event._tag === "WaitEnded" ? [[event.outcome, event.waited]] : []
      )
      assert.deepStrictEqual(ended, [
        ["timeout", 50],
        ["closed", 30]
      ])
    })
  )

  it.effect("of a pool that has closed already ends at once", () =>
    Effect.gen(function* () {
      const { close, pool } = yield* opened
      yield* close
      assert.deepStrictEqual(yield* Stream.runCollect(Pool.events(pool)), [])
    })
  )

  it.effect("is told to each of several readers", () =>
    Effect.gen(function* () {
      const { close, pool } = yield* opened
      const first = yield* fork(Stream.runCollect(Pool.events(pool)))
      yield* listening(pool)
      yield* Pool.use(pool, () => Effect.void)
      const second = yield* fork(Stream.runCollect(Stream.take(Pool.events(pool), 1)))
      yield* TestClock.adjust(0)
      yield* Pool.suspend(pool)
      assert.deepStrictEqual(tags(yield* Fiber.join(second)), ["Suspended"])
      yield* close
      assert.deepStrictEqual(tags(yield* Fiber.join(first)), [
        "LeaseAcquired",
        "LeaseReleased",
        "Suspended",
        "Closing",
        "Closed"
      ])
    })
  )

  it.effect("drops the oldest for a slow reader, and never holds up the pool", () =>
    Effect.gen(function* () {
      const { close, pool } = yield* opened
      const seen: Array<PoolEvent.PoolEvent> = []
      const gate = yield* Deferred.make<void>()
      const reading = yield* fork(
        Stream.runForEach(Pool.events(pool, { capacity: 4 }), (event) => {
          seen.push(event)
          return Deferred.await(gate)
        })
      )
      yield* listening(pool)
      yield* Pool.suspend(pool)
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(tags(seen), ["Suspended"], "the reader is busy with the first")
      yield* Pool.resume(pool)
      for (let i = 0; i < 1000; i++) yield* Pool.use(pool, () => Effect.void)
      yield* close
      assert.strictEqual((yield* Pool.stats(pool)).released, 1000)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(reading)
      assert.isAtMost(seen.length, 6)
      assert.deepStrictEqual(tags(seen).slice(-3), ["LeaseReleased", "Closing", "Closed"])
    })
  )

  it.effect("refuses a capacity that is no whole number of at least 1, and does not listen", () =>
    Effect.gen(function* () {
      const { pool } = yield* opened
      for (const capacity of [0, -1, 1.5, NaN, Infinity]) {
        const error = yield* Effect.flip(Stream.runDrain(Pool.events(pool, { capacity })))
        assert.deepInclude(error, { _tag: "InvalidOptions", field: "capacity" })
      }
      assert.isFalse(pool.admission.observer.isListening)
    })
  )

  it.effect("stops listening when its reader leaves", () =>
    Effect.gen(function* () {
      const { pool } = yield* opened
      const reading = yield* fork(Stream.runDrain(Pool.events(pool)))
      yield* listening(pool)
      yield* Fiber.interrupt(reading)
      assert.isFalse(pool.admission.observer.isListening)
    })
  )
})

describe("a listener that acts on what it hears", () => {
  it.effect("may interrupt who waits for itself, and others time out all the same", () =>
    Effect.gen(function* () {
      const pool = yield* open({ max: 1, acquireTimeout: 100 })
      let nested: Fiber.Fiber<unknown, unknown> | undefined
      pool.admission.observer.listen(({ _tag }) => _tag === "NestedAcquire" && nested?.interruptUnsafe())
      nested = yield* fork(Pool.use(pool, () => Pool.use(pool, () => Effect.void)))
      yield* fork(Pool.use(pool, () => Effect.never))
      const last = yield* fork(Pool.use(pool, () => Effect.void))
      yield* TestClock.adjust(101)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(nested)))
      assert.strictEqual(pool.admission.pending, 0)
      assert.isTrue(Exit.hasFails(yield* Fiber.await(last)))
    })
  )

  it.effect(
    "hears that somebody waits before it hears that he may wait for himself, and not of who waits no more",
    () =>
      Effect.gen(function* () {
        const pool = yield* open({ max: 1, acquireTimeout: Infinity })
        const told: Array<string> = []
        pool.admission.observer.listen(({ _tag }) => told.push(_tag))
        const nested = yield* fork(Pool.use(pool, () => Pool.use(pool, () => Effect.void)))
        assert.deepStrictEqual(told, ["LeaseAcquired", "WaitStarted", "NestedAcquire"])
        yield* Fiber.interrupt(nested)
        told.length = 0
        const scope = yield* Scope.make()
        pool.admission.observer.listen(({ _tag }) => {
          if (_tag === "WaitStarted") Effect.runFork(Scope.close(scope, Exit.void))
        })
        const ended = yield* fork(Pool.use(pool, () => Scope.provide(Pool.get(pool), scope)))
        assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(ended)))
        assert.deepStrictEqual(told, ["LeaseAcquired", "WaitStarted", "WaitEnded", "LeaseReleased"])
      })
  )

  it.effect("may suspend the pool in the middle of a round, and nobody else is served", () =>
    Effect.gen(function* () {
      const pool = yield* open({ max: 1 })
      yield* Effect.replicateEffect(fork(Pool.use(pool, () => Effect.never)), 4)
      pool.admission.observer.listen(({ _tag }) => _tag === "LeaseAcquired" && pool.admission.suspend())
      yield* Pool.resize(pool, { max: 4 })
      assert.deepInclude(pool.admission, { used: 2, pending: 2 })
    })
  )
})

describe("leak detection", () => {
  it.effect("tells of each lease once, when its own time is over, and for how long it has been held", () =>
    Effect.gen(function* () {
      const pool = yield* open({ max: 4, leakThreshold: 1000 })
      const told: Array<readonly [at: number, held: number]> = []
      pool.admission.observer.listen((event) => {
        if (event._tag === "LeaseOverdue") told.push([event.at, event.held])
      })
      yield* TestClock.adjust(5000)
      for (const _ of [1, 2, 3]) {
        yield* fork(Pool.use(pool, () => Effect.never))
        yield* TestClock.adjust(300)
      }
      yield* TestClock.adjust(5000)
      assert.deepStrictEqual(told, [
        [6000, 1000],
        [6300, 1000],
        [6600, 1000]
      ])
    })
  )
})

describe("with nobody listening", () => {
  it.effect("no event is made, and no lease gets a number", () =>
    Effect.gen(function* () {
      const { pool } = yield* opened
      const { observer } = pool.admission
      assert.isFalse(observer.isListening)
      for (let i = 0; i < 10; i++) yield* Pool.use(pool, () => Effect.void)
      yield* Pool.suspend(pool)
      const waiter = yield* fork(Pool.use(pool, () => Effect.void))
      yield* Fiber.interrupt(waiter)
      yield* Pool.resume(pool)
      const stop = observer.listen(() => {})
      assert.isTrue(observer.isListening)
      const seen: Array<PoolEvent.PoolEvent> = []
      observer.listen((event) => seen.push(event))
      stop()
      assert.isTrue(observer.isListening, "one is left")
      yield* Pool.use(pool, () => Effect.void)
      assert.deepInclude(seen[0], { _tag: "LeaseAcquired", lease: 1 })
    })
  )
})
