/** Whether what is measured now is much slower, against the same others, than what was recorded. */
import type { CaseResult, Comparison } from "./harness.ts"
import type { Results } from "./report.ts"

/** How much of a recorded ratio must be left: machines differ, and what else they do. */
export const MARGIN = 0.6

export interface Regression {
  readonly title: string
  readonly name: string
  readonly against: string
  readonly recorded: number
  readonly now: number
}

/** The results in the text of a file. */
export const recordedIn = (text: string): ReadonlyArray<CaseResult> => {
  try {
    return (JSON.parse(text) as Results).cases.filter(({ comparisons }) => comparisons.length > 0)
  } catch (cause) {
    throw new Error("What is recorded cannot be read: run pnpm bench", { cause })
  }
}

/**
 * The comparisons with peers whose ratio has fallen below the margin, and how many there were to compare. What is not
 * recorded is not compared.
 */
export const regressionsOf = (
  cases: ReadonlyArray<CaseResult>,
  recorded: ReadonlyArray<CaseResult>,
  isPeer: (against: string) => boolean
): { readonly compared: number; readonly regressions: ReadonlyArray<Regression> } => {
  let compared = 0
  const before = new Map(
    recorded.flatMap(({ comparisons, name }) =>
      comparisons.map((comparison) => [keyOf(name, comparison), comparison.ratio.median])
    )
  )
  const regressions = cases.flatMap((case_) =>
    case_.comparisons.flatMap((comparison) => {
      const { against, name, ratio } = comparison
      const was = before.get(keyOf(case_.name, comparison))
      if (was === undefined || !isPeer(against)) return []
      compared++
      if (ratio.median >= MARGIN * was) return []
      return [{ title: case_.title, name, against, recorded: was, now: ratio.median }]
    })
  )
  return { compared, regressions }
}

const keyOf = (name: string, comparison: Comparison): string =>
  JSON.stringify([name, comparison.name, comparison.against, comparison.relativeTo])
