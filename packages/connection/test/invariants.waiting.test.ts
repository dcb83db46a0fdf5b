/** What is special to connections: the rest of these invariants is in the contract suite, which `contract.test.ts` runs. */
import { ConnectionPool } from "@effect-pools/connection"
import { PoolError } from "@effect-pools/core"
import { describe, expect, it } from "@effect/vitest"
import { Gates } from "@effect-pools/testing"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { TestClock } from "effect/testing"
import {
  counts,
  expectAtRest,
  expectEveryPlaceWorks,
  hold,
  holding,
  open,
  settle,
  tags,
  type World
} from "./support.ts"

const reasonOf = (error: unknown): string =>
  error instanceof PoolError.PoolError
    ? error.reason._tag
    : error instanceof Gates.GateFailure
      ? "GateFailure"
      : String(error)

/** What a caller is told, and when. */
const call = (world: World, options?: ConnectionPool.ConnectionPool<any> extends never ? never : object) =>
  ConnectionPool.use(
    world.pool,
    holding(world, (item) => Effect.succeed(item.id)),
    options as never
  ).pipe(
    Effect.matchEffect({
      onFailure: (error) => Effect.map(Clock.currentTimeMillis, (at) => ({ answer: reasonOf(error), at })),
      onSuccess: () => Effect.map(Clock.currentTimeMillis, (at) => ({ answer: "served", at }))
    })
  )

const start = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

describe("invariant 3 (no stranded waiter)", () => {
  for (const order of ["lifo", "fifo"] as const) {
    for (const validateAfterIdle of [0, 500]) {
      it.effect(
        `invariant 3 (no stranded waiter): ${order}, validated after ${validateAfterIdle} ms: many idle ones, few callers`,
        () =>
          Effect.gen(function* () {
            const gates = Gates.make()
            const world = yield* open({ max: 3, order, validateAfterIdle, validate: gates.onValidate }, gates)
            for (const wave of [3, 1, 2, 3]) {
              gates.validate = wave
              yield* TestClock.adjust(1000)
              const callers = yield* Effect.forEach(Array.from({ length: wave }), () => start(call(world)))
              yield* TestClock.adjust(10)
              for (const caller of callers) expect((yield* Fiber.join(caller)).answer).toBe("served")
            }
            expect(gates.validations).toBeLessThanOrEqual(9)
            expectAtRest(world)
          })
      )
    }
  }

  it.effect("invariant 3 (no stranded waiter): a validation that fails is followed by the next idle connection", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const world = yield* open({ max: 3, validate: gates.onValidate }, gates)
      const held = yield* Effect.forEach([1, 2, 3], () => hold(world))
      for (const { release } of held) yield* release
      yield* TestClock.adjust(1000)
      gates.validate = "fail"
      gates.create = "hang"
      const waiter = yield* start(call(world))
      // The whole pool is found dead; the waiter's new connection is on its way at once.
      expect(gates.validations).toBe(3)
      expect(counts(world)).toEqual({ idle: 0, used: 0, creating: 1, destroying: 0, pending: 1 })
      yield* Fiber.interrupt(waiter)
    })
  )

  for (const order of ["lifo", "fifo"] as const) {
    it.effect(
      `invariant 3 (no stranded waiter): a connection behind one that needs validation is not forgotten, ${order}`,
      () =>
        Effect.gen(function* () {
          const gates = Gates.make()
          const world = yield* open({ max: 2, order, validate: gates.onValidate }, gates)
          const holders = [yield* hold(world), yield* hold(world)]
          yield* settle
          // The one where the order looks first is to be validated, the other has just been seen at work.
          const [first, other] = order === "fifo" ? [holders[0]!, holders[1]!] : [holders[1]!, holders[0]!]
          yield* holders[0]!.release
          yield* holders[1]!.release
          yield* TestClock.adjust(1000)
          world.pool.store.find(other.got.item!)!.provenAt = 1000
          yield* ConnectionPool.suspend(world.pool)
          gates.validate = "hang"
          const waiters = [yield* start(call(world)), yield* start(call(world))]
          yield* ConnectionPool.resume(world.pool)
          yield* settle
          expect(world.pool.store.find(first.got.item!)?.state).toBe("validating")
          expect(waiters.filter((waiter) => waiter.pollUnsafe() !== undefined).length).toBe(2)
        })
    )
  }

  it.effect(
    "invariant 3 (no stranded waiter): resume serves everybody who queued, also past connections that expired",
    () =>
      Effect.gen(function* () {
        // Asleep before the pool's own alarm, so that the resume comes first in the millisecond of the expiry.
        const early = yield* Deferred.make<World>()
        const resumed = yield* Effect.forkChild(
          Effect.andThen(
            Effect.sleep(1000),
            Effect.flatMap(Deferred.await(early), ({ pool }) => ConnectionPool.resume(pool))
          ),
          { startImmediately: true }
        )
        const world = yield* open({ max: 4, maxLifetime: 1000, lifetimeJitter: 0, order: "fifo" })
        yield* Deferred.succeed(early, world)
        const old = yield* Effect.forEach([1, 2], () => hold(world))
        yield* settle
        yield* TestClock.adjust(500)
        const young = yield* Effect.forEach([1, 2], () => hold(world))
        for (const { release } of [...old, ...young]) yield* release
        yield* ConnectionPool.suspend(world.pool)
        const waiter = yield* start(call(world))
        yield* TestClock.adjust(500)
        yield* Fiber.join(resumed)
        expect((yield* Fiber.join(waiter)).answer).toBe("served")
        expectAtRest(world)
        expect(counts(world).idle).toBe(2)
        yield* expectEveryPlaceWorks(world)
      })
  )

  it.effect("invariant 3 (no stranded waiter): a retry whose timer rings a fraction early is not forgotten", () =>
    Effect.gen(function* () {
      const clock = yield* TestClock.testClockWith(Effect.succeed)
      // Time reads half a millisecond less than timers think, as with a clock that is rounded another way.
      const behind = 500_000n
      const gates = Gates.make()
      const world = yield* open({ max: 1, createRetry: Schedule.spaced(10), breaker: false }, gates).pipe(
        Effect.provideService(Clock.Clock, {
          ...clock,
          currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
          monotonicTimeNanosUnsafe: () => {
            const now = clock.monotonicTimeNanosUnsafe()
            return now > behind && started ? now - behind : now
          }
        } as Clock.Clock)
      )
      let started = false
      gates.create = "fail"
      const waiter = yield* start(call(world))
      started = true
      gates.create = "ok"
      yield* TestClock.adjust(20)
      expect((yield* Fiber.join(waiter)).answer).toBe("served")
    })
  )

  it.effect(
    "invariant 3 (no stranded waiter): getIfAvailable never has a connection made, nor waits for one in use",
    () =>
      Effect.gen(function* () {
        const gates = Gates.make()
        const world = yield* open({ max: 2, validate: gates.onValidate }, gates)
        expect(yield* ConnectionPool.useIfAvailable(world.pool, () => Effect.void)).toEqual(Option.none())
        yield* ConnectionPool.use(world.pool, () => Effect.void)
        yield* TestClock.adjust(1000)
        gates.validate = "fail"
        expect(yield* Effect.scoped(ConnectionPool.getIfAvailable(world.pool))).toEqual(Option.none())
        yield* settle
        expect(gates.attempts).toBe(1)
        expectAtRest(world)
      })
  )
})

