import { describe, expect, it } from "@effect/vitest"
import { InvalidOptions, PoolRegistry } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { SharedPermits, SharedPool } from "../src/index.ts"
import { collect, collectUntil } from "./lockFreeSupport.ts"

const small = { slots: 2, slotBytes: 16 }

describe("a shared pool in one thread", () => {
  it.effect("hands out each slot once, and refuses then", () =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make(small)
      const guards = [SharedPool.getOrThrowUnsafe(pool), SharedPool.getOrThrowUnsafe(pool)]
      expect(guards.map(({ value }) => value.index).toSorted((a, b) => a - b)).toEqual([0, 1])
      expect(SharedPool.getUnsafe(pool)).toBeUndefined()
      expect(() => SharedPool.getOrThrowUnsafe(pool)).toThrow("no item to hand out")
      expect(yield* Effect.flip(SharedPool.use(pool, () => Effect.void))).toMatchObject({
        reason: { _tag: "Exhausted" }
      })
      expect((yield* SharedPool.stats(pool)).exhausted).toBe(3)
      for (const guard of guards) guard[Symbol.dispose]()
    })
  )

  it.effect("gives back at the end of a block", () =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make(small)
      {
        using guard = SharedPool.getOrThrowUnsafe(pool)
        expect((yield* SharedPool.stats(pool)).used).toBe(1)
        expect(guard.value.bytes.length).toBe(16)
      }
      expect((yield* SharedPool.stats(pool)).used).toBe(0)
    })
  )

  it.effect("refuses guards that are disposed, another pool's or none, and loses nothing", () =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make(small)
      const other = yield* SharedPool.make(small)
      const guard = SharedPool.getOrThrowUnsafe(pool)
      expect(() => SharedPool.releaseUnsafe(other, guard)).toThrow("none of this pool's")
      expect(() => SharedPool.releaseUnsafe(other, {} as SharedPool.Guard)).toThrow("none of this pool's")
      expect(guard.isDisposed).toBe(false)
      SharedPool.releaseUnsafe(pool, guard)
      expect(() => SharedPool.releaseUnsafe(pool, guard)).toThrow("is disposed")
      expect(() => guard.value).toThrow("is disposed")
      expect(yield* SharedPool.stats(pool)).toMatchObject({ idle: 2, used: 0 })
      expect(yield* SharedPool.stats(other)).toMatchObject({ idle: 2, used: 0 })
    })
  )

  it.effect("has slots by number, which only who has claimed them gives back", () =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make(small)
      const slot = SharedPool.claimUnsafe(pool)
      const guard = SharedPool.getOrThrowUnsafe(pool)
      expect(SharedPool.claimUnsafe(pool)).toBe(-1)
      expect(SharedPool.unclaimUnsafe(pool, guard.value.index)).toBe(false)
      expect(SharedPool.unclaimUnsafe(pool, 99)).toBe(false)
      expect(SharedPool.bytesUnsafe(pool, slot)?.length).toBe(16)
      expect(SharedPool.unclaimUnsafe(pool, slot)).toBe(true)
      expect(SharedPool.unclaimUnsafe(pool, slot)).toBe(false)
      expect(SharedPool.bytesUnsafe(pool, slot)).toBeUndefined()
      guard[Symbol.dispose]()
      expect(yield* SharedPool.stats(pool)).toMatchObject({ idle: 2, used: 0, acquired: 2, released: 2 })
    })
  )

  it.effect("lets others look at a slot that somebody has told them of", () =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make({ ...small, scale: { initial: 1 } })
      const other = yield* SharedPool.attach(pool.handle, { thread: 77 })
      expect(SharedPool.peekUnsafe(other, 1)).toBeUndefined()
      SharedPool.claimUnsafe(pool)
      using guard = SharedPool.getOrThrowUnsafe(pool)
      guard.value.bytes.fill(9)
      expect(Array.from(SharedPool.peekUnsafe(other, guard.value.index)!)).toEqual(Array.from({ length: 16 }, () => 9))
      yield* SharedPool.drain(other)
      yield* SharedPool.drain(pool, 0)
    })
  )

  it.effect("has memory only for the slots that there are", () =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make({ slots: 100, slotBytes: 1024, scale: { initial: 1, chunk: 0 } })
      expect(pool.handle.data.byteLength).toBe(1024)
      const guards = Array.from({ length: 5 }, () => SharedPool.getOrThrowUnsafe(pool))
      expect(pool.handle.data.byteLength).toBe(8 * 1024)
      expect((yield* SharedPool.stats(pool)).details).toMatchObject({ capacity: 8 })
      for (const guard of guards) guard[Symbol.dispose]()
    })
  )

  it.effect("cleans slots as it is told, and with zeros where that fails", () =>
    Effect.gen(function* () {
      const bytesAfter = Effect.fnUntraced(function* (reset: SharedPool.Options["reset"]) {
        const pool = yield* SharedPool.make({ slots: 1, slotBytes: 8, reset })
        yield* SharedPool.use(pool, ({ bytes }) => Effect.sync(() => bytes.fill(5)))
        const { details } = yield* SharedPool.stats(pool)
        return [yield* SharedPool.use(pool, ({ bytes }) => Effect.succeed(bytes[0])), details["resetFailed"]]
      })
      expect(yield* bytesAfter("none")).toEqual([5, 0])
      expect(yield* bytesAfter("zero")).toEqual([0, 0])
      expect(yield* bytesAfter((bytes) => void bytes.fill(3))).toEqual([3, 0])
      expect(yield* bytesAfter(() => false)).toEqual([0, 1])
      expect(
        yield* bytesAfter(() => {
          throw new Error("no")
        })
      ).toEqual([0, 1])
    })
  )

  it.effect("fills an invalidated slot with zeros, once", () =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make({ slots: 1, slotBytes: 8 })
      yield* SharedPool.use(pool, (slot) => {
        slot.bytes.fill(5)
        return SharedPool.invalidate(pool, slot)
      })
      yield* SharedPool.use(pool, (slot) =>
        Effect.sync(() => {
          expect(slot.bytes[0]).toBe(0)
          slot.bytes.fill(6)
        })
      )
      yield* SharedPool.use(pool, ({ bytes }) => Effect.sync(() => expect(bytes[0]).toBe(6)))
    })
  )

  it.effect("serves those who wait in order, and until their deadline", () =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make({ slots: 1, slotBytes: 8, wait: true, acquireTimeout: "10 seconds" })
      const guard = SharedPool.getOrThrowUnsafe(pool)
      const order: Array<number> = []
      const wait = (number: number) => SharedPool.use(pool, () => Effect.sync(() => order.push(number)))
      const late = yield* Effect.forkChild(Effect.flip(wait(0)))
      yield* TestClock.adjust("10 seconds")
      expect(yield* Fiber.join(late)).toMatchObject({ reason: { _tag: "AcquireTimeout" } })
      const first = yield* Effect.forkChild(wait(1))
      const left = yield* Effect.forkChild(wait(2))
      const third = yield* Effect.forkChild(wait(3))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(left)
      expect(SharedPool.claimUnsafe(pool)).toBe(-1)
      guard[Symbol.dispose]()
      yield* Fiber.join(first)
      yield* Fiber.join(third)
      expect(order).toEqual([1, 3])
      expect(yield* SharedPool.stats(pool)).toMatchObject({ idle: 1, used: 0, pending: 0, timeouts: 1 })
    })
  )

  it.effect("is a pool like every other: registry, events, metrics, service", () =>
    Effect.gen(function* () {
      const registry = yield* PoolRegistry.PoolRegistry
      class Frames extends SharedPool.Service<Frames>()("app/Frames", small) {}
      yield* Effect.gen(function* () {
        const events = yield* Effect.forkChild(Stream.runCollect(Stream.take(Frames.events, 2)))
        yield* Effect.yieldNow
        yield* Frames.use(() => Effect.void)
        expect((yield* Fiber.join(events)).map(({ _tag }) => _tag)).toEqual(["LeaseAcquired", "LeaseReleased"])
        expect(registry.find("app/Frames")?.kind).toBe("shared")
        const held = yield* Frames.get()
        const metrics = yield* Metric.snapshot
        const used = metrics.find(
          ({ attributes, id }) =>
            id === "pool.count" && attributes?.["pool.name"] === "app/Frames" && attributes?.["pool.state"] === "used"
        )
        expect(used?.state).toEqual({ value: 1 })
        expect(held.bytes.length).toBe(16)
        expect(yield* Frames.reclaim(999)).toBe(0)
        class Same extends SharedPool.Service<Same>()(
          "app/Same",
          Effect.map(Frames.handle, (handle) => ({ handle }))
        ) {}
        expect((yield* Same.stats.pipe(Effect.provide(Same.layer))).used).toBe(1)
      }).pipe(Effect.scoped, Effect.provide(Frames.layer))
      expect(registry.find("app/Frames")).toBeUndefined()
    })
  )

  it.effect("leaves its place and its slots when it closes", () =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make(small)
      const scope = yield* Scope.make()
      const attached = yield* SharedPool.attach(pool.handle, { closeGrace: 0, thread: 77 }).pipe(
        Effect.provideService(Scope.Scope, scope)
      )
      const guard = SharedPool.getOrThrowUnsafe(attached)
      SharedPool.claimUnsafe(attached)
      expect((yield* SharedPool.stats(pool)).used).toBe(2)
      yield* Scope.close(scope, undefined as never)
      expect(yield* SharedPool.stats(pool)).toMatchObject({ used: 0, details: { threads: 1 } })
      expect(SharedPool.getUnsafe(attached)).toBeUndefined()
      guard[Symbol.dispose]()
      expect(yield* SharedPool.stats(pool)).toMatchObject({ idle: 2, used: 0 })
    })
  )

  it.effect("is never reclaimed from its own thread", () =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make({ ...small, thread: 5 })
      SharedPool.claimUnsafe(pool)
      expect(yield* SharedPool.reclaim(pool, 5)).toBe(0)
      expect((yield* SharedPool.stats(pool)).used).toBe(1)
      yield* SharedPool.drain(pool, 0)
    })
  )
})

