/** What happens to a connection between two leases. */
import { ConnectionPool } from "@effect-pools/connection"
import { describe, expect, it } from "@effect/vitest"
import { Gates } from "@effect-pools/testing"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { TestClock } from "effect/testing"
import { counts, expectAtRest, hold, holding, open, settle, type World } from "./support.ts"

const use = (world: World) =>
  ConnectionPool.use(
    world.pool,
    holding(world, (item) => Effect.succeed(item.id))
  )

describe("validation", () => {
  it.effect("holds for the waiter that it was done for, and for nobody after", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const world = yield* open({ max: 1, validate: gates.onValidate, validateAfterIdle: 0 }, gates)
      // The first gets a connection that was just made.
      for (const validations of [0, 1, 2, 3]) {
        expect(yield* use(world)).toBe(1)
        expect(gates.validations).toBe(validations)
      }
      expectAtRest(world)
    })
  )

  it.effect("that an optional caller waits for is not waited for when the pool is suspended", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const world = yield* open({ max: 1, validate: gates.onValidate, validateAfterIdle: 0 }, gates)
      yield* use(world)
      gates.validate = 100
      const caller = yield* Effect.forkChild(
        Effect.zip(
          ConnectionPool.useIfAvailable(world.pool, () => Effect.void),
          Clock.currentTimeMillis
        ),
        { startImmediately: true }
      )
      expect(counts(world).pending).toBe(1)
      yield* ConnectionPool.suspend(world.pool)
      yield* TestClock.adjust(100)
      expect(yield* Fiber.join(caller)).toEqual([Option.none(), 0])
      expectAtRest(world)
    })
  )
})

describe("draining", () => {
  it.effect("idle connections go as soon as the last lease is back, however long the end of that one takes", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, min: 2, destroyTimeout: 5000 })
      const holder = yield* hold(world)
      yield* settle
      const draining = yield* Effect.forkChild(ConnectionPool.drain(world.pool), { startImmediately: true })
      yield* settle
      world.gates.destroy = 4000
      yield* holder.release
      yield* settle
      expect(counts(world)).toMatchObject({ idle: 0, used: 0, destroying: 2 })
      yield* TestClock.adjust(4000)
      yield* Fiber.join(draining)
      expect(world.gates.open).toBe(0)
    })
  )
})
