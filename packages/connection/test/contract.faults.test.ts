import { ConnectionPool } from "@effect-pools/connection"
import { assert, describe, it } from "@effect/vitest"
import { Contract, type Gates, type Subject } from "@effect-pools/testing"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Schedule from "effect/Schedule"
import { TestClock } from "effect/testing"
import { subject } from "./subject.ts"

/** Whether a case finds something wrong. */
const finds = ({ run }: Contract.Case): Effect.Effect<boolean> =>
  Effect.scoped(run).pipe(
    Effect.provide(TestClock.layer()),
    Effect.exit,
    Effect.provideService(Logger.CurrentLoggers, new Set()),
    Effect.map((exit) => exit._tag === "Failure" && Cause.squash(exit.cause) instanceof Contract.ContractViolation)
  )

interface Fault {
  readonly invariant: Contract.Invariant
  /** The end of the name of the case that is to find it. */
  readonly foundBy: string
  readonly make: Subject.Definition<Gates.Item>["make"]
}

const without =
  (step: Subject.Settings["steps"][number]): Fault["make"] =>
  (gates, settings) =>
    subject.make(gates, { ...settings, steps: settings.steps.filter((other) => other !== step) })

/** What only a pool of connections can get wrong: the traits that the test pool lacks. */
const faults: Record<string, Fault> = {
  "does not validate": {
    invariant: 7,
    foundBy: "validate: fail: the item is destroyed, and the caller gets another",
    make: without("validate")
  },
  "does not reset": {
    invariant: 7,
    foundBy: "reset: fail: the item is destroyed, and the next caller gets another",
    make: without("reset")
  },
  "does not check": { invariant: 12, foundBy: "check: fail: is told", make: without("check") },
  "lets one more share a connection": {
    invariant: 1,
    foundBy: "with concurrency 2 an item is in two hands, and never in three",
    make: (gates, settings) => subject.make(gates, { ...settings, concurrency: (settings.concurrency ?? 1) + 1 })
  },
  "tries again twenty times a second": {
    invariant: 11,
    foundBy: "attempts are the backoff's, with 1 waiting",
    make: (gates, { steps: _, ...settings }) =>
      ConnectionPool.make({ ...settings, acquire: gates.make, createRetry: Schedule.spaced(45), breaker: false })
  },
  "does not try again": {
    invariant: 11,
    foundBy: "service resumes by itself for those who wait",
    make: (gates, { steps: _, ...settings }) =>
      ConnectionPool.make({ ...settings, acquire: gates.make, createRetry: Schedule.recurs(0), breaker: false })
  },
  "makes more at a time than maxCreating": {
    invariant: 11,
    foundBy: "attempts that hang are at most maxCreating",
    make: (gates, settings) => subject.make(gates, { ...settings, maxCreating: 50 })
  },
  "lets a validation hang": {
    invariant: 7,
    foundBy: "validate: hang: the item is destroyed, and the caller gets another",
    make: (gates, { steps: _, ...settings }) =>
      ConnectionPool.make({
        ...settings,
        acquire: gates.make,
        validate: gates.onValidate,
        validateAfterIdle: 0,
        validationTimeout: Infinity
      })
  }
}

describe("the contract suite", () => {
  for (const [name, { foundBy, invariant, make }] of Object.entries(faults)) {
    it.live(`finds a connection pool that ${name}, by invariant ${invariant}: ${foundBy}`, () =>
      Effect.gen(function* () {
        const [found] = Contract.cases({ ...subject, make }).filter(
          (each) => each.invariant === invariant && each.name.endsWith(`: ${foundBy}`)
        )
        assert.isDefined(found)
        assert.isTrue(yield* finds(found))
      })
    )
  }
})
