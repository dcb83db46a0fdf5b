/** What happens to a connection between two leases. */
import { ConnectionPool } from "@effect-pools/connection"
import type { PoolEvent } from "@effect-pools/core"
import { describe, expect, it } from "@effect/vitest"
import { Gates } from "@effect-pools/testing"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as References from "effect/References"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { loggingTo } from "./backend.ts"
import { atRest, counts, expectAtRest, failures, hold, holding, open, settle, tags, type World } from "./support.ts"

const use = (world: World) =>
  ConnectionPool.use(
    world.pool,
    holding(world, (item) => Effect.succeed(item.id))
  )

const over = Schedule.recurs(0)

describe("validation", () => {
  it.effect("holds for the waiter that it was done for, and for nobody after", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const world = yield* open({ max: 1, validate: gates.onValidate, validateAfterIdle: 0 }, gates)
      // The first gets a connection that was just made.
      for (const validations of [0, 1, 2, 3]) {
        expect(yield* use(world)).toBe(1)
        expect(gates.validations).toBe(validations)
      }
      expectAtRest(world)
    })
  )
})

describe("validations that hang", () => {
  it.effect("are waited for a quarter of a second each, then something else is started for that waiter", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const world = yield* open({ max: 6, validate: gates.onValidate, validateAfterIdle: 0 }, gates)
      const holders = [yield* hold(world), yield* hold(world)]
      yield* settle
      for (const { release } of holders) yield* release
      gates.validate = "hang"
      gates.create = "hang"
      yield* hold(world)
      yield* TestClock.adjust(100)
      yield* hold(world)
      expect(gates).toMatchObject({ validations: 2, attempts: 2 })
      yield* TestClock.adjust(149)
      expect(gates.attempts).toBe(2)
      yield* TestClock.adjust(1)
      expect(gates.attempts).toBe(3)
      yield* TestClock.adjust(99)
      expect(gates.attempts).toBe(3)
      yield* TestClock.adjust(1)
      expect(gates.attempts).toBe(4)
    })
  )
})

describe("idle connections of which some have to be validated", () => {
  it.effect("are all put to use when many wait at once, and none is made beside them", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const validation = { validate: gates.onValidate, validateAfterIdle: 20_000 }
      const health = { check: gates.onCheck, interval: "1 minute" } as const
      const world = yield* open({ max: 4, health, ...validation }, gates)
      const [last, first] = [yield* hold(world), yield* hold(world)]
      yield* TestClock.adjust(30_000)
      const middle = yield* hold(world)
      yield* settle
      // The one in the middle was made later, and so is checked later.
      for (const { release } of [last, middle, first]) {
        yield* release
        yield* TestClock.adjust(100)
      }
      yield* TestClock.adjust(65_000)
      expect(gates.checks).toBe(3)
      yield* ConnectionPool.suspend(world.pool)
      gates.validate = 100
      const waiters = yield* Effect.forEach([1, 2, 3], () => hold(world))
      yield* ConnectionPool.resume(world.pool)
      yield* TestClock.adjust(100)
      expect(waiters[0]!.got.item?.id).toBe(3)
      expect(new Set(waiters.map(({ got }) => got.item?.id))).toEqual(new Set([1, 2, 3]))
      expect(gates).toMatchObject({ attempts: 3, validations: 2 })
      for (const { release } of waiters) yield* release
    })
  )
})

describe("resets that hang", () => {
  it.effect("are waited for a quarter of a second, then a connection is made for who waits", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const world = yield* open({ max: 2, reset: gates.onReset }, gates)
      gates.reset = "hang"
      yield* use(world)
      const waiter = yield* hold(world)
      yield* TestClock.adjust(249)
      expect(gates.attempts).toBe(1)
      yield* TestClock.adjust(1)
      expect(gates.attempts).toBe(2)
      expect(waiter.got.item?.id).toBe(2)
      gates.reset = "ok"
      yield* waiter.release
    })
  )
})

