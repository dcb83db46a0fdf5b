/** What goes wrong in the known system, and not here. */
import { Resource, ResourcePool } from "@effect-pools/resource"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { counts, fork, open, outcome, type Probe, rest, settle, told } from "./support.ts"

describe("faults of the known system", () => {
  it.effect("a scheduled release is done once: what is allocated after it stays", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      const held = yield* a.hold()
      yield* Resource.scheduleRelease(a.resource)
      yield* held.end
      expect(a.state).toBe("away")
      expect([yield* a.use(), yield* a.use(), yield* a.use()]).toEqual([2, 2, 2])
      expect(a.state).toBe("here")
      yield* Resource.release(a.resource)
      a.allocate = 10
      const fiber = yield* fork(a.use())
      yield* Resource.scheduleRelease(a.resource)
      yield* TestClock.adjust(10)
      yield* settle
      expect([outcome(fiber), a.state]).toEqual([3, "away"])
      a.allocate = "ok"
      expect([yield* a.use(), yield* a.use()]).toEqual([4, 4])
    })
  )

  it.effect("a scheduled release whose allocation fails is forgotten with it", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      a.allocate = { late: 10, ending: "fail" }
      const fiber = yield* fork(Effect.exit(a.use()))
      yield* Resource.scheduleRelease(a.resource)
      yield* TestClock.adjust(10)
      yield* Fiber.join(fiber)
      a.allocate = "ok"
      expect([yield* a.use(), yield* a.use()]).toEqual([1, 1])
    })
  )

  it.effect("with one place, a get during the scheduled release of another has its place after that", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const [a, b] = (yield* world.probes("a b")) as [Probe, Probe]
      a.release = 10
      const held = yield* a.hold()
      yield* Resource.scheduleRelease(a.resource)
      yield* held.end
      expect(a.state).toBe("going")
      const fiber = yield* fork(b.use())
      expect(outcome(fiber)).toBe("waiting")
      yield* TestClock.adjust(10)
      yield* settle
      expect(outcome(fiber)).toBe(1)
      expect(world.book).toMatchObject({ most: 1, log: ["a+", "a", "a-", "a.", "b+", "b"] })
    })
  )

  it.effect("a resource is not allocated while it is being released, not even if that has been given up", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, releaseTimeout: 50 })
      const a = yield* world.probe("a")
      yield* a.use()
      a.release = { late: 100 }
      yield* Resource.scheduleRelease(a.resource)
      const fiber = yield* fork(a.use())
      for (const millis of [49, 1, 49]) {
        yield* TestClock.adjust(millis)
        expect([outcome(fiber), a.state]).toEqual(["waiting", "going"])
      }
      yield* TestClock.adjust(1)
      yield* settle
      expect(outcome(fiber)).toBe(2)
      expect(world.book.log).toEqual(["a+", "a", "a-", "a.", "a+", "a"])
    })
  )

  it.effect("releasing an idle resource that is about to be got goes well in either order", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      yield* a.use()
      const both = [yield* fork(Resource.release(a.resource)), yield* fork(a.use())]
      yield* settle
      expect(both.map(outcome)).toEqual([undefined, 2])
      const inReverse = [yield* fork(a.use()), yield* fork(Resource.release(a.resource))]
      yield* settle
      expect(inReverse.map(outcome)).toEqual([2, undefined])
      expect(counts(world)).toEqual(rest)
      a.release = 10
      yield* a.use()
      const slow = [yield* fork(Resource.release(a.resource)), yield* fork(a.use())]
      yield* TestClock.adjust(10)
      yield* settle
      expect(slow.map(outcome)).toEqual([undefined, 4])
    })
  )

  it.effect("an allocation that dies is the defect of its callers, and the pool goes on", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      const thrown = yield* ResourcePool.create(world.pool, {
        allocate: Effect.sync((): number => {
          throw new Error("a bug")
        })
      })
      a.allocate = "die"
      expect(told(yield* Effect.exit(a.use()))).toBe("Die")
      expect(told(yield* Effect.exit(Resource.use(thrown, () => Effect.void)))).toBe("Die")
      expect(counts(world)).toEqual(rest)
      a.allocate = "ok"
      expect(yield* a.use()).toBe(1)
    })
  )

  it.effect("a caller who does not wait may say so again and again", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const [a, b] = (yield* world.probes("a b")) as [Probe, Probe]
      const impatient = b.use({ wait: false })
      const held = yield* a.hold()
      for (let n = 0; n < 3; n++) expect(told(yield* Effect.exit(impatient))).toBe("Exhausted")
      yield* held.end
      for (let n = 0; n < 3; n++) expect(yield* impatient).toBe(1)
    })
  )

  it.effect("the failure to release a victim is an event and a log, never told to who needed its place", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const [a, b] = (yield* world.probes("a b")) as [Probe, Probe]
      for (const gate of ["fail", "die"] as const) {
        yield* a.use()
        a.release = gate
        expect(yield* Effect.exit(b.use())).toMatchObject({ _tag: "Success" })
      }
      // Nor does it come up later, where somebody releases the same resource without a failure.
      a.release = "ok"
      yield* a.use()
      yield* Resource.release(a.resource)
      yield* settle
      const line = 'Pool "test": destroy of resource "a" failed'
      expect(world.logs).toEqual([expect.stringContaining(line), expect.stringContaining(line)])
      const failures = world.events.filter(({ _tag }) => _tag === "BackgroundFailure")
      expect(failures).toMatchObject([
        { during: "destroy", cause: expect.stringContaining("GateFailure") },
        { during: "destroy", cause: expect.stringContaining("destroy died") }
      ])
    })
  )

  it.effect("the victim is the one that has been idle for longest, every time", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 3 })
      const probes = yield* world.probes("a b c d e f g")
      const lastUse = new Map<Probe, number>()
      for (let turn = 0; turn < 50; turn++) {
        const before = world.book.log.length
        const here = probes.filter(({ state }) => state === "here")
        const oldest = here.reduce<Probe | undefined>(
          (one, other) => (one === undefined || lastUse.get(other)! < lastUse.get(one)! ? other : one),
          undefined
        )
        const next = probes[(turn * turn * 3 + turn) % 7]!
        yield* next.use()
        lastUse.set(next, turn)
        const victims = world.book.log.slice(before).filter((entry) => entry.endsWith("-"))
        const isNeeded = here.length === 3 && !here.includes(next)
        expect(victims).toEqual(isNeeded ? [`${oldest!.name}-`] : [])
      }
    })
  )
})