describe("invariant 8 (deadlines are absolute)", () => {
  it.effect("invariant 8 (deadlines are absolute): wait, create, validate and retry together end exactly then", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const world = yield* open(
        {
          max: 1,
          acquireTimeout: 1000,
          createRetry: Schedule.spaced(100),
          breaker: false,
          validate: gates.onValidate,
          validateAfterIdle: 0,
          reset: gates.onReset
        },
        gates
      )
      // In use to 200, reset to 300, validated in vain to 500, closed to 600, created in vain to 750, then once more...
      const holder = yield* hold(world)
      yield* settle
      const waiter = yield* start(call(world))
      yield* TestClock.adjust(200)
      gates.reset = 100
      yield* holder.release
      gates.validate = "hang"
      yield* TestClock.adjust(100)
      expect(gates.validations).toBe(1)
      gates.destroy = 100
      gates.create = "fail"
      expect(world.pool.store.find(gates.items[0]!)?.state).toBe("validating")
      yield* ConnectionPool.invalidate(world.pool, gates.items[0]!)
      yield* TestClock.adjust(699)
      expect(waiter.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust(1)
      expect((yield* Fiber.join(waiter)).at).toBe(1000)
    })
  )
})

describe("invariant 11 (no starvation by retry storms)", () => {
  /** The attempts that the schedule alone would make in this time, one at a time. */
  const bound = (millis: number, every: number) => Math.floor(millis / every) + 1

  for (const waiters of [1, 1000]) {
    it.effect(`invariant 11 (no retry storms): a dead gates and ${waiters} waiting: attempts are the schedule's`, () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 50, maxCreating: 2, breaker: false, createRetry: Schedule.spaced(100) })
        world.gates.create = "fail"
        const callers = yield* Effect.forEach(Array.from({ length: waiters }), () => start(call(world)))
        yield* TestClock.adjust(5000)
        expect(world.gates.attempts).toBeLessThanOrEqual(bound(5000, 100))
        expect(world.gates.attempts).toBeGreaterThan(40)
        expect(counts(world).pending).toBe(waiters)
        // It is back: nobody had to ask again.
        world.gates.create = "ok"
        yield* TestClock.adjust(100)
        for (const caller of callers) expect((yield* Fiber.join(caller)).answer).toBe("served")
        expectAtRest(world)
      })
    )
  }

  it.effect("invariant 11 (no retry storms): attempts that hang are at most maxCreating, then one at a time", () =>
    Effect.gen(function* () {
      const world = yield* open({
        max: 50,
        maxCreating: 3,
        breaker: false,
        createTimeout: 1000,
        createRetry: Schedule.spaced(1000)
      })
      world.gates.create = "hang"
      yield* Effect.forEach(Array.from({ length: 1000 }), () => start(call(world)))
      let most = 0
      world.pool.admission.observer.listen(() => (most = Math.max(most, counts(world).creating)))
      yield* settle
      expect(world.gates.attempts).toBe(3)
      yield* TestClock.adjust(20_000)
      expect(most).toBeLessThanOrEqual(3)
      // One second to hang, one to wait.
      expect(world.gates.attempts).toBeLessThanOrEqual(3 + 10)
    })
  )

  it.effect("invariant 11 (no retry storms): the default schedule backs off to five seconds", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 5, breaker: false, acquireTimeout: Duration.infinity })
      world.gates.create = "fail"
      yield* Effect.forEach(Array.from({ length: 100 }), () => start(call(world)))
      yield* TestClock.adjust("10 seconds")
      const after10 = world.gates.attempts
      expect(after10).toBeLessThanOrEqual(13)
      yield* TestClock.adjust("60 seconds")
      expect(world.gates.attempts - after10).toBeLessThanOrEqual(16)
      expect(world.gates.attempts - after10).toBeGreaterThanOrEqual(9)
    })
  )

  it.effect(
    "invariant 11 (no retry storms): the breaker opens, answers at once with E, probes, and closes by itself",
    () =>
      Effect.gen(function* () {
        const world = yield* open({
          max: 5,
          createRetry: Schedule.spaced(10),
          breaker: { failures: 4, probeInterval: 1000 }
        })
        world.gates.create = "fail"
        const waiters = yield* Effect.forEach(Array.from({ length: 100 }), () => start(call(world)))
        yield* TestClock.adjust(40)
        for (const waiter of waiters) expect((yield* Fiber.join(waiter)).answer).toBe("GateFailure")
        expect(tags(world)).toContain("BreakerOpened")
        const { attempts } = world.gates
        // At once: no time passes here, and nobody knocks at the gates's door.
        for (let n = 0; n < 1000; n++) expect((yield* call(world)).answer).toBe("GateFailure")
        expect(world.gates.attempts).toBe(attempts)
        expect((yield* ConnectionPool.stats(world.pool)).details["breakerOpen"]).toBe(true)
        yield* TestClock.adjust(10_000)
        expect(world.gates.attempts - attempts).toBeGreaterThanOrEqual(10)
        expect(world.gates.attempts - attempts).toBeLessThanOrEqual(1001)
        world.gates.create = "ok"
        yield* TestClock.adjust(1000)
        expect(tags(world)).toContain("BreakerClosed")
        expect((yield* call(world)).answer).toBe("served")
        expectAtRest(world)
        expect(world.logs.filter((line) => line.includes("in a row")).length).toBe(1)
      })
  )

  it.effect(
    "invariant 11 (no retry storms): a schedule that ends tells the waiters why, and the next one starts anew",
    () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 5, createRetry: Schedule.recurs(2), breaker: false })
        world.gates.create = "fail"
        const waiters = yield* Effect.forEach([1, 2, 3], () => start(call(world)))
        yield* TestClock.adjust(100)
        for (const waiter of waiters) expect((yield* Fiber.join(waiter)).answer).toBe("GateFailure")
        expect(world.gates.attempts).toBeLessThanOrEqual(4)
        world.gates.create = "ok"
        const next = yield* start(call(world))
        yield* TestClock.adjust(10)
        expect((yield* Fiber.join(next)).answer).toBe("served")
      })
  )

  it.effect("invariant 11 (no retry storms): callers that ask again at once cannot make attempts without pause", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 5, createRetry: Schedule.recurs(0), breaker: false })
      world.gates.create = "fail"
      const stubborn = yield* Effect.forEach(Array.from({ length: 10 }), () =>
        start(
          Effect.ignore(
            Effect.retry(
              ConnectionPool.use(world.pool, () => Effect.void),
              { times: 10_000 }
            )
          )
        )
      )
      yield* TestClock.adjust(100)
      expect(world.gates.attempts).toBeLessThanOrEqual(bound(100, 1))
      for (const fiber of stubborn) yield* Fiber.interrupt(fiber)
      expectAtRest(world)
    })
  )

  it.effect("invariant 11 (no retry storms): min is filled again when the gates is back, without a caller", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      gates.create = "fail"
      for (const createRetry of [Schedule.spaced(50), Schedule.recurs(1)]) {
        gates.create = "fail"
        const world = yield* open({ min: 3, max: 5, createRetry, breaker: false }, gates)
        yield* TestClock.adjust(5000)
        expect(counts(world)).toEqual({ idle: 0, used: 0, creating: 0, destroying: 0, pending: 0 })
        gates.create = "ok"
        yield* TestClock.adjust(1000)
        expect(counts(world).idle).toBe(3)
        yield* world.close
      }
    })
  )
})
