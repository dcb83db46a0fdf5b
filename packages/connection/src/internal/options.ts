import * as Budget from "@effect-pools/core/Budget"
import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import * as Pool from "@effect-pools/core/Pool"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { Options } from "../ConnectionPool.ts"
import { type Classify, type HealthPolicy, HealthRules, type Verdict } from "../Health.ts"

/** The options after checking: every default filled in, every duration in milliseconds. */
export interface Checked<A, E> {
  readonly name: string
  readonly acquire: Effect.Effect<A, E, Scope.Scope>
  readonly min: number
  readonly max: number
  readonly acquireTimeout: number
  readonly maxWaiters: number
  readonly maxCreating: number
  readonly createTimeout: number
  readonly createRetry: Schedule.Schedule<unknown, any>
  /** Failures in a row that open the breaker; `Infinity` for never. */
  readonly breakerFailures: number
  /** Between attempts while the breaker is open, and while only `min` calls for them. */
  readonly breakerProbe: number
  readonly idleTimeout: number
  readonly maxLifetime: number
  readonly lifetimeJitter: number
  readonly maxUses: number
  readonly keepAlive: number
  readonly validate: ((connection: A) => Effect.Effect<unknown, unknown>) | undefined
  readonly validateAfterIdle: number
  readonly validationTimeout: number
  readonly reset: ((connection: A) => Effect.Effect<unknown, unknown>) | undefined
  readonly resetTimeout: number
  readonly destroyTimeout: number
  readonly closeGrace: number
  readonly budget: Budget.CheckedShare | undefined
  readonly isFifo: boolean
  readonly concurrency: number
  readonly check: ((connection: A) => Effect.Effect<unknown, unknown>) | undefined
  readonly checkInterval: number
  readonly checkTimeout: number
  readonly rules: HealthRules
  readonly classify: Classify
  /** In milliseconds; `Infinity` while leak detection is off. */
  readonly leakThreshold: number
}

const fields = new Set<keyof Options<any, any, any>>([
  "name",
  "acquire",
  "min",
  "max",
  "acquireTimeout",
  "maxWaiters",
  "maxCreating",
  "createTimeout",
  "createRetry",
  "breaker",
  "idleTimeout",
  "maxLifetime",
  "lifetimeJitter",
  "maxUses",
  "keepAlive",
  "validate",
  "validateAfterIdle",
  "validationTimeout",
  "reset",
  "resetTimeout",
  "destroyTimeout",
  "closeGrace",
  "budget",
  "order",
  "concurrency",
  "health",
  "classify",
  "leakDetection"
])
const breakerFields = new Set(["failures", "probeInterval"])
const healthFields = new Set(["interval", "check", "timeout", "policy"])
const policyFields = new Set(["reward", "penalty", "healthyAbove", "degradedAbove", "maxErrors"])

