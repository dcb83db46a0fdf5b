/** What is known from the Go package `resourcepool`: its own tests, and what those leave out. */
import { Resource, ResourcePool } from "@effect-pools/resource"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { counts, fork, open, outcome, type Probe, rest, settle, tags, told } from "./support.ts"

describe("a resource", () => {
  it.effect("is not allocated before somebody gets it", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      expect(yield* Resource.isAllocated(a.resource)).toBe(false)
      expect(counts(world)).toEqual(rest)
      expect(a.resource).toMatchObject({ name: "a", weight: 1, pool: world.pool })
    })
  )

  it.effect("stays allocated when it is put back, so that the next get is free", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      expect(yield* a.use()).toBe(1)
      expect(yield* Resource.isAllocated(a.resource)).toBe(true)
      expect(counts(world)).toEqual({ ...rest, idle: 1, taken: 1 })
      expect(yield* a.use()).toBe(1)
      const value = yield* Effect.scoped(Resource.get(a.resource))
      expect(value).toEqual({ of: a, generation: 1 })
      expect(world.book.log).toEqual(["a+", "a"])
    })
  )

  it.effect("may be released by its holder, whose putting back it does nothing then", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      yield* Resource.use(a.resource, () => Resource.release(a.resource))
      expect(counts(world)).toEqual(rest)
      expect(yield* Resource.isAllocated(a.resource)).toBe(false)
      yield* Effect.scoped(Effect.andThen(Resource.get(a.resource), Resource.release(a.resource)))
      expect(counts(world)).toEqual(rest)
      expect(a).toMatchObject({ allocations: 2, releases: 2 })
    })
  )

  it.effect("cannot be put back twice", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      const scope = yield* Scope.make()
      yield* Scope.provide(Resource.get(a.resource), scope)
      yield* Scope.close(scope, Exit.void)
      const next = yield* a.hold()
      yield* Scope.close(scope, Exit.void)
      expect(counts(world)).toEqual({ ...rest, used: 1, taken: 1 })
      yield* next.end
      expect((yield* ResourcePool.stats(world.pool)).released).toBe(2)
    })
  )

  it.effect("has one holder at a time, and callers in the order in which they came", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 3 })
      const a = yield* world.probe("a")
      const order: Array<number> = []
      const first = yield* a.hold()
      const fibers = yield* Effect.forEach([1, 2, 3, 4, 5], (n) =>
        fork(
          Resource.use(a.resource, (value) =>
            a.holding(
              value,
              Effect.andThen(
                Effect.sync(() => order.push(n)),
                Effect.yieldNow
              )
            )
          )
        )
      )
      expect(counts(world)).toMatchObject({ used: 1, pending: 5 })
      yield* first.end
      yield* Fiber.joinAll(fibers)
      expect(order).toEqual([1, 2, 3, 4, 5])
      expect(a.allocations).toBe(1)
    })
  )

  it.effect("is had if it is allocated and idle, and else left alone", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      const available = Effect.scoped(Resource.getIfAvailable(a.resource))
      expect(yield* available).toEqual(Option.none())
      expect(a.allocations).toBe(0)
      const first = yield* a.hold()
      expect(yield* available).toEqual(Option.none())
      expect(yield* Resource.useIfAvailable(a.resource, () => Effect.void)).toEqual(Option.none())
      yield* first.end
      expect(yield* available).toEqual(Option.some({ of: a, generation: 1 }))
      const generation = Resource.useIfAvailable((value: { readonly generation: number }) =>
        Effect.succeed(value.generation)
      )
      expect(yield* generation(a.resource)).toEqual(Option.some(1))
    })
  )

  it.effect("may be made with finalizers in place of a release, or with both: release comes first", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ max: 2 })
      const log: Array<string> = []
      const note = (what: string) => Effect.sync(() => log.push(what))
      const allocate = Effect.acquireRelease(Effect.succeed("it"), () => note("finalized"))
      const scoped = yield* ResourcePool.create(pool, { allocate })
      const both = yield* ResourcePool.create(pool, { allocate, release: (it) => note(`released ${it}`) })
      yield* Resource.use(scoped, () => Effect.void)
      yield* Resource.release(scoped)
      expect(log).toEqual(["finalized"])
      yield* Resource.use(both, () => Effect.void)
      yield* Resource.release(both)
      expect(log).toEqual(["finalized", "released it", "finalized"])
    })
  )
})

