/** The cap over instances that nobody has used before. */
import { Budget } from "@effect-pools/core"
import { InstancePool } from "@effect-pools/instance"
import { describe, expect, it } from "@effect/vitest"
import { Gates } from "@effect-pools/testing"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import {
  counts,
  details,
  expectAtRest,
  expectEveryPlaceWorks,
  fork,
  hold,
  open,
  outcome,
  settle,
  told,
  use
} from "./support.ts"

describe("a lease", () => {
  it.effect("gets an instance that nobody has used", () =>
    Effect.gen(function* () {
      const world = yield* open()
      const ids = yield* Effect.forEach([1, 2, 3, 4, 5], () => use(world))
      expect(ids).toEqual([1, 2, 3, 4, 5])
      expect(world.gates.items.map(({ destroyed }) => destroyed)).toEqual([1, 1, 1, 1, 1])
      expectAtRest(world)
    })
  )

  it.effect("finds a counter of the guest's at its initial value, whatever the lease before did to it", () =>
    Effect.gen(function* () {
      const pool = yield* InstancePool.make({
        create: Effect.sync(() => {
          let counter = 41
          return { bump: () => ++counter }
        }),
        max: 1,
        prepare: 1
      })
      const bump = InstancePool.use(pool, (guest) => Effect.sync(() => guest.bump()))
      expect(yield* Effect.forEach([1, 2, 3], () => bump)).toEqual([42, 42, 42])
      expect(
        yield* Effect.all([bump, Effect.scoped(Effect.map(InstancePool.get(pool), (guest) => guest.bump()))])
      ).toEqual([42, 42])
    })
  )

  it.effect("that traps is followed by one with a clean instance", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const traps = (trap: Effect.Effect<never, string>) =>
        Effect.exit(
          InstancePool.use(world.pool, (instance) =>
            Effect.andThen(
              Effect.sync(() => (instance.isDirty = true)),
              trap
            )
          )
        )
      for (const trap of [
        Effect.fail("unreachable"),
        Effect.die("out of bounds"),
        Effect.sync(() => {
          throw new Error("stack overflow")
        }),
        Effect.interrupt
      ]) {
        expect(Exit.isFailure(yield* traps(trap))).toBe(true)
        expect(yield* InstancePool.use(world.pool, ({ isDirty }) => Effect.succeed(isDirty))).toBe(false)
      }
      expect(world.gates.items).toHaveLength(8)
      expectAtRest(world)
    })
  )

  it.effect("ends with the scope that took it, and with its fiber, whatever that did", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const scope = yield* Scope.make()
      yield* Scope.provide(InstancePool.get(world.pool), scope)
      expect(counts(world).used).toBe(1)
      yield* Scope.close(scope, Exit.die("dropped"))
      expect(counts(world).used).toBe(0)
      const dropped = yield* fork(Effect.scoped(Effect.andThen(InstancePool.get(world.pool), Effect.never)))
      expect(counts(world).used).toBe(1)
      yield* Fiber.interrupt(dropped)
      yield* expectEveryPlaceWorks(world)
    })
  )

  it.effect("destroys the instance first and frees its place then", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      world.gates.destroy = 100
      expect(yield* use(world)).toBe(1)
      // The caller has gone on; the instance has not.
      expect(counts(world)).toEqual({ idle: 0, used: 0, creating: 0, destroying: 1, pending: 0 })
      expect(told(yield* Effect.exit(use(world)))).toBe("Exhausted")
      yield* TestClock.adjust(99)
      expect(told(yield* Effect.exit(use(world)))).toBe("Exhausted")
      yield* TestClock.adjust(1)
      expect(world.gates.items[0]!.destroyed).toBe(1)
      expect(yield* use(world)).toBe(2)
    })
  )

  it.effect("in a pool whose callers wait, has its place passed on when its instance is destroyed", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, onExhausted: "wait" })
      world.gates.destroy = 100
      yield* use(world)
      const next = yield* fork(Effect.zip(use(world), Clock.currentTimeMillis))
      yield* TestClock.adjust(100)
      expect(yield* Fiber.join(next)).toEqual([2, 100])
      expect(world.gates.most).toBe(1)
    })
  )
})

