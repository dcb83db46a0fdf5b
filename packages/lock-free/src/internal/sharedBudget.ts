import * as Budget from "@effect-pools/core/Budget"
import { type PermitLedger, PermitWaiter } from "./sharedPermits.ts"

/**
 * One thread's part in a budget that all threads share: the pools of this thread are its members, the permits are those of
 * the ledger.
 *
 * Idle items are given up within a thread in the order in which they were used, as in any budget. What others lack, a
 * thread is told by a bell, and gives up what it can of it; how much is on its way already, all can see.
 */
export class SharedBudget implements Budget.Budget {
  readonly "~@effect-pools/core/Budget" = "~@effect-pools/core/Budget"
  readonly dealings = Budget.dealings
  readonly name: string
  readonly max: number
  readonly hasMinimums = false
  readonly ledger: PermitLedger
  readonly #seats = new Set<Seat>()
  /** Those that wait, in order. */
  readonly #line = new Set<Seat>()
  readonly #watching = new Set<Seat>()
  #isListening = false
  #isReclaiming = false

  constructor(name: string, ledger: PermitLedger) {
    this.name = name
    this.max = ledger.slots.layout.maximum
    this.ledger = ledger
    ledger.onClosed(() => {
      this.#line.clear()
      for (const { member } of Array.from(this.#seats)) member.closed()
    })
  }

  get isClosed(): boolean {
    return this.ledger.isClosed
  }

  /** There are no minimums. */
  get open(): number {
    return this.max
  }

  join(member: Budget.Member): Budget.Membership {
    const seat = new Seat(this, member)
    this.#seats.add(seat)
    if (!this.#isListening) {
      this.#isListening = true
      this.ledger.slots.onBell(() => this.#heard())
    }
    return seat
  }

  take(seat: Seat, urgency: Budget.Urgency, permits: number): boolean {
    if (this.isClosed) return false
    const { waiter } = seat
    if (waiter !== undefined) {
      if (urgency !== "line" || waiter.permits === permits) return false
      this.ledger.change(waiter, permits)
      this.giveUp()
      return false
    }
    if (urgency === "ahead" && this.#isReclaiming) return this.#watch(seat)
    if (this.#line.size === 0 && this.#takeNow(seat, permits)) return true
    switch (urgency) {
      case "ahead":
        return this.#watch(seat)
      case "now":
        return this.isWithinReach(seat, permits) && this.#takeByReclaiming(seat, permits)
      case "line":
        this.#getInLine(seat, permits)
        return false
    }
  }

  #watch(seat: Seat): false {
    this.#watching.add(seat)
    return false
  }

  #getInLine(seat: Seat, permits: number): void {
    seat.since = seat.member.now()
    const waiter: PermitWaiter = new PermitWaiter(
      permits,
      () => {
        this.#unline(seat)
        seat.taken += waiter.permits
        seat.member.granted()
      },
      () => this.#unline(seat),
      this.ledger.timing.wall()
    )
    seat.waiter = waiter
    this.#line.add(seat)
    this.#publish()
    this.ledger.wait(waiter)
    this.giveUp()
  }

  /** Not what others wait for. */
  #takeNow(seat: Seat, permits: number): boolean {
    if (this.ledger.lackFor(permits, Infinity) > 0 || !this.ledger.take(permits)) return false
    seat.taken += permits
    return true
  }

  #takeByReclaiming(seat: Seat, permits: number): boolean {
    if (this.#isReclaiming) return false
    this.#isReclaiming = true
    try {
      while (this.ledger.slots.lack(permits) > 0 && this.#giveUpOne(seat)) {
        if (this.#takeNow(seat, permits)) return true
      }
      return false
    } finally {
      this.#isReclaiming = false
    }
  }

  #unline(seat: Seat): void {
    seat.waiter = undefined
    this.#line.delete(seat)
    this.#publish()
  }

  /** Tells other threads since when somebody waits here. */
  #publish(): void {
    const [first] = this.#line
    this.ledger.slots.tellSince(first?.waiter?.since ?? 0)
  }

  withdraw(seat: Seat): void {
    const { waiter } = seat
    if (waiter === undefined) return
    this.#unline(seat)
    this.ledger.leave(waiter)
  }

  /** Its turn in line was that of a caller who has got something: the next one gets in line anew, if others wait for longer. */
  served(seat: Seat, since: number): void {
    let isBehind = false
    for (const other of this.#line) {
      if (isBehind && other.since < since) return this.withdraw(seat)
      if (other === seat) isBehind = true
    }
  }

  give(seat: Seat, permits: number): void {
    if (seat.taken < permits) throw new Error(`BUG: pool "${seat.member.name}" gives back more than it has taken`)
    seat.taken -= permits
    this.#leaves(seat, -Math.min(seat.leaving, permits))
    this.ledger.give(permits)
    this.ledger.slots.ring()
  }

  leave(seat: Seat): void {
    this.withdraw(seat)
    this.#leaves(seat, -seat.leaving)
    this.#seats.delete(seat)
    this.#watching.delete(seat)
  }

  #leaves(seat: Seat, permits: number): void {
    if (permits === 0) return
    seat.leaving += permits
    this.ledger.slots.add("leaving", permits)
  }

