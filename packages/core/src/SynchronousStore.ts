/**
 * The store of pools whose items are made, got ready and ended in plain code: memory, slots, plain objects. For those who
 * build pools.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { Admission } from "./Admission.ts"
import { type Linked, LinkedList } from "./data/LinkedList.ts"
import type { Entry, Lease } from "./Lease.ts"
import { inWords } from "./Observer.ts"
import type { DestroyReason } from "./PoolEvent.ts"
import type { PoolStats } from "./PoolStats.ts"
import type { Store } from "./Store.ts"

/**
 * What happens to the items of a kind of pool. Each of these may throw; no place is lost by that.
 *
 * @category models
 * @since 0.1.0
 */
export interface Steps<A, E> {
  /** Makes an item. */
  readonly make: () => A
  /** What the caller fails with for whom `make` has thrown. */
  readonly failure: (thrown: unknown) => Cause.Cause<E>
  /** Before an item is handed out again. One that throws is destroyed, and the next is tried. */
  readonly ready?: ((item: A) => void) | undefined
  /** When an item comes back. With `false`, which is told, and if it throws, the item is destroyed. */
  readonly reset?: ((item: A) => boolean) | undefined
  /** When an item is destroyed. What it throws becomes an event and a line in the log. */
  readonly destroy?: ((item: A) => void) | undefined
}

/**
 * One item. Times are in milliseconds of the pool's clock.
 *
 * @category models
 * @since 0.1.0
 */
export class Item<A> implements Entry<A>, Linked<Item<A>> {
  readonly id: number
  readonly value: A
  readonly createdAt: number
  state: "used" | "idle" | "destroyed" = "used"
  holder: Lease<A> | undefined = undefined
  /** Why it ends when it comes back, whatever its state then. */
  doom: DestroyReason | undefined = undefined
  /** Since when it lies idle. */
  idleSince = 0
  /** Another item of the same value: `make` may return one object more than once. */
  twin: Item<A> | undefined = undefined
  list: LinkedList<any> | undefined = undefined
  previous: Item<A> | undefined = undefined
  next: Item<A> | undefined = undefined

  constructor(id: number, value: A, createdAt: number) {
    this.id = id
    this.value = value
    this.createdAt = createdAt
  }
}

/**
 * Hands out what came back last, and makes what is missing in the caller's own step.
 *
 * **Details**
 *
 * Kinds of pools extend it. What they add must keep to the order of a step: first the counts, then what can be noticed
 * from outside.
 *
 * @category models
 * @since 0.1.0
 */
export class SynchronousStore<A, E> implements Store<A, E> {
  readonly admission: Admission<A, E>
  readonly all = new Set<Item<A>>()
  /** The one that came back last goes first. */
  readonly idle = new LinkedList<Item<A>>()
  /** How many may lie idle. */
  keep = Infinity
  /** How often an item was handed out that had been used before. */
  recycled = 0
  readonly #steps: Steps<A, E>
  readonly #byValue = new Map<A, Item<A>>()
  #lastId = 0
  /** Why the last attempt to make an item failed: until one succeeds, and until a caller has been told. */
  lastFailure: Cause.Cause<E> | undefined = undefined
  #untold: Cause.Cause<E> | undefined = undefined

  constructor(admission: Admission<A, E>, steps: Steps<A, E>) {
    this.admission = admission
    this.#steps = steps
  }

  // Leases -----------------------------------------------------------------------------------------------------------

  take(): Item<A> | undefined {
    this.#untold = undefined
    const item = this.idle.removeFirst()
    if (item === undefined) return this.#takeNew()
    this.#use(item)
    if (this.#steps.ready !== undefined && !this.#isReady(item)) return this.#takeOther()
    this.recycled++
    return item
  }

  #takeOther(): Item<A> | undefined {
    for (let item = this.idle.removeFirst(); item !== undefined; item = this.idle.removeFirst()) {
      this.#use(item)
      if (!this.#isReady(item)) continue
      this.recycled++
      return item
    }
    return this.#takeNew()
  }

  /** Those who wait have theirs made by `replenish`, which tells each of its own failure. */
  #takeNew(): Item<A> | undefined {
    const { admission } = this
    // What was to be got ready may have closed the pool, or let others queue.
    if (admission.lifecycle !== "open" || admission.waiters.size > 0) return undefined
    return admission.claim("now") ? this.make() : undefined
  }