describe("construction", () => {
  it.effect("is concurrent: four at once take as long as one", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 4 })
      world.gates.create = 100
      const callers = yield* Effect.forEach([1, 2, 3, 4], () => fork(Effect.zip(use(world), Clock.currentTimeMillis)))
      expect(counts(world)).toMatchObject({ creating: 4, pending: 4 })
      yield* TestClock.adjust(100)
      for (const caller of callers) expect((yield* Fiber.join(caller))[1]).toBe(100)
      expect(world.gates.attemptedAt).toEqual([0, 0, 0, 0])
    })
  )

  it.live("is concurrent in real time as well", () =>
    Effect.gen(function* () {
      let running = 0
      let most = 0
      const create = Effect.acquireUseRelease(
        Effect.sync(() => (most = Math.max(most, ++running))),
        () => Effect.sleep(100),
        () => Effect.sync(() => running--)
      )
      const pool = yield* InstancePool.make({ create, max: 4 })
      yield* Effect.all(
        Array.from({ length: 4 }, () => InstancePool.use(pool, () => Effect.void)),
        { concurrency: "unbounded" }
      )
      expect(most).toBe(4)
    })
  )

  it.effect("goes on for whoever comes next when its caller has left", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      world.gates.create = 100
      const leaves = yield* fork(use(world))
      yield* TestClock.adjust(60)
      yield* Fiber.interrupt(leaves)
      const comes = yield* fork(Effect.zip(use(world), Clock.currentTimeMillis))
      yield* TestClock.adjust(40)
      expect(yield* Fiber.join(comes)).toEqual([1, 100])
      expectAtRest(world)
    })
  )

  it.effect("whose caller has left for good ends in nothing, and nobody is refused for it", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      world.gates.create = 100
      world.gates.destroy = 100
      const leaves = yield* fork(use(world))
      yield* Fiber.interrupt(leaves)
      yield* TestClock.adjust(100)
      expect(counts(world)).toEqual({ idle: 0, used: 0, creating: 0, destroying: 1, pending: 0 })
      expect(world.pool.admission.observer.destroyed.shrink).toBe(1)
      world.gates.create = "ok"
      const comes = yield* fork(Effect.zip(use(world), Clock.currentTimeMillis))
      yield* TestClock.adjust(100)
      expect(yield* Fiber.join(comes)).toEqual([2, 200])
    })
  )

  it.effect("is begun for no more callers than wait", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 8, onExhausted: "wait" })
      world.gates.create = 100
      const callers = yield* Effect.forEach([1, 2, 3, 4, 5], () => fork(use(world)))
      expect(counts(world)).toMatchObject({ creating: 5, pending: 5 })
      yield* Fiber.interruptAll(callers.slice(0, 3))
      // Five are being built already: as many as three that come and two that are left need.
      const more = yield* Effect.forEach([1, 2, 3], () => fork(use(world)))
      expect(counts(world)).toMatchObject({ creating: 5, pending: 5 })
      yield* TestClock.adjust(100)
      expect([...callers.slice(3), ...more].map(outcome)).toEqual([1, 2, 3, 4, 5])
      expect(world.gates.attempts).toBe(5)
      expectAtRest(world)
    })
  )
})

