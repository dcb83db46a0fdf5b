import type { Pool, PoolEvent } from "@effect-pools/core"
import type { AuditReport, Discrepancy, DiscrepancyKind, Leak } from "../AuditReport.ts"
import { balance, type Books, countDestroyed } from "./balance.ts"
import { Recent } from "./recent.ts"

interface Item {
  readonly id: number
  /** `undefined` if it was there before. */
  readonly createdAt: number | undefined
  readonly leases: Set<number>
  latest: Lease | undefined
  detachedAt: number | undefined
}

interface Lease {
  readonly id: number
  readonly item: number
  readonly since: number
  /** What knows where it was taken, and says so when it is asked: dear, so only for a report. */
  readonly taking: { readonly takenAt: string | undefined }
}

/** How many discrepancies, and how many failures, are kept. */
const KEPT = 100

/**
 * The books on one pool: what events say there is, held against the pool's own counts.
 *
 * Kept are only items and leases that there are; of those that have ended, the latest.
 */
export class Ledger {
  readonly #pool: Pool.Pool<any, any>
  readonly #from: number
  readonly #items = new Map<number, Item>()
  readonly #leases = new Map<number, Lease>()
  /** By lease, since when. */
  readonly #waiters = new Map<number, number>()
  /** What has ended lately, to tell a second end from one of the unknown. */
  readonly #destroyed = new Recent<string>()
  readonly #released = new Recent<Lease>()
  readonly #discrepancies: Array<Discrepancy> = []
  readonly #failures: Array<AuditReport["failures"][number]> = []
  #omitted = 0
  #outlived: Array<Leak> = []
  #events = 0
  readonly #seen = { created: 0, destroyed: 0, acquired: 0, released: 0 }
  readonly #before: Books["before"]
  /** Items that were there before and that no event has spoken of. */
  #unseen: number
  /** The most items that there may be: more than `max` only while a pool shrinks, and then ever fewer. */
  #bound: number
  /** Leases that were out before and that the store knows nothing of: on items that a close has destroyed. */
  #unseenLeases: number
  /** By how much the pool's count of leases differs, as far as that has been told. */
  #told = 0
  #hasClosed: boolean

  constructor(pool: Pool.Pool<any, any>) {
    const { admission } = pool
    this.#pool = pool
    const now = admission.clock.exact()
    this.#from = admission.clock.wall(now)
    this.#hasClosed = admission.hasEnded
    const offset = this.#from - now
    for (const lease of admission.store.leases()) {
      const id = admission.leaseId(lease)
      const item = this.#items.get(lease.entry!.id) ?? this.#add(lease.entry!.id, undefined)
      this.#hold(item, { id, item: item.id, since: lease.since + offset, taking: { takenAt: lease.request.callSite } })
    }
    for (const { lease } of admission.waiters) this.#waiters.set(admission.leaseId(lease), lease.since + offset)
    const { created } = admission.observer
    this.#before = { created, destroyed: countDestroyed(pool), destroying: admission.destroying }
    this.#unseen = admission.idle + admission.used + admission.destroying - this.#items.size
    this.#unseenLeases = admission.observer.acquired - admission.observer.released - this.#leases.size
    this.#bound = Math.max(admission.max, admission.live)
  }

  // Events -----------------------------------------------------------------------------------------------------------

  handle(event: PoolEvent.PoolEvent): void {
    this.#events++
    if (this.#hasClosed) this.#handleLate(event)
    switch (event._tag) {
      case "LeaseAcquired":
        this.#acquired(event)
        break
      case "LeaseReleased":
        this.#releasedBy(event)
        break
      case "WaitStarted":
        this.#waiters.set(event.lease, event.at)
        break
      case "WaitEnded":
        if (!this.#waiters.delete(event.lease)) {
          this.#found(
            "waitEndedUnknown",
            event.at,
            `lease ${event.lease} ended a wait (${event.outcome}) but did not wait`
          )
        }
        break
      case "ItemCreated":
        this.#created(event)
        break
      case "ItemDetached":
        this.#detached(event)
        break
      case "ItemDestroyed":
        this.#destroyedBy(event)
        break
      case "BackgroundFailure":
        this.#failed(event)
        break
      case "Closing":
        this.#outlived = this.#leaks(event.at)
        break
      case "Closed":
        this.#closed(event.at)
        break
    }
    this.#checkSize(event.at)
    if (event._tag !== "NestedAcquire") this.#checkCounts(event.at)
  }

