import { ConnectionPool } from "@effect-pools/connection"
import { PoolError } from "@effect-pools/core"
import { describe, expect, it } from "@effect/vitest"
import { Gates } from "@effect-pools/testing"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { expectExactlyOnce, counts, hold, holding, open, type Options, settle, tags, type World } from "./support.ts"

const start = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

const isClosed = (exit: Exit.Exit<unknown, unknown>): boolean => {
  if (!Exit.isFailure(exit) || Cause.hasInterrupts(exit.cause)) return false
  const error = Cause.squash(exit.cause)
  return error instanceof PoolError.PoolError && error.reason._tag === "Closed"
}

const use = (world: World) =>
  ConnectionPool.use(
    world.pool,
    holding(world, () => Effect.void)
  )

/** Nothing of a closed pool is left anywhere, and it says so. */
const expectGone = Effect.fnUntraced(function* (world: World) {
  yield* settle
  expect(counts(world)).toEqual({ idle: 0, used: 0, creating: 0, destroying: 0, pending: 0 })
  expect(world.pool.store.all.size, "connections").toBe(0)
  expect(world.registry.list(), "registry").toEqual([])
  expect(Array.from(world.metrics.keys()), "metrics").toEqual([])
  expect(world.left.sleeps, "timers").toBe(0)
  expect(world.left.fibers, "fibers").toBe(0)
  expect(tags(world).filter((tag) => tag === "Closed").length, "Closed events").toBe(1)
  expectExactlyOnce(world.gates, 0)
  // It answers at once, and makes nothing.
  const { attempts } = world.gates
  expect(isClosed(yield* Effect.exit(use(world)))).toBe(true)
  expect(isClosed(yield* Effect.exit(Effect.scoped(ConnectionPool.get(world.pool))))).toBe(true)
  expect(isClosed(yield* Effect.exit(ConnectionPool.useIfAvailable(world.pool, () => Effect.void)))).toBe(true)
  expect(world.gates.attempts).toBe(attempts)
  expect((yield* ConnectionPool.stats(world.pool)).state).toBe("closed")
})

/** Runs `close` and says when it had ended. */
const timed = (effect: Effect.Effect<unknown, unknown>) =>
  start(
    Effect.andThen(
      effect,
      TestClock.testClockWith((clock) => clock.currentTimeMillis)
    )
  )

const hooks = (gates: Gates.Gates): Options => ({
  validate: gates.onValidate,
  validateAfterIdle: 100,
  reset: gates.onReset,
  health: { interval: 1000, check: gates.onCheck },
  destroyTimeout: 2000
})

