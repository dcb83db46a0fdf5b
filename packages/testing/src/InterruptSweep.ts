/**
 * Interruption at every step of a program, deterministically, and a look at what that leaves behind.
 *
 * A program that takes something in one step and sees to its release in the next works until an interruption strikes in
 * between. Effect's run loop may be interrupted between any two primitives of a fiber, and yields after
 * `Scheduler.MaxOpsBeforeYield` of them. So the program is run on a {@link StepRuntime} again and again: with every yield
 * budget from 3 to 64, interrupted before each of its steps; and once more per primitive, interrupted right before it by
 * what the fiber itself calls, without a yield. After each run everything must be back: no lease held, no item in use or
 * lost, every item destroyed once, and after closing no pool in the registry, no metric, timer or fiber.
 *
 * {@link run} does this to any program that uses pools, {@link scenarios} to a kind of pool.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { onPool, type PoolAudit, type PoolScenario, type PoolStage } from "./internal/poolStage.ts"
import { pseudoRandom } from "./internal/pseudoRandom.ts"
import { standardScenarios } from "./internal/scenarios.ts"
import { play } from "./internal/sweepRun.ts"
import type { StepRuntime } from "./StepRuntime.ts"
import type { Subject } from "./Subject.ts"

/**
 * What a setup and a program may do to their run, beside what effects do.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stage {
  readonly runtime: StepRuntime
  /** Starts a fiber beside the program, with a step of its own before it begins. It must end within the run. */
  readonly beside: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  /** As `beside`, but runs at once as far as it goes. */
  readonly start: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  /** Interrupts the program. */
  readonly interrupt: () => void
  /** Begins to close the scope of the setup. */
  readonly close: () => void
  /** Notes something that is wrong. */
  readonly note: (leak: string) => void
}

/**
 * What is run, and how it is looked at.
 *
 * @category models
 * @since 0.1.0
 */
export interface Definition<S = void> {
  /** Opens what the program uses, in a scope that is closed after the program. It is never interrupted. */
  readonly setup?: ((stage: Stage) => Effect.Effect<S, unknown, Scope.Scope>) | undefined
  /** What is interrupted. It has a scope of its own. */
  readonly program:
    | Effect.Effect<unknown, unknown, Scope.Scope>
    | ((setup: S, stage: Stage) => Effect.Effect<unknown, unknown, Scope.Scope>)
  /** What happens to the program at the chosen step, if not its interruption. */
  readonly disturb?: ((setup: S, stage: Stage) => void) | undefined
  /** Says what is wrong once everything has come to rest. It may use what was set up, which is looked at again after. */
  readonly audit?: ((setup: S, stage: Stage) => Effect.Effect<ReadonlyArray<string>, unknown>) | undefined
  /** Says what is wrong once the scope of the setup is closed. */
  readonly closed?: ((setup: S, stage: Stage) => ReadonlyArray<string>) | undefined
  /** After how many primitives fibers yield. Default: 3 to 64. */
  readonly budgets?: ReadonlyArray<number> | undefined
  /** How many pairs of disturbances are tried, a sample of all. Default 60. */
  readonly pairs?: number | undefined
  /**
   * The second disturbances of pairs. Default: all that can be, which is none that closes the setup if there is none, nor
   * one of a fiber beside the program if none is started.
   */
  readonly seconds?: ReadonlyArray<Second> | undefined
  /** How much time, in milliseconds of the run's clock, things may take to end or to come to rest. Default 10,000. */
  readonly within?: number | undefined
}

/**
 * Where a program is disturbed: before one of its steps under a yield budget, or before one of its primitives; and what
 * else happens some steps later.
 *
 * @category models
 * @since 0.1.0
 */
export interface Place {
  readonly budget: number
  readonly step?: number | undefined
  readonly primitive?: number | undefined
  readonly second?: { readonly what: Second; readonly after: number } | undefined
}

/**
 * A second disturbance, some steps after the first: the scope of the setup is closed; or it is closed with the first
 * disturbance already, and the fiber that closes it is interrupted; or one of the fibers beside the program is.
 *
 * @category models
 * @since 0.1.0
 */
export type Second = "close" | "interruptCloser" | "interruptNeighbour"

/**
 * @category models
 * @since 0.1.0
 */
