import * as Subject from "../src/Subject.ts"
import * as TestPool from "../src/TestPool.ts"

/** The test pool, for the suites of this package. */
export const subject = Subject.make({
  kind: "test",
  make: (gates, { concurrency: _sharers, maxCreating: _limit, steps: _steps, ...settings }) =>
    TestPool.make({ ...settings, acquire: gates.make }),
  item: (value) => value,
  lacks: {
    creationLimit: "as many items are made as callers wait for",
    retries: "a creation that fails is the failure of the one who waits",
    validation: "items are handed out as they are",
    reset: "items are handed out as they are",
    checks: "nobody looks at items that lie idle",
    sharing: "an item has one holder"
  }
})
