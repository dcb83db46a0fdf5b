import { InvalidOptions } from "@effect-pools/core"
import { LockFreePool } from "@effect-pools/lock-free"
import { Gates, Subject } from "@effect-pools/testing"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"

type GateOptions = Pick<
  LockFreePool.Options<Gates.Item, Gates.GateFailure>,
  "create" | "reset" | "destroy" | "catch" | "context"
>

const run = <A>(effect: Effect.Effect<A, Gates.GateFailure>): A => {
  const exit = Effect.runSyncExit(effect)
  if (Exit.isSuccess(exit)) return exit.value
  throw Cause.hasInterruptsOnly(exit.cause) ? new Error("interrupted from within") : Cause.squash(exit.cause)
}

/** The gates as steps in plain code: those that take time are not for them. */
export const stepsOf = (gates: Gates.Gates, resets = true): GateOptions => {
  const scopes = new WeakMap<Gates.Item, Scope.Closeable>()
  return {
    create: () => {
      const scope = Scope.makeUnsafe()
      const item = run(Effect.provideService(gates.make, Scope.Scope, scope))
      scopes.set(item, scope)
      return item
    },
    reset: (item) => !resets || run(gates.onReset(item)) !== false,
    destroy: (item) => run(Scope.close(scopes.get(item)!, Exit.void)),
    catch: (thrown) => {
      if (thrown instanceof Gates.GateFailure) return thrown
      throw thrown
    }
  }
}

/** What pools of this kind don't do, whether effects wait or not. */
const lacks = {
  minimum: "items are made on demand, and ahead by chunks",
  creationLimit: "as many items are made as callers ask for",
  retries: "a creation that fails is the failure of the caller",
  validation: "items are handed out as they are",
  checks: "nobody looks at items that lie idle",
  sharing: "an item has one holder",
  time: "items are made, reset and ended in plain code"
}

const subjectOf = (wait: boolean) =>
  Subject.make({
    kind: "lock-free",
    make: (gates, { closeGrace = 0, max, name, steps, ...settings }) =>
      LockFreePool.make<Gates.Item, Gates.GateFailure>({
        ...stepsOf(gates, steps.includes("reset")),
        // Such a pool may be without bounds, which is not what is asked for here.
        scale: max === Infinity ? { mode: "static", count: max } : { mode: "auto", maximum: max },
        name,
        wait,
        closeGrace,
        acquireTimeout: settings.acquireTimeout,
        maxWaiters: settings.maxWaiters
      }).pipe(
        // What the suites call `max`.
        Effect.mapError(
          ({ field, pool, rule, value }) =>
            new InvalidOptions.InvalidOptions({ pool, field: field.startsWith("scale.") ? "max" : field, value, rule })
        ),
        // Not even the run loop comes in between where an item is made in the caller's own step.
        Effect.provideService(Scheduler.MaxOpsBeforeYield, Infinity)
      ),
    item: (item) => item,
    lacks: wait ? lacks : { ...lacks, waiting: "callers are refused while all are in use" }
  })

/** The lock-free pool, for the suites of `testing`. */
export const waiting = subjectOf(true)
export const refusing = subjectOf(false)
