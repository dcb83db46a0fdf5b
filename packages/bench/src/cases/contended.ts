import { ConnectionPool } from "@effect-pools/connection"
import * as Effect from "effect/Effect"
import * as Pool from "effect/Pool"
import type { Case } from "../harness.ts"
import { makeQueueFloor, makeWaitFloor } from "../floors.ts"
import { inManyFibers } from "../loops.ts"
import { makeEffects, makeOurs, SIZE } from "../pools.ts"
import type { Effort } from "../settings.ts"

/** How many fibers, and how many times as fast as Effect's own pool we want to be with them. */
const GOALS: ReadonlyMap<number, number> = new Map([
  [100, 3],
  [1_000, 3],
  [10_000, 4]
])

const withFibers = (fibers: number): string => `${fibers.toLocaleString("en")} fibers`

/** `use` by many fibers at once on ten items. */
export const makeContended = Effect.fnUntraced(function* ({ isQuick }: Effort) {
  const ours = yield* makeOurs()
  const effects = yield* makeEffects
  const useOurs = ConnectionPool.use(ours, () => Effect.yieldNow)
  const useEffects = Pool.use(effects, () => Effect.yieldNow)
  const floor = makeWaitFloor(Effect.yieldNow)
  const queue = makeQueueFloor(SIZE, Effect.yieldNow)
  const because = "[decision 3](../decisions/0003-the-shape-of-a-lease.md)"
  const effort = { operations: isQuick ? 20_000 : 100_000, rounds: isQuick ? 5 : 31 }
  const besides = Array.from(GOALS, ([fibers, goal]): Case => {
    const floorOfAll = "floor, all fibers at once"
    const floorOfTen = `floor, ${SIZE} fibers at a time`
    return {
      ...effort,
      name: `contended-${fibers}`,
      title: `use, ${withFibers(fibers)} on ${SIZE} items`,
      method:
        `${withFibers(fibers)}, made before the clock starts, take turns on ${SIZE} items; ` +
        "the body is Effect.yieldNow. The floors are one Effect.callback resumed from a microtask and one yieldNow, by " +
        `as many fibers at once, and by ${SIZE}, which is how many a pool lets run at a time. The bare queue is a counter and` +
        " an array of callbacks, with an exit handler that wakes the next: no pool can do with less that is made of Effect's" +
        " public functions.",
      contenders: [
        inManyFibers(floorOfAll, fibers, () => floor),
        inManyFibers(floorOfTen, SIZE, () => floor),
        inManyFibers("bare queue", fibers, () => queue),
        inManyFibers("Pool.use", fibers, () => useEffects),
        inManyFibers("ConnectionPool.use", fibers, () => useOurs)
      ],
      comparisons: [
        { name: "ConnectionPool.use", against: "Pool.use", goal, because, margin: 0.6 },
        { name: "ConnectionPool.use", against: floorOfAll, goal: 1 / 1.6, because },
        { name: "ConnectionPool.use", against: floorOfTen },
        { name: "ConnectionPool.use", against: "bare queue", margin: 0.65 },
        { name: "bare queue", against: "Pool.use" },
        { name: "bare queue", against: floorOfAll }
      ]
    }
  })
  const growth: Case = {
    ...effort,
    name: "contended-growth",
    title: `use, by the number of fibers on ${SIZE} items`,
    method:
      `As before, with ConnectionPool.use alone: what a lease costs when there are many fibers, against what it costs` +
      " when there are few.",
    contenders: Array.from(GOALS.keys(), (fibers) => inManyFibers(withFibers(fibers), fibers, () => useOurs)),
    comparisons: [{ name: withFibers(10_000), against: withFibers(100), goal: 1 / 2.5, margin: 0.3 }]
  }
  return [...besides, growth]
})
