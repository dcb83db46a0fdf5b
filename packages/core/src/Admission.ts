/**
 * Who may hold how many, and in which order.
 *
 * Every pool is an admission in front of a store. The admission owns the queue of waiting leases, their deadlines, the
 * pool's lifecycle and the counts of items by state; it never looks into an item. The {@link Store} owns the items: it
 * hands out what can be used this instant, and is told when somebody waits and when a lease has ended.
 *
 * All of it is plain synchronous state. A waiter is given its item in the same step in which it leaves the queue, so that
 * nobody can overtake it, and a waiter that leaves frees its place in constant time.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import { Clock } from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { Alarm, Background } from "./Background.ts"
import type { CheckedShare, Urgency } from "./Budget.ts"
import * as CoarseClock from "./CoarseClock.ts"
import { DeadlineQueue } from "./data/DeadlineQueue.ts"
import { PriorityQueue } from "./data/PriorityQueue.ts"
import { type CallSite, describeCallSite } from "./internal/callSite.ts"
import { acquireTimeout, type State, stateOf } from "./internal/explain.ts"
import { wake } from "./internal/handOver.ts"
import { addHolder, removeHolder } from "./internal/holders.ts"
import { Overdue } from "./internal/overdue.ts"
import type { Permits } from "./internal/permits.ts"
import { Refusals } from "./internal/refusals.ts"
import { isRunLoopKnown, suspend } from "./internal/runLoop.ts"
import { Watch } from "./internal/watch.ts"
import { Call, type Entry, Lease } from "./Lease.ts"
import { Observer } from "./Observer.ts"
import type { PoolEvent, WaitOutcome } from "./PoolEvent.ts"
import type { PoolError } from "./PoolError.ts"
import type { Store } from "./Store.ts"
import { type Line, type Resume, Waiter } from "./Waiter.ts"

/**
 * `open` serves; `suspended` lets callers queue but serves nobody; `draining` refuses callers and waits for the leases
 * that are out; `closed` has, or is about to have, nothing left.
 *
 * @category models
 * @since 0.1.0
 */
export type Lifecycle = "open" | "suspended" | "draining" | "closed"

/**
 * What an admission has to know of its pool: options that have been checked.
 *
 * @category options
 * @since 0.1.0
 */
export interface Settings {
  readonly name: string
  /** How many items are to be there though nobody needs them. */
  readonly min: number
  /** How many items there may be at a time: those in use, idle, being made and being ended. */
  readonly max: number
  /** How long a lease waits at most, in milliseconds; `Infinity` for as long as it takes. A call can have its own. */
  readonly acquireTimeout: number
  /** How many leases may wait at a time; the next one fails with `QueueFull`. */
  readonly maxWaiters: number
  /** How many leases may share an item. Default 1. */
  readonly concurrency?: number
  /** A lease held for longer is reported, with where it was taken; in milliseconds. Default `Infinity`: none is. */
  readonly leakThreshold?: number
  /** Where its items get permits from. Default: from nowhere but `max`. */
  readonly budget?: CheckedShare | undefined
  /** What an item is called in the log: "connection", "instance". Default "item". */
  readonly noun?: string
}

/**
 * What a kind of pool may bring of its own.
 *
 * @category options
 * @since 0.1.0
 */
export interface Lines<A> {
  /** Where callers wait. Default: in the order of their priorities, and among equals in that in which they came. */
  readonly waiters?: Line<A>
}

/**
 * The queue, the deadlines, the lifecycle and the counts of one pool.
 *
 * @category models
 * @since 0.1.0
 */
export class Admission<A, out E = unknown> {
  readonly name: string
  readonly noun: string
  min: number
  max: number
  readonly acquireTimeout: number
  readonly maxWaiters: number
  readonly concurrency: number
  /** Whether leases note where they were taken: while leak detection is on, or somebody asks for it. */
  tracksCallSites: boolean
  readonly clock: CoarseClock.CoarseClock
  readonly background: Background
  readonly observer: Observer

