import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { expect, it } from "@effect/vitest"
import type { Report } from "./steadyState.process.ts"

const script = fileURLToPath(new URL("./steadyState.process.ts", import.meta.url))
const flags = ["--single-threaded", "--disable-warning=ExperimentalWarning"]

it("in steady state nothing is put on the JavaScript heap to allocate, nor to lend an arena but a reading of the clock now and then", () => {
  const report = JSON.parse(execFileSync(process.execPath, [...flags, script], { encoding: "utf8" })) as Report
  expect(report.arena).toBeLessThan(0.1)
  // One number in a tenth of a millisecond: see decision 4. Anything of a cycle's own would be 16 bytes.
  expect(report.pools.filter(({ perCycle }) => !(perCycle < 4))).toEqual([])
  expect(report.pools.map(({ created }) => created)).toEqual([1, 1, 2])
}, 120_000)
