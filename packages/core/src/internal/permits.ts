import type { Admission } from "../Admission.ts"
import type { CheckedShare, Membership, Urgency } from "../Budget.ts"

/** How many of those who have the permits are named when there are none left. */
const NAMED = 10

/** A pool's dealings with its budget. */
export class Permits {
  readonly share: CheckedShare
  /** Waits for permits. */
  isInLine = false
  readonly #seat: Membership
  /** Taken for items that are not being made yet. */
  #inHand = 0
  #isAsking = false

  constructor(admission: Admission<any, any>, share: CheckedShare) {
    this.share = share
    this.#seat = share.budget.join({
      name: admission.name,
      minimum: share.minimum,
      weight: share.weight,
      now: () => admission.clock.exact(),
      idle: () => admission.idle,
      idleSince: () => admission.store.idleSince(),
      reclaim: () => admission.store.evict(),
      granted: () => {
        this.isInLine = false
        this.#inHand++
        admission.serve()
      },
      freed: () => admission.serve(),
      closed: () => admission.budgetClosed()
    })
  }

  get isClosed(): boolean {
    return this.#seat.isClosed
  }

  /** Who has the permits, if there are none for this pool. */
  get shortage(): string | undefined {
    if (!this.isInLine && this.#seat.isWithinReach()) return undefined
    const { inLine, max, members, name } = this.share.budget.statsUnsafe()
    if (this.isClosed) return `its budget "${name}" is closed`
    const holders = members.filter(({ taken }) => taken > 0).sort((a, b) => b.taken - a.taken)
    const named = holders.slice(0, NAMED).map((holder) => `${holder.name} ${holder.taken}`)
    if (holders.length > NAMED) {
      const rest = holders.slice(NAMED).reduce((sum, { taken }) => sum + taken, 0)
      named.push(`${holders.length - NAMED} others ${rest}`)
    }
    return `budget "${name}" has no permit to give (max ${max}: ${named.join(", ")}; ${inLine} in line)`
  }

  /** Whether waiting for permits has any sense. */
  get isWithinReach(): boolean {
    return this.#inHand > 0 || this.#seat.isWithinReach()
  }

  /** Whether an item may be made now; if so, it has to be, or the round that `begin` began to `settle`. */
  claim(urgency: Urgency): boolean {
    if (this.#inHand > 0) return true
    if (urgency === "line") this.#isAsking = this.isInLine = true
    if (this.#seat.take(urgency)) {
      this.isInLine = false
      this.#inHand++
    }
    // While it got in line it may have had its turn.
    return this.#inHand > 0
  }

  /** An item lies idle. */
  idled(): void {
    this.#seat.idled()
  }

  /** Whether others have waited longer for an item than since then. */
  isOwed(since: number): boolean {
    return this.#seat.isOwed(since)
  }

  /** An item is being made. */
  spend(): void {
    if (this.#inHand === 0)
      throw new Error(`BUG: an item is made without a permit of budget "${this.share.budget.name}"`)
    this.#inHand--
  }

  give(): void {
    this.#seat.give()
  }

  /** A round of making what is missing begins. */
  begin(): void {
    this.#isAsking = false
  }

  /** The round is over: what it did not need is others'. */
  settle(): void {
    while (this.#inHand > 0) {
      this.#inHand--
      this.#seat.give()
    }
    if (!this.isInLine || this.#isAsking) return
    this.isInLine = false
    this.#seat.withdraw()
  }

  /** It will make nothing more. */
  retire(): void {
    this.#seat.retire()
  }

  leave(): void {
    this.#seat.leave()
  }
}
