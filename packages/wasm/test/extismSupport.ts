/** What the tests of the Extism pool share. */
import { InstancePool } from "@effect-pools/instance"
import { ExtismError, ExtismPool, WasmError, WasmTrap } from "@effect-pools/wasm"
import { expect } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { pluginBytes } from "./extismPlugin.ts"

/** The host's functions that the plugin imports. */
export const functions = (): ExtismPool.HostFunctions => ({
  "extism:host/user": {
    shout: (context, address: bigint) => context.store(context.read(address)!.text.toUpperCase()),
    add: (_context, a: number, b: bigint) => BigInt(a) + b
  }
})

export type Options<E = never> = Partial<ExtismPool.Options<E>>

/** Opens a pool of the plugin. */
export const open = Effect.fnUntraced(function* <E = never>(options?: Options<E>) {
  const manifest = yield* Effect.promise(pluginBytes)
  return yield* ExtismPool.make<E>({ manifest, functions, name: "plugins", max: 2, ...options })
})

type Pool = Effect.Success<ReturnType<typeof open<any>>>

/** One call in a lease of its own. */
export const call = (pool: Pool, name: string, input?: string | Uint8Array) =>
  InstancePool.use(pool, (plugin) => plugin.call(name, input))

export const text = (pool: Pool, name: string, input?: string | Uint8Array) =>
  Effect.map(call(pool, name, input), (output) => output.text)

/** What an effect fails with. */
export const errorOf = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<unknown, never, R> =>
  Effect.map(Effect.exit(effect), (exit) => {
    if (Exit.isSuccess(exit)) throw new Error("It succeeds")
    return Cause.squash(exit.cause)
  })

/** The same with all that the error says, as plain data. */
export const told = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(errorOf(effect), (error) => {
    if (error instanceof WasmTrap.WasmTrap) return Object.assign({}, error, { message: error.message })
    if (error instanceof ExtismError.ExtismError || error instanceof WasmError.WasmError) {
      expect(error.pool).toBe(error.reason.pool)
      return Object.assign({}, error.reason, { message: error.message })
    }
    throw error
  })

/** Nothing is out or under way, and as many sound instances can be had as ever. */
export const expectIntact = Effect.fnUntraced(function* (pool: Pool) {
  yield* expectAtRest(pool)
  yield* Effect.scoped(
    Effect.gen(function* () {
      const plugins = yield* Effect.replicateEffect(InstancePool.get(pool), pool.admission.max)
      const outputs = yield* Effect.forEach(plugins, (plugin) => plugin.call("count"))
      expect(outputs.map(({ text }) => text)).toEqual(plugins.map(() => "1+"))
    })
  )
  yield* expectAtRest(pool)
})

/** Nothing is out or under way, once what was has ended. */
export const expectAtRest = (pool: Pool) =>
  InstancePool.stats(pool).pipe(
    Effect.map(({ creating, details, pending, used }) => ({ creating, pending, used, live: details["live"] })),
    Effect.tap(() => Effect.sleep("1 millis")),
    Effect.repeat({ until: ({ live }) => live === 0 }),
    Effect.timeout("10 seconds"),
    Effect.map((counts) => expect(counts).toEqual({ creating: 0, pending: 0, used: 0, live: 0 }))
  )
