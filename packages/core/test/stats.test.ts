import { Pool, PoolEvent, PoolStats } from "@effect-pools/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { fork, open } from "./fake.ts"

const none = { count: 0, mean: 0, p50: 0, p95: 0, p99: 0, max: 0 }

describe("stats", () => {
  it.effect("of a new pool are all there, and zero", () =>
    Effect.gen(function* () {
      const pool = yield* open({ name: "new", kind: "instance", max: 4 })
      assert.deepStrictEqual(yield* Pool.stats(pool), {
        name: "new",
        kind: "instance",
        state: "open",
        min: 0,
        max: 4,
        idle: 0,
        used: 0,
        creating: 0,
        destroying: 0,
        pending: 0,
        size: 0,
        acquired: 0,
        released: 0,
        created: 0,
        createFailed: 0,
        timeouts: 0,
        exhausted: 0,
        destroyed: Object.fromEntries(PoolEvent.destroyReasons.map((reason) => [reason, 0])) as PoolStats.Destroyed,
        wait: none,
        use: none,
        create: none,
        details: { items: 0 }
      })
    })
  )

  it.effect("count what happens and time it", () =>
    Effect.gen(function* () {
      const pool = yield* open({ max: 1, acquireTimeout: 500 })
      const user = yield* fork(Pool.use(pool, () => Effect.sleep(1000)))
      const timedOut = yield* fork(Effect.flip(Pool.use(pool, () => Effect.void)))
      const patient = yield* fork(Pool.use(pool, () => Effect.sleep(200), { acquireTimeout: 2000 }))
      yield* Effect.flip(Pool.use(pool, () => Effect.void, { acquireTimeout: 0 }))
      assert.deepInclude(yield* Pool.stats(pool), { used: 1, idle: 0, size: 1, pending: 2, exhausted: 1 })
      yield* TestClock.adjust(2000)
      yield* Fiber.joinAll([user, timedOut, patient])
      const stats = yield* Pool.stats(pool)
      assert.deepInclude(stats, {
        acquired: 2,
        released: 2,
        created: 1,
        timeouts: 1,
        exhausted: 1,
        pending: 0,
        idle: 1,
        used: 0
      })
      // Who was served at once counts as a wait of 0.
      assert.deepInclude(stats.wait, { count: 2, mean: 500, max: 1000, p50: 0 })
      assert.deepInclude(stats.use, { count: 2, mean: 600, max: 1000 })
      assert.deepInclude(stats.create, { count: 1, max: 20 })
    })
  )

  it.effect("are a snapshot: what comes later does not change them", () =>
    Effect.gen(function* () {
      const pool = yield* open()
      const before = yield* Pool.stats(pool)
      const copy = structuredClone(before)
      yield* Pool.use(pool, () => Effect.void)
      pool.admission.observer.destroyed.shrink++
      assert.deepStrictEqual(before, copy)
    })
  )

  it.effect("travel as JSON and come back the same", () =>
    Effect.gen(function* () {
      const pool = yield* open({ max: 3 })
      yield* Pool.use(pool, () => TestClock.adjust(123))
      const stats = yield* Pool.stats(pool)
      const codec = Schema.toCodecJson(PoolStats.PoolStats)
      const text = JSON.stringify(yield* Schema.encodeEffect(codec)(stats))
      assert.deepStrictEqual(yield* Schema.decodeUnknownEffect(codec)(JSON.parse(text)), stats)
      assert.deepStrictEqual(JSON.parse(text), JSON.parse(JSON.stringify(stats)), "as JSON.stringify writes it")
    })
  )

  it.effect("that are not stats are refused", () =>
    Effect.gen(function* () {
      const stats = yield* Pool.stats(yield* open())
      const decode = Schema.decodeUnknownEffect(PoolStats.PoolStats)
      const changed = (change: object) => decode(Object.assign({}, stats, change))
      assert.deepStrictEqual(yield* changed({}), stats)
      yield* Effect.flip(changed({ state: "sleeping" }))
      yield* Effect.flip(changed({ idle: "none" }))
      yield* Effect.flip(changed({ destroyed: { closed: 0 } }))
    })
  )

  it.effect("follow the lifecycle", () =>
    Effect.gen(function* () {
      const pool = yield* open()
      const state = Effect.map(Pool.stats(pool), (stats) => stats.state)
      assert.strictEqual(yield* state, "open")
      yield* Pool.suspend(pool)
      assert.strictEqual(yield* state, "suspended")
      yield* Pool.resume(pool)
      const user = yield* fork(Pool.use(pool, () => Effect.sleep(10)))
      const draining = yield* fork(Pool.drain(pool))
      assert.strictEqual(yield* state, "draining")
      yield* TestClock.adjust(10)
      yield* Fiber.joinAll([user, draining])
      assert.strictEqual(yield* state, "closed")
    })
  )
})
