import { Footprint } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"

const UNITS = 20_000

/** Work that keeps something of every unit, or of none. */
const work = (keep: (n: number) => void) =>
  Effect.sync(() => {
    for (let n = 0; n < UNITS; n++) keep(n)
  })

describe("growth", () => {
  it.effect("is nothing for work that keeps nothing", () =>
    Effect.gen(function* () {
      const { perUnit, units } = yield* Footprint.growth({ round: work((n) => void [n]), units: UNITS, rounds: 3 })
      assert.isBelow(Math.abs(perUnit), 4)
      assert.strictEqual(units, 3 * UNITS)
    })
  )

  it.effect("is the size of what is kept", () =>
    Effect.gen(function* () {
      const kept: Array<unknown> = []
      const { perUnit } = yield* Footprint.growth({
        round: work(() => kept.push(new Float64Array(16))),
        units: UNITS,
        rounds: 3
      })
      // 128 bytes of numbers, and the array around them.
      assert.isAbove(perUnit, 128)
      assert.isBelow(perUnit, 512)
      assert.strictEqual(kept.length, 5 * UNITS)
    })
  )

  it.effect("does not count a measurement that is off", () =>
    Effect.gen(function* () {
      let rounds = 0
      let kept: unknown
      const round = Effect.sync(() => {
        kept = ++rounds === 5 ? Array.from({ length: 1_000_000 }, () => 0) : undefined
      })
      const { perUnit, samples } = yield* Footprint.growth({ round, units: UNITS })
      assert.isUndefined(kept)
      assert.isAbove(samples[3]! - samples[0]!, 4_000_000)
      assert.isBelow(Math.abs(perUnit), 4)
    })
  )

  it.effect("above the bound is measured again, and what was kept for a while does not count", () =>
    Effect.gen(function* () {
      let rounds = 0
      const kept: Array<unknown> = []
      const round = Effect.suspend(() =>
        ++rounds <= 4 ? work(() => kept.push(new Float64Array(16))) : work((n) => void [n])
      )
      const { perUnit, units } = yield* Footprint.growth({ round, units: UNITS, rounds: 2, bound: 64 })
      assert.isBelow(perUnit, 64)
      assert.deepStrictEqual({ rounds, units }, { rounds: 6, units: 2 * UNITS })
      assert.lengthOf(kept, 4 * UNITS)
    })
  )

  it.effect("above the bound is told when it was measured three times", () =>
    Effect.gen(function* () {
      let rounds = 0
      const kept: Array<unknown> = []
      const round = Effect.suspend(() => {
        rounds++
        return work(() => kept.push(new Float64Array(16)))
      })
      const { perUnit, units } = yield* Footprint.growth({ round, units: UNITS, rounds: 2, bound: 64 })
      assert.isAbove(perUnit, 128)
      assert.deepStrictEqual({ rounds, units }, { rounds: 8, units: 2 * UNITS })
      assert.lengthOf(kept, rounds * UNITS)
    })
  )

  it.effect("fails as the work fails", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* Effect.flip(Footprint.growth({ round: Effect.fail("no"), units: 1 })), "no")
    })
  )
})

describe("options of growth that make no sense", () => {
  it.effect("are refused, and no work is done", () =>
    Effect.gen(function* () {
      let rounds = 0
      const round = Effect.sync(() => rounds++)
      for (const [field, options] of [
        ["units", {}],
        ["units", { units: 0 }],
        ["units", { units: -5 }],
        ["units", { units: NaN }],
        ["units", { units: Infinity }],
        ["rounds", { units: 1, rounds: 0 }],
        ["rounds", { units: 1, rounds: -1 }],
        ["rounds", { units: 1, rounds: NaN }],
        ["warmUp", { units: 1, warmUp: -1 }],
        ["bound", { units: 1, bound: -1 }],
        ["bound", { units: 1, bound: NaN }],
        ["warmup", { units: 1, warmup: 1 }],
        ["round", { units: 1, round: () => Effect.void }]
      ] as const) {
        const error = yield* Effect.flip(
          Footprint.growth({ round, ...options } as unknown as Footprint.GrowthOptions<never, never>)
        )
        assert.deepInclude(error, { _tag: "InvalidOptions", field })
      }
      assert.strictEqual(rounds, 0)
    })
  )

  it.effect("leave one round without warm-up a measurement", () =>
    Effect.gen(function* () {
      const growth = yield* Footprint.growth({ round: Effect.void, units: 1, warmUp: 0, rounds: 1 })
      assert.isTrue(Number.isFinite(growth.perUnit))
      assert.strictEqual(growth.samples.length, 2)
    })
  )
})

describe("instances", () => {
  it.effect("are those that something refers to", () =>
    Effect.gen(function* () {
      class Thing {
        readonly id = 1
      }
      const kept = [new Thing(), new Thing()]
      for (let n = 0; n < 100; n++) void new Thing()
      assert.strictEqual(yield* Footprint.instances(Thing), 2)
      kept.length = 1
      assert.strictEqual(yield* Footprint.instances(Thing), 1)
    })
  )
})

describe("handles", () => {
  it.effect("are told by kind, and compared", () =>
    Effect.gen(function* () {
      const before = yield* Footprint.handles
      const timer = setTimeout(() => {}, 60_000)
      assert.deepStrictEqual(Footprint.more(yield* Footprint.handles, before), ["1 Timeout"])
      clearTimeout(timer)
      assert.deepStrictEqual(Footprint.more(yield* Footprint.handles, before), [])
    })
  )
})
