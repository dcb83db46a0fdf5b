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

/** The application's own answers, and failures of which a hurried user's impatience is the cause. */
const answers = ["ok", "OutOfStock"]
const impatience = ["TooBusy", "TooSlow"]
/** How many of the others may fail. */
const tolerance = 0.2

/**
 * That requests were answered again when the faults had ended. `outcomes` are those of a stage without faults.
 *
 * On a slow machine whoever is in a hurry gets nothing, and a short run asks for little: hence impatience does not
 * count, and one may still meet a connection that had broken unnoticed.
 */
export const serviceResumed = (outcomes: Readonly<Record<string, number>>): Invariant => {
  const sum = (some: ReadonlyArray<string>) => some.reduce((sum, outcome) => sum + (outcomes[outcome] ?? 0), 0)
  const answered = sum(answers)
  const patient = sum(Object.keys(outcomes)) - sum(impatience)
  return invariant(
    "the service resumed by itself",
    answered > 0 && patient - answered <= Math.max(1, tolerance * patient),
    `${answered} of ${patient} requests answered when the faults had ended, those in a hurry left out`
  )
}
