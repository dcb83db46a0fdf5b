import { GateCombinations } from "@effect-pools/testing"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { faults } from "./faults.ts"
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
    expect(GateCombinations.all(synchronous)).toHaveLength(27)
    const poorer = { ...nonBlocking, lacks: { ...nonBlocking.lacks, reset: "items are handed out as they are" } }
    expect(GateCombinations.all(poorer).map(GateCombinations.describe)).toEqual([
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

describe("the combinations find a pool that", () => {
  for (const name of [
    "makes one item more than max",
    "forgets that an item which is being destroyed has its place",
    "takes no item away when max shrinks",
    "gives an item back twice",
    "destroys an item twice",
    "keeps the item of a body that died",
    "does not destroy what is idle when it closes",
    "does not hand a returned item to who waits",
    "resumes without serving anybody",
    "does not look at who waits when max grows",
    "loses the place of a failed creation",
    "loses the place of an item whose finalizer fails",
    "keeps the place of a waiter that leaves",
    "hands out what was invalidated",
    "destroys an invalidated item under its holder",
    "hands an item to two callers",
    "forgets a waiter when it closes",
    "interrupts those who wait when it closes",
    "stays in the registry",
    "leaves its metrics behind",
    "leaves a fiber behind",
    "leaves a timer behind",
    "lets callers in while it drains",
    "closes before its leases have ended",
    "serves while suspended"
  ]) {
    it.live(name, () =>
      Effect.gen(function* () {
        const report = yield* GateCombinations.run(faults[name]!.subject, { plays: 4 })
        expect(report.faults.length).toBeGreaterThan(0)
        expect(() => GateCombinations.expectSound(report)).toThrow(GateCombinations.FaultsFound)
      })
    )
  }
})
