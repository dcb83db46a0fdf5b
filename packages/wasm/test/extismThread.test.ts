/** What only plugins with threads of their own do, or those without. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import type { Worker } from "node:worker_threads"
import { readdirSync } from "node:fs"
import { execFileSync } from "node:child_process"
import { InstancePool } from "@effect-pools/instance"
import type { WasmTrap } from "@effect-pools/wasm"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { pluginBytes } from "./extismPlugin.ts"
import { call, errorOf, expectAtRest, expectIntact, functions, open, text, told } from "./extismSupport.ts"
import { fromText } from "./modules.ts"

const patience = 60_000

const live = <A, E>(name: string, test: () => Effect.Effect<A, E, Scope.Scope>) =>
  it.live(name, () => Effect.scoped(test()), patience)

// To compile the plugin takes seconds.
beforeAll(() => pluginBytes(), 120_000)

/** Every thread that was started since, those that have ended included. */
const threads: Array<Worker> = []
const notice = (thread: Worker) => threads.push(thread)
beforeAll(() => void process.on("worker", notice))
afterAll(() => void process.off("worker", notice))

/** Node takes the number away from a thread that has ended. */
const running = () => threads.filter(({ threadId }) => threadId !== -1)

const withFunctions = (user: object) => () => ({
  "extism:host/user": { ...functions()["extism:host/user"], ...user }
})

describe("A call that takes too long", () => {
  live("fails, and its thread has ended then, while others are served", () =>
    Effect.gen(function* () {
      const pool = yield* open({ callTimeout: "1 minute" })
      const neighbour = yield* InstancePool.get(pool)
      let ticks = 0
      const ticking = setInterval(() => ticks++, 1)
      yield* InstancePool.use(pool, (plugin) =>
        Effect.gen(function* () {
          const before = running()
          const late = yield* Effect.forkChild(told(plugin.call("run_away", "", { timeout: "500 millis" })), {
            startImmediately: true
          })
          for (let n = 0; n < 3; n++) {
            const input = `still here ${n}`
            expect((yield* neighbour.call("echo", input)).text).toBe(input)
          }
          expect(yield* Fiber.join(late)).toEqual({
            _tag: "CallTimeout",
            pool: "plugins",
            function: "run_away",
            timeout: 500,
            message: `Pool "plugins": "run_away" took longer than 500 ms`
          })
          expect(before.length - running().length).toBe(1)
          expect(yield* told(plugin.call("count"))).toMatchObject({
            _tag: "InstanceEnded",
            because: `a call of "run_away" timed out`
          })
        })
      )
      clearInterval(ticking)
      expect(ticks).toBeGreaterThan(10)
      expect((yield* neighbour.call("count")).text).toBe("1+")
      expect((yield* InstancePool.stats(pool)).used).toBe(1)
    })
  )

  live("has the time that the call is given, and not the pool's", () =>
    Effect.gen(function* () {
      const pool = yield* open({ callTimeout: "1 hour" })
      const late = InstancePool.use(pool, (plugin) => plugin.call("run_away", "", { timeout: "50 millis" }))
      expect(yield* told(late)).toMatchObject({ _tag: "CallTimeout", timeout: 50 })
      const patient = InstancePool.use(pool, (plugin) => plugin.call("count", "", { timeout: Infinity }))
      expect((yield* patient).text).toBe("1+")
      yield* expectIntact(pool)
      expect(running().length).toBe(0)
    })
  )

  it.effect(
    "is timed by Effect's clock",
    () =>
      Effect.gen(function* () {
        const pool = yield* open({ callTimeout: "1 hour" })
        const plugin = yield* InstancePool.get(pool)
        const late = yield* Effect.forkChild(told(plugin.call("run_away")), { startImmediately: true })
        yield* TestClock.adjust("59 minutes")
        expect(late.pollUnsafe()).toBeUndefined()
        yield* TestClock.adjust("1 minute")
        expect(yield* Fiber.join(late)).toMatchObject({ _tag: "CallTimeout", timeout: 3_600_000 })
      }).pipe(Effect.scoped),
    patience
  )

  live("has the time that the manifest says, if the pool says nothing", () =>
    Effect.gen(function* () {
      const wasm = [{ data: yield* Effect.promise(pluginBytes) }]
      const pool = yield* open({ manifest: { wasm, timeout_ms: 100 } })
      expect(yield* told(call(pool, "run_away"))).toMatchObject({ _tag: "CallTimeout", timeout: 100 })
      yield* expectAtRest(pool)
    })
  )

  live("is ended also while it waits for the host, whose function is told", () =>
    Effect.gen(function* () {
      let signal: AbortSignal | undefined
      const pool = yield* open({
        callTimeout: "1 minute",
        functions: withFunctions({
          shout: (context: { signal: AbortSignal }) => {
            signal = context.signal
            return new Promise<never>(() => {})
          }
        })
      })
      // Enough for the thread to come to the host's function.
      const late = InstancePool.use(pool, (plugin) => plugin.call("shout", "help", { timeout: "2 seconds" }))
      expect(yield* told(late)).toMatchObject({ _tag: "CallTimeout" })
      expect(signal!.aborted).toBe(true)
      expect(running().length).toBe(0)
      yield* expectIntact(pool)
    })
  )

  live("makes nothing of what the host answers when it is too late", () =>
    Effect.gen(function* () {
      const answer = yield* Deferred.make<string>()
      const pool = yield* open({
        callTimeout: "1 minute",
        functions: withFunctions({
          shout: async (context: { store: (text: string) => bigint }) =>
            context.store(await Effect.runPromise(Deferred.await(answer)))
        })
      })
      const late = InstancePool.use(pool, (plugin) => plugin.call("shout", "help", { timeout: "300 millis" }))
      expect(yield* told(late)).toMatchObject({ _tag: "CallTimeout" })
      yield* Deferred.succeed(answer, "late")
      expect(yield* text(pool, "shout", "help")).toBe("late")
      yield* expectAtRest(pool)
    })
  )

  live("can't be ended without a thread of its own, and so is not allowed to be asked for", () =>
    Effect.gen(function* () {
      const refused = { _tag: "InvalidOptions", pool: "plugins" }
      expect(yield* errorOf(open({ callTimeout: "1 second", runInWorker: false }))).toMatchObject({
        ...refused,
        field: "runInWorker"
      })
      const pool = yield* open()
      const limited = InstancePool.use(pool, (plugin) => plugin.call("count", "", { timeout: "1 second" }))
      expect(yield* errorOf(limited)).toMatchObject({ ...refused, field: "timeout" })
      for (const timeout of [-1, 0, NaN, "soon" as never]) {
        const call = InstancePool.use(pool, (plugin) => plugin.call("count", "", { timeout }))
        expect(yield* errorOf(call)).toMatchObject({ ...refused, field: "timeout" })
      }
      yield* expectIntact(pool)
    })
  )
})