describe("leases that share a connection", () => {
  for (const ends of [
    [0, 1],
    [0, 2],
    [1, 0],
    [1, 2],
    [2, 0],
    [2, 1]
  ] as const) {
    it.effect(`are known as long as they last, when those end that were taken as number ${ends.join(" and ")}`, () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 1, concurrency: 3, leakDetection: "10 seconds" })
        const holders = [yield* hold(world), yield* hold(world), yield* hold(world)]
        yield* settle
        const leases = new Map(Array.from(world.pool.store.leases(), (lease) => [lease.fiber, lease]))
        const left = new Set([0, 1, 2])
        for (const end of ends) {
          yield* holders[end]!.release
          left.delete(end)
          const known = new Set(world.pool.store.leases())
          expect(known).toEqual(new Set(Array.from(left, (index) => leases.get(holders[index]!.fiber))))
        }
        for (const index of left) yield* holders[index]!.release
        expect(Array.from(world.pool.store.leases())).toEqual([])
      })
    )
  }
})

describe("a caller who takes part only if a connection is idle", () => {
  /** A pool whose idle connection has to be validated first, which somebody waits for already. */
  const validating = Effect.gen(function* () {
    const gates = Gates.make()
    const world = yield* open({ max: 1, acquireTimeout: 1000, validate: gates.onValidate, validateAfterIdle: 0 }, gates)
    yield* use(world)
    gates.validate = "hang"
    const answer = Effect.zip(
      ConnectionPool.useIfAvailable(world.pool, () => Effect.void),
      Clock.currentTimeMillis
    )
    const caller = yield* Effect.forkChild(answer, { startImmediately: true })
    expect(counts(world).pending).toBe(1)
    return { world, answer, caller }
  })

  it.effect("is answered at once while others wait for the connection that is validated", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const world = yield* open({ max: 1, validate: gates.onValidate, validateAfterIdle: 0 }, gates)
      yield* use(world)
      gates.validate = 100
      const waiter = yield* hold(world)
      expect(counts(world).pending).toBe(1)
      const answer = yield* Effect.forkChild(
        ConnectionPool.useIfAvailable(world.pool, () => Effect.void),
        { startImmediately: true }
      )
      yield* settle
      expect(yield* Fiber.join(answer)).toEqual(Option.none())
      expect(counts(world).pending).toBe(1)
      yield* TestClock.adjust(100)
      yield* waiter.release
    })
  )

  it.effect("has left no trace when it was served: those who wait after it have connections made", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const world = yield* open({ max: 2, validate: gates.onValidate, validateAfterIdle: 0 }, gates)
      yield* use(world)
      gates.validate = 100
      const served = yield* Effect.forkChild(
        ConnectionPool.useIfAvailable(world.pool, () => Effect.succeed("served")),
        { startImmediately: true }
      )
      yield* TestClock.adjust(100)
      expect(yield* Fiber.join(served)).toEqual(Option.some("served"))
      gates.validate = "ok"
      const holders = [yield* hold(world), yield* hold(world)]
      yield* settle
      expect(holders.map(({ got }) => got.item?.id)).toEqual([1, 2])
      for (const { release } of holders) yield* release
    })
  )

  it.effect("gets none when the pool is suspended; those who wait behind it keep their place", () =>
    Effect.gen(function* () {
      const { answer, caller, world } = yield* validating
      const behind = yield* hold(world)
      yield* ConnectionPool.suspend(world.pool)
      yield* settle
      expect(yield* Fiber.join(caller)).toEqual([Option.none(), 0])
      expect(counts(world).pending).toBe(1)
      // The validation goes on, and who comes now does not wait for it either.
      expect(yield* answer).toEqual([Option.none(), 0])
      yield* Fiber.interrupt(behind.fiber)
      expect(yield* answer).toEqual([Option.none(), 0])
    })
  )

  it.effect("gets none when its time is over, which is no timeout", () =>
    Effect.gen(function* () {
      const { caller, world } = yield* validating
      yield* TestClock.adjust(1000)
      expect(yield* Fiber.join(caller)).toEqual([Option.none(), 1000])
      expect(world.pool.admission.observer.timeouts).toBe(0)
    })
  )
})

