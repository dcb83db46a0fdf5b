/** The pools that are compared: warm, of ten items, with nothing but defaults. */
import { ConnectionPool } from "@effect-pools/connection"
import { Pool as Pools } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import * as Pool from "effect/Pool"
import type * as Scope from "effect/Scope"

export interface Item {
  readonly id: number
}

export const SIZE = 10

const acquire = (): Effect.Effect<Item> => {
  let made = 0
  return Effect.sync(() => ({ id: ++made }))
}

/** Ours, with all that is on by default: totals, histograms, metrics, registry, housekeeping, health. */
export const makeOurs = (
  options?: Partial<ConnectionPool.Options<Item, never, never>>
): Effect.Effect<ConnectionPool.ConnectionPool<Item>, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const pool = yield* ConnectionPool.make({ acquire: acquire(), max: SIZE, ...options })
    yield* fill((hold) => ConnectionPool.use(pool, () => hold))
    const { idle } = Pools.statsUnsafe(pool)
    if (idle !== SIZE) throw new Error(`${idle} items are idle instead of ${SIZE}`)
    return pool
  })

/** Effect's own. */
export const makeEffects: Effect.Effect<Pool.Pool<Item>, never, Scope.Scope> = Effect.gen(function* () {
  const pool = yield* Pool.make({ acquire: acquire(), size: SIZE })
  yield* fill((hold) => Pool.use(pool, () => hold))
  return pool
})

/** All items in use at once, so that all are made. */
const fill = <E>(use: (hold: Effect.Effect<void>) => Effect.Effect<void, E>): Effect.Effect<void, E> =>
  Effect.suspend(() => {
    let holders = 0
    const waiting: Array<(effect: Effect.Effect<void>) => void> = []
    const hold = Effect.callback<void>((resume) => {
      waiting.push(resume)
      if (++holders === SIZE) for (const open of waiting) open(Effect.void)
    })
    return Effect.forEach(Array.from({ length: SIZE }), () => use(hold), { concurrency: SIZE, discard: true })
  })
