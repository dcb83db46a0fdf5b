/**
 * Prints how many bytes each case puts on the JavaScript heap per cycle, as JSON. To be run with `--single-threaded`, so that
 * code is compiled at the same moment of every run, however busy the machine is.
 */
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

/** How many bytes were put on the JavaScript heap: all of them, where nothing is collected in between. */
const heapGrowth = (work: () => void): number => {
  const before = process.memoryUsage().heapUsed
  work()
  return process.memoryUsage().heapUsed - before
}

/** The least growth per cycle of any round: code that is not compiled yet puts numbers on the heap, in the first of them. */
const leastGrowth = (work: (cycles: number) => void): number => {
  const growths = Array.from({ length: 20 }, () => heapGrowth(() => work(CYCLES)))
  return Math.min(...growths.filter((growth) => growth >= 0)) / CYCLES
}

const ofArena = Effect.gen(function* () {
  using arena = BumpArena.makeUnsafe({ size: 64 * 1024 })
  for (let round = 0; round < 20; round++) cycles(arena, CYCLES / 10)
  yield* Footprint.collect
  return leastGrowth((count) => void cycles(arena, count))
})

const ofPool = (options: ArenaPool.Options) =>
  Effect.gen(function* () {
    const pool = yield* ArenaPool.make(options)
    for (let round = 0; round < 20; round++) {
      lends(pool, CYCLES / 10)
      // What is done now and then must not have its price in each cycle.
      yield* ArenaPool.releaseIdle(pool)
    }
    yield* Footprint.collect
    const perCycle = leastGrowth((count) => void lends(pool, count))
    const { created } = yield* ArenaPool.stats(pool)
    return { perCycle, created }
  }).pipe(Effect.scoped)

export interface Report {
  readonly arena: number
  readonly pools: ReadonlyArray<{ readonly perCycle: number; readonly created: number }>
}

const size = 64 * 1024
const report: Effect.Effect<Report, unknown> = Effect.gen(function* () {
  const pools = [
    yield* ofPool({ size }),
    yield* ofPool({ size, backing: "resizable", clear: "onReturn" }),
    // 64 allocations take two arenas.
    yield* ofPool({ size: 2048, overflow: "chain" })
  ]
  return { arena: yield* ofArena, pools }
})

console.log(JSON.stringify(await Effect.runPromise(report)))