describe("a full queue", () => {
  it.effect("has nothing made for those it turns away: who waits has seen to that", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const world = yield* open({ max: 2, maxWaiters: 1, reset: gates.onReset }, gates)
      gates.reset = 100
      yield* use(world)
      const waiter = yield* hold(world)
      yield* Effect.flip(use(world))
      expect(gates.attempts).toBe(1)
      yield* TestClock.adjust(100)
      expect(waiter.got.item?.id).toBe(1)
      yield* waiter.release
    })
  )

  it.effect("without a single place has one made for who comes next", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, maxWaiters: 0 })
      yield* Effect.flip(use(world))
      yield* settle
      expect(yield* use(world)).toBe(1)
    })
  )
})

describe("draining", () => {
  it.effect("makes nothing any more for the sake of min", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, min: 2 })
      const holder = yield* hold(world)
      yield* settle
      const draining = yield* Effect.forkChild(ConnectionPool.drain(world.pool), { startImmediately: true })
      yield* settle
      yield* ConnectionPool.invalidate(
        world.pool,
        world.gates.items.find((item: Gates.Item) => item.holders === 0)!
      )
      yield* settle
      expect(counts(world)).toMatchObject({ idle: 0, used: 1, creating: 0 })
      expect(world.gates.attempts).toBe(2)
      yield* holder.release
      yield* Fiber.join(draining)
    })
  )

  it.effect("idle connections go as soon as the last lease is back, however long the end of that one takes", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, min: 2, destroyTimeout: 5000 })
      const holder = yield* hold(world)
      yield* settle
      const draining = yield* Effect.forkChild(ConnectionPool.drain(world.pool), { startImmediately: true })
      yield* settle
      world.gates.destroy = 4000
      yield* holder.release
      yield* settle
      expect(counts(world)).toMatchObject({ idle: 0, used: 0, destroying: 2 })
      yield* TestClock.adjust(4000)
      yield* Fiber.join(draining)
      expect(world.gates.open).toBe(0)
    })
  )
})

describe("callers that do not wait", () => {
  const ask = (world: World) => Effect.flip(ConnectionPool.use(world.pool, () => Effect.void, { acquireTimeout: 0 }))

  it.effect("have one connection made for all of them", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 3 })
      world.gates.create = 100
      for (const _ of [1, 2, 3]) yield* ask(world)
      expect(world.gates.attempts).toBe(1)
    })
  )

  it.effect("have one validated for all of them, and none made meanwhile", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const world = yield* open({ max: 3, validate: gates.onValidate, validateAfterIdle: 0 }, gates)
      const holders = [yield* hold(world), yield* hold(world)]
      yield* settle
      gates.validate = 100
      // With one idle, and with two.
      for (const [n, { release }] of holders.entries()) {
        yield* release
        for (const _ of [1, 2, 3]) yield* ask(world)
        expect(gates).toMatchObject({ attempts: 2, validations: n + 1 })
        yield* TestClock.adjust(100)
      }
    })
  )

  it.effect("start the schedule of retries anew when it was over", () =>
    Effect.gen(function* () {
      const world = yield* open({ createRetry: Schedule.recurs(0) })
      world.gates.create = "fail"
      for (const _ of [1, 2, 3]) {
        yield* ask(world)
        yield* TestClock.adjust(20)
      }
      expect(world.gates.attemptedAt).toEqual([0, 20, 40])
    })
  )
})

