/** What goes wrong in the known system, `rpool`, and must not here. */
import { LockFreePool } from "@effect-pools/lock-free"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
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

/** The same numbers each time. */
const numbers = (seed: number) => {
  let state = seed
  return (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

describe("unlike the known system", () => {
  it.effect(
    "unlike the known system, no item is lost or in two hands, whatever is taken and returned in which order",
    () =>
      Effect.gen(function* () {
        for (let seed = 1; seed <= 25; seed++) {
          const { factory, pool } = yield* open({ mode: "auto", initial: 2, maximum: 8, chunk: 0 })
          const next = numbers(seed)
          factory.reset = () => next(10) > 0
          const held: Array<LockFreePool.Guard<{ readonly id: number }>> = []
          for (let n = 0; n < 400; n++) {
            const guard = next(2) === 0 ? LockFreePool.getUnsafe(pool) : undefined
            if (guard !== undefined) held.push(guard)
            else if (held.length > 0) held.splice(next(held.length), 1)[0]![Symbol.dispose]()
            if (next(20) === 0) yield* settle
            assert.strictEqual(new Set(held.map(({ value }) => value.id)).size, held.length)
            assert.isAtMost(statsOf(pool).size, 8)
          }
          release(held)
          factory.reset = () => true
          expectEveryPlaceWorks(pool)
          assert.strictEqual(factory.made.length - factory.destroyed.length, statsOf(pool).size)
        }
      })
  )

  it.effect("unlike the known system, the maximum holds, also if making an item takes others meanwhile", () =>
    Effect.gen(function* () {
      const { factory, pool } = yield* open({ mode: "auto", maximum: 3, chunk: 0 })
      const { create } = factory
      const inner: Array<LockFreePool.Guard<unknown>> = []
      factory.create = () => {
        inner.push(...take(pool, 1))
        return create()
      }
      const guards = take(pool)
      yield* settle
      assert.strictEqual(guards.length + inner.length, 3)
      assert.strictEqual(factory.made.length, 3)
      release([...guards, ...inner])
      factory.create = create
      expectEveryPlaceWorks(pool)
    })
  )

  for (const [scale, size] of [
    [{ mode: "static", count: 3 }, 3],
    [{ mode: "auto", initial: 3, maximum: 3, chunk: 0 }, 3]
  ] as const) {
    it.effect(`unlike the known system, a ${scale.mode} pool does not end empty by resets that fail`, () =>
      Effect.gen(function* () {
        const { factory, pool } = yield* open(scale)
        const { reset } = factory
        factory.reset = () => false
        for (let n = 0; n < 100; n++) release(take(pool))
        assert.strictEqual(statsOf(pool).destroyed.resetFailed, 100 * size)
        factory.reset = reset
        expectEveryPlaceWorks(pool)
      })
    )
  }

  it.effect("unlike the known system, more than the maximum to begin with is refused", () =>
    Effect.gen(function* () {
      const invalid = yield* Effect.flip(open({ mode: "auto", initial: 11, maximum: 10 }))
      assert.deepInclude(invalid, {
        _tag: "InvalidOptions",
        field: "scale.initial",
        value: "11",
        rule: "must not exceed maximum (10)"
      })
    })
  )

  it.effect("unlike the known system, no caller makes more than one item", () =>
    Effect.gen(function* () {
      const { factory, pool } = yield* open({ mode: "auto", initial: 64, maximum: 1000, chunk: 100 })
      const guards = take(pool, 64)
      for (const made of [65, 66]) {
        guards.push(LockFreePool.getOrThrowUnsafe(pool))
        assert.strictEqual(factory.made.length, made)
      }
      yield* settle
      assert.strictEqual(factory.made.length, 164)
      release(guards)
    })
  )

  it.effect("unlike the known system, a reset that throws loses neither the item nor its place", () =>
    Effect.gen(function* () {
      const { events, factory, logs, pool } = yield* open({ mode: "static", count: 1 })
      const { reset } = factory
      factory.reset = () => {
        throw new Error("cannot be cleaned")
      }
      release(take(pool))
      assert.deepStrictEqual(factory.destroyed, [1])
      assert.strictEqual(statsOf(pool).destroyed.resetFailed, 1)
      const failure = events.find(({ _tag }) => _tag === "BackgroundFailure")
      assert.deepInclude(failure, { during: "reset", item: 1, cause: "Error: cannot be cleaned" })
      assert.match(logs.join(), /reset of item 1 failed/)
      factory.reset = reset
      expectEveryPlaceWorks(pool)
    })
  )

  it.effect("unlike the known system, a destroy that throws loses no place, and that is told", () =>
    Effect.gen(function* () {
      const { close, events, factory, logs, pool } = yield* open({ mode: "static", count: 2 })
      factory.destroy = () => {
        throw new Error("cannot be ended")
      }
      for (const { value } of pool.store.all) LockFreePool.invalidateUnsafe(pool, value)
      assert.deepInclude(statsOf(pool), { size: 0, destroying: 0 })
      assert.strictEqual(events.filter(({ _tag }) => _tag === "BackgroundFailure").length, 2)
      assert.match(logs.join(), /destroy of item 2 failed/)
      expectEveryPlaceWorks(pool)
      yield* close
      assert.deepInclude(statsOf(pool), { state: "closed", size: 0 })
    })
  )

  it.effect("unlike the known system, a create that throws loses no place", () =>
    Effect.gen(function* () {
      const { factory, pool } = yield* open({ mode: "auto", maximum: 2 })
      const { create } = factory
      factory.create = () => {
        throw new Error("no memory")
      }
      for (let n = 0; n < 10; n++) thrownBy(() => LockFreePool.getUnsafe(pool))
      factory.create = create
      expectEveryPlaceWorks(pool)
    })
  )

  it.effect("unlike the known system, a guard can be handed on: another fiber, or a timer, may dispose it", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ mode: "static", count: 1 })
      const guard = LockFreePool.getOrThrowUnsafe(pool)
      yield* Effect.forkChild(
        Effect.sync(() => guard[Symbol.dispose]()),
        { startImmediately: true }
      )
      assert.isTrue(guard.isDisposed)
      expectEveryPlaceWorks(pool)
    })
  )

  it.effect("unlike the known system, everything is counted, and told to who listens", () =>
    Effect.gen(function* () {
      const { close, pool, registry } = yield* open({ mode: "auto", maximum: 1 })
      const told = yield* Effect.forkChild(Stream.runCollect(LockFreePool.events(pool)), { startImmediately: true })
      yield* settle
      release(take(pool))
      release(take(pool, 1))
      assert.deepInclude(statsOf(pool), { kind: "lock-free", acquired: 2, released: 2, exhausted: 1, created: 1 })
      assert.deepInclude(statsOf(pool).use, { count: 2 })
      assert.deepInclude(statsOf(pool).wait, { count: 2, max: 0 })
      assert.deepStrictEqual(statsOf(pool).details, { recycled: 1, made: 1, abandoned: 0, ahead: 0 })
      assert.strictEqual(registry.list().length, 1)
      yield* close
      const tags = (yield* Fiber.join(told)).map(({ _tag }) => _tag)
      assert.deepStrictEqual(tags.slice(0, 4), ["ItemCreating", "ItemCreated", "LeaseAcquired", "LeaseReleased"])
      assert.strictEqual(tags.at(-1), "Closed")
    })
  )

  it.effect("unlike the known system, what a context holds is at hand in every step, and only there", () =>
    Effect.gen(function* () {
      const context = { size: 8, cleaned: 0 }
      const pool = yield* LockFreePool.make({
        context,
        create: ({ size }) => new Uint8Array(size),
        reset: (bytes, context) => {
          bytes.fill(0)
          context.cleaned++
          return true
        },
        scale: { mode: "static", count: 1 }
      })
      const guard = LockFreePool.getOrThrowUnsafe(pool)
      assert.strictEqual(guard.value.length, 8)
      guard.value.fill(1)
      guard[Symbol.dispose]()
      assert.strictEqual(context.cleaned, 1)
      using again = LockFreePool.getOrThrowUnsafe(pool)
      assert.deepStrictEqual(again.value, new Uint8Array(8))
    })
  )

  it.effect("unlike the known system, a reset that answers with anything but true has not cleaned", () =>
    Effect.gen(function* () {
      const factory = makeFactory()
      for (const answer of [undefined, 1, Promise.resolve(true)]) {
        const { pool } = yield* open({ mode: "static", count: 1 }, {}, { ...factory, reset: () => answer as never })
        release(take(pool))
        assert.strictEqual(statsOf(pool).destroyed.resetFailed, 1)
      }
    })
  )
})
