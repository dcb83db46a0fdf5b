/** One budget for pools of all kinds. */
import { ArenaPool } from "@effect-pools/arena"
import { ConnectionPool } from "@effect-pools/connection"
import { Budget } from "@effect-pools/core"
import { InstancePool } from "@effect-pools/instance"
import { LockFreePool } from "@effect-pools/lock-free"
import { Resource, ResourcePool } from "@effect-pools/resource"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
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

  it.effect("is enough for five connection pools and 300 partners to live on 200 file descriptors", () =>
    Effect.gen(function* () {
      const open = { now: 0, most: 0 }
      const descriptor = Effect.acquireRelease(
        Effect.sync(() => {
          open.most = Math.max(open.most, ++open.now)
          return {}
        }),
        () =>
          Effect.andThen(
            Effect.sleep(2),
            Effect.sync(() => open.now--)
          )
      )
      const acquire = Effect.andThen(Effect.sleep(3), descriptor)
      const scope = yield* Scope.make()
      const { budget, databases, partners } = yield* Effect.gen(function* () {
        const budget = yield* Budget.make({ name: "descriptors", max: 200 })
        const databases = yield* Effect.forEach([1, 2, 3, 4, 5], (n) =>
          ConnectionPool.make({ name: `database-${n}`, acquire, max: 40, budget: { budget, minimum: 5 } })
        )
        const pool = yield* ResourcePool.make({ name: "partners", max: 120, budget: { budget, minimum: 10 } })
        const partners = yield* Effect.forEach(Array.from({ length: 300 }), () =>
          ResourcePool.create(pool, { allocate: acquire })
        )
        return { budget, databases, partners }
      }).pipe(Scope.provide(scope))

      const anyOf = <A>(some: ReadonlyArray<A>) =>
        Effect.map(Random.nextIntBetween(0, some.length, { halfOpen: true }), (index) => some[index]!)
      const work = Effect.flatMap(Random.nextIntBetween(1, 30), (millis) => Effect.sleep(millis))
      const ask = Effect.flatMap(Random.nextBoolean, (isPartner) =>
        isPartner
          ? Effect.flatMap(anyOf(partners), (partner) => Resource.use(partner, () => work))
          : Effect.flatMap(anyOf(databases), (database) => ConnectionPool.use(database, () => work))
      )
      let answered = 0
      const user = Effect.repeat(
        Effect.tap(ask, () => Effect.sync(() => answered++)),
        { times: 9 }
      )
      const users = yield* Effect.forkScoped(
        Random.withSeed(
          Effect.forEach(Array.from({ length: 400 }), () => user, { concurrency: "unbounded" }),
          1
        ),
        { startImmediately: true }
      )
      while (users.pollUnsafe() === undefined) {
        yield* TestClock.adjust(1)
        const stats = budget.statsUnsafe()
        const given = stats.members.reduce((sum, { taken }) => sum + taken, 0)
        assert.strictEqual(given + stats.free, 200)
        assert.isAtMost(open.now, given)
      }
      yield* Fiber.join(users)
      assert.strictEqual(answered, 4000)
      assert.strictEqual(open.most, 200)
      const closing = yield* Effect.forkScoped(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(closing)
      assert.strictEqual(open.now, 0)
      assert.deepInclude(budget.statsUnsafe(), { free: 200, inLine: 0, members: [] })
    })
  )
})
