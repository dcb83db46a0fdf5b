import { InstancePool } from "@effect-pools/instance"
import { ExtismPool, WasmInstancePool } from "@effect-pools/wasm"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Case, Contender } from "../harness.ts"
import { oneByOne } from "../loops.ts"
import { compileExtismPlugin, sqlite } from "../plugins.ts"
import type { Effort } from "../settings.ts"

/** How long a caller waits for an instance of a real module: built for it, or built ahead. */
export const makePlugins = Effect.fnUntraced(function* ({
  isQuick
}: Effort): Effect.fn.Return<ReadonlyArray<Case>, unknown, Scope.Scope> {
  const method =
    "One fiber takes one instance after the other and gives it back unused. Only that is timed, and not how the next is" +
    " prepared meanwhile."
  const effort = { operations: isQuick ? 20 : 50, rounds: isQuick ? 3 : 101 }

  const options = { module: sqlite.bytes, imports: sqlite.imports }
  const cold = yield* WasmInstancePool.make(options)
  const warm = yield* WasmInstancePool.make({ ...options, prepare: 1 })
  const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: Engine }
  const module = new WebAssembly.Module(sqlite.bytes)
  const wasm: Case = {
    ...effort,
    name: "wasm-lease",
    title: `a lease on SQLite's module (${Math.round(sqlite.bytes.length / 1024)} KiB)`,
    method,
    contenders: [
      oneByOne("bare WebAssembly.Instance", () =>
        Effect.sync(() => new WebAssembly.Instance(module, sqlite.imports()))
      ),
      leases("cold", cold),
      leases("prepared", warm)
    ],
    comparisons: [
      { name: "prepared", against: "cold", goal: 20 },
      { name: "cold", against: "bare WebAssembly.Instance" }
    ]
  }

  const plugin = yield* Effect.promise(compileExtismPlugin)
  const compiled = { wasm: [{ module: new WebAssembly.Module(plugin) }] }
  const extismOptions = { manifest: plugin }
  // Loaded when it is measured: it warns of what it loads itself.
  const { newPlugin } = yield* Effect.promise(() => import("@extism/extism"))
  const bare = Effect.scoped(
    Effect.acquireRelease(
      Effect.promise(() => newPlugin(compiled as never)),
      (plugin) => Effect.promise(() => plugin.close())
    )
  )
  const extism: Case = {
    ...effort,
    name: "extism-lease",
    title: `a lease on an Extism plugin (${Math.round(plugin.length / 1024)} KiB)`,
    method,
    contenders: [
      oneByOne("bare newPlugin, compiled before", () => bare),
      leases("cold", yield* ExtismPool.make(extismOptions)),
      leases("prepared", yield* ExtismPool.make({ ...extismOptions, prepare: 1 }))
    ],
    comparisons: [
      { name: "prepared", against: "cold" },
      { name: "cold", against: "bare newPlugin, compiled before" }
    ]
  }
  return [wasm, extism]
})

interface Engine {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => object
}

const leases = (name: string, pool: InstancePool.InstancePool<any, any>): Contender => {
  const use = InstancePool.use(pool, () => Effect.void)
  return oneByOne(
    name,
    () => use,
    () => pool.admission.idle === pool.admission.min
  )
}
