import { ConnectionPool } from "@effect-pools/connection"
import * as Effect from "effect/Effect"
import * as Pool from "effect/Pool"
import type { Case } from "../harness.ts"
import { inOneFiber } from "../loops.ts"
import { makeEffects, makeOurs } from "../pools.ts"
import type { Effort } from "../settings.ts"

/** `get` by one fiber on a warm pool, in a scope of its own. */
export const makeScoped = Effect.fnUntraced(function* ({ isQuick }: Effort) {
  const ours = yield* makeOurs()
  const effects = yield* makeEffects
  const scopedOurs = Effect.scoped(ConnectionPool.get(ours))
  const scopedEffects = Effect.scoped(Pool.get(effects))
  const scopedNothing = Effect.scoped(Effect.void)
  const done = Effect.succeed(undefined)
  const scoped: Case = {
    name: "get-in-a-scope",
    title: "get in a scope, uncontended",
    method: "One fiber, Effect.whileLoop, 10 idle items, Effect.scoped around get, built once.",
    operations: isQuick ? 20_000 : 40_000,
    rounds: isQuick ? 21 : 151,
    overhead: "empty loop",
    contenders: [
      inOneFiber("empty loop", () => done),
      inOneFiber("empty scope", () => scopedNothing),
      inOneFiber("Pool.get", () => scopedEffects),
      inOneFiber("ConnectionPool.get", () => scopedOurs)
    ],
    comparisons: [
      { name: "ConnectionPool.get", against: "Pool.get", goal: 1.2, margin: 0.6 },
      { name: "ConnectionPool.get", against: "empty scope", margin: 0.6 }
    ]
  }
  return [scoped]
})
