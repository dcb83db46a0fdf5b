/**
 * Permits shared by several pools: together they never have more items than the budget has permits.
 *
 * **When to use**
 *
 * When what is limited is not one pool's: the file descriptors of a process, the connections that a server has for all its
 * clients, memory.
 *
 * **What it does**
 *
 * - It is asked when an item is made, and told when one has ended. A lease on an item that is there costs nothing.
 * - When it is spent, others give up what lies idle, the least recently used first among all of them, before anybody waits.
 * - Pools in need are served in the order in which they asked, one item at a time; a pool whose first caller leaves keeps
 *   its place for the next. A pool does not keep others waiting by handing on to its own callers what others have waited
 *   for longer.
 * - A pool can have a minimum that others cannot take from it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Admission } from "./Admission.ts"
import * as InvalidOptions from "./InvalidOptions.ts"
import { LocalBudget } from "./internal/localBudget.ts"
import type { Permits } from "./internal/permits.ts"
import * as Layout from "./Layout.ts"

const TypeId = "~@effect-pools/core/Budget"

export {
  /**
   * What every budget has as its {@link Budget.dealings}. For those who build budgets.
   *
   * @category constants
   * @since 0.1.0
   */
  dealings
} from "./internal/dealings.ts"

/**
 * Where pools get their permits. {@link make} makes one for pools of this process; others may be behind this as well, such
 * as leases on permits of a whole fleet, since whoever asks may be answered at any later time.
 *
 * @category models
 * @since 0.1.0
 */
export interface Budget {
  readonly "~@effect-pools/core/Budget": typeof TypeId
  readonly name: string
  /** How many permits there are. */
  readonly max: number
  /** How many of them are no member's minimum. */
  readonly open: number
  /** Whether members can have a minimum. Default `true`. */
  readonly hasMinimums?: boolean
  /** Enters a pool. It has its minimum from now on, as soon as others give back what they have of it. */
  readonly join: (member: Member) => Membership
  /** How pools deal with it: {@link dealings}, for every budget. A pool without one has no need of that code. */
  readonly dealings: Dealings
  readonly statsUnsafe: () => BudgetStats
}

/**
 * What a budget asks of a pool. None of these may throw.
 *
 * @category models
 * @since 0.1.0
 */
export interface Member {
  readonly name: string
  /** How many permits nobody else gets, whether it needs them or not. */
  readonly minimum: number
  /** How many permits its heaviest item takes. */
  readonly weight: number
  /** The time of its clock, in milliseconds. Members of one budget have one clock. */
  readonly now: () => number
  /** How many permits it would come to, but not more than `most`, if it ended idle items one by one: see `oldest`. */
  readonly idle: (most: number) => number
  /** Its least recently used idle item of those that have no more than `most` permits; `undefined` if there is none. */
  readonly oldest: (most: number) => Idle | undefined
  /** Ends that item. Its permits are given back when it is gone. */
  readonly reclaim: (most: number) => void
  /** It has the permits now that it asked for. */
  readonly granted: () => void
  /** There may be permits for what it made no demand for. */
  readonly freed: () => void
  /** The budget has closed: there will be no more permits. */
  readonly closed: () => void
}

/**
 * An item that a pool could give up: since when it lies idle, in milliseconds of the pool's clock, and how many permits it
 * has.
 *
 * @category models
 * @since 0.1.0
 */
export interface Idle {
  readonly since: number
  readonly permits: number
}

/**
 * For whom an item is to be made: see {@link Membership}.
 *
 * @category models
 * @since 0.1.0
 */
export type Urgency = "ahead" | "now" | "line"

/**
 * A pool's place in a budget.
 *
 * @category models
 * @since 0.1.0
 */
export interface Membership {
  /** The budget has closed. */
  readonly isClosed: boolean
  /**
   * Takes so many permits for an item, if they are there and nobody waits for them.
   *
   * - `ahead`: for nobody in particular; `freed` is called when there may be some later
   * - `now`: for somebody who does not wait; others are asked to give up an idle item
   * - `line`: for somebody who waits; others are asked likewise, and if that is not enough, or takes time, the pool gets in
   *   line: `granted` is called when it has the permits. Asked again, it keeps its place for as many as it asks for then
   */
  readonly take: (urgency: Urgency, permits: number) => boolean
  /** It does not need any more what it is in line for. */
  readonly withdraw: () => void
  /**
   * While it is in line, a caller of it got an item, and the next one has waited since this time: those in line who have
   * waited for longer come before it.
   */
  readonly served: (since: number) => void
  /** An item lies idle now that others may be waiting for. */
  readonly idled: () => void
  /** Whether an item with so many permits should go to another pool rather than to a caller who waits since this time. */
  readonly isOwed: (since: number, permits: number) => boolean
  /** It will need no more permits: its minimum is others' from now on. */
  readonly retire: () => void
  /** Whether there are so many permits for it, or enough idle items of others, and nobody waits for them. */
  readonly isWithinReach: (permits: number) => boolean
  /** An item is gone, with so many permits. */
  readonly give: (permits: number) => void
  /** It has no items any more, and never will. */
  readonly leave: () => void
}

