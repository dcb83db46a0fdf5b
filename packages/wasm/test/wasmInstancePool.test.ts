/** What a pool of WebAssembly instances does with those it has made. */
import { InstancePool } from "@effect-pools/instance"
import { Sandbox } from "@effect-pools/testing"
import { WasmExport, WasmInstancePool, WasmTrap } from "@effect-pools/wasm"
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { engine } from "../src/internal/webAssembly.ts"
import { fromAssemblyScript, fromText, sqlite } from "./modules.ts"
import { asking, doomed, expectIntact, plugin, reasonOf } from "./support.ts"

const exports = {
  price: WasmExport.func<(cents: number) => number>(),
  next: WasmExport.func<(n: bigint) => bigint>(),
  bump: WasmExport.func<() => number>(),
  crash: WasmExport.func<() => void>(),
  grow: WasmExport.func<(pages: number) => number>(),
  memory: WasmExport.memory,
  count: WasmExport.global()
}

const bump = (instance: WasmInstancePool.WasmInstance<{ readonly bump: () => number }>) => instance.call("bump")

describe("a lease", () => {
  it.effect("gets an instance whose functions can be called", () =>
    Effect.gen(function* () {
      const pool = yield* WasmInstancePool.make({ module: plugin, exports })
      expect(pool.name).toMatch(/^wasm-instance-pool-\d+$/)
      expect(pool.kind).toBe("instance")
      expect(yield* InstancePool.use(pool, (instance) => instance.call("price", 21))).toBe(42)
      expect(yield* InstancePool.use(pool, (instance) => instance.call("next", 2n ** 62n))).toBe(2n ** 62n + 1n)
      expect(yield* InstancePool.use(pool, ({ exports }) => Effect.sync(() => exports.price(4)))).toBe(8)
      yield* expectIntact(pool)
    })
  )

  it.effect("finds a counter of the guest as it was in the module, whatever others have done", () =>
    Effect.gen(function* () {
      const pool = yield* WasmInstancePool.make({ module: plugin, exports })
      for (let n = 0; n < 3; n++) {
        expect(yield* InstancePool.use(pool, (instance) => Effect.andThen(bump(instance), bump(instance)))).toBe(2)
      }
      const seen = yield* InstancePool.use(pool, (instance) =>
        Effect.map(bump(instance), () => {
          new Uint8Array(instance.exports.memory.buffer).fill(7)
          return instance.exports.count.value
        })
      )
      expect(seen).toBe(1)
      const clean = yield* InstancePool.use(pool, ({ exports: { count, memory } }) =>
        Effect.sync(() => [count.value, new Uint8Array(memory.buffer).some((byte) => byte !== 0)])
      )
      expect(clean).toEqual([0, false])
    })
  )

  it.effect("gets what was prepared, as fresh as any", () =>
    Effect.gen(function* () {
      const pool = yield* WasmInstancePool.make({ module: plugin, exports, prepare: 2 })
      for (let n = 0; n < 3; n++) {
        yield* Sandbox.settle
        expect(yield* InstancePool.use(pool, bump)).toBe(1)
      }
      expect((yield* InstancePool.stats(pool)).details).toMatchObject({ hits: 3, misses: 0 })
      yield* expectIntact(pool)
    })
  )

  it.effect("has an end, after which nothing of the instance runs", () =>
    Effect.gen(function* () {
      const pool = yield* WasmInstancePool.make({ module: plugin, exports, name: "plugins" })
      const instance = yield* InstancePool.use(pool, Effect.succeed)
      yield* Sandbox.settle
      expect(yield* reasonOf(bump(instance))).toMatchObject({ _tag: "Ended", pool: "plugins", export: "bump" })
      expect(instance.exports.count.value).toBe(0)
    })
  )

  it.effect("has a host of its own, which goes with it", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      let made = 0
      let lent: WasmInstancePool.WasmInstance<WasmInstancePool.Untyped> | undefined
      const pool = yield* WasmInstancePool.make({
        module: asking,
        imports: () =>
          Effect.acquireRelease(
            Effect.sync(() => {
              made++
              let calls = 0
              return { host: { ask: () => ++calls } }
            }),
            // By then nothing can call it any more.
            () => Effect.map(Effect.exit(lent!.call("ask", 0)), (exit) => seen.push(Exit.findErrorOption(exit)))
          )
      })
      for (let n = 1; n <= 3; n++) {
        const asked = yield* InstancePool.use(pool, (instance) => {
          lent = instance
          return Effect.andThen(instance.call("ask", 0), instance.call("ask", 0))
        })
        expect(asked).toBe(2)
        yield* Sandbox.settle
        expect(made).toBe(n)
        expect(seen).toHaveLength(n)
      }
      for (const error of seen) expect(error).toMatchObject({ value: { _tag: "WasmError", reason: { _tag: "Ended" } } })
    })
  )

  it.effect("that outlives the grace of its pool's close has no instance any more", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const pool = yield* Scope.provide(WasmInstancePool.make({ module: plugin, exports, closeGrace: 0 }), scope)
      yield* InstancePool.use(pool, (instance) =>
        Effect.gen(function* () {
          expect(yield* bump(instance)).toBe(1)
          yield* Scope.close(scope, Exit.void)
          expect(yield* reasonOf(bump(instance))).toMatchObject({ _tag: "Ended" })
        })
      )
    })
  )

  it.effect("can be outlived by an instance that is detached", () =>
    Effect.gen(function* () {
      const pool = yield* WasmInstancePool.make({ module: plugin, exports })
      yield* Effect.scoped(
        Effect.gen(function* () {
          const scope = yield* Effect.scope
          const instance = yield* InstancePool.use(pool, (instance) =>
            Scope.provide(InstancePool.detach(pool, instance), scope)
          )
          expect(yield* bump(instance)).toBe(1)
        })
      )
      yield* expectIntact(pool)
    })
  )

  it.effect("is refused when all instances are in use, and 32 callers at once get four", () =>
    Effect.gen(function* () {
      const pool = yield* WasmInstancePool.make({ module: plugin, exports, max: 4 })
      const end = yield* Deferred.make<void>()
      const callers = yield* Effect.forEach(Array.from({ length: 32 }), () =>
        Effect.forkChild(
          InstancePool.use(pool, (instance) => Effect.tap(bump(instance), () => Deferred.await(end))),
          { startImmediately: true }
        )
      )
      yield* Sandbox.settle
      expect(yield* InstancePool.stats(pool)).toMatchObject({ used: 4, details: { misses: 4, exhausted: 28 } })
      yield* Deferred.succeed(end, undefined)
      const exits = yield* Effect.forEach(callers, Fiber.await)
      expect(exits.filter((exit) => Exit.isSuccess(exit) && exit.value === 1)).toHaveLength(4)
      const refusals = exits.filter(Exit.isFailure).map((exit) => Exit.findErrorOption(exit))
      expect(refusals).toHaveLength(28)
      for (const refusal of refusals) {
        expect(refusal).toMatchObject({ value: { _tag: "PoolError", reason: { _tag: "Exhausted", max: 4 } } })
      }
      yield* expectIntact(pool)
    })
  )
})

