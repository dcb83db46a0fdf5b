/** Callbacks that use the pool they belong to. */
import { Budget } from "@effect-pools/core"
import { Resource, ResourcePool } from "@effect-pools/resource"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { counts, fork, open, outcome, type Probe, rest, settle, tags, told, type World } from "./support.ts"

/** A resource whose steps are what a test says. */
const made = <E, E2>(
  { pool }: World,
  name: string,
  steps: { readonly allocate?: Effect.Effect<unknown, E>; readonly release?: Effect.Effect<unknown, E2> }
) =>
  Effect.orDie(
    ResourcePool.create(pool, {
      name,
      allocate: Effect.as(steps.allocate ?? Effect.void, name),
      release: () => steps.release ?? Effect.void
    })
  )

const use = (resource: Resource.Resource<string, unknown>) => Resource.use(resource, Effect.succeed)

describe("allocate", () => {
  it.effect("may use other resources of its pool", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2 })
      const a = yield* world.probe("a")
      const b = yield* made(world, "b", { allocate: a.use() })
      expect(yield* use(b)).toBe("b")
      expect(counts(world)).toEqual({ ...rest, idle: 2, taken: 2 })
    })
  )

  it.effect("that waits for a place which it has itself fails in time, and loses none", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, acquireTimeout: 100 })
      const a = yield* world.probe("a")
      const b = yield* made(world, "b", { allocate: a.use() })
      const fiber = yield* fork(use(b))
      yield* TestClock.adjust(100)
      yield* settle
      expect(outcome(fiber)).toBe("AcquireTimeout")
      expect(counts(world)).toEqual(rest)
      expect(yield* a.use()).toBe(1)
    })
  )

  it.effect("that gets its own resource fails in time, and loses none", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, allocateTimeout: 100 })
      let isFirst = true
      const self: Resource.Resource<string, unknown> = yield* made(world, "self", {
        allocate: Effect.suspend((): Effect.Effect<unknown, unknown> => {
          if (!isFirst) return Effect.void
          isFirst = false
          return use(self)
        })
      })
      const fiber = yield* fork(use(self))
      yield* TestClock.adjust(100)
      yield* settle
      expect(outcome(fiber)).toBe("AcquireTimeout")
      expect(yield* use(self)).toBe("self")
      expect(counts(world)).toEqual({ ...rest, idle: 1, taken: 1 })
    })
  )

  it.effect("is told that its own resource cannot be released now", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const told: Array<unknown> = []
      const self: Resource.Resource<string, unknown> = yield* made(world, "self", {
        allocate: Effect.suspend(() => Effect.flip(Resource.release(self))).pipe(
          Effect.map(({ reason }) => told.push(reason)),
          Effect.andThen(Effect.suspend(() => Resource.scheduleRelease(self))),
          Effect.orDie
        )
      })
      expect(yield* use(self)).toBe("self")
      expect(told).toEqual(["allocating"])
      expect(counts(world)).toEqual(rest)
    })
  )

  it.effect("may resize, suspend, resume and drain the pool", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2 })
      const { pool } = world
      const a = yield* world.probe("a")
      yield* a.use()
      const resizing = yield* made(world, "resizing", { allocate: ResourcePool.resize(pool, { max: 1 }) })
      const fiber = yield* fork(use(resizing))
      yield* settle
      expect(outcome(fiber)).toBe("resizing")
      expect(counts(world)).toEqual({ ...rest, idle: 1, taken: 1 })
      const suspending = yield* made(world, "suspending", { allocate: ResourcePool.suspend(pool) })
      const suspended = yield* fork(use(suspending))
      yield* settle
      expect([outcome(suspended), pool.admission.lifecycle]).toEqual(["waiting", "suspended"])
      yield* ResourcePool.resume(pool)
      yield* settle
      expect(outcome(suspended)).toBe("suspending")
      const draining = yield* made(world, "draining", { allocate: Effect.ignore(ResourcePool.drain(pool)) })
      const drained = yield* fork(Effect.exit(use(draining)))
      yield* settle
      expect(told((yield* Fiber.join(drained)) as Exit.Exit<unknown, unknown>)).toBe("Closed")
      yield* TestClock.adjust("1 minute")
      expect(counts(world)).toEqual(rest)
      expect(pool.admission.hasEnded).toBe(true)
    })
  )

  it.effect("may close the pool, which ends its caller with Closed", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* made(world, "a", { allocate: world.close })
      const fiber = yield* fork(Effect.exit(use(a)))
      yield* TestClock.adjust("1 minute")
      expect(told(yield* Fiber.join(fiber))).toBe("Closed")
      expect(counts(world)).toEqual(rest)
      expect(world.pool.admission.hasEnded).toBe(true)
    })
  )
})

