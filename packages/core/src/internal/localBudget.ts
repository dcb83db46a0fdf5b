import type { Budget, BudgetStats, Member, Membership, Urgency } from "../Budget.ts"
import { type Linked, LinkedList } from "../data/LinkedList.ts"
import { dealings } from "./dealings.ts"

/** The permits of one process: plain numbers, changed in the step in which pools ask and give. */
export class LocalBudget implements Budget {
  readonly "~@effect-pools/core/Budget": Budget["~@effect-pools/core/Budget"]
  readonly dealings = dealings
  readonly name: string
  readonly max: number
  isClosed = false
  free: number
  open: number
  /** What members have not yet of their minimums: of no use to others. */
  #promised = 0
  /** What is on its way back from items that were reclaimed. */
  #returning = 0
  readonly #members = new Set<Seat>()
  /** Those of them that have permits: no more than there are permits, however many members there are. */
  readonly #holders = new Set<Seat>()
  readonly #line = new LinkedList<Seat>()
  readonly #watching = new Set<Seat>()
  /** The member for whom idle items are being given up, and who does not wait: what comes back is not for whoever is quicker. */
  #asking: Seat | undefined = undefined
  #isServing = false
  #serveAgain = false

  constructor(typeId: Budget["~@effect-pools/core/Budget"], name: string, max: number) {
    this["~@effect-pools/core/Budget"] = typeId
    this.name = name
    this.max = max
    this.free = max
    this.open = max
  }

  join(member: Member): Membership {
    const seat = new Seat(this, member)
    this.#members.add(seat)
    this.open -= member.minimum
    this.#promised += seat.promised
    return seat
  }

  take(seat: Seat, urgency: Urgency, permits: number): boolean {
    if (this.isClosed) return false
    if (urgency === "ahead" && this.#asking !== undefined) {
      this.#watching.add(seat)
      return false
    }
    if (this.#takeNow(seat, permits)) return true
    switch (urgency) {
      case "ahead":
        this.#watching.add(seat)
        return false
      case "now":
        return this.isWithinReach(seat, permits) && this.#takeByReclaiming(seat, permits)
      case "line":
        seat.wanted = permits
        if (seat.list === undefined) {
          seat.since = seat.member.now()
          this.#line.addLast(seat)
        }
        this.#serve()
        return false
    }
  }

  #takeByReclaiming(seat: Seat, permits: number): boolean {
    if (this.#asking !== undefined) return false
    this.#asking = seat
    try {
      while (this.#reclaimFor(seat, permits)) if (this.#takeNow(seat, permits)) return true
      return false
    } finally {
      this.#asking = undefined
      this.#serve()
    }
  }

  /** If the permits are there and nobody else's. */
  #takeNow(seat: Seat, permits: number): boolean {
    if (!this.#canHave(seat, permits)) return false
    // What is its own by its minimum it need not stand in line for.
    if (this.#line.size > 0 && !seat.isWithinMinimum(permits)) return false
    // It may have got in line before.
    if (seat.list !== undefined) this.#line.remove(seat)
    this.#change(seat, permits)
    return true
  }

  #canHave(seat: Seat, permits: number): boolean {
    return this.#freeFor(seat) >= permits
  }

  /** What is nobody's but for its own minimum. */
  #freeFor(seat: Seat): number {
    return this.free - (this.#promised - seat.promised)
  }

  /** Serves one in line. */
  #grant(seat: Seat): void {
    this.#line.remove(seat)
    this.#change(seat, seat.wanted)
    seat.member.granted()
  }

  #change(seat: Seat, by: number): void {
    this.#promised -= seat.promised
    seat.taken += by
    this.#promised += seat.promised
    this.free -= by
    if (seat.taken === 0) this.#holders.delete(seat)
    else this.#holders.add(seat)
  }

  leaveLine(seat: Seat): void {
    if (seat.list === undefined) return
    this.#line.remove(seat)
    this.#serve()
  }

  /** Its turn in line was that of a caller who has got something: the next one goes behind those who have waited longer. */
  served(seat: Seat, since: number): void {
    if (seat.list === undefined || since <= seat.since) return
    seat.since = since
    let before = seat
    while (before.next !== undefined && before.next.since < since) before = before.next
    if (before === seat) return
    this.#line.remove(seat)
    this.#line.addAfter(seat, before)
    this.#serve()
  }

  give(seat: Seat, permits: number): void {
    if (seat.taken < permits) throw new Error(`BUG: pool "${seat.member.name}" gives back more than it has taken`)
    this.#change(seat, -permits)
    const returned = Math.min(seat.returning, permits)
    seat.returning -= returned
    this.#returning -= returned
    this.#serve()
  }

  leave(seat: Seat): void {
    this.#members.delete(seat)
    this.open += seat.minimum
    this.#watching.delete(seat)
    this.#promised -= seat.promised
    if (seat.list !== undefined) this.#line.remove(seat)
    this.#serve()
  }

