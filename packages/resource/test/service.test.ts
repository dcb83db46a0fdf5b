import { InvalidOptions, PoolRegistry } from "@effect-pools/core"
import { Resource, ResourcePool } from "@effect-pools/resource"
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { fork, settle } from "./support.ts"

class Sockets extends ResourcePool.Service<Sockets>()("app/Sockets", { max: 2 }) {}

class Host extends Context.Service<Host, string>()("app/Host") {}

describe("a service", () => {
  it.effect("opens its pool with the layer, and releases what is left with the layer's scope", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const pool = yield* Effect.gen(function* () {
        const allocate = Effect.map(Host, (host) => `${host}/mail`)
        const mail = yield* Sockets.create({
          name: "mail",
          allocate,
          release: (socket) => Effect.map(Host, (host) => log.push(`${host}: ${socket}`))
        })
        expect(yield* Resource.use(mail, Effect.succeed)).toBe("/run/mail")
        expect(log).toEqual([])
        return yield* Sockets
      }).pipe(Effect.provideService(Host, "/run"), Effect.provide(Sockets.layer))
      expect(log).toEqual(["/run: /run/mail"])
      expect(yield* ResourcePool.stats(pool)).toMatchObject({ name: "app/Sockets", kind: "resource", state: "closed" })
    })
  )

  it.effect("is administered", () =>
    Effect.gen(function* () {
      const mail = yield* Sockets.create({ allocate: Effect.succeed({}) })
      const value = yield* Resource.use(mail, Effect.succeed)
      yield* Sockets.invalidate(value)
      expect((yield* Sockets.stats).destroyed.invalidated).toBe(1)
      yield* Sockets.suspend
      expect((yield* Sockets.stats).state).toBe("suspended")
      yield* Sockets.resume
      yield* Sockets.resize({ max: 3 })
      expect((yield* Sockets.stats).max).toBe(3)
      const last = yield* fork(Stream.runLast(Sockets.events))
      yield* settle
      yield* Sockets.drain()
      expect(Option.getOrThrow(yield* Fiber.join(last))._tag).toBe("Closed")
    }).pipe(Effect.provide(Sockets.layer))
  )

  it.effect("has resources that are services themselves", () =>
    Effect.gen(function* () {
      class Mail extends Context.Service<Mail, Resource.Resource<string>>()("app/Mail") {
        static readonly layer = Layer.effect(
          Mail,
          Sockets.create({ name: "mail", allocate: Effect.succeed("!") })
        ).pipe(Layer.provide(Sockets.layer))
      }
      expect(yield* Effect.provide(Effect.flatMap(Mail, Resource.use(Effect.succeed)), Mail.layer)).toBe("!")
    })
  )

  it.effect("takes options as an effect, read when the layer is built", () =>
    Effect.gen(function* () {
      class Max extends Context.Service<Max, number>()("test/Max") {}
      class Configured extends ResourcePool.Service<Configured>()(
        "app/Configured",
        Effect.map(Max, (max) => ({ max }))
      ) {}
      const layer = Configured.layer.pipe(Layer.provide(Layer.succeed(Max, 7)))
      expect((yield* Effect.provide(Configured.stats, layer)).max).toBe(7)
      class Failing extends ResourcePool.Service<Failing>()(
        "app/Failing",
        Effect.fail("no configuration") as Effect.Effect<ResourcePool.Options, string>
      ) {}
      expect(yield* Effect.flip(Effect.provide(Failing.stats, Failing.layer))).toBe("no configuration")
    })
  )

  it.effect("fails its layer, and what it creates, with InvalidOptions, which name the service", () =>
    Effect.gen(function* () {
      class Wrong extends ResourcePool.Service<Wrong>()("app/Wrong", { max: 0 }) {}
      const error = yield* Effect.flip(Effect.provide(Wrong.stats, Wrong.layer))
      expect(error).toBeInstanceOf(InvalidOptions.InvalidOptions)
      expect(error).toMatchObject({ pool: "app/Wrong", field: "max" })
      const heavy = Effect.provide(Sockets.create({ allocate: Effect.void, weight: 3 }), Sockets.layer)
      expect(yield* Effect.flip(heavy)).toMatchObject({ pool: "app/Sockets", field: "weight" })
    })
  )
})

describe("a service's layer for tests", () => {
  class Real extends ResourcePool.Service<Real>()(
    "app/Real",
    Effect.die("the real one was opened") as Effect.Effect<ResourcePool.Options>
  ) {}

  it.effect("needs nothing that its own options need, and has the documented defaults", () =>
    Effect.gen(function* () {
      const { admission } = yield* Real
      expect(admission).toMatchObject({ name: "app/Real", max: 10, acquireTimeout: 1000, tracksCallSites: true })
    }).pipe(Effect.provide(Real.layerTest()))
  )

  it.effect("takes all options, and `undefined` for those that it has defaults for", () =>
    Effect.gen(function* () {
      const { admission } = yield* Real
      expect(admission).toMatchObject({ max: 1, acquireTimeout: 1000, maxWaiters: 3 })
    }).pipe(Effect.provide(Real.layerTest({ max: 1, acquireTimeout: undefined, maxWaiters: 3 })))
  )

  it.effect("refuses options that make no sense", () =>
    Effect.gen(function* () {
      const wrong = Effect.provide(Real.stats, Real.layerTest({ max: 0 }))
      expect(yield* Effect.flip(wrong)).toMatchObject({ pool: "app/Real", field: "max" })
    })
  )

  it.effect("ends with the test though a lease is out, and knows where that was taken", () =>
    Effect.gen(function* () {
      const registry = PoolRegistry.makeUnsafe()
      const scope = yield* Scope.make()
      const log: Array<string> = []
      yield* Effect.gen(function* () {
        const it = yield* Real.create({ allocate: Effect.void, release: () => Effect.sync(() => log.push("released")) })
        yield* Scope.provide(Resource.get(it), scope)
        const { admission } = yield* Real
        const [lease] = admission.store.leases()
        expect(lease!.request.callSite).toContain("service.test.ts")
      }).pipe(Effect.provide(Real.layerTest()), Effect.provideService(PoolRegistry.PoolRegistry, registry))
      expect(registry.list()).toEqual([])
      expect(log).toEqual(["released"])
    })
  )
})
