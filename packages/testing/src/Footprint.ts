/**
 * What a program keeps: memory, objects, active handles.
 *
 * Memory is measured after forced collections, over rounds of the same work, so that what the work leaves behind can be
 * told from what it needs while it goes on. Needs no flag of Node.
 *
 * @since 0.1.0
 */
import { InvalidOptions } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import { queryObjects, setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

/**
 * Collects all garbage, in a turn of the event loop of its own.
 *
 * @category operations
 * @since 0.1.0
 */
export const collect: Effect.Effect<void> = Effect.callback((resume) => {
  // What a WeakRef was asked for is kept until its turn is over.
  setImmediate(() => {
    collectUnsafe()
    resume(Effect.void)
  })
})

/**
 * The bytes in use once all garbage is collected: on the heap, and in buffers outside of it.
 *
 * @category operations
 * @since 0.1.0
 */
export const memory: Effect.Effect<number> = Effect.map(collect, () => {
  const { external, heapUsed } = process.memoryUsage()
  return heapUsed + external
})

/**
 * What rounds of work left behind.
 *
 * @category models
 * @since 0.1.0
 */
export interface Growth {
  /** Bytes that each unit of work has left behind. Close to 0, and as often below, if it leaves nothing. */
  readonly perUnit: number
  /** How many units were measured, without those of the warm-up. */
  readonly units: number
  /** The bytes in use after each round, the first being those before the first measured round. */
  readonly samples: ReadonlyArray<number>
}

/**
 * @category options
 * @since 0.1.0
 */
export interface GrowthOptions<E, R> {
  /** What is measured, every time all of it. */
  readonly round: Effect.Effect<unknown, E, R>
  /** How many pieces of work a round does. */
  readonly units: number
  /** How many rounds go before the first measured one. Default 2. */
  readonly warmUp?: number | undefined
  /** How many rounds are measured. Default 6. */
  readonly rounds?: number | undefined
  /** How many bytes may stay with a unit: if more do, it is measured again. Default: it is not. */
  readonly bound?: number | undefined
}

/**
 * Repeats a round of work and tells how memory grows with it.
 *
 * **Details**
 *
 * A round does `units` pieces of work. After `warmUp` rounds (default 2), in which code is compiled and caches fill, come
 * `rounds` measured ones (default 6). The growth is the median over all pairs of measurements of the slope between them
 * (Theil and Sen), so that a measurement that is off does
 * not count and a steady climb does. Fails with `InvalidOptions` unless all of them are whole numbers, and all but
 * `warmUp` at least 1.
 *
 * With a `bound`, what comes out above it is measured again, all rounds of it, up to twice; the last growth is the answer.
 * On a busy machine code is compiled late, and memory that this takes comes and goes; what work leaves behind stays in every
 * measurement.
 *
 * **Example** (An effect that keeps something)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Footprint } from "@effect-pools/testing"
 *
 * const kept: Array<object> = []
 * const leaky = Effect.sync(() => {
 *   for (let n = 0; n < 10_000; n++) kept.push({ n })
 * })
 *
 * const program = Effect.gen(function*() {
 *   const { perUnit } = yield* Footprint.growth({ round: leaky, units: 10_000 })
 *   yield* Effect.log(`${Math.round(perUnit)} bytes stay with each`)
 * })
 * ```
 *
 * @category operations
 * @since 0.1.0
 */
export const growth = Effect.fnUntraced(function* <E, R>(
  options: GrowthOptions<E, R>
): Effect.fn.Return<Growth, E | InvalidOptions.InvalidOptions, R> {
  const { bound, round, rounds, units, warmUp } = yield* InvalidOptions.check(() => checkGrowth(options))
  for (let n = 0; n < warmUp; n++) yield* round
  let growth = yield* measure(round, units, rounds)
  for (let again = 0; again < 2 && growth.perUnit > bound; again++) growth = yield* measure(round, units, rounds)
  return growth
})

const measure = Effect.fnUntraced(function* <E, R>(
  round: Effect.Effect<unknown, E, R>,
  units: number,
  rounds: number
): Effect.fn.Return<Growth, E, R> {
  const samples = [yield* memory]
  for (let n = 0; n < rounds; n++) {
    yield* round
    samples.push(yield* memory)
  }
  return { perUnit: medianSlope(samples) / units, units: units * rounds, samples }
})

const checkGrowth = <E, R>(options: GrowthOptions<E, R>) => {
  const checks = new InvalidOptions.Checks("footprint")
  checks.known(options, new Set(["round", "units", "warmUp", "rounds", "bound"]))
  if (!Effect.isEffect(options.round)) checks.refuse("round", options.round, "must be an Effect")
  if (options.units === undefined) checks.refuse("units", options.units, "is required")
  return {
    round: options.round,
    units: checks.integer("units", options.units, 1, 1),
    warmUp: checks.integer("warmUp", options.warmUp, 2, 0),
    rounds: checks.integer("rounds", options.rounds, 6, 1),
    bound: checks.finite("bound", options.bound, Infinity, 0)
  }
}

/**
 * How many objects of a class there are in the whole process that something still refers to.
 *
 * **Gotchas**
 *
 * Asks Node's `v8.queryObjects`, which goes through the whole heap, some tenths of a second, and warns that it is
 * experimental.
 *
 * @category operations
 * @since 0.1.0
 */
export const instances = (constructor: abstract new (...args: never) => unknown): Effect.Effect<number> =>
  Effect.sync(() => queryObjects(constructor, { format: "count" }))

/**
 * What keeps the process from ending, by kind: timers, sockets, child processes.
 *
 * @category operations
 * @since 0.1.0
 */
export const handles: Effect.Effect<ReadonlyMap<string, number>> = Effect.callback((resume) => {
  // They become handles when they are first used, which is no leak.
  void [process.stdout, process.stderr]
  // In a turn that no timer has started: that timer would be active still.
  setImmediate(() => {
    const kinds = new Map<string, number>()
    for (const kind of process.getActiveResourcesInfo()) kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
    resume(Effect.succeed(kinds))
  })
})

/**
 * The kinds of which there are more now than before, with how many more.
 *
 * @category operations
 * @since 0.1.0
 */
export const more = (now: ReadonlyMap<string, number>, before: ReadonlyMap<string, number>): Array<string> =>
  Array.from(now)
    .map(([kind, count]) => [kind, count - (before.get(kind) ?? 0)] as const)
    .filter(([, count]) => count > 0)
    .map(([kind, count]) => `${count} ${kind}`)

let gc: (() => void) | undefined

const collectUnsafe = (): void => {
  if (gc === undefined) {
    setFlagsFromString("--expose-gc")
    gc = runInNewContext("gc") as () => void
  }
  // Buffers are freed in the background; the second collection waits for the first one's.
  gc()
  gc()
}

const medianSlope = (samples: ReadonlyArray<number>): number => {
  const slopes: Array<number> = []
  for (let to = 1; to < samples.length; to++) {
    for (let from = 0; from < to; from++) slopes.push((samples[to]! - samples[from]!) / (to - from))
  }
  slopes.sort((a, b) => a - b)
  return (slopes[Math.floor((slopes.length - 1) / 2)]! + slopes[Math.ceil((slopes.length - 1) / 2)]!) / 2
}
