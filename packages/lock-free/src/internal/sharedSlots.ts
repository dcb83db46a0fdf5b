import { settle } from "@effect-pools/core/Layout"
import {
  BELL_AT,
  CAPACITY_AT,
  CLOSED_AT,
  Layout,
  MEMBER_ASLEEP,
  MEMBER_POOLS,
  MOST_THREADS,
  type Total,
  TURNSTILE_AT,
  makeControl,
  passing,
  placeOf,
  totals
} from "./sharedLayout.ts"
import { SharedTree } from "./sharedTree.ts"
import { Turnstile } from "./sharedTurnstile.ts"

/** In a slot's word beside its owner: the slot's bit in the tree is set. */
const LISTED = 0x4000_0000
const OWNER = LISTED - 1
/** How many slots that it gave back a thread tries first. */
const REMEMBERED = 256

/** All places of threads are taken. */
export const NO_PLACE = "as many threads as there are places for are attached"

/** As the constructor; the slots have their fields at hand. */
export const makeSlots = (layout: Layout, thread: number, grown: (slots: number) => void): SharedSlots => {
  const nobodys = { kind: "permits", initial: 0, maximum: 1, chunk: 1, slotBytes: 0, reset: "none" } as const
  // To make one is to take a place among the threads.
  settle(SharedSlots, () => new SharedSlots(new Layout(makeControl(nobodys)), 0, () => {}))
  return new SharedSlots(layout, thread, grown)
}

/**
 * Slots that threads take and give back, each with a word that says whose it is.
 *
 * Taking a slot is one compare-and-swap of its word from nobody to the owner, giving it back one from the owner to
 * nobody. There is no moment at which a slot is taken but not marked. All else only helps to find free slots, or to sleep
 * until there is one. Why nothing is lost is in `docs/decisions/0011-shared-pool-algorithm.md`, and checked by the models
 * in `model/`.
 */
export class SharedSlots {
  readonly layout: Layout
  /** This thread's mark. */
  readonly owner: number
  readonly turnstile: Turnstile
  /** The same in the word of a slot whose bit is set. */
  readonly #mark: number
  readonly #words: Int32Array
  readonly #doubles: Float64Array
  readonly #ownersAt: number
  readonly #maximum: number
  readonly #tree: SharedTree
  readonly #member: number
  readonly #acquiredAt: number
  readonly #grown: (slots: number) => void
  /** The slot that this thread gave back last, which nobody may have taken since, or -1; and those before it. */
  #last = -1
  readonly #recent: Int32Array
  #recents = 0
  #isAsleep = false
  #hasLeft = false