describe("loops over resources", () => {
  const max = 10

  /** 1,001 times each of them in turn, by ten callers at once. */
  const loop = Effect.fnUntraced(function* (count: number, cycle: (probe: Probe) => Effect.Effect<unknown, unknown>) {
    const world = yield* open({ max })
    const all = yield* Effect.forEach(Array.from({ length: count }), (_, n) => world.probe(`r${n}`))
    const each = (caller: number) =>
      Effect.forEach(
        Array.from({ length: 1001 }, (_, n) => all[(n + caller) % count]!),
        (probe, n) => (n % 7 === 0 ? Effect.andThen(Effect.yieldNow, cycle(probe)) : cycle(probe)),
        { discard: true }
      )
    const callers = yield* Effect.forEach(Array.from({ length: 10 }), (_, caller) => fork(each(caller)))
    yield* Fiber.joinAll(callers)
    expect(counts(world)).toMatchObject({ used: 0, creating: 0, destroying: 0, pending: 0 })
    expect(world.book.most).toBeLessThanOrEqual(max)
    expect(world.book.taken).toBe(world.pool.admission.idle)
    expect((yield* ResourcePool.stats(world.pool)).acquired).toBe(10 * 1001)
    return world
  })

  const yielding = (probe: Probe) =>
    Resource.use(probe.resource, (value) => probe.holding(value, probe.name === "r3" ? Effect.yieldNow : Effect.void))

  const releasing = (probe: Probe) =>
    Resource.use(probe.resource, (value) => probe.holding(value, Resource.release(probe.resource)))

  for (const [where, count] of [
    ["one", 1],
    ["under the cap", 9],
    ["at the cap", 10],
    ["one over the cap", 11],
    ["far over the cap", 113]
  ] as const) {
    it.effect(`leave nothing in use, and never exceed the cap: ${where}`, () =>
      Effect.gen(function* () {
        const { pool } = yield* loop(count, yielding)
        expect(pool.admission.idle).toBe(Math.min(max, count))
        if (count <= max) expect((yield* ResourcePool.stats(pool)).created).toBe(count)
      })
    )

    it.effect(`leave nothing in use, and never exceed the cap: ${where}, released before they are put back`, () =>
      Effect.gen(function* () {
        const { pool } = yield* loop(count, releasing)
        expect(pool.admission.idle).toBe(0)
        expect(yield* ResourcePool.stats(pool)).toMatchObject({ created: 10_010, destroyed: { released: 10_010 } })
      })
    )
  }
})

describe("places", () => {
  it.effect("are made by releasing the resource that has been idle for longest", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 3 })
      const [a, b, c, d, e] = (yield* world.probes("a b c d e")) as [Probe, Probe, Probe, Probe, Probe]
      for (const probe of [a, b, c, a]) yield* probe.use()
      yield* d.use()
      yield* e.use()
      expect(world.book.log.slice(6)).toEqual(["b-", "b.", "d+", "d", "c-", "c.", "e+", "e"])
      expect(a.state).toBe("here")
      expect((yield* ResourcePool.stats(world.pool)).destroyed.reclaimed).toBe(2)
    })
  )

  it.effect("are counted by weight, of what is being allocated and released too", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 5 })
      const heavy = yield* world.probe("heavy", 3)
      const light = yield* world.probe("light", 2)
      const other = yield* world.probe("other", 4)
      heavy.allocate = 10
      const held = yield* heavy.hold()
      expect(counts(world)).toEqual({ ...rest, creating: 1, pending: 1, taken: 3 })
      yield* light.use()
      const third = yield* other.hold()
      // Not even all that is idle would be room enough, but it is what others wait for.
      expect(counts(world)).toMatchObject({ taken: 3, pending: 2 })
      yield* TestClock.adjust(10)
      heavy.release = 10
      yield* Resource.scheduleRelease(heavy.resource)
      yield* held.end
      expect(counts(world)).toEqual({ ...rest, destroying: 1, pending: 1, taken: 3 })
      yield* TestClock.adjust(10)
      yield* settle
      expect(third.got.value).toBeDefined()
      expect(counts(world)).toEqual({ ...rest, used: 1, taken: 4 })
      yield* third.end
    })
  )

  it.effect("go to callers in the order in which they came, those of higher priority first", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const [a, b, c, d] = (yield* world.probes("a b c d")) as [Probe, Probe, Probe, Probe]
      const held = yield* a.hold()
      const fibers = [
        yield* fork(b.use()),
        yield* fork(c.use()),
        yield* fork(a.use()),
        yield* fork(d.use({ priority: 1 }))
      ]
      yield* held.end
      yield* Fiber.joinAll(fibers)
      expect(world.book.log.filter((entry) => /^\w$/.test(entry))).toEqual(["a", "d", "b", "c", "a"])
    })
  )
})