  lifecycle: Lifecycle = "open"
  /** The pool is closed, and what was still in use has been given up. */
  hasGivenUp = false
  /** The pool is closed and nothing is left of it. */
  hasEnded = false
  idle = 0
  used = 0
  creating = 0
  destroying = 0
  readonly waiters: Line<A>

  /** Set once, before anything else happens. */
  store!: Store<A, E>
  readonly #deadlines = new DeadlineQueue<Waiter<A>>()
  readonly #deadline: Alarm
  /** How many of the waiters take part only if an item is idle. */
  #optional = 0
  #isServing = false
  #isReplenishing = false
  #replenishAgain = false
  #lastLease = 0
  /** How many want to know where leases are taken. */
  #trackers: number
  #onTracking: Array<() => void> = []
  readonly permits: Permits | undefined
  readonly #overdue: Overdue | undefined
  readonly #refusals: Refusals
  readonly #watch: Watch
  /** What is left to do when the pool has closed; done once. */
  #atEnd: Array<() => void> = []

  constructor(settings: Settings & Lines<A>, context: Context.Context<never>) {
    this.name = settings.name
    this.noun = settings.noun ?? "item"
    this.min = settings.min
    this.max = settings.max
    this.acquireTimeout = settings.acquireTimeout
    this.maxWaiters = settings.maxWaiters
    this.concurrency = settings.concurrency ?? 1
    this.waiters = settings.waiters ?? new PriorityQueue<Waiter<A>>()
    const leakThreshold = settings.leakThreshold ?? Infinity
    this.tracksCallSites = leakThreshold !== Infinity
    this.#trackers = this.tracksCallSites ? 1 : 0
    this.clock = CoarseClock.make(Context.get(context, Clock))
    this.background = new Background(context)
    this.observer = new Observer(settings.name, this.clock)
    this.#overdue = leakThreshold === Infinity ? undefined : new Overdue(this, leakThreshold)
    this.#watch = new Watch(this.background)
    this.#refusals = new Refusals(this)
    this.permits = settings.budget?.budget.dealings.enter(this, settings.budget)
    this.#deadline = new Alarm(this.background, this.clock, (now) => this.#expire(now))
  }

  get pending(): number {
    return this.waiters.size
  }

  /** Those of the waiters for whom an item may be made: all but those that take part only if one is idle. */
  get demanding(): number {
    return this.waiters.size - this.#optional
  }

  /** Items that exist or are about to: what `max` bounds. */
  get live(): number {
    return this.idle + this.used + this.creating + this.destroying
  }

  /**
   * Whether one more item may be made now, and so is to be: within `max`, and with the permits of the budget for the
   * places that it takes.
   */
  claim(urgency: Urgency, places = 1): boolean {
    if (this.live >= this.max) return false
    if (this.permits === undefined) return true
    if (!this.permits.claim(urgency, places)) return false
    // For them others may have given up items, whose ends are the application's own, and may have used this pool.
    if (this.live < this.max && this.lifecycle !== "closed") return true
    this.permits.putDown()
    return false
  }

  // The lease path ---------------------------------------------------------------------------------------------------

  /** Gives the lease an item if one can be had this instant. */
  take(lease: Lease<A>): boolean {
    // Whoever waits goes first. (With an item idle there are waiters only while the pool is suspended.)
    if (this.lifecycle !== "open" || this.waiters.ready > 0) return false
    const now = this.clock.now()
    const entry = this.store.take(now, lease)
    if (entry === undefined) return false
    // What was done to take it may have closed the lease's scope.
    if (lease.state === "ended") return this.#putBack(lease, entry, now)
    this.observer.wait.recordZero()
    this.#hold(lease, entry, now, 0)
    return true
  }

