/**
 * How healthy a connection is: a score from 0 to 100, moved by what happens in use and in background checks alike.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"

/**
 * The rules of the score. Every field has a default.
 *
 * @category options
 * @since 0.1.0
 */
export interface HealthPolicy {
  /** Added by a success, up to 100. Default 10. */
  readonly reward?: number | undefined
  /** Taken by a failure, down to 0. Default 25. */
  readonly penalty?: number | undefined
  /** A connection is healthy above this score. Default 50. */
  readonly healthyAbove?: number | undefined
  /** One that is not healthy counts as degraded above this score, as failed at or below it. Default 25, or `healthyAbove` if that is lower. */
  readonly degradedAbove?: number | undefined
  /** This many failures in a row make it unhealthy, whatever its score. Default 5. */
  readonly maxErrors?: number | undefined
}

/**
 * @category models
 * @since 0.1.0
 */
export type HealthStatus = "healthy" | "degraded" | "failed"

/**
 * What an error of the body says about its connection:
 *
 * - `fatal`: it is broken, destroy it when its lease ends
 * - `suspect`: it may be; lowers its score
 * - `fine`: nothing, the error is about something else
 *
 * @category models
 * @since 0.1.0
 */
export type Verdict = "fatal" | "suspect" | "fine"

/**
 * @category models
 * @since 0.1.0
 */
export type Classify = (cause: Cause.Cause<unknown>) => Verdict

/**
 * The part of a connection that the rules look at.
 *
 * @category models
 * @since 0.1.0
 */
export interface Scored {
  score: number
  /** Failures in a row. */
  errors: number
}

/**
 * @category models
 * @since 0.1.0
 */
export class HealthRules {
  readonly reward: number
  readonly penalty: number
  readonly healthyAbove: number
  readonly degradedAbove: number
  readonly maxErrors: number

  constructor(policy: { readonly [Rule in keyof HealthPolicy]-?: number }) {
    this.reward = policy.reward
    this.penalty = policy.penalty
    this.healthyAbove = policy.healthyAbove
    this.degradedAbove = policy.degradedAbove
    this.maxErrors = policy.maxErrors
  }

  success(it: Scored): void {
    it.score = Math.min(100, it.score + this.reward)
    it.errors = 0
  }

  failure(it: Scored): void {
    it.score = Math.max(0, it.score - this.penalty)
    it.errors++
  }

  isHealthy(it: Scored): boolean {
    return it.score > this.healthyAbove && it.errors < this.maxErrors
  }

  status(it: Scored): HealthStatus {
    return this.isHealthy(it) ? "healthy" : it.score > this.degradedAbove ? "degraded" : "failed"
  }
}
