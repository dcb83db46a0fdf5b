import { PoolError, PoolRegistry, PoolStats } from "@effect-pools/core"
import { ArenaBacking, ArenaError, ArenaPool, BumpArena } from "@effect-pools/arena"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { counted, everyBacking } from "./support.ts"

const SIZE = 1000

const details = (pool: ArenaPool.ArenaPool) => Effect.map(ArenaPool.stats(pool), ({ details }) => details)

/** Takes so many at once, writes into them, and gives all back: the last one first. */
const useAtOnce = (pool: ArenaPool.ArenaPool, count: number, bytes = 100) =>
  Effect.scoped(
    Effect.forEach(Array.from({ length: count }), () =>
      Effect.map(ArenaPool.get(pool), (arena) => {
        BumpArena.allocBytesUnsafe(arena, bytes).fill(7)
        return arena
      })
    )
  )

describe("a pool of arenas", () => {
  it.effect("makes one where none is idle, and hands it out again", () =>
    Effect.gen(function* () {
      const { backing, counts } = counted()
      const pool = yield* ArenaPool.make({ size: SIZE, backing })
      const [first] = yield* useAtOnce(pool, 1)
      const [again] = yield* useAtOnce(pool, 1)
      expect(again).toBe(first)
      expect(counts.reserved).toBe(1)
      expect(yield* details(pool)).toMatchObject({ minted: 1, recycled: 1, reservedBytes: SIZE })
    })
  )

  it.effect.each(everyBacking)("hands out empty arenas, whatever was in them, over %s memory", ([, backing]) =>
    Effect.gen(function* () {
      const pool = yield* ArenaPool.make({ size: SIZE, backing })
      for (let n = 0; n < 3; n++) {
        yield* ArenaPool.use(pool, (arena) =>
          Effect.sync(() => {
            expect([arena.state, arena.allocated, arena.capacity, arena.generation]).toEqual(["open", 0, SIZE, n])
            BumpArena.allocBytesUnsafe(arena, SIZE).fill(n)
          })
        )
      }
    })
  )

  it.effect("hands out the one that came back last", () =>
    Effect.gen(function* () {
      const pool = yield* ArenaPool.make({ size: SIZE })
      const arenas = yield* useAtOnce(pool, 3)
      // The scope gives back the last one first.
      expect((yield* useAtOnce(pool, 1))[0]).toBe(arenas[0])
    })
  )

  it.effect("keeps no more than its cap, and with a cap of 0 none", () =>
    Effect.gen(function* () {
      for (const cap of [0, 1, 2]) {
        const { backing, counts } = counted()
        const pool = yield* ArenaPool.make({ size: SIZE, backing, cap })
        yield* useAtOnce(pool, 3)
        expect([yield* ArenaPool.idleCount(pool), counts.destroyed]).toEqual([cap, 3 - cap])
      }
    })
  )

  it.effect("has a caller wait while all it may have are out, and serves it when one comes back", () =>
    Effect.gen(function* () {
      const pool = yield* ArenaPool.make({ size: SIZE, maxOutstanding: 1, acquireTimeout: "1 second" })
      const scope = yield* Scope.make()
      const arena = yield* Scope.provide(ArenaPool.get(pool), scope)
      const waiting = yield* Effect.forkChild(useAtOnce(pool, 1), { startImmediately: true })
      expect(Option.isNone(yield* ArenaPool.useIfAvailable(pool, Effect.succeed))).toBe(true)
      expect((yield* ArenaPool.stats(pool)).pending).toBe(1)
      yield* Scope.close(scope, Exit.void)
      expect(yield* Fiber.join(waiting)).toEqual([arena])
      expect((yield* ArenaPool.stats(pool)).created).toBe(1)

      const other = yield* ArenaPool.get(pool)
      const late = yield* Effect.forkChild(Effect.flip(useAtOnce(pool, 1)), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(late)).toMatchObject({ _tag: "PoolError", reason: { _tag: "AcquireTimeout" } })
      expect(other.state).toBe("open")
    }).pipe(Effect.scoped)
  )

  it.effect("fails with what the backing fails with, and is as it was", () =>
    Effect.gen(function* () {
      const { backing, fails } = counted()
      const pool = yield* ArenaPool.make({ size: SIZE, backing })
      fails.reserve = new RangeError("no memory")
      const error = yield* Effect.flip(useAtOnce(pool, 1))
      expect(error).toBeInstanceOf(ArenaError.BackingFailed)
      expect(error).toMatchObject({ backing: "counted", size: SIZE, cause: fails.reserve })
      expect(yield* ArenaPool.stats(pool)).toMatchObject({ size: 0, used: 0, creating: 0, created: 0 })
      fails.reserve = undefined
      yield* useAtOnce(pool, 2)
      expect(yield* ArenaPool.idleCount(pool)).toBe(2)
    })
  )

  it.effect("says no to who does not want to wait when the backing fails", () =>
    Effect.gen(function* () {
      const { backing, fails } = counted()
      fails.reserve = new RangeError("no memory")
      const pool = yield* ArenaPool.make({ size: SIZE, backing })
      expect(Option.isNone(yield* ArenaPool.useIfAvailable(pool, Effect.succeed))).toBe(true)
    })
  )

  it.effect("destroys an arena whose finalizer fails, and tells of it", () =>
    Effect.gen(function* () {
      const { backing, counts, fails } = counted()
      const pool = yield* ArenaPool.make({ size: SIZE, backing, cap: 0 })
      const events: Array<string> = []
      pool.admission.observer.listen((event) => events.push(event._tag))
      fails.destroy = new Error("busy")
      yield* useAtOnce(pool, 1)
      expect(counts.destroyed).toBe(1)
      expect(events).toContain("BackgroundFailure")
      expect(yield* ArenaPool.stats(pool)).toMatchObject({ size: 0, destroying: 0 })
    })
  )

  it.effect("destroys an arena that was invalidated when it comes back, and an idle one now", () =>
    Effect.gen(function* () {
      const pool = yield* ArenaPool.make({ size: SIZE })
      const arena = yield* ArenaPool.use(pool, (arena) => Effect.as(ArenaPool.invalidate(pool, arena), arena))
      expect(arena.state).toBe("destroyed")
      const [other] = yield* useAtOnce(pool, 1)
      yield* ArenaPool.invalidate(pool, other!)
      expect(other!.state).toBe("destroyed")
      expect((yield* ArenaPool.stats(pool)).destroyed.invalidated).toBe(2)
    })
  )

  it.effect("ends arenas under their holders when the grace of its close is over", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const pool = yield* Scope.provide(ArenaPool.make({ size: SIZE, closeGrace: "5 seconds" }), scope)
      const lease = yield* Scope.make()
      const held = yield* Scope.provide(ArenaPool.get(pool), lease)
      const checkedOut = ArenaPool.checkoutUnsafe(pool)
      const view = BumpArena.allocBytesUnsafe(held, 10)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      expect(held.state).toBe("open")
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(closing)
      expect([held.state, checkedOut.state, view.length]).toEqual(["destroyed", "destroyed", 0])
      // Not a mistake of theirs.
      ArenaPool.giveBackUnsafe(pool, checkedOut)
      yield* Scope.close(lease, Exit.void)
      expect(yield* ArenaPool.stats(pool)).toMatchObject({ state: "closed", acquired: 2, released: 2, size: 0 })
    })
  )

  it.effect("leaves what was done in a scope of an arena to succeed, though it has ended the arena meanwhile", () =>
    Effect.gen(function* () {
      const pool = yield* ArenaPool.make({ size: SIZE, closeGrace: 0 })
      const work = ArenaPool.use(pool, (arena) =>
        BumpArena.scope(arena, Effect.andThen(BumpArena.allocBytes(arena, 10), Effect.as(Effect.sleep(1000), "done")))
      )
      const fiber = yield* Effect.forkChild(work, { startImmediately: true })
      yield* ArenaPool.drain(pool, 0)
      yield* TestClock.adjust(1000)
      expect(yield* Fiber.join(fiber)).toBe("done")
    })
  )

  it.effect("waits for those in use when it is drained, and drops them as they come back", () =>
    Effect.gen(function* () {
      const pool = yield* ArenaPool.make({ size: SIZE })
      yield* useAtOnce(pool, 2)
      const arena = ArenaPool.checkoutUnsafe(pool)
      const draining = yield* Effect.forkChild(ArenaPool.drain(pool), { startImmediately: true })
      expect(yield* Effect.flip(useAtOnce(pool, 1))).toMatchObject({ reason: { _tag: "Closed" } })
      ArenaPool.giveBackUnsafe(pool, arena)
      yield* Fiber.join(draining)
      expect(arena.state).toBe("destroyed")
    })
  )

  it.effect("is in the registry, and its stats travel as JSON though nothing bounds it", () =>
    Effect.gen(function* () {
      const registry = PoolRegistry.makeUnsafe()
      const pool = yield* Effect.provideService(
        ArenaPool.make({ size: SIZE, name: "scratch" }),
        PoolRegistry.PoolRegistry,
        registry
      )
      expect(registry.list().map(({ kind, name }) => [kind, name])).toEqual([["arena", "scratch"]])
      const stats = yield* ArenaPool.stats(pool)
      expect(stats.max).toBe(Infinity)
      const codec = Schema.toCodecJson(PoolStats.PoolStats)
      const text = JSON.stringify(yield* Schema.encodeEffect(codec)(stats))
      expect(yield* Schema.decodeEffect(codec)(JSON.parse(text))).toEqual(stats)
      yield* ArenaPool.resize(pool, { max: 1 })
      expect((yield* ArenaPool.stats(pool)).max).toBe(1)
    })
  )

  it.effect("knows the most that one holder has used, and what is in memory", () =>
    Effect.gen(function* () {
      const pool = yield* ArenaPool.make({ size: 100_000, backing: "resizable" })
      yield* useAtOnce(pool, 2, 5000)
      yield* ArenaPool.use(pool, (arena) =>
        Effect.gen(function* () {
          yield* BumpArena.scope(arena, BumpArena.allocBytes(arena, 60_000))
          yield* BumpArena.allocBytes(arena, 10)
          expect(yield* details(pool)).toMatchObject({ mostUsedBytes: 60_000, residentBytes: 61_440 + 8192 })
        })
      )
      yield* ArenaPool.clear(pool)
      expect(yield* details(pool)).toEqual({
        minted: 2,
        recycled: 1,
        reservedBytes: 0,
        residentBytes: 0,
        mostUsedBytes: 60_000,
        releasedBytes: 0
      })
    })
  )

  it("is told from other things", () => {
    expect([undefined, {}, { kind: "arena" }].map(ArenaPool.isArenaPool)).toEqual([false, false, false])
  })
})