describe("release", () => {
  it.effect("may use other resources of its pool", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2 })
      const a = yield* world.probe("a")
      const b = yield* made(world, "b", { release: Effect.asVoid(Effect.orDie(a.use())) })
      yield* use(b)
      yield* Resource.release(b)
      expect(counts(world)).toEqual({ ...rest, idle: 1, taken: 1 })
    })
  )

  it.effect("that waits for the place which it has goes on when others have that, or its time is over", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, releaseTimeout: 100 })
      const [a, c] = (yield* world.probes("a c")) as [Probe, Probe]
      const b = yield* made(world, "b", { release: Effect.orDie(a.use()) })
      yield* use(b)
      const fiber = yield* fork(c.use())
      yield* TestClock.adjust(100)
      yield* settle
      expect(outcome(fiber)).toBe(1)
      expect(a.allocations).toBe(1)
      expect(yield* use(b)).toBe("b")
    })
  )

  it.effect("that releases its own resource is told when its time is over", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, releaseTimeout: 100 })
      const reasons: Array<string> = []
      const self: Resource.Resource<string, unknown> = yield* made(world, "self", {
        release: Effect.suspend(() => Effect.flip(Resource.release(self))).pipe(
          Effect.map(({ reason }) => reasons.push(reason)),
          Effect.orDie
        )
      })
      yield* use(self)
      const fiber = yield* fork(Effect.flip(Resource.release(self)))
      yield* TestClock.adjust(100)
      yield* settle
      expect(outcome(fiber)).toMatchObject({ reason: "timeout" })
      expect(reasons).toEqual(["timeout"])
      expect(yield* use(self)).toBe("self")
    })
  )

  it.effect("that gets its own resource ends when its time is over, and the resource can be used again", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, releaseTimeout: 100, acquireTimeout: 500 })
      let isFirst = true
      const self: Resource.Resource<string, unknown> = yield* made(world, "self", {
        release: Effect.suspend((): Effect.Effect<unknown, unknown> => {
          if (!isFirst) return Effect.void
          isFirst = false
          return Effect.exit(use(self))
        })
      })
      yield* use(self)
      const fiber = yield* fork(Effect.flip(Resource.release(self)))
      yield* TestClock.adjust(500)
      yield* settle
      expect(outcome(fiber)).toMatchObject({ reason: "timeout" })
      expect(yield* use(self)).toBe("self")
      expect(counts(world)).toEqual({ ...rest, idle: 1, taken: 1 })
    })
  )

  it.effect("may release all the others, resize and close the pool", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 3 })
      const { pool } = world
      const [a, b] = (yield* world.probes("a b")) as [Probe, Probe]
      const last = yield* made(world, "last", {
        release: Effect.all([
          Resource.release(a.resource),
          Resource.scheduleRelease(b.resource),
          ResourcePool.resize(pool, { max: 1 })
        ])
      })
      for (const probe of [a, b]) yield* probe.use()
      yield* use(last)
      yield* Resource.release(last)
      expect(counts(world)).toEqual(rest)
      const closing = yield* made(world, "closing", { release: world.close })
      yield* use(closing)
      const fiber = yield* fork(Resource.release(closing))
      yield* TestClock.adjust("1 minute")
      expect(pool.admission.hasEnded).toBe(true)
      expect(fiber.pollUnsafe()).toBeDefined()
    })
  )
})