describe("an open breaker", () => {
  it.effect("lets callers wait for connections that there are", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, createRetry: Schedule.spaced(100), breaker: { failures: 1 } })
      const holder = yield* hold(world)
      yield* settle
      world.gates.create = "fail"
      const first = yield* hold(world)
      expect(tags(world)).toContain("BreakerOpened")
      const second = yield* hold(world)
      expect(counts(world).pending).toBe(2)
      for (const { release } of [holder, first, second]) {
        yield* release
        yield* settle
      }
      expect([first, second].map(({ got }) => got.item?.id)).toEqual([1, 1])
    })
  )

  it.effect("lets callers wait for an idle one that has to be validated, also while as many are in use", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const validation = { validate: gates.onValidate, validateAfterIdle: 0 }
      const world = yield* open({ max: 3, createRetry: over, breaker: { failures: 1 }, ...validation }, gates)
      const [holder, other] = [yield* hold(world), yield* hold(world)]
      yield* settle
      gates.create = "fail"
      const waiter = yield* hold(world)
      expect(tags(world)).toContain("BreakerOpened")
      yield* Fiber.interrupt(waiter.fiber)
      yield* other.release
      expect(counts(world)).toMatchObject({ idle: 1, used: 1 })
      expect(yield* use(world)).toBe(2)
      yield* holder.release
    })
  )
})

describe("proof that a connection works", () => {
  const aged = Effect.fnUntraced(function* (check: "ok" | "fail") {
    const gates = Gates.make()
    const health = { check: gates.onCheck, interval: 60_000 }
    const world = yield* open({ max: 1, min: 1, validate: gates.onValidate, validateAfterIdle: 500, health }, gates)
    gates.check = check
    return world
  })

  it.effect("is its creation, for a while", () =>
    Effect.gen(function* () {
      const world = yield* aged("ok")
      yield* TestClock.adjust(499)
      yield* use(world)
      expect(world.gates.validations).toBe(0)
      const other = yield* aged("ok")
      yield* TestClock.adjust(500)
      yield* use(other)
      expect(other.gates.validations).toBe(1)
    })
  )

  it.effect("is a background check that passes, not one that fails", () =>
    Effect.gen(function* () {
      for (const check of ["ok", "fail"] as const) {
        const world = yield* aged(check)
        yield* TestClock.adjust(60_100)
        yield* use(world)
        expect(world.gates).toMatchObject({ checks: 1, validations: check === "ok" ? 0 : 1 })
      }
    })
  )
})

describe("shrinking", () => {
  it.effect("counts what is in use and what is being made", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 3 })
      const [holder, idle] = [yield* hold(world), yield* hold(world)]
      yield* settle
      yield* ConnectionPool.suspend(world.pool)
      yield* idle.release
      world.gates.create = 100
      yield* ConnectionPool.resize(world.pool, { min: 3 })
      expect(counts(world)).toMatchObject({ idle: 1, used: 1, creating: 1 })
      yield* ConnectionPool.resize(world.pool, { min: 0, max: 2 })
      expect(counts(world)).toMatchObject({ idle: 0, used: 1, creating: 1 })
      yield* holder.release
    })
  )

  it.effect("ends a connection that comes back while one too many is being made", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 3 })
      const [holder, comesBack] = [yield* hold(world), yield* hold(world)]
      yield* settle
      world.gates.create = 100
      const waiter = yield* hold(world)
      yield* ConnectionPool.resize(world.pool, { max: 2 })
      yield* Fiber.interrupt(waiter.fiber)
      yield* comesBack.release
      expect(counts(world)).toEqual({ idle: 0, used: 1, creating: 1, destroying: 0, pending: 0 })
      yield* holder.release
    })
  )

  it.effect("takes idle connections, not those that are shared, though they were used less recently", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, concurrency: 2 })
      const [shared, leaves, idle] = [yield* hold(world), yield* hold(world), yield* hold(world)]
      yield* settle
      yield* leaves.release
      yield* idle.release
      yield* ConnectionPool.resize(world.pool, { max: 1 })
      expect(world.gates.items.map((item: Gates.Item) => item.destroyed)).toEqual([0, 1])
      yield* shared.release
      expectAtRest(world)
    })
  )
})