  /**
   * Queues the lease; the effect ends when it has been served, has failed or has left. To be called in its own fiber, in
   * the step in which it asked in vain.
   */
  wait(lease: Lease<A>): Effect.Effect<any, any, any> {
    const fiber = lease.fiber!
    const isTraced = fiber.cache.tracerEnabled && fiber.cache.span !== undefined
    if (isRunLoopKnown && !isTraced) return this.#queue(lease, undefined) ?? suspend(fiber)
    // What the store could not do a moment ago it need not try again for this caller.
    if (this.lifecycle === "open" && !lease.request.isOptional) {
      const refusal = this.store.refusal(lease)
      if (refusal !== undefined) return refusal
    }
    const queued = Effect.callback<any, any, any>((resume) => {
      // Served, a lease goes on with what it holds the item for; but a span is to cover the wait alone.
      const served = isTraced
        ? (effect: unknown) => resume(goesOn(effect) ? Exit.succeed(effect) : (effect as never))
        : resume
      // Since the lease first asked, its fiber may have yielded and anything have happened.
      if (lease.state === "new" && this.take(lease)) return served(lease as never)
      const refusal = this.#queue(lease, served)
      if (refusal !== undefined) served(refusal)
    })
    if (!isTraced) return queued
    const traced = Effect.withSpan(queued, "pool.wait", {
      attributes: { "pool.name": this.name },
      captureStackTrace: false
    })
    return Effect.flatMap(traced, (answer) => (goesOn(answer) ? answer.evaluate(fiber) : Exit.succeed(answer)))
  }

  /** Ends the holding of a lease. */
  giveBack(lease: Lease<A>, exit: Exit.Exit<unknown, unknown>): void {
    const now = this.clock.now()
    const entry = lease.entry!
    const used = now - lease.since
    this.observer.released++
    this.observer.use.record(used)
    removeHolder(entry, lease)
    if (this.observer.isListening) this.#tellReleased(lease, used, exit, now)
    this.store.giveBack(entry, lease, exit, now)
    this.#watch.changed()
  }

  /** Takes a waiting lease out of the queue because its fiber was interrupted, or its scope has closed. */
  leave(lease: Lease<A>): void {
    this.#dequeue(lease.waiter!)
    this.#waitEnded(lease, "interrupted")
    this.#left()
  }

  /** Hands an item that is counted as used to the first waiter; `false` if nobody may have it. */
  offer(entry: Entry<A>, now: number, first = this.waiters.first()): boolean {
    if (first === undefined || this.lifecycle !== "open") return false
    // Under a budget others may have waited longer: then it is to lie idle, where they find it.
    if (this.permits !== undefined && this.permits.isOwed(first.lease.since, entry.places ?? 1)) return false
    this.#give(first, entry, now)
    return true
  }