  /** Leases that outlived the pool may come back or be lost, and what was given up may fail; nothing else may happen any more. */
  #handleLate(event: PoolEvent.PoolEvent): void {
    const { _tag } = event
    if (_tag === "LeaseReleased" || _tag === "LeaseAbandoned" || _tag === "BackgroundFailure") return
    this.#found("afterClosed", event.at, `${event._tag} after the pool had closed`)
  }

  #acquired(event: Extract<PoolEvent.PoolEvent, { readonly _tag: "LeaseAcquired" }>): void {
    const { at, item: id, lease } = event
    this.#seen.acquired++
    this.#waiters.delete(lease)
    const before = this.#leases.get(lease)
    if (before !== undefined) {
      this.#found("acquiredTwice", at, `lease ${lease} got item ${id} while it held item ${before.item}${where(event)}`)
      this.#letGo(before)
    }
    let item = this.#items.get(id)
    if (item === undefined) {
      if (this.#unseen > 0 && this.#destroyed.get(id) === undefined) this.#unseen--
      else
        this.#found("handedOutGone", at, `item ${id} was handed to lease ${lease} ${this.#whyGone(id)}${where(event)}`)
      item = this.#add(id, undefined)
    }
    const { concurrency } = this.#pool.admission
    if (item.leases.size >= concurrency) {
      const allowed = concurrency === 1 ? "" : `(concurrency ${concurrency}) `
      const holders = this.#holders(item)
      this.#found(
        "shared",
        at,
        `item ${id} was handed to lease ${lease} ${allowed}while held by ${holders}${where(event)}`
      )
    }
    this.#hold(item, { id: lease, item: id, since: at, taking: event })
  }

  #releasedBy({ at, item, lease }: Extract<PoolEvent.PoolEvent, { readonly _tag: "LeaseReleased" }>): void {
    this.#seen.released++
    const held = this.#leases.get(lease)
    if (held === undefined) {
      const earlier = this.#released.get(lease)
      if (this.#unseenLeases > 0) this.#unseenLeases--
      else if (earlier === undefined) {
        this.#found("releasedUnknown", at, `lease ${lease} on item ${item} was given back but never taken`)
      } else {
        const place = where(earlier.taking)
        this.#found("releasedTwice", at, `lease ${lease} on item ${earlier.item} was given back twice${place}`)
      }
      return
    }
    if (held.item !== item) {
      this.#found("releasedElsewhere", at, `lease ${lease} held item ${held.item} and gave back item ${item}`)
    }
    this.#letGo(held)
    this.#released.set(lease, held)
  }

  #created({ at, item }: Extract<PoolEvent.PoolEvent, { readonly _tag: "ItemCreated" }>): void {
    this.#seen.created++
    if (this.#items.has(item) || this.#destroyed.get(item) !== undefined) {
      this.#found("createdTwice", at, `there are two items of the number ${item}`)
    }
    this.#add(item, at)
  }

  #detached({ at, item: id }: Extract<PoolEvent.PoolEvent, { readonly _tag: "ItemDetached" }>): void {
    const item = this.#items.get(id)
    if (item === undefined) this.#found("detachedGone", at, `item ${id} was detached ${this.#whyGone(id)}`)
    else item.detachedAt = at
  }

  #destroyedBy({ at, item: id, reason }: Extract<PoolEvent.PoolEvent, { readonly _tag: "ItemDestroyed" }>): void {
    this.#seen.destroyed++
    const item = this.#items.get(id)
    if (item === undefined) {
      const earlier = this.#destroyed.get(id)
      if (earlier !== undefined) {
        this.#found("destroyedTwice", at, `item ${id} was destroyed (${reason}) ${this.#whyGone(id)}`)
      } else if (this.#unseen > 0) this.#unseen--
      else this.#found("destroyedUnknown", at, `item ${id} was destroyed (${reason}) but never created`)
    } else {
      this.#items.delete(id)
      if (item.leases.size > 0 && this.#pool.admission.lifecycle !== "closed") {
        this.#found("destroyedInUse", at, `item ${id} was destroyed (${reason}) while held by ${this.#holders(item)}`)
      }
    }
    this.#destroyed.set(id, reason)
  }

  #failed({ at, cause, during, item }: Extract<PoolEvent.PoolEvent, { readonly _tag: "BackgroundFailure" }>): void {
    this.#failures.push({ at, cause, during, item })
    if (this.#failures.length > KEPT) this.#failures.shift()
  }

  #closed(at: number): void {
    this.#hasClosed = true
    for (const item of this.#items.values()) {
      const born = item.createdAt === undefined ? "" : `, created ${new Date(item.createdAt).toISOString()}`
      const used = item.latest === undefined ? "" : `, last${where(item.latest.taking).slice(1)}`
      this.#found("lost", at, `item ${item.id} was never destroyed${born}${used}`)
    }
    for (const lease of this.#waiters.keys()) {
      this.#found("stranded", at, `lease ${lease} waits for a pool that has closed`)
    }
    const { live } = this.#pool.admission
    if (live !== 0) this.#found("miscounted", at, `the pool has closed and counts ${live} items`)
  }

  // Checks -----------------------------------------------------------------------------------------------------------

  #checkSize(at: number): void {
    const { live, max } = this.#pool.admission
    // With items unseen the books can't tell how many there are.
    const known = this.#unseen === 0 ? this.#items.size : 0
    const size = Math.max(live, known)
    if (size > this.#bound) {
      const counted =
        known > live ? `${known} items exist, of which the pool counts ${live}` : `there are ${live} items`
      this.#found("aboveMax", at, `${counted}; max is ${max}`)
      this.#bound = size
    } else {
      this.#bound = Math.max(max, size)
    }
  }

  /** Counts that are true after every event, as it is told in the same step in which they change. */
  #checkCounts(at: number): void {
    const { observer, pending } = this.#pool.admission
    const out = observer.acquired - observer.released
    const difference = out - this.#leases.size - this.#unseenLeases
    if (difference !== this.#told) {
      this.#found(
        "miscounted",
        at,
        `${observer.acquired} leases were taken and ${observer.released} given back by the pool's count, ` +
          `which leaves ${out}; there are ${this.#leases.size}`
      )
      this.#told = difference
    }
    if (pending !== this.#waiters.size) {
      this.#found("miscounted", at, `${pending} callers wait by the pool's count; there are ${this.#waiters.size}`)
      const waiting = Array.from(this.#pool.admission.waiters, ({ lease }) => this.#pool.admission.leaseId(lease))
      this.#waiters.clear()
      for (const lease of waiting) this.#waiters.set(lease, at)
    }
  }

  // The report -------------------------------------------------------------------------------------------------------

  report(): AuditReport {
    const { admission, kind, name } = this.#pool
    const { creating, destroying, idle, lifecycle, max, pending, used } = admission
    const at = admission.clock.wall(admission.clock.exact())
    this.#checkSize(at)
    this.#checkCounts(at)
    return {
      pool: name,
      kind,
      state: lifecycle,
      from: this.#from,
      until: at,
      events: this.#events,
      ...this.#seen,
      idle,
      used,
      creating,
      destroying,
      pending,
      max,
      items: Array.from(this.#items.values(), ({ createdAt, detachedAt, id, latest, leases }) => ({
        item: id,
        createdAt,
        detachedAt,
        leases: Array.from(leases),
        lastTakenAt: latest?.taking.takenAt
      })),
      leaks: this.#leaks(at),
      outlived: this.#outlived,
      waiting: Array.from(this.#waiters, ([lease, since]) => ({ lease, since, waited: at - since })),
      discrepancies: [
        ...this.#discrepancies,
        ...balance(this.#pool, {
          items: this.#items,
          leases: this.#leases,
          seen: this.#seen,
          before: this.#before,
          describe: (lease) => this.#describe(lease)
        }).map((message) => ({ kind: "miscounted" as const, at, message }))
      ],
      failures: this.#failures.slice(),
      omitted: this.#omitted
    }
  }

  #leaks(at: number): Array<Leak> {
    return Array.from(this.#leases.values(), ({ id, item, since, taking }) => ({
      lease: id,
      item,
      since,
      heldFor: at - since,
      takenAt: taking.takenAt
    })).sort((one, other) => one.since - other.since)
  }

  // Inside -----------------------------------------------------------------------------------------------------------

  #add(id: number, createdAt: number | undefined): Item {
    const item: Item = { id, createdAt, leases: new Set(), latest: undefined, detachedAt: undefined }
    this.#items.set(id, item)
    return item
  }

  #hold(item: Item, lease: Lease): void {
    item.leases.add(lease.id)
    item.latest = lease
    this.#leases.set(lease.id, lease)
  }

  #letGo(lease: Lease): void {
    this.#leases.delete(lease.id)
    this.#items.get(lease.item)?.leases.delete(lease.id)
  }

  #holders({ leases }: Item): string {
    return Array.from(leases, (id) => this.#describe(id)).join(", ")
  }

  #describe(id: number): string {
    const takenAt = this.#leases.get(id)?.taking.takenAt
    return takenAt === undefined ? `lease ${id}` : `lease ${id} (taken ${takenAt})`
  }

  #whyGone(id: number): string {
    const reason = this.#destroyed.get(id)
    return reason === undefined ? "though there is no such item" : `after it had been destroyed (${reason})`
  }

  #found(kind: DiscrepancyKind, at: number, message: string): void {
    if (this.#discrepancies.length < KEPT) this.#discrepancies.push({ kind, at, message })
    else this.#omitted++
  }
}

const where = ({ takenAt }: Lease["taking"]): string => (takenAt === undefined ? "" : `, taken ${takenAt}`)
