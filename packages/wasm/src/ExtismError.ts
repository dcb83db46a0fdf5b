/**
 * What can go wrong with an Extism plugin, apart from its modules as such, which are for `WasmError`, and from traps,
 * which are `WasmTrap`.
 *
 * There is one error, {@link ExtismError}, with a `reason`, as `SqlError` does it: `Effect.catchTag("ExtismError", …)`
 * takes them all, `Effect.catchReason("ExtismError", "CallTimeout", …)` one of them.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { inWords } from "./internal/inWords.ts"

/**
 * The manifest can't be used. `detail` says what is wrong with it.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidManifest extends Schema.TaggedError<InvalidManifest>("effect-pools/ExtismError/InvalidManifest")(
  "InvalidManifest",
  { pool: Schema.String, detail: Schema.String }
) {
  override get message(): string {
    return `Pool "${this.pool}": the manifest ${this.detail}`
  }
}

/**
 * Something of the manifest could not be read or fetched. `source` is the path or the URL.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unavailable extends Schema.TaggedError<Unavailable>("effect-pools/ExtismError/Unavailable")(
  "Unavailable",
  { pool: Schema.String, source: Schema.String, cause: Schema.Defect() }
) {
  override get message(): string {
    return `Pool "${this.pool}": ${this.source} could not be read: ${inWords(this.cause)}`
  }
}

/**
 * The code of a module is not what the manifest says it is.
 *
 * @category errors
 * @since 0.1.0
 */
export class HashMismatch extends Schema.TaggedError<HashMismatch>("effect-pools/ExtismError/HashMismatch")(
  "HashMismatch",
  { pool: Schema.String, module: Schema.String, expected: Schema.String, actual: Schema.String }
) {
  override get message(): string {
    return `Pool "${this.pool}": the SHA-256 of ${this.module} is ${this.actual}, but should be ${this.expected}`
  }
}

/**
 * A module is sound, but can't be used as a plugin. `problem` says why.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidPlugin extends Schema.TaggedError<InvalidPlugin>("effect-pools/ExtismError/InvalidPlugin")(
  "InvalidPlugin",
  { pool: Schema.String, module: Schema.String, problem: Schema.String }
) {
  override get message(): string {
    return `Pool "${this.pool}": module "${this.module}" can't be used: ${this.problem}`
  }
}

/**
 * The plugin exports no such function.
 *
 * @category errors
 * @since 0.1.0
 */
export class FunctionNotFound extends Schema.TaggedError<FunctionNotFound>("effect-pools/ExtismError/FunctionNotFound")(
  "FunctionNotFound",
  { pool: Schema.String, function: Schema.String, available: Schema.Array(Schema.String) }
) {
  override get message(): string {
    return (
      `Pool "${this.pool}": the plugin exports no function "${this.function}", ` +
      `but ${this.available.length === 0 ? "none at all" : this.available.join(", ")}`
    )
  }
}

/**
 * The plugin has reported an error of its own. `text` is what it said. Its instance can be called again.
 *
 * @category errors
 * @since 0.1.0
 */
export class PluginError extends Schema.TaggedError<PluginError>("effect-pools/ExtismError/PluginError")(
  "PluginError",
  { pool: Schema.String, function: Schema.String, text: Schema.String }
) {
  override get message(): string {
    return `Pool "${this.pool}": "${this.function}" reports: ${this.text}`
  }
}

/**
 * The plugin has asked for a URL of a host that is not among those allowed. Its instance has ended.
 *
 * @category errors
 * @since 0.1.0
 */
export class HostNotAllowed extends Schema.TaggedError<HostNotAllowed>("effect-pools/ExtismError/HostNotAllowed")(
  "HostNotAllowed",
  { pool: Schema.String, url: Schema.String, allowed: Schema.Array(Schema.String) }
) {
  override get message(): string {
    const allowed = this.allowed.length === 0 ? "no host" : this.allowed.join(", ")
    return `Pool "${this.pool}": the plugin may not ask for ${this.url}; allowedHosts: ${allowed}`
  }
}

/**
 * A call took longer than it may, in milliseconds. The thread of its instance has been ended.
 *
 * @category errors
 * @since 0.1.0
 */
export class CallTimeout extends Schema.TaggedError<CallTimeout>("effect-pools/ExtismError/CallTimeout")(
  "CallTimeout",
  { pool: Schema.String, function: Schema.String, timeout: Schema.Number }
) {
  override get message(): string {
    return `Pool "${this.pool}": "${this.function}" took longer than ${this.timeout} ms`
  }
}

/**
 * The thread of an instance has ended by itself, for lack of memory say.
 *
 * @category errors
 * @since 0.1.0
 */
export class ThreadEnded extends Schema.TaggedError<ThreadEnded>("effect-pools/ExtismError/ThreadEnded")(
  "ThreadEnded",
  { pool: Schema.String, cause: Schema.Defect() }
) {
  override get message(): string {
    return `Pool "${this.pool}": the thread of an instance has ended: ${inWords(this.cause)}`
  }
}

/**
 * The instance is of no more use: a call before this one trapped, timed out or was interrupted, or the lease is over.
 *
 * @category errors
 * @since 0.1.0
 */
export class InstanceEnded extends Schema.TaggedError<InstanceEnded>("effect-pools/ExtismError/InstanceEnded")(
  "InstanceEnded",
  { pool: Schema.String, function: Schema.String, because: Schema.String }
) {
  override get message(): string {
    return `Pool "${this.pool}": "${this.function}" can't be called, as its instance has ended: ${this.because}`
  }
}

/**
 * @category errors
 * @since 0.1.0
 */
export type ExtismErrorReason =
  | InvalidManifest
  | Unavailable
  | HashMismatch
  | InvalidPlugin
  | FunctionNotFound
  | PluginError
  | HostNotAllowed
  | CallTimeout
  | ThreadEnded
  | InstanceEnded

/**
 * Something is wrong with a plugin, or with a call of it. `reason` says what.
 *
 * @category errors
 * @since 0.1.0
 */
export class ExtismError extends Schema.TaggedError<ExtismError>("effect-pools/ExtismError")("ExtismError", {
  reason: Schema.Union([
    InvalidManifest,
    Unavailable,
    HashMismatch,
    InvalidPlugin,
    FunctionNotFound,
    PluginError,
    HostNotAllowed,
    CallTimeout,
    ThreadEnded,
    InstanceEnded
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

/**
 * Makes an {@link ExtismError}.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (reason: ExtismErrorReason): ExtismError => new ExtismError({ reason })
