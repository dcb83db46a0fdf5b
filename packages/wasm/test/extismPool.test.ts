/** What a plugin does is the same in this thread and in one of its own. */
import { InstancePool } from "@effect-pools/instance"
import { ExtismPool, type WasmTrap } from "@effect-pools/wasm"
import { beforeAll, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import * as Schema from "effect/Schema"
import { pluginBytes } from "./extismPlugin.ts"
import {
  call,
  errorOf,
  expectAtRest,
  expectIntact,
  functions,
  open as openPlugin,
  type Options,
  text,
  told
} from "./extismSupport.ts"
import { fromText } from "./modules.ts"

const patience = 60_000

// To compile the plugin takes seconds.
beforeAll(() => pluginBytes(), 120_000)

describe.each([
  { where: "in this thread", runInWorker: false },
  { where: "in a thread of its own", runInWorker: true }
])("A plugin $where", ({ runInWorker }) => {
  const open = <E = never>(options?: Options<E>) => openPlugin<E>({ runInWorker, ...options })
  const live = <A, E>(name: string, test: () => Effect.Effect<A, E, any>) =>
    it.live(name, () => Effect.scoped(test()) as Effect.Effect<A, E>, patience)

  live("is called with a text and gives JSON of a schema", () =>
    Effect.gen(function* () {
      const pool = yield* open()
      const output = yield* call(pool, "count_vowels", "hello wörld, a")
      const Count = Schema.Struct({ count: Schema.Number })
      expect(yield* output.json(Count)).toEqual({ count: 3 })
      const wrong = yield* errorOf(output.json(Schema.Struct({ count: Schema.String })))
      expect(Schema.isSchemaError(wrong)).toBe(true)
      yield* expectIntact(pool)
    })
  )

  live("is called with bytes, be they a part of a buffer, and its output outlives it", () =>
    Effect.gen(function* () {
      const pool = yield* open()
      const input = Uint8Array.of(9, 9, 0, 255, 7, 9).subarray(2, 5)
      const { bytes, isSet } = yield* call(pool, "echo", input)
      expect({ bytes, isSet, size: bytes.buffer.byteLength }).toEqual({
        bytes: Uint8Array.of(0, 255, 7),
        isSet: true,
        size: 3
      })
      const shared = new Uint8Array(new SharedArrayBuffer(3)).fill(5)
      expect((yield* call(pool, "echo", shared)).bytes).toEqual(Uint8Array.of(5, 5, 5))
      yield* expectIntact(pool)
    })
  )

  live("has no output if it sets none, and an empty one if that is what it sets", () =>
    Effect.gen(function* () {
      const pool = yield* open()
      const { bytes, isSet } = yield* call(pool, "silent")
      expect({ bytes, isSet }).toEqual({ bytes: new Uint8Array(), isSet: false })
      const empty = yield* call(pool, "echo", "")
      expect({ bytes: empty.bytes, isSet: empty.isSet }).toEqual({ bytes: new Uint8Array(), isSet: true })
      expect(yield* text(pool, "echo", new Uint8Array())).toBe("")
    })
  )

  live("reads its configuration, the pool's before the manifest's", () =>
    Effect.gen(function* () {
      const greeting = (options: Options) =>
        Effect.scoped(Effect.flatMap(open(options), (pool) => text(pool, "greeting")))
      expect(yield* greeting({})).toBe("nothing configured")
      // Which every object has.
      expect(yield* text(yield* open({ name: "other" }), "greeting", "toString")).toBe("nothing configured")
      const wasm = [{ data: yield* Effect.promise(pluginBytes) }]
      const manifest = { wasm, config: { greeting: "from the manifest" } }
      expect(yield* greeting({ manifest })).toBe("from the manifest")
      const config = { greeting: "from the pool" }
      expect(yield* greeting({ manifest, config })).toBe("from the pool")
    })
  )

  live("keeps variables and globals within a lease, and the next lease has none of them", () =>
    Effect.gen(function* () {
      const pool = yield* open()
      const twice = InstancePool.use(pool, (plugin) =>
        Effect.gen(function* () {
          yield* plugin.call("count")
          return (yield* plugin.call("count")).text
        })
      )
      expect(yield* twice).toBe("2++")
      expect(yield* twice).toBe("2++")
      yield* expectIntact(pool)
    })
  )

  live("calls the host's functions, which are made for each instance", () =>
    Effect.gen(function* () {
      let made = 0
      const pool = yield* open({
        functions: () => {
          const id = ++made
          return {
            "extism:host/user": {
              ...functions()["extism:host/user"],
              shout: (context, address: bigint) => {
                expect(context.read(0x1234n << 48n)).toBeUndefined()
                const heard = context.read(address)!
                const stored = context.store(`${heard.text}! (${id})`)
                expect(context.read(stored)!.text).toBe(`${heard.text}! (${id})`)
                return stored
              }
            }
          }
        }
      })
      expect(yield* text(pool, "shout", "help")).toBe("help! (1)")
      expect(yield* text(pool, "shout", "help")).toBe("help! (2)")
      expect(yield* text(pool, "add")).toBe("42")
      yield* expectIntact(pool)
    })
  )

  live("can be given functions by an effect, which is undone when the instance ends", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const pool = yield* open({
        functions: () =>
          Effect.as(
            Effect.acquireRelease(
              Effect.sync(() => log.push("made")),
              () => Effect.sync(() => log.push("undone"))
            ),
            functions()
          )
      } as Options)
      expect(yield* text(pool, "add")).toBe("42")
      yield* expectIntact(pool)
      expect(log.filter((entry) => entry === "undone").length).toBe(log.length / 2)
    })
  )

  live("does not come to be if its functions can't be made", () =>
    Effect.gen(function* () {
      let works = false
      const pool = yield* open<string>({
        functions: () => (works ? Effect.succeed(functions()) : Effect.fail("no functions"))
      })
      expect(yield* errorOf(call(pool, "add"))).toBe("no functions")
      works = true
      yield* expectIntact(pool)
    })
  )

  live("ends with an error of the host's functions, which is the cause", () =>
    Effect.gen(function* () {
      const failure = new Error("not today")
      let fails = true
      const pool = yield* open({
        functions: () => ({
          "extism:host/user": {
            ...functions()["extism:host/user"],
            add: () => {
              if (fails) throw failure
              return 1n
            }
          }
        })
      })
      yield* InstancePool.use(pool, (plugin) =>
        Effect.gen(function* () {
          const trap = (yield* errorOf(plugin.call("add"))) as WasmTrap.WasmTrap
          expect(trap).toMatchObject({ _tag: "WasmTrap", kind: "HostError", pool: "plugins", export: "add" })
          expect(trap.cause).toBe(failure)
          expect(yield* told(plugin.call("count"))).toMatchObject({ _tag: "InstanceEnded", because: trap.message })
        })
      )
      fails = false
      yield* expectIntact(pool)
    })
  )

  live("ends when the host's function gives what is no number", () =>
    Effect.gen(function* () {
      const shout = (() => "text") as unknown as ExtismPool.HostFunction
      const pool = yield* open({
        functions: () => ({ "extism:host/user": { ...functions()["extism:host/user"], shout } })
      })
      const trap = yield* told(call(pool, "shout", "a"))
      expect(trap).toMatchObject({ kind: "HostError" })
      expect(trap.message).toContain("extism:host/user/shout gave neither a number nor a bigint nor nothing")
      yield* expectIntact(pool)
    })
  )

  live("can report an error of its own, and be called again", () =>
    Effect.gen(function* () {
      const pool = yield* open()
      yield* InstancePool.use(pool, (plugin) =>
        Effect.gen(function* () {
          expect(yield* told(plugin.call("refuse"))).toEqual({
            _tag: "PluginError",
            pool: "plugins",
            function: "refuse",
            text: "no vowels today",
            message: `Pool "plugins": "refuse" reports: no vowels today`
          })
          expect((yield* plugin.call("count")).text).toBe("1+")
        })
      )
      yield* expectIntact(pool)
    })
  )

  live("has no function that it does not export, and can be called again", () =>
    Effect.gen(function* () {
      const pool = yield* open()
      yield* InstancePool.use(pool, (plugin) =>
        Effect.gen(function* () {
          const missing = yield* told(plugin.call("count_consonants"))
          expect(missing).toMatchObject({ _tag: "FunctionNotFound", function: "count_consonants" })
          expect(missing).toMatchObject({ available: plugin.exports })
          // Exported, but no function.
          expect(yield* told(plugin.call("memory"))).toMatchObject({ _tag: "FunctionNotFound" })
          expect(yield* told(plugin.call("toString"))).toMatchObject({ _tag: "FunctionNotFound" })
          expect((yield* plugin.call("count")).text).toBe("1+")
        })
      )
      yield* expectIntact(pool)
    })
  )

  live("is not called with what is neither text nor bytes", () =>
    Effect.gen(function* () {
      const pool = yield* open()
      // To Extism a number is a place in its memory.
      const defect = yield* errorOf(call(pool, "echo", 1 as unknown as string))
      expect(defect).toEqual(new TypeError(`The input of "echo" must be a string or a Uint8Array`))
      yield* expectIntact(pool)
    })
  )

  for (const [name, kind] of [
    ["trap", "Unreachable"],
    ["divide", "DivideByZero"],
    ["overflow", "StackOverflow"]
  ] as const) {
    live(`ends with a trap: ${kind}`, () =>
      Effect.gen(function* () {
        const pool = yield* open()
        yield* InstancePool.use(pool, (plugin) =>
          Effect.gen(function* () {
            const trap = yield* told(plugin.call(name))
            expect(trap).toMatchObject({ _tag: "WasmTrap", kind, pool: "plugins", export: name })
            expect(yield* told(plugin.call("count"))).toMatchObject({
              _tag: "InstanceEnded",
              function: "count",
              because: trap.message
            })
          })
        )
        yield* expectIntact(pool)
      })
    )
  }

  live("gets no more memory than it may have", () =>
    Effect.gen(function* () {
      const pool = yield* open({ maxMemoryPages: 64 })
      expect(yield* told(call(pool, "eat_memory"))).toMatchObject({ _tag: "WasmTrap", kind: "Unreachable" })
      yield* expectIntact(pool)
    })
  )

  live("gets no more blocks than it may have", () =>
    Effect.gen(function* () {
      const pool = yield* open({ maxMemoryPages: 64 })
      const trap = yield* told(call(pool, "eat_blocks"))
      expect(trap).toMatchObject({ _tag: "WasmTrap", kind: "OutOfMemory" })
      expect(trap.message).toContain("blocks of more than 4194304 bytes")
      yield* expectIntact(pool)
    })
  )

  live("has as many blocks as it likes if it frees them", () =>
    Effect.gen(function* () {
      const pool = yield* open({ maxMemoryPages: 64 })
      expect((yield* call(pool, "recycle_blocks")).text).toBe("100 MiB")
      yield* expectIntact(pool)
    })
  )

  live("can't ask a host that is not allowed", () =>
    Effect.gen(function* () {
      const pool = yield* open()
      const refused = yield* told(call(pool, "fetch", "http://user:secret@internal.example:8080/admin?token=1"))
      expect(refused).toMatchObject({ _tag: "HostNotAllowed", url: "http://internal.example:8080", allowed: [] })
      expect(refused.message).not.toContain("secret")
      yield* expectIntact(pool)
    })
  )

  live("does not come to be without the functions that it imports", () =>
    Effect.gen(function* () {
      let given: ExtismPool.HostFunctions = {}
      const pool = yield* open({ functions: () => given })
      const missing = { _tag: "MissingImport", module: "extism:host/user", name: "shout", kind: "function" }
      expect(yield* told(call(pool, "add"))).toMatchObject(missing)
      given = { "extism:host/user": { ...functions()["extism:host/user"], shout: 1 as never } }
      expect(yield* told(call(pool, "add"))).toMatchObject({ ...missing, _tag: "MistypedImport", given: "number" })
      given = functions()
      yield* expectIntact(pool)
    })
  )

  live("is given nothing that objects only inherit", () =>
    Effect.gen(function* () {
      for (const [module, name] of [
        ["constructor", "assign"],
        ["extism:host/user", "toString"],
        ["extism:host/env", "constructor"],
        ["env", "toString"],
        ["wasi_snapshot_preview1", "constructor"]
      ] as const) {
        const manifest = fromText(`(module (import "${module}" "${name}" (func)) (memory (export "memory") 1))`)
        const pool = yield* open({ manifest, useWasi: true, name: module })
        expect(yield* told(call(pool, "any"))).toMatchObject({ _tag: "MissingImport", module, name })
      }
    })
  )

  live("can use WASI", () =>
    Effect.gen(function* () {
      const manifest = fromText(`(module
        (import "wasi_snapshot_preview1" "clock_time_get" (func $now (param i32 i64 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func (export "now") (if (call $now (i32.const 0) (i64.const 1) (i32.const 0)) (then unreachable)))
        (func (export "exit") (call $exit (i32.const 3))))`)
      const without = yield* open({ manifest, name: "without" })
      expect(yield* told(call(without, "now"))).toMatchObject({ _tag: "MissingImport", name: "clock_time_get" })
      const pool = yield* open({ manifest, useWasi: true })
      expect((yield* call(pool, "now")).isSet).toBe(false)
      expect(yield* told(call(pool, "exit"))).toMatchObject({ _tag: "WasmTrap", kind: "HostError", export: "exit" })
      yield* expectAtRest(pool)
    })
  )

  live("does not come to be if it imports a memory", () =>
    Effect.gen(function* () {
      const manifest = fromText(`(module (import "host" "memory" (memory 1)))`)
      const pool = yield* open({ manifest, functions: () => ({ host: { memory: () => {} } }) })
      expect(yield* told(call(pool, "any"))).toMatchObject({
        _tag: "MistypedImport",
        kind: "memory",
        given: "function"
      })
    })
  )

  live("does not come to be if it traps at its start", () =>
    Effect.gen(function* () {
      const manifest = fromText(`(module (func $start unreachable) (start $start))`)
      const pool = yield* open({ manifest })
      for (let attempt = 0; attempt < 3; attempt++) {
        expect(yield* told(call(pool, "any"))).toMatchObject({ _tag: "WasmTrap", kind: "Unreachable", export: "start" })
      }
      const { creating, used } = yield* InstancePool.stats(pool)
      expect({ creating, used }).toEqual({ creating: 0, used: 0 })
    })
  )

  live("with WASI has to export its memory", () =>
    Effect.gen(function* () {
      const manifest = fromText(`(module)`)
      const refused = yield* told(open({ manifest, useWasi: true }))
      expect(refused).toMatchObject({ _tag: "InvalidPlugin", module: "0" })
      expect(refused.message).toContain(`module "0" can't be used: it exports no "memory", which WASI needs`)
    })
  )

  live("logs to the logger of the application", () =>
    Effect.gen(function* () {
      const logged: Array<unknown> = []
      const logger = Logger.make(({ fiber, logLevel, message }) => {
        logged.push([logLevel, message, fiber.getRef(References.CurrentLogAnnotations)])
      })
      yield* Effect.gen(function* () {
        const pool = yield* open()
        yield* call(pool, "log")
      }).pipe(Effect.scoped, Effect.provide(Logger.layer([logger])))
      expect(logged).toEqual([["Warn", ["mind the vowels"], { pool: "plugins" }]])
    })
  )

  live("can't be called when its lease is over", () =>
    Effect.gen(function* () {
      const pool = yield* open()
      const plugin = yield* InstancePool.use(pool, Effect.succeed)
      expect(yield* told(plugin.call("count"))).toMatchObject({ _tag: "InstanceEnded", because: "its lease is over" })
      yield* expectIntact(pool)
    })
  )

  live("does what several fibers ask of it one after the other", () =>
    Effect.gen(function* () {
      const pool = yield* open()
      const outputs = yield* InstancePool.use(pool, (plugin) =>
        Effect.forEach(["a", "b", "c", "d"], (input) => plugin.call("shout", input), { concurrency: "unbounded" })
      )
      expect(outputs.map(({ text }) => text)).toEqual(["A", "B", "C", "D"])
      yield* expectIntact(pool)
    })
  )
})

describe("An Extism pool", () => {
  it.live(
    "as a service has the pool's functions, is named after its key, and is replaced by fakes in tests",
    () =>
      Effect.gen(function* () {
        class Plugins extends ExtismPool.Service<Plugins>()(
          "app/Plugins",
          Effect.map(Effect.promise(pluginBytes), (manifest) => ({ manifest, functions }))
        ) {}
        const program = Effect.gen(function* () {
          const { name } = yield* Plugins.stats
          return [name, yield* Plugins.use((plugin) => Effect.map(plugin.call("add"), ({ text }) => text))]
        })
        expect(yield* Effect.provide(program, Plugins.layer)).toEqual(["app/Plugins", "42"])
        const fake: ExtismPool.ExtismInstance = { exports: [], call: () => Effect.die("a fake") }
        const faked = Effect.exit(Effect.provide(program, Plugins.layerTest({ create: Effect.succeed(fake) })))
        expect(yield* faked).toEqual(Exit.die("a fake"))
      }),
    patience
  )
})
