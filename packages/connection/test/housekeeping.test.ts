/** What happens to connections that lie idle. */
import { ConnectionPool } from "@effect-pools/connection"
import { describe, expect, it } from "@effect/vitest"
import { Gates } from "@effect-pools/testing"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { counts, expectAtRest, hold, open, settle } from "./support.ts"

/** So many connections that are idle, the first least recently used, with a time in between. */
const idle = Effect.fnUntraced(function* (world: Parameters<typeof hold>[0], count: number, between: number) {
  const holders = yield* Effect.forEach(Array.from({ length: count }), () => hold(world))
  yield* settle
  for (const { release } of holders) {
    yield* release
    yield* TestClock.adjust(between)
  }
})

describe("idle connections", () => {
  it.effect("go one by one, each when its own time is over", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 3, idleTimeout: "60 seconds", health: false })
      yield* idle(world, 3, 10_000)
      yield* TestClock.adjust(29_999)
      // At 60, 70 and 80 seconds.
      for (const left of [3, 2, 1]) {
        expect(counts(world).idle).toBe(left)
        yield* TestClock.adjust(1)
        expect(counts(world).idle).toBe(left - 1)
        yield* TestClock.adjust(9999)
      }
      expectAtRest(world)
    })
  )

  it.effect("stay while the pool would have fewer than min without them, those in use counted in", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 3, min: 2, idleTimeout: "60 seconds", health: false })
      const holder = yield* hold(world)
      yield* idle(world, 2, 0)
      yield* TestClock.adjust(60_000)
      expect(counts(world)).toMatchObject({ idle: 1, used: 1 })
      yield* TestClock.adjust(600_000)
      expect(counts(world)).toMatchObject({ idle: 1, used: 1 })
      yield* holder.release
    })
  )

  it.effect("go in their own time also while others are in use", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, idleTimeout: "60 seconds", health: false })
      const [holder, other] = [yield* hold(world), yield* hold(world)]
      yield* TestClock.adjust(10_000)
      yield* other.release
      yield* TestClock.adjust(59_999)
      expect(counts(world)).toMatchObject({ idle: 1, used: 1 })
      yield* TestClock.adjust(1)
      expect(counts(world)).toMatchObject({ idle: 0, used: 1 })
      yield* holder.release
    })
  )

  it.effect("go at the end of their lifetime, also if they were in use when another one's was over", () =>
    Effect.gen(function* () {
      const lifetime = { maxLifetime: "60 seconds", lifetimeJitter: 0 } as const
      const world = yield* open({ max: 2, idleTimeout: Infinity, health: false, ...lifetime })
      yield* idle(world, 1, 0)
      const old = yield* hold(world)
      yield* TestClock.adjust(10_000)
      const young = yield* hold(world)
      yield* settle
      yield* old.release
      yield* TestClock.adjust(50_000)
      expect(counts(world)).toMatchObject({ idle: 0, used: 1 })
      yield* young.release
      expect(counts(world)).toMatchObject({ idle: 1, used: 0 })
      yield* TestClock.adjust(10_000)
      expect(counts(world)).toMatchObject({ idle: 0, used: 0 })
    })
  )

  it.effect("that had to stay go when a lower min lets them, each in its time", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, min: 2, idleTimeout: "60 seconds", health: false })
      yield* TestClock.adjust(70_000)
      yield* idle(world, 2, 0)
      yield* TestClock.adjust(10_000)
      yield* ConnectionPool.resize(world.pool, { min: 0 })
      yield* TestClock.adjust(49_999)
      expect(counts(world).idle).toBe(2)
      yield* TestClock.adjust(1)
      expect(counts(world).idle).toBe(0)
    })
  )

  it.effect("that stay for the sake of min need no timer", () =>
    Effect.gen(function* () {
      const forever = { acquireTimeout: Infinity, maxLifetime: Infinity, health: false } as const
      const world = yield* open({ max: 2, idleTimeout: "60 seconds", ...forever })
      yield* idle(world, 2, 1000)
      yield* ConnectionPool.resize(world.pool, { min: 1 })
      expect(world.left.sleeps).toBe(1)
      yield* TestClock.adjust(60_000)
      expect(counts(world)).toMatchObject({ idle: 1 })
      expect(world.left.sleeps).toBe(0)
    })
  )

  it.effect("that somebody takes while others are retired are left alone", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, idleTimeout: "60 seconds", health: false })
      const { gates, pool } = world
      yield* idle(world, 2, 0)
      // The end of the first takes the second.
      const [first, second] = gates.items
      pool.admission.observer.listen((event) => {
        if (event._tag === "ItemDestroyed" && event.item === first!.id) {
          Effect.runFork(ConnectionPool.use(pool, (item) => gates.holding(item, Effect.never)))
        }
      })
      yield* TestClock.adjust(60_000)
      expect(first!.destroyed).toBe(1)
      expect(second!).toMatchObject({ destroying: 0, holders: 1 })
    })
  )
})

