/**
 * How items come and go: what every store does with the effects that make an item and end it. For those who build pools.
 *
 * Both run in fibers of the pool, so nobody who waits can interrupt them, and both give their permit back whatever becomes
 * of them: an attempt that fails, dies, is called off or takes too long, and a finalizer that fails or never ends.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Admission } from "./Admission.ts"
import { Tasks } from "./Background.ts"
import { inWords } from "./Observer.ts"
import type { PoolError } from "./PoolError.ts"
import type { DestroyReason } from "./PoolEvent.ts"
import { Underway } from "./Underway.ts"

/**
 * For how long an attempt to make an item counts as help for whoever waits, in milliseconds. Well above what it takes when
 * all is well, and well below what a person notices as an outage.
 *
 * @category constants
 * @since 0.1.0
 */
export const PATIENCE = 1000

/**
 * Durations are in milliseconds.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options<A, E> {
  /** Makes one item. What it adds to its scope is run when the item is ended. */
  readonly acquire: Effect.Effect<A, E, Scope.Scope>
  /** How long making one may take. */
  readonly createTimeout: number
  /** How long the end of one keeps its permit; after that the permit is free and the end goes on. */
  readonly destroyTimeout: number
}

/**
 * What a store is told of an attempt to make an item, which may be over before the call that began it returns. `took` is in
 * milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Attempt<A, E> {
  /** There is a new item. Its permit is still counted as `creating`. */
  readonly created: (value: A, scope: Scope.Closeable, now: number, took: number) => void
  /**
   * There is none. Its permit is counted as `destroying` until what the attempt has opened is closed. Not called for an
   * attempt that the closing pool has called off.
   */
  readonly failed: (cause: Cause.Cause<E | PoolError>, now: number, startedAt: number) => void
  /** What an attempt without success had opened is closed, or has been given up: its place is free. */
  readonly cleaned?: (() => void) | undefined
  /** Nothing of an attempt without success goes on any more, not even of one that had been given up. */
  readonly gone?: (() => void) | undefined
}

/**
 * What a store may want to know of the end of an item, in this order.
 *
 * @category models
 * @since 0.1.0
 */
export interface EndOptions {
  /** Its place is free: its scope has closed with this result, or has been given up. */
  readonly ended?: ((exit: Exit.Exit<unknown, unknown> | undefined) => void) | undefined
  /** Its scope has closed, with this result. */
  readonly gone?: ((exit: Exit.Exit<unknown, unknown>) => void) | undefined
  /** As `ended`, when that has been told and its permit is back: for those who go on in this very step. */
  readonly settled?: ((exit: Exit.Exit<unknown, unknown> | undefined) => void) | undefined
}

/**
 * What is to be known of an item that ends.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ending {
  readonly id: number
  /** What it is called in the log. Default: by its number. */
  readonly name?: string | undefined
  readonly scope: Scope.Closeable
  readonly createdAt: number
  /** How many places it takes. Default 1. */
  readonly places?: number | undefined
}

/**
 * What only some items have of their own.
 *
 * @category options
 * @since 0.1.0
 */
export interface ItemOptions<A, E> {
  /** How it is made. Default: as all. */
  readonly acquire?: Effect.Effect<A, E, Scope.Scope> | undefined
  /** How many places it takes. Default 1. */
  readonly places?: number | undefined
  /** What it is called in errors and logs. Default: by its number. */
  readonly name?: string | undefined
}

/** What an end concerns: an item, or an attempt that has come to nothing. */
interface Ended {
  readonly id: number | undefined
  readonly name?: string | undefined
}

/**
 * @category models
 * @since 0.1.0
 */
export class Supply<A, E> {
  /** Attempts that have failed since the last that did not. */
  failures = 0
  readonly #admission: Admission<A, E>
  readonly #options: Options<A, E>
  readonly #attempts: Tasks
  readonly #underway: Underway
  #lastFailure: Cause.Cause<E | PoolError> | undefined = undefined

  constructor(admission: Admission<A, E>, options: Options<A, E>) {
    this.#admission = admission
    this.#options = options
    this.#attempts = new Tasks(admission.background)
    this.#underway = new Underway(admission, PATIENCE, () => admission.serve())
  }

  /**
   * Attempts under way from which an item is to be expected soon: those of the last second. When one is no longer among
   * them, those who wait are served again, so that the store can start another beside it.
   */
  get expected(): number {
    return this.#underway.expected
  }

  /** Why the last attempt failed, if none has succeeded since. */
  get lastFailure(): Cause.Cause<E | PoolError> | undefined {
    return this.#lastFailure
  }

