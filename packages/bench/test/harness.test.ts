import { describe, expect, it } from "@effect/vitest"
import { type Case, measure } from "../src/harness.ts"
import { checkedPart, recordedIn, regressionsOf } from "../src/regressions.ts"
import { spreadOf } from "../src/statistics.ts"

const makeCase = (took: Record<string, number>, more?: Partial<Case>) => {
  const ran: Array<string> = []
  const case_: Case = {
    name: "case",
    title: "case",
    method: "",
    operations: 1_000_000,
    rounds: 3,
    contenders: Object.entries(took).map(([name, elapsed]) => ({
      name,
      run: () => {
        ran.push(name)
        return Promise.resolve(elapsed)
      }
    })),
    comparisons: [],
    ...more
  }
  return { case_, ran }
}

describe("measure", () => {
  it("lets the contenders take turns, each of them first in turn", async () => {
    const { case_, ran } = makeCase({ a: 1, b: 2, c: 3 })
    await measure(case_)
    // One round to warm up, three that count.
    expect(ran.join("")).toBe("abcbcacababc")
  })

  it("warms up for as many rounds as the case says", async () => {
    const { case_, ran } = makeCase({ a: 1, b: 2 }, { warmUp: 0 })
    const { contenders } = await measure(case_)
    expect([ran.join(""), contenders[0]!.cost.samples]).toEqual(["abbaab", 3])
  })

  it("says how many times as fast one is as the other, with and without the overhead", async () => {
    const { case_ } = makeCase(
      { loop: 10, slow: 50, fast: 20 },
      { overhead: "loop", comparisons: [{ name: "fast", against: "slow", goal: 3 }] }
    )
    const [comparison] = (await measure(case_)).comparisons
    expect(comparison).toMatchObject({ ratio: { median: 2.5 }, netRatio: { median: 4 } })
  })

  it("counts bytes as they are, and time in nanoseconds", async () => {
    const costOf = async (unit?: "bytes") => {
      const { contenders } = await measure(makeCase({ a: 3 }, { operations: 2, unit }).case_)
      return contenders[0]!.cost.median
    }
    expect([await costOf("bytes"), await costOf()]).toEqual([1.5, 1.5e6])
  })

  it("says how much more of a difference there is than between two others", async () => {
    const relativeTo = { name: "many, bare", against: "few, bare" }
    const comparisons = [
      { name: "many", against: "few", goal: 0.8 },
      { name: "many", against: "few", relativeTo, goal: 0.8 }
    ]
    const { case_ } = makeCase({ few: 10, many: 20, "few, bare": 5, "many, bare": 8 }, { comparisons })
    expect((await measure(case_)).comparisons).toMatchObject([
      { ratio: { median: 0.5 }, isMet: false },
      { ratio: { median: 0.8 }, isMet: true }
    ])
  })

  it("judges a goal by the less favourable figure", async () => {
    const comparisons = [
      { name: "fast", against: "slow", goal: 2.5 },
      { name: "fast", against: "slow", goal: 3 }
    ]
    const { case_ } = makeCase({ loop: 10, slow: 50, fast: 20 }, { overhead: "loop", comparisons })
    expect((await measure(case_)).comparisons.map(({ isMet }) => isMet)).toEqual([true, false])
  })
})

describe("spreadOf", () => {
  it("interpolates between neighbours", () => {
    expect(spreadOf([4, 1, 3, 2])).toEqual({ samples: 4, min: 1, p25: 1.75, median: 2.5, p75: 3.25 })
  })
})

describe("regressions", () => {
  /** What we cost round by round, where others cost 20. */
  const measured = (name: string, costs: ReadonlyArray<number>, margin?: number, unit?: "bytes") => {
    let round = 0
    const ours = { name: "ours", run: () => Promise.resolve(costs[round++]!) }
    const { case_ } = makeCase({ theirs: 20 }, { name, unit, rounds: costs.length, warmUp: 0 })
    const comparisons = [{ name: "ours", against: "theirs", margin }]
    return measure({ ...case_, contenders: [ours, ...case_.contenders], comparisons })
  }

  it("are ratios that have fallen below their margin of what is recorded", async () => {
    const recorded = [await measured("a", [10], 0.6), await measured("b", [10], 0.6), await measured("d", [10])]
    const now = [
      await measured("a", [16], 0.6),
      await measured("b", [20], 0.6),
      await measured("c", [200], 0.6),
      await measured("d", [200])
    ]
    expect(regressionsOf(now, recorded)).toEqual({
      compared: 2,
      unrecorded: 1,
      regressions: [{ title: "case", name: "ours", against: "theirs", recorded: 2, bound: 1.2, now: 1 }]
    })
  })

  it("of times are those of the fastest rounds too", async () => {
    const isRegression = async (unit: "bytes" | undefined, ...costs: ReadonlyArray<number>) => {
      const recorded = [await measured("a", [10, 10, 10], 0.6, unit)]
      return regressionsOf([await measured("a", costs, 0.6, unit)], recorded).regressions.length > 0
    }
    expect(await isRegression(undefined, 20, 20, 10)).toBe(false)
    expect(await isRegression(undefined, 10, 10, 20)).toBe(false)
    expect(await isRegression(undefined, 20, 20, 20)).toBe(true)
    expect(await isRegression("bytes", 20, 20, 10)).toBe(true)
  })

  it("are looked for with nothing but what they are seen by", () => {
    const comparisons = [
      { name: "a", against: "b", margin: 0.5 },
      { name: "a", against: "c" }
    ]
    const { case_ } = makeCase({ loop: 1, a: 1, b: 1, c: 1 }, { overhead: "loop", comparisons })
    const part = checkedPart(case_)!
    expect(part.contenders.map(({ name }) => name)).toEqual(["a", "b"])
    expect([part.comparisons, part.overhead]).toEqual([[comparisons[0]], undefined])
    expect(checkedPart({ ...case_, comparisons: [comparisons[1]!] })).toBeUndefined()
  })

  it("cannot be told from a record that is damaged", () => {
    for (const text of ["", "{", "[]", "null", '{"cases":[{}]}']) {
      expect(() => recordedIn(text)).toThrow("What is recorded cannot be read")
    }
    expect(recordedIn('{"cases":[]}')).toEqual([])
  })
})
