import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import * as Pool from "@effect-pools/core/Pool"
import * as Effect from "effect/Effect"
import type { Options } from "../WasmInstancePool.ts"
import type { Declarations } from "../WasmExport.ts"
import { isBytes, isModule } from "./webAssembly.ts"

/** What an instance pool does not know, after checking. */
export interface Checked {
  readonly name: string
  readonly imports: (() => unknown) | undefined
  readonly exports: Declarations
  readonly maxMemoryPages: number | undefined
}

const kinds: ReadonlySet<unknown> = new Set(["function", "memory", "global", "table", "tag"])

/** Checks the options that are not those of an instance pool, which checks its own. Or throws `InvalidOptions`. */
export const checkOptions = (options: Options<any, any, any, any, any>, name?: string): Checked => {
  const unnamed = new InvalidOptions.Checks("wasm instance pool")
  if (typeof options !== "object" || options === null) return unnamed.refuse("options", options, "must be an object")
  const checks = new InvalidOptions.Checks(unnamed.name(options.name, () => name ?? Pool.generateName("wasm-instance")))
  const { exports = {}, imports, maxMemoryPages, module } = options
  if ("create" in options) checks.refuse("create", options.create, "is not known")
  if (!isBytes(module) && !isModule(module) && !Effect.isEffect(module)) {
    checks.refuse("module", module, "must be bytes, a WebAssembly.Module, or an Effect of one")
  }
  if (typeof exports !== "object" || exports === null) checks.refuse("exports", exports, "must be an object")
  for (const [field, declared] of Object.entries<unknown>(exports)) {
    const isDeclared =
      typeof declared === "object" && declared !== null && "kind" in declared && kinds.has(declared.kind)
    if (!isDeclared) checks.refuse(`exports.${field}`, declared, "must be a WasmExport")
  }
  return {
    name: checks.pool,
    imports: checks.callback("imports", imports),
    exports,
    maxMemoryPages: maxMemoryPages === undefined ? undefined : checks.integer("maxMemoryPages", maxMemoryPages, 0, 0)
  }
}
