/** That leases, allocations and resources leave nothing behind, however many there were. */
import { Resource, ResourcePool } from "@effect-pools/resource"
import { Footprint } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"

/** Bytes that may stay with a cycle, on average: less than anything that a pool could keep of it. */
const bound = 8

type Any = Resource.Resource<object>

const named = (pool: ResourcePool.ResourcePool, name: string) =>
  ResourcePool.create(pool, { name, allocate: Effect.sync(() => ({ name })), release: () => Effect.void })

const use = (resource: Any) => Resource.use(resource, () => Effect.void)

/** Ten rounds of them, the warm-up included. */
const growth = (cycle: Effect.Effect<unknown, unknown>, units: number) =>
  Footprint.growth({ round: Effect.repeat(cycle, { times: units - 1 }), units, rounds: 8, bound })

const isFlat = (
  name: string,
  options: ResourcePool.Options,
  cycle: (one: Any, other: Any, pool: ResourcePool.ResourcePool) => Effect.Effect<unknown, unknown>,
  units = 5000
) =>
  it.live(`is flat: ${name}`, () =>
    Effect.gen(function* () {
      const pool = yield* ResourcePool.make({ closeGrace: 0, ...options })
      const [one, other] = [yield* named(pool, "one"), yield* named(pool, "other")]
      const { perUnit } = yield* growth(cycle(one, other, pool), units)
      assert.isBelow(perUnit, bound)
      const { acquired, released, used } = yield* ResourcePool.stats(pool)
      assert.strictEqual(acquired, released + used)
    }).pipe(Effect.scoped)
  )

describe("memory over many cycles", { timeout: 300_000 }, () => {
  isFlat("100,000 times a resource that stays allocated", { max: 1 }, use, 10_000)
  isFlat("resources that take each other's place", { max: 1 }, (one, other) => Effect.andThen(use(one), use(other)))
  isFlat("release by the holder", { max: 1 }, (one) => Resource.use(one, () => Resource.release(one)))
  isFlat("scheduled release, in a scope", { max: 1 }, (one) =>
    Effect.scoped(Effect.andThen(Resource.get(one), Resource.scheduleRelease(one)))
  )
  isFlat("callers that wait, for the holder and for a place", { max: 1 }, (one, other) =>
    Effect.all(
      [one, one, other, one].map((it) => Resource.use(it, () => Effect.yieldNow)),
      { concurrency: "unbounded", discard: true }
    )
  )
  isFlat("callers that leave", { max: 1 }, (one, other) =>
    Resource.use(one, () =>
      Effect.all([use(one), use(other)].map(Effect.timeoutOption(0)), { concurrency: 2, discard: true })
    )
  )
  isFlat("callers that are refused", { max: 1 }, (one, other) =>
    Resource.use(one, () => Effect.exit(Resource.use(other, () => Effect.void, { wait: false })))
  )

  it.live("is flat: resources that are made, used once and dropped", () =>
    Effect.gen(function* () {
      const pool = yield* ResourcePool.make({ max: 10, closeGrace: 0 })
      const { perUnit } = yield* growth(Effect.flatMap(named(pool, "dropped"), use), 2000)
      assert.isBelow(perUnit, bound)
    }).pipe(Effect.scoped)
  )

  it.live("has dropped resources collected, but for those that are allocated still", () =>
    Effect.gen(function* () {
      const pool = yield* ResourcePool.make({ max: 100, closeGrace: 0 })
      const refs: Array<WeakRef<object>> = []
      for (let n = 0; n < 10_000; n++) {
        const made = yield* named(pool, `r${n}`)
        refs.push(new WeakRef(made.holding))
        yield* use(made)
        if (n % 100 === 0) yield* Effect.yieldNow
      }
      yield* Footprint.collect
      yield* Footprint.collect
      const left = refs.filter((ref) => ref.deref() !== undefined).length
      assert.isAtLeast(left, 100)
      // The frame of the generator may keep the last.
      assert.isAtMost(left, 102)
      assert.strictEqual((yield* ResourcePool.stats(pool)).idle, 100)
    }).pipe(Effect.scoped)
  )

  it.live("has ten thousand resources on a hundred places", () =>
    Effect.gen(function* () {
      const pool = yield* ResourcePool.make({ max: 100, closeGrace: 0, acquireTimeout: "Infinity" })
      const all = yield* Effect.forEach(Array.from({ length: 10_000 }), (_, n) => named(pool, `r${n}`))
      const callers = (yielding: boolean) =>
        Effect.forEach(all, (it) => Resource.use(it, () => (yielding ? Effect.yieldNow : Effect.void)), {
          concurrency: "unbounded",
          discard: true
        })
      yield* callers(true)
      yield* callers(false)
      const { acquired, created, destroyed, idle, pending } = yield* ResourcePool.stats(pool)
      assert.deepStrictEqual({ acquired, idle, pending }, { acquired: 20_000, idle: 100, pending: 0 })
      assert.strictEqual(created - destroyed.reclaimed, 100)
    }).pipe(Effect.scoped)
  )

  it.live("is not flat, and is found out, if something is kept of each", () =>
    Effect.gen(function* () {
      const pool = yield* ResourcePool.make({ max: 1 })
      const one = yield* named(pool, "one")
      const kept: Array<object> = []
      const keeping = Resource.use(one, (it) => Effect.sync(() => kept.push({ it })))
      const { perUnit } = yield* growth(keeping, 2000)
      assert.isAbove(perUnit, bound)
    }).pipe(Effect.scoped)
  )
})
