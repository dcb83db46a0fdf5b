/**
 * Contenders side by side: in one process, in turns.
 *
 * What a machine does meanwhile (other programs, clock speed, a growing heap) shifts all figures by more than the
 * differences that matter here. So the contenders of a case take turns, every round runs each of them once, the order
 * moves on by one from round to round, and a ratio is taken within each round before the median is taken over them.
 * tinybench and mitata run one contender to its end before the next, which is why neither is used.
 */
import { PerformanceObserver } from "node:perf_hooks"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { type Spread, spreadOf } from "./statistics.ts"

/** What a case counts: the time that an operation takes, or the bytes that it keeps or weighs. */
export type Unit = "ns" | "µs" | "bytes"

/** In how many of a unit a contender answers. */
const ANSWERS: Record<Unit, number> = { ns: 1e6, µs: 1e3, bytes: 1 }

export interface Contender {
  readonly name: string
  /**
   * Performs this many operations and answers what they cost in all: how many milliseconds they took, or how many bytes
   * they keep.
   */
  readonly run: (operations: number) => Promise<number>
}

/** How many times as much as `name` another contender costs. */
export interface Comparison {
  readonly name: string
  readonly against: string
  /**
   * Two others, whose own ratio this one is divided by: how much of a difference is not there already in a bare
   * experiment.
   */
  readonly relativeTo?: { readonly name: string; readonly against: string } | undefined
  /** As a bound on the cost of `against` divided by that of `name`. */
  readonly goal?: number | undefined
  /**
   * How much of the recorded ratio must be left for `--check` to be content: machines differ, and what else they do. Not
   * checked without one. Not for what is relative to two others.
   */
  readonly margin?: number | undefined
  /** Why the goal is out of reach, if it is: in Markdown, with a link to what shows it, as seen from the results. */
  readonly because?: string | undefined
}

export interface Case {
  readonly name: string
  readonly title: string
  /** How it is measured, for the reader of the tables. */
  readonly method: string
  /** Default: `ns`. */
  readonly unit?: Unit | undefined
  /** In each round, for each contender. */
  readonly operations: number
  readonly rounds: number
  /** How many rounds go before those that count. Default: 3, or a third of those that count if that is less. */
  readonly warmUp?: number | undefined
  /** The contender whose cost is that of measuring itself, and is subtracted in `net`. */
  readonly overhead?: string | undefined
  /** Whether the time that the garbage collector has taken meanwhile is told as well. */
  readonly countsGarbageCollection?: boolean | undefined
  readonly contenders: ReadonlyArray<Contender>
  readonly comparisons: ReadonlyArray<Comparison>
}

export interface ContenderResult {
  readonly name: string
  /** For each operation, in the unit of the case. */
  readonly cost: Spread
  /** The same without the overhead, where the case has one. */
  readonly net: Spread | undefined
  /** Nanoseconds per operation, on average, in which the garbage collector held it up. */
  readonly collecting: number | undefined
}

export interface ComparisonResult extends Comparison {
  /**
   * The cost of `against` divided by that of `name`, round by round: how many times as fast, or as small, `name` is; or how
   * many times as much so as another pair.
   */
  readonly ratio: Spread
  readonly netRatio: Spread | undefined
  /** Judged by the less favourable of the two. */
  readonly isMet: boolean | undefined
}

export interface CaseResult extends Pick<Case, "name" | "title" | "method" | "operations" | "rounds" | "overhead"> {
  readonly unit: Unit
  readonly contenders: ReadonlyArray<ContenderResult>
  readonly comparisons: ReadonlyArray<ComparisonResult>
}

