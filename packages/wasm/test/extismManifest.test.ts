/** How a plugin is found, read and refused when its pool opens. */
import { createHash } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { InstancePool } from "@effect-pools/instance"
import { ExtismPool } from "@effect-pools/wasm"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { engine } from "../src/internal/webAssembly.ts"
import { errorOf, told } from "./extismSupport.ts"
import { fromCode, fromText } from "./modules.ts"

const patience = 30_000

/** Two functions, and a memory of two pages. */
const bytes = fromText(`(module (memory (export "memory") 2) (func (export "one")) (func (export "two")))`)
const other = fromText(`(module (func (export "three")))`)
const hash = createHash("sha256").update(bytes).digest("hex")

const open = (manifest: ExtismPool.ManifestInput, options?: Partial<ExtismPool.Options>) =>
  ExtismPool.make({ name: "plugins", ...options, manifest })

const exportsOf = (manifest: ExtismPool.ManifestInput) =>
  Effect.scoped(
    Effect.flatMap(open(manifest), (pool) =>
      InstancePool.use(pool, (plugin) => Effect.as(plugin.call(plugin.exports.at(-1)!), plugin.exports))
    )
  )

const folder = mkdtempSync(join(tmpdir(), "effect-pools-extism-"))
const path = join(folder, "plugin.wasm")
writeFileSync(path, bytes)
afterAll(() => rmSync(folder, { recursive: true }))

let requests = 0
const server = createServer((request, response) => {
  requests++
  const answer = (type: string, body: string | Uint8Array) =>
    response.writeHead(200, { "content-type": type }).end(body)
  switch (request.url) {
    case "/plugin.wasm":
      return answer("application/wasm", bytes)
    case "/plugin":
      return answer("application/octet-stream", bytes)
    case "/manifest.json":
      return answer("application/json; charset=utf-8", JSON.stringify({ wasm: [{ url: urlOf("/plugin.wasm"), hash }] }))
    case "/page":
      return answer("text/html", "<h1>Plugins</h1>")
    default:
      return response.writeHead(404).end()
  }
})
const urlOf = (path: string) => `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`
beforeAll(() => new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve)))
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

