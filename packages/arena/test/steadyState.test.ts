import { describe, expect, it } from "@effect/vitest"
import { ArenaPool, BumpArena } from "@effect-pools/arena"
import { Footprint } from "@effect-pools/testing"
import * as Effect from "effect/Effect"

const CYCLES = 20_000

/** Everything that a unit of work does without views: marks, scopes of its own, 64 allocations, and the reset. */
const cycles = (arena: BumpArena.BumpArena, count: number): number => {
  let checksum = 0
  for (let cycle = 0; cycle < count; cycle++) {
    for (let at = 0; at < 32; at++) checksum ^= BumpArena.allocUnsafe(arena, 64)
    const outer = BumpArena.markUnsafe(arena)
    const grown = BumpArena.allocUnsafe(arena, 64)
    checksum ^= BumpArena.growUnsafe(arena, grown, 64, 128)
    const inner = BumpArena.markUnsafe(arena)
    for (let at = 0; at < 32; at++) checksum ^= BumpArena.allocUnsafe(arena, 64, 64)
    BumpArena.rewindUnsafe(arena, inner)
    BumpArena.rewindUnsafe(arena, outer)
    checksum ^= BumpArena.allocUnsafe(arena, 1_000_000)
    BumpArena.resetUnsafe(arena)
  }
  return checksum
}

/** How many bytes were put on the JavaScript heap: all of them, where nothing is collected in between. */
const heapGrowth = (work: () => void): number => {
  const before = process.memoryUsage().heapUsed
  work()
  return process.memoryUsage().heapUsed - before
}

/**
 * The least growth per cycle of any round, or the first that is below `enough`. Code that is not compiled yet puts numbers on the
 * heap, and compiling takes long where others keep the machine busy; what a cycle itself needs would be there in all rounds.
 */
const leastGrowth = (enough: number, work: (cycles: number) => void): number => {
  let least = Infinity
  for (let round = 0; round < 100 && least >= enough; round++) {
    const perCycle = heapGrowth(() => work(CYCLES)) / CYCLES
    if (perCycle >= 0) least = Math.min(least, perCycle)
  }
  return least
}

describe("an arena in steady state", () => {
  it("allocates nothing on the JavaScript heap", { timeout: 30_000 }, async () => {
    using arena = BumpArena.makeUnsafe({ size: 64 * 1024 })
    for (let round = 0; round < 20; round++) cycles(arena, CYCLES / 10)
    await Effect.runPromise(Footprint.collect)
    expect(leastGrowth(0.1, (count) => void cycles(arena, count))).toBeLessThan(0.1)
  })
})

/** A whole unit of work: an arena of a pool, 64 allocations, and back. */
const lends = (pool: ArenaPool.ArenaPool, count: number): number => {
  let checksum = 0
  for (let cycle = 0; cycle < count; cycle++) {
    const arena = ArenaPool.checkoutUnsafe(pool)
    for (let at = 0; at < 64; at++) checksum ^= BumpArena.allocUnsafe(arena, 64)
    ArenaPool.giveBackUnsafe(pool, arena)
  }
  return checksum
}

describe("a pool in steady state", () => {
  for (const options of [{}, { backing: "resizable", clear: "onReturn" }, { overflow: "chain" }] as const) {
    it.live(
      `puts nothing on the JavaScript heap to lend an arena, but a reading of the clock now and then: ${JSON.stringify(options)}`,
      () =>
        Effect.gen(function* () {
          // Chained, 64 allocations take two arenas.
          const pool = yield* ArenaPool.make({ size: "overflow" in options ? 2048 : 64 * 1024, ...options })
          for (let round = 0; round < 20; round++) {
            lends(pool, CYCLES / 10)
            // What is done now and then must not have its price in each cycle.
            yield* ArenaPool.releaseIdle(pool)
          }
          yield* Footprint.collect
          // One number in a tenth of a millisecond: see decision 4. Anything of a cycle's own would be 16 bytes.
          expect(leastGrowth(4, (count) => void lends(pool, count))).toBeLessThan(4)
          expect((yield* ArenaPool.stats(pool)).created).toBeLessThanOrEqual(2)
        }).pipe(Effect.scoped),
      60_000
    )
  }
})
