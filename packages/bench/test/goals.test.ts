import { describe, expect, it } from "@effect/vitest"
import { type Goal, goalsOf, wordingOf } from "../src/goals.ts"
import { type Case, measure } from "../src/harness.ts"

/** The goals of one case whose contenders cost what is said, in turns where it is several figures. */
const judged = async (
  more: Pick<Case, "comparisons"> & Partial<Case>,
  costs: Record<string, ReadonlyArray<number>>
) => {
  const result = await measure({
    name: "case",
    title: "case",
    method: "",
    operations: 1,
    rounds: 5,
    contenders: Object.entries(costs).map(([name, each]) => {
      let round = 0
      return { name, run: () => Promise.resolve(each[round++ % each.length]!) }
    }),
    ...more
  })
  return goalsOf([result])
}

const wordings = (goals: ReadonlyArray<Goal>) =>
  goals.map((goal) => [wordingOf(goal).goal, wordingOf(goal).measured, goal.isMet])

describe("goals", () => {
  it("are the comparisons that have one, with the figure by which they are judged", async () => {
    const goals = await judged(
      {
        overhead: "loop",
        comparisons: [
          { name: "ours", against: "theirs", goal: 2, because: "why" },
          { name: "ours", against: "floor", goal: 0.5 },
          { name: "ours", against: "theirs", relativeTo: { name: "ours", against: "floor" }, goal: 2 },
          { name: "floor", against: "theirs" }
        ]
      },
      { loop: [10], ours: [30], theirs: [60], floor: [20] }
    )
    expect(goals.map(({ against, because, isMet, ratio }) => [against, because, isMet, ratio.median])).toEqual([
      ["theirs", "why", true, 2],
      ["floor", undefined, true, 0.5],
      ["theirs, relative to ours / floor", undefined, true, 3]
    ])
  })

  it("are told in the words in which they were set", async () => {
    const comparisons = [
      { name: "ours", against: "theirs", goal: 1.7 },
      { name: "ours", against: "theirs", goal: 1 },
      { name: "ours", against: "floor", goal: 1 / 1.35 }
    ]
    const costs = { ours: [20], theirs: [50], floor: [16] }
    expect(wordings(await judged({ comparisons }, costs))).toEqual([
      ["≥ 1.7 × as fast", "2.50", true],
      ["as fast", "2.50", true],
      ["≤ 1.35 × the time", "1.25", true]
    ])
    expect(wordings(await judged({ comparisons, unit: "bytes" }, costs))).toEqual([
      ["≤ 0.59 × the bytes", "0.40", true],
      ["no more", "0.40", true],
      ["≤ 1.35 × the bytes", "1.25", true]
    ])
  })

  it("do not look met when they are just missed", async () => {
    const comparisons = [
      { name: "ours", against: "theirs", goal: 1.7 },
      { name: "ours", against: "floor", goal: 1 / 1.35 }
    ]
    expect(wordings(await judged({ comparisons }, { ours: [1000], theirs: [1699.9], floor: [740.7] }))).toEqual([
      ["≥ 1.7 × as fast", "1.69", false],
      ["≤ 1.35 × the time", "1.36", false]
    ])
  })

  it("have quartiles that lie around what is measured, whichever way it is told", async () => {
    const goals = await judged(
      {
        comparisons: [
          { name: "ours", against: "fixed", goal: 1 },
          { name: "ours", against: "fixed", goal: 0.5 }
        ]
      },
      { ours: [1, 2, 4, 5, 8], fixed: [10] }
    )
    expect(goals.map((goal) => wordingOf(goal).quartiles)).toEqual(["2.00 … 5.00", "0.20 … 0.50"])
  })
})
