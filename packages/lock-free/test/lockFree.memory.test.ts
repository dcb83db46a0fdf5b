/** That guards leave nothing behind, however many there were. */
import { LockFreePool, SharedPool } from "@effect-pools/lock-free"
import { Footprint } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** Bytes that may stay with a guard, on average: less than anything that a pool could keep of it. */
const BOUND = 8
const UNITS = 4000

/** What pools of guards have in common. */
interface Guards {
  readonly take: () => Disposable
  readonly abandoned: () => number
}

const kinds: Readonly<Record<string, Effect.Effect<Guards, unknown, Scope.Scope>>> = {
  "of a lock-free pool": Effect.map(
    LockFreePool.make({ create: () => ({}), reset: () => true, scale: { mode: "auto", maximum: UNITS } }),
    (pool) => ({
      take: () => LockFreePool.getOrThrowUnsafe(pool),
      abandoned: () => pool.store.guards.abandoned
    })
  ),
  "of a shared pool": Effect.map(SharedPool.make({ slots: UNITS, slotBytes: 8 }), (pool) => ({
    take: () => SharedPool.getOrThrowUnsafe(pool),
    abandoned: () => pool.store.guards.abandoned
  }))
}

const expectNothingLeft = Effect.fnUntraced(function* (guards: Guards, round: Effect.Effect<unknown>) {
  const { perUnit } = yield* Footprint.growth({ round, units: UNITS, rounds: 8, bound: BOUND })
  assert.isBelow(perUnit, BOUND)
  assert.strictEqual(guards.abandoned(), 0)
})

describe.each(Object.entries(kinds))("guards %s", (_, open) => {
  it.live(
    "leave nothing behind",
    () =>
      Effect.gen(function* () {
        const guards = yield* open
        const lease = Effect.sync(() => guards.take()[Symbol.dispose]())
        yield* expectNothingLeft(guards, Effect.repeat(lease, { times: UNITS - 1 }))
      }),
    60_000
  )

  it.live(
    "that are held for longer than a turn leave nothing behind",
    () =>
      Effect.gen(function* () {
        const guards = yield* open
        const round = Effect.gen(function* () {
          const held = Array.from({ length: UNITS }, () => guards.take())
          yield* Effect.promise(() => new Promise(setImmediate))
          for (const guard of held) guard[Symbol.dispose]()
        })
        yield* expectNothingLeft(guards, round)
      }),
    60_000
  )
})
