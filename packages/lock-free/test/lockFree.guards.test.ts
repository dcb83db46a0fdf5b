import { PoolError, type PoolEvent } from "@effect-pools/core"
import { LockFreePool } from "@effect-pools/lock-free"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import {
  collect,
  collectUntil,
  expectEveryPlaceWorks,
  open,
  release,
  statsOf,
  take,
  thrownBy
} from "./lockFreeSupport.ts"

const tagged = <Tag extends PoolEvent.PoolEvent["_tag"]>(events: ReadonlyArray<PoolEvent.PoolEvent>, tag: Tag) =>
  events.filter((event): event is Extract<PoolEvent.PoolEvent, { readonly _tag: Tag }> => event._tag === tag)

const reasonOf = (error: unknown): string => {
  assert.instanceOf(error, PoolError.PoolError)
  return (error as PoolError.PoolError).reason._tag
}

describe("a guard", () => {
  it.effect("gives its item back when it is disposed, and `using` disposes it", () =>
    Effect.gen(function* () {
      const { factory, pool } = yield* open({ mode: "auto", maximum: 1 })
      const id = (): number | undefined => {
        using guard = LockFreePool.getUnsafe(pool)
        assert.strictEqual(statsOf(pool).used, 1)
        return guard?.value.id
      }
      assert.strictEqual(id(), 1)
      assert.strictEqual(id(), 1)
      assert.deepInclude(statsOf(pool), { used: 0, idle: 1, acquired: 2, released: 2 })
      assert.strictEqual(factory.resets, 2)
    })
  )

  it.effect("gives its item back when what uses it throws", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ mode: "static", count: 1 })
      const fail = () => {
        using _guard = LockFreePool.getUnsafe(pool)
        throw new Error("on the way")
      }
      assert.deepStrictEqual(thrownBy(fail), new Error("on the way"))
      expectEveryPlaceWorks(pool)
    })
  )

  it.effect("that is disposed twice says so, and takes nothing from whoever has the item now", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ mode: "static", count: 1 })
      const first = LockFreePool.getUnsafe(pool)!
      first[Symbol.dispose]()
      const second = LockFreePool.getUnsafe(pool)!
      const error = thrownBy(() => first[Symbol.dispose]())
      assert.instanceOf(error, LockFreePool.GuardError)
      assert.match(String(error), /Pool "lock-free-pool-\d+": the guard is disposed/)
      assert.deepInclude(statsOf(pool), { used: 1, idle: 0, acquired: 2, released: 1 })
      assert.isFalse(second.isDisposed)
      second[Symbol.dispose]()
      expectEveryPlaceWorks(pool)
    })
  )

  it.effect("that is disposed does not give access to what is somebody else's by now", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ mode: "static", count: 1 })
      const guard = LockFreePool.getUnsafe(pool)!
      guard[Symbol.dispose]()
      assert.isTrue(guard.isDisposed)
      assert.deepInclude(
        thrownBy(() => guard.value),
        { _tag: "GuardError", problem: "disposed", pool: pool.name }
      )
    })
  )

  it.effect("of another pool is refused, and keeps what it holds", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ mode: "static", count: 1 })
      const other = yield* open({ mode: "static", count: 1 })
      const guard = LockFreePool.getUnsafe(other.pool)!
      for (const foreign of [guard, { value: guard.value, isDisposed: false, [Symbol.dispose]: () => {} }]) {
        const error = thrownBy(() => LockFreePool.releaseUnsafe(pool, foreign))
        assert.deepInclude(error, { _tag: "GuardError", problem: "foreign", pool: pool.name })
      }
      assert.isFalse(guard.isDisposed)
      assert.strictEqual(statsOf(other.pool).used, 1)
      LockFreePool.releaseUnsafe(other.pool, guard)
      expectEveryPlaceWorks(pool)
      expectEveryPlaceWorks(other.pool)
    })
  )

  it.effect("is given back by the pool's function as by itself, once", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ mode: "static", count: 1 })
      const guard = LockFreePool.getUnsafe(pool)!
      LockFreePool.releaseUnsafe(guard)(pool)
      assert.isTrue(guard.isDisposed)
      assert.deepInclude(
        thrownBy(() => LockFreePool.releaseUnsafe(pool, guard)),
        { problem: "disposed" }
      )
      expectEveryPlaceWorks(pool)
    })
  )

  it.effect("tells by an event when it is taken and when it ends", () =>
    Effect.gen(function* () {
      const { events, pool } = yield* open({ mode: "static", count: 1 })
      release(take(pool))
      const leases = events.filter(({ _tag }) => _tag.startsWith("Lease"))
      assert.deepInclude(leases[0], { _tag: "LeaseAcquired", item: 1, lease: 1, waited: 0 })
      assert.deepInclude(leases[1], { _tag: "LeaseReleased", item: 1, lease: 1, outcome: "success" })
      assert.strictEqual(leases.length, 2)
    })
  )

  it.effect("may outlive its pool: its item ended with the grace, and disposing it is no error", () =>
    Effect.gen(function* () {
      const { close, factory, pool } = yield* open({ mode: "static", count: 1 })
      const guard = LockFreePool.getUnsafe(pool)!
      yield* close
      assert.deepStrictEqual(factory.destroyed, [1])
      guard[Symbol.dispose]()
      assert.deepStrictEqual(factory.destroyed, [1])
      assert.deepInclude(statsOf(pool), { state: "closed", used: 0, size: 0, acquired: 1, released: 1 })
    })
  )
})

