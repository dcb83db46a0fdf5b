/** Pools of arenas that share a number of bytes. */
import { ArenaPool, BumpArena } from "@effect-pools/arena"
import { Budget } from "@effect-pools/core"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { counted } from "./support.ts"

const KiB = 1024

const open = Effect.fnUntraced(function* (options: ArenaPool.Options) {
  const { backing, counts, fails } = counted()
  const pool = yield* ArenaPool.make({ backing, closeGrace: 0, ...options })
  return { pool, counts, fails }
})

const free = (budget: Budget.Budget) => budget.statsUnsafe().free

describe("pools of arenas under one budget", () => {
  it.effect("together have no more bytes than it has permits, and give up what is idle for those in need", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 10 * KiB })
      const small = yield* open({ size: KiB, budget })
      const large = yield* open({ size: 4 * KiB, budget })
      expect(yield* ArenaPool.prewarm(small.pool, 3)).toBe(3)
      expect(free(budget)).toBe(7 * KiB)
      const first = ArenaPool.checkoutUnsafe(large.pool)
      expect([free(budget), small.counts.destroyed]).toEqual([3 * KiB, 0])
      ArenaPool.checkoutUnsafe(large.pool)
      expect([free(budget), small.counts.destroyed]).toEqual([0, 1])
      // No third one of these can be had, whatever the others give up; and what lies idle stays where it is.
      const waiting = yield* Effect.forkChild(
        ArenaPool.use(large.pool, () => Effect.void),
        { startImmediately: true }
      )
      ArenaPool.giveBackUnsafe(large.pool, first)
      yield* Fiber.join(waiting)
      expect(large.counts.reserved).toBe(2)
    })
  )

  it.effect("count what arenas chain, which are full when there is no more", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 3 * KiB })
      const { pool } = yield* open({ size: KiB, budget, overflow: "chain" })
      const arena = ArenaPool.checkoutUnsafe(pool)
      for (let n = 0; n < 3; n++) expect(BumpArena.allocUnsafe(arena, KiB)).toBeGreaterThan(-1)
      expect([BumpArena.allocUnsafe(arena, 1), free(budget)]).toEqual([-1, 0])
      ArenaPool.giveBackUnsafe(pool, arena)
      expect(free(budget)).toBe(0)
      yield* ArenaPool.clear(pool)
      expect(free(budget)).toBe(3 * KiB)
    })
  )

  it.effect("have back what was meant for an arena that could not be made", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 3 * KiB })
      const { fails, pool } = yield* open({ size: KiB, budget })
      fails.reserve = new RangeError("no memory")
      expect(yield* Effect.flip(ArenaPool.prewarm(pool, 3))).toMatchObject({ made: 0 })
      expect(yield* Effect.flip(ArenaPool.use(pool, () => Effect.void))).toMatchObject({ _tag: "ArenaBackingFailed" })
      expect(() => ArenaPool.checkoutUnsafe(pool)).toThrow("counted")
      expect(free(budget)).toBe(3 * KiB)
      fails.reserve = undefined
      expect(yield* ArenaPool.prewarm(pool, 5)).toBe(3)
    })
  )
})
