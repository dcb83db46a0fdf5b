import { ConnectionPoolMap } from "@effect-pools/connection"
import { Budget, PoolRegistry } from "@effect-pools/core"
import { LeakCheck } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { Backend, type Connection, fork } from "./backend.ts"

const backend = new Backend()
class Tenants extends ConnectionPoolMap.Service<Tenants>()("app/Tenants", {
  lookup: (_: string) => ({ acquire: backend.connect, max: 2 }),
  max: 3
}) {}

const id = ({ id }: Connection) => Effect.succeed(id)

describe("a service of a map", () => {
  it.effect("opens its map with the layer, names pools after itself, and closes all with the layer's scope", () =>
    Effect.gen(function* () {
      const registry = PoolRegistry.makeUnsafe()
      const map = yield* Effect.gen(function* () {
        yield* Tenants.use("a", id)
        yield* Effect.scoped(Tenants.get("b"))
        assert.deepStrictEqual(
          registry.list().map(({ name }) => name),
          ["app/Tenants/a", "app/Tenants/b"]
        )
        return yield* Tenants
      }).pipe(Effect.provide(Tenants.layer), Effect.provideService(PoolRegistry.PoolRegistry, registry))
      assert.strictEqual(backend.live, 0)
      assert.strictEqual((yield* ConnectionPoolMap.stats(map)).state, "closed")
      assert.deepStrictEqual(registry.list(), [])
    })
  )

  it.effect("has the map's functions as statics", () =>
    Effect.gen(function* () {
      const events: Array<string> = []
      const reader = yield* fork(Stream.runForEach(Tenants.events, ({ _tag }) => Effect.sync(() => events.push(_tag))))
      const made = yield* Tenants.use("a", id, { priority: 1 })
      assert.strictEqual((yield* Effect.scoped(Tenants.get("a", { acquireTimeout: "1 second" }))).id, made)
      assert.deepStrictEqual(yield* Tenants.useIfAvailable("a", id), Option.some(made))
      assert.strictEqual(Option.getOrThrow(yield* Effect.scoped(Tenants.getIfAvailable("a"))).id, made)
      assert.strictEqual((yield* Tenants.pool("b")).name, "app/Tenants/b")
      assert.isTrue(Option.isSome(yield* Tenants.poolIfOpen("b")))
      assert.deepStrictEqual(yield* Tenants.keys, ["a", "b"])
      yield* Tenants.invalidate("b")
      assert.isFalse(yield* Tenants.has("b"))
      yield* Tenants.suspend
      assert.strictEqual((yield* Tenants.stats).state, "suspended")
      yield* Tenants.resume
      yield* Tenants.drain("1 minute")
      assert.strictEqual((yield* Tenants.stats).state, "closed")
      yield* Fiber.join(reader)
      assert.include(events, "LeaseAcquired")
    }).pipe(Effect.provide(Tenants.layer))
  )

  it.effect("takes its options from an effect", () =>
    Effect.gen(function* () {
      class Configured extends ConnectionPoolMap.Service<Configured>()(
        "app/Configured",
        Effect.gen(function* () {
          const max = yield* Config.Int("MAX")
          return { lookup: (_: string) => ({ acquire: backend.connect }), max, name: "tenants" }
        })
      ) {}
      const withConfig = (config: Record<string, string>) =>
        Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(config))
      const stats = yield* Configured.stats.pipe(Effect.provide(Configured.layer), withConfig({ MAX: "7" }))
      assert.deepInclude(stats, { name: "tenants", max: 7 })
      const error = yield* Effect.flip(
        Configured.stats.pipe(Effect.provide(Configured.layer), withConfig({ MAX: "0" }))
      )
      assert.deepInclude(error, { _tag: "InvalidOptions", pool: "tenants", field: "max" })
    })
  )

  it.effect("over fakes has the defaults of a test, and needs nothing of its own", () =>
    Effect.gen(function* () {
      class Real extends ConnectionPoolMap.Service<Real>()("app/Real", {
        lookup: (tenant: string) => Effect.map(Config.String(tenant), () => ({ acquire: backend.connect })),
        max: 100
      }) {}
      const fakes = Real.layerTest({ lookup: () => ({ acquire: Effect.succeed({ id: 7 }) }) })
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* Real.use("a", id), 7)
        const { max, acquireTimeout } = (yield* Real.pool("a")).admission
        assert.deepStrictEqual({ max, acquireTimeout }, { max: 2, acquireTimeout: 1000 })
        yield* TestClock.adjust("1 day")
        assert.deepInclude(yield* Real.stats, { name: "app/Real", max: 10, keys: 1 })
      }).pipe(Effect.provide(fakes))

      const budget = yield* Budget.make({ max: 5 })
      const given = Real.layerTest({
        budget,
        maxPerKey: 4,
        lookup: () => Effect.succeed({ acquire: Effect.succeed({ id: 7 }), acquireTimeout: 10 })
      })
      const { admission } = yield* Effect.provide(Real.pool("a"), given)
      assert.deepStrictEqual([admission.max, admission.acquireTimeout], [4, 10])
      for (const options of [undefined, {}, { lookup: 5 }]) {
        const error = yield* Effect.flip(Layer.build(Real.layerTest(options as never)))
        assert.deepInclude(error, { pool: "app/Real", field: "lookup" })
      }
    }).pipe(Effect.scoped)
  )

  it.effect("over fakes ends with the test though a lease is out, and tells where that was taken", () =>
    Effect.gen(function* () {
      const test = Effect.gen(function* () {
        yield* Effect.provideService(Tenants.get("a"), Scope.Scope, yield* Scope.make())
      })
      const layer = Tenants.layerTest({ lookup: () => ({ acquire: Effect.succeed({ id: 1 }) }) })
      const error = yield* Effect.flip(LeakCheck.run(Effect.provide(test, layer)))
      assert.instanceOf(error, LeakCheck.LeaksFound)
      assert.match(error.message, /Pool "app\/Tenants\/a" .*\n.*lease 1 .* taken .*map\.service\.test\.ts/)
    })
  )

  it.effect("whose map looks for leaks tells where its statics were called", () =>
    Effect.gen(function* () {
      class Watched extends ConnectionPoolMap.Service<Watched>()("app/Watched", {
        lookup: (_: string) => ({ acquire: backend.connect, max: 1, acquireTimeout: 10 }),
        max: 3,
        leakDetection: "1 minute"
      }) {}
      yield* Effect.gen(function* () {
        const holder = yield* fork(Watched.use("a", () => Effect.never))
        const waiting = yield* fork(Effect.flip(Watched.use("a", id)))
        yield* TestClock.adjust(10)
        assert.match(String((yield* Fiber.join(waiting)) as Error), /taken .*map\.service\.test\.ts/)
        yield* Fiber.interrupt(holder)
      }).pipe(Effect.provide(Watched.layer))
    }).pipe(Effect.scoped)
  )
})
