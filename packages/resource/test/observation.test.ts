/** What the pool tells: events in order, stats that add up, where leases were taken. */
import { PoolRegistry } from "@effect-pools/core"
import { Resource, ResourcePool } from "@effect-pools/resource"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { fork, open, outcome, type Probe, settle, tags } from "./support.ts"

describe("events", () => {
  it.effect("come in the order in which things happen", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const [a, b] = (yield* world.probes("a b")) as [Probe, Probe]
      yield* a.use()
      yield* b.use()
      yield* Resource.use(b.resource, () => Resource.release(b.resource))
      expect(tags(world).join(" ")).toBe(
        "WaitStarted ItemCreating ItemCreated LeaseAcquired LeaseReleased " +
          "WaitStarted ItemDestroyed ItemCreating ItemCreated LeaseAcquired LeaseReleased " +
          "LeaseAcquired LeaseReleased ItemDestroyed"
      )
      expect(world.events.filter(({ _tag }) => _tag === "ItemDestroyed")).toMatchObject([
        { item: 1, reason: "reclaimed" },
        { item: 2, reason: "released" }
      ])
    })
  )

  it.effect("tell how a wait ended that came to nothing", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, acquireTimeout: 10 })
      const [a, b] = (yield* world.probes("a b")) as [Probe, Probe]
      const held = yield* a.hold()
      yield* fork(Effect.exit(b.use()))
      yield* TestClock.adjust(10)
      yield* held.end
      b.allocate = "fail"
      yield* Effect.exit(b.use())
      expect(world.events.filter(({ _tag }) => _tag === "WaitEnded")).toMatchObject([
        { outcome: "timeout", waited: 10 },
        { outcome: "failed" }
      ])
    })
  )
})

describe("stats", () => {
  it.effect("add up, whatever happened", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 3, releaseTimeout: 100 })
      const [a, b] = (yield* world.probes("a b")) as [Probe, Probe]
      const heavy = yield* world.probe("heavy", 2)
      const held = yield* a.hold()
      const other = yield* heavy.hold()
      const waiting = yield* fork(b.use())
      yield* TestClock.adjust(50)
      const stats = yield* ResourcePool.stats(world.pool)
      expect(stats).toMatchObject({
        name: "test",
        kind: "resource",
        state: "open",
        max: 3,
        idle: 0,
        used: 2,
        size: 2,
        creating: 0,
        pending: 1,
        acquired: 2,
        released: 0,
        created: 2,
        details: { taken: 3 }
      })
      yield* held.end
      yield* Resource.release(heavy.resource)
      yield* other.end
      yield* settle
      expect(outcome(waiting)).toBe(1)
      yield* Resource.scheduleRelease(b.resource)
      expect(yield* ResourcePool.stats(world.pool)).toMatchObject({
        acquired: 3,
        released: 3,
        created: 3,
        used: 0,
        destroyed: { reclaimed: 1, released: 2 },
        use: { count: 3 },
        create: { count: 3 }
      })
    })
  )

  it.effect("are in the registry, with what can be done to the pool", () =>
    Effect.gen(function* () {
      const registry = PoolRegistry.makeUnsafe()
      const pool = yield* Effect.provideService(
        ResourcePool.make({ max: 2, name: "listed" }),
        PoolRegistry.PoolRegistry,
        registry
      )
      const [listed] = registry.list()
      expect(listed).toMatchObject({ name: "listed", kind: "resource" })
      yield* listed!.resize({ max: 1 })
      yield* listed!.suspend
      expect(yield* listed!.stats).toMatchObject({ max: 1, state: "suspended" })
      expect(ResourcePool.isResourcePool(pool)).toBe(true)
      expect(ResourcePool.isResourcePool({ kind: "resource" })).toBe(false)
    })
  )
})

describe("leases", () => {
  const file = "observation.test.ts"

  it.effect("know where they were taken, by every way to take them", () =>
    Effect.gen(function* () {
      const { pool, probe } = yield* open({ max: 1, leakDetection: "1 minute" })
      const { resource } = yield* probe("a")
      const taken = () => Array.from(pool.admission.store.leases(), (lease) => lease.request.callSite)
      const look = () => Effect.sync(taken)
      const ways: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
        Resource.use(resource, look),
        Resource.use(resource, look, { priority: 1 }),
        Resource.use(resource, look, { wait: false }),
        Resource.use(look)(resource),
        resource.pipe(Resource.use(look, { wait: true })),
        Effect.scoped(Effect.flatMap(Resource.get(resource), look)),
        Effect.scoped(Effect.flatMap(Resource.get(resource, { wait: false }), look)),
        Effect.map(Resource.useIfAvailable(resource, look), (some) => (some as { readonly value: unknown }).value),
        Effect.scoped(Effect.flatMap(Resource.getIfAvailable(resource), look))
      ]
      for (const [at, way] of ways.entries()) {
        expect([at, yield* way]).toEqual([at, [expect.stringContaining(file)]])
      }
    })
  )

  it.effect("that are held too long are reported, those released under their holders no more", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, leakDetection: "1 second" })
      const [a, b] = (yield* world.probes("a b")) as [Probe, Probe]
      const scope = yield* Scope.make()
      yield* Scope.provide(Resource.get(a.resource), scope)
      yield* Scope.provide(Resource.get(b.resource), scope)
      yield* Resource.release(b.resource)
      yield* TestClock.adjust("3 seconds")
      expect(world.logs).toEqual([
        expect.stringMatching(/^Pool "test": resource "a" has been held for \d+ ms; taken .*observation/)
      ])
      yield* Scope.close(scope, Exit.void)
    })
  )

  it.effect("are named to who waits for their resource in vain", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 3, leakDetection: "1 hour", acquireTimeout: 100 })
      const [a, b] = (yield* world.probes("a b")) as [Probe, Probe]
      const elder = yield* b.hold()
      yield* TestClock.adjust(50)
      const scope = yield* Scope.make()
      yield* Scope.provide(Resource.get(a.resource), scope)
      const fiber = yield* fork(Effect.flip(a.use()))
      yield* TestClock.adjust(100)
      expect(outcome(fiber)).toMatchObject({
        reason: { phase: "put", explanation: { oldestLease: 100, oldestLeaseTakenAt: expect.stringContaining(file) } }
      })
      yield* Scope.close(scope, Exit.void)
      yield* elder.end
    })
  )
})