it.effect("what fails on a connection that is to go anyway is no warning", () =>
  Effect.gen(function* () {
    const gates = Gates.make()
    const world = yield* open({ max: 1, reset: gates.onReset }, gates)
    gates.reset = { late: 100, ending: "fail" }
    yield* use(world)
    yield* ConnectionPool.invalidate(world.pool, gates.items[0]!)
    yield* TestClock.adjust(100)
    expect(failures(world).length).toBe(1)
    expect(world.logs).toEqual([])
    yield* use(world)
    yield* TestClock.adjust(100)
    expect(world.logs.length).toBe(1)
  })
)

it.effect("what fails on a connection that is to go anyway is told to who debugs", () =>
  Effect.gen(function* () {
    const gates = Gates.make()
    const lines: Array<string> = []
    const pool = yield* ConnectionPool.make({ name: "doomed", acquire: gates.make, max: 1, reset: gates.onReset }).pipe(
      loggingTo(lines),
      Effect.provideService(References.MinimumLogLevel, "All")
    )
    gates.reset = { late: 100, ending: "fail" }
    yield* ConnectionPool.use(pool, (item) => ConnectionPool.invalidate(pool, item))
    yield* ConnectionPool.use(pool, () => Effect.void)
    yield* ConnectionPool.invalidate(pool, gates.items[1]!)
    yield* TestClock.adjust(100)
    expect(lines.filter((line) => line.includes("reset"))).toMatchObject([
      expect.stringContaining('Debug: Pool "doomed": reset of connection 2 failed')
    ])
  })
)

describe("a connection that several share", () => {
  it.effect("is given at once to one more, though it stands behind one that has to be validated first", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const world = yield* open({ max: 2, concurrency: 2, validate: gates.onValidate, validateAfterIdle: 100 }, gates)
      const [shared, leaves, other] = [yield* hold(world), yield* hold(world), yield* hold(world)]
      yield* settle
      expect([shared, leaves, other].map(({ got }) => got.item?.id)).toEqual([1, 1, 2])
      yield* leaves.release
      yield* other.release
      yield* TestClock.adjust(200)
      expect(yield* ConnectionPool.use(world.pool, ({ id }) => Effect.succeed(id), { acquireTimeout: 0 })).toBe(1)
      yield* shared.release
    })
  )

  it.effect("comes after one that is idle and was used more recently", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, concurrency: 2 })
      const [shared, leaves, other] = [yield* hold(world), yield* hold(world), yield* hold(world)]
      yield* settle
      yield* leaves.release
      yield* other.release
      expect(yield* ConnectionPool.use(world.pool, ({ id }) => Effect.succeed(id))).toBe(2)
      yield* shared.release
    })
  )

  it.effect("is made once for as many as it has room for", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, concurrency: 3 })
      world.gates.create = 100
      const first = yield* Effect.forEach([1, 2, 3], () => hold(world))
      expect(world.gates.attempts).toBe(1)
      const last = yield* hold(world)
      expect(world.gates.attempts).toBe(2)
      yield* TestClock.adjust(100)
      for (const { release } of [...first, last]) yield* release
    })
  )

  it.effect("is given to who waits as soon as one of its holders leaves", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, concurrency: 2 })
      const holders = [yield* hold(world), yield* hold(world)]
      const waiters = [yield* hold(world), yield* hold(world)]
      yield* settle
      for (const [n, { release }] of holders.entries()) {
        yield* release
        yield* settle
        expect(waiters.map(({ got }) => got.item !== undefined)).toEqual([true, n === 1])
      }
      for (const { release } of waiters) yield* release
      expectAtRest(world)
    })
  )

  it.effect("is validated once for as many as it has room for", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const world = yield* open({ max: 3, concurrency: 2, validate: gates.onValidate, validateAfterIdle: 0 }, gates)
      const holders = yield* Effect.forEach([1, 2, 3, 4, 5, 6], () => hold(world))
      yield* settle
      for (const { release } of holders) yield* release
      gates.validate = 100
      yield* Effect.forEach([1, 2], () => hold(world))
      expect(gates.validations).toBe(1)
      yield* hold(world)
      expect(gates.validations).toBe(2)
    })
  )
})

