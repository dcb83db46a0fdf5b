import { describe, expect, it } from "@effect/vitest"
import { GateCombinations } from "@effect-pools/testing"
import * as Effect from "effect/Effect"
import { subject } from "./subject.ts"

describe("every combination of gates under cancellation", () => {
  it.live(
    "leaves a pool sound",
    () =>
      Effect.gen(function* () {
        const combinations = [...GateCombinations.all(subject), ...GateCombinations.pairwise(subject)]
        const report = yield* GateCombinations.run(subject, { combinations, plays: 10 })
        GateCombinations.expectSound(report)
        expect(report.plays).toBe(10 * report.combinations)
        expect(report.begun.create).toBeGreaterThan(report.plays)
        expect(report.begun.destroy).toBeGreaterThan(report.plays)
      }),
    60_000
  )
})