describe("invariant 9 (close completes)", () => {
  it.effect("invariant 9 (close completes): a pool at rest closes at once", () =>
    Effect.gen(function* () {
      const world = yield* open({ min: 3, max: 5 })
      yield* settle
      expect(world.registry.list().length).toBe(1)
      expect(world.metrics.size).toBeGreaterThan(5)
      expect(world.left.sleeps).toBeGreaterThan(0)
      const closing = yield* timed(world.close)
      yield* settle
      expect(yield* Fiber.join(closing)).toBe(0)
      expect(world.pool.admission.observer.destroyed.closed).toBe(3)
      yield* expectGone(world)
    })
  )

  it.effect("invariant 9 (close completes): waiters fail with Closed at once, without an interruption", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const holder = yield* hold(world)
      yield* settle
      const waiters = yield* Effect.forEach(Array.from({ length: 100 }), () => start(Effect.exit(use(world))))
      const closing = yield* timed(world.close)
      yield* settle
      for (const waiter of waiters) expect(isClosed(yield* Fiber.join(waiter))).toBe(true)
      expect(closing.pollUnsafe()).toBeUndefined()
      // Meanwhile nobody gets in.
      expect(isClosed(yield* Effect.exit(use(world)))).toBe(true)
      yield* TestClock.adjust(500)
      yield* holder.release
      expect(yield* Fiber.join(closing)).toBe(500)
      yield* expectGone(world)
    })
  )

  it.effect("invariant 9 (close completes): idle ones go at once, those in use when their lease ends", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 3 })
      const holders = [yield* hold(world), yield* hold(world), yield* hold(world)]
      yield* settle
      yield* holders[0]!.release
      const closing = yield* timed(world.close)
      yield* settle
      expect(world.gates.open).toBe(2)
      yield* TestClock.adjust(100)
      yield* holders[1]!.release
      expect(world.gates.open).toBe(1)
      yield* TestClock.adjust(100)
      yield* holders[2]!.release
      expect(yield* Fiber.join(closing)).toBe(200)
      yield* expectGone(world)
    })
  )

  for (const grace of [0, 700]) {
    it.effect(`invariant 9 (close completes): after a grace of ${grace} ms those in use go under their holders`, () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 2, closeGrace: grace })
        const holders = [yield* hold(world), yield* hold(world)]
        yield* settle
        const closing = yield* timed(world.close)
        yield* TestClock.adjust("1 minute")
        expect(yield* Fiber.join(closing)).toBe(grace)
        expect(world.gates.open).toBe(0)
        // Their leases end later, to no further effect.
        for (const { release } of holders) yield* release
        expect(world.pool.admission.observer.released).toBe(2)
        yield* expectGone(world)
      })
    )
  }

  for (const gate of [300, "hang", "stuck", { late: 1000 }, "fail"] as const) {
    const show = typeof gate === "object" ? "late" : gate
    it.effect(`invariant 9 (close completes): with creations in flight: ${show}`, () =>
      Effect.gen(function* () {
        const gates = Gates.make()
        const world = yield* open(
          { max: 4, createRetry: Schedule.spaced(100), breaker: false, destroyTimeout: 2000 },
          gates
        )
        gates.create = gate
        const waiters = yield* Effect.forEach([1, 2, 3], () => start(Effect.exit(use(world))))
        yield* TestClock.adjust(50)
        const closing = yield* timed(world.close)
        yield* TestClock.adjust("1 minute")
        for (const waiter of waiters) expect(isClosed(yield* Fiber.join(waiter))).toBe(true)
        // What does not react to its interruption is left behind after `destroyTimeout`.
        expect(yield* Fiber.join(closing)).toBe(
          gate === "stuck" ? 2050 : gate === 300 || gate === "hang" || gate === "fail" ? 50 : 1000
        )
        if (gate !== "stuck") yield* expectGone(world)
        expectExactlyOnce(gates, 0)
      })
    )

    for (const hook of ["validate", "reset", "check"] as const) {
      it.effect(`invariant 9 (close completes): with a ${hook} in flight: ${show}`, () =>
        Effect.gen(function* () {
          const gates = Gates.make()
          const world = yield* open({ max: 2, ...hooks(gates) }, gates)
          yield* use(world)
          yield* TestClock.adjust(900)
          gates[hook] = gate
          if (hook === "check") yield* TestClock.adjust(100)
          else yield* start(Effect.exit(use(world)))
          const closing = yield* timed(world.close)
          const now = 900 + (hook === "check" ? 100 : 0)
          yield* TestClock.adjust("1 minute")
          const late = gate === "stuck" ? 2000 : typeof gate === "object" ? 1000 : 0
          expect(yield* Fiber.join(closing)).toBeLessThanOrEqual(now + late)
          if (gate !== "stuck") yield* expectGone(world)
          expectExactlyOnce(gates, 0)
        })
      )
    }

    it.effect(`invariant 9 (close completes): with finalizers that go ${show}`, () =>
      Effect.gen(function* () {
        const gates = Gates.make()
        const world = yield* open({ max: 3, destroyTimeout: 2000 }, gates)
        const holders = [yield* hold(world), yield* hold(world)]
        yield* settle
        yield* holders[0]!.release
        gates.destroy = gate
        const closing = yield* timed(world.close)
        yield* TestClock.adjust(100)
        yield* holders[1]!.release
        yield* TestClock.adjust("1 minute")
        expect(yield* Fiber.join(closing)).toBeLessThanOrEqual(2100)
        if (gate !== "stuck" && gate !== "hang") yield* expectGone(world)
        for (const item of gates.items) expect(item.destroying).toBe(1)
      })
    )
  }

  it.effect(
    "invariant 9 (close completes): a check in flight does not keep its connection until other leases end",
    () =>
      Effect.gen(function* () {
        const gates = Gates.make()
        const world = yield* open({ max: 2, ...hooks(gates) }, gates)
        const holders = [yield* hold(world), yield* hold(world)]
        yield* settle
        yield* holders[0]!.release
        gates.check = "hang"
        yield* TestClock.adjust(1000)
        expect(Array.from(world.pool.store.all, ({ state }) => state).sort()).toEqual(["checking", "used"])
        const closing = yield* timed(world.close)
        yield* settle
        expect(world.gates.open).toBe(1)
        yield* holders[1]!.release
        yield* Fiber.join(closing)
        yield* expectGone(world)
      })
  )

  it.effect("invariant 9 (close completes): closing twice, or while it closes, is closing once", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2 })
      const holder = yield* hold(world)
      yield* settle
      const { admission } = world.pool
      const all = yield* Effect.forEach(
        [world.close, admission.close(30_000), admission.close(30_000), ConnectionPool.drain(world.pool, 30_000)],
        timed
      )
      yield* TestClock.adjust(300)
      yield* holder.release
      for (const closing of all) expect(yield* Fiber.join(closing)).toBe(300)
      yield* Effect.all([admission.close(0), ConnectionPool.drain(world.pool), world.close])
      yield* expectGone(world)
    })
  )

  it.effect("invariant 9 (close completes): the shortest grace of several closers counts", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, closeGrace: 10_000 })
      yield* hold(world)
      yield* settle
      const draining = yield* timed(ConnectionPool.drain(world.pool))
      const closing = yield* timed(world.close)
      const quick = yield* timed(ConnectionPool.drain(world.pool, 400))
      yield* TestClock.adjust("1 minute")
      for (const end of [draining, closing, quick]) expect(yield* Fiber.join(end)).toBe(400)
      yield* expectGone(world)
    })
  )

  it.effect("invariant 9 (close completes): drain refuses callers, waits for leases, then closes", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const world = yield* open({ min: 1, max: 2, ...hooks(gates) }, gates)
      const holder = yield* hold(world)
      const second = yield* hold(world)
      yield* settle
      const waiter = yield* start(Effect.exit(use(world)))
      const draining = yield* timed(ConnectionPool.drain(world.pool))
      expect(isClosed(yield* Fiber.join(waiter))).toBe(true)
      yield* TestClock.adjust("1 hour")
      expect(draining.pollUnsafe()).toBeUndefined()
      yield* holder.release
      expect(isClosed(yield* Effect.exit(use(world)))).toBe(true)
      yield* second.release
      expect(yield* Fiber.join(draining)).toBe(3_600_000)
      yield* expectGone(world)
    })
  )

  it.effect("invariant 9 (close completes): a drain that is interrupted leaves a pool that still closes", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const holder = yield* hold(world)
      yield* settle
      const draining = yield* start(ConnectionPool.drain(world.pool))
      yield* Fiber.interrupt(draining)
      const closing = yield* timed(world.close)
      yield* settle
      yield* holder.release
      yield* Fiber.join(closing)
      yield* expectGone(world)
    })
  )

  it.effect("invariant 9 (close completes): a suspended pool with a queue closes", () =>
    Effect.gen(function* () {
      const world = yield* open({ min: 1, max: 1 })
      yield* ConnectionPool.suspend(world.pool)
      const waiters = yield* Effect.forEach([1, 2, 3], () => start(Effect.exit(use(world))))
      yield* world.close
      for (const waiter of waiters) expect(isClosed(yield* Fiber.join(waiter))).toBe(true)
      yield* ConnectionPool.resume(world.pool)
      yield* expectGone(world)
    })
  )

  it.effect(
    "invariant 9 (close completes): a pool whose gates is dead, breaker open or not, closes without a trace",
    () =>
      Effect.gen(function* () {
        for (const breaker of [false, { failures: 2, probeInterval: 50 }] as const) {
          const gates = Gates.make()
          gates.create = "fail"
          const world = yield* open({ min: 2, max: 3, breaker, createRetry: Schedule.spaced(20) }, gates)
          yield* TestClock.adjust(500)
          yield* world.close
          const { attempts } = gates
          yield* TestClock.adjust("1 hour")
          expect(gates.attempts).toBe(attempts)
          yield* expectGone(world)
        }
      })
  )

  it.effect("invariant 9 (close completes): a retry schedule that is still deciding leaves no timer behind", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      gates.create = "fail"
      const createRetry = Schedule.spaced(10).pipe(
        Schedule.modifyDelay(({ duration }) => Effect.as(Effect.sleep(1000), duration))
      )
      const world = yield* open({ min: 1, max: 3, breaker: false, createRetry }, gates)
      yield* TestClock.adjust(100)
      yield* world.close
      yield* expectGone(world)
    })
  )

  it.effect("invariant 9 (close completes): the stream of events ends", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const reader = yield* Effect.forkChild(Stream.runCollect(ConnectionPool.events(world.pool)), {
        startImmediately: true
      })
      yield* settle
      yield* use(world)
      yield* world.close
      const events = yield* Fiber.join(reader)
      expect(events.at(-1)?._tag).toBe("Closed")
    })
  )

  it.effect("invariant 9 (close completes): a lease of a pool that closes within it does not hang", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, closeGrace: 100 })
      // The holder closes the pool that it holds a lease of.
      const selfish = yield* start(ConnectionPool.use(world.pool, () => world.close))
      yield* TestClock.adjust(100)
      yield* Fiber.join(selfish)
      yield* expectGone(world)
    })
  )

  it.live("invariant 9 (close completes): under the live clock no timer keeps the process alive", () =>
    Effect.gen(function* () {
      const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length
      const before = timers()
      const gates = Gates.make()
      yield* Effect.scoped(
        Effect.gen(function* () {
          const pool = yield* ConnectionPool.make({ acquire: gates.make, min: 2, max: 4, ...hooks(gates) })
          const holder = yield* Effect.forkChild(
            ConnectionPool.use(pool, () => Effect.never),
            { startImmediately: true }
          )
          yield* Effect.exit(ConnectionPool.use(pool, () => Effect.void))
          expect(timers()).toBeGreaterThan(before)
          yield* Fiber.interrupt(holder)
        })
      )
      expect(timers()).toBe(before)
      expectExactlyOnce(gates, 0)
    })
  )
})
