import { InvalidOptions } from "@effect-pools/core"
import { InstancePool } from "@effect-pools/instance"
import { Subject } from "@effect-pools/testing"
import * as Effect from "effect/Effect"

/** What pools of instances don't do, whether their callers wait or not. */
const lacks = {
  reuse: "each lease has an instance of its own",
  creationLimit: "as many instances are built as callers wait for",
  retries: "a creation that fails is the failure of the caller",
  validation: "an instance that nobody has used needs no validation",
  reset: "no instance is used twice",
  checks: "nobody looks at instances that are prepared",
  sharing: "an instance has one holder"
}

const subjectOf = (onExhausted: "fail" | "wait") =>
  Subject.make({
    kind: "instance",
    make: (gates, { concurrency: _sharers, maxCreating: _limit, min, steps: _steps, ...settings }) =>
      Effect.mapError(
        InstancePool.make({ ...settings, create: gates.make, onExhausted, prepare: min }),
        // What the suites call `min`.
        ({ field, pool, rule, value }) =>
          new InvalidOptions.InvalidOptions({ pool, field: field === "prepare" ? "min" : field, value, rule })
      ),
    item: (instance) => instance,
    lacks: onExhausted === "wait" ? lacks : { ...lacks, waiting: "callers are refused while all are in use" }
  })

/** The instance pool, for the suites of `testing`. */
export const subject = subjectOf("wait")
export const refusing = subjectOf("fail")
