/**
 * WebAssembly instances in a pool: each lease gets one that nobody has used.
 *
 * **When to use**
 *
 * For plugins and other code that is not trusted to forget: what one caller leaves behind in memory, globals and tables,
 * and in the functions that the host lends it, no other can see.
 *
 * **What it does**
 *
 * - A module is compiled once, when the pool opens, and instantiated for every lease, or ahead of it with `prepare`.
 * - What is wrong with a module, its imports or its exports is a typed error that names it; most is found when the pool
 *   opens.
 * - A trap is a typed error that says its kind. It ends the instance: nothing of it runs again.
 * - The memory and the tables of an instance can be limited, whatever its module says.
 *
 * The pool is an `InstancePool`, and all functions of that take it.
 *
 * @since 0.1.0
 */
import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import * as InstancePool from "@effect-pools/instance/InstancePool"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Guest, typed } from "./internal/guest.ts"
import { Host } from "./internal/host.ts"
import { instantiate } from "./internal/instantiate.ts"
import { checkOptions } from "./internal/options.ts"
import { compile, type Program } from "./internal/program.ts"
import type { WasmError } from "./WasmError.ts"
import type * as WasmExport from "./WasmExport.ts"
import type { WasmTrap } from "./WasmTrap.ts"

/**
 * An instance with the exports `X`.
 *
 * @category models
 * @since 0.1.0
 */
export interface WasmInstance<X> {
  /**
   * What the engine has made of the module's exports. A function called here traps with an error of the engine's, which
   * the instance does not know of.
   */
  readonly exports: X
  /** The trap that has ended this instance. */
  readonly trap: WasmTrap | undefined
  /**
   * Calls a function of the guest.
   *
   * **Details**
   *
   * Once the guest has trapped, each call fails with that trap, and once its lease has ended with `Ended`: nothing of it
   * runs. Arguments are converted as JavaScript does it; if that fails, or there is no such function, that is a
   * `WasmError`, and the instance is as it was. A guest that has tables or tags in common with its host, or is given
   * functions of other guests, may fail in ways that can't be told from this: for such a one it is a trap.
   *
   * A function of the host may call the guest again. If that traps, the calls around it fail with the same trap, even if the
   * function catches it.
   *
   * **Gotchas**
   *
   * The guest runs on the thread of its caller, and nothing else does meanwhile. One that may never end belongs into a
   * worker.
   */
  readonly call: <const Name extends FunctionName<X>>(
    name: Name,
    ...args: ArgumentsOf<X, Name>
  ) => Effect.Effect<ResultOf<X, Name>, WasmTrap | WasmError>
}

/**
 * The names of the functions among exports: any name, if they are not declared.
 *
 * @category models
 * @since 0.1.0
 */
export type FunctionName<X> = string extends keyof X
  ? string
  : { [Name in keyof X]: X[Name] extends AnyFunction ? Name & string : never }[keyof X]

/**
 * @category models
 * @since 0.1.0
 */
export type ArgumentsOf<X, Name> = Name extends keyof X
  ? X[Name] extends (...args: infer Arguments) => unknown
    ? Arguments
    : Array<unknown>
  : Array<unknown>

/**
 * @category models
 * @since 0.1.0
 */
export type ResultOf<X, Name> = Name extends keyof X
  ? X[Name] extends (...args: Array<any>) => infer Result
    ? Result
    : unknown
  : unknown

type AnyFunction = (...args: Array<any>) => unknown

/**
 * A pool of WebAssembly instances with the exports `X`. Making one can fail with `E`, for its imports, or else because
 * they do not fit or its start traps.
 *
 * @category models
 * @since 0.1.0
 */
export type WasmInstancePool<X = Untyped, E = never> = InstancePool.InstancePool<
  WasmInstance<X>,
  E | WasmError | WasmTrap
>

/**
 * Exports that are not declared.
 *
 * @category models
 * @since 0.1.0
 */
export type Untyped = Readonly<Record<string, unknown>>

/**
 * The declarations of a module of which nothing is declared.
 *
 * @category models
 * @since 0.1.0
 */
