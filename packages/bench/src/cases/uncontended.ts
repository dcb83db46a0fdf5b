import { ConnectionPool } from "@effect-pools/connection"
import * as Effect from "effect/Effect"
import * as Pool from "effect/Pool"
import type { Case } from "../harness.ts"
import { makeHandlerFloor, makeLeaseFloor } from "../floors.ts"
import { inOneFiber } from "../loops.ts"
import { makeEffects, makeOurs } from "../pools.ts"
import type { Effort } from "../settings.ts"

const body = Effect.succeed(undefined)
const useBody = () => body

/** `use` by one fiber on a warm pool, the effect built once and run again and again, or built for each run. */
export const makeUncontended = Effect.fnUntraced(function* ({ isQuick }: Effort) {
  const ours = yield* makeOurs()
  const effects = yield* makeEffects
  const makers: Record<string, () => Effect.Effect<void, unknown>> = {
    floor: () => makeLeaseFloor(body),
    "floor, no inner suspend": () => makeHandlerFloor(body),
    "Pool.use": () => Pool.use(effects, useBody),
    "ConnectionPool.use": () => ConnectionPool.use(ours, useBody)
  }
  const common = {
    operations: isQuick ? 20_000 : 40_000,
    rounds: isQuick ? 21 : 151,
    overhead: "empty loop",
    comparisons: [
      { name: "ConnectionPool.use", against: "Pool.use", goal: 1.7, margin: 0.6 },
      { name: "ConnectionPool.use", against: "floor", goal: 1 / 1.35, margin: 0.7 },
      { name: "ConnectionPool.use", against: "floor, no inner suspend", goal: 1 / 1.35 }
    ]
  }
  const emptyLoop = inOneFiber("empty loop", () => body)
  const method = "One fiber, Effect.whileLoop, 10 idle items, the body is one prebuilt Effect.succeed"
  const cases: ReadonlyArray<Case> = [
    {
      ...common,
      name: "use-built-once",
      title: "use, uncontended, effect built once",
      method: `${method}. The effect is built once, outside of the loop.`,
      contenders: [
        emptyLoop,
        ...Object.entries(makers).map(([name, make]) => {
          const effect = make()
          return inOneFiber(name, () => effect)
        })
      ]
    },
    {
      ...common,
      name: "use-built-per-call",
      title: "use, uncontended, effect built per call",
      method: `${method}. The effect is built anew for every run.`,
      contenders: [emptyLoop, ...Object.entries(makers).map(([name, make]) => inOneFiber(name, make))]
    }
  ]
  return cases
})