describe("a wait", () => {
  it.effect("for the holder that is cancelled leaves everything as it is", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2 })
      const a = yield* world.probe("a")
      const held = yield* a.hold()
      const fiber = yield* fork(a.use())
      const behind = yield* fork(a.use())
      yield* Fiber.interrupt(fiber)
      expect(counts(world)).toMatchObject({ used: 1, pending: 1, taken: 1 })
      yield* held.end
      yield* settle
      expect(outcome(behind)).toBe(1)
    })
  )

  it.effect("for a place that is cancelled passes it on", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const [a, b, c] = (yield* world.probes("a b c")) as [Probe, Probe, Probe]
      const held = yield* a.hold()
      const fiber = yield* fork(b.use())
      const behind = yield* fork(c.use())
      yield* Fiber.interrupt(fiber)
      yield* held.end
      yield* settle
      expect(outcome(behind)).toBe(1)
      expect(b.allocations).toBe(0)
    })
  )

  it.effect("for a release that is cancelled passes the place on", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const [a, b, c] = (yield* world.probes("a b c")) as [Probe, Probe, Probe]
      yield* a.use()
      a.release = 10
      const fiber = yield* fork(b.use())
      const behind = yield* fork(c.use())
      expect(a.state).toBe("going")
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust(10)
      yield* settle
      expect(outcome(behind)).toBe(1)
      expect(b.allocations).toBe(0)
    })
  )

  it.effect("for allocating that is cancelled leaves the resource to others", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      a.allocate = 10
      const fiber = yield* fork(a.use())
      yield* Fiber.interrupt(fiber)
      const next = yield* fork(a.use())
      yield* TestClock.adjust(10)
      yield* settle
      expect(outcome(next)).toBe(1)
      expect(a.allocations).toBe(1)
      yield* fork(a.use())
      expect(counts(world)).toEqual({ ...rest, idle: 1, taken: 1 })
    })
  )

  it.effect("that takes too long says for what it was: put, capacity, create", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, acquireTimeout: 100 })
      const [a, b, c] = (yield* world.probes("a b c")) as [Probe, Probe, Probe]
      const held = yield* a.hold()
      const put = yield* fork(Effect.flip(a.use()))
      b.allocate = 1000
      const create = yield* fork(Effect.flip(b.use()))
      const capacity = yield* fork(Effect.flip(c.use()))
      yield* TestClock.adjust(100)
      const reason = (fiber: typeof put) => outcome(fiber) as { readonly reason: object; readonly message: string }
      expect(reason(put).reason).toMatchObject({ _tag: "AcquireTimeout", phase: "put", resource: "a", waited: 100 })
      expect(reason(create).reason).toMatchObject({ _tag: "AcquireTimeout", phase: "create", resource: "b" })
      expect(reason(capacity).reason).toMatchObject({ _tag: "AcquireTimeout", phase: "capacity", resource: "c" })
      expect(reason(put).message).toMatch(
        /^Pool "test": "a" was not put back within 100 ms .* its lease is 100 ms old$/
      )
      expect(reason(capacity).message).toMatch(/^Pool "test": no place for "c" within 100 ms \(1 used/)
      expect((yield* ResourcePool.stats(world.pool)).timeouts).toBe(3)
      yield* held.end
    })
  )

  it.effect("for the last release of the resource counts as one for its being put back", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, acquireTimeout: 100, releaseTimeout: 50 })
      const a = yield* world.probe("a")
      yield* a.use()
      a.release = 1000
      yield* fork(Effect.exit(Resource.release(a.resource)))
      const fiber = yield* fork(Effect.flip(a.use()))
      yield* TestClock.adjust(100)
      expect(outcome(fiber)).toMatchObject({ reason: { phase: "put", resource: "a" } })
    })
  )

  it.effect("has one deadline for both stages and for allocating", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, acquireTimeout: 100 })
      const [a, b] = (yield* world.probes("a b")) as [Probe, Probe]
      const held = yield* b.hold()
      const place = yield* a.hold()
      const own = yield* fork(b.use())
      yield* TestClock.adjust(60)
      b.release = 30
      yield* Resource.scheduleRelease(b.resource)
      yield* held.end
      yield* TestClock.adjust(30)
      expect(outcome(own)).toBe("waiting")
      yield* TestClock.adjust(9)
      expect(outcome(own)).toBe("waiting")
      yield* TestClock.adjust(1)
      expect(outcome(own)).toBe("AcquireTimeout")
      yield* place.end
    })
  )

  it.effect("is refused with Exhausted by callers who do not wait, for either", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const [a, b] = (yield* world.probes("a b")) as [Probe, Probe]
      const held = yield* a.hold()
      for (const options of [{ wait: false }, { acquireTimeout: 0 }]) {
        for (const probe of [a, b]) expect(told(yield* Effect.exit(probe.use(options)))).toBe("Exhausted")
        for (const probe of [a, b]) {
          expect(told(yield* Effect.exit(Effect.scoped(Resource.get(probe.resource, options))))).toBe("Exhausted")
        }
      }
      expect((yield* ResourcePool.stats(world.pool)).exhausted).toBe(8)
      expect(counts(world)).toMatchObject({ used: 1, pending: 0 })
      yield* held.end
    })
  )

  it.effect("for its own release and allocation is no wait for others", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const [a, b] = (yield* world.probes("a b")) as [Probe, Probe]
      yield* a.use()
      a.release = 10
      b.allocate = 10
      const fiber = yield* fork(b.use({ wait: false }))
      yield* TestClock.adjust(20)
      expect(outcome(fiber)).toBe(1)
      // As often as one likes.
      for (let n = 0; n < 3; n++) expect(yield* b.use({ wait: false })).toBe(1)
    })
  )

  it.effect("is refused with QueueFull when as many wait as may, whatever for", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, maxWaiters: 2 })
      const [a, b] = (yield* world.probes("a b")) as [Probe, Probe]
      const held = yield* a.hold()
      const waiting = [yield* fork(a.use()), yield* fork(b.use())]
      expect(told(yield* Effect.exit(a.use()))).toBe("QueueFull")
      expect(told(yield* Effect.exit(b.use()))).toBe("QueueFull")
      yield* held.end
      yield* Fiber.joinAll(waiting)
    })
  )
})

