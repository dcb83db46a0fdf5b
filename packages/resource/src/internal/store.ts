import type * as Admission from "@effect-pools/core/Admission"
import * as Lease from "@effect-pools/core/Lease"
import * as LinkedList from "@effect-pools/core/data/LinkedList"
import * as Observer from "@effect-pools/core/Observer"
import * as PoolError from "@effect-pools/core/PoolError"
import type * as PoolEvent from "@effect-pools/core/PoolEvent"
import type * as PoolStats from "@effect-pools/core/PoolStats"
import type * as Store from "@effect-pools/core/Store"
import * as Supply from "@effect-pools/core/Supply"
import * as Underway from "@effect-pools/core/Underway"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import { Place, type TwoStageLine } from "./line.ts"
import type { Checked, CheckedResource } from "./options.ts"

type AnyLease = Lease.Lease<any>

/** What is allocated for a resource, until it is released. */
class Allocation implements Lease.Entry<any>, Supply.Ending, LinkedList.Linked<Allocation> {
  readonly resource: Holding
  readonly id: number
  readonly value: unknown
  readonly scope: Scope.Closeable
  readonly createdAt: number
  readonly places: number
  holder: AnyLease | undefined = undefined
  idleSince = 0
  /** Why it is to be released when it is put back. */
  doom: PoolEvent.DestroyReason | undefined = undefined
  list: LinkedList.LinkedList<Allocation> | undefined = undefined
  previous: Allocation | undefined = undefined
  next: Allocation | undefined = undefined

  get name(): string {
    return this.resource.name
  }

  constructor(resource: Holding, id: number, value: unknown, scope: Scope.Closeable, createdAt: number) {
    this.resource = resource
    this.id = id
    this.value = value
    this.scope = scope
    this.createdAt = createdAt
    this.places = resource.weight
  }
}

/** `overdue` is being released still, when that has been given up. */
type State = "released" | "allocating" | "idle" | "used" | "releasing" | "overdue"

/** Is told how a release has ended; `undefined` if it was given up. */
type Watcher = (exit: Exit.Exit<unknown, unknown> | undefined) => void

/** One resource, as its pool sees it. */
export class Holding extends Place {
  readonly name: string
  readonly weight: number
  readonly allocate: Effect.Effect<unknown, unknown, Scope.Scope>
  state: State = "released"
  allocation: Allocation | undefined = undefined
  /** It is to be released when it is first put back. */
  isScheduled = false
  /** Who wants to know what becomes of the release that is going on: each release has its own. */
  watchers: Set<Watcher> | undefined = undefined

  constructor({ name, weight }: CheckedResource, allocate: Effect.Effect<unknown, unknown, Scope.Scope>) {
    super(weight)
    this.name = name
    this.weight = weight
    this.allocate = allocate
  }
}

/** One call for a resource. */
export class ResourceRequest extends Lease.Request<any> {
  readonly resource: Holding
  /** Does not wait for others, but for the resource to be allocated if there is a place for it. */
  readonly isHasty: boolean

  constructor(
    admission: Admission.Admission<any, any>,
    resource: Holding,
    body: ((item: any) => Effect.Effect<any, any, any>) | undefined,
    options: Lease.AcquireOptions | undefined,
    isOptional: boolean,
    isHasty: boolean
  ) {
    super(admission, body, options, isOptional)
    this.resource = resource
    this.isHasty = isHasty
  }
}

/** Of one that was made by `Pool.get` or `Pool.use`, there is none. */
export const resourceOf = (lease: AnyLease): Holding | undefined => (lease.request as Partial<ResourceRequest>).resource

/** The resources of a pool: who has them, which lie idle, and what their places come to. */
export class ResourceStore implements Store.Store<any, any> {
  readonly #admission: Admission.Admission<any, any>
  readonly #line: TwoStageLine
  readonly #supply: Supply.Supply<any, any>
  readonly #allocations = new Set<Allocation>()
  /** The first has not been used for longest. */
  readonly #idle = new LinkedList.LinkedList<Allocation>()
  /** Places taken, by weight: of all that is allocated, about to be, or being released. */
  #taken = 0
  /** Those of them that are being released. */
  #leaving = 0
  /** And of those, what is to be expected soon. */
  readonly #returning: Underway.Underway
  /** Places of what is idle. */
  #idlePlaces = 0
  /** Which resource could not be allocated last. */
  #lastFailed = ""