describe("A thread", () => {
  live("ends with the fiber that waits for a runaway", () =>
    Effect.gen(function* () {
      const pool = yield* open({ runInWorker: true })
      yield* InstancePool.use(pool, (plugin) =>
        Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(plugin.call("run_away"), { startImmediately: true })
          expect(running().length).toBe(1)
          yield* Fiber.interrupt(fiber)
          expect(running().length).toBe(0)
        })
      )
      yield* expectIntact(pool)
    })
  )

  live("of a lease goes on with no call that was interrupted", () =>
    Effect.gen(function* () {
      const pool = yield* open({ runInWorker: true })
      const plugin = yield* InstancePool.get(pool)
      yield* Effect.timeoutOption(plugin.call("run_away"), "50 millis")
      expect(yield* told(plugin.call("count"))).toMatchObject({
        _tag: "InstanceEnded",
        because: `a call of "run_away" was interrupted`
      })
    })
  )

  live("ends with the pool, whatever it is doing", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const pool = yield* Scope.provide(open({ runInWorker: true, closeGrace: 0 }), scope)
      const plugin = yield* Scope.provide(InstancePool.get(pool), yield* Scope.make())
      const fiber = yield* Effect.forkChild(told(plugin.call("run_away")), { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "InstanceEnded", because: "its lease is over" })
      yield* expectAtRest(pool)
      expect(running().length).toBe(0)
    })
  )

  live("is ended if its plugin runs away at the start", () =>
    Effect.gen(function* () {
      const manifest = fromText(`(module (func $start (loop (br 0))) (start $start))`)
      const pool = yield* open({ manifest, runInWorker: true, createTimeout: "500 millis" })
      expect(yield* errorOf(call(pool, "any"))).toMatchObject({
        _tag: "PoolError",
        reason: { _tag: "AcquireTimeout", phase: "create" }
      })
      yield* expectAtRest(pool)
      expect(running().length).toBe(0)
    })
  )

  live("that ends by itself fails the call that is under way", () =>
    Effect.gen(function* () {
      const pool = yield* open({ runInWorker: true })
      const plugin = yield* InstancePool.get(pool)
      const fiber = yield* Effect.forkChild(told(plugin.call("run_away")), { startImmediately: true })
      yield* Effect.promise(() => running()[0]!.terminate())
      const ended = yield* Fiber.join(fiber)
      expect(ended).toMatchObject({ _tag: "ThreadEnded", pool: "plugins" })
      expect(ended.message).toBe(`Pool "plugins": the thread of an instance has ended: it has exited with 1`)
      expect(yield* told(plugin.call("count"))).toMatchObject({ _tag: "InstanceEnded", because: ended.message })
    })
  )

  live("that has ended by itself fails the next call", () =>
    Effect.gen(function* () {
      const pool = yield* open({ runInWorker: true })
      yield* InstancePool.use(pool, (plugin) =>
        Effect.gen(function* () {
          yield* Effect.promise(() => running()[0]!.terminate())
          expect(yield* told(plugin.call("count"))).toMatchObject({ _tag: "ThreadEnded" })
          expect(yield* told(plugin.call("count"))).toMatchObject({ _tag: "InstanceEnded" })
        })
      )
      yield* expectIntact(pool)
    })
  )

  live("can be prepared", () =>
    Effect.gen(function* () {
      const pool = yield* open({ runInWorker: true, prepare: 1 })
      const idle = Effect.map(InstancePool.stats(pool), ({ idle }) => idle)
      yield* Effect.repeat(Effect.andThen(Effect.sleep("1 millis"), idle), { until: (idle) => idle === 1 })
      const output = yield* InstancePool.useIfAvailable(pool, (plugin) => plugin.call("count"))
      expect(output).toMatchObject({ _tag: "Some", value: { isSet: true } })
    })
  )
})

