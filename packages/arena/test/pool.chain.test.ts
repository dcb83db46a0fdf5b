/** Arenas of a pool that take the memory of others when they are full. */
import { ArenaError, ArenaPool, BumpArena } from "@effect-pools/arena"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { counted, everyBacking } from "./support.ts"

const SIZE = 1000

const open = Effect.fnUntraced(function* (options?: Partial<ArenaPool.Options>) {
  const memory = counted()
  const pool = yield* ArenaPool.make({
    size: SIZE,
    backing: memory.backing,
    overflow: "chain",
    closeGrace: 0,
    ...options
  })
  return { ...memory, pool }
})

/** Fills so many arenas' worth. */
const fill = (arena: BumpArena.BumpArena, chunks: number) => {
  for (let n = 0; n < chunks; n++) BumpArena.allocBytesUnsafe(arena, SIZE).fill(n + 1)
}

const counts = ({ admission: { idle, used } }: ArenaPool.ArenaPool) => ({ idle, used })

describe("an arena that chains", () => {
  it.effect("has others' memory until it is emptied, and all of it is counted", () =>
    Effect.gen(function* () {
      const memory = yield* open()
      const { pool } = memory
      const arena = ArenaPool.checkoutUnsafe(pool)
      fill(arena, 3)
      expect([arena.capacity, counts(pool), memory.counts.reserved]).toEqual([3 * SIZE, { idle: 0, used: 3 }, 3])
      const stats = yield* ArenaPool.stats(pool)
      expect(stats).toMatchObject({ acquired: 3, details: { reservedBytes: 3 * SIZE, mostUsedBytes: 3 * SIZE } })
      BumpArena.resetUnsafe(arena)
      expect([arena.capacity, counts(pool)]).toEqual([SIZE, { idle: 2, used: 1 }])
      fill(arena, 3)
      ArenaPool.giveBackUnsafe(pool, arena)
      expect([counts(pool), memory.counts.reserved]).toEqual([{ idle: 3, used: 0 }, 3])
      expect(yield* ArenaPool.stats(pool)).toMatchObject({ acquired: 5, released: 5 })
    })
  )

  it.effect("is full when no more may be out, and as it was", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ maxOutstanding: 2 })
      const arena = ArenaPool.checkoutUnsafe(pool)
      fill(arena, 2)
      const error = yield* Effect.flip(BumpArena.allocBytes(arena, 1))
      expect(error).toMatchObject({ _tag: "ArenaExhausted", asked: 1, capacity: 2 * SIZE })
      expect(error).not.toHaveProperty("cause")
      expect([arena.allocated, counts(pool)]).toEqual([2 * SIZE, { idle: 0, used: 2 }])
    })
  )

  it.effect("does not overtake those who wait, and what it gives back is theirs", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ maxOutstanding: 2 })
      const arena = ArenaPool.checkoutUnsafe(pool)
      fill(arena, 2)
      const waiting = yield* Effect.forkChild(
        ArenaPool.use(pool, (other) => Effect.sync(() => expect(other).not.toBe(arena))),
        { startImmediately: true }
      )
      BumpArena.resetUnsafe(arena)
      // The waiter has it already, though it has not gone on.
      expect(BumpArena.allocUnsafe(arena, SIZE)).toBe(0)
      expect(BumpArena.allocUnsafe(arena, 1)).toBe(-1)
      yield* Fiber.join(waiting)
      expect(counts(pool)).toEqual({ idle: 1, used: 1 })
    })
  )

  it.effect("is full while the pool is suspended or closing", () =>
    Effect.gen(function* () {
      const { pool } = yield* open()
      const arena = ArenaPool.checkoutUnsafe(pool)
      fill(arena, 1)
      yield* ArenaPool.suspend(pool)
      expect(BumpArena.allocUnsafe(arena, 1)).toBe(-1)
      yield* ArenaPool.resume(pool)
      fill(arena, 1)
      const draining = yield* Effect.forkChild(ArenaPool.drain(pool), { startImmediately: true })
      expect(BumpArena.allocUnsafe(arena, 1)).toBe(-1)
      ArenaPool.giveBackUnsafe(pool, arena)
      yield* Fiber.join(draining)
      expect(counts(pool)).toEqual({ idle: 0, used: 0 })
    })
  )

  it.effect("says why there is no more if the backing fails", () =>
    Effect.gen(function* () {
      const { fails, pool } = yield* open()
      const arena = ArenaPool.checkoutUnsafe(pool)
      fill(arena, 1)
      fails.reserve = new RangeError("no memory")
      const error = yield* Effect.flip(BumpArena.allocBytes(arena, 1))
      expect(error.cause).toBeInstanceOf(ArenaError.BackingFailed)
      expect(counts(pool)).toEqual({ idle: 0, used: 1 })
    })
  )

  it.effect("loses what it has chained with its pool, in whichever order that ends", () =>
    Effect.gen(function* () {
      for (const first of ["chaining", "chained"] as const) {
        const scope = yield* Scope.make()
        const memory = yield* Scope.provide(open(), scope)
        const { pool } = memory
        // The one that is made first ends first.
        const arenas = [ArenaPool.checkoutUnsafe(pool), ArenaPool.checkoutUnsafe(pool)]
        const arena = arenas[first === "chaining" ? 0 : 1]!
        ArenaPool.giveBackUnsafe(pool, arenas[first === "chaining" ? 1 : 0]!)
        fill(arena, 2)
        yield* Scope.close(scope, Exit.void)
        expect(arenas.map(({ state }) => state)).toEqual(["destroyed", "destroyed"])
        expect(memory.counts).toMatchObject({ reserved: 2, destroyed: 2 })
        ArenaPool.giveBackUnsafe(pool, arena)
        expect(yield* ArenaPool.stats(pool)).toMatchObject({ acquired: 3, released: 3, size: 0 })
      }
    })
  )

  it.effect.each(everyBacking)("ends in checked mode too, whichever ends first, over %s memory", ([, backing]) =>
    Effect.gen(function* () {
      for (const first of [0, 1]) {
        const scope = yield* Scope.make()
        const { pool } = yield* Scope.provide(open({ backing, checked: true }), scope)
        const events: Array<string> = []
        pool.admission.observer.listen((event) => events.push(event._tag))
        const arenas = [ArenaPool.checkoutUnsafe(pool), ArenaPool.checkoutUnsafe(pool)]
        ArenaPool.giveBackUnsafe(pool, arenas[1 - first]!)
        fill(arenas[first]!, 2)
        yield* Scope.close(scope, Exit.void)
        expect(arenas.map(({ state }) => state)).toEqual(["destroyed", "destroyed"])
        expect(events).not.toContain("BackgroundFailure")
        ArenaPool.giveBackUnsafe(pool, arenas[first]!)
        expect(yield* ArenaPool.stats(pool)).toMatchObject({ acquired: 3, released: 3, size: 0 })
      }
    })
  )

  it.effect("is reported with what it has chained when it is held for too long: all of it was taken in one place", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ leakDetection: "1 minute" })
      const places: Array<string | undefined> = []
      pool.admission.observer.listen((event) => {
        if (event._tag === "LeaseOverdue") places.push(event.takenAt)
      })
      fill(ArenaPool.checkoutUnsafe(pool), 3)
      yield* ArenaPool.get(pool).pipe(Effect.map((arena) => fill(arena, 2)))
      yield* TestClock.adjust("1 minute")
      expect(places.length).toBe(5)
      expect(new Set(places).size).toBe(2)
      for (const place of places) expect(place).toContain("pool.chain.test")
    }).pipe(Effect.scoped)
  )

  it.effect("has others' memory for itself: whoever had them before is refused as if they lay idle", () =>
    Effect.gen(function* () {
      const { pool } = yield* open()
      const arena = ArenaPool.checkoutUnsafe(pool)
      const stale = ArenaPool.checkoutUnsafe(pool)
      ArenaPool.giveBackUnsafe(pool, stale)
      fill(arena, 2)
      expect(stale.state).toBe("chained")
      const uses = [
        () => ArenaPool.giveBackUnsafe(pool, stale),
        () => stale[Symbol.dispose](),
        () => BumpArena.allocUnsafe(stale, 1),
        () => BumpArena.resetUnsafe(stale)
      ]
      for (const use of uses) {
        expect(use).toThrow(ArenaError.ArenaMisuse)
        expect(use).toThrow("it was given back")
      }
      expect([arena.allocated, counts(pool)]).toEqual([2 * SIZE, { idle: 0, used: 2 }])
      ArenaPool.giveBackUnsafe(pool, arena)
      expect([stale.state, counts(pool)]).toEqual(["idle", { idle: 2, used: 0 }])
      expect(yield* ArenaPool.stats(pool)).toMatchObject({ acquired: 3, released: 3 })
    })
  )

  it.effect.each(everyBacking)("has nobody's data where the pool zeroes, and checks, over %s memory", ([, backing]) =>
    Effect.gen(function* () {
      for (const checked of [false, true]) {
        const { pool } = yield* open({ backing, clear: "onReturn", checked })
        const arena = ArenaPool.checkoutUnsafe(pool)
        fill(arena, 3)
        ArenaPool.giveBackUnsafe(pool, arena)
        for (let n = 0; n < 3; n++) {
          const bytes = BumpArena.allocBytesUnsafe(ArenaPool.checkoutUnsafe(pool), SIZE)
          expect(bytes.every((byte) => byte === 0)).toBe(true)
        }
      }
    })
  )
})
