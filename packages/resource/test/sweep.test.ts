import { Resource, ResourcePool } from "@effect-pools/resource"
import { type Gates, InterruptSweep } from "@effect-pools/testing"
import { describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { subject } from "./subject.ts"

type Stage = InterruptSweep.PoolStage<Gates.Item>

/** A pool at rest has the places of idle resources taken, and no others. */
const audit: InterruptSweep.PoolAudit<Gates.Item> = (pool) => {
  if (!ResourcePool.isResourcePool(pool)) return ["it is no resource pool"]
  const { admission, store } = pool
  const { taken } = store.details() as { readonly taken: number }
  const wrong: Array<string> = []
  if (taken !== admission.idle) wrong.push(`${taken} places are taken, ${admission.idle} resources are idle`)
  if (admission.waiters.size > 0 || admission.waiters.ready > 0) wrong.push("somebody is left in line")
  return wrong
}

/** Two resources for one place. */
const pair = Effect.fnUntraced(function* ({ gates, pool }: Stage) {
  if (!ResourcePool.isResourcePool(pool)) return yield* Effect.die("it is no resource pool")
  const one = yield* ResourcePool.create(pool, { name: "one", allocate: gates.make })
  const other = yield* ResourcePool.create(pool, { name: "other", allocate: gates.make })
  return [one, other] as const
})

type Pair = Effect.Success<ReturnType<typeof pair>>

const scenario = (
  settings: { readonly max: number },
  program: (stage: Stage, pair: Pair) => Effect.Effect<unknown, unknown>
): readonly [typeof subject, InterruptSweep.PoolScenario<Gates.Item>] => [
  subject,
  { settings, program: (stage) => Effect.flatMap(pair(stage), (made) => program(stage, made)) }
]

const own: Record<string, readonly [typeof subject, InterruptSweep.PoolScenario<Gates.Item>]> = {
  "resources that take each other's place": scenario({ max: 1 }, ({ body }, [one, other]) =>
    Effect.gen(function* () {
      yield* Resource.use(one, body(Effect.yieldNow))
      yield* Resource.use(other, body(Effect.yieldNow))
      yield* Effect.scoped(Effect.flatMap(Resource.get(one), (it) => body(Effect.yieldNow)(it)))
    })
  ),
  "callers of one resource, and of another that needs its place": scenario(
    { max: 1 },
    ({ body, gates, stage }, [one, other]) =>
      Effect.gen(function* () {
        gates.destroy = 3
        stage.beside(Effect.exit(Resource.use(one, body(Effect.sleep(5)))))
        stage.beside(Effect.exit(Resource.use(one, body(Effect.yieldNow))))
        stage.beside(Effect.exit(Resource.use(other, body(Effect.yieldNow))))
        yield* Effect.sleep(1)
        yield* Resource.use(other, body(Effect.yieldNow))
        yield* Resource.use(one, body(Effect.yieldNow), { wait: false })
      })
  ),
  // Those who have gone on with it may see its end.
  "a resource that is released in the step in which a caller has been given it": scenario(
    { max: 1 },
    ({ gates, stage }, [one]) =>
      Effect.gen(function* () {
        gates.destroy = 2
        const use = Resource.use(one, () => Effect.yieldNow)
        stage.beside(
          Effect.exit(
            Effect.andThen(
              Resource.use(one, () => Effect.sleep(5)),
              Resource.release(one)
            )
          )
        )
        stage.beside(Effect.exit(Effect.andThen(Effect.sleep(1), use)))
        yield* Effect.sleep(1)
        yield* use
        yield* Effect.scoped(Effect.andThen(Resource.get(one), Effect.yieldNow))
      })
  ),
  "release under the lease, and beside it": scenario({ max: 2 }, ({ body, gates, stage }, [one, other]) =>
    Effect.gen(function* () {
      gates.destroy = 2
      yield* Resource.use(one, (it) => Effect.andThen(body(Effect.yieldNow)(it), Resource.release(one)))
      yield* Resource.use(one, body(Effect.yieldNow))
      stage.beside(Resource.scheduleRelease(one))
      stage.beside(Effect.exit(Resource.release(other)))
      yield* Resource.release(one)
      yield* Resource.use(other, body(Resource.scheduleRelease(other)))
    })
  )
}

/** Budgets beyond these were swept on the connection pool: what follows a lease is no other here. */
const budgets = [3, 4, 5, 7, 11, 64]

describe("the lease rule", () => {
  InterruptSweep.suite(subject, it, { audit, budgets, own })
})
