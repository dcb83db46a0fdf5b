import { InvalidOptions, PoolRegistry } from "@effect-pools/core"
import { InstancePool } from "@effect-pools/instance"
import { Sandbox } from "@effect-pools/testing"
import { WasmError, WasmExport, WasmInstancePool } from "@effect-pools/wasm"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { asking, plugin, reasonOf } from "./support.ts"

const exports = { price: WasmExport.func<(cents: number) => number>(), bump: WasmExport.func<() => number>() }

class Plugins extends WasmInstancePool.Service<Plugins>()("app/Plugins", { module: plugin, exports, max: 2 }) {}

let loads = 0
class Loaded extends WasmInstancePool.Service<Loaded>()(
  "app/Loaded",
  Effect.sync(() => {
    loads++
    return { module: Effect.succeed(plugin), exports, name: "loaded" }
  })
) {}

const price = Plugins.use((plugin) => plugin.call("price", 21))

describe("a service", () => {
  it.effect("is a pool of instances, named after it", () =>
    Effect.gen(function* () {
      expect(yield* price).toBe(42)
      yield* Sandbox.settle
      expect(yield* Effect.flatMap(Plugins.get(), (plugin) => plugin.call("bump"))).toBe(1)
      expect(yield* Plugins.stats).toMatchObject({ name: "app/Plugins", kind: "instance", used: 1, max: 2 })
      expect(yield* Plugins.useIfAvailable((plugin) => plugin.call("bump"))).toEqual(Option.none())
      expect(InstancePool.isInstancePool(yield* Plugins)).toBe(true)
    }).pipe(Effect.scoped, Effect.provide(Plugins.layer))
  )

  it.effect("may get its options from an effect, for each layer anew", () =>
    Effect.gen(function* () {
      const use = Loaded.use((plugin) => plugin.call("price", 1))
      expect(loads).toBe(0)
      expect(yield* use.pipe(Effect.provide(Loaded.layer))).toBe(2)
      expect(loads).toBe(1)
      const named = Effect.map(Loaded.stats, ({ name }) => name)
      expect(yield* named.pipe(Effect.provide(Loaded.layer))).toBe("loaded")
    })
  )

  it.effect("fails to open as make does", () =>
    Effect.gen(function* () {
      class Wrong extends WasmInstancePool.Service<Wrong>()("app/Wrong", { module: asking }) {}
      expect(yield* reasonOf(Effect.scoped(Layer.build(Wrong.layer)))).toMatchObject({
        _tag: "MissingImport",
        pool: "app/Wrong"
      })
      class Odd extends WasmInstancePool.Service<Odd>()("app/Odd", { module: plugin, maxMemoryPages: -1 }) {}
      expect(yield* Effect.flip(Effect.scoped(Layer.build(Odd.layer)))).toMatchObject({
        _tag: "InvalidOptions",
        pool: "app/Odd",
        field: "maxMemoryPages"
      })
      class Small extends WasmInstancePool.Service<Small>()("app/Small", { module: plugin, max: 0 }) {}
      const error = yield* Effect.flip(Effect.scoped(Layer.build(Small.layer)))
      expect(error).toBeInstanceOf(InvalidOptions.InvalidOptions)
      expect(error).toMatchObject({ pool: "app/Small", field: "max" })
    })
  )

  it.effect("can be a pool of fakes, without any WebAssembly", () =>
    Effect.gen(function* () {
      expect(yield* price).toBe(63)
      expect(yield* Effect.flip(Plugins.use((plugin) => plugin.call("bump")))).toMatchObject({
        _tag: "WasmTrap",
        kind: "HostError"
      })
    }).pipe(
      Effect.provide(
        Plugins.layerTest({
          create: Effect.sync(() =>
            WasmInstancePool.fake({
              price: (cents: number) => cents * 3,
              bump: (): number => {
                throw new TypeError("no")
              }
            })
          )
        })
      )
    )
  )
})

