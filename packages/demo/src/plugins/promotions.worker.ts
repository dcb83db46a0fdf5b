/**
 * Runs the promotions plugin, whose code is this worker's `workerData`: as WebAssembly it can reach nothing but its own
 * memory, and in a thread of its own it can be stopped.
 */
import { workerData } from "node:worker_threads"
import { InstancePool } from "@effect-pools/instance"
import { WasmExport, WasmInstancePool } from "@effect-pools/wasm"
import * as WorkerGuest from "@effect-pools/worker/WorkerGuest"
import * as Effect from "effect/Effect"
import { Promotions } from "./promotions.ts"

const handlers = Effect.gen(function* () {
  const plugins = yield* WasmInstancePool.make({
    module: workerData,
    exports: { discount: WasmExport.func<(customer: number) => number>() },
    maxMemoryPages: 16
  })
  return {
    Discount: ({ customer }: { readonly customer: number }) =>
      Effect.orDie(InstancePool.use(plugins, (plugin) => plugin.call("discount", customer)))
  }
})

WorkerGuest.serve(Promotions, Promotions.toLayer(handlers))
