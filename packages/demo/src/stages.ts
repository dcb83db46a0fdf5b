/**
 * What the load goes through.
 */

/**
 * A stretch of the run.
 */
export interface Stage {
  readonly name: string
  /** Its share of the run's time. */
  readonly share: number
  /** How many users there are, against the number asked for. */
  readonly users: number
  /** How long a user thinks between two requests, at most, in milliseconds. */
  readonly thinks: number
  readonly hasFaults: boolean
}

export const stages: ReadonlyArray<Stage> = [
  { name: "warm-up", share: 0.1, users: 0.25, thinks: 20, hasFaults: false },
  { name: "steady", share: 0.3, users: 1, thinks: 40, hasFaults: false },
  { name: "spike", share: 0.15, users: 4, thinks: 0, hasFaults: false },
  { name: "faults", share: 0.25, users: 1, thinks: 20, hasFaults: true },
  { name: "recovery", share: 0.2, users: 0.25, thinks: 100, hasFaults: false }
]
