import type { InvalidOptions, PoolError } from "@effect-pools/core"
import { InstancePool } from "@effect-pools/instance"
import { WorkerGuest, type WorkerInstanceError, WorkerInstancePool } from "@effect-pools/worker"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcTest from "effect/rpc/RpcTest"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { describe, expect, it } from "tstyche"

class Refused extends Schema.TaggedError<Refused>("test/Refused")("Refused", {}) {}

const Prices = RpcGroup.make(
  Rpc.make("Price", { payload: { cents: Schema.Number }, success: Schema.Number, error: Refused }),
  Rpc.make("Prices", { success: Schema.Number, error: Refused, stream: true })
)
type Calls = RpcGroup.Rpcs<typeof Prices>
type Ended = WorkerInstanceError.WorkerInstanceError
type Invalid = InvalidOptions.InvalidOptions

interface Host {
  readonly host: unique symbol
}

const spawn = new URL("file:///srv/prices.worker.js")
declare const worker: WorkerInstancePool.Worker<Calls>
declare const pool: WorkerInstancePool.WorkerInstancePool<Calls>

describe("make", () => {
  it("infers the calls from the group", () => {
    expect(WorkerInstancePool.make({ group: Prices, spawn })).type.toBe<
      Effect.Effect<WorkerInstancePool.WorkerInstancePool<Calls>, Invalid, Scope.Scope>
    >()
  })

  it("takes undefined for every option but two", () => {
    expect(WorkerInstancePool.make).type.toBeCallableWith({
      group: Prices,
      spawn,
      name: undefined,
      workerData: undefined,
      env: undefined,
      argv: undefined,
      execArgv: undefined,
      resourceLimits: undefined,
      callTimeout: undefined,
      exitGrace: undefined,
      max: undefined,
      prepare: undefined,
      createTimeout: undefined
    })
    expect(WorkerInstancePool.make).type.toBeCallableWith({
      group: Prices,
      spawn: "./worker.js",
      callTimeout: "1 second"
    })
  })

  it("refuses what is wrong", () => {
    expect(WorkerInstancePool.make).type.not.toBeCallableWith({ group: Prices })
    expect(WorkerInstancePool.make).type.not.toBeCallableWith({ spawn })
    expect(WorkerInstancePool.make).type.not.toBeCallableWith({ group: Prices, spawn, create: Effect.void })
    expect(WorkerInstancePool.make).type.not.toBeCallableWith({ group: Prices, spawn, callTimeout: "5 parsecs" })
    expect(WorkerInstancePool.make).type.not.toBeCallableWith({ group: Prices, spawn, resourceLimits: { heap: 1 } })
    expect(WorkerInstancePool.make).type.not.toBeCallableWith({ group: Prices, spawn: () => "worker" })
  })
})

describe("calls", () => {
  it("fail with what the handler declares, with the worker's end, or with the pool's refusal", () => {
    expect(InstancePool.use(pool, (worker) => worker.Price({ cents: 21 }))).type.toBe<
      Effect.Effect<number, Refused | Ended | PoolError.PoolError>
    >()
    expect(InstancePool.use(pool, (worker) => Stream.runCollect(worker.Prices()))).type.toBe<
      Effect.Effect<Array<number>, Refused | Ended | PoolError.PoolError>
    >()
  })

  it("take the payload of their schema", () => {
    expect(worker.Price).type.toBeCallableWith({ cents: 1 })
    expect(worker.Price).type.not.toBeCallableWith({ cents: "1" })
    expect(worker.Price).type.not.toBeCallableWith()
    expect(worker).type.not.toHaveProperty("Discount")
  })

  it("keep their types under another deadline", () => {
    const call = Effect.succeed(1) as Effect.Effect<number, Refused, Host>
    expect(WorkerInstancePool.withCallTimeout(call, "1 second")).type.toBe<Effect.Effect<number, Refused, Host>>()
    expect(call.pipe(WorkerInstancePool.withCallTimeout(50))).type.toBe<Effect.Effect<number, Refused, Host>>()
  })
})

describe("Service", () => {
  class Sandbox extends WorkerInstancePool.Service<Sandbox>()("app/Sandbox", { group: Prices, spawn }) {}
  class Configured extends WorkerInstancePool.Service<Configured>()(
    "app/Configured",
    Effect.succeed({ group: Prices, spawn }) as Effect.Effect<WorkerInstancePool.Options<Calls>, Refused, Host>
  ) {}

  it("has a layer that needs what its options need", () => {
    expect(Sandbox.layer).type.toBe<Layer.Layer<Sandbox, Invalid>>()
    expect(Configured.layer).type.toBe<Layer.Layer<Configured, Refused | Invalid, Host>>()
  })

  it("has statics that need the service", () => {
    expect(Sandbox.use((worker) => worker.Price({ cents: 21 }))).type.toBe<
      Effect.Effect<number, Refused | Ended | PoolError.PoolError, Sandbox>
    >()
  })

  it("takes a client of handlers in the same thread for its tests", () => {
    const handlers = Prices.toLayer({ Price: ({ cents }) => Effect.succeed(cents), Prices: () => Stream.empty })
    const create = Effect.provide(RpcTest.makeClient(Prices), handlers)
    expect(Sandbox.layerTest({ create })).type.toBe<Layer.Layer<Sandbox, Invalid>>()
    expect(Sandbox.layerTest).type.not.toBeCallableWith({ create: Effect.succeed({}) })
  })
})

describe("serve", () => {
  it("takes handlers for the whole group that need nothing more", () => {
    const whole = Prices.toLayer({ Price: ({ cents }) => Effect.succeed(cents), Prices: () => Stream.empty })
    expect(WorkerGuest.serve(Prices, whole)).type.toBe<void>()
    const part = Prices.toLayerHandler("Price", ({ cents }) => Effect.succeed(cents))
    expect(WorkerGuest.serve).type.not.toBeCallableWith(Prices, part)
    const needy = Layer.provide(whole, Layer.effectDiscard(Effect.void as Effect.Effect<void, never, Host>))
    expect(WorkerGuest.serve).type.not.toBeCallableWith(Prices, needy)
  })
})
