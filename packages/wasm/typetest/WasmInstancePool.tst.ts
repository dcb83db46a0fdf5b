import type { InvalidOptions, PoolError } from "@effect-pools/core"
import { InstancePool } from "@effect-pools/instance"
import { type WasmError, WasmExport, WasmInstancePool, type WasmTrap } from "@effect-pools/wasm"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { describe, expect, it } from "tstyche"

class LoadError {
  readonly _tag = "LoadError"
}
class HostError {
  readonly _tag = "HostError"
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
type Failure = WasmError.WasmError | WasmTrap.WasmTrap

/** As in the types of browsers. */
interface Compiled {}

/** What an instance imports need not have an index. */
interface Host {
  readonly host: { readonly ask: () => number }
}

declare const bytes: Uint8Array
declare const load: Effect.Effect<Uint8Array, LoadError, Files>
declare const imports: Effect.Effect<{ readonly host: object }, HostError, Database | Scope.Scope>

const exports = {
  price: WasmExport.func<(cents: number) => number>(),
  log: WasmExport.func<() => void>(),
  memory: WasmExport.memory,
  count: WasmExport.global<bigint>()
}

interface Exports {
  readonly price: (cents: number) => number
  readonly log: () => void
  readonly memory: WasmExport.Memory
  readonly count: WasmExport.Global<bigint>
}

declare const instance: WasmInstancePool.WasmInstance<Exports>
declare const untyped: WasmInstancePool.WasmInstance<WasmInstancePool.Untyped>

describe("make", () => {
  it("takes bytes or a module, and can fail for what is wrong with them", () => {
    expect(WasmInstancePool.make({ module: bytes })).type.toBe<
      Effect.Effect<WasmInstancePool.WasmInstancePool, WasmError.WasmError | Invalid, Scope.Scope>
    >()
    expect(WasmInstancePool.make).type.toBeCallableWith({ module: new ArrayBuffer(8) })
    expect(WasmInstancePool.make).type.toBeCallableWith({ module: Buffer.from("") })
    expect(WasmInstancePool.make).type.toBeCallableWith({ module: {} as Compiled })
    expect(WasmInstancePool.make).type.toBeCallableWith({ module: {} as object })
  })

  it("fails as an effect of a module does, and needs what it needs", () => {
    expect(WasmInstancePool.make({ module: load })).type.toBe<
      Effect.Effect<WasmInstancePool.WasmInstancePool, LoadError | WasmError.WasmError | Invalid, Files | Scope.Scope>
    >()
  })

  it("gives leases that fail as their imports do, and takes Scope for its own", () => {
    expect(WasmInstancePool.make({ module: load, imports: () => imports, exports })).type.toBe<
      Effect.Effect<
        WasmInstancePool.WasmInstancePool<WasmExport.Exports<typeof exports>, HostError>,
        LoadError | WasmError.WasmError | Invalid,
        Files | Database | Scope.Scope
      >
    >()
    expect(WasmInstancePool.make({ module: bytes, imports: () => ({ host: {} }) })).type.toBe<
      Effect.Effect<WasmInstancePool.WasmInstancePool, WasmError.WasmError | Invalid, Scope.Scope>
    >()
  })

  it("takes imports of any shape", () => {
    expect(WasmInstancePool.make).type.toBeCallableWith({ module: bytes, imports: () => ({}) as Host })
    expect(WasmInstancePool.make).type.toBeCallableWith({ module: bytes, imports: () => ({}) as object })
  })

  it("has the exports in the instance's type", () => {
    expect<WasmExport.Exports<typeof exports>>().type.toBe<Exports>()
  })

  it("takes the options of an instance pool, and undefined for all but the module", () => {
    expect(WasmInstancePool.make).type.toBeCallableWith({
      module: bytes,
      name: undefined,
      imports: undefined,
      exports: undefined,
      maxMemoryPages: undefined,
      max: undefined,
      onExhausted: undefined,
      acquireTimeout: "1 second",
      maxWaiters: 3,
      createTimeout: undefined,
      prepare: 2,
      preparedMaxAge: undefined,
      destroyTimeout: undefined,
      closeGrace: undefined,
      leakDetection: undefined
    })
  })

  it("refuses what is wrong", () => {
    expect(WasmInstancePool.make).type.not.toBeCallableWith({})
    expect(WasmInstancePool.make).type.not.toBeCallableWith({ module: "plugin.wasm" })
    expect(WasmInstancePool.make).type.not.toBeCallableWith({ module: Promise.resolve(bytes) })
    expect(WasmInstancePool.make).type.not.toBeCallableWith({ module: () => bytes })
    expect(WasmInstancePool.make).type.not.toBeCallableWith({ module: [1, 2, 3] })
    expect(WasmInstancePool.make).type.not.toBeCallableWith({ module: bytes, imports: async () => ({ host: {} }) })
    expect(WasmInstancePool.make).type.not.toBeCallableWith({ module: bytes, imports })
    expect(WasmInstancePool.make).type.not.toBeCallableWith({ module: bytes, imports: { host: {} } })
    expect(WasmInstancePool.make).type.not.toBeCallableWith({ module: bytes, exports: { price: "function" } })
    expect(WasmInstancePool.make).type.not.toBeCallableWith({ module: bytes, create: Effect.void })
    expect(WasmInstancePool.make).type.not.toBeCallableWith({ module: bytes, maxMemoryPages: "4" })
  })
})

describe("an instance", () => {
  it("is called by the names of its functions, with their arguments", () => {
    expect(instance.call("price", 21)).type.toBe<Effect.Effect<number, Failure>>()
    expect(instance.call("log")).type.toBe<Effect.Effect<void, Failure>>()
    expect(instance.call).type.not.toBeCallableWith("price")
    expect(instance.call).type.not.toBeCallableWith("price", 21n)
    expect(instance.call).type.not.toBeCallableWith("price", 21, 22)
    expect(instance.call).type.not.toBeCallableWith("memory")
    expect(instance.call).type.not.toBeCallableWith("cost", 21)
  })

  it("has its exports", () => {
    expect(instance.exports.price).type.toBe<(cents: number) => number>()
    expect(instance.exports.count.value).type.toBe<bigint>()
    expect(instance.exports.memory.buffer).type.toBe<ArrayBuffer>()
    expect(instance.trap).type.toBe<WasmTrap.WasmTrap | undefined>()
  })

  it("is called by any name, with any arguments, if its exports are not declared", () => {
    expect(untyped.call("price", 21, "more")).type.toBe<Effect.Effect<unknown, Failure>>()
    expect(untyped.exports["price"]).type.toBe<unknown>()
  })

  it("can be a fake", () => {
    const fake = WasmInstancePool.fake({ price: (cents: number) => cents * 2 })
    expect(fake.call("price", 21)).type.toBe<Effect.Effect<number, Failure>>()
  })
})

describe("a lease", () => {
  it("fails as its body does, as its instance does and as the pool does", () => {
    const pool = {} as WasmInstancePool.WasmInstancePool<Exports, HostError>
    expect(InstancePool.use(pool, (instance) => instance.call("price", 21))).type.toBe<
      Effect.Effect<number, HostError | Failure | PoolError.PoolError>
    >()
  })
})

describe("Service", () => {
  class Plugins extends WasmInstancePool.Service<Plugins>()("app/Plugins", { module: bytes, exports }) {}
  class Loaded extends WasmInstancePool.Service<Loaded>()(
    "app/Loaded",
    {} as Effect.Effect<
      { readonly module: typeof load; readonly imports: () => typeof imports; readonly exports: typeof exports },
      LoadError,
      Config
    >
  ) {}

  it("has a layer that fails as make does", () => {
    expect(Plugins.layer).type.toBe<Layer.Layer<Plugins, WasmError.WasmError | Invalid>>()
    expect(Loaded.layer).type.toBe<
      Layer.Layer<Loaded, LoadError | WasmError.WasmError | Invalid, Config | Files | Database>
    >()
  })

  it("has leases of typed instances", () => {
    expect(Plugins.use((plugin) => plugin.call("price", 21))).type.toBe<
      Effect.Effect<number, Failure | PoolError.PoolError, Plugins>
    >()
    expect(Loaded.use((plugin) => plugin.call("log"))).type.toBe<
      Effect.Effect<void, HostError | Failure | PoolError.PoolError, Loaded>
    >()
  })

  it("has a layer of fakes, which must have what the service's own have", () => {
    const price = (cents: number) => cents
    const log = () => {}
    const memory: WasmExport.Memory = { buffer: new ArrayBuffer(0), grow: () => -1 }
    const create = Effect.sync(() => WasmInstancePool.fake({ price, log, memory, count: { value: 1n } }))
    expect(Plugins.layerTest({ create })).type.toBe<Layer.Layer<Plugins, Invalid>>()
    const lacking = Effect.sync(() => WasmInstancePool.fake({ log }))
    expect(Plugins.layerTest).type.not.toBeCallableWith({ create: lacking })
  })
})