describe("arenas made ahead", () => {
  it.effect("are as many as fit below the cap: of 10 asked for with a cap of 3, first 3, then none", () =>
    Effect.gen(function* () {
      const { backing, counts } = counted()
      const pool = yield* ArenaPool.make({ size: SIZE, backing, cap: 3 })
      expect([yield* ArenaPool.prewarm(pool, 10), yield* ArenaPool.prewarm(10)(pool)]).toEqual([3, 0])
      expect([yield* ArenaPool.idleCount(pool), counts.reserved]).toEqual([3, 3])
      yield* useAtOnce(pool, 3)
      expect(counts.reserved).toBe(3)
    })
  )

  it.effect("are no more than may be out", () =>
    Effect.gen(function* () {
      const pool = yield* ArenaPool.make({ size: SIZE, maxOutstanding: 3, closeGrace: 0 })
      ArenaPool.checkoutUnsafe(pool)
      expect(yield* ArenaPool.prewarm(pool, 10)).toBe(2)
      yield* ArenaPool.drain(pool, 0)
      expect(yield* ArenaPool.prewarm(pool, 10)).toBe(0)
    })
  )

  it.effect("unlike the known system, are there and counted if the backing fails midway", () =>
    Effect.gen(function* () {
      const { backing, counts } = counted()
      const pool = yield* ArenaPool.make({
        size: SIZE,
        backing: {
          ...backing,
          reserve: (size) => {
            if (counts.reserved === 2) throw new RangeError("no memory")
            return backing.reserve(size)
          }
        }
      })
      const error = yield* Effect.flip(ArenaPool.prewarm(pool, 5))
      expect(error).toMatchObject({ _tag: "ArenaPrewarmFailed", pool: pool.name, asked: 5, made: 2 })
      expect(error.message).toBe(`Pool "${pool.name}": 2 of 5 arenas were made, then one could not be`)
      expect((error as ArenaError.PrewarmFailed).cause).toBeInstanceOf(ArenaError.BackingFailed)
      expect(yield* ArenaPool.idleCount(pool)).toBe(2)
      yield* useAtOnce(pool, 2)
    })
  )

  it.effect("are no more than are kept, also if others come back while one is made", () =>
    Effect.gen(function* () {
      const { backing } = counted()
      let held: BumpArena.BumpArena | undefined
      const pool = yield* ArenaPool.make({
        size: SIZE,
        cap: 1,
        backing: {
          ...backing,
          reserve: (size) => {
            const arena = held
            held = undefined
            if (arena !== undefined) ArenaPool.giveBackUnsafe(pool, arena)
            return backing.reserve(size)
          }
        }
      })
      held = ArenaPool.checkoutUnsafe(pool)
      yield* ArenaPool.prewarm(pool, 1)
      expect(yield* ArenaPool.stats(pool)).toMatchObject({ idle: 1, used: 0, created: 2, destroyed: { shrink: 1 } })
    })
  )

  it.effect("are there when the pool opens, if it is told so", () =>
    Effect.gen(function* () {
      const pool = yield* ArenaPool.make({ size: SIZE, prewarm: 4 })
      expect(yield* ArenaPool.stats(pool)).toMatchObject({ idle: 4, min: 4, created: 4 })
    })
  )

  it.effect("are fewer than the pool is told if the backing fails, and the pool opens all the same", () =>
    Effect.gen(function* () {
      const { backing, fails } = counted()
      fails.reserve = new RangeError("no memory")
      const pool = yield* ArenaPool.make({ size: SIZE, backing, prewarm: 4 })
      expect(yield* ArenaPool.stats(pool)).toMatchObject({ idle: 0, createFailed: 1, state: "open" })
      fails.reserve = undefined
      yield* useAtOnce(pool, 1)
    })
  )

  it.effect("go to those who wait, and wait while the pool is suspended", () =>
    Effect.gen(function* () {
      const { backing, counts } = counted()
      const pool = yield* ArenaPool.make({ size: SIZE, backing })
      yield* ArenaPool.suspend(pool)
      const waiting = yield* Effect.forkChild(useAtOnce(pool, 1), { startImmediately: true })
      expect(yield* ArenaPool.prewarm(pool, 2)).toBe(2)
      expect((yield* ArenaPool.stats(pool)).pending).toBe(1)
      yield* ArenaPool.resume(pool)
      yield* Fiber.join(waiting)
      expect(counts.reserved).toBe(2)
    })
  )

  it.effect("refuse a number that is none", () =>
    Effect.gen(function* () {
      const pool = yield* ArenaPool.make({ size: SIZE })
      for (const count of [-1, 1.5, NaN, Infinity, "2", undefined, null] as ReadonlyArray<any>) {
        expect(yield* Effect.flip(ArenaPool.prewarm(pool, count))).toMatchObject({ field: "count", pool: pool.name })
        expect(yield* Effect.flip(ArenaPool.trim(pool, count))).toMatchObject({ field: "count", pool: pool.name })
      }
      expect(yield* ArenaPool.idleCount(pool)).toBe(0)
    })
  )
})

