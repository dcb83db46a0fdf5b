/**
 * What must hold, whatever happens: decides whether the demo succeeds.
 */
import type { PoolStats } from "@effect-pools/core"
import * as Schema from "effect/Schema"

/**
 * A promise, whether it was kept, and the numbers that show it.
 */
export const Invariant = Schema.Struct({
  name: Schema.String,
  held: Schema.Boolean,
  detail: Schema.String
})

export type Invariant = typeof Invariant.Type

export const invariant = (name: string, held: boolean, detail: string): Invariant => ({ name, held, detail })

/**
 * Nothing checked is nothing held.
 */
export const allHeld = (invariants: ReadonlyArray<Invariant>): boolean =>
  invariants.length > 0 && invariants.every(({ held }) => held)

/**
 * That an open pool at rest has lost nothing. `items` are those that the pool knows of.
 */
export const nothingLeaked = (stats: PoolStats.PoolStats, items: number): ReadonlyArray<Invariant> => {
  const destroyed = destroyedInAll(stats)
  return [
    invariant(
      "every lease came back",
      stats.used === 0 && stats.pending === 0 && stats.acquired === stats.released,
      `${stats.acquired} acquired, ${stats.released} released, ${stats.used} used, ${stats.pending} waiting`
    ),
    invariant(
      "idle + used = size = items, at most max",
      stats.idle + stats.used === stats.size && stats.size === items && stats.size <= stats.max,
      `${stats.idle} idle + ${stats.used} used = ${stats.size}, ${items} items, max ${stats.max}`
    ),
    invariant(
      "created = destroyed + size",
      stats.created === destroyed + stats.size,
      `${stats.created} created, ${destroyed} destroyed, ${stats.size} there`
    )
  ]
}

const destroyedInAll = (stats: PoolStats.PoolStats): number =>
  Object.values(stats.destroyed).reduce((sum, count) => sum + count, 0)