describe("at capacity", () => {
  it.effect("32 callers of a pool of 4 get 4 instances and 28 refusals", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 4 })
      world.gates.create = 10
      const held = yield* Effect.forEach(Array.from({ length: 32 }), () => hold(world))
      expect(held.filter(({ fiber }) => outcome(fiber) === "Exhausted")).toHaveLength(28)
      yield* TestClock.adjust(10)
      expect(held.filter(({ got }) => got.item !== undefined)).toHaveLength(4)
      expect(world.gates.items).toHaveLength(4)
      expect(yield* details(world)).toEqual({ hits: 0, misses: 4, exhausted: 28, live: 4, detached: 0 })
      for (const { release } of held) yield* release
      yield* expectEveryPlaceWorks(world)
    })
  )

  it.effect("32 callers that wait are served by 4 at a time, each by an instance of its own", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 4, onExhausted: "wait" })
      const callers = yield* Effect.forEach(Array.from({ length: 32 }), () =>
        fork(
          InstancePool.use(world.pool, (instance) =>
            world.gates.holding(instance, Effect.as(Effect.sleep(10), instance.id))
          )
        )
      )
      yield* TestClock.adjust(80)
      expect(callers.map(outcome)).toEqual(Array.from({ length: 32 }, (_, index) => index + 1))
      expect(world.gates.most).toBe(4)
      expect(yield* details(world)).toEqual({ hits: 0, misses: 32, exhausted: 0, live: 0, detached: 0 })
      expectAtRest(world)
    })
  )

  it.effect("a refusal is immediate, names the pool and its cap, and can be tried again", () =>
    Effect.gen(function* () {
      const world = yield* open({ name: "plugins", max: 1 })
      yield* hold(world)
      const refused = yield* Effect.flip(Effect.catchTag(use(world), "GateFailure", Effect.die))
      expect(refused._tag).toBe("PoolError")
      expect(refused.isRetryable).toBe(true)
      expect(refused.message).toContain("plugins")
      expect(refused.reason).toMatchObject({ _tag: "Exhausted", pool: "plugins", max: 1 })
    })
  )

  it.effect("callers for whom there is room are let in one by one, and no more of them", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 3 })
      yield* hold(world)
      world.gates.create = 100
      const callers = yield* Effect.forEach([1, 2, 3, 4], () => fork(use(world)))
      expect(callers.map(outcome)).toEqual(["waiting", "waiting", "Exhausted", "Exhausted"])
      // Whoever leaves makes room for another.
      yield* Fiber.interrupt(callers[0]!)
      const late = yield* Effect.forEach([1, 2], () => fork(use(world)))
      expect(late.map(outcome)).toEqual(["waiting", "Exhausted"])
      yield* TestClock.adjust(100)
      expect([callers[1]!, late[0]!].map(outcome)).toEqual([2, 3])
    })
  )

  it.effect("a wait ends at its deadline, and the error says what was going on", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, onExhausted: "wait", acquireTimeout: 50 })
      yield* hold(world)
      const caller = yield* fork(Effect.flip(use(world)))
      yield* TestClock.adjust(50)
      expect(yield* Fiber.join(caller)).toMatchObject({
        reason: { _tag: "AcquireTimeout", phase: "queue", waited: 50 }
      })
      expect(counts(world)).toMatchObject({ used: 1, pending: 0 })
    })
  )

  it.effect("those who wait are as many as maxWaiters says, those included for whom an instance is built", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, onExhausted: "wait", maxWaiters: 1 })
      world.gates.create = 10
      const callers = yield* Effect.forEach([1, 2], () => fork(use(world)))
      expect(callers.map(outcome)).toEqual(["waiting", "QueueFull"])
      yield* TestClock.adjust(10)
      expect(callers.map(outcome)).toEqual([1, "QueueFull"])
    })
  )

  it.effect("suspended, it lets callers queue as far as there is room, and serves them when it is resumed", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, prepare: 1 })
      const holder = yield* hold(world)
      yield* settle
      yield* InstancePool.suspend(world.pool)
      const callers = yield* Effect.forEach([1, 2], () => fork(use(world)))
      expect(callers.map(outcome)).toEqual(["waiting", "Suspended"])
      yield* holder.release
      const late = yield* fork(use(world))
      yield* settle
      expect([...callers, late].map(outcome)).toEqual(["waiting", "Suspended", "waiting"])
      yield* InstancePool.resume(world.pool)
      yield* settle
      expect(callers.map(outcome)).toEqual([2, "Suspended"])
      expect(outcome(late)).toBe(3)
      expectAtRest(world, 1)
    })
  )

  it.effect("callers that were let in before a shrink keep their turn", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 4 })
      const holder = yield* hold(world)
      world.gates.create = 10
      const callers = yield* Effect.forEach([1, 2, 3], () => fork(use(world)))
      yield* InstancePool.resize(world.pool, { max: 1 })
      yield* TestClock.adjust(10)
      // What was being built for them was one too many, thrice.
      expect(world.pool.admission.observer.destroyed.shrink).toBe(3)
      expect(callers.map(outcome)).toEqual(["waiting", "waiting", "waiting"])
      expect(told(yield* Effect.exit(use(world)))).toBe("Exhausted")
      yield* holder.release
      yield* TestClock.adjust(30)
      expect(callers.map(outcome)).toEqual([5, 6, 7])
      expectAtRest(world)
    })
  )

  it.effect("a shrink ends no more of those that are being built than are too many, however long that takes", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 4 })
      world.gates.create = 10
      world.gates.destroy = 1000
      const held = yield* Effect.forEach([1, 2, 3, 4], () => hold(world))
      yield* InstancePool.resize(world.pool, { max: 2 })
      yield* TestClock.adjust(10)
      expect(counts(world)).toEqual({ idle: 0, used: 2, creating: 0, destroying: 2, pending: 2 })
      expect(held.map(({ got }) => got.item?.id)).toEqual([3, 4, undefined, undefined])
      for (const { release } of held.slice(0, 2)) yield* release
      yield* TestClock.adjust(1010)
      for (const { release } of held.slice(2)) yield* release
      yield* TestClock.adjust(1000)
      yield* expectEveryPlaceWorks(world)
    })
  )

  it.effect("a larger max lets in at once", () =>
    Effect.gen(function* () {
      for (const onExhausted of ["fail", "wait"] as const) {
        const world = yield* open({ max: 1, onExhausted })
        yield* hold(world)
        const caller = yield* fork(use(world))
        expect(outcome(caller)).toBe(onExhausted === "fail" ? "Exhausted" : "waiting")
        yield* InstancePool.resize(world.pool, { max: 2 })
        yield* settle
        expect(outcome(caller)).toBe(onExhausted === "fail" ? "Exhausted" : 2)
        expect(yield* use(world)).toBe(onExhausted === "fail" ? 2 : 3)
      }
    })
  )
})

