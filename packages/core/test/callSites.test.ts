import { Pool, type PoolEvent, PoolService } from "@effect-pools/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { describeCallSite } from "../src/internal/callSite.ts"
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

  it.effect("is that of the lease itself, not of one before it with options of its own", () =>
    Effect.gen(function* () {
      const pool = yield* open({ leakThreshold: 60_000 })
      const sites = record(pool)
      yield* Pool.use(pool, nothing, { priority: 1 })
      yield* Pool.use(pool, nothing)
      assert.strictEqual(sites.length, 2)
      assert.notStrictEqual(sites[0], sites[1])
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

describe("the line that is told", () => {
  const told = (...lines: ReadonlyArray<string>) => {
    const error = new Error()
    error.stack = ["Error", ...lines].join("\n")
    return describeCallSite(error)
  }

  it("is none where the runtime keeps no stacks", () => {
    const site = new Error()
    delete site.stack
    assert.isUndefined(describeCallSite(site))
  })

  for (const line of [
    "at TestContext.<anonymous> (file:///app/test/users.test.ts:4:2)",
    "at Object.<anonymous> (/app/test/users.test.ts:4:2)",
    "at async <anonymous> (/app/main.ts:4:2)",
    "at file:///home/me/effect/src/app.ts:4:2",
    "at native (/app/native.ts:4:2)",
    "at take (/app/(native)/take.ts:4:2)",
    "at take (/app/my (node: x)/take.ts:4:2)",
    "at take (/home/me/@effect-pools/app.ts:4:2)",
    "at take (C:\\app\\take.ts:4:2)"
  ]) {
    it(`may be any of the application's: ${line}`, () => {
      assert.strictEqual(told(line, "at below (/app/below.ts:1:1)"), line)
    })
  }

  for (const line of [
    "at new Promise (<anonymous>)",
    "at Array.map (<anonymous>)",
    "at async Promise.all (index 0)",
    "at process.processTicksAndRejections (node:internal/process/task_queues:95:5)",
    "at node:internal/main/run_main_module:36:49",
    "at fork (/app/node_modules/.pnpm/effect@4.1.0/node_modules/effect/src/Effect.ts:9:9)",
    "at query (file:///app/node_modules/@effect/sql-pg/dist/PgClient.js:9:9)",
    "at use (file:///app/node_modules/@effect-pools/core/dist/Pool.js:9:9)",
    "at use (C:\\app\\node_modules\\@effect-pools\\core\\dist\\Pool.js:9:9)",
    "at fork (/src/effect-smol/packages/effect/src/Effect.ts:9:9)"
  ]) {
    it(`is none of what runs it: ${line}`, () => {
      assert.strictEqual(told(line, "at below (/app/below.ts:1:1)"), "at below (/app/below.ts:1:1)")
    })
  }
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
        yield* Effect.scoped(Service.getIfAvailable)
        stop()
        yield* Service.use(nothing)
        for (const site of sites.slice(0, 3)) assert.match(site ?? "", /callSites\.test\.ts/)
        assert.strictEqual(sites.length, 4)
        assert.isUndefined(sites[3])
      }).pipe(Effect.provide(Service.layer))
    })
  )

  it.effect("notes it for one of its pools though another that is open is not asked to", () =>
    Effect.gen(function* () {
      class Service extends make<Service>() {}
      yield* Effect.gen(function* () {
        const silent = yield* Service
        yield* Effect.gen(function* () {
          const asked = yield* Service
          assert.notStrictEqual(asked, silent)
          const sites = record(asked)
          asked.admission.trackCallSites()
          yield* Service.use(nothing)
          assert.match(sites[0] ?? "", /callSites\.test\.ts/)
        }).pipe(Effect.provide(Service.layerOther))
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
