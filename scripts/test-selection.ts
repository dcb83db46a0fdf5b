/** What the arguments of `pnpm test` mean to Vitest. */
import { globSync } from "node:fs"
import { join } from "node:path"
import { root } from "./workspace.ts"

const packages = globSync("packages/*/package.json", { cwd: root }).map((manifest) => manifest.split(/[\\/]/)[1]!)

/** Puts a package's projects in the place of its name. What follows an option may be its value, and stays. */
export const selectTests = (args: ReadonlyArray<string>): ReadonlyArray<string> =>
  args.flatMap((arg, index) => {
    const before = args[index - 1] ?? ""
    const isValue = before.startsWith("-") && !before.includes("=")
    return isValue || !packages.includes(arg) ? [arg] : projectsOf(arg).flatMap((name) => ["--project", name])
  })

/** As `vitest.workspace.ts` has them. */
const projectsOf = (name: string): ReadonlyArray<string> => {
  const integrationTests = globSync("test/**/*.integration.test.ts", { cwd: join(root, "packages", name) })
  return integrationTests.length > 0 ? [name, `${name}:integration`] : [name]
}
