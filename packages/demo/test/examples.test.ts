import { spawnSync } from "node:child_process"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { assert, describe, it } from "@effect/vitest"
import { collectExamples, writeExamples } from "../../../scripts/examples.ts"
import { root } from "../../../scripts/workspace.ts"

// Among what is built: ignored by the tools, and in reach of every package.
const folder = join(import.meta.dirname, "../dist/examples")
const examples = writeExamples(folder, collectExamples())

describe("the examples in the documentation", () => {
  it("are found", () => {
    assert.isAbove(examples.length, 3)
    for (const name of ["core", "connection"]) {
      assert.isTrue(
        examples.some(({ place }) => place.startsWith(`packages/${name}/src/`)),
        name
      )
    }
  })

  it("have the right types", { timeout: 120_000 }, () => {
    const tsc = join(root, "node_modules/typescript/bin/tsc")
    const { status, stdout } = spawnSync(process.execPath, [tsc, "-p", folder], { encoding: "utf8" })
    assert.strictEqual(stdout, "")
    assert.strictEqual(status, 0)
  })

  for (const { needsMore, path, place, result } of examples) {
    it.live(
      `${needsMore ? "load" : "run"}: ${place}`,
      () =>
        Effect.gen(function* () {
          const module = (yield* Effect.promise(() => import(path))) as { readonly default?: unknown }
          if (result !== undefined) assert.isDefined(module.default)
          if (!needsMore && Effect.isEffect(module.default)) {
            yield* module.default as Effect.Effect<unknown, unknown, Scope.Scope>
          }
        }),
      60_000
    )
  }
})