export const measure = async (case_: Case): Promise<CaseResult> => {
  const { contenders, operations, rounds, unit = "ns", warmUp = Math.min(3, Math.ceil(rounds / 3)) } = case_
  const costs = new Map(contenders.map(({ name }) => [name, [] as Array<number>]))
  const collected = new Map(contenders.map(({ name }) => [name, 0]))
  const collector = case_.countsGarbageCollection === true ? new CollectorWatch() : undefined
  for (let round = -warmUp; round < rounds; round++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      const contender = contenders[(turn + round + warmUp) % contenders.length]!
      collectGarbage()
      await collector?.millis()
      const answer = await contender.run(operations)
      const collecting = (await collector?.millis()) ?? 0
      if (round < 0) continue
      costs.get(contender.name)!.push((answer * ANSWERS[unit]) / operations)
      collected.set(contender.name, collected.get(contender.name)! + (collecting * 1e6) / (operations * rounds))
    }
  }
  collector?.stop()
  return summarise(case_, costs, collector === undefined ? undefined : collected)
}

const summarise = (
  case_: Case,
  costs: ReadonlyMap<string, ReadonlyArray<number>>,
  collected: ReadonlyMap<string, number> | undefined
): CaseResult => {
  const { comparisons, contenders, method, name, operations, overhead, rounds, title, unit = "ns" } = case_
  const costsOf = (name: string): ReadonlyArray<number> => {
    const found = costs.get(name)
    if (found === undefined) throw new Error(`The case "${case_.name}" has no contender "${name}"`)
    return found
  }
  const netOf = (name: string): ReadonlyArray<number> | undefined => {
    if (overhead === undefined || name === overhead) return undefined
    const own = costsOf(overhead)
    return costsOf(name).map((cost, round) => cost - own[round]!)
  }
  const ratiosOf = ({ against, name }: { readonly name: string; readonly against: string }): ReadonlyArray<number> =>
    ratios(costsOf(against), costsOf(name))
  return {
    name,
    title,
    method,
    operations,
    rounds,
    overhead,
    unit,
    contenders: contenders.map(({ name }) => ({
      name,
      cost: spreadOf(costsOf(name)),
      net: optionalSpread(netOf(name)),
      collecting: collected?.get(name)
    })),
    comparisons: comparisons.map((comparison) => {
      const { relativeTo } = comparison
      const ratio = spreadOf(
        relativeTo === undefined ? ratiosOf(comparison) : ratios(ratiosOf(comparison), ratiosOf(relativeTo))
      )
      const net = relativeTo === undefined ? netOf(comparison.name) : undefined
      const netRatio = net === undefined ? undefined : optionalSpread(ratios(netOf(comparison.against)!, net))
      const { median } = lessFavourable(ratio, netRatio)
      return {
        ...comparison,
        ratio,
        netRatio,
        isMet: comparison.goal === undefined ? undefined : median >= comparison.goal
      }
    })
  }
}

/** By which of its two ratios a comparison is judged. */
export const lessFavourable = (ratio: Spread, netRatio: Spread | undefined): Spread =>
  netRatio !== undefined && netRatio.median < ratio.median ? netRatio : ratio

const ratios = (of: ReadonlyArray<number>, to: ReadonlyArray<number>): ReadonlyArray<number> =>
  of.map((cost, round) => cost / to[round]!)

const optionalSpread = (samples: ReadonlyArray<number> | undefined): Spread | undefined =>
  samples === undefined ? undefined : spreadOf(samples)

/** Adds up for how long the garbage collector has held up the program. */
class CollectorWatch {
  #millis = 0
  readonly #observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) this.#millis += duration
  })

  constructor() {
    this.#observer.observe({ entryTypes: ["gc"] })
  }

  /** Since it was last asked. */
  async millis(): Promise<number> {
    // The platform tells of a collection in a turn of its own.
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
    const millis = this.#millis
    this.#millis = 0
    return millis
  }

  stop(): void {
    this.#observer.disconnect()
  }
}

setFlagsFromString("--expose-gc")
const gc = runInNewContext("gc") as (options: { readonly type: "minor" }) => void

/**
 * So that nobody pays for what the contender before has left lying about. A full collection would throw away optimized
 * code as well: every round would then measure the compiler.
 */
export const collectGarbage = (): void => gc({ type: "minor" })
