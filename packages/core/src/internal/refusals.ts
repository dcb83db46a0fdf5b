import * as PoolError from "../PoolError.ts"

/** The errors of callers that are not let in. They say nothing about the moment, so each is made once. */
export class Refusals {
  readonly #pool: { readonly name: string; readonly max: number; readonly maxWaiters: number }
  #exhausted: PoolError.PoolError | undefined
  #exhaustedAt = 0

  constructor(pool: { readonly name: string; readonly max: number; readonly maxWaiters: number }) {
    this.#pool = pool
  }

  get closed(): PoolError.PoolError {
    return (this.#closed ??= PoolError.make(() => new PoolError.Closed({ pool: this.#pool.name })))
  }
  #closed: PoolError.PoolError | undefined

  get suspended(): PoolError.PoolError {
    return (this.#suspended ??= PoolError.make(() => new PoolError.Suspended({ pool: this.#pool.name })))
  }
  #suspended: PoolError.PoolError | undefined

  get queueFull(): PoolError.PoolError {
    const { maxWaiters, name } = this.#pool
    return (this.#queueFull ??= PoolError.make(() => new PoolError.QueueFull({ pool: name, maxWaiters })))
  }
  #queueFull: PoolError.PoolError | undefined

  /** Names `max`, which a resize changes. */
  get exhausted(): PoolError.PoolError {
    const { max, name } = this.#pool
    if (this.#exhausted === undefined || this.#exhaustedAt !== max) {
      this.#exhaustedAt = max
      this.#exhausted = PoolError.make(() => new PoolError.Exhausted({ pool: name, max }))
    }
    return this.#exhausted
  }

  budgetClosed(budget: string): PoolError.PoolError {
    return (this.#budgetClosed ??= PoolError.make(() => new PoolError.BudgetClosed({ pool: this.#pool.name, budget })))
  }
  #budgetClosed: PoolError.PoolError | undefined
}