export type Undeclared = Readonly<Record<string, WasmExport.WasmExport<unknown>>>

/**
 * Bytes of a module, or one that is compiled already.
 *
 * @category models
 * @since 0.1.0
 */
export type Source = ArrayBuffer | ArrayBufferView | CompiledModule

/**
 * A `WebAssembly.Module`, whose own type comes with browsers'. It has no property that would tell it from other objects;
 * what it has not tells it from promises and arrays.
 *
 * @category models
 * @since 0.1.0
 */
export interface CompiledModule {
  readonly then?: never
  readonly length?: never
}

/**
 * What an instance imports, by module and name. A promise of it is not: for that there are effects.
 *
 * @category models
 * @since 0.1.0
 */
export type Imports = object & { readonly then?: never }

/**
 * How to make a pool: only `module` is required. The others are those of an `InstancePool`, but for `create`. The default
 * name is `wasm-instance-pool-<n>`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options<D extends WasmExport.Declarations, E = never, R = never, ME = never, MR = never> extends Omit<
  InstancePool.Options<never, never, never>,
  "create"
> {
  /** Bytes, a `WebAssembly.Module`, or an effect of one. It is compiled once, when the pool opens. */
  readonly module: Source | Effect.Effect<Source, ME, MR>
  /**
   * What an instance imports, by module and name: called for each, so that no two share what is behind it. What an effect
   * adds to its scope is run when the instance has ended. Default: nothing.
   */
  readonly imports?: (() => Imports | Effect.Effect<Imports, E, R>) | undefined
  /**
   * What the host uses of the module, see `WasmExport`: checked when the pool opens, and the type of its instances.
   * Default: whatever it exports, without types.
   */
  readonly exports?: D | undefined
  /**
   * How many pages of 64 KiB the memory of an instance may have. Its tables may have as much again, and at least a page, at
   * 16 bytes an entry. If there are several memories or tables, each has an equal share. Growing beyond it gives the guest
   * -1. Needs a module in bytes. What is imported must have a `maximum` of its own that is no greater. Default: what the
   * module says.
   */
  readonly maxMemoryPages?: number | undefined
}