  constructor(admission: Admission.Admission<any, any>, line: TwoStageLine, options: Checked) {
    this.#admission = admission
    this.#line = line
    this.#supply = new Supply.Supply(admission, { ...options, acquire: Effect.die("BUG: which resource?") })
    this.#returning = new Underway.Underway(admission, Supply.PATIENCE, () => admission.serve())
    // Under a budget, room in this pool alone is of no use.
    line.room = () => (admission.permits === undefined ? admission.max - this.#taken + this.#returning.expected : 0)
  }

  #set(resource: Holding, state: State): void {
    resource.state = state
    resource.isFree = state === "idle" || state === "released"
    resource.needs = state === "idle" ? 0 : resource.weight
    this.#line.changed(resource)
  }

  // Leases -----------------------------------------------------------------------------------------------------------

  take(_now: number, lease: AnyLease): Allocation | undefined {
    const resource = resourceOf(lease)
    if (resource === undefined || resource.state !== "idle") return undefined
    const allocation = resource.allocation!
    this.#idle.remove(allocation)
    this.#idlePlaces -= allocation.places
    this.#admission.idle--
    this.#admission.used++
    this.#set(resource, "used")
    return allocation
  }

  giveBack(allocation: Lease.Entry<any>, _lease: AnyLease, _exit: Exit.Exit<unknown, unknown>, now: number): void {
    // It may have been released under its holder.
    if (this.#allocations.has(allocation as Allocation)) this.#settle(allocation as Allocation, now)
  }

  /** Nobody has it any more: it goes to the next who waits for it, unless others have waited longer for its place. */
  #settle(allocation: Allocation, now: number): void {
    const admission = this.#admission
    const { lifecycle, max } = admission
    const { resource } = allocation
    if (allocation.doom !== undefined) return this.#release(allocation, allocation.doom)
    if (lifecycle === "draining" || lifecycle === "closed") return this.#release(allocation, "closed")
    if (this.#taken - this.#leaving > max) return this.#release(allocation, "shrink")
    const next = resource.waiters.first()
    if (next !== undefined && this.#line.isNext(next) && admission.offer(allocation, now, next)) return
    admission.used--
    admission.idle++
    allocation.idleSince = now
    this.#idle.addLast(allocation)
    this.#idlePlaces += allocation.places
    this.#set(resource, "idle")
    admission.idled(allocation.places)
  }

  // Allocating -------------------------------------------------------------------------------------------------------

  replenish(): void {
    while (this.#admission.lifecycle === "open" && this.#advance());
  }

  /** Does one thing for those in line; whether there may be more to do. */
  #advance(): boolean {
    const admission = this.#admission
    const first = this.#line.first()
    if (first === undefined) return false
    const resource = resourceOf(first.lease)!
    if (this.#canAllocate(resource)) {
      const hasPermits = admission.claim("line", resource.weight)
      // To have them given, others may have been released, and anything be done with this one.
      if (!this.#canAllocate(resource)) return true
      if (hasPermits) this.#allocate(resource)
      else this.#giveUpOwn(resource)
      return hasPermits
    }
    if (resource.state === "idle") {
      // Sees to the rest as well.
      admission.serve()
      return false
    }
    if (this.#idle.head === undefined) return false
    return this.#line.takeable === 0 ? this.#makeRoom() : this.#passOn()
  }

  /** Whether there is a place for it. */
  #canAllocate({ state, weight }: Holding): boolean {
    return state === "released" && this.#taken + weight <= this.#admission.max
  }

  /** Has an idle resource released if there are too few places for those in line. */
  #makeRoom(): boolean {
    if (this.#taken - this.#returning.expected + this.#line.wanted <= this.#admission.max) return false
    this.#release(this.#idle.head!, "reclaimed")
    return true
  }

  /** The same where idle resources are waited for: one goes to its caller if all before that are provided for. */
  #passOn(): boolean {
    const admission = this.#admission
    let room = admission.max - this.#taken + this.#returning.expected
    for (const waiter of this.#line.inOrder()) {
      const resource = resourceOf(waiter.lease)!
      if (resource.state === "idle") {
        if (admission.permits !== undefined) continue
        const now = admission.clock.now()
        return admission.offer(this.take(now, waiter.lease)!, now, waiter)
      }
      room -= resource.weight
      if (room >= 0) continue
      this.#release(this.#idle.head!, "reclaimed")
      return true
    }
    return false
  }

  /** The budget asks others for idle items, and nobody for its own: those go if others cannot give enough. */
  #giveUpOwn({ weight }: Holding): void {
    if (this.#idle.head === undefined || this.#returning.expected > 0) return
    if (!this.#admission.permits!.isWithinReach(weight)) this.#release(this.#idle.head, "reclaimed")
  }

  #allocate(resource: Holding): void {
    const admission = this.#admission
    this.#taken += resource.weight
    this.#set(resource, "allocating")
    this.#supply.make(
      {
        created: (value, scope, now, took) => {
          const allocation = new Allocation(resource, ++admission.observer.created, value, scope, now)
          if (resource.isScheduled) allocation.doom = "released"
          resource.isScheduled = false
          resource.allocation = allocation
          this.#allocations.add(allocation)
          admission.creating--
          admission.used++
          this.#set(resource, "used")
          admission.observer.emit({ _tag: "ItemCreated", item: allocation.id, took })
          this.#hand(allocation, now)
        },
        failed: (cause, _now, startedAt) => this.#failed(resource, cause, startedAt),
        cleaned: () => void (this.#taken -= resource.weight),
        // Two allocations of one resource could get in each other's way, as an allocation and a release could.
        gone: () => {
          resource.isScheduled = false
          this.#set(resource, "released")
          admission.serve()
        }
      },
      { acquire: resource.allocate, name: resource.name, places: resource.weight }
    )
  }

  /** A new one is for those who wait for it; what is to be done when it is put back is not to be done before. */
  #hand(allocation: Allocation, now: number): void {
    const { doom } = allocation
    const next = allocation.resource.waiters.first()
    if (doom !== undefined && next !== undefined && this.#line.isNext(next)) {
      if (this.#admission.offer(allocation, now, next)) return
    }
    this.#settle(allocation, now)
  }

  /** It is the failure of all who were waiting when the attempt began: else each would have to wait for one of its own. */
  #failed(resource: Holding, cause: Cause.Cause<unknown>, startedAt: number): void {
    const admission = this.#admission
    this.#lastFailed = resource.name
    const failure = Effect.failCause(cause)
    let isTold = false
    for (const { lease } of Array.from(resource.waiters)) {
      if (lease.state !== "waiting" || lease.since > startedAt) continue
      isTold = true
      admission.fail(lease, failure)
    }
    if (!isTold) admission.warn(`Pool "${admission.name}": "${resource.name}" could not be allocated`, cause)
  }

  // Releasing --------------------------------------------------------------------------------------------------------

  #release(allocation: Allocation, reason: PoolEvent.DestroyReason, watching: ReadonlyArray<Watcher> = []): void {
    const { resource } = allocation
    const watchers = new Set(watching)
    resource.watchers = watchers
    this.#allocations.delete(allocation)
    // To its holder it is as if he had put it back.
    if (reason === "released") allocation.holder?.revoke()
    if (allocation.list === undefined) this.#admission.used--
    else {
      this.#idle.remove(allocation)
      this.#idlePlaces -= allocation.places
      this.#admission.idle--
    }
    resource.allocation = undefined
    this.#set(resource, "releasing")
    this.#leaving += resource.weight
    const returned = this.#returning.begin(this.#admission.clock.now(), resource.weight)
    this.#supply.end(allocation, reason, {
      ended: (exit) => {
        returned()
        this.#leaving -= resource.weight
        this.#taken -= resource.weight
        if (exit === undefined) this.#set(resource, "overdue")
      },
      gone: () => {
        this.#set(resource, "released")
        this.#admission.serve()
      },
      settled: (exit) => {
        if (resource.watchers === watchers) resource.watchers = undefined
        for (const watcher of watchers) watcher(exit)
      }
    })
  }

  /** Releases a resource, under its holder if it has one; or waits for the release that is going on. */
  release(resource: Holding, done: Watcher): () => void {
    const { allocation } = resource
    if (allocation !== undefined && this.#allocations.has(allocation)) this.#release(allocation, "released", [done])
    else resource.watchers!.add(done)
    return () => resource.watchers?.delete(done)
  }

  /** Releases a resource now if it is idle, and else when it is put back. */
  schedule(resource: Holding): void {
    if (resource.state === "allocating") resource.isScheduled = true
    else if (resource.allocation !== undefined) this.#doom(resource.allocation, "released")
  }

  invalidate(value: unknown): void {
    for (const allocation of Array.from(this.#allocations)) {
      if (allocation.value === value) this.#doom(allocation, "invalidated")
    }
  }

  #doom(allocation: Allocation, reason: PoolEvent.DestroyReason): void {
    if (!this.#allocations.has(allocation)) return
    allocation.doom ??= reason
    if (allocation.resource.state === "idle") this.#release(allocation, reason)
  }

  resized(): void {
    const admission = this.#admission
    while (this.#idle.head !== undefined && this.#taken - this.#leaving > admission.max) {
      this.#release(this.#idle.head, "shrink")
    }
    for (const { lease } of Array.from(admission.waiters)) {
      if (lease.state === "waiting" && resourceOf(lease)!.weight > admission.max) {
        admission.fail(lease, this.#tooHeavy(resourceOf(lease)!))
      }
    }
  }

  /** A resource of this weight is among those that there are from now on. */
  weighs(weight: number): void {
    this.places.heaviest = Math.max(this.places.heaviest, weight)
  }

  readonly places = {
    heaviest: 1,
    oldest: (most: number): number => this.#oldest(most)?.places ?? 0,
    idle: (most: number): number => {
      let places = 0
      for (const allocation of this.#idle) if (places + allocation.places <= most) places += allocation.places
      return places
    }
  } satisfies Store.Places

  /** The idle resource of at most so many places that has not been used for longest. */
  #oldest(most: number): Allocation | undefined {
    for (const allocation of this.#idle) if (allocation.places <= most) return allocation
    return undefined
  }

  idleSince(most: number): number | undefined {
    return this.#oldest(most)?.idleSince
  }

  evict(most: number): void {
    const allocation = this.#oldest(most)
    if (allocation !== undefined) this.#release(allocation, "reclaimed")
  }

  shutdown(): void {
    this.#returning.stop()
    this.#supply.stop()
    while (this.#idle.head !== undefined) this.#release(this.#idle.head, "closed")
  }

  abandon(): void {
    for (const allocation of Array.from(this.#allocations)) {
      // The end of one may have been that of another.
      if (this.#allocations.has(allocation)) this.#release(allocation, "closed")
    }
  }

  // Answers ----------------------------------------------------------------------------------------------------------

  refusal(lease: AnyLease): Effect.Effect<never, any> | undefined {
    const resource = resourceOf(lease)
    const admission = this.#admission
    if (resource === undefined) {
      return Effect.die(new TypeError(`Pool "${admission.name}" hands out its resources: use one of those`))
    }
    if (resource.weight > admission.max) return this.#tooHeavy(resource)
    const isHasty = (lease.request as ResourceRequest).isHasty && !this.#isWithinReach(resource)
    return isHasty ? admission.exhausted() : undefined
  }

  /** It would wait in vain, whatever the pool does. */
  #tooHeavy({ weight }: Holding): Effect.Effect<never, PoolError.PoolError> {
    const { max, name, observer } = this.#admission
    observer.exhausted++
    return Effect.fail(PoolError.make(() => new PoolError.Exhausted({ pool: name, max, needs: weight })))
  }

  /** Whether this resource can be had, or allocated, without waiting for any other holder. */
  #isWithinReach(resource: Holding): boolean {
    const { lifecycle, max, permits } = this.#admission
    if (lifecycle !== "open" || this.#line.ready > 0 || resource.waiters.size > 0) return false
    if (resource.state !== "released") return resource.state === "idle" || resource.state === "allocating"
    if (this.#taken - this.#leaving - this.#idlePlaces + this.#line.wanted + resource.weight > max) return false
    return permits === undefined || permits.isWithinReach(resource.weight, this.#idlePlaces)
  }

  /** Whoever does not wait at all finds it allocated the next time, if that is at nobody's expense. */
  turnedAway(lease: AnyLease): void {
    const resource = resourceOf(lease)!
    const { creating, lifecycle, max } = this.#admission
    if (lifecycle !== "open" || creating > 0 || this.#line.ready > 0 || resource.state !== "released") return
    if (this.#taken + this.#line.wanted + resource.weight > max) return
    if (!this.#admission.claim("now", resource.weight)) return
    if (this.#canAllocate(resource)) this.#allocate(resource)
    else this.#admission.permits?.putDown()
  }

  mayOffer(): boolean {
    return false
  }

  timeoutFailure(): undefined {}

  waitsFor(lease: AnyLease): Store.WaitsFor<any> {
    const { allocation, name, state } = resourceOf(lease)!
    const { lifecycle } = this.#admission
    const phase =
      state === "used" || state === "releasing" || state === "overdue"
        ? "put"
        : state === "allocating"
          ? "create"
          : lifecycle === "open"
            ? "capacity"
            : "queue"
    return { phase, name, holder: allocation?.holder }
  }

  lastCreateFailure(): string | undefined {
    const { lastFailure } = this.#supply
    return lastFailure === undefined ? undefined : `"${this.#lastFailed}": ${Observer.inWords(lastFailure)}`
  }

  *leases(): Generator<AnyLease, void> {
    for (const { holder } of this.#allocations) if (holder !== undefined) yield holder
  }

  details(): PoolStats.PoolStats["details"] {
    return { taken: this.#taken }
  }
}