// A function of its own: what a frame on the stack may still refer to is not garbage.
const loseOne = (pool: SharedPool.SharedPool): void => {
  SharedPool.getOrThrowUnsafe(pool).value.bytes.fill(5)
}

describe("a guard of a shared pool that nobody disposes", () => {
  it.live("is reported when the garbage collector has found it, and its slot is back, clean", () =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make({ slots: 1, slotBytes: 8 })
      const events = yield* Effect.forkChild(Stream.runCollect(Stream.take(SharedPool.events(pool), 3)))
      yield* Effect.yieldNow
      loseOne(pool)
      expect(SharedPool.getUnsafe(pool)).toBeUndefined()
      yield* collectUntil(() => pool.store.guards.abandoned === 1)
      expect((yield* Fiber.join(events)).map(({ _tag }) => _tag)).toEqual([
        "LeaseAcquired",
        "LeaseAbandoned",
        "LeaseReleased"
      ])
      expect(yield* SharedPool.stats(pool)).toMatchObject({ idle: 1, used: 0, details: { abandoned: 1 } })
      using guard = SharedPool.getOrThrowUnsafe(pool)
      expect(guard.value.bytes[0]).toBe(0)
    })
  )

  it.live("is not one that is held, nor one that was disposed in a later turn", () =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make(small)
      const [held, disposed] = [SharedPool.getOrThrowUnsafe(pool), SharedPool.getOrThrowUnsafe(pool)]
      yield* collect
      disposed[Symbol.dispose]()
      yield* collect
      expect(yield* SharedPool.stats(pool)).toMatchObject({ used: 1, details: { abandoned: 0 } })
      held[Symbol.dispose]()
    })
  )
})

