import type { Pool, PoolEvent } from "@effect-pools/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Random from "effect/Random"
import { MaxOpsBeforeYield } from "effect/Scheduler"
import * as Scope from "effect/Scope"
import { type GateFailure, Gates, type Item } from "../Gates.ts"
import { StepRuntime } from "../StepRuntime.ts"
import type * as Subject from "../Subject.ts"
import type * as Cases from "./cases.ts"
import { type Invariant, Model } from "./model.ts"

/** In milliseconds. */
export const TIMES = { acquireTimeout: 2000, createTimeout: 400, destroyTimeout: 300, closeGrace: 500 } as const

export type AnyPool = Pool.Pool<any, GateFailure>

export type Settings = Subject.Settings & {
  readonly createTimeout: number
  readonly min: number
  readonly max: number
  readonly maxCreating: number
  readonly concurrency: number
}

export interface Violation {
  readonly invariant: Invariant
  readonly what: string
}

/** A pool and what surrounds it in a model run: its resource, the steps in which it runs, and the model beside it. */
export class World<P extends AnyPool> {
  readonly lacks: { readonly [T in Subject.Trait]?: string }
  readonly settings: Settings
  readonly runtime: StepRuntime
  readonly gates = new Gates()
  readonly model: Model
  readonly scope = Scope.makeUnsafe()
  pool!: P
  /** The first: what comes after it may be its consequence. */
  violation: Violation | undefined = undefined
  /** Those who close or drain the pool. */
  readonly closers: Array<Fiber.Fiber<unknown, unknown>> = []
  /** Some step never ends, or not when it should: what it works on may outlast everything. */
  isHung = false
  /** Fibers of the pool. */
  fibers = 0
  /** What is called before every step. */
  onStep = (): void => {}

  constructor(settings: Cases.Settings, lacks: { readonly [T in Subject.Trait]?: string }) {
    this.lacks = lacks
    const { check, maxOpsBeforeYield, maxWaiters, validate } = settings
    const max = settings.max ?? 1
    const min = Math.min(settings.min ?? 0, max)
    const concurrency = settings.concurrency ?? 1
    this.settings = {
      name: "model",
      ...TIMES,
      createTimeout: settings.createTimeout ?? TIMES.createTimeout,
      min,
      max,
      maxCreating: lacks.creationLimit === undefined ? (settings.maxCreating ?? 2) : Infinity,
      concurrency,
      ...(maxWaiters === undefined ? {} : { maxWaiters }),
      steps: (["validate", "reset", "check"] as const).filter((step) => settings[step] === true)
    }
    this.runtime = new StepRuntime(maxOpsBeforeYield)
    this.model = new Model(
      {
        min,
        max,
        maxWaiters: maxWaiters ?? Infinity,
        concurrency,
        isIdleUncertain: validate === true || check === true
      },
      (invariant, what) => this.broken(invariant, what)
    )
  }

  get now(): number {
    return this.runtime.now
  }

  broken(invariant: Invariant, what: string): void {
    this.violation ??= { invariant, what }
  }

  /** How the resource is doing, beside what the gates count: when each item was made or validated, and last worked. */
  readonly passed = new Map<Item, number>()
  readonly worked = new Map<Item, number>()

  /** The gates as the pool gets them. */
  observedGates(): Gates {
    const { gates } = this
    const passes = (item: Item) => void this.passed.set(item, this.now)
    const works = (item: Item) => void this.worked.set(item, this.now)
    const observed = (step: (item: Item) => Effect.Effect<unknown, GateFailure>, note: (item: Item) => void) => ({
      value: (item: Item) => Effect.tap(step(item), (answer) => Effect.sync(() => answer === false || note(item)))
    })
    return Object.create(gates, {
      make: {
        value: Effect.tap(gates.make, (item) => Effect.sync(() => (passes(item), works(item))))
      },
      onValidate: observed(gates.onValidate, (item) => (passes(item), works(item))),
      onCheck: observed(gates.onCheck, works)
    }) as Gates
  }

  /** Opens the pool; `hear` is told of every transition, from the first. */
  async open(make: Effect.Effect<P, unknown, Scope.Scope>, hear: (event: PoolEvent.PoolEvent) => void): Promise<void> {
    const logger = Logger.make<unknown, void>(({ message }) => {
      const text = (Array.isArray(message) ? message : [message]).map(String).join(" ")
      if (text.includes("BUG")) this.broken(12, text)
    })
    // What is done in one step does not yield.
    const maxOps = this.lacks.time === undefined ? this.runtime.context : Context.empty()
    const surroundings = Context.make(Scope.Scope, this.scope).pipe(
      Context.add(Logger.CurrentLoggers, new Set([logger])),
      Context.add(MaxOpsBeforeYield, Context.get(maxOps, MaxOpsBeforeYield)),
      Context.add(Metric.FiberRuntimeMetrics, {
        recordFiberStart: () => void this.fibers++,
        recordFiberEnd: () => void this.fibers--
      })
    )
    const opening = Effect.map(make, (pool) => {
      pool.admission.observer.listen(hear)
      this.pool = pool
    })
    await this.runtime.finish(Effect.provideContext(Effect.orDie(Random.withSeed(opening, "model")), surroundings))
  }

  /** Does what is done in one step. */
  sync<A, E>(effect: Effect.Effect<A, E>): Exit.Exit<A, E> {
    return Effect.runSyncExitWith(this.runtime.context)(effect)
  }

  async steps(count: number): Promise<void> {
    await this.#run(() => count-- <= 0, this.now)
  }

  /** Goes on until nothing is left to do before `millis` have passed. */
  async advance(millis: number): Promise<void> {
    // What was done outside of a fiber may be due as a microtask, before time passes.
    if (millis > 0) await this.#run(() => false, this.now)
    const horizon = this.now + millis
    await this.#run(() => false, horizon)
    this.runtime.now = horizon
  }

  async #run(until: () => boolean, horizon: number): Promise<void> {
    if (this.violation !== undefined) return
    try {
      await this.runtime.run(() => (this.onStep(), this.violation !== undefined || until()), horizon)
      this.onStep()
    } catch (error) {
      this.broken(11, String(error))
    }
  }

  poolInWords(): string {
    const { creating, destroying, idle, lifecycle, pending, used } = this.pool.admission
    return `${lifecycle}, ${used} used, ${pending} pending, ${idle} idle, ${creating} creating, ${destroying} destroying`
  }
}
