import { describe, expect, it } from "@effect/vitest"
import { GateCombinations } from "@effect-pools/testing"
import * as Effect from "effect/Effect"
import { busy, subject } from "./subject.ts"

describe("every combination of gates under cancellation", () => {
  for (const [how, kind] of [
    ["as it is", subject],
    ["that zeroes, releases and drops what is idle", busy]
  ] as const) {
    it.live(
      `leaves a pool sound ${how}`,
      () =>
        Effect.gen(function* () {
          const combinations = [...GateCombinations.all(kind), ...GateCombinations.pairwise(kind)]
          const report = yield* GateCombinations.run(kind, { combinations, plays: 10 })
          GateCombinations.expectSound(report)
          expect(report.plays).toBe(10 * report.combinations)
          expect(report.begun.create).toBeGreaterThan(report.plays)
          expect(report.begun.destroy).toBeGreaterThan(report.plays)
        }),
      60_000
    )
  }
})
