import { type Admission, type Lease, Observer, type PoolEvent, type Store, Supply } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"

/** The options after checking. Durations are in milliseconds. */
export interface Checked<A, E> extends Admission.Settings, Supply.Options<A, E> {
  readonly closeGrace: number
}

/** One item of the pool, as long as it is not being destroyed. */
class TestEntry<A> implements Lease.Entry<A>, Supply.Ending {
  readonly id: number
  readonly value: A
  readonly scope: Scope.Closeable
  readonly createdAt: number
  holder: Lease.Lease<A> | undefined = undefined
  isInvalid = false
  idleSince = 0

  constructor(id: number, value: A, scope: Scope.Closeable, createdAt: number) {
    this.id = id
    this.value = value
    this.scope = scope
    this.createdAt = createdAt
  }
}

/**
 * The store of a test pool: items made on demand, handed out last returned first. Its methods run to their end in one
 * synchronous step, so that whoever looks at the counts finds them true.
 */
export class TestStore<A, E> implements Store.Store<A, E> {
  readonly #admission: Admission.Admission<A, E>
  readonly #supply: Supply.Supply<A, E>
  readonly #entries = new Set<TestEntry<A>>()
  /** The last one was returned last. */
  readonly #idle: Array<TestEntry<A>> = []

  constructor(admission: Admission.Admission<A, E>, options: Checked<A, E>) {
    this.#admission = admission
    this.#supply = new Supply.Supply(admission, options)
  }

  // Leases -----------------------------------------------------------------------------------------------------------

  take(): TestEntry<A> | undefined {
    const entry = this.#idle.pop()
    if (entry === undefined) return undefined
    this.#admission.idle--
    this.#admission.used++
    return entry
  }

  giveBack(entry: TestEntry<A>, _lease: Lease.Lease<A>, _exit: Exit.Exit<unknown, unknown>, now: number): void {
    // Destroyed under its holder when the grace of a close was over.
    if (this.#entries.has(entry)) this.#settle(entry, now)
  }

  /** An item counted as used is nobody's any more: it goes to the first who waits, or lies idle, or has to go. */
  #settle(entry: TestEntry<A>, now: number): void {
    const { creating, idle, lifecycle, max, used } = this.#admission
    if (entry.isInvalid) return this.#destroy(entry, "invalidated")
    if (lifecycle === "draining" || lifecycle === "closed") return this.#destroy(entry, "closed")
    if (idle + used + creating > max) return this.#destroy(entry, "shrink")
    if (this.#admission.offer(entry, now)) return
    this.#admission.used--
    this.#admission.idle++
    entry.idleSince = now
    this.#idle.push(entry)
    this.#admission.idled()
  }

  // Supply -----------------------------------------------------------------------------------------------------------

  replenish(): void {
    const { lifecycle } = this.#admission
    if (lifecycle === "draining" || lifecycle === "closed") return
    while (this.#isWanting() && this.#admission.claim(this.#isDemanded ? "line" : "ahead")) this.#create()
  }

  get #isDemanded(): boolean {
    const { creating, demanding, lifecycle } = this.#admission
    return lifecycle === "open" && demanding > creating
  }

  #isWanting(): boolean {
    const { creating, idle, min, used } = this.#admission
    if (this.#isDemanded) return true
    // What fails is tried again only for somebody who needs it.
    return this.#supply.failures === 0 && idle + used + creating < min
  }

  #create(): void {
    const admission = this.#admission
    this.#supply.make({
      created: (value, scope, now, took) => {
        const entry = new TestEntry(++admission.observer.created, value, scope, now)
        this.#entries.add(entry)
        admission.creating--
        admission.used++
        admission.observer.emit({ _tag: "ItemCreated", item: entry.id, took })
        this.#settle(entry, now)
        // What was not insisted on while items could not be made.
        admission.replenish()
      },
      failed: (cause) => {
        if (admission.failFirst(Effect.failCause(cause))) return
        // Whoever it was for has left.
        admission.warn(`Pool "${admission.name}": an item could not be made`, cause)
      }
    })
  }

  #destroy(entry: TestEntry<A>, reason: PoolEvent.DestroyReason): void {
    const place = this.#idle.indexOf(entry)
    if (place === -1) this.#admission.used--
    else {
      this.#idle.splice(place, 1)
      this.#admission.idle--
    }
    this.#entries.delete(entry)
    this.#supply.end(entry, reason)
  }

  invalidate(value: A): void {
    for (const entry of Array.from(this.#entries)) {
      if (entry.value !== value) continue
      entry.isInvalid = true
      if (entry.holder === undefined) this.#destroy(entry, "invalidated")
    }
  }

  resized(): void {
    const admission = this.#admission
    while (this.#idle.length > 0 && admission.idle + admission.used + admission.creating > admission.max) {
      this.#destroy(this.#idle[0]!, "shrink")
    }
  }

  idleSince(): number | undefined {
    return this.#idle[0]?.idleSince
  }

  evict(): void {
    if (this.#idle[0] !== undefined) this.#destroy(this.#idle[0], "reclaimed")
  }

  shutdown(): void {
    for (const entry of Array.from(this.#idle)) this.#destroy(entry, "closed")
    this.#supply.stop()
  }

  abandon(): void {
    for (const entry of Array.from(this.#entries)) this.#destroy(entry, "closed")
  }

  // Answers ----------------------------------------------------------------------------------------------------------

  turnedAway(): void {
    const { creating, lifecycle } = this.#admission
    if (lifecycle === "open" && creating === 0 && this.#admission.claim("now")) this.#create()
  }

  mayOffer(): boolean {
    return false
  }

  refusal(): undefined {}
  timeoutFailure(): undefined {}

  lastCreateFailure(): string | undefined {
    const { lastFailure } = this.#supply
    return lastFailure === undefined ? undefined : Observer.inWords(lastFailure)
  }

  *leases(): Generator<Lease.Lease<A>, void> {
    for (const { holder } of this.#entries) if (holder !== undefined) yield holder
  }

  details(): Record<string, never> {
    return {}
  }
}