it.effect("a connection in use is looked at no more than once in the time between two checks", () =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    let timers = 0
    const health = { check: () => Effect.void, interval: "1 minute" } as const
    const world = yield* open({ max: 1, health }).pipe(
      Effect.provideService(Clock.Clock, {
        currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
        currentTimeMillis: clock.currentTimeMillis,
        currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
        currentTimeNanos: clock.currentTimeNanos,
        monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
        monotonicTimeNanos: clock.monotonicTimeNanos,
        sleep: (duration) =>
          Effect.suspend(() =>
            Effect.andThen(
              Effect.sync(() => timers++),
              clock.sleep(duration)
            )
          )
      })
    )
    const holder = yield* hold(world)
    yield* settle
    timers = 0
    yield* TestClock.adjust("10 minutes")
    expect(timers).toBe(10)
    yield* holder.release
  })
)

describe("background checks", () => {
  it.effect("take no connection away from those who wait for the end of a suspension, and are made up for soon", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const world = yield* open({ max: 1, min: 1, health: { check: gates.onCheck, interval: "1 minute" } }, gates)
      yield* TestClock.adjust(50_000)
      gates.check = 600
      yield* ConnectionPool.suspend(world.pool)
      const waiter = yield* Effect.forkChild(
        ConnectionPool.use(world.pool, () => Clock.currentTimeMillis),
        { startImmediately: true }
      )
      yield* TestClock.adjust(20_000)
      expect(gates.checks).toBe(0)
      yield* ConnectionPool.resume(world.pool)
      expect(yield* Fiber.join(waiter)).toBe(70_000)
      yield* TestClock.adjust(1000)
      expect(gates.checks).toBe(1)
    })
  )

  it.effect("keep a connection where it stood among those that are idle", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const world = yield* open({ max: 3, health: { check: gates.onCheck, interval: "1 minute" } }, gates)
      const first = yield* hold(world)
      yield* TestClock.adjust(10_000)
      const others = [yield* hold(world), yield* hold(world)]
      yield* settle
      for (const { release } of [first, ...others]) {
        yield* release
        yield* TestClock.adjust(100)
      }
      // The first alone is due.
      gates.check = 100
      yield* TestClock.adjust(50_000)
      expect(gates.checks).toBe(1)
      const again = yield* Effect.forEach([1, 2, 3], () => hold(world))
      yield* settle
      expect(again.map(({ got }) => got.item?.id)).toEqual([3, 2, 1])
      for (const { release } of again) yield* release
    })
  )

  it.effect("keep a connection where it stood, also before one that is shared and was used before it", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const health = { check: gates.onCheck, interval: "1 minute" } as const
      const world = yield* open({ max: 4, concurrency: 2, health }, gates)
      const full = (count: number) => Effect.forEach(Array.from({ length: count }), () => hold(world))
      const checked = yield* full(2)
      yield* TestClock.adjust(30_000)
      const others = yield* full(6)
      yield* settle
      const [shared, ...leaves] = [others[2]!, others[0]!, others[1]!, others[3]!, others[4]!, others[5]!, ...checked]
      for (const { release } of leaves) {
        yield* release
        yield* TestClock.adjust(100)
      }
      // The first alone is due; it was used last.
      yield* TestClock.adjust(30_000)
      expect(gates.checks).toBe(1)
      yield* ConnectionPool.resize(world.pool, { max: 2 })
      expect(gates.items.filter(({ destroyed }) => destroyed === 0).map(({ id }) => id)).toEqual([1, 3])
      yield* shared.release
      expectAtRest(world)
    })
  )

  it.effect("that are over at once go on one after the other, however many there are", () =>
    Effect.gen(function* () {
      let checks = 0
      const check = () => Effect.sync(() => void checks++)
      const connections = 3000
      const world = yield* open({ max: connections, min: connections, health: { check, interval: "1 minute" } })
      expect(counts(world).idle).toBe(connections)
      yield* TestClock.adjust("1 minute")
      expect(checks).toBe(connections)
      expect(counts(world).idle).toBe(connections)
    })
  )

  it.effect("have a connection that they end made up for, for the sake of min, while its end takes its time", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const health = { check: gates.onCheck, interval: "1 minute", policy: { maxErrors: 1 } } as const
      const world = yield* open({ min: 1, max: 2, health }, gates)
      gates.check = "fail"
      gates.destroy = 4000
      yield* TestClock.adjust("1 minute")
      expect(counts(world)).toMatchObject({ idle: 1, destroying: 1 })
      yield* TestClock.adjust(4000)
      expectAtRest(world)
    })
  )

  it.effect("leave alone what their own beginning has put to use", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      let taken: Gates.Item | undefined
      const check = (item: Gates.Item) => {
        if (taken === undefined) {
          Effect.runFork(
            ConnectionPool.use(world.pool, (other) => {
              taken = other
              return gates.holding(other, Effect.never)
            })
          )
        }
        return gates.onCheck(item)
      }
      const world = yield* open({ max: 4, order: "fifo", health: { check, interval: "1 minute" } }, gates)
      yield* idle(world, 4, 0)
      yield* TestClock.adjust(60_000)
      expect(taken).toMatchObject({ destroying: 0, holders: 1 })
      expect(gates.checks).toBe(3)
      expect(counts(world)).toMatchObject({ idle: 3, used: 1 })
    })
  )
})

