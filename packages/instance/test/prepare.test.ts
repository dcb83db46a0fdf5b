/** Instances that are built ahead: as fresh as any, and ready. */
import { InstancePool } from "@effect-pools/instance"
import { describe, expect, it } from "@effect/vitest"
import { Gates, Sandbox } from "@effect-pools/testing"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
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

describe("prepared instances", () => {
  it.effect("are ready before anybody asks, and nobody has used them", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      gates.create = 100
      const world = yield* open({ max: 4, prepare: 2 }, gates)
      yield* TestClock.adjust(100)
      expect(counts(world)).toMatchObject({ idle: 2, creating: 0 })
      const first = yield* InstancePool.use(world.pool, (instance) =>
        Effect.sync(() => {
          const { isDirty } = instance
          instance.isDirty = true
          return [instance.id, isDirty, instance.destroying]
        })
      )
      expect(first).toEqual([1, false, 0])
      expect(yield* Clock.currentTimeMillis).toBe(100)
      // The oldest go first, and each to one caller only.
      expect(yield* use(world)).toBe(2)
      yield* TestClock.adjust(100)
      expect(yield* Effect.all([use(world), use(world)])).toEqual([3, 4])
      yield* TestClock.adjust(100)
      expect(yield* details(world)).toEqual({ hits: 4, misses: 0, exhausted: 0, live: 2, detached: 0 })
    })
  )

  it.effect("are replaced when they are taken, but not in the step of the taker", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 4, prepare: 2 })
      yield* settle
      expect(world.gates.attempts).toBe(2)
      const attempts = yield* InstancePool.use(world.pool, () => Effect.sync(() => world.gates.attempts))
      expect(attempts).toBe(2)
      yield* settle
      expect(world.gates.attempts).toBe(3)
      yield* Effect.all(Array.from({ length: 2 }, () => use(world)))
      expect(world.gates.attempts).toBe(3)
      yield* settle
      expect(world.gates.attempts).toBe(5)
      expectAtRest(world, 2)
    })
  )

  it.effect("count towards max, and give way to no one: whoever comes gets them", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 4, prepare: 3 })
      yield* settle
      const held = yield* Effect.forEach([1, 2, 3, 4], () => hold(world))
      yield* settle
      expect(held.map(({ got }) => got.item?.id)).toEqual([1, 2, 3, 4])
      expect(counts(world)).toEqual({ idle: 0, used: 4, creating: 0, destroying: 0, pending: 0 })
      expect(told(yield* Effect.exit(use(world)))).toBe("Exhausted")
      expect(world.gates.most).toBe(4)
      // One place: one prepared. Two: two.
      for (const [index, { release }] of held.entries()) {
        yield* release
        yield* settle
        expect(counts(world)).toMatchObject({ idle: Math.min(index + 1, 3), used: 3 - index })
      }
      yield* expectEveryPlaceWorks(world)
    })
  )

  it.effect("that fill the whole pool refuse nobody", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 4, prepare: 4 })
      yield* settle
      for (let round = 0; round < 3; round++) {
        const held = yield* Effect.forEach([1, 2, 3, 4], () => hold(world))
        expect(held.map(({ fiber }) => outcome(fiber))).toEqual(Array.from({ length: 4 }, () => "waiting"))
        expect(counts(world)).toMatchObject({ used: 4, pending: 0 })
        expect(told(yield* Effect.exit(use(world)))).toBe("Exhausted")
        for (const { release } of held) yield* release
        yield* settle
      }
      expect(yield* details(world)).toEqual({ hits: 12, misses: 0, exhausted: 3, live: 4, detached: 0 })
    })
  )

  it.effect("that are still being built serve whoever comes", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      gates.create = 100
      const world = yield* open({ max: 2, prepare: 2 }, gates)
      yield* TestClock.adjust(60)
      const held = yield* Effect.forEach([1, 2, 3], () => hold(world))
      expect(held.map(({ fiber }) => outcome(fiber))).toEqual(["waiting", "waiting", "Exhausted"])
      expect(counts(world)).toEqual({ idle: 0, used: 0, creating: 2, destroying: 0, pending: 2 })
      yield* TestClock.adjust(40)
      expect(held.map(({ got }) => got.item?.id)).toEqual([1, 2, undefined])
      expect(gates.attempts).toBe(2)
      // They had to wait for it.
      expect(yield* details(world)).toEqual({ hits: 0, misses: 2, exhausted: 1, live: 2, detached: 0 })
    })
  )

  it.effect("are built ahead of callers who wait only if these have theirs coming", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 3, prepare: 1, onExhausted: "wait" })
      yield* settle
      world.gates.create = 100
      const callers = yield* Effect.forEach([1, 2], () => hold(world))
      yield* settle
      // One got what was prepared; one waits, and one is prepared behind it.
      expect(counts(world)).toEqual({ idle: 0, used: 1, creating: 2, destroying: 0, pending: 1 })
      yield* TestClock.adjust(100)
      expect(counts(world)).toEqual({ idle: 1, used: 2, creating: 0, destroying: 0, pending: 0 })
      for (const { release } of callers) yield* release
    })
  )

  it.effect("getIfAvailable and useIfAvailable take those that are ready, and do not wait for others", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 4, prepare: 2 })
      yield* settle
      world.gates.create = 100
      yield* Effect.scoped(
        Effect.gen(function* () {
          const found = yield* InstancePool.getIfAvailable(world.pool)
          expect(Option.map(found, ({ id }) => id)).toEqual(Option.some(1))
          expect(yield* InstancePool.useIfAvailable(world.pool, ({ id }) => Effect.succeed(id))).toEqual(Option.some(2))
          yield* settle
          expect(counts(world)).toMatchObject({ idle: 0, creating: 2 })
          expect(yield* InstancePool.getIfAvailable(world.pool)).toEqual(Option.none())
          expect(counts(world).pending).toBe(0)
        })
      )
      yield* TestClock.adjust(100)
      expectAtRest(world, 2)
    })
  )

  it.effect("are kept when the caller has left for whom they were built, as many as there are to be", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 6, prepare: 2 })
      yield* settle
      world.gates.create = 100
      const held = yield* Effect.forEach([1, 2, 3, 4], () => hold(world))
      yield* settle
      expect(counts(world)).toMatchObject({ used: 2, creating: 4, pending: 2 })
      yield* Fiber.interruptAll(held.slice(2).map(({ fiber }) => fiber))
      yield* TestClock.adjust(100)
      expect(counts(world)).toEqual({ idle: 2, used: 2, creating: 0, destroying: 0, pending: 0 })
      expect(world.pool.admission.observer.destroyed.shrink).toBe(2)
      for (const { release } of held.slice(0, 2)) yield* release
      yield* expectEveryPlaceWorks(world)
    })
  )

  it.effect("follow a resize of min, up and down", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 4 })
      yield* settle
      expect(counts(world).idle).toBe(0)
      yield* InstancePool.resize(world.pool, { min: 3 })
      yield* settle
      expect(counts(world).idle).toBe(3)
      yield* InstancePool.resize(world.pool, { min: 1 })
      expect(counts(world).idle).toBe(1)
      // The oldest have gone.
      expect(world.gates.items.map(({ destroyed }) => destroyed)).toEqual([1, 1, 0])
      world.gates.create = 100
      yield* InstancePool.resize(world.pool, { min: 4 })
      yield* InstancePool.resize(world.pool, { min: 0 })
      yield* TestClock.adjust(100)
      yield* expectEveryPlaceWorks(world)
    })
  )

  it.effect("are fewer after a shrink below what is used and prepared together", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 4, prepare: 2 })
      yield* settle
      const held = yield* Effect.forEach([1, 2], () => hold(world))
      yield* settle
      expect(counts(world)).toMatchObject({ idle: 2, used: 2 })
      yield* InstancePool.resize(world.pool, { max: 3 })
      expect(counts(world)).toMatchObject({ idle: 1, used: 2 })
      yield* InstancePool.resize(world.pool, { min: 1, max: 1 })
      expect(counts(world)).toMatchObject({ idle: 0, used: 2 })
      for (const { release } of held) yield* release
      yield* settle
      yield* expectEveryPlaceWorks(world)
    })
  )

  it.effect("go on being prepared while the pool is suspended, and go at once when it closes", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 4, prepare: 2 })
      yield* InstancePool.suspend(world.pool)
      yield* InstancePool.resize(world.pool, { min: 3 })
      yield* settle
      expect(counts(world).idle).toBe(3)
      world.gates.create = "hang"
      yield* InstancePool.resize(world.pool, { min: 4 })
      yield* world.close
      expectAtRest(world)
      expect(world.left).toEqual({ sleeps: 0, fibers: 0 })
    })
  )

  it.effect("that are invalidated are destroyed and replaced", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 4, prepare: 2 })
      yield* settle
      world.gates.destroy = 100
      yield* InstancePool.invalidate(world.pool, world.gates.items[0]!)
      yield* settle
      // The next is not held up by the end of this one.
      expect(counts(world)).toEqual({ idle: 2, used: 0, creating: 0, destroying: 1, pending: 0 })
      expect(world.pool.admission.observer.destroyed.invalidated).toBe(1)
      expect(yield* use(world)).toBe(2)
      yield* TestClock.adjust(100)
      expectAtRest(world, 2)
    })
  )
})