describe("A manifest", () => {
  const found: Record<string, () => ExtismPool.ManifestInput | Promise<ExtismPool.ManifestInput>> = {
    bytes: () => bytes,
    "bytes that are a part of a buffer": () =>
      Buffer.concat([Buffer.from("xx"), bytes, Buffer.from("x")]).subarray(2, -1),
    "an ArrayBuffer": () => bytes.buffer,
    "a module": () => engine.compile(bytes),
    "a path": () => path,
    "the URL of a file": () => pathToFileURL(path),
    "the URL of a file, as a text": () => pathToFileURL(path).href,
    "a URL": () => new URL(urlOf("/plugin.wasm")),
    "a URL as a text, of bytes of no type": () => urlOf("/plugin"),
    "the URL of a manifest": () => urlOf("/manifest.json"),
    "a response": () => fetch(urlOf("/plugin.wasm")),
    "the response of a manifest": () => fetch(urlOf("/manifest.json")),
    JSON: () => ` {"wasm":[{"path":${JSON.stringify(path)},"hash":"${hash.toUpperCase()}"}],"memory":null}`,
    "JSON with code in Base64": () => JSON.stringify({ wasm: [{ data: Buffer.from(bytes).toString("base64"), hash }] }),
    "an object with bytes": () => ({ wasm: [{ data: new DataView(bytes.buffer), hash }] }),
    "an object with an ArrayBuffer": () => ({ wasm: [{ data: bytes.buffer, hash }] }),
    "an object with a URL": () => ({ wasm: [{ url: new URL(urlOf("/plugin.wasm")), hash }] }),
    "an object with the URL of a file": () => ({ wasm: [{ url: pathToFileURL(path), hash }] }),
    "an object with a response": async () => ({ wasm: [{ response: await fetch(urlOf("/plugin")), hash }] }),
    "an object with a module": async () => ({ wasm: [{ module: await engine.compile(bytes) }] })
  }
  for (const [what, manifest] of Object.entries(found)) {
    it.live(
      `can be ${what}`,
      () =>
        Effect.gen(function* () {
          expect(yield* exportsOf(yield* Effect.promise(async () => manifest()))).toEqual(["one", "two"])
        }),
      patience
    )
  }

  it.live("can be what an effect finds, or fails to", () =>
    Effect.gen(function* () {
      const pool = ExtismPool.make({ manifest: Effect.succeed({ wasm: [{ data: bytes }, { data: other }] }) })
      const plugin = yield* Effect.flatMap(pool, (pool) => InstancePool.get(pool))
      expect(plugin.exports).toEqual(["one", "two", "three"])
      expect((yield* plugin.call("three")).isSet).toBe(false)
      const lost = ExtismPool.make({ manifest: Effect.fail("lost" as const) })
      expect(yield* errorOf(lost)).toBe("lost")
    }).pipe(Effect.scoped)
  )

  it.live("is refused if it is a promise, and it is said that it is one", () =>
    Effect.gen(function* () {
      const promised = Promise.resolve(bytes) as unknown as ExtismPool.ManifestInput
      const detail = "is a promise, where it should be an Effect of one"
      expect(yield* told(open(promised))).toMatchObject({ _tag: "InvalidManifest", detail })
    }).pipe(Effect.scoped)
  )

  it.live("may have a URL that is none of text, and names that are undefined", () =>
    Effect.gen(function* () {
      const url = pathToFileURL(path)
      expect(yield* exportsOf({ wasm: [{ url, name: undefined, hash: undefined }] })).toEqual(["one", "two"])
    })
  )

  it.live("is read once for all instances", () =>
    Effect.gen(function* () {
      const before = requests
      const pool = yield* open(urlOf("/manifest.json"))
      yield* Effect.forEach([1, 2, 3], () => InstancePool.use(pool, (plugin) => plugin.call("one")))
      expect(requests - before).toBe(2)
    }).pipe(Effect.scoped)
  )

  const refused: Record<string, [manifest: () => unknown, reason: object, message?: string]> = {
    "bytes that are no module": [
      () => Uint8Array.of(1, 2, 3, 4),
      { _tag: "InvalidModule" },
      `Pool "plugins": this is no WebAssembly module: "0": CompileError`
    ],
    "a module that is cut off": [() => bytes.subarray(0, -3), { _tag: "InvalidModule" }],
    "a path that does not exist": [
      () => "/no/such/plugin.wasm",
      { _tag: "Unavailable", source: "/no/such/plugin.wasm" },
      `Pool "plugins": /no/such/plugin.wasm could not be read: ENOENT`
    ],
    "a URL that is not found": [
      () => urlOf("/nothing"),
      { _tag: "Unavailable" },
      `could not be read: the server answers 404 Not Found`
    ],
    "a URL that nobody answers": [() => "http://127.0.0.1:1/plugin.wasm", { _tag: "Unavailable" }],
    "a page": [() => urlOf("/page"), { _tag: "InvalidModule" }],
    "another hash": [
      () => ({ wasm: [{ name: "main", data: bytes, hash: "00" }] }),
      { _tag: "HashMismatch", module: "main", expected: "00", actual: hash },
      `Pool "plugins": the SHA-256 of main is ${hash}, but should be 00`
    ],
    "a hash of what is compiled already": [
      async () => ({ wasm: [{ module: await engine.compile(bytes), hash }] }),
      { _tag: "InvalidManifest", detail: "has a hash for a compiled module in wasm[0]" }
    ],
    "JSON that is none": [() => "{", { _tag: "InvalidManifest" }, "the manifest is no JSON: SyntaxError"],
    "no modules": [() => ({ wasm: [] }), { _tag: "InvalidManifest", detail: "names no modules in wasm" }],
    "no wasm": [() => ({ config: {} }), { _tag: "InvalidManifest", detail: "names no modules in wasm" }],
    "a field that is not known": [
      () => ({ wasm: [{ data: bytes }], allowedHosts: ["a.example"] }),
      { _tag: "InvalidManifest", detail: "has a field that is not known: allowedHosts" }
    ],
    "a module from nowhere": [
      () => ({ wasm: [{ data: bytes }, { name: "second" }] }),
      { _tag: "InvalidManifest", detail: "must have exactly one of data, path, url, module, response in wasm[1]" }
    ],
    "a module from two places": [() => ({ wasm: [{ data: bytes, path }] }), { _tag: "InvalidManifest" }],
    "a module that is null": [() => ({ wasm: [null] }), { _tag: "InvalidManifest" }],
    "a module that is none": [() => ({ wasm: [{ module: {} }] }), { _tag: "InvalidManifest" }],
    "bytes that are none": [() => ({ wasm: [{ data: 7 }] }), { _tag: "InvalidManifest" }],
    "a path that is no text": [
      () => ({ wasm: [{ path: 5 }] }),
      { _tag: "InvalidManifest", detail: "has no text in wasm[0].path" }
    ],
    "a URL that is no text": [
      () => ({ wasm: [{ data: bytes }, { url: {} }] }),
      { _tag: "InvalidManifest", detail: "has no text in wasm[1].url" }
    ],
    "a name that is no text": [
      () => ({ wasm: [{ name: 5, data: bytes }] }),
      { _tag: "InvalidManifest", detail: "has no text in wasm[0].name" }
    ],
    "a response that is none": [
      () => ({ wasm: [{ response: Promise.resolve() }] }),
      { _tag: "InvalidManifest", detail: "has no Response in wasm[0].response" }
    ],
    "a URL that can't be read from": [
      () => "ftp://a.example/plugin.wasm",
      {
        _tag: "InvalidManifest",
        detail: "is at a URL that is neither http, https nor file: ftp://a.example/plugin.wasm"
      }
    ],
    "a function": [() => () => bytes, { _tag: "InvalidManifest", detail: "is no object" }],
    "a number": [() => 7, { _tag: "InvalidManifest", detail: "is no object" }]
  }
  for (const [what, [manifest, reason, message]] of Object.entries(refused)) {
    it.live(
      `is refused if it is or has ${what}`,
      () =>
        Effect.gen(function* () {
          const input = yield* Effect.promise(async () => manifest())
          const error = yield* Effect.scoped(told(open(input as ExtismPool.ManifestInput)))
          expect(error).toMatchObject({ pool: "plugins", ...reason })
          if (message !== undefined) expect(error.message).toContain(message)
        }),
      patience
    )
  }
})

