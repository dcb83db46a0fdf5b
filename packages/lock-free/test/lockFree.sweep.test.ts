import { LockFreePool } from "@effect-pools/lock-free"
import { type Gates, InterruptSweep, Subject } from "@effect-pools/testing"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { refusing, stepsOf, waiting } from "./subject.ts"

type Stage = InterruptSweep.PoolStage<Gates.Item>

/** The store of a pool at rest knows the idle items and no others. */
const audit: InterruptSweep.PoolAudit<Gates.Item> = (pool) => {
  if (!LockFreePool.isLockFreePool(pool)) return ["it is no lock-free pool"]
  const { idle } = pool.admission
  const { abandoned } = pool.store.guards
  const wrong: Array<string> = []
  if (pool.store.all.size !== idle) wrong.push(`${pool.store.all.size} items are known, ${idle} are idle`)
  if (abandoned > 0) wrong.push(`${abandoned} guards were lost`)
  return wrong
}

const opened = ({ pool }: Stage): LockFreePool.LockFreePool<Gates.Item, Gates.GateFailure> => {
  if (!LockFreePool.isLockFreePool(pool)) throw new Error("it is no lock-free pool")
  return pool as LockFreePool.LockFreePool<Gates.Item, Gates.GateFailure>
}

/** As many as there may be, always. */
const fixed = Subject.make({
  ...waiting,
  make: (gates, { closeGrace = 0, max = 2, name, steps }) =>
    LockFreePool.make<Gates.Item, Gates.GateFailure>({
      ...stepsOf(gates, steps.includes("reset")),
      scale: { mode: "static", count: max },
      name,
      wait: true,
      closeGrace
    })
})

/** By chunks, the rest of which is made in the background. */
const growing = Subject.make({
  ...refusing,
  make: (gates, { closeGrace = 0, max, name, steps }) =>
    LockFreePool.make<Gates.Item, Gates.GateFailure>({
      ...stepsOf(gates, steps.includes("reset")),
      scale: { mode: "auto", initial: 1, maximum: max, chunk: 0 },
      name,
      closeGrace
    })
})

const guarded = (stage: Stage) =>
  Effect.acquireUseRelease(
    Effect.sync(() => LockFreePool.getOrThrowUnsafe(opened(stage))),
    ({ value }) => stage.body(Effect.yieldNow)(value),
    (guard) => Effect.sync(() => guard[Symbol.dispose]())
  )

/** What only lock-free pools do. */
const own: Record<string, readonly [Subject.Subject<Gates.Item>, InterruptSweep.PoolScenario<Gates.Item>]> = {
  "a guard in an effect": [waiting, { program: guarded }],
  "use, with a guard out": [
    waiting,
    {
      settings: { max: 1 },
      program: (stage) => Effect.all([guarded(stage), stage.use], { concurrency: 2, discard: true })
    }
  ],
  "use and get, of a static pool": [fixed, { program: (stage) => Effect.andThen(stage.use, stage.get) }],
  "use, of a static pool whose items don't come back clean": [
    fixed,
    {
      settings: { steps: ["reset"] },
      prepare: (stage) => Effect.sync(() => (stage.gates.reset = "false")),
      program: (stage) => Effect.andThen(stage.use, stage.get)
    }
  ],
  "use and get, of a pool that grows by chunks": [
    growing,
    {
      settings: { max: 8 },
      program: (stage) => Effect.all([stage.use, stage.get, stage.use], { concurrency: 3, discard: true })
    }
  ],
  "use, refused": [
    refusing,
    { settings: { max: 1 }, prepare: (stage) => stage.occupy, program: (stage) => Effect.exit(stage.use) }
  ]
}

const budgets = [3, 4, 5, 7, 11, 64]

describe("the lease rule", () => {
  describe("where callers wait", () => {
    InterruptSweep.suite(waiting, it, { audit, budgets, pairs: 30, own })
  })
  describe("where callers are refused", () => {
    InterruptSweep.suite(refusing, it, { audit, budgets, pairs: 30 })
  })

  it.live("finds a guard that nobody disposes", () =>
    Effect.gen(function* () {
      const guards: Array<LockFreePool.Guard<Gates.Item>> = []
      const lose = (stage: Stage) =>
        Effect.sync(() => void guards.push(LockFreePool.getOrThrowUnsafe(opened(stage)))).pipe(
          Effect.andThen(stage.use)
        )
      const report = yield* InterruptSweep.run(InterruptSweep.ofPool(waiting, { program: lose }, audit))
      expect(report.leaks.map(({ what }) => what)).toContainEqual(expect.stringMatching(/used is 1/))
    })
  )
})
