/**
 * Interruption at every step, deterministically.
 *
 * All fibers of a run share a scheduler whose tasks are run one by one, by hand, and a clock that moves only by hand. A
 * step is one of: a task of the scheduler (a fiber that goes on after a yield), the microtasks that are due (the pool
 * hands over through one), a jump of the clock to the next sleep. `Scheduler.MaxOpsBeforeYield` decides after how many
 * primitives a fiber yields, so with values from 3 to 64 the steps fall between every two primitives of the path. A run
 * without interruption counts the steps until the fiber under test has ended; then the scenario is run again once per
 * step, with the fiber interrupted right before that step.
 *
 * A second sweep interrupts without a yield: `shouldYield` is asked before every primitive, and at the chosen one it
 * interrupts the fiber that asks, which is how an interruption by code that the fiber itself calls arrives.
 */
import { ConnectionPool } from "@effect-pools/connection"
import { PoolRegistry } from "@effect-pools/core"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import { Backend, type Broken, type Options, type Wire } from "./support.old.ts"

/** Runs nothing by itself. */
export class Hand implements Scheduler.Scheduler {
  readonly executionMode = "async"
  readonly #tasks: Array<() => void> = []
  readonly #sleeps: Array<{ readonly at: number; readonly resume: () => void }> = []
  readonly context: Context.Context<never>
  now = 0
  steps = 0
  /** The fiber under test, and before which of its primitives to interrupt it. */
  target: Fiber.Fiber<unknown, unknown> | undefined
  primitives = 0
  interruptAtPrimitive = Infinity
  disturb = (): void => {}

