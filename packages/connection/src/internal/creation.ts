import type * as Admission from "@effect-pools/core/Admission"
import * as Background from "@effect-pools/core/Background"
import * as Observer from "@effect-pools/core/Observer"
import type * as PoolError from "@effect-pools/core/PoolError"
import type * as Supply from "@effect-pools/core/Supply"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { Checked } from "./options.ts"

type Step = (now: number, error: unknown) => Effect.Effect<[unknown, Duration.Duration], unknown>

/** What creation tells the store. */
export interface Creator<A> {
  /** A connection has been made; its permit is still counted as `creating`. */
  readonly created: (value: A, scope: Scope.Closeable, now: number, took: number) => void
  /** A permit came free, or the time for the next attempt has come. */
  readonly replenish: () => void
}

/**
 * Makes connections, in fibers of the pool. When making one fails, attempts go on one at a time, spaced by the retry
 * schedule, whatever the number of waiters; after enough failures in a row the breaker opens: callers are answered at
 * once with the last failure while attempts go on, until one succeeds.
 */
export class Creation<A, E> {
  isBroken = false
  /** When the next attempt may start for somebody who waits, and when for the sake of `min`. */
  #retryAt = 0
  #refillAt = 0
  /** The retry schedule is working out the next delay. */
  #isDeciding = false
  #step: Step | undefined = undefined
  readonly #retry: Background.Alarm
  readonly #admission: Admission.Admission<A, E>
  readonly #options: Checked<A, E>
  readonly #supply: Supply.Supply<A, E>
  readonly #creator: Creator<A>

  constructor(
    admission: Admission.Admission<A, E>,
    options: Checked<A, E>,
    supply: Supply.Supply<A, E>,
    creator: Creator<A>
  ) {
    this.#admission = admission
    this.#supply = supply
    this.#options = options
    this.#creator = creator
    this.#retry = new Background.Alarm(admission.background, admission.clock, (now) => this.#retryNow(now))
  }

  /** Failures since the last success. */
  get failures(): number {
    return this.#supply.failures
  }

  /** Whether another attempt may start now, if there is a place for it: see `Admission.claim`. */
  mayStart(now: number, isForWaiter: boolean): boolean {
    const { creating } = this.#admission
    if (creating >= this.#options.maxCreating) return false
    if (this.failures === 0) return true
    return creating === 0 && !this.#isDeciding && now >= (isForWaiter ? this.#retryAt : this.#refillAt)
  }

  /** The failure that callers are answered with, once there has been one. */
  failure(): Effect.Effect<never, E> {
    // Where failures of the pool itself (a creation that took too long) stand beside E, both are in the error channel.
    return Effect.failCause(this.#supply.lastFailure as Cause.Cause<E>)
  }

  /** The same in words. */
  lastFailure(): string | undefined {
    const cause = this.#supply.lastFailure
    return cause === undefined ? undefined : Observer.inWords(cause)
  }

  start(): void {
    this.#supply.make({
      created: (value, scope, now, took) => {
        this.#succeeded()
        this.#creator.created(value, scope, now, took)
      },
      failed: (cause, now) => this.#failed(cause, now)
    })
  }

