/**
 * A thousand tenants, each with a schema and connections of its own, on a server that takes a hundred clients.
 */
import { PgConnection } from "@effect/sql-pg"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { ConnectionPoolMap } from "@effect-pools/connection"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import { expectTyped, inTheLongRun, limit, report, watchSessions } from "./fire.support.ts"
import { observe, type Server, startServer } from "./server.ts"

const NAME = "tenants"
const TENANTS = 1000
const PERMITS = 100
const CALLERS = 200
const REQUESTS = inTheLongRun(3000, 40_000)

let server: Server
beforeAll(async () => {
  // One more than the map may have is one that the server refuses, but for those who watch.
  const settings = { max_connections: PERMITS + 3, superuser_reserved_connections: 0, shared_buffers: "16MB" }
  server = await startServer({ settings })
  const create = Effect.gen(function* () {
    const { query } = yield* observe(server)
    // What a login costs is not what is measured.
    yield* query("SET scram_iterations = 1")
    yield* query("CREATE ROLE tenant LOGIN PASSWORD 'secret'")
    yield* query(`DO $$ BEGIN FOR n IN 0..${TENANTS - 1} LOOP
      EXECUTE format('CREATE SCHEMA t%1$s; CREATE VIEW t%1$s.me AS SELECT %1$s AS tenant;
        GRANT USAGE ON SCHEMA t%1$s TO tenant; GRANT SELECT ON t%1$s.me TO tenant', n);
    END LOOP; END $$`)
  })
  await Effect.runPromise(Effect.scoped(create))
})
afterAll(() => server?.stop())

/** Tenants by how often they are asked for: the first ten have about half of all requests. */
const zipf = (exponent: number) => {
  const sums: Array<number> = []
  for (let rank = 0; rank < TENANTS; rank++) sums.push((sums[rank - 1] ?? 0) + 1 / (rank + 1) ** exponent)
  return Effect.map(Random.next, (random) => {
    const wanted = random * sums[TENANTS - 1]!
    return sums.findIndex((sum) => sum >= wanted)
  })
}

/** How many of a range of tenants' requests found a connection that was there before. */
class Reuse {
  requests = 0
  reused = 0

  get rate(): number {
    return this.reused / this.requests
  }
}

const load = Effect.gen(function* () {
  const sessions = yield* watchSessions(server, NAME)
  const known = new WeakSet<object>()
  const [hot, cold] = [new Reuse(), new Reuse()]
  const failures: Record<string, number> = {}
  let requests = 0
  const map = yield* ConnectionPoolMap.make({
    name: NAME,
    max: PERMITS,
    idleTimeToLive: "2 seconds",
    lookup: (tenant: number) => ({
      acquire: PgConnection.make({
        ...server.config,
        username: "tenant",
        password: Redacted.make("secret"),
        applicationName: NAME,
        startupParameters: { search_path: `t${tenant}` }
      }),
      max: 8,
      acquireTimeout: "20 seconds",
      health: false
    })
  })
  const ask = (tenant: number) =>
    ConnectionPoolMap.use(map, tenant, (connection) =>
      Effect.gen(function* () {
        const reuse = tenant < 10 ? hot : tenant >= 100 ? cold : new Reuse()
        reuse.requests++
        if (known.has(connection)) reuse.reused++
        known.add(connection)
        const [row] = yield* connection.queryValues("SELECT tenant FROM me", [])
        assert.strictEqual(Number(row![0]), tenant, "the connection of another tenant")
      })
    )
  const next = zipf(1.1)
  const request = Effect.gen(function* () {
    const tenant = yield* next
    const exit = yield* Effect.exit(ask(tenant))
    expectTyped(exit)
    if (Exit.isFailure(exit)) failures[String(exit.cause)] = (failures[String(exit.cause)] ?? 0) + 1
    if (++requests % 400 > 0) return
    yield* ConnectionPoolMap.invalidate(map, tenant)
  })
  const start = performance.now()
  yield* Effect.forEach(Array.from({ length: REQUESTS }), () => request, {
    concurrency: CALLERS,
    discard: true
  }).pipe(Random.withSeed("tenants"))
  const took = performance.now() - start
  const loaded = yield* ConnectionPoolMap.stats(map)
  const [ofHot, ofCold] = [hot.rate, cold.rate]

  // The first few go on, and all others end.
  const busy = [0, 1, 2]
  const going = yield* Effect.forkChild(
    Effect.forever(Effect.andThen(Effect.forEach(busy, ask), Effect.sleep("50 millis")))
  )
  const others = Effect.map(ConnectionPoolMap.keys(map), (keys) => keys.filter((key) => !busy.includes(key)))
  yield* Effect.repeat(Effect.andThen(Effect.sleep("50 millis"), others), {
    until: (keys) => keys.length === 0
  })
  assert.deepStrictEqual(
    (yield* ConnectionPoolMap.keys(map)).toSorted((one, other) => one - other),
    busy
  )
  yield* Fiber.interrupt(going)

  assert.deepStrictEqual(failures, {})
  assert.isAtMost(sessions.most, PERMITS)
  assert.isAbove(ofHot, 0.6)
  assert.isAbove(ofHot, ofCold + 0.4)
  const { acquired, released } = yield* ConnectionPoolMap.stats(map)
  assert.strictEqual(acquired, released)
  report("tenants", {
    requests: REQUESTS,
    "in ms": took,
    "most sessions": sessions.most,
    looks: sessions.samples,
    "keys at the end of the load": loaded.keys,
    created: loaded.created,
    reclaimed: loaded.destroyed.reclaimed,
    "reuse of the ten busiest in %": 100 * ofHot,
    "of those beyond the hundredth in %": 100 * ofCold
  })
})

describe("a thousand tenants on a hundred connections", () => {
  it.live(
    "never have more, the busy ones keep theirs, quiet ones are closed, and in the end nothing is left",
    () =>
      Effect.gen(function* () {
        yield* Effect.scoped(load)
        const { backends } = yield* observe(server)
        // A session ends on the server a moment after its client has.
        yield* Effect.repeat(backends(NAME), { until: ({ length }) => length === 0 })
      }).pipe(Effect.scoped),
    limit
  )
})
