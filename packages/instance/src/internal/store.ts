import type * as Admission from "@effect-pools/core/Admission"
import * as Background from "@effect-pools/core/Background"
import type * as Lease from "@effect-pools/core/Lease"
import * as LinkedList from "@effect-pools/core/data/LinkedList"
import * as Observer from "@effect-pools/core/Observer"
import type * as PoolError from "@effect-pools/core/PoolError"
import type * as PoolEvent from "@effect-pools/core/PoolEvent"
import type * as PoolStats from "@effect-pools/core/PoolStats"
import type * as Store from "@effect-pools/core/Store"
import * as Supply from "@effect-pools/core/Supply"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Instance } from "./instance.ts"
import type { Checked } from "./options.ts"

/** The pause after a prepared instance could not be built: doubled with each failure, in milliseconds. */
const PAUSE = { first: 10, longest: 5000 } as const

/** How long preparing may hold up everybody else if building is synchronous, in milliseconds. */
const TURN = 5

/**
 * The store of an instance pool: an instance is built for a lease, or ahead of one, and ends with it.
 *
 * Every instance that is built serves whoever waits first; only when nobody does, it is put aside as prepared. So whom an
 * attempt was started for makes no difference, but for its failure: that is the first waiter's, and with nobody waiting
 * the pool's own, which tries again after a pause.
 */
export class InstanceStore<A, E> implements Store.Store<A, E> {
  readonly options: Checked<A, E>
  readonly admission: Admission.Admission<A, E>
  readonly all = new Set<Instance<A>>()
  /** Oldest first, which is the order in which they are handed out. */
  readonly #prepared = new LinkedList.LinkedList<Instance<A>>()
  readonly #byValue = new Map<A, Instance<A>>()
  readonly #supply: Supply.Supply<A, E>
  readonly #age: Background.Alarm
  readonly #pause: Background.Alarm
  /** When the next instance may be prepared; it is put off for longer each time that fails. */
  #prepareAt = 0
  #putOff = 0
  #isPreparing = false
  #lastId = 0
  /** Leases served from prepared instances, and by instances that had to be built. */
  #hits = 0
  #misses = 0
  /** Instances that other scopes than their lease's keep. */
  #detached = 0
  /** Of what is being destroyed, that which nobody had or waited for: no caller is refused because of it. */
  retiring = 0

