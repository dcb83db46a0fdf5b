/** Who gets a place, and at whose expense: while releases take time, hang, and are not for nothing. */
import { Budget, type PoolError } from "@effect-pools/core"
import { Resource, ResourcePool } from "@effect-pools/resource"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { TestClock } from "effect/testing"
import { counts, fork, open, outcome, type Probe, rest, settle, type World } from "./support.ts"

/** Allocates and puts back each of them, in order; releasing them takes as long as is said. */
const idling = Effect.fnUntraced(function* (world: World, names: string, release: Probe["release"] = "ok") {
  const probes = yield* world.probes(names)
  for (const probe of probes) {
    yield* probe.use()
    probe.release = release
    yield* TestClock.adjust(1)
  }
  return probes
})

describe("releases for those in line", () => {
  it.effect("go on side by side, one for each who needs a place", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 3 })
      const idle = yield* idling(world, "a b c", 100)
      const needy = yield* world.probes("x y z")
      const fibers = yield* Effect.forEach(needy, (probe) => fork(probe.use()))
      expect(idle.map(({ state }) => state)).toEqual(["going", "going", "going"])
      yield* TestClock.adjust(100)
      yield* settle
      expect(fibers.map(outcome)).toEqual([1, 1, 1])
    })
  )

  it.effect("are no more than are needed", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 4 })
      const idle = yield* idling(world, "a b c d", 100)
      const fiber = yield* fork((yield* world.probe("x", 2)).use())
      expect(idle.map(({ state }) => state)).toEqual(["going", "going", "here", "here"])
      yield* TestClock.adjust(100)
      yield* settle
      expect(outcome(fiber)).toBe(1)
      expect(counts(world)).toMatchObject({ idle: 3, taken: 4 })
    })
  )

  it.effect("that hang are followed by others after a second, and by their places after releaseTimeout", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, releaseTimeout: 3000 })
      const [a, b] = (yield* idling(world, "a b")) as [Probe, Probe]
      a.release = "stuck"
      const [x, y] = (yield* world.probes("x y")) as [Probe, Probe]
      const first = yield* fork(x.use())
      expect([a.state, b.state]).toEqual(["going", "here"])
      yield* TestClock.adjust(999)
      expect([outcome(first), b.state]).toEqual(["waiting", "here"])
      yield* TestClock.adjust(1)
      yield* settle
      expect([outcome(first), b.state]).toEqual([1, "away"])
      const held = yield* x.hold()
      const second = yield* fork(y.use())
      yield* TestClock.adjust(1999)
      expect(outcome(second)).toBe("waiting")
      yield* TestClock.adjust(1)
      yield* settle
      expect(outcome(second)).toBe(1)
      yield* held.end
    })
  )

  it.effect("do not keep an idle resource from its callers", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2 })
      const [a, b] = (yield* idling(world, "a b", 100)) as [Probe, Probe]
      const x = yield* world.probe("x")
      const fiber = yield* fork(x.use())
      expect([a.state, b.state]).toEqual(["going", "here"])
      expect(yield* Resource.useIfAvailable(b.resource, () => Effect.succeed("had"))).toEqual(Option.some("had"))
      for (const options of [undefined, { wait: false }, { acquireTimeout: 0 }]) {
        const own = yield* fork(b.use(options))
        yield* settle
        expect(outcome(own)).toBe(1)
      }
      expect(outcome(fiber)).toBe("waiting")
      yield* TestClock.adjust(100)
      yield* settle
      expect(outcome(fiber)).toBe(1)
    })
  )

  it.effect("that hang have its callers go first for a second, and no longer", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, releaseTimeout: "1 minute" })
      const [a, b] = (yield* idling(world, "a b")) as [Probe, Probe]
      a.release = "stuck"
      const needy = yield* fork((yield* world.probe("x")).use())
      const again: Effect.Effect<never, unknown> = Effect.suspend(() =>
        Effect.andThen(
          Resource.use(b.resource, () => Effect.sleep(10)),
          again
        )
      )
      const callers = [yield* fork(again), yield* fork(again)]
      yield* TestClock.adjust(999)
      expect([outcome(needy), b.releases]).toEqual(["waiting", 0])
      yield* TestClock.adjust(11)
      yield* settle
      expect(outcome(needy)).toBe(1)
      yield* Fiber.interruptAll(callers)
      a.release = "ok"
    })
  )

  it.effect("do not keep a resource that is put back from who waits for it", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2 })
      const [a] = (yield* idling(world, "a", 100)) as [Probe]
      const [b, x] = (yield* world.probes("b x")) as [Probe, Probe]
      const held = yield* b.hold()
      const needy = yield* fork(x.use())
      expect(a.state).toBe("going")
      const behind = yield* fork(b.use())
      yield* held.end
      yield* settle
      expect(outcome(behind)).toBe(1)
      expect(outcome(needy)).toBe("waiting")
      yield* TestClock.adjust(100)
      yield* settle
      expect(outcome(needy)).toBe(1)
      expect(b).toMatchObject({ allocations: 1, releases: 0 })
    })
  )

  it.effect("give nobody a place who came after one that is not provided for", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2 })
      const [a] = (yield* idling(world, "a", 100)) as [Probe]
      const [b, x, y] = (yield* world.probes("b x y")) as [Probe, Probe, Probe]
      b.release = 100
      const held = yield* b.hold()
      const fibers = [yield* fork(x.use()), yield* fork(y.use()), yield* fork(b.use())]
      yield* held.end
      // x is provided for by a, and y has waited longer for the place of b than b's own next caller.
      expect([a.state, b.state]).toEqual(["going", "going"])
      yield* TestClock.adjust(100)
      yield* settle
      expect(fibers.map(outcome)).toEqual([1, 1, 2])
    })
  )

  it.effect("are not for nothing: who has waited longer has the resource before it is released for others", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2 })
      const [a] = (yield* idling(world, "a", 100)) as [Probe]
      const [b, x, y] = (yield* world.probes("b x y")) as [Probe, Probe, Probe]
      const held = yield* b.hold()
      const fibers = [yield* fork(x.use()), yield* fork(b.use()), yield* fork(y.use())]
      yield* held.end
      yield* settle
      expect(a.state).toBe("going")
      // The place of b was free before that of a.
      expect(fibers.map(outcome)).toEqual([1, 1, "waiting"])
      yield* TestClock.adjust(100)
      yield* settle
      expect(fibers.map(outcome)).toEqual([1, 1, 1])
      expect(b.allocations).toBe(1)
    })
  )

  it.effect("are spoken for: who does not wait has none of the places that they make", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 4 })
      const a = yield* world.probe("a", 2)
      const heavy = yield* world.probe("heavy", 4)
      const light = yield* world.probe("light")
      yield* a.use()
      a.release = 100
      const fiber = yield* fork(heavy.use())
      expect(counts(world)).toMatchObject({ destroying: 1, taken: 2 })
      for (const options of [{ wait: false }, { acquireTimeout: 0 }]) {
        expect(outcome(yield* fork(light.use(options)))).toBe("Exhausted")
      }
      expect(light.allocations).toBe(0)
      yield* TestClock.adjust(100)
      yield* settle
      expect(outcome(fiber)).toBe(1)
    })
  )

  it.effect("that hang are no places to be had soon by who does not wait", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 3, releaseTimeout: "1 minute" })
      yield* idling(world, "a c", "stuck")
      const [b, x, y] = (yield* world.probes("b x y")) as [Probe, Probe, Probe]
      const held = yield* b.hold()
      const fiber = yield* fork(x.use())
      // A second for each of them.
      yield* TestClock.adjust(2000)
      expect(counts(world)).toMatchObject({ destroying: 2, taken: 3 })
      expect(outcome(yield* fork(y.use({ wait: false })))).toBe("Exhausted")
      yield* held.end
      yield* settle
      expect(outcome(fiber)).toBe(1)
    })
  )

  it.effect("under a budget come before callers of an idle resource, whatever room there is in the pool", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 10 })
      const world = yield* open({ max: 2, budget })
      const [a] = (yield* idling(world, "a", 100)) as [Probe]
      const [b, x] = (yield* world.probes("b x")) as [Probe, Probe]
      const held = yield* b.hold()
      const fibers = [yield* fork(x.use()), yield* fork(b.use())]
      yield* held.end
      yield* settle
      expect([a.state, b.state]).toEqual(["going", "here"])
      expect(fibers.map(outcome)).toEqual(["waiting", "waiting"])
      yield* TestClock.adjust(100)
      yield* settle
      expect(fibers.map(outcome)).toEqual([1, 1])
      expect(budget.statsUnsafe().free).toBe(8)
    })
  )

  it.effect("end with those who wait: when these leave, idle resources stay", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 3 })
      const [a, b, c] = (yield* idling(world, "a b c", 100)) as [Probe, Probe, Probe]
      const fiber = yield* fork((yield* world.probe("x")).use())
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust(100)
      expect([a.state, b.state, c.state]).toEqual(["away", "here", "here"])
      expect(counts(world)).toEqual({ ...rest, idle: 2, taken: 2 })
      yield* TestClock.adjust("1 minute")
      expect(counts(world)).toEqual({ ...rest, idle: 2, taken: 2 })
    })
  )
})

