import { LockFreePool } from "@effect-pools/lock-free"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import {
  expectEveryPlaceWorks,
  makeFactory,
  open,
  release,
  settle,
  statsOf,
  take,
  thrownBy
} from "./lockFreeSupport.ts"

describe("a static pool", () => {
  it.effect("has all of its items when it is open: ten of ten, then none", () =>
    Effect.gen(function* () {
      const { factory, pool } = yield* open({ mode: "static", count: 10 })
      assert.deepInclude(statsOf(pool), { idle: 10, created: 10, min: 10, max: 10 })
      const guards = take(pool)
      assert.strictEqual(new Set(guards.map(({ value }) => value.id)).size, 10)
      assert.isUndefined(LockFreePool.getUnsafe(pool))
      release(guards)
      expectEveryPlaceWorks(pool)
      assert.strictEqual(factory.made.length, 10)
    })
  )

  it.effect("uses one item a thousand times", () =>
    Effect.gen(function* () {
      const { factory, pool } = yield* open({ mode: "static", count: 1 })
      for (let n = 0; n < 1000; n++) {
        using guard = LockFreePool.getOrThrowUnsafe(pool)
        assert.isFalse(guard.value.isDirty)
        guard.value.isDirty = true
      }
      assert.deepInclude(statsOf(pool), { acquired: 1000, released: 1000, created: 1, idle: 1 })
      assert.deepInclude(statsOf(pool).details, { recycled: 1000, made: 1 })
      assert.strictEqual(factory.resets, 1000)
    })
  )

  it.effect("replaces what does not come back clean, in the background", () =>
    Effect.gen(function* () {
      const { factory, pool } = yield* open({ mode: "static", count: 2 })
      factory.reset = () => false
      release(take(pool))
      assert.deepInclude(statsOf(pool), { size: 0 })
      assert.deepStrictEqual(factory.destroyed, [2, 1])
      yield* settle
      assert.deepInclude(statsOf(pool), { idle: 2, created: 4 })
      assert.strictEqual(statsOf(pool).destroyed.resetFailed, 2)
    })
  )

  it.effect("makes the replacement for a caller who cannot be put off", () =>
    Effect.gen(function* () {
      const { factory, pool } = yield* open({ mode: "static", count: 1 })
      factory.reset = () => false
      release(take(pool))
      assert.deepStrictEqual(
        take(pool).map(({ value }) => value.id),
        [2]
      )
      yield* settle
      assert.strictEqual(statsOf(pool).created, 2)
    })
  )

  it.effect("replaces what is invalidated", () =>
    Effect.gen(function* () {
      const { factory, pool } = yield* open({ mode: "static", count: 1 })
      LockFreePool.invalidateUnsafe(pool, factory.made[0]!)
      assert.deepStrictEqual(factory.destroyed, [1])
      yield* settle
      assert.deepInclude(statsOf(pool), { idle: 1, created: 2 })
    })
  )

  it.effect("can be given another size", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ mode: "static", count: 2 })
      yield* LockFreePool.resize(pool, { min: 5, max: 5 })
      yield* settle
      assert.deepInclude(statsOf(pool), { idle: 5 })
      const guards = take(pool, 4)
      yield* LockFreePool.resize(pool, { min: 1, max: 1 })
      assert.deepInclude(statsOf(pool), { idle: 0, used: 4 })
      release(guards)
      assert.deepInclude(statsOf(pool), { idle: 1, used: 0 })
      expectEveryPlaceWorks(pool)
    })
  )
})