  constructor(admission: Admission.Admission<A, E>, options: Checked<A, E>) {
    this.admission = admission
    this.options = options
    this.#supply = new Supply.Supply(admission, options)
    this.#age = new Background.Alarm(admission.background, admission.clock, (now) => {
      this.#retireAged(now)
      admission.serve()
    })
    this.#pause = new Background.Alarm(admission.background, admission.clock, () => admission.serve())
  }

  // Leases -----------------------------------------------------------------------------------------------------------

  take(now: number): Instance<A> | undefined {
    this.#retireAged(now)
    const instance = this.#prepared.head
    if (instance === undefined) return undefined
    this.#prepared.remove(instance)
    this.#hits++
    this.admission.idle--
    this.#use(instance)
    if (this.admission.min > 0) this.#prepare()
    return instance
  }

  #use(instance: Instance<A>): void {
    instance.state = "used"
    this.admission.used++
  }

  giveBack(instance: Instance<A>): void {
    // Destroyed under its holder when the grace of a close was over.
    if (instance.state === "destroyed" || instance.keepers > 0) return
    this.destroy(instance, instance.doom ?? "released")
  }

  /** Keeps an instance in use, of several of one value the asking fiber's, until the returned function is called. */
  keep(value: A, asking: unknown): (() => void) | undefined {
    const instance = this.#inUse(value, asking)
    if (instance === undefined) return undefined
    if (instance.keepers++ === 0) this.#detached++
    this.admission.observer.emit({ _tag: "ItemDetached", item: instance.id })
    return () => {
      if (--instance.keepers > 0) return
      this.#detached--
      if (instance.holder !== undefined || instance.state === "destroyed") return
      this.destroy(instance, instance.doom ?? "released")
    }
  }

  #inUse(value: A, asking: unknown): Instance<A> | undefined {
    let found: Instance<A> | undefined
    for (let instance = this.#byValue.get(value); instance !== undefined; instance = instance.twin) {
      if (instance.state !== "used") continue
      if (instance.holder?.fiber === asking) return instance
      found ??= instance
    }
    return found
  }

  // Supply -----------------------------------------------------------------------------------------------------------

  replenish(): void {
    while (this.#hasRoom && this.#missing > 0 && this.admission.claim("line")) this.#build()
    if (this.#wantsPrepared()) this.#prepare()
  }

  /** Builds what is to be prepared, but not in the step of a caller who took or returned one, nor all in one turn. */
  #prepare(): void {
    if (this.#isPreparing) return
    this.#isPreparing = true
    const prepare = Effect.sync(() => {
      this.#isPreparing = false
      const until = this.admission.clock.exact() + TURN
      while (this.#wantsPrepared()) {
        if (this.admission.clock.exact() > until) return this.#prepare()
        if (!this.admission.claim("ahead")) return
        this.#build()
      }
    })
    this.admission.background.fork(Effect.andThen(Effect.yieldNow, prepare))
  }

  get #hasRoom(): boolean {
    const { lifecycle, live, max } = this.admission
    return live < max && lifecycle !== "draining" && lifecycle !== "closed"
  }

  /** How many callers wait for whom none is being built; negative if more are being built than wait. */
  get #missing(): number {
    const { demanding, lifecycle } = this.admission
    return (lifecycle === "open" ? demanding : 0) - this.#expected
  }

  /**
   * How many of the instances being built are on their way to somebody. One that takes long is on its way to those who
   * have waited as long for it; for whoever came later another is built, so that one that hangs holds up nobody else.
   */
  get #expected(): number {
    const { clock, creating, waiters } = this.admission
    let expected = this.#supply.expected
    if (expected === creating) return expected
    const since = clock.now() - Supply.PATIENCE
    for (const { lease } of waiters) {
      if (lease.since <= since && ++expected === creating) break
    }
    return expected
  }

  /** Whether one is to be prepared now. If it is to be later, this sees to it. */
  #wantsPrepared(): boolean {
    const { clock, creating, demanding, idle, lifecycle, min } = this.admission
    const ahead = idle + creating - (lifecycle === "open" ? demanding : 0)
    if (!this.#hasRoom || ahead >= min) return false
    if (clock.now() >= this.#prepareAt) return true
    this.#pause.set(this.#prepareAt)
    return false
  }

  #build(): void {
    let isNobodys = false
    this.#supply.make({
      created: (value, scope, now, took) => this.#built(value, scope, now, took),
      failed: (cause, now, startedAt) => {
        if (this.#failSomebody(cause, startedAt)) return
        isNobodys = true
        this.retiring++
        this.#failedAlone(cause, now)
      },
      cleaned: () => {
        if (isNobodys) this.retiring--
      }
    })
  }

  #built(value: A, scope: Scope.Closeable, now: number, took: number): void {
    const { admission } = this
    const instance = new Instance(++this.#lastId, value, scope, now)
    this.all.add(instance)
    instance.twin = this.#byValue.get(value)
    this.#byValue.set(value, instance)
    if (this.#putOff > 0) {
      // What was put off need not be any more.
      this.#prepareAt = this.#putOff = 0
      this.#prepare()
    }
    admission.creating--
    admission.observer.created++
    this.#use(instance)
    admission.observer.emit({ _tag: "ItemCreated", item: instance.id, took })
    const { destroying, lifecycle, live, max } = admission
    const isClosing = lifecycle === "draining" || lifecycle === "closed"
    // Those that go already make room enough: not one more has to than there are too many.
    if (isClosing || live - destroying > max) return this.#retire(instance, isClosing ? "closed" : "shrink")
    if (admission.offer(instance, now)) {
      this.#misses++
      return
    }
    instance.state = "prepared"
    admission.used--
    admission.idle++
    this.#prepared.addLast(instance)
    if (this.options.preparedMaxAge !== Infinity) this.#age.set(now + this.options.preparedMaxAge)
    // Whoever it was for may have left.
    this.#retireSurplus()
    admission.idled()
  }

  /** The failure is that of the first for whom it was tried: who has waited since before it began. */
  #failSomebody(cause: Cause.Cause<E | PoolError.PoolError>, startedAt: number): boolean {
    // Nothing is built for those who wait for a suspended pool: they have their turn when it is resumed.
    if (this.admission.lifecycle === "suspended") return false
    return this.admission.failFirst(Effect.failCause(cause), startedAt)
  }

  #failedAlone(cause: Cause.Cause<E | PoolError.PoolError>, now: number): void {
    const { admission } = this
    if (this.#putOff === 0) {
      admission.warn(`Pool "${admission.name}": an instance could not be built, and nobody was there to be told`, cause)
    }
    // Those that were tried together and fail together are one failure.
    if (now >= this.#prepareAt) {
      this.#putOff = Math.min(this.#putOff * 2 || PAUSE.first, PAUSE.longest)
      this.#prepareAt = now + this.#putOff
    }
    // Not only when what it leaves behind has been cleaned up, which may take its time.
    admission.replenish()
  }

  // Ends -------------------------------------------------------------------------------------------------------------

  /** Takes an instance out of the pool and closes its scope. Its permit comes free when that has ended. */
  destroy(instance: Instance<A>, reason: PoolEvent.DestroyReason, ended?: () => void): void {
    if (instance.state === "destroyed") throw new Error(`BUG: instance ${instance.id} is destroyed already`)
    if (instance.list !== undefined) this.#prepared.remove(instance)
    if (instance.state === "prepared") this.admission.idle--
    else this.admission.used--
    instance.state = "destroyed"
    this.all.delete(instance)
    this.#forget(instance)
    this.#supply.end(instance, reason, { ended })
  }

  /** Destroys an instance that nobody had. */
  #retire(instance: Instance<A>, reason: PoolEvent.DestroyReason): void {
    this.retiring++
    this.destroy(instance, reason, () => this.retiring--)
  }

  #retireAged(now: number): void {
    const { preparedMaxAge } = this.options
    if (preparedMaxAge === Infinity) return
    let oldest = this.#prepared.head
    while (oldest !== undefined && now - oldest.createdAt >= preparedMaxAge) {
      this.#retire(oldest, "maxLifetime")
      oldest = this.#prepared.head
    }
    if (oldest !== undefined) this.#age.set(oldest.createdAt + preparedMaxAge)
  }

  /** Retires prepared instances beyond `prepare` and `max`, oldest first. */
  #retireSurplus(): void {
    const { admission } = this
    while (
      admission.idle > 0 &&
      (admission.idle > admission.min || admission.live - admission.destroying > admission.max)
    )
      this.#retire(this.#prepared.head!, "shrink")
  }

  #forget(instance: Instance<A>): void {
    const first = this.#byValue.get(instance.value)
    if (first === instance) {
      if (instance.twin === undefined) this.#byValue.delete(instance.value)
      else this.#byValue.set(instance.value, instance.twin)
      return
    }
    for (let other = first; other !== undefined; other = other.twin) {
      if (other.twin === instance) other.twin = instance.twin
    }
  }

  invalidate(value: A): void {
    for (let instance = this.#byValue.get(value); instance !== undefined;) {
      const twin: Instance<A> | undefined = instance.twin
      instance.doom ??= "invalidated"
      if (instance.state === "prepared") this.#retire(instance, "invalidated")
      instance = twin
    }
    this.admission.serve()
  }

  idleSince(): number | undefined {
    return this.#prepared.head?.createdAt
  }

  evict(): void {
    if (this.#prepared.head !== undefined) this.#retire(this.#prepared.head, "reclaimed")
  }

  resized(): void {
    this.#retireSurplus()
  }

  shutdown(): void {
    this.#age.clear()
    this.#pause.clear()
    this.#supply.stop()
    for (let instance = this.#prepared.head; instance !== undefined; instance = this.#prepared.head) {
      this.#retire(instance, "closed")
    }
  }

  abandon(): void {
    for (const instance of Array.from(this.all)) {
      // The end of one may have been that of another.
      if (instance.state !== "destroyed") this.destroy(instance, "closed")
    }
  }

  // Answers ----------------------------------------------------------------------------------------------------------

  refusal(): Effect.Effect<never, E> | undefined {
    const { destroying, idle, max, pending, permits, used } = this.admission
    if (this.options.waits) return undefined
    const isLeft = used + pending + destroying - this.retiring < max
    // Of those that others use up the budget with, none may ever come back.
    if (isLeft && (permits === undefined || idle > 0 || permits.isWithinReach())) return undefined
    return this.admission.exhausted() as Effect.Effect<never, any>
  }

  /** What does not wait is served from what is prepared; to build one for nobody is of no use. */
  turnedAway(): void {}

  mayOffer(): boolean {
    return false
  }

  timeoutFailure(): undefined {}

  lastCreateFailure(): string | undefined {
    const cause = this.#supply.lastFailure
    return cause === undefined ? undefined : Observer.inWords(cause)
  }

  *leases(): Generator<Lease.Lease<A>, void> {
    for (const { holder } of this.all) if (holder !== undefined) yield holder
  }

  details(): PoolStats.PoolStats["details"] {
    const { exhausted } = this.admission.observer
    return {
      hits: this.#hits,
      misses: this.#misses,
      exhausted,
      live: this.admission.live,
      detached: this.#detached
    }
  }
}
