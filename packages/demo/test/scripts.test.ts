import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { failures, totals } from "../../../scripts/test-report.ts"
import { selectTests } from "../../../scripts/test-selection.ts"
import { root } from "../../../scripts/workspace.ts"

describe("the selection of tests", () => {
  for (const [args, selected] of [
    [[], []],
    [["core"], ["--project", "core"]],
    [["postgres"], ["--project", "postgres", "--project", "postgres:integration"]],
    [
      ["core", "arena", "-t", "a name"],
      ["--project", "core", "--project", "arena", "-t", "a name"]
    ],
    [
      ["-t", "core", "core"],
      ["-t", "core", "--project", "core"]
    ],
    [["admission"], ["admission"]],
    [
      ["--project", "!*:integration"],
      ["--project", "!*:integration"]
    ]
  ] as const) {
    it(`by ${JSON.stringify(args.join(" "))}`, () => {
      assert.deepStrictEqual(selectTests(args), [...selected])
    })
  }
})

describe("the totals of the tests", () => {
  const script = join(root, "scripts/test-totals.ts")
  const test = { status: "passed", fullName: "a test", failureMessages: [] }
  const passed = { name: "good.test.ts", status: "passed", message: "", assertionResults: [test] }
  const unloadable = { name: "unloadable.test.ts", status: "failed", message: "no such module", assertionResults: [] }
  const failed = {
    name: "bad.test.ts",
    status: "failed",
    message: "",
    assertionResults: [
      { status: "failed", fullName: "a bad test", failureMessages: ["expected 1", "expected 2"] },
      test
    ]
  }
  const report = { numPassedTests: 3, numFailedTests: 0, success: true, testResults: [passed] }

  it("are the tests that passed and failed", () => {
    assert.deepStrictEqual(totals({ ...report, typesPassed: true }), { passed: 3, failed: 0 })
    assert.deepStrictEqual(totals({ ...report, numFailedTests: 1, success: false, testResults: [passed, failed] }), {
      passed: 3,
      failed: 1
    })
  })

  for (const [what, broken] of [
    ["a file that cannot be loaded", { success: false, testResults: [passed, unloadable] }],
    ["type tests", { typesPassed: false }],
    ["a failure of no test", { success: false }]
  ] as const) {
    it(`count ${what} as failed`, () => {
      assert.deepStrictEqual(totals({ ...report, ...broken }), { passed: 3, failed: 1 })
    })
  }

  it("come with what failed and why", () => {
    assert.deepStrictEqual(failures({ ...report, testResults: [passed, failed, unloadable] }), [
      { what: "bad.test.ts: a bad test", why: "expected 1\nexpected 2" },
      { what: "unloadable.test.ts", why: "no such module" }
    ])
  })

  const folder = mkdtempSync(join(tmpdir(), "effect-pools-totals-"))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it("are the last line, below what failed", () => {
    const file = join(folder, "report.json")
    writeFileSync(file, JSON.stringify({ ...report, numFailedTests: 1, success: false, testResults: [failed] }))
    const { status, stdout } = spawnSync(process.execPath, [script, file], { encoding: "utf8" })
    assert.strictEqual(stdout, "FAILED: bad.test.ts: a bad test\nexpected 1\nexpected 2\n\n3 passed, 1 failed\n")
    assert.strictEqual(status, 1)
  })

  it("say in one line that there is no report", () => {
    const empty = join(folder, "empty.json")
    writeFileSync(empty, "")
    for (const file of [empty, join(folder, "missing.json")]) {
      const { status, stderr, stdout } = spawnSync(process.execPath, [script, file], { encoding: "utf8" })
      assert.strictEqual(stdout, "0 passed, 1 failed: the tests have written no report\n")
      assert.strictEqual(stderr, "")
      assert.strictEqual(status, 1)
    }
  })
})
