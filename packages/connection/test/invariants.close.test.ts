/** What is special to connections: the rest of these invariants is in the contract suite, which `contract.test.ts` runs. */
import { ConnectionPool } from "@effect-pools/connection"
import { PoolError } from "@effect-pools/core"
import { describe, expect, it } from "@effect/vitest"
import { Gates } from "@effect-pools/testing"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
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

  it.effect("invariant 9 (close completes): idle connections go at once while the last lease is waited for", () =>
    Effect.gen(function* () {
      const world = yield* open({ min: 3, max: 3, closeGrace: "10 seconds" })
      const holder = yield* hold(world)
      yield* settle
      const closing = yield* timed(world.close)
      yield* settle
      expect(counts(world)).toEqual({ idle: 0, used: 1, creating: 0, destroying: 0, pending: 0 })
      expect(world.gates.open).toBe(1)
      yield* TestClock.adjust(3000)
      yield* holder.release
      expect(yield* Fiber.join(closing)).toBe(3000)
      yield* expectGone(world)
    })
  )

  it.effect("invariant 9 (close completes): checks that do not end when called off, or with another answer", () =>
    Effect.gen(function* () {
      for (const check of ["stuck", { late: 500 }, { late: 500, ending: "fail" }] as const) {
        for (const closeGrace of [0, "10 seconds"] as const) {
          const gates = Gates.make()
          const health = { check: gates.onCheck, interval: 1000 }
          const world = yield* open({ max: 2, health, closeGrace, destroyTimeout: 2000 }, gates)
          const [holder, other] = [yield* hold(world), yield* hold(world)]
          yield* settle
          yield* other.release
          gates.check = check
          yield* TestClock.adjust(1000)
          expect(gates.checks).toBe(1)
          const closing = yield* timed(world.close)
          yield* TestClock.adjust(3000)
          expect(gates.open).toBe(closeGrace === 0 ? 0 : 1)
          yield* holder.release
          yield* Fiber.join(closing)
          expect(world.logs.filter((line) => line.includes("BUG"))).toEqual([])
        }
      }
    })
  )

  it.effect("a drain goes on when nothing is out, though what was being reset takes its time to go", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const world = yield* open({ min: 2, max: 2, reset: gates.onReset }, gates)
      yield* settle
      gates.reset = 10
      gates.destroy = "hang"
      const holder = yield* hold(world)
      yield* holder.release
      const drain = yield* start(ConnectionPool.drain(world.pool))
      expect(counts(world)).toEqual({ idle: 1, used: 1, creating: 0, destroying: 0, pending: 0 })
      yield* TestClock.adjust(10)
      expect(counts(world)).toEqual({ idle: 0, used: 0, creating: 0, destroying: 2, pending: 0 })
      gates.destroy = "ok"
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(drain)
    })
  )
})
