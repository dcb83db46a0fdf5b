/** What ends a guest: a trap of its own, or what was thrown through it. */
export * as WasmTrap from "./WasmTrap.ts"