describe("A function of the host", () => {
  const shout = async (context: { read: any; store: any }, address: bigint): Promise<bigint> => {
    const { text } = context.read(address)
    await Effect.runPromise(Effect.sleep("1 millis"))
    return context.store(`${text}!`)
  }

  live("can take its time if the plugin has a thread", () =>
    Effect.gen(function* () {
      const pool = yield* open({ runInWorker: true, functions: withFunctions({ shout }) })
      expect(yield* text(pool, "shout", "help")).toBe("help!")
      // More than fits into a message of Extism's own.
      const long = "x".repeat(300_000)
      expect(yield* text(pool, "shout", long)).toBe(`${long}!`)
      yield* expectIntact(pool)
    })
  )

  live("can fail later too", () =>
    Effect.gen(function* () {
      const failure = new Error("not today")
      const pool = yield* open({
        runInWorker: true,
        functions: withFunctions({ shout: () => Promise.reject(failure) })
      })
      const trap = (yield* errorOf(call(pool, "shout", "help"))) as WasmTrap.WasmTrap
      expect(trap).toMatchObject({ _tag: "WasmTrap", kind: "HostError" })
      expect(trap.cause).toBe(failure)
      yield* expectIntact(pool)
    })
  )

  live("can't take its time if the plugin has no thread", () =>
    Effect.gen(function* () {
      const pool = yield* open({ functions: withFunctions({ shout }) })
      const trap = yield* told(call(pool, "shout", "help"))
      expect(trap).toMatchObject({ _tag: "WasmTrap", kind: "HostError" })
      expect(trap.message).toContain("extism:host/user/shout gave a promise, which needs runInWorker")
      yield* expectIntact(pool)
    })
  )
})

