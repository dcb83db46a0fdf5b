/** Builds all packages into `dist`, from nothing, so that no file of a deleted module is left. */
import { globSync, rmSync } from "node:fs"
import { join } from "node:path"
import { root, run } from "./workspace.ts"

for (const dist of globSync("packages/*/dist", { cwd: root })) rmSync(join(root, dist), { recursive: true })
process.exitCode = run("tsc", ["-b"]) ? 0 : 1
