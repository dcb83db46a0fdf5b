import type { ConnectionPool } from "@effect-pools/connection"
import { Admission } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import { OnOpen } from "./case.ts"

const kept: Array<unknown> = []

/** What a pool can be made to keep something of. */
export type Kept = "calls" | "leases" | "waiters" | "connections" | "listeners" | "pools"

/** Runs an effect while every pool that is opened keeps something of this size, in bytes, of each. */
export const keeping = <A, E, R>(what: Kept, size: number, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  const keep = (): void => void kept.push(Array.from({ length: size / 8 }, () => 0))
  return Effect.acquireUseRelease(
    Effect.sync(() => {
      if (what === "leases") return before(Admission.Admission.prototype, "giveBack", keep)
      return what === "pools" ? before(Admission.Admission.prototype, "onClosed", keep) : () => {}
    }),
    () =>
      Effect.provideService(effect, OnOpen, (pool: ConnectionPool.ConnectionPool<any, any>) => {
        if (what === "calls") before(pool.admission, "take", keep)
        if (what === "waiters") before(pool.admission.waiters, "remove", keep)
        if (what === "connections") before(pool.store, "destroy", keep)
        if (what === "listeners") before(pool.admission.observer, "listen", keep)
      }),
    (undo) => Effect.sync(undo)
  )
}

/** Calls `f` before a method, until the returned function is called. */
const before = (target: object, method: string, f: () => void): (() => void) => {
  const original = Reflect.get(target, method) as (...args: Array<unknown>) => unknown
  const changed = function (this: unknown, ...args: Array<unknown>): unknown {
    f()
    return original.apply(this, args)
  }
  Reflect.set(target, method, changed)
  return () => Reflect.set(target, method, original)
}
