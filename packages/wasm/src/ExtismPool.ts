/**
 * Extism plugins as fresh instances of an `InstancePool`.
 *
 * **When to use**
 *
 * For plugins written with one of Extism's kits, whose state must never pass from one caller to the next.
 *
 * **What it does**
 *
 * - The plugin's code is fetched, verified and compiled once, when the pool opens; a lease pays for an instance only.
 * - With `callTimeout`, instances run in threads of their own: a call that takes too long is ended, thread and all, and
 *   disturbs nobody meanwhile.
 * - All that can go wrong is a typed error: `ExtismError`, `WasmError` for the modules as such, `WasmTrap` for traps.
 *
 * @since 0.1.0
 */
import type * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import * as InstancePool from "@effect-pools/instance/InstancePool"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ExtismError } from "./ExtismError.ts"
import type { ExtismOutput } from "./ExtismOutput.ts"
import { toInstanceOptions } from "./internal/extismSetup.ts"
import type { WasmError } from "./WasmError.ts"
import type { CompiledModule } from "./WasmInstancePool.ts"
import type { WasmTrap } from "./WasmTrap.ts"

/**
 * A pool of instances of one plugin. All functions of `InstancePool` work on it. `E` is what the host's functions can fail
 * to be made with.
 *
 * @category models
 * @since 0.1.0
 */
export type ExtismPool<E = never> = InstancePool.InstancePool<ExtismInstance, CreateError<E>>

/**
 * What building an instance can fail with.
 *
 * @category errors
 * @since 0.1.0
 */
export type CreateError<E = never> = E | ExtismError | WasmError | WasmTrap

/**
 * What calling a plugin can fail with.
 *
 * @category errors
 * @since 0.1.0
 */
export type CallError = ExtismError | WasmTrap

/**
 * A plugin that nobody has used before.
 *
 * **Details**
 *
 * Variables, globals and memory last as long as the lease; blocks, in which Extism passes data, only as long as a call.
 * Calls of several fibers run one after the other.
 *
 * After a trap, a timeout or an interruption the instance has ended: later calls fail with `InstanceEnded`, which says
 * because of what. An error that the plugin reports (`PluginError`) is no end.
 *
 * @category models
 * @since 0.1.0
 */
export interface ExtismInstance {
  /** The names of the functions that the plugin exports. */
  readonly exports: ReadonlyArray<string>
  /**
   * Calls a function of the plugin. The input is empty unless given.
   *
   * **Gotchas**
   *
   * What the function returns is not looked at, as Extism does not: a plugin reports an error by `error_set`, and one that
   * only returns a number other than 0 has succeeded. Functions of plugins take no parameters; those that do get nothing
   * for them, which for an i64 is a `HostError` trap.
   */
  readonly call: {
    (name: string, input?: string | Uint8Array): Effect.Effect<ExtismOutput, CallError>
    (
      name: string,
      input: string | Uint8Array,
      options: CallOptions
    ): Effect.Effect<ExtismOutput, CallError | InvalidOptions.InvalidOptions>
  }
}

/**
 * @category options
 * @since 0.1.0
 */
