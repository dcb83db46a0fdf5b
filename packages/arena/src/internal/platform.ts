/**
 * What every runtime has and the compiler's ECMAScript library does not declare: as much of it as is used here, so that
 * this package needs neither the types of Node.js nor those of a browser.
 */

interface Utf8Encoder {
  readonly encodeInto: (text: string, target: Uint8Array) => { readonly read: number; readonly written: number }
}

declare const TextEncoder: new () => Utf8Encoder

export const utf8: Utf8Encoder = new TextEncoder()

/** A `WebAssembly.Memory`, as far as an arena deals with it: it can be given to an instance as an import. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer
  readonly grow: (pages: number) => number
}

declare const WebAssembly: {
  readonly Memory: new (descriptor: { readonly initial: number; readonly maximum: number }) => WasmMemory
}

export const makeWasmMemory = (initial: number, maximum: number): WasmMemory =>
  new WebAssembly.Memory({ initial, maximum })
