/**
 * Leases that are taken and ended in plain code, without an effect around them. For those who build pools whose items are
 * there at once.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Admission } from "./Admission.ts"
import { atCallSite } from "./internal/callSite.ts"
import { Lease, Request } from "./Lease.ts"

/**
 * The leases of one pool that are ended by hand. They are used again: taking and ending one makes no garbage.
 *
 * **Gotchas**
 *
 * A lease that has ended may be another's already. Whoever ends one has to know by its item, not by the lease, that it is
 * still theirs.
 *
 * @category models
 * @since 0.1.0
 */
export class SynchronousLeases<A, E, L extends Lease<A> = Lease<A>> {
  readonly #admission: Admission<A, E>
  /** Of all of these leases, and of no other. */
  readonly #options = {}
  readonly #request: Request<A>
  /** Those that have ended, linked through `next`. */
  #spare: L | undefined = undefined
  readonly #Lease: new (request: Request<A>) => L

  /** The leases may be of a class that knows more. */
  constructor(admission: Admission<A, E>, LeaseClass: new (request: Request<A>) => L = Lease as never) {
    this.#admission = admission
    this.#Lease = LeaseClass
    this.#request = this.#ask()
  }

  /** Takes an item, or throws why there is none now: a `PoolError`, or the failure to make one. */
  take(): L {
    const lease = this.#next()
    if (this.#admission.take(lease)) return lease
    const exit = Effect.runSyncExit(this.#admission.refuse(lease) as Effect.Effect<never, unknown>)
    this.#keep(lease)
    throw Exit.isFailure(exit) ? Cause.squash(exit.cause) : new Error("BUG: a lease was refused for no reason")
  }

  /** As {@link take}, for who has another lease: where that was taken, this one is said to have been taken too. */
  takeFor(other: Lease<any>): L {
    const { site } = other.request
    return site === undefined ? this.take() : atCallSite(site, () => this.take())
  }

  /** As {@link take}; `undefined` if there is none now. */
  takeIfAvailable(): L | undefined {
    const lease = this.#next()
    if (this.#admission.take(lease)) return lease
    this.#keep(lease)
    return undefined
  }

  /** Whether this is one of these, and so is ended by hand. */
  owns(lease: Lease<A>): boolean {
    return lease.request.options === this.#options
  }

  /** `exit` says what became of the use of the item. */
  end(lease: L, exit: Exit.Exit<unknown, unknown> = Exit.void): void {
    lease.end(exit)
    this.#keep(lease)
  }

  #ask(): Request<A> {
    return new Request<A>(this.#admission, undefined, this.#options, false)
  }

  #next(): L {
    // One that is to know where it was taken is a call of its own.
    if (this.#admission.tracksCallSites) return new this.#Lease(this.#ask())
    const lease = this.#spare
    if (lease === undefined) return new this.#Lease(this.#request)
    this.#spare = lease.next as L | undefined
    lease.next = undefined
    return lease
  }

  #keep(lease: L): void {
    if (lease.request !== this.#request) return
    lease.state = "new"
    lease.entry = undefined
    lease.id = 0
    lease.next = this.#spare
    this.#spare = lease
  }
}
