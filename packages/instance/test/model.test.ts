/** Random commands, against the model that all kinds of pools are compared with. */
import { InstancePool } from "@effect-pools/instance"
import { type Gates, ModelRun } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { subject } from "./subject.ts"

/** `POOL_LONG` plays many more cases, new ones each time. */
const isLong = process.env["POOL_LONG"] === "1"
const budget = isLong ? { runs: 30_000, seed: Date.now() } : { runs: 400, seed: 1 }

const Own = Schema.Struct({ preparedMaxAge: Schema.optionalKey(Schema.Literals([200, 2000])) })

const special: ModelRun.Special<InstancePool.InstancePool<Gates.Item, Gates.GateFailure>, typeof Own.Type, never> = {
  options: Own,
  make: (gates, { concurrency: _sharers, maxCreating: _limit, min, steps: _steps, ...settings }, options) =>
    InstancePool.make({ ...settings, ...options, create: gates.make, onExhausted: "wait", prepare: min }),
  look: function* ({ admission, store }) {
    let prepared = 0
    let used = 0
    for (const { state } of store.all) {
      if (state === "prepared") prepared++
      if (state === "used") used++
    }
    if (prepared !== admission.idle) yield `${prepared} instances are prepared, ${admission.idle} are counted`
    if (used !== admission.used) yield `${used} instances are used, ${admission.used} are counted`
    if (store.all.size !== prepared + used) yield `${store.all.size - prepared - used} instances are neither`
    if (admission.idle > admission.min && admission.lifecycle !== "closed")
      yield `${admission.idle} instances are prepared, and only ${admission.min} to be`
    const { retiring } = store
    if (retiring < 0 || retiring > admission.destroying)
      yield `${retiring} of ${admission.destroying} ends concern nobody`
  }
}

describe("an instance pool", () => {
  it.live(
    `does what the model says, seed ${budget.seed}`,
    () =>
      Effect.gen(function* () {
        const { commands, runs } = yield* ModelRun.check(subject, { ...budget, length: 120 }, special)
        assert.strictEqual(runs, budget.runs)
        assert.isAbove(commands, runs * 20)
      }),
    isLong ? 3_600_000 : 60_000
  )
})
