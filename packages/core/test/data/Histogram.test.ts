import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { Histogram } from "../../src/data/Histogram.ts"
import { below, MiB, random, retainedBytes } from "./support.ts"

const MICROSECOND = 0.001
const DAY = 24 * 60 * 60 * 1000
const LONGEST = 40 * DAY
/** What the module promises; a quantile that is off by more is a bug. */
const TOLERANCE = 0.032

const distributions = {
  uniform: (next: () => number, scale: number) => 2 * scale * next(),
  exponential: (next: () => number, scale: number) => -scale * Math.log(1 - next()),
  logNormal: (next: () => number, scale: number) =>
    scale * Math.exp(2 * Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())),
  bimodal: (next: () => number, scale: number) => (next() < 0.9 ? scale : 1000 * scale) * (0.9 + 0.2 * next()),
  constant: (_next: () => number, scale: number) => scale
} as const

const distributionNames = ["uniform", "exponential", "logNormal", "bimodal", "constant"] as const

/** From one microsecond to forty days, every order of magnitude as likely as any other. */
const atScale = (fraction: number): number => MICROSECOND * (LONGEST / MICROSECOND) ** fraction

const countAtMost = (histogram: Histogram, boundary: number): number => histogram.countsAtMost([boundary])[0]!

const inRange = (millis: number): number => Math.min(LONGEST, Math.max(MICROSECOND, millis))

const sample = (distribution: keyof typeof distributions, scale: number, size: number, seed: number) => {
  const next = random(seed)
  return Array.from({ length: size }, () => inRange(distributions[distribution](next, scale)))
}

const recordAll = (values: ReadonlyArray<number>): Histogram => {
  const histogram = new Histogram()
  for (const value of values) histogram.record(value)
  return histogram
}

/** The nearest-rank quantile, in whole percents so that the rank has no rounding error. */
const exactQuantile = (sorted: ReadonlyArray<number>, percent: number): number =>
  sorted[Math.max(1, Math.ceil((percent * sorted.length) / 100)) - 1]!

const expectClose = (actual: number, exact: number, what: string) => {
  const error = Math.abs(actual - exact) / exact
  expect(error, `${what}: ${actual} instead of ${exact}`).toBeLessThanOrEqual(TOLERANCE)
}

const expectQuantilesClose = (values: ReadonlyArray<number>) => {
  const sorted = values.toSorted((a, b) => a - b)
  const { p50, p95, p99 } = recordAll(values).summary()
  expectClose(p50, exactQuantile(sorted, 50), "p50")
  expectClose(p95, exactQuantile(sorted, 95), "p95")
  expectClose(p99, exactQuantile(sorted, 99), "p99")
}

const Seed = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 31 - 1 }))
const Fraction = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))
const Size = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 3000 }))
const Samples = {
  distribution: Schema.Literals(distributionNames),
  scale: Arbitrary.map(Arbitrary.schema(Fraction), atScale),
  size: Size,
  seed: Seed
}

/** Anything that a clock could hand in, however broken. */
const awkward = [
  0,
  -0,
  -1,
  -Infinity,
  NaN,
  Number.MIN_VALUE,
  1e-9,
  2 ** -10,
  MICROSECOND,
  1,
  LONGEST,
  2 ** 32,
  1e12,
  1e300,
  Number.MAX_VALUE,
  Infinity
] as const

