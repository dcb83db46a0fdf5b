import type * as Admission from "@effect-pools/core/Admission"
import * as Background from "@effect-pools/core/Background"
import type * as Budget from "@effect-pools/core/Budget"
import * as CoarseClock from "@effect-pools/core/CoarseClock"
import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import type * as Lease from "@effect-pools/core/Lease"
import type * as Pool from "@effect-pools/core/Pool"
import * as PoolError from "@effect-pools/core/PoolError"
import type * as PoolEvent from "@effect-pools/core/PoolEvent"
import * as PoolRegistry from "@effect-pools/core/PoolRegistry"
import * as Cause from "effect/Cause"
import { Clock } from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as MutableHashMap from "effect/MutableHashMap"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { type ConnectionPool, make as makePool } from "../ConnectionPool.ts"
import { type KeyedCall, MemberRequest } from "./keyedCall.ts"
import { type CheckedMap, checkIdleTimeToLive, completeOptions, inWords, lookUp } from "./mapOptions.ts"
import { Member } from "./member.ts"
import { addTotals, noTotals, type Totals } from "./totals.ts"

/** How long what `lookup` has opened may take to close, if there is no pool to say so; in milliseconds. */
const DESTROY_TIMEOUT = 5000

/**
 * The pools of a map, by key.
 *
 * A call finds its key's pool and takes from it in one step, and a pool leaves the table in the same step in which it begins
 * to close: so what a call finds serves it. Who waits in a pool that closes asks the table again, with the time that it has
 * waited already.
 */
export class Members<K, A, E> {
  readonly options: CheckedMap<K>
  readonly budget: Budget.Budget
  readonly background: Background.Background
  readonly clock: CoarseClock.CoarseClock
  state: Admission.Lifecycle = "open"
  /** Whether calls note where they are made. */
  tracksCallSites: boolean
  /** From the moment before a pool does anything to that at which nothing is left of it. */
  readonly pools = new Set<Pool.Pool<any, any>>()
  /** What the pools have counted that are gone. */
  readonly #counted = noTotals()
  /** Pools that are gone, but not all of their leases: they were given up under their holders. */
  readonly #abandoned = new Set<Pool.Pool<any, any>>()
  readonly #table = MutableHashMap.empty<K, Member<K, A, E>>()
  /** Those of the table, and those that have left it and not yet ended. */
  readonly #living = new Set<Member<K, A, E>>()
  readonly #names = new Set<string>()
  readonly #registry: PoolRegistry.PoolRegistry
  readonly #listeners = new Set<(event: PoolEvent.PoolEvent) => void>()
  readonly #unlisten = new Map<Pool.Pool<any, any>, () => void>()
  readonly #ended = Deferred.makeUnsafe<void>()
  #isOver = false
  readonly #atEnd = new Set<() => void>()

  constructor(options: CheckedMap<K>, budget: Budget.Budget, context: Context.Context<never>) {
    this.options = options
    this.budget = budget
    this.background = new Background.Background(context)
    this.clock = CoarseClock.make(Context.get(context, Clock))
    this.tracksCallSites = options.leakDetection !== undefined
    this.#registry = Context.get(context, PoolRegistry.PoolRegistry)
  }

  get isClosed(): boolean {
    return this.state === "draining" || this.state === "closed"
  }

  // The lease path ---------------------------------------------------------------------------------------------------

