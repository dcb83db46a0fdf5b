import { WorkerInstancePool } from "@effect-pools/worker"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { SHARE_ENV } from "node:worker_threads"
import { options } from "./support.ts"

const refusal = (more: unknown) =>
  Effect.map(
    Effect.flip(Effect.scoped(WorkerInstancePool.make(more as typeof options))),
    ({ _tag, field, pool, rule, value }) => ({ _tag, pool, field, value, rule })
  )

describe("options", () => {
  it.effect("that make no sense are refused by name: pool, field, value, rule", () =>
    Effect.gen(function* () {
      expect(yield* refusal({ ...options, name: "guests", callTimeout: 0 })).toEqual({
        _tag: "InvalidOptions",
        pool: "guests",
        field: "callTimeout",
        value: "0",
        rule: "must be longer than zero"
      })
      expect(yield* refusal({ ...options, name: "guests", max: 0 })).toMatchObject({ pool: "guests", field: "max" })
    })
  )

  const wrong: ReadonlyArray<readonly [field: string, value: unknown, named?: string]> = [
    ["name", ""],
    ["group", undefined],
    ["group", {}],
    ["group", { requests: 1 }],
    ["group", { requests: new Map([["Double", 1]]) }],
    ["spawn", undefined],
    ["spawn", ""],
    ["spawn", "worker.js"],
    ["spawn", "https://example.com/worker.js"],
    ["spawn", new URL("https://example.com/worker.js")],
    ["spawn", 1],
    ["callTimeout", -1],
    ["callTimeout", "soon"],
    ["exitGrace", -1],
    ["exitGrace", Infinity],
    ["env", SHARE_ENV],
    ["env", "PATH"],
    ["env", null],
    ["env", { PORT: 1 }],
    ["argv", "--fast"],
    ["argv", [1]],
    ["execArgv", "--fast"],
    ["execArgv", [null]],
    ["resourceLimits", 64],
    ["resourceLimits", { heap: 64 }, "resourceLimits.heap"],
    ["resourceLimits", { maxOldGenerationSizeMb: 0 }, "resourceLimits.maxOldGenerationSizeMb"],
    ["resourceLimits", { stackSizeMb: "4" }, "resourceLimits.stackSizeMb"],
    // With these the engine would end the process.
    ["resourceLimits", { maxOldGenerationSizeMb: 7.9 }, "resourceLimits.maxOldGenerationSizeMb"],
    ["resourceLimits", { stackSizeMb: 0.4 }, "resourceLimits.stackSizeMb"],
    ["resourceLimits", { codeRangeSizeMb: 513 }, "resourceLimits.codeRangeSizeMb"],
    ["resourceLimits", { maxYoungGenerationSizeMb: NaN }, "resourceLimits.maxYoungGenerationSizeMb"],
    ["create", Effect.void],
    ["prepare", 5],
    ["startTimeout", 1]
  ]
  for (const [field, value, named = field] of wrong) {
    it.effect(`refuse ${field} ${typeof value === "symbol" ? "SHARE_ENV" : JSON.stringify(value)}`, () =>
      Effect.gen(function* () {
        expect(yield* refusal({ ...options, [field]: value })).toMatchObject({ _tag: "InvalidOptions", field: named })
      })
    )
  }

  it.effect("that are none at all are refused", () =>
    Effect.gen(function* () {
      for (const none of [undefined, null, 1, "options"]) {
        expect(yield* refusal(none)).toMatchObject({ _tag: "InvalidOptions", field: "options" })
      }
    })
  )

  it.effect("may be undefined but for group and spawn, and a pool starts nothing by itself", () =>
    Effect.gen(function* () {
      const { group, spawn } = options
      const nothing = {
        env: undefined,
        argv: undefined,
        execArgv: undefined,
        resourceLimits: { stackSizeMb: undefined }
      }
      const pool = yield* WorkerInstancePool.make({ ...nothing, group, spawn, callTimeout: undefined, max: undefined })
      expect(pool.name).toMatch(/^worker-pool-\d+$/)
      expect(pool.admission).toMatchObject({ max: 4, min: 0, live: 0 })
      for (const path of ["/srv/worker.js", "./worker.js", "../worker.js"]) {
        yield* WorkerInstancePool.make({ group, spawn: path })
      }
    }).pipe(Effect.scoped)
  )
})
