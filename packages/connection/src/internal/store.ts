import type * as Admission from "@effect-pools/core/Admission"
import * as Background from "@effect-pools/core/Background"
import type * as Lease from "@effect-pools/core/Lease"
import * as LinkedList from "@effect-pools/core/data/LinkedList"
import * as Observer from "@effect-pools/core/Observer"
import type * as PoolEvent from "@effect-pools/core/PoolEvent"
import type * as PoolStats from "@effect-pools/core/PoolStats"
import type * as Store from "@effect-pools/core/Store"
import * as Supply from "@effect-pools/core/Supply"
import * as Underway from "@effect-pools/core/Underway"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import type { Verdict } from "../Health.ts"
import { Connection } from "./connection.ts"
import { Creation } from "./creation.ts"
import { Housekeeping } from "./housekeeping.ts"
import type { Checked } from "./options.ts"

/**
 * How long a validation or reset under way counts as help for somebody who waits, and how long a check that was interrupted
 * may take to end, in milliseconds.
 */
const PATIENCE = { prepare: 250, interrupt: 1000 } as const

/**
 * The store of a connection pool: reused items, validated before hand-out, reset on return, made on demand.
 *
 * A connection is in `#available` when a lease may take it: idle, or shared with room for more. It leaves the list
 * for as long as anything else happens to it, so no lock is needed and nobody is held up by work on another one.
 */
export class ConnectionStore<A, E> implements Store.Store<A, E> {
  readonly options: Checked<A, E>
  readonly admission: Admission.Admission<A, E>
  readonly all = new Set<Connection<A>>()
  readonly creation: Creation<A, E>
  readonly supply: Supply.Supply<A, E>
  readonly housekeeping: Housekeeping<A, E>
  /** Most recently returned first. */
  readonly #available = new LinkedList.LinkedList<Connection<A>>()
  readonly #byValue = new Map<A, Connection<A>>()
  readonly #random: { nextDoubleUnsafe(): number }
  #validating = 0
  /** When a lease last ended, whatever has become of its connection. */
  usedAt = -Infinity
  /** How many waiters one connection can serve at once. */
  readonly #served: number
  readonly #validations: Underway.Underway
  readonly #resets: Underway.Underway
  #lastId = 0
  readonly #tasks: Background.Tasks

  constructor(options: Checked<A, E>, admission: Admission.Admission<A, E>, context: Context.Context<never>) {
    this.options = options
    this.admission = admission
    this.#served = Math.min(options.concurrency, options.maxUses)
    this.#random = Context.get(context, Random.Random)
    this.supply = new Supply.Supply(admission, options)
    this.creation = new Creation(admission, options, this.supply, {
      created: (value, scope, now, took) => this.#created(value, scope, now, took),
      replenish: () => this.admission.serve()
    })
    this.housekeeping = new Housekeeping(this)
    this.#tasks = new Background.Tasks(admission.background)
    this.#validations = new Underway.Underway(admission, PATIENCE.prepare, () => admission.serve())
    this.#resets = new Underway.Underway(admission, PATIENCE.prepare, () => admission.serve())
  }

  // The lease path ---------------------------------------------------------------------------------------------------