describe("the rest of a pool", () => {
  it.effect("invalidate has no effect on an instance in use, beyond the reason of its end", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      yield* InstancePool.use(world.pool, (instance) =>
        Effect.gen(function* () {
          yield* InstancePool.invalidate(world.pool, instance)
          yield* InstancePool.invalidate(world.pool, new Gates.Item(1))
          expect(instance.destroying).toBe(0)
        })
      )
      expect(world.pool.admission.observer.destroyed).toMatchObject({ invalidated: 1, released: 0 })
      expectAtRest(world)
    })
  )

  it.effect("one object that is built more than once is as many instances", () =>
    Effect.gen(function* () {
      let destroyed = 0
      const shared = { state: "none" }
      const pool = yield* InstancePool.make({
        create: Effect.acquireRelease(Effect.succeed(shared), () => Effect.sync(() => destroyed++)),
        max: 4,
        prepare: 2
      })
      yield* settle
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* InstancePool.get(pool)
          yield* Effect.scoped(InstancePool.get(pool))
          expect(destroyed).toBe(1)
          yield* settle
          // Both that are prepared, and not the one in use.
          yield* InstancePool.invalidate(pool, shared)
          expect(destroyed).toBe(3)
          yield* settle
          yield* Effect.scoped(InstancePool.detach(pool, shared))
          expect(destroyed).toBe(3)
        })
      )
      expect(destroyed).toBe(4)
      expect(pool.store.all.size).toBe(2)
    })
  )

  it.effect("callers who do not wait get what is prepared, and nothing else", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2 })
      expect(yield* Effect.scoped(InstancePool.getIfAvailable(world.pool))).toEqual(Option.none())
      expect(yield* InstancePool.useIfAvailable(world.pool, () => Effect.void)).toEqual(Option.none())
      expect(told(yield* Effect.exit(InstancePool.use(world.pool, () => Effect.void, { acquireTimeout: 0 })))).toBe(
        "Exhausted"
      )
      yield* settle
      expect(world.gates.attempts).toBe(0)
      yield* InstancePool.resize(world.pool, { min: 1 })
      yield* settle
      expect(yield* InstancePool.useIfAvailable(world.pool, ({ id }) => Effect.succeed(id))).toEqual(Option.some(1))
      yield* settle
      expect(yield* InstancePool.use(world.pool, ({ id }) => Effect.succeed(id), { acquireTimeout: 0 })).toBe(2)
    })
  )

  it.effect("nothing is left of a pool that has closed", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 3, prepare: 2, preparedMaxAge: 1000, leakDetection: 1000 })
      yield* use(world)
      yield* settle
      const holder = yield* hold(world)
      const closing = yield* fork(world.close)
      yield* settle
      expect(counts(world)).toMatchObject({ idle: 0, used: 1 })
      expect(told(yield* Effect.exit(use(world)))).toBe("Closed")
      yield* holder.release
      yield* Fiber.join(closing)
      expectAtRest(world)
      expect(world.left).toEqual({ sleeps: 0, fibers: 0 })
      expect(world.registry.list()).toEqual([])
      expect(world.metrics.size).toBe(0)
    })
  )
})

describe("a pool under a budget, whose callers do not wait", () => {
  it.effect("refuses them while others use the budget up, and not while others could give something up", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 2 })
      const world = yield* open({ max: 2, budget })
      const other = yield* open({ max: 2, budget, prepare: 1 })
      yield* settle
      const holders = [yield* hold(other), yield* hold(other)]
      yield* settle
      expect(counts(other)).toMatchObject({ idle: 0, used: 2 })
      expect(told(yield* Effect.exit(use(world)))).toBe("Exhausted")
      for (const { release } of holders) yield* release
      yield* settle
      // One of the other's is prepared again, the second permit is free.
      expect(counts(other)).toMatchObject({ idle: 1, used: 0 })
      const mine = yield* hold(world)
      yield* settle
      expect(yield* use(world)).toBe(2)
      yield* mine.release
    })
  )
})
