import * as Budget from "@effect-pools/core/Budget"
import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import * as Pool from "@effect-pools/core/Pool"
import * as Effect from "effect/Effect"
import type { ResourceOptions } from "../Resource.ts"
import type { Options, ResourcePool } from "../ResourcePool.ts"

/** The options of a pool after checking. Durations are in milliseconds. */
export interface Checked {
  readonly name: string
  readonly min: number
  readonly max: number
  readonly acquireTimeout: number
  readonly maxWaiters: number
  readonly createTimeout: number
  readonly destroyTimeout: number
  readonly closeGrace: number
  readonly budget: Budget.CheckedShare | undefined
  readonly leakThreshold: number
}

const fields = new Set<keyof Options>([
  "name",
  "max",
  "acquireTimeout",
  "maxWaiters",
  "allocateTimeout",
  "releaseTimeout",
  "closeGrace",
  "budget",
  "leakDetection"
])

export const checkOptions = (options: Options): Checked => {
  const unnamed = new InvalidOptions.Checks("resource pool")
  if (typeof options !== "object" || options === null) return unnamed.refuse("options", options, "must be an object")
  const checks = new InvalidOptions.Checks(unnamed.name(options.name, () => Pool.generateName("resource")))
  checks.known(options, fields)
  if (options.max === undefined) checks.refuse("max", options.max, "must be given")
  const forever = { infinity: true }
  const zero = { zero: true, infinity: true }
  return {
    name: checks.pool,
    min: 0,
    max: checks.integer("max", options.max, 1, 1),
    acquireTimeout: checks.millis("acquireTimeout", options.acquireTimeout, 30_000, zero),
    maxWaiters: checks.limit("maxWaiters", options.maxWaiters, Infinity, 0),
    createTimeout: checks.millis("allocateTimeout", options.allocateTimeout, 10_000, forever),
    destroyTimeout: checks.millis("releaseTimeout", options.releaseTimeout, 5000, forever),
    closeGrace: checks.millis("closeGrace", options.closeGrace, 30_000, zero),
    budget: Budget.check(checks, options.budget),
    leakThreshold: checks.millis("leakDetection", options.leakDetection, Infinity, forever)
  }
}

/** The options of one resource after checking. */
export interface CheckedResource {
  readonly name: string
  readonly weight: number
}

const resourceFields = new Set<keyof ResourceOptions<any, any, any, any, any>>([
  "allocate",
  "release",
  "name",
  "weight"
])

let unnamedResources = 0

export const checkResource = (
  { admission: { max, permits }, name: pool }: ResourcePool,
  options: ResourceOptions<any, any, any, any, any>
): CheckedResource => {
  const checks = new InvalidOptions.Checks(pool)
  if (typeof options !== "object" || options === null) return checks.refuse("options", options, "must be an object")
  checks.known(options, resourceFields)
  if (!Effect.isEffect(options.allocate)) checks.refuse("allocate", options.allocate, "must be an Effect")
  checks.callback("release", options.release)
  const weight = checks.integer("weight", options.weight, 1, 1)
  if (weight > max) checks.refuse("weight", weight, `must not exceed the pool's max (${max})`)
  if (permits !== undefined) {
    const { budget, minimum, weight: each } = permits.share
    const most = Math.floor((budget.open + minimum) / each)
    if (weight > most) checks.refuse("weight", weight, `must not exceed what the budget has for it (${most})`)
  }
  return { name: checks.name(options.name, () => `resource-${++unnamedResources}`), weight }
}