describe("a trap", () => {
  it.effect("is a typed error with its kind, and ends the instance", () =>
    Effect.gen(function* () {
      const pool = yield* WasmInstancePool.make({ module: plugin, exports, name: "plugins" })
      yield* InstancePool.use(pool, (instance) =>
        Effect.gen(function* () {
          expect(yield* bump(instance)).toBe(1)
          expect(instance.trap).toBeUndefined()
          const trap = yield* Effect.flip(instance.call("crash"))
          expect(trap).toBeInstanceOf(WasmTrap.WasmTrap)
          expect(trap).toMatchObject({ kind: "Unreachable", pool: "plugins", export: "crash" })
          expect(instance.trap).toBe(trap)
          // It does not run any more.
          expect(yield* Effect.flip(bump(instance))).toBe(trap)
          expect(instance.exports.count.value).toBe(1)
        })
      )
      yield* expectIntact(pool)
    })
  )

  it.effect("that no one catches is the failure of the lease, and the next gets a clean instance", () =>
    Effect.gen(function* () {
      const pool = yield* WasmInstancePool.make({ module: plugin, exports, max: 1 })
      const crash = InstancePool.use(pool, (instance) => Effect.andThen(bump(instance), instance.call("crash")))
      for (let n = 0; n < 3; n++) {
        expect(yield* Effect.flip(crash)).toMatchObject({ _tag: "WasmTrap", kind: "Unreachable" })
        yield* Sandbox.settle
        expect(yield* InstancePool.use(pool, bump)).toBe(1)
        yield* Sandbox.settle
      }
      yield* expectIntact(pool)
    })
  )

  it.effect("of a host's function has its error as the cause", () =>
    Effect.gen(function* () {
      const thrown: Array<unknown> = [new Error("no"), new TypeError("no"), "no", undefined]
      // An error that another guest's trap is, too, is the host's when it comes from the host.
      const module = yield* Effect.promise(() => engine.compile(doomed))
      const other = yield* Effect.flip(Effect.try({ try: () => new engine.Instance(module), catch: (error) => error }))
      for (const error of [...thrown, other]) {
        const ask = () => {
          throw error
        }
        const pool = yield* WasmInstancePool.make({ module: asking, imports: () => ({ host: { ask } }) })
        const trap = yield* Effect.flip(InstancePool.use(pool, (instance) => instance.call("ask", 1)))
        expect(trap).toMatchObject({ _tag: "WasmTrap", kind: "HostError", export: "ask" })
        expect(trap.cause).toBe(error)
        yield* expectIntact(pool)
      }
    })
  )

  it.effect("of a host's function that is called by a number is the host's too", () =>
    Effect.gen(function* () {
      const cause = Object.assign(new Error("unreachable"), { name: "RuntimeError" })
      const functions = {
        0: () => {
          throw cause
        }
      }
      const pool = yield* WasmInstancePool.make({ module: asking, imports: () => ({ host: { ask: functions[0] } }) })
      expect(functions[0].name).toBe("0")
      expect(yield* Effect.flip(InstancePool.use(pool, (instance) => instance.call("ask", 1)))).toMatchObject({
        _tag: "WasmTrap",
        kind: "HostError",
        cause
      })
    })
  )

  it.effect("is what a host's answer makes that is not of its type", () =>
    Effect.gen(function* () {
      const pool = yield* WasmInstancePool.make({ module: asking, imports: () => ({ host: { ask: () => 1n } }) })
      const trap = yield* Effect.flip(InstancePool.use(pool, (instance) => instance.call("ask", 1)))
      expect(trap).toMatchObject({ _tag: "WasmTrap", kind: "HostError" })
      expect(trap.cause).toBeInstanceOf(TypeError)
    })
  )

  it.effect("of too deep calls is a stack overflow, even where the host has the last of them", () =>
    Effect.gen(function* () {
      const pool = yield* WasmInstancePool.make({
        module: asking,
        imports: () => {
          const ask = (): number => ask() + 1
          return { host: { ask } }
        }
      })
      const trap = yield* Effect.flip(InstancePool.use(pool, (instance) => instance.call("ask", 1)))
      expect(trap).toMatchObject({ _tag: "WasmTrap", kind: "StackOverflow" })
      yield* expectIntact(pool)
    })
  )

  it.effect("does not come of what the guest has caught", () =>
    Effect.gen(function* () {
      const catching = fromText(`(module
        (import "host" "ask" (func $ask))
        (func (export "run") (result i32) (try (do (call $ask)) (catch_all)) (i32.const 3))
        (func (export "fail") (try (do (call $ask)) (catch_all)) unreachable))`)
      const ask = () => {
        throw new Error("no")
      }
      const pool = yield* WasmInstancePool.make({ module: catching, imports: () => ({ host: { ask } }) })
      expect(yield* InstancePool.use(pool, (instance) => instance.call("run"))).toBe(3)
      const trap = yield* Effect.flip(InstancePool.use(pool, (instance) => instance.call("fail")))
      expect(trap).toMatchObject({ _tag: "WasmTrap", kind: "Unreachable" })
    })
  )
})

