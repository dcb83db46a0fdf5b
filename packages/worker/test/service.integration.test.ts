import { InstancePool } from "@effect-pools/instance"
import { WorkerInstancePool } from "@effect-pools/worker"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcTest from "effect/rpc/RpcTest"
import * as Schema from "effect/Schema"
import { options, outcome } from "./support.ts"

class Sandboxes extends WorkerInstancePool.Service<Sandboxes>()("app/Sandboxes", { ...options, max: 2 }) {}

class Configured extends WorkerInstancePool.Service<Configured>()(
  "app/Configured",
  Effect.succeed({ ...options, name: "guests" })
) {}

describe("a service", () => {
  it.live("opens its pool with the layer, named after itself, and closes it with the layer", () =>
    Effect.gen(function* () {
      const pool = yield* Effect.gen(function* () {
        expect(yield* Sandboxes.use((worker) => worker.Double({ n: 21 }))).toBe(42)
        const failed = outcome(Sandboxes.use((worker) => worker.Exit({ code: 1 })))
        expect(yield* failed).toMatchObject({ _tag: "Exited", pool: "app/Sandboxes" })
        yield* Sandboxes.use(Sandboxes.detach).pipe(Effect.scoped)
        return yield* Sandboxes
      }).pipe(Effect.provide(Sandboxes.layer))
      expect(yield* InstancePool.stats(pool)).toMatchObject({ name: "app/Sandboxes", max: 2, state: "closed" })
    })
  )

  it.effect("takes options as an effect, and refuses bad ones when its layer is built", () =>
    Effect.gen(function* () {
      expect((yield* Effect.provide(Configured.stats, Configured.layer)).name).toBe("guests")
      class Bad extends WorkerInstancePool.Service<Bad>()("app/Bad", { ...options, max: 0 }) {}
      const error = yield* Effect.flip(Effect.provide(Bad.stats, Bad.layer))
      expect(error).toMatchObject({ _tag: "InvalidOptions", pool: "app/Bad", field: "max" })
    })
  )

  it.effect("has a layer for tests that starts no thread, and asks handlers of the test's own", () => {
    const Prices = RpcGroup.make(Rpc.make("Price", { payload: { cents: Schema.Number }, success: Schema.Number }))
    class Plugins extends WorkerInstancePool.Service<Plugins>()("app/Plugins", {
      group: Prices,
      spawn: new URL("./fixtures/missing.worker.ts", import.meta.url)
    }) {}
    const handlers = Prices.toLayer({ Price: ({ cents }) => Effect.succeed(cents * 3) })
    const create = Effect.provide(RpcTest.makeClient(Prices), handlers)
    return Effect.gen(function* () {
      expect(yield* Plugins.use((plugin) => plugin.Price({ cents: 1 }))).toBe(3)
    }).pipe(Effect.provide(Plugins.layerTest({ create })))
  })
})
