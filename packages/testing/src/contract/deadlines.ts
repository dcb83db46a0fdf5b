import { Pool } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import { equal } from "./expect.ts"
import { group, type Plan } from "./plan.ts"
import { answered, settle, type World } from "./world.ts"

const deadlines = group(8)

/** Starts a call that must be answered so, at that time. */
const expectAnswer = Effect.fnUntraced(function* (
  world: World,
  options: Pool.AcquireOptions | undefined,
  expected: { readonly answer: string; readonly at: number }
) {
  const caller = yield* world.start(world.call(options))
  return Effect.gen(function* () {
    yield* equal("the caller", yield* answered("the caller", caller), expected)
  })
})

export const plans: ReadonlyArray<Plan> = [
  deadlines.pool(
    "waiting for a turn counts, to the millisecond",
    { needs: ["waiting"], max: 1, acquireTimeout: 300 },
    (world) =>
      Effect.gen(function* () {
        yield* world.holdMany(1)
        const caller = yield* world.start(world.call())
        yield* TestClock.adjust(299)
        yield* equal("it still waits", caller.pollUnsafe(), undefined)
        yield* TestClock.adjust(1)
        yield* equal("the caller", yield* answered("the caller", caller), { answer: "AcquireTimeout", at: 300 })
        yield* equal("pending", world.counts().pending, 0)
      })
  ),

  deadlines.pool("each caller has its own, in any order", { needs: ["waiting"], max: 1 }, (world) =>
    Effect.gen(function* () {
      yield* world.holdMany(1)
      const times = [500, 20, 300, 300, 1, 40_000]
      const checks = yield* Effect.forEach(times, (acquireTimeout) =>
        expectAnswer(world, { acquireTimeout }, { answer: "AcquireTimeout", at: acquireTimeout })
      )
      yield* TestClock.adjust("1 minute")
      yield* Effect.all(checks)
      yield* equal("pending", world.counts().pending, 0)
      yield* equal("timeouts", world.stats.timeouts, 6)
    })
  ),

  deadlines.pool(
    "a call's own replaces the pool's, shorter or longer",
    { needs: ["waiting"], max: 1, acquireTimeout: 100 },
    (world) =>
      Effect.gen(function* () {
        const [holder] = yield* world.holdMany(1)
        const checks = [
          yield* expectAnswer(world, { acquireTimeout: 30 }, { answer: "AcquireTimeout", at: 30 }),
          yield* expectAnswer(world, undefined, { answer: "AcquireTimeout", at: 100 }),
          yield* expectAnswer(world, { acquireTimeout: undefined }, { answer: "AcquireTimeout", at: 100 }),
          yield* expectAnswer(world, { acquireTimeout: "1 second" }, { answer: "AcquireTimeout", at: 1000 }),
          yield* expectAnswer(world, { acquireTimeout: 40, priority: 2 }, { answer: "AcquireTimeout", at: 40 }),
          yield* expectAnswer(world, { acquireTimeout: 200, priority: -2 }, { answer: "AcquireTimeout", at: 200 }),
          yield* expectAnswer(world, { acquireTimeout: Infinity }, { answer: "served", at: 86_400_000 })
        ]
        yield* TestClock.adjust("1 day")
        yield* holder!.release
        yield* Effect.all(checks)
      })
  ),

  deadlines.pool("0 is answered in the same moment", { max: 1 }, (world) =>
    Effect.gen(function* () {
      yield* world.holdMany(1)
      const check = yield* expectAnswer(world, { acquireTimeout: 0 }, { answer: "Exhausted", at: 0 })
      yield* check
    })
  ),

  deadlines.pool("they run while the pool is suspended", { needs: ["waiting"], max: 1, acquireTimeout: 100 }, (world) =>
    Effect.gen(function* () {
      yield* Pool.suspend(world.pool)
      const check = yield* expectAnswer(world, undefined, { answer: "AcquireTimeout", at: 100 })
      yield* TestClock.adjust(100)
      yield* check
    })
  ),

  deadlines.pool(
    "making an item counts",
    { needs: ["waiting", "time"], max: 1, acquireTimeout: 500, gates: { create: "hang" } },
    (world) =>
      Effect.gen(function* () {
        const check = yield* expectAnswer(world, undefined, { answer: "AcquireTimeout", at: 500 })
        yield* TestClock.adjust(500)
        yield* check
      })
  ),

  deadlines.pool(
    "waiting and making an item count together",
    { needs: ["waiting", "time"], max: 1, acquireTimeout: 500 },
    (world) =>
      Effect.gen(function* () {
        const [holder] = yield* world.holdMany(1)
        const check = yield* expectAnswer(world, undefined, { answer: "AcquireTimeout", at: 500 })
        yield* TestClock.adjust(200)
        world.gates.create = 400
        world.gates.destroy = 50
        yield* world.invalidate(holder!.value())
        yield* holder!.release
        yield* TestClock.adjust(299)
        yield* equal("pending", world.counts().pending, 1)
        yield* TestClock.adjust(1)
        yield* check
        yield* TestClock.adjust(1000)
      })
  ),

  deadlines.pool(
    "validating counts",
    { needs: ["waiting", "time", "validation"], max: 1, acquireTimeout: 500, steps: ["validate"] },
    (world) =>
      Effect.gen(function* () {
        yield* world.call()
        yield* TestClock.adjust(1000)
        world.gates.validate = 700
        const check = yield* expectAnswer(world, undefined, { answer: "AcquireTimeout", at: 1500 })
        yield* TestClock.adjust(500)
        yield* check
        yield* TestClock.adjust(500)
      })
  ),

  deadlines.pool(
    "retries count, and the caller learns of the last failure",
    { needs: ["waiting", "time", "retries"], max: 1, gates: { create: { late: 50, ending: "fail" } } },
    (world) =>
      Effect.gen(function* () {
        const check = yield* expectAnswer(world, { acquireTimeout: 333 }, { answer: "GateFailure", at: 333 })
        yield* TestClock.adjust(333)
        yield* check
        yield* TestClock.adjust(100)
      })
  ),

  deadlines.pool(
    "an item that comes with the deadline is not lost",
    { needs: ["waiting", "time"], max: 1, acquireTimeout: 100, gates: { create: 100 } },
    (world) =>
      Effect.gen(function* () {
        const caller = yield* world.start(world.call())
        yield* TestClock.adjust(100)
        yield* answered("the caller", caller)
        yield* TestClock.adjust(100)
        yield* world.atRest()
        yield* world.everyPlaceWorks()
      })
  ),

  deadlines.pool("the time of the body does not count", { max: 1, acquireTimeout: 100 }, (world) =>
    Effect.gen(function* () {
      const long = yield* world.start(world.answer(world.use(() => Effect.sleep("1 hour"))))
      yield* TestClock.adjust("1 hour")
      yield* equal("the caller", yield* answered("the caller", long), { answer: "served", at: 3_600_000 })
      yield* equal("timeouts", world.stats.timeouts, 0)
    })
  ),

  deadlines.pool(
    "who is passed by others fails in time all the same",
    { needs: ["waiting"], max: 1, acquireTimeout: 50 },
    (world) =>
      Effect.gen(function* () {
        yield* world.start(world.use(() => Effect.sleep(20)))
        yield* settle
        const check = yield* expectAnswer(world, { priority: -1 }, { answer: "AcquireTimeout", at: 50 })
        for (let n = 0; n < 5; n++)
          yield* world.start(world.use(() => Effect.sleep(20), { acquireTimeout: "1 second" }))
        yield* TestClock.adjust(50)
        yield* check
      })
  ),

  deadlines.pool(
    "one that is served in time is not told of its deadline later",
    { needs: ["waiting"], max: 1, acquireTimeout: 100 },
    (world) =>
      Effect.gen(function* () {
        const [holder] = yield* world.holdMany(1)
        const waiter = yield* world.hold()
        yield* TestClock.adjust(99)
        yield* holder!.release
        yield* equal("the waiter is served", waiter.item() !== undefined, true)
        yield* TestClock.adjust(1000)
        yield* equal("the waiter still holds its item", waiter.fiber.pollUnsafe(), undefined)
        yield* equal("timeouts", world.stats.timeouts, 0)
      })
  )
]
