import { ConnectionPool } from "@effect-pools/connection"
import { Subject } from "@effect-pools/testing"

/** The connection pool, for the suites of `testing`. */
export const subject = Subject.make({
  kind: "connection",
  make: (gates, { steps, ...settings }) =>
    ConnectionPool.make({
      ...settings,
      acquire: gates.make,
      ...(steps.includes("validate") ? { validate: gates.onValidate, validateAfterIdle: 0 } : {}),
      ...(steps.includes("reset") ? { reset: gates.onReset } : {}),
      health: steps.includes("check") ? { check: gates.onCheck } : false
    }),
  item: (connection) => connection,
  lacks: {}
})