it.effect("a closed pool that has called off its checks has no timer but that of its grace", () =>
  Effect.gen(function* () {
    const gates = Gates.make()
    const health = { check: gates.onCheck, interval: "1 minute" } as const
    const world = yield* open({ max: 2, closeGrace: "10 seconds", health }, gates)
    const holder = yield* hold(world)
    yield* idle(world, 1, 0)
    gates.check = "hang"
    yield* TestClock.adjust("1 minute")
    expect(gates.checks).toBe(1)
    yield* Effect.forkChild(world.close, { startImmediately: true })
    yield* settle
    const { left, now } = { left: world.left.sleeps, now: counts(world) }
    yield* holder.release
    expect(now).toMatchObject({ idle: 0, used: 1, destroying: 0 })
    expect(left).toBe(1)
  })
)

it.effect("a closed pool that waits for its last lease has no timer but that of its grace", () =>
  Effect.gen(function* () {
    const gates = Gates.make()
    const world = yield* open(
      {
        max: 4,
        closeGrace: "10 seconds",
        validate: gates.onValidate,
        validateAfterIdle: 0,
        reset: gates.onReset
      },
      gates
    )
    const [holder, comesBack] = [yield* hold(world), yield* hold(world)]
    yield* idle(world, 1, 0)
    // One is reset, one validated, one made.
    gates.create = gates.validate = gates.reset = "hang"
    yield* comesBack.release
    yield* Effect.forEach([1, 2, 3], () => hold(world))
    yield* TestClock.adjust(200)
    yield* Effect.forkChild(world.close, { startImmediately: true })
    yield* settle
    const { left, now } = { left: world.left.sleeps, now: counts(world) }
    yield* holder.release
    expect(now).toMatchObject({ used: 1, pending: 0, destroying: 0 })
    expect(left).toBe(1)
  })
)
