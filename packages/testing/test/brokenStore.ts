import { type Admission, Lease, Pool, type Store } from "@effect-pools/core"
import * as Exit from "effect/Exit"

interface Item extends Lease.Entry<string> {
  holder: Lease.Lease<string> | undefined
}

/** What the store can get wrong, by what it does. */
export type Fault =
  | "hands out what is in use"
  | "hands out what it destroyed"
  | "makes one more than max"
  | "gives every item the same number"
  | "destroys twice"
  | "destroys what it never made"
  | "detaches what it destroyed"
  | "destroys what is in use"
  | "drops what comes back"
  | "keeps counting what comes back as used"
  | "gives back twice"
  | "gives back a lease that was never taken"
  | "swaps the items of a lease"
  | "serves a lease twice"
  | "counts an item twice"
  | "says nothing of a new item"
  | "says nothing of an end"
  | "hides its leases"
  | "shows a lease that has ended"
  | "loses count of the leases"

/** A store of strings that is right but for one fault. */
export class BrokenStore implements Store.Store<string, never> {
  readonly admission: Admission.Admission<string, never>
  readonly idle: Array<Item> = []
  readonly items = new Set<Item>()
  fault: Fault | undefined
  #lastId = 0
  #ended: Lease.Lease<string> | undefined

  constructor(admission: Admission.Admission<string, never>) {
    this.admission = admission
  }

  take(): Item | undefined {
    const { admission, fault } = this
    const inUse = Array.from(this.items).find(({ holder }) => holder !== undefined)
    if (fault === "hands out what is in use" && inUse !== undefined) {
      admission.used++
      return inUse
    }
    let item = this.idle.pop()
    if (item !== undefined) admission.idle--
    else if (admission.live < admission.max || fault === "makes one more than max") item = this.#make()
    else return undefined
    admission.used++
    return item
  }

  #make(): Item {
    const { fault } = this
    const { observer } = this.admission
    observer.created += fault === "counts an item twice" ? 2 : 1
    const id = fault === "gives every item the same number" ? 1 : ++this.#lastId
    const item: Item = { id, value: `item ${id}`, holder: undefined }
    this.items.add(item)
    if (fault !== "says nothing of a new item") {
      // Counted as used by whoever takes it, in the same step; told when that is true.
      this.admission.used++
      observer.emit({ _tag: "ItemCreated", item: id, took: 0 })
      this.admission.used--
    }
    return item
  }

  giveBack(item: Item, lease: Lease.Lease<string>): void {
    const { admission, fault } = this
    this.fault = undefined
    this.#ended = lease
    if (fault === "gives back twice") {
      admission.used++
      admission.giveBack(lease, Exit.void)
    }
    if (fault === "gives back a lease that was never taken") {
      const stranger = new Lease.Lease(lease.request)
      stranger.entry = item
      admission.used++
      admission.giveBack(stranger, Exit.void)
    }
    this.fault = fault
    // Destroyed under its holder when the grace of a close was over.
    if (fault === "keeps counting what comes back as used" || !this.items.has(item)) return
    admission.used--
    if (fault === "drops what comes back") return void this.items.delete(item)
    if (admission.lifecycle !== "open") return this.#drop(item)
    admission.idle++
    this.idle.push(item)
    if (fault === "loses count of the leases") admission.observer.acquired++
    admission.serve()
  }

  invalidate(value: string): void {
    const item = Array.from(this.items).find((item) => item.value === value)
    if (item === undefined) return
    const { admission, fault } = this
    const place = this.idle.indexOf(item)
    if (place === -1) {
      if (fault === "destroys what is in use") this.#drop(item)
      if (fault === "swaps the items of a lease") item.holder!.entry = this.#other(item)
      if (fault === "serves a lease twice") this.#serveAgain(item.holder!)
      return
    }
    if (fault !== "hands out what it destroyed") {
      this.idle.splice(place, 1)
      admission.idle--
    }
    if (fault === "destroys what it never made") this.#drop({ id: 99, value: "", holder: undefined })
    else this.#drop(item)
    if (fault === "destroys twice") this.#drop(item)
    if (fault === "detaches what it destroyed") this.admission.observer.emit({ _tag: "ItemDetached", item: item.id })
  }

  #other(item: Item): Item {
    return Array.from(this.items).find((other) => other !== item)!
  }

  #serveAgain(lease: Lease.Lease<string>): void {
    const { observer } = this.admission
    observer.acquired++
    observer.emit({
      _tag: "LeaseAcquired",
      item: lease.entry!.id,
      lease: this.admission.leaseId(lease),
      waited: 0,
      takenAt: undefined
    })
  }

  #drop(item: Item): void {
    const { observer } = this.admission
    this.items.delete(item)
    observer.destroyed.invalidated++
    if (this.fault !== "says nothing of an end") {
      observer.emit({ _tag: "ItemDestroyed", item: item.id, reason: "invalidated", age: 0 })
    }
    this.admission.changed()
  }

  shutdown(): void {
    this.admission.idle = 0
    for (const item of this.idle.splice(0)) this.#drop(item)
  }

  abandon(): void {
    this.admission.used = 0
    for (const item of this.items) this.#drop(item)
    this.admission.changed()
  }

  *leases(): Generator<Lease.Lease<string>, void> {
    if (this.fault === "shows a lease that has ended" && this.#ended !== undefined) yield this.#ended
    if (this.fault === "hides its leases") return
    for (const { holder } of this.items) {
      for (let lease = holder; lease !== undefined; lease = lease.next) yield lease
    }
  }

  idleSince(): undefined {}
  evict(): void {}
  replenish(): void {}
  turnedAway(): void {}
  mayOffer(): boolean {
    return false
  }
  refusal(): undefined {}
  timeoutFailure(): undefined {}
  lastCreateFailure(): undefined {}
  resized(): void {
    const { admission } = this
    while (admission.live > admission.max && this.idle.length > 0) {
      admission.idle--
      this.#drop(this.idle.shift()!)
    }
  }
  details(): Record<string, never> {
    return {}
  }
}

/** A pool of strings, made when they are needed, two at most. */
export const open = (settings: { readonly concurrency?: number; readonly closeGrace?: number } = {}) =>
  Pool.open({
    kind: "broken",
    settings: {
      name: "broken",
      min: 0,
      max: 2,
      acquireTimeout: 1000,
      maxWaiters: Infinity,
      concurrency: settings.concurrency ?? 1
    },
    closeGrace: settings.closeGrace ?? 0,
    store: (admission: Admission.Admission<string, never>) => new BrokenStore(admission)
  })