  #retryNow(now: number): void {
    this.#creator.replenish()
    // One alarm for two times, and timers may be early by a fraction of a millisecond.
    const next = now < this.#retryAt ? this.#retryAt : this.#refillAt
    if (now < next) this.#retry.set(next)
  }

  shutdown(): void {
    this.#retry.clear()
    this.#supply.stop()
  }

  #succeeded(): void {
    this.#step = undefined
    // The next failure starts anew, with a delay of its own.
    this.#retryAt = 0
    this.#refillAt = 0
    this.#retry.clear()
    if (!this.isBroken) return
    this.isBroken = false
    this.#admission.observer.emit({ _tag: "BreakerClosed" })
    this.#admission.warn(`Pool "${this.#admission.name}": connections can be made again`)
  }

  #failed(cause: Cause.Cause<E | PoolError.PoolError>, now: number): void {
    const { background, clock, lifecycle, name } = this.#admission
    if (this.failures === 1) this.#admission.warn(`Pool "${name}": a connection could not be made`, cause)
    if (lifecycle === "closed") return
    if (this.failures >= this.#options.breakerFailures) this.#break(cause)
    // Of several attempts that fail together the first decides.
    if (this.#isDeciding || this.#retryAt > now) return this.#creator.replenish()
    this.#isDeciding = true
    background.run({
      effect: Effect.suspend(() => this.#nextDelay(clock.wall(clock.now()), Cause.squash(cause))),
      timeout: this.#options.createTimeout,
      done: (exit) => {
        this.#isDeciding = false
        this.#decided(exit ?? Exit.die(new Error("createRetry took longer than createTimeout to decide")), cause)
      }
    })
  }

  #nextDelay(now: number, error: unknown): Effect.Effect<number, unknown> {
    const step: Effect.Effect<Step> =
      this.#step === undefined
        ? Effect.map(Schedule.toStep(this.#options.createRetry) as Effect.Effect<Step>, (step) => (this.#step = step))
        : Effect.succeed(this.#step)
    return Effect.map(
      Effect.flatMap(step, (step) => step(now, error)),
      ([, delay]) => Duration.toMillis(delay)
    )
  }

  #decided(exit: Exit.Exit<number, unknown>, cause: Cause.Cause<E | PoolError.PoolError>): void {
    if (this.#admission.lifecycle === "closed") return
    // An attempt beside the one that failed has succeeded meanwhile.
    if (this.failures === 0) return this.#creator.replenish()
    const now = this.#admission.clock.now()
    const pace = this.#options.breakerProbe
    if (Exit.isSuccess(exit)) {
      // At least a millisecond: an acquire that fails at once must not be tried in a loop.
      this.#retryAt = now + (this.isBroken ? pace : Math.max(1, exit.value))
      this.#refillAt = this.#retryAt
    } else {
      // The schedule is over: those who wait learn why, and whoever comes next starts it anew.
      this.#step = undefined
      if (Cause.hasDies(exit.cause)) this.#retryDied(exit.cause)
      this.#refillAt = now + pace
      this.#retryAt = this.#failWaiters(cause) && !this.isBroken ? now + 1 : this.#refillAt
    }
    this.#retry.set(this.#retryAt)
  }

  #retryDied(cause: Cause.Cause<unknown>): void {
    const { name, observer } = this.#admission
    observer.emit({
      _tag: "BackgroundFailure",
      during: "retry",
      item: undefined,
      cause: Observer.inWords(cause)
    })
    this.#admission.warn(`Pool "${name}": createRetry failed`, cause)
  }

  #break(cause: Cause.Cause<E | PoolError.PoolError>): void {
    const { name, observer } = this.#admission
    if (!this.isBroken) {
      this.isBroken = true
      this.#probeBy(this.#admission.clock.now() + this.#options.breakerProbe)
      observer.emit({ _tag: "BreakerOpened", failures: this.failures, cause: Observer.inWords(cause) })
      this.#admission.warn(
        `Pool "${name}": ${this.failures} attempts to make a connection failed in a row. Callers are answered with the` +
          ` failure at once; an attempt every ${this.#options.breakerProbe} ms will tell when to go on`,
        cause
      )
    }
    this.#failWaiters(cause)
  }

  /** From now on probes set the pace; what the schedule has said of a later attempt no longer counts. */
  #probeBy(at: number): void {
    if (this.#retryAt <= at) return
    this.#retryAt = at
    this.#refillAt = at
    this.#retry.set(at)
  }

  /** With a live connection around, waiting still makes sense, and nobody is told: `false`. */
  #failWaiters(cause: Cause.Cause<E | PoolError.PoolError>): boolean {
    if (this.#admission.idle + this.#admission.used > 0) return false
    const failure = Effect.failCause(cause)
    this.#admission.failWaiters(() => failure, "failed")
    return true
  }
}