describe("a caller who does not wait for others", () => {
  it.effect("waits for what is being allocated already, for nobody", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      a.allocate = 10
      expect(told(yield* Effect.exit(a.use({ acquireTimeout: 0 })))).toBe("Exhausted")
      const first = yield* fork(a.use({ wait: false }))
      const second = yield* fork(a.use({ wait: false }))
      yield* TestClock.adjust(10)
      yield* settle
      expect([outcome(first), outcome(second)]).toEqual([1, "Exhausted"])
      expect(a.allocations).toBe(1)
    })
  )

  it.effect("waits as others do when the pool is suspended after the call", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      a.allocate = 10
      const fiber = yield* fork(a.use({ wait: false }))
      yield* ResourcePool.suspend(world.pool)
      yield* TestClock.adjust(10)
      yield* settle
      expect(outcome(fiber)).toBe("waiting")
      yield* ResourcePool.resume(world.pool)
      yield* settle
      expect(outcome(fiber)).toBe(1)
    })
  )
})

describe("scheduleRelease", () => {
  it.effect("releases an idle resource at once", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      yield* a.use()
      yield* Resource.scheduleRelease(a.resource)
      expect(a.state).toBe("away")
      expect(counts(world)).toEqual(rest)
      expect(yield* a.use()).toBe(2)
    })
  )

  it.effect("leaves one in use to its holder, and releases it when that has put it back", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      const held = yield* a.hold()
      const next = yield* fork(a.use())
      yield* Resource.scheduleRelease(a.resource)
      yield* Resource.scheduleRelease(a.resource)
      expect(a.state).toBe("here")
      yield* held.end
      yield* settle
      expect(outcome(next)).toBe(2)
      expect(a).toMatchObject({ allocations: 2, releases: 1 })
    })
  )

  it.effect("has one that is being allocated released after its first use", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      a.allocate = 10
      const first = yield* fork(a.use())
      yield* Resource.scheduleRelease(a.resource)
      yield* TestClock.adjust(10)
      yield* settle
      expect(outcome(first)).toBe(1)
      expect(a.state).toBe("away")
      expect(counts(world)).toEqual(rest)
    })
  )

  it.effect("does nothing to one that is not allocated, is being released, or is of a closed pool", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      yield* Resource.scheduleRelease(a.resource)
      yield* a.use()
      expect(a.state).toBe("here")
      a.release = 10
      yield* fork(Resource.release(a.resource))
      yield* Resource.scheduleRelease(a.resource)
      yield* TestClock.adjust(10)
      yield* a.use()
      expect(a.state).toBe("here")
      a.release = "ok"
      yield* world.close
      yield* Resource.scheduleRelease(a.resource)
      expect(a).toMatchObject({ state: "away", releases: 2 })
    })
  )

  it.effect("tells of a release that fails by an event and a line in the log", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      yield* a.use()
      a.release = "fail"
      yield* Resource.scheduleRelease(a.resource)
      yield* settle
      expect(counts(world)).toEqual(rest)
      expect(tags(world)).toContain("BackgroundFailure")
      expect(world.logs).toEqual([expect.stringContaining('Pool "test": destroy of resource "a" failed')])
    })
  )
})