  /** Starts to make an item, which the caller has claimed: see `Admission.claim`. */
  make(attempt: Attempt<A, E>, { acquire = this.#options.acquire, name, places = 1 }: ItemOptions<A, E> = {}): void {
    const { clock, observer } = this.#admission
    const scope = Scope.makeUnsafe()
    const own: Ended = { id: undefined, name }
    // Of two: the attempt itself, and the end of what it has opened.
    let isLeft = 2
    const gone = (): void => {
      if (--isLeft === 0) attempt.gone?.()
    }
    const startedAt = clock.now()
    const ended = this.#underway.begin(startedAt)
    this.#admission.permits?.spend(places)
    this.#admission.creating++
    observer.emit({ _tag: "ItemCreating" })
    this.#attempts.run<A, E>({
      effect: this.#traced(Effect.provideService(acquire, Scope.Scope, scope)),
      timeout: this.#options.createTimeout,
      done: (exit) => {
        const now = clock.now()
        const took = now - startedAt
        ended()
        if (exit !== undefined && Exit.isSuccess(exit)) {
          this.failures = 0
          this.#lastFailure = undefined
          observer.create.record(took)
          return attempt.created(exit.value, scope, now, took)
        }
        // What it has opened keeps the permit until it is closed, as an item does.
        this.#admission.creating--
        this.#admission.destroying++
        this.#failed(exit?.cause ?? Cause.fail(this.#admission.createTimeout(took, name)), now, startedAt, attempt)
        this.#close(scope, exit ?? Exit.void, own, places, { ended: attempt.cleaned, gone })
        if (exit !== undefined) gone()
      },
      // The scope of an attempt that was given up is closed: what it still opens is closed in the same breath.
      late: (exit) => {
        this.#late(own, exit)
        gone()
      }
    })
  }

  /** In a span, if somebody traces: one that nobody sees costs as much as making a small item. */
  #traced(acquire: Effect.Effect<A, E>): Effect.Effect<A, E> {
    const { background, name } = this.#admission
    if (!background.isTraced) return acquire
    return Effect.withSpan(acquire, "pool.create", { attributes: { "pool.name": name }, captureStackTrace: false })
  }

  /**
   * Ends an item that is no longer counted as idle or used. When its permit is free, those who wait are served.
   */
  end(item: Ending, reason: DestroyReason, { ended, gone, settled }: EndOptions = {}): void {
    const { clock, observer } = this.#admission
    this.#admission.destroying++
    observer.destroyed[reason]++
    const age = clock.now() - item.createdAt
    this.#close(item.scope, Exit.void, item, item.places ?? 1, {
      ended: (exit) => {
        ended?.(exit)
        observer.emit({ _tag: "ItemDestroyed", item: item.id, reason, age })
      },
      gone,
      settled
    })
    // It may have been the last that was out; its end may take a while.
    this.#admission.changed()
  }

  /** Calls off the attempts under way. */
  stop(): void {
    this.#underway.stop()
    this.#attempts.cancel(this.#options.destroyTimeout)
  }

  #failed(cause: Cause.Cause<E | PoolError>, now: number, startedAt: number, attempt: Attempt<A, E>): void {
    const took = now - startedAt
    const { lifecycle, observer } = this.#admission
    const isInterrupted = Cause.hasInterruptsOnly(cause)
    if (lifecycle === "closed" && isInterrupted) {
      return observer.emit({
        _tag: "ItemCreateFailed",
        took,
        failures: this.failures,
        cause: "called off by the close"
      })
    }
    // The failure is handed to callers, whom nobody interrupted.
    if (isInterrupted) cause = Cause.die(new Error("acquire was interrupted from within"))
    this.failures++
    this.#lastFailure = cause
    observer.createFailed++
    observer.emit({ _tag: "ItemCreateFailed", took, failures: this.failures, cause: inWords(cause) })
    attempt.failed(cause, now, startedAt)
  }

  #close(
    scope: Scope.Closeable,
    exit: Exit.Exit<unknown, unknown>,
    item: Ended,
    places: number,
    { ended, gone, settled }: EndOptions
  ): void {
    const admission = this.#admission
    admission.background.run({
      // As everywhere in Effect, finalizers are not interrupted: one that is given up goes on.
      effect: Effect.uninterruptible(Scope.close(scope, exit)),
      timeout: this.#options.destroyTimeout,
      done: (exit) => {
        admission.destroying--
        ended?.(exit)
        // Others may have it at once, and tell of that: so this end is told before.
        admission.permits?.give(places)
        if (exit !== undefined) gone?.(exit)
        settled?.(exit)
        if (exit === undefined) this.#endFailed(item, Cause.fail(`took longer than ${this.#options.destroyTimeout} ms`))
        else if (Exit.isFailure(exit)) this.#endFailed(item, exit.cause)
        admission.changed()
        admission.serve()
      },
      late: (exit) => {
        gone?.(exit)
        this.#late(item, exit)
      }
    })
  }

  /** What was given up ended after all: not as an answer to its interruption, it may say why it took so long. */
  #late(item: Ended, exit: Exit.Exit<unknown, unknown>): void {
    if (Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)) this.#endFailed(item, exit.cause)
  }

  #endFailed({ id, name }: Ended, cause: Cause.Cause<unknown>): void {
    const { name: pool, noun, observer } = this.#admission
    observer.emit({ _tag: "BackgroundFailure", during: "destroy", item: id, cause: inWords(cause) })
    const which = name === undefined ? `${noun} ${id}` : `${noun} "${name}"`
    const attempt = name === undefined ? "a failed creation" : `a failed creation of "${name}"`
    const what = id === undefined ? `cleaning up after ${attempt}` : `destroy of ${which}`
    this.#admission.warn(`Pool "${pool}": ${what} failed`, cause)
  }
}
