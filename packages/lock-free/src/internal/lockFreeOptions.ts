import * as Budget from "@effect-pools/core/Budget"
import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import * as Pool from "@effect-pools/core/Pool"
import type * as SynchronousStore from "@effect-pools/core/SynchronousStore"
import * as Cause from "effect/Cause"
import type { Options, Scale } from "../LockFreePool.ts"

/** The options after checking: every default filled in, every duration in milliseconds. */
export interface Checked<A, E> {
  readonly name: string
  readonly steps: SynchronousStore.Steps<A, E>
  /** As many there always are: `max` in a static pool, else none. */
  readonly min: number
  readonly max: number
  /** How many are made when the pool opens. */
  readonly initial: number
  /** By how many it grows; 0 doubles. */
  readonly chunk: number
  readonly waits: boolean
  readonly acquireTimeout: number
  readonly maxWaiters: number
  readonly closeGrace: number
  readonly budget: Budget.CheckedShare | undefined
  /** `Infinity` while leak detection is off. */
  readonly leakThreshold: number
}

const fields = new Set<keyof Options<any, any, any>>([
  "name",
  "create",
  "reset",
  "destroy",
  "catch",
  "context",
  "scale",
  "wait",
  "acquireTimeout",
  "maxWaiters",
  "closeGrace",
  "budget",
  "leakDetection"
])

const scaleFields = { static: new Set(["mode", "count"]), auto: new Set(["mode", "initial", "maximum", "chunk"]) }

/** Checks everything, or throws `InvalidOptions`. */
export const checkOptions = <A, E, C>(options: Options<A, E, C>): Checked<A, E> => {
  const unnamed = new InvalidOptions.Checks("lock-free pool")
  if (typeof options !== "object" || options === null) return unnamed.refuse("options", options, "must be an object")
  const name = unnamed.name(options.name, () => Pool.generateName("lock-free"))
  const checks = new InvalidOptions.Checks(name)
  checks.known(options, fields)
  const waits = options.wait ?? false
  if (typeof waits !== "boolean") checks.refuse("wait", waits, "must be true or false")
  const limits = { zero: true, infinity: true } as const
  const acquireTimeout = checks.millis("acquireTimeout", options.acquireTimeout, 30_000, limits)
  return {
    name,
    steps: stepsOf(checks, options),
    ...scaleOf(checks, options.scale),
    waits,
    acquireTimeout: waits ? acquireTimeout : 0,
    maxWaiters: checks.limit("maxWaiters", options.maxWaiters, Infinity, 0),
    closeGrace: checks.millis("closeGrace", options.closeGrace, 30_000, limits),
    budget: Budget.check(checks, options.budget),
    leakThreshold: checks.millis("leakDetection", options.leakDetection, Infinity, { infinity: true })
  }
}

const scaleOf = (
  checks: InvalidOptions.Checks,
  scale: Scale
): Pick<Checked<any, any>, "min" | "max" | "initial" | "chunk"> => {
  checks.group("scale", scale, new Set([...scaleFields.static, ...scaleFields.auto]))
  if (scale === undefined) return checks.refuse("scale", scale, "must be given")
  checks.oneOf("scale.mode", scale.mode ?? ("none" as never), "static", ["static", "auto"])
  checks.group("scale", scale, scaleFields[scale.mode])
  if (scale.mode === "static") {
    if (scale.count === undefined) return checks.refuse("scale.count", scale.count, "must be given")
    const count = checks.integer("scale.count", scale.count, 1, 1)
    return { min: count, max: count, initial: 0, chunk: 1 }
  }
  const max = checks.limit("scale.maximum", scale.maximum, Infinity, 1)
  const initial = checks.integer("scale.initial", scale.initial, 0, 0)
  if (initial > max) checks.refuse("scale.initial", initial, `must not exceed maximum (${max})`)
  return { min: 0, max, initial, chunk: checks.integer("scale.chunk", scale.chunk, 1, 0) }
}

const stepsOf = <A, E, C>(checks: InvalidOptions.Checks, options: Options<A, E, C>): SynchronousStore.Steps<A, E> => {
  // What is missing is refused like what is no function.
  const required = <F>(field: string, f: F): F => checks.callback(field, f ?? (null as F))!
  const create = required("create", options.create)
  const reset = required("reset", options.reset)
  const destroy = checks.callback("destroy", options.destroy)
  const typed = checks.callback("catch", options.catch)
  const context = options.context as C
  return {
    make: () => create(context),
    // A promise, which is no answer, is not `true` either.
    reset: (item) => reset(item, context) === true,
    destroy: destroy === undefined ? undefined : (item) => destroy(item, context),
    failure: (thrown) => (typed === undefined ? Cause.die(thrown) : asFailure(typed, thrown))
  }
}

const asFailure = <E>(typed: (thrown: unknown) => E, thrown: unknown): Cause.Cause<E> => {
  try {
    return Cause.fail(typed(thrown))
  } catch (error) {
    return Cause.die(error)
  }
}