describe("a body", () => {
  it.effect("may use other resources, and its own not: it waits for itself, and is told so", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, acquireTimeout: 100 })
      const [a, b] = (yield* world.probes("a b")) as [Probe, Probe]
      const fiber = yield* fork(
        Resource.use(a.resource, () =>
          Effect.andThen(b.use(), Effect.flip(Resource.use(a.resource, () => Effect.void)))
        )
      )
      yield* TestClock.adjust(100)
      yield* settle
      expect(outcome(fiber)).toMatchObject({
        reason: { phase: "put", resource: "a", explanation: { heldByCaller: 1 } }
      })
      expect(world.logs).toEqual([expect.stringContaining('a fiber waits for "a", which it holds itself')])
    })
  )

  it.effect("may release, schedule, invalidate, resize and close, all at once", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2 })
      const { pool } = world
      const a = yield* world.probe("a")
      yield* Resource.use(a.resource, (value) =>
        Effect.all([
          Resource.scheduleRelease(a.resource),
          ResourcePool.invalidate(pool, value),
          Resource.release(a.resource),
          Resource.release(a.resource),
          Resource.scheduleRelease(a.resource),
          ResourcePool.invalidate(pool, value),
          ResourcePool.resize(pool, { max: 1 })
        ])
      )
      expect(counts(world)).toEqual(rest)
      expect(a).toMatchObject({ allocations: 1, releases: 1 })
      const fiber = yield* fork(Resource.use(a.resource, () => world.close))
      yield* TestClock.adjust("1 minute")
      expect(world.pool.admission.hasEnded).toBe(true)
      expect(fiber.pollUnsafe()).toBeDefined()
      expect(a).toMatchObject({ allocations: 2, releases: 2 })
    })
  )
})

describe("an invalidated resource", () => {
  it.effect("whose release has another allocated anew that was invalid too leaves that as it is now", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2 })
      const same = {}
      let released = 0
      const b = yield* ResourcePool.create(world.pool, {
        allocate: Effect.succeed(same),
        release: () => Effect.sync(() => released++)
      })
      const a = yield* ResourcePool.create(world.pool, {
        allocate: Effect.succeed(same),
        release: () =>
          Effect.andThen(
            Resource.release(b),
            Resource.use(b, () => Effect.void)
          )
      })
      for (const resource of [a, b]) yield* Resource.use(resource, () => Effect.void)
      yield* ResourcePool.invalidate(world.pool, same)
      yield* settle
      expect(released).toBe(1)
      expect(counts(world)).toEqual({ ...rest, idle: 1, taken: 1 })
      yield* Resource.release(b)
      expect(counts(world)).toEqual(rest)
    })
  )

  it.effect("that was to be released is so for the first reason that was given", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      yield* Resource.use(a.resource, (value) =>
        Effect.andThen(Resource.scheduleRelease(a.resource), ResourcePool.invalidate(world.pool, value))
      )
      expect((yield* ResourcePool.stats(world.pool)).destroyed).toMatchObject({ released: 1, invalidated: 0 })
      yield* Resource.use(a.resource, (value) =>
        Effect.andThen(ResourcePool.invalidate(world.pool, value), Resource.scheduleRelease(a.resource))
      )
      expect((yield* ResourcePool.stats(world.pool)).destroyed).toMatchObject({ released: 1, invalidated: 1 })
    })
  )

  it.effect("is not handed out again: released now if it is idle, else when it is put back", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2 })
      const [a, b] = (yield* world.probes("a b")) as [Probe, Probe]
      const value = yield* Effect.scoped(Resource.get(a.resource))
      const scope = yield* Scope.make()
      const held = yield* Scope.provide(Resource.get(b.resource), scope)
      const next = yield* fork(b.use())
      for (const it of [value, held, { of: a, generation: 1 }, undefined])
        yield* ResourcePool.invalidate(world.pool, it)
      expect([a.state, b.state]).toEqual(["away", "here"])
      yield* Scope.close(scope, Exit.void)
      yield* settle
      expect(outcome(next)).toBe(2)
      expect(yield* a.use()).toBe(2)
      expect((yield* ResourcePool.stats(world.pool)).destroyed.invalidated).toBe(2)
    })
  )
})

