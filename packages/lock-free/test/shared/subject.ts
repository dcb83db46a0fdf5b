import { InvalidOptions, type Pool } from "@effect-pools/core"
import { SharedPool } from "@effect-pools/lock-free"
import { type Gates, Subject } from "@effect-pools/testing"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

/** Cases that make sense only where not all slots are there from the start, or where there may be more than a thread may use. */
export const whileGrowing: ReadonlyArray<string> = [
  "invariant 1 (cap): a larger max is used up to the last place, and no further",
  "invariant 2 (exactly once): a pool that nobody used has nothing to destroy",
  "invariant 3 (no stranded waiter): a larger max serves waiters at once",
  "invariant 9 (close completes): what is done to a closed pool has no effect",
  "invariant 11 (no retry storms): no attempt is made but for a caller",
  "use: is lazy: nothing happens before it is run",
  "suspend: holds new leases back and does not touch those that are out",
  "resize: back and forth loses no place",
  "PoolError: Exhausted says the max of the moment",
  "InvalidOptions: a call refuses options that make no sense, and takes nothing"
]

/** Cases about what slots don't do, which no trait says. */
const apart: Readonly<Record<string, ReadonlyArray<string>>> = {
  "resizing bounds what a thread may use, not how many slots there are": [
    "invariant 1 (cap): a smaller max holds as leases end, and no lease ends for it",
    "invariant 1 (cap): a smaller max takes idle items away at once",
    "events: an item that is too many after a resize is destroyed for this reason"
  ],
  "slots are memory: none has to be made or ends, which could fail, be told or take time": [
    "invariant 2 (exactly once): an item whose finalizer fails is destroyed once, and its place is free",
    "invariant 9 (close completes): idle items go at once, those in use when their lease ends",
    "invariant 9 (close completes): a pool whose items cannot be made closes without a trace",
    "invariant 10 (time): an item's age is the clock's",
    "invariant 12 (nothing is silent): a finalizer: fail: is told, and is nothing to the one who held the item",
    "invariant 12 (nothing is silent): a finalizer as the pool closes: fail: is told",
    "invariant 12 (nothing is silent): a finalizer: die: is told, and is nothing to the one who held the item",
    "invariant 12 (nothing is silent): a finalizer as the pool closes: die: is told",
    "invariant 12 (nothing is silent): a finalizer: interrupt: is told, and is nothing to the one who held the item",
    "invariant 12 (nothing is silent): a finalizer as the pool closes: interrupt: is told",
    "invariant 12 (nothing is silent): a creation: fail: is an event, a count, and the caller's failure",
    "invariant 12 (nothing is silent): a creation: die: is an event, a count, and the caller's failure",
    "invariant 12 (nothing is silent): a creation: interrupt: is an event, a count, and the caller's failure",
    "PoolError: a failure to make an item reaches the caller as itself",
    "stats: agree with the events",
    "events: tell the life of an item and its leases, in order",
    "events: items that are idle or in use as the pool closes are destroyed for this reason",
    "events: an item that is destroyed under its holder is destroyed for the reason that the pool closes",
    "events: tell of each attempt to make an item, before what becomes of it"
  ],
  "every slot is there from the start": ["stats: say how many are idle and used"],
  "a slot that is invalidated is filled with zeros, and handed out again": [
    "invariant 7 (clean hand-out): an item that is invalidated in use is not handed out again",
    "invariant 7 (clean hand-out): whoever waits for an item that is invalidated gets another",
    "invariant 7 (clean hand-out): an idle item that is invalidated is destroyed at once",
    "invariant 7 (clean hand-out): invalidating what the pool does not know, or knows no more, has no effect",
    "invariant 7 (clean hand-out): an item that is invalidated while the pool is suspended is not handed out on resume",
    "invariant 7 (clean hand-out): an item that its own body invalidates is gone for the next caller, each time",
    "invalidate: takes the pool first or last",
    "events: an item that is invalidated is destroyed for this reason"
  ]
}

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
    },
    apart: grows ? apart : { ...apart, "played on a pool that grows": whileGrowing }
  })

/** The shared pool, for the suites of `testing`. */
export const shared = subjectOf(false)
export const growing = subjectOf(true)