describe("a connection that comes back", () => {
  it.effect("has its uses counted also when it goes straight to who waits", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, maxUses: 3 })
      const leases = yield* Effect.forEach(Array.from({ length: 7 }), () => hold(world))
      yield* settle
      for (const { release } of leases) {
        yield* release
        yield* settle
      }
      expect(leases.map(({ got }) => got.item?.id)).toEqual([1, 1, 1, 2, 2, 2, 3])
    })
  )

  it.effect("while the pool is suspended lies idle, though somebody waits", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const [holder, waiter] = [yield* hold(world), yield* hold(world)]
      yield* ConnectionPool.suspend(world.pool)
      yield* holder.release
      expect(counts(world)).toMatchObject({ idle: 1, used: 0, pending: 1 })
      yield* ConnectionPool.resume(world.pool)
      yield* waiter.release
      expectAtRest(world)
    })
  )

  it.effect("after a success has no failures in a row, whatever a failure costs", () =>
    Effect.gen(function* () {
      const policy = { penalty: 0, maxErrors: 2 }
      const world = yield* open({ max: 1, classify: () => "suspect", health: { policy } })
      const fail = Effect.exit(ConnectionPool.use(world.pool, () => Effect.fail("no")))
      for (const step of [fail, use(world), fail]) yield* step
      expect(yield* use(world)).toBe(1)
      yield* fail
      yield* fail
      expect(yield* use(world)).toBe(2)
    })
  )
})

it.effect(
  "a connection whose time is over goes when it is asked for, if the timer that would have ended it is late",
  () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      // Time goes on, but no timer rings: the process was busy, or asleep.
      const late = { nanos: 0n }
      const world = yield* open({ max: 1, maxLifetime: 1000, lifetimeJitter: 0 }).pipe(
        Effect.provideService(Clock.Clock, {
          currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
          currentTimeMillis: clock.currentTimeMillis,
          currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
          currentTimeNanos: clock.currentTimeNanos,
          monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe() + late.nanos,
          monotonicTimeNanos: Effect.map(clock.monotonicTimeNanos, (nanos) => nanos + late.nanos),
          sleep: (duration) => clock.sleep(duration)
        })
      )
      expect(yield* use(world)).toBe(1)
      late.nanos = 999_000_000n
      expect(yield* use(world)).toBe(1)
      late.nanos = 1_000_000_000n
      expect(yield* use(world)).toBe(2)
      expect(world.pool.admission.observer.destroyed.maxLifetime).toBe(1)
    })
)

