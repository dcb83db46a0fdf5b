import { ConnectionPool } from "@effect-pools/connection"
import { type Gates, Subject } from "@effect-pools/testing"
import type * as Scope from "effect/Scope"

/** What the suites ask of a pool, as options. */
export const optionsOf = (gates: Gates.Gates, { steps, ...settings }: Subject.Settings) =>
  ({
    ...settings,
    acquire: gates.make,
    ...(steps.includes("validate") ? { validate: gates.onValidate, validateAfterIdle: 0 } : {}),
    ...(steps.includes("reset") ? { reset: gates.onReset } : {}),
    health: steps.includes("check") ? { check: gates.onCheck } : (false as const)
  }) satisfies ConnectionPool.Options<Gates.Item, Gates.GateFailure, Scope.Scope>

/** The connection pool, for the suites of `testing`. */
export const subject = Subject.make({
  kind: "connection",
  make: (gates, settings) => ConnectionPool.make(optionsOf(gates, settings)),
  item: (connection) => connection,
  lacks: {}
})
