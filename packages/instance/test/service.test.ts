import { InvalidOptions, PoolRegistry } from "@effect-pools/core"
import { InstancePool } from "@effect-pools/instance"
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { fork, settle } from "./support.ts"

interface Plugin {
  readonly price: (cents: number) => number
}

let live = 0
const create: Effect.Effect<Plugin, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => {
    live++
    return { price: (cents) => cents * 2 }
  }),
  () => Effect.sync(() => live--)
)

class Plugins extends InstancePool.Service<Plugins>()("app/Plugins", { create, max: 2, prepare: 1 }) {}

const price = (plugin: Plugin) => Effect.sync(() => plugin.price(21))

describe("a service", () => {
  it.effect("opens its pool with the layer, and closes it with the layer's scope", () =>
    Effect.gen(function* () {
      const pool = yield* Effect.gen(function* () {
        expect(yield* Plugins.use(price)).toBe(42)
        yield* settle
        expect(live).toBe(1)
        return yield* Plugins
      }).pipe(Effect.provide(Plugins.layer))
      expect(live).toBe(0)
      expect(yield* InstancePool.stats(pool)).toMatchObject({ name: "app/Plugins", kind: "instance", state: "closed" })
    })
  )

  it.effect("has the functions of a pool as statics", () =>
    Effect.gen(function* () {
      yield* settle
      expect(yield* Plugins.use(price, { priority: 1 })).toBe(42)
      yield* settle
      expect((yield* Plugins.get()).price(1)).toBe(2)
      yield* settle
      expect((yield* Plugins.get({ acquireTimeout: 0 })).price(1)).toBe(2)
      expect(yield* Effect.scoped(Plugins.getIfAvailable)).toEqual(Option.none())
      expect(yield* Plugins.useIfAvailable(price)).toEqual(Option.none())
    }).pipe(Effect.scoped, Effect.provide(Plugins.layer))
  )

  it.effect("detaches what it hands out, and is administered", () =>
    Effect.gen(function* () {
      yield* Effect.scoped(
        Effect.gen(function* () {
          const plugin = yield* Plugins.use(Plugins.detach)
          expect(plugin.price(1)).toBe(2)
          expect((yield* Plugins.stats).used).toBe(1)
          yield* Plugins.invalidate(plugin)
        })
      )
      expect((yield* Plugins.stats).destroyed.invalidated).toBe(1)
      expect(yield* Effect.flip(Effect.scoped(Plugins.detach({ price: () => 0 })))).toMatchObject({ _tag: "NotInUse" })
      yield* Plugins.suspend
      expect((yield* Plugins.stats).state).toBe("suspended")
      yield* Plugins.resume
      yield* Plugins.resize({ max: 3 })
      expect((yield* Plugins.stats).max).toBe(3)
      const last = yield* fork(Stream.runLast(Plugins.events))
      yield* settle
      yield* Plugins.drain()
      expect(Option.getOrThrow(yield* Fiber.join(last))._tag).toBe("Closed")
    }).pipe(Effect.provide(Plugins.layer))
  )

  it.effect("takes options as an effect, read when the layer is built", () =>
    Effect.gen(function* () {
      class Max extends Context.Service<Max, number>()("test/Max") {}
      class Configured extends InstancePool.Service<Configured>()(
        "app/Configured",
        Effect.map(Max, (max) => ({ create, max }))
      ) {}
      const layer = Configured.layer.pipe(Layer.provide(Layer.succeed(Max, 7)))
      expect((yield* Effect.provide(Configured.stats, layer)).max).toBe(7)
      class Failing extends InstancePool.Service<Failing>()(
        "app/Failing",
        Effect.fail("no configuration") as Effect.Effect<InstancePool.Options<Plugin, never, never>, string>
      ) {}
      expect(yield* Effect.flip(Effect.provide(Failing.stats, Failing.layer))).toBe("no configuration")
    })
  )

  it.effect("fails its layer with InvalidOptions, which name the service", () =>
    Effect.gen(function* () {
      class Wrong extends InstancePool.Service<Wrong>()("app/Wrong", { create, max: 0 }) {}
      const error = yield* Effect.flip(Effect.provide(Wrong.stats, Wrong.layer))
      expect(error).toBeInstanceOf(InvalidOptions.InvalidOptions)
      expect(error).toMatchObject({ pool: "app/Wrong", field: "max" })
    })
  )
})

describe("a service's layer for tests", () => {
  class Real extends InstancePool.Service<Real>()(
    "app/Real",
    Effect.die("the real one was opened") as Effect.Effect<InstancePool.Options<Plugin, "broken", never>>
  ) {}
  const fake = Effect.succeed({ price: () => 1 })

  it.effect("needs nothing that its own options need", () =>
    Effect.gen(function* () {
      expect(yield* Real.use(price)).toBe(1)
      expect((yield* Real).store.options).toMatchObject({
        name: "app/Real",
        min: 0,
        max: 4,
        waits: false,
        acquireTimeout: 1000,
        createTimeout: 1000,
        destroyTimeout: 1000,
        closeGrace: 0,
        leakThreshold: 60_000
      })
    }).pipe(Effect.provide(Real.layerTest({ create: fake })))
  )

  it.effect("takes all options, and `undefined` for those that it has defaults for", () =>
    Effect.gen(function* () {
      const options = { create: fake, max: 1, onExhausted: "wait", acquireTimeout: undefined, closeGrace: 5 } as const
      const checked = yield* Effect.provide(
        Effect.map(Real, ({ store }) => store.options),
        Real.layerTest(options)
      )
      expect(checked).toMatchObject({ max: 1, waits: true, acquireTimeout: 1000, closeGrace: 5 })
    })
  )

  it.effect("answers with the failure of create at once, and refuses options that make no sense", () =>
    Effect.gen(function* () {
      const failing = Real.layerTest({ create: Effect.fail("broken") })
      expect(yield* Effect.flip(Effect.provide(Real.use(price), failing))).toBe("broken")
      const wrong = Real.layerTest({ create: fake, max: 0 })
      expect(yield* Effect.flip(Effect.provide(Real.use(price), wrong))).toMatchObject({
        pool: "app/Real",
        field: "max"
      })
      const none = Real.layerTest(undefined as never)
      expect(yield* Effect.flip(Effect.provide(Real.use(price), none))).toMatchObject({ field: "create" })
    })
  )

  it.effect("ends with the test though a lease is out, and knows where that was taken", () =>
    Effect.gen(function* () {
      const registry = PoolRegistry.makeUnsafe()
      const scope = yield* Scope.make()
      yield* Effect.gen(function* () {
        yield* Scope.provide(Real.get(), scope)
        const { admission } = yield* Real
        const [lease] = admission.store.leases()
        expect(lease!.request.callSite).toContain("service.test.ts")
        yield* TestClock.adjust(0)
      }).pipe(
        Effect.provide(Real.layerTest({ create: fake })),
        Effect.provideService(PoolRegistry.PoolRegistry, registry)
      )
      expect(registry.list()).toEqual([])
    })
  )
})
