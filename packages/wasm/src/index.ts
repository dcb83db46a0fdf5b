/** What can go wrong with an Extism plugin. */
export * as ExtismError from "./ExtismError.ts"

/** What a plugin gives: bytes, and what they say. */
export * as ExtismOutput from "./ExtismOutput.ts"

/** Extism plugins in a pool: each lease gets one that nobody has used. */
export * as ExtismPool from "./ExtismPool.ts"

/** What is wrong with a module, with what it is given, or with how it is called. */
export * as WasmError from "./WasmError.ts"

/** What a host uses of a module: its exports, with their types. */
export * as WasmExport from "./WasmExport.ts"

/** WebAssembly instances in a pool: each lease gets one that nobody has used. */
export * as WasmInstancePool from "./WasmInstancePool.ts"

/** What ends a guest: a trap of its own, or what was thrown through it. */
export * as WasmTrap from "./WasmTrap.ts"
