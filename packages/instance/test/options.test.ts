/** Every option: its default, its effect, and what is refused. */
import { InvalidOptions } from "@effect-pools/core"
import { InstancePool } from "@effect-pools/instance"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { fork, hold, open, outcome, settle, use } from "./support.ts"

const create = Effect.succeed("instance")
const make = (options: object) =>
  Effect.scoped(InstancePool.make(options as InstancePool.Options<string, never, never>))

describe("options", () => {
  it.effect("have defaults", () =>
    Effect.gen(function* () {
      const pool = yield* InstancePool.make({ create })
      expect(pool.name).toMatch(/^instance-pool-\d+$/)
      expect(pool.kind).toBe("instance")
      expect(InstancePool.isInstancePool(pool)).toBe(true)
      expect(pool.store.options).toMatchObject({
        min: 0,
        max: 4,
        waits: false,
        acquireTimeout: 30_000,
        maxWaiters: Infinity,
        createTimeout: 10_000,
        preparedMaxAge: Infinity,
        destroyTimeout: 5000,
        closeGrace: 30_000,
        leakThreshold: Infinity
      })
    })
  )

  it.effect("that are undefined are as good as none", () =>
    Effect.gen(function* () {
      const none = yield* InstancePool.make({ create })
      const undefineds = yield* InstancePool.make({
        create,
        name: undefined,
        max: undefined,
        onExhausted: undefined,
        acquireTimeout: undefined,
        maxWaiters: undefined,
        createTimeout: undefined,
        prepare: undefined,
        preparedMaxAge: undefined,
        destroyTimeout: undefined,
        closeGrace: undefined,
        leakDetection: undefined
      })
      expect({ ...undefineds.store.options, name: "" }).toEqual({ ...none.store.options, name: "" })
    })
  )

  const refused: Record<string, ReadonlyArray<readonly [unknown, string]>> = {
    create: [
      [undefined, "must be an Effect"],
      [() => create, "must be an Effect"]
    ],
    name: [["", "must be a string that is not empty"]],
    max: [
      [0, "must be a whole number of at least 1"],
      [1.5, "must be a whole number of at least 1"],
      [Infinity, "must be a whole number of at least 1"],
      ["4", "must be a whole number of at least 1"]
    ],
    onExhausted: [
      ["queue", "must be one of fail, wait"],
      [true, "must be one of fail, wait"]
    ],
    acquireTimeout: [
      [-1, "must be a duration"],
      ["soon", "must be a duration"]
    ],
    maxWaiters: [[-1, "must be a whole number of at least 0"]],
    createTimeout: [[0, "must be longer than zero"]],
    prepare: [
      [-1, "must be a whole number of at least 0"],
      [0.5, "must be a whole number of at least 0"],
      [Infinity, "must be a whole number of at least 0"],
      [5, "must not exceed max (4)"]
    ],
    preparedMaxAge: [
      [0, "must be longer than zero"],
      ["old", "must be a duration"]
    ],
    destroyTimeout: [[0, "must be longer than zero"]],
    closeGrace: [[NaN, "must be a duration"]],
    budget: [
      [5, "must be a Budget, or an object with one as `budget`"],
      [{ minimum: 1 }, "must be a Budget, or an object with one as `budget`"]
    ],
    leakDetection: [[0, "must be longer than zero"]],
    min: [[1, "is not known"]],
    warmCount: [[1, "is not known"]]
  }
  for (const [field, values] of Object.entries(refused)) {
    it.effect(`that make no sense are refused: ${field}`, () =>
      Effect.gen(function* () {
        for (const [value, rule] of values) {
          const error = yield* Effect.flip(make({ name: "plugins", create, [field]: value }))
          expect(error).toBeInstanceOf(InvalidOptions.InvalidOptions)
          expect(error.field).toBe(field)
          expect(error.rule).toBe(rule)
        }
      })
    )
  }

  it.effect("that are none are refused", () =>
    Effect.gen(function* () {
      for (const options of [undefined, null, "options"]) {
        expect((yield* Effect.flip(make(options as never))).field).toBe("options")
      }
    })
  )

  it.effect("acquireTimeout is for the turn and the building together, and a call can have its own", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, onExhausted: "wait", acquireTimeout: 100 })
      const holder = yield* hold(world)
      const [caller, patient] = [yield* fork(use(world)), yield* hold(world, { acquireTimeout: 200 })]
      yield* TestClock.adjust(60)
      world.gates.create = 60
      yield* holder.release
      yield* TestClock.adjust(40)
      expect(outcome(caller)).toBe("AcquireTimeout")
      // What was being built for the one is had by the other.
      yield* TestClock.adjust(20)
      expect(patient.got.item?.id).toBe(2)
      yield* patient.release
    })
  )

  it.effect("a name that is taken gets a number", () =>
    Effect.gen(function* () {
      const first = yield* InstancePool.make({ create, name: "plugins" })
      const second = yield* InstancePool.make({ create, name: "plugins" })
      expect([first.name, second.name]).toEqual(["plugins", "plugins-2"])
    })
  )

  it.effect("closeGrace is how long a close waits for instances in use", () =>
    Effect.gen(function* () {
      const world = yield* open({ closeGrace: 100 })
      yield* hold(world)
      const closing = yield* fork(world.close)
      yield* TestClock.adjust(99)
      expect(world.gates.items[0]!.destroying).toBe(0)
      yield* TestClock.adjust(1)
      yield* Fiber.join(closing)
      expect(world.gates.items[0]!.destroyed).toBe(1)
    })
  )

  it.effect("resize takes prepare as min, and refuses what make would", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2 })
      expect((yield* Effect.flip(InstancePool.resize(world.pool, { min: 3 }))).rule).toBe("must not exceed max (2)")
      yield* InstancePool.resize(world.pool, { min: 2 })
      yield* settle
      expect(yield* InstancePool.stats(world.pool)).toMatchObject({ min: 2, max: 2, idle: 2 })
    })
  )
})
