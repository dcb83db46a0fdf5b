import { InstancePool } from "@effect-pools/instance"
import { type Gates, InterruptSweep, Subject } from "@effect-pools/testing"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { refusing, subject } from "./subject.ts"

type Stage = InterruptSweep.PoolStage<Gates.Item>
type Scenario = InterruptSweep.PoolScenario<Gates.Item>

/** The store of a pool at rest knows the prepared instances and no others. */
const audit: InterruptSweep.PoolAudit<Gates.Item> = (pool) => {
  if (!InstancePool.isInstancePool(pool)) return ["it is no instance pool"]
  const { idle, min } = pool.admission
  const wrong: Array<string> = []
  const known = pool.store.all.size
  if (known !== idle) wrong.push(`${known} instances are known, ${idle} are prepared`)
  if (idle > min) wrong.push(`${idle} are prepared, and only ${min} to be`)
  return wrong
}

const opened = ({ pool }: Stage): InstancePool.InstancePool<Gates.Item, Gates.GateFailure> => {
  if (!InstancePool.isInstancePool(pool)) throw new Error("it is no instance pool")
  return pool as InstancePool.InstancePool<Gates.Item, Gates.GateFailure>
}

const prepared = (stage: Stage) => {
  const { admission } = stage.pool
  const until: Effect.Effect<void> = Effect.suspend(() =>
    admission.idle >= admission.min ? Effect.void : Effect.andThen(Effect.sleep(1), until)
  )
  return until
}

/** In milliseconds: no shorter, or the sweep would not see the pool at rest. */
const MAX_AGE = 9000

const aging = Subject.make({
  ...subject,
  make: (gates, { min, steps: _steps, concurrency: _sharers, maxCreating: _limit, ...settings }) =>
    InstancePool.make({ ...settings, create: gates.make, onExhausted: "wait", prepare: min, preparedMaxAge: MAX_AGE })
})

/** Takes an instance, and detaches it for a scope within its lease, or beyond. */
const detachFor = (stage: Stage, scope: Scope.Scope) =>
  stage.subject.use(stage.pool, (value) =>
    Effect.andThen(Scope.provide(InstancePool.detach(opened(stage), value), scope), stage.body(Effect.yieldNow)(value))
  )

/** What only instance pools do. */
const own: Record<string, readonly [Subject.Subject<Gates.Item>, Scenario]> = {
  "use, of a prepared instance": [
    subject,
    { settings: { min: 2 }, prepare: prepared, program: (stage) => Effect.andThen(stage.use, stage.get) }
  ],
  "getIfAvailable, of a prepared instance": [
    subject,
    {
      settings: { min: 1 },
      prepare: prepared,
      program: (stage) => Effect.scoped(InstancePool.getIfAvailable(stage.pool))
    }
  ],
  "get, of an instance that is being prepared": [
    subject,
    {
      settings: { min: 1 },
      prepare: (stage) =>
        Effect.andThen(
          prepared(stage),
          Effect.sync(() => (stage.gates.create = 10))
        ),
      program: (stage) => Effect.andThen(stage.use, stage.get)
    }
  ],
  "get, of a prepared instance that grows too old": [
    aging,
    {
      settings: { min: 1, max: 1 },
      prepare: (stage) =>
        Effect.gen(function* () {
          yield* prepared(stage)
          stage.gates.destroy = 10
          yield* Effect.sleep(MAX_AGE - 1)
        }),
      program: (stage) => Effect.sleep(1).pipe(Effect.andThen(stage.use), Effect.andThen(stage.get))
    }
  ],
  "use, refused": [
    refusing,
    { settings: { max: 1 }, prepare: (stage) => stage.occupy, program: (stage) => Effect.exit(stage.use) }
  ],
  "use, refused while another is built": [
    refusing,
    {
      settings: { max: 1 },
      prepare: (stage) => Effect.sync(() => (stage.gates.create = 10)),
      program: (stage) =>
        Effect.all([Effect.exit(stage.use), Effect.exit(stage.get)], { concurrency: 2, discard: true })
    }
  ],
  "detach, beyond the lease": [
    subject,
    { program: (stage) => Effect.scoped(Effect.flatMap(Effect.scope, (scope) => detachFor(stage, scope))) }
  ],
  "detach, for a scope that closes first": [
    subject,
    {
      program: (stage) =>
        stage.subject.use(stage.pool, (value) =>
          Effect.andThen(Effect.scoped(InstancePool.detach(opened(stage), value)), stage.body(Effect.yieldNow)(value))
        )
    }
  ],
  "detach, for a scope that somebody else closes": [
    subject,
    {
      program: (stage) => Effect.andThen(detachFor(stage, stage.scope), Scope.close(stage.scope, Exit.void)),
      disturb: ({ scope, stage }) => void stage.start(Scope.close(scope, Exit.void))
    }
  ]
}

/** The sweep over the connection pool has all: what follows the lease is no other here. */
const budgets = [3, 4, 5, 7, 11, 64]

describe("the lease rule", () => {
  InterruptSweep.suite(subject, it, { audit, budgets, own })

  it.live("finds a detached instance that nobody gives back", () =>
    Effect.gen(function* () {
      const report = yield* InterruptSweep.run(
        InterruptSweep.ofPool(subject, { program: (stage) => detachFor(stage, Scope.makeUnsafe()) }, audit)
      )
      expect(report.leaks.map(({ what }) => what)).toContainEqual(expect.stringMatching(/used is 1/))
    })
  )
})
