import { Budget, InvalidOptions, Pool } from "@effect-pools/core"
import { Resource, ResourcePool } from "@effect-pools/resource"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { TestClock } from "effect/testing"
import { checkOptions } from "../src/internal/options.ts"
import { counts, fork, open, outcome, rest, settle, told } from "./support.ts"

const refused = (options: unknown) =>
  Effect.scoped(
    Effect.flip(ResourcePool.make(options as ResourcePool.Options))
  ) as Effect.Effect<InvalidOptions.InvalidOptions>

const notCounts = [NaN, -1, 1.5, "3", true, null, {}, 3n]
const notDurations = [NaN, -1, "soon", true, null, {}]

describe("the options of a resource pool", () => {
  it("have the documented defaults", () => {
    expect(checkOptions({ max: 10, name: "sockets" })).toEqual({
      name: "sockets",
      min: 0,
      max: 10,
      acquireTimeout: 30_000,
      maxWaiters: Infinity,
      createTimeout: 10_000,
      destroyTimeout: 5000,
      closeGrace: 30_000,
      budget: undefined,
      leakThreshold: Infinity
    })
    expect(checkOptions({ max: 1 }).name).toMatch(/^resource-pool-\d+$/)
  })

  it.effect("are all heeded", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 10, name: "files" })
      const options = checkOptions({
        max: 3,
        acquireTimeout: Duration.seconds(1),
        maxWaiters: 2,
        allocateTimeout: "2 seconds",
        releaseTimeout: 3000,
        closeGrace: 0,
        budget: { budget, minimum: 1 },
        leakDetection: "4 seconds"
      })
      expect(options).toMatchObject({
        max: 3,
        acquireTimeout: 1000,
        maxWaiters: 2,
        createTimeout: 2000,
        destroyTimeout: 3000,
        closeGrace: 0,
        budget: { minimum: 1, weight: 1 },
        leakThreshold: 4000
      })
    })
  )

  const table: ReadonlyArray<readonly [keyof ResourcePool.Options, ReadonlyArray<unknown>]> = [
    ["name", ["", "  ", 1, null]],
    ["max", [0, undefined, Infinity, ...notCounts]],
    ["acquireTimeout", notDurations],
    ["maxWaiters", notCounts],
    ["allocateTimeout", [0, ...notDurations]],
    ["releaseTimeout", [0, ...notDurations]],
    ["closeGrace", notDurations],
    ["leakDetection", [0, ...notDurations]],
    ["budget", [1, null, "files", {}, { budget: {} }]]
  ]

  it.effect.each(table)("refuse a %s that makes no sense", ([field, values]) =>
    Effect.gen(function* () {
      for (const value of values) {
        const error = yield* refused({ max: 10, name: "picky", [field]: value })
        expect(error).toBeInstanceOf(InvalidOptions.InvalidOptions)
        expect(error).toMatchObject({ pool: field === "name" ? "resource pool" : "picky", field })
      }
    })
  )

  it.effect("refuse what is not known, or is no options at all", () =>
    Effect.gen(function* () {
      expect(yield* refused({ max: 1, min: 1 })).toMatchObject({ field: "min", rule: "is not known" })
      for (const none of [undefined, null, 3, []])
        expect(yield* refused(none)).toMatchObject({ _tag: "InvalidOptions" })
    })
  )
})

describe("the options of a resource", () => {
  it.effect("have the documented defaults", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ max: 10 })
      const { name, weight } = yield* ResourcePool.create(pool, { allocate: Effect.void })
      expect(name).toMatch(/^resource-\d+$/)
      expect(weight).toBe(1)
      const other = yield* pool.pipe(ResourcePool.create({ allocate: Effect.void }))
      expect(other.name).not.toBe(name)
      expect(Resource.isResource(other)).toBe(true)
      for (const not of [undefined, null, pool, {}, "resource"]) expect(Resource.isResource(not)).toBe(false)
    })
  )

  it.effect("are refused if they make no sense: weights that could never be granted among them", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ max: 10 })
      const allocate = Effect.void
      const table: ReadonlyArray<readonly [string, ReadonlyArray<unknown>]> = [
        ["allocate", [undefined, null, () => Effect.void, Promise.resolve()]],
        ["release", [null, Effect.void, 1]],
        ["name", ["", "  ", 1, null]],
        ["weight", [0, 11, Infinity, ...notCounts]],
        ["released", [true]]
      ]
      for (const [field, values] of table) {
        for (const value of values) {
          const error = yield* Effect.flip(
            ResourcePool.create(pool, { allocate, [field]: value } as { readonly allocate: Effect.Effect<void> })
          )
          expect(error).toMatchObject({ _tag: "InvalidOptions", pool: "test", field })
        }
      }
      for (const none of [undefined, null, 3]) {
        expect(
          yield* Effect.flip(ResourcePool.create(pool, none as unknown as { readonly allocate: Effect.Effect<void> }))
        ).toMatchObject({ field: "options" })
      }
      expect((yield* Effect.flip(ResourcePool.create(pool, { allocate, weight: 11 }))).message).toBe(
        'Pool "test": option "weight" must not exceed the pool\'s max (10), but is 11'
      )
    })
  )

  it.effect("know nothing of a release that is no effect, or throws: it counts as one that has failed", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const thrown = new Error("thrown")
      const releases: ReadonlyArray<() => unknown> = [
        () => undefined,
        () => Promise.resolve(),
        () => {
          throw thrown
        }
      ]
      for (const release of releases) {
        const options = { allocate: Effect.void, release: release as () => Effect.Effect<void> }
        const resource = yield* ResourcePool.create(world.pool, options)
        yield* Resource.use(resource, () => Effect.void)
        expect(yield* Effect.flip(Resource.release(resource))).toMatchObject({ reason: "failed" })
        expect(counts(world)).toEqual(rest)
        // It can be allocated again.
        yield* Resource.use(resource, () => Effect.void)
        yield* Effect.exit(Resource.release(resource))
      }
    })
  )
})