describe("the age of prepared instances", () => {
  it.effect("is bounded for each of them", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 4, prepare: 1, preparedMaxAge: 1000 })
      yield* TestClock.adjust(500)
      yield* InstancePool.resize(world.pool, { min: 2 })
      const { destroyed } = world.pool.admission.observer
      yield* TestClock.adjust(499)
      expect(destroyed.maxLifetime).toBe(0)
      yield* TestClock.adjust(1)
      expect(destroyed.maxLifetime).toBe(1)
      yield* TestClock.adjust(499)
      expect(destroyed.maxLifetime).toBe(1)
      yield* TestClock.adjust(1)
      expect(destroyed.maxLifetime).toBe(2)
    })
  )

  it.effect("is bounded by preparedMaxAge, after which they are replaced", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 4, prepare: 2, preparedMaxAge: "1 minute" })
      yield* TestClock.adjust(59_999)
      expect(world.gates.attempts).toBe(2)
      yield* TestClock.adjust(1)
      expect(world.gates.attempts).toBe(4)
      expect(world.pool.admission.observer.destroyed.maxLifetime).toBe(2)
      expect(yield* use(world)).toBe(3)
      yield* TestClock.adjust("5 minutes")
      expectAtRest(world, 2)
      expect(world.pool.admission.observer.destroyed.maxLifetime).toBe(12)
    })
  )

  it.effect("that is reached has the next prepared at once, however long the end of the old one takes", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, prepare: 1, preparedMaxAge: 1000 })
      yield* settle
      world.gates.destroy = 500
      yield* TestClock.adjust(1000)
      expect(counts(world)).toMatchObject({ idle: 1, destroying: 1 })
      expect(yield* use(world)).toBe(2)
    })
  )

  it.effect("is no reason to end one that is in use", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, prepare: 1, preparedMaxAge: 1000 })
      const holder = yield* hold(world)
      yield* TestClock.adjust(5000)
      expect(world.gates.items.map(({ destroying }) => destroying)).toEqual([0])
      yield* holder.release
      yield* settle
      expectAtRest(world, 1)
    })
  )

  it.effect("refuses nobody while one that grew too old is being destroyed", () =>
    Effect.gen(function* () {
      for (const acquire of [use, () => Effect.void]) {
        const world = yield* open({ max: 1, prepare: 1, preparedMaxAge: 1000 })
        yield* settle
        world.gates.destroy = 100
        yield* TestClock.adjust(1000)
        expect(counts(world)).toMatchObject({ idle: 0, destroying: 1 })
        const held = yield* hold(world)
        expect(outcome(held.fiber)).toBe("waiting")
        // There is one place, and it is promised.
        expect(told(yield* Effect.exit(use(world)))).toBe("Exhausted")
        yield* TestClock.adjust(100)
        expect(held.got.item?.id).toBe(2)
        yield* held.release
        yield* TestClock.adjust(100)
        yield* acquire(world)
      }
    })
  )

  it.effect("is looked at before one is handed out, should the timer be late", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, prepare: 1, preparedMaxAge: 1000 })
      yield* settle
      // A turn of the event loop that lasts: time has passed, and no timer has had its turn.
      const { clock } = world.pool.admission
      const now = clock.now()
      Object.assign(clock, { now: () => now + 1000 })
      expect(yield* use(world)).toBe(2)
      expect(world.pool.admission.observer.destroyed.maxLifetime).toBe(1)
    })
  )
})

