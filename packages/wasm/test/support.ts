/** What the tests of the WebAssembly instance pool share. */
import { InstancePool } from "@effect-pools/instance"
import { Sandbox } from "@effect-pools/testing"
import { WasmError, type WasmInstancePool } from "@effect-pools/wasm"
import { expect } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { fromText } from "./modules.ts"

/** Doubles prices, counts in a global, grows its memory, and traps when told to. */
export const plugin = fromText(`(module
  (memory (export "memory") 1)
  (global $count (export "count") (mut i32) (i32.const 0))
  (func (export "price") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
  (func (export "next") (param i64) (result i64) (i64.add (local.get 0) (i64.const 1)))
  (func (export "bump") (result i32)
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (global.get $count))
  (func (export "crash") unreachable)
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))`)

/** Asks the host. */
export const asking = fromText(`(module
  (import "host" "ask" (func $ask (param i32) (result i32)))
  (func (export "ask") (param i32) (result i32) (call $ask (local.get 0)))
  (func (export "next") (param i64) (result i64) (local.get 0)))`)

/** Traps when it starts. */
export const doomed = fromText(`(module (func $start unreachable) (start $start))`)

/** Why an effect fails with a `WasmError`, as it must. */
export const reasonOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.exit(effect), (exit) => {
    if (Exit.isSuccess(exit)) throw new Error("It succeeds")
    const error = Cause.squash(exit.cause)
    if (!(error instanceof WasmError.WasmError)) throw error
    return error.reason
  })

/** Nothing is out or under way, and as many instances can be had as ever. */
export const expectIntact = Effect.fnUntraced(function* <X, E>(pool: WasmInstancePool.WasmInstancePool<X, E>) {
  yield* expectAtRest(pool)
  const { max } = yield* InstancePool.stats(pool)
  yield* Effect.scoped(Effect.replicateEffect(InstancePool.get(pool), max))
  yield* expectAtRest(pool)
})

/** Nothing is out or under way. */
export const expectAtRest = Effect.fnUntraced(function* <X, E>(pool: WasmInstancePool.WasmInstancePool<X, E>) {
  yield* Sandbox.settle
  const { creating, details, idle, min, pending, state, used } = yield* InstancePool.stats(pool)
  expect({ creating, pending, state, used }).toEqual({ creating: 0, pending: 0, state: "open", used: 0 })
  expect(idle).toBe(min)
  expect(details).toMatchObject({ live: idle })
})