describe("a failure", () => {
  it.effect("to allocate is that of the callers who wait for the resource, and its place is free", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const [a, b] = (yield* world.probes("a b")) as [Probe, Probe]
      a.allocate = "fail"
      expect(told(yield* Effect.exit(a.use()))).toMatchObject({ _tag: "GateFailure", at: "create" })
      expect(counts(world)).toEqual(rest)
      a.allocate = { late: 10, ending: "fail" }
      const both = [yield* fork(a.use()), yield* fork(a.use())]
      const other = yield* fork(b.use())
      yield* TestClock.adjust(10)
      yield* settle
      for (const fiber of both) expect(outcome(fiber)).toMatchObject({ _tag: "GateFailure" })
      expect(outcome(other)).toBe(1)
      a.allocate = "ok"
      expect(yield* a.use()).toBe(1)
      expect((yield* ResourcePool.stats(world.pool)).createFailed).toBe(2)
    })
  )

  it.effect("to allocate is told to who waits in vain after it, of whatever resource, with the name of its own", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, acquireTimeout: 100 })
      const [a, b, c] = (yield* world.probes("a b c")) as [Probe, Probe, Probe]
      const held = yield* c.hold()
      yield* ResourcePool.resize(world.pool, { max: 2 })
      a.allocate = "fail"
      yield* Effect.exit(a.use())
      yield* ResourcePool.resize(world.pool, { max: 1 })
      const fiber = yield* fork(Effect.flip(b.use()))
      yield* TestClock.adjust(100)
      const { message } = outcome(fiber) as Error
      expect(message).toMatch(/no place for "b" within 100 ms .*; the last creation failed: "a": .*GateFailure/)
      yield* held.end
    })
  )

  it.effect("to allocate is not that of callers who came later", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      a.allocate = { late: 10, ending: "fail" }
      const first = yield* fork(a.use())
      yield* TestClock.adjust(5)
      const second = yield* fork(a.use())
      a.allocate = "ok"
      yield* TestClock.adjust(5)
      yield* settle
      expect(outcome(first)).toMatchObject({ _tag: "GateFailure" })
      expect(outcome(second)).toBe(1)
    })
  )

  it.effect("to allocate that nobody waits for is a line in the log", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      a.allocate = { late: 10, ending: "die" }
      yield* Fiber.interrupt(yield* fork(a.use()))
      yield* TestClock.adjust(10)
      yield* settle
      expect(world.logs).toEqual([expect.stringContaining('Pool "test": "a" could not be allocated')])
      expect(counts(world)).toEqual(rest)
    })
  )

  it.effect("to allocate in time is told with the name of the resource, and what comes to be later is released", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, allocateTimeout: 100 })
      const [a, b] = (yield* world.probes("a b")) as [Probe, Probe]
      a.allocate = 1000
      const fiber = yield* fork(Effect.flip(a.use()))
      yield* TestClock.adjust(100)
      yield* settle
      expect(outcome(fiber)).toMatchObject({
        reason: { _tag: "AcquireTimeout", phase: "create", resource: "a", waited: 100 },
        message: expect.stringMatching(/^Pool "test": creating "a" took longer than 100 ms/)
      })
      // Its place is free, but it is not allocated again before that has ended.
      expect(yield* b.use()).toBe(1)
      const again = yield* fork(a.use())
      yield* TestClock.adjust(899)
      expect([outcome(again), a.state]).toEqual(["waiting", "coming"])
      a.allocate = "ok"
      yield* TestClock.adjust(1)
      yield* settle
      expect(outcome(again)).toBe(2)
      expect(a).toMatchObject({ allocations: 2, releases: 1 })
    })
  )

  it.effect("to allocate in time ends what can be interrupted, which can then be had again", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, allocateTimeout: 100 })
      let isFirst = true
      const connect = Effect.suspend(() => {
        const answer = isFirst ? Effect.never : Effect.succeed("connected")
        isFirst = false
        return answer
      })
      const released: Array<string> = []
      const options = [
        { allocate: Effect.interruptible(connect), release: (it: string) => Effect.sync(() => released.push(it)) },
        { allocate: connect }
      ]
      for (const it of options) {
        isFirst = true
        const resource = yield* ResourcePool.create(world.pool, it)
        const fiber = yield* fork(Effect.flip(Resource.use(resource, Effect.succeed)))
        yield* TestClock.adjust(100)
        yield* settle
        expect(outcome(fiber)).toMatchObject({ reason: { phase: "create" } })
        expect(yield* Resource.use(resource, Effect.succeed)).toBe("connected")
        yield* Resource.release(resource)
      }
      expect(released).toEqual(["connected"])
    })
  )

  it.effect(
    "to allocate in time loses nothing of what a promise brings later: it is released, and allocated anew",
    () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 1, allocateTimeout: 100 })
        const connecting = Promise.withResolvers<string>()
        const released: Array<string> = []
        const resource = yield* ResourcePool.create(world.pool, {
          allocate: Effect.promise(() => connecting.promise),
          release: (it) => Effect.sync(() => released.push(it))
        })
        const fiber = yield* fork(Effect.flip(Resource.use(resource, Effect.succeed)))
        yield* TestClock.adjust(100)
        yield* settle
        expect(outcome(fiber)).toMatchObject({ reason: { phase: "create" } })
        connecting.resolve("late")
        yield* settle
        expect(released).toEqual(["late"])
        expect(counts(world)).toEqual(rest)
        expect(yield* Resource.use(resource, Effect.succeed)).toBe("late")
      })
  )

  it.effect("to clean up after one to allocate is a line in the log, with the name of the resource", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const allocate = Effect.andThen(
        Effect.addFinalizer(() => Effect.die("no way back")),
        Effect.fail("no")
      )
      const a = yield* ResourcePool.create(world.pool, { name: "a", allocate })
      expect(told(yield* Effect.exit(Resource.use(a, () => Effect.void)))).toBe("no")
      yield* settle
      expect(world.logs).toEqual([
        expect.stringContaining('Pool "test": cleaning up after a failed creation of "a" failed')
      ])
      expect(counts(world)).toEqual(rest)
    })
  )

  it.effect("to release leaves out nothing of what allocating has added to the scope", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ max: 1 })
      const log: Array<string> = []
      const allocate = Effect.addFinalizer(() => Effect.sync(() => log.push("finalized")))
      const a = yield* ResourcePool.create(pool, { allocate, release: () => Effect.fail("stuck") })
      yield* Resource.use(a, () => Effect.void)
      expect(yield* Effect.flip(Resource.release(a))).toMatchObject({ reason: "failed", cause: "stuck" })
      expect(log).toEqual(["finalized"])
    })
  )

  it.effect("to release is told to who asked for it, with its cause, and the resource is allocated anew", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      for (const gate of ["fail", "die"] as const) {
        yield* a.use()
        a.release = gate
        const error = yield* Effect.flip(Resource.release(a.resource))
        expect(error).toBeInstanceOf(Resource.ReleaseError)
        expect(error).toMatchObject({ pool: "test", resource: "a", reason: "failed" })
        expect(error.message).toBe('Pool "test": "a" could not be released')
        expect(error.cause).toMatchObject(
          gate === "fail" ? { _tag: "GateFailure", at: "destroy" } : { message: "destroy died" }
        )
        expect(counts(world)).toEqual(rest)
      }
      expect(yield* a.use()).toBe(3)
    })
  )

  it.effect("to release in time leaves the place to others, and the resource waits until that has ended", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, releaseTimeout: 100 })
      const [a, b] = (yield* world.probes("a b")) as [Probe, Probe]
      yield* a.use()
      a.release = { late: 1000 }
      const releasing = yield* fork(Effect.flip(Resource.release(a.resource)))
      const own = yield* fork(a.use())
      const other = yield* fork(b.use())
      yield* TestClock.adjust(100)
      yield* settle
      expect(outcome(releasing)).toMatchObject({ reason: "timeout" })
      expect(outcome(other)).toBe(1)
      expect(outcome(own)).toBe("waiting")
      yield* TestClock.adjust(900)
      yield* settle
      expect(outcome(own)).toBe(2)
    })
  )

  it.effect("of a body leaves the resource as it is", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      for (const body of [Effect.fail("no"), Effect.die("bug"), Effect.interrupt]) {
        yield* Effect.exit(Resource.use(a.resource, () => body))
      }
      expect(counts(world)).toEqual({ ...rest, idle: 1, taken: 1 })
      expect(a.allocations).toBe(1)
    })
  )
})