  take(now: number): Connection<A> | undefined {
    const available = this.#available
    while (true) {
      let connection = this.options.isFifo ? available.tail : available.head
      // One that others hold needs no validation; it may stand behind idle ones that do.
      if (connection !== undefined && this.options.concurrency > 1 && this.#needsValidation(connection, now)) {
        connection = this.#shared() ?? connection
      }
      if (connection === undefined) return undefined
      if (connection.holders === 0) {
        if (now >= connection.expiresAt) {
          this.destroy(connection, "maxLifetime")
          continue
        }
        if (this.#needsValidation(connection, now)) return undefined
        connection.state = "used"
        this.admission.idle--
        this.admission.used++
      } else if (this.#isOver(connection, now)) {
        continue
      }
      connection.isProven = false
      connection.holders++
      connection.uses++
      if (connection.holders >= this.options.concurrency || connection.uses >= this.options.maxUses) {
        available.remove(connection)
      }
      return connection
    }
  }

  /** A connection in use that has room for one more. */
  #shared(): Connection<A> | undefined {
    for (const connection of this.#available) if (connection.holders > 0) return connection
    return undefined
  }

  giveBack(connection: Connection<A>, _lease: Lease.Lease<A>, exit: Exit.Exit<unknown, unknown>, now: number): void {
    connection.holders--
    this.usedAt = now
    // Destroyed under its holder when the grace of a close was over.
    if (connection.state === "destroyed") return
    connection.lastUsed = now
    if (Exit.isSuccess(exit)) {
      connection.provenAt = now
      if (connection.score < 100 || connection.errors > 0) this.options.rules.success(connection)
    } else {
      this.#judge(connection, exit.cause)
    }
    if (connection.holders > 0) return this.#shareAgain(connection)
    // Shared and with room for more, it has stayed among the available ones.
    if (connection.list !== undefined) this.#available.remove(connection)
    const reason = this.#verdict(connection, now)
    if (reason !== undefined) return this.destroy(connection, reason)
    if (this.options.reset !== undefined) return this.#startReset(connection, this.options.reset)
    if (this.admission.pending > 0 && this.#passOn(connection, now)) return
    this.#settle(connection)
  }

  /** Straight from one holder to the next, without a stop among the idle ones. */
  #passOn(connection: Connection<A>, now: number): boolean {
    // A shared connection may serve more than one, and one that is always validated none; the long way sees to both.
    if (this.options.concurrency > 1 || this.#needsValidation(connection, now)) return false
    // Before anybody hears of the lease, who may end it.
    connection.holders = 1
    connection.uses++
    if (this.admission.offer(connection, now)) return true
    connection.holders = 0
    connection.uses--
    return false
  }

  /** A shared connection may never be idle: one whose time is over takes no more leases. */
  #isOver(connection: Connection<A>, now: number): boolean {
    const reason = this.#verdict(connection, now)
    if (reason !== undefined) this.condemn(connection, reason)
    return reason !== undefined
  }

  /** A connection that is shared has room for one more, unless it is to go. */
  #shareAgain(connection: Connection<A>): void {
    if (connection.doom !== undefined || connection.uses >= this.options.maxUses) return
    if (connection.list === undefined) this.#available.addFirst(connection)
    if (this.admission.pending > 0) this.admission.serve()
  }

