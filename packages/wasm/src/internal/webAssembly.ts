/**
 * The engine's `WebAssembly`, as far as this package uses it. Types of it come with browsers' (`lib.dom`), which neither
 * this package nor an application on Node has.
 */
export interface Engine {
  readonly Module: {
    readonly exports: (module: object) => Array<ExportDescriptor>
    readonly imports: (module: object) => Array<ImportDescriptor>
  }
  readonly Instance: new (module: object, imports?: Imports) => Instance
  readonly compile: (bytes: Uint8Array) => Promise<object>
}

export type Bytes = ArrayBuffer | ArrayBufferView

export type Imports = Readonly<Record<string, Readonly<Record<string, unknown>>>>

export interface Instance {
  readonly exports: Readonly<Record<string, unknown>>
}

export interface ExportDescriptor {
  readonly name: string
  readonly kind: string
}

export interface ImportDescriptor extends ExportDescriptor {
  readonly module: string
}

export const engine = (globalThis as unknown as { readonly WebAssembly: Engine }).WebAssembly

/** Objects of another realm are as good, so it is not asked what class they are of. */
export const isModule = (value: unknown): value is object => tagOf(value) === "Module"

/** What something is in the terms of a module's imports and exports, or else in those of the language. */
export const kindOf = (value: unknown): string => {
  if (value === null) return "null"
  const tag = tagOf(value)
  return tag === undefined ? typeof value : tag.toLowerCase()
}

export const isBytes = (value: unknown): value is Bytes =>
  ArrayBuffer.isView(value) || Object.prototype.toString.call(value) === "[object ArrayBuffer]"

/** How many pages of 64 KiB a memory has: none, if it only says that it is one. */
export const pagesOf = (memory: unknown): number =>
  ((memory as { readonly buffer?: ArrayBufferLike }).buffer?.byteLength ?? 0) / 65_536

const tagOf = (value: unknown): string | undefined =>
  /^\[object WebAssembly\.(\w+)\]$/.exec(Object.prototype.toString.call(value))?.[1]
