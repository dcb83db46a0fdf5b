/** That leases leave nothing behind, however many there were. */
import { InstancePool } from "@effect-pools/instance"
import { Footprint } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"

/** Bytes that may stay with a lease, on average: less than anything that a pool could keep of it. */
const bound = 4

interface Instance {
  readonly state: Uint8Array
}

const create: Effect.Effect<Instance> = Effect.sync(() => ({ state: new Uint8Array(64) }))

const use = (pool: InstancePool.InstancePool<Instance>) => InstancePool.use(pool, () => Effect.void)

/** 100,000 in all, the warm-up included. */
const growth = (lease: Effect.Effect<unknown, unknown>) =>
  Footprint.growth({ round: Effect.repeat(lease, { times: 9999 }), units: 10_000, rounds: 8 })

const isFlat = (
  name: string,
  options: Partial<InstancePool.Options<Instance, never, never>>,
  lease: (pool: InstancePool.InstancePool<Instance>) => Effect.Effect<unknown, unknown>
) =>
  it.live(`is flat: ${name}`, () =>
    Effect.gen(function* () {
      const pool = yield* InstancePool.make({ create, ...options })
      const { perUnit } = yield* growth(lease(pool))
      assert.isBelow(perUnit, bound)
      const { acquired, created, released, used } = yield* InstancePool.stats(pool)
      assert.isAtLeast(acquired, 100_000)
      assert.isAtLeast(created, acquired)
      assert.deepStrictEqual({ released, used }, { released: acquired, used: 0 })
    }).pipe(Effect.scoped)
  )

describe("memory over 100,000 leases", { timeout: 300_000 }, () => {
  isFlat("use", {}, use)
  isFlat("use of what is prepared", { prepare: 2 }, use)
  isFlat("get in a scope", {}, (pool) => Effect.scoped(InstancePool.get(pool)))
  isFlat("an instance that is detached", {}, (pool) =>
    Effect.scoped(InstancePool.use(pool, (instance) => InstancePool.detach(pool, instance)))
  )
  isFlat("a caller that is refused", { max: 1 }, (pool) => InstancePool.use(pool, () => Effect.exit(use(pool))))

  it.live("is not flat, and is found out, if something is kept of each", () =>
    Effect.gen(function* () {
      const pool = yield* InstancePool.make({ create })
      const kept: Array<object> = []
      const keeping = InstancePool.use(pool, (instance) =>
        Effect.sync(() => kept.push({ instance: instance.state.length }))
      )
      const { perUnit } = yield* growth(keeping)
      assert.isAbove(perUnit, bound)
    }).pipe(Effect.scoped)
  )
})