  giveBack(item: Item<A>, _lease: unknown, _exit: unknown, now: number): void {
    // Destroyed under its holder when the grace of a close was over.
    if (item.state === "destroyed") return
    const { admission } = this
    const reason = this.#endOf(item) ?? (this.#isClean(item) ? undefined : "resetFailed")
    if (reason !== undefined) return this.#endOnce(item, reason)
    if (item.doom !== undefined || admission.lifecycle !== "open" || admission.waiters.size > 0) {
      return this.#giveOn(item, now)
    }
    if (admission.idle >= this.keep) return this.end(item, "shrink")
    this.layIdle(item, now)
  }

  /** What resets an item, or gets it ready, is the user's own, and can do anything to the pool: even close it. */
  #endOnce(item: Item<A>, reason: DestroyReason): void {
    if (item.state !== "destroyed") this.end(item, reason)
  }

  /** Hands a clean item to who waits, if it may still be handed out. */
  #giveOn(item: Item<A>, now: number): void {
    const { admission } = this
    const reason = this.#endOf(item)
    if (reason !== undefined) return this.#endOnce(item, reason)
    if (admission.lifecycle === "open") {
      if (!this.#isReady(item)) return
      this.recycled++
      if (admission.offer(item, now)) return
    }
    if (admission.idle >= this.keep) return this.end(item, "shrink")
    this.layIdle(item, now)
  }

  /** Hands an item that was made for nobody in particular to who waits, or lays it idle. */
  place(item: Item<A>): void {
    const reason = this.#endOf(item)
    if (reason !== undefined) return this.end(item, reason)
    const now = this.admission.clock.now()
    if (this.admission.offer(item, now)) return
    // While it was made, others may have come to lie idle.
    if (this.admission.idle >= this.keep) return this.end(item, "shrink")
    this.layIdle(item, now)
  }

  /** Why an item that comes back is to end, whether clean or not. */
  #endOf(item: Item<A>): DestroyReason | undefined {
    if (item.doom !== undefined) return item.doom
    const { creating, idle, lifecycle, max, used } = this.admission
    if (lifecycle === "draining" || lifecycle === "closed") return "closed"
    return idle + used + creating > max ? "shrink" : undefined
  }

  #isClean(item: Item<A>): boolean {
    const { reset } = this.#steps
    if (reset === undefined) return true
    try {
      if (reset(item.value)) return true
    } catch (error) {
      return this.#isUnclean(item, Cause.die(error))
    }
    return this.#isUnclean(item, Cause.fail("answered false"))
  }

  #isUnclean(item: Item<A>, cause: Cause.Cause<unknown>): false {
    this.failed("reset", item, cause)
    return false
  }

  #isReady(item: Item<A>): boolean {
    try {
      this.#steps.ready?.(item.value)
      return true
    } catch (error) {
      this.failed("validate", item, Cause.die(error))
      this.#endOnce(item, "validationFailed")
      return false
    }
  }

  /** An item in use lies idle from now on. */
  layIdle(item: Item<A>, now: number): void {
    item.state = "idle"
    item.idleSince = now
    this.admission.used--
    this.admission.idle++
    this.idle.addFirst(item)
    this.admission.idled()
  }

  /** An item that is no longer among the idle ones is in use. */
  #use(item: Item<A>): void {
    item.state = "used"
    this.admission.idle--
    this.admission.used++
  }

  // Items ------------------------------------------------------------------------------------------------------------

  /** Items, but for those that are ending. */
  get #size(): number {
    const { creating, idle, used } = this.admission
    return idle + used + creating
  }

  /** Makes an item that has been claimed, and counts it as used; `undefined` if that failed. */
  make(): Item<A> | undefined {
    const { admission } = this
    const { clock, observer } = admission
    const startedAt = clock.now()
    admission.permits?.spend(1)
    admission.creating++
    if (observer.isListening) observer.emit({ _tag: "ItemCreating" })
    let value: A
    try {
      value = this.#steps.make()
    } catch (thrown) {
      admission.creating--
      admission.permits?.give(1)
      this.#makeFailed(this.#steps.failure(thrown), clock.now() - startedAt)
      return undefined
    }
    const now = clock.now()
    const item = new Item(++this.#lastId, value, now)
    this.all.add(item)
    item.twin = this.#byValue.get(value)
    this.#byValue.set(value, item)
    admission.creating--
    admission.used++
    observer.created++
    observer.create.record(now - startedAt)
    this.lastFailure = undefined
    if (observer.isListening) observer.emit({ _tag: "ItemCreated", item: item.id, took: now - startedAt })
    return item
  }

  #makeFailed(cause: Cause.Cause<E>, took: number): void {
    const { observer } = this.admission
    this.lastFailure = cause
    this.#untold = cause
    observer.createFailed++
    observer.emit({ _tag: "ItemCreateFailed", took, failures: observer.createFailed, cause: inWords(cause) })
  }

  /** Takes an item out of the pool and ends it. */
  end(item: Item<A>, reason: DestroyReason): void {
    if (item.state === "destroyed") throw new Error(`BUG: item ${item.id} is destroyed already`)
    const { admission } = this
    const { clock, observer } = admission
    if (item.state === "idle") {
      this.idle.remove(item)
      this.#use(item)
    }
    item.state = "destroyed"
    this.all.delete(item)
    this.#forget(item)
    admission.used--
    admission.destroying++
    observer.destroyed[reason]++
    try {
      this.#steps.destroy?.(item.value)
    } catch (error) {
      this.failed("destroy", item, Cause.die(error))
    }
    admission.destroying--
    observer.emit({ _tag: "ItemDestroyed", item: item.id, reason, age: clock.now() - item.createdAt })
    // Others may have it at once, and tell of that: so this end is told before.
    admission.permits?.give(1)
    admission.changed()
    admission.serve()
  }

  /** Tells of a failure that no caller waits for. */
  failed(during: "validate" | "reset" | "destroy", item: Item<A>, cause: Cause.Cause<unknown>): void {
    const { name, noun, observer } = this.admission
    observer.emit({ _tag: "BackgroundFailure", during, item: item.id, cause: inWords(cause) })
    this.admission.warn(`Pool "${name}": ${during} of ${noun} ${item.id} failed`, cause)
  }

  /** The items of a value: one, as a rule. */
  *itemsOf(value: A): Generator<Item<A>, void> {
    for (let item = this.#byValue.get(value); item !== undefined;) {
      const { twin } = item
      yield item
      item = twin
    }
  }

  #forget(item: Item<A>): void {
    const first = this.#byValue.get(item.value)
    if (first === item) {
      if (item.twin === undefined) this.#byValue.delete(item.value)
      else this.#byValue.set(item.value, item.twin)
      return
    }
    for (let other = first; other !== undefined; other = other.twin) {
      if (other.twin === item) other.twin = item.twin
    }
  }

  invalidate(value: A): void {
    for (const item of this.itemsOf(value)) {
      if (item.state === "idle") this.end(item, "invalidated")
      else item.doom ??= "invalidated"
    }
  }

  /** Makes what is waited for. */
  replenish(): void {
    const { admission } = this
    while (admission.lifecycle === "open" && admission.demanding > 0 && admission.claim("line")) {
      const item = this.make()
      if (item !== undefined) this.place(item)
      else if (!this.#tellFirst()) return
    }
  }

  /** Tells the first who waits of the failure; `false` if there is none, or nobody. */
  #tellFirst(): boolean {
    const cause = this.#untold
    this.#untold = undefined
    return cause !== undefined && this.admission.failFirst(Effect.failCause(cause))
  }

  resized(): void {
    while (this.idle.tail !== undefined && this.#size > this.admission.max) this.end(this.idle.tail, "shrink")
  }

  idleSince(): number | undefined {
    return this.idle.tail?.idleSince
  }

  evict(): void {
    if (this.idle.tail !== undefined) this.end(this.idle.tail, "reclaimed")
  }

  shutdown(): void {
    for (let item = this.idle.head; item !== undefined; item = this.idle.head) this.end(item, "closed")
  }

  abandon(): void {
    for (const item of Array.from(this.all)) {
      // The end of one may have been that of another.
      if (item.state !== "destroyed") this.end(item, "closed")
    }
  }

  // Answers ----------------------------------------------------------------------------------------------------------

  refusal(): Effect.Effect<never, E> | undefined {
    const cause = this.takeFailure()
    return cause === undefined ? undefined : Effect.failCause(cause)
  }

  /** Why the item could not be made that the last caller was to have; told once. */
  takeFailure(): Cause.Cause<E> | undefined {
    const cause = this.#untold
    this.#untold = undefined
    const { lifecycle, waiters } = this.admission
    // Then nothing was tried for this caller: what failed was for somebody who was not to be told.
    return lifecycle === "open" && waiters.size === 0 ? cause : undefined
  }

  turnedAway(): void {}

  mayOffer(): boolean {
    return false
  }

  timeoutFailure(): undefined {}

  lastCreateFailure(): string | undefined {
    return this.lastFailure === undefined ? undefined : inWords(this.lastFailure)
  }

  *leases(): Generator<Lease<A>, void> {
    for (const { holder } of this.all) if (holder !== undefined) yield holder
  }

  details(): PoolStats["details"] {
    return { recycled: this.recycled, made: this.admission.observer.created }
  }
}
