import { describe, expect, it } from "@effect/vitest"
import type { CaseResult, Unit } from "../src/harness.ts"
import { draw, plots } from "../src/plots.ts"
import { document, pagesOf, type Results } from "../src/report.ts"
import { spreadOf } from "../src/statistics.ts"

const result = (
  name: string,
  costs: Record<string, number>,
  comparisons: CaseResult["comparisons"] = [],
  unit: Unit = "ns"
): CaseResult => ({
  name,
  title: `the case ${name}`,
  method: "As it is.",
  unit,
  operations: 1,
  rounds: 3,
  overhead: undefined,
  contenders: Object.entries(costs).map(([name, cost]) => ({
    name,
    cost: spreadOf([cost, 2 * cost, 3 * cost]),
    net: spreadOf([cost, cost, cost]),
    collecting: undefined
  })),
  comparisons
})

const compared = (against: string, isMet: boolean) => ({
  name: "ConnectionPool.use",
  against,
  goal: 2,
  because: `the reason for ${against}`,
  // What is left of a cost may be negative.
  ratio: spreadOf(isMet ? [3] : [-2, -1, 1, 3]),
  netRatio: undefined,
  isMet
})

const uses = { floor: 1, "Pool.use": 3, "ConnectionPool.use": 2 }
const cases = [
  result("use-built-once", uses, [compared("Pool.use", true), compared("floor", false)]),
  result("use-built-per-call", uses),
  result("get-in-a-scope", uses),
  result("memory-waiters", uses, [], "bytes"),
  result("memory-idle", uses, [], "bytes"),
  ...[100, 1000].flatMap((count) => [
    result(`contended-${count}`, { ...uses, "floor, all fibers at once": 1 }),
    result(`peers-${count}`, {
      "ConnectionPool.use, its holder yields": 2,
      "ConnectionPool.use, its holder awaits a promise": 1,
      "generic-pool": 2,
      tarn: 4,
      "lightning-pool": 3,
      "pg-pool": 1
    }),
    result(`shared-${count / 100}`, { SharedPool: 20, "lock (Atomics.wait)": 80, messages: 20_000 })
  ]),
  result("bundle-gzip", { "ConnectionPool, esbuild": 14_000, "15 KB": 15_000 }, [], "bytes")
]
const results: Results = {
  date: "2026-01-01T00:00:00.000Z",
  command: "pnpm bench",
  machine: { cpu: "", cores: 1, memoryGiB: 1, platform: "" },
  versions: { node: "", v8: "", effect: "", "effect-pools": "" },
  cases
}

describe("plots", () => {
  it.each(plots)("are the same for the same results: $file", async (plot) => {
    const svg = await draw(plot, cases)
    expect(svg).toContain(plot.title)
    expect(svg).not.toMatch(/NaN|undefined/)
    expect(await draw(plot, cases)).toBe(svg)
  })

  it("show all goals, and whether they are met", async () => {
    const svg = await draw(
      plots.find(({ file }) => file === "goals.svg")!,
      cases
    )
    expect(svg).toMatch(/ConnectionPool\.use against Pool\.use; [^"]*verdict: met"/)
    expect(svg).toMatch(/ConnectionPool\.use against floor; [^"]*verdict: not met"/)
  })

  it("cannot be drawn without their cases", async () => {
    for (const plot of plots.filter(({ file }) => file !== "goals.svg")) {
      await expect(draw(plot, [])).rejects.toThrow("There are no results")
    }
  })
})

describe("a plot by the number of callers", () => {
  it("cannot be drawn if one of those that it names was not measured", async () => {
    const without = cases.map((case_) =>
      case_.name.startsWith("peers-")
        ? { ...case_, contenders: case_.contenders.filter(({ name }) => !name.startsWith("ConnectionPool")) }
        : case_
    )
    await expect(
      draw(
        plots.find(({ file }) => file === "peers.svg")!,
        without
      )
    ).rejects.toThrow('There are no results of "ConnectionPool.use, its holder yields"')
  })
})

describe("the document", () => {
  it("gives reasons for the goals that are missed, and for no others", () => {
    expect(document(results)).toContain("the reason for floor")
    expect(document(results)).not.toContain("the reason for Pool.use")
    expect(document(results)).toContain("1 of 2 are met")
  })

  it("comes with its figures and all plots, or not at all", async () => {
    expect((await pagesOf(results)).map(([file]) => file)).toEqual([
      ...plots.map(({ file }) => file),
      "README.md",
      "results.json"
    ])
    const some = cases.filter(({ name }) => name !== "bundle-gzip")
    await expect(pagesOf({ ...results, cases: some })).rejects.toThrow('There are no results of the case "bundle-gzip"')
  })

  it("has figures on the right of their column, and words on the left", () => {
    const titled = { ...cases[0]!, title: "10,000 callers on a title longer than others" }
    const text = document({ ...results, cases: [{ ...titled, title: "10 callers" }, titled] })
    expect(text).toMatch(/^\| 10 callers +\| ConnectionPool\.use \|/m)
    expect(text).toMatch(/\| +3\.00 \| +3\.00 … 3\.00 \|/)
  })

  it("shows every plot", () => {
    expect(Array.from(document(results).matchAll(/\]\(\.\/(.*\.svg)\)/g), ([, file]) => file)).toEqual(
      plots.map(({ file }) => file)
    )
  })
})
