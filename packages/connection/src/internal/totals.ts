import type * as Observer from "@effect-pools/core/Observer"
import * as PoolEvent from "@effect-pools/core/PoolEvent"

/** What can be added up over pools. */
export type Totals = Pick<
  Observer.Observer,
  "acquired" | "released" | "created" | "createFailed" | "timeouts" | "exhausted" | "destroyed"
>

export const noTotals = (): Totals => ({
  acquired: 0,
  released: 0,
  created: 0,
  createFailed: 0,
  timeouts: 0,
  exhausted: 0,
  destroyed: Object.fromEntries(PoolEvent.destroyReasons.map((reason) => [reason, 0])) as Totals["destroyed"]
})

export const addTotals = (totals: Totals, counted: Totals): void => {
  totals.acquired += counted.acquired
  totals.released += counted.released
  totals.created += counted.created
  totals.createFailed += counted.createFailed
  totals.timeouts += counted.timeouts
  totals.exhausted += counted.exhausted
  for (const reason of PoolEvent.destroyReasons) totals.destroyed[reason] += counted.destroyed[reason]
}
