/** Where and with what something was measured. */
import { readFileSync } from "node:fs"
import { cpus, totalmem } from "node:os"
import { createRequire } from "node:module"

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly platform: string
}

export type Versions = Record<"node" | "v8" | "effect" | "effect-pools", string>

export const describeMachine = (): Machine => {
  const processors = cpus()
  return {
    cpu: processors[0]?.model.trim() ?? "unknown",
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`
  }
}

export const describeVersions = (): Versions => ({
  node: process.versions.node,
  v8: process.versions.v8,
  effect: versionOf("effect"),
  "effect-pools": versionOf("@effect-pools/connection")
})

const require = createRequire(import.meta.url)

const versionOf = (name: string): string =>
  (JSON.parse(readFileSync(require.resolve(`${name}/package.json`), "utf8")) as { version: string }).version
