import type * as Admission from "@effect-pools/core/Admission"
import type * as Lease from "@effect-pools/core/Lease"
import * as LinkedList from "@effect-pools/core/data/LinkedList"
import type * as PoolStats from "@effect-pools/core/PoolStats"
import type * as Store from "@effect-pools/core/Store"
import * as Cause from "effect/Cause"
import type * as Effect from "effect/Effect"
import { Guards } from "./guards.ts"
import { growData, type Memory, viewOf } from "./sharedMemory.ts"
import type { SharedSlots } from "./sharedSlots.ts"
import { ThreadSleep } from "./sharedWaiting.ts"

/** How this pool has a slot: not at all, by its number, or by a lease. */
const [NOT, BY_NUMBER, BY_LEASE] = [0, 1, 2]

/** How many times in a row a slot may pass from one fiber to the next of the same thread while other threads wait. */
const TURNS = 16

/** One slot: its number, and a view of its bytes. */
export interface Slot {
  readonly index: number
  readonly bytes: Uint8Array<SharedArrayBuffer>
}

/** Cleans a slot that comes back. */
export type Reset = (bytes: Uint8Array<SharedArrayBuffer>, index: number) => boolean | void

export interface StoreOptions {
  readonly memory: Memory
  readonly slots: SharedSlots
  readonly reset: "none" | "zero" | Reset
  readonly waits: boolean
  readonly closeGrace: number
  /** Whether closing this pool closes it for every thread. */
  readonly isMaker: boolean
}

/** A slot as this thread knows it. */
class SlotEntry implements Lease.Entry<Slot>, LinkedList.Linked<SlotEntry> {
  readonly id: number
  readonly value: Slot
  holder: Lease.Lease<Slot> | undefined = undefined
  isInvalid = false
  /** It was given back under its holder. */
  isGivenUp = false
  list: LinkedList.LinkedList<SlotEntry> | undefined = undefined
  previous: SlotEntry | undefined = undefined
  next: SlotEntry | undefined = undefined

  constructor(value: Slot) {
    this.id = value.index
    this.value = value
  }
}

/** The store of one thread's pool over slots that all threads share. The admission's `used` are this thread's. */
export class SharedStore implements Store.Store<Slot, never> {
  readonly guards: Guards<Slot>
  readonly admission: Admission.Admission<Slot, never>
  readonly options: StoreOptions
  readonly slots: SharedSlots
  /** Slots that leases of this thread hold. */
  readonly #leased = new LinkedList.LinkedList<SlotEntry>()
  readonly #entries: Array<SlotEntry | undefined> = []
  /** Of every slot how this pool has it: the mark in its word is the thread's, which may have other pools on it. */
  readonly #holds: Uint8Array
  readonly #cleans: boolean
  readonly #sleep: ThreadSleep
  #turns = 0
  /** What other threads have been told of this pool. */
  readonly #published = { pending: 0, timeouts: 0, exhausted: 0 }