describe("Histogram", () => {
  it("records a zero as it records any other", () => {
    const [one, other] = [new Histogram(), new Histogram()]
    for (const histogram of [one, other]) histogram.record(3)
    one.record(0)
    other.recordZero()
    expect(other.summary()).toEqual(one.summary())
    expect([other.zeros, other.min]).toEqual([1, 0])
  })

  describe("quantiles", () => {
    describe.each(distributionNames)("of a %s sample", (distribution) => {
      it.each([
        ["microseconds", 0.002],
        ["fractions of a millisecond", 0.2],
        ["milliseconds", 7],
        ["seconds", 3000],
        ["hours", 2 * 60 * 60 * 1000],
        ["days", 3 * DAY]
      ])("p50, p95 and p99 are within 3.2 %% of the exact ones around %s", (_unit, scale) => {
        expectQuantilesClose(sample(distribution, scale, 10_000, 42))
      })
    })

    it.prop(
      "p50, p95 and p99 are within 3.2 % of the exact ones whatever the distribution, scale and size",
      Samples,
      ({ distribution, scale, seed, size }) => expectQuantilesClose(sample(distribution, scale, size, seed)),
      { arbitrary: { runs: 300 } }
    )

    it.prop(
      "every whole percentile is within 3.2 % of the exact one",
      Samples,
      ({ distribution, scale, seed, size }) => {
        const values = sample(distribution, scale, size, seed)
        const sorted = values.toSorted((a, b) => a - b)
        const histogram = recordAll(values)
        for (const percent of [1, 5, 10, 25, 50, 75, 90, 95, 99, 100]) {
          expectClose(histogram.quantile(percent / 100), exactQuantile(sorted, percent), `p${percent}`)
        }
      }
    )

    it.prop(
      "never decrease with the fraction and stay between minimum and maximum",
      Samples,
      ({ distribution, scale, seed, size }) => {
        const histogram = recordAll(sample(distribution, scale, size, seed))
        let previous = histogram.min
        for (let percent = 0; percent <= 100; percent++) {
          const value = histogram.quantile(percent / 100)
          expect(value).toBeGreaterThanOrEqual(previous)
          previous = value
        }
        expect(previous).toBe(histogram.max)
      }
    )

    it.prop("of a single value are that value exactly", { scale: Samples.scale }, ({ scale }) => {
      const { max, mean, p50, p95, p99 } = recordAll([scale]).summary()
      expect([p50, p95, p99, mean, max]).toEqual([scale, scale, scale, scale, scale])
    })

    it.prop(
      "of a constant sample are the constant exactly",
      { scale: Samples.scale, size: Size },
      ({ scale, size }) => {
        const { p50, p95, p99 } = recordAll(Array.from({ length: size }, () => scale)).summary()
        expect([p50, p95, p99]).toEqual([scale, scale, scale])
      }
    )

    it("are close on both sides of every power of two", () => {
      for (let exponent = -9; exponent < 32; exponent++) {
        for (const value of [2 ** exponent * (1 - 2 ** -52), 2 ** exponent, 2 ** exponent * (1 + 2 ** -52)]) {
          // The outer values keep the one in the middle from being clamped to minimum or maximum.
          expectClose(recordAll([value / 2, value, value * 2]).quantile(0.5), value, `around 2 ** ${exponent}`)
        }
      }
    })

    it("follow the nearest rank: the median of two values is the smaller one", () => {
      expectClose(recordAll([10, 1000]).quantile(0.5), 10, "p50")
    })

    it("fall on the slow mode only when its share is reached", () => {
      const values = [...Array.from({ length: 94 }, () => 1), ...Array.from({ length: 6 }, () => 1000)]
      const histogram = recordAll(values)
      expectClose(histogram.quantile(0.94), 1, "p94")
      expectClose(histogram.quantile(0.95), 1000, "p95")
    })

    it("of 0 and 1 are minimum and maximum, and fractions outside are taken as 0 and 1", () => {
      const histogram = recordAll([3, 5, 7])
      expectClose(histogram.quantile(0), 3, "q0")
      expectClose(histogram.quantile(-1), 3, "q-1")
      expect(histogram.quantile(1)).toBe(7)
      expect(histogram.quantile(2)).toBe(7)
      expect(histogram.quantile(Infinity)).toBe(7)
      expect(new Histogram().quantile(Infinity)).toBe(0)
    })

    it("do not depend on the order of recording", () => {
      const values = sample("logNormal", 20, 5000, 7)
      const ascending = recordAll(values.toSorted((a, b) => a - b))
      const descending = recordAll(values.toSorted((a, b) => b - a))
      for (const q of [0.01, 0.5, 0.95, 0.99, 1]) expect(ascending.quantile(q)).toBe(descending.quantile(q))
    })
  })

  describe("count, sum, minimum, maximum and mean", () => {
    it.prop("are exact", Samples, ({ distribution, scale, seed, size }) => {
      const values = sample(distribution, scale, size, seed)
      const histogram = recordAll(values)
      const sum = values.reduce((total, value) => total + value, 0)
      expect(histogram.count).toBe(size)
      expect(histogram.sum).toBe(sum)
      expect(histogram.min).toBe(Math.min(...values))
      expect(histogram.max).toBe(Math.max(...values))
      expect(histogram.summary()).toMatchObject({ count: size, mean: sum / size, max: Math.max(...values) })
    })

    it("summarise to zeros while nothing was recorded", () => {
      const histogram = new Histogram()
      expect(histogram.summary()).toEqual({ count: 0, mean: 0, p50: 0, p95: 0, p99: 0, max: 0 })
      expect(histogram.sum).toBe(0)
    })
  })

  describe("values outside the range", () => {
    it.each([0, -0, -1, -Infinity, NaN, Number.MIN_VALUE, 1e-9, 2 ** -10])("%s counts as zero", (value) => {
      const histogram = recordAll([value])
      expect(histogram.summary()).toEqual({ count: 1, mean: 0, p50: 0, p95: 0, p99: 0, max: 0 })
      expect(histogram.zeros).toBe(1)
      expect(histogram.min).toBe(0)
      expect(histogram.sum).toBe(0)
    })

    it("the smallest number above the zeros is kept as it is", () => {
      const value = 2 ** -10 * (1 + 2 ** -52)
      const histogram = recordAll([value])
      expect(histogram.zeros).toBe(0)
      expect(histogram.quantile(0.5)).toBe(value)
      expect(histogram.min).toBe(value)
    })

    it("zeros take part in the ranks", () => {
      const values = [...Array.from({ length: 90 }, () => 0), ...Array.from({ length: 10 }, () => 50)]
      const histogram = recordAll(values)
      expect(histogram.count).toBe(100)
      expect(histogram.min).toBe(0)
      expect(histogram.quantile(0.5)).toBe(0)
      expect(histogram.quantile(0.9)).toBe(0)
      expectClose(histogram.quantile(0.91), 50, "p91")
      expect(histogram.summary().mean).toBe(5)
    })

    it("the minimum stays zero when larger values follow a zero", () => {
      expect(recordAll([0, 5, 9]).min).toBe(0)
      expect(recordAll([5, 0, 9]).min).toBe(0)
    })

    it.each([2 ** 32, 1e12, 1e300, Number.MAX_VALUE])(
      "%s counts with the largest and keeps sum and maximum",
      (value) => {
        const histogram = recordAll([1, 1, 1, value])
        expect(histogram.count).toBe(4)
        expect(histogram.sum).toBe(3 + value)
        expect(histogram.max).toBe(value)
        expectClose(histogram.quantile(0.75), 1, "p75")
        expect(histogram.quantile(1)).toBe(value)
      }
    )

    it("quantiles among values beyond the range are at least the largest bucket and at most the maximum", () => {
      const histogram = recordAll([1, 1e12, 1e13, 1e14])
      const p75 = histogram.quantile(0.75)
      expect(p75).toBeGreaterThanOrEqual(0.96 * 2 ** 32)
      expect(p75).toBeLessThanOrEqual(1e14)
    })

    it("Infinity counts with the largest and leaves the other quantiles alone", () => {
      const histogram = recordAll([1, 2, 3, Infinity])
      expect(histogram.count).toBe(4)
      expect(histogram.max).toBe(Infinity)
      expect(histogram.sum).toBe(Infinity)
      expectClose(histogram.quantile(0.5), 2, "p50")
      expect(histogram.quantile(0.99)).toBe(Infinity)
      expect(recordAll([Infinity]).quantile(0.5)).toBe(Infinity)
    })

    it.prop(
      "no mixture of values breaks a quantile or loses a count",
      { values: Schema.Array(Schema.Literals([...awkward.keys()])) },
      ({ values }) => {
        const histogram = recordAll(values.map((index) => awkward[index]!))
        expect(histogram.count).toBe(values.length)
        expect(countAtMost(histogram, Infinity)).toBe(values.length)
        for (const q of [0, 0.01, 0.5, 0.95, 0.99, 1]) {
          expect(histogram.quantile(q)).toBeGreaterThanOrEqual(values.length === 0 ? 0 : histogram.min)
          expect(histogram.quantile(q)).toBeLessThanOrEqual(histogram.max)
        }
      },
      { arbitrary: { runs: 500, size: 30 } }
    )
  })

  describe("countsAtMost", () => {
    it.prop("is monotone and equals the count at Infinity", Samples, ({ distribution, scale, seed, size }) => {
      const histogram = recordAll(sample(distribution, scale, size, seed))
      let previous = 0
      for (let step = 0; step <= 200; step++) {
        const count = countAtMost(histogram, atScale(step / 200))
        expect(count).toBeGreaterThanOrEqual(previous)
        previous = count
      }
      expect(countAtMost(histogram, Infinity)).toBe(size)
      expect(previous).toBeLessThanOrEqual(size)
    })

    it.prop(
      "is right to the resolution of a bucket",
      { ...Samples, boundary: Samples.scale },
      ({ boundary, distribution, scale, seed, size }) => {
        const values = sample(distribution, scale, size, seed)
        const count = countAtMost(recordAll(values), boundary)
        const within = (limit: number) => values.filter((value) => value <= limit).length
        expect(count).toBeGreaterThanOrEqual(within(boundary * (1 - TOLERANCE)))
        expect(count).toBeLessThanOrEqual(within(boundary * (1 + TOLERANCE)))
      },
      { arbitrary: { runs: 300 } }
    )

    it.prop(
      "is for each of several boundaries what it is for that alone",
      { ...Samples, fractions: Schema.Array(Fraction) },
      ({ distribution, fractions, scale, seed, size }) => {
        const histogram = recordAll(sample(distribution, scale, size, seed))
        const ascending = [0, ...fractions.map(atScale).toSorted((a, b) => a - b), Infinity]
        expect(histogram.countsAtMost(ascending)).toEqual(ascending.map((boundary) => countAtMost(histogram, boundary)))
      }
    )

    it("counts a boundary's own bucket from the middle of that bucket on", () => {
      // From 1 to 2 there are 16 buckets.
      const histogram = recordAll([1, 1.06])
      expect(countAtMost(histogram, 1 + 0.5 / 16 - 1e-9)).toBe(0)
      expect(countAtMost(histogram, 1 + 0.5 / 16)).toBe(2)
    })

    it("counts zeros at every boundary, also when nothing else was recorded", () => {
      expect(countAtMost(recordAll([0, 0, NaN]), 0)).toBe(3)
      expect(countAtMost(recordAll([0, 0, 10]), 0)).toBe(2)
      expect(countAtMost(recordAll([0, 0, 10]), 1)).toBe(2)
      expect(countAtMost(recordAll([0, 0, 10]), 20)).toBe(3)
    })

    it("is 0 while nothing was recorded", () => {
      expect(countAtMost(new Histogram(), Infinity)).toBe(0)
    })
  })

  describe("memory", () => {
    it("does not grow with the number of values", () => {
      const histogram = recordAll([1])
      const next = random(1)
      const grown = retainedBytes(() => {
        for (let i = 0; i < 2_000_000; i++) histogram.record(atScale(next()))
      })
      expect(histogram.count).toBe(2_000_001)
      expect(grown).toBeLessThan(MiB)
    })

    it("is taken for the powers of two that values lie in, not for all", () => {
      const histograms: Array<Histogram> = []
      const grown = retainedBytes(() => {
        for (let i = 0; i < 1000; i++) histograms.push(recordAll([10, 0.5]))
      })
      expect(histograms.length).toBe(1000)
      // Five of them take 640 bytes each, all of them would take more than 5 KiB.
      expect(grown).toBeLessThan(1.5 * MiB)
    })

    it("is not taken by histograms that saw only zeros", () => {
      const histograms: Array<Histogram> = []
      const grown = retainedBytes(() => {
        for (let i = 0; i < 1000; i++) histograms.push(recordAll([0, 0]))
      })
      expect(histograms.length).toBe(1000)
      // With buckets each would take more than 5 KiB.
      expect(grown).toBeLessThan(MiB)
    })
  })

  it("has room for what lies apart, in whichever order it comes", () => {
    const values = [5, 0.002, 40_000, 5, 0.3, DAY, 0.001]
    const histogram = new Histogram()
    values.forEach((value, before) => {
      histogram.record(value)
      const sorted = values.slice(0, before + 1).sort((a, b) => a - b)
      sorted.forEach((exact, rank) => {
        expectClose(histogram.quantile((rank + 1) / sorted.length), exact, `rank ${rank} of ${sorted.length}`)
      })
    })
    expect(histogram.countsAtMost([10])).toEqual([5])
  })

  it("histograms share nothing", () => {
    const next = random(3)
    const histograms = Array.from({ length: 5 }, () => new Histogram())
    const recorded = histograms.map((): Array<number> => [])
    for (let i = 0; i < 5000; i++) {
      const which = below(next, 5)
      const value = atScale(next())
      histograms[which]!.record(value)
      recorded[which]!.push(value)
    }
    histograms.forEach((histogram, which) => {
      expect(histogram.summary()).toEqual(recordAll(recorded[which]!).summary())
    })
  })
})
