import * as LinkedList from "@effect-pools/core/data/LinkedList"
import type { SharedSlots } from "./sharedSlots.ts"
import { ThreadSleep } from "./sharedWaiting.ts"

/**
 * How long permits are left to another thread that has waited for longer, in milliseconds: one that does not come for them
 * holds up nobody for more than that.
 */
const PATIENCE = 10
/** For how long such a thread is passed over, in milliseconds; then it is left something again. */
const IMPATIENCE = 500

/** One who waits for permits, until it is told of them or of the end. */
export class PermitWaiter implements LinkedList.Linked<PermitWaiter> {
  permits: number
  readonly served: () => void
  readonly closed: () => void
  /** Since when, by the clock that all threads have; 0 if that is nothing to others. */
  readonly since: number
  /** When it began to wait, by the same clock. */
  arrived = 0
  list: LinkedList.LinkedList<PermitWaiter> | undefined = undefined
  previous: PermitWaiter | undefined = undefined
  next: PermitWaiter | undefined = undefined

  constructor(permits: number, served: () => void, closed: () => void, since = 0) {
    this.permits = permits
    this.served = served
    this.closed = closed
    this.since = since
  }
}

/** How a ledger tells the time, in milliseconds. */
export interface Timing {
  /** Calls once, later, unless what it answers is called before. */
  readonly after: (millis: number, f: () => void) => () => void
  /** The time of the clock that all threads have. */
  readonly wall: () => number
}

/**
 * One thread's part in permits that all threads share: a permit is a slot without memory. Those who wait are served in
 * order, and nobody of this thread overtakes them.
 */
export class PermitLedger {
  readonly slots: SharedSlots
  /** How many permits those of this thread wait for. */
  wanted = 0
  /** The permits that this thread has, by number, as a stack. */
  readonly #held: Int32Array
  #holds = 0
  readonly #waiters = new LinkedList.LinkedList<PermitWaiter>()
  readonly #sleep: ThreadSleep
  readonly timing: Timing
  /** Whether permits are left to others, for a moment. */
  #isPatient = false
  /** Those that have waited since then have not come for what was left to them. */
  #late = 0
  readonly #atClose: Array<() => void> = []
  #isClosed = false

  constructor(slots: SharedSlots, timing: Timing) {
    this.slots = slots
    this.timing = timing
    this.#held = new Int32Array(slots.layout.maximum)
    this.#sleep = new ThreadSleep(slots, {
      isWanted: () => this.#waiters.size > 0 && !this.#isClosed,
      serve: () => this.#serve(),
      closed: () => this.close(),
      after: timing.after
    })
    slots.onClosed(() => this.close())
  }

  get held(): number {
    return this.#holds
  }

  get pending(): number {
    return this.#waiters.size
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Who of this thread waits, and is next. */
  get first(): PermitWaiter | undefined {
    return this.#waiters.head
  }

  /** Takes so many permits, all or none. */
  take(permits: number): boolean {
    if (this.#isClosed || this.#waiters.size > 0) return false
    return this.#takeAll(permits)
  }

  #takeAll(permits: number): boolean {
    // Who takes some and then has to give them back hides them from others, and would be woken by itself for ever.
    if (permits > 1 && !this.slots.hasFree(permits)) return false
    for (let taken = 0; taken < permits; taken++) {
      const slot = this.slots.take()
      if (slot < 0) {
        this.#giveLast(taken)
        return false
      }
      this.#held[this.#holds++] = slot
    }
    this.slots.add("acquired", permits)
    return true
  }

  /** Gives so many permits back; `false`, and nothing else, if this thread has not as many. */
  give(permits: number): boolean {
    if (permits > this.#holds) return false
    this.#giveLast(permits)
    this.#serve()
    this.#sleep.begin()
    return true
  }

  #giveLast(permits: number): void {
    for (let given = 0; given < permits; given++) this.slots.giveQuietly(this.#held[--this.#holds]!)
    // Whoever has slept longest may want more than there is, and the next one less.
    if (permits > 0 && this.slots.turnstile.isAwaited) this.slots.turnstile.wakeAll()
  }

  /** Waits, and has everybody know who may have permits to give up. */
  wait(waiter: PermitWaiter): void {
    waiter.arrived = this.timing.wall()
    this.#waiters.addLast(waiter)
    this.wanted += waiter.permits
    this.slots.add("pending", 1)
    this.slots.add("wanted", waiter.permits)
    this.#sleep.begin()
    if (waiter.list !== undefined) this.slots.ring()
  }

  /** Keeps its place for so many permits from now on. */
  change(waiter: PermitWaiter, permits: number): void {
    const more = permits - waiter.permits
    waiter.permits = permits
    this.wanted += more
    this.slots.add("wanted", more)
    this.#serve()
    if (waiter.list !== undefined) this.slots.ring()
  }

  /** `false` if it does not wait any more. */
  leave(waiter: PermitWaiter): boolean {
    if (waiter.list === undefined) return false
    this.#remove(waiter)
    // Whoever is next may want less.
    this.#serve()
    return true
  }

  #remove(waiter: PermitWaiter): void {
    this.#waiters.remove(waiter)
    this.wanted -= waiter.permits
    this.slots.add("pending", -1)
    this.slots.add("wanted", -waiter.permits)
  }

  #serve(): boolean {
    let isServed = false
    for (let first = this.#waiters.head; first !== undefined && !this.#isClosed; first = this.#waiters.head) {
      if (this.#isOwedElsewhere(first) || !this.#takeAll(first.permits)) break
      isServed = true
      this.#remove(first)
      first.served()
    }
    return isServed
  }

  /** How many more permits are needed than there are, if these go to one who has waited since then. */
  lackFor(permits: number, since: number): number {
    const { slots } = this
    if (slots.othersSince(this.#late) >= since) return 0
    return slots.lack(permits + slots.wantedByOthers(this.#late))
  }

  /** Whether others have waited for longer, and there is not enough for all: then it is left to them, for a moment. */
  #isOwedElsewhere({ permits, since }: PermitWaiter): boolean {
    if (since === 0 || this.lackFor(permits, since) <= 0) return false
    if (this.#isPatient) return true
    this.#isPatient = true
    const late = this.slots.othersSince(this.#late)
    this.timing.after(PATIENCE, () => {
      this.#isPatient = false
      this.#late = late
      this.timing.after(IMPATIENCE, () => (this.#late = 0))
      this.#serve()
      this.#sleep.begin()
    })
    return true
  }

  /** Nobody of this thread gets permits any more; those who wait are told. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (let first = this.#waiters.head; first !== undefined; first = this.#waiters.head) {
      this.#remove(first)
      first.closed()
    }
    for (const closed of this.#atClose) closed()
  }

  /** Calls `closed` when nobody of this thread gets permits any more. */
  onClosed(closed: () => void): void {
    this.#atClose.push(closed)
  }

  /** This thread has no part in it any more: what it still has goes back. */
  leaveAll(): void {
    this.close()
    this.#giveLast(this.#holds)
    this.slots.leave()
  }
}
