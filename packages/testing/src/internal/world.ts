import { PoolRegistry, type PoolStats } from "@effect-pools/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Random from "effect/Random"
import * as References from "effect/References"
import { pseudoRandom } from "./pseudoRandom.ts"
import { StepRuntime } from "../StepRuntime.ts"

/** A {@link StepRuntime} that counts its fibers, remembers every pool, and is random in the same way each time. */
export class World {
  readonly runtime: StepRuntime
  readonly context: Context.Context<never>
  readonly registry: PoolRegistry.PoolRegistry
  /** Every pool that was ever opened. */
  readonly pools: Array<PoolRegistry.RegisteredPool> = []
  readonly #metrics: ReadonlyMap<string, unknown>
  #fibers = 0

  constructor(maxOpsBeforeYield?: number, seed = 1, isTraced = true) {
    this.runtime = new StepRuntime(maxOpsBeforeYield)
    const registry = Context.get(this.runtime.context, PoolRegistry.PoolRegistry)
    this.registry = {
      list: () => registry.list(),
      find: (name) => registry.find(name),
      claimUnsafe: (name) => registry.claimUnsafe(name),
      releaseUnsafe: (name) => registry.releaseUnsafe(name),
      addUnsafe: (pool) => {
        this.pools.push(pool)
        registry.addUnsafe(pool)
      }
    }
    this.#metrics = Context.get(this.runtime.context, Metric.MetricRegistry)
    const random = pseudoRandom(seed)
    this.context = this.runtime.context.pipe(
      Context.add(PoolRegistry.PoolRegistry, this.registry),
      Context.add(Random.Random, {
        nextDoubleUnsafe: random,
        nextIntUnsafe: () => Math.floor(random() * Number.MAX_SAFE_INTEGER)
      }),
      Context.add(References.TracerEnabled, isTraced),
      Context.add(Metric.FiberRuntimeMetrics, {
        recordFiberStart: () => void this.#fibers++,
        recordFiberEnd: () => void this.#fibers--
      })
    )
  }

  /** Starts a fiber with a task of its own, so that even its first primitive is a step. */
  fork<A, E>(effect: Effect.Effect<A, E>): Fiber.Fiber<A, E> {
    return this.start(Effect.andThen(Effect.yieldNow, effect))
  }

  /** Starts a fiber that runs at once as far as it goes without waiting. */
  start<A, E>(effect: Effect.Effect<A, E>): Fiber.Fiber<A, E> {
    return Effect.runForkWith(this.context)(effect)
  }

  /** Runs an effect to its end; fails as it fails, or if it does not end. */
  async finish<A, E>(effect: Effect.Effect<A, E>): Promise<A> {
    const fiber = this.fork(effect)
    await this.runtime.run(() => fiber.pollUnsafe() !== undefined)
    const exit = fiber.pollUnsafe()
    if (exit === undefined) throw new Error("What prepares the run does not end")
    return Effect.runSync(exit)
  }

  /** What is wrong with the pools that are open, at a time when nobody uses them. */
  inUse(): Array<string> {
    return this.registry.list().flatMap((pool) => wrongAtRest(Effect.runSync(pool.stats)))
  }

  /** What is wrong once everything is closed; fibers may be left if some of them cannot end. */
  leftovers(mayLeaveFibers = false): Array<string> {
    const found = this.pools.flatMap((pool) => wrongAtRest(Effect.runSync(pool.stats)))
    for (const pool of this.pools) {
      const { size } = Effect.runSync(pool.stats)
      if (size > 0) found.push(`pool ${pool.name} has ${size} items`)
    }
    for (const { name } of this.registry.list()) found.push(`pool ${name} is in the registry`)
    if (this.#metrics.size > 0) found.push(`${this.#metrics.size} metrics are left`)
    if (this.runtime.sleeps > 0) found.push(`${this.runtime.sleeps} timers are left`)
    if (this.#fibers > 0 && !mayLeaveFibers) found.push(`${this.#fibers} fibers are left`)
    return found
  }
}

const wrongAtRest = (stats: PoolStats.PoolStats): Array<string> => {
  const wrong: Array<string> = []
  const { acquired, created, idle, name, released } = stats
  for (const count of ["used", "pending", "creating", "destroying"] as const) {
    if (stats[count] !== 0) wrong.push(`pool ${name}: ${count} is ${stats[count]}`)
  }
  if (acquired !== released) wrong.push(`pool ${name}: ${acquired} leases began, ${released} ended`)
  const gone = Object.values(stats.destroyed).reduce((sum, count) => sum + count, 0)
  if (created - gone !== idle) wrong.push(`pool ${name}: ${created} created, ${gone} destroyed, ${idle} idle`)
  return wrong
}