describe("a pool that grows", () => {
  it.effect("one at a time, to a hundred", () =>
    Effect.gen(function* () {
      const { factory, pool } = yield* open({ mode: "auto", chunk: 1 })
      const guards = take(pool, 100)
      yield* settle
      assert.strictEqual(factory.made.length, 100)
      release(guards)
      assert.deepInclude(statsOf(pool), { idle: 100, created: 100 })
    })
  )

  it.effect("by doubling, to 128 for a hundred callers", () =>
    Effect.gen(function* () {
      const { factory, pool } = yield* open({ mode: "auto", initial: 1, chunk: 0 })
      const guards = take(pool, 100)
      assert.strictEqual(factory.made.length, 100)
      assert.deepInclude(statsOf(pool).details, { ahead: 28 })
      yield* settle
      assert.deepInclude(statsOf(pool), { used: 100, idle: 28 })
      assert.deepInclude(statsOf(pool).details, { ahead: 0 })
      release(guards)
    })
  )

  it.effect("by doubling from nothing, and by chunks of seven", () =>
    Effect.gen(function* () {
      const sizes = function* (scale: LockFreePool.Scale) {
        const { pool } = yield* open(scale)
        const sizes: Array<number> = []
        const guards: Array<LockFreePool.Guard<unknown>> = []
        for (let n = 0; n < 9; n++) {
          guards.push(LockFreePool.getOrThrowUnsafe(pool))
          yield* settle
          sizes.push(statsOf(pool).size)
        }
        release(guards)
        return sizes
      }
      assert.deepStrictEqual(yield* Effect.gen(() => sizes({ mode: "auto", chunk: 0 })), [1, 2, 4, 4, 8, 8, 8, 8, 16])
      assert.deepStrictEqual(
        yield* Effect.gen(() => sizes({ mode: "auto", chunk: 7, maximum: 10 })),
        [7, 7, 7, 7, 7, 7, 7, 10, 10]
      )
    })
  )

  it.effect("stops at ten", () =>
    Effect.gen(function* () {
      const { factory, pool } = yield* open({ mode: "auto", initial: 5, maximum: 10, chunk: 100 })
      assert.strictEqual(take(pool).length, 10)
      yield* settle
      assert.strictEqual(factory.made.length, 10)
    })
  )

  it.effect("does not go on making what a smaller pool has no room for", () =>
    Effect.gen(function* () {
      const { factory, pool } = yield* open({ mode: "auto", chunk: 50 })
      const guards = take(pool, 1)
      yield* LockFreePool.resize(pool, { max: 3 })
      yield* settle
      assert.strictEqual(factory.made.length, 1)
      release(guards)
      expectEveryPlaceWorks(pool)
    })
  )

  it.effect("makes nothing while it is suspended, and the rest of the chunk when it is resumed", () =>
    Effect.gen(function* () {
      const { factory, pool } = yield* open({ mode: "auto", chunk: 4 })
      release(take(pool, 1))
      yield* LockFreePool.suspend(pool)
      yield* settle
      assert.strictEqual(factory.made.length, 1)
      yield* LockFreePool.resume(pool)
      yield* settle
      assert.strictEqual(factory.made.length, 4)
    })
  )

  it.effect("replaces what did not come back clean only when somebody needs it", () =>
    Effect.gen(function* () {
      const { factory, pool } = yield* open({ mode: "auto", initial: 2, maximum: 2 })
      factory.reset = () => false
      release(take(pool))
      yield* settle
      assert.strictEqual(statsOf(pool).size, 0)
      factory.reset = () => true
      expectEveryPlaceWorks(pool)
      assert.strictEqual(factory.made.length, 4)
    })
  )

  it.live("makes its first items in turns, between which others go on", () =>
    Effect.gen(function* () {
      const factory = makeFactory()
      const { create } = factory
      let others = 0
      const seen = new Set<number>()
      factory.create = () => {
        seen.add(others)
        const until = performance.now() + 1
        while (performance.now() < until);
        return create()
      }
      const busy = yield* Effect.forkChild(
        Effect.forever(
          Effect.andThen(
            Effect.sync(() => others++),
            Effect.yieldNow
          )
        ),
        { startImmediately: true }
      )
      const { pool } = yield* open({ mode: "static", count: 20 }, {}, factory)
      yield* Fiber.interrupt(busy)
      assert.strictEqual(statsOf(pool).idle, 20)
      assert.isAtLeast(seen.size, 5)
    })
  )
})

