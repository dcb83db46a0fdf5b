import { InvalidOptions, type Pool } from "@effect-pools/core"
import { type Gates, Subject } from "@effect-pools/testing"
import { WasmError, WasmExport, WasmInstancePool } from "@effect-pools/wasm"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { engine } from "../src/internal/webAssembly.ts"
import { fromText } from "./modules.ts"

/** Imports the host's item, and exports it. */
const module = await engine.compile(
  fromText(`(module (import "host" "item" (global $item externref)) (export "item" (global $item)))`)
)

type Instance = WasmInstancePool.WasmInstance<{ readonly item: WasmExport.Global<Gates.Item> }>

/** The pool of WebAssembly instances, for the suites of `testing`: what an instance imports goes through the gates. */
export const subject = Subject.make<Instance>({
  kind: "instance",
  make: (gates, { concurrency: _sharers, maxCreating: _limit, min, steps: _steps, ...settings }) =>
    WasmInstancePool.make({
      ...settings,
      module,
      imports: () => Effect.map(gates.make, (item) => ({ host: { item } })),
      exports: { item: WasmExport.global<Gates.Item>() },
      onExhausted: "wait",
      prepare: min
    }).pipe(
      Effect.mapError((error) => {
        // The module is right, and so is what it imports.
        if (error instanceof WasmError.WasmError) throw error
        const { field, pool, rule, value } = error
        return new InvalidOptions.InvalidOptions({ pool, field: field === "prepare" ? "min" : field, value, rule })
      })
    ) as Effect.Effect<Pool.Pool<Instance, Gates.GateFailure>, InvalidOptions.InvalidOptions, Scope.Scope>,
  item: (instance) => instance.exports.item.value,
  lacks: {
    reuse: "each lease has an instance of its own",
    creationLimit: "as many instances are made as callers wait for",
    retries: "a creation that fails is the failure of the caller",
    validation: "an instance that nobody has used needs no validation",
    reset: "no instance is used twice",
    checks: "nobody looks at instances that are prepared",
    sharing: "an instance has one holder"
  }
})
