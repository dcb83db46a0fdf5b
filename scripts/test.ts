/**
 * Runs all tests: those of Vitest, then the type tests.
 *
 * Arguments go to Vitest, and then the type tests are left out. `TEST_REPORT` names a file for Vitest's JSON report.
 */
import { globSync } from "node:fs"
import { root, run } from "./workspace.ts"

const args = process.argv.slice(2)
const report = process.env.TEST_REPORT
const reporters = report ? ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`] : []

let passed = run("vitest", ["run", "--config", "vitest.workspace.ts", ...reporters, ...args])

if (args.length === 0 && globSync("packages/*/typetest/**/*.tst.ts", { cwd: root }).length > 0) {
  // Type tests are driven through the compiler's JavaScript API, which TypeScript 7 no longer has.
  const env = { TSTYCHE_TYPESCRIPT_MODULE: import.meta.resolve("@typescript/typescript6") }
  passed = run("tstyche", [], { env }) && passed
}

process.exitCode = passed ? 0 : 1