describe("options and handles that make no sense", () => {
  const bad: ReadonlyArray<readonly [string, Record<string, unknown>]> = [
    ["slots", { slots: 0 }],
    ["slots", { slots: 65_537 }],
    ["slots", { slots: 1.5 }],
    ["slots", { slots: undefined }],
    ["slotBytes", { slotBytes: 0 }],
    ["slotBytes", { slotBytes: 12 }],
    ["slotBytes", { slotBytes: undefined }],
    ["slotBytes", { slots: 65_536, slotBytes: 2 ** 17 }],
    ["scale.initial", { scale: { initial: 3 } }],
    ["scale.initial", { scale: { initial: 0 } }],
    ["scale.chunk", { scale: { chunk: -1 } }],
    ["scale.chunk", { scale: { chunk: 65_537 } }],
    ["scale.maximum", { scale: { maximum: 3 } }],
    ["reset", { reset: "ones" }],
    ["wait", { wait: "yes" }],
    ["thread", { thread: -1 }],
    ["thread", { thread: 2 ** 30 }],
    ["acquireTimeout", { acquireTimeout: -1 }],
    ["size", { size: 3 }]
  ]
  it.effect.each(bad)("are refused: %s in %o", ([field, given]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(SharedPool.make({ ...small, ...given } as SharedPool.Options))
      expect(error).toBeInstanceOf(InvalidOptions.InvalidOptions)
      expect(error.field).toBe(field)
    })
  )

  it.effect("are refused when they come from elsewhere", () =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make(small)
      const permits = yield* SharedPermits.make({ permits: 2 })
      const { handle } = pool
      const changed = (at: number, value: number): SharedPool.Handle => {
        const control = new SharedArrayBuffer(handle.control.byteLength)
        new Int32Array(control).set(new Int32Array(handle.control))
        new Int32Array(control)[at] = value
        return { ...handle, control }
      }
      const wrong: ReadonlyArray<readonly [string, unknown]> = [
        ["it is no handle", undefined],
        ["it is no handle", {}],
        ["it has no control memory", { ...handle, control: new ArrayBuffer(1024) }],
        ["it has no control memory", { ...handle, control: new SharedArrayBuffer(8) }],
        ["its memory is not that of a shared structure", changed(0, 1)],
        ["its memory is of version 2, not 1", changed(1, 2)],
        ["its memory is cut off", changed(3, 65_536)],
        ["its memory is cut off", changed(3, 0)],
        ["it is not that of shared pool", permits.handle],
        ["it has no memory for slots", { ...handle, data: undefined }],
        ["its memory for slots is of another size", { ...handle, data: new SharedArrayBuffer(16) }]
      ]
      for (const [problem, given] of wrong) {
        expect(yield* Effect.flip(SharedPool.attach(given as SharedPool.Handle))).toMatchObject({ problem })
      }
      expect(yield* Effect.flip(SharedPermits.attach(handle))).toMatchObject({
        problem: "it is not that of shared permits"
      })
    })
  )

  it.effect("are refused when they contradict how the pool was made", () =>
    Effect.gen(function* () {
      const zero = yield* SharedPool.make({ ...small, reset: "zero" })
      const own = yield* SharedPool.make({ ...small, reset: () => true })
      expect(yield* Effect.flip(SharedPool.attach(zero.handle, { reset: "none" }))).toMatchObject({ field: "reset" })
      expect(yield* Effect.flip(SharedPool.attach(own.handle))).toMatchObject({ field: "reset" })
      expect(yield* Effect.flip(SharedPool.attach(own.handle, { slots: 3 } as object))).toMatchObject({
        field: "slots"
      })
      yield* SharedPool.attach(own.handle, { reset: () => true, thread: 9 })
    })
  )

  it.effect("are refused by a pool that has as many threads as it has places for", () =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make(small)
      for (let thread = 1; thread < 128; thread++) yield* SharedPool.attach(pool.handle, { thread: 1000 + thread })
      const error = yield* Effect.flip(SharedPool.attach(pool.handle, { thread: 2000 }))
      expect(error).toBeInstanceOf(SharedPool.AttachError)
      yield* SharedPool.reclaim(pool, 1001)
      yield* SharedPool.attach(pool.handle, { thread: 2000 })
    })
  )
})