  /**
   * Takes this thread's place among the others'. `thread` is its number, from 0, which no other thread may ever have had.
   * `grown` is called before there are more slots.
   */
  constructor(layout: Layout, thread: number, grown: (slots: number) => void) {
    this.layout = layout
    this.owner = thread + 1
    this.#mark = this.owner | LISTED
    this.#words = layout.words
    this.#doubles = layout.doubles
    this.#ownersAt = layout.ownersAt
    this.#maximum = layout.maximum
    this.#grown = grown
    this.#recent = new Int32Array(Math.min(REMEMBERED, layout.maximum))
    this.turnstile = new Turnstile(layout.words, TURNSTILE_AT)
    this.#member = this.#enter()
    this.#acquiredAt = layout.totalAt(this.#member, "acquired")
    // Places that are neighbours look far from each other.
    const home = Math.floor((reversed(this.#member) / MOST_THREADS) * layout.maximum)
    this.#tree = new SharedTree(layout.words, layout.levels, home)
  }

  #enter(): number {
    const own = this.#placeOf(this.owner)
    if (own >= 0) {
      this.#words[this.layout.memberAt(own) + MEMBER_POOLS]!++
      return own
    }
    for (let member = 0; member < MOST_THREADS; member++) {
      const at = this.layout.memberAt(member)
      if (Atomics.compareExchange(this.#words, at, 0, this.owner) !== 0) continue
      this.#words[at + MEMBER_POOLS] = 1
      // Of whoever had it before. While nobody has it, nobody looks.
      Atomics.store(this.#words, at + MEMBER_ASLEEP, 0)
      for (const total of passing) this.#doubles[this.layout.totalAt(member, total)] = 0
      return member
    }
    throw new RangeError(NO_PLACE)
  }

  #placeOf(owner: number): number {
    for (let member = 0; member < MOST_THREADS; member++)
      if (Atomics.load(this.#words, this.layout.memberAt(member)) === owner) return member
    return -1
  }

  /** Not if it has left, nor if it has been taken for dead: then the place may be another's. */
  get #hasPlace(): boolean {
    return !this.#hasLeft && Atomics.load(this.#words, this.layout.memberAt(this.#member)) === this.owner
  }

  /** Gives this thread's place up, if it has no other pool on this structure. */
  leave(): void {
    if (this.#isAsleep) {
      this.setAsleep(false)
      // The sleeper that is left behind would be woken in place of somebody who waits.
      this.turnstile.wakeAll()
    }
    if (this.#hasPlace) {
      const at = this.layout.memberAt(this.#member)
      const left = (this.#words[at + MEMBER_POOLS] = this.#words[at + MEMBER_POOLS]! - 1)
      if (left === 0) Atomics.compareExchange(this.#words, at, this.owner, 0)
    }
    this.#hasLeft = true
    // So that nothing of this one is kept for the sake of what does not concern it any more.
    Atomics.notify(this.#words, CLOSED_AT)
    this.ring()
  }

  // Taking and giving back -------------------------------------------------------------------------------------------

  /** Takes a free slot, or a new one if there may be more; -1 if there is none. */
  take(): number {
    const slot = this.#last
    // Small enough to become part of its callers.
    if (slot < 0 || Atomics.compareExchange(this.#words, this.#ownersAt + slot, LISTED, this.#mark) !== LISTED)
      return this.#takeOther()
    this.#last = this.#recents > 0 ? this.#recent[--this.#recents]! : -1
    return slot
  }

  #takeOther(): number {
    this.#last = -1
    while (this.#recents > 0) {
      const slot = this.#recent[--this.#recents]!
      if (Atomics.compareExchange(this.#words, this.#ownersAt + slot, LISTED, this.#mark) === LISTED) return slot
    }
    do {
      const slot = this.#find()
      if (slot >= 0) return slot
      // A thread that has been stopped at the tree may hide what others give back: the last look is at all words.
    } while (this.#grow() || this.#tree.repair())
    return -1
  }

  #find(): number {
    while (true) {
      const slot = this.#tree.takeOne()
      if (slot < 0 || this.#claimUnlisted(slot)) return slot
    }
  }

  /** Takes a slot whose bit this thread has just cleared, or if somebody has it, sees to it that he sets it again. */
  #claimUnlisted(slot: number): boolean {
    const at = this.#ownersAt + slot
    while (true) {
      const before = Atomics.load(this.#words, at)
      const isFree = (before & OWNER) === 0
      const after = isFree ? this.owner : before & OWNER
      if (before === after || Atomics.compareExchange(this.#words, at, before, after) === before) return isFree
    }
  }

  /** Gives a slot back and wakes one who waits; `false` if it is not this thread's. */
  give(slot: number): boolean {
    if (!this.giveQuietly(slot)) return false
    if ((Atomics.load(this.#words, TURNSTILE_AT) & 1) !== 0) this.turnstile.wakeOne()
    return true
  }

  /** As {@link give}, but wakes nobody, which is left to the caller. */
  giveQuietly(slot: number): boolean {
    if (slot >>> 0 !== slot || slot >= this.#maximum) return false
    if (
      Atomics.compareExchange(this.#words, this.#ownersAt + slot, this.#mark, LISTED) !== this.#mark &&
      !this.#giveUnlisted(slot)
    )
      return false
    if (this.#last >= 0) this.#remember(this.#last)
    this.#last = slot
    return true
  }

  #remember(slot: number): void {
    if (this.#recents < this.#recent.length) this.#recent[this.#recents++] = slot
  }

  /** A slot whose bit is not set, as far as its word says: it is set when the slot is free. */
  #giveUnlisted(slot: number): boolean {
    if (Atomics.compareExchange(this.#words, this.#ownersAt + slot, this.owner, 0) !== this.owner) return false
    this.#list(slot)
    return true
  }

  /** Makes a free slot known. */
  #list(slot: number): void {
    this.#tree.set(slot)
    // Does nothing to a slot that was taken in the meantime: its bit may then stay set, and promises nothing.
    Atomics.compareExchange(this.#words, this.#ownersAt + slot, 0, LISTED)
  }

  isMine(slot: number): boolean {
    return (Atomics.load(this.#words, this.#ownersAt + slot) & OWNER) === this.owner
  }

  // Growing ----------------------------------------------------------------------------------------------------------

  get capacity(): number {
    return Atomics.load(this.#words, CAPACITY_AT)
  }

  /** Adds slots, if there may be more; `true` if it is worth looking again. */
  #grow(): boolean {
    const { chunk, maximum } = this.layout
    const before = this.capacity
    if (before >= maximum || this.isClosed) return false
    this.growTo(before, Math.min(maximum, before + (chunk === 0 ? before : chunk)))
    return true
  }

  /** Lists the slots before it says that there are more: whoever is stopped in between has hidden none. */
  growTo(before: number, after: number): void {
    this.#grown(after)
    this.#tree.setRange(before, after)
    Atomics.compareExchange(this.#words, CAPACITY_AT, before, after)
  }

  // Ends -------------------------------------------------------------------------------------------------------------

  get isClosed(): boolean {
    return Atomics.load(this.#words, CLOSED_AT) !== 0
  }

  /** Nobody takes a slot any more. Those that are out come back. */
  close(): void {
    Atomics.store(this.#words, CLOSED_AT, 1)
    Atomics.notify(this.#words, CLOSED_AT)
    this.turnstile.wakeAll()
  }

  /** Calls `closed` once the structure is closed by anybody, unless this one has left before. */
  onClosed(closed: () => void): void {
    if (this.#hasLeft) return
    const { async, value } = Atomics.waitAsync(this.#words, CLOSED_AT, 0)
    // Closed already, that is said in a later step all the same.
    void (async ? value : Promise.resolve()).then(() => (this.isClosed ? closed() : this.onClosed(closed)))
  }

  /**
   * Takes over the slots of a thread that is no more, one by one, hands each to `clean`, gives it back, and sets right what
   * the thread left undone. Answers how many there were. May be repeated, by any thread and after any interruption.
   */
  reclaim(thread: number, clean: (slot: number) => void): number {
    const dead = thread + 1
    let found = 0
    for (let slot = 0; slot < this.layout.maximum; slot++) {
      if (!this.#takeOver(slot, dead)) continue
      found++
      clean(slot)
      this.give(slot)
    }
    this.repair()
    const place = this.#placeOf(dead)
    if (place >= 0) Atomics.compareExchange(this.#words, this.layout.memberAt(place), dead, 0)
    return found
  }

  #takeOver(slot: number, dead: number): boolean {
    const at = this.#ownersAt + slot
    while (true) {
      const before = Atomics.load(this.#words, at)
      if ((before & OWNER) !== dead) return false
      if (Atomics.compareExchange(this.#words, at, before, (before & LISTED) | this.owner) === before) return true
    }
  }

  /** Makes every free slot known, and has everybody look who waits. */
  repair(): void {
    const capacity = this.capacity
    for (let slot = 0; slot < capacity; slot++) {
      const word = Atomics.load(this.#words, this.#ownersAt + slot)
      if ((word & OWNER) === 0 && (word === 0 || !this.#tree.isSet(slot))) this.#list(slot)
      // A bit may be missing though its owner is told that it is set.
      else if ((word & LISTED) !== 0 && !this.#tree.isSet(slot)) this.#tree.set(slot)
    }
    this.#tree.repair()
    this.turnstile.wakeAll()
  }

  // What other threads lack ------------------------------------------------------------------------------------------

  /** Has everybody look who listens: something is lacking, or back. */
  ring(): void {
    Atomics.add(this.#words, BELL_AT, 1)
    Atomics.notify(this.#words, BELL_AT)
  }

  /** Calls `heard` after every ring, once for those that come close together, until this one has left. */
  onBell(heard: () => void): void {
    const seen = Atomics.load(this.#words, BELL_AT)
    const { async, value } = Atomics.waitAsync(this.#words, BELL_AT, seen)
    void (async ? value : Promise.resolve()).then(() => {
      if (this.#hasLeft) return
      this.onBell(heard)
      heard()
    })
  }

  /** How many slots are missing for who needs so many, those counted that are on their way back. */
  lack(needed: number): number {
    return needed - (this.layout.maximum - this.countUsed()) - this.sums().leaving
  }

  /** For how many others wait; with `since`, only those that have waited for less long. */
  wantedByOthers(since = 0): number {
    let wanted = 0
    for (const at of this.#others(since)) wanted += this.#doubles[at + placeOf.wanted]!
    return wanted
  }

  /** Since when somebody waits in another thread, of those that have waited for less long than since then. */
  othersSince(since = 0): number {
    return Math.min(...this.#others(since).map((at) => this.#doubles[at + placeOf.since]! || Infinity))
  }

  /**
   * Where the totals of other threads begin. Those of which nobody knows since when they wait are always among them. What is
   * read may be old; whoever changes it rings afterwards.
   */
  #others(after: number): ReadonlyArray<number> {
    const found: Array<number> = []
    for (let member = 0; member < MOST_THREADS; member++) {
      if (member === this.#member || this.#words[this.layout.memberAt(member)] === 0) continue
      const at = this.layout.totalAt(member, totals[0])
      const since = this.#doubles[at + placeOf.since]!
      if (since === 0 || since > after) found.push(at)
    }
    return found
  }

  /** Since when somebody waits in this thread; 0 for nobody. */
  tellSince(since: number): void {
    if (this.#hasPlace) this.#doubles[this.layout.totalAt(this.#member, "since")] = since
  }

  // Counts -----------------------------------------------------------------------------------------------------------

  /** Whether others sleep. A thread that has been terminated may seem to, until its slots are reclaimed. */
  get othersSleep(): boolean {
    if (!this.turnstile.isAwaited) return false
    for (let member = 0; member < MOST_THREADS; member++) {
      const at = this.layout.memberAt(member)
      const self = member === this.#member && this.#isAsleep ? 1 : 0
      if (Atomics.load(this.#words, at) !== 0 && Atomics.load(this.#words, at + MEMBER_ASLEEP) > self) return true
    }
    return false
  }

  setAsleep(isAsleep: boolean): void {
    if (isAsleep === this.#isAsleep) return
    this.#isAsleep = isAsleep
    if (!this.#hasPlace) return
    Atomics.add(this.#words, this.layout.memberAt(this.#member) + MEMBER_ASLEEP, isAsleep ? 1 : -1)
  }

  countAcquired(): void {
    this.#doubles[this.#acquiredAt]!++
  }

  add(total: Total, amount: number): void {
    if (!this.#hasPlace) return
    this.#doubles[this.layout.totalAt(this.#member, total)]! += amount
  }

  /** Of all threads, those that are no more included. */
  sums(): Record<Total, number> {
    const sums = Object.fromEntries(totals.map((total) => [total, 0])) as Record<Total, number>
    for (let member = 0; member < MOST_THREADS; member++) {
      const isFree = Atomics.load(this.#words, this.layout.memberAt(member)) === 0
      for (const total of totals) {
        // Who is no more does not wait, whatever it had said.
        if (isFree && passing.has(total)) continue
        sums[total] += this.#doubles[this.layout.totalAt(member, total)]!
      }
    }
    return sums
  }

  /** The threads that are attached. */
  threads(): Array<number> {
    const found: Array<number> = []
    for (let member = 0; member < MOST_THREADS; member++) {
      const owner = Atomics.load(this.#words, this.layout.memberAt(member))
      if (owner !== 0) found.push(owner - 1)
    }
    return found
  }

  /** How many slots somebody has: counted from their words, which are right whatever became of their owners. */
  countUsed(): number {
    let used = 0
    for (let slot = 0; slot < this.layout.maximum; slot++) if (this.ownerOf(slot) !== undefined) used++
    return used
  }

  /** Whether so many slots are free, or may be added. Looks at each. */
  hasFree(count: number): boolean {
    const { maximum } = this.layout
    for (let slot = 0, free = 0; slot < maximum; slot++) {
      if (this.ownerOf(slot) === undefined && ++free >= count) return true
    }
    return false
  }

  /** The thread that has a slot. */
  ownerOf(slot: number): number | undefined {
    const owner = Atomics.load(this.#words, this.#ownersAt + slot) & OWNER
    return owner === 0 ? undefined : owner - 1
  }
}

/** The bits of a place's number from back to front. */
const reversed = (member: number): number => {
  let result = 0
  for (let bit = 1; bit < MOST_THREADS; bit *= 2) if ((member & bit) !== 0) result += MOST_THREADS / 2 / bit
  return result
}
