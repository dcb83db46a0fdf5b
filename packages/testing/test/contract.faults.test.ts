import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { TestClock } from "effect/testing"
import * as Contract from "../src/Contract.ts"
import { faults } from "./faults.ts"
import { subject } from "./subject.ts"

/** Runs a case on its own; what it found, if it found something. */
const violation = ({ run }: Contract.Case): Effect.Effect<Contract.ContractViolation | undefined> =>
  Effect.scoped(run).pipe(
    Effect.provide(TestClock.layer()),
    Effect.exit,
    Effect.provideService(Logger.CurrentLoggers, new Set()),
    Effect.map((exit) => {
      const error = exit._tag === "Failure" ? Cause.squash(exit.cause) : undefined
      return error instanceof Contract.ContractViolation ? error : undefined
    })
  )

describe("the contract suite", () => {
  for (const [name, { breaks, foundBy, subject }] of Object.entries(faults)) {
    const part = typeof breaks === "number" ? `invariant ${breaks}` : breaks
    it.live(`finds a pool that ${name}, by ${part}: ${foundBy}`, () =>
      Effect.gen(function* () {
        const [found] = Contract.cases(subject).filter(
          (each) => each.name.startsWith(part) && each.name.endsWith(`: ${foundBy}`)
        )
        assert.isDefined(found)
        assert.isUndefined(found.skipped)
        const error = yield* violation(found)
        assert.instanceOf(error, Contract.ContractViolation)
      })
    )
  }

  it("has cases for every invariant", () => {
    const invariants = new Set(Contract.cases(subject).map(({ invariant }) => invariant))
    for (let invariant = 1; invariant <= 12; invariant++) assert.isTrue(invariants.has(invariant as Contract.Invariant))
  })

  it("has no two cases of one name", () => {
    const names = Contract.cases(subject).map(({ name }) => name)
    assert.strictEqual(new Set(names).size, names.length)
  })

  it("skips what a kind lacks, with the reason in the name", () => {
    const names: Array<string> = []
    const skip = (name: string) => void names.push(name)
    Contract.suite(
      { ...subject, lacks: { ...subject.lacks, waiting: "nobody waits here" } },
      {
        effect: Object.assign(() => {}, { skip })
      }
    )
    assert.include(names, "invariant 4 (order): by priority, then first come first served (skipped: nobody waits here)")
  })
})
