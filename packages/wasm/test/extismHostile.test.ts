/** Who has failed, when a plugin and its host both do: the same in this thread and in one of its own. */
import { InstancePool } from "@effect-pools/instance"
import { ExtismError, ExtismPool, type WasmTrap } from "@effect-pools/wasm"
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { engine } from "../src/internal/webAssembly.ts"
import { errorOf, told } from "./extismSupport.ts"
import { caught, character, textPlugin } from "./extismText.ts"
import { fromText } from "./modules.ts"

const patience = 60_000

const asking = `(drop (call $ask (i64.const 0)))`

const throwing =
  (error: () => unknown): ExtismPool.HostFunction =>
  () => {
    throw error()
  }

describe.each([
  { where: "in this thread", runInWorker: false },
  { where: "in a thread of its own", runInWorker: true }
])("A plugin $where", ({ runInWorker }) => {
  const open = (body: string, ask: ExtismPool.HostFunction = () => 0n, more?: string) =>
    ExtismPool.make({
      manifest: textPlugin(body, more),
      name: "plugins",
      functions: () => ({ "extism:host/user": { ask } }),
      runInWorker
    })
  const call = (...[body, ask, more]: Parameters<typeof open>) =>
    Effect.scoped(
      Effect.flatMap(open(body, ask, more), (pool) => InstancePool.use(pool, (plugin) => plugin.call("run")))
    )
  const live = <A, E>(name: string, test: () => Effect.Effect<A, E, any>) =>
    it.live(name, () => Effect.scoped(test()) as Effect.Effect<A, E>, patience)

  live("that calls a host which fails has ended with the host's error, whatever that is", () =>
    Effect.gen(function* () {
      const trapping = yield* Effect.promise(() =>
        engine.compile(fromText(`(module (func (export "run") unreachable))`))
      )
      const trap = () => {
        try {
          return (new engine.Instance(trapping).exports["run"] as () => unknown)()
        } catch (error) {
          return error
        }
      }
      const reason = new ExtismError.CallTimeout({ pool: "other", function: "theirs", timeout: 5 })
      for (const failure of [
        trap(),
        ExtismError.make(reason),
        new Error("Plugin-originated error: not mine"),
        new RangeError("out of memory"),
        undefined,
        { toString: 1 }
      ]) {
        const error = (yield* errorOf(
          call(
            asking,
            throwing(() => failure)
          )
        )) as WasmTrap.WasmTrap
        expect(error).toMatchObject({ _tag: "WasmTrap", kind: "HostError", pool: "plugins", export: "run" })
        expect(error.cause).toBe(failure)
        expect(error.message).toContain("the host failed")
      }
    })
  )

  live("that catches the host's failure has not ended, and traps by itself if it does", () =>
    Effect.gen(function* () {
      const fails = throwing(() => new Error("the host's"))
      expect((yield* call(caught(asking), fails)).isSet).toBe(false)
      expect(yield* told(call(`${caught(asking)} unreachable`, fails))).toMatchObject({ kind: "Unreachable" })
      const thrown = yield* told(call(`${caught(asking)} (throw $own)`, fails, `(tag $own)`))
      expect(thrown).toMatchObject({ kind: "GuestException" })
    })
  )

  live("that passes the host's failure on has ended with it", () =>
    Effect.gen(function* () {
      const failure = new Error("the host's")
      const error = yield* errorOf(
        call(
          `(try $outer (do ${asking}) (catch_all (rethrow $outer)))`,
          throwing(() => failure)
        )
      )
      expect((error as WasmTrap.WasmTrap).cause).toBe(failure)
    })
  )

  live("sees a block once, however often it hands it to the host", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const many = `(import "extism:host/user" "many" (func $many (param i64 i64 i64)))`
      const body = `${character("a")} (call $many (local.get $a) (local.get $a) (i64.add (local.get $a) (i64.const 1)))`
      const pool = yield* ExtismPool.make({
        manifest: textPlugin(body, many),
        functions: () => ({
          "extism:host/user": {
            ask: () => 0n,
            many: ({ read }, ...addresses: Array<bigint>) =>
              void seen.push(...addresses.map((address) => read(address)?.text))
          }
        }),
        runInWorker
      })
      yield* InstancePool.use(pool, (plugin) => plugin.call("run"))
      expect(seen).toEqual(["a", "a", "a"])
    })
  )

  live("can be called by a function that was taken out of it", () =>
    Effect.gen(function* () {
      const pool = yield* open("")
      expect(yield* InstancePool.use(pool, ({ call }) => Effect.map(call("run"), ({ isSet }) => isSet))).toBe(false)
    })
  )

  live("that returns a number and reports no error has succeeded", () =>
    Effect.gen(function* () {
      expect((yield* call(`(return (i32.const 9))`)).isSet).toBe(false)
    })
  )

  live("is not called with options that are not known", () =>
    Effect.gen(function* () {
      const pool = yield* open("")
      const misspelt = { timeot: 5 } as ExtismPool.CallOptions
      const called = InstancePool.use(pool, (plugin) => plugin.call("run", "", misspelt))
      expect(yield* errorOf(called)).toMatchObject({ _tag: "InvalidOptions", pool: "plugins", field: "timeot" })
    })
  )

  live("does not come to be of a promise of functions, nor of a namespace that is none", () =>
    Effect.gen(function* () {
      const manifest = textPlugin("")
      const needed = { module: "extism:host/user", name: "ask" }
      const promised = (() => Promise.resolve({})) as unknown as () => ExtismPool.HostFunctions
      const first = yield* ExtismPool.make({ manifest, functions: promised, runInWorker })
      const refused = yield* told(Effect.scoped(InstancePool.get(first)))
      expect(refused).toMatchObject({ ...needed, _tag: "MistypedImport", given: "promise" })
      expect(refused.message).toContain("functions has given a promise")
      for (const group of [undefined, null]) {
        const functions = () => ({ "extism:host/user": group as never })
        const pool = yield* ExtismPool.make({ manifest, functions, runInWorker })
        expect(yield* told(Effect.scoped(InstancePool.get(pool)))).toMatchObject({ ...needed, _tag: "MissingImport" })
      }
    })
  )
})

