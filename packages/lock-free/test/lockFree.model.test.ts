/** Random commands, against the model that all kinds of pools are compared with. */
import { LockFreePool } from "@effect-pools/lock-free"
import { type Gates, ModelRun } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Scheduler from "effect/Scheduler"
import * as Schema from "effect/Schema"
import { refusing, stepsOf, waiting } from "./subject.ts"

/** `POOL_LONG` plays many more cases, new ones each time. */
const isLong = process.env["POOL_LONG"] === "1"
const budget = isLong ? { runs: 30_000, seed: Date.now() } : { runs: 400, seed: 1 }

const Nothing = Schema.Struct({})

const special = (
  wait: boolean
): ModelRun.Special<LockFreePool.LockFreePool<Gates.Item, Gates.GateFailure>, typeof Nothing.Type, never> => ({
  options: Nothing,
  make: (gates, { closeGrace = 0, max, name, steps, ...settings }) =>
    LockFreePool.make<Gates.Item, Gates.GateFailure>({
      ...stepsOf(gates, steps.includes("reset")),
      scale: { mode: "auto", maximum: max },
      name,
      wait,
      closeGrace,
      acquireTimeout: settings.acquireTimeout,
      maxWaiters: settings.maxWaiters
    }).pipe(Effect.provideService(Scheduler.MaxOpsBeforeYield, Infinity)),
  look: function* ({ admission, store }) {
    let idle = 0
    let used = 0
    for (const { state } of store.all) {
      if (state === "idle") idle++
      if (state === "used") used++
    }
    if (idle !== admission.idle || idle !== store.idle.size)
      yield `${idle} items are idle, ${store.idle.size} are listed, ${admission.idle} are counted`
    if (used !== admission.used) yield `${used} items are used, ${admission.used} are counted`
    if (store.all.size !== idle + used) yield `${store.all.size - idle - used} items are neither`
  }
})

describe("a lock-free pool", () => {
  for (const [how, kind, wait] of [
    ["wait", waiting, true],
    ["are refused", refusing, false]
  ] as const) {
    it.live(
      `whose callers ${how} does what the model says, seed ${budget.seed}`,
      () =>
        Effect.gen(function* () {
          const { commands, runs } = yield* ModelRun.check(kind, { ...budget, length: 120 }, special(wait))
          assert.strictEqual(runs, budget.runs)
          assert.isAbove(commands, runs * 20)
        }),
      isLong ? 3_600_000 : 60_000
    )
  }
})
