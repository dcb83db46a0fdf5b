import { InvalidOptions, type Pool } from "@effect-pools/core"
import { SharedPool } from "@effect-pools/lock-free"
import { type Gates, Subject } from "@effect-pools/testing"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

/** What the suites take for the slots of a pool: an item for each, gone with the pool. */
const itemsOf = new WeakMap<ArrayBufferLike, (index: number) => Gates.Item>()

const giveItems = (pool: SharedPool.SharedPool, gates: Gates.Gates) => {
  const scope = Scope.makeUnsafe()
  const items: Array<Gates.Item> = []
  const make = Effect.orDie(Effect.provideService(gates.make, Scope.Scope, scope))
  const itemOf = (index: number): Gates.Item => (items[index] ??= Effect.runSync(make))
  itemsOf.set(pool.handle.data, itemOf)
  pool.admission.onClosed(() => void Effect.runFork(Scope.close(scope, Exit.void)))
  return itemOf
}

/** One that has all its slots from the start, or one that adds them when there is none, and could have more than it may use. */
const subjectOf = (grows: boolean) =>
  Subject.make<SharedPool.Slot>({
    kind: "shared",
    make: (gates, { acquireTimeout, closeGrace = 0, max = 10, maxWaiters, name }) =>
      Effect.gen(function* () {
        const pool = yield* SharedPool.make({
          slots: grows ? max + 10 : max,
          slotBytes: 8,
          ...(grows ? { scale: { initial: 1, chunk: 1 } } : {}),
          wait: true,
          name,
          acquireTimeout,
          closeGrace,
          maxWaiters
        })
        const itemOf = giveItems(pool, gates)
        if (grows) yield* SharedPool.resize(pool, { max })
        else for (let index = 0; index < max; index++) itemOf(index)
        return pool as Pool.Pool<SharedPool.Slot, any>
      }).pipe(
        // What the suites call `max`.
        Effect.mapError(
          ({ field, pool, rule, value }) =>
            new InvalidOptions.InvalidOptions({ pool, field: field === "slots" ? "max" : field, value, rule })
        )
      ),
    item: ({ bytes, index }) => itemsOf.get(bytes.buffer)!(index),
    lacks: {
      minimum: "slots are there, or are added when there is none",
      time: "a slot is taken in one step",
      creationLimit: "a slot is taken in one step",
      retries: "no slot has to be made, which could fail",
      validation: "a slot is memory, which is always there",
      reset: "a slot that can't be cleaned is filled with zeros, and handed out again",
      checks: "nobody looks at slots that are free",
      sharing: "a slot has one holder"
    }
  })

/** The shared pool, for the suites of `testing`. */
export const shared = subjectOf(false)
export const growing = subjectOf(true)