describe("the order", () => {
  it.effect("is kept by a heavy resource: nobody behind it has what it waits for", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 4 })
      const [a, b, light] = (yield* world.probes("a b light")) as [Probe, Probe, Probe]
      const heavy = yield* world.probe("heavy", 4)
      const held = [yield* a.hold(), yield* b.hold()]
      const first = yield* fork(heavy.use())
      const second = yield* fork(light.use())
      yield* held[0]!.end
      yield* settle
      expect([outcome(first), outcome(second)]).toEqual(["waiting", "waiting"])
      yield* held[1]!.end
      yield* settle
      expect([outcome(first), outcome(second)]).toEqual([1, 1])
      expect(world.book.log.filter((entry) => entry.endsWith("+"))).toEqual(["a+", "b+", "heavy+", "light+"])
    })
  )

  it.effect("goes on when the heavy one leaves", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 4, acquireTimeout: 100 })
      const [a, light] = (yield* world.probes("a light")) as [Probe, Probe]
      const held = yield* a.hold()
      const heavy = yield* world.probe("heavy", 4)
      const fiber = yield* fork(heavy.use())
      const behind = yield* fork(light.use({ acquireTimeout: 1000 }))
      yield* TestClock.adjust(100)
      yield* settle
      expect([outcome(fiber), outcome(behind)]).toEqual(["AcquireTimeout", 1])
      yield* held.end
    })
  )

  it.effect("is the same over thousands of callers of many resources", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const probes = yield* Effect.forEach(Array.from({ length: 50 }), (_, n) => world.probe(`r${n}`))
      const order: Array<number> = []
      const held = yield* probes[0]!.hold()
      const fibers = yield* Effect.forEach(Array.from({ length: 2000 }), (_, n) => {
        const probe = probes[(n * 7) % 50]!
        return fork(
          Resource.use(probe.resource, (value) =>
            probe.holding(
              value,
              Effect.sync(() => order.push(n))
            )
          )
        )
      })
      yield* held.end
      yield* Fiber.joinAll(fibers)
      expect(order).toEqual(Array.from({ length: 2000 }, (_, n) => n))
      expect(world.book.most).toBe(1)
    })
  )

  it.effect("holds after the pool has been suspended: idle resources for those first in line only", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2 })
      const [a, b] = (yield* idling(world, "a b", 100)) as [Probe, Probe]
      const x = yield* world.probe("x")
      yield* ResourcePool.suspend(world.pool)
      const fibers = [yield* fork(a.use()), yield* fork(x.use()), yield* fork(b.use())]
      expect(counts(world)).toMatchObject({ idle: 2, pending: 3 })
      yield* ResourcePool.resume(world.pool)
      yield* settle
      // a is served first and idle again, and so is the one that x takes the place of.
      expect(outcome(fibers[0]!)).toBe(1)
      yield* TestClock.adjust(200)
      yield* settle
      expect(fibers.map(outcome)).toEqual([1, 1, 2])
    })
  )
})

