/** What is wrong with a module, its imports, its exports, its memory: each named, and the pool as good as before. */
import { InstancePool } from "@effect-pools/instance"
import { Sandbox } from "@effect-pools/testing"
import { WasmExport, WasmInstancePool, WasmTrap } from "@effect-pools/wasm"
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { engine } from "../src/internal/webAssembly.ts"
import { fromText } from "./modules.ts"
import { asking, doomed, expectAtRest, expectIntact, plugin, reasonOf } from "./support.ts"

const name = "plugins"
const text = new TextEncoder()

describe("bytes that are no module", () => {
  const cut = plugin.subarray(0, -3)
  const bytes: Record<string, Uint8Array> = {
    "are none": new Uint8Array(),
    "are text": text.encode("(module)"),
    "end too early": cut,
    "are of another version": Uint8Array.of(0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0),
    "have a function that is none": fromText(`(module (func (result i32) (i32.const 1)))`).map((byte) =>
      byte === 0x41 ? 0x1a : byte
    )
  }
  for (const [what, module] of Object.entries(bytes)) {
    it.effect(`are refused, in the words of the engine: they ${what}`, () =>
      Effect.gen(function* () {
        const said = yield* Effect.flip(Effect.tryPromise({ try: () => engine.compile(module), catch: toError }))
        for (const limited of [{}, { maxMemoryPages: 1 }]) {
          const reason = yield* reasonOf(WasmInstancePool.make({ module, name, ...limited }))
          expect(reason).toMatchObject({ _tag: "InvalidModule", pool: name, problem: said.message })
        }
      })
    )
  }

  it.effect("are refused when an effect gives them, or what is no bytes at all", () =>
    Effect.gen(function* () {
      expect(yield* reasonOf(WasmInstancePool.make({ module: Effect.succeed(cut), name }))).toMatchObject({
        _tag: "InvalidModule"
      })
      for (const [module, problem] of [
        ["(module)", "it is no bytes, but string"],
        [undefined, "it is no bytes, but undefined"],
        [{}, "it is no bytes, but object"]
      ] as const) {
        const reason = yield* reasonOf(WasmInstancePool.make({ module: Effect.succeed(module as object), name }))
        expect(reason).toMatchObject({ _tag: "InvalidModule", problem })
      }
    })
  )
})

const toError = (error: unknown) => error as Error

describe("an export that is declared", () => {
  it.effect("and missing is found when the pool opens", () =>
    Effect.gen(function* () {
      const exports = { price: WasmExport.func<() => void>(), cost: WasmExport.func<() => void>() }
      const reason = yield* reasonOf(WasmInstancePool.make({ module: plugin, name, exports }))
      expect(reason).toMatchObject({
        _tag: "MissingExport",
        pool: name,
        name: "cost",
        kind: "function",
        exports: ["memory", "count", "price", "next", "bump", "crash", "grow"]
      })
      expect(reason).not.toHaveProperty("found")
      expect(reason.message).toBe(
        `Pool "plugins": the module exports no function "cost", but memory, count, price, next, bump, crash, grow`
      )
    })
  )

  it.effect("and of another kind too", () =>
    Effect.gen(function* () {
      const kinds = { func: WasmExport.func<() => void>(), table: WasmExport.table, tag: WasmExport.tag }
      for (const declared of Object.values(kinds)) {
        const reason = yield* reasonOf(WasmInstancePool.make({ module: plugin, name, exports: { memory: declared } }))
        expect(reason).toMatchObject({ _tag: "MissingExport", name: "memory", kind: declared.kind, found: "memory" })
      }
      const reason = yield* reasonOf(
        WasmInstancePool.make({ module: plugin, name, exports: { price: WasmExport.memory } })
      )
      expect(reason.message).toBe(`Pool "plugins": the module's export "price" is no memory, but a function`)
    })
  )

  it.effect("may be of every kind", () =>
    Effect.gen(function* () {
      const module = fromText(`(module
        (memory (export "m") 1) (table (export "t") 3 funcref) (global (export "g") i64 (i64.const 5))
        (tag (export "e") (param i32)) (func (export "f")))`)
      const pool = yield* WasmInstancePool.make({
        module,
        exports: {
          m: WasmExport.memory,
          t: WasmExport.table,
          g: WasmExport.global<bigint>(),
          e: WasmExport.tag,
          f: WasmExport.func<() => void>()
        }
      })
      const found = yield* InstancePool.use(pool, ({ exports: { g, m, t } }) =>
        Effect.sync(() => [m.buffer.byteLength, t.length, g.value] as const)
      )
      expect(found).toEqual([65_536, 3, 5n])
    })
  )
})

