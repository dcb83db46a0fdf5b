/**
 * What can go wrong between a pool and its caller.
 *
 * There is one error, {@link PoolError}, with a `reason`, as `SqlError` does it: `Effect.catchTag("PoolError", …)` takes
 * them all, `Effect.catchReason("PoolError", "AcquireTimeout", …)` one of them. Failures of an item itself, of creating
 * it say, are never wrapped: they stay the item's own error type.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { withoutStackTrace } from "./internal/stackTrace.ts"

const Explanation = Schema.Struct({
  idle: Schema.Number,
  used: Schema.Number,
  creating: Schema.Number,
  pending: Schema.Number,
  max: Schema.Number,
  /** How long the oldest lease has been held, in milliseconds. */
  oldestLease: Schema.optional(Schema.Number),
  /** Where the oldest lease was taken: known when leak detection is on. */
  oldestLeaseTakenAt: Schema.optional(Schema.String),
  /** The last failure to create an item, while items cannot be created. */
  lastCreateFailure: Schema.optional(Schema.String),
  /** Who has the permits of the pool's budget, while these are spent. */
  budget: Schema.optional(Schema.String),
  /** The fiber that timed out holds leases of the same pool: it may be waiting for itself. */
  heldByCaller: Schema.Number
})

/**
 * No item could be had in the time allowed.
 *
 * **Details**
 *
 * `waited` is in milliseconds. `phase` says what the time was spent on: `queue` is waiting for a turn, `create` is an
 * item under creation that never came to be, `open` is a pool of a map that had yet to open. Pools of named resources say
 * which one it was as `resource`, and in place of `queue` whether its last holder has not put it back (`put`) or there was
 * no place for it (`capacity`). `explanation` is the state of the pool at that moment; where the wait was for one resource,
 * its oldest lease is that on this one.
 *
 * @category errors
 * @since 0.1.0
 */
export class AcquireTimeout extends Schema.TaggedError<AcquireTimeout>("effect-pools/PoolError/AcquireTimeout")(
  "AcquireTimeout",
  {
    pool: Schema.String,
    phase: Schema.Literals(["queue", "create", "open", "put", "capacity"]),
    resource: Schema.optional(Schema.String),
    waited: Schema.Number,
    explanation: Explanation
  }
) {
  get isRetryable(): boolean {
    return true
  }
  override get message(): string {
    const it = this.explanation
    const said = [
      `Pool "${this.pool}": ${inPhase[this.phase](this.resource, `${Math.round(this.waited)} ms`)}` +
        ` (${it.used} used, ${it.idle} idle, ${it.creating} being created, ${it.pending} waiting, max ${it.max})`
    ]
    if (it.oldestLease !== undefined) {
      const where = it.oldestLeaseTakenAt === undefined ? "" : `, taken ${it.oldestLeaseTakenAt}`
      const which = this.phase === "put" ? "its lease" : "the oldest lease"
      said.push(`${which} is ${Math.round(it.oldestLease)} ms old${where}`)
    }
    if (it.lastCreateFailure !== undefined) said.push(`the last creation failed: ${it.lastCreateFailure}`)
    if (it.budget !== undefined) said.push(it.budget)
    if (it.heldByCaller > 0) {
      said.push(
        `this fiber holds ${it.heldByCaller} of the pool's items while it waits for another, a self-deadlock if` +
          " every holder does so"
      )
    }
    return said.join("; ")
  }
}

const inPhase = {
  queue: (_: string | undefined, waited: string) => `no item within ${waited}`,
  create: (name: string | undefined, waited: string) =>
    `creating ${name === undefined ? "an item" : `"${name}"`} took longer than ${waited}`,
  open: (_: string | undefined, waited: string) => `it did not open within ${waited}`,
  put: (name: string | undefined, waited: string) => `"${name}" was not put back within ${waited}`,
  capacity: (name: string | undefined, waited: string) => `no place for "${name}" within ${waited}`
}

