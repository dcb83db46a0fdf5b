/** Guests that are given functions of others, and hosts that call the guest which calls them. */
import { InstancePool } from "@effect-pools/instance"
import { WasmInstancePool } from "@effect-pools/wasm"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { engine } from "../src/internal/webAssembly.ts"
import { fromText } from "./modules.ts"
import { expectIntact } from "./support.ts"

const failure = new TypeError("the host of another")

/** A function of another guest, which calls a host that fails. */
const foreign = Effect.promise(async () => {
  const module = fromText(`(module (import "host" "fail" (func $fail)) (func (export "run") (call $fail)))`)
  const fail = () => {
    throw failure
  }
  return new engine.Instance(await engine.compile(module), { host: { fail } }).exports["run"]
})

const global = `(global $g (mut i32) (i32.const 0)) (func (export "seen") (result i32) (global.get $g))`
const table = `(type $t (func)) (table 1 funcref)`
const through = `(global.set $g (i32.const 7)) (call_indirect (type $t) (i32.const 0))`

describe("a guest that has run half-way has trapped", () => {
  it.effect("when it was given a function of another as an argument", () =>
    Effect.gen(function* () {
      const module = fromText(`(module ${global} ${table}
        (func (export "take") (param funcref) (table.set 0 (i32.const 0) (local.get 0)))
        (func (export "run") (param funcref) (table.set 0 (i32.const 0) (local.get 0)) ${through})
        (func (export "later") ${through}))`)
      const pool = yield* WasmInstancePool.make({ module })
      const run = yield* foreign
      const calls = [
        InstancePool.use(pool, ({ call }) => call("run", run)),
        InstancePool.use(pool, ({ call }) => Effect.andThen(call("take", run), call("later")))
      ]
      for (const call of calls) {
        const trap = yield* Effect.flip(call)
        expect(trap).toMatchObject({ _tag: "WasmTrap", kind: "HostError", cause: failure })
        yield* expectIntact(pool)
      }
    })
  )

  for (const [what, results, wrap] of [
    ["result of the host", "(result funcref)", (f: unknown) => f],
    ["of several results", "(result funcref i32)", (f: unknown) => [f, 0]],
    ["of several results in any order", "(result funcref i32)", (f: unknown) => new Set([f, 0])]
  ] as const) {
    it.effect(`when it was given a function of another as one ${what}`, () =>
      Effect.gen(function* () {
        const drop = results.includes("i32") ? "drop" : ""
        const module =
          fromText(`(module (import "host" "get" (func $get ${results})) ${global} ${table} (global $f (mut funcref) (ref.null func))
          (func (export "take") (call $get) ${drop} (global.set $f) (table.set 0 (i32.const 0) (global.get $f)))
          (func (export "run") ${through}))`)
        const run = yield* foreign
        const pool = yield* WasmInstancePool.make({ module, imports: () => ({ host: { get: () => wrap(run) } }) })
        yield* InstancePool.use(pool, (instance) =>
          Effect.gen(function* () {
            yield* instance.call("take")
            const trap = yield* Effect.flip(instance.call("run"))
            expect(trap).toMatchObject({ _tag: "WasmTrap", kind: "HostError", cause: failure })
            expect(yield* Effect.flip(instance.call("seen"))).toBe(trap)
            expect(instance.trap).toBe(trap)
          })
        )
        yield* expectIntact(pool)
      })
    )
  }
})

describe("a guest that traps while its host calls it back", () => {
  const module = (ask: string) =>
    fromText(`(module (import "host" "ask" (func $ask)) ${global}
      (func (export "boom") unreachable)
      (func (export "run") (result i32) ${ask} (global.set $g (i32.const 7)) (i32.const 5)))`)

  for (const [what, ask] of [
    ["goes no further", "(call $ask)"],
    ["has trapped even if it catches that", "(try (do (call $ask)) (catch_all))"],
    ["does not call the host any more", "(try (do (call $ask)) (catch_all)) (try (do (call $ask)) (catch_all))"]
  ] as const) {
    it.effect(`${what}, though the host has caught the trap`, () =>
      Effect.gen(function* () {
        let self: WasmInstancePool.WasmInstance<WasmInstancePool.Untyped> | undefined
        let calls = 0
        const pool = yield* WasmInstancePool.make({
          module: module(ask),
          imports: () => ({
            host: {
              ask: () => {
                calls++
                Effect.runSyncExit(self!.call("boom"))
              }
            }
          })
        })
        yield* InstancePool.use(pool, (instance) =>
          Effect.gen(function* () {
            self = instance
            const trap = yield* Effect.flip(instance.call("run"))
            expect(trap).toMatchObject({ _tag: "WasmTrap", kind: "Unreachable", export: "boom" })
            expect(instance.trap).toBe(trap)
            if (what === "goes no further") {
              // Looked at from outside, as nothing of the guest runs any more.
              expect((instance.exports["seen"] as () => number)()).toBe(0)
            }
            expect(calls).toBe(1)
          })
        )
        yield* expectIntact(pool)
      })
    )
  }

  it.effect("goes on if it is only called back, and does not trap", () =>
    Effect.gen(function* () {
      let self: WasmInstancePool.WasmInstance<WasmInstancePool.Untyped> | undefined
      let seen: unknown
      const pool = yield* WasmInstancePool.make({
        module: module("(call $ask)"),
        imports: () => ({ host: { ask: () => void (seen = Effect.runSync(self!.call("seen"))) } })
      })
      const run = InstancePool.use(pool, (instance) => {
        self = instance
        return instance.call("run")
      })
      expect(yield* run).toBe(5)
      expect(seen).toBe(0)
    })
  )
})