/**
 * Opens a pool in the surrounding scope, as `InstancePool.make` does.
 *
 * **Details**
 *
 * Fails with `WasmError` if the module is none, does not export what is declared, imports something while there are no
 * `imports`, or needs more memory than `maxMemoryPages`. What can only be found with an instance at hand is the failure
 * of the caller for whom it was made: imports that are missing or do not fit, and a trap in the module's start.
 *
 * **Gotchas**
 *
 * Memory counts when the guest touches it, and is free when the engine's garbage collector finds that the instance is
 * gone, which is some time after its lease.
 *
 * Objects that a guest has in the engine's own heap, as modules compiled from Kotlin, Dart or Java do, can't be limited. With
 * `maxMemoryPages`, a module that has structs or arrays is refused (`MemoryNotLimitable`). Without it, nothing stops one
 * that makes them without end: not the end of its thread either, nor the `resourceLimits` of a worker (V8 of Node 24).
 *
 * **Example** (A plugin that doubles a price)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { InstancePool } from "@effect-pools/instance"
 * import { WasmExport, WasmInstancePool } from "@effect-pools/wasm"
 *
 * // (module (func (export "price") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2))))
 * const module = Buffer.from("AGFzbQEAAAABBgFgAX8BfwMCAQAHCQEFcHJpY2UAAAoJAQcAIABBAmwL", "base64")
 *
 * const program = Effect.gen(function*() {
 *   const plugins = yield* WasmInstancePool.make({
 *     module,
 *     exports: { price: WasmExport.func<(cents: number) => number>() },
 *     maxMemoryPages: 16,
 *     max: 8
 *   })
 *   return yield* InstancePool.use(plugins, (plugin) => plugin.call("price", 21)) // 42
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <D extends WasmExport.Declarations = Undeclared, E = never, R = never, ME = never, MR = never>(
  options: Options<D, E, R, ME, MR>
): Effect.Effect<
  WasmInstancePool<WasmExport.Exports<D>, E>,
  ME | WasmError | InvalidOptions.InvalidOptions,
  Exclude<R | MR, Scope.Scope> | Scope.Scope
> => Effect.flatMap(toInstanceOptions(options), InstancePool.make) as Effect.Effect<any, any, any>

/**
 * Makes an instance of functions of the host, for tests: `layerTest` of a {@link Service} takes it. An error of the
 * engine's that they throw is a trap of that kind.
 *
 * **Example** (A plugin that never was WebAssembly)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { WasmInstancePool } from "@effect-pools/wasm"
 *
 * const fake = WasmInstancePool.fake({ price: (cents: number) => cents * 2 })
 * const program = fake.call("price", 21) // 42
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const fake = <const X extends Untyped>(exports: X): WasmInstance<X> =>
  typed(new Guest("fake", exports, new Host(true)))

/**
 * A pool as a service: a class that is the tag, has a `layer`, and the functions of `InstancePool` as statics. The pool is
 * named after the service unless its options say otherwise.
 *
 * **Example** (Plugins as a service, and a test of what uses them)
 *
 * ```ts
 * import { Effect, FileSystem } from "effect"
 * import { WasmExport, WasmInstancePool } from "@effect-pools/wasm"
 *
 * class Plugins extends WasmInstancePool.Service<Plugins>()("app/Plugins", Effect.gen(function*() {
 *   const files = yield* FileSystem.FileSystem
 *   return {
 *     module: yield* files.readFile("price.wasm"),
 *     exports: { price: WasmExport.func<(cents: number) => number>() },
 *     max: 8
 *   }
 * })) {}
 *
 * const price = Effect.suspend(() => Plugins.use((plugin) => plugin.call("price", 21)))
 *
 * // it.effect("asks the plugin for the price", () => test)
 * const test = price.pipe(
 *   Effect.provide(Plugins.layerTest({
 *     create: Effect.sync(() => WasmInstancePool.fake({ price: (cents: number) => cents * 2 }))
 *   }))
 * )
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export const Service =
  <Self>() =>
  <
    const Id extends string,
    D extends WasmExport.Declarations = Undeclared,
    E = never,
    R = never,
    ME = never,
    MR = never,
    OE = never,
    OR = never
  >(
    id: Id,
    options: Options<D, E, R, ME, MR> | Effect.Effect<Options<D, E, R, ME, MR>, OE, OR>
  ): InstancePool.ServiceClass<
    Self,
    Id,
    WasmInstance<WasmExport.Exports<D>>,
    E | WasmError | WasmTrap,
    OE | ME | WasmError | InvalidOptions.InvalidOptions,
    Exclude<R | MR | OR, Scope.Scope>
  > => {
    const given = Effect.isEffect(options)
      ? (options as Effect.Effect<Options<D, E, R, ME, MR>, OE, OR>)
      : Effect.succeed(options)
    return InstancePool.Service<Self>()(
      id,
      Effect.flatMap(given, (options) => toInstanceOptions(options, id))
    ) as never
  }

// Instances ----------------------------------------------------------------------------------------------------------

/** The options of an instance pool whose instances are of this module: it is compiled and checked, none is made yet. */
const toInstanceOptions = <D extends WasmExport.Declarations, E, R, ME, MR>(
  options: Options<D, E, R, ME, MR>,
  name?: string
) =>
  Effect.gen(function* () {
    const checked = yield* InvalidOptions.check(() => checkOptions(options, name))
    const { exports: _exports, imports, maxMemoryPages: _limit, module, ...others } = options
    const program = yield* compile(Effect.isEffect(module) ? yield* module : module, checked)
    return { ...others, name: checked.name, create: create<D, E, R>(program, imports) }
  })

const create = <D extends WasmExport.Declarations, E, R>(program: Program, imports: Options<D, E, R>["imports"]) =>
  Effect.gen(function* () {
    const given = imports?.()
    const guest = yield* instantiate(program, Effect.isEffect(given) ? yield* given : given)
    // Before what its imports need is gone.
    yield* Effect.addFinalizer(() => Effect.sync(() => (guest.isEnded = true)))
    return typed<WasmExport.Exports<D>>(guest)
  })
