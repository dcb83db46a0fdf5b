import type * as Admission from "@effect-pools/core/Admission"
import type * as PoolStats from "@effect-pools/core/PoolStats"
import * as SynchronousStore from "@effect-pools/core/SynchronousStore"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Guards } from "./guards.ts"
import type { Checked } from "./lockFreeOptions.ts"

/** How long making items ahead may hold up everybody else, in milliseconds. */
const TURN = 2

/** The store of a lock-free pool: who needs an item makes it; the rest of a chunk is made in the background. */
export class LockFreeStore<A, E> extends SynchronousStore.SynchronousStore<A, E> {
  readonly guards: Guards<A>
  readonly options: Checked<A, E>
  /** Ends when nothing is made ahead any more. */
  readonly filled: Effect.Effect<void> = Effect.suspend(() =>
    this.#filling === undefined ? Effect.void : Fiber.await(this.#filling)
  )
  /** How many are still to be made ahead of demand. */
  #ahead: number
  #filling: Fiber.Fiber<void> | undefined = undefined
  /** Making one ahead has failed: until a caller's succeeds, nothing is made ahead. */
  #isPutOff = false

  constructor(admission: Admission.Admission<A, E>, options: Checked<A, E>) {
    super(admission, options.steps)
    this.options = options
    this.guards = new Guards<A>(admission, {
      takeFailure: () => this.takeFailure(),
      // Nobody else may have that item.
      abandon: (item) => void ((item as SynchronousStore.Item<A>).doom = "abandoned")
    })
    this.#ahead = options.initial
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

  /** Makes what is missing, but not in the step of a caller, nor all in one turn. */
  #fillLater(): void {
    if (this.#filling !== undefined || !this.#isShort) return
    const turns = Effect.whileLoop({ while: () => this.#fillATurn(), body: () => Effect.yieldNow, step: () => {} })
    this.#filling = this.admission.background.fork(Effect.andThen(Effect.yieldNow, turns))
  }

  /** Answers whether something may be left to do. */
  #fillATurn(): boolean {
    const { clock } = this.admission
    const until = clock.exact() + TURN
    while (this.#isShort && this.admission.claim("ahead")) {
      this.#makeAhead()
      if (clock.exact() > until) return true
    }
    this.#filling = undefined
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
