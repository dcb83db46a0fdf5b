/** Whether what is measured now is much slower, against the same others, than what was recorded. */
import type { CaseResult } from "./harness.ts"

/** How much of a recorded ratio must be left: machines differ, and what else they do. */
export const MARGIN = 0.6

export interface Regression {
  readonly title: string
  readonly name: string
  readonly against: string
  readonly recorded: number
  readonly now: number
}

/** The comparisons with peers whose ratio has fallen below the margin. What is not recorded is not compared. */
export const regressionsOf = (
  cases: ReadonlyArray<CaseResult>,
  recorded: ReadonlyArray<CaseResult>,
  isPeer: (against: string) => boolean
): ReadonlyArray<Regression> => {
  const before = new Map(
    recorded.flatMap(({ comparisons, name }) =>
      comparisons.map((comparison) => [keyOf(name, comparison), comparison.ratio.median])
    )
  )
  return cases.flatMap((case_) =>
    case_.comparisons.flatMap((comparison) => {
      const { against, name, ratio } = comparison
      const was = before.get(keyOf(case_.name, comparison))
      if (was === undefined || !isPeer(against) || ratio.median >= MARGIN * was) return []
      return [{ title: case_.title, name, against, recorded: was, now: ratio.median }]
    })
  )
}

const keyOf = (name: string, comparison: { readonly name: string; readonly against: string }): string =>
  JSON.stringify([name, comparison.name, comparison.against])