describe("without an item", () => {
  it.effect("plain code gets nothing, at once, and that is counted", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ mode: "static", count: 1 })
      const guards = take(pool, 1)
      assert.isUndefined(LockFreePool.getUnsafe(pool))
      assert.strictEqual(statsOf(pool).exhausted, 1)
      assert.strictEqual(reasonOf(thrownBy(() => LockFreePool.getOrThrowUnsafe(pool))), "Exhausted")
      assert.strictEqual(statsOf(pool).exhausted, 2)
      release(guards)
      LockFreePool.getOrThrowUnsafe(pool)[Symbol.dispose]()
    })
  )

  it.effect("a suspended or a closed pool gives nothing", () =>
    Effect.gen(function* () {
      const { close, pool } = yield* open({ mode: "static", count: 1 })
      yield* LockFreePool.suspend(pool)
      assert.isUndefined(LockFreePool.getUnsafe(pool))
      assert.strictEqual(reasonOf(thrownBy(() => LockFreePool.getOrThrowUnsafe(pool))), "Suspended")
      yield* LockFreePool.resume(pool)
      expectEveryPlaceWorks(pool)
      yield* close
      const { exhausted } = statsOf(pool)
      assert.isUndefined(LockFreePool.getUnsafe(pool))
      assert.strictEqual(reasonOf(thrownBy(() => LockFreePool.getOrThrowUnsafe(pool))), "Closed")
      assert.strictEqual(statsOf(pool).exhausted, exhausted)
    })
  )
})

// Functions of their own: what a frame on the stack may still refer to is not garbage.
const loseOne = <A, E>(pool: LockFreePool.LockFreePool<A, E>): void => void LockFreePool.getUnsafe(pool)

describe("a guard that nobody disposes", () => {
  it.live("is reported when the garbage collector has found it, and its place recovered", () =>
    Effect.gen(function* () {
      const { events, factory, logs, pool } = yield* open({ mode: "static", count: 2 })
      loseOne(pool)
      assert.strictEqual(statsOf(pool).used, 1)
      yield* collectUntil(() => pool.store.guards.abandoned === 1)
      assert.deepStrictEqual(
        tagged(events, "LeaseAbandoned").map((event) => ({ ...event, at: 0 })),
        [{ _tag: "LeaseAbandoned", item: 2, lease: 1, takenAt: undefined, pool: pool.name, at: 0 }]
      )
      assert.match(logs.join(), /the guard of item 2 was lost without being disposed; taken in an unknown place/)
      assert.deepInclude(tagged(events, "LeaseReleased")[0], { item: 2, outcome: "defect" })
      assert.deepInclude(statsOf(pool), { used: 0, acquired: 1, released: 1 })
      assert.deepInclude(statsOf(pool).details, { abandoned: 1 })
      expectEveryPlaceWorks(pool)
      assert.strictEqual(factory.made.length, 3)
    })
  )

  it.live("has its item destroyed, for whoever lost the guard may still use the item", () =>
    Effect.gen(function* () {
      const { factory, pool } = yield* open({ mode: "static", count: 1 })
      const leaked = ((): object => LockFreePool.getUnsafe(pool)!.value)()
      yield* collectUntil(() => pool.store.guards.abandoned === 1)
      assert.deepStrictEqual(factory.destroyed, [1])
      assert.strictEqual(factory.resets, 0)
      assert.strictEqual(statsOf(pool).destroyed.abandoned, 1)
      const [guard] = take(pool, 1)
      assert.notStrictEqual<object>(guard!.value, leaked)
      release([guard!])
    })
  )

  it.live("is reported with the place that took it while leak detection is on", () =>
    Effect.gen(function* () {
      const { events, logs, pool } = yield* open({ mode: "static", count: 1 }, { leakDetection: "1 hour" })
      loseOne(pool)
      yield* collectUntil(() => pool.store.guards.abandoned === 1)
      assert.match(logs.join(), /taken at loseOne .*lockFree\.guards\.test\.ts/)
      assert.match(JSON.stringify(tagged(events, "LeaseAbandoned")), /loseOne/)
    })
  )

  it.live("is found also if its place was used, and disposed, many times before in one turn", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ mode: "static", count: 1 })
      for (let n = 0; n < 100; n++) release(take(pool))
      loseOne(pool)
      yield* collectUntil(() => pool.store.guards.abandoned === 1)
      assert.strictEqual(statsOf(pool).released, 101)
      expectEveryPlaceWorks(pool)
    })
  )

  it.live("serves whoever waits for its place", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ mode: "static", count: 1 }, { wait: true })
      loseOne(pool)
      const waiting = yield* Effect.forkChild(
        LockFreePool.use(pool, ({ id }) => Effect.succeed(id)),
        { startImmediately: true }
      )
      assert.strictEqual(statsOf(pool).pending, 1)
      yield* collectUntil(() => waiting.pollUnsafe() !== undefined)
      assert.deepInclude(waiting.pollUnsafe(), { _tag: "Success", value: 2 })
    })
  )

  it.live("is reported also after its pool has closed, and its item not destroyed twice", () =>
    Effect.gen(function* () {
      const { close, factory, logs, pool } = yield* open({ mode: "static", count: 1 })
      loseOne(pool)
      yield* close
      yield* collectUntil(() => pool.store.guards.abandoned === 1)
      assert.deepStrictEqual(factory.destroyed, [1])
      assert.match(logs.join(), /was lost/)
      assert.deepInclude(statsOf(pool), { acquired: 1, released: 1, size: 0 })
    })
  )

  it.live("is not one that is held, nor one that was disposed in a later turn", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ mode: "static", count: 3 })
      const [held, disposed] = take(pool, 2)
      yield* Effect.sleep(1)
      release([disposed!])
      yield* collect
      assert.deepInclude(statsOf(pool), { used: 1, idle: 2 })
      assert.strictEqual(pool.store.guards.abandoned, 0)
      release([held!])
      expectEveryPlaceWorks(pool)
    })
  )
})
