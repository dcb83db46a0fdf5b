import { InvalidOptions, type Pool } from "@effect-pools/core"
import { SharedPool } from "@effect-pools/lock-free"
import { type Gates, Subject } from "@effect-pools/testing"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

/** What the suites take for the slots of a pool: an item for each, made when the pool is and gone with it. */
const itemsOf = new WeakMap<ArrayBufferLike, ReadonlyArray<Gates.Item>>()

/** The shared pool, for the suites of `testing`. */
export const shared = Subject.make<SharedPool.Slot>({
  kind: "shared",
  make: (gates, { acquireTimeout, closeGrace = 0, max = 10, maxWaiters, name }) =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make({
        slots: max,
        slotBytes: 8,
        wait: true,
        name,
        acquireTimeout,
        closeGrace,
        maxWaiters
      })
      const scope = yield* Scope.make()
      const items = yield* Effect.forEach(Array.from({ length: max }), () => Effect.orDie(gates.make)).pipe(
        Effect.provideService(Scope.Scope, scope)
      )
      itemsOf.set(pool.handle.data, items)
      pool.admission.onClosed(() => void Effect.runFork(Scope.close(scope, Exit.void)))
      return pool as Pool.Pool<SharedPool.Slot, any>
    }).pipe(
      // What the suites call `max`.
      Effect.mapError(
        ({ field, pool, rule, value }) =>
          new InvalidOptions.InvalidOptions({ pool, field: field === "slots" ? "max" : field, value, rule })
      )
    ),
  item: ({ bytes, index }) => itemsOf.get(bytes.buffer)![index]!,
  lacks: {
    minimum: "slots are there, or are added when there is none",
    time: "a slot is taken in one step",
    creationLimit: "a slot is taken in one step",
    retries: "no slot has to be made, which could fail",
    validation: "a slot is memory, which is always there",
    reset: "slots are cleaned by a plain function",
    checks: "nobody looks at slots that are free",
    sharing: "a slot has one holder"
  }
})
