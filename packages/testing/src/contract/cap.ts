import { Pool } from "@effect-pools/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import { atMost, equal } from "./expect.ts"
import { group, type Plan } from "./plan.ts"
import { allAnswered, answered, settle } from "./world.ts"

const cap = group(1)

export const plans: ReadonlyArray<Plan> = [
  cap.pool(
    "a hundred callers at once never have more than max items",
    { needs: ["waiting"], max: 4, maxCreating: 10 },
    (world) =>
      Effect.gen(function* () {
        world.slow("create", 20)
        const callers = yield* Effect.forEach(Array.from({ length: 100 }), () =>
          world.start(world.answer(world.use(() => Effect.sleep(5))))
        )
        yield* TestClock.adjust("1 second")
        yield* allAnswered("callers", callers, "served")
        yield* equal("most items by the pool's counts", world.most, 4)
        yield* equal("most items that were there", world.gates.most, 4)
        yield* world.atRest()
      })
  ),

  cap.pool("callers beyond max that do not wait are turned away, and change nothing", { max: 3 }, (world) =>
    Effect.gen(function* () {
      const held = yield* world.holdMany(3)
      for (let n = 0; n < 20; n++) {
        yield* equal("a caller too many", (yield* world.call({ acquireTimeout: 0 })).answer, "Exhausted")
      }
      yield* settle
      yield* equal("items", world.gates.items.length, 3)
      for (const { release } of held) yield* release
      yield* world.atRest()
      yield* world.everyPlaceWorks()
    })
  ),

  cap.pool(
    "an item that is being destroyed keeps its place until its finalizer has ended",
    { needs: ["waiting", "time"], max: 2, maxCreating: 2 },
    (world) =>
      Effect.gen(function* () {
        const held = yield* world.holdMany(2)
        world.gates.destroy = 100
        const callers = [yield* world.start(world.call()), yield* world.start(world.call())]
        for (const { release, value } of held) {
          yield* world.invalidate(value())
          yield* release
        }
        yield* TestClock.adjust(99)
        yield* equal("counts", world.counts(), { idle: 0, used: 0, creating: 0, destroying: 2, pending: 2 })
        yield* TestClock.adjust("1 second")
        yield* allAnswered("those who waited", callers, "served")
        yield* atMost("items that were there at one time", world.gates.most, 2)
        yield* atMost("items by the pool's counts", world.most, 2)
      })
  ),

  cap.pool(
    "a finalizer that hangs gives its place back after destroyTimeout",
    { needs: ["waiting", "time"], max: 1, destroyTimeout: 2000, leavesWork: true },
    (world) =>
      Effect.gen(function* () {
        const [holder] = yield* world.holdMany(1)
        yield* world.invalidate(holder!.value())
        world.gates.destroy = "stuck"
        yield* holder!.release
        world.gates.destroy = "ok"
        const caller = yield* world.start(world.call())
        yield* TestClock.adjust(1999)
        yield* equal("counts", world.counts(), { idle: 0, used: 0, creating: 0, destroying: 1, pending: 1 })
        yield* TestClock.adjust(1)
        yield* equal("the caller", yield* answered("the caller", caller), { answer: "served", at: 2000 })
      })
  ),

  cap.pool(
    "an attempt that is given up frees its place, and what it makes late is destroyed",
    { needs: ["waiting", "time"], max: 1, createTimeout: 1000, gates: { create: { late: 5000 } } },
    (world) =>
      Effect.gen(function* () {
        yield* world.start(world.call({ acquireTimeout: 4000 }))
        yield* TestClock.adjust(500)
        world.gates.create = "ok"
        yield* TestClock.adjust(4000)
        const next = yield* world.start(world.call())
        yield* settle
        yield* allAnswered("the next caller", [next], "served")
        yield* TestClock.adjust(5000)
        // Every item is the pool's or gone: the late one is gone.
        yield* equal("what is wrong with the items", world.gates.audit(world.counts().idle), [])
        yield* atMost("items by the pool's counts", world.most, 1)
        yield* world.everyPlaceWorks()
      })
  ),

  cap.pool("a smaller max holds as leases end, and no lease ends for it", { needs: ["waiting"], max: 4 }, (world) =>
    Effect.gen(function* () {
      const held = yield* world.holdMany(4)
      yield* Pool.resize(world.pool, { max: 1 })
      yield* equal("used", world.counts().used, 4)
      const caller = yield* world.start(world.call())
      for (const { release } of held.slice(0, 3)) yield* release
      yield* equal("counts with one lease left", world.counts(), {
        idle: 0,
        used: 1,
        creating: 0,
        destroying: 0,
        pending: 1
      })
      yield* held[3]!.release
      yield* allAnswered("the one who waited", [caller], "served")
      yield* atMost("items", world.live, 1)
      yield* world.atRest()
    })
  ),

  cap.pool("a smaller max takes idle items away at once", { needs: ["reuse"], max: 3 }, (world) =>
    Effect.gen(function* () {
      for (const { release } of yield* world.holdMany(3)) yield* release
      yield* Pool.resize(world.pool, { max: 1 })
      yield* settle
      yield* equal("idle", world.counts().idle, 1)
      yield* equal("items that are there", world.gates.open, 1)
      yield* equal("destroyed for the sake of the new size", world.stats.destroyed.shrink, 2)
      yield* world.everyPlaceWorks()
    })
  ),

  cap.pool(
    "an item that is ready when the pool has shrunk goes at once",
    { needs: ["waiting", "time"], max: 2, maxCreating: 2 },
    (world) =>
      Effect.gen(function* () {
        yield* world.holdMany(1)
        world.gates.create = 10
        const leaves = yield* world.hold()
        yield* equal("creating", world.counts().creating, 1)
        leaves.fiber.interruptUnsafe()
        yield* Pool.resize(world.pool, { max: 1 })
        yield* TestClock.adjust(10)
        yield* equal("counts", world.counts(), { idle: 0, used: 1, creating: 0, destroying: 0, pending: 0 })
      })
  ),

  cap.pool("a larger max is used up to the last place, and no further", { needs: ["waiting"], max: 1 }, (world) =>
    Effect.gen(function* () {
      const held = yield* Effect.forEach([1, 2, 3, 4, 5], () => world.hold())
      yield* Pool.resize(world.pool, { max: 3 })
      yield* settle
      yield* equal("used", world.counts().used, 3)
      yield* equal("pending", world.counts().pending, 2)
      for (const { release } of held) yield* release
      yield* equal("most items that were there", world.gates.most, 3)
      yield* world.atRest()
    })
  ),

  cap.pool("min is kept within max, and follows a resize", { needs: ["minimum"], min: 2, max: 3 }, (world) =>
    Effect.gen(function* () {
      yield* settle
      yield* equal("idle at the start", world.counts().idle, 2)
      yield* Pool.resize(world.pool, { min: 3 })
      yield* settle
      yield* equal("idle with the new min", world.counts().idle, 3)
      yield* world.everyPlaceWorks()
      yield* equal("most items that were there", world.gates.most, 3)
      // With a smaller `min` as well, some kinds would keep none.
      yield* Pool.resize(world.pool, { min: 1, max: 1 })
      yield* settle
      yield* equal("idle with the new max", world.counts().idle, 1)
    })
  ),

  cap.pool(
    "the cap holds while callers come, are served, time out and are interrupted",
    { needs: ["waiting"], max: 3, maxCreating: 3 },
    (world) =>
      Effect.gen(function* () {
        world.slow("create", 3)
        world.slow("destroy", 2)
        for (let n = 0; n < 300; n++) {
          const body = (n % 4 === 0 ? Effect.sleep(n % 7) : Effect.yieldNow) as Effect.Effect<void>
          const caller = yield* world.start(
            Effect.exit(
              world.use((_, value) => (n % 5 === 0 ? Effect.andThen(body, world.invalidate(value)) : body), {
                acquireTimeout: 1 + (n % 11)
              })
            )
          )
          if (n % 3 === 0) yield* TestClock.adjust(1)
          if (n % 6 === 0) caller.interruptUnsafe()
        }
        yield* TestClock.adjust("1 second")
        yield* atMost("items by the pool's counts", world.most, 3)
        yield* atMost("items that were there", world.gates.most, 3)
        yield* equal("the time at the end is the clock's", (yield* Clock.currentTimeMillis) >= 1000, true)
        yield* world.atRest()
        yield* world.everyPlaceWorks()
      })
  ),

  cap.pool(
    "with concurrency 2 an item is in two hands, and never in three",
    { needs: ["sharing", "waiting"], max: 3, concurrency: 2, maxCreating: 3 },
    (world) =>
      Effect.gen(function* () {
        let inHands = 0
        let most = 0
        const body = Effect.suspend(() => {
          most = Math.max(most, ++inHands)
          return Effect.ensuring(
            Effect.sleep(3),
            Effect.sync(() => inHands--)
          )
        })
        const callers = yield* Effect.forEach(Array.from({ length: 40 }), () =>
          world.start(world.answer(world.use(() => body)))
        )
        yield* TestClock.adjust(100)
        yield* allAnswered("callers", callers, "served")
        yield* equal("most leases at one time", most, 6)
        yield* atMost("items that were there", world.gates.most, 3)
        yield* world.atRest()
      })
  )
]
