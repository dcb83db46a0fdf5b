/**
 * What a host uses of a module: each export with its kind, and the type that it has in TypeScript.
 *
 * **Example**
 *
 * ```ts
 * import { WasmExport } from "@effect-pools/wasm"
 *
 * const exports = {
 *   price: WasmExport.func<(cents: number) => number>(),
 *   memory: WasmExport.memory
 * }
 * ```
 *
 * @since 0.1.0
 */

/**
 * An export of the type `A`. Its kind is checked against the module; its type is taken on trust, as modules don't tell.
 *
 * @category models
 * @since 0.1.0
 */
export interface WasmExport<out A> {
  readonly kind: "function" | "memory" | "global" | "table" | "tag"
  /** Has no value. */
  readonly "~type"?: A
}

/**
 * @category models
 * @since 0.1.0
 */
export type Declarations = Readonly<Record<string, WasmExport<any>>>

/**
 * The exports of an instance, from what was declared of them.
 *
 * @category models
 * @since 0.1.0
 */
export type Exports<D extends Declarations> = {
  readonly [Name in keyof D]: D[Name] extends WasmExport<infer A> ? A : never
}

/**
 * A memory, as far as a host on Node needs its type.
 *
 * @category models
 * @since 0.1.0
 */
export interface Memory {
  readonly buffer: ArrayBuffer
  grow(pages: number): number
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Global<A> {
  value: A
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Table {
  readonly length: number
  get(index: number): any
  set(index: number, value?: any): void
  grow(by: number, value?: any): number
}

/**
 * A function. In WebAssembly's types i32, f32 and f64 are numbers, i64 is a bigint, and several results are an array.
 *
 * @category constructors
 * @since 0.1.0
 */
export const func = <F extends (...args: Array<any>) => unknown>(): WasmExport<F> => ({ kind: "function" })

/**
 * @category constructors
 * @since 0.1.0
 */
export const memory: WasmExport<Memory> = { kind: "memory" }

/**
 * @category constructors
 * @since 0.1.0
 */
export const global = <A = number>(): WasmExport<Global<A>> => ({ kind: "global" })

/**
 * @category constructors
 * @since 0.1.0
 */
export const table: WasmExport<Table> = { kind: "table" }

/**
 * A tag of exceptions, which only goes back into WebAssembly.
 *
 * @category constructors
 * @since 0.1.0
 */
export const tag: WasmExport<object> = { kind: "tag" }
