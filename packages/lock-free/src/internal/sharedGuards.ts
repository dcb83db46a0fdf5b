import { type Lease, SynchronousLeases } from "@effect-pools/core"
import { GuardError } from "./guardError.ts"
import type { SharedStore, Slot } from "./sharedStore.ts"

/** What plain code holds of a shared pool: one slot, until it is disposed. */
export class SlotGuard {
  readonly #guards: SharedGuards
  #lease: Lease.Lease<Slot> | undefined

  constructor(guards: SharedGuards, lease: Lease.Lease<Slot>) {
    this.#guards = guards
    this.#lease = lease
  }

  get value(): Slot {
    if (this.#lease === undefined) throw this.#guards.error("disposed")
    return this.#lease.entry!.value
  }

  get isDisposed(): boolean {
    return this.#lease === undefined
  }

  isOf(guards: SharedGuards): boolean {
    return this.#guards === guards
  }

  [Symbol.dispose](): void {
    const lease = this.#lease
    if (lease === undefined) throw this.#guards.error("disposed")
    this.#lease = undefined
    this.#guards.leases.end(lease)
  }
}

/** The guards of one pool. */
export class SharedGuards {
  readonly leases: SynchronousLeases.SynchronousLeases<Slot, never>
  readonly #store: SharedStore

  constructor(store: SharedStore) {
    this.#store = store
    this.leases = new SynchronousLeases.SynchronousLeases(store.admission)
  }

  takeIfAvailable(): SlotGuard | undefined {
    const lease = this.leases.takeIfAvailable()
    if (lease !== undefined) return new SlotGuard(this, lease)
    const { lifecycle, observer } = this.#store.admission
    if (lifecycle === "open" || lifecycle === "suspended") {
      observer.exhausted++
      this.#store.counted()
    }
    return undefined
  }

  /** Throws why there is none now. */
  take(): SlotGuard {
    return new SlotGuard(this, this.leases.take())
  }

  error(problem: GuardError["problem"]): GuardError {
    return new GuardError({ pool: this.#store.admission.name, problem })
  }
}
