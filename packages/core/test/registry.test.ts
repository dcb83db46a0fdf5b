import { Pool, PoolRegistry } from "@effect-pools/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { fork, type Given, open } from "./fake.ts"

const opened = (given: Given) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const pool = yield* Scope.provide(open(given), scope)
    return { pool, close: Scope.close(scope, Exit.void) }
  })

/** Runs a test with a registry of its own. */
const isolated = <A, E, R>(f: (registry: PoolRegistry.PoolRegistry) => Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const registry = PoolRegistry.makeUnsafe()
    return Effect.provideService(f(registry), PoolRegistry.PoolRegistry, registry)
  })

const names = (registry: PoolRegistry.PoolRegistry) => registry.list().map(({ name }) => name)

describe("the registry", () => {
  it.effect("lists open pools, oldest first, with name and kind", () =>
    isolated((registry) =>
      Effect.gen(function* () {
        yield* opened({ name: "b", kind: "arena" })
        const { pool } = yield* opened({ name: "a", kind: "connection" })
        assert.deepStrictEqual(
          registry.list().map(({ kind, name }) => [name, kind]),
          [
            ["b", "arena"],
            ["a", "connection"]
          ]
        )
        assert.strictEqual(registry.find("a")?.kind, "connection")
        assert.strictEqual(registry.find("a")?.pool, pool)
        assert.isUndefined(registry.find("c"))
      })
    )
  )

  it.effect("forgets a pool when it has closed, and frees its name", () =>
    isolated((registry) =>
      Effect.gen(function* () {
        const { close, pool } = yield* opened({ name: "db" })
        yield* close
        assert.deepStrictEqual(names(registry), [])
        const again = yield* opened({ name: "db" })
        assert.strictEqual(again.pool.name, "db")
        // A second close of the first must not take the name from the second.
        yield* Pool.drain(pool)
        assert.deepStrictEqual(names(registry), ["db"])
      })
    )
  )

  it.effect("gives a second pool of a name a number, with a warning", () =>
    isolated((registry) =>
      Effect.gen(function* () {
        const warnings: Array<unknown> = []
        const logger = Logger.make(({ logLevel, message }) => warnings.push([logLevel, [message].flat().join(" ")]))
        const log = Effect.provideService(Logger.CurrentLoggers, new Set([logger]))
        const first = yield* log(opened({ name: "db" }))
        assert.deepStrictEqual(warnings, [])
        const second = yield* log(opened({ name: "db" }))
        const third = yield* log(opened({ name: "db" }))
        assert.deepStrictEqual(names(registry), ["db", "db-2", "db-3"])
        assert.strictEqual(second.pool.name, "db-2")
        assert.deepStrictEqual(warnings, [
          ["Warn", 'A pool named "db" is open already; this one is called "db-2"'],
          ["Warn", 'A pool named "db" is open already; this one is called "db-3"']
        ])
        assert.strictEqual((yield* Pool.stats(third.pool)).name, "db-3")
        const error = yield* Effect.flip(
          Effect.andThen(
            first.close,
            Pool.use(first.pool, () => Effect.void)
          )
        )
        assert.strictEqual(error.message, 'Pool "db" is closed')
        yield* second.close
        const fourth = yield* log(opened({ name: "db" }))
        assert.strictEqual(fourth.pool.name, "db")
      })
    )
  )

  it.effect("steps aside for a name that somebody chose with the number", () =>
    isolated((registry) =>
      Effect.gen(function* () {
        yield* opened({ name: "db-2" })
        yield* opened({ name: "db" })
        yield* opened({ name: "db" })
        assert.deepStrictEqual(names(registry), ["db-2", "db", "db-3"])
      })
    )
  )

  it.effect("shows stats and events of a pool to an operator", () =>
    isolated((registry) =>
      Effect.gen(function* () {
        const { close, pool } = yield* opened({ name: "db" })
        const registered = registry.find("db")!
        const reading = yield* fork(Stream.runCollect(registered.events))
        yield* TestClock.adjust(0)
        yield* Pool.use(pool, () => Effect.void)
        assert.deepStrictEqual(yield* registered.stats, yield* Pool.stats(pool))
        yield* close
        assert.deepStrictEqual(
          (yield* Fiber.join(reading)).map(({ _tag }) => _tag),
          ["LeaseAcquired", "LeaseReleased", "Closing", "Closed"]
        )
      })
    )
  )

  it.effect("lets an operator suspend, resume, resize and drain", () =>
    isolated((registry) =>
      Effect.gen(function* () {
        const { pool } = yield* opened({ name: "db" })
        const registered = registry.find("db")!
        const state = Effect.map(Pool.stats(pool), (stats) => stats.state)
        yield* registered.suspend
        assert.strictEqual(yield* state, "suspended")
        yield* registered.resume
        assert.strictEqual(yield* state, "open")
        yield* registered.resize({ min: 1, max: 9 })
        assert.deepInclude(yield* Pool.stats(pool), { min: 1, max: 9 })
        assert.strictEqual((yield* Effect.flip(registered.resize({ max: 0 }))).field, "max")
        const user = yield* fork(Pool.use(pool, () => Effect.sleep(50)))
        const draining = yield* fork(registered.drain("1 second"))
        assert.strictEqual(yield* state, "draining")
        yield* TestClock.adjust(50)
        yield* Fiber.joinAll([user, draining])
        assert.strictEqual(yield* state, "closed")
      })
    )
  )

  it.effect("is one for the whole process, unless another is provided", () =>
    Effect.gen(function* () {
      const shared = yield* PoolRegistry.PoolRegistry
      assert.strictEqual(yield* PoolRegistry.PoolRegistry, shared)
      const { close } = yield* opened({ name: "in the open" })
      assert.isDefined(shared.find("in the open"))
      yield* isolated((own) =>
        Effect.gen(function* () {
          yield* opened({ name: "apart" })
          assert.deepStrictEqual(names(own), ["apart"])
          assert.isUndefined(shared.find("apart"))
        })
      )
      yield* close
      assert.isUndefined(shared.find("in the open"))
    })
  )
})
