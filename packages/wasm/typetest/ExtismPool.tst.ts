import type { InvalidOptions, PoolError } from "@effect-pools/core"
import { InstancePool } from "@effect-pools/instance"
import { type ExtismError, type ExtismOutput, ExtismPool, type WasmError, type WasmTrap } from "@effect-pools/wasm"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { describe, expect, it } from "tstyche"

class LoadError {
  readonly _tag = "LoadError"
}
class HostError {
  readonly _tag = "HostError"
}
class OptionsError {
  readonly _tag = "OptionsError"
}
interface Files {
  readonly files: unique symbol
}
interface Database {
  readonly database: unique symbol
}
interface Config {
  readonly config: unique symbol
}
type Invalid = InvalidOptions.InvalidOptions
type CannotOpen = Invalid | ExtismError.ExtismError | WasmError.WasmError
type CannotCall = ExtismError.ExtismError | WasmTrap.WasmTrap
type CannotCreate = CannotCall | WasmError.WasmError
type Output = ExtismOutput.ExtismOutput

/** As in the types of browsers. */
interface Compiled {}

declare const bytes: Uint8Array
declare const load: Effect.Effect<Uint8Array, LoadError, Files>
declare const hostFunctions: ExtismPool.HostFunctions
declare const functions: Effect.Effect<ExtismPool.HostFunctions, HostError, Database | Scope.Scope>
declare const plugin: ExtismPool.ExtismInstance
declare const options: Effect.Effect<{ readonly manifest: string; readonly max: number }, OptionsError, Config>

describe("make", () => {
  it("infers what loading and the functions fail with and need, and takes Scope for its own", () => {
    expect(ExtismPool.make({ manifest: bytes })).type.toBe<
      Effect.Effect<ExtismPool.ExtismPool, CannotOpen, Scope.Scope>
    >()
    expect(ExtismPool.make({ manifest: load, functions: () => functions })).type.toBe<
      Effect.Effect<ExtismPool.ExtismPool<HostError>, LoadError | CannotOpen, Files | Database | Scope.Scope>
    >()
    expect(ExtismPool.make({ manifest: "plugin.wasm", functions: () => hostFunctions })).type.toBe<
      Effect.Effect<ExtismPool.ExtismPool, CannotOpen, Scope.Scope>
    >()
  })

  it("gives an instance pool", () => {
    expect<ExtismPool.ExtismPool<HostError>>().type.toBe<
      InstancePool.InstancePool<ExtismPool.ExtismInstance, HostError | CannotCreate>
    >()
    const called = Effect.flatMap(ExtismPool.make({ manifest: bytes }), (pool) =>
      InstancePool.use(pool, (plugin) => plugin.call("count_vowels", "hello"))
    )
    expect(called).type.toBe<Effect.Effect<Output, CannotOpen | CannotCreate | PoolError.PoolError, Scope.Scope>>()
  })

  it("takes undefined for every option but the manifest", () => {
    expect(ExtismPool.make).type.toBeCallableWith({
      manifest: {
        wasm: [{ path: "plugin.wasm", hash: undefined }],
        config: null,
        memory: { max_pages: 1, max_var_bytes: null }
      },
      functions: undefined,
      config: undefined,
      allowedHosts: undefined,
      allowedPaths: undefined,
      useWasi: undefined,
      callTimeout: undefined,
      maxMemoryPages: undefined,
      exports: undefined,
      runInWorker: undefined,
      name: undefined,
      max: undefined,
      prepare: undefined
    })
    expect(ExtismPool.make).type.not.toBeCallableWith({})
    expect(ExtismPool.make).type.not.toBeCallableWith({ manifest: undefined })
    expect(ExtismPool.make).type.not.toBeCallableWith({ manifest: 7 })
    expect(ExtismPool.make).type.not.toBeCallableWith({ manifest: Promise.resolve(bytes) })
    expect(ExtismPool.make).type.not.toBeCallableWith({ manifest: () => bytes })
    expect(ExtismPool.make).type.not.toBeCallableWith({ manifest: [1, 2, 3] })
    expect(ExtismPool.make).type.not.toBeCallableWith({ manifest: { wsm: [{ path: "plugin.wasm" }] } })
    expect(ExtismPool.make).type.not.toBeCallableWith({ manifest: { wasm: [{ path: 5 }] } })
    expect(ExtismPool.make).type.not.toBeCallableWith({ manifest: { wasm: [{ module: Promise.resolve() }] } })
    expect(ExtismPool.make).type.not.toBeCallableWith({ manifest: bytes, functions: async () => hostFunctions })
    expect(ExtismPool.make).type.toBeCallableWith({ manifest: {} as Compiled })
    expect(ExtismPool.make).type.not.toBeCallableWith({ manifest: bytes, create: Effect.succeed(plugin) })
    expect(ExtismPool.make).type.not.toBeCallableWith({ manifest: bytes, timeout: "1 second" })
  })

  it("takes functions of numbers, bigints and promises of them", () => {
    expect<ExtismPool.HostFunction>().type.toBeAssignableFrom((_context: ExtismPool.HostContext, a: bigint) => a)
    expect<ExtismPool.HostFunction>().type.toBeAssignableFrom(async (_: ExtismPool.HostContext, a: number) => a)
    expect<ExtismPool.HostFunction>().type.toBeAssignableFrom(() => {})
    expect<ExtismPool.HostFunction>().type.not.toBeAssignableFrom(() => "text")
  })
})

describe("call", () => {
  it("can be refused for its options only if it has any", () => {
    expect(plugin.call("one")).type.toBe<Effect.Effect<Output, CannotCall>>()
    expect(plugin.call("one", bytes)).type.toBe<Effect.Effect<Output, CannotCall>>()
    expect(plugin.call("one", "", { timeout: "1 second" })).type.toBe<Effect.Effect<Output, CannotCall | Invalid>>()
    expect(plugin.call).type.not.toBeCallableWith("one", 7)
  })

  it("gives JSON of a schema", () => {
    const json = Effect.flatMap(plugin.call("one"), (output) => output.json(Schema.Struct({ count: Schema.Number })))
    expect(json).type.toBe<Effect.Effect<{ readonly count: number }, CannotCall | Schema.SchemaError>>()
  })
})

describe("Service", () => {
  it("has a layer that needs what the plugin, its functions and its options need", () => {
    class Simple extends ExtismPool.Service<Simple>()("app/Simple", { manifest: bytes }) {}
    expect(Simple.layer).type.toBe<Layer.Layer<Simple, CannotOpen>>()
    expect(Simple.use((plugin) => plugin.call("one"))).type.toBe<
      Effect.Effect<Output, CannotCreate | PoolError.PoolError, Simple>
    >()
    class Plugins extends ExtismPool.Service<Plugins>()("app/Plugins", {
      manifest: load,
      functions: () => functions
    }) {}
    expect(Plugins.layer).type.toBe<Layer.Layer<Plugins, LoadError | CannotOpen, Files | Database>>()
    class Found extends ExtismPool.Service<Found>()("app/Found", options) {}
    expect(Found.layer).type.toBe<Layer.Layer<Found, OptionsError | CannotOpen, Config>>()
  })

  it("has a layer of fakes that needs nothing else", () => {
    class Plugins extends ExtismPool.Service<Plugins>()("app/Plugins", { manifest: load }) {}
    expect(Plugins.layerTest({ create: Effect.succeed(plugin) })).type.toBe<Layer.Layer<Plugins, Invalid>>()
  })
})
