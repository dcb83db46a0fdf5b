import { InvalidOptions } from "@effect-pools/core"
import { ArenaBacking, ArenaPool } from "@effect-pools/arena"
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

const refused = (options: unknown) =>
  Effect.scoped(
    Effect.flip(ArenaPool.make(options as ArenaPool.Options))
  ) as Effect.Effect<InvalidOptions.InvalidOptions>

describe("the options of an arena pool", () => {
  it.effect("have the documented defaults", () =>
    Effect.gen(function* () {
      const { store } = yield* ArenaPool.make({ size: 10, name: "scratch" })
      expect(store.options).toEqual({
        name: "scratch",
        size: 10,
        backing: ArenaBacking.heap,
        checked: false,
        chains: false,
        cap: 16,
        min: 0,
        max: Infinity,
        acquireTimeout: 30_000,
        maxWaiters: Infinity,
        clears: false,
        releaseIdleAfter: Infinity,
        idleTimeToLive: Infinity,
        closeGrace: 30_000,
        leakThreshold: Infinity
      })
    })
  )

  it.effect("are all heeded", () =>
    Effect.gen(function* () {
      const { name, store } = yield* ArenaPool.make({
        size: 20,
        backing: "resizable",
        checked: true,
        overflow: "chain",
        cap: Infinity,
        prewarm: 1,
        maxOutstanding: 2,
        acquireTimeout: Duration.seconds(1),
        maxWaiters: 3,
        clear: "onReturn",
        releaseIdleAfter: "4 seconds",
        idleTimeToLive: 5000,
        closeGrace: 0,
        leakDetection: "6 seconds"
      })
      expect(name).toMatch(/^arena-pool-\d+$/)
      expect(store.options).toEqual({
        name,
        size: 20,
        backing: ArenaBacking.resizable,
        checked: true,
        chains: true,
        cap: Infinity,
        min: 1,
        max: 2,
        acquireTimeout: 1000,
        maxWaiters: 3,
        clears: true,
        releaseIdleAfter: 4000,
        idleTimeToLive: 5000,
        closeGrace: 0,
        leakThreshold: 6000
      })
    })
  )

  const notCounts = [NaN, -1, 1.5, "3", true, null, {}, 3n]
  const notDurations = [NaN, -1, "soon", true, null, {}]
  const table: ReadonlyArray<readonly [keyof ArenaPool.Options, ReadonlyArray<unknown>]> = [
    ["size", [0, 2 ** 31, undefined, Infinity, ...notCounts]],
    ["name", ["", "  ", 1, null]],
    ["backing", ["disk", null, 1, {}, { ...ArenaBacking.heap, reserve: undefined }, { ...ArenaBacking.heap, name: 1 }]],
    ["checked", ["true", 1, null]],
    ["overflow", ["grow", true, null]],
    ["cap", notCounts],
    ["prewarm", [17, Infinity, ...notCounts]],
    ["maxOutstanding", [0, Infinity, ...notCounts]],
    ["acquireTimeout", notDurations],
    ["maxWaiters", notCounts],
    ["clear", ["always", true, null]],
    ["releaseIdleAfter", [0, ...notDurations]],
    ["idleTimeToLive", [0, ...notDurations]],
    ["closeGrace", notDurations],
    ["leakDetection", [0, ...notDurations]]
  ]

  it.effect.each(table)("refuse a %s that makes no sense", ([field, values]) =>
    Effect.gen(function* () {
      for (const value of values) {
        const error = yield* refused({ size: 10, name: "picky", backing: "resizable", [field]: value })
        expect(error).toBeInstanceOf(InvalidOptions.InvalidOptions)
        expect(error).toMatchObject({ pool: field === "name" ? "arena pool" : "picky", field })
      }
    })
  )

  it.effect("refuse what contradicts itself, is not known, or is no options at all", () =>
    Effect.gen(function* () {
      expect(yield* refused({ size: 10, cap: 2, prewarm: 3 })).toMatchObject({ field: "prewarm" })
      expect(yield* refused({ size: 10, maxOutstanding: 2, prewarm: 3 })).toMatchObject({ field: "prewarm" })
      expect(yield* refused({ size: 10, sizes: 3 })).toMatchObject({ field: "sizes", rule: "is not known" })
      for (const none of [undefined, null, 3, []])
        expect(yield* refused(none)).toMatchObject({ _tag: "InvalidOptions" })
      for (const backing of ["heap", "shared", "wasm"] as const) {
        const error = yield* refused({ size: 10, name: "picky", backing, releaseIdleAfter: "1 second" })
        expect(error.message).toBe(
          `Pool "picky": option "releaseIdleAfter" must be left out: the backing "${backing}" cannot return pages,` +
            ` but is "1 second"`
        )
      }
      const never = ArenaPool.make({ size: 10, releaseIdleAfter: "Infinity" })
      expect((yield* never).store.options.releaseIdleAfter).toBe(Infinity)
    })
  )
})