export interface CallOptions {
  /** How long this call may take, once it is its turn. Default: the pool's `callTimeout`. Needs instances with threads of their own. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * What a host's function is given: access to the memory that plugin and host share.
 *
 * @category models
 * @since 0.1.0
 */
export interface HostContext {
  /** Reads the block at an address that the function was called with, or has stored itself. */
  readonly read: (address: bigint) => ExtismOutput | undefined
  /** Stores a block, and gives its address, for the function to return. */
  readonly store: (content: string | Uint8Array) => bigint
  /** How many bytes a block could have when the function was called: `Infinity` without a limit of memory. */
  readonly room: number
  /** Aborted when the instance ends. */
  readonly signal: AbortSignal
}

/**
 * A function that the plugin may import. It may give a promise if instances have threads of their own.
 *
 * **Details**
 *
 * Whatever it throws is thrown through the plugin. If that does not catch it, the instance ends, and the caller gets a
 * `WasmTrap` of kind `HostError` with it as `cause`.
 *
 * **Gotchas**
 *
 * A function that waits for a call of its own plugin waits for ever: that call has its turn after the one under way.
 *
 * @category models
 * @since 0.1.0
 */
export type HostFunction = (
  context: HostContext,
  // As the plugin declares them: an address or another i64 is a bigint, all else a number.
  ...values: Array<any>
) => bigint | number | void | Promise<bigint | number | void>

/**
 * The host's functions, by namespace and name. What is usually expected of an application is in `extism:host/user`.
 *
 * @category models
 * @since 0.1.0
 */
export type HostFunctions = Readonly<Record<string, Readonly<Record<string, HostFunction>>>>

/**
 * One module of a plugin: its code, or where that is. With `hash`, its SHA-256 in hexadecimal digits, it is verified.
 *
 * @category models
 * @since 0.1.0
 */
export type ManifestWasm = { readonly name?: string | undefined; readonly hash?: string | undefined } & (
  | { /** In JSON, in Base64. */ readonly data: ArrayBuffer | ArrayBufferView | string }
  | { readonly path: string }
  | { readonly url: string | URL }
  | { readonly response: Response }
  | { /** A `WebAssembly.Module`. It can't have a hash. */ readonly module: CompiledModule }
)

/**
 * Extism's description of a plugin. What it has besides `wasm` counts where the pool's options say nothing.
 *
 * @category models
 * @since 0.1.0
 */
export interface Manifest {
  readonly wasm: ReadonlyArray<ManifestWasm>
  readonly config?: Readonly<Record<string, string>> | null | undefined
  readonly allowed_hosts?: ReadonlyArray<string> | null | undefined
  readonly allowed_paths?: Readonly<Record<string, string>> | null | undefined
  readonly timeout_ms?: number | null | undefined
  readonly memory?: ManifestMemory | null | undefined
}

/**
 * What a plugin may have: pages as in `maxMemoryPages`, and bytes of an answer over HTTP and of all variables with their
 * names. What is beyond is an `OutOfMemory` trap.
 *
 * @category models
 * @since 0.1.0
 */
export interface ManifestMemory {
  readonly max_pages?: number | null | undefined
  readonly max_http_response_bytes?: number | null | undefined
  readonly max_var_bytes?: number | null | undefined
}

/**
 * A manifest, or what stands for one: JSON of one, its URL or the response from there; or code alone: bytes, a
 * `WebAssembly.Module`, a URL, a response, or a path, which is what any other string is.
 *
 * @category models
 * @since 0.1.0
 */
export type ManifestInput = Manifest | string | URL | Response | ArrayBuffer | ArrayBufferView | CompiledModule

/**
 * How to make a pool: the plugin, and the options of an `InstancePool`. Only `manifest` is required.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options<E = never, R = never, ME = never, MR = never> extends Omit<
  InstancePool.Options<ExtismInstance, never, never>,
  "create"
> {
  /** The plugin. What it names is read and compiled once, when the pool opens. */
  readonly manifest: ManifestInput | Effect.Effect<ManifestInput, ME, MR>
  /**
   * Makes the functions that the plugin imports. It is called for each instance, so that none shares their state with
   * another. What an effect adds to its scope is run when the instance is destroyed. Default: none.
   */
  readonly functions?: (() => HostFunctions | Effect.Effect<HostFunctions, E, R>) | undefined
  /** What the plugin can look up, in addition to what the manifest has in `config`. */
  readonly config?: Readonly<Record<string, string>> | undefined
  /**
   * The hosts that the plugin may ask over HTTP; `*` stands for any characters, `?` for one. It is not led to others:
   * redirects are handed to the plugin. Only instances with threads of their own can wait for answers. Default: those of
   * the manifest, or else none.
   */
  readonly allowedHosts?: ReadonlyArray<string> | undefined
  /** Folders that a plugin with WASI can open: where it sees them, and where they are. Default: the manifest's, or none. */
  readonly allowedPaths?: Readonly<Record<string, string>> | undefined
  /** Whether the plugin is given WASI. It sees no input, and what it prints is lost. Default `false`. */
  readonly useWasi?: boolean | undefined
  /**
   * How long a call may take. One that takes longer fails with `CallTimeout`, and its thread is ended. Default: that of
   * the manifest, or else no limit.
   */
  readonly callTimeout?: Duration.Input | undefined
  /**
   * How many pages of 64 KiB the memory of each module may have, and its tables, as in a `WasmInstancePool`: what is
   * beyond, the plugin does not get. As much again it may have in all that Extism keeps for it: its variables, and the
   * blocks of a call, which are the input, what functions of the host store, answers over HTTP, and what it allocates
   * itself. What is beyond is an `OutOfMemory` trap. Default: that of the manifest, or else no limit.
   */
  readonly maxMemoryPages?: number | undefined
  /** Functions that the plugin must export, or the pool does not open. Default: none. */
  readonly exports?: ReadonlyArray<string> | undefined
  /**
   * Whether each instance has a thread of its own. Without one, a call holds up the whole process for as long as it
   * takes, nothing can end it, and functions of the host can't be asynchronous. Default: whether a timeout or allowed
   * hosts need it.
   */
  readonly runInWorker?: boolean | undefined
}