export interface Leak {
  readonly place: Place
  readonly what: string
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Report {
  /** How many disturbances there were, in all runs. */
  readonly interruptions: number
  /** At how many steps, primitives and pairs of steps. */
  readonly steps: number
  readonly primitives: number
  readonly pairs: number
  readonly leaks: ReadonlyArray<Leak>
}

/**
 * What {@link expectClean} fails with.
 *
 * @category errors
 * @since 0.1.0
 */
export class LeaksFound extends Data.TaggedError("LeaksFound")<{ readonly report: Report }> {
  override get message(): string {
    const { leaks } = this.report
    const first = leaks.slice(0, 5).map(({ place, what }) => `\n  ${describePlace(place)}: ${what}`)
    const more = leaks.length > first.length ? `\n  and ${leaks.length - first.length} more` : ""
    return `Interruption leaves something behind:${first.join("")}${more}`
  }
}

/**
 * Runs a program with an interruption at every step, and reports what that left behind.
 *
 * **Details**
 *
 * The program may open its own pools, or use those of a setup. Pools are found by the registry; that the program's other
 * resources are given back is for `audit` and `closed` to tell. A leak names its place, and {@link replay} runs the
 * program with a disturbance there alone.
 *
 * **Gotchas**
 *
 * Everything has to run on Effect's clock and scheduler. The runtime takes a promise that does not settle in a microtask,
 * a socket or a timer of the platform for something that never happens: use fakes, such as a `TestPool`.
 *
 * **Example** (A program that is safe, and one that is not)
 *
 * ```ts
 * import { Pool } from "@effect-pools/core"
 * import { InterruptSweep, TestPool } from "@effect-pools/testing"
 * import { Effect, Exit, Scope } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const setup = () => TestPool.make({ make: (id) => ({ id }), max: 2 })
 *   type Items = TestPool.TestPool<{ readonly id: number }>
 *
 *   const safe = yield* InterruptSweep.run({
 *     setup,
 *     program: (pool: Items) => Pool.use(pool, ({ id }) => Effect.succeed(id))
 *   })
 *   InterruptSweep.expectClean(safe)
 *
 *   // An interruption between the two lines of the generator finds nobody who closes the scope.
 *   const unsafe = yield* InterruptSweep.run({
 *     setup,
 *     program: (pool: Items) =>
 *       Effect.gen(function*() {
 *         const scope = yield* Scope.make()
 *         const item = yield* Scope.provide(Pool.get(pool), scope)
 *         return yield* Effect.ensuring(Effect.succeed(item.id), Scope.close(scope, Exit.void))
 *       })
 *   })
 *   yield* Effect.log(`${unsafe.interruptions} interruptions, ${unsafe.leaks.length} leaks`)
 * })
 * ```
 *
 * @category operations
 * @since 0.1.0
 */
export const run = <S = void>(definition: Definition<S>): Effect.Effect<Report> =>
  Effect.promise(async () => {
    const leaks: Array<Leak> = []
    let steps = 0
    let primitives = 0
    const look = async (place: Place) => {
      try {
        const run = await play(definition, place)
        for (const what of run.leaks) leaks.push({ place, what })
        return run
      } catch (error) {
        leaks.push({ place, what: String(error) })
        return { steps: 0, primitives: 0, hasNeighbours: false }
      }
    }
    const whole: Array<{ readonly budget: number; readonly steps: number }> = []
    let hasNeighbours = false
    for (const budget of definition.budgets ?? defaultBudgets) {
      const undisturbed = await look({ budget })
      hasNeighbours ||= undisturbed.hasNeighbours
      whole.push({ budget, steps: undisturbed.steps })
      for (let step = 0; step < undisturbed.steps; step++, steps++) await look({ budget, step })
    }
    const budget = 2048
    const undisturbed = await look({ budget })
    for (; primitives < undisturbed.primitives; primitives++) await look({ budget, primitive: primitives + 1 })
    const seconds = (definition.seconds ?? allSeconds).filter((second) =>
      second === "interruptNeighbour" ? hasNeighbours : definition.setup !== undefined
    )
    const pairs = seconds.length === 0 || whole.length === 0 ? 0 : (definition.pairs ?? 60)
    const random = pseudoRandom(1)
    const below = (limit: number) => Math.floor(random() * limit)
    for (let pair = 0; pair < pairs; pair++) {
      const { budget, steps } = whole[below(whole.length)]!
      const what = seconds[pair % seconds.length]!
      await look({ budget, step: below(steps), second: { what, after: below(MOST_BETWEEN) } })
    }
    return { interruptions: steps + primitives + 2 * pairs, steps, primitives, pairs, leaks }
  })

const defaultBudgets: ReadonlyArray<number> = Array.from({ length: 62 }, (_, index) => index + 3)

const allSeconds: ReadonlyArray<Second> = ["close", "interruptCloser", "interruptNeighbour"]

/** How many steps may lie between the two disturbances of a pair. */
const MOST_BETWEEN = 24

/**
 * Runs a program once, disturbed at one place, and says what was wrong.
 *
 * @category operations
 * @since 0.1.0
 */
export const replay = <S = void>(definition: Definition<S>, place: Place): Effect.Effect<ReadonlyArray<string>> =>
  Effect.promise(async () => (await play(definition, place)).leaks)

/**
 * Throws {@link LeaksFound} if a report has leaks, or an `Error` if the sweep reached nothing.
 *
 * @category assertions
 * @since 0.1.0
 */
export const expectClean = (report: Report): void => {
  if (report.leaks.length > 0) throw new LeaksFound({ report })
  if (report.steps === 0 || report.primitives === 0) throw new Error("The program has no step to interrupt it at")
}

const describePlace = ({ budget, primitive, second, step }: Place): string => {
  if (primitive !== undefined) return `primitive ${primitive}`
  if (step === undefined) return `budget ${budget}, undisturbed`
  return `budget ${budget}, step ${step}${second === undefined ? "" : `, ${second.what} ${second.after} steps later`}`
}

// Kinds of pool ------------------------------------------------------------------------------------------------------

export type { PoolAudit, PoolScenario, PoolStage }

/**
 * A scenario around one pool of a kind, with an audit of that pool, of its items and of every one of its places.
 *
 * **Details**
 *
 * The pool is opened over gates before the program, by default with `max: 2`, `acquireTimeout: 5000` and no optional
 * steps. Once all is at rest, every gate is opened and all places of the pool are taken together.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ofPool: <A>(
  subject: Subject<A>,
  scenario: PoolScenario<A>,
  audit?: PoolAudit<A>
) => Definition<PoolStage<A>> = onPool

/**
 * A standard scenario of {@link scenarios}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Scenario {
  readonly name: string
  /** Why the kind of pool does not play it. */
  readonly skipped: string | undefined
  readonly run: Effect.Effect<Report>
}