  /** Takes for a call from the pool of its key, in one step if that is open. */
  evaluate(call: KeyedCall<K, A>, fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<any, any, any> {
    const pool = this.opened(call.key)
    if (pool !== undefined) {
      const { admission } = pool
      const options = call.since === undefined ? call.options : this.#remaining(call, admission)
      return new MemberRequest(admission, call, options).evaluate(fiber)
    }
    if (call.isOptional) return this.isClosed ? this.#closed : Exit.succeed(Option.none())
    const member = this.#open(call.key)
    if (Effect.isEffect(member)) return member
    if (member.failure !== undefined) return member.failure
    // Plain options open a pool in this very step.
    if (this.opened(call.key) !== undefined) return this.evaluate(call, fiber)
    const timeout = call.options?.timeout ?? Infinity
    if (timeout === 0) return this.#exhausted(member.name, this.budget.max)
    const now = this.clock.now()
    const waiting = call.again(now)
    const isOver = this.#await(member, timeout, timeout - (now - waiting.since!))
    const { cache, context } = fiber
    const isTraced = cache.tracerEnabled && cache.span !== undefined
    const traced = isTraced
      ? Effect.withSpan(isOver, "pool.open", { attributes: { "pool.name": member.name }, captureStackTrace: false })
      : isOver
    const waited = call.body === undefined ? whileOpen(Context.getUnsafe(context, Scope.Scope), traced) : traced
    return Effect.flatMap(waited, () => waiting as never)
  }

  /** The pool of a key if it is there and hands out connections, now or when it is resumed. */
  opened(key: K): ConnectionPool<A, E> | undefined {
    const pool = this.#find(key)?.pool
    if (pool === undefined) return undefined
    const { lifecycle } = pool.admission
    // In the registry somebody may drain it.
    return lifecycle === "open" || lifecycle === "suspended" ? pool : undefined
  }

  #find(key: K): Member<K, A, E> | undefined {
    // Most keys are themselves all that they equal.
    return this.#table.backing.get(key) ?? Option.getOrUndefined(MutableHashMap.get(this.#table, key))
  }