  constructor(maxOps: number) {
    this.context = Context.make(Scheduler.Scheduler, this).pipe(
      Context.add(Scheduler.MaxOpsBeforeYield, maxOps),
      Context.add(Clock.Clock, this.#clock()),
      Context.add(PoolRegistry.PoolRegistry, PoolRegistry.makeUnsafe()),
      Context.add(Metric.MetricRegistry, new Map()),
      Context.add(Logger.CurrentLoggers, new Set<Logger.Logger<unknown, unknown>>())
    )
  }

  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    if (fiber === this.target && ++this.primitives === this.interruptAtPrimitive) this.disturb()
    return fiber.currentOpCount >= fiber.cache.maxOpsBeforeYield
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return { scheduleTask: (task) => void this.#tasks.push(task), flush: () => {} }
  }

  fork<A, E>(effect: Effect.Effect<A, E>): Fiber.Fiber<A, E> {
    // Starts with a task of its own, so that even its first primitive is a step.
    return Effect.runForkWith(this.context)(Effect.andThen(Effect.yieldNow, effect))
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

  /** Steps until `until`, which is asked before every step, or until there is nothing to do. */
  async run(until: () => boolean, horizon = this.now + 10_000): Promise<void> {
    for (let n = 0; !until(); n++) {
      if (n > 100_000) throw new Error("the run does not come to rest")
      const isOver = !this.#step(horizon)
      this.steps++
      // What is due as a microtask, the hand-over that is, is a step of its own.
      if (until()) return
      await Promise.resolve()
      this.steps++
      if (isOver && this.#tasks.length === 0) return
    }
  }

  /** Lets everything happen that happens within this time. */
  async advance(millis: number): Promise<void> {
    const horizon = this.now + millis
    await this.run(() => false, horizon)
    this.now = horizon
  }

  rest(): Promise<void> {
    return this.run(() => false)
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

  get sleeps(): number {
    return this.#sleeps.length
  }
}

export interface Stage {
  readonly hand: Hand
  readonly backend: Backend
  readonly pool: ConnectionPool.ConnectionPool<Wire, Broken>
  /** Runs an effect to its end, as part of the preparation. */
  readonly finish: <A, E>(effect: Effect.Effect<A, E>) => Promise<A>
  /** Starts something that goes on beside the fiber under test. */
  readonly beside: (effect: Effect.Effect<unknown, unknown>) => void
  /** A body that notices a connection in too many hands. */
  readonly body: <A, E, R>(effect: Effect.Effect<A, E, R>) => (wire: Wire) => Effect.Effect<A, E, R>
}

export interface Scenario {
  readonly options: (backend: Backend) => Options
  readonly prepare?: (stage: Stage) => Promise<void>
  readonly target: (stage: Stage) => Effect.Effect<unknown, unknown>
  /** What happens to it at the chosen step, instead of its interruption. */
  readonly disturb?: (stage: Stage) => void
}

export interface Run {
  /** How many steps, and how many primitives of its own, the fiber under test took to its end. */
  readonly steps: number
  readonly primitives: number
  readonly wasInterrupted: boolean
  /** What was wrong afterwards. */
  readonly leaks: ReadonlyArray<string>
}

/** Plays a scenario once; `at` says where to interrupt. */
const play = async (
  scenario: Scenario,
  maxOps: number,
  at: { readonly step?: number; readonly primitive?: number }
): Promise<Run> => {
  const hand = new Hand(maxOps)
  const backend = new Backend()
  const leaks: Array<string> = []
  const finish = async <A, E>(effect: Effect.Effect<A, E>): Promise<A> => {
    const fiber = hand.fork(effect)
    await hand.run(() => fiber.pollUnsafe() !== undefined)
    const exit = fiber.pollUnsafe()
    if (exit === undefined) throw new Error("the preparation does not end")
    return Effect.runSync(exit)
  }
  const scope = Scope.makeUnsafe()
  const pool = await finish(
    ConnectionPool.make<Wire, Broken, Scope.Scope>({
      acquire: backend.connect,
      max: 2,
      acquireTimeout: 5000,
      ...scenario.options(backend)
    }).pipe(Effect.provideService(Scope.Scope, scope))
  )
  const { concurrency } = pool.store.options
  const others: Array<Fiber.Fiber<unknown, unknown>> = []
  const stage: Stage = {
    hand,
    backend,
    pool,
    finish,
    beside: (effect) => void others.push(hand.fork(effect)),
    body: (effect) => (wire) =>
      Effect.suspend(() => {
        // The lease rule holds for the test too: first the handler, then what it undoes.
        let isIn = false
        return Effect.onExit(
          Effect.suspend(() => {
            isIn = true
            if (++wire.holders > concurrency) leaks.push(`wire ${wire.id} is in ${wire.holders} hands`)
            if (wire.closing > 0) leaks.push(`wire ${wire.id} was handed out after it was closed`)
            return effect
          }),
          () => Effect.sync(() => isIn && wire.holders--)
        )
      })
  }
  await scenario.prepare?.(stage)

  const fiber = hand.fork(scenario.target(stage))
  hand.target = fiber
  hand.interruptAtPrimitive = at.primitive ?? Infinity
  hand.disturb = () => (scenario.disturb === undefined ? fiber.interruptUnsafe() : scenario.disturb(stage))
  const first = hand.steps
  let wasInterrupted = false
  await hand.run(() => {
    if (fiber.pollUnsafe() !== undefined) return true
    if (hand.steps - first === at.step && !wasInterrupted) {
      wasInterrupted = true
      hand.disturb()
    }
    return false
  })
  const steps = hand.steps - first
  const { primitives } = hand
  hand.target = undefined
  wasInterrupted ||= primitives >= (at.primitive ?? Infinity)
  if (fiber.pollUnsafe() === undefined) leaks.push("the fiber does not end")
  await hand.rest()
  if (others.some((other) => other.pollUnsafe() === undefined)) leaks.push("another fiber does not end")

  // The audit.
  const { admission } = pool
  const expectZero = (...names: ReadonlyArray<"used" | "pending" | "creating" | "destroying">) => {
    for (const name of names) if (admission[name] !== 0) leaks.push(`${name} is ${admission[name]}`)
  }
  const expectOnce = (when: string, open: number) => {
    for (const wire of backend.wires) {
      if (wire.closing > 1) leaks.push(`${when}: wire ${wire.id} was closed ${wire.closing} times`)
      if (wire.holders !== 0) leaks.push(`${when}: wire ${wire.id} is in use`)
    }
    if (backend.open !== open) leaks.push(`${when}: ${backend.open} wires are open, the pool has ${open}`)
    const { acquired, created, destroyed, released } = admission.observer
    const gone = Object.values(destroyed).reduce((sum, count) => sum + count, 0)
    if (acquired !== released) leaks.push(`${when}: ${acquired} leases began, ${released} ended`)
    if (created - gone !== open) leaks.push(`${when}: ${created} created, ${gone} destroyed, ${open} left`)
  }
  expectZero("used", "pending", "creating", "destroying")
  expectOnce("at rest", admission.idle)
  if (pool.store.all.size !== admission.idle) leaks.push(`${pool.store.all.size} known, ${admission.idle} idle`)

  // Every place works at once: all are taken together, none waits for another.
  backend.acquire = backend.validate = backend.reset = backend.close = "ok"
  const places = admission.max * concurrency
  let inHands = 0
  let letGo = false
  const giveUpAt = hand.now + 150
  const holders = Array.from({ length: places }, () =>
    hand.fork(
      ConnectionPool.use(
        pool,
        stage.body(
          Effect.suspend(() => {
            if (++inHands === places) letGo = true
            const wait: Effect.Effect<void> = Effect.suspend(() =>
              letGo || hand.now > giveUpAt ? Effect.void : Effect.andThen(Effect.sleep(1), wait)
            )
            return wait
          })
        ),
        { acquireTimeout: 100 }
      )
    )
  )
  await hand.rest()
  if (inHands !== places) leaks.push(`only ${inHands} of ${places} places work`)
  if (holders.some((holder) => !Exit.isSuccess(holder.pollUnsafe() ?? Exit.die("runs"))))
    leaks.push("a later use failed")
  expectZero("used", "pending", "creating", "destroying")
  expectOnce("after use", admission.idle)

  const closing = hand.fork(Scope.close(scope, Exit.void))
  await hand.rest()
  if (closing.pollUnsafe() === undefined) leaks.push("closing does not end")
  expectOnce("closed", 0)
  if (hand.sleeps > 0) leaks.push(`${hand.sleeps} timers are left`)
  return { steps, primitives, wasInterrupted, leaks }
}

export interface Sweep {
  interruptions: number
  /** Different places, as a number of yield budget and step, or of primitive. */
  readonly steps: number
  readonly primitives: number
  readonly leaks: Array<string>
}

const budgets = Array.from({ length: 62 }, (_, index) => index + 3)

/** Interrupts a scenario everywhere. */
export const sweep = async (scenario: Scenario): Promise<Sweep> => {
  const leaks: Array<string> = []
  let interruptions = 0
  let steps = 0
  let primitives = 0
  const note = (run: Run, where: string) => {
    if (run.wasInterrupted) interruptions++
    for (const leak of run.leaks) leaks.push(`${where}: ${leak}`)
  }
  for (const maxOps of budgets) {
    const whole = await play(scenario, maxOps, {})
    note(whole, `budget ${maxOps}, not interrupted`)
    for (let step = 0; step < whole.steps; step++) {
      steps++
      note(await play(scenario, maxOps, { step }), `budget ${maxOps}, step ${step} of ${whole.steps}`)
    }
  }
  const whole = await play(scenario, 2048, {})
  for (let primitive = 1; primitive <= whole.primitives; primitive++) {
    primitives++
    note(await play(scenario, 2048, { primitive }), `primitive ${primitive} of ${whole.primitives}`)
  }
  return { interruptions, steps, primitives, leaks }
}
