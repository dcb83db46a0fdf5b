/** How much memory an instance may have. */
import { InstancePool } from "@effect-pools/instance"
import { WasmExport, WasmInstancePool } from "@effect-pools/wasm"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { engine } from "../src/internal/webAssembly.ts"
import { fromCode, fromText, section, sqlite } from "./modules.ts"
import { expectIntact, plugin, reasonOf } from "./support.ts"

const exports = { grow: WasmExport.func<(pages: number) => number>(), memory: WasmExport.memory }

describe("memory", () => {
  it.effect("grows to its limit and no further: the guest is told, and the instance goes on", () =>
    Effect.gen(function* () {
      const pool = yield* WasmInstancePool.make({ module: plugin, exports, maxMemoryPages: 4 })
      for (let n = 0; n < 2; n++) {
        const [grown, pages] = yield* InstancePool.use(pool, (instance) =>
          Effect.map(
            Effect.forEach([2, 2, 1, 1, 0], (more) => instance.call("grow", more)),
            (grown) => [grown, instance.exports.memory.buffer.byteLength / 65_536] as const
          )
        )
        expect(grown).toEqual([1, -1, 3, -1, 4])
        expect(pages).toBe(4)
        yield* expectIntact(pool)
      }
    })
  )

  it.effect("is not to be had by way of tables, however many there are", () =>
    Effect.gen(function* () {
      const tables = Array.from({ length: 30 }, (_, n) => `$t${n}`)
      const grow = (by: number) =>
        tables.map((table) => `(i32.add (table.grow ${table} (ref.null extern) (i32.const ${by})))`).join(" ")
      const module = fromText(`(module (memory 1) ${tables.map((table) => `(table ${table} 0 externref)`).join(" ")}
        (func (export "much") (result i32) (i32.const 0) ${grow(9_999_999)})
        (func (export "some") (result i32) (i32.const 0) ${grow(136)})
        (func (export "more") (result i32) (i32.const 0) ${grow(1)}))`)
      const pool = yield* WasmInstancePool.make({ module, maxMemoryPages: 1 })
      const grown = InstancePool.use(pool, ({ call }) => Effect.forEach(["much", "some", "more"], (name) => call(name)))
      expect(yield* grown).toEqual([-30, 0, -30])
    })
  )

  it.effect("is not grown by the host either", () =>
    Effect.gen(function* () {
      const pool = yield* WasmInstancePool.make({ module: plugin, exports, maxMemoryPages: 1 })
      const grow = InstancePool.use(pool, ({ exports }) =>
        Effect.try({ try: () => exports.memory.grow(1), catch: (error) => error })
      )
      expect(yield* Effect.flip(grow)).toBeInstanceOf(RangeError)
    })
  )

  it.effect("is what the module says, if there is no limit", () =>
    Effect.gen(function* () {
      const pool = yield* WasmInstancePool.make({ module: plugin, exports })
      expect(yield* InstancePool.use(pool, (instance) => instance.call("grow", 100))).toBe(1)
    })
  )

  it.effect("of a large module is limited too", () =>
    Effect.gen(function* () {
      const pool = yield* WasmInstancePool.make({
        module: sqlite.bytes,
        imports: sqlite.imports,
        exports: { O: WasmExport.memory },
        maxMemoryPages: 1000
      })
      const grow = InstancePool.use(pool, ({ exports: { O } }) =>
        Effect.try({ try: () => O.grow(1000 - O.buffer.byteLength / 65_536 + 1), catch: (error) => error })
      )
      expect(yield* Effect.flip(grow)).toBeInstanceOf(RangeError)
    })
  )

  it.effect("beyond the limit from the beginning is found when the pool opens", () =>
    Effect.gen(function* () {
      const module = fromText(`(module (memory 5))`)
      const reason = yield* reasonOf(WasmInstancePool.make({ module, name: "plugins", maxMemoryPages: 4 }))
      expect(reason).toMatchObject({ _tag: "MemoryLimit", pool: "plugins", what: "memory", pages: 5, limit: 4 })
      expect(reason.message).toBe(`Pool "plugins": a memory of the module has 5 pages, more than 4 (maxMemoryPages)`)
    })
  )

  it.effect("is not limited in a module with structs or arrays, as nothing limits those", () =>
    Effect.gen(function* () {
      const struct = [0x5f, 0]
      const func = [0x60, 1, 0x63, 0x70, 1, 0x7f]
      const withTypes = (...types: Array<number>) =>
        Uint8Array.from([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, ...section(1, types)])
      const having = [
        fromCode(),
        withTypes(1, ...struct),
        withTypes(2, ...func, 0x5e, 0x7f, 1),
        withTypes(1, 0x4e, 2, ...func, ...struct),
        withTypes(2, 0x50, 0, ...func, 0x4f, 0, ...struct)
      ]
      for (const module of having) {
        const reason = yield* reasonOf(WasmInstancePool.make({ module, maxMemoryPages: 4 }))
        expect(reason).toMatchObject({ _tag: "MemoryNotLimitable" })
        expect(reason.message).toContain("which nothing limits")
        yield* WasmInstancePool.make({ module })
      }
      for (const types of [
        [1, ...func],
        [1, 0x4e, 2, ...func, 0x50, 0, ...func]
      ]) {
        yield* WasmInstancePool.make({ module: withTypes(...types), maxMemoryPages: 4 })
      }
    })
  )

  it.effect("of a module that is compiled already can't be limited", () =>
    Effect.gen(function* () {
      const module = yield* Effect.promise(() => engine.compile(plugin))
      for (const given of [module, Effect.succeed(module)]) {
        const reason = yield* reasonOf(WasmInstancePool.make({ module: given, name: "plugins", maxMemoryPages: 4 }))
        expect(reason).toMatchObject({ _tag: "MemoryNotLimitable", pool: "plugins" })
      }
    })
  )

  describe("that is imported", () => {
    const module = fromText(`(module (import "host" "memory" (memory 1))
      (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))`)
    const open = (descriptor: { readonly initial: number; readonly maximum?: number }) =>
      WasmInstancePool.make({
        module,
        imports: () => ({ host: { memory: makeMemory(descriptor) } }),
        exports: { grow: exports.grow },
        maxMemoryPages: 4
      })

    it.effect("must be limited by its host, and then is", () =>
      Effect.gen(function* () {
        const pool = yield* open({ initial: 1, maximum: 4 })
        const grown = yield* InstancePool.use(pool, (instance) =>
          Effect.forEach([3, 1], (more) => instance.call("grow", more))
        )
        expect(grown).toEqual([1, -1])
        yield* expectIntact(pool)
      })
    )

    it.effect("and can grow beyond the limit is refused by name", () =>
      Effect.gen(function* () {
        for (const descriptor of [{ initial: 1 }, { initial: 1, maximum: 5 }]) {
          const pool = yield* open(descriptor)
          const reason = yield* reasonOf(Effect.scoped(InstancePool.get(pool)))
          expect(reason).toMatchObject({
            _tag: "MistypedImport",
            module: "host",
            name: "memory",
            kind: "memory",
            given: "memory"
          })
          expect(reason.message).toContain("maximum")
        }
      })
    )

    it.effect("and has grown beyond the limit already is refused", () =>
      Effect.gen(function* () {
        const pool = yield* open({ initial: 5, maximum: 5 })
        expect(yield* reasonOf(Effect.scoped(InstancePool.get(pool)))).toMatchObject({
          _tag: "MemoryLimit",
          pages: 5,
          limit: 4
        })
      })
    )

    it.effect("and only says that it is one is refused by the engine", () =>
      Effect.gen(function* () {
        const memory = { [Symbol.toStringTag]: "WebAssembly.Memory" }
        const pool = yield* WasmInstancePool.make({ module, imports: () => ({ host: { memory } }), maxMemoryPages: 4 })
        expect(yield* reasonOf(Effect.scoped(InstancePool.get(pool)))).toMatchObject({
          _tag: "MistypedImport",
          name: "memory"
        })
      })
    )

    it.effect("and must be larger than the limit is found when the pool opens", () =>
      Effect.gen(function* () {
        const large = fromText(`(module (import "host" "memory" (memory 5)))`)
        const options = { module: large, imports: () => ({}), maxMemoryPages: 4 }
        expect(yield* reasonOf(WasmInstancePool.make(options))).toMatchObject({ _tag: "MemoryLimit", pages: 5 })
      })
    )
  })
})

const makeMemory = (descriptor: object): object => {
  const { WebAssembly } = globalThis as unknown as {
    readonly WebAssembly: { readonly Memory: new (descriptor: object) => object }
  }
  return new WebAssembly.Memory(descriptor)
}
