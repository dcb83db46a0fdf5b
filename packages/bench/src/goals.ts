/** The goals, and how far what was measured is from them. */
import { type CaseResult, type Comparison, lessFavourable, type Unit } from "./harness.ts"
import type { Spread } from "./statistics.ts"

export interface Goal {
  readonly title: string
  readonly name: string
  readonly against: string
  readonly unit: Unit
  /** As a bound on `ratio`, which is the one of the comparison's two that it is judged by. */
  readonly goal: number
  readonly ratio: Spread
  readonly isMet: boolean
  readonly because: string | undefined
}

export const againstWhat = ({ against, relativeTo }: Comparison): string =>
  relativeTo === undefined ? against : `${against}, relative to ${relativeTo.name} / ${relativeTo.against}`

export const goalsOf = (cases: ReadonlyArray<CaseResult>): ReadonlyArray<Goal> =>
  cases.flatMap(({ comparisons, title, unit }) =>
    comparisons.flatMap((comparison) => {
      const { because, goal, isMet, name, netRatio, ratio } = comparison
      if (goal === undefined || isMet === undefined) return []
      const judged = lessFavourable(ratio, netRatio)
      return [{ title, name, against: againstWhat(comparison), unit, goal, ratio: judged, isMet, because }]
    })
  )

/** What is said of a goal, in the words in which it was set: how many times as fast, or how many times what another costs. */
export interface Wording {
  readonly goal: string
  readonly measured: string
  readonly quartiles: string
}

export const wordingOf = ({ goal, ratio, unit }: Goal): Wording => {
  const isTime = unit !== "bytes"
  if (isTime && goal >= 1) {
    return {
      goal: goal === 1 ? "as fast" : `≥ ${short(goal)} × as fast`,
      measured: atLeast(ratio.median),
      quartiles: `${atLeast(ratio.p25)} … ${atLeast(ratio.p75)}`
    }
  }
  return {
    goal: goal === 1 ? "no more" : `≤ ${short(1 / goal)} × the ${isTime ? "time" : "bytes"}`,
    measured: atMost(1 / ratio.median),
    quartiles: `${atMost(1 / ratio.p75)} … ${atMost(1 / ratio.p25)}`
  }
}

const short = (value: number): string => String(Number(value.toFixed(2)))

/** Rounded to the worse side, so that a goal just missed does not look met. */
export const atLeast = (value: number): string => (Math.floor(value * 100) / 100).toFixed(2)
const atMost = (value: number): string => (Math.ceil(value * 100) / 100).toFixed(2)