  // Idle items -------------------------------------------------------------------------------------------------------

  /** Gives up what is needed, here and then elsewhere, and not on its way already. */
  giveUp(): void {
    const { slots } = this.ledger
    let needed = 0
    for (const seat of Array.from(this.#line)) {
      needed += seat.waiter?.permits ?? 0
      while (this.#line.has(seat) && slots.lack(needed) > 0 && this.#giveUpOne(seat));
    }
    // Other threads, and those of this one that wait for permits without a pool.
    const wanted = slots.wantedByOthers() + this.ledger.wanted
    while (wanted > needed && slots.lack(wanted) > 0 && this.#giveUpOne(undefined));
  }

  /** Something is lacking in another thread, or back. */
  #heard(): void {
    if (this.isClosed) return
    this.giveUp()
    const { slots } = this.ledger
    if (this.#watching.size === 0 || slots.lack(slots.wantedByOthers() + 1) > 0) return
    const watching = Array.from(this.#watching)
    this.#watching.clear()
    for (const { member } of watching) member.freed()
  }

  /** Gives up the item that has not been used for longest, of others than the one that asks; `false` if there is none. */
  #giveUpOne(asking: Seat | undefined): boolean {
    let oldest: Seat | undefined
    let since = Infinity
    for (const seat of this.#seats) {
      if (seat === asking || seat.surplus === 0) continue
      const idle = seat.member.oldest(seat.surplus)
      if (idle === undefined || idle.since >= since) continue
      since = idle.since
      oldest = seat
    }
    if (oldest === undefined) return false
    const most = oldest.surplus
    this.#leaves(oldest, oldest.member.oldest(most)!.permits)
    oldest.member.reclaim(most)
    return true
  }

  /** Whether somebody has waited for longer than since then, here or elsewhere, and an item of this member's would help. */
  isOwed(seat: Seat, since: number, permits: number): boolean {
    const { slots } = this.ledger
    if (permits > seat.surplus) return false
    const began = this.ledger.timing.wall() - (seat.member.now() - since)
    const waiter = this.ledger.first
    // One that waits for permits without a pool.
    if (waiter !== undefined && waiter.since === 0 && waiter.arrived < began) return slots.lack(waiter.permits) > 0
    const [first] = this.#line
    if (first !== undefined && first !== seat && first.since < since) return slots.lack(first.waiter!.permits) > 0
    return this.ledger.lackFor(0, began) > 0
  }

  isWithinReach(seat: Seat, permits: number): boolean {
    const [first] = this.#line
    if (this.isClosed || (first !== undefined && first !== seat)) return false
    const { slots } = this.ledger
    let reachable = -slots.lack(slots.wantedByOthers())
    for (const other of this.#seats) if (other !== seat) reachable += other.givable
    return reachable >= permits
  }

  statsUnsafe(): Budget.BudgetStats {
    const { slots } = this.ledger
    const used = slots.countUsed()
    const inLine = slots.sums().pending
    const elsewhere = used - this.ledger.held
    return {
      name: this.name,
      max: this.max,
      free: this.max - used,
      inLine,
      members: [
        ...Array.from(this.#seats, ({ member, taken, waiter }) => ({
          name: member.name,
          taken,
          minimum: 0,
          weight: member.weight,
          waits: waiter !== undefined
        })),
        { name: "other threads", taken: elsewhere, minimum: 0, weight: 1, waits: inLine > this.ledger.pending }
      ]
    }
  }
}

class Seat implements Budget.Membership {
  readonly member: Budget.Member
  readonly #budget: SharedBudget
  taken = 0
  /** Of what it has taken, that which it was asked to give up and has not given back. */
  leaving = 0
  /** Its place in line. */
  waiter: PermitWaiter | undefined = undefined
  /** When it got in line. */
  since = 0

  constructor(budget: SharedBudget, member: Budget.Member) {
    this.#budget = budget
    this.member = member
  }

  /** How many more it has than it is about to give up. */
  get surplus(): number {
    return this.taken - this.leaving
  }

  /** What its idle items would give. */
  get givable(): number {
    return this.surplus === 0 ? 0 : this.member.idle(this.surplus)
  }

  get isClosed(): boolean {
    return this.#budget.isClosed
  }

  take(urgency: Budget.Urgency, permits: number): boolean {
    return this.#budget.take(this, urgency, permits)
  }

  withdraw(): void {
    this.#budget.withdraw(this)
  }

  served(since: number): void {
    this.#budget.served(this, since)
  }

  idled(): void {
    this.#budget.giveUp()
  }

  isOwed(since: number, permits: number): boolean {
    return this.#budget.isOwed(this, since, permits)
  }

  retire(): void {
    this.#budget.withdraw(this)
  }

  isWithinReach(permits: number): boolean {
    return this.#budget.isWithinReach(this, permits)
  }

  give(permits: number): void {
    this.#budget.give(this, permits)
  }

  leave(): void {
    this.#budget.leave(this)
  }
}