/**
 * **Details**
 *
 * `free` are permits that nobody has; some of them may be others' minimum. `inLine` is how many pools wait. Of each member:
 * `taken` permits, `minimum`, `weight` of its heaviest item, and whether it waits.
 *
 * @category schemas
 * @since 0.1.0
 */
export const BudgetStats = Schema.Struct({
  name: Schema.String,
  max: Schema.Number,
  free: Schema.Number,
  inLine: Schema.Number,
  members: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      taken: Schema.Number,
      minimum: Schema.Number,
      weight: Schema.Number,
      waits: Schema.Boolean
    })
  )
})

/**
 * @category models
 * @since 0.1.0
 */
export interface BudgetStats extends Schema.Schema.Type<typeof BudgetStats> {}

/**
 * A pool's share in a budget, as its options have it.
 *
 * @category options
 * @since 0.1.0
 */
export interface Share {
  readonly budget: Budget
  /** How many permits no other pool gets: a multiple of `weight`. Default 0. */
  readonly minimum?: number | undefined
  /** How many permits an item takes. Default 1. */
  readonly weight?: number | undefined
}

/**
 * A share that has been checked. For those who build pools.
 *
 * @category options
 * @since 0.1.0
 */
export interface CheckedShare {
  readonly budget: Budget
  readonly minimum: number
  readonly weight: number
}

/**
 * A pool's side of a budget. For those who build budgets.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dealings {
  /** Checks a pool's share, `weight` being the default of its weight. */
  readonly check: (checks: InvalidOptions.Checks, share: Share, weight: number) => CheckedShare
  /** Enters a pool. */
  readonly enter: (admission: Admission<any, any>, share: CheckedShare) => Permits
}

/**
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** Its name in errors and stats. Default `budget-<n>`. */
  readonly name?: string | undefined
  /** How many permits there are: a whole number, at least 1. */
  readonly max: number
}

/**
 * @category guards
 * @since 0.1.0
 */
export const isBudget = (u: unknown): u is Budget => hasProperty(u, TypeId)

/**
 * Makes a budget for pools of this process, until the surrounding scope closes.
 *
 * **Details**
 *
 * Close it after its pools: in one scope, make it before them. Pools whose budget has closed keep what they have and make
 * nothing more: whoever would need a new item fails with the reason `BudgetClosed`.
 *
 * **Gotchas**
 *
 * Fibers that hold an item of one pool while they wait for one of another can wait for each other. Nothing can give them
 * what they need, and their `AcquireTimeout` says who has the permits. A minimum for each pool that others are used within
 * is a way out. The same goes for finalizers that use a pool of the budget whose permit they still hold.
 *
 * While an item that was given up does not end, its permits count as on their way, for up to its pool's `destroyTimeout`; and
 * connections that are shared (`concurrency`) and never idle are given up to nobody.
 *
 * **Example** (Two pools that have ten connections together)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool } from "@effect-pools/connection"
 * import { Budget } from "@effect-pools/core"
 *
 * const connect = Effect.succeed("connection")
 *
 * const program = Effect.gen(function*() {
 *   const budget = yield* Budget.make({ name: "postgres", max: 10 })
 *   const orders = yield* ConnectionPool.make({ acquire: connect, max: 10, budget: { budget, minimum: 2 } })
 *   const reports = yield* ConnectionPool.make({ acquire: connect, max: 5, budget })
 *   yield* ConnectionPool.use(orders, () => ConnectionPool.use(reports, () => Effect.void))
 *   return yield* Budget.stats(budget)
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Budget, InvalidOptions.InvalidOptions, Scope.Scope> =>
  Effect.flatMap(
    InvalidOptions.check(() => {
      const unnamed = new InvalidOptions.Checks("budget")
      if (typeof options !== "object" || options === null)
        return unnamed.refuse("options", options, "must be an object")
      const name = unnamed.name(options.name, () => `budget-${++lastUnnamed}`)
      const checks = new InvalidOptions.Checks(name)
      checks.known(options, new Set<keyof Options>(["name", "max"]))
      if (options.max === undefined) checks.refuse("max", options.max, "must be given")
      return { name, max: checks.integer("max", options.max, 1, 1) }
    }),
    ({ max, name }) =>
      Effect.acquireRelease(
        Effect.sync(() => Layout.make(LocalBudget, () => new LocalBudget(TypeId, name, max))),
        (budget) => Effect.sync(() => budget.close())
      )
  )

let lastUnnamed = 0

/**
 * Who has the permits at this moment.
 *
 * @category observation
 * @since 0.1.0
 */
export const stats = (self: Budget): Effect.Effect<BudgetStats> => Effect.sync(() => self.statsUnsafe())

/**
 * Checks a pool's option `budget`. For those who build pools.
 *
 * @category options
 * @since 0.1.0
 */
export const check = (
  checks: InvalidOptions.Checks,
  given: Budget | Share | undefined,
  weight = 1
): CheckedShare | undefined => {
  if (given === undefined) return undefined
  const share: Share = isBudget(given) ? { budget: given } : given
  if (share === null || !isBudget(share.budget)) {
    return checks.refuse("budget", given, "must be a Budget, or an object with one as `budget`")
  }
  const { dealings } = share.budget as Partial<Budget>
  if (dealings === undefined) return checks.refuse("budget.dealings", dealings, "must be Budget.dealings")
  return dealings.check(checks, share, weight)
}