describe("an instance that cannot be prepared", () => {
  it.effect("is tried again after pauses that double from 10 milliseconds to 5 seconds, with one line in the log", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      gates.create = "fail"
      const world = yield* open({ name: "plugins", max: 4, prepare: 1 }, gates)
      yield* TestClock.adjust("1 minute")
      const pauses = gates.attemptedAt.slice(1).map((at, index) => at - gates.attemptedAt[index]!)
      expect(pauses.slice(0, 12)).toEqual([10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5000, 5000, 5000])
      expect(world.logs).toEqual([
        expect.stringContaining('Pool "plugins": an instance could not be built, and nobody was there to be told')
      ])
      gates.allWell()
      yield* TestClock.adjust(5000)
      expectAtRest(world, 1)
      // What begins anew is told anew.
      gates.create = "die"
      const attempts = gates.attempts
      yield* use(world)
      yield* TestClock.adjust(30)
      expect(gates.attempts).toBe(attempts + 3)
      expect(world.logs).toHaveLength(2)
    })
  )

  it.effect("is tried again in time also when another fails in the pause, and neither can be cleaned up", () =>
    Effect.gen(function* () {
      const startedAt: Array<number> = []
      const create: Effect.Effect<string, string, Scope.Scope> = Effect.gen(function* () {
        startedAt.push(yield* Clock.currentTimeMillis)
        yield* Effect.addFinalizer(() => Effect.never)
        yield* Effect.sleep(startedAt.length === 1 ? 100 : 6)
        return yield* Effect.fail("no such module")
      })
      const { pool } = yield* Sandbox.open(InstancePool.make({ create, max: 4, prepare: 1, destroyTimeout: "1 hour" }))
      yield* TestClock.adjust(99)
      const caller = yield* fork(Effect.exit(InstancePool.use(pool, () => Effect.void)))
      yield* TestClock.adjust(2)
      yield* Fiber.interrupt(caller)
      yield* TestClock.adjust(20)
      expect(startedAt).toEqual([0, 99, 110])
    })
  )

  it.effect("counts once with those that were tried together", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      gates.create = { late: 5, ending: "fail" }
      const world = yield* open({ max: 4, prepare: 4 }, gates)
      yield* TestClock.adjust(40)
      expect(gates.attemptedAt).toEqual([0, 15, 40].flatMap((at) => [at, at, at, at]))
      expect(world.logs).toHaveLength(1)
    })
  )

  it.effect("does not keep callers from their own attempts, nor do the failures of these from the log", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      gates.create = 10
      const world = yield* open({ max: 4, prepare: 1 }, gates)
      yield* TestClock.adjust(10)
      gates.create = "fail"
      const holder = yield* hold(world)
      yield* settle
      expect(gates.attempts).toBe(2)
      expect(world.logs).toHaveLength(1)
      for (let n = 0; n < 5; n++)
        expect(told(yield* Effect.exit(use(world)))).toEqual(new Gates.GateFailure({ at: "create" }))
      expect(gates.attempts).toBe(7)
      // The callers' failures have not made the pause longer.
      yield* TestClock.adjust(10)
      expect(gates.attempts).toBe(8)
      yield* holder.release
    })
  )

  it.effect("is no failure of those who wait for a suspended pool", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      gates.create = "fail"
      const world = yield* open({ max: 4, prepare: 1 }, gates)
      yield* InstancePool.suspend(world.pool)
      const callers = yield* Effect.forEach([1, 2], () => fork(use(world)))
      yield* TestClock.adjust("10 seconds")
      expect(gates.attempts).toBeGreaterThan(5)
      expect(callers.map(outcome)).toEqual(["waiting", "waiting"])
      gates.allWell()
      yield* InstancePool.resume(world.pool)
      yield* settle
      expect(callers.map(outcome)).toEqual([1, 2])
      expectAtRest(world, 1)
    })
  )

  it.effect("is tried again at once when one could be built for a caller", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      gates.create = "fail"
      const world = yield* open({ max: 4, prepare: 1 }, gates)
      yield* TestClock.adjust("1 minute")
      gates.allWell()
      yield* use(world)
      yield* settle
      expectAtRest(world, 1)
    })
  )

  it.effect("refuses nobody while what it left behind is cleaned up", () =>
    Effect.gen(function* () {
      let fails = true
      const create = Effect.gen(function* () {
        yield* Effect.addFinalizer(() => Effect.sleep(100))
        if (fails) return yield* Effect.fail("half built")
        return "built"
      })
      const { pool } = yield* Sandbox.open(InstancePool.make({ create, max: 1, prepare: 1 }))
      yield* settle
      expect(pool.admission).toMatchObject({ creating: 0, destroying: 1 })
      fails = false
      const caller = yield* fork(InstancePool.use(pool, Effect.succeed))
      expect(outcome(caller)).toBe("waiting")
      yield* TestClock.adjust(100)
      expect(outcome(caller)).toBe("built")
      yield* TestClock.adjust(200)
      expect(pool.store.retiring).toBe(0)
    })
  )

  it.effect("is tried again while what it left behind does not end", () =>
    Effect.gen(function* () {
      let attempts = 0
      const create = Effect.gen(function* () {
        yield* Effect.addFinalizer(() => Effect.never)
        yield* Effect.sleep(5)
        if (++attempts === 1) return yield* Effect.fail("half built")
        return "built"
      })
      const { pool } = yield* Sandbox.open(InstancePool.make({ create, max: 2, prepare: 1, destroyTimeout: "1 hour" }))
      yield* TestClock.adjust(20)
      expect(pool.admission).toMatchObject({ idle: 1, creating: 0, destroying: 1 })
    })
  )
})
