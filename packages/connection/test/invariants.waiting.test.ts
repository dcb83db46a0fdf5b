import { ConnectionPool } from "@effect-pools/connection"
import { PoolError } from "@effect-pools/core"
import { describe, expect, it } from "@effect/vitest"
import { Gates } from "@effect-pools/testing"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
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
  it.effect("invariant 3 (no stranded waiter): a returned connection serves whoever waits, before any new one", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 5 })
      const first = yield* hold(world)
      world.gates.create = "hang"
      const waiter = yield* start(call(world))
      expect(counts(world)).toMatchObject({ creating: 1, pending: 1 })
      yield* first.release
      expect((yield* Fiber.join(waiter)).answer).toBe("served")
    })
  )

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

  it.effect("invariant 3 (no stranded waiter): a larger max serves waiters at once", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, maxCreating: 5 })
      yield* hold(world)
      const waiters = yield* Effect.forEach([1, 2, 3], () => start(call(world)))
      yield* settle
      expect(counts(world).pending).toBe(3)
      yield* ConnectionPool.resize(world.pool, { max: 4 })
      for (const waiter of waiters) expect((yield* Fiber.join(waiter)).answer).toBe("served")
    })
  )

  it.effect("invariant 3 (no stranded waiter): a waiter whose scope is closed by somebody else does not hang", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const holder = yield* hold(world)
      yield* settle
      const scope = yield* Scope.make()
      const waiter = yield* start(Scope.provide(ConnectionPool.get(world.pool), scope))
      expect(counts(world).pending).toBe(1)
      yield* Scope.close(scope, Exit.void)
      yield* settle
      expect(counts(world).pending).toBe(0)
      expect(waiter.pollUnsafe(), "the waiter has ended").toBeDefined()
      yield* holder.release
      expectAtRest(world)
      yield* expectEveryPlaceWorks(world)
    })
  )

  it.effect(
    "invariant 3 (no stranded waiter): a scope that closes in the step that serves its waiter loses nothing",
    () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 1 })
        const holder = yield* hold(world)
        yield* settle
        const scope = yield* Scope.make()
        const waiter = yield* start(Scope.provide(ConnectionPool.get(world.pool), scope))
        // Both in one step: the holder's end hands the connection over, the scope closes before the waiter has woken.
        holder.fiber.interruptUnsafe()
        expect(counts(world)).toMatchObject({ pending: 0, used: 1 })
        Effect.runFork(Scope.close(scope, Exit.void))
        yield* settle
        expect(waiter.pollUnsafe(), "the waiter has ended").toBeDefined()
        expectAtRest(world)
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

