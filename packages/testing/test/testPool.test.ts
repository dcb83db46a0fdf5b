import { Pool, type PoolError } from "@effect-pools/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import * as Gates from "../src/Gates.ts"
import * as Sandbox from "../src/Sandbox.ts"
import * as TestPool from "../src/TestPool.ts"

const start = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

describe("TestPool", () => {
  it.effect("hands out what `make` returns, numbered, the last returned first", () =>
    Effect.gen(function* () {
      const pool = yield* TestPool.make({ make: (id) => ({ id }), max: 2 })
      const both = yield* Effect.scoped(Effect.all([Pool.get(pool), Pool.get(pool)]))
      assert.deepStrictEqual(
        both.map(({ id }) => id),
        [1, 2]
      )
      assert.strictEqual(yield* Pool.use(pool, ({ id }) => Effect.succeed(id)), 1)
    })
  )

  it.effect("what `acquire` needs comes from where the pool is made, its scope ends with the item", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const { close, pool } = yield* Sandbox.open(TestPool.make({ acquire: gates.make, max: 1 }))
      yield* Pool.use(pool, (item) => Pool.invalidate(pool, item))
      assert.strictEqual(gates.items[0]!.destroyed, 1)
      yield* Pool.use(pool, () => Effect.void)
      yield* close
      assert.deepStrictEqual(gates.audit(0), [])
    })
  )

  it.effect("an item that cannot be made is the failure of the first caller, and of nobody else", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const pool = yield* TestPool.make({ acquire: gates.make, max: 1 })
      gates.create = { late: 10, ending: "fail" }
      const [first, second] = [
        yield* start(Effect.flip(Pool.use(pool, Effect.succeed))),
        yield* start(Effect.exit(Pool.use(pool, Effect.succeed)))
      ]
      gates.create = "ok"
      yield* TestClock.adjust(10)
      assert.strictEqual((yield* Fiber.join(first))._tag, "GateFailure")
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(second)))
    })
  )

  it.effect("making an item that takes too long fails with AcquireTimeout, and its place is free", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const pool = yield* TestPool.make({ acquire: gates.make, max: 1, createTimeout: 100 })
      gates.create = "hang"
      const caller = yield* start(Effect.flip(Pool.use(pool, Effect.succeed)))
      yield* TestClock.adjust(100)
      const error = (yield* Fiber.join(caller)) as PoolError.PoolError
      assert.deepInclude(error.reason, { _tag: "AcquireTimeout", phase: "create", waited: 100 })
      gates.create = "ok"
      assert.strictEqual(yield* Pool.use(pool, ({ id }) => Effect.succeed(id)), 1)
    })
  )

  it.effect("keeps `min` items, and does not insist while they cannot be made", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      gates.create = "fail"
      const { logs, pool } = yield* Sandbox.open(TestPool.make({ acquire: gates.make, min: 2 }))
      assert.strictEqual(gates.attempts, 1)
      yield* Sandbox.settle
      assert.lengthOf(logs, 1)
      gates.create = "ok"
      yield* Pool.use(pool, () => Effect.void)
      assert.strictEqual(Pool.statsUnsafe(pool).idle, 2)
    })
  )

  it.effect("is filled up to `min` again once a caller could be served, whoever keeps the item", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      gates.create = { late: 50, ending: "fail" }
      const pool = yield* TestPool.make({ acquire: gates.make, min: 2 })
      yield* TestClock.adjust(50)
      assert.strictEqual(gates.attempts, 2)
      gates.create = 10
      const caller = yield* start(Pool.get(pool))
      yield* TestClock.adjust(10)
      yield* Fiber.join(caller)
      yield* TestClock.adjust(10)
      assert.strictEqual(Pool.statsUnsafe(pool).idle, 1)
    })
  )

  it.effect("makes thousands of items in one step, without a stack that grows with them", () =>
    Effect.gen(function* () {
      const pool = yield* TestPool.make({ make: (id) => id, min: 5000, max: 5000 })
      assert.strictEqual(Pool.statsUnsafe(pool).idle, 5000)
    })
  )

  it.effect("answers thousands of callers with a failure each, in one step", () =>
    Effect.gen(function* () {
      const pool = yield* TestPool.make({ acquire: Effect.fail("no"), max: 1 })
      yield* Pool.suspend(pool)
      const callers = yield* Effect.forEach(Array.from({ length: 5000 }), () =>
        start(Effect.flip(Pool.use(pool, () => Effect.void)))
      )
      yield* Pool.resume(pool)
      for (const caller of callers) assert.strictEqual(yield* Fiber.join(caller), "no")
      const { creating, destroying, pending } = Pool.statsUnsafe(pool)
      assert.deepStrictEqual({ creating, destroying, pending }, { creating: 0, destroying: 0, pending: 0 })
    })
  )

  for (const [name, options] of Object.entries({
    "no source of items": { max: 1 },
    "two sources of items": { make: () => 1, acquire: Effect.succeed(1) },
    "a source that is no function": { make: 1 },
    "a misspelt option": { make: () => 1, maximum: 1 },
    "a min above max": { make: () => 1, min: 2, max: 1 }
  })) {
    it.effect(`refuses ${name}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(TestPool.make(options as never))
        assert.strictEqual(error._tag, "InvalidOptions")
      })
    )
  }
})