  /** What a call may still ask for that has waited already. */
  #remaining({ options, since }: KeyedCall<K, A>, admission: Admission.Admission<A>): Lease.AcquireOptions {
    const timeout = options?.timeout ?? admission.acquireTimeout
    // Who has no time left is told so by the pool, which knows more.
    const left = timeout === 0 ? 0 : Math.max(1, timeout - (this.clock.now() - since!))
    return { priority: options?.priority, timeout: left }
  }

  // Opening ----------------------------------------------------------------------------------------------------------

  /** The pool of a key, opened if need be. */
  open(key: K): Effect.Effect<ConnectionPool<A, E>, any> {
    return Effect.suspend(() => {
      const pool = this.opened(key)
      if (pool !== undefined) return Effect.succeed(pool)
      const member = this.#open(key)
      if (Effect.isEffect(member)) return member
      return Effect.andThen(this.#await(member, Infinity, Infinity), this.open(key))
    })
  }

  /** A key without a pool that serves: the opening under way, or a new one, which may be over when this returns. */
  #open(key: K): Member<K, A, E> | Effect.Effect<never, PoolError.PoolError> {
    if (this.isClosed) return this.#closed
    const present = this.#find(key)
    if (present?.isOpening === true) return present
    // Somebody drains it in the registry, and has said for how long it may take.
    if (present !== undefined) this.#end(present, present.pool?.admission.drain(Infinity) ?? Effect.void)
    const { capacity, lookupTimeout, name } = this.options
    if (this.size >= capacity && !this.#closeLeastRecentlyUsed()) return this.#exhausted(name, capacity)
    // What a connection does at its end can use the map, this key included.
    const reopened = this.#find(key)
    if (reopened !== undefined) return reopened
    if (this.isClosed) return this.#closed
    const member = new Member<K, A, E>(key, this.#nameOf(key))
    MutableHashMap.set(this.#table, key, member)
    this.#living.add(member)
    this.#names.add(member.name)
    const cancel = this.background.run({
      effect: this.#makePool(member),
      timeout: lookupTimeout,
      done: (exit) => this.#opened(member, exit)
    })
    if (member.isOpening) {
      member.cancel = cancel
      // It was called off before there was anything to call off.
      if (member.isClosing) cancel(0)
    }
    return member
  }

  #makePool(member: Member<K, A, E>): Effect.Effect<ConnectionPool<A, E>, E> {
    const { key, name, poolScope, scope } = member
    const pool = Effect.gen({ self: this }, function* () {
      const options = yield* lookUp(this.options, key)
      const complete = yield* InvalidOptions.check(() => {
        member.idleTimeToLive = checkIdleTimeToLive(this.options, key, name)
        return completeOptions(this.options, this.budget, name, options)
      })
      return yield* makePool(complete).pipe(
        Effect.provideService(Scope.Scope, poolScope),
        Effect.provideService(PoolRegistry.PoolRegistry, this.#noticing())
      )
    })
    return Effect.provideService(pool, Scope.Scope, scope) as Effect.Effect<ConnectionPool<A, E>, any>
  }

  /** The registry, with a notice of the first pool that is entered: what its connections open is not the map's. */
  #noticing(): PoolRegistry.PoolRegistry {
    const { addUnsafe, claimUnsafe, find, list, releaseUnsafe } = this.#registry
    let isFirst = true
    return {
      claimUnsafe,
      find,
      list,
      releaseUnsafe,
      addUnsafe: (entry) => {
        if (isFirst) this.#entered(entry.pool)
        isFirst = false
        addUnsafe(entry)
      }
    }
  }

  /** A pool is about to begin. */
  #entered(pool: Pool.Pool<any, any>): void {
    const { admission } = pool
    this.pools.add(pool)
    if (this.#listeners.size > 0) this.#listenTo(pool)
    if (this.state === "suspended") admission.suspend()
    if (admission.tracksCallSites) this.tracksCallSites = true
    admission.onTracking(() => this.#lookWhoTracks())
    admission.onClosed(() => {
      this.pools.delete(pool)
      if (admission.tracksCallSites) this.#lookWhoTracks()
      this.#unlisten.delete(pool)
      this.#abandoned.add(pool)
      this.#settle()
    })
  }

  /** Where a call is made has to be noted there, when it is not known yet which pool it goes to. */
  #lookWhoTracks(): void {
    this.tracksCallSites = this.options.leakDetection !== undefined
    for (const { admission } of this.pools) if (admission.tracksCallSites) this.tracksCallSites = true
  }

  /** An opening is over: with a pool, with a failure, or with neither when it took too long or was called off. */
  #opened(member: Member<K, A, E>, exit: Exit.Exit<ConnectionPool<A, E>, E> | undefined): void {
    // Who began it hears of what happens in the same step.
    const isHeard = member.cancel === undefined || member.waiting.size > 0
    member.isOpening = false
    member.cancel = undefined
    const cause = exit?._tag === "Failure" ? exit.cause : undefined
    if (!member.isClosing) {
      if (exit?._tag === "Success") this.#begin(member, exit.value)
      else this.#fail(member, cause)
    }
    const waiting = Array.from(member.waiting)
    member.waiting.clear()
    for (const answer of waiting) answer()
    if (!isHeard && member.failure !== undefined) this.#warn(member, "it could not be opened", cause)
  }

  #begin(member: Member<K, A, E>, pool: ConnectionPool<A, E>): void {
    const now = this.clock.now()
    member.pool = pool
    member.openedAt = now
    // In the registry somebody may drain it.
    pool.admission.onClosed(() => this.#close(member))
    member.alarm = new Background.Alarm(this.background, this.clock, (now) => this.#look(member, now))
    member.alarm.set(now + member.idleTimeToLive)
  }

  #fail(member: Member<K, A, E>, cause: Cause.Cause<E> | undefined): void {
    const { lookupTimeout } = this.options
    if (cause === undefined)
      member.failure = Effect.fail(this.#late(member, lookupTimeout)) as Effect.Effect<never, any>
    // It is handed to callers, whom nobody interrupted.
    else if (Cause.hasInterruptsOnly(cause))
      member.failure = Effect.die(new Error("lookup was interrupted from within"))
    else member.failure = Effect.failCause(cause)
    this.#close(member)
  }

  /** Ends when the opening is over: with its failure, or with that of a caller who had `timeout`, of which so much is `left`. */
  #await(member: Member<K, A, E>, timeout: number, left: number): Effect.Effect<void, any> {
    return Effect.callback<void, any>((resume) => {
      let cancel: (() => void) | undefined
      const answer = (): void => {
        cancel?.()
        resume(member.failure ?? Effect.void)
      }
      if (!member.isOpening) {
        // It may be called off again and again: no reason to go on for longer than the caller has time.
        if (member.failure === undefined && left <= 0) return resume(Effect.fail(this.#late(member, timeout)))
        return answer()
      }
      member.waiting.add(answer)
      if (left !== Infinity) {
        cancel = this.background.after(Math.max(1, left), () => {
          cancel = undefined
          member.waiting.delete(answer)
          resume(Effect.fail(this.#late(member, timeout)))
        })
      }
      return Effect.sync(() => {
        cancel?.()
        member.waiting.delete(answer)
      })
    })
  }

  // Closing ----------------------------------------------------------------------------------------------------------

  /** Nobody may have used a key for long enough. */
  #look(member: Member<K, A, E>, now: number): void {
    const due = (member.isBusy ? now : member.usedAt) + member.idleTimeToLive
    if (now >= due) this.#close(member)
    else member.alarm!.set(due)
  }

  #closeLeastRecentlyUsed(): boolean {
    let oldest: Member<K, A, E> | undefined
    for (const member of MutableHashMap.values(this.#table)) {
      if (!member.isBusy && (oldest === undefined || member.usedAt < oldest.usedAt)) oldest = member
    }
    if (oldest !== undefined) this.#close(oldest)
    return oldest !== undefined
  }

  invalidate(key: K): void {
    const member = this.#find(key)
    if (member !== undefined) this.#close(member)
  }

  #close(member: Member<K, A, E>): void {
    if (!member.isClosing) this.#end(member, Effect.void)
  }

  /** Takes a key out of the table, and closes its pool after `first`. */
  #end(member: Member<K, A, E>, first: Effect.Effect<void>): void {
    member.isClosing = true
    MutableHashMap.remove(this.#table, member.key)
    member.alarm?.clear()
    member.cancel?.(0)
    this.background.fork(
      first.pipe(
        Effect.andThen(Scope.close(member.poolScope, Exit.void)),
        Effect.andThen(this.#release(member)),
        Effect.andThen(Effect.sync(() => this.#forget(member)))
      )
    )
  }

  /** Closes what `lookup` has opened, and does not wait for it for ever. */
  #release(member: Member<K, A, E>): Effect.Effect<void> {
    const timeout = member.pool?.store.options.destroyTimeout ?? DESTROY_TIMEOUT
    return Effect.callback<void>((resume) => {
      this.background.run({
        effect: Effect.uninterruptible(Scope.close(member.scope, Exit.void)),
        timeout,
        done: (exit) => {
          if (exit === undefined) this.#warn(member, `closing what lookup has opened took longer than ${timeout} ms`)
          else if (Exit.isFailure(exit)) this.#warn(member, "closing what lookup has opened failed", exit.cause)
          resume(Effect.void)
        }
      })
    })
  }

  #forget(member: Member<K, A, E>): void {
    this.#living.delete(member)
    this.#names.delete(member.name)
    this.#endIfEmpty()
  }

  #endIfEmpty(): void {
    if (!this.isClosed || this.#living.size > 0 || this.#isOver) return
    this.#isOver = true
    this.state = "closed"
    Deferred.doneUnsafe(this.#ended, Exit.void)
    for (const f of this.#atEnd) f()
    this.#atEnd.clear()
  }

  // The map as a whole -----------------------------------------------------------------------------------------------

  has(key: K): boolean {
    return this.#find(key) !== undefined
  }

  keys(): ReadonlyArray<K> {
    return Array.from(MutableHashMap.keys(this.#table))
  }

  get size(): number {
    return MutableHashMap.size(this.#table)
  }

  /** How many keys' pools are about to open, and how many callers wait for that. */
  get opening(): { readonly keys: number; readonly callers: number } {
    let keys = 0
    let callers = 0
    for (const { isOpening, waiting } of this.#living) {
      if (!isOpening) continue
      keys++
      callers += waiting.size
    }
    return { keys, callers }
  }

  /** What all pools have counted since the map was made. */
  totals(): Totals {
    const totals = noTotals()
    this.#settle()
    addTotals(totals, this.#counted)
    for (const { admission } of this.#abandoned) addTotals(totals, admission.observer)
    for (const { admission } of this.pools) addTotals(totals, admission.observer)
    return totals
  }

  /** Keeps nothing of pools whose last lease has ended but what they have counted. */
  #settle(): void {
    for (const pool of this.#abandoned) {
      const { observer } = pool.admission
      if (observer.acquired !== observer.released) continue
      this.#abandoned.delete(pool)
      addTotals(this.#counted, observer)
    }
  }

  suspend(): void {
    if (this.state !== "open") return
    this.state = "suspended"
    // Those included that are about to be open.
    for (const { admission } of this.pools) admission.suspend()
  }

  resume(): void {
    if (this.state !== "suspended") return
    this.state = "open"
    for (const { admission } of this.pools) admission.resume()
  }

  /** Refuses calls, lets those that are served end within `grace` milliseconds, and closes every pool. */
  drain(grace: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!this.isClosed) this.state = "draining"
      for (const member of Array.from(this.#living)) {
        const drain = member.pool?.admission.drain(grace) ?? Effect.void
        if (member.isClosing) this.background.fork(drain)
        else this.#end(member, drain)
      }
      this.#endIfEmpty()
      return Deferred.await(this.#ended)
    })
  }

  /** Closes every pool; ends when nothing is left of any. */
  close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.state = "closed"
      for (const member of Array.from(this.#living)) {
        // One that is drained may have been given more time.
        if (member.isClosing) this.background.fork(Scope.close(member.poolScope, Exit.void))
        else this.#close(member)
      }
      this.#endIfEmpty()
      return Deferred.await(this.#ended)
    })
  }

  /** Calls `f` when nothing is left of the map, which may be now, unless the returned function is called before. */
  onClosed(f: () => void): () => void {
    if (this.#isOver) f()
    else this.#atEnd.add(f)
    return () => void this.#atEnd.delete(f)
  }

  // Telling ----------------------------------------------------------------------------------------------------------

  /** Calls `listener` with every event of every pool, also of those to come, until the returned function is called. */
  listen(listener: (event: PoolEvent.PoolEvent) => void): () => void {
    this.#listeners.add(listener)
    if (this.#listeners.size === 1) for (const pool of this.pools) this.#listenTo(pool)
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size > 0) return
      for (const stop of this.#unlisten.values()) stop()
      this.#unlisten.clear()
    }
  }

  #listenTo(pool: Pool.Pool<any, any>): void {
    const tell = (event: PoolEvent.PoolEvent): void => {
      for (const listener of this.#listeners) listener(event)
    }
    this.#unlisten.set(pool, pool.admission.observer.listen(tell))
  }

  /** The map's name and the key; with a number if a pool of that name has not quite ended. */
  #nameOf(key: K): string {
    const name = `${this.options.name}/${inWords(key)}`
    let unique = name
    for (let n = 2; this.#names.has(unique); n++) unique = `${name}#${n}`
    return unique
  }

  get #closed(): Effect.Effect<never, PoolError.PoolError> {
    return Effect.fail(PoolError.make(() => new PoolError.Closed({ pool: this.options.name })))
  }

  #exhausted(pool: string, max: number): Effect.Effect<never, PoolError.PoolError> {
    return Effect.fail(PoolError.make(() => new PoolError.Exhausted({ pool, max })))
  }

  /** A pool that has not opened in time. */
  #late(member: Member<K, A, E>, waited: number): PoolError.PoolError {
    const explanation = {
      idle: 0,
      used: 0,
      creating: 0,
      pending: member.waiting.size,
      max: this.budget.max,
      heldByCaller: 0
    }
    return PoolError.make(() => new PoolError.AcquireTimeout({ pool: member.name, phase: "open", waited, explanation }))
  }

  #warn({ name }: Member<K, A, E>, what: string, cause?: Cause.Cause<unknown>): void {
    const message = `Pool "${name}": ${what}`
    this.background.fork(cause === undefined ? Effect.logWarning(message) : Effect.logWarning(message, cause))
  }
}

/** What waits for the sake of a scope waits no longer than that is open. */
const whileOpen = <E>(scope: Scope.Scope, wait: Effect.Effect<void, E>): Effect.Effect<void, E> => {
  if (scope.state._tag === "Closed") return wait
  let child: Scope.Closeable | undefined
  return Effect.onExit(
    Effect.suspend(() => {
      child = Scope.forkUnsafe(scope)
      const closed = Deferred.makeUnsafe<void>()
      return Effect.andThen(
        Scope.addFinalizer(child, Deferred.succeed(closed, undefined)),
        Effect.raceFirst(wait, Effect.andThen(Deferred.await(closed), Effect.interrupt))
      )
    }),
    () => (child === undefined ? Effect.void : Scope.close(child, Exit.void))
  )
}
