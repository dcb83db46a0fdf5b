/**
 * Prints what failed in a report that `test.ts` has left, then its totals; fails when it counts a failure or no test at
 * all.
 */
import { existsSync, readFileSync } from "node:fs"
import { failures, parseReport, totals } from "./test-report.ts"

const [file] = process.argv.slice(2)
if (file === undefined) throw new Error("usage: test-totals.ts FILE")
const text = existsSync(file) ? readFileSync(file, "utf8") : ""
const report = text === "" ? undefined : parseReport(text)
const { failed, passed } = report === undefined ? { passed: 0, failed: 1 } : totals(report)

for (const { what, why } of report === undefined ? [] : failures(report)) console.log(`FAILED: ${what}\n${why}\n`)
console.log(`${passed} passed, ${failed} failed${report === undefined ? ": the tests have written no report" : ""}`)
process.exitCode = failed === 0 && passed > 0 ? 0 : 1