  /** A used connection without holders becomes idle, and goes to whoever waits. */
  #settle(connection: Connection<A>, isNext = false): void {
    connection.state = "idle"
    this.admission.used--
    this.admission.idle++
    if (isNext && this.options.isFifo) this.#available.addLast(connection)
    else this.#available.addFirst(connection)
    this.admission.idled()
  }

  /** Why a connection is not to be used again. */
  #verdict(connection: Connection<A>, now: number): PoolEvent.DestroyReason | undefined {
    const { creating, idle, lifecycle, max, used } = this.admission
    if (connection.doom !== undefined) return connection.doom
    if (lifecycle === "draining" || lifecycle === "closed") return "closed"
    if (idle + used + creating > max) return "shrink"
    if (now >= connection.expiresAt) return "maxLifetime"
    if (connection.uses >= this.options.maxUses) return "maxUses"
    return undefined
  }

  // Health -----------------------------------------------------------------------------------------------------------

  #judge(connection: Connection<A>, cause: Cause.Cause<unknown>): void {
    let verdict: Verdict
    try {
      verdict = this.options.classify(cause)
    } catch (error) {
      verdict = "suspect"
      this.failed("classify", connection, Cause.die(error))
    }
    if (verdict !== "fine") this.report(connection, verdict)
  }

  /** Notes what somebody found out about a connection. */
  report(connection: Connection<A>, verdict: Verdict): void {
    const { rules } = this.options
    if (verdict === "fine") rules.success(connection)
    else rules.failure(connection)
    this.admission.observer.emit({
      _tag: "ItemHealth",
      item: connection.id,
      score: connection.score,
      errors: connection.errors
    })
    if (verdict === "fatal" || !rules.isHealthy(connection)) this.condemn(connection, "unhealthy")
  }

  /** Destroys a connection now if it is idle, else when whatever is going on with it ends. */
  condemn(connection: Connection<A>, reason: PoolEvent.DestroyReason): void {
    connection.doom ??= reason
    if (connection.state === "idle") return this.destroy(connection, connection.doom)
    if (connection.list !== undefined) this.#available.remove(connection)
  }

  invalidate(value: A): void {
    for (let connection = this.#byValue.get(value); connection !== undefined;) {
      const twin: Connection<A> | undefined = connection.twin
      this.condemn(connection, "invalidated")
      connection = twin
    }
  }

  find(value: A): Connection<A> | undefined {
    return this.#byValue.get(value)
  }

  // Supply -----------------------------------------------------------------------------------------------------------

  /**
   * Starts what will serve those who wait: validation of idle connections first, then new ones, as far as demand goes.
   * Also keeps `min`.
   */
  replenish(): void {
    const { admission, creation, options } = this
    const { lifecycle } = admission
    // At capacity with nothing idle there is nothing to start: the common case of a busy pool.
    if (this.#available.head === undefined && admission.live >= admission.max) return
    const now = admission.clock.now()
    // A new connection or a reset one may come first, or much later: an idle one is validated all the same.
    while (lifecycle === "open" && admission.pending > this.#validations.expected * this.#served) {
      const candidate = options.isFifo ? this.#available.tail : this.#available.head
      if (candidate === undefined) break
      if (candidate.holders === 0 && this.#needsValidation(candidate, now)) {
        this.#startValidation(candidate, options.validate!)
        continue
      }
      // One that needs none stood behind those that do.
      const { pending } = admission
      admission.serve()
      if (admission.pending === pending) break
    }
    while (this.#wantsConnection()) {
      const isForWaiter = this.#demandsConnection()
      // While the breaker is open nobody is let in to wait, and yet they are whom an attempt is for.
      const urgency = isForWaiter ? "line" : creation.isBroken ? "now" : "ahead"
      if (!creation.mayStart(now, isForWaiter) || !admission.claim(urgency)) break
      creation.start()
    }
  }

  /** Waiters for whom nothing is on its way yet. */
  #unmetDemand(): number {
    const { lifecycle, pending } = this.admission
    if (lifecycle !== "open") return 0
    const expected = this.#validations.expected + this.#resets.expected + this.supply.expected
    return pending - expected * this.#served
  }

  /** Whether one of them may have a connection made. */
  #demandsConnection(): boolean {
    return this.admission.demanding > 0 && this.#unmetDemand() > 0
  }

  #wantsConnection(): boolean {
    const { creating, idle, lifecycle, min, used } = this.admission
    if (lifecycle === "draining" || lifecycle === "closed") return false
    // With the breaker open nobody is let in to wait, so the attempts have to go on by themselves.
    return idle + used + creating < min || this.#demandsConnection() || this.creation.isBroken
  }

  turnedAway(): void {
    const { creation, options } = this
    if (this.admission.lifecycle !== "open") return
    const stale = options.isFifo ? this.#available.tail : this.#available.head
    if (stale !== undefined) {
      // It was there, but nobody had time to validate it.
      const isFree = stale.holders === 0 && this.#needsValidation(stale, this.admission.clock.now())
      if (isFree && this.#validations.expected === 0) this.#startValidation(stale, options.validate!)
      return
    }
    if (
      this.#validations.expected === 0 &&
      this.supply.expected === 0 &&
      creation.mayStart(this.admission.clock.now(), true) &&
      this.admission.claim("now")
    )
      creation.start()
  }

  mayOffer(): boolean {
    return this.#validating > 0 || this.#available.head !== undefined
  }

  refusal(): Effect.Effect<never, E> | undefined {
    return this.creation.isBroken && this.admission.idle + this.admission.used === 0
      ? this.creation.failure()
      : undefined
  }

  timeoutFailure(): Effect.Effect<never, E> | undefined {
    return this.creation.failures > 0 && this.admission.idle + this.admission.used === 0
      ? this.creation.failure()
      : undefined
  }

  lastCreateFailure(): string | undefined {
    return this.creation.lastFailure()
  }

  #created(value: A, scope: Scope.Closeable, now: number, took: number): void {
    const { admission, options } = this
    const lifetime = options.maxLifetime * (1 - options.lifetimeJitter * this.#random.nextDoubleUnsafe())
    const connection = new Connection(++this.#lastId, value, scope, now, now + lifetime)
    this.all.add(connection)
    connection.twin = this.#byValue.get(value)
    this.#byValue.set(value, connection)
    admission.creating--
    admission.used++
    admission.observer.created++
    admission.observer.emit({ _tag: "ItemCreated", item: connection.id, took })
    this.housekeeping.expect(connection, now)
    this.#ready(connection, now)
  }

  /** A connection that was just made, validated or reset, counted as used, goes into service. */
  #ready(connection: Connection<A>, now: number): void {
    const reason = this.#verdict(connection, now)
    if (reason !== undefined) {
      this.destroy(connection, reason)
      // Somebody may have counted on it, and closing it may take a while.
      return this.admission.serve()
    }
    // Proof holds for the waiter who gets it in this very step, if any, so it goes where that one looks.
    this.#settle(connection, connection.isProven)
    connection.isProven = false
    this.admission.serve()
  }

  // Validation and reset ---------------------------------------------------------------------------------------------

  #needsValidation(connection: Connection<A>, now: number): boolean {
    return (
      this.options.validate !== undefined &&
      !connection.isProven &&
      now - connection.provenAt >= this.options.validateAfterIdle
    )
  }

  #startValidation(connection: Connection<A>, validate: (connection: A) => Effect.Effect<unknown, unknown>): void {
    this.#available.remove(connection)
    connection.state = "validating"
    this.admission.idle--
    this.admission.used++
    this.#validating++
    const ended = this.#validations.begin(this.admission.clock.now())
    this.#work("validate", connection, validate, this.options.validationTimeout, (failure, now) => {
      this.#validating--
      ended()
      if (failure !== undefined) {
        this.destroy(connection, connection.doom ?? "validationFailed")
        return this.admission.serve()
      }
      connection.isProven = true
      connection.provenAt = now
      this.#ready(connection, now)
    })
  }

  #startReset(connection: Connection<A>, reset: (connection: A) => Effect.Effect<unknown, unknown>): void {
    connection.state = "resetting"
    const ended = this.#resets.begin(this.admission.clock.now())
    this.#work("reset", connection, reset, this.options.resetTimeout, (failure, now) => {
      ended()
      if (failure !== undefined) {
        this.destroy(connection, connection.doom ?? "resetFailed")
        return this.admission.serve()
      }
      this.#ready(connection, now)
    })
  }

  /** Takes an idle connection out of circulation for a background check. */
  startCheck(
    connection: Connection<A>,
    check: (connection: A) => Effect.Effect<unknown, unknown>,
    done: () => void
  ): void {
    this.#available.remove(connection)
    connection.state = "checking"
    this.#work("check", connection, check, this.options.checkTimeout, (failure, now, isStuck) => {
      connection.checkedAt = now
      if (failure === undefined) connection.provenAt = now
      // A check that cannot be ended may still be at it: nobody can use the connection beside it.
      this.report(connection, failure === undefined ? "fine" : isStuck ? "fatal" : "suspect")
      // Meanwhile it may have been invalidated too, or the pool resized or closed.
      const reason = this.#verdict(connection, now)
      if (reason !== undefined) {
        this.destroy(connection, reason)
      } else {
        connection.state = "idle"
        this.#putBack(connection)
      }
      this.admission.serve()
      this.admission.idled()
      done()
    })
  }

  /** Puts a connection where it stood, by the end of its last lease: a check is no use. */
  #putBack(connection: Connection<A>): void {
    let before = this.#available.tail
    while (before !== undefined && before.lastUsed < connection.lastUsed) before = before.previous
    this.#available.addAfter(connection, before)
  }

  /** Runs one of the user's effects on a connection. `false` counts as a failure, as do a defect and a timeout. */
  #work(
    during: "validate" | "reset" | "check",
    connection: Connection<A>,
    f: (connection: A) => Effect.Effect<unknown, unknown>,
    timeout: number,
    done: (failure: Cause.Cause<unknown> | undefined, now: number, isStuck: boolean) => void
  ): void {
    this.#tasks.run({
      effect: Effect.suspend(() => f(connection.value)),
      timeout,
      // A check may clean up after itself, with a cancel request say; nobody waits for it.
      grace: during === "check" ? PATIENCE.interrupt : 0,
      done: (exit, isStuck) => {
        // A connection destroyed in the meantime is nobody's business any more.
        if (connection.state === "destroyed") return
        // Called off by the close, which destroys the connection next.
        const isCalledOff =
          this.admission.lifecycle === "closed" && exit?._tag === "Failure" && Cause.hasInterruptsOnly(exit.cause)
        const failure = isCalledOff ? undefined : failureOf(exit, timeout)
        if (failure !== undefined) this.failed(during, connection, failure)
        done(failure, this.admission.clock.now(), isStuck)
      },
      late: (exit) => this.#late(during, connection, exit)
    })
  }

  /** What was given up ended after all: not as an answer to its interruption, it may say why it took so long. */
  #late(during: "validate" | "reset" | "check", connection: Connection<A>, exit: Exit.Exit<unknown, unknown>): void {
    if (Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)) this.failed(during, connection, exit.cause)
  }

  // The end ----------------------------------------------------------------------------------------------------------

  /** Takes a connection out of the pool and closes its scope. Its permit comes free when that has ended. */
  destroy(connection: Connection<A>, reason: PoolEvent.DestroyReason): void {
    const { admission } = this
    if (connection.state === "destroyed") throw new Error(`BUG: connection ${connection.id} is destroyed already`)
    if (connection.list !== undefined) this.#available.remove(connection)
    if (connection.state === "idle" || connection.state === "checking") admission.idle--
    else admission.used--
    connection.state = "destroyed"
    this.all.delete(connection)
    this.#forget(connection)
    this.supply.end(connection, reason)
  }

  #forget(connection: Connection<A>): void {
    const first = this.#byValue.get(connection.value)
    if (first === connection) {
      if (connection.twin === undefined) this.#byValue.delete(connection.value)
      else this.#byValue.set(connection.value, connection.twin)
      return
    }
    for (let other = first; other !== undefined; other = other.twin) {
      if (other.twin === connection) other.twin = connection.twin
    }
  }

  /** Retires idle connections beyond `max`, least recently used first. */
  resized(): void {
    const { admission } = this
    while (admission.idle + admission.used + admission.creating > admission.max) {
      const oldest = this.#oldestIdle()
      if (oldest === undefined) break
      this.destroy(oldest, "shrink")
    }
    this.housekeeping.resized(admission.clock.now())
  }

  #oldestIdle(): Connection<A> | undefined {
    let connection = this.#available.tail
    while (connection !== undefined && connection.holders > 0) connection = connection.previous
    return connection
  }

  /** Idle connections, least recently used first: those that are still idle when their turn comes. */
  *idleConnections(): Generator<Connection<A>, void> {
    // What is done to one can put the next to use.
    for (const connection of Array.from(this.#available).reverse()) {
      if (connection.state === "idle") yield connection
    }
  }

  idleSince(): number | undefined {
    return this.#oldestIdle()?.lastUsed
  }

  evict(): void {
    const connection = this.#oldestIdle()
    if (connection !== undefined) this.destroy(connection, "reclaimed")
  }

  shutdown(): void {
    this.housekeeping.stop()
    this.creation.shutdown()
    this.#validations.stop()
    this.#resets.stop()
    for (const connection of this.idleConnections()) this.destroy(connection, "closed")
    this.#tasks.cancel(this.options.destroyTimeout)
  }

  abandon(): void {
    for (const connection of Array.from(this.all)) {
      if (connection.state !== "destroyed") this.destroy(connection, "closed")
    }
  }

  // Reporting --------------------------------------------------------------------------------------------------------

  *leases(): Generator<Lease.Lease<A>, void> {
    for (const connection of this.all) {
      for (let lease = connection.holder; lease !== undefined; lease = lease.next) yield lease
    }
  }

  details(): PoolStats.PoolStats["details"] {
    const { idle, max, pending, used } = this.admission
    const size = idle + used
    let healthy = 0
    for (const connection of this.all) if (this.options.rules.isHealthy(connection)) healthy++
    const utilization = (used / max) * 100
    const health = size === 0 ? 100 : (healthy / size) * 100
    return {
      healthy,
      healthPercent: Math.round(health),
      utilizationPercent: Math.round(utilization),
      underStress: utilization > 80 || health < 70,
      breakerOpen: this.creation.isBroken,
      summary: `${used}/${max} used, ${idle} idle, ${pending} waiting, ${Math.round(health)} % healthy`
    }
  }

  /** Tells of a failure that no caller waits for. */
  failed(
    during: "validate" | "reset" | "check" | "classify",
    connection: Connection<A>,
    cause: Cause.Cause<unknown>
  ): void {
    this.admission.observer.emit({
      _tag: "BackgroundFailure",
      during,
      item: connection.id,
      cause: Observer.inWords(cause)
    })
    const message = `Pool "${this.admission.name}": ${during} of connection ${connection.id} failed`
    // Of one that is known to be broken it was to be expected.
    if (connection.doom === undefined) this.admission.warn(message, cause)
    else this.admission.debug(message, cause)
  }
}

/** What an exit says, `undefined` being none within the timeout. An answer of `false` is a failure too. */
const failureOf = (
  exit: Exit.Exit<unknown, unknown> | undefined,
  timeout: number
): Cause.Cause<unknown> | undefined => {
  if (exit === undefined) return Cause.fail(`took longer than ${timeout} ms`)
  if (Exit.isFailure(exit)) return exit.cause
  return exit.value === false ? Cause.fail("answered false") : undefined
}
