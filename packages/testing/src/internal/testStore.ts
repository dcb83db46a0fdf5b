import {
  type Admission,
  Background,
  type Lease,
  Observer,
  type PoolError,
  type PoolEvent,
  type Store
} from "@effect-pools/core"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

/** The options after checking. Durations are in milliseconds. */
export interface Checked<A, E> extends Admission.Settings {
  readonly acquire: Effect.Effect<A, E, Scope.Scope>
  readonly createTimeout: number
  readonly destroyTimeout: number
  readonly closeGrace: number
}

/** One item of the pool, as long as it is not being destroyed. */
class TestEntry<A> implements Lease.Entry<A> {
  readonly id: number
  readonly value: A
  readonly scope: Scope.Closeable
  readonly createdAt: number
  holder: Lease.Lease<A> | undefined = undefined
  isInvalid = false

  constructor(id: number, value: A, scope: Scope.Closeable, createdAt: number) {
    this.id = id
    this.value = value
    this.scope = scope
    this.createdAt = createdAt
  }
}

/**
 * The store of a test pool: items made on demand, handed out last returned first. Its methods run to their end in one
 * synchronous step, so that whoever looks at the counts finds them true.
 */
export class TestStore<A, E> implements Store.Store<A, E> {
  readonly #admission: Admission.Admission<A, E>
  readonly #options: Checked<A, E>
  readonly #entries = new Set<TestEntry<A>>()
  /** The last one was returned last. */
  readonly #idle: Array<TestEntry<A>> = []
  readonly #creations: Background.Tasks
  #lastFailure: Cause.Cause<unknown> | undefined = undefined

  constructor(admission: Admission.Admission<A, E>, options: Checked<A, E>) {
    this.#admission = admission
    this.#options = options
    this.#creations = new Background.Tasks(admission.background)
  }

  // Leases ------------------------------------------------------------------------------------------------------------

  take(): TestEntry<A> | undefined {
    const entry = this.#idle.pop()
    if (entry === undefined) return undefined
    this.#admission.idle--
    this.#admission.used++
    return entry
  }

