/** How V8 has laid out what leases go through. See `docs/decisions/0017-memory-and-crowds.md`. */
import { ArenaPool } from "@effect-pools/arena"
import { ConnectionPool, ConnectionPoolMap } from "@effect-pools/connection"
import { InstancePool } from "@effect-pools/instance"
import { LockFreePool, SharedPool } from "@effect-pools/lock-free"
import { ResourcePool } from "@effect-pools/resource"
import { Footprint } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

setFlagsFromString("--allow-natives-syntax")
const hasFieldsAtHand = runInNewContext("(object) => %HasFastProperties(object)") as (object: object) => boolean

const acquire = Effect.sync(() => ({}))

/** Opens a pool, and answers what is large of what its leases go through. */
const kinds: Readonly<Record<string, Effect.Effect<ReadonlyArray<object>, unknown, Scope.Scope>>> = {
  ConnectionPool: Effect.gen(function* () {
    const pool = yield* ConnectionPool.make({ acquire })
    const item = yield* ConnectionPool.use(pool, () => Effect.sync(() => Array.from(pool.store.all)[0]!))
    return [pool.admission, pool.store, item]
  }),
  ConnectionPoolMap: Effect.gen(function* () {
    const map = yield* ConnectionPoolMap.make({ lookup: (_: string) => ({ acquire }), max: 1 })
    return [map.members, map.budget]
  }),
  InstancePool: Effect.gen(function* () {
    const pool = yield* InstancePool.make({ create: acquire })
    const item = yield* InstancePool.use(pool, () => Effect.sync(() => Array.from(pool.store.all)[0]!))
    return [pool.admission, pool.store, item]
  }),
  ArenaPool: Effect.gen(function* () {
    const pool = yield* ArenaPool.make({ size: 64 })
    const arena = yield* ArenaPool.use(pool, (arena) => Effect.succeed(arena))
    return [pool.admission, pool.store, arena]
  }),
  LockFreePool: Effect.gen(function* () {
    const create = () => ({})
    const pool = yield* LockFreePool.make({ create, reset: () => true, scale: { mode: "static", count: 1 } })
    return [pool.admission, pool.store, pool.store.guards]
  }),
  SharedPool: Effect.gen(function* () {
    const pool = yield* SharedPool.make({ slots: 1, slotBytes: 8 })
    return [pool.admission, pool.store, pool.store.guards, pool.store.slots]
  }),
  ResourcePool: Effect.gen(function* () {
    const pool = yield* ResourcePool.make({ max: 1 })
    return [pool.admission, pool.store]
  })
}

describe("what a lease goes through has its fields at hand, though all before it were gone when garbage was collected", () => {
  it.live.each(Object.entries(kinds))(
    "%s",
    ([, open]) =>
      Effect.gen(function* () {
        for (let n = 0; n < 8; n++) {
          yield* Effect.scoped(open)
          yield* Footprint.collect
        }
        const parts = yield* open
        const slow = parts.filter((part) => !hasFieldsAtHand(part))
        assert.deepStrictEqual(
          slow.map(({ constructor }) => constructor.name),
          []
        )
      }),
    // A full collection takes its time on a busy machine.
    30_000
  )
})
