import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import { equal, includes } from "./expect.ts"
import { group, type Plan } from "./plan.ts"
import { ended, settle } from "./world.ts"

const time = group(10)

export const plans: ReadonlyArray<Plan> = [
  time.pool(
    "without time passing nothing times out",
    { needs: ["waiting"], max: 1, acquireTimeout: 1, createTimeout: 1, destroyTimeout: 1, closeGrace: 1 },
    (world) =>
      Effect.gen(function* () {
        const holder = yield* world.hold()
        const waiter = yield* world.start(world.call())
        for (let n = 0; n < 50; n++) yield* settle
        yield* equal("the waiter still waits", waiter.pollUnsafe(), undefined)
        yield* equal("counts", world.counts(), { idle: 0, used: 1, creating: 0, destroying: 0, pending: 1 })
        yield* holder.release
        yield* ended("the waiter", waiter)
      })
  ),

  time.pool(
    "a creation that hangs is not given up before its time",
    { needs: ["waiting", "time"], max: 1, createTimeout: 1, gates: { create: "hang" } },
    (world) =>
      Effect.gen(function* () {
        yield* world.start(world.call())
        for (let n = 0; n < 50; n++) yield* settle
        yield* equal("creating", world.counts().creating, 1)
      })
  ),

  time.pool("the times of leases are the clock's", { needs: ["waiting"], max: 1 }, (world) =>
    Effect.gen(function* () {
      yield* TestClock.adjust(1000)
      const first = yield* world.start(world.use(() => Effect.sleep(150)))
      const second = yield* world.start(world.use(() => Effect.sleep(50)))
      yield* TestClock.adjust("1 day")
      yield* ended("the first lease", first)
      yield* ended("the second lease", second)
      yield* includes("time waited", world.stats.wait, { count: 2, max: 150 })
      yield* includes("time used", world.stats.use, { count: 2, max: 150 })
      yield* equal(
        "when leases began",
        world.tagged("LeaseAcquired").map(({ at, waited }) => [at, waited]),
        [
          [1000, 0],
          [1150, 150]
        ]
      )
      yield* equal(
        "when leases ended",
        world.tagged("LeaseReleased").map(({ at, used }) => [at, used]),
        [
          [1150, 150],
          [1200, 50]
        ]
      )
    })
  ),

  time.pool("the time of making an item is the clock's", { needs: ["waiting", "time"], max: 1 }, (world) =>
    Effect.gen(function* () {
      world.gates.create = 150
      yield* world.start(world.call())
      yield* TestClock.adjust(1000)
      yield* includes("time of creation", world.stats.create, { count: 1, max: 150 })
      yield* equal(
        "when items were made",
        world.tagged("ItemCreated").map(({ at, took }) => [at, took]),
        [[150, 150]]
      )
    })
  ),

  time.pool("an item's age is the clock's", { max: 1 }, (world) =>
    Effect.gen(function* () {
      const [holder] = yield* world.holdMany(1)
      yield* TestClock.adjust("1 minute")
      yield* world.invalidate(holder!.value())
      yield* holder!.release
      yield* equal(
        "ages at the end",
        world.tagged("ItemDestroyed").map(({ age, at }) => [age, at]),
        [[60_000, 60_000]]
      )
    })
  ),

  time.pool("thirty days pass, and the pool is as it was", { max: 2 }, (world) =>
    Effect.gen(function* () {
      const days = 30
      for (let day = 0; day < days; day++) {
        yield* world.call()
        yield* TestClock.adjust("1 day")
      }
      yield* equal("the time", yield* Clock.currentTimeMillis, days * 86_400_000)
      yield* world.atRest()
      yield* world.everyPlaceWorks()
    })
  )
]
