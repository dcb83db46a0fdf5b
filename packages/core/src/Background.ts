/**
 * Work that a pool does in fibers of its own, with callbacks into its plain state.
 *
 * A pool's bookkeeping is synchronous; only what the user gave it (create, validate, reset, check, destroy) takes time.
 * {@link Background.run} runs such an effect and calls back exactly once: with its exit, or with `undefined` when its
 * time is over. An effect that does not react to its interruption is left behind, never waited for, so that it cannot
 * take a slot with it; what it still produces goes to `late`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as References from "effect/References"
import * as Tracer from "effect/Tracer"
import type { CoarseClock } from "./CoarseClock.ts"

/**
 * @category models
 * @since 0.1.0
 */
export class Background {
  /** Whether a tracer is there to see spans of what runs here. */
  readonly isTraced: boolean
  readonly #context: Context.Context<never>
  readonly #fibers = new Set<Fiber.Fiber<unknown, unknown>>()

  constructor(context: Context.Context<never>) {
    this.#context = context
    this.isTraced =
      Context.get(context, References.TracerEnabled) && Context.get(context, Tracer.Tracer) !== Tracer.nativeTracer
  }

  /** Starts an effect at once and runs it to its end. */
  fork<A, E>(effect: Effect.Effect<A, E>): Fiber.Fiber<A, E> {
    const fiber = Effect.runForkWith(this.#context)(effect)
    if (fiber.pollUnsafe() === undefined) {
      this.#fibers.add(fiber)
      fiber.addObserver(() => this.#fibers.delete(fiber))
    }
    return fiber
  }

  /**
   * Runs `effect` for at most `timeout` milliseconds; then it is interrupted, and has `grace` milliseconds (default 0) to
   * react before `done` is called. The callbacks must not throw. The returned function ends it early in the same way.
   */
  run<A, E>(options: {
    readonly effect: Effect.Effect<A, E>
    readonly timeout: number
    readonly grace?: number | undefined
    /** `isStuck` says that the effect was given up and has not reacted to that. */
    readonly done: (exit: Exit.Exit<A, E> | undefined, isStuck: boolean) => void
    readonly late?: ((exit: Exit.Exit<A, E>) => void) | undefined
  }): (grace: number) => void {
    const fiber = this.fork(options.effect)
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) {
      options.done(exit, false)
      return () => {}
    }
    let state: "running" | "overdue" | "settled" = "running"
    let cancelTimer: (() => void) | undefined
    const settle = (exit: Exit.Exit<A, E> | undefined, isStuck: boolean): void => {
      state = "settled"
      cancelTimer?.()
      options.done(exit, isStuck)
    }
    const stop = (grace: number): void => {
      cancelTimer?.()
      cancelTimer = grace > 0 ? this.after(grace, () => settle(undefined, true)) : undefined
      fiber.interruptUnsafe()
      if (grace <= 0 && state !== "settled") settle(undefined, true)
    }
    fiber.addObserver((exit) => {
      if (state === "running") return settle(exit, false)
      if (state === "overdue") settle(undefined, false)
      options.late?.(exit)
    })
    if (options.timeout !== Infinity) {
      cancelTimer = this.after(options.timeout, () => {
        state = "overdue"
        stop(options.grace ?? 0)
      })
    }
    return (grace) => {
      if (state !== "settled") stop(grace)
    }
  }

  /** Calls `f` once, in `millis` milliseconds of the pool's clock, unless cancelled before. */
  after(millis: number, f: () => void): () => void {
    const due = Effect.sync(() => {
      try {
        f()
      } catch (error) {
        // Nobody waits for this fiber, so nobody would hear of it.
        this.fork(Effect.logError("BUG: what a pool had to do at a given time failed", error))
      }
    })
    const fiber = this.fork(Effect.andThen(Effect.sleep(Duration.millis(millis)), due))
    return () => fiber.interruptUnsafe()
  }

  /** Asks everything that still runs to stop, and does not wait for it. */
  interruptAll(): void {
    for (const fiber of Array.from(this.#fibers)) fiber.interruptUnsafe()
  }
}

/**
 * Runs of {@link Background.run} that can be called off together.
 *
 * @category models
 * @since 0.1.0
 */
export class Tasks {
  readonly #background: Background
  readonly #cancels = new Set<(grace: number) => void>()

  constructor(background: Background) {
    this.#background = background
  }

  run<A, E>(options: Parameters<typeof Background.prototype.run<A, E>>[0]): void {
    let isDone = false
    let cancel: ((grace: number) => void) | undefined = undefined as never
    cancel = this.#background.run<A, E>({
      ...options,
      done: (exit, isStuck) => {
        isDone = true
        if (cancel !== undefined) this.#cancels.delete(cancel)
        options.done(exit, isStuck)
      }
    })
    if (!isDone) this.#cancels.add(cancel)
  }

  /** Interrupts all of them and leaves each `grace` milliseconds to react. */
  cancel(grace: number): void {
    for (const cancel of Array.from(this.#cancels)) cancel(grace)
  }
}

/**
 * One alarm that can be set again and again; the earliest setting counts.
 *
 * @category models
 * @since 0.1.0
 */
export class Alarm {
  readonly #background: Background
  readonly #clock: CoarseClock
  readonly #ring: (now: number) => void
  #at = Infinity
  #cancel: (() => void) | undefined = undefined

  constructor(background: Background, clock: CoarseClock, ring: (now: number) => void) {
    this.#background = background
    this.#clock = clock
    this.#ring = ring
  }

  /** Makes sure that the alarm rings at `at`, in milliseconds of the pool's clock, or before; `Infinity` asks for nothing. */
  set(at: number): void {
    if (at >= this.#at) return
    this.clear()
    this.#at = at
    // Timers count whole milliseconds and may be early by a fraction of one: at least 1, so that no alarm spins.
    const millis = Math.max(1, Math.ceil(at - this.#clock.now()))
    this.#cancel = this.#background.after(millis, () => {
      this.#at = Infinity
      this.#cancel = undefined
      this.#ring(this.#clock.now())
    })
  }

  clear(): void {
    this.#at = Infinity
    const cancel = this.#cancel
    this.#cancel = undefined
    cancel?.()
  }
}
