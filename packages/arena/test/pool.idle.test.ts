/** What becomes of arenas that lie idle. */
import { ArenaBacking, ArenaPool, BumpArena } from "@effect-pools/arena"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { counted } from "./support.ts"

const SIZE = 10_000

/** Uses so many arenas together, a different number of bytes in each, and gives them back: the last one first. */
const useAtOnce = (pool: ArenaPool.ArenaPool, sizes: ReadonlyArray<number>) =>
  Effect.scoped(
    Effect.forEach(sizes, (size) =>
      Effect.map(ArenaPool.get(pool), (arena) => {
        BumpArena.allocBytesUnsafe(arena, size).fill(7)
        return arena
      })
    )
  )

const open = Effect.fnUntraced(function* (options?: Partial<ArenaPool.Options>) {
  const memory = counted()
  const pool = yield* ArenaPool.make({ size: SIZE, backing: memory.backing, closeGrace: 0, ...options })
  return { ...memory, pool }
})

describe("releaseIdle", () => {
  it.effect("returns the pages of idle arenas, and says how many bytes those were", () =>
    Effect.gen(function* () {
      const { counts, pool } = yield* open()
      const used = ArenaPool.checkoutUnsafe(pool)
      BumpArena.allocUnsafe(used, 10)
      yield* useAtOnce(pool, [1, 4097, SIZE])
      expect(yield* ArenaPool.releaseIdle(pool)).toBe(4096 + 8192 + SIZE)
      expect(counts.released).toBe(3)
      expect((yield* ArenaPool.stats(pool)).details).toMatchObject({
        releasedBytes: 4096 + 8192 + SIZE,
        residentBytes: 4096,
        reservedBytes: 4 * SIZE
      })
    })
  )

  it.effect("gives zeroes to whoever has the arena next", () =>
    Effect.gen(function* () {
      for (const backing of ["resizable", counted().backing] as const) {
        const { pool } = yield* open({ backing })
        yield* useAtOnce(pool, [SIZE])
        expect(yield* ArenaPool.releaseIdle(pool)).toBe(SIZE)
        const bytes = yield* ArenaPool.use(pool, (arena) =>
          Effect.map(BumpArena.allocBytes(arena, SIZE), (bytes) => Array.from(bytes))
        )
        expect(bytes.every((byte) => byte === 0)).toBe(true)
      }
    })
  )

  it.effect(
    "unlike the known system, costs nothing for arenas that are released or were never used, and tells it",
    () =>
      Effect.gen(function* () {
        const { counts, pool } = yield* open()
        yield* ArenaPool.prewarm(pool, 3)
        expect(yield* ArenaPool.releaseIdle(pool)).toBe(0)
        yield* useAtOnce(pool, [10])
        expect([yield* ArenaPool.releaseIdle(pool), yield* ArenaPool.releaseIdle(pool)]).toEqual([4096, 0])
        // Taken and given back without being used.
        yield* useAtOnce(pool, [0])
        expect([yield* ArenaPool.releaseIdle(pool), counts]).toEqual([0, { ...counts, released: 1, committed: 1 }])
      })
  )

  it.effect("does nothing where the backing has no way to return pages", () =>
    Effect.gen(function* () {
      for (const backing of ["heap", "shared", "wasm"] as const) {
        const { pool } = yield* open({ backing })
        yield* useAtOnce(pool, [SIZE])
        expect(yield* ArenaPool.releaseIdle(pool)).toBe(0)
        expect(yield* ArenaPool.use(pool, (arena) => Effect.succeed(arena.memory.view[0]))).toBe(7)
      }
    })
  )

  it.effect("ends an arena whose pages cannot be returned, tells of it, and goes on with the others", () =>
    Effect.gen(function* () {
      const { fails, pool } = yield* open()
      const events: Array<string> = []
      pool.admission.observer.listen((event) => events.push(event._tag))
      yield* useAtOnce(pool, [10, 10])
      fails.release = new Error("busy")
      expect(yield* ArenaPool.releaseIdle(pool)).toBe(0)
      expect(yield* ArenaPool.idleCount(pool)).toBe(0)
      expect(events.filter((event) => event === "BackgroundFailure").length).toBe(2)
    })
  )

  it.effect("in checked mode leaves arenas that can still be ended", () =>
    Effect.gen(function* () {
      // Whose memory is not replaced, and so is what pages are returned of.
      const backing: ArenaBacking.ArenaBacking = { ...ArenaBacking.resizable, name: "lasting", detaches: false }
      const { pool } = yield* open({ backing, checked: true })
      const events: Array<string> = []
      pool.admission.observer.listen((event) => events.push(event._tag))
      const [arena] = yield* useAtOnce(pool, [SIZE])
      expect(yield* ArenaPool.releaseIdle(pool)).toBe(SIZE)
      expect(yield* ArenaPool.clear(pool)).toBe(1)
      expect([arena!.state, events.includes("BackgroundFailure")]).toEqual(["destroyed", false])
    })
  )

  it.effect("lends no arena whose pages are just being returned, whatever the backing does then", () =>
    Effect.gen(function* () {
      const { backing } = counted()
      const taken: Array<BumpArena.BumpArena> = []
      let isNesting = false
      const nested: ArenaBacking.ArenaBacking = {
        ...backing,
        reserve: (size) => {
          const memory = ArenaBacking.resizable.reserve(size)
          return {
            ...memory,
            release: () => {
              if (isNesting) {
                isNesting = false
                const arena = ArenaPool.checkoutUnsafe(pool)
                BumpArena.allocBytesUnsafe(arena, SIZE).fill(1)
                taken.push(arena)
                expect(Effect.runSync(ArenaPool.releaseIdle(pool))).toBe(0)
              }
              memory.release()
            }
          }
        }
      }
      const { pool } = yield* open({ backing: nested })
      const [arena] = yield* useAtOnce(pool, [10])
      isNesting = true
      yield* ArenaPool.releaseIdle(pool)
      expect(taken.length).toBe(1)
      expect(taken[0]).not.toBe(arena)
      expect(BumpArena.bytesUnsafe(taken[0]!, 0, SIZE).every((byte) => byte === 1)).toBe(true)
      expect(yield* ArenaPool.stats(pool)).toMatchObject({ idle: 0, used: 1, acquired: 2, released: 1 })
    })
  )

  it.effect("is over if an arena ends while its pages are being returned, and that fails", () =>
    Effect.gen(function* () {
      const { backing, counts } = counted()
      const nested: ArenaBacking.ArenaBacking = {
        ...backing,
        reserve: (size) => ({
          ...backing.reserve(size),
          release: () => {
            Effect.runSync(ArenaPool.clear(pool))
            throw new Error("busy")
          }
        })
      }
      const { pool } = yield* open({ backing: nested })
      yield* useAtOnce(pool, [10, 10])
      expect(yield* ArenaPool.releaseIdle(pool)).toBe(0)
      expect([yield* ArenaPool.idleCount(pool), counts.destroyed]).toEqual([0, 2])
    })
  )

  it.effect("lets the backing use the pool", () =>
    Effect.gen(function* () {
      const { backing } = counted()
      let pool: ArenaPool.ArenaPool | undefined
      const nested = {
        ...backing,
        reserve: (size: number) => {
          const memory = backing.reserve(size)
          return {
            ...memory,
            release: () => {
              memory.release()
              if (pool !== undefined) ArenaPool.giveBackUnsafe(pool, ArenaPool.checkoutUnsafe(pool))
            }
          }
        }
      }
      pool = (yield* open({ backing: nested })).pool
      yield* useAtOnce(pool, [10, 10, 10])
      yield* ArenaPool.releaseIdle(pool)
      expect(pool.admission.idle + pool.admission.used).toBe(pool.store.all.size)
      expect(yield* ArenaPool.idleCount(pool)).toBe(pool.store.all.size)
    })
  )
})

