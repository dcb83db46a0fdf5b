import { GateCombinations } from "@effect-pools/testing"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { fresh, nonBlocking, synchronous } from "./kinds.ts"
import { subject } from "./subject.ts"

describe("every combination of gates under cancellation", () => {
  for (const kind of [subject, fresh, synchronous, nonBlocking]) {
    it.live(
      `leaves a ${kind.kind} pool sound`,
      () =>
        Effect.gen(function* () {
          const combinations = [...GateCombinations.all(kind), ...GateCombinations.pairwise(kind)]
          const report = yield* GateCombinations.run(kind, { combinations, plays: 4 })
          GateCombinations.expectSound(report)
          expect(report.plays).toBe(4 * report.combinations)
          expect(report.observations).toBeGreaterThan(50 * report.plays)
          expect(report.begun.create).toBeGreaterThan(report.plays)
        }),
      60_000
    )
  }
})

describe("the combinations", () => {
  it("have neither the steps nor the gates that a kind of pool lacks", () => {
    expect(GateCombinations.all({ ...subject, lacks: {} })).toHaveLength(3125)
    expect(GateCombinations.pairwise({ ...subject, lacks: {} })).toHaveLength(500)
    expect(GateCombinations.all(subject)).toHaveLength(25)
    expect(new Set(GateCombinations.all(subject).map(({ validate }) => validate))).toEqual(new Set(["ok"]))
    expect(GateCombinations.all(synchronous)).toHaveLength(9)
    expect(GateCombinations.all(nonBlocking).map(GateCombinations.describe)).toEqual([
      "all ok",
      "destroy fail",
      "destroy die",
      "create fail",
      "create fail, destroy fail",
      "create fail, destroy die",
      "create die",
      "create die, destroy fail",
      "create die, destroy die"
    ])
  })

  it("are all different", () => {
    const all = [
      ...GateCombinations.all({ ...subject, lacks: {} }),
      ...GateCombinations.pairwise({ ...subject, lacks: {} })
    ]
    expect(new Set(all.map(GateCombinations.describe)).size).toBe(3625)
  })

  it("a run of none is not sound", () => {
    const begun = { create: 0, validate: 0, reset: 0, check: 0, destroy: 0 }
    const report = { combinations: 0, plays: 0, cancellations: 0, observations: 0, begun, faults: [] }
    expect(() => GateCombinations.expectSound(report)).toThrow("no combination")
  })
})
