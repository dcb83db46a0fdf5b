import * as Effect from "effect/Effect"
import {
  InvalidModule,
  MemoryLimit,
  MemoryNotLimitable,
  MissingExport,
  MissingImport,
  WasmError,
  type WasmErrorReason
} from "../WasmError.ts"
import { inWords } from "./inWords.ts"
import type { Checked } from "./options.ts"
import { limitMemory } from "./limitMemory.ts"
import {
  type Bytes,
  engine,
  type ExportDescriptor,
  type ImportDescriptor,
  isBytes,
  isModule,
  kindOf
} from "./webAssembly.ts"

/** A module that is compiled and checked, and of which instances can be made. */
export interface Program {
  readonly pool: string
  readonly module: object
  readonly imports: ReadonlyArray<ImportDescriptor>
  readonly maxMemoryPages: number | undefined
  /** Whether its guests may run functions of the host, or throw errors, that are not among its imports. */
  readonly isPartlyUnseen: boolean
}

/** Compiles what the option `module` has given, and checks all that can be checked before there are instances. */
export const compile = (source: unknown, options: Checked): Effect.Effect<Program, WasmError> =>
  Effect.gen(function* () {
    const { maxMemoryPages, name: pool } = options
    const module = yield* toModule(source, pool, maxMemoryPages)
    const exports = engine.Module.exports(module)
    const missing = missingExport(exports, options)
    if (missing !== undefined) return yield* failure(missing)
    const imports = engine.Module.imports(module)
    const [first] = imports
    if (options.imports === undefined && first !== undefined) {
      return yield* failure(new MissingImport({ pool, module: first.module, name: first.name, kind: first.kind }))
    }
    // A table holds functions; a tag makes errors of values.
    const isPartlyUnseen = [...imports, ...exports].some(({ kind }) => kind === "table" || kind === "tag")
    return { pool, module, imports, maxMemoryPages, isPartlyUnseen }
  })

const toModule = (source: unknown, pool: string, limit: number | undefined): Effect.Effect<object, WasmError> => {
  if (isModule(source)) {
    if (limit === undefined) return Effect.succeed(source)
    return failure(new MemoryNotLimitable({ pool, problem: "it is compiled already, and only bytes can be changed" }))
  }
  if (!isBytes(source)) return failure(new InvalidModule({ pool, problem: `it is no bytes, but ${kindOf(source)}` }))
  const bytes = toArray(source)
  if (limit === undefined) return compileBytes(bytes, pool)
  const limited = limitMemory(bytes, limit)
  switch (limited._tag) {
    case "Limited":
      return compileBytes(limited.bytes, pool)
    case "TooLarge":
      return failure(new MemoryLimit({ pool, what: limited.what, pages: limited.pages, limit: limited.limit }))
    case "HasObjects": {
      const problem = "it has structs or arrays in the engine's own heap, which nothing limits"
      return Effect.andThen(compileBytes(bytes, pool), failure(new MemoryNotLimitable({ pool, problem })))
    }
    case "Unreadable": {
      // What is wrong with it the engine knows best. If it finds nothing, it knows more than is known here.
      const problem = "the engine accepts something in them that is not known here"
      return Effect.andThen(compileBytes(bytes, pool), failure(new MemoryNotLimitable({ pool, problem })))
    }
  }
}

const compileBytes = (bytes: Uint8Array, pool: string): Effect.Effect<object, WasmError> =>
  Effect.tryPromise({
    try: () => engine.compile(bytes),
    catch: (error) =>
      new WasmError({
        reason: new InvalidModule({ pool, problem: inWords(error) })
      })
  })

/** Some engines take no `DataView`. */
const toArray = (bytes: Bytes): Uint8Array =>
  ArrayBuffer.isView(bytes) ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength) : new Uint8Array(bytes)

const missingExport = (
  exports: ReadonlyArray<ExportDescriptor>,
  { exports: wanted, name: pool }: Checked
): MissingExport | undefined => {
  for (const [name, { kind }] of Object.entries(wanted)) {
    const found = exports.find((found) => found.name === name)
    if (found?.kind === kind) continue
    return new MissingExport({
      pool,
      name,
      kind,
      ...(found === undefined ? {} : { found: found.kind }),
      exports: exports.map(({ name }) => name)
    })
  }
  return undefined
}

const failure = (reason: WasmErrorReason): Effect.Effect<never, WasmError> => Effect.fail(new WasmError({ reason }))
