/** How connections are made, and what becomes of attempts that fail. */
import { ConnectionPool } from "@effect-pools/connection"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { hold, open, settle } from "./support.ts"

describe("a timeout", () => {
  it.effect("tells of the last failure to make a connection, as long as none was made since", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, acquireTimeout: 1000 })
      const { gates, pool } = world
      const holder = yield* hold(world)
      yield* settle
      /** What a caller is told who finds all connections in use. */
      const told = Effect.gen(function* () {
        const caller = yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, () => Effect.void)), {
          startImmediately: true
        })
        yield* TestClock.adjust(1000)
        const error = yield* Fiber.join(caller)
        return error._tag === "PoolError" && error.reason._tag === "AcquireTimeout"
          ? error.reason.explanation.lastCreateFailure
          : error
      })
      gates.create = "die"
      expect(yield* told).toBe("Error: create died")
      gates.create = "ok"
      yield* TestClock.adjust(10_000)
      const second = yield* hold(world)
      yield* settle
      expect(yield* told).toBeUndefined()
      yield* second.release
      yield* holder.release
    })
  )
})
