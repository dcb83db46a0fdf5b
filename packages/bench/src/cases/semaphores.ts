import { ConnectionPool } from "@effect-pools/connection"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { Case } from "../harness.ts"
import { inManyFibers, inOneFiber } from "../loops.ts"
import { makeOurs, SIZE } from "../pools.ts"
import type { Effort } from "../settings.ts"

const body = Effect.succeed(undefined)

const names = { semaphore: "Semaphore.withPermits", pool: "ConnectionPool.use" }
const comparisons = [{ name: names.pool, against: names.semaphore }]

const METHOD =
  `${SIZE} permits of Effect's Semaphore, against ${SIZE} items of a pool, which also says which one it is, counts and times.` +
  " The effects are built once."

/** A semaphore says how many may; a pool also hands out what they may use. */
export const makeSemaphores = Effect.fnUntraced(function* ({ isQuick }: Effort) {
  const pool = yield* makeOurs()
  const semaphore = yield* Semaphore.make(SIZE)
  const leases = (during: Effect.Effect<void>) => ({
    [names.semaphore]: semaphore.withPermits(1)(during),
    [names.pool]: ConnectionPool.use(pool, () => during)
  })
  const uncontended: Case = {
    name: "semaphore-uncontended",
    title: "a permit of a semaphore, uncontended",
    method: `One fiber, Effect.whileLoop. ${METHOD}`,
    operations: isQuick ? 20_000 : 40_000,
    rounds: isQuick ? 11 : 101,
    overhead: "empty loop",
    contenders: [
      inOneFiber("empty loop", () => body),
      ...Object.entries(leases(body)).map(([name, lease]) => inOneFiber(name, () => lease))
    ],
    comparisons
  }
  const contended = (fibers: number): Case => ({
    name: `semaphore-${fibers}`,
    title: `a permit of a semaphore, ${fibers.toLocaleString("en")} fibers for ${SIZE}`,
    method: `Fibers made before the clock starts take turns; the body is Effect.yieldNow. ${METHOD}`,
    operations: 10_000,
    rounds: isQuick ? 3 : fibers === 10_000 ? 5 : 21,
    contenders: Object.entries(leases(Effect.yieldNow)).map(([name, lease]) => inManyFibers(name, fibers, () => lease)),
    comparisons
  })
  // With most fibers the semaphore takes a second and a half for each round.
  return [uncontended, ...(isQuick ? [100, 1000] : [100, 1000, 10_000]).map(contended)]
})