describe("a fake", () => {
  it.effect("traps as a guest does", () =>
    Effect.gen(function* () {
      const cause = Object.assign(new Error("unreachable"), { name: "RuntimeError" })
      const fake = WasmInstancePool.fake({
        price: (cents: number) => {
          if (cents < 0) throw cause
          return cents
        }
      })
      expect(yield* fake.call("price", 1)).toBe(1)
      const trap = yield* Effect.flip(fake.call("price", -1))
      expect(trap).toMatchObject({ _tag: "WasmTrap", kind: "Unreachable", pool: "fake", cause })
      expect(yield* Effect.flip(fake.call("price", 1))).toBe(trap)
      expect(
        yield* reasonOf(
          WasmInstancePool.fake({ price: 1 } as object as Readonly<Record<string, unknown>>).call("price")
        )
      ).toMatchObject({ _tag: "MissingExport", found: "number" })
      for (const name of ["toString", "constructor"]) {
        const call = WasmInstancePool.fake({} as Readonly<Record<string, unknown>>).call(name)
        expect(yield* reasonOf(call)).toMatchObject({ _tag: "MissingExport", name })
      }
    })
  )
})

describe("options", () => {
  const refused: ReadonlyArray<readonly [field: string, value: unknown, rule: string]> = [
    ["module", undefined, "must be bytes, a WebAssembly.Module, or an Effect of one"],
    ["module", "plugin.wasm", "must be bytes, a WebAssembly.Module, or an Effect of one"],
    ["module", {}, "must be bytes, a WebAssembly.Module, or an Effect of one"],
    ["module", [0, 97, 115, 109], "must be bytes, a WebAssembly.Module, or an Effect of one"],
    ["imports", {}, "must be a function"],
    ["imports", Effect.succeed({}), "must be a function"],
    ["exports", null, "must be an object"],
    ["exports", "price", "must be an object"],
    ["maxMemoryPages", -1, "must be a whole number of at least 0"],
    ["maxMemoryPages", 1.5, "must be a whole number of at least 0"],
    ["maxMemoryPages", Infinity, "must be a whole number of at least 0"],
    ["maxMemoryPages", "4", "must be a whole number of at least 0"],
    ["create", Effect.succeed(1), "is not known"],
    ["name", "", "must be a string that is not empty"],
    ["max", 0, "must be a whole number of at least 1"],
    ["prepare", 5, "must not exceed max (4)"],
    ["memory", 3, "is not known"]
  ]
  for (const [field, value, rule] of refused) {
    it.effect(`that make no sense are refused: ${field} is ${String(value)}`, () =>
      Effect.gen(function* () {
        const options = { name: "plugins", module: plugin, [field]: value }
        const error = yield* Effect.flip(WasmInstancePool.make(options as never))
        expect(error).toMatchObject({ _tag: "InvalidOptions", field, rule })
        if (field !== "name") expect(error).toMatchObject({ pool: "plugins" })
      })
    )
  }

  it.effect("within options are refused by their full name, and so is no object at all", () =>
    Effect.gen(function* () {
      for (const value of ["function", undefined, {}, { kind: "func" }]) {
        const error = yield* Effect.flip(WasmInstancePool.make({ module: plugin, exports: { price: value } } as never))
        expect(error).toMatchObject({ field: "exports.price", rule: "must be a WasmExport" })
      }
      for (const options of [undefined, null, 1]) {
        const error = yield* Effect.flip(WasmInstancePool.make(options as never))
        expect(error).toMatchObject({ field: "options", rule: "must be an object" })
      }
    })
  )

  it.effect("that are undefined are as good as none", () =>
    Effect.gen(function* () {
      const pool = yield* WasmInstancePool.make({
        module: plugin,
        imports: undefined,
        exports: undefined,
        maxMemoryPages: undefined,
        name: undefined,
        max: undefined
      })
      expect((yield* InstancePool.stats(pool)).max).toBe(4)
      expect(yield* InstancePool.use(pool, (instance) => instance.call("bump"))).toBe(1)
    })
  )

  it.effect("that are refused leave no pool behind", () =>
    Effect.gen(function* () {
      const registry = yield* PoolRegistry.PoolRegistry
      const before = registry.list().length
      yield* Effect.exit(WasmInstancePool.make({ module: asking }))
      yield* Effect.exit(WasmInstancePool.make({ module: plugin, max: 0 }))
      expect(registry.list()).toHaveLength(before)
    })
  )
})

describe("an error", () => {
  it.effect("can be caught by its reason", () =>
    Effect.gen(function* () {
      const caught = WasmInstancePool.make({ module: asking, name: "plugins" }).pipe(
        Effect.catchReason("WasmError", "MissingImport", ({ module, name }) => Effect.succeed(`${module}.${name}`))
      )
      expect(yield* caught).toBe("host.ask")
      const error = yield* Effect.flip(WasmInstancePool.make({ module: asking, name: "plugins" }))
      expect(error).toBeInstanceOf(WasmError.WasmError)
      expect(error).toMatchObject({ pool: "plugins" })
    })
  )
})
