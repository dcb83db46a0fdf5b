import { Pool, PoolRegistry } from "@effect-pools/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { fork, type Given, open } from "./fake.ts"

/** Runs a test with metrics and names of its own. */
const isolated = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() =>
    effect.pipe(
      Effect.provideService(Metric.MetricRegistry, new Map()),
      Effect.provideService(PoolRegistry.PoolRegistry, PoolRegistry.makeUnsafe())
    )
  )

const opened = (given: Given) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const pool = yield* Scope.provide(open(given), scope)
    return { pool, close: Scope.close(scope, Exit.void) }
  })

/** What exporters see: every metric's name, type and attributes. */
const listed = Effect.map(Metric.snapshot, (metrics) =>
  metrics.toSorted((a, b) => a.id.localeCompare(b.id)).map(({ attributes, id, type }) => [id, type, attributes])
)

const stateOf = (id: string, attributes: Record<string, string> = {}) =>
  Effect.map(Metric.snapshot, (metrics) => {
    const found = metrics.filter(
      (metric) =>
        metric.id === id && Object.entries(attributes).every(([key, value]) => metric.attributes?.[key] === value)
    )
    assert.strictEqual(found.length, 1)
    return found[0]!.state
  })

describe("metrics", () => {
  it.effect("of connections have the names and attributes of the semantic conventions", () =>
    isolated(
      Effect.gen(function* () {
        yield* opened({ name: "db", kind: "connection" })
        const pool = { "db.client.connection.pool.name": "db" }
        const inSeconds = { ...pool, unit: "s" }
        assert.deepStrictEqual(yield* listed, [
          ["db.client.connection.count", "Gauge", { ...pool, "db.client.connection.state": "idle" }],
          ["db.client.connection.count", "Gauge", { ...pool, "db.client.connection.state": "used" }],
          ["db.client.connection.create_time", "Histogram", inSeconds],
          ["db.client.connection.idle.max", "Gauge", pool],
          ["db.client.connection.idle.min", "Gauge", pool],
          ["db.client.connection.max", "Gauge", pool],
          ["db.client.connection.pending_requests", "Gauge", pool],
          ["db.client.connection.timeouts", "Counter", pool],
          ["db.client.connection.use_time", "Histogram", inSeconds],
          ["db.client.connection.wait_time", "Histogram", inSeconds]
        ])
      })
    )
  )

  it.effect("of other kinds have the prefix pool, and say the kind", () =>
    isolated(
      Effect.gen(function* () {
        yield* opened({ name: "scratch", kind: "arena" })
        const pool = { "pool.name": "scratch", "pool.kind": "arena" }
        const inSeconds = { ...pool, unit: "s" }
        assert.deepStrictEqual(yield* listed, [
          ["pool.count", "Gauge", { ...pool, "pool.state": "idle" }],
          ["pool.count", "Gauge", { ...pool, "pool.state": "used" }],
          ["pool.create_time", "Histogram", inSeconds],
          ["pool.idle.max", "Gauge", pool],
          ["pool.idle.min", "Gauge", pool],
          ["pool.max", "Gauge", pool],
          ["pool.pending_requests", "Gauge", pool],
          ["pool.timeouts", "Counter", pool],
          ["pool.use_time", "Histogram", inSeconds],
          ["pool.wait_time", "Histogram", inSeconds]
        ])
      })
    )
  )

  it.effect("are the pool's numbers at the moment they are read", () =>
    isolated(
      Effect.gen(function* () {
        const { pool } = yield* opened({ kind: "connection", min: 1, max: 2, acquireTimeout: 300 })
        const users = yield* Effect.forEach([1, 2], () => fork(Pool.use(pool, () => Effect.sleep(400))))
        const waiter = yield* fork(Effect.exit(Pool.use(pool, () => Effect.void)))
        const count = (state: string) => stateOf("db.client.connection.count", { "db.client.connection.state": state })
        assert.deepStrictEqual(yield* count("used"), { value: 2 })
        assert.deepStrictEqual(yield* count("idle"), { value: 0 })
        assert.deepStrictEqual(yield* stateOf("db.client.connection.pending_requests"), { value: 1 })
        assert.deepStrictEqual(yield* stateOf("db.client.connection.idle.min"), { value: 1 })
        assert.deepStrictEqual(yield* stateOf("db.client.connection.idle.max"), { value: 2 })
        assert.deepStrictEqual(yield* stateOf("db.client.connection.max"), { value: 2 })
        yield* TestClock.adjust(400)
        yield* Fiber.joinAll([...users, waiter])
        assert.deepStrictEqual(yield* count("used"), { value: 0 })
        assert.deepStrictEqual(yield* count("idle"), { value: 2 })
        assert.deepStrictEqual(yield* stateOf("db.client.connection.timeouts"), { count: 1, incremental: true })
        yield* Pool.resize(pool, { max: 5 })
        assert.deepStrictEqual(yield* stateOf("db.client.connection.max"), { value: 5 })
      })
    )
  )

  it.effect("histograms are in seconds, with cumulated buckets", () =>
    isolated(
      Effect.gen(function* () {
        const { pool } = yield* opened({ kind: "connection", max: 1 })
        for (const millis of [0, 3, 40, 40, 700, 20_000]) {
          const user = yield* fork(Pool.use(pool, () => Effect.sleep(millis)))
          yield* TestClock.adjust(millis)
          yield* Fiber.join(user)
        }
        const state = (yield* stateOf("db.client.connection.use_time")) as Metric.HistogramState
        assert.deepStrictEqual(state.buckets, [
          [0.001, 1],
          [0.005, 2],
          [0.01, 2],
          [0.05, 4],
          [0.1, 4],
          [0.5, 4],
          [1, 5],
          [5, 5],
          [10, 5]
        ])
        assert.strictEqual(state.count, 6)
        assert.closeTo(state.sum, 20.783, 1e-9)
        assert.strictEqual(state.min, 0)
        assert.strictEqual(state.max, 20)
      })
    )
  )

  it.effect("have a minimum of 0 until something was timed, then that of what was", () =>
    isolated(
      Effect.gen(function* () {
        const { pool } = yield* opened({ kind: "connection" })
        const created = stateOf("db.client.connection.create_time")
        assert.deepInclude(yield* created, { count: 0, min: 0, max: 0 })
        // The fake says that making an item takes 20 ms.
        yield* Pool.use(pool, () => Effect.void)
        assert.deepInclude(yield* created, { count: 1, min: 0.02, max: 0.02 })
      })
    )
  )

  it.effect("cannot be changed from elsewhere", () =>
    isolated(
      Effect.gen(function* () {
        yield* opened({ name: "db", kind: "connection" })
        const attributes = { "db.client.connection.pool.name": "db" }
        yield* Metric.update(Metric.gauge("db.client.connection.max", { attributes }), 99)
        assert.deepStrictEqual(yield* stateOf("db.client.connection.max"), { value: 2 })
      })
    )
  )

  it.effect("of two pools stand side by side", () =>
    isolated(
      Effect.gen(function* () {
        yield* opened({ name: "a", kind: "connection", max: 1 })
        yield* opened({ name: "b", kind: "connection", max: 2 })
        const max = (name: string) => stateOf("db.client.connection.max", { "db.client.connection.pool.name": name })
        assert.deepStrictEqual([yield* max("a"), yield* max("b")], [{ value: 1 }, { value: 2 }])
      })
    )
  )

  it.effect("are gone when the pool has closed, those of others are not", () =>
    isolated(
      Effect.gen(function* () {
        const first = yield* opened({ name: "a" })
        yield* opened({ name: "b" })
        yield* first.close
        const names = new Set((yield* Metric.snapshot).map(({ attributes }) => attributes?.["pool.name"]))
        assert.deepStrictEqual(names, new Set(["b"]))
      })
    )
  )

  it.effect("can be scraped by Prometheus", () =>
    isolated(
      Effect.gen(function* () {
        const { close, pool } = yield* opened({ name: "db", kind: "connection", max: 3 })
        yield* Pool.use(pool, () => TestClock.adjust(20))
        const text = yield* PrometheusMetrics.format()
        const lines = text.split("\n")
        const label = 'db_client_connection_pool_name="db"'
        assert.include(lines, "# TYPE db_client_connection_count gauge")
        assert.include(lines, `db_client_connection_count{${label},db_client_connection_state="idle"} 1`)
        assert.include(lines, `db_client_connection_count{${label},db_client_connection_state="used"} 0`)
        assert.include(lines, `db_client_connection_max{${label}} 3`)
        assert.include(lines, "# TYPE db_client_connection_timeouts counter")
        assert.include(lines, `db_client_connection_timeouts{${label}} 0`)
        assert.include(lines, "# TYPE db_client_connection_use_time histogram")
        assert.include(lines, `db_client_connection_use_time_bucket{${label},le="0.01"} 0`)
        assert.include(lines, `db_client_connection_use_time_bucket{${label},le="0.05"} 1`)
        assert.include(lines, `db_client_connection_use_time_bucket{${label},le="+Inf"} 1`)
        assert.include(lines, `db_client_connection_use_time_count{${label}} 1`)
        assert.include(lines, `db_client_connection_use_time_sum{${label}} 0.02`)
        yield* close
        assert.strictEqual(yield* PrometheusMetrics.format(), "")
      })
    )
  )
})
