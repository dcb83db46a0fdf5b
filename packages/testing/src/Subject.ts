/**
 * How the suites of this package make and use a kind of pool: the small adapter that each kind writes once.
 *
 * **Example** (The adapter of a pool of one's own)
 *
 * ```ts
 * import { ConnectionPool } from "@effect-pools/connection"
 * import { Subject } from "@effect-pools/testing"
 *
 * const subject = Subject.make({
 *   kind: "connection",
 *   make: (gates, { steps, ...settings }) =>
 *     ConnectionPool.make({
 *       ...settings,
 *       acquire: gates.make,
 *       ...(steps.includes("validate") ? { validate: gates.onValidate, validateAfterIdle: 0 } : {}),
 *       ...(steps.includes("reset") ? { reset: gates.onReset } : {}),
 *       health: steps.includes("check") ? { check: gates.onCheck } : false
 *     }),
 *   item: (connection) => connection,
 *   lacks: {}
 * })
 * ```
 *
 * @since 0.1.0
 */
import { type InvalidOptions, Pool, type PoolError } from "@effect-pools/core"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { GateFailure, Gates, Item } from "./Gates.ts"

/**
 * What a kind of pool may do or not. A suite skips the cases that need what a subject lacks, and says why.
 *
 * - `waiting`: callers wait for an item
 * - `reuse`: an item that comes back is handed out again
 * - `minimum`: `min` items are kept ready in the background
 * - `time`: the steps of an item may take time; else they are synchronous
 * - `creationLimit`: at most `maxCreating` items are made at a time
 * - `retries`: a failed attempt to create is followed by others while somebody waits
 * - `validation`, `reset`, `checks`: items are validated before hand-out, reset on return, checked while idle
 * - `sharing`: several leases may share an item
 * - `grace`: closing waits for leases
 *
 * @category models
 * @since 0.1.0
 */
export type Trait =
  | "waiting"
  | "reuse"
  | "minimum"
  | "time"
  | "creationLimit"
  | "retries"
  | "validation"
  | "reset"
  | "checks"
  | "sharing"
  | "grace"

/**
 * What a suite asks of a pool. Durations are in milliseconds.
 *
 * **Details**
 *
 * A kind that has a trait has the options that belong to it, and a subject passes them on; those of traits that it lacks
 * it may leave out. What belongs to no trait is asked of every kind.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  /** Of every kind. */
  readonly name?: string
  /** Of every kind. */
  readonly max?: number
  /** Of kinds with `minimum`. */
  readonly min?: number
  /** Of kinds with `waiting`. */
  readonly acquireTimeout?: number
  /** Of kinds with `waiting`. */
  readonly maxWaiters?: number
  /** Of kinds with `creationLimit`. */
  readonly maxCreating?: number
  /** Of kinds with `time`. */
  readonly createTimeout?: number
  /** Of kinds with `time`. */
  readonly destroyTimeout?: number
  /** Of kinds with `grace`. */
  readonly closeGrace?: number
  /** Of kinds with `sharing`. */
  readonly concurrency?: number
  /** Which of the optional steps the pool is to have: of kinds with `validation`, `reset`, `checks`. */
  readonly steps: ReadonlyArray<"validate" | "reset" | "check">
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Definition<A> {
  readonly kind: string
  /** Opens a pool over the gates. */
  readonly make: (
    gates: Gates,
    settings: Settings
  ) => Effect.Effect<Pool.Pool<A, GateFailure>, InvalidOptions.InvalidOptions, Scope.Scope>
  /** Which of the gates' items a lease has got. */
  readonly item: (value: A) => Item
  /** What pools of this kind don't do, each with the reason. */
  readonly lacks: { readonly [T in Trait]?: string }
  /** Names of single cases of the contract that don't apply, by the reason, where that is no trait. */
  readonly apart?: Readonly<Record<string, ReadonlyArray<string>>>
  /** How to take an item, if not by `Pool.get` and `Pool.use`. */
  readonly get?: (
    pool: Pool.Pool<A, GateFailure>,
    options?: Pool.AcquireOptions
  ) => Effect.Effect<A, GateFailure | PoolError.PoolError | InvalidOptions.InvalidOptions, Scope.Scope>
  readonly use?: <B, E, R>(
    pool: Pool.Pool<A, GateFailure>,
    body: (value: A) => Effect.Effect<B, E, R>,
    options?: Pool.AcquireOptions
  ) => Effect.Effect<B, GateFailure | PoolError.PoolError | InvalidOptions.InvalidOptions | E, R>
}

/**
 * @category models
 * @since 0.1.0
 */
export type Subject<A> = Required<Definition<A>>

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = <A>(definition: Definition<A>): Subject<A> => ({
  get: (pool, options) => Pool.get(pool, options),
  use: (pool, body, options) => Pool.use(pool, body, options),
  apart: {},
  ...definition
})
