/** Reads a manifest and compiles what it names, once for all instances. */
import { createHash } from "node:crypto"
import { readFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as ExtismError from "../ExtismError.ts"
import type { Manifest, ManifestInput, ManifestWasm } from "../ExtismPool.ts"
import * as WasmError from "../WasmError.ts"
import type { CompiledModule } from "../WasmInstancePool.ts"
import type { NamedModule } from "./extismGuest.ts"
import { isPromise } from "./isPromise.ts"
import { limitMemory } from "./limitMemory.ts"
import { engine, isModule } from "./webAssembly.ts"

type LoadError = ExtismError.ExtismError | WasmError.WasmError

/** The manifest itself, wherever it comes from; code without one is a manifest of one item. */
export const readManifest = (pool: string, input: ManifestInput): Effect.Effect<Manifest, ExtismError.ExtismError> =>
  Effect.gen(function* () {
    if (typeof input === "string") {
      if (/^\s*\{/.test(input)) return yield* parse(pool, input)
      if (/^(?:https?|file):\/\//i.test(input)) return yield* readUrl(pool, input)
      if (/^[a-z][a-z\d+.-]+:\/\//i.test(input)) {
        return yield* invalid(pool, `is at a URL that is neither http, https nor file: ${input}`)
      }
      return yield* checkManifest(pool, { wasm: [{ path: input }] })
    }
    if (input instanceof URL) return yield* readUrl(pool, input.href)
    if (input instanceof Response) return yield* readResponse(pool, input)
    if (input instanceof ArrayBuffer || ArrayBuffer.isView(input)) return { wasm: [{ data: input }] }
    if (isModule(input)) return { wasm: [{ module: input as CompiledModule }] }
    return yield* checkManifest(pool, input)
  })

const readUrl = (pool: string, url: string): Effect.Effect<Manifest, ExtismError.ExtismError> =>
  url.startsWith("file:")
    ? Effect.map(readBytes(pool, url), (data) => ({ wasm: [{ data }] }))
    : Effect.flatMap(request(pool, url), (response) => readResponse(pool, response))

const readResponse = (pool: string, response: Response): Effect.Effect<Manifest, ExtismError.ExtismError> => {
  const source = response.url || "the response"
  const isJson = /^(?:application|text)\/json\b/.test(response.headers.get("content-type") ?? "")
  return isJson
    ? Effect.flatMap(
        attempt(pool, source, () => response.text()),
        (text) => parse(pool, text)
      )
    : Effect.map(bodyOf(pool, source, response), (data) => ({ wasm: [{ data }] }))
}

const parse = (pool: string, json: string): Effect.Effect<Manifest, ExtismError.ExtismError> =>
  Effect.suspend(() => {
    try {
      return checkManifest(pool, JSON.parse(json))
    } catch (error) {
      return invalid(pool, `is no JSON: ${String(error)}`)
    }
  })

const fields = new Set(["wasm", "config", "allowed_hosts", "allowed_paths", "timeout_ms", "memory"])
const sources = ["data", "path", "url", "module", "response"]

/** Of a module. A URL is as good as its text. */
const texts = ["name", "hash", "path", "url"]

const isText = (value: unknown): boolean => value === undefined || typeof value === "string" || value instanceof URL

const checkManifest = (pool: string, manifest: unknown): Effect.Effect<Manifest, ExtismError.ExtismError> => {
  if (isPromise(manifest)) return invalid(pool, "is a promise, where it should be an Effect of one")
  if (typeof manifest !== "object" || manifest === null) return invalid(pool, "is no object")
  const unknown = Object.keys(manifest).find((field) => !fields.has(field))
  if (unknown !== undefined) return invalid(pool, `has a field that is not known: ${unknown}`)
  const { wasm } = manifest as Manifest
  if (!Array.isArray(wasm) || wasm.length === 0) return invalid(pool, "names no modules in wasm")
  const bad = wasm.findIndex(
    (item: unknown) =>
      typeof item !== "object" || item === null || sources.filter((source) => source in item).length !== 1
  )
  if (bad >= 0) return invalid(pool, `must have exactly one of ${sources.join(", ")} in wasm[${bad}]`)
  for (const [index, item] of wasm.entries()) {
    const wrong = texts.find((field) => field in item && !isText(item[field as keyof ManifestWasm]))
    if (wrong !== undefined) return invalid(pool, `has no text in wasm[${index}].${wrong}`)
    if ("response" in item && !(item.response instanceof Response)) {
      return invalid(pool, `has no Response in wasm[${index}].response`)
    }
  }
  return Effect.succeed(manifest as Manifest)
}

/** Reads, verifies, limits and compiles all modules. */
export const loadModules = (
  pool: string,
  manifest: Manifest,
  maxMemoryPages: number
): Effect.Effect<ReadonlyArray<NamedModule>, LoadError> =>
  Effect.forEach(manifest.wasm, (item, index) => loadModule(pool, item, index, maxMemoryPages), {
    concurrency: "unbounded"
  })

const loadModule = (
  pool: string,
  item: ManifestWasm,
  index: number,
  maxMemoryPages: number
): Effect.Effect<NamedModule, LoadError> =>
  Effect.gen(function* () {
    const name = item.name ?? String(index)
    if ("module" in item) {
      if (!isModule(item.module)) return yield* invalid(pool, `has no WebAssembly.Module in wasm[${index}].module`)
      if (item.hash !== undefined) return yield* invalid(pool, `has a hash for a compiled module in wasm[${index}]`)
      if (maxMemoryPages < Infinity) return yield* notLimitable(pool, `"${name}" is compiled already`)
      return { name, module: item.module }
    }
    const bytes = yield* bytesOf(pool, item, index)
    if (item.hash !== undefined) yield* verify(pool, name, bytes, item.hash)
    return { name, module: yield* compile(pool, name, yield* limit(pool, name, bytes, maxMemoryPages)) }
  })

const bytesOf = (
  pool: string,
  item: Exclude<ManifestWasm, { readonly module: object }>,
  index: number
): Effect.Effect<Uint8Array<ArrayBuffer>, ExtismError.ExtismError> => {
  if ("path" in item) return readBytes(pool, item.path)
  if ("response" in item) return bodyOf(pool, item.response.url || "the response", item.response)
  if ("url" in item) {
    const url = String(item.url)
    return url.startsWith("file:")
      ? readBytes(pool, url)
      : Effect.flatMap(request(pool, url), (response) => bodyOf(pool, url, response))
  }
  const { data } = item
  if (typeof data === "string") return Effect.succeed(Uint8Array.from(Buffer.from(data, "base64")))
  if (data instanceof ArrayBuffer) return Effect.succeed(new Uint8Array(data.slice(0)))
  if (!ArrayBuffer.isView(data)) return invalid(pool, `has no bytes in wasm[${index}].data`)
  return Effect.succeed(Uint8Array.from(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)))
}

const verify = (
  pool: string,
  module: string,
  bytes: Uint8Array,
  expected: string
): Effect.Effect<void, ExtismError.ExtismError> => {
  const actual = createHash("sha256").update(bytes).digest("hex")
  if (actual === String(expected).toLowerCase()) return Effect.void
  return Effect.fail(
    ExtismError.make(new ExtismError.HashMismatch({ pool, module, expected: String(expected), actual }))
  )
}

const limit = (
  pool: string,
  name: string,
  bytes: Uint8Array<ArrayBuffer>,
  pages: number
): Effect.Effect<Uint8Array<ArrayBuffer>, WasmError.WasmError> => {
  if (pages === Infinity) return Effect.succeed(bytes)
  const limited = limitMemory(bytes, pages)
  switch (limited._tag) {
    case "Limited":
      return Effect.succeed(limited.bytes)
    case "TooLarge":
      return refuse(new WasmError.MemoryLimit({ pool, what: limited.what, pages: limited.pages, limit: limited.limit }))
    case "HasObjects":
      return Effect.andThen(
        compile(pool, name, bytes),
        notLimitable(pool, `"${name}" has structs or arrays in the engine's own heap, which nothing limits`)
      )
    case "Unreadable":
      // What is no module at all, the engine can say better.
      return Effect.andThen(
        compile(pool, name, bytes),
        notLimitable(pool, `the memories or tables of "${name}" are not known here`)
      )
  }
}

const compile = (
  pool: string,
  name: string,
  bytes: Uint8Array<ArrayBuffer>
): Effect.Effect<object, WasmError.WasmError> =>
  Effect.tryPromise({
    try: () => engine.compile(bytes),
    catch: (cause) =>
      new WasmError.WasmError({ reason: new WasmError.InvalidModule({ pool, problem: `"${name}": ${String(cause)}` }) })
  })

const request = (pool: string, url: string): Effect.Effect<Response, ExtismError.ExtismError> =>
  attempt(pool, url, async (signal) => {
    const response = await fetch(url, { signal })
    if (!response.ok) throw new Error(`the server answers ${response.status} ${response.statusText}`)
    return response
  })

const bodyOf = (pool: string, source: string, response: Response) =>
  attempt(pool, source, async () => new Uint8Array(await response.arrayBuffer()))

const readBytes = (pool: string, path: string) =>
  attempt(pool, path, async (signal) =>
    Uint8Array.from(await readFile(path.startsWith("file:") ? fileURLToPath(path) : path, { signal }))
  )

const attempt = <A>(
  pool: string,
  source: string,
  f: (signal: AbortSignal) => Promise<A>
): Effect.Effect<A, ExtismError.ExtismError> =>
  Effect.tryPromise({
    try: f,
    catch: (cause) => ExtismError.make(new ExtismError.Unavailable({ pool, source, cause }))
  })

const invalid = (pool: string, detail: string): Effect.Effect<never, ExtismError.ExtismError> =>
  Effect.fail(ExtismError.make(new ExtismError.InvalidManifest({ pool, detail })))

const refuse = (reason: WasmError.WasmErrorReason): Effect.Effect<never, WasmError.WasmError> =>
  Effect.fail(new WasmError.WasmError({ reason }))

const notLimitable = (pool: string, problem: string) => refuse(new WasmError.MemoryNotLimitable({ pool, problem }))
