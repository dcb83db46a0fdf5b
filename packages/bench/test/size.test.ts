/** What a bundler makes of a program with one pool, `effect` left out. See `docs/decisions/0016-bundle-size.md`. */
import { expect, it } from "@effect/vitest"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import { rolldown } from "rolldown"

const bundle = async () => {
  const bundling = await rolldown({
    input: fileURLToPath(new URL("../src/examples/ConnectionPool.ts", import.meta.url)),
    external: /^effect(\/|$)/,
    platform: "node"
  })
  const { output } = await bundling.generate({ format: "esm", minify: true })
  const { code, modules } = output[0]
  const used = Object.entries(modules).filter(([, { renderedLength }]) => renderedLength > 0)
  return { size: gzipSync(code, { level: 9 }).length, files: used.map(([file]) => file.replace(/.*\/packages\//, "")) }
}

it("a pool is bundled without what it does not use: budgets, maps, leases in plain code", async () => {
  const { files, size } = await bundle()
  expect(files).toContain("core/src/Admission.ts")
  for (const unused of [
    "core/src/internal/dealings.ts",
    "core/src/internal/localBudget.ts",
    "core/src/internal/permits.ts",
    "core/src/SynchronousStore.ts",
    "core/src/SynchronousLeases.ts",
    "connection/src/ConnectionPoolMap.ts",
    "connection/src/internal/members.ts"
  ])
    expect(files).not.toContain(unused)
  expect(size).toBeLessThan(20 * 1024)
})
