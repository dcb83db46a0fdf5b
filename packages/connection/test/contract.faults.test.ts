import { ConnectionPool } from "@effect-pools/connection"
import { assert, describe, it } from "@effect/vitest"
import { Contract, type Gates, type Subject } from "@effect-pools/testing"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Schedule from "effect/Schedule"
import { TestClock } from "effect/testing"
import { subject } from "./subject.ts"

/** Whether a case finds something wrong. A broken pool may well let it wait for ever. */
const finds = ({ run }: Contract.Case): Effect.Effect<boolean> =>
  Effect.scoped(run).pipe(
    Effect.provide(TestClock.layer()),
    Effect.timeout("2 seconds"),
    Effect.exit,
    Effect.provideService(Logger.CurrentLoggers, new Set()),
    Effect.map((exit) => exit._tag === "Failure" && Cause.squash(exit.cause) instanceof Contract.ContractViolation)
  )

interface Fault {
  readonly invariant: Contract.Invariant
  /** Words in the names of the cases that are to find it. */
  readonly about: string
  readonly make: Subject.Definition<Gates.Item>["make"]
}

const without =
  (step: Subject.Settings["steps"][number]): Fault["make"] =>
  (gates, settings) =>
    subject.make(gates, { ...settings, steps: settings.steps.filter((other) => other !== step) })

/** What only a pool of connections can get wrong: the traits that the test pool lacks. */
const faults: Record<string, Fault> = {
  "does not validate": { invariant: 7, about: "validate", make: without("validate") },
  "does not reset": { invariant: 7, about: "reset", make: without("reset") },
  "does not check": { invariant: 12, about: "check", make: without("check") },
  "lets one more share a connection": {
    invariant: 1,
    about: "concurrency",
    make: (gates, settings) => subject.make(gates, { ...settings, concurrency: (settings.concurrency ?? 1) + 1 })
  },
  "tries again twenty times a second": {
    invariant: 11,
    about: "attempts",
    make: (gates, { steps: _, ...settings }) =>
      ConnectionPool.make({ ...settings, acquire: gates.make, createRetry: Schedule.spaced(45), breaker: false })
  },
  "does not try again": {
    invariant: 11,
    about: "by itself",
    make: (gates, { steps: _, ...settings }) =>
      ConnectionPool.make({ ...settings, acquire: gates.make, createRetry: Schedule.recurs(0), breaker: false })
  },
  "makes more at a time than maxCreating": {
    invariant: 11,
    about: "maxCreating",
    make: (gates, settings) => subject.make(gates, { ...settings, maxCreating: 50 })
  },
  "lets a validation hang": {
    invariant: 7,
    about: "validate: hang",
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
  for (const [name, { about, invariant, make }] of Object.entries(faults)) {
    it.live(`finds a connection pool that ${name}, by invariant ${invariant}`, () =>
      Effect.gen(function* () {
        let found: string | undefined
        for (const each of Contract.cases({ ...subject, make })) {
          if (found !== undefined || each.invariant !== invariant || !each.name.includes(about)) continue
          if (yield* finds(each)) found = each.name
        }
        assert.isDefined(found)
      })
    )
  }
})