  isWithinReach(seat: Seat, permits: number): boolean {
    if (this.isClosed) return false
    if (this.#canHave(seat, permits) && seat.isWithinMinimum(permits)) return true
    const first = this.#line.head
    if (first !== undefined && first !== seat) return false
    let reachable = this.#freeFor(seat) + this.#returning
    for (const other of this.#holders) if (other !== seat) reachable += other.givable
    return reachable >= permits
  }

  /** Serves those in line, in order; what comes back in the middle of it is seen to in another round. */
  #serve(): void {
    this.#serveAgain = true
    if (this.#isServing) return
    this.#isServing = true
    try {
      while (this.#serveAgain) {
        this.#serveAgain = false
        this.#serveLine()
      }
    } finally {
      this.#isServing = false
    }
  }

  #serveLine(): void {
    for (let first = this.#line.head; first !== undefined; first = this.#line.head) {
      if (this.#canHave(first, first.wanted)) this.#grant(first)
      else if (!this.#reclaimFor(first, first.wanted) && !this.#serveMinimum()) return
    }
    if (this.#asking !== undefined || this.free === 0) return
    for (const seat of Array.from(this.#watching)) {
      // Of what is free a part may be the minimum of this one, or of others.
      if (this.#freeFor(seat) > 0 && this.#watching.delete(seat)) seat.member.freed()
    }
  }

  /** Serves one behind the first in line with what is its own by its minimum, which nobody before it could have. */
  #serveMinimum(): boolean {
    for (const seat of this.#line) {
      if (!seat.isWithinMinimum(seat.wanted) || !this.#canHave(seat, seat.wanted)) continue
      this.#grant(seat)
      return true
    }
    return false
  }

  retire(seat: Seat): void {
    this.#promised -= seat.promised
    this.open += seat.minimum
    seat.isRetired = true
    this.#serve()
  }

  /** An item lies idle. */
  idled(): void {
    if (this.#line.size > 0) this.#serve()
  }

  /** Whether the first in line has waited for longer than since then, and an item of this member's would help. */
  isOwed(seat: Seat, since: number, permits: number): boolean {
    const first = this.#line.head
    return (
      first !== undefined &&
      first !== seat &&
      first.since < since &&
      this.#lacks(first, first.wanted) &&
      permits <= seat.surplus
    )
  }

  /** Whether this member needs more than there is and is on its way. */
  #lacks(seat: Seat, permits: number): boolean {
    return permits - this.#freeFor(seat) > this.#returning
  }

  /** Has an idle item given up for this member; `false` if there is none, or enough is on its way. */
  #reclaimFor(seat: Seat, needed: number): boolean {
    if (!this.#lacks(seat, needed)) return false
    const victim = this.#leastRecentlyUsed(seat)
    if (victim === undefined) return false
    const most = victim.surplus
    const { permits } = victim.member.oldest(most)!
    victim.returning += permits
    this.#returning += permits
    victim.member.reclaim(most)
    return true
  }

  /** The member with the idle item, of those that no minimum keeps, that has not been used for longest. */
  #leastRecentlyUsed(asking: Seat): Seat | undefined {
    let oldest: Seat | undefined
    let since = Infinity
    for (const seat of this.#holders) {
      const { surplus } = seat
      if (seat === asking || surplus === 0) continue
      const idle = seat.member.oldest(surplus)
      if (idle === undefined || idle.since >= since) continue
      since = idle.since
      oldest = seat
    }
    return oldest
  }

  close(): void {
    this.isClosed = true
    for (let first = this.#line.head; first !== undefined; first = this.#line.head) this.#line.remove(first)
    for (const seat of Array.from(this.#members)) seat.member.closed()
  }

  statsUnsafe(): BudgetStats {
    return {
      name: this.name,
      max: this.max,
      free: this.free,
      inLine: this.#line.size,
      members: Array.from(this.#members, ({ list, member, minimum, taken }) => ({
        name: member.name,
        taken,
        minimum,
        weight: member.weight,
        waits: list !== undefined
      }))
    }
  }
}

class Seat implements Membership, Linked<Seat> {
  readonly member: Member
  readonly #budget: LocalBudget
  taken = 0
  /** Of what it has taken, that which it was asked to give up and has not given back. */
  returning = 0
  isRetired = false
  /** How many permits it is in line for. */
  wanted = 0
  /** When it got in line. */
  since = 0
  list: LinkedList<any> | undefined = undefined
  previous: Seat | undefined = undefined
  next: Seat | undefined = undefined

  constructor(budget: LocalBudget, member: Member) {
    this.#budget = budget
    this.member = member
  }

  /** What it has not of its minimum. */
  get promised(): number {
    return Math.max(0, this.minimum - this.taken)
  }

  get minimum(): number {
    return this.isRetired ? 0 : this.member.minimum
  }

  /** What its idle items would give. */
  get givable(): number {
    const { surplus } = this
    return surplus === 0 ? 0 : this.member.idle(surplus)
  }

  /** How many more it has than its minimum, and than it is about to give up. */
  get surplus(): number {
    return Math.max(0, this.taken - this.returning - this.minimum)
  }

  /** Whether so many more are its own by its minimum. */
  isWithinMinimum(permits: number): boolean {
    return this.taken + permits <= this.minimum
  }

  get isClosed(): boolean {
    return this.#budget.isClosed
  }

  retire(): void {
    this.#budget.retire(this)
  }

  idled(): void {
    this.#budget.idled()
  }

  isOwed(since: number, permits: number): boolean {
    return this.#budget.isOwed(this, since, permits)
  }

  take(urgency: Urgency, permits: number): boolean {
    return this.#budget.take(this, urgency, permits)
  }

  withdraw(): void {
    this.#budget.leaveLine(this)
  }

  served(since: number): void {
    this.#budget.served(this, since)
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
