import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { gzipSync } from "node:zlib"
import * as Effect from "effect/Effect"
import { bundlers, examples, publicPackages, transpile } from "../bundles.ts"
import type { Case, Contender } from "../harness.ts"
import type { Effort } from "../settings.ts"

/** What a bundle may weigh: core and connection. */
const BOUND = "15 KB"

/** What the packages add to a program before it runs: to its start, and to its size. */
export const makeStart = Effect.fnUntraced(function* ({ isQuick }: Effort) {
  const entries = yield* Effect.forEach(publicPackages, (name) =>
    Effect.map(
      Effect.promise(() => transpile(name)),
      (entry) => [name, entry] as const
    )
  )
  const imports: Case = {
    name: "import",
    title: "import of a package",
    method:
      "A process of its own for each sample. It has imported effect; what is timed is the import of the package, with the" +
      " packages of this repository and of others that it needs: JavaScript, a file for each module, no compile cache." +
      " The first row is effect itself, all of it, in a process that has imported nothing.",
    unit: "µs",
    operations: 1,
    rounds: isQuick ? 1 : 11,
    // Nothing of a process is left to the next one.
    warmUp: 0,
    contenders: [
      { name: "effect", run: () => timeOfImport("effect") },
      ...entries.map(([name, entry]): Contender => ({ name, run: () => timeOfImport(entry, "effect") }))
    ],
    comparisons: []
  }

  const bundles = yield* Effect.forEach(examples, ([pool, example]) =>
    Effect.forEach(Object.entries(bundlers), ([bundler, bundle]) =>
      Effect.map(
        Effect.promise(() => bundle(example)),
        (code) => ({ name: `${pool}, ${bundler}`, bytes: Buffer.from(code) })
      )
    )
  ).pipe(Effect.map((bundles) => bundles.flat()))
  const method =
    "A program with one pool as a service, one use of it and its layer (the programs are in" +
    " [examples](../../packages/bench/src/examples)), bundled and minified for Node, with effect left out."
  const size = { method, unit: "bytes", operations: 1, rounds: 1 } as const
  const minified: Case = {
    ...size,
    name: "bundle-minified",
    title: "size of a bundle",
    contenders: bundles.map(({ bytes, name }) => weighing(name, bytes.length)),
    comparisons: []
  }
  const zipped: Case = {
    ...size,
    name: "bundle-gzip",
    title: "size of a bundle, gzip",
    method: `${method} Compressed at level 9.`,
    contenders: [
      ...bundles.map(({ bytes, name }) => weighing(name, gzipSync(bytes, { level: 9 }).length)),
      weighing(BOUND, 15_000)
    ],
    comparisons: Object.keys(bundlers).map((bundler) => ({
      name: `ConnectionPool, ${bundler}`,
      against: BOUND,
      goal: 1,
      because: "[decision 16](../decisions/0016-bundle-size.md)"
    }))
  }
  return [imports, minified, zipped]
})

const weighing = (name: string, bytes: number): Contender => ({ name, run: () => Promise.resolve(bytes) })

const run = promisify(execFile)

/** In milliseconds, in a fresh process that has imported other modules before. */
const timeOfImport = async (module: string, ...before: ReadonlyArray<string>): Promise<number> => {
  const script = [
    ...before.map((name) => `await import(${JSON.stringify(name)})`),
    "const start = performance.now()",
    `await import(${JSON.stringify(module)})`,
    "process.stdout.write(String(performance.now() - start))"
  ]
  const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", script.join("\n")], {
    cwd: import.meta.dirname,
    env: { ...process.env, NODE_DISABLE_COMPILE_CACHE: "1" }
  })
  return Number(stdout)
}
