import { type Admission, type PoolStats, SynchronousStore } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import { Guards } from "./guards.ts"
import type { Checked } from "./lockFreeOptions.ts"

/** How long making items ahead may hold up everybody else, in milliseconds. */
const TURN = 2

/** The store of a lock-free pool: who needs an item makes it; the rest of a chunk is made in the background. */
export class LockFreeStore<A, E> extends SynchronousStore.SynchronousStore<A, E> {
  readonly guards: Guards<A>
  readonly options: Checked<A, E>
  /** Makes what is missing, in turns; ends when nothing is. */
  readonly fill: Effect.Effect<void>
  /** How many are still to be made ahead of demand. */
  #ahead: number
  #isFilling = false
  /** Making one ahead has failed: until a caller's succeeds, nothing is made ahead. */
  #isPutOff = false

  constructor(admission: Admission.Admission<A, E>, options: Checked<A, E>) {
    super(admission, options.steps)
    this.options = options
    this.guards = new Guards(this)
    this.#ahead = options.initial
    this.fill = Effect.suspend(() => (this.#fillATurn() ? Effect.andThen(Effect.yieldNow, this.fill) : Effect.void))
  }

  // Growth -----------------------------------------------------------------------------------------------------------

  /** Of a chunk this is the first, which the caller gets. */
  override make(): SynchronousStore.Item<A> | undefined {
    const item = super.make()
    if (item === undefined) return undefined
    this.#isPutOff = false
    if (this.#ahead > 0) this.#ahead--
    else this.#ahead = this.#chunk() - 1
    this.#fillLater()
    return item
  }

  /** How many come at a time, the one included that was just made. */
  #chunk(): number {
    const { chunk } = this.options
    return chunk === 0 ? Math.max(1, this.all.size - 1) : chunk
  }

  override replenish(): void {
    super.replenish()
    this.#fillLater()
  }

  /** Whether an item is to be made that nobody has asked for. */
  get #isShort(): boolean {
    const { idle, lifecycle, live, max, min, used } = this.admission
    return !this.#isPutOff && lifecycle === "open" && live < max && (this.#ahead > 0 || idle + used < min)
  }

  #fillLater(): void {
    if (this.#isFilling || !this.#isShort) return
    this.#isFilling = true
    const done = Effect.sync(() => {
      this.#isFilling = false
    })
    this.admission.background.fork(Effect.yieldNow.pipe(Effect.andThen(this.fill), Effect.ensuring(done)))
  }

  /** Answers whether something is left to do. */
  #fillATurn(): boolean {
    const { clock } = this.admission
    const until = clock.exact() + TURN
    while (this.#isShort) {
      this.#makeAhead()
      if (clock.exact() > until) return this.#isShort
    }
    return false
  }

  #makeAhead(): void {
    const item = super.make()
    if (item !== undefined) {
      if (this.#ahead > 0) this.#ahead--
      return this.place(item)
    }
    this.#isPutOff = true
    this.#ahead = 0
    const { name, noun } = this.admission
    this.admission.warn(`Pool "${name}": making ${noun}s ahead failed`, this.lastFailure)
  }

  override resized(): void {
    this.#ahead = 0
    super.resized()
  }

  // Answers ----------------------------------------------------------------------------------------------------------

  override refusal(): Effect.Effect<never, E> | undefined {
    const failure = super.refusal()
    if (failure !== undefined || this.options.waits) return failure
    return this.admission.exhausted() as Effect.Effect<never, any>
  }

  override details(): PoolStats.PoolStats["details"] {
    return { ...super.details(), abandoned: this.guards.abandoned, ahead: this.#ahead }
  }
}