describe("release", () => {
  it.effect("takes the resource away from its holder, and the next caller has it allocated anew", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      const scope = yield* Scope.make()
      yield* Scope.provide(Resource.get(a.resource), scope)
      yield* Resource.release(a.resource)
      expect(counts(world)).toEqual(rest)
      const next = yield* a.hold()
      yield* settle
      expect(next.got.value).toMatchObject({ generation: 2 })
      yield* Scope.close(scope, Exit.void)
      expect(counts(world)).toEqual({ ...rest, used: 1, taken: 1 })
      yield* next.end
      expect(counts(world)).toEqual({ ...rest, idle: 1, taken: 1 })
      expect(yield* ResourcePool.stats(world.pool)).toMatchObject({ acquired: 2, released: 2 })
    })
  )

  it.effect("ends the lease, which is counted as given back once", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      const held = yield* a.hold()
      yield* TestClock.adjust(10)
      yield* Resource.release(a.resource)
      expect(tags(world).slice(-2)).toEqual(["LeaseReleased", "ItemDestroyed"])
      expect(yield* ResourcePool.stats(world.pool)).toMatchObject({
        acquired: 1,
        released: 1,
        use: { count: 1, max: 10 }
      })
      yield* held.end
      expect((yield* ResourcePool.stats(world.pool)).released).toBe(1)
      expect(tags(world).filter((tag) => tag === "LeaseReleased")).toHaveLength(1)
    })
  )

  it.effect("in the step in which the resource has gone to the next caller has that caller ask again", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, acquireTimeout: 100 })
      const a = yield* world.probe("a")
      const scope = yield* Scope.make()
      yield* Scope.provide(Resource.get(a.resource), scope)
      const next = yield* fork(a.use())
      const inScope = yield* fork(Effect.scoped(Resource.get(a.resource)))
      yield* Effect.andThen(Scope.close(scope, Exit.void), Resource.release(a.resource))
      yield* settle
      expect(outcome(next)).toBe(2)
      expect(outcome(inScope)).toMatchObject({ generation: 2 })
      expect(counts(world)).toEqual({ ...rest, idle: 1, taken: 1 })
    })
  )

  it.effect("leaves the deadline of a caller who asks again as it was", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, acquireTimeout: 100 })
      const a = yield* world.probe("a")
      const scope = yield* Scope.make()
      yield* Scope.provide(Resource.get(a.resource), scope)
      const next = yield* fork(a.use())
      yield* TestClock.adjust(60)
      a.allocate = 50
      yield* Effect.andThen(Scope.close(scope, Exit.void), Resource.release(a.resource))
      yield* settle
      yield* TestClock.adjust(39)
      expect(outcome(next)).toBe("waiting")
      yield* TestClock.adjust(1)
      expect(outcome(next)).toBe("AcquireTimeout")
    })
  )

  it.effect("is refused while the resource is allocated", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      a.allocate = 10
      const fiber = yield* fork(a.use())
      expect(yield* Effect.flip(Resource.release(a.resource))).toMatchObject({ reason: "allocating" })
      yield* TestClock.adjust(10)
      expect(outcome(fiber)).toBe(1)
    })
  )

  it.effect("joins one that goes on, and ends with it", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      yield* a.use()
      a.release = { late: 10, ending: "fail" }
      const fibers = yield* Effect.forEach([1, 2, 3], () => fork(Effect.exit(Resource.release(a.resource))))
      yield* TestClock.adjust(10)
      for (const fiber of fibers) expect(told(outcome(fiber) as never)).toMatchObject({ reason: "failed" })
      expect(a.releases).toBe(1)
    })
  )

  it.effect("that is interrupted goes on, and holds the next caller up", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      yield* a.use()
      a.release = 10
      yield* Fiber.interrupt(yield* fork(Resource.release(a.resource)))
      expect(a.resource.holding.watchers?.size).toBe(0)
      const next = yield* fork(a.use())
      expect(a.state).toBe("going")
      yield* TestClock.adjust(10)
      yield* settle
      expect(outcome(next)).toBe(2)
    })
  )

  it.effect("of a resource that is given up and goes on is refused at once, as often as it is asked for", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, releaseTimeout: 100 })
      const a = yield* world.probe("a")
      yield* a.use()
      a.release = { late: 1000 }
      yield* fork(Effect.exit(Resource.release(a.resource)))
      yield* TestClock.adjust(100)
      for (let n = 0; n < 2; n++) {
        const again = yield* fork(Effect.flip(Resource.release(a.resource)))
        expect(outcome(again)).toMatchObject({ reason: "timeout" })
      }
      yield* TestClock.adjust(900)
      yield* Resource.release(a.resource)
      expect(a.state).toBe("away")
    })
  )

  it.effect("leaves nothing behind at the resource, however often", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      for (let n = 0; n < 10; n++) {
        yield* a.use()
        yield* Resource.release(a.resource)
      }
      expect(a.resource.holding.watchers).toBeUndefined()
    })
  )
})
