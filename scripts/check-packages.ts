/**
 * Checks the published packages as a user gets them: builds, packs and unpacks them beside their dependencies, asks
 * publint and Are The Types Wrong about the tarballs, and imports what came out.
 */
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { publicPackages, readManifest, run } from "./workspace.ts"

const failures: Array<string> = []
const expect = (condition: boolean, message: string): void => {
  if (!condition) failures.push(message)
}

/** The pnpm that runs this script, or the one that npm brings. */
const pnpm = (args: ReadonlyArray<string>, cwd: string): string => {
  const parent = process.env.npm_execpath ?? ""
  const [program, first]: [string, ReadonlyArray<string>] = !parent.includes("pnpm")
    ? ["npx", ["-y", "pnpm@12"]]
    : /\.[cm]?js$/.test(parent)
      ? ["node", [parent]]
      : [parent, []]
  const { error, status, stderr, stdout } = spawnSync(program, [...first, ...args], { cwd, encoding: "utf8" })
  if (error !== undefined || status !== 0) throw error ?? new Error(`pnpm ${args.join(" ")}\n${stdout}${stderr}`)
  return stdout
}

interface Packed {
  readonly filename: string
  readonly files: ReadonlyArray<{ readonly path: string }>
}

const check = (folder: string, work: string): void => {
  const { name } = readManifest(folder)
  const packed = JSON.parse(pnpm(["pack", "--json", "--pack-destination", work], folder)) as Packed

  const unpacked = join(work, "node_modules", name)
  mkdirSync(unpacked, { recursive: true })
  expect(run("tar", ["-xzf", packed.filename, "-C", unpacked, "--strip-components=1"]), `${name}: cannot be unpacked`)
  const manifest = readManifest(unpacked)
  for (const dependency of Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })) {
    const target = join(work, "node_modules", dependency)
    if (dependency.startsWith("@effect-pools/")) continue
    mkdirSync(dirname(target), { recursive: true })
    rmSync(target, { force: true })
    symlinkSync(realpathSync(join(folder, "node_modules", dependency)), target, "junction")
  }

  const text = readFileSync(join(unpacked, "package.json"), "utf8")
  expect(!/"(workspace|catalog):/.test(text), `${name}: the packed manifest still names a workspace or catalog version`)
  const paths = packed.files.map(({ path }) => path)
  expect(!paths.some((path) => path.includes("tsbuildinfo")), `${name}: contains the compiler's build state`)
  expect(paths.includes("LICENSE"), `${name}: contains no licence`)
  expect(run("publint", [packed.filename, "--strict"]), `${name}: publint`)
  expect(
    run("attw", [packed.filename, "--profile", "esm-only", "--no-emoji", "--no-summary"]),
    `${name}: Are The Types Wrong`
  )
}

const work = mkdtempSync(join(tmpdir(), "effect-pools-"))
try {
  if (!run("node", ["scripts/build.ts"])) throw new Error("The packages cannot be built")
  const folders = publicPackages()
  for (const folder of folders) check(folder, work)
  for (const folder of folders) {
    const { name } = readManifest(folder)
    expect(run("node", ["--input-type=module", "-e", `await import("${name}")`], { cwd: work }), `${name}: import`)
  }
} catch (error) {
  failures.push(error instanceof Error ? error.message : String(error))
} finally {
  rmSync(work, { recursive: true, force: true })
}

for (const failure of failures) console.error(`✗ ${failure}`)
process.exitCode = failures.length === 0 ? 0 : 1
