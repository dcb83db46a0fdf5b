import { GateCombinations, InterruptSweep } from "@effect-pools/testing"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { subject } from "./subject.ts"

const budgets = [3, 4, 5, 7, 64]

describe("the lease rule", () => {
  InterruptSweep.suite(subject, it, { budgets })
})

describe("every combination of gates under cancellation", () => {
  it.live(
    "leaves the pool sound",
    () =>
      Effect.gen(function* () {
        const report = yield* GateCombinations.run(subject, {
          combinations: GateCombinations.pairwise(subject),
          plays: 2
        })
        GateCombinations.expectSound(report)
        expect(report.begun.create).toBeGreaterThan(report.plays)
      }),
    60_000
  )
})
