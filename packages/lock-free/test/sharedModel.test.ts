import { spawnSync } from "node:child_process"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "@effect/vitest"

const models = join(import.meta.dirname, "../model")
const has = (program: string): boolean => spawnSync(program, ["--version"]).error === undefined
const missing = ["spin", "gcc"].filter((program) =>
  program === "spin" ? spawnSync("spin", ["-V"]).error !== undefined : !has(program)
)
const isLong = process.env["POOL_LONG"] === "1"

const folders: Array<string> = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true })
})

const execute = (folder: string, program: string, ...args: ReadonlyArray<string>): string => {
  const { error, status, stderr, stdout } = spawnSync(program, args, { cwd: folder, encoding: "utf8" })
  if (error !== undefined || status !== 0) throw new Error(`${program} failed: ${stdout}${stderr}`, { cause: error })
  return stdout
}

/** Looks at every state that a model can get into, and answers what the search says in the end. */
const search = (model: string, defines: Record<string, number>): string => {
  const folder = mkdtempSync(join(tmpdir(), "effect-pools-model-"))
  // Small searches are over before an optimized program would have been compiled.
  const optimized = defines["ROUNDS"] === 1 && defines["WORKERS"] === 2 ? "-O0" : "-O1"
  folders.push(folder)
  const flags = Object.entries(defines).map(([name, value]) => `-D${name}=${value}`)
  execute(folder, "spin", ...flags, "-a", join(models, model))
  execute(folder, "gcc", optimized, "-w", "-DSAFETY", "-DCOLLAPSE", "-o", "pan", "pan.c")
  return execute(folder, join(folder, "pan"), "-m2000000")
}

const isWhole = (said: string): boolean => !said.includes("search not completed") && !said.includes("max search depth")

// Where spin is missing, the names of the tests say so.
const suffix = missing.length === 0 ? "" : ` (skipped: there is no ${missing.join(", nor ")})`

describe.skipIf(missing.length > 0)(`the model of shared slots${suffix}`, () => {
  const sizes = [
    { SLOTS: 1, WORKERS: 2, ROUNDS: 1 },
    { SLOTS: 2, WORKERS: 2, ROUNDS: 2 },
    { SLOTS: 1, WORKERS: 2, ROUNDS: 2 },
    { SLOTS: 2, WORKERS: 2, ROUNDS: 2, TOGETHER: 1 },
    { SLOTS: 2, WORKERS: 2, ROUNDS: 2, STOPPED: 1 },
    { SLOTS: 2, WORKERS: 2, ROUNDS: 2, STOPPED: 1, TOGETHER: 1 },
    ...(isLong
      ? [
          { SLOTS: 2, WORKERS: 3, ROUNDS: 1 },
          { SLOTS: 2, WORKERS: 3, ROUNDS: 1, TOGETHER: 1 }
        ]
      : [])
  ]
  const named = sizes.map((size) => [JSON.stringify(size), size] as const)
  it.each(named)("loses no slot, gives none twice and strands nobody: %s", { timeout: 600_000 }, (_, size) => {
    const said = search("sharedSlots.pml", size)
    expect(said).toContain("errors: 0")
    expect(isWhole(said)).toBe(true)
  })

  const small = { SLOTS: 1, WORKERS: 2, ROUNDS: 1 }
  const stopped = { SLOTS: 2, WORKERS: 2, ROUNDS: 2, STOPPED: 1, TOGETHER: 1 }
  const left = [
    ["a second look at what was empty", { ...small, SLOTS: 2, WITHOUT_RECHECK: 1 }, "assertion violated"],
    ["a look for slots before sleeping", { ...small, WITHOUT_SECOND_LOOK: 1 }, "invalid end state"],
    ["a last look at all words", { ...stopped, WITHOUT_LAST_LOOK: 1 }, "invalid end state"],
    ["a look at what terminated threads left undone", { ...small, WITHOUT_REPAIR: 1 }, "assertion violated"]
  ] as const
  it.each(left)("finds what goes wrong without %s", { timeout: 60_000 }, (_, defines, found) => {
    expect(search("sharedSlots.pml", defines)).toContain(found)
  })

  it("has a test for every file", () => {
    expect(readdirSync(models)).toEqual(["sharedSlots.pml"])
  })
})