describe("A pool", () => {
  it.live("does not open if the plugin does not export what it must", () =>
    Effect.gen(function* () {
      expect(yield* told(open(bytes, { exports: ["one", "three"] }))).toEqual({
        _tag: "FunctionNotFound",
        pool: "plugins",
        function: "three",
        available: ["one", "two"],
        message: `Pool "plugins": the plugin exports no function "three", but one, two`
      })
      expect(yield* told(open(bytes, { exports: ["memory"] }))).toMatchObject({ _tag: "FunctionNotFound" })
      expect(yield* told(open(fromText("(module)"), { exports: ["one"] }))).toMatchObject({ available: [] })
      yield* open(bytes, { exports: ["one", "two"] })
    }).pipe(Effect.scoped)
  )

  it.live("does not open if a memory is larger than it may be, or can't be limited", () =>
    Effect.gen(function* () {
      const tooLarge = { _tag: "MemoryLimit", pages: 2, limit: 1 }
      expect(yield* told(open(bytes, { maxMemoryPages: 1 }))).toMatchObject(tooLarge)
      expect(yield* told(open({ wasm: [{ data: bytes }], memory: { max_pages: 1 } }))).toMatchObject(tooLarge)
      expect(yield* told(open(bytes.subarray(0, 9), { maxMemoryPages: 1 }))).toMatchObject({ _tag: "InvalidModule" })
      const module = yield* Effect.promise(() => engine.compile(bytes))
      expect(yield* told(open(module, { maxMemoryPages: 2 }))).toMatchObject({ _tag: "MemoryNotLimitable" })
      expect(yield* told(open(fromCode(), { maxMemoryPages: 2 }))).toMatchObject({ _tag: "MemoryNotLimitable" })
      yield* open({ wasm: [{ data: bytes }], memory: { max_pages: 1 } }, { maxMemoryPages: 2 })
    }).pipe(Effect.scoped)
  )

  const bad: ReadonlyArray<[field: string, options: object]> = [
    ["manifest", { manifest: undefined }],
    ["manifest", { manifest: null }],
    ["functions", { functions: {} }],
    ["config", { config: [] }],
    ["config.greeting", { config: { greeting: 1 } }],
    ["allowedHosts", { allowedHosts: "a.example" }],
    ["allowedHosts", { allowedHosts: [1] }],
    ["allowedPaths", { allowedPaths: "/tmp" }],
    ["allowedPaths./tmp", { allowedPaths: { "/tmp": null } }],
    ["useWasi", { useWasi: "yes" }],
    ["runInWorker", { runInWorker: 1 }],
    ["callTimeout", { callTimeout: 0 }],
    ["callTimeout", { callTimeout: "soon" }],
    ["maxMemoryPages", { maxMemoryPages: -1 }],
    ["maxMemoryPages", { maxMemoryPages: 1.5 }],
    ["exports", { exports: "one" }],
    ["max", { max: 0 }],
    ["name", { name: "" }],
    ["timeout", { timeout: 1 }],
    ["create", { create: Effect.void }],
    ["manifest.timeout_ms", { manifest: { wasm: [{ data: bytes }], timeout_ms: -1 } }],
    ["manifest.memory.max_pages", { manifest: { wasm: [{ data: bytes }], memory: { max_pages: -1 } } }],
    [
      "manifest.memory.max_http_response_bytes",
      { manifest: { wasm: [{ data: bytes }], memory: { max_http_response_bytes: "5" } } }
    ],
    ["manifest.memory.max_var_bytes", { manifest: { wasm: [{ data: bytes }], memory: { max_var_bytes: -1 } } }],
    ["manifest.memory.max_bytes", { manifest: { wasm: [{ data: bytes }], memory: { max_bytes: 1 } } }],
    ["manifest.allowed_hosts", { manifest: { wasm: [{ data: bytes }], allowed_hosts: {} } }],
    ["manifest.allowed_paths", { manifest: { wasm: [{ data: bytes }], allowed_paths: [] } }],
    ["manifest.config.a", { manifest: { wasm: [{ data: bytes }], config: { a: 1 } } }],
    ["runInWorker", { manifest: { wasm: [{ data: bytes }], timeout_ms: 1 }, runInWorker: false }]
  ]
  for (const [field, options] of bad) {
    const shown = Object.entries(options).map(([name, value]) => `${name}: ${String(value)}`)
    it.live(`refuses ${shown.join(", ")}, naming ${field}`, () =>
      Effect.gen(function* () {
        const made = ExtismPool.make({ manifest: bytes, ...options } as ExtismPool.Options)
        expect(yield* Effect.scoped(errorOf(made))).toMatchObject({ _tag: "InvalidOptions", field })
      })
    )
  }

  it.live("refuses options that are none", () =>
    Effect.gen(function* () {
      for (const options of [undefined, null, 7, "plugin.wasm"]) {
        const made = ExtismPool.make(options as unknown as ExtismPool.Options)
        expect(yield* Effect.scoped(errorOf(made))).toMatchObject({ _tag: "InvalidOptions", field: "options" })
      }
    })
  )
})
