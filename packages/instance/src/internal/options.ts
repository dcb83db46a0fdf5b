import * as Budget from "@effect-pools/core/Budget"
import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import * as Pool from "@effect-pools/core/Pool"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Options } from "../InstancePool.ts"

/** The options after checking: every default filled in, every duration in milliseconds. */
export interface Checked<A, E> {
  readonly name: string
  readonly acquire: Effect.Effect<A, E, Scope.Scope>
  /** How many instances are built ahead. */
  readonly min: number
  readonly max: number
  readonly waits: boolean
  readonly acquireTimeout: number
  readonly maxWaiters: number
  readonly createTimeout: number
  readonly preparedMaxAge: number
  readonly destroyTimeout: number
  readonly closeGrace: number
  readonly budget: Budget.CheckedShare | undefined
  /** `Infinity` while leak detection is off. */
  readonly leakThreshold: number
}

const fields = new Set<keyof Options<any, any, any>>([
  "name",
  "create",
  "max",
  "onExhausted",
  "acquireTimeout",
  "maxWaiters",
  "createTimeout",
  "prepare",
  "preparedMaxAge",
  "destroyTimeout",
  "closeGrace",
  "budget",
  "leakDetection"
])

/** Checks everything, or throws `InvalidOptions`. */
export const checkOptions = <A, E>(options: Options<A, E, any>): Checked<A, E> => {
  const unnamed = new InvalidOptions.Checks("instance pool")
  if (typeof options !== "object" || options === null) return unnamed.refuse("options", options, "must be an object")
  const name = unnamed.name(options.name, () => Pool.generateName("instance"))
  const checks = new InvalidOptions.Checks(name)
  checks.known(options, fields)
  if (!Effect.isEffect(options.create)) checks.refuse("create", options.create, "must be an Effect")
  const forever = { infinity: true } as const
  const max = checks.integer("max", options.max, 4, 1)
  const min = checks.integer("prepare", options.prepare, 0, 0)
  if (min > max) checks.refuse("prepare", min, `must not exceed max (${max})`)
  return {
    name,
    acquire: options.create as Effect.Effect<A, E, Scope.Scope>,
    min,
    max,
    waits: checks.oneOf("onExhausted", options.onExhausted, "fail", ["fail", "wait"]) === "wait",
    acquireTimeout: checks.millis("acquireTimeout", options.acquireTimeout, 30_000, { zero: true, infinity: true }),
    maxWaiters: checks.limit("maxWaiters", options.maxWaiters, Infinity, 0),
    createTimeout: checks.millis("createTimeout", options.createTimeout, 10_000, forever),
    preparedMaxAge: checks.millis("preparedMaxAge", options.preparedMaxAge, Infinity, forever),
    destroyTimeout: checks.millis("destroyTimeout", options.destroyTimeout, 5000, forever),
    closeGrace: checks.millis("closeGrace", options.closeGrace, 30_000, { zero: true, infinity: true }),
    budget: Budget.check(checks, options.budget),
    leakThreshold: checks.millis("leakDetection", options.leakDetection, Infinity, forever)
  }
}
