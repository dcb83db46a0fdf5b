/**
 * What became of the requests.
 */
import { Histogram } from "@effect-pools/core"
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type { TypedError } from "./part.ts"

/** How a request can end that no user could make sense of. */
const untyped = { defect: "DEFECT", interrupted: "INTERRUPTED" } as const

/**
 * Counts requests, by outcome, and times those that were answered.
 */
export class Tally {
  asked = 0
  readonly outcomes = new Map<string, number>()
  readonly latency = new Histogram.Histogram()
  /** A few of the defects, to show. */
  readonly defects: Array<string> = []

  begin(): void {
    this.asked++
  }

  end(exit: Exit.Exit<unknown, TypedError>, millis: number): void {
    const outcome = outcomeOf(exit)
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1)
    if (outcome === "ok") this.latency.record(millis)
    if (outcome === untyped.defect && this.defects.length < 3 && Exit.isFailure(exit)) {
      this.defects.push(String(Cause.squash(exit.cause)))
    }
  }

  get answered(): number {
    return this.outcomes.get("ok") ?? 0
  }

  get ended(): number {
    return Array.from(this.outcomes.values()).reduce((sum, count) => sum + count, 0)
  }

  get failed(): number {
    return this.ended - this.answered
  }

  get withoutType(): number {
    return Object.values(untyped).reduce((sum, outcome) => sum + (this.outcomes.get(outcome) ?? 0), 0)
  }
}

/**
 * `ok`, or the error's tag with its reason's: `PoolError.AcquireTimeout`.
 */
const outcomeOf = (exit: Exit.Exit<unknown, TypedError>): string => {
  if (Exit.isSuccess(exit)) return "ok"
  // A failure together with a defect is a defect.
  if (Cause.hasDies(exit.cause)) return untyped.defect
  const error = Cause.findError(exit.cause)
  if (Result.isFailure(error)) return untyped.interrupted
  const { _tag, reason } = error.success
  return hasTag(reason) ? `${_tag}.${reason._tag}` : _tag
}

const hasTag = (u: unknown): u is { readonly _tag: string } =>
  typeof u === "object" && u !== null && "_tag" in u && typeof u._tag === "string"
