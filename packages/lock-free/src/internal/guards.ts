import type * as Admission from "@effect-pools/core/Admission"
import type * as Lease from "@effect-pools/core/Lease"
import * as SynchronousLeases from "@effect-pools/core/SynchronousLeases"
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import { Guard, Holding } from "./guard.ts"
import { GuardError } from "./guardError.ts"

const lost = Exit.die(new Error("the guard was lost without being disposed"))
const settled = Promise.resolve()

/** What a kind of pool has to say. */
export interface Kind<A> {
  /** Why the item could not be made that the last caller was to have. */
  readonly takeFailure: () => Cause.Cause<unknown> | undefined
  /** The guard of this item, which is about to come back, was lost. */
  readonly abandon: (entry: Lease.Entry<A>) => void
}

/**
 * The guards of one pool, and what becomes of those that nobody disposes.
 *
 * Having the garbage collector tell of a guard costs far more, microseconds, than taking and returning an item. No guard can
 * be collected unnoticed while the pool refers to it, so the pool does, until the turn of the event loop is over; only a
 * guard that outlives its turn is registered. What is registered with it is the lease, which refers to the item but not to
 * the guard.
 */
export class Guards<A> {
  /** How many were lost. */
  abandoned = 0
  readonly #admission: Admission.Admission<A, unknown>
  readonly #kind: Kind<A>
  readonly #leases: SynchronousLeases.SynchronousLeases<A, unknown, Holding<A>>
  readonly #registry = new FinalizationRegistry<Holding<A>>((holding) => this.#abandon(holding))
  /** Those taken in this turn. */
  readonly #young: Array<Holding<A>> = []
  readonly #endTurn = (): void => this.#watch()

  constructor(admission: Admission.Admission<A, any>, kind: Kind<A>) {
    this.#admission = admission
    this.#kind = kind
    this.#leases = new SynchronousLeases.SynchronousLeases<A, unknown, Holding<A>>(admission, Holding)
  }

  /** `undefined` if there is none now; throws what making one throws. */
  takeIfAvailable(): Guard<A> | undefined {
    const holding = this.#leases.takeIfAvailable()
    return holding === undefined ? this.#nothing() : this.#guard(holding)
  }

  /** Throws why there is none now. */
  take(): Guard<A> {
    return this.#guard(this.#leases.take())
  }

  #nothing(): undefined {
    const failure = this.#kind.takeFailure()
    if (failure !== undefined) throw Cause.squash(failure)
    const { lifecycle, observer, store } = this.#admission
    if (lifecycle !== "open" && lifecycle !== "suspended") return
    observer.exhausted++
    store.counted?.()
  }

  #guard(holding: Holding<A>): Guard<A> {
    const guard = new Guard(this, holding)
    holding.guard = guard
    if (!holding.isYoung) this.#watchLater(holding)
    return guard
  }

  end(guard: Guard<A>, holding: Holding<A>): void {
    holding.guard = undefined
    if (holding.isWatched) {
      holding.isWatched = false
      this.#registry.unregister(guard)
    }
    this.#leases.end(holding)
  }

  error(problem: GuardError["problem"]): GuardError {
    return new GuardError({ pool: this.#admission.name, problem })
  }

  // Lost guards ------------------------------------------------------------------------------------------------------

  #watchLater(holding: Holding<A>): void {
    holding.isYoung = true
    if (this.#young.push(holding) === 1) void settled.then(this.#endTurn)
  }

  /** From now on the garbage collector looks after those guards that are not disposed yet. */
  #watch(): void {
    for (const holding of this.#young) {
      const { guard } = holding
      holding.isYoung = false
      if (guard === undefined) continue
      holding.guard = undefined
      holding.isWatched = true
      this.#registry.register(guard, holding, guard)
    }
    this.#young.length = 0
  }

  /** Whoever lost the guard may still use what it gave access to. */
  #abandon(holding: Holding<A>): void {
    const { name, noun, observer } = this.#admission
    const item = holding.entry!
    const takenAt = holding.request.callSite
    holding.isWatched = false
    this.abandoned++
    observer.emit({ _tag: "LeaseAbandoned", item: item.id, lease: this.#admission.leaseId(holding), takenAt })
    const where = takenAt ?? "in an unknown place"
    this.#admission.warn(
      `Pool "${name}": the guard of ${noun} ${item.id} was lost without being disposed; taken ${where}`
    )
    this.#kind.abandon(item)
    this.#leases.end(holding, lost)
  }
}
