import { describe, expect, it } from "@effect/vitest"
import { type Case, measure } from "../src/harness.ts"
import { regressionsOf } from "../src/regressions.ts"
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
    // Three rounds to warm up, three that count.
    expect(ran.join("")).toBe("abcbcacababcbcacab")
  })

  it("says how many times as fast one is as the other, with and without the overhead", async () => {
    const { case_ } = makeCase(
      { loop: 10, slow: 50, fast: 20 },
      { overhead: "loop", comparisons: [{ name: "fast", against: "slow", goal: 3 }] }
    )
    const [comparison] = (await measure(case_)).comparisons
    expect(comparison).toMatchObject({ ratio: { median: 2.5 }, netRatio: { median: 4 } })
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
  const measured = (name: string, ratio: number) =>
    measure(
      makeCase({ ours: 10, theirs: 10 * ratio }, { name, comparisons: [{ name: "ours", against: "theirs" }] }).case_
    )

  it("are ratios that have fallen far below what is recorded", async () => {
    const recorded = [await measured("a", 2), await measured("b", 2)]
    const now = [await measured("a", 1.3), await measured("b", 1.1), await measured("c", 0.1)]
    expect(regressionsOf(now, recorded, () => false)).toEqual([])
    expect(regressionsOf(now, recorded, (against) => against === "theirs")).toEqual([
      { title: "case", name: "ours", against: "theirs", recorded: 2, now: 1.1 }
    ])
  })
})
