import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import * as Pool from "@effect-pools/core/Pool"
import type * as InstancePool from "@effect-pools/instance/InstancePool"
import { hasProperty } from "effect/Predicate"
import * as Rpc from "effect/rpc/Rpc"
import { type ResourceLimits, Worker, type WorkerOptions } from "node:worker_threads"
import { isAbsolute } from "node:path"
import { inspect } from "node:util"
import type { Options, PoolOptions } from "../WorkerInstancePool.ts"

/** The options after sorting; what the pool takes is checked by the pool. */
export interface Sorted {
  readonly name: string
  readonly spawn: () => Worker
  /** In milliseconds. */
  readonly callTimeout: number
  readonly exitGrace: number
  readonly pool: Omit<InstancePool.Options<any, any, any>, "create">
}

const poolFields = {
  name: true,
  max: true,
  onExhausted: true,
  acquireTimeout: true,
  maxWaiters: true,
  createTimeout: true,
  prepare: true,
  preparedMaxAge: true,
  destroyTimeout: true,
  closeGrace: true,
  budget: true,
  leakDetection: true
} satisfies Record<keyof PoolOptions, true>

const ownFields = {
  group: true,
  spawn: true,
  workerData: true,
  env: true,
  argv: true,
  execArgv: true,
  resourceLimits: true,
  callTimeout: true,
  exitGrace: true
} satisfies Record<Exclude<keyof Options<any>, keyof PoolOptions>, true>

/** In megabytes. Beyond these the engine ends the whole process when a worker starts. */
const limitFields = {
  maxOldGenerationSizeMb: { least: 8 },
  maxYoungGenerationSizeMb: {},
  codeRangeSizeMb: { most: 512 },
  stackSizeMb: { least: 0.5 }
} satisfies Record<keyof ResourceLimits, { readonly least?: number; readonly most?: number }>

/** Tells the worker's options from the pool's, or throws `InvalidOptions`. */
export const sortOptions = <Rpcs extends Rpc.Any>(options: Options<Rpcs>): Sorted => {
  const unnamed = new InvalidOptions.Checks("worker pool")
  if (typeof options !== "object" || options === null) return unnamed.refuse("options", options, "must be an object")
  const name = unnamed.name(options.name, () => Pool.generateName("worker"))
  const checks = new InvalidOptions.Checks(name)
  checks.known(options, new Set(Object.keys({ ...poolFields, ...ownFields })))
  if (!isGroup(options.group)) checks.refuse("group", options.group, "must be an RpcGroup")
  const pool = Object.entries(options).filter(([field]) => field in poolFields)
  return {
    name,
    spawn: spawnOf(checks, options, name),
    callTimeout: checks.millis("callTimeout", options.callTimeout, 30_000, { infinity: true }),
    exitGrace: checks.millis("exitGrace", options.exitGrace, 100, { zero: true }),
    pool: { ...Object.fromEntries(pool), name }
  }
}

const isGroup = (group: unknown): boolean =>
  hasProperty(group, "requests") && group.requests instanceof Map && [...group.requests.values()].every(Rpc.isRpc)

const spawnOf = (checks: InvalidOptions.Checks, options: Options<any>, name: string): (() => Worker) => {
  const workerOptions: WorkerOptions = { name, workerData: options.workerData }
  const env = checkEnv(checks, options.env)
  const argv = checkStrings(checks, "argv", options.argv)
  const execArgv = checkStrings(checks, "execArgv", options.execArgv)
  const resourceLimits = checkLimits(checks, options.resourceLimits)
  if (env !== undefined) workerOptions.env = env
  if (argv !== undefined) workerOptions.argv = argv
  if (execArgv !== undefined) workerOptions.execArgv = execArgv
  if (resourceLimits !== undefined) workerOptions.resourceLimits = resourceLimits
  const { spawn } = options
  if (typeof spawn === "function") return () => theWorker(spawn({ ...workerOptions }))
  checkScript(checks, spawn)
  return () => new Worker(spawn, workerOptions)
}

/** What `spawn` has answered with, at once: a worker that comes later would be nobody's. */
const theWorker = (spawned: unknown): Worker => {
  const isWorker = ["on", "postMessage", "terminate"].every((method) => hasProperty(spawned, method))
  if (isWorker) return spawned as Worker
  throw new TypeError(`"spawn" must return a Worker, but has returned ${inspect(spawned, { depth: 0 })}`)
}

/** What Node would refuse for every worker anew. */
const checkScript = (checks: InvalidOptions.Checks, spawn: URL | string): void => {
  const isScript =
    typeof spawn === "string"
      ? isAbsolute(spawn) || /^\.\.?[\\/]/.test(spawn)
      : spawn instanceof URL && (spawn.protocol === "file:" || spawn.protocol === "data:")
  const rule = 'must be a "file:" or "data:" URL, a path that is absolute or begins with "./" or "../", or a function'
  if (!isScript) checks.refuse("spawn", spawn, rule)
}

/** `SHARE_ENV` is refused too: what one worker sets, the next must not see. */
const checkEnv = (checks: InvalidOptions.Checks, env: Options<any>["env"]): NodeJS.Dict<string> | undefined => {
  if (env === undefined) return undefined
  const isDict =
    typeof env === "object" &&
    env !== null &&
    Object.values(env).every((value) => value === undefined || typeof value === "string")
  if (!isDict) checks.refuse("env", env, "must be an object of strings")
  // Node would make a string of it.
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined))
}

const checkStrings = (
  checks: InvalidOptions.Checks,
  field: string,
  strings: ReadonlyArray<string> | undefined
): Array<string> | undefined => {
  if (strings === undefined) return undefined
  if (!Array.isArray(strings) || !strings.every((each) => typeof each === "string")) {
    checks.refuse(field, strings, "must be an array of strings")
  }
  return [...strings]
}

const checkLimits = (
  checks: InvalidOptions.Checks,
  given: Options<any>["resourceLimits"]
): ResourceLimits | undefined => {
  const limits = checks.group("resourceLimits", given, new Set(Object.keys(limitFields)))
  if (limits === undefined) return undefined
  const checked: ResourceLimits = {}
  for (const field of Object.keys(limitFields) as Array<keyof ResourceLimits>) {
    const value = limits[field]
    if (value !== undefined) checked[field] = checkLimit(checks, field, value)
  }
  return checked
}

const checkLimit = (checks: InvalidOptions.Checks, field: keyof ResourceLimits, value: number): number => {
  const name = `resourceLimits.${field}`
  const { least, most }: { readonly least?: number; readonly most?: number } = limitFields[field]
  if (typeof value !== "number" || !Number.isFinite(value) || value <= 0) {
    checks.refuse(name, value, "must be a number of megabytes above zero")
  }
  if (least !== undefined && value < least) checks.refuse(name, value, `must be at least ${least} megabytes`)
  if (most !== undefined && value > most) checks.refuse(name, value, `must be at most ${most} megabytes`)
  return value
}