  constructor(admission: Admission.Admission<Slot, never>, options: StoreOptions) {
    this.admission = admission
    this.options = options
    this.slots = options.slots
    this.#holds = new Uint8Array(options.slots.layout.maximum)
    this.guards = new Guards<Slot>(admission, {
      takeFailure: () => undefined,
      // What whoever lost it has left there is nobody's.
      abandon: (entry) => void ((entry as SlotEntry).isInvalid = true)
    })
    this.#cleans = options.reset !== "none"
    this.#sleep = new ThreadSleep(options.slots, {
      isWanted: () => this.#isWanted,
      serve: () => this.#serve(),
      closed: () => this.#closedElsewhere(),
      after: (millis, f) => admission.background.after(millis, f)
    })
    admission.onClosed(() => this.slots.leave())
    this.slots.onClosed(() => this.#closedElsewhere())
  }

  // Leases -----------------------------------------------------------------------------------------------------------

  take(): SlotEntry | undefined {
    const slot = this.#takeSlot()
    return slot < 0 ? undefined : this.#lease(slot)
  }

  /** Takes a slot by its number, which counts as used; -1 if there is none. */
  claim(): number {
    const slot = this.#takeSlot()
    if (slot < 0) return -1
    this.#holds[slot] = BY_NUMBER
    this.slots.countAcquired()
    return slot
  }

  #takeSlot(): number {
    const { admission, slots } = this
    if (admission.used >= admission.max) return -1
    const slot = slots.take()
    if (slot < 0) return -1
    admission.used++
    if (this.#holds[slot] !== NOT) this.#lose(slot)
    return slot
  }

  /** Gives back a slot that needs no cleaning; `false` if it is not this thread's any more. */
  #putBack(slot: number): boolean {
    const { admission, slots } = this
    admission.used--
    const isGiven = slots.give(slot)
    if (admission.lifecycle !== "open") admission.changed()
    return isGiven
  }

  #lease(slot: number): SlotEntry {
    const entry = this.entryOf(slot)
    this.#holds[slot] = BY_LEASE
    this.#leased.addLast(entry)
    this.slots.countAcquired()
    return entry
  }

  /** A slot that was reclaimed under this pool is another holder's now: whoever had it has nothing to give back. */
  #lose(slot: number): void {
    const entry = this.#entries[slot]
    if (this.#holds[slot] === BY_LEASE) this.#giveUp(entry!)
    this.#holds[slot] = NOT
    this.admission.used--
    this.#warnOfLoss(slot)
  }

  /** The lease goes on, with an entry that is nobody else's and gives nothing back. */
  #giveUp(entry: SlotEntry): void {
    this.#leased.remove(entry)
    entry.isGivenUp = true
    this.#entries[entry.id] = undefined
  }

  #warnOfLoss(slot: number): void {
    this.admission.warn(`Pool "${this.admission.name}": slot ${slot} was reclaimed while it was in use`)
  }

  giveBack(entry: SlotEntry): void {
    if (entry.isGivenUp) return
    this.#leased.remove(entry)
    if (!this.#giveClean(entry)) this.#warnOfLoss(entry.id)
  }

  /** Gives back a slot that was claimed by its number; `false` if it was not, or is not this thread's any more. */
  unclaim(slot: number): boolean {
    if (this.#holds[slot] !== BY_NUMBER) return false
    const { admission } = this
    if (this.#cleans || admission.waiters.size > 0) return this.#giveClean(this.entryOf(slot))
    this.#holds[slot] = NOT
    return this.#putBack(slot)
  }

  /** Whether there is a slot of that number by now. */
  isThere(slot: number): boolean {
    return slot >>> 0 === slot && slot < this.slots.capacity
  }

  /** The bytes of a slot that was claimed by its number. */
  bytesOf(slot: number): Uint8Array<SharedArrayBuffer> | undefined {
    return this.#holds[slot] === BY_NUMBER && this.slots.isMine(slot) ? this.entryOf(slot).value.bytes : undefined
  }

  /** Ends this pool's use of a slot; `false` if it was reclaimed meanwhile. */
  #giveClean(entry: SlotEntry): boolean {
    const { admission, slots } = this
    // Whatever is done to the pool while it is cleaned, nobody gives it back a second time.
    this.#holds[entry.id] = NOT
    const isMine = slots.isMine(entry.id)
    if (isMine) this.#clean(entry)
    const isHandedOver = isMine && admission.waiters.size > 0 && this.#handOver(entry.id)
    if (!isHandedOver) {
      admission.used--
      if (isMine) slots.give(entry.id)
    }
    if (admission.lifecycle !== "open") admission.changed()
    return isMine
  }

  /** Gives a slot to who waits in this thread, unless other threads have to have their turn. */
  #handOver(slot: number): boolean {
    const { admission } = this
    if (admission.lifecycle !== "open" || admission.used > admission.max) return false
    if (++this.#turns >= TURNS) {
      this.#turns = 0
      if (this.slots.othersSleep) return false
    }
    this.#offer(slot)
    return true
  }

  /** Gives a slot to who waits. */
  #offer(slot: number): void {
    const { admission } = this
    const entry = this.#lease(slot)
    if (!admission.offer(entry, admission.clock.now())) throw new Error("BUG: nobody took a slot that was waited for")
  }

  entryOf(slot: number): SlotEntry {
    const known = this.#entries[slot]
    if (known !== undefined) return known
    const { memory } = this.options
    const bytes = viewOf(memory.data, slot, this.slots.layout.slotBytes)
    return (this.#entries[slot] = new SlotEntry({ index: slot, bytes }))
  }

  #clean(entry: SlotEntry): void {
    const { reset } = this.options
    if (entry.isInvalid) entry.value.bytes.fill(0)
    else if (reset === "zero") entry.value.bytes.fill(0)
    else if (reset !== "none") this.#reset(entry, reset)
    entry.isInvalid = false
  }

  #reset(entry: SlotEntry, reset: Reset): void {
    let cause: Cause.Cause<unknown>
    try {
      if (reset(entry.value.bytes, entry.id) !== false) return
      cause = Cause.fail("answered false")
    } catch (error) {
      cause = Cause.die(error)
    }
    entry.value.bytes.fill(0)
    this.slots.add("resetFailed", 1)
    const { name, observer } = this.admission
    observer.emit({ _tag: "BackgroundFailure", during: "reset", item: entry.id, cause: Cause.pretty(cause) })
    this.admission.warn(`Pool "${name}": reset of slot ${entry.id} failed; the slot was filled with zeros`, cause)
  }

  // Waiting ----------------------------------------------------------------------------------------------------------

  get #isWanted(): boolean {
    const { lifecycle, max, used, waiters } = this.admission
    return waiters.size > 0 && lifecycle === "open" && used < max
  }

  #serve(): boolean {
    let isServed = false
    while (this.#isWanted) {
      const slot = this.#takeSlot()
      if (slot < 0) break
      const { lifecycle, waiters } = this.admission
      if (lifecycle !== "open" || waiters.size === 0) {
        // Who has heard that it was lost before has suspended the pool, or ended the wait.
        this.#putBack(slot)
        break
      }
      isServed = true
      this.#offer(slot)
    }
    return isServed
  }

  replenish(): void {
    this.counted()
    this.#sleep.begin()
  }

  /** Tells other threads what this one's admission counts. */
  counted(): void {
    const { observer, pending } = this.admission
    this.#tell("pending", pending)
    this.#tell("timeouts", observer.timeouts)
    this.#tell("exhausted", observer.exhausted)
  }

  /** By how much a figure has changed: the thread may have another pool on the same slots. */
  #tell(figure: "pending" | "timeouts" | "exhausted", value: number): void {
    if (value === this.#published[figure]) return
    this.slots.add(figure, value - this.#published[figure])
    this.#published[figure] = value
  }

  // Ends -------------------------------------------------------------------------------------------------------------

  #closedElsewhere(): void {
    if (this.admission.lifecycle === "closed") return
    this.admission.background.fork(this.admission.close(this.options.closeGrace))
  }

  /** Has slots of a thread that is no more come back. Answers how many there were. */
  reclaim(thread: number): number {
    if (thread + 1 === this.slots.owner) return 0
    const found = this.slots.reclaim(thread, (slot) => this.#clean(this.entryOf(slot)))
    if (found === 0) return 0
    this.slots.add("reclaimed", found)
    this.admission.warn(`Pool "${this.admission.name}": thread ${thread} ended with ${found} slots, which are back`)
    return found
  }

  invalidate(value: Slot): void {
    for (const entry of this.#leased) if (entry.value === value) entry.isInvalid = true
  }

  resized(): void {}

  /** Slots are there whether they are used or not: giving one up would free nothing. */
  idleSince(): undefined {}
  evict(): void {}

  shutdown(): void {
    this.counted()
    if (this.options.isMaker) this.slots.close()
  }

  abandon(): void {
    for (let entry = this.#leased.head; entry !== undefined; entry = this.#leased.head) {
      this.#giveUp(entry)
      this.#giveClean(entry)
    }
    for (let slot = this.#holds.indexOf(BY_NUMBER); slot >= 0; slot = this.#holds.indexOf(BY_NUMBER, slot)) {
      this.#giveClean(this.entryOf(slot))
    }
    this.admission.changed()
  }

  // Answers ----------------------------------------------------------------------------------------------------------

  refusal(): Effect.Effect<never> | undefined {
    // `PoolError` is a failure of every pool.
    return this.options.waits
      ? undefined
      : (this.admission.exhausted() as Effect.Effect<never, any> as Effect.Effect<never>)
  }

  turnedAway(): void {}

  mayOffer(): boolean {
    return false
  }

  timeoutFailure(): undefined {}

  lastCreateFailure(): undefined {}

  *leases(): Generator<Lease.Lease<Slot>, void> {
    for (const { holder } of this.#leased) if (holder !== undefined) yield holder
  }

  figures(): Store.Figures {
    this.counted()
    const { acquired, exhausted, pending, timeouts } = this.slots.sums()
    const all = this.slots.countUsed()
    const released = Math.max(0, acquired - all)
    // A thread that has no part in it any more has none of the slots to hand out.
    const isClosed = this.admission.lifecycle === "closed"
    const used = isClosed ? this.admission.used : all
    const idle = isClosed ? 0 : Math.max(0, this.slots.capacity - all)
    return { idle, used, size: idle + used, pending, acquired, released, timeouts, exhausted }
  }

  details(): PoolStats.PoolStats["details"] {
    const { reclaimed, resetFailed } = this.slots.sums()
    const { capacity, layout } = this.slots
    return {
      capacity,
      slotBytes: layout.slotBytes,
      threads: this.slots.threads().length,
      ownUsed: this.admission.used,
      reclaimed,
      resetFailed,
      abandoned: this.guards.abandoned
    }
  }
}

/** What a structure's memory has to be before there may be so many slots. */
export const growing =
  ({ data }: Memory, slotBytes: number) =>
  (slots: number): void =>
    growData(data, slots * slotBytes)
