/**
 * The tests that mutants of `core` and `connection` have to face: those two packages' own, without the slow ones (interrupt
 * sweep, model runs, gates, audits, spike, endurance) and the tests of the tests.
 *
 * Mutants live in a copy of the repository, whose `node_modules` lead back to the original: so packages are resolved by
 * their path in it.
 */
import { join } from "node:path"
import { defineConfig } from "vitest/config"

const root = import.meta.dirname
const tests = (packages: string, ...folders: ReadonlyArray<string>) =>
  join("packages", packages, "test", ...folders, "*.test.ts")

const sources = (name: string) => [
  { find: new RegExp(`^@effect-pools/${name}$`), replacement: join(root, "packages", name, "src", "index.ts") },
  { find: new RegExp(`^@effect-pools/${name}/(.+)$`), replacement: join(root, "packages", name, "src", "$1.ts") }
]

export default defineConfig({
  resolve: { alias: ["core", "connection", "testing"].flatMap(sources) },
  test: {
    isolate: false,
    fsModuleCache: false,
    projects: [
      // A mutant that strands a waiter is found by a test that never ends.
      {
        extends: true,
        test: {
          name: "pools",
          include: [tests("{core,connection}")],
          exclude: [
            "**/*.integration.test.ts",
            "**/{sweep,model,gates,auditor,spike,contract.faults,endurance*}.test.ts"
          ],
          testTimeout: 3000,
          env: { POOL_SEEDS: "20" }
        }
      },
      // These go through millions of steps, each of which is counted.
      { extends: true, test: { name: "data", include: [tests("core", "data")], testTimeout: 60_000 } }
    ]
  }
})
