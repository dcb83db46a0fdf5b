/** What the tests of pools of Redis connections share. */
import { assert } from "@effect/vitest"
import { ConnectionPool } from "@effect-pools/connection"
import { PoolError } from "@effect-pools/core"
import { Auditor } from "@effect-pools/testing"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import { type Address, type Client, command, connect, observe, RedisError } from "./redis.ts"

/** With `POOL_LONG=1` in the environment the tests go on for longer. */
const isLong = process.env["POOL_LONG"] === "1"

/** How long the storm of terminations and the outages last, in milliseconds. */
export const STORM = isLong ? 60_000 : 3000
export const OUTAGE = isLong ? 5000 : 2000

export const limit = { timeout: 60_000 + 2 * STORM }

/** How much later than it should something may happen on a machine that has other work as well, in milliseconds. */
export const MARGIN = 250

/** How late the failure of a caller whose deadline is over may be by the pool's doing, in milliseconds. */
export const PUNCTUAL = 50

export type RedisPool = ConnectionPool.ConnectionPool<Client, RedisError>

export type Options = Partial<ConnectionPool.Options<Client, RedisError, Scope.Scope>>

const names = `effect-pools-${process.pid}`
let last = 0

/** A pool with a name of its own, by which the server tells its connections from others. */
export const makePool = (address: Address | { readonly path: string }, options?: Options) => {
  const name = `${names}-${++last}`
  let pool: RedisPool | undefined
  const acquire = connect(address, name, (client) => pool && ConnectionPool.invalidateUnsafe(pool, client))
  return ConnectionPool.make({ acquire, name, classify, ...options }).pipe(
    Effect.tap((made) => Effect.sync(() => (pool = made))),
    // Faults are the point here, and the pool tells of each.
    Effect.provideService(References.MinimumLogLevel, "None")
  )
}

/** Whoever did not get an answer can't tell what is still to come on the connection: nobody is to use it again. */
const classify = (cause: Cause.Cause<unknown>) => {
  const error = Cause.squash(cause)
  return error instanceof RedisError && error.isReply ? "fine" : "fatal"
}

export const ping = (client: Client) => command(() => client.ping())

/**
 * A pool in a scope of its own. After the body every place of it works and the books balance, and after its close
 * nothing of it is left, on the server too.
 */
export const withPool = <B, E>(
  address: Address,
  options: Options & { readonly via?: Address | { readonly path: string } },
  body: (pool: RedisPool, observer: Effect.Success<ReturnType<typeof observe>>) => Effect.Effect<B, E, Scope.Scope>
) =>
  Effect.gen(function* () {
    const { via, ...settings } = options
    const observer = yield* observe(address)
    const scope = yield* Scope.make()
    const pool = yield* Scope.provide(makePool(via ?? address, settings), scope)
    const auditor = yield* Auditor.make(pool, { callSites: false })
    const result = yield* Effect.scoped(body(pool, observer))
    yield* expectHealthy(pool)
    yield* Auditor.expectAtRest(auditor)
    yield* Scope.close(scope, Exit.void)
    yield* Auditor.expectAtRest(auditor)
    yield* Effect.repeat(observer.clients(pool.name), { until: (ids) => ids.length === 0 })
    return result
  })

/** Every place works, all at the same time, and nothing is lost. */
export const expectHealthy = (pool: RedisPool) =>
  Effect.gen(function* () {
    const { admission } = pool
    const ids = yield* Effect.scoped(
      Effect.gen(function* () {
        const clients = yield* Effect.all(
          Array.from({ length: admission.max }, () => ConnectionPool.get(pool, { acquireTimeout: "20 seconds" })),
          { concurrency: "unbounded" }
        )
        return yield* Effect.forEach(clients, idOf, { concurrency: "unbounded" })
      })
    )
    assert.strictEqual(new Set(ids).size, admission.max)
    yield* eventually(() => admission.used + admission.destroying === 0)
    const stats = yield* ConnectionPool.stats(pool)
    assert.strictEqual(stats.acquired, stats.released)
    assert.deepInclude(stats, { used: 0, pending: 0, creating: 0 })
    const gone = Object.values(stats.destroyed).reduce((sum, count) => sum + count, 0)
    assert.strictEqual(stats.created - gone, stats.idle)
  })

export const idOf = (client: Client) => command(() => client.clientId())

/** Ends when the pool has come to this. It is looked at whenever anything else had its turn. */
export const eventually = (condition: () => boolean) => Effect.repeat(Effect.yieldNow, { until: condition })

/** Neither a defect nor an interruption. */
export const expectTyped = (exit: Exit.Exit<unknown, unknown>): void => {
  if (Exit.isSuccess(exit)) return
  const error = Cause.squash(exit.cause)
  assert.isTrue(error instanceof RedisError || error instanceof PoolError.PoolError, String(exit))
}

/** How long an effect took, in milliseconds, and how it ended. */
export const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const startedAt = performance.now()
    return Effect.map(Effect.exit(effect), (exit) => ({ exit, took: performance.now() - startedAt }))
  })

/**
 * How late timers are that have nothing to do with any pool: the worst of them, and all together, in milliseconds, until the
 * scope closes. What a busy machine delays, it delays by no more than that.
 */
export const watchTimers = Effect.gen(function* () {
  const seen = { latest: 0, total: 0 }
  // From one to the next, so that nothing between them is left out.
  let last = performance.now()
  const look = Effect.map(Effect.sleep(5), () => {
    const now = performance.now()
    const late = Math.max(0, now - last - 5)
    last = now
    seen.latest = Math.max(seen.latest, late)
    seen.total += late
  })
  yield* Effect.forkScoped(Effect.forever(look))
  return seen
})

export const report = (scenario: string, measured: Readonly<Record<string, number>>): void =>
  console.log(
    `fire: redis: ${scenario}: ${Object.entries(measured)
      .map(([what, value]) => `${what} ${Math.round(value * 10) / 10}`)
      .join(", ")}`
  )
