import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { groups } from "../src/groups.ts"
import { measure } from "../src/harness.ts"
import { pagesOf } from "../src/report.ts"

it.live(
  "the cases have all that the pages and plots show",
  Effect.fnUntraced(function* () {
    const cases = yield* Effect.forEach(
      ["uncontended", "scoped", "contended", "peers", "memory", "shared", "start"],
      (name) => groups[name]!({ isQuick: true })
    )
    const results = yield* Effect.forEach(cases.flat(), (case_) => {
      const contenders = case_.contenders.map(({ name }, index) => ({ name, run: () => Promise.resolve(index + 1) }))
      return Effect.promise(() => measure({ ...case_, contenders, rounds: 1, warmUp: 0 }))
    })
    const machine = { cpu: "", cores: 1, memoryGiB: 1, platform: "" }
    const versions = { node: "", v8: "", effect: "", "effect-pools": "" }
    const pages = yield* Effect.promise(() => pagesOf({ date: "", command: "", machine, versions, cases: results }))
    expect(pages.map(([file]) => file)).toContain("peers.svg")
  }),
  60_000
)
