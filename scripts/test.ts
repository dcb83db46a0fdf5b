/**
 * Runs all tests: those of Vitest, then the type tests.
 *
 * Arguments go to Vitest, and then the type tests are left out; the name of a package stands for its projects. A
 * selection of no test at all fails. `TEST_REPORT` names a file for Vitest's JSON report, to which is added whether the
 * type tests passed.
 */
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseReport } from "./test-report.ts"
import { selectTests } from "./test-selection.ts"
import { root, run } from "./workspace.ts"

const args = process.argv.slice(2)
const folder = mkdtempSync(join(tmpdir(), "effect-pools-test-"))
const file = process.env.TEST_REPORT || join(folder, "report.json")
const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`]

const readReport = () => {
  try {
    return parseReport(readFileSync(file, "utf8"))
  } catch {
    // Not every command of Vitest's writes one.
    return undefined
  }
}

let passed = run("vitest", ["run", "--config", "vitest.workspace.ts", ...reporters, ...selectTests(args)])
const report = readReport()

// Vitest itself is content when a pattern of names matches nothing.
if (passed && report !== undefined && report.numPassedTests === 0) {
  console.error("No test has run")
  passed = false
}

if (args.length === 0 && globSync("packages/*/typetest/**/*.tst.ts", { cwd: root }).length > 0) {
  // Type tests are driven through the compiler's JavaScript API, which TypeScript 7 no longer has.
  const env = { TSTYCHE_TYPESCRIPT_MODULE: import.meta.resolve("@typescript/typescript6") }
  const typesPassed = run("tstyche", [], { env })
  if (report !== undefined) writeFileSync(file, JSON.stringify({ ...report, typesPassed }))
  passed = typesPassed && passed
}

rmSync(folder, { recursive: true, force: true })
process.exitCode = passed ? 0 : 1
