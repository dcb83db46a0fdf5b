import { PoolRegistry } from "@effect-pools/core"
import { LockFreePool } from "@effect-pools/lock-free"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { expectEveryPlaceWorks, open, release, settle, statsOf, take } from "./lockFreeSupport.ts"

const sound = { create: () => ({}), reset: () => true, scale: { mode: "static", count: 1 } } as const

const refused: ReadonlyArray<readonly [field: string, options: unknown]> = [
  ["options", undefined],
  ["create", { ...sound, create: undefined }],
  ["create", { ...sound, create: {} }],
  ["reset", { ...sound, reset: undefined }],
  ["destroy", { ...sound, destroy: "no" }],
  ["catch", { ...sound, catch: 1 }],
  ["scale", { ...sound, scale: undefined }],
  ["scale", { ...sound, scale: 10 }],
  ["scale.mode", { ...sound, scale: {} }],
  ["scale.mode", { ...sound, scale: { mode: "elastic" } }],
  ["scale.count", { ...sound, scale: { mode: "static" } }],
  ["scale.count", { ...sound, scale: { mode: "static", count: 0 } }],
  ["scale.count", { ...sound, scale: { mode: "static", count: Infinity } }],
  ["scale.initial", { ...sound, scale: { mode: "static", count: 1, initial: 1 } }],
  ["scale.count", { ...sound, scale: { mode: "auto", count: 1 } }],
  ["scale.initial", { ...sound, scale: { mode: "auto", initial: -1 } }],
  ["scale.initial", { ...sound, scale: { mode: "auto", initial: 2, maximum: 1 } }],
  ["scale.maximum", { ...sound, scale: { mode: "auto", maximum: 0 } }],
  ["scale.chunk", { ...sound, scale: { mode: "auto", chunk: 0.5 } }],
  ["wait", { ...sound, wait: "yes" }],
  ["acquireTimeout", { ...sound, acquireTimeout: -1 }],
  ["maxWaiters", { ...sound, maxWaiters: -1 }],
  ["closeGrace", { ...sound, closeGrace: "soon" }],
  ["leakDetection", { ...sound, leakDetection: 0 }],
  ["name", { ...sound, name: "" }],
  ["max", { ...sound, max: 1 }]
]

const outcome = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.match(effect, {
    onSuccess: () => "served",
    onFailure: (error) => (error as { readonly reason?: { readonly _tag: string } }).reason?._tag
  })

const use = <A, E>(pool: LockFreePool.LockFreePool<A, E>, acquireTimeout?: number) =>
  outcome(LockFreePool.use(pool, () => Effect.void, acquireTimeout === undefined ? undefined : { acquireTimeout }))

describe("options", () => {
  for (const [field, options] of refused) {
    it.effect(`refuses ${field} of ${JSON.stringify(options)}`, () =>
      Effect.gen(function* () {
        const invalid = yield* Effect.flip(LockFreePool.make(options as typeof sound))
        assert.deepInclude(invalid, { _tag: "InvalidOptions", field })
      })
    )
  }

  it.effect("may be undefined, where they have a default", () =>
    Effect.gen(function* () {
      const pool = yield* LockFreePool.make({
        ...sound,
        scale: { mode: "auto", initial: undefined, maximum: undefined, chunk: undefined },
        destroy: undefined,
        catch: undefined,
        name: undefined,
        wait: undefined,
        acquireTimeout: undefined,
        maxWaiters: undefined,
        closeGrace: undefined,
        leakDetection: undefined
      })
      assert.match(pool.name, /^lock-free-pool-\d+$/)
      assert.deepInclude(statsOf(pool), { min: 0, max: Infinity, size: 0 })
      const guards = take(pool, 100)
      assert.strictEqual(guards.length, 100)
      release(guards)
      assert.isTrue(LockFreePool.isLockFreePool(pool))
      assert.isFalse(LockFreePool.isLockFreePool({ kind: "lock-free" }))
    }).pipe(Effect.provideService(PoolRegistry.PoolRegistry, PoolRegistry.makeUnsafe()))
  )
})