describe("a call", () => {
  it.effect("with arguments that can't be converted is a typed error, and the instance goes on", () =>
    Effect.gen(function* () {
      const pool = yield* WasmInstancePool.make({ module: plugin, name: "plugins" })
      yield* InstancePool.use(pool, (instance) =>
        Effect.gen(function* () {
          for (const [name, argument] of [
            ["price", 1n],
            ["price", Symbol("price")],
            ["price", Object.create(null)],
            ["next", 1],
            ["next", "one"],
            ["next", undefined]
          ] as const) {
            expect(yield* reasonOf(instance.call(name, argument))).toMatchObject({
              _tag: "InvalidArguments",
              pool: "plugins",
              export: name,
              message: expect.stringContaining(`"${name}" can't be called with these arguments: Cannot `)
            })
          }
          expect(instance.trap).toBeUndefined()
          expect(yield* instance.call("bump")).toBe(1)
        })
      )
    })
  )

  it.effect("takes what JavaScript can convert, and leaves out or adds what it likes", () =>
    Effect.gen(function* () {
      const pool = yield* WasmInstancePool.make({ module: plugin })
      yield* InstancePool.use(pool, (instance) =>
        Effect.gen(function* () {
          expect(yield* instance.call("price", "21", "more")).toBe(42)
          expect(yield* instance.call("price")).toBe(0)
          expect(yield* instance.call("price", 2 ** 31)).toBe(0)
        })
      )
    })
  )

  it.effect("that can't be told from a failure of the host ends the instance", () =>
    Effect.gen(function* () {
      const sharing: ReadonlyArray<readonly [what: string, imports: () => object]> = [
        [`(table (export "table") 1 funcref)`, () => ({})],
        [`(tag (export "tag"))`, () => ({})],
        [`(import "host" "it" (table 1 funcref))`, () => ({ it: makeTable() })],
        [`(import "host" "it" (global funcref))`, () => ({ it: makeGlobal() })]
      ]
      for (const [what, it] of sharing) {
        const pool = yield* WasmInstancePool.make({
          module: fromText(`(module ${what} (func (export "next") (param i64)))`),
          imports: () => ({ host: it() })
        })
        const trap = yield* Effect.flip(InstancePool.use(pool, (instance) => instance.call("next", 1)))
        expect(trap).toMatchObject({ _tag: "WasmTrap", kind: "HostError", export: "next" })
        yield* expectIntact(pool)
      }
    })
  )

  it.effect("of what is no function of the guest is a typed error", () =>
    Effect.gen(function* () {
      const pool = yield* WasmInstancePool.make({ module: plugin })
      yield* InstancePool.use(pool, (instance) =>
        Effect.gen(function* () {
          for (const name of ["cost", "toString", "constructor", "__proto__", ""]) {
            const reason = yield* reasonOf(instance.call(name))
            expect(reason).toMatchObject({ _tag: "MissingExport", name, kind: "function" })
            expect(reason).not.toHaveProperty("found")
          }
          expect(yield* reasonOf(instance.call("memory"))).toMatchObject({
            _tag: "MissingExport",
            found: "memory",
            exports: ["memory", "count", "price", "next", "bump", "crash", "grow"]
          })
          expect(yield* instance.call("bump")).toBe(1)
        })
      )
    })
  )

  it.effect("runs when it is run, and as often", () =>
    Effect.gen(function* () {
      const pool = yield* WasmInstancePool.make({ module: plugin, exports })
      yield* InstancePool.use(pool, (instance) =>
        Effect.gen(function* () {
          const call = bump(instance)
          expect(instance.exports.count.value).toBe(0)
          expect([yield* call, yield* call]).toEqual([1, 2])
        })
      )
    })
  )
})