describe("releaseIdleAfter", () => {
  it.effect("returns the pages of arenas that were idle for so long, once", () =>
    Effect.gen(function* () {
      const { counts, pool } = yield* open({ releaseIdleAfter: "10 seconds" })
      yield* useAtOnce(pool, [10, 10])
      yield* TestClock.adjust("6 seconds")
      yield* useAtOnce(pool, [10])
      yield* TestClock.adjust("4 seconds")
      expect(counts.released).toBe(1)
      yield* TestClock.adjust("5999 millis")
      expect(counts.released).toBe(1)
      yield* TestClock.adjust("1 millis")
      expect(counts.released).toBe(2)
      yield* TestClock.adjust("1 hour")
      expect(counts).toMatchObject({ released: 2, committed: 0, destroyed: 0 })
      yield* useAtOnce(pool, [10])
      expect(counts.committed).toBe(1)
      yield* TestClock.adjust("10 seconds")
      expect(counts.released).toBe(3)
    })
  )

  it.effect("leaves what is used again and again", () =>
    Effect.gen(function* () {
      const { counts, pool } = yield* open({ releaseIdleAfter: "10 seconds" })
      for (let n = 0; n < 50; n++) {
        yield* useAtOnce(pool, [10])
        yield* TestClock.adjust("9 seconds")
      }
      expect(counts).toMatchObject({ released: 0, reserved: 1 })
    })
  )

  it.effect("ends with the pool", () =>
    Effect.gen(function* () {
      const { counts, pool } = yield* open({ releaseIdleAfter: "10 seconds" })
      yield* useAtOnce(pool, [10])
      yield* ArenaPool.drain(pool)
      yield* TestClock.adjust("1 hour")
      expect(counts).toMatchObject({ released: 0, destroyed: 1 })
    })
  )
})