describe("effects", () => {
  it.effect("are refused at once while all items are in use, whatever they ask for", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ mode: "static", count: 1 })
      const guards = take(pool, 1)
      assert.strictEqual(yield* use(pool), "Exhausted")
      assert.strictEqual(yield* use(pool, 1000), "Exhausted")
      assert.strictEqual(yield* outcome(Effect.scoped(LockFreePool.get(pool))), "Exhausted")
      assert.deepInclude(yield* LockFreePool.useIfAvailable(pool, () => Effect.void), { _tag: "None" })
      assert.deepInclude(yield* Effect.scoped(LockFreePool.getIfAvailable(pool)), { _tag: "None" })
      assert.deepInclude(statsOf(pool), { exhausted: 3, timeouts: 0, pending: 0 })
      release(guards)
      assert.strictEqual(yield* use(pool), "served")
      assert.deepInclude(yield* LockFreePool.useIfAvailable(pool, () => Effect.void), { _tag: "Some" })
    })
  )

  it.effect("wait where the pool has them wait, before plain code that comes later", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ mode: "static", count: 1 }, { wait: true, acquireTimeout: 100, maxWaiters: 1 })
      const first = take(pool, 1)
      const waiting = yield* Effect.forkChild(
        LockFreePool.use(pool, () => Effect.sleep(10)),
        {
          startImmediately: true
        }
      )
      assert.strictEqual(yield* use(pool), "QueueFull")
      release(first)
      assert.isUndefined(LockFreePool.getUnsafe(pool))
      yield* TestClock.adjust(10)
      yield* Fiber.join(waiting)
      const second = take(pool, 1)
      const late = yield* Effect.forkChild(use(pool), { startImmediately: true })
      yield* TestClock.adjust(100)
      assert.strictEqual(yield* Fiber.join(late), "AcquireTimeout")
      release(second)
      expectEveryPlaceWorks(pool)
    })
  )

  it.effect("and guards share the items: what one gives back the other gets", () =>
    Effect.gen(function* () {
      const { factory, pool } = yield* open({ mode: "static", count: 1 })
      release(take(pool, 1))
      assert.strictEqual(yield* LockFreePool.use(pool, ({ id }) => Effect.succeed(id)), 1)
      yield* LockFreePool.use(pool, () => Effect.sync(() => assert.isUndefined(LockFreePool.getUnsafe(pool))))
      assert.strictEqual(factory.resets, 3)
    })
  )

  it.effect("end an item that they invalidate when they end", () =>
    Effect.gen(function* () {
      const { factory, pool } = yield* open({ mode: "auto", maximum: 1 })
      yield* LockFreePool.use(pool, (item) => LockFreePool.invalidate(pool, item))
      assert.deepStrictEqual(factory.destroyed, [1])
      LockFreePool.invalidateUnsafe(pool, { id: 7, isDirty: false })
      assert.deepStrictEqual(factory.destroyed, [1])
    })
  )

  it.effect("drain a pool that has guards out, until the last is back", () =>
    Effect.gen(function* () {
      const { factory, pool } = yield* open({ mode: "static", count: 2 })
      const guards = take(pool, 1)
      const draining = yield* Effect.forkChild(LockFreePool.drain(pool), { startImmediately: true })
      assert.isUndefined(LockFreePool.getUnsafe(pool))
      yield* settle
      assert.isUndefined(draining.pollUnsafe())
      release(guards)
      yield* Fiber.join(draining)
      assert.deepStrictEqual(
        factory.destroyed.toSorted((a, b) => a - b),
        [1, 2]
      )
      assert.strictEqual(factory.resets, 0)
    })
  )

  it.effect("have their lease reported when it takes too long, and so has plain code", () =>
    Effect.gen(function* () {
      const { logs, pool } = yield* open({ mode: "static", count: 1 }, { leakDetection: 100 })
      const guards = take(pool, 1)
      yield* TestClock.adjust(100)
      assert.match(logs.join(), /item 1 has been held for 100 ms; taken at take .*lockFreeSupport\.ts/)
      release(guards)
    })
  )
})

describe("a service", () => {
  class Things extends LockFreePool.Service<Things>()("app/Things", {
    create: () => ({ id: 0 }),
    reset: () => true,
    scale: { mode: "static", count: 2 }
  }) {}

  it.effect("opens its pool with the layer, and plain code takes guards from it", () =>
    Effect.gen(function* () {
      const pool = yield* Effect.gen(function* () {
        const things = yield* Things
        using guard = LockFreePool.getOrThrowUnsafe(things)
        assert.strictEqual(guard.value.id, 0)
        assert.strictEqual(yield* Things.use(({ id }) => Effect.succeed(id)), 0)
        assert.deepInclude(yield* Things.stats, { name: "app/Things", used: 1, max: 2 })
        return things
      }).pipe(Effect.provide(Things.layer))
      assert.deepInclude(statsOf(pool), { state: "closed", size: 0 })
    })
  )

  it.effect("has a layer of fakes for tests", () =>
    Effect.gen(function* () {
      const destroyed: Array<number> = []
      const fakes: LockFreePool.Options<{ id: number }> = {
        create: () => ({ id: 1 }),
        reset: () => true,
        destroy: ({ id }) => void destroyed.push(id),
        scale: { mode: "auto", maximum: 1 }
      }
      const pool = yield* Effect.gen(function* () {
        const things = yield* Things
        assert.strictEqual(yield* Things.use(({ id }) => Effect.succeed(id)), 1)
        take(things, 1)
        return things
      }).pipe(Effect.provide(Things.layerTest(fakes)))
      assert.deepInclude(statsOf(pool), { name: "app/Things", state: "closed", size: 0 })
      assert.deepStrictEqual(destroyed, [1])
    })
  )
})
