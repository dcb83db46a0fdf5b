/** Prints the totals of one of Vitest's JSON reports, and fails when it counts a failure or no test at all. */
import { readFileSync } from "node:fs"

interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly success: boolean
}

const [file] = process.argv.slice(2)
if (file === undefined) throw new Error("usage: test-totals.ts FILE")
const text = readFileSync(file, "utf8")
if (text === "") throw new Error("The tests have written no report")
const { numFailedTests, numPassedTests, success } = JSON.parse(text) as Report

console.log(`${numPassedTests} passed, ${numFailedTests} failed`)
process.exitCode = success && numPassedTests > 0 ? 0 : 1