/**
 * @category options
 * @since 0.1.0
 */
export interface ScenarioOptions<A> {
  /** What this kind of pool can be asked beyond what every pool can. */
  readonly audit?: PoolAudit<A> | undefined
  /** See {@link Definition}. */
  readonly budgets?: ReadonlyArray<number> | undefined
  /** See {@link Definition}. */
  readonly pairs?: number | undefined
}

/**
 * Every way to take an item and to give it back, for a kind of pool to be swept: served at once, waiting, creating,
 * validating, resetting, sharing; by `use`, by `get`, and if available; until a deadline; with a span; and with scopes and
 * pools that somebody else closes.
 *
 * @category suites
 * @since 0.1.0
 */
export const scenarios = <A>(subject: Subject<A>, options?: ScenarioOptions<A>): ReadonlyArray<Scenario> =>
  standardScenarios<A>().map(({ name, needs, ...scenario }) => ({
    name,
    skipped: needs.map((trait) => subject.lacks[trait]).find((reason) => reason !== undefined),
    run: run({ ...onPool(subject, scenario, options?.audit), budgets: options?.budgets, pairs: options?.pairs })
  }))

/**
 * What the suite asks of a test runner: `it` of `@effect/vitest` has it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Runner {
  readonly live: Register & { readonly skip: Register }
}

type Register = (name: string, run: () => Effect.Effect<void>, timeout: number) => void

/**
 * @category options
 * @since 0.1.0
 */
export interface SuiteOptions<A> extends ScenarioOptions<A> {
  /** What only this kind of pool does, by what it is called, and for which subject. */
  readonly own?: Readonly<Record<string, readonly [Subject<A>, PoolScenario<A>]>> | undefined
  /** How long a scenario may take, in milliseconds. Default 60,000. */
  readonly timeout?: number | undefined
}

/** A scenario of its own that has fewer steps than this, on average over the budgets, does nothing with its pool. */
const FEWEST = 5

/**
 * Registers every scenario with a test runner, and those that a kind of pool has of its own. Those that it does not play are
 * registered as skipped, with the reason in their name.
 *
 * **Example** (All of them as tests)
 *
 * ```ts
 * import { InterruptSweep, Subject } from "@effect-pools/testing"
 * import { describe, it } from "@effect/vitest"
 *
 * const sweep = (subject: Subject.Subject<unknown>) =>
 *   describe("the lease rule", () => {
 *     InterruptSweep.suite(subject, it)
 *   })
 * ```
 *
 * @category suites
 * @since 0.1.0
 */
export const suite = <A>(
  subject: Subject<A>,
  it: Runner,
  { own = {}, timeout = 60_000, ...options }: SuiteOptions<A> = {}
): void => {
  const titled = (name: string): string => `an interruption at any step leaks nothing: ${name}`
  for (const { name, run, skipped } of scenarios(subject, options)) {
    if (skipped === undefined) it.live(titled(name), () => Effect.map(run, expectClean), timeout)
    // By design: a case that this kind of pool cannot play is told under its name, with the reason.
    else it.live.skip(`${titled(name)} (skipped: ${skipped})`, () => Effect.map(run, expectClean), timeout)
  }
  for (const [name, [kind, scenario]] of Object.entries(own)) {
    const { audit, budgets, pairs } = options
    const sweep = run({ ...ofPool(kind, scenario, audit), budgets, pairs })
    const expectPlayed = (report: Report): void => {
      expectClean(report)
      const steps = report.interruptions - 2 * report.pairs
      if (steps < FEWEST * (budgets ?? defaultBudgets).length) {
        throw new Error(`"${name}" does too little: it was interrupted at only ${steps} steps over all budgets`)
      }
    }
    it.live(titled(name), () => Effect.map(sweep, expectPlayed), timeout)
  }
}
