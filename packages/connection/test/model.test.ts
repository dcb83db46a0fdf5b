import { type Gates, ModelRun, type Subject } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type Pool, special } from "./model.support.ts"
import { subject } from "./subject.ts"

/** `POOL_LONG` plays many more cases, new ones each time. */
const isLong = process.env["POOL_LONG"] === "1"
const seeds = isLong ? [Date.now()] : [1, 2, 3]
const runs = isLong ? 60_000 : 250

describe("the connection pool", () => {
  for (const seed of seeds) {
    it.live(
      `does what the model says, with every option, seed ${seed}`,
      () =>
        Effect.gen(function* () {
          const { commands, steps } = yield* ModelRun.check(subject, { seed, runs, length: 120 }, special)
          assert.isAbove(commands, runs * 30)
          assert.isAbove(steps, commands * 10)
        }),
      isLong ? 3_600_000 : 60_000
    )
  }
})

describe("a model run of the connection pool", () => {
  const changed = (change: (pool: Pool) => void) => ({
    ...special,
    make: (...args: Parameters<typeof special.make>) =>
      Effect.tap(special.make(...args), (pool) => Effect.sync(() => change(pool)))
  })
  const without = (step: Subject.Settings["steps"][number]) => ({
    ...special,
    make: (gates: Gates.Gates, settings: Subject.Settings, options: Parameters<typeof special.make>[2]) =>
      special.make(gates, { ...settings, steps: settings.steps.filter((other) => other !== step) }, options)
  })
  const faults: ReadonlyArray<{
    readonly name: string
    readonly special: typeof special
    readonly invariant: ModelRun.ModelFailure["invariant"]
  }> = [
    { name: "a reset that is left out", special: without("reset"), invariant: 7 },
    { name: "a validation that is left out", special: without("validate"), invariant: 7 },
    {
      name: "a limit of creations that does not hold",
      special: changed(({ admission, store }) => {
        const mayStart = store.creation.mayStart.bind(store.creation)
        store.creation.mayStart = (now, isForWaiter) =>
          mayStart(now, isForWaiter) || (store.creation.failures === 0 && admission.live < admission.max)
      }),
      invariant: 11
    },
    {
      name: "callers that are left to a creation which hangs",
      special: changed(({ admission, store }) => {
        Object.defineProperty(store.supply, "expected", { get: () => admission.creating })
      }),
      invariant: 6
    },
    {
      name: "a failure after which nothing is tried again",
      special: changed(({ store }) => {
        const { creation } = store
        const mayStart = creation.mayStart.bind(creation)
        creation.mayStart = (now, isForWaiter) => creation.failures === 0 && mayStart(now, isForWaiter)
      }),
      invariant: 5
    },
    {
      name: "a connection whose holders are counted wrong",
      special: changed(({ store }) => {
        const invalidate = store.invalidate.bind(store)
        store.invalidate = (item) => {
          const connection = store.find(item)
          if (connection !== undefined && connection.holders > 0) connection.holders++
          invalidate(item)
        }
      }),
      invariant: "look"
    }
  ]
  for (const { invariant, name, special } of faults) {
    it.live(
      `finds ${name}, and plays it again from a text`,
      () =>
        Effect.gen(function* () {
          const found = yield* Effect.flip(ModelRun.check(subject, { runs: 1000, seed: 3 }, special))
          assert.strictEqual(found.invariant, invariant, found.message)
          assert.isAtMost(found.commands.length, 5, found.message)
          const again = yield* Effect.flip(ModelRun.replay(subject, found.replay, special))
          assert.strictEqual(again.message, found.message)
        }),
      60_000
    )
  }
})
