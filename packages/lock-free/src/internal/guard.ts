import * as Lease from "@effect-pools/core/Lease"
import type { Guards } from "./guards.ts"

/** What a caller in plain code holds. The pool must not reach it, or a lost one would never be found. */
export class Guard<A> {
  readonly #guards: Guards<A>
  #holding: Holding<A> | undefined

  constructor(guards: Guards<A>, holding: Holding<A>) {
    this.#guards = guards
    this.#holding = holding
  }

  get value(): A {
    const holding = this.#holding
    if (holding === undefined) throw this.#guards.error("disposed")
    return holding.entry!.value
  }

  get isDisposed(): boolean {
    return this.#holding === undefined
  }

  /** Whether it was taken from the pool of these guards. */
  isOf(guards: Guards<any>): boolean {
    return this.#guards === guards
  }

  [Symbol.dispose](): void {
    const holding = this.#holding
    if (holding === undefined) throw this.#guards.error("disposed")
    this.#holding = undefined
    this.#guards.end(this, holding)
  }
}

/** The pool's side of a guard: its lease, which is used again when the guard is gone. */
export class Holding<A> extends Lease.Lease<A> {
  /** Only until the turn in which it was made is over. */
  guard: Guard<A> | undefined = undefined
  /** Whether it is looked at when the turn is over. */
  isYoung = false
  /** Whether the garbage collector tells of the guard's end. */
  isWatched = false
}