describe("a listener", () => {
  /** Does this once, when the pool tells of such an event. */
  const once = ({ pool }: World, tag: PoolEvent.PoolEvent["_tag"], f: Effect.Effect<unknown, unknown>) => {
    const stop = pool.admission.observer.listen((event) => {
      if (event._tag !== tag) return
      stop()
      Effect.runFork(f)
    })
  }

  /** A caller that does not wait. */
  const ask = (world: World) => Effect.exit(ConnectionPool.use(world.pool, () => Effect.void, { acquireTimeout: 0 }))

  it.effect("that asks for a connection while others are handed out disturbs none of them", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2 })
      const holders = [yield* hold(world), yield* hold(world)]
      yield* settle
      yield* ConnectionPool.suspend(world.pool)
      for (const { release } of holders) yield* release
      const waiters = [yield* hold(world), yield* hold(world)]
      once(world, "LeaseAcquired", ask(world))
      yield* ConnectionPool.resume(world.pool)
      yield* settle
      expect(waiters.map(({ got }) => got.item?.id)).toEqual([2, 1])
      for (const { release } of waiters) yield* release
      expectAtRest(world)
    })
  )

  it.effect("that asks for a connection while one is handed out to several has it validated for nobody", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const validation = { validate: gates.onValidate, validateAfterIdle: 0 }
      const world = yield* open({ max: 1, concurrency: 2, ...validation }, gates)
      yield* use(world)
      gates.validate = 100
      const waiters = [yield* hold(world), yield* hold(world)]
      once(world, "LeaseAcquired", ask(world))
      yield* TestClock.adjust(100)
      expect(waiters.map(({ got }) => got.item?.id)).toEqual([1, 1])
      expect(gates.validations).toBe(1)
      for (const { release } of waiters) yield* release
      expectAtRest(world)
    })
  )

  it.effect("that gives back the last lease on a shared connection as the pool resumes leaves room for all", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, concurrency: 2 })
      const scope = yield* Scope.make()
      yield* Scope.provide(ConnectionPool.get(world.pool), scope)
      yield* ConnectionPool.suspend(world.pool)
      const waiters = [yield* hold(world), yield* hold(world)]
      once(world, "Resumed", Scope.close(scope, Exit.void))
      yield* ConnectionPool.resume(world.pool)
      yield* settle
      expect(waiters.map(({ got }) => got.item?.id)).toEqual([1, 1])
      for (const { release } of waiters) yield* release
      expectAtRest(world)
    })
  )

  it.effect("that gives a connection back when another one is given up has it ended once", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, closeGrace: 0 })
      const scope = yield* Scope.make()
      const holder = yield* hold(world)
      yield* settle
      yield* Scope.provide(ConnectionPool.get(world.pool), scope)
      once(world, "ItemDestroyed", Scope.close(scope, Exit.void))
      yield* world.close
      expect(world.gates.items.map((item: Gates.Item) => item.destroying)).toEqual([1, 1])
      yield* holder.release
    })
  )
})

it.effect("one of two connections with the same value leaves the other known by it", () =>
  Effect.gen(function* () {
    const gates = Gates.make()
    const value = new Gates.Item(1)
    const ends: Array<string> = []
    const acquire = Effect.as(
      Effect.addFinalizer(() => Effect.sync(() => ends.push("ended"))),
      value
    )
    const world = yield* open({ acquire, max: 2 }, gates)
    const { pool } = world
    const end = yield* Deferred.make<void>()
    const older = yield* Effect.forkChild(
      ConnectionPool.use(pool, () => Deferred.await(end)),
      { startImmediately: true }
    )
    yield* settle
    // The newer one is the least recently used, which goes.
    yield* ConnectionPool.use(pool, () => Effect.void)
    yield* Deferred.succeed(end, undefined)
    yield* Fiber.join(older)
    yield* ConnectionPool.resize(pool, { max: 1 })
    expect(ends.length).toBe(1)
    yield* ConnectionPool.report(pool, value, "fatal")
    expect(ends.length).toBe(2)
  })
)

it.effect("two connections with the same value are unknown when both have gone, whichever went first", () =>
  Effect.gen(function* () {
    for (const order of ["lifo", "fifo"] as const) {
      const value = new Gates.Item(1)
      const world = yield* open({ acquire: Effect.succeed(value), max: 2, order })
      const { pool } = world
      const ends = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const holders = yield* Effect.forEach(ends, (end) =>
        Effect.forkChild(
          ConnectionPool.use(pool, () => Deferred.await(end)),
          { startImmediately: true }
        )
      )
      yield* settle
      // The older one is returned first, or last, and the one that was used less recently goes first.
      for (const n of order === "lifo" ? [0, 1] : [1, 0]) {
        yield* Deferred.succeed(ends[n]!, undefined)
        yield* Fiber.join(holders[n]!)
      }
      yield* ConnectionPool.resize(pool, { max: 1 })
      yield* ConnectionPool.invalidate(pool, value)
      expect(counts(world)).toEqual(atRest(0))
      yield* ConnectionPool.report(pool, value, "suspect")
      expect(tags(world)).not.toContain("ItemHealth")
    }
  })
)
