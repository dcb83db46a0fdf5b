import { ConnectionPool } from "@effect-pools/connection"
import * as Effect from "effect/Effect"
import * as Pool from "effect/Pool"
import type { Case } from "../harness.ts"
import { makeWaitFloor } from "../floors.ts"
import { inManyFibers } from "../loops.ts"
import { makeEffects, makeOurs, SIZE } from "../pools.ts"
import type { Effort } from "../settings.ts"

const GOALS: Record<number, number | undefined> = { 100: undefined, 1_000: 3, 10_000: 3 }

/** `use` by many fibers at once on ten items. */
export const makeContended = Effect.fnUntraced(function* ({ isQuick }: Effort) {
  const ours = yield* makeOurs()
  const effects = yield* makeEffects
  const useOurs = ConnectionPool.use(ours, () => Effect.yieldNow)
  const useEffects = Pool.use(effects, () => Effect.yieldNow)
  const floor = makeWaitFloor(Effect.yieldNow)
  return Object.entries(GOALS).map(([key, goal]): Case => {
    const fibers = Number(key)
    const floorOfAll = "floor, all fibers at once"
    const floorOfTen = `floor, ${SIZE} fibers at a time`
    return {
      name: `contended-${fibers}`,
      title: `use, ${fibers.toLocaleString("en")} fibers on ${SIZE} items`,
      method:
        `${fibers.toLocaleString("en")} fibers, made before the clock starts, take turns on ${SIZE} items; ` +
        "the body is Effect.yieldNow. The floors are one Effect.callback resumed from a microtask and one yieldNow, by " +
        `as many fibers at once, and by ${SIZE}, which is how many a pool lets run at a time.`,
      operations: isQuick ? 20_000 : 100_000,
      rounds: isQuick ? 11 : 31,
      contenders: [
        inManyFibers(floorOfAll, fibers, () => floor),
        inManyFibers(floorOfTen, SIZE, () => floor),
        inManyFibers("Pool.use", fibers, () => useEffects),
        inManyFibers("ConnectionPool.use", fibers, () => useOurs)
      ],
      comparisons: [
        { name: "ConnectionPool.use", against: "Pool.use", goal },
        { name: "ConnectionPool.use", against: floorOfAll },
        { name: "ConnectionPool.use", against: floorOfTen }
      ]
    }
  })
})
