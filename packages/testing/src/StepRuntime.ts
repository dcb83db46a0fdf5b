/**
 * Runs fibers step by step, by hand, the same way each time.
 *
 * All fibers of a run share a scheduler whose tasks are run one by one and a clock that moves only when nothing else is
 * left to do. A step is one of: a task of the scheduler (a fiber that goes on after a yield), the microtasks that are due
 * (a pool hands over through one), a jump of the clock to the next sleep. `Scheduler.MaxOpsBeforeYield` decides after how
 * many primitives a fiber yields, so with small values the steps fall between every two primitives of a path.
 *
 * @since 0.1.0
 */
import { PoolRegistry } from "@effect-pools/core"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Scheduler from "effect/Scheduler"

/**
 * Steps after which a run that does not come to rest is given up.
 */
const LIMIT = 100_000

/**
 * @category models
 * @since 0.1.0
 */
export class StepRuntime implements Scheduler.Scheduler {
  readonly executionMode = "async"
  /** What its fibers run in: its scheduler and clock, a registry and metrics of its own, and no loggers. */
  readonly context: Context.Context<never>
  /** The time, in milliseconds. */
  now = 0
  /** How many steps there have been. */
  steps = 0
  /** Called before every primitive of this fiber, with how many there have been: an interruption from there hits it. */
  watched: { readonly fiber: Fiber.Fiber<unknown, unknown>; readonly before: (primitives: number) => void } | undefined
  readonly #tasks: Array<() => void> = []
  readonly #sleeps: Array<{ readonly at: number; readonly resume: () => void }> = []
  #primitives = 0

  constructor(maxOpsBeforeYield = 2048) {
    this.context = Context.make(Scheduler.Scheduler, this).pipe(
      Context.add(Scheduler.MaxOpsBeforeYield, maxOpsBeforeYield),
      Context.add(Clock.Clock, this.#clock()),
      Context.add(PoolRegistry.PoolRegistry, PoolRegistry.makeUnsafe()),
      Context.add(Metric.MetricRegistry, new Map()),
      Context.add(Logger.CurrentLoggers, new Set<Logger.Logger<unknown, unknown>>())
    )
  }

  /** How many sleeps there are now: those of timers that were not cleared included. */
  get sleeps(): number {
    return this.#sleeps.length
  }

  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    if (fiber === this.watched?.fiber) this.watched.before(++this.#primitives)
    return fiber.currentOpCount >= fiber.cache.maxOpsBeforeYield
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return { scheduleTask: (task) => void this.#tasks.push(task), flush: () => {} }
  }

  /** Starts a fiber with a task of its own, so that even its first primitive is a step. */
  fork<A, E>(effect: Effect.Effect<A, E>): Fiber.Fiber<A, E> {
    return Effect.runForkWith(this.context)(Effect.andThen(Effect.yieldNow, effect))
  }

  /** Calls `before` before every primitive of a fiber from now on, until the returned function is called. */
  watch(fiber: Fiber.Fiber<unknown, unknown>, before: (primitives: number) => void): () => number {
    this.#primitives = 0
    this.watched = { fiber, before }
    return () => {
      this.watched = undefined
      return this.#primitives
    }
  }

  /**
   * Steps until `until`, which is asked before every step, or until there is nothing left to do before the clock would
   * have to pass `horizon`.
   */
  async run(until: () => boolean, horizon = this.now + 10_000): Promise<void> {
    for (let n = 0; !until(); n++) {
      if (n > LIMIT) throw new Error(`The run does not come to rest within ${LIMIT} steps`)
      const isOver = !this.#step(horizon)
      this.steps++
      // What is due as a microtask, a hand-over that is, is a step of its own.
      if (until()) return
      await Promise.resolve()
      this.steps++
      if (isOver && this.#tasks.length === 0) return
    }
  }

  /** Lets everything happen that happens within this many milliseconds. */
  async advance(millis: number): Promise<void> {
    const horizon = this.now + millis
    await this.run(() => false, horizon)
    this.now = horizon
  }

  /** Lets everything happen that is to happen in the next ten seconds. */
  rest(): Promise<void> {
    return this.run(() => false)
  }

  /** Runs an effect to its end; fails as it fails, or if there is nothing left to do before it has ended. */
  async finish<A, E>(effect: Effect.Effect<A, E>): Promise<A> {
    const fiber = this.fork(effect)
    await this.run(() => fiber.pollUnsafe() !== undefined)
    const exit: Exit.Exit<A, E> | undefined = fiber.pollUnsafe()
    if (exit === undefined) throw new Error("The effect does not end")
    return Effect.runSync(exit)
  }

  /** One task or jump of the clock; `false` if there is none before the horizon. */
  #step(horizon: number): boolean {
    const task = this.#tasks.shift()
    if (task !== undefined) {
      task()
      return true
    }
    const next = this.#sleeps[0]
    if (next === undefined || next.at > horizon) return false
    this.now = next.at
    this.#sleeps.shift()
    next.resume()
    return true
  }

  #clock(): Clock.Clock {
    const millis = () => this.now
    const nanos = () => BigInt(Math.round(this.now * 1e6))
    return {
      currentTimeMillisUnsafe: millis,
      currentTimeMillis: Effect.sync(millis),
      currentTimeNanosUnsafe: nanos,
      currentTimeNanos: Effect.sync(nanos),
      monotonicTimeNanosUnsafe: nanos,
      monotonicTimeNanos: Effect.sync(nanos),
      sleep: (duration) =>
        Effect.callback<void>((resume) => {
          const sleep = { at: this.now + Duration.toMillis(duration), resume: () => resume(Effect.void) }
          let place = this.#sleeps.findIndex((other) => other.at > sleep.at)
          if (place === -1) place = this.#sleeps.length
          this.#sleeps.splice(place, 0, sleep)
          return Effect.sync(() => {
            const index = this.#sleeps.indexOf(sleep)
            if (index !== -1) this.#sleeps.splice(index, 1)
          })
        })
    }
  }
}

/**
 * A runtime whose fibers yield after `maxOpsBeforeYield` primitives (default 2,048, Effect's own).
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (maxOpsBeforeYield?: number): StepRuntime => new StepRuntime(maxOpsBeforeYield)
