/**
 * The code examples of this workspace: every block marked `ts` in a documentation comment of a package's source. Tests
 * check their types and run them, in `packages/demo`, which may import every package.
 */
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join, relative } from "node:path"
import { root } from "./workspace.ts"

export interface Example {
  /** The file and line at which it begins, such as `packages/core/src/PoolError.ts:158`. */
  readonly place: string
  readonly code: string
  /** The constant that the example ends with: its program, if it is an effect. */
  readonly result: string | undefined
  /** It talks to a real server, or reads a plugin that is not there: it is only checked and loaded. */
  readonly needsMore: boolean
}

const NOT_HERE = /from "@effect-pools\/(?:postgres|redis|ipc|fleet)"|\bExtismPool\b/

export const collectExamples = (): Array<Example> =>
  globSync("packages/*/src/**/*.ts", { cwd: root })
    .sort()
    .flatMap((file) => examplesOf(file.replaceAll("\\", "/")))

const examplesOf = (file: string): Array<Example> => {
  const examples: Array<Example> = []
  let block: Array<string> | undefined
  readFileSync(join(root, file), "utf8")
    .split("\n")
    .forEach((whole, index) => {
      const line = whole.replace(/^\s*\* ?/, "")
      if (block === undefined) {
        if (line === "```ts" && line !== whole) block = []
      } else if (line === "```") {
        examples.push(exampleOf(`${file}:${index - block.length + 1}`, block.join("\n")))
        block = undefined
      } else block.push(line)
    })
  if (block !== undefined) throw new Error(`${file} has an example that does not end`)
  return examples
}

const exampleOf = (place: string, code: string): Example => ({
  place,
  code,
  result: Array.from(code.matchAll(/^(?:export )?const (\w+)/gm), ([, name]) => name).at(-1),
  needsMore: NOT_HERE.test(code)
})

export interface ExampleFile extends Example {
  /** Exports the example's result as its default. */
  readonly path: string
}

/** Writes each example into a file of `folder`, emptied before, with a tsconfig.json to check them by. */
export const writeExamples = (folder: string, examples: ReadonlyArray<Example>): Array<ExampleFile> => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const config = {
    extends: join(relative(folder, root), "tsconfig.base.json").replaceAll("\\", "/"),
    compilerOptions: {
      types: ["node"],
      noEmit: true,
      composite: false,
      incremental: false,
      declaration: false,
      declarationMap: false,
      rewriteRelativeImportExtensions: false,
      noUnusedLocals: false
    },
    include: ["*.ts"]
  }
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config, undefined, 2))
  return examples.map((example) => {
    const path = join(folder, `${example.place.replaceAll(/[^\w.]+/g, "-").replaceAll(".", "-")}.ts`)
    const ending = example.result === undefined ? "export {}" : `export default ${example.result}`
    // The line numbers of the compiler's complaints are those of the file the example stands in.
    const firstLine = Number(example.place.slice(example.place.lastIndexOf(":") + 1))
    writeFileSync(path, `${"\n".repeat(firstLine - 1)}${example.code}\n\n${ending}\n`)
    return { ...example, path }
  })
}
