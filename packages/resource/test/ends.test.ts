/** Suspending, draining and closing, in the middle of everything. */
import { Resource, ResourcePool } from "@effect-pools/resource"
import { Sandbox } from "@effect-pools/testing"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { counts, fork, open, outcome, type Probe, rest, settle, told, type World } from "./support.ts"

/** A pool of which every resource is in another state. */
const busy = Effect.fnUntraced(function* (options: Partial<ResourcePool.Options> = {}) {
  const world = yield* open({ max: 5, ...options })
  const [idle, used, coming, going, failing] = (yield* world.probes("idle used coming going failing")) as [
    Probe,
    Probe,
    Probe,
    Probe,
    Probe
  ]
  yield* idle.use()
  const held = yield* used.hold()
  coming.allocate = 50
  failing.allocate = { late: 50, ending: "fail" }
  yield* going.use()
  going.release = 50
  const fibers = {
    coming: yield* fork(coming.use()),
    failing: yield* fork(failing.use()),
    going: yield* fork(Resource.release(going.resource)),
    put: yield* fork(used.use()),
    after: yield* fork(going.use()),
    capacity: yield* fork((yield* world.probe("heavy", 5)).use())
  }
  return { world, held, fibers, idle, used, coming, going, failing }
})

const isGone = (world: World) => {
  expect(counts(world)).toEqual(rest)
  expect(world.book.taken).toBe(0)
  expect(Sandbox.leftovers(world)).toEqual([])
}

describe("a pool that is suspended", () => {
  it.effect("hands out nothing, and goes on where it was when it is resumed", () =>
    Effect.gen(function* () {
      const { fibers, held, used, world } = yield* busy()
      yield* ResourcePool.suspend(world.pool)
      yield* held.end
      yield* TestClock.adjust(50)
      yield* settle
      expect(Object.values(fibers).map(outcome)).toEqual([
        "waiting",
        expect.objectContaining({ _tag: "GateFailure" }),
        undefined,
        "waiting",
        "waiting",
        "waiting"
      ])
      for (const options of [{ wait: false }, { acquireTimeout: 0 }]) {
        expect(told(yield* Effect.exit(used.use(options)))).toBe("Suspended")
      }
      expect(yield* Resource.useIfAvailable(used.resource, () => Effect.void)).toEqual(Option.none())
      yield* ResourcePool.resume(world.pool)
      yield* TestClock.adjust(200)
      yield* settle
      expect(Object.values(fibers).map((fiber) => fiber.pollUnsafe()?._tag)).toEqual([
        "Success",
        "Failure",
        "Success",
        "Success",
        "Success",
        "Success"
      ])
    })
  )

  it.effect("still releases what it is told to", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2 })
      const [a, b] = (yield* world.probes("a b")) as [Probe, Probe]
      yield* a.use()
      yield* b.use()
      yield* ResourcePool.suspend(world.pool)
      yield* Resource.release(a.resource)
      yield* Resource.scheduleRelease(b.resource)
      expect(counts(world)).toEqual(rest)
    })
  )
})

describe("a pool that is drained", () => {
  it.effect("refuses all who wait, waits for who holds, and ends with nothing left", () =>
    Effect.gen(function* () {
      const { fibers, held, used, world } = yield* busy()
      const draining = yield* fork(ResourcePool.drain(world.pool))
      yield* settle
      for (const name of ["coming", "failing", "put", "after", "capacity"] as const) {
        expect([name, outcome(fibers[name])]).toEqual([name, "Closed"])
      }
      expect(told(yield* Effect.exit(used.use()))).toBe("Closed")
      yield* TestClock.adjust(100)
      expect([outcome(draining), outcome(fibers.going), used.state]).toEqual(["waiting", undefined, "here"])
      yield* held.end
      yield* TestClock.adjust(100)
      yield* settle
      expect(outcome(draining)).toBe(undefined)
      isGone(world)
    })
  )

  it.effect("for no longer than the grace, releases what is in use under its holder", () =>
    Effect.gen(function* () {
      const { held, used, world } = yield* busy()
      const draining = yield* fork(ResourcePool.drain(world.pool, "1 second"))
      yield* TestClock.adjust("1 second")
      yield* settle
      expect(outcome(draining)).toBe(undefined)
      expect(used.state).toBe("away")
      yield* held.end
      isGone(world)
    })
  )
})

