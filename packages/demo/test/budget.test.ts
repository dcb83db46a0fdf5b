/** One budget for pools of all kinds. */
import { ArenaPool } from "@effect-pools/arena"
import { ConnectionPool } from "@effect-pools/connection"
import { Budget } from "@effect-pools/core"
import { InstancePool } from "@effect-pools/instance"
import { LockFreePool } from "@effect-pools/lock-free"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"

const open = (budget: Budget.Budget) =>
  Effect.all({
    connections: ConnectionPool.make({ name: "connections", acquire: Effect.sync(() => ({})), budget }),
    instances: InstancePool.make({ name: "instances", create: Effect.sync(() => ({})), prepare: 1, budget }),
    arenas: ArenaPool.make({ name: "arenas", size: 4096, budget: { budget, weight: 2 } }),
    slots: LockFreePool.make({ name: "slots", create: () => ({}), reset: () => true, scale: { mode: "auto" }, budget })
  })

const taken = (budget: Budget.Budget) =>
  Object.fromEntries(budget.statsUnsafe().members.map(({ name, taken }) => [name, taken]))

describe("a budget for pools of all kinds", () => {
  it.effect("bounds them together, and has idle ones given up for those in need", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ name: "process", max: 6 })
      const scope = yield* Scope.make()
      const { arenas, connections, slots } = yield* Scope.provide(open(budget), scope)
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(taken(budget), { connections: 0, instances: 1, arenas: 0, slots: 0 })

      // Each leaves something idle behind, in this order.
      yield* ConnectionPool.use(connections, () => Effect.void)
      yield* TestClock.adjust(10)
      yield* ArenaPool.use(arenas, () => Effect.void)
      yield* TestClock.adjust(10)
      yield* LockFreePool.use(slots, () => Effect.void)
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(taken(budget), { connections: 1, instances: 1, arenas: 2, slots: 1 })

      // What has been idle for longest goes first: the instance that was prepared, then the connection, then the arena.
      const held = yield* Scope.make()
      yield* Scope.provide(LockFreePool.get(slots), held)
      yield* Scope.provide(LockFreePool.get(slots), held)
      assert.deepStrictEqual(taken(budget), { connections: 1, instances: 1, arenas: 2, slots: 2 })
      yield* Scope.provide(LockFreePool.get(slots), held)
      assert.deepStrictEqual(taken(budget), { connections: 1, instances: 0, arenas: 2, slots: 3 })
      yield* Scope.provide(ConnectionPool.get(connections), held)
      yield* Scope.provide(ConnectionPool.get(connections), held)
      assert.deepStrictEqual(taken(budget), { connections: 2, instances: 0, arenas: 0, slots: 3 })

      // With nothing idle they wait for each other, across kinds and by weight.
      yield* Scope.provide(LockFreePool.get(slots), held)
      const arena = yield* Effect.forkScoped(
        ArenaPool.use(arenas, () => Effect.never),
        { startImmediately: true }
      )
      yield* TestClock.adjust(10)
      assert.strictEqual(budget.statsUnsafe().inLine, 1)
      yield* Scope.close(held, Exit.void)
      yield* TestClock.adjust(10)
      assert.deepInclude(taken(budget), { arenas: 2 })
      yield* Fiber.interrupt(arena)

      yield* Scope.close(scope, Exit.void)
      assert.deepInclude(budget.statsUnsafe(), { free: 6, inLine: 0, members: [] })
    })
  )
})
