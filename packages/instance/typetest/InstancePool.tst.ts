import type { InvalidOptions, Pool, PoolError } from "@effect-pools/core"
import { InstancePool } from "@effect-pools/instance"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { pipe } from "effect/Function"
import type * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { describe, expect, it } from "tstyche"

class LoadError {
  readonly _tag = "LoadError"
}
class CallError {
  readonly _tag = "CallError"
}
interface Config {
  readonly config: unique symbol
}
interface Host {
  readonly host: unique symbol
}
interface Plugin {
  readonly name: string
}
type Invalid = InvalidOptions.InvalidOptions
type PoolFailure = PoolError.PoolError

declare const create: Effect.Effect<Plugin, LoadError, Config | Scope.Scope>
declare const simple: Effect.Effect<Plugin>
declare const call: (plugin: Plugin) => Effect.Effect<number, CallError, Host>
declare const plugin: Plugin
declare const options: Effect.Effect<{ readonly create: typeof create; readonly max: number }, CallError, Host>
declare const pool: InstancePool.InstancePool<Plugin, LoadError>

describe("make", () => {
  it("infers instance and failure, takes Scope for its own and leaves the rest to the caller", () => {
    expect(InstancePool.make({ create })).type.toBe<
      Effect.Effect<InstancePool.InstancePool<Plugin, LoadError>, Invalid, Config | Scope.Scope>
    >()
    expect(InstancePool.make({ create: simple })).type.toBe<
      Effect.Effect<InstancePool.InstancePool<Plugin, never>, Invalid, Scope.Scope>
    >()
  })

  it("takes undefined for every option but create, and every form of a duration", () => {
    expect(InstancePool.make).type.toBeCallableWith({
      create,
      name: undefined,
      max: undefined,
      onExhausted: undefined,
      acquireTimeout: undefined,
      maxWaiters: undefined,
      createTimeout: undefined,
      prepare: undefined,
      preparedMaxAge: undefined,
      destroyTimeout: undefined,
      closeGrace: undefined,
      leakDetection: undefined
    })
    expect(InstancePool.make).type.toBeCallableWith({
      create,
      preparedMaxAge: "5 minutes",
      destroyTimeout: { seconds: 5 }
    })
    expect(InstancePool.make).type.toBeCallableWith({ create, onExhausted: "wait" })
  })

  it("refuses what is wrong", () => {
    expect(InstancePool.make).type.not.toBeCallableWith({})
    expect(InstancePool.make).type.not.toBeCallableWith({ create: () => create })
    expect(InstancePool.make).type.not.toBeCallableWith({ create, min: 1 })
    expect(InstancePool.make).type.not.toBeCallableWith({ create, max: "4" })
    expect(InstancePool.make).type.not.toBeCallableWith({ create, onExhausted: "queue" })
    expect(InstancePool.make).type.not.toBeCallableWith({ create, preparedMaxAge: "5 parsecs" })
  })
})

describe("leases", () => {
  it("get and use fail with the instance's own failure or PoolError", () => {
    expect(InstancePool.get(pool)).type.toBe<Effect.Effect<Plugin, LoadError | PoolFailure, Scope.Scope>>()
    expect(InstancePool.use(pool, call)).type.toBe<Effect.Effect<number, LoadError | PoolFailure | CallError, Host>>()
    expect(pipe(pool, InstancePool.use(call))).type.toBe<
      Effect.Effect<number, LoadError | PoolFailure | CallError, Host>
    >()
    expect(InstancePool.use(pool, call, { priority: 1 })).type.toBe<
      Effect.Effect<number, LoadError | PoolFailure | CallError | Invalid, Host>
    >()
  })

  it("those that do not wait answer with an Option, and cannot fail as a creation does", () => {
    expect(InstancePool.getIfAvailable(pool)).type.toBe<
      Effect.Effect<Option.Option<Plugin>, PoolFailure, Scope.Scope>
    >()
    expect(InstancePool.useIfAvailable(pool, call)).type.toBe<
      Effect.Effect<Option.Option<number>, PoolFailure | CallError, Host>
    >()
  })

  it("detach needs a scope, and fails if the instance is not in use", () => {
    expect(InstancePool.detach(pool, plugin)).type.toBe<Effect.Effect<Plugin, InstancePool.NotInUse, Scope.Scope>>()
    expect(pipe(pool, InstancePool.detach(plugin))).type.toBe<
      Effect.Effect<Plugin, InstancePool.NotInUse, Scope.Scope>
    >()
    expect(InstancePool.detach).type.not.toBeCallableWith(pool, "plugin")
    expect(InstancePool.detach).type.not.toBeCallableWith(pool as Pool.Pool<Plugin, LoadError>, plugin)
  })

  it("an instance pool is a pool, not the other way round", () => {
    expect(pool).type.toBeAssignableTo<Pool.Pool<Plugin, LoadError>>()
    expect<Pool.Pool<Plugin, LoadError>>().type.not.toBeAssignableTo<InstancePool.InstancePool<Plugin, LoadError>>()
  })
})

describe("Service", () => {
  class Plugins extends InstancePool.Service<Plugins>()("app/Plugins", { create }) {}
  class Others extends InstancePool.Service<Others>()("app/Others", options) {}

  it("has a layer that needs what create needs, but for the scope", () => {
    expect(Plugins.layer).type.toBe<Layer.Layer<Plugins, Invalid, Config>>()
    expect(Others.layer).type.toBe<Layer.Layer<Others, CallError | Invalid, Config | Host>>()
  })

  it("gives the pool when it is asked for itself", () => {
    expect(Effect.flatMap(Plugins, Effect.succeed)).type.toBe<
      Effect.Effect<InstancePool.InstancePool<Plugin, LoadError>, never, Plugins>
    >()
    expect<Context.Service.Shape<typeof Plugins>>().type.toBe<InstancePool.InstancePool<Plugin, LoadError>>()
  })

  it("has statics that need the service", () => {
    expect(Plugins.get()).type.toBe<Effect.Effect<Plugin, LoadError | PoolFailure, Plugins | Scope.Scope>>()
    expect(Plugins.use(call)).type.toBe<Effect.Effect<number, LoadError | PoolFailure | CallError, Plugins | Host>>()
    expect(Plugins.detach(plugin)).type.toBe<Effect.Effect<Plugin, InstancePool.NotInUse, Plugins | Scope.Scope>>()
    expect(Plugins.drain()).type.toBe<Effect.Effect<void, Invalid, Plugins>>()
  })

  it("has a layer for tests that needs what the fake needs, and nothing of its own options", () => {
    expect(Others.layerTest({ create: simple })).type.toBe<Layer.Layer<Others, Invalid>>()
    expect(Others.layerTest({ create: simple as Effect.Effect<Plugin, never, Host> })).type.toBe<
      Layer.Layer<Others, Invalid, Host>
    >()
    expect(Others.layerTest).type.not.toBeCallableWith({ create: Effect.succeed("plugin") })
    expect(Others.layerTest).type.not.toBeCallableWith({})
  })

  it("refuses what is wrong", () => {
    expect(InstancePool.Service<Plugins>()).type.not.toBeCallableWith("app/Wrong", { create, max: "4" })
    expect(InstancePool.Service<Plugins>()).type.not.toBeCallableWith("app/Wrong", {})
  })
})
