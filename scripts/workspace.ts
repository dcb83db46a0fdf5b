/** What the other scripts know about this workspace. */
import { spawnSync } from "node:child_process"
import { globSync, readFileSync } from "node:fs"
import { delimiter, dirname, join } from "node:path"

export const root = dirname(import.meta.dirname)

export interface Manifest {
  readonly name: string
  readonly version: string
  readonly private?: boolean
  readonly dependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

export const readManifest = (folder: string): Manifest =>
  JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest

/** The folders of the packages that are published. */
export const publicPackages = (): Array<string> =>
  globSync("packages/*/package.json", { cwd: root })
    .map((manifest) => join(root, dirname(manifest)))
    .filter((folder) => readManifest(folder).private !== true)
    .sort()

export interface RunOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly quiet?: boolean
}

/** Runs a program with the workspace's tools first in its PATH, and answers whether it succeeded. */
export const run = (program: string, args: ReadonlyArray<string>, options: RunOptions = {}): boolean => {
  const path = [join(root, "node_modules", ".bin"), process.env.PATH].join(delimiter)
  const result = spawnSync(program, args, {
    cwd: options.cwd ?? root,
    env: { ...process.env, ...options.env, PATH: path },
    shell: process.platform === "win32",
    stdio: ["ignore", options.quiet ? "ignore" : "inherit", "inherit"]
  })
  if (result.error !== undefined) console.error(`${program}: ${result.error.message}`)
  return result.status === 0
}
