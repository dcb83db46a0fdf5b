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

export interface Contender {
  readonly name: string
  /** Performs this many operations and answers how long they took, in milliseconds. */
  readonly run: (operations: number) => Promise<number>
}

/** How many times as long as `name` another contender takes. */
export interface Comparison {
  readonly name: string
  readonly against: string
  /** As a bound on the time of `against` divided by that of `name`. */
  readonly goal?: number | undefined
}

export interface Case {
  readonly name: string
  readonly title: string
  /** How it is measured, for the reader of the tables. */
  readonly method: string
  /** In each round, for each contender. */
  readonly operations: number
  readonly rounds: number
  /** The contender whose time is what measuring itself costs, and is subtracted in `net`. */
  readonly overhead?: string | undefined
  /** Whether the time that the garbage collector has taken meanwhile is told as well. */
  readonly countsGarbageCollection?: boolean | undefined
  readonly contenders: ReadonlyArray<Contender>
  readonly comparisons: ReadonlyArray<Comparison>
}

export interface ContenderResult {
  readonly name: string
  /** Nanoseconds per operation. */
  readonly time: Spread
  /** The same without the overhead, where the case has one. */
  readonly net: Spread | undefined
  /** Nanoseconds per operation, on average, in which the garbage collector held it up. */
  readonly collecting: number | undefined
}

export interface ComparisonResult extends Comparison {
  /** The time of `against` divided by that of `name`, round by round: how many times as fast `name` is. */
  readonly ratio: Spread
  readonly netRatio: Spread | undefined
  /** Judged by the less favourable of the two. */
  readonly isMet: boolean | undefined
}

export interface CaseResult extends Pick<Case, "name" | "title" | "method" | "operations" | "rounds" | "overhead"> {
  readonly contenders: ReadonlyArray<ContenderResult>
  readonly comparisons: ReadonlyArray<ComparisonResult>
}

const WARM_UP_ROUNDS = 3

export const measure = async (case_: Case): Promise<CaseResult> => {
  const { contenders, operations, rounds } = case_
  const times = new Map(contenders.map(({ name }) => [name, [] as Array<number>]))
  const collected = new Map(contenders.map(({ name }) => [name, 0]))
  const collector = case_.countsGarbageCollection === true ? new CollectorWatch() : undefined
  for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      const contender = contenders[(turn + round + WARM_UP_ROUNDS) % contenders.length]!
      collectGarbage()
      await collector?.millis()
      const elapsed = await contender.run(operations)
      const collecting = (await collector?.millis()) ?? 0
      if (round < 0) continue
      times.get(contender.name)!.push((elapsed * 1e6) / operations)
      collected.set(contender.name, collected.get(contender.name)! + (collecting * 1e6) / (operations * rounds))
    }
  }
  collector?.stop()
  return summarise(case_, times, collector === undefined ? undefined : collected)
}

const summarise = (
  case_: Case,
  times: ReadonlyMap<string, ReadonlyArray<number>>,
  collected: ReadonlyMap<string, number> | undefined
): CaseResult => {
  const { comparisons, contenders, method, name, operations, overhead, rounds, title } = case_
  const timesOf = (name: string): ReadonlyArray<number> => {
    const found = times.get(name)
    if (found === undefined) throw new Error(`The case "${case_.name}" has no contender "${name}"`)
    return found
  }
  const netOf = (name: string): ReadonlyArray<number> | undefined => {
    if (overhead === undefined || name === overhead) return undefined
    const own = timesOf(overhead)
    return timesOf(name).map((time, round) => time - own[round]!)
  }
  return {
    name,
    title,
    method,
    operations,
    rounds,
    overhead,
    contenders: contenders.map(({ name }) => ({
      name,
      time: spreadOf(timesOf(name)),
      net: optionalSpread(netOf(name)),
      collecting: collected?.get(name)
    })),
    comparisons: comparisons.map((comparison) => {
      const ratio = spreadOf(ratios(timesOf(comparison.against), timesOf(comparison.name)))
      const net = netOf(comparison.name)
      const netRatio = net === undefined ? undefined : optionalSpread(ratios(netOf(comparison.against)!, net))
      const worst = Math.min(ratio.median, netRatio?.median ?? Infinity)
      return {
        ...comparison,
        ratio,
        netRatio,
        isMet: comparison.goal === undefined ? undefined : worst >= comparison.goal
      }
    })
  }
}

const ratios = (of: ReadonlyArray<number>, to: ReadonlyArray<number>): ReadonlyArray<number> =>
  of.map((time, round) => time / to[round]!)

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
const collectGarbage = (): void => gc({ type: "minor" })