describe("idleTimeToLive", () => {
  it.effect("ends arenas that were idle for so long, but for those that are always to be there", () =>
    Effect.gen(function* () {
      const { counts, pool } = yield* open({ idleTimeToLive: "1 minute", prewarm: 1 })
      const arenas = yield* useAtOnce(pool, [10, 10, 10])
      yield* TestClock.adjust("30 seconds")
      yield* useAtOnce(pool, [10])
      yield* TestClock.adjust("30 seconds")
      expect(arenas.map(({ state }) => state)).toEqual(["idle", "destroyed", "destroyed"])
      expect((yield* ArenaPool.stats(pool)).destroyed.idleTimeout).toBe(2)
      yield* TestClock.adjust("1 hour")
      expect([yield* ArenaPool.idleCount(pool), counts.reserved]).toEqual([1, 3])
      yield* ArenaPool.resize(pool, { min: 0 })
      yield* useAtOnce(pool, [10])
      yield* TestClock.adjust("1 minute")
      expect(yield* ArenaPool.idleCount(pool)).toBe(0)
    })
  )

  it.effect("ends those that were to be kept when fewer are to be kept from now on", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ idleTimeToLive: "1 minute", prewarm: 4 })
      yield* TestClock.adjust("1 hour")
      expect(yield* ArenaPool.idleCount(pool)).toBe(4)
      yield* ArenaPool.resize(pool, { min: 1 })
      yield* TestClock.adjust("1 second")
      expect(yield* ArenaPool.stats(pool)).toMatchObject({ idle: 1, destroyed: { idleTimeout: 3 } })
    })
  )

  it.effect("comes after pages were returned", () =>
    Effect.gen(function* () {
      const { counts, pool } = yield* open({ idleTimeToLive: "1 minute", releaseIdleAfter: "10 seconds" })
      yield* useAtOnce(pool, [10])
      yield* TestClock.adjust("10 seconds")
      expect(counts).toMatchObject({ released: 1, destroyed: 0 })
      yield* TestClock.adjust("50 seconds")
      expect(counts).toMatchObject({ released: 1, destroyed: 1 })
    })
  )
})