describe("the options of a call", () => {
  it.effect("are refused if they make no sense, and take nothing", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      const table: ReadonlyArray<readonly [string, ReadonlyArray<unknown>]> = [
        ["priority", [NaN, Infinity, "1", null]],
        ["acquireTimeout", notDurations],
        ["wait", ["no", 0, null]],
        ["patience", [1]]
      ]
      for (const [field, values] of table) {
        for (const value of values) {
          const options = { [field]: value } as never
          const invalid = { _tag: "InvalidOptions", pool: "test", field }
          expect(yield* Effect.flip(Effect.scoped(Resource.get(a.resource, options)))).toMatchObject(invalid)
          expect(yield* Effect.flip(Resource.use(a.resource, () => Effect.void, options))).toMatchObject(invalid)
          expect(yield* Effect.flip(a.resource.pipe(Resource.use(() => Effect.void, options)))).toMatchObject(invalid)
        }
      }
      for (const none of [null, 3, "fast", []]) {
        expect(yield* Effect.flip(a.use(none as never))).toMatchObject({ _tag: "InvalidOptions" })
      }
      expect(a.allocations).toBe(0)
    })
  )

  it.effect("may be left undefined, one or all", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      expect(yield* Resource.use(a.resource, () => Effect.succeed(1), undefined)).toBe(1)
      expect(yield* a.use({ wait: undefined, priority: undefined, acquireTimeout: undefined })).toBe(1)
      expect(yield* a.use({})).toBe(1)
      expect(yield* Effect.scoped(Resource.get(a.resource, undefined))).toMatchObject({ generation: 1 })
    })
  )

  it.effect("say how long it may wait, and how urgent it is", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      const held = yield* a.hold()
      const short = yield* fork(a.use({ acquireTimeout: "10 millis" }))
      const order: Array<number> = []
      for (const priority of [-1, 2, 1]) {
        yield* fork(Resource.use(a.resource, () => Effect.sync(() => order.push(priority)), { priority }))
      }
      yield* TestClock.adjust(10)
      expect(outcome(short)).toBe("AcquireTimeout")
      yield* held.end
      yield* settle
      expect(order).toEqual([2, 1, -1])
    })
  )

  it.effect("with no time and no resource still leave it allocated for the next call", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const [a, b] = yield* world.probes("a b")
      expect(told(yield* Effect.exit(a!.use({ acquireTimeout: 0 })))).toBe("Exhausted")
      expect(yield* a!.use({ acquireTimeout: 0 })).toBe(1)
      // At nobody's expense.
      expect(told(yield* Effect.exit(b!.use({ acquireTimeout: 0 })))).toBe("Exhausted")
      expect(counts(world)).toEqual({ ...rest, idle: 1, taken: 1 })
      expect(a!.state).toBe("here")
    })
  )
})

describe("a call that waits for nothing", () => {
  it.effect("has its resource allocated for the next one, if no other is just then", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2 })
      const probes = yield* world.probes("a b c")
      for (const probe of probes) {
        probe.allocate = 10
        expect(told(yield* Effect.exit(probe.use({ acquireTimeout: 0 })))).toBe("Exhausted")
      }
      expect(probes.map(({ state }) => state)).toEqual(["coming", "away", "away"])
      yield* TestClock.adjust(10)
      expect(yield* probes[0]!.use({ acquireTimeout: 0 })).toBe(1)
      for (const probe of probes.slice(1)) {
        expect(told(yield* Effect.exit(probe.use({ acquireTimeout: 0 })))).toBe("Exhausted")
      }
      expect(probes.map(({ state }) => state)).toEqual(["here", "coming", "away"])
    })
  )
})

describe("what is no resource of the pool", () => {
  it.effect("is refused: the pool hands out nothing but by its resources", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const exit = yield* Effect.exit(Pool.use(world.pool, () => Effect.void))
      expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toMatchObject({
        message: 'Pool "test" hands out its resources: use one of those'
      })
      expect(yield* Effect.scoped(Pool.getIfAvailable(world.pool))).toEqual(Option.none())
      expect(counts(world)).toEqual(rest)
    })
  )

  it.effect("is not known to it: the value of another pool's resource is not invalidated", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* open({ max: 1 }), yield* open({ max: 1, name: "other" })]
      const a = yield* one.probe("a")
      const value = yield* Effect.scoped(Resource.get(a.resource))
      yield* ResourcePool.invalidate(other.pool, value)
      expect(a.state).toBe("here")
      expect(a.resource.pool).toBe(one.pool)
    })
  )
})

describe("a body", () => {
  it.effect("that returns no effect, or throws, is a defect, and the lease ends", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const a = yield* world.probe("a")
      const bodies = [
        () => 1,
        () => undefined,
        () => {
          throw new Error("a bug")
        }
      ] as ReadonlyArray<() => unknown> as ReadonlyArray<() => Effect.Effect<void>>
      for (const body of bodies) {
        expect(told(yield* Effect.exit(Resource.use(a.resource, body)))).toBe("Die")
        expect(told(yield* Effect.exit(Resource.useIfAvailable(a.resource, body)))).toBe("Die")
      }
      expect(counts(world)).toEqual({ ...rest, idle: 1, taken: 1 })
    })
  )
})