/**
 * The pool is at capacity and the call does not wait; or, as `needs` says, it asks for more than `max`, for which it would
 * wait in vain.
 *
 * @category errors
 * @since 0.1.0
 */
export class Exhausted extends Schema.TaggedError<Exhausted>("effect-pools/PoolError/Exhausted")("Exhausted", {
  pool: Schema.String,
  max: Schema.Number,
  needs: Schema.optional(Schema.Number)
}) {
  get isRetryable(): boolean {
    return true
  }
  override get message(): string {
    if (this.needs !== undefined) return `Pool "${this.pool}" has ${this.max} places, and the call needs ${this.needs}`
    return `Pool "${this.pool}" has no item to hand out at once (max ${this.max}) and the call does not wait`
  }
}

/**
 * As many callers as `maxWaiters` allows are waiting already.
 *
 * @category errors
 * @since 0.1.0
 */
export class QueueFull extends Schema.TaggedError<QueueFull>("effect-pools/PoolError/QueueFull")("QueueFull", {
  pool: Schema.String,
  maxWaiters: Schema.Number
}) {
  get isRetryable(): boolean {
    return true
  }
  override get message(): string {
    return `Pool "${this.pool}" has ${this.maxWaiters} callers waiting already`
  }
}

/**
 * The pool is suspended and the call does not wait.
 *
 * @category errors
 * @since 0.1.0
 */
export class Suspended extends Schema.TaggedError<Suspended>("effect-pools/PoolError/Suspended")("Suspended", {
  pool: Schema.String
}) {
  get isRetryable(): boolean {
    return true
  }
  override get message(): string {
    return `Pool "${this.pool}" is suspended and the call does not wait`
  }
}

/**
 * The pool is closed, or draining: it hands out nothing any more.
 *
 * @category errors
 * @since 0.1.0
 */
export class Closed extends Schema.TaggedError<Closed>("effect-pools/PoolError/Closed")("Closed", {
  pool: Schema.String
}) {
  get isRetryable(): boolean {
    return false
  }
  override get message(): string {
    return `Pool "${this.pool}" is closed`
  }
}

/**
 * The budget of the pool has closed, and the pool has nothing left that it made before.
 *
 * @category errors
 * @since 0.1.0
 */
export class BudgetClosed extends Schema.TaggedError<BudgetClosed>("effect-pools/PoolError/BudgetClosed")(
  "BudgetClosed",
  { pool: Schema.String, budget: Schema.String }
) {
  get isRetryable(): boolean {
    return false
  }
  override get message(): string {
    return `Pool "${this.pool}" can make nothing any more: its budget "${this.budget}" is closed`
  }
}

/**
 * @category errors
 * @since 0.1.0
 */
export type PoolErrorReason = AcquireTimeout | Exhausted | QueueFull | Suspended | Closed | BudgetClosed

/**
 * A pool could not give a lease. `reason` says why; `isRetryable` says whether a later call may do better.
 *
 * **Example**
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool } from "@effect-pools/connection"
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* ConnectionPool.make({ acquire: Effect.succeed("connection"), max: 1 })
 *   yield* ConnectionPool.use(pool, () => Effect.void).pipe(
 *     Effect.catchReason("PoolError", "AcquireTimeout", (timeout) => Effect.logWarning(timeout.message))
 *   )
 * })
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class PoolError extends Schema.TaggedError<PoolError>("effect-pools/PoolError")("PoolError", {
  reason: Schema.Union([AcquireTimeout, Exhausted, QueueFull, Suspended, Closed, BudgetClosed])
}) {
  override readonly cause = this.reason

  override get message(): string {
    return this.reason.message
  }

  get pool(): string {
    return this.reason.pool
  }

  get isRetryable(): boolean {
    return this.reason.isRetryable
  }
}

/**
 * Makes a {@link PoolError} without capturing a stack: where it comes from is the pool, and the capture alone costs more
 * than ten leases.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (reason: () => PoolErrorReason): PoolError =>
  withoutStackTrace(() => new PoolError({ reason: reason() }))