describe("HTTP", () => {
  const server = createServer((request, response) => {
    if (request.url === "/moved") response.writeHead(302, { location: "http://internal.example/" }).end("over there")
    else if (request.url === "/never") return
    else response.writeHead(203).end(`${request.method} ${request.url}`)
  })
  beforeAll(() => new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve)))
  afterAll(() => {
    server.closeAllConnections()
    server.close()
  })
  const urlOf = (path: string) => `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`

  live("reaches the hosts that are allowed", () =>
    Effect.gen(function* () {
      for (const allowedHosts of [["127.0.0.1"], ["other.example", "127.*"], ["12?.0.0.1"]]) {
        const pool = yield* open({ allowedHosts, name: allowedHosts.join() })
        expect(yield* text(pool, "fetch", urlOf("/hello"))).toBe("203 GET /hello")
      }
    })
  )

  live("reaches no other", () =>
    Effect.gen(function* () {
      const allowedHosts = ["*.example", "127x0.0.1", "27.0.0.1"]
      const pool = yield* open({ allowedHosts })
      expect(yield* told(call(pool, "fetch", urlOf("/hello")))).toMatchObject({
        _tag: "HostNotAllowed",
        allowed: allowedHosts
      })
      yield* expectIntact(pool)
    })
  )

  live("is not led from one that is allowed to another", () =>
    Effect.gen(function* () {
      const pool = yield* open({ allowedHosts: ["127.0.0.1"] })
      expect(yield* text(pool, "fetch", urlOf("/moved"))).toBe("302 over there")
    })
  )

  live("is given up when the call has taken too long", () =>
    Effect.gen(function* () {
      const closed = new Promise<void>((resolve) => server.once("request", (request) => request.once("close", resolve)))
      const pool = yield* open({ allowedHosts: ["127.0.0.1"], callTimeout: "500 millis" })
      expect(yield* told(call(pool, "fetch", urlOf("/never")))).toMatchObject({ _tag: "CallTimeout" })
      yield* Effect.promise(() => closed)
      yield* expectAtRest(pool)
    })
  )

  live("of what is no URL is an error of the host's", () =>
    Effect.gen(function* () {
      const pool = yield* open({ allowedHosts: ["*"] })
      expect(yield* told(call(pool, "fetch", "nowhere"))).toMatchObject({ _tag: "WasmTrap", kind: "HostError" })
      yield* expectIntact(pool)
    })
  )

  live("needs a thread", () =>
    Effect.gen(function* () {
      expect(yield* errorOf(open({ allowedHosts: ["a.example"], runInWorker: false }))).toMatchObject({
        _tag: "InvalidOptions",
        field: "runInWorker"
      })
    })
  )
})

describe("The process", () => {
  const openFiles = () => readdirSync("/proc/self/fd").length

  for (const [where, runInWorker, leases] of [
    ["in this thread", false, 200],
    ["in threads", true, 10]
  ] as const) {
    it.live.skipIf(process.platform !== "linux")(
      `has no more open files after many plugins with WASI ${where}`,
      () =>
        Effect.scoped(
          Effect.gen(function* () {
            const pool = yield* open({ useWasi: true, runInWorker, onExhausted: "wait" })
            yield* expectIntact(pool)
            const before = openFiles()
            for (let n = 0; n < leases; n++) yield* call(pool, "count_vowels", "hello")
            yield* expectIntact(pool)
            // Each plugin has two; a few others come and go in a process with threads.
            expect(openFiles() - before).toBeLessThan(leases)
          })
        ),
      patience
    )
  }

  it(
    "can have flags that no thread takes",
    () => {
      const code = Buffer.from(fromText(`(module (func (export "one")))`)).toString("base64")
      const script = `
      import { InstancePool } from "@effect-pools/instance"
      import { ExtismPool } from "@effect-pools/wasm"
      import { Effect } from "effect"
      const pool = ExtismPool.make({ manifest: { wasm: [{ data: "${code}" }] }, callTimeout: "10 seconds" })
      const one = Effect.flatMap(pool, (pool) => InstancePool.use(pool, (plugin) => plugin.call("one")))
      console.log((await Effect.runPromise(Effect.scoped(one))).isSet)`
      const args = ["--no-warnings", "--expose-gc", "--eval", script]
      const said = execFileSync(process.execPath, args, { cwd: import.meta.dirname, encoding: "utf8" })
      expect(said.trim()).toBe("false")
    },
    patience
  )

  it(
    "does not load Extism before a pool of plugins is opened",
    () => {
      const script = `
      await import("@effect-pools/wasm")
      const before = process.moduleLoadList.includes("NativeModule wasi")
      await import("@extism/extism")
      console.log(before, process.moduleLoadList.includes("NativeModule wasi"))`
      const args = ["--no-warnings", "--input-type=module", "--eval", script]
      const said = execFileSync(process.execPath, args, { cwd: import.meta.dirname, encoding: "utf8" })
      expect(said.trim()).toBe("false true")
    },
    patience
  )
})