describe("a resource for which others are released", () => {
  it.effect("is allocated once, also if one of their releases uses it", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 2 })
      const asking = yield* open({ max: 2, budget })
      const a = yield* asking.probe("a")
      const other = yield* open({ max: 2, budget })
      for (const name of ["x", "y"]) {
        const release = Effect.sync(() => void (name === "x" && Effect.runFork(a.use())))
        yield* use(yield* made(other, name, { release }))
      }
      const refused = yield* Effect.exit(a.use({ acquireTimeout: 0 }))
      yield* settle
      expect(told(refused)).toBe("Exhausted")
      expect(a.allocations).toBe(1)
      expect(counts(asking)).toEqual({ ...rest, idle: 1, taken: 1 })
      expect(budget.statsUnsafe().free).toBe(1)
    })
  )

  it.effect("is not allocated if one of their releases leaves no room for it", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 2 })
      const asking = yield* open({ max: 2, budget })
      const heavy = yield* asking.probe("heavy", 2)
      const other = yield* open({ max: 1, budget })
      yield* use(yield* made(other, "x", { release: Effect.orDie(ResourcePool.resize(asking.pool, { max: 1 })) }))
      expect(told(yield* Effect.exit(heavy.use()))).toBe("Exhausted")
      expect(heavy.allocations).toBe(0)
      expect(budget.statsUnsafe().free).toBe(2)
    })
  )
})

describe("who goes on in the very step in which a release ends", () => {
  const released = Effect.fnUntraced(function* (then: (a: Probe, b: Probe) => Effect.Effect<unknown, unknown>) {
    const world = yield* open({ max: 1 })
    const [a, b] = (yield* world.probes("a b")) as [Probe, Probe]
    a.release = 10
    yield* a.use()
    const fiber = yield* fork(Effect.andThen(Resource.release(a.resource), then(a, b)))
    yield* TestClock.adjust(10)
    yield* settle
    a.release = "ok"
    return { world, fiber }
  })

  it.effect("may release it again, which is nothing to do", () =>
    Effect.gen(function* () {
      const { fiber } = yield* released((a) => Resource.release(a.resource))
      expect(outcome(fiber)).toBeUndefined()
    })
  )

  it.effect("may have it again without waiting", () =>
    Effect.gen(function* () {
      const { fiber } = yield* released((a) => a.use({ wait: false }))
      expect(outcome(fiber)).toBe(2)
    })
  )

  it.effect("may use its place for another, which is told after that end", () =>
    Effect.gen(function* () {
      const { fiber, world } = yield* released((_, b) => b.use())
      expect(outcome(fiber)).toBe(1)
      expect(tags(world).filter((tag) => tag === "ItemCreated" || tag === "ItemDestroyed")).toEqual([
        "ItemCreated",
        "ItemDestroyed",
        "ItemCreated"
      ])
    })
  )
})

describe("who hears that the holder of a resource has lost it", () => {
  it.effect("may release that as well: it is released once, and both are told", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      const { end } = yield* a.hold()
      yield* settle
      const told: Array<string> = []
      world.pool.admission.observer.listen(({ _tag }) => {
        if (_tag !== "LeaseReleased" || told.length > 0) return
        told.push("asked")
        Effect.runFork(Effect.tap(Resource.release(a.resource), () => Effect.sync(() => told.push("released"))))
      })
      yield* Resource.release(a.resource)
      yield* end
      expect(told).toEqual(["asked", "released"])
      expect(a.releases).toBe(1)
      expect(counts(world)).toEqual(rest)
    })
  )
})
