/**
 * The contract suite: what every kind of pool does, as cases that any pool can be put through.
 *
 * **When to use**
 *
 * In the tests of a kind of pool, or of an adapter that opens pools of such a kind: write its {@link Subject} and run the
 * suite on it. Each numbered invariant of the library has cases, and so has every function that pools have in common. A
 * kind's own tests then hold what is special to it.
 *
 * **Details**
 *
 * A case opens its pool over `Gates`, whose steps it lets succeed, fail, die, hang or be late; uses it under a
 * `TestClock`; and in the end closes it and looks for what is left: items, leases, fibers, timers, metrics, an entry in
 * the registry. Cases that need what a kind lacks (`Subject.lacks`) are skipped, with the reason in their name.
 *
 * **Example** (The whole test file of a kind of pool)
 *
 * ```ts
 * import { Contract, Subject, TestPool } from "@effect-pools/testing"
 * import { it } from "@effect/vitest"
 *
 * const subject = Subject.make({
 *   kind: "test",
 *   make: (gates, { concurrency, maxCreating, steps, ...settings }) =>
 *     TestPool.make({ ...settings, acquire: gates.make }),
 *   item: (value) => value,
 *   lacks: {
 *     creationLimit: "as many items are made as callers wait for",
 *     retries: "a creation that fails is the failure of who waits",
 *     validation: "items are handed out as they are",
 *     reset: "items are handed out as they are",
 *     checks: "nobody looks at items that lie idle",
 *     sharing: "an item has one holder"
 *   }
 * })
 *
 * export const run = () => Contract.suite(subject, it)
 * ```
 *
 * **Example** (Without a test runner)
 *
 * ```ts
 * import { Contract, Subject, TestPool } from "@effect-pools/testing"
 * import { Effect } from "effect"
 * import { TestClock } from "effect/testing"
 *
 * const subject = Subject.make({
 *   kind: "test",
 *   make: (gates, { concurrency, maxCreating, steps, ...settings }) =>
 *     TestPool.make({ ...settings, acquire: gates.make }),
 *   item: (value) => value,
 *   lacks: {
 *     creationLimit: "as many items are made as callers wait for",
 *     retries: "a creation that fails is the failure of who waits",
 *     validation: "items are handed out as they are",
 *     reset: "items are handed out as they are",
 *     checks: "nobody looks at items that lie idle",
 *     sharing: "an item has one holder"
 *   }
 * })
 *
 * const cases = Contract.cases(subject).filter(({ invariant, skipped }) => invariant === 2 && skipped === undefined)
 *
 * const program = Effect.forEach(cases, ({ run }) => Effect.scoped(run).pipe(Effect.provide(TestClock.layer())))
 * ```
 *
 * **Gotchas**
 *
 * A kind that lacks a trait and does not say so may leave a case waiting for ever: a `TestClock` stands still.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Cap from "./contract/cap.ts"
import * as Close from "./contract/close.ts"
import * as Deadlines from "./contract/deadlines.ts"
import * as Errors from "./contract/errors.ts"
import * as ExactlyOnce from "./contract/exactlyOnce.ts"
import * as Functions from "./contract/functions.ts"
import * as HandOut from "./contract/handOut.ts"
import * as Isolation from "./contract/isolation.ts"
import * as Observation from "./contract/observation.ts"
import * as Operators from "./contract/operators.ts"
import * as Options from "./contract/options.ts"
import * as Order from "./contract/order.ts"
import type { Invariant, Plan } from "./contract/plan.ts"
import * as Silent from "./contract/silent.ts"
import * as Slots from "./contract/slots.ts"
import * as Storms from "./contract/storms.ts"
import * as Stranded from "./contract/stranded.ts"
import * as Tellings from "./contract/tellings.ts"
import * as Time from "./contract/time.ts"
import type { Subject } from "./Subject.ts"

export { ContractViolation } from "./contract/expect.ts"
export type { Invariant } from "./contract/plan.ts"

/**
 * One thing that a kind of pool has to do.
 *
 * @category models
 * @since 0.1.0
 */
export interface Case {
  /** The invariant it belongs to, or none if it is about one of the functions, the errors or the options. */
  readonly invariant: Invariant | undefined
  /** Such as `invariant 4 (order): by priority, then first come first served`. */
  readonly name: string
  /** Why it does not apply to this kind of pool, if it does not. */
  readonly skipped: string | undefined
  /**
   * Fails with a `ContractViolation` where the pool does something else, or with what a call of the pool fails with that
   * must succeed. Needs `TestClock`.
   */
  readonly run: Effect.Effect<void, unknown, Scope.Scope>
}

const plans: ReadonlyArray<Plan> = [
  Cap,
  ExactlyOnce,
  Stranded,
  Order,
  Slots,
  Isolation,
  HandOut,
  Deadlines,
  Close,
  Time,
  Storms,
  Silent,
  Functions,
  Operators,
  Errors,
  Options,
  Observation,
  Tellings
].flatMap((module) => module.plans)

const names = new Set(plans.map(({ name }) => name))

/** Why single cases don't apply to a kind of pool. */
const setApart = ({ apart }: Subject<any>): ReadonlyMap<string, string> => {
  const reasons = new Map(Object.entries(apart).flatMap(([reason, cases]) => cases.map((name) => [name, reason])))
  for (const name of reasons.keys()) {
    if (!names.has(name)) throw new Error(`the contract has no case "${name}" that could be set apart`)
  }
  return reasons
}

/**
 * Every case of the contract, for this kind of pool. Throws if the subject sets a case apart that there is not.
 *
 * @category constructors
 * @since 0.1.0
 */
export const cases = <A>(subject: Subject<A>): ReadonlyArray<Case> => {
  const apart = setApart(subject)
  return plans.map(({ invariant, name, needs, run, without }) => {
    const lacks = needs.map((trait) => subject.lacks[trait]).find((reason) => reason !== undefined)
    const has = without.find((trait) => subject.lacks[trait] === undefined)
    return {
      invariant,
      name,
      skipped: lacks ?? apart.get(name) ?? (has === undefined ? undefined : `this kind of pool has ${has}`),
      run: Effect.suspend(() => run(subject))
    }
  })
}

/**
 * What the suite asks of a test runner: `it` of `@effect/vitest` has it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Runner {
  readonly effect: Register & { readonly skip: Register }
}

type Register = (name: string, run: () => Effect.Effect<void, unknown, Scope.Scope>) => void

/**
 * Registers every case with a test runner. Cases that do not apply are registered as skipped, with the reason in their
 * name.
 *
 * @category constructors
 * @since 0.1.0
 */
export const suite = <A>(subject: Subject<A>, it: Runner): void => {
  for (const { name, run, skipped } of cases(subject)) {
    if (skipped === undefined) it.effect(name, () => run)
    // By design: a case that this kind of pool cannot play is told under its name, with the reason.
    else it.effect.skip(`${name} (skipped: ${skipped})`, () => run)
  }
}