describe("a pool that ends", () => {
  for (const how of ["drained", "closed"] as const) {
    it.effect(`releases what is put back at once, whatever else is out still: ${how}`, () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 2 })
        const [a, b] = (yield* world.probes("a b")) as [Probe, Probe]
        const [one, other] = [yield* a.hold(), yield* b.hold()]
        yield* fork(how === "closed" ? world.close : ResourcePool.drain(world.pool))
        yield* one.end
        expect([a.state, b.state]).toEqual(["away", "here"])
        yield* other.end
        yield* settle
        isGone(world)
      })
    )
  }

  it.effect("releases once what one of its resources releases when it is released itself", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, closeGrace: 0 })
      const b = yield* world.probe("b")
      const a = yield* ResourcePool.create(world.pool, {
        allocate: Effect.void,
        release: () => Resource.release(b.resource)
      })
      const scope = yield* Scope.make()
      yield* Scope.provide(Resource.get(a), scope)
      yield* Scope.provide(Resource.get(b.resource), scope)
      yield* fork(world.close)
      yield* settle
      expect(b).toMatchObject({ state: "away", releases: 1 })
      yield* Scope.close(scope, Exit.void)
      isGone(world)
    })
  )
})

describe("a pool that is closed", () => {
  it.effect("releases idle resources at once, others when they are put back", () =>
    Effect.gen(function* () {
      const { fibers, going, held, idle, used, world } = yield* busy()
      const closing = yield* fork(world.close)
      yield* settle
      expect([idle.state, used.state, going.state]).toEqual(["away", "here", "going"])
      for (const name of ["coming", "failing", "put", "after", "capacity"] as const) {
        expect([name, outcome(fibers[name])]).toEqual([name, "Closed"])
      }
      yield* TestClock.adjust(100)
      expect([outcome(closing), outcome(fibers.going)]).toEqual(["waiting", undefined])
      yield* held.end
      yield* settle
      expect(outcome(closing)).toBe(undefined)
      isGone(world)
    })
  )

  it.effect("under its holders, when the grace is over", () =>
    Effect.gen(function* () {
      const { held, used, world } = yield* busy({ closeGrace: 200 })
      const closing = yield* fork(world.close)
      yield* TestClock.adjust(199)
      expect(used.state).toBe("here")
      yield* TestClock.adjust(1)
      yield* settle
      expect([outcome(closing), used.state]).toEqual([undefined, "away"])
      yield* held.end
      isGone(world)
    })
  )

  it.effect("does not wait for what hangs: nor does who releases, now or later", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 3, releaseTimeout: 100, closeGrace: 0 })
      const [a, b, c] = (yield* world.probes("a b c")) as [Probe, Probe, Probe]
      yield* a.use()
      yield* c.use()
      a.release = c.release = "stuck"
      b.allocate = "stuck"
      const allocating = yield* fork(b.use())
      const releasing = yield* fork(Effect.flip(Resource.release(a.resource)))
      const closing = yield* fork(world.close)
      yield* TestClock.adjust(200)
      yield* settle
      expect([outcome(allocating), outcome(closing)]).toEqual(["Closed", undefined])
      expect(outcome(releasing)).toMatchObject({ reason: "timeout" })
      expect(counts(world)).toEqual(rest)
      for (const probe of [a, c]) {
        const late = yield* fork(Effect.flip(Resource.release(probe.resource)))
        expect(outcome(late)).toMatchObject({ reason: "timeout" })
      }
      expect(outcome(yield* fork(Effect.flip(Resource.release(b.resource))))).toMatchObject({ reason: "allocating" })
      yield* Resource.scheduleRelease(a.resource)
      expect(told(yield* Effect.exit(a.use()))).toBe("Closed")
    })
  )

  it.effect("still makes resources, of which none can be had, and releases none twice", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      yield* a.use()
      yield* world.close
      const b = yield* world.probe("b")
      expect(told(yield* Effect.exit(b.use()))).toBe("Closed")
      expect(told(yield* Effect.exit(Effect.scoped(Resource.getIfAvailable(a.resource))))).toBe("Closed")
      yield* Resource.release(a.resource)
      yield* Resource.release(b.resource)
      expect(yield* Resource.isAllocated(a.resource)).toBe(false)
      expect(a).toMatchObject({ allocations: 1, releases: 1 })
      isGone(world)
    })
  )

  it.effect("takes a scope in its stride that closes twice, or before its lease was had", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const [a, b] = (yield* world.probes("a b")) as [Probe, Probe]
      const held = yield* a.hold()
      const scope = yield* Scope.make()
      const fiber = yield* fork(Scope.provide(Resource.get(b.resource), scope))
      yield* Scope.close(scope, Exit.void)
      yield* Scope.close(scope, Exit.void)
      yield* settle
      expect(fiber.pollUnsafe()).toBeDefined()
      expect(counts(world)).toMatchObject({ used: 1, pending: 0 })
      yield* held.end
      yield* world.close
      isGone(world)
    })
  )
})
