/** How much the host keeps for a plugin: the same in this thread and in one of its own. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { InstancePool } from "@effect-pools/instance"
import { ExtismPool } from "@effect-pools/wasm"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { told } from "./extismSupport.ts"
import { block, caught, character, textPlugin, times } from "./extismText.ts"

const patience = 60_000

const page = 65_536

const answering = (ask: ExtismPool.HostFunction) => () => ({ "extism:host/user": { ask } })

describe.each([
  { where: "in this thread", runInWorker: false },
  { where: "in a thread of its own", runInWorker: true }
])("A plugin with one page $where", ({ runInWorker }) => {
  const open = (body: string, options?: Partial<ExtismPool.Options>) =>
    ExtismPool.make({
      manifest: textPlugin(body),
      name: "plugins",
      maxMemoryPages: 1,
      functions: answering(() => 0n),
      runInWorker,
      ...options
    })
  const call = (body: string, options?: Partial<ExtismPool.Options>, input?: string | Uint8Array) =>
    Effect.scoped(
      Effect.flatMap(open(body, options), (pool) => InstancePool.use(pool, (plugin) => plugin.call("run", input)))
    )
  const live = <A, E>(name: string, test: () => Effect.Effect<A, E, any>) =>
    it.live(name, () => Effect.scoped(test()) as Effect.Effect<A, E>, patience)
  const outOfMemory = { _tag: "WasmTrap", kind: "OutOfMemory", export: "run" }

  for (const size of ["-1", "-4611686018427387904", "1099511627776", "50000000"]) {
    live(`gets no block of ${size} bytes`, () =>
      Effect.gen(function* () {
        const asked = `(drop (call $alloc (i64.const ${size})))`
        expect(yield* told(call(asked))).toMatchObject(outOfMemory)
        if (size !== "50000000")
          expect(yield* told(call(asked, { maxMemoryPages: undefined }))).toMatchObject(outOfMemory)
        // Nor does it gain anything by asking.
        const again = caught(asked) + times(2, `(drop (call $alloc (i64.const 40000)))`)
        expect(yield* told(call(again))).toMatchObject(outOfMemory)
        expect((yield* call(caught(asked) + `(drop (call $alloc (i64.const 40000)))`)).isSet).toBe(false)
      })
    )
  }

  live("gets no end of empty blocks, nor of numbers for blocks", () =>
    Effect.gen(function* () {
      const empty = times(100_000, `(drop (call $alloc (i64.const 0)))`)
      expect(yield* told(call(empty))).toMatchObject(outOfMemory)
      // Beyond that Extism would take one block for another.
      const freed = (count: number) => times(count, `(call $free (call $alloc (i64.const 0)))`)
      expect(yield* told(call(freed(32_767), { maxMemoryPages: undefined }))).toMatchObject(outOfMemory)
      expect((yield* call(freed(32_766))).isSet).toBe(false)
    })
  )

  live("may have an empty block freed, and have it again", () =>
    Effect.gen(function* () {
      const body = times(5000, `(call $free (call $alloc (i64.const 0))) (call $free (call $alloc (i64.const 30000)))`)
      expect((yield* call(body)).isSet).toBe(false)
    })
  )

  live("gets no input that is larger", () =>
    Effect.gen(function* () {
      expect(yield* told(call("", {}, new Uint8Array(page)))).toMatchObject(outOfMemory)
      expect(yield* told(call("", {}, "ö".repeat(page / 2)))).toMatchObject(outOfMemory)
      expect((yield* call("", {}, new Uint8Array(page - 128))).isSet).toBe(false)
      const andMore = `(call $free (call $input)) (drop (call $alloc (i64.const 40000)))`
      expect(yield* told(call(andMore, {}, new Uint8Array(40_000)))).toMatchObject(outOfMemory)
    })
  )

  live("is given no more than that by functions of the host, which know how much it is", () =>
    Effect.gen(function* () {
      let room: number | undefined
      const storing = (size: number) =>
        answering((context) => {
          room = context.room
          return context.store(new Uint8Array(size))
        })
      const body = `(local.set $a (call $ask (i64.const 0))) (call $output (local.get $a) (call $length (local.get $a)))`
      expect(yield* told(call(body, { functions: storing(page) }))).toMatchObject(outOfMemory)
      expect(room).toBe(page - 2 * 128)
      expect((yield* call(body, { functions: storing(page - 2 * 128) })).bytes.length).toBe(room)
      yield* call(body, { functions: storing(1), maxMemoryPages: undefined })
      expect(room).toBe(Infinity)
    })
  )

  live("has no more variables than that, their names included", () =>
    Effect.gen(function* () {
      const name = `(call $store8 (local.get $a) (i64.extend_i32_u (local.get $n)))`
      const named =
        `(local.set $a (call $alloc (i64.const 1000)))` +
        times(60, `${name} (call $var_set (local.get $a) (local.get $a))`)
      expect(yield* told(call(named))).toMatchObject(outOfMemory)
      const one = `${character("a")} ${times(1000, `(call $var_set (local.get $a) (local.get $a))`)}`
      expect((yield* call(one)).isSet).toBe(false)
      const manifest = { wasm: [{ data: textPlugin(one) }], memory: { max_var_bytes: 130 } }
      expect(yield* told(call("", { manifest }))).toMatchObject(outOfMemory)
      const enough = { ...manifest, memory: { max_var_bytes: 131 } }
      expect((yield* call("", { manifest: enough })).isSet).toBe(false)
    })
  )

  live("has no more of its configuration than that", () =>
    Effect.gen(function* () {
      const body = character("a") + times(3, `(drop (call $config_get (local.get $a)))`)
      expect(yield* told(call(body, { config: { a: "x".repeat(30_000) } }))).toMatchObject(outOfMemory)
      expect((yield* call(body, { config: { a: "" } })).isSet).toBe(false)
    })
  )

  live("begins each call without the blocks of the last, and keeps its variables", () =>
    Effect.gen(function* () {
      // Takes what is in the variable, sets it to the input, and does not free a thing.
      const body = `${character("a")} (local.get $a) (call $var_get) (call $var_set (local.get $a) (call $input))
        (call $output (call $var_get (local.get $a)) (i64.const 0)) (drop)`
      const pool = yield* open(body)
      yield* InstancePool.use(pool, (plugin) =>
        Effect.gen(function* () {
          for (let n = 0; n < 20; n++) {
            const input = new Uint8Array(10_000).fill(n)
            expect((yield* plugin.call("run", input)).bytes).toEqual(input)
          }
        })
      )
    })
  )

  live("has a copy of what it sets a variable to", () =>
    Effect.gen(function* () {
      const body = `${character("a")} (call $var_set (local.get $a) (local.get $a)) (call $store (local.get $a) (i32.const 98))
        (call $var_set (local.get $a) (i64.const 0)) (call $store (local.get $a) (i32.const 97))
        (local.set $a (call $var_get (local.get $a))) (call $output (local.get $a) (i64.const 0))`
      expect((yield* call(body)).text).toBe("a")
      const unset = `${character("a")} (call $var_set (local.get $a) (local.get $a)) (call $var_set (local.get $a) (i64.const 0))
        (if (i64.ne (call $var_get (local.get $a)) (i64.const 0)) (then unreachable))`
      expect((yield* call(unset)).isSet).toBe(false)
      const nowhere = `${character("a")} (call $var_set (local.get $a) (i64.const 99999999999999999))`
      expect(yield* told(call(nowhere))).toMatchObject({ kind: "HostError" })
    })
  )
})

describe("An answer over HTTP", () => {
  let sent = 0
  const chunk = Buffer.alloc(1 << 16)
  const server = createServer((_request, response) => {
    const more = (): void => {
      while (sent < 100 * 2 ** 20) {
        sent += chunk.length
        if (!response.write(chunk)) return void response.once("drain", more)
      }
      response.end()
    }
    more()
  })
  beforeAll(() => new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve)))
  afterAll(() => {
    server.closeAllConnections()
    server.close()
  })

  for (const [what, memory] of [
    ["has memory", { max_pages: 4 }],
    ["may have of answers", { max_http_response_bytes: 1000 }]
  ] as const) {
    it.live(
      `is read no further than a plugin ${what} for it`,
      () =>
        Effect.gen(function* () {
          sent = 0
          const { port } = server.address() as AddressInfo
          const body = `${block(`{"url":"http://127.0.0.1:${port}/"}`)} (drop (call $http (local.get $a) (i64.const 0)))`
          const http = `(import "extism:host/env" "http_request" (func $http (param i64 i64) (result i64)))`
          const pool = yield* ExtismPool.make({
            manifest: { wasm: [{ data: textPlugin(body, http) }], memory },
            functions: answering(() => 0n),
            allowedHosts: ["127.0.0.1"]
          })
          const refused = yield* told(InstancePool.use(pool, (plugin) => plugin.call("run")))
          expect(refused).toMatchObject({ _tag: "WasmTrap", kind: "OutOfMemory" })
          expect(refused.message).toContain("the answer has more than ")
          expect(sent).toBeLessThan(50 * 2 ** 20)
        }).pipe(Effect.scoped),
      patience
    )
  }
})