describe("many takers", () => {
  it.effect("take each an item of their own", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ mode: "static", count: 1000 })
      const takers = yield* Effect.forEach(Array.from({ length: 100 }), () => Effect.sync(() => take(pool, 10)), {
        concurrency: "unbounded"
      })
      const items = takers.flat().map(({ value }) => value)
      assert.strictEqual(new Set(items).size, 1000)
      assert.isUndefined(LockFreePool.getUnsafe(pool))
      release(takers.flat())
      expectEveryPlaceWorks(pool)
    })
  )

  const takeAndReturn = (scale: LockFreePool.Scale) =>
    Effect.gen(function* () {
      const { factory, pool } = yield* open(scale)
      const holders = new Map<unknown, number>()
      const taker = Effect.gen(function* () {
        for (let n = 0; n < 10; n++) {
          const guard = LockFreePool.getUnsafe(pool)
          if (guard !== undefined) {
            assert.isFalse(holders.has(guard.value), "in two hands")
            holders.set(guard.value, n)
            yield* Effect.yieldNow
            holders.delete(guard.value)
            guard[Symbol.dispose]()
          }
          yield* Effect.yieldNow
        }
      })
      yield* Effect.forEach(Array.from({ length: 100 }), () => taker, { concurrency: "unbounded", discard: true })
      const { acquired, created, exhausted, max, released } = statsOf(pool)
      assert.strictEqual(acquired + exhausted, 1000)
      assert.strictEqual(released, acquired)
      assert.isAtMost(created, max)
      assert.strictEqual(factory.made.length, created)
      return { pool, exhausted }
    })

  it.effect("take and return", () =>
    Effect.gen(function* () {
      const { exhausted, pool } = yield* takeAndReturn({ mode: "static", count: 10 })
      assert.isAbove(exhausted, 0)
      expectEveryPlaceWorks(pool)
    })
  )

  it.effect("take, and the pool grows", () =>
    Effect.gen(function* () {
      const { exhausted, pool } = yield* takeAndReturn({ mode: "auto", initial: 1, maximum: 200, chunk: 0 })
      assert.strictEqual(exhausted, 0)
      expectEveryPlaceWorks(pool)
    })
  )
})

describe("making that fails", () => {
  it.effect("is the failure of who asked, as it was thrown, and costs no place", () =>
    Effect.gen(function* () {
      const { factory, pool } = yield* open({ mode: "auto", maximum: 1 })
      const { create } = factory
      const error = new Error("no memory")
      factory.create = () => {
        throw error
      }
      assert.strictEqual(
        thrownBy(() => LockFreePool.getUnsafe(pool)),
        error
      )
      assert.strictEqual(
        thrownBy(() => LockFreePool.getOrThrowUnsafe(pool)),
        error
      )
      assert.deepInclude(statsOf(pool), { createFailed: 2, size: 0, creating: 0, exhausted: 0 })
      factory.create = create
      expectEveryPlaceWorks(pool)
    })
  )

  it.effect("is a defect of effects unless `catch` makes a failure of it", () =>
    Effect.gen(function* () {
      const error = new Error("no memory")
      const factory = makeFactory()
      factory.create = () => {
        throw error
      }
      const { pool } = yield* open({ mode: "auto" }, {}, factory)
      const use = LockFreePool.use(pool, () => Effect.void)
      assert.strictEqual(yield* Effect.catchDefect(use, Effect.succeed), error)
      const typed = yield* open({ mode: "auto" }, { catch: (cause) => new Error("typed", { cause }) }, factory)
      const failure = yield* Effect.flip(LockFreePool.use(typed.pool, () => Effect.void))
      assert.deepStrictEqual([failure.message, failure.cause], ["typed", error])
      assert.deepStrictEqual(
        thrownBy(() => LockFreePool.getUnsafe(typed.pool)),
        failure
      )
    })
  )

  it.effect("ahead of demand is logged once, and tried again when it has succeeded for a caller", () =>
    Effect.gen(function* () {
      const factory = makeFactory()
      const { create } = factory
      factory.create = () => {
        throw new Error("no memory")
      }
      const { events, logs, pool } = yield* open({ mode: "static", count: 3 }, {}, factory)
      yield* LockFreePool.suspend(pool)
      yield* LockFreePool.resume(pool)
      yield* settle
      assert.strictEqual(logs.length, 1)
      assert.match(logs[0]!, /making items ahead failed/)
      assert.isTrue(events.every(({ _tag }) => _tag !== "ItemCreated"))
      assert.deepInclude(statsOf(pool), { createFailed: 1, size: 0, creating: 0 })
      factory.create = create
      release(take(pool, 1))
      yield* settle
      assert.deepInclude(statsOf(pool), { idle: 3 })
    })
  )
})