  #give(waiter: Waiter<A>, entry: Entry<A>, now: number): void {
    const lease = waiter.lease
    this.#dequeue(waiter)
    const waited = now - lease.since
    this.observer.wait.record(waited)
    this.#hold(lease, entry, now, waited)
    wake(waiter, lease as never)
    if (this.permits !== undefined) {
      const next = this.waiters.first()
      if (next !== undefined) this.permits.served(next.lease.since)
    }
    this.#unqueued()
  }

  /** One less waits: under a budget, others may need the pool's place in line. */
  #unqueued(): void {
    this.store.counted?.()
    if (this.permits?.isInLine === true) this.replenish()
  }

  /** One less waits, and has got nothing. */
  #left(): void {
    if (this.waiters.isUneven === true) this.serve()
    else this.#unqueued()
  }

  /**
   * To be called by the store when an item of so many places has come to lie idle: for those who wait here or, under a
   * budget, elsewhere.
   */
  idled(places = 1): void {
    const first = this.waiters.first()
    if (this.permits === undefined) {
      if (first !== undefined) this.serve()
      return
    }
    if (first !== undefined && !this.permits.isOwed(first.lease.since, places)) this.serve()
    if (this.idle === 0) return
    this.permits.idled()
    if (this.idle > 0 && this.waiters.size > 0) this.serve()
  }

  /** Gives waiters what can be handed out, then lets the store see to the rest. */
  serve(): void {
    // Taking an item can end another, which calls this again: the round that is going on sees to it.
    if (this.#isServing) return
    if (this.lifecycle === "open" && this.waiters.ready > 0) {
      const now = this.clock.now()
      this.#isServing = true
      try {
        // Who hears of a lease may suspend the pool.
        while (this.lifecycle === "open") {
          const first = this.waiters.first()
          if (first === undefined) break
          const entry = this.store.take(now, first.lease)
          if (entry === undefined) break
          // What was ended to take this one may have ended that wait.
          const next = first.lease.state === "waiting" ? first : this.waiters.first()
          if (next === undefined) this.#putBack(first.lease, entry, now)
          else this.#give(next, entry, now)
        }
      } finally {
        this.#isServing = false
      }
    }
    this.replenish()
    if (this.#optional > 0 && !this.store.mayOffer()) this.#decline()
  }

  /**
   * Lets the store see to what is missing. Work that ends in the middle of this, in the same step, starts another round
   * instead of nesting.
   */
  replenish(): void {
    this.#replenishAgain = true
    if (this.#isReplenishing) return
    this.#isReplenishing = true
    try {
      while (this.#replenishAgain) {
        this.#replenishAgain = false
        this.permits?.begin()
        this.store.replenish()
        this.permits?.settle()
      }
    } finally {
      this.#isReplenishing = false
    }
  }

  /** What is left to a lease that finds the pool closed. */
  #closedTo(lease: Lease<A>): Effect.Effect<any, any> {
    const elsewhere = lease.request.elsewhere(lease)
    return elsewhere === undefined ? Effect.fail(this.#refusals.closed) : (elsewhere as never)
  }

  /** Ends the wait of everybody in the queue. */
  failWaiters(answer: (lease: Lease<A>) => Effect.Effect<unknown, unknown>, outcome: WaitOutcome): void {
    // Failing one may bring in others, who were not there when the failure was decided.
    for (const { lease } of Array.from(this.waiters)) {
      if (lease.state === "waiting") this.#answer(lease, answer(lease), outcome)
    }
  }

  /**
   * Ends the wait of the first for whom an item may be made, and who has waited since `since` or longer, with a
   * failure; `false` if there is none.
   */
  failFirst(failure: Effect.Effect<never, unknown>, since = Infinity): boolean {
    for (const { lease } of this.waiters) {
      if (lease.request.isOptional || lease.since > since) continue
      this.fail(lease, failure)
      return true
    }
    return false
  }

  /** Ends the wait of this lease with a failure. */
  fail(lease: Lease<A>, failure: Effect.Effect<never, unknown>): void {
    this.#answer(lease, failure, "failed")
  }

  /** Why a lease that does not wait has got nothing. */
  refuse(lease: Lease<A>): Effect.Effect<never, E | PoolError> {
    return this.#refuse(lease, 0) as Effect.Effect<never, any>
  }

  /** Counts and answers a caller who finds no item and does not wait for one. */
  exhausted(): Effect.Effect<never, PoolError> {
    this.observer.exhausted++
    this.store.counted?.()
    return Effect.fail(this.lifecycle === "suspended" ? this.#refusals.suspended : this.#refusals.exhausted)
  }

  // Lifecycle --------------------------------------------------------------------------------------------------------

  suspend(): void {
    if (this.lifecycle !== "open") return
    this.lifecycle = "suspended"
    this.observer.emit({ _tag: "Suspended" })
    // Who takes part only if an item is idle would now wait.
    this.#decline()
    this.#unqueued()
  }

  resume(): void {
    if (this.lifecycle !== "suspended") return
    this.lifecycle = "open"
    this.observer.emit({ _tag: "Resumed" })
    this.serve()
  }

  resize(min: number, max: number): void {
    if (this.lifecycle === "closed") return
    this.min = min
    this.max = max
    this.observer.emit({ _tag: "Resized", min, max })
    this.store.resized()
    this.serve()
  }

  /** Refuses new leases, waits until the last one is back or the grace (in milliseconds) is over, then closes. */
  drain(grace: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.lifecycle === "open" || this.lifecycle === "suspended") {
        this.lifecycle = "draining"
        this.permits?.retire()
        this.observer.emit({ _tag: "Draining" })
        this.failWaiters((lease) => this.#closedTo(lease), "closed")
      }
      // Once begun it goes on, also if whoever asked for it stops waiting.
      this.background.fork(
        Effect.andThen(
          this.#watch.until(() => this.used === 0, grace),
          this.close(0)
        )
      )
      return this.#watch.until(() => this.hasEnded, Infinity)
    })
  }

  /** Closes; ends when nothing is left, or when the grace is over and what was left has been given up. */
  close(grace: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.lifecycle !== "closed") {
        this.lifecycle = "closed"
        this.permits?.retire()
        this.observer.emit({ _tag: "Closing", used: this.used })
        this.#deadline.clear()
        this.failWaiters((lease) => this.#closedTo(lease), "closed")
        this.store.shutdown()
      }
      return Effect.andThen(
        this.#watch.until(() => this.used === 0, grace),
        Effect.suspend(() => {
          this.hasGivenUp = true
          this.store.abandon()
          return this.#watch.until(() => this.live === 0, Infinity)
        })
      ).pipe(Effect.andThen(Effect.sync(() => this.#end())))
    })
  }

  /** Calls `f` when the pool has closed. */
  onClosed(f: () => void): void {
    this.#atEnd.push(f)
  }

  #end(): void {
    if (this.hasEnded) return
    this.hasEnded = true
    this.permits?.leave()
    const atEnd = this.#atEnd
    this.#atEnd = []
    for (const f of atEnd) f()
    this.observer.emit({ _tag: "Closed" })
    this.changed()
    this.background.interruptAll()
  }

  /** To be called by the store whenever an item has ceased to be. */
  changed(): void {
    if (this.permits?.isClosed === true) this.budgetClosed()
    this.#watch.changed()
  }

  // Inside -----------------------------------------------------------------------------------------------------------

  #hold(lease: Lease<A>, entry: Entry<A>, now: number, waited: number): void {
    lease.state = "held"
    lease.entry = entry
    lease.since = now
    addHolder(entry, lease)
    this.observer.acquired++
    this.#overdue?.began(now)
    if (this.observer.isListening) this.#tellAcquired(lease, waited, now)
  }

  /** Ends at once what was taken for a lease that is over, and answers that it has got nothing. */
  #putBack({ request }: Lease<A>, entry: Entry<A>, now: number): false {
    const lease = new Lease(request)
    this.observer.wait.recordZero()
    this.#hold(lease, entry, now, 0)
    lease.end(Exit.void)
    return false
  }

  // Apart from the lease path, which the compiler takes in as a whole only if it is short.
  #tellAcquired(lease: Lease<A>, waited: number, now: number): void {
    const at = this.clock.wall(now)
    this.observer.tell(acquired(this.name, at, lease.entry!.id, this.leaseId(lease), waited, lease.request.site))
  }

  #tellReleased(lease: Lease<A>, used: number, exit: Exit.Exit<unknown, unknown>, now: number): void {
    this.observer.tell({
      _tag: "LeaseReleased",
      item: lease.entry!.id,
      lease: this.leaseId(lease),
      used,
      outcome: outcomeOf(exit),
      pool: this.name,
      at: this.clock.wall(now)
    })
  }

  /** Lets the lease wait, if it may: else answers why not. */
  #queue(lease: Lease<A>, resume: Resume | undefined): Effect.Effect<any, any, any> | undefined {
    // Asking the store can have ended an item, and with it anything else, the lease's scope included.
    if (lease.state === "ended") return Effect.interrupt
    const timeout = lease.request.options?.timeout ?? this.acquireTimeout
    const refusal = this.#refuse(lease, timeout)
    if (refusal !== undefined) return refusal
    this.#enqueue(lease, timeout, resume)
    this.serve()
    return undefined
  }

  #enqueue(lease: Lease<A>, timeout: number, resume: Resume | undefined): void {
    const now = this.clock.exact()
    const { isOptional, options } = lease.request
    // One that asks again does so until the same moment.
    const deadline = lease.waiter?.deadline ?? now + timeout
    const waiter = new Waiter(lease, options?.priority ?? 0, deadline, resume)
    lease.state = "waiting"
    lease.since = now
    lease.waiter = waiter
    this.waiters.add(waiter)
    if (isOptional) this.#optional++
    if (timeout !== Infinity) {
      this.#deadlines.add(waiter)
      this.#deadline.set(waiter.deadline)
    }
    if (this.observer.isListening) {
      this.observer.tell({
        _tag: "WaitStarted",
        lease: this.leaseId(lease),
        pending: this.pending,
        pool: this.name,
        at: this.clock.wall(now)
      })
    }
    // There will be no timeout to say so. Who hears that it waits may have ended that.
    if (timeout === Infinity && lease.state === "waiting") this.#warnIfNested(lease)
  }

  #dequeue(waiter: Waiter<A>): void {
    this.waiters.remove(waiter)
    this.#deadlines.remove(waiter)
    if (waiter.lease.request.isOptional) this.#optional--
  }

  /** Why this lease may not even queue. */
  #refuse(lease: Lease<A>, timeout: number): Effect.Effect<any, any> | undefined {
    if (this.lifecycle === "draining" || this.lifecycle === "closed") return this.#closedTo(lease)
    if (lease.request.isOptional) {
      // Nobody is overtaken: with others waiting there is nothing idle to be had.
      return this.lifecycle === "open" && this.waiters.ready === 0 && this.store.mayOffer()
        ? undefined
        : Exit.succeed(Option.none())
    }
    const refusal = this.store.refusal(lease) ?? this.#refuseWithoutBudget()
    if (refusal !== undefined) return refusal
    if (timeout <= 0) {
      const refusal = this.exhausted()
      this.store.turnedAway(lease)
      return refusal
    }
    if (this.waiters.size >= this.maxWaiters) {
      this.observer.exhausted++
      this.store.counted?.()
      if (this.waiters.size === 0) this.store.turnedAway(lease)
      return Effect.fail(this.#refusals.queueFull)
    }
    return undefined
  }

  /** Without a budget nothing is made any more: those whom nothing is left to serve need not wait. */
  #refuseWithoutBudget(): Effect.Effect<never, PoolError> | undefined {
    if (this.permits === undefined || !this.permits.isClosed || this.live > 0) return undefined
    return Effect.fail(this.#refusals.budgetClosed(this.permits.share.budget.name))
  }

  /** The budget has closed. */
  budgetClosed(): void {
    const refusal = this.#refuseWithoutBudget()
    if (refusal !== undefined) this.failWaiters(() => refusal, "failed")
  }

  /** Takes a lease out of the queue and ends its wait with `answer`. */
  #answer(lease: Lease<A>, answer: Effect.Effect<unknown, unknown>, outcome: WaitOutcome): void {
    const waiter = lease.waiter!
    this.#dequeue(waiter)
    lease.state = "ended"
    this.#waitEnded(lease, outcome)
    wake(waiter, answer)
    this.#left()
  }

  #waitEnded(lease: Lease<A>, outcome: WaitOutcome): void {
    if (!this.observer.isListening) return
    const waited = this.clock.now() - lease.since
    this.observer.emit({ _tag: "WaitEnded", lease: this.leaseId(lease), waited, outcome })
  }

  /** Ends the wait of who takes part only if an item is idle: one at most, who queued when nobody else did. */
  #decline(): void {
    for (const { lease } of this.waiters) {
      if (lease.request.isOptional) return this.#answer(lease, Exit.succeed(Option.none()), "declined")
    }
  }

  #expire(now: number): void {
    let state: State | undefined
    while (true) {
      const lease = this.#deadlines.takeExpired(now)?.lease
      if (lease === undefined) break
      if (lease.request.isOptional) {
        this.#answer(lease, Exit.succeed(Option.none()), "timeout")
        continue
      }
      this.observer.timeouts++
      // Those who time out together see the pool in the same state.
      state ??= stateOf(this)
      const failure =
        this.store.timeoutFailure() ??
        Effect.fail(
          acquireTimeout(this, {
            waited: now - lease.since,
            state,
            heldByCaller: this.#warnIfNested(lease),
            waitsFor: this.store.waitsFor?.(lease)
          })
        )
      // Who hears that its wait is nested may have ended it.
      if (lease.state === "waiting") this.#answer(lease, failure, "timeout")
    }
    this.#deadline.set(this.#deadlines.next())
  }

  /** How many items of this pool the waiting lease's own fiber holds; with a warning if it may wait for itself. */
  #warnIfNested(lease: Lease<A>): number {
    let held = 0
    for (const other of this.store.leases()) if (other.fiber === lease.fiber) held++
    if (held === 0) return 0
    const { holder, name } = this.store.waitsFor?.(lease) ?? {}
    const isItsOwn = holder?.fiber === lease.fiber
    if (isItsOwn || this.used >= this.max) {
      this.observer.emit({ _tag: "NestedAcquire", lease: this.leaseId(lease), held })
      const what = isItsOwn
        ? `a fiber waits for "${name}", which it holds itself.`
        : `a fiber that holds ${held} of its items waits for another one while all are in use.`
      this.warn(`Pool "${this.name}": ${what} Nested acquires deadlock like this: pass the item on instead.`)
    }
    return held
  }

  /** Creating an item took too long: a failure like others of creation, but the pool's own. */
  createTimeout(waited: number, resource?: string): PoolError {
    return acquireTimeout(this, { phase: "create", waited, resource, state: stateOf(this) })
  }

  /** Logs a warning from the pool itself. */
  warn(message: string, cause?: unknown): void {
    this.background.fork(cause === undefined ? Effect.logWarning(message) : Effect.logWarning(message, cause))
  }

  /** Logs what only somebody who looks for a fault wants to read. */
  debug(message: string, cause: unknown): void {
    this.background.fork(Effect.logDebug(message, cause))
  }

  /** Has leases note where they are taken from now on, until the returned function is called. */
  trackCallSites(): () => void {
    this.#track(1)
    let isOn = true
    return () => {
      if (!isOn) return
      isOn = false
      this.#track(-1)
    }
  }

  #track(by: 1 | -1): void {
    this.#trackers += by
    this.tracksCallSites = this.#trackers > 0
    for (const f of this.#onTracking) f()
  }

  /** Calls `f` when leases begin or cease to note where they are taken: for those who make requests for the pool. */
  onTracking(f: () => void): void {
    this.#onTracking.push(f)
  }

  /** The number under which events speak of a lease, given when somebody first asks. */
  leaseId(lease: Lease<A>): number {
    if (lease.id === 0) lease.id = ++this.#lastLease
    return lease.id
  }
}

/** Where the lease was taken is put into words when it is read: few do, and it costs more than many leases. */
const acquired = (
  pool: string,
  at: number,
  item: number,
  lease: number,
  waited: number,
  site: CallSite | undefined
): PoolEvent =>
  site === undefined
    ? { _tag: "LeaseAcquired", item, lease, waited, takenAt: undefined, pool, at }
    : {
        _tag: "LeaseAcquired",
        item,
        lease,
        waited,
        get takenAt() {
          return describeCallSite(site)
        },
        pool,
        at
      }

/** Whether this is what a wait goes on with, and not how it ends. */
const goesOn = (answer: unknown): answer is Lease<any> | Call => answer instanceof Lease || answer instanceof Call

const outcomeOf = (exit: Exit.Exit<unknown, unknown>): "success" | "failure" | "defect" | "interrupted" =>
  Exit.isSuccess(exit)
    ? "success"
    : Cause.hasInterrupts(exit.cause)
      ? "interrupted"
      : Cause.hasDies(exit.cause)
        ? "defect"
        : "failure"
