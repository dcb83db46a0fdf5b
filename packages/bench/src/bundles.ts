/** What the packages weigh in a bundle, and their modules as they are published. */
import { accessSync, constants, globSync, mkdirSync, readFileSync } from "node:fs"
import { basename, dirname, isAbsolute, join } from "node:path"
import { pathToFileURL } from "node:url"
import * as esbuild from "esbuild"
import * as rolldown from "rolldown"

const TARGET = "es2024"

/** One file with all that the example needs but `effect`, without what it does not. */
export const bundlers: Record<string, (example: string) => Promise<string>> = {
  async esbuild(example) {
    const { outputFiles } = await esbuild.build({
      entryPoints: [example],
      external: ["effect", "effect/*"],
      bundle: true,
      minify: true,
      format: "esm",
      platform: "node",
      target: TARGET,
      write: false
    })
    return outputFiles[0]!.text
  },
  async rolldown(example) {
    const { output } = await rolldown.build({
      input: example,
      external: /^effect(\/|$)/,
      platform: "node",
      transform: { target: TARGET },
      output: { format: "esm", minify: true },
      write: false
    })
    return output[0].code
  }
}

/** A program with one pool, as a service, each. */
export const examples: ReadonlyMap<string, string> = new Map(
  globSync("examples/*.ts", { cwd: import.meta.dirname })
    .sort()
    .map((file) => [basename(file, ".ts"), join(import.meta.dirname, file)])
)

const packages = join(import.meta.dirname, "../..")

/** The names of those that are published. */
export const publicPackages: ReadonlyArray<string> = globSync("*/package.json", { cwd: packages })
  .filter((manifest) => {
    const { private: isPrivate } = JSON.parse(readFileSync(join(packages, manifest), "utf8")) as { private?: boolean }
    return isPrivate !== true
  })
  .map(dirname)
  .sort()

/** JavaScript, a file for each module, beside what the package imports; answers the URL of its entry. */
export const transpile = async (name: string): Promise<string> => {
  const dir = join(packages, name, "node_modules/.cache/bench")
  // Rolldown panics where it may not write.
  mkdirSync(dir, { recursive: true })
  accessSync(dir, constants.W_OK)
  const { output } = await rolldown.build({
    input: join(packages, name, "src/index.ts"),
    external: (id) => !id.startsWith(".") && !isAbsolute(id) && !id.startsWith("@effect-pools/"),
    platform: "node",
    treeshake: false,
    transform: { target: TARGET },
    output: { dir, cleanDir: true, format: "esm", preserveModules: true, preserveModulesRoot: packages }
  })
  return pathToFileURL(join(dir, output[0].fileName)).href
}