  giveBack(entry: TestEntry<A>, _lease: Lease.Lease<A>, _exit: Exit.Exit<unknown, unknown>, now: number): void {
    // Destroyed under its holder when the grace of a close was over.
    if (this.#entries.has(entry)) this.#settle(entry, now)
  }

  /** An item counted as used is nobody's any more: it goes to the first who waits, or lies idle, or has to go. */
  #settle(entry: TestEntry<A>, now: number): void {
    const { creating, idle, lifecycle, max, used } = this.#admission
    if (entry.isInvalid) return this.#destroy(entry, "invalidated")
    if (lifecycle === "draining" || lifecycle === "closed") return this.#destroy(entry, "closed")
    if (idle + used + creating > max) return this.#destroy(entry, "shrink")
    if (this.#admission.offer(entry, now)) return
    this.#admission.used--
    this.#admission.idle++
    this.#idle.push(entry)
  }

  // Creation ----------------------------------------------------------------------------------------------------------

  replenish(): void {
    const { lifecycle } = this.#admission
    if (lifecycle === "draining" || lifecycle === "closed") return
    while (this.#admission.live < this.#admission.max && this.#isWanting()) this.#create()
  }

  #isWanting(): boolean {
    const { creating, demanding, idle, lifecycle, min, used } = this.#admission
    if (lifecycle === "open" && demanding > creating) return true
    return this.#lastFailure === undefined && idle + used + creating < min
  }

  #create(): void {
    const { clock, observer } = this.#admission
    const scope = Scope.makeUnsafe()
    const began = clock.now()
    this.#admission.creating++
    observer.emit({ _tag: "ItemCreating" })
    this.#creations.run<A, E>({
      effect: Effect.provideService(this.#options.acquire, Scope.Scope, scope),
      timeout: this.#options.createTimeout,
      done: (exit) => {
        const now = clock.now()
        this.#admission.creating--
        if (exit?._tag === "Success") return this.#created(exit.value, scope, now, now - began)
        this.#failed(this.#whyNot(exit?.cause, now - began), now - began)
        // What it has opened keeps the place until it is closed.
        this.#admission.destroying++
        this.#end(scope, undefined, () => {})
      },
      // The scope of an attempt that was given up is closed: what it still opens ends in the same breath.
      late: (exit) => this.#late(undefined, exit)
    })
  }

  #created(value: A, scope: Scope.Closeable, now: number, took: number): void {
    const { observer } = this.#admission
    const entry = new TestEntry(++observer.created, value, scope, now)
    this.#lastFailure = undefined
    this.#entries.add(entry)
    this.#admission.used++
    observer.create.record(took)
    observer.emit({ _tag: "ItemCreated", item: entry.id, took })
    this.#settle(entry, now)
    // What was not insisted on while items could not be made.
    this.replenish()
  }

  #whyNot(cause: Cause.Cause<E> | undefined, took: number): Cause.Cause<E | PoolError.PoolError> {
    if (cause === undefined) return Cause.fail(this.#admission.createTimeout(took))
    // The failure is a caller's, whom nobody interrupted.
    return Cause.hasInterruptsOnly(cause) ? Cause.die(new Error("acquire was interrupted from within")) : cause
  }

  #failed(cause: Cause.Cause<E | PoolError.PoolError>, took: number): void {
    const { name, observer } = this.#admission
    this.#lastFailure = cause
    observer.createFailed++
    observer.emit({ _tag: "ItemCreateFailed", took, failures: 1, cause: Observer.inWords(cause) })
    if (this.#admission.failFirst(Effect.failCause(cause))) return
    // The pool itself has called it off as it closed; or whoever it was for has left.
    if (this.#admission.lifecycle !== "closed") this.#admission.warn(`Pool "${name}": an item could not be made`, cause)
  }

  // Ends --------------------------------------------------------------------------------------------------------------

  #destroy(entry: TestEntry<A>, reason: PoolEvent.DestroyReason): void {
    const { clock, observer } = this.#admission
    const place = this.#idle.indexOf(entry)
    if (place === -1) this.#admission.used--
    else {
      this.#idle.splice(place, 1)
      this.#admission.idle--
    }
    this.#entries.delete(entry)
    this.#admission.destroying++
    observer.destroyed[reason]++
    const age = clock.now() - entry.createdAt
    this.#end(entry.scope, entry.id, () => observer.emit({ _tag: "ItemDestroyed", item: entry.id, reason, age }))
  }

  /** Closes a scope that is counted as being destroyed, and then gives its place to whoever waits. */
  #end(scope: Scope.Closeable, item: number | undefined, ended: () => void): void {
    this.#admission.background.run({
      effect: Effect.uninterruptible(Scope.close(scope, Exit.void)),
      timeout: this.#options.destroyTimeout,
      done: (exit) => {
        this.#admission.destroying--
        ended()
        if (exit === undefined) this.#endFailed(item, Cause.fail(`took longer than ${this.#options.destroyTimeout} ms`))
        else if (exit._tag === "Failure") this.#endFailed(item, exit.cause)
        this.#admission.changed()
        this.#admission.serve()
      },
      late: (exit) => this.#late(item, exit)
    })
  }

  /** What was given up has ended after all: not as an answer to its interruption, it may say what went wrong. */
  #late(item: number | undefined, exit: Exit.Exit<unknown, unknown>): void {
    if (exit._tag === "Failure" && !Cause.hasInterruptsOnly(exit.cause)) this.#endFailed(item, exit.cause)
  }

  #endFailed(item: number | undefined, cause: Cause.Cause<unknown>): void {
    const { name, observer } = this.#admission
    observer.emit({ _tag: "BackgroundFailure", during: "destroy", item, cause: Observer.inWords(cause) })
    this.#admission.warn(`Pool "${name}": destroying an item failed`, cause)
  }

  invalidate(value: A): void {
    for (const entry of Array.from(this.#entries)) {
      if (entry.value !== value) continue
      entry.isInvalid = true
      if (entry.holder === undefined) this.#destroy(entry, "invalidated")
    }
  }

  resized(): void {
    const admission = this.#admission
    while (this.#idle.length > 0 && admission.idle + admission.used + admission.creating > admission.max) {
      this.#destroy(this.#idle[0]!, "shrink")
    }
  }

  shutdown(): void {
    for (const entry of Array.from(this.#idle)) this.#destroy(entry, "closed")
    this.#creations.cancel(this.#options.destroyTimeout)
  }

  abandon(): void {
    for (const entry of Array.from(this.#entries)) this.#destroy(entry, "closed")
  }

  // Answers -----------------------------------------------------------------------------------------------------------

  turnedAway(): void {
    const { creating, lifecycle, live, max } = this.#admission
    if (lifecycle === "open" && creating === 0 && live < max) this.#create()
  }

  mayOffer(): boolean {
    return false
  }

  refusal(): undefined {}
  timeoutFailure(): undefined {}

  lastCreateFailure(): string | undefined {
    return this.#lastFailure === undefined ? undefined : Observer.inWords(this.#lastFailure)
  }

  *leases(): Generator<Lease.Lease<A>, void> {
    for (const { holder } of this.#entries) if (holder !== undefined) yield holder
  }

  details(): Record<string, never> {
    return {}
  }
}
