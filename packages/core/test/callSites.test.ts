import { Pool, type PoolEvent, PoolService } from "@effect-pools/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { open } from "./fake.ts"

const record = (pool: Pool.Pool<string>) => {
  const sites: Array<string | undefined> = []
  pool.admission.observer.listen((event) => {
    if (event._tag === "LeaseAcquired") sites.push(event.takenAt)
  })
  return sites
}

const nothing = () => Effect.void

describe("where a lease was taken", () => {
  it.effect("is told with the lease while call sites are tracked", () =>
    Effect.gen(function* () {
      const pool = yield* open({ leakThreshold: 60_000 })
      const sites = record(pool)
      yield* Pool.use(pool, nothing)
      yield* Effect.scoped(Pool.get(pool))
      yield* Pool.use(pool, nothing, { priority: 1 })
      assert.strictEqual(sites.length, 3)
      for (const site of sites) assert.match(site ?? "", /callSites\.test\.ts:\d+:\d+/)
    })
  )

  it.effect("is known as long as somebody asks for it, and no longer", () =>
    Effect.gen(function* () {
      const pool = yield* open()
      const sites = record(pool)
      const isKnown = Effect.map(Pool.use(pool, nothing), () => sites.at(-1) !== undefined)
      // The effect above was written down before anybody asked.
      const taken = Effect.suspend(() => Effect.map(Pool.use(pool, nothing), () => sites.at(-1) !== undefined))
      const first = pool.admission.trackCallSites()
      const second = pool.admission.trackCallSites()
      assert.isTrue(yield* taken)
      assert.isFalse(yield* isKnown)
      first()
      first()
      assert.isTrue(yield* taken, "one is left, who said it once")
      second()
      assert.isFalse(yield* taken)
      assert.isFalse(pool.admission.tracksCallSites)
    })
  )

  it.effect("stays known under leak detection when an auditor leaves", () =>
    Effect.gen(function* () {
      const { admission } = yield* open({ leakThreshold: 60_000 })
      admission.trackCallSites()()
      assert.isTrue(admission.tracksCallSites)
    })
  )
})

describe("a service", () => {
  type Fakes = Pool.Pool<string>
  const make = <Self>() =>
    PoolService.make<Self, "Fakes", Fakes, string, never, never, Scope.Scope, { layerOther: Layer.Layer<Self> }>(
      "Fakes",
      open(),
      (tag, opening) => ({ layerOther: Layer.effect(tag, opening(open({ name: "other" }))) })
    )

  it.effect("notes where leases are taken while one of its pools is asked to", () =>
    Effect.gen(function* () {
      class Service extends make<Service>() {}
      yield* Effect.gen(function* () {
        const pool = yield* Service
        const sites = record(pool)
        const stop = pool.admission.trackCallSites()
        yield* Service.use(nothing)
        yield* Effect.scoped(Service.get())
        stop()
        yield* Service.use(nothing)
        assert.match(sites[0] ?? "", /callSites\.test\.ts/)
        assert.match(sites[1] ?? "", /callSites\.test\.ts/)
        assert.isUndefined(sites[2])
      }).pipe(Effect.provide(Service.layer))
    })
  )

  it.effect("knows of a pool that one of its own statics opened, and forgets it when it has closed", () =>
    Effect.gen(function* () {
      class Service extends make<Service>() {}
      const place = Effect.gen(function* () {
        const pool = yield* Service
        const sites = record(pool)
        pool.admission.trackCallSites()
        yield* Service.use(nothing)
        assert.match(sites[0] ?? "", /callSites\.test\.ts/)
        return pool.name
      })
      assert.strictEqual(yield* Effect.provide(place, Service.layerOther), "other")
      yield* Effect.gen(function* () {
        const sites = record(yield* Service)
        yield* Service.use(nothing)
        assert.deepStrictEqual(sites, [undefined])
      }).pipe(Effect.provide(Service.layer))
    })
  )
})

describe("the close of a pool", () => {
  it.effect("is told when it begins, with what is still out, and when it has ended", () =>
    Effect.gen(function* () {
      const told: Array<PoolEvent.PoolEvent> = []
      yield* Effect.scoped(
        Effect.gen(function* () {
          const pool = yield* open()
          pool.admission.observer.listen((event) => told.push(event))
          yield* Effect.forkChild(
            Pool.use(pool, () => Effect.never),
            { startImmediately: true }
          )
        })
      )
      assert.deepInclude(told[1], { _tag: "Closing", used: 1 })
      assert.deepInclude(told[2], { _tag: "Closed" })
    })
  )
})