describe("a pool that is resized", () => {
  it.effect("releases idle resources that are too many, those used longest ago first, and others when put back", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 4 })
      const [a, b] = (yield* idling(world, "a b")) as [Probe, Probe]
      const heavy = yield* world.probe("heavy", 2)
      const held = yield* heavy.hold()
      yield* ResourcePool.resize(world.pool, { max: 3 })
      expect([a.state, b.state, heavy.state]).toEqual(["away", "here", "here"])
      yield* ResourcePool.resize(world.pool, { max: 1 })
      expect([b.state, heavy.state]).toEqual(["away", "here"])
      yield* held.end
      expect(counts(world)).toEqual(rest)
      expect((yield* ResourcePool.stats(world.pool)).destroyed.shrink).toBe(3)
    })
  )

  it.effect("refuses callers of resources that are heavier than it, now and in line", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 3 })
      const heavy = yield* world.probe("heavy", 3)
      const a = yield* world.probe("a")
      const held = yield* a.hold()
      const waiting = yield* fork(heavy.use())
      const behind = yield* fork((yield* world.probe("b")).use())
      yield* ResourcePool.resize(world.pool, { max: 2 })
      yield* settle
      expect([outcome(waiting), outcome(behind)]).toEqual(["Exhausted", 1])
      expect(outcome(yield* fork(heavy.use()))).toBe("Exhausted")
      yield* ResourcePool.suspend(world.pool)
      yield* held.end
      yield* ResourcePool.resize(world.pool, { max: 3 })
      const again = yield* fork(heavy.use())
      yield* ResourcePool.resize(world.pool, { max: 2 })
      yield* settle
      expect(outcome(again)).toBe("Exhausted")
      const { message, reason } = yield* Effect.flip(heavy.use()) as Effect.Effect<PoolError.PoolError>
      expect(reason).toMatchObject({ pool: "test", max: 2, needs: 3 })
      expect(message).toBe('Pool "test" has 2 places, and the call needs 3')
      yield* ResourcePool.resize(world.pool, { max: 3 })
      yield* ResourcePool.resume(world.pool)
      expect(yield* heavy.use()).toBe(1)
    })
  )

  it.effect("releases what comes to be when there is no place for it any more, and its caller waits", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2 })
      const [a, b] = (yield* world.probes("a b")) as [Probe, Probe]
      a.allocate = b.allocate = 10
      const fibers = [yield* fork(a.use()), yield* fork(b.use())]
      yield* ResourcePool.resize(world.pool, { max: 1 })
      yield* TestClock.adjust(30)
      yield* settle
      expect(fibers.map(outcome).every((it) => it === 1 || it === 2)).toBe(true)
      expect(counts(world)).toEqual({ ...rest, idle: 1, taken: 1 })
    })
  )

  it.effect("serves those in line when it grows", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const [a, b, c] = (yield* world.probes("a b c")) as [Probe, Probe, Probe]
      const held = yield* a.hold()
      const fibers = [yield* fork(b.use()), yield* fork(c.use())]
      yield* ResourcePool.resize(world.pool, { max: 3 })
      yield* settle
      expect(fibers.map(outcome)).toEqual([1, 1])
      yield* held.end
    })
  )
})
