/** Whether what is measured now is much worse, against the same others, than what was recorded. */
import type { Case, CaseResult, Comparison, ComparisonResult } from "./harness.ts"
import type { Results } from "./report.ts"

export interface Regression {
  readonly title: string
  readonly name: string
  readonly against: string
  readonly recorded: number
  /** What the ratio must be at least. */
  readonly bound: number
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

/** The comparisons of a case that have a margin, with those whom they compare; `undefined` if there are none. */
export const checkedPart = (case_: Case): Case | undefined => {
  const comparisons = case_.comparisons.filter(({ margin }) => margin !== undefined)
  const compared = new Set(comparisons.flatMap(({ against, name }) => [name, against]))
  const contenders = case_.contenders.filter(({ name }) => compared.has(name))
  if (comparisons.length === 0) return undefined
  // What is weighed is the same each time; times are at the mercy of what else the machine does.
  const rounds = case_.unit === "bytes" ? case_.rounds : Math.max(case_.rounds, 9)
  return { ...case_, rounds, overhead: undefined, comparisons, contenders }
}

/**
 * The comparisons whose ratio has fallen below their margin of what is recorded, how many there were to compare, and
 * how many that are not recorded.
 *
 * Of times, both the median of the ratios and the ratio of the fastest rounds must have fallen: on a busy machine either
 * may do so by itself.
 */
export const regressionsOf = (
  cases: ReadonlyArray<CaseResult>,
  recorded: ReadonlyArray<CaseResult>
): { readonly compared: number; readonly unrecorded: number; readonly regressions: ReadonlyArray<Regression> } => {
  let compared = 0
  let unrecorded = 0
  const before = new Map(
    recorded.flatMap((case_) =>
      case_.comparisons.map((comparison) => [keyOf(case_, comparison), figuresOf(case_, comparison)])
    )
  )
  const regressions = cases.flatMap((case_) =>
    case_.comparisons.flatMap((comparison) => {
      const { against, margin, name } = comparison
      if (margin === undefined) return []
      const was = before.get(keyOf(case_, comparison))
      if (was === undefined) {
        unrecorded++
        return []
      }
      compared++
      const now = figuresOf(case_, comparison)
      if (now.some((figure, index) => figure >= margin * was[index]!)) return []
      return [{ title: case_.title, name, against, recorded: was[0]!, bound: margin * was[0]!, now: now[0]! }]
    })
  )
  return { compared, unrecorded, regressions }
}

const keyOf = ({ name }: CaseResult, comparison: Comparison): string =>
  JSON.stringify([name, comparison.name, comparison.against, comparison.relativeTo])

/** The median of the ratios and, of times, the ratio of the fastest rounds. */
const figuresOf = ({ contenders, unit }: CaseResult, { against, name, ratio }: ComparisonResult): Array<number> => {
  if (unit === "bytes") return [ratio.median]
  const fastest = (of: string) => contenders.find(({ name }) => name === of)!.cost.min
  return [ratio.median, fastest(against) / fastest(name)]
}