/**
 * What opening a pool can fail with, besides the manifest's own `ME`.
 *
 * @category errors
 * @since 0.1.0
 */
export type OpenError<ME = never> = ME | InvalidOptions.InvalidOptions | ExtismError | WasmError

/**
 * Reads and compiles the plugin, and opens a pool of its instances in the surrounding scope.
 *
 * **Details**
 *
 * A plugin that can't be read, is not what its hash says, is no WebAssembly, has more memory than it may, or does not
 * export what it should, fails here. What it imports and is not given fails when an instance is built, as the functions
 * are made for each.
 *
 * What the plugin logs goes to Effect's logger. A plugin with a thread waits until the logger has a line before it goes on.
 *
 * **Gotchas**
 *
 * A thread takes some ten milliseconds and megabytes to start: `prepare` starts some ahead. One whose building hangs is
 * ended by `createTimeout`; without a thread, nothing ends it. A lease keeps its place until the thread has ended, shortly
 * after its holder is done: whoever comes in between has to wait (`onExhausted: "wait"`), or fails with `Exhausted`.
 *
 * A plugin that is not trusted needs `maxMemoryPages`: without it, one with structs or arrays in the engine's own heap can
 * make them without end, and not even `callTimeout` ends it. With it, such a plugin is refused.
 *
 * If a plugin with WASI traps at its start, Extism leaves two
 * file handles to the garbage collector, unless it has a thread.
 *
 * **Example** (A plugin that is ended when it takes too long)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { InstancePool } from "@effect-pools/instance"
 * import { ExtismPool } from "@effect-pools/wasm"
 *
 * const Count = Schema.Struct({ count: Schema.Number })
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* ExtismPool.make({
 *     manifest: "plugins/count_vowels.wasm",
 *     exports: ["count_vowels"],
 *     callTimeout: "1 second",
 *     max: 4,
 *     prepare: 2
 *   })
 *   return yield* InstancePool.use(pool, (plugin) =>
 *     plugin.call("count_vowels", "hello").pipe(Effect.flatMap((output) => output.json(Count)))
 *   )
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <E = never, R = never, ME = never, MR = never>(
  options: Options<E, R, ME, MR>
): Effect.Effect<ExtismPool<E>, OpenError<ME>, Exclude<R, Scope.Scope> | MR | Scope.Scope> =>
  Effect.flatMap(toInstanceOptions(options, undefined), InstancePool.make)

/**
 * A pool as a service: a class that is the tag, has a `layer`, and the pool's functions as statics. The pool is named
 * after the service unless its options say otherwise.
 *
 * **Details**
 *
 * `layerTest` takes the options of an `InstancePool` of fakes: `create` builds anything that has `exports` and `call`.
 *
 * **Example** (Plugins as a service)
 *
 * ```ts
 * import { Config, Effect } from "effect"
 * import { ExtismPool } from "@effect-pools/wasm"
 *
 * class Plugins extends ExtismPool.Service<Plugins>()("app/Plugins", Effect.gen(function*() {
 *   return { manifest: yield* Config.String("PLUGIN"), callTimeout: "1 second", max: 8 } as const
 * })) {}
 *
 * const program = Plugins.use((plugin) => plugin.call("count_vowels", "hello")).pipe(
 *   Effect.map((output) => output.text),
 *   Effect.provide(Plugins.layer)
 * )
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export const Service =
  <Self>() =>
  <const Id extends string, E = never, R = never, ME = never, MR = never, OE = never, OR = never>(
    id: Id,
    options: Options<E, R, ME, MR> | Effect.Effect<Options<E, R, ME, MR>, OE, OR>
  ): InstancePool.ServiceClass<
    Self,
    Id,
    ExtismInstance,
    CreateError<E>,
    OE | OpenError<ME>,
    Exclude<R | MR | OR, Scope.Scope>
  > => {
    const given: Effect.Effect<Options<E, R, ME, MR>, OE, OR> = Effect.isEffect(options)
      ? options
      : Effect.succeed(options)
    return InstancePool.Service<Self>()(
      id,
      Effect.flatMap(given, (options) => toInstanceOptions(options, id))
    ) as never
  }
