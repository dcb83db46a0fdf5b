import type { PgClient } from "@effect/sql-pg"
import type * as ConnectionPool from "@effect-pools/connection/ConnectionPool"
import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type { SqlError } from "effect/sql/SqlError"
import type { Options } from "../PostgresPool.ts"
import { isPermanent } from "./errors.ts"

type PgConfig = Omit<PgClient.PgClientConfig, "multiplex" | "multiplexConcurrency">
type PoolOptions = Omit<Options, keyof PgConfig | "maxConnections" | "minConnections" | "connectionTTL" | "multiplex">

/** The options after sorting; what the pool takes is checked by the pool. */
export interface Sorted {
  readonly name: string
  readonly config: PgConfig
  readonly pool: Omit<ConnectionPool.Options<any, SqlError, never>, "acquire" | "reset">
  readonly reset: Options["reset"]
  readonly target: Target
}

/** What is connected to, as far as the options tell. */
export interface Target {
  readonly database: string | undefined
  readonly host: string
  readonly port: number
}

const pgFields = {
  url: true,
  host: true,
  port: true,
  path: true,
  ssl: true,
  database: true,
  username: true,
  password: true,
  connectTimeout: true,
  keepAlive: true,
  stream: true,
  applicationName: true,
  startupParameters: true,
  startupOptions: true,
  spanAttributes: true,
  transformResultNames: true,
  transformQueryNames: true,
  transformJson: true,
  types: true,
  prepare: true,
  preparedStatementCacheSize: true,
  maxMessageSize: true
} satisfies Record<keyof PgConfig, true>

const poolFields = {
  name: true,
  min: true,
  max: true,
  acquireTimeout: true,
  maxWaiters: true,
  maxCreating: true,
  createTimeout: true,
  createRetry: true,
  breaker: true,
  idleTimeout: true,
  maxLifetime: true,
  lifetimeJitter: true,
  maxUses: true,
  keepAliveQuery: true,
  validate: true,
  validateAfterIdle: true,
  validationTimeout: true,
  reset: true,
  resetTimeout: true,
  destroyTimeout: true,
  closeGrace: true,
  budget: true,
  order: true,
  health: true,
  classify: true,
  leakDetection: true
} satisfies Record<keyof PoolOptions, true>

/** What `PgClient` calls some of the pool's options. */
const aliases = { maxConnections: "max", minConnections: "min", connectionTTL: "maxLifetime" } as const

const fields = new Set([...Object.keys(pgFields), ...Object.keys(poolFields), ...Object.keys(aliases), "multiplex"])

/** Tells the connection's options from the pool's, or throws `InvalidOptions`. */
export const sortOptions = (options: Options): Sorted => {
  const unnamed = new InvalidOptions.Checks("postgres")
  if (typeof options !== "object" || options === null) return unnamed.refuse("options", options, "must be an object")
  checkSecrets(unnamed.pool, options)
  const target = targetOf(options)
  const name = unnamed.name(options.name, () =>
    target.database === undefined ? "postgres" : `postgres/${target.database}`
  )
  const checks = new InvalidOptions.Checks(name)
  checks.known(options, fields)
  if (options.multiplex !== undefined && options.multiplex !== false) {
    checks.refuse("multiplex", options.multiplex, "is not supported: every lease has its connection for itself")
  }
  if (options.reset !== undefined && typeof options.reset !== "boolean" && typeof options.reset !== "function") {
    checks.refuse("reset", options.reset, "must be a boolean or a function")
  }
  checks.millis("keepAliveQuery", options.keepAliveQuery, Infinity, { infinity: true })
  const pool: Record<string, unknown> = { createRetry: defaultRetry }
  const config: Record<string, unknown> = { applicationName: applicationName(options, name) }
  for (const [field, value] of Object.entries(options)) {
    if (value === undefined) continue
    if (field in pgFields) config[field] = value
    else if (field in poolFields) pool[field] = value
  }
  for (const [alias, field] of Object.entries(aliases)) {
    const value = options[alias as keyof typeof aliases]
    if (value === undefined) continue
    if (options[field] !== undefined) checks.refuse(alias, value, `is another name for "${field}", which is given too`)
    pool[field] = value
  }
  delete pool["keepAliveQuery"]
  delete pool["reset"]
  return {
    name,
    config: config as PgConfig,
    pool: { ...pool, name, keepAlive: options.keepAliveQuery },
    reset: options.reset,
    target
  }
}

/** Options in the clear are refused without being repeated. */
const checkSecrets = (pool: string, { password, url }: Options): void => {
  const refuse = (field: string, rule: string): never => {
    throw new InvalidOptions.InvalidOptions({ pool, field, value: "in the clear", rule })
  }
  if (url !== undefined && !Redacted.isRedacted(url)) refuse("url", "must be Redacted")
  if (password !== undefined && !Redacted.isRedacted(password) && !Effect.isEffect(password)) {
    refuse("password", "must be Redacted, or an Effect of that")
  }
}

/** A URL that can't be read says nothing here; connecting fails with what is wrong with it. */
const targetOf = (options: Options): Target => {
  const raw = options.url === undefined ? "" : String(Redacted.value(options.url))
  const url = URL.canParse(raw) ? new URL(raw) : undefined
  const param = (name: string): string | undefined => url?.searchParams.get(name) ?? undefined
  const database = options.database ?? param("dbname") ?? decoded(url?.pathname.slice(1))
  const user = options.username ?? param("user") ?? decoded(url?.username)
  return {
    // PostgreSQL takes the user's name for that of the database if there is none.
    database: database ?? user,
    host: options.host ?? param("host") ?? decoded(url?.hostname) ?? "localhost",
    port: options.port ?? (Number(param("port") ?? url?.port) || 5432)
  }
}

const decoded = (part: string | undefined): string | undefined => {
  if (part === undefined || part === "") return undefined
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}

/** The pool's name shows in `pg_stat_activity` unless the application has chosen another. */
const applicationName = (options: Options, name: string): string | undefined => {
  const named = Object.keys(options.startupParameters ?? {}).some((key) => key.toLowerCase() === "application_name")
  const raw = options.url === undefined ? "" : String(Redacted.value(options.url))
  const inUrl = URL.canParse(raw) && new URL(raw).searchParams.has("application_name")
  return named || inUrl ? undefined : name
}

/** As the pool's own, from 10 ms, doubling, to 5 s, but over at once when nothing can come of it. */
const defaultRetry: Schedule.Schedule<unknown, SqlError> = Schedule.exponential("10 millis").pipe(
  Schedule.modifyDelay(({ duration }) => Effect.succeed(Duration.min(duration, Duration.seconds(5)))),
  Schedule.jittered,
  Schedule.while(({ input }) => !isPermanent(input))
)
