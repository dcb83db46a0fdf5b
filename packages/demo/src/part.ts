/**
 * What a kind of pool brings to the demo. Each kind is one part, and one file under `parts/`.
 */
import type { PoolStats } from "@effect-pools/core"
import type * as Effect from "effect/Effect"
import type { Invariant } from "./invariants.ts"

/**
 * A kind of pool at work. What it needs is opened with it and ends with its scope.
 */
export interface Part {
  readonly name: string
  /** What users ask of it. */
  readonly requests: ReadonlyArray<Request>
  /** Breaks things while the load runs; interrupted when the stage ends. */
  readonly faults: Effect.Effect<void>
  /** What it finds when the load has ended and everything is still open. */
  readonly settled: Effect.Effect<Findings>
  /** What it finds when its scope has closed. */
  readonly closed: Effect.Effect<Findings>
}

/**
 * Something a user asks for. It fails with typed errors only; `load.ts` counts what becomes of it.
 */
export interface Request {
  readonly name: string
  /** Its share of all requests, against the weights of the others. Every stage begins with one of each. */
  readonly weight: number
  readonly run: Effect.Effect<unknown, TypedError>
}

/**
 * A failure of which the user can tell what it is; `reason` as `PoolError` and `SqlError` have it.
 */
export interface TypedError {
  readonly _tag: string
  readonly reason?: unknown
}

/**
 * A part's contribution to the report.
 */
export interface Findings {
  readonly pools?: ReadonlyArray<PoolStats.PoolStats> | undefined
  /** Further rows of the table. */
  readonly facts?: Readonly<Record<string, number>> | undefined
  readonly invariants: ReadonlyArray<Invariant>
}
