/**
 * What the tests under fire share: how long they take, their pools, what is looked at, how it is told.
 */
import { assert } from "@effect/vitest"
import { ConnectionPool } from "@effect-pools/connection"
import { PostgresPool } from "@effect-pools/postgres"
import { Auditor } from "@effect-pools/testing"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as References from "effect/References"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { observe, type Server } from "./server.ts"

/** With `POOL_LONG=1` in the environment the tests go on for longer. */
const isLong = process.env["POOL_LONG"] === "1"

export const inTheLongRun = <A>(normal: A, long: A): A => (isLong ? long : normal)

export const limit = { timeout: inTheLongRun(60_000, 600_000) }

const eventLoop = monitorEventLoopDelay({ resolution: 10 })
eventLoop.enable()

/** How late a timeout may be, in milliseconds: 50 on a machine that has nothing else to do. */
export const lateness = (): number => 250 + eventLoop.max / 1e6

let pools = 0

/** A pool that is audited, with a name of its own, by which the server tells its sessions from others. */
export const makePool = (server: Server, options: PostgresPool.Options = {}) =>
  PostgresPool.make({ url: server.url, name: `fire ${++pools}`, ...options }).pipe(
    Effect.flatMap((pool) =>
      Effect.map(Auditor.make(pool, { callSites: false }), (auditor) => Object.assign(pool, { auditor }))
    ),
    Effect.provide(Reactivity.layer),
    // Faults are the point here, and the pool tells of each.
    Effect.provideService(References.MinimumLogLevel, "None")
  )

export type AuditedPool = Effect.Success<ReturnType<typeof makePool>>

/** The options that lead to the server by another way. */
export const through = (server: Server, port: number): PostgresPool.Options => ({
  url: undefined,
  ...server.config,
  port
})

// Measuring ----------------------------------------------------------------------------------------------------------

/** One line for each scenario. */
export const report = (scenario: string, measured: Readonly<Record<string, number | string>>): void => {
  const said = Object.entries(measured).map(
    ([what, value]) => `${what} ${typeof value === "number" ? round(value) : value}`
  )
  console.log(`fire: ${scenario}: ${said.join(", ")}`)
}

const round = (value: number): number => Math.round(value * 10) / 10

/** The most sessions that the server showed at one time, looked at again and again until the scope closes. */
export const watchSessions = (server: Server, name: string) =>
  Effect.gen(function* () {
    const seen = { most: 0, samples: 0 }
    // While the server is away there is nothing to see, and nobody to ask.
    const look = Effect.scoped(
      Effect.flatMap(observe(server), (observer) =>
        Effect.forever(
          Effect.andThen(
            Effect.map(observer.backends(name), ({ length }) => {
              seen.samples++
              seen.most = Math.max(seen.most, length)
            }),
            Effect.sleep("3 millis")
          )
        )
      )
    )
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.exit(look), Effect.sleep("20 millis"))))
    return seen
  })

/** Ends when the pool has come to this. It is looked at whenever anything else had its turn. */
export const eventually = (condition: () => boolean) => Effect.repeat(Effect.yieldNow, { until: condition })

/** Every one of `max` places works, all at the same time; and the auditor finds that nothing is lost. */
export const expectHealthy = (pool: AuditedPool) =>
  Effect.gen(function* () {
    const { admission, auditor } = pool
    const pids = yield* Effect.scoped(
      Effect.gen(function* () {
        const connections = yield* Effect.all(
          Array.from({ length: admission.max }, () => ConnectionPool.get(pool)),
          { concurrency: "unbounded" }
        )
        return yield* Effect.forEach(
          connections,
          (connection) => Effect.map(connection.queryValues("SELECT pg_backend_pid()"), ([row]) => row![0]),
          { concurrency: "unbounded" }
        )
      })
      // Nobody may have noticed yet that one was terminated a moment ago.
    ).pipe(Effect.retry({ times: 1 }))
    assert.strictEqual(new Set(pids).size, admission.max)
    yield* eventually(() => admission.live === admission.idle)
    yield* Auditor.expectAtRest(auditor)
    const { acquired, released } = admission.observer
    assert.strictEqual(acquired, released)
  })

/** Neither a defect nor an interruption. */
export const expectTyped = (exit: Exit.Exit<unknown, unknown>): void => {
  if (Exit.isSuccess(exit)) return
  assert.isFalse(Cause.hasDies(exit.cause), String(exit))
  assert.isFalse(Cause.hasInterrupts(exit.cause), String(exit))
}

/**
 * How many attempts to connect the defaults allow in so many milliseconds, however many wait: backoff from 10 ms first, then
 * the breaker's probes.
 */
export const attemptsWithin = (millis: number): number => {
  // Two may be under way when it begins.
  let attempts = 2
  for (let at = 0; at <= millis; attempts++) at += attempts < 9 ? 0.8 * 10 * 2 ** (attempts - 2) : 500
  return attempts
}