describe("idle arenas", () => {
  it.effect("are dropped by clear, and those idle for longest by trim", () =>
    Effect.gen(function* () {
      const { backing, counts } = counted()
      const pool = yield* ArenaPool.make({ size: SIZE, backing })
      const arenas = yield* useAtOnce(pool, 4)
      expect(yield* ArenaPool.trim(pool, 3)).toBe(1)
      expect(arenas.map(({ state }) => state)).toEqual(["idle", "idle", "idle", "destroyed"])
      expect([yield* ArenaPool.trim(5)(pool), yield* ArenaPool.clear(pool), yield* ArenaPool.clear(pool)]).toEqual([
        0, 3, 0
      ])
      expect([yield* ArenaPool.idleCount(pool), counts.destroyed]).toEqual([0, 4])
      yield* useAtOnce(pool, 1)
    })
  )

  it.effect("are dropped once each, also if memory that ends has another arena lie idle", () =>
    Effect.gen(function* () {
      const { backing, counts } = counted()
      const refilling: ArenaBacking.ArenaBacking = {
        ...backing,
        reserve: (size) => {
          const memory = backing.reserve(size)
          return {
            ...memory,
            destroy: () => {
              memory.destroy()
              if (counts.destroyed < 100) Effect.runSync(ArenaPool.prewarm(pool, 1))
            }
          }
        }
      }
      const pool = yield* ArenaPool.make({ size: SIZE, backing: refilling })
      yield* useAtOnce(pool, 2)
      expect(yield* ArenaPool.clear(pool)).toBe(2)
      expect([yield* ArenaPool.idleCount(pool), counts.destroyed]).toEqual([2, 2])
    })
  )
})

