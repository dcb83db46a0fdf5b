import { InvalidOptions, PoolRegistry } from "@effect-pools/core"
import { ArenaPool, BumpArena } from "@effect-pools/arena"
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

class Scratch extends ArenaPool.Service<Scratch>()("app/Scratch", {
  size: 1000,
  backing: "resizable",
  maxOutstanding: 2,
  cap: 1
}) {}

const write = (arena: BumpArena.BumpArena) => Effect.map(BumpArena.allocString(arena, "hello"), (bytes) => bytes.length)

describe("a service", () => {
  it.effect("opens its pool with the layer, and closes it with the layer's scope", () =>
    Effect.gen(function* () {
      const pool = yield* Effect.gen(function* () {
        expect(yield* Scratch.use(write)).toBe(5)
        return yield* Scratch
      }).pipe(Effect.provide(Scratch.layer))
      expect(yield* ArenaPool.stats(pool)).toMatchObject({
        name: "app/Scratch",
        kind: "arena",
        state: "closed",
        size: 0
      })
    })
  )

  it.effect("has the functions of a pool as statics", () =>
    Effect.gen(function* () {
      expect(yield* Scratch.use(write, { priority: 1 })).toBe(5)
      const arena = yield* Scratch.get()
      yield* Scratch.get({ acquireTimeout: 0 })
      expect(yield* Effect.scoped(Scratch.getIfAvailable)).toEqual(Option.none())
      expect(yield* Scratch.useIfAvailable(write)).toEqual(Option.none())
      yield* Scratch.invalidate(arena)
      expect((yield* Scratch.stats).used).toBe(2)
    }).pipe(Effect.scoped, Effect.provide(Scratch.layer))
  )

  it.effect("has those that only arena pools have", () =>
    Effect.gen(function* () {
      expect([yield* Scratch.prewarm(5), yield* Scratch.idleCount]).toEqual([1, 1])
      yield* Scratch.use(write)
      expect([yield* Scratch.releaseIdle, yield* Scratch.releaseIdle]).toEqual([1000, 0])
      expect([yield* Scratch.trim(1), yield* Scratch.clear, yield* Scratch.idleCount]).toEqual([0, 1, 0])
    }).pipe(Effect.provide(Scratch.layer))
  )

  it.effect("is administered", () =>
    Effect.gen(function* () {
      yield* Scratch.suspend
      expect((yield* Scratch.stats).state).toBe("suspended")
      yield* Scratch.resume
      yield* Scratch.resize({ max: 3 })
      expect((yield* Scratch.stats).max).toBe(3)
      const last = yield* Effect.forkChild(Stream.runLast(Scratch.events), { startImmediately: true })
      yield* Effect.yieldNow
      yield* Scratch.drain()
      expect(Option.getOrThrow(yield* Fiber.join(last))._tag).toBe("Closed")
    }).pipe(Effect.provide(Scratch.layer))
  )

  it.effect("takes options as an effect, read when the layer is built", () =>
    Effect.gen(function* () {
      class Size extends Context.Service<Size, number>()("test/Size") {}
      class Configured extends ArenaPool.Service<Configured>()(
        "app/Configured",
        Effect.map(Size, (size) => ({ size }))
      ) {}
      const layer = Configured.layer.pipe(Layer.provide(Layer.succeed(Size, 7)))
      expect((yield* Effect.provide(Configured, layer)).store.options.size).toBe(7)
    })
  )

  it.effect("fails its layer with InvalidOptions, which name the service", () =>
    Effect.gen(function* () {
      class Wrong extends ArenaPool.Service<Wrong>()("app/Wrong", { size: 0 }) {}
      const error = yield* Effect.flip(Effect.provide(Wrong.stats, Wrong.layer))
      expect(error).toBeInstanceOf(InvalidOptions.InvalidOptions)
      expect(error).toMatchObject({ pool: "app/Wrong", field: "size" })
      class None extends ArenaPool.Service<None>()("app/None", undefined as never) {}
      expect(yield* Effect.flip(Effect.provide(None.stats, None.layer))).toMatchObject({ field: "size" })
    })
  )
})

describe("a service's layer for tests", () => {
  class Real extends ArenaPool.Service<Real>()(
    "app/Real",
    Effect.die("the real one was opened") as Effect.Effect<ArenaPool.Options>
  ) {}

  it.effect("has the defaults of a test, and needs nothing of its own options", () =>
    Effect.gen(function* () {
      expect((yield* Real).store.options).toMatchObject({
        name: "app/Real",
        size: 10,
        checked: true,
        acquireTimeout: 1000,
        closeGrace: 0,
        leakThreshold: 60_000
      })
    }).pipe(Effect.provide(Real.layerTest({ size: 10 })))
  )

  it.effect("takes all options, and `undefined` for those that it has defaults for", () =>
    Effect.gen(function* () {
      const layer = Real.layerTest({ size: 10, checked: false, acquireTimeout: undefined, closeGrace: 5 })
      const { store } = yield* Effect.provide(Real, layer)
      expect(store.options).toMatchObject({ checked: false, acquireTimeout: 1000, closeGrace: 5 })
      const none = Real.layerTest(undefined as never)
      expect(yield* Effect.flip(Effect.provide(Real.stats, none))).toMatchObject({ field: "size" })
    })
  )

  it.effect("ends with the test though an arena is out, and knows where that was taken", () =>
    Effect.gen(function* () {
      const registry = PoolRegistry.makeUnsafe()
      yield* Effect.gen(function* () {
        const pool = yield* Real
        ArenaPool.checkoutUnsafe(pool)
        const [lease] = pool.store.leases()
        expect(lease!.request.callSite).toContain("pool.service.test")
      }).pipe(Effect.provide(Real.layerTest({ size: 10 })), Effect.provideService(PoolRegistry.PoolRegistry, registry))
      expect(registry.list()).toEqual([])
    })
  )
})