describe("invariant 4 (order)", () => {
  it.effect("invariant 4 (order): by priority, then first come first served", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const holder = yield* hold(world)
      const served: Array<string> = []
      const enter = (name: string, priority?: number) =>
        start(
          ConnectionPool.use(
            world.pool,
            holding(world, () =>
              Effect.andThen(
                Effect.sync(() => served.push(name)),
                Effect.sleep(1)
              )
            ),
            priority === undefined ? undefined : { priority }
          )
        )
      yield* settle
      for (const [name, priority] of [
        ["a"],
        ["b"],
        ["low", -1],
        ["high", 5],
        ["c"],
        ["high2", 5],
        ["mid", 0.5]
      ] as Array<[string, number?]>) {
        yield* enter(name, priority)
      }
      yield* holder.release
      yield* TestClock.adjust(100)
      expect(served).toEqual(["high", "high2", "mid", "a", "b", "c", "low"])
    })
  )

  it.effect("invariant 4 (order): a newcomer never overtakes, not even one that loops", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const served: Array<string> = []
      const greedy = yield* start(
        Effect.repeat(
          ConnectionPool.use(
            world.pool,
            holding(world, () =>
              Effect.andThen(
                Effect.yieldNow,
                Effect.sync(() => served.push("greedy"))
              )
            )
          ),
          { times: 5 }
        )
      )
      yield* Effect.forEach(["a", "b", "c"], (name) =>
        start(
          ConnectionPool.use(
            world.pool,
            holding(world, () => Effect.sync(() => served.push(name)))
          )
        )
      )
      yield* Fiber.join(greedy)
      yield* settle
      expect(served.slice(0, 5)).toEqual(["greedy", "a", "b", "c", "greedy"])
    })
  )

  it.effect("invariant 4 (order): a new connection goes to who waits longest, not to who made it necessary", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 3, maxCreating: 1 })
      world.gates.create = 10
      const served: Array<number> = []
      yield* Effect.forEach([0, 1, 2, 3, 4], (name) =>
        start(
          ConnectionPool.use(
            world.pool,
            holding(world, () =>
              Effect.andThen(
                Effect.sync(() => served.push(name)),
                Effect.sleep(25)
              )
            )
          )
        )
      )
      yield* TestClock.adjust(200)
      expect(served).toEqual([0, 1, 2, 3, 4])
    })
  )

  it.effect("invariant 4 (order): a waiter that is interrupted in the step that serves it passes its turn on", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const holder = yield* hold(world)
      yield* settle
      const served: Array<string> = []
      const enter = (name: string) =>
        start(
          ConnectionPool.use(
            world.pool,
            holding(world, () => Effect.sync(() => served.push(name)))
          )
        )
      const picked = yield* enter("picked")
      const second = yield* enter("second")
      const third = yield* enter("third")
      holder.fiber.interruptUnsafe()
      picked.interruptUnsafe()
      yield* Fiber.await(third)
      yield* Fiber.await(second)
      expect(served).toEqual(["second", "third"])
      expectAtRest(world)
      expect(world.gates.attempts).toBe(1)
    })
  )

  it.effect("invariant 4 (order): a whole queue interrupted in the step that serves it leaves nothing behind", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2 })
      const holders = [yield* hold(world), yield* hold(world)]
      yield* settle
      const queue = yield* Effect.forEach(Array.from({ length: 50 }), () => start(call(world)))
      for (const { fiber } of holders) fiber.interruptUnsafe()
      for (const fiber of queue) fiber.interruptUnsafe()
      yield* settle
      expectAtRest(world)
      expect(counts(world).idle).toBe(2)
      yield* expectEveryPlaceWorks(world)
    })
  )

  it.effect("invariant 4 (order): those who leave take nobody's place with them", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const holder = yield* hold(world)
      yield* settle
      const served: Array<number> = []
      const queue = yield* Effect.forEach([0, 1, 2, 3, 4, 5], (name) =>
        start(
          ConnectionPool.use(
            world.pool,
            holding(world, () => Effect.sync(() => served.push(name)))
          )
        )
      )
      for (const index of [0, 2, 5]) yield* Fiber.interrupt(queue[index]!)
      expect(counts(world).pending).toBe(3)
      yield* holder.release
      yield* settle
      expect(served).toEqual([1, 3, 4])
    })
  )
})

describe("invariant 8 (deadlines are absolute)", () => {
  it.effect("invariant 8 (deadlines are absolute): waiting for a turn counts", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, acquireTimeout: 300 })
      yield* hold(world)
      const waiter = yield* start(call(world))
      yield* TestClock.adjust(299)
      expect(waiter.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust(1)
      expect(yield* Fiber.join(waiter)).toEqual({ answer: "AcquireTimeout", at: 300 })
    })
  )

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

  it.effect("invariant 8 (deadlines are absolute): retries end with the caller's deadline, with the last failure", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, createRetry: Schedule.spaced(100), breaker: false })
      world.gates.create = 50
      const slow = Effect.andThen(Effect.sleep(50), Effect.fail(new Gates.GateFailure({ at: "create" })))
      yield* world.close
      const second = yield* open({ max: 1, acquire: slow, createRetry: Schedule.spaced(100), breaker: false })
      const waiter = yield* start(call(second, { acquireTimeout: 777 }))
      yield* TestClock.adjust("2 seconds")
      expect(yield* Fiber.join(waiter)).toEqual({ answer: "GateFailure", at: 777 })
    })
  )

  it.effect("invariant 8 (deadlines are absolute): each caller has its own, in any order", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      yield* hold(world)
      const times = [500, 20, 300, 300, 1, 40_000]
      const waiters = yield* Effect.forEach(times, (acquireTimeout) => start(call(world, { acquireTimeout })))
      yield* TestClock.adjust("1 minute")
      const ended = yield* Effect.forEach(waiters, Fiber.join)
      expect(ended.map(({ at }) => at)).toEqual(times)
      expect(counts(world).pending).toBe(0)
      expect(world.pool.admission.observer.timeouts).toBe(6)
    })
  )

  it.effect("invariant 8 (deadlines are absolute): they run while the pool is suspended", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, acquireTimeout: 100 })
      yield* ConnectionPool.suspend(world.pool)
      const waiter = yield* start(call(world))
      yield* TestClock.adjust(100)
      expect(yield* Fiber.join(waiter)).toEqual({ answer: "AcquireTimeout", at: 100 })
    })
  )

  it.effect("invariant 8 (deadlines are absolute): a connection that comes with the deadline is not lost", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, acquireTimeout: 100 })
      world.gates.create = 100
      const waiter = yield* start(call(world))
      yield* TestClock.adjust(100)
      yield* Fiber.join(waiter)
      yield* TestClock.adjust(100)
      expectAtRest(world)
      expect(counts(world).idle).toBe(1)
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