describe("unlike the known system", () => {
  it.effect("data need not cross from one holder to the next", () =>
    Effect.gen(function* () {
      for (const [, backing] of everyBacking) {
        for (const [clear, read] of [
          ["none", 7],
          ["onReturn", 0]
        ] as const) {
          const pool = yield* ArenaPool.make({ size: SIZE, backing, clear })
          yield* useAtOnce(pool, 1, SIZE)
          yield* ArenaPool.use(pool, (arena) =>
            Effect.map(BumpArena.allocBytes(arena, SIZE), (bytes) =>
              expect(bytes.every((byte) => byte === read)).toBe(true)
            )
          )
        }
      }
    })
  )

  it.effect("only what was used is zeroed, also what was rewound", () =>
    Effect.gen(function* () {
      const pool = yield* ArenaPool.make({ size: SIZE, clear: "onReturn", backing: ArenaBacking.shared })
      const arena = ArenaPool.checkoutUnsafe(pool)
      const { view } = arena.memory
      BumpArena.scopeUnsafe(arena, () => void BumpArena.allocBytesUnsafe(arena, 600).fill(7))
      // Where nobody was to write.
      view[700] = 7
      ArenaPool.giveBackUnsafe(pool, arena)
      expect(Array.from(view.subarray(0, 600)).some((byte) => byte !== 0)).toBe(false)
      expect(view[700]).toBe(7)
    })
  )

  it.effect("the number of arenas that are out can be bounded", () =>
    Effect.gen(function* () {
      const pool = yield* ArenaPool.make({ size: SIZE, maxOutstanding: 2 })
      const held = [ArenaPool.checkoutUnsafe(pool), ArenaPool.checkoutUnsafe(pool)]
      expect(() => ArenaPool.checkoutUnsafe(pool)).toThrow(PoolError.PoolError)
      for (const arena of held) ArenaPool.giveBackUnsafe(pool, arena)
      ArenaPool.giveBackUnsafe(pool, ArenaPool.checkoutUnsafe(pool))
    })
  )
})