describe("A plugin that logs without end", () => {
  it.live(
    "waits for its logger with each line, and leaves the process its time",
    () =>
      Effect.gen(function* () {
        const many = yield* Deferred.make<void>()
        let lines = 0
        let most = 0
        let inTurn = 0
        const logger = Logger.make(() => {
          most = Math.max(most, ++inTurn)
          setImmediate(() => (inTurn = 0))
          if (++lines === 1000) Deferred.doneUnsafe(many, Effect.void)
        })
        yield* Effect.gen(function* () {
          const pool = yield* ExtismPool.make({
            manifest: textPlugin(`${character("a")} (loop $again (call $log (local.get $a)) (br $again))`),
            functions: () => ({ "extism:host/user": { ask: () => 0n } }),
            runInWorker: true
          })
          yield* InstancePool.use(pool, (plugin) => Effect.raceFirst(plugin.call("run"), Deferred.await(many)))
        }).pipe(Effect.scoped, Effect.provide(Logger.layer([logger])))
        expect(lines).toBeGreaterThanOrEqual(1000)
        expect(most).toBeLessThan(3)
      }),
    patience
  )
})

describe("An error of Extism's", () => {
  it("has a message whatever was thrown", () => {
    const hostile = Object.defineProperty(new Error("x"), "message", {
      get: () => {
        throw new Error("no")
      }
    })
    for (const cause of [{ toString: 1 }, Object.create(null), Symbol("no"), undefined, hostile]) {
      expect(new ExtismError.ThreadEnded({ pool: "plugins", cause }).message).toContain(`Pool "plugins": the thread`)
      expect(new ExtismError.Unavailable({ pool: "plugins", source: "a", cause }).message).toContain(
        "could not be read: "
      )
    }
  })
})