describe("imports", () => {
  it.effect("that a module needs, and no pool has, are missed when it opens", () =>
    Effect.gen(function* () {
      const reason = yield* reasonOf(WasmInstancePool.make({ module: asking, name }))
      expect(reason).toMatchObject({ _tag: "MissingImport", pool: name, module: "host", name: "ask", kind: "function" })
      expect(reason.message).toBe(`Pool "plugins": the module imports the function "host" "ask", which is missing`)
    })
  )

  const missing: Record<string, unknown> = {
    "are nothing": undefined,
    "are null": null,
    "are empty": {},
    "have another module": { hosts: { ask: () => 1 } },
    "have no such name": { host: { asks: () => 1 } },
    "have nothing by that name": { host: { ask: undefined } },
    "have a module that is none": { host: 1 }
  }
  for (const [what, given] of Object.entries(missing)) {
    it.effect(`that ${what} are the failure of the caller, by name`, () =>
      Effect.gen(function* () {
        let isRight = false
        const pool = yield* WasmInstancePool.make({
          module: asking,
          imports: () => (isRight ? { host: { ask: () => 1 } } : (given as object)),
          name
        })
        const reason = yield* reasonOf(Effect.scoped(InstancePool.get(pool)))
        expect(reason).toMatchObject({
          _tag: "MissingImport",
          pool: name,
          module: "host",
          name: "ask",
          kind: "function"
        })
        isRight = true
        yield* expectIntact(pool)
      })
    )
  }

  const importing = (what: string) => fromText(`(module (import "host" "it" ${what}))`)
  const { Global, Memory, Table } = globals()
  const memory = new Memory({ initial: 1 })
  const mistyped: ReadonlyArray<readonly [kind: string, declared: string, given: unknown, is: string]> = [
    ["function", "(func)", 1, "number"],
    ["function", "(func)", null, "null"],
    ["function", "(func)", {}, "object"],
    ["function", "(func)", memory, "memory"],
    ["memory", "(memory 1)", () => 1, "function"],
    ["memory", "(memory 1)", new ArrayBuffer(65_536), "object"],
    ["memory", "(memory 2)", memory, "memory"],
    ["memory", "(memory 1 1)", memory, "memory"],
    ["table", "(table 1 funcref)", [], "object"],
    ["table", "(table 2 funcref)", new Table({ element: "anyfunc", initial: 1 }), "table"],
    ["global", "(global i32)", "1", "string"],
    ["global", "(global i32)", 1n, "bigint"],
    ["global", "(global i64)", 1, "number"],
    ["global", "(global (mut i32))", 1, "number"],
    ["global", "(global i32)", new Global({ value: "f32" }, 1), "global"],
    ["tag", "(tag)", () => 1, "function"]
  ]
  for (const [kind, declared, given, is] of mistyped) {
    it.effect(`that do not fit are the failure of the caller, by name: ${declared} is given ${is}`, () =>
      Effect.gen(function* () {
        const pool = yield* WasmInstancePool.make({
          module: importing(declared),
          imports: () => ({ host: { it: given } }),
          name
        })
        for (let n = 0; n < 5; n++) {
          const reason = yield* reasonOf(Effect.scoped(InstancePool.get(pool)))
          expect(reason).toMatchObject({ _tag: "MistypedImport", pool: name, module: "host", name: "it", kind })
          expect(reason).toMatchObject({ given: is })
          yield* Sandbox.settle
        }
        yield* expectAtRest(pool)
      })
    )
  }

  it.effect("of a function that suspends the guest do not fit, as calls do not wait", () =>
    Effect.gen(function* () {
      const it = { [Symbol.toStringTag]: "WebAssembly.Suspending" }
      const pool = yield* WasmInstancePool.make({ module: importing("(func)"), imports: () => ({ host: { it } }) })
      const reason = yield* reasonOf(Effect.scoped(InstancePool.get(pool)))
      expect(reason).toMatchObject({ _tag: "MistypedImport", name: "it", given: "suspending" })
      expect(reason.message).toContain("it is given a function that suspends the guest, for which calls do not wait")
      yield* expectAtRest(pool)
    })
  )

  it.effect("that are a promise do not fit, and it is said that they are one", () =>
    Effect.gen(function* () {
      const imports = (async () => ({ host: { it: () => 1 } })) as unknown as () => object
      const pool = yield* WasmInstancePool.make({ module: importing("(func)"), imports, name })
      const reason = yield* reasonOf(Effect.scoped(InstancePool.get(pool)))
      expect(reason).toMatchObject({ _tag: "MistypedImport", module: "host", name: "it", given: "promise" })
      expect(reason.message).toContain("imports has given a promise")
      yield* expectAtRest(pool)
    })
  )

  it.effect("that do not fit are told apart when there are several, and nothing has run", () =>
    Effect.gen(function* () {
      const module = fromText(`(module
        (import "a" "x" (func $x)) (import "a" "y" (global i64)) (import "b" "x" (memory 1)) (start $x))`)
      let started = 0
      const given: { y: unknown; memory: unknown } = { y: 1n, memory }
      const pool = yield* WasmInstancePool.make({
        module,
        imports: () => ({ a: { x: () => started++, y: given.y }, b: { x: given.memory } })
      })
      const lease = Effect.scoped(InstancePool.get(pool))
      given.y = 1
      expect(yield* reasonOf(lease)).toMatchObject({ _tag: "MistypedImport", module: "a", name: "y", kind: "global" })
      given.y = 1n
      given.memory = new Memory({ initial: 0 })
      expect(yield* reasonOf(lease)).toMatchObject({ _tag: "MistypedImport", module: "b", name: "x", kind: "memory" })
      expect(started).toBe(0)
      given.memory = memory
      yield* expectIntact(pool)
      expect(started).toBe(4)
    })
  )

  it.effect("are read once, and never from what every object has", () =>
    Effect.gen(function* () {
      for (const [group, it] of [
        ["host", "constructor"],
        ["host", "__proto__"],
        ["host", "toString"],
        ["__proto__", "toString"],
        ["constructor", "keys"]
      ] as const) {
        const module = fromText(`(module (import "${group}" "${it}" (func)))`)
        const pool = yield* WasmInstancePool.make({ module, imports: () => ({ host: {} }) })
        expect(yield* reasonOf(Effect.scoped(InstancePool.get(pool)))).toMatchObject({
          _tag: "MissingImport",
          module: group,
          name: it
        })
      }
      let reads = 0
      const host = {
        get ask() {
          reads++
          return () => 1
        }
      }
      const pool = yield* WasmInstancePool.make({ module: asking, imports: () => ({ host }) })
      yield* InstancePool.use(pool, (instance) => instance.call("ask", 1))
      expect(reads).toBe(1)
    })
  )

  it.effect("may be a class's methods, or named like what every object has", () =>
    Effect.gen(function* () {
      class Asked {
        ask() {
          return 7
        }
      }
      const pool = yield* WasmInstancePool.make({ module: asking, imports: () => ({ host: new Asked() }) })
      expect(yield* InstancePool.use(pool, (instance) => instance.call("ask", 1))).toBe(7)
      const odd = fromText(`(module (import "__proto__" "constructor" (func $f (result i32)))
        (func (export "run") (result i32) (call $f)))`)
      const imports = () => JSON.parse(`{ "__proto__": {} }`) as Record<string, object>
      const pool2 = yield* WasmInstancePool.make({
        module: odd,
        imports: () => {
          const given = imports()
          Object.defineProperty(given["__proto__"], "constructor", { value: () => 8 })
          return given
        }
      })
      expect(yield* InstancePool.use(pool2, (instance) => instance.call("run"))).toBe(8)
      expect(Object.prototype.constructor).toBe(Object)
    })
  )

  it.effect("may be functions of another guest, as the engine knows them", () =>
    Effect.gen(function* () {
      const lender = new engine.Instance(yield* Effect.promise(() => engine.compile(plugin)))
      const borrower = fromText(`(module (import "host" "bump" (func $bump (result i32)))
        (import "host" "crash" (func $crash))
        (func (export "run") (result i32) (call $bump))
        (func (export "fail") (call $crash)) (func (export "next") (param i64)))`)
      const pool = yield* WasmInstancePool.make({ module: borrower, imports: () => ({ host: lender.exports }) })
      expect(yield* InstancePool.use(pool, (instance) => instance.call("run"))).toBe(1)
      expect(yield* Effect.flip(InstancePool.use(pool, (instance) => instance.call("fail")))).toMatchObject({
        _tag: "WasmTrap",
        kind: "Unreachable"
      })
      // What runs there is not watched: when in doubt, the instance ends.
      expect(yield* Effect.flip(InstancePool.use(pool, (instance) => instance.call("next", 1)))).toMatchObject({
        _tag: "WasmTrap",
        kind: "HostError"
      })
      const wrong = fromText(`(module (import "host" "price" (func (result i64))))`)
      const refusing = yield* WasmInstancePool.make({ module: wrong, imports: () => ({ host: lender.exports }) })
      expect(yield* reasonOf(Effect.scoped(InstancePool.get(refusing)))).toMatchObject({
        _tag: "MistypedImport",
        name: "price",
        given: "function"
      })
    })
  )

  it.effect("that can't be had are the failure of the caller, as it is", () =>
    Effect.gen(function* () {
      let failure: Effect.Effect<never, string> | undefined = Effect.fail("no database")
      let isBroken = false
      const pool = yield* WasmInstancePool.make({
        module: asking,
        imports: (): Effect.Effect<object, string> => {
          if (isBroken) throw new Error("thrown at once")
          return failure ?? Effect.succeed({ host: { ask: () => 1 } })
        }
      })
      expect(yield* Effect.flip(Effect.scoped(InstancePool.get(pool)))).toBe("no database")
      failure = Effect.die("broken")
      expect(yield* Effect.scoped(InstancePool.get(pool)).pipe(Effect.catchDefect(Effect.succeed))).toBe("broken")
      failure = Effect.suspend(() => {
        throw new Error("thrown")
      })
      expect(yield* Effect.scoped(InstancePool.get(pool)).pipe(Effect.catchDefect(Effect.succeed))).toMatchObject({
        message: "thrown"
      })
      isBroken = true
      expect(yield* Effect.scoped(InstancePool.get(pool)).pipe(Effect.catchDefect(Effect.succeed))).toMatchObject({
        message: "thrown at once"
      })
      isBroken = false
      failure = undefined
      yield* expectIntact(pool)
    })
  )

  it.effect("that hang take no longer than createTimeout, and keep no place", () =>
    Effect.gen(function* () {
      let ended = 0
      let hangs = true
      const pool = yield* WasmInstancePool.make({
        module: asking,
        imports: () =>
          Effect.as(
            Effect.ensuring(
              Effect.suspend(() => (hangs ? Effect.never : Effect.void)),
              Effect.sync(() => ended++)
            ),
            { host: { ask: () => 1 } }
          ),
        max: 1,
        createTimeout: "1 second"
      })
      const lease = Effect.scoped(InstancePool.get(pool))
      const waiting = yield* Effect.forkChild(Effect.flip(lease), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(waiting)).toMatchObject({ _tag: "PoolError", reason: { _tag: "AcquireTimeout" } })
      yield* Sandbox.settle
      expect(ended).toBe(1)
      hangs = false
      yield* expectIntact(pool)
    })
  )
})

