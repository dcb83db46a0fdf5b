/**
 * What is wrong with a module, with what it is given, or with how it is called, as far as the guest has no part in it.
 *
 * There is one error, {@link WasmError}, with a `reason`: `Effect.catchTag("WasmError", …)` takes them all,
 * `Effect.catchReason("WasmError", "MissingImport", …)` one of them.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { inWords } from "./internal/inWords.ts"

/**
 * The bytes are no module, or none that this engine takes. `problem` is what the engine says.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidModule extends Schema.TaggedError<InvalidModule>("effect-pools/WasmError/InvalidModule")(
  "InvalidModule",
  { pool: Schema.String, problem: Schema.String }
) {
  override get message(): string {
    return `Pool "${this.pool}": this is no WebAssembly module: ${this.problem}`
  }
}

/**
 * The module needs an import that it is not given.
 *
 * @category errors
 * @since 0.1.0
 */
export class MissingImport extends Schema.TaggedError<MissingImport>("effect-pools/WasmError/MissingImport")(
  "MissingImport",
  { pool: Schema.String, module: Schema.String, name: Schema.String, kind: Schema.String }
) {
  override get message(): string {
    return `Pool "${this.pool}": the module imports the ${this.kind} "${this.module}" "${this.name}", which is missing`
  }
}

/**
 * What an import is given does not fit. `problem` says why: it is something else (`given`), or has another type, as the
 * engine tells when it links the two.
 *
 * @category errors
 * @since 0.1.0
 */
export class MistypedImport extends Schema.TaggedError<MistypedImport>("effect-pools/WasmError/MistypedImport")(
  "MistypedImport",
  {
    pool: Schema.String,
    module: Schema.String,
    name: Schema.String,
    kind: Schema.String,
    given: Schema.String,
    problem: Schema.String
  }
) {
  override get message(): string {
    return `Pool "${this.pool}": the ${this.kind} "${this.module}" "${this.name}" does not fit: ${this.problem}`
  }
}

/**
 * The module does not export what it is asked for. `found` is what it exports by that name, if anything, and `exports` all
 * that it exports.
 *
 * @category errors
 * @since 0.1.0
 */
export class MissingExport extends Schema.TaggedError<MissingExport>("effect-pools/WasmError/MissingExport")(
  "MissingExport",
  {
    pool: Schema.String,
    name: Schema.String,
    kind: Schema.String,
    found: Schema.optionalKey(Schema.String),
    exports: Schema.Array(Schema.String)
  }
) {
  override get message(): string {
    const { exports, found, kind, name, pool } = this
    const has = exports.length === 0 ? "nothing" : exports.join(", ")
    return found === undefined
      ? `Pool "${pool}": the module exports no ${kind} "${name}", but ${has}`
      : `Pool "${pool}": the module's export "${name}" is no ${kind}, but a ${found}`
  }
}

/**
 * A memory needs more pages of 64 KiB than its share of `maxMemoryPages`, or has them already, as one that is imported can;
 * or a table needs as much.
 *
 * @category errors
 * @since 0.1.0
 */
export class MemoryLimit extends Schema.TaggedError<MemoryLimit>("effect-pools/WasmError/MemoryLimit")("MemoryLimit", {
  pool: Schema.String,
  what: Schema.Literals(["memory", "table"]),
  pages: Schema.Number,
  limit: Schema.Number
}) {
  override get message(): string {
    const { limit, pages, pool, what } = this
    return `Pool "${pool}": a ${what} of the module has ${pages} pages, more than ${limit} (maxMemoryPages)`
  }
}

/**
 * The memories of this module can't be limited: it is compiled already, it has objects in the
 * engine's own heap as well, or they are of a kind that is not known here.
 *
 * @category errors
 * @since 0.1.0
 */
export class MemoryNotLimitable extends Schema.TaggedError<MemoryNotLimitable>(
  "effect-pools/WasmError/MemoryNotLimitable"
)("MemoryNotLimitable", { pool: Schema.String, problem: Schema.String }) {
  override get message(): string {
    return `Pool "${this.pool}": the module's memories can't be limited to maxMemoryPages: ${this.problem}`
  }
}

/**
 * A function can't be called with these arguments: one is not what its type can be made of. Nothing of the guest has run.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidArguments extends Schema.TaggedError<InvalidArguments>("effect-pools/WasmError/InvalidArguments")(
  "InvalidArguments",
  { pool: Schema.String, export: Schema.String, cause: Schema.Defect() }
) {
  override get message(): string {
    return `Pool "${this.pool}": "${this.export}" can't be called with these arguments: ${inWords(this.cause)}`
  }
}

/**
 * The instance has ended with its lease, and is called all the same.
 *
 * @category errors
 * @since 0.1.0
 */
export class Ended extends Schema.TaggedError<Ended>("effect-pools/WasmError/Ended")("Ended", {
  pool: Schema.String,
  export: Schema.String
}) {
  override get message(): string {
    return `Pool "${this.pool}": "${this.export}" is called of an instance whose lease has ended`
  }
}

/**
 * @category errors
 * @since 0.1.0
 */
export type WasmErrorReason =
  | InvalidModule
  | MissingImport
  | MistypedImport
  | MissingExport
  | MemoryLimit
  | MemoryNotLimitable
  | InvalidArguments
  | Ended

/**
 * A module can't be used, or not like this. `reason` says why.
 *
 * @category errors
 * @since 0.1.0
 */
export class WasmError extends Schema.TaggedError<WasmError>("effect-pools/WasmError")("WasmError", {
  reason: Schema.Union([
    InvalidModule,
    MissingImport,
    MistypedImport,
    MissingExport,
    MemoryLimit,
    MemoryNotLimitable,
    InvalidArguments,
    Ended
  ])
}) {
  override readonly cause = this.reason

  override get message(): string {
    return this.reason.message
  }

  get pool(): string {
    return this.reason.pool
  }
}
