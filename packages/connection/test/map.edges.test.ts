/** Maps that are used, closed or suspended in the middle of what they do. */
import { ConnectionPool, ConnectionPoolMap } from "@effect-pools/connection"
import { PoolError, PoolRegistry } from "@effect-pools/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { Backend, fork } from "./backend.ts"

const inRegistry = (registry: PoolRegistry.PoolRegistry) => Effect.provideService(PoolRegistry.PoolRegistry, registry)

describe("a map", () => {
  it.effect("suspends and resumes pools that are about to open, whatever step they are at", () =>
    Effect.gen(function* () {
      let seen = 0
      for (let budget = 3; budget < 9; budget++) {
        for (let step = 0; step < 14; step++) {
          const scope = yield* Scope.make()
          const opening = (name: string) =>
            ConnectionPoolMap.make({
              name,
              max: 4,
              lookup: (_: string) => ({ acquire: Effect.succeed({}), health: false })
            }).pipe(
              Effect.provideService(Scope.Scope, scope),
              Effect.provideService(Scheduler.MaxOpsBeforeYield, budget),
              inRegistry(PoolRegistry.makeUnsafe())
            )
          const [suspended, resumed] = [yield* opening("suspended"), yield* opening("resumed")]
          yield* ConnectionPoolMap.suspend(resumed)
          const callers = yield* Effect.forEach([suspended, resumed], (map) =>
            fork(Effect.exit(ConnectionPoolMap.use(map, "a", () => Effect.void)))
          )
          for (let n = 0; n < step; n++) yield* Effect.yieldNow
          yield* ConnectionPoolMap.suspend(suspended)
          yield* ConnectionPoolMap.resume(resumed)
          for (let n = 0; n < 40; n++) yield* Effect.yieldNow
          const states = [suspended, resumed].map(({ members }) => members.opened("a")?.admission.lifecycle)
          assert.deepStrictEqual(states, ["suspended", "open"], `${budget} operations, step ${step}`)
          seen++
          yield* Scope.close(scope, Exit.void)
          yield* Effect.forEach(callers, (caller) => Fiber.join(caller))
        }
      }
      assert.strictEqual(seen, 84)
    })
  )

  it.effect("has no part in pools that its connections open", () =>
    Effect.gen(function* () {
      const registry = PoolRegistry.makeUnsafe()
      const map = yield* ConnectionPoolMap.make({
        name: "hosts",
        max: 4,
        lookup: (_: string) => ({
          acquire: ConnectionPool.make({ name: "channels", acquire: Effect.succeed("channel") }),
          health: false
        })
      }).pipe(inRegistry(registry))
      const used = ConnectionPoolMap.use(map, "a", (channels) => ConnectionPool.use(channels, Effect.succeed))
      assert.strictEqual(yield* used, "channel")
      const names = registry.list().map(({ name }) => name)
      assert.deepStrictEqual(names, ["hosts/a", "channels"])
      const { acquired, idle, pools } = yield* ConnectionPoolMap.stats(map)
      assert.deepStrictEqual({ acquired, idle, pools: pools.length }, { acquired: 1, idle: 1, pools: 1 })
      yield* ConnectionPoolMap.suspend(map)
      assert.deepStrictEqual(
        registry.list().map(({ pool }) => pool.admission.lifecycle),
        ["suspended", "open"]
      )
    })
  )

  it.effect("leaves a pool that somebody drains the grace that was said, though its key is used again", () =>
    Effect.gen(function* () {
      const backend = new Backend()
      const registry = PoolRegistry.makeUnsafe()
      const map = yield* ConnectionPoolMap.make({
        name: "tenants",
        max: 4,
        lookup: (_: string) => ({ acquire: backend.connect, closeGrace: 10, health: false })
      }).pipe(inRegistry(registry))
      const holder = yield* fork(ConnectionPoolMap.use(map, "a", () => Effect.sleep(500)))
      yield* fork(registry.find("tenants/a")!.drain(1000))
      yield* ConnectionPoolMap.use(map, "a", () => Effect.void)
      yield* TestClock.adjust(499)
      assert.deepStrictEqual(backend.closed, [])
      assert.strictEqual((yield* ConnectionPoolMap.stats(map)).pools.length, 2)
      yield* TestClock.adjust(1)
      yield* Fiber.join(holder)
      assert.deepStrictEqual(backend.closed, [1])
      assert.strictEqual((yield* ConnectionPoolMap.stats(map)).pools.length, 1)
    })
  )

  it.effect("closes a pool that somebody drains with all others, in its own time", () =>
    Effect.gen(function* () {
      const backend = new Backend()
      const registry = PoolRegistry.makeUnsafe()
      const scope = yield* Scope.make()
      const map = yield* ConnectionPoolMap.make({
        name: "tenants",
        max: 4,
        lookup: (_: string) => ({ acquire: backend.connect, closeGrace: 10, health: false })
      }).pipe(inRegistry(registry), Effect.provideService(Scope.Scope, scope))
      yield* fork(ConnectionPoolMap.use(map, "a", () => Effect.never))
      yield* fork(registry.find("tenants/a")!.drain("1 hour"))
      yield* ConnectionPoolMap.use(map, "a", () => Effect.void)
      const closing = yield* fork(Scope.close(scope, Exit.void))
      yield* TestClock.adjust(10)
      yield* Fiber.join(closing)
      assert.strictEqual(backend.live, 0)
      assert.deepStrictEqual(registry.list(), [])
    })
  )

  it.effect("has one pool for a key, also if a connection that makes place for it uses it at its end", () =>
    Effect.gen(function* () {
      let goodbyes = 1
      const map: ConnectionPoolMap.ConnectionPoolMap<string, object> = yield* ConnectionPoolMap.make({
        name: "tenants",
        max: 4,
        capacity: 1,
        idleTimeToLive: 1000,
        lookup: (_: string) => ({
          acquire: Effect.acquireRelease(
            Effect.sync(() => ({})),
            () => (goodbyes-- > 0 ? Effect.ignore(ConnectionPoolMap.use(map, "b", () => Effect.void)) : Effect.void)
          ),
          health: false
        })
      })
      const touch = (key: string) => ConnectionPoolMap.use(map, key, () => Effect.void)
      yield* touch("a")
      yield* touch("b")
      const names = Effect.map(ConnectionPoolMap.stats(map), ({ pools }) => pools.map(({ name }) => name))
      assert.deepStrictEqual(yield* names, ["tenants/b"])
      yield* TestClock.adjust(500)
      yield* touch("b")
      yield* TestClock.adjust(600)
      assert.deepStrictEqual(yield* ConnectionPoolMap.keys(map), ["b"])
      assert.deepStrictEqual(yield* names, ["tenants/b"])
    })
  )

  it.effect("waits no longer than its caller has time for a key that is called off each time it opens", () =>
    Effect.gen(function* () {
      let isOdd = true
      const map: ConnectionPoolMap.ConnectionPoolMap<string, object> = yield* ConnectionPoolMap.make({
        max: 4,
        lookup: (key: string) =>
          Effect.as(
            Effect.suspend(() => (isOdd ? ConnectionPoolMap.invalidate(map, key) : Effect.void)),
            { acquire: Effect.succeed({}), health: false }
          )
      })
      const caller = yield* fork(
        Effect.flip(ConnectionPoolMap.use(map, "a", () => Effect.void, { acquireTimeout: 100 }))
      )
      yield* TestClock.adjust(100)
      const error = yield* Fiber.join(caller)
      assert.instanceOf(error, PoolError.PoolError)
      assert.strictEqual(error.reason._tag, "AcquireTimeout")
      isOdd = false
      yield* ConnectionPoolMap.use(map, "a", () => Effect.void)
    })
  )
})
