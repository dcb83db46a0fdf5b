/** That leases leave nothing behind, however many there were. */
import { InstancePool } from "@effect-pools/instance"
import { Footprint } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

/** Bytes that may stay with a lease, on average: less than anything that a pool could keep of it. */
const bound = 8

interface Instance {
  readonly state: Uint8Array
}

const create: Effect.Effect<Instance> = Effect.sync(() => ({ state: new Uint8Array(64) }))

const same: Instance = { state: new Uint8Array(64) }

const use = (pool: InstancePool.InstancePool<Instance>) => InstancePool.use(pool, () => Effect.void)

/** Ten rounds of them, the warm-up included. */
const growth = (lease: Effect.Effect<unknown, unknown>, units: number) =>
  Footprint.growth({ round: Effect.repeat(lease, { times: units - 1 }), units, rounds: 8, bound })

const isFlat = (
  name: string,
  options: Partial<InstancePool.Options<Instance, never, never>>,
  lease: (pool: InstancePool.InstancePool<Instance>) => Effect.Effect<unknown, unknown>,
  units = 4000
) =>
  it.live(`is flat: ${name}`, () =>
    Effect.gen(function* () {
      const pool = yield* InstancePool.make({ create, closeGrace: 0, ...options })
      const { perUnit } = yield* growth(lease(pool), units)
      assert.isBelow(perUnit, bound)
      const { acquired, created, released, used } = yield* InstancePool.stats(pool)
      assert.isAtLeast(acquired, 10 * units)
      assert.isAtLeast(created, acquired)
      assert.strictEqual(acquired, released + used)
    }).pipe(Effect.scoped)
  )

describe("memory over many leases", { timeout: 300_000 }, () => {
  isFlat("100,000 times use", {}, use, 10_000)
  isFlat("100,000 times use of what is prepared", { prepare: 2 }, use, 10_000)
  isFlat("get in a scope", {}, (pool) => Effect.scoped(InstancePool.get(pool)))
  isFlat("an instance that is detached", {}, (pool) =>
    Effect.scoped(InstancePool.use(pool, (instance) => InstancePool.detach(pool, instance)))
  )
  const overlapping = (pool: InstancePool.InstancePool<Instance>) => {
    let latest = Scope.makeUnsafe()
    return Effect.suspend(() => {
      const previous = latest
      latest = Scope.makeUnsafe()
      return Effect.andThen(Scope.provide(InstancePool.get(pool), latest), Scope.close(previous, Exit.void))
    })
  }
  isFlat("instances of one value, always two at a time", { create: Effect.succeed(same) }, overlapping)
  isFlat("a caller that is refused", { max: 1 }, (pool) => InstancePool.use(pool, () => Effect.exit(use(pool))))

  it.live("is not flat, and is found out, if something is kept of each", () =>
    Effect.gen(function* () {
      const pool = yield* InstancePool.make({ create })
      const kept: Array<object> = []
      const keeping = InstancePool.use(pool, (instance) =>
        Effect.sync(() => kept.push({ instance: instance.state.length }))
      )
      const { perUnit } = yield* growth(keeping, 4000)
      assert.isAbove(perUnit, bound)
    }).pipe(Effect.scoped)
  )
})