/** Checks everything, or throws `InvalidOptions`. */
export const checkOptions = <A, E>(options: Options<A, E, any>): Checked<A, E> => {
  const unnamed = new InvalidOptions.Checks("connection pool")
  if (typeof options !== "object" || options === null) return unnamed.refuse("options", options, "must be an object")
  const name = unnamed.name(options.name, () => Pool.generateName("connection"))
  const checks = new InvalidOptions.Checks(name)
  checks.known(options, fields)
  if (!Effect.isEffect(options.acquire)) checks.refuse("acquire", options.acquire, "must be an Effect")
  if (options.createRetry !== undefined && !Schedule.isSchedule(options.createRetry)) {
    checks.refuse("createRetry", options.createRetry, "must be a Schedule")
  }
  const validate = checks.callback("validate", options.validate)
  const breaker = options.breaker === false ? false : checks.group("breaker", options.breaker, breakerFields)
  const health = options.health === false ? undefined : checks.group("health", options.health, healthFields)
  const policy = checks.group("health.policy", health?.policy, policyFields)
  const check = checks.callback("health.check", health?.check) ?? validate
  const forever = { infinity: true } as const
  const keepAlive = checks.millis("keepAlive", options.keepAlive, Infinity, forever)
  if (keepAlive !== Infinity && check === undefined) {
    checks.refuse("keepAlive", options.keepAlive, "needs `validate` or `health.check` to keep a connection alive with")
  }
  const interval = options.health === false ? Infinity : 30_000
  const checkInterval = checks.millis("health.interval", health?.interval, interval, forever)
  return {
    name,
    acquire: options.acquire as Effect.Effect<A, E, Scope.Scope>,
    ...Pool.checkSize(checks, options, { min: 0, max: 10 }),
    acquireTimeout: checks.millis("acquireTimeout", options.acquireTimeout, 30_000, { zero: true, infinity: true }),
    maxWaiters: checks.limit("maxWaiters", options.maxWaiters, Infinity, 0),
    maxCreating: checks.limit("maxCreating", options.maxCreating, 2, 1),
    createTimeout: checks.millis("createTimeout", options.createTimeout, 30_000, forever),
    createRetry: (options.createRetry ?? defaultRetry) as Schedule.Schedule<unknown, any>,
    breakerFailures: breaker === false ? Infinity : checks.integer("breaker.failures", breaker?.failures, 8, 1),
    breakerProbe: breaker === false ? 500 : checks.millis("breaker.probeInterval", breaker?.probeInterval, 500),
    idleTimeout: checks.millis("idleTimeout", options.idleTimeout, 300_000, forever),
    maxLifetime: checks.millis("maxLifetime", options.maxLifetime, 1_800_000, forever),
    lifetimeJitter: checks.finite("lifetimeJitter", options.lifetimeJitter, 0.25, 0, 1),
    maxUses: checks.limit("maxUses", options.maxUses, Infinity, 1),
    keepAlive,
    validate,
    validateAfterIdle: checks.millis("validateAfterIdle", options.validateAfterIdle, 500, {
      zero: true,
      infinity: true
    }),
    validationTimeout: checks.millis("validationTimeout", options.validationTimeout, 5000, forever),
    reset: checks.callback("reset", options.reset),
    resetTimeout: checks.millis("resetTimeout", options.resetTimeout, 5000, forever),
    destroyTimeout: checks.millis("destroyTimeout", options.destroyTimeout, 5000, forever),
    closeGrace: checks.millis("closeGrace", options.closeGrace, 30_000, { zero: true, infinity: true }),
    budget: Budget.check(checks, options.budget),
    isFifo: checks.oneOf("order", options.order, "lifo", ["lifo", "fifo"]) === "fifo",
    concurrency: checks.integer("concurrency", options.concurrency, 1, 1),
    check,
    checkInterval: check === undefined ? Infinity : checkInterval,
    checkTimeout: checks.millis("health.timeout", health?.timeout, 5000, forever),
    rules: healthRules(checks, policy),
    classify: checks.callback("classify", options.classify) ?? defaultClassify,
    leakThreshold: checks.millis("leakDetection", options.leakDetection, Infinity, forever)
  } as Checked<A, E>
}

const healthRules = (checks: InvalidOptions.Checks, policy: HealthPolicy | undefined): HealthRules => {
  const healthyAbove = checks.finite("health.policy.healthyAbove", policy?.healthyAbove, 50, 0, 99)
  const degradedAbove = checks.finite(
    "health.policy.degradedAbove",
    policy?.degradedAbove,
    Math.min(25, healthyAbove),
    0,
    99
  )
  if (degradedAbove > healthyAbove) {
    checks.refuse("health.policy.degradedAbove", degradedAbove, `must not exceed healthyAbove (${healthyAbove})`)
  }
  return new HealthRules({
    reward: checks.finite("health.policy.reward", policy?.reward, 10, 0, 100),
    penalty: checks.finite("health.policy.penalty", policy?.penalty, 25, 0, 100),
    healthyAbove,
    degradedAbove,
    maxErrors: checks.limit("health.policy.maxErrors", policy?.maxErrors, 5, 1)
  })
}

/** From 10 ms, doubling, to 5 s, each delay times 0.8 to 1.2. */
const defaultRetry = Schedule.exponential("10 millis").pipe(
  Schedule.modifyDelay(({ duration }) => Effect.succeed(Duration.min(duration, Duration.seconds(5)))),
  Schedule.jittered
)

/** A defect may have left the connection anywhere; a typed failure or an interruption is taken for orderly. */
const defaultClassify = (cause: Cause.Cause<unknown>): Verdict => (Cause.hasDies(cause) ? "suspect" : "fine")
