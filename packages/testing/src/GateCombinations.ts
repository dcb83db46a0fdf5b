/**
 * Every combination of how the steps of an item go, under cancellation.
 *
 * A pool has to stay sound whatever its items do: while creating one fails and destroying another takes its time, while a
 * reset never ends and the check beside it dies. So a short program (callers that come, wait, give up and are interrupted;
 * an invalidation, a round of checks, a resize, a close in the middle) is run on a {@link StepRuntime} for each
 * combination, and the pool is looked at before every step: at no time may there be more items than `max`. At the end
 * nobody may still wait, every item must have been destroyed exactly once, and where all goes well again, every place of
 * the pool must work. The method is that of the tests of the Rust pool deadpool.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type { Gate, Step } from "./Gates.ts"
import { playGates } from "./internal/gatePlay.ts"
import type { Subject } from "./Subject.ts"

/**
 * How each step goes.
 *
 * @category models
 * @since 0.1.0
 */
export type Combination = { readonly [S in Step]: Gate }

/**
 * Something that was wrong in a run.
 *
 * @category models
 * @since 0.1.0
 */
export interface Fault {
  readonly combination: Combination
  /** Which run of this combination, from 0. */
  readonly play: number
  readonly what: string
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Report {
  readonly combinations: number
  readonly plays: number
  /** How many callers were interrupted. */
  readonly cancellations: number
  /** How often the pool was looked at. */
  readonly observations: number
  /** How often each step was begun with its gate set. */
  readonly begun: { readonly [S in Step]: number }
  readonly faults: ReadonlyArray<Fault>
}

/**
 * What {@link expectSound} fails with.
 *
 * @category errors
 * @since 0.1.0
 */
export class FaultsFound extends Data.TaggedError("FaultsFound")<{ readonly report: Report }> {
  override get message(): string {
    const { faults } = this.report
    const first = faults.slice(0, 5).map(({ combination, play, what }) => {
      return `\n  ${describe(combination)}, play ${play}: ${what}`
    })
    const more = faults.length > first.length ? `\n  and ${faults.length - first.length} more` : ""
    return `The pool is not sound:${first.join("")}${more}`
  }
}

const steps = ["create", "validate", "reset", "check", "destroy"] as const satisfies ReadonlyArray<Step>

/** What may happen at every step; the number is slow. */
const usual: ReadonlyArray<Gate> = ["ok", "fail", "die", 20, "hang"]

/** What is tried pairwise beside. `late` is longer than the pool gives any step but one. */
const rare: ReadonlyArray<Gate> = ["false", "interrupt", "stuck", { late: 1500 }]

const allOk: Combination = { create: "ok", validate: "ok", reset: "ok", check: "ok", destroy: "ok" }

/**
 * Every combination of success, failure, defect, slowness and never ending, at every step that a kind of pool has: 3,125
 * if it has all five.
 *
 * @category combinations
 * @since 0.1.0
 */
export const all = <A>(subject: Subject<A>): ReadonlyArray<Combination> => {
  let combinations = [allOk]
  for (const step of steps) {
    combinations = combinations.flatMap((combination) =>
      gatesOf(subject, step, usual).map((gate) => ({ ...combination, [step]: gate }))
    )
  }
  return combinations
}

/**
 * What is rarer: a step that answers `false`, interrupts itself, cannot be interrupted, or ends long after it was given
 * up. Every such gate with every other gate at every other step, the rest being `ok`: 500 combinations if the kind of pool
 * has all five steps.
 *
 * @category combinations
 * @since 0.1.0
 */
export const pairwise = <A>(subject: Subject<A>): ReadonlyArray<Combination> => {
  // One beside nothing but `ok` is in several pairs.
  const combinations = new Map<string, Combination>()
  for (const [index, one] of steps.entries()) {
    for (const other of steps.slice(index + 1)) {
      for (const gate of gatesOf(subject, one, [...usual, ...rare])) {
        for (const beside of gatesOf(subject, other, [...usual, ...rare])) {
          if (rare.includes(gate) || rare.includes(beside)) {
            const combination: Combination = { ...allOk, [one]: gate, [other]: beside }
            combinations.set(describe(combination), combination)
          }
        }
      }
    }
  }
  return Array.from(combinations.values())
}

const optional = { validate: "validation", reset: "reset", check: "checks" } as const

const gatesOf = <A>({ lacks }: Subject<A>, step: Step, gates: ReadonlyArray<Gate>): ReadonlyArray<Gate> => {
  if (step in optional && lacks[optional[step as keyof typeof optional]] !== undefined) return ["ok"]
  return lacks.time === undefined
    ? gates
    : gates.filter((gate) => gate === "ok" || gate === "fail" || gate === "die" || gate === "false")
}

/**
 * Runs combinations and reports what was wrong with the pool.
 *
 * **Details**
 *
 * Each combination is run `plays` times (default 2): in turn, the pool is closed in the middle of it all, or all goes well
 * again and every place of the pool has to work. The moments of cancellation, the callers and how often fibers yield are
 * pseudo-random, the same for the same combination and number of the play; {@link replay} runs one alone.
 *
 * **Example** (The combinations of a pool of fakes, which has two steps)
 *
 * ```ts
 * import { GateCombinations, Subject, TestPool } from "@effect-pools/testing"
 * import { Effect } from "effect"
 *
 * const none = "a test pool has none"
 * const subject = Subject.make({
 *   kind: "test",
 *   make: (gates, { acquireTimeout, closeGrace, createTimeout, destroyTimeout, max }) =>
 *     TestPool.make({ acquire: gates.make, acquireTimeout, closeGrace, createTimeout, destroyTimeout, max }),
 *   item: (item) => item,
 *   lacks: { validation: none, reset: none, checks: none, retries: none, sharing: none }
 * })
 *
 * const program = Effect.gen(function*() {
 *   const report = yield* GateCombinations.run(subject)
 *   GateCombinations.expectSound(report)
 *   yield* Effect.log(`${report.combinations} combinations, ${report.observations} observations`)
 * })
 * ```
 *
 * @category operations
 * @since 0.1.0
 */
export const run = <A>(
  subject: Subject<A>,
  options?: {
    /** Default: {@link all}. */
    readonly combinations?: ReadonlyArray<Combination> | undefined
    readonly plays?: number | undefined
  }
): Effect.Effect<Report> =>
  Effect.promise(async () => {
    const combinations = options?.combinations ?? all(subject)
    const plays = options?.plays ?? 2
    const faults: Array<Fault> = []
    const begun = { create: 0, validate: 0, reset: 0, check: 0, destroy: 0 }
    let cancellations = 0
    let observations = 0
    for (const combination of combinations) {
      for (let play = 0; play < plays; play++) {
        try {
          const played = await playGates(subject, combination, seedOf(combination, play), play % 2 === 0)
          cancellations += played.cancellations
          observations += played.observations
          for (const step of steps) begun[step] += played.begun[step]
          for (const what of played.faults) faults.push({ combination, play, what })
        } catch (error) {
          faults.push({ combination, play, what: String(error) })
        }
      }
    }
    return {
      combinations: combinations.length,
      plays: combinations.length * plays,
      cancellations,
      observations,
      begun,
      faults
    }
  })

/**
 * Runs one combination once more and says what was wrong.
 *
 * @category operations
 * @since 0.1.0
 */
export const replay = <A>(
  subject: Subject<A>,
  { combination, play }: Omit<Fault, "what">
): Effect.Effect<ReadonlyArray<string>> =>
  Effect.promise(async () => (await playGates(subject, combination, seedOf(combination, play), play % 2 === 0)).faults)

/**
 * Throws {@link FaultsFound} if a report has faults, or an `Error` if nothing was run.
 *
 * @category assertions
 * @since 0.1.0
 */
export const expectSound = (report: Report): void => {
  if (report.faults.length > 0) throw new FaultsFound({ report })
  if (report.observations === 0) throw new Error("There was no combination to run")
}

/**
 * A combination in words, without what is `ok`.
 *
 * @category formatting
 * @since 0.1.0
 */
export const describe = (combination: Combination): string => {
  const told = steps
    .filter((step) => combination[step] !== "ok")
    .map((step) => {
      const gate = combination[step]
      return `${step} ${typeof gate === "object" ? `late by ${gate.late} ms` : typeof gate === "number" ? `${gate} ms` : gate}`
    })
  return told.length === 0 ? "all ok" : told.join(", ")
}

/** FNV-1a. */
const seedOf = (combination: Combination, play: number): number => {
  let hash = 0x811c9dc5
  for (const char of `${describe(combination)} ${play}`) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193)
  return hash
}
