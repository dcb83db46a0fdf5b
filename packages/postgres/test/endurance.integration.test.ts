import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Admission, PoolRegistry } from "@effect-pools/core"
import { PostgresPool } from "@effect-pools/postgres"
import { Footprint } from "@effect-pools/testing"
import * as Effect from "effect/Effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import { inTheLongRun } from "./fire.support.ts"
import { observe, type Server, startServer } from "./server.ts"

const LEASES = inTheLongRun(20_000, 200_000)
const CYCLES = inTheLongRun(200, 1_000)
const ROUNDS = 4
const FIBERS = 20

let server: Server
beforeAll(async () => {
  // What it says of queries that fail is kept, to be shown should it not start.
  server = await startServer({ settings: { log_min_messages: "log" } })
})
afterAll(() => server?.stop())

const open = (options: PostgresPool.Options) =>
  Effect.suspend(() => PostgresPool.make({ url: server.url, name: "endurance", ...options })).pipe(
    Effect.provide(Reactivity.layer)
  )

/** Runs an effect, and tells which handles and sessions of the server it has left behind. */
const remains = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const observer = yield* observe(server)
    yield* observer.backends("endurance")
    const handles = yield* Footprint.handles
    const result = yield* effect
    // A session's process takes a moment to end, and its socket to close.
    yield* Effect.repeat(observer.backends("endurance"), { until: (pids) => pids.length === 0 })
    const active = yield* Effect.repeat(
      Effect.map(Footprint.handles, (now) => Footprint.more(now, handles)),
      { until: (active) => active.length === 0, times: 1000 }
    )
    return { result, active }
  })

/** A round of queries by as many fibers as share the work. */
const queries = (pool: PostgresPool.PostgresPool, count: number) => {
  const sql = pool.client
  let n = 0
  const request = Effect.suspend((): Effect.Effect<unknown, unknown> => {
    n++
    switch (n % 4) {
      case 0:
        return sql.withTransaction(sql`SELECT ${n}::int AS n`)
      case 1:
        return Effect.exit(sql`SELECT 1 / 0`)
      default:
        return sql`SELECT ${n}::int AS n, repeat('x', 100) AS text`
    }
  })
  return Effect.forEach(Array.from({ length: FIBERS }), () => Effect.replicateEffect(request, count / FIBERS), {
    concurrency: "unbounded",
    discard: true
  })
}

const cycle = Effect.scoped(Effect.flatMap(open({ min: 1 }), (pool) => pool.client`SELECT 1`))

const remembered: Array<object> = []

/** A registry that remembers every pool that there ever was. */
const forgetsNothing: PoolRegistry.PoolRegistry = Object.assign(PoolRegistry.makeUnsafe(), {
  addUnsafe: (pool: object) => void remembered.push(pool)
})

describe("memory, handles and sessions", { timeout: inTheLongRun(120_000, 1_800_000) }, () => {
  it.live(`over ${LEASES} leases with queries, transactions and failures are what they were`, () =>
    Effect.gen(function* () {
      const { active, result } = yield* remains(
        Effect.scoped(
          Effect.gen(function* () {
            const pool = yield* open({ max: 5 })
            const units = LEASES / ROUNDS
            const growth = yield* Footprint.growth({ round: queries(pool, units), units, warmUp: 1, rounds: ROUNDS })
            const { acquired, created, released } = pool.admission.observer
            return { ...growth, acquired, created, released }
          })
        )
      )
      const { acquired, created, perUnit, released, units } = result
      console.log(`endurance: ${units} leases: ${perUnit.toFixed(1)} bytes stay with each`)
      assert.isAtLeast(acquired, units)
      assert.strictEqual(released, acquired)
      assert.isAtMost(created, 5)
      assert.isBelow(perUnit, 50)
      assert.deepStrictEqual(active, [])
    })
  )

  it.live(`over ${CYCLES} pools that are opened, used and closed are what they were`, () =>
    Effect.gen(function* () {
      const pools = yield* Footprint.instances(Admission.Admission)
      const units = CYCLES / ROUNDS
      const { active, result } = yield* remains(
        Footprint.growth({ round: Effect.replicateEffect(cycle, units), units, warmUp: 1, rounds: ROUNDS })
      )
      console.log(`endurance: ${result.units} pools: ${result.perUnit.toFixed(0)} bytes stay with each`)
      assert.isBelow(result.perUnit, 5000)
      assert.deepStrictEqual(active, [])
      assert.strictEqual(yield* Footprint.instances(Admission.Admission), pools)
    })
  )

  it.live("of pools that something refers to would be found", () =>
    Effect.gen(function* () {
      const units = CYCLES / ROUNDS / 2
      const { perUnit } = yield* Footprint.growth({
        round: Effect.replicateEffect(Effect.provideService(cycle, PoolRegistry.PoolRegistry, forgetsNothing), units),
        units,
        warmUp: 0,
        rounds: 3
      })
      console.log(`endurance: ${perUnit.toFixed(0)} bytes stay with each pool that is remembered`)
      assert.isAbove(perUnit, 5000)
      assert.lengthOf(remembered, 3 * units)
    })
  )

  it.live("of a session that is left open would be found", () =>
    Effect.gen(function* () {
      const handles = yield* Footprint.handles
      const pool = yield* open({ min: 1 })
      yield* pool.client`SELECT 1`
      assert.isNotEmpty(Footprint.more(yield* Footprint.handles, handles))
      const observer = yield* observe(server)
      assert.isNotEmpty(yield* observer.backends("endurance"))
    })
  )
})
