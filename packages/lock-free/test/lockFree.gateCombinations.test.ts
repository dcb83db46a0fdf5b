import { describe, expect, it } from "@effect/vitest"
import { GateCombinations } from "@effect-pools/testing"
import * as Effect from "effect/Effect"
import { refusing, waiting } from "./subject.ts"

describe("every combination of gates under cancellation", () => {
  for (const [how, kind] of [
    ["wait", waiting],
    ["are refused", refusing]
  ] as const) {
    it.live(
      `leaves a lock-free pool sound whose callers ${how}`,
      () =>
        Effect.gen(function* () {
          const combinations = [...GateCombinations.all(kind), ...GateCombinations.pairwise(kind)]
          const report = yield* GateCombinations.run(kind, { combinations, plays: 4 })
          GateCombinations.expectSound(report)
          expect(report.plays).toBe(4 * report.combinations)
          expect(report.begun.create).toBeGreaterThan(report.plays)
        }),
      60_000
    )
  }
})
