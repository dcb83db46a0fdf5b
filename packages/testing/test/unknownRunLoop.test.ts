import { Pool } from "@effect-pools/core"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import { vi } from "vitest"
import * as Contract from "../src/Contract.ts"
import * as InterruptSweep from "../src/InterruptSweep.ts"
import * as TestPool from "../src/TestPool.ts"
import { fresh } from "./kinds.ts"
import { subject } from "./subject.ts"

const handlers = vi.hoisted(() => ({ made: 0 }))

/** An Effect whose exit handlers are made in another way than the one that pools know. */
vi.mock("effect/Effect", async (original) => {
  const actual = await original<typeof Effect>()
  const onExitPrimitive: typeof Effect.onExitPrimitive = (effect, f, interruptible) => {
    handlers.made++
    return actual.suspend(() => actual.onExitPrimitive(effect, f, interruptible))
  }
  return { ...actual, onExitPrimitive }
})

/** And whose scopes want something to run. */
vi.mock("effect/Scope", async (original) => {
  const actual = await original<typeof Scope>()
  const { die, suspend, uninterruptible, void: done } = await vi.importActual<typeof Effect>("effect/Effect")
  const close: typeof Scope.close = (scope, exit) =>
    uninterruptible(
      suspend(() => {
        const wasOpen = scope.state._tag === "Open"
        return actual.closeUnsafe(scope, exit) ?? (wasOpen ? die("nothing to run") : done)
      })
    )
  return { ...actual, close }
})

describe("with a run loop that is not known", () => {
  it.effect("the log of the first pool says so, for those who look for a fault", () =>
    Effect.gen(function* () {
      const lines: Array<unknown> = []
      const logger = Logger.make(({ logLevel, message }) => void lines.push([logLevel, message]))
      const open = TestPool.make({ make: (id) => id, max: 1 }).pipe(
        Effect.provideService(Logger.CurrentLoggers, new Set([logger])),
        Effect.provideService(References.MinimumLogLevel, "Debug")
      )
      yield* open
      yield* open
      expect(lines).toEqual([["Debug", [expect.stringContaining("leases take longer")]]])
    })
  )

  it.effect("leases are made of public functions", () =>
    Effect.gen(function* () {
      const pool = yield* TestPool.make({ make: (id) => id, max: 1 })
      const before = handlers.made
      yield* Pool.use(pool, () => Effect.void)
      expect(handlers.made).toBe(before + 1)
    })
  )

  for (const kind of [subject, fresh]) {
    describe(`a ${kind.kind} pool`, () => {
      Contract.suite(kind, it)
      InterruptSweep.suite(kind, it, { budgets: [3, 5, 7, 11, 64], pairs: 30 })
    })
  }
})
