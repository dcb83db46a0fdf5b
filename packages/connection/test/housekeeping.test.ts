/** What happens to connections that lie idle. */
import { ConnectionPool } from "@effect-pools/connection"
import { describe, expect, it } from "@effect/vitest"
import { Gates } from "@effect-pools/testing"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { open } from "./support.ts"

describe("background checks", () => {
  it.effect("take no connection away from those who wait for the end of a suspension", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const world = yield* open({ max: 1, min: 1, health: { check: gates.onCheck, interval: "1 second" } }, gates)
      yield* TestClock.adjust(500)
      gates.check = 600
      yield* ConnectionPool.suspend(world.pool)
      const waiter = yield* Effect.forkChild(
        ConnectionPool.use(world.pool, () => Clock.currentTimeMillis),
        {
          startImmediately: true
        }
      )
      yield* TestClock.adjust(5000)
      expect(gates.checks).toBe(0)
      yield* ConnectionPool.resume(world.pool)
      expect(yield* Fiber.join(waiter)).toBe(5500)
      yield* TestClock.adjust(2000)
      expect(gates.checks).toBe(1)
    })
  )
})
