/** That guards leave nothing behind, however many there were. */
import { LockFreePool } from "@effect-pools/lock-free"
import { Footprint } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"

/** Bytes that may stay with a guard, on average: less than anything that a pool could keep of it. */
const BOUND = 8
const UNITS = 4000

describe("guards", () => {
  it.live(
    "leave nothing behind",
    () =>
      Effect.gen(function* () {
        const pool = yield* LockFreePool.make({
          create: () => ({}),
          reset: () => true,
          scale: { mode: "auto", maximum: 2 }
        })
        const lease = Effect.sync(() => LockFreePool.getOrThrowUnsafe(pool)[Symbol.dispose]())
        const round = Effect.repeat(lease, { times: UNITS - 1 })
        const { perUnit } = yield* Footprint.growth({ round, units: UNITS, rounds: 8 })
        assert.isBelow(perUnit, BOUND)
        assert.deepInclude(LockFreePool.statsUnsafe(pool), { used: 0, created: 1 })
        assert.strictEqual(pool.store.guards.abandoned, 0)
      }),
    60_000
  )
})
