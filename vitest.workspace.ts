/**
 * The test configuration. Vitest 5 does not look for this name by itself: pass it with `--config`.
 *
 * Every package is a project. Its `*.integration.test.ts` files, which talk to real servers, are a second project that
 * runs when the other tests are done, one file at a time and with longer timeouts.
 */
import { globSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config"

/**
 * In milliseconds, for tests that hang: some that compute take a second, and five times that where others keep the machine
 * busy. Long runs (`pnpm test:long`) take as long as they take, but are not to hang for ever.
 */
const isLong = process.env["POOL_LONG"] === "1"
const timeout = isLong ? 3_600_000 : 30_000
const integrationTimeout = isLong ? 3_600_000 : 60_000

const tests = "test/**/*.test.ts"
const integrationTests = "test/**/*.integration.test.ts"

const projectsOf = (root: string): Array<TestProjectInlineConfiguration> => {
  const name = basename(root)
  const projects: Array<TestProjectInlineConfiguration> = [
    {
      root,
      test: {
        name,
        environment: "node",
        include: [tests],
        exclude: [integrationTests],
        testTimeout: timeout,
        maxWorkers: "100%",
        sequence: { groupOrder: 1 }
      }
    }
  ]
  if (globSync(integrationTests, { cwd: root }).length > 0) {
    projects.push({
      root,
      test: {
        name: `${name}:integration`,
        environment: "node",
        include: [integrationTests],
        testTimeout: integrationTimeout,
        hookTimeout: integrationTimeout,
        maxWorkers: 1,
        sequence: { groupOrder: 2 }
      }
    })
  }
  return projects
}

const roots = globSync("packages/*/package.json", { cwd: import.meta.dirname })
  .sort()
  .map((manifest) => join(import.meta.dirname, dirname(manifest)))

export default defineConfig({
  test: {
    projects: roots.flatMap(projectsOf),
    passWithNoTests: false,
    // It remembers where pnpm had put a dependency, and fails the first run after an update.
    fsModuleCache: false
  }
})
