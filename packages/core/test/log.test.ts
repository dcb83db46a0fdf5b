import type { Pool } from "@effect-pools/core"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import { open } from "./fake.ts"

/** What a pool writes into its log during `f`: each line has its level, its message and what caused it. */
const logged = (level: "Debug" | "Info", f: (pool: Pool.Pool<string>) => void) => {
  const lines: Array<unknown> = []
  const logger = Logger.make(({ cause, logLevel, message }) => {
    lines.push([logLevel, message, cause.reasons.length === 0 ? undefined : Cause.squash(cause)])
  })
  return Effect.scoped(Effect.as(Effect.map(open(), f), lines)).pipe(
    Effect.provideService(Logger.CurrentLoggers, new Set([logger])),
    Effect.provideService(References.MinimumLogLevel, level)
  )
}

describe("the log of a pool", () => {
  it.effect("has its warnings, with what caused them if anything did", () =>
    Effect.gen(function* () {
      const lines = yield* logged("Info", ({ admission }) => {
        admission.warn("somebody waits for itself")
        admission.warn("something failed", Cause.fail("a cause"))
      })
      assert.deepStrictEqual(lines, [
        ["Warn", ["somebody waits for itself"], undefined],
        ["Warn", ["something failed"], "a cause"]
      ])
    })
  )

  it.effect("has what was to be expected only for those who look for a fault", () =>
    Effect.gen(function* () {
      const expected = (pool: Pool.Pool<string>) => pool.admission.debug("as expected", Cause.fail("a cause"))
      assert.deepStrictEqual(yield* logged("Info", expected), [])
      assert.deepStrictEqual(yield* logged("Debug", expected), [["Debug", ["as expected"], "a cause"]])
    })
  )
})
