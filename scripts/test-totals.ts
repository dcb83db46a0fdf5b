/** Prints the totals of a report that `test.ts` has left, and fails when it counts a failure or no test at all. */
import { existsSync, readFileSync } from "node:fs"
import { parseReport, totals } from "./test-report.ts"

const [file] = process.argv.slice(2)
if (file === undefined) throw new Error("usage: test-totals.ts FILE")
const text = existsSync(file) ? readFileSync(file, "utf8") : ""
const { failed, passed } = text === "" ? { passed: 0, failed: 1 } : totals(parseReport(text))

console.log(`${passed} passed, ${failed} failed${text === "" ? ": the tests have written no report" : ""}`)
process.exitCode = failed === 0 && passed > 0 ? 0 : 1