describe("a module", () => {
  it.effect("may be bytes in any form, compiled, or an effect of either", () =>
    Effect.gen(function* () {
      const compiled = yield* Effect.promise(() => engine.compile(plugin))
      const shifted = new Uint8Array([1, 2, 3, ...plugin, 4]).subarray(3, -1)
      const sources: ReadonlyArray<object> = [
        plugin,
        plugin.buffer,
        Buffer.from(plugin),
        new DataView(plugin.buffer),
        shifted,
        compiled
      ]
      for (const module of sources) {
        for (const limited of [{}, ...(module === compiled ? [] : [{ maxMemoryPages: 2 }])]) {
          const direct = yield* WasmInstancePool.make({ module, exports, ...limited })
          expect(yield* InstancePool.use(direct, bump)).toBe(1)
          const effect = yield* WasmInstancePool.make({ module: Effect.succeed(module), exports, ...limited })
          expect(yield* InstancePool.use(effect, bump)).toBe(1)
        }
      }
    })
  )

  it.effect("is had once, however many instances are made of it", () =>
    Effect.gen(function* () {
      let loads = 0
      const module = Effect.sync(() => {
        loads++
        return plugin
      })
      const pool = yield* WasmInstancePool.make({ module, exports })
      yield* expectIntact(pool)
      yield* expectIntact(pool)
      expect(loads).toBe(1)
    })
  )

  it.effect("that can't be had is a failure of opening the pool", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(WasmInstancePool.make({ module: Effect.fail("no such file" as const) }))
      expect(error).toBe("no such file")
    })
  )

  it.effect(
    "may come from AssemblyScript",
    () =>
      Effect.gen(function* () {
        const module = yield* Effect.promise(() =>
          fromAssemblyScript(`
          let total: i32 = 0
          export function add(cents: i32): i32 { total += cents; return total }
          export function at(index: i32): i32 { const some: i32[] = [1, 2, 3]; return some[index] }`)
        )
        const failed: Array<ReadonlyArray<number>> = []
        const pool = yield* WasmInstancePool.make({
          module,
          exports: {
            add: WasmExport.func<(cents: number) => number>(),
            at: WasmExport.func<(index: number) => number>()
          },
          imports: () => ({
            env: {
              abort: (_message: number, _file: number, line: number, column: number) => failed.push([line, column])
            }
          })
        })
        for (let n = 0; n < 2; n++) {
          expect(
            yield* InstancePool.use(pool, (instance) =>
              Effect.andThen(instance.call("add", 20), instance.call("add", 1))
            )
          ).toBe(21)
        }
        expect(yield* InstancePool.use(pool, (instance) => instance.call("at", 2))).toBe(3)
        // Its array has checked bounds: it tells the host, and traps.
        const trap = yield* Effect.flip(InstancePool.use(pool, (instance) => instance.call("at", 3)))
        expect(trap).toMatchObject({ _tag: "WasmTrap", kind: "Unreachable", export: "at" })
        expect(failed).toHaveLength(1)
        yield* expectIntact(pool)
      }),
    // The compiler is large.
    60_000
  )

  it.effect("may be large, with imports by the dozen", () =>
    Effect.gen(function* () {
      expect(sqlite.bytes.length).toBeGreaterThan(400_000)
      const pool = yield* WasmInstancePool.make({
        module: sqlite.bytes,
        imports: sqlite.imports,
        prepare: 1,
        max: 3
      })
      yield* expectIntact(pool)
      const functions = yield* InstancePool.use(pool, (instance) =>
        Effect.sync(() => Object.values(instance.exports).filter((value) => typeof value === "function").length)
      )
      expect(functions).toBeGreaterThan(50)
    })
  )
})

type Make = new (descriptor: object, value?: unknown) => object

const { Global, Table } = (globalThis as unknown as { readonly WebAssembly: Record<"Global" | "Table", Make> })
  .WebAssembly

const makeTable = () => new Table({ element: "anyfunc", initial: 1 })

const makeGlobal = () => new Global({ value: "anyfunc" }, null)
