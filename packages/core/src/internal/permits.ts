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
  /** How many it is in line for. */
  #wanted = 0
  #isAsking = false

  constructor(admission: Admission<any, any>, share: CheckedShare) {
    this.share = share
    const placesOf = (permits: number): number => Math.floor(permits / share.weight)
    this.#seat = share.budget.join({
      name: admission.name,
      minimum: share.minimum,
      get weight() {
        return share.weight * (admission.store.places?.heaviest ?? 1)
      },
      now: () => admission.clock.exact(),
      idle: (most) => {
        const places = placesOf(most)
        return share.weight * (admission.store.places?.idle(places) ?? Math.min(admission.idle, places))
      },
      oldest: (most) => {
        const places = placesOf(most)
        const since = places === 0 ? undefined : admission.store.idleSince(places)
        if (since === undefined) return undefined
        return { since, permits: share.weight * (admission.store.places?.oldest(places) ?? 1) }
      },
      reclaim: (most) => admission.store.evict(placesOf(most)),
      granted: () => {
        this.isInLine = false
        this.#inHand += this.#wanted
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
    if (!this.isInLine && this.isWithinReach()) return undefined
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

  /** Whether waiting for the permits of an item has any sense, if the pool gives up so many places of its own for it. */
  isWithinReach(places = 1, own = 0): boolean {
    return this.#seat.isWithinReach((places - own) * this.share.weight)
  }

  /** Whether an item may be made now; if so, it has to be, or the round that `begin` began to `settle`. */
  claim(urgency: Urgency, places: number): boolean {
    const permits = places * this.share.weight
    if (this.#inHand >= permits) return true
    // Nobody holds a part while he waits for the rest: two who did so would wait for each other.
    this.putDown()
    if (urgency === "line") {
      this.#isAsking = this.isInLine = true
      this.#wanted = permits
    }
    if (this.#seat.take(urgency, permits)) {
      this.isInLine = false
      this.#inHand += permits
    }
    // While it got in line it may have had its turn.
    return this.#inHand >= permits
  }

  /** Gives back what it has been given for items that are not being made. */
  putDown(): void {
    const permits = this.#inHand
    if (permits === 0) return
    this.#inHand = 0
    this.#seat.give(permits)
  }

  /** A caller has got an item, and the next one waits since then. */
  served(since: number): void {
    if (this.isInLine) this.#seat.served(since)
  }

  /** An item lies idle. */
  idled(): void {
    this.#seat.idled()
  }

  /** Whether others have waited longer than since then for what an item of so many places has. */
  isOwed(since: number, places: number): boolean {
    return this.#seat.isOwed(since, places * this.share.weight)
  }

  /** An item is being made. */
  spend(places: number): void {
    const permits = places * this.share.weight
    if (this.#inHand < permits)
      throw new Error(`BUG: an item is made without permits of budget "${this.share.budget.name}"`)
    this.#inHand -= permits
  }

  give(places: number): void {
    this.#seat.give(places * this.share.weight)
  }

  /** A round of making what is missing begins. */
  begin(): void {
    this.#isAsking = false
  }

  /** The round is over: what it did not need is others'. */
  settle(): void {
    this.putDown()
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