describe("a start that traps", () => {
  it.effect("is the failure of the caller, and keeps no place", () =>
    Effect.gen(function* () {
      const pool = yield* WasmInstancePool.make({ module: doomed, name })
      for (let n = 0; n < 5; n++) {
        const trap = yield* Effect.flip(Effect.scoped(InstancePool.get(pool)))
        expect(trap).toBeInstanceOf(WasmTrap.WasmTrap)
        expect(trap).toMatchObject({ kind: "Unreachable", pool: name, export: "start" })
        yield* expectAtRest(pool)
      }
    })
  )

  it.effect("ends what its imports have brought along", () =>
    Effect.gen(function* () {
      const module = fromText(`(module (import "host" "ask" (func $ask)) (start $ask))`)
      let open = 0
      let fails = true
      const cause = new Error("no")
      const imports = () =>
        Effect.acquireRelease(
          Effect.sync(() => {
            open++
            return {
              host: {
                ask: () => {
                  if (fails) throw cause
                }
              }
            }
          }),
          () => Effect.sync(() => open--)
        )
      const pool = yield* WasmInstancePool.make({ module, imports })
      const trap = yield* Effect.flip(Effect.scoped(InstancePool.get(pool)))
      expect(trap).toMatchObject({ _tag: "WasmTrap", kind: "HostError", export: "start" })
      expect(trap.cause).toBe(cause)
      yield* Sandbox.settle
      expect(open).toBe(0)
      fails = false
      yield* expectIntact(pool)
      expect(open).toBe(0)
    })
  )

  it.effect("is a trap too if the host fails in it as the engine does when it links", () =>
    Effect.gen(function* () {
      const module = fromText(`(module (import "host" "ask" (func $ask)) (start $ask))`)
      const cause = Object.assign(new Error("Import #0"), { name: "LinkError" })
      const ask = () => {
        throw cause
      }
      const pool = yield* WasmInstancePool.make({ module, imports: () => ({ host: { ask } }) })
      expect(yield* Effect.flip(Effect.scoped(InstancePool.get(pool)))).toMatchObject({
        _tag: "WasmTrap",
        kind: "HostError"
      })
    })
  )

  it.effect("is tried again in the background, when instances are to be prepared", () =>
    Effect.gen(function* () {
      const module = fromText(`(module (import "host" "ask" (func $ask)) (start $ask))`)
      let starts = 0
      const pool = yield* WasmInstancePool.make({
        module,
        imports: () => ({
          host: {
            ask: () => {
              if (++starts < 3) throw new Error("not yet")
            }
          }
        }),
        prepare: 1,
        max: 1
      })
      yield* Sandbox.settle
      expect(starts).toBe(1)
      yield* TestClock.adjust("1 second")
      yield* expectAtRest(pool)
      expect(starts).toBe(3)
    })
  )
})

describe("an interrupt", () => {
  it.effect("while an instance is made loses nothing", () =>
    Effect.gen(function* () {
      let open = 0
      const gate = yield* Deferred.make<void>()
      const pool = yield* WasmInstancePool.make({
        module: asking,
        imports: () =>
          Effect.andThen(
            Effect.acquireRelease(
              Effect.sync(() => open++),
              () => Effect.sync(() => open--)
            ),
            Effect.as(Deferred.await(gate), { host: { ask: () => 1 } })
          ),
        max: 2
      })
      const callers = yield* Effect.replicateEffect(
        Effect.forkChild(Effect.scoped(InstancePool.get(pool)), { startImmediately: true }),
        2
      )
      yield* Sandbox.settle
      // Both are under way at the same time.
      expect(open).toBe(2)
      yield* Effect.forEach(callers, Fiber.interrupt)
      yield* Deferred.succeed(gate, undefined)
      yield* expectIntact(pool)
      expect(open).toBe(0)
    })
  )
})

/** What the host can lend besides functions. */
function globals() {
  type Make = new (descriptor: object, value?: unknown) => object
  return (globalThis as unknown as { readonly WebAssembly: Record<"Global" | "Memory" | "Table", Make> }).WebAssembly
}
