import * as Budget from "@effect-pools/core/Budget"
import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import * as Effect from "effect/Effect"
import * as Formatter from "effect/Formatter"
import type { Options as PoolOptions } from "../ConnectionPool.ts"
import type { KeyOptions, Options } from "../ConnectionPoolMap.ts"

/** The options after checking: every default filled in, every duration in milliseconds. */
export interface CheckedMap<K> {
  readonly name: string
  readonly lookup: (key: K) => unknown
  /** How many permits the map's own budget is to have; else it shares `budget`. */
  readonly max: number | undefined
  readonly budget: Budget.Budget | undefined
  readonly maxPerKey: number
  readonly idleTimeToLive: unknown
  readonly capacity: number
  readonly lookupTimeout: number
  readonly leakDetection: PoolOptions<any, any, any>["leakDetection"]
}

const fields = new Set<keyof Options<any, any, any, any>>([
  "name",
  "lookup",
  "max",
  "budget",
  "maxPerKey",
  "idleTimeToLive",
  "capacity",
  "lookupTimeout",
  "leakDetection"
])
const shareFields = new Set(["minimum", "weight"])
const forever = { infinity: true } as const

let unnamed = 0

/** Checks everything that does not depend on a key, or throws `InvalidOptions`. */
export const checkMapOptions = <K>(options: Options<K, any, any, any, any, any>): CheckedMap<K> => {
  const nameless = new InvalidOptions.Checks("connection pool map")
  if (typeof options !== "object" || options === null) return nameless.refuse("options", options, "must be an object")
  const name = nameless.name(options.name, () => `connection-pool-map-${++unnamed}`)
  const checks = new InvalidOptions.Checks(name)
  checks.known(options, fields)
  const { budget, idleTimeToLive, max } = options
  if (typeof options.lookup !== "function") checks.refuse("lookup", options.lookup, "must be a function")
  if (budget !== undefined && !Budget.isBudget(budget)) checks.refuse("budget", budget, "must be a Budget")
  if (budget !== undefined && max !== undefined) {
    checks.refuse("max", max, `must not be given beside a budget, which has a max of its own (${budget.max})`)
  }
  if (budget === undefined && max === undefined) checks.refuse("max", max, "must be given, or a budget in its place")
  if (typeof idleTimeToLive !== "function") checks.millis("idleTimeToLive", idleTimeToLive, 0, forever)
  checks.millis("leakDetection", options.leakDetection, 0, forever)
  return {
    name,
    lookup: options.lookup,
    max: max === undefined ? undefined : checks.integer("max", max, 1, 1),
    budget,
    maxPerKey: checks.integer("maxPerKey", options.maxPerKey, 10, 1),
    idleTimeToLive,
    capacity: checks.limit("capacity", options.capacity, Infinity, 1),
    lookupTimeout: checks.millis("lookupTimeout", options.lookupTimeout, 30_000, forever),
    leakDetection: options.leakDetection
  }
}

/** For how long nobody has to use this key until its pool is closed, in milliseconds. */
export const checkIdleTimeToLive = <K>(map: CheckedMap<K>, key: K, pool: string): number => {
  const given: unknown = typeof map.idleTimeToLive === "function" ? map.idleTimeToLive(key) : map.idleTimeToLive
  return new InvalidOptions.Checks(pool).millis("idleTimeToLive", given as never, 300_000, forever)
}

/** What the pool of a key is opened with: its own options, and those that it has of the map. */
export const completeOptions = <A, E, R>(
  map: CheckedMap<any>,
  budget: Budget.Budget,
  pool: string,
  options: KeyOptions<A, E, R>
): PoolOptions<A, E, R> => {
  const checks = new InvalidOptions.Checks(pool)
  if (typeof options !== "object" || options === null)
    return checks.refuse("lookup", options, "must answer with options")
  const { budget: share, ...own } = options
  if (Budget.isBudget(share)) checks.refuse("budget", share, "must be a share in that of the map")
  checks.group("budget", share, shareFields)
  return InvalidOptions.withDefaults<PoolOptions<A, E, R>>(
    { ...own, budget: { ...share, budget } },
    { name: pool, max: map.maxPerKey, leakDetection: map.leakDetection }
  )
}

/** What `lookup` answers, as an effect. */
export const lookUp = (map: CheckedMap<any>, key: unknown): Effect.Effect<KeyOptions<any, any, any>, any, any> =>
  Effect.suspend(() => {
    const options = map.lookup(key)
    return Effect.isEffect(options) ? (options as Effect.Effect<any>) : Effect.succeed(options as any)
  })

/** A key as part of a pool's name. */
export const inWords = (key: unknown): string => {
  let words: string
  try {
    words = typeof key === "string" ? key : Formatter.format(key)
  } catch {
    words = "a key that cannot be shown"
  }
  const line = words.replace(/[\p{Cc}\s]+/gu, " ")
  return line.length > LONGEST ? `${line.slice(0, LONGEST - 1)}…` : line
}

const LONGEST = 80
