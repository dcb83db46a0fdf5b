import * as Budget from "@effect-pools/core/Budget"
import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import * as Pool from "@effect-pools/core/Pool"
import type { ArenaBacking, ArenaMemory } from "../ArenaBacking.ts"
import type { Options } from "../ArenaPool.ts"
import { checkBacking, checkBoolean, checkSize } from "./options.ts"

/** The options after checking: every default filled in, every duration in milliseconds. */
export interface Checked<M extends ArenaMemory> {
  readonly name: string
  readonly size: number
  readonly backing: ArenaBacking<M>
  readonly checked: boolean
  readonly chains: boolean
  readonly cap: number
  /** How many are made at the beginning, and left by `idleTimeToLive`. */
  readonly min: number
  readonly max: number
  readonly acquireTimeout: number
  readonly maxWaiters: number
  readonly clears: boolean
  /** `Infinity` while pages are returned by hand alone. */
  readonly releaseIdleAfter: number
  readonly idleTimeToLive: number
  readonly closeGrace: number
  readonly budget: Budget.CheckedShare | undefined
  /** `Infinity` while leak detection is off. */
  readonly leakThreshold: number
}

const fields = new Set<keyof Options<any>>([
  "size",
  "name",
  "backing",
  "checked",
  "overflow",
  "cap",
  "prewarm",
  "maxOutstanding",
  "acquireTimeout",
  "maxWaiters",
  "clear",
  "releaseIdleAfter",
  "idleTimeToLive",
  "closeGrace",
  "budget",
  "leakDetection"
])

/**
 * How many idle arenas are kept unless the pool is told: more than a single thread has in use at a time, as a rule, and
 * few enough that arenas of a mebibyte hold 16 MiB after the busiest moment.
 */
const DEFAULT_CAP = 16

/** Checks everything, or throws `InvalidOptions`. */
export const checkPoolOptions = <M extends ArenaMemory>(options: Options<M>): Checked<M> => {
  const unnamed = new InvalidOptions.Checks("arena pool")
  if (typeof options !== "object" || options === null) return unnamed.refuse("options", options, "must be an object")
  const name = unnamed.name(options.name, () => Pool.generateName("arena"))
  const checks = new InvalidOptions.Checks(name)
  checks.known(options, fields)
  const forever = { infinity: true } as const
  const backing = checkBacking(checks, "backing", options.backing)
  const cap = checks.limit("cap", options.cap, DEFAULT_CAP, 0)
  const max = checks.integer("maxOutstanding", options.maxOutstanding, Infinity, 1)
  const min = checks.integer("prewarm", options.prewarm, 0, 0)
  if (min > cap) checks.refuse("prewarm", min, `must not exceed cap (${cap})`)
  if (min > max) checks.refuse("prewarm", min, `must not exceed maxOutstanding (${max})`)
  const releaseIdleAfter = checks.millis("releaseIdleAfter", options.releaseIdleAfter, Infinity, forever)
  if (releaseIdleAfter !== Infinity && !backing.canRelease) {
    const rule = `must be left out: the backing "${backing.name}" cannot return pages`
    checks.refuse("releaseIdleAfter", options.releaseIdleAfter, rule)
  }
  const size = checkSize(checks, "size", options.size)
  return {
    name,
    size,
    backing,
    checked: checkBoolean(checks, "checked", options.checked),
    chains: checks.oneOf("overflow", options.overflow, "fail", ["fail", "chain"]) === "chain",
    cap,
    min,
    max,
    acquireTimeout: checks.millis("acquireTimeout", options.acquireTimeout, 30_000, { zero: true, infinity: true }),
    maxWaiters: checks.limit("maxWaiters", options.maxWaiters, Infinity, 0),
    clears: checks.oneOf("clear", options.clear, "none", ["none", "onReturn"]) === "onReturn",
    releaseIdleAfter,
    idleTimeToLive: checks.millis("idleTimeToLive", options.idleTimeToLive, Infinity, forever),
    closeGrace: checks.millis("closeGrace", options.closeGrace, 30_000, { zero: true, infinity: true }),
    budget: Budget.check(checks, options.budget, size),
    leakThreshold: checks.millis("leakDetection", options.leakDetection, Infinity, forever)
  }
}
