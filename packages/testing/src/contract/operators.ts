import { Pool } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import { equal, includes } from "./expect.ts"
import { group, type Plan } from "./plan.ts"
import { allAnswered, answered, settle } from "./world.ts"

const suspend = group("suspend")
const resize = group("resize")
const drain = group("drain")

export const plans: ReadonlyArray<Plan> = [
  suspend.pool("holds new leases back and does not touch those that are out", { needs: ["waiting"], max: 2 }, (world) =>
    Effect.gen(function* () {
      const [holder] = yield* world.holdMany(1)
      yield* Pool.suspend(world.pool)
      yield* equal("state", world.stats.state, "suspended")
      const caller = yield* world.start(world.call())
      yield* TestClock.adjust(1000)
      yield* equal("the lease goes on", holder!.fiber.pollUnsafe(), undefined)
      yield* equal("counts", world.counts(), { idle: 0, used: 1, creating: 0, destroying: 0, pending: 1 })
      yield* Pool.resume(world.pool)
      yield* settle
      yield* equal("state", world.stats.state, "open")
      yield* equal("the caller", yield* answered("the caller", caller), { answer: "served", at: 1000 })
    })
  ),

  suspend.pool("twice is once, and resume of an open pool is nothing", { max: 1 }, (world) =>
    Effect.gen(function* () {
      yield* Pool.resume(world.pool)
      yield* Pool.suspend(world.pool)
      yield* Pool.suspend(world.pool)
      yield* Pool.resume(world.pool)
      yield* Pool.resume(world.pool)
      yield* equal(
        "events",
        world.events.map((event) => event._tag),
        ["Suspended", "Resumed"]
      )
      yield* equal("a caller", (yield* world.call()).answer, "served")
    })
  ),

  suspend.pool("leases may end while suspended", { max: 1 }, (world) =>
    Effect.gen(function* () {
      const [holder] = yield* world.holdMany(1)
      yield* Pool.suspend(world.pool)
      yield* holder!.release
      yield* world.atRest()
      yield* Pool.resume(world.pool)
      yield* world.everyPlaceWorks()
    })
  ),

  suspend.pool("a suspended pool can be drained", { max: 1 }, (world) =>
    Effect.gen(function* () {
      const [holder] = yield* world.holdMany(1)
      yield* Pool.suspend(world.pool)
      const draining = yield* world.start(Pool.drain(world.pool))
      yield* settle
      yield* equal("state", world.stats.state, "draining")
      yield* Pool.resume(world.pool)
      yield* equal("state after a resume", world.stats.state, "draining")
      yield* holder!.release
      yield* equal("the drain has ended", draining.pollUnsafe() !== undefined, true)
    })
  ),

  resize.pool("changes what is given and leaves the rest", { max: 3 }, (world) =>
    Effect.gen(function* () {
      yield* Pool.resize(world.pool, { max: 5 })
      yield* includes("stats", world.stats, { min: 0, max: 5 })
      yield* Pool.resize({ max: 2 })(world.pool)
      yield* includes("stats", world.stats, { min: 0, max: 2 })
      yield* Pool.resize(world.pool, { max: undefined })
      yield* includes("stats", world.stats, { min: 0, max: 2 })
      yield* Pool.resize(world.pool, {})
      yield* includes("stats", world.stats, { min: 0, max: 2 })
      yield* includes("the first event", world.tagged("Resized")[0], { min: 0, max: 5 })
      yield* world.everyPlaceWorks()
    })
  ),

  resize.pool("serves nobody while the pool is suspended", { needs: ["waiting"], max: 1 }, (world) =>
    Effect.gen(function* () {
      yield* world.call()
      yield* settle
      yield* Pool.suspend(world.pool)
      const waiter = yield* world.hold()
      yield* Pool.resize(world.pool, { max: 2 })
      yield* TestClock.adjust(1000)
      yield* equal("the waiter has an item", waiter.item() !== undefined, false)
      yield* includes("counts", world.counts(), { used: 0, pending: 1 })
      yield* Pool.resume(world.pool)
      yield* settle
      yield* equal("the waiter has an item after the resume", waiter.item() !== undefined, true)
    })
  ),

  resize.pool("does nothing to a closed pool, and tells nothing", { max: 3 }, (world) =>
    Effect.gen(function* () {
      yield* world.call()
      yield* world.close
      yield* settle
      const told = world.events.length
      yield* Pool.resize(world.pool, { max: 5 })
      yield* Pool.suspend(world.pool)
      yield* Pool.resume(world.pool)
      yield* settle
      yield* includes("stats", world.stats, { state: "closed", min: 0, max: 3 })
      yield* equal("events after the close", world.events.slice(told), [])
    })
  ),

  resize.pool("never interrupts a lease", { max: 3, maxCreating: 3 }, (world) =>
    Effect.gen(function* () {
      const held = yield* world.holdMany(3)
      yield* Pool.resize(world.pool, { max: 1 })
      yield* TestClock.adjust(1000)
      yield* equal("leases that go on", held.filter(({ fiber }) => fiber.pollUnsafe() === undefined).length, 3)
      yield* equal("destroyed", world.gates.items.filter((item) => item.destroying > 0).length, 0)
      for (const { release } of held) yield* release
      yield* world.atRest()
      yield* world.everyPlaceWorks()
    })
  ),

  resize.pool("back and forth loses no place", { needs: ["waiting"], max: 2, maxCreating: 5 }, (world) =>
    Effect.gen(function* () {
      const callers = yield* Effect.forEach(Array.from({ length: 30 }), (_, n) =>
        world.start(world.answer(world.use(() => Effect.sleep(1 + (n % 3)))))
      )
      for (const max of [5, 1, 4, 2, 3, 1, 5, 3]) {
        yield* Pool.resize(world.pool, { max })
        yield* TestClock.adjust(1)
      }
      yield* TestClock.adjust(100)
      yield* allAnswered("callers", callers, "served")
      yield* world.atRest()
      yield* world.everyPlaceWorks()
    })
  ),

  drain.pool("takes the pool first or last, with and without a grace", { max: 1 }, (world) =>
    Effect.gen(function* () {
      for (const draining of [
        Pool.drain(world.pool),
        Pool.drain(world.pool, 0),
        Pool.drain()(world.pool),
        Pool.drain("1 second")(world.pool),
        world.pool.pipe(Pool.drain())
      ]) {
        const fiber = yield* world.start(draining)
        yield* settle
        yield* equal("the drain has ended", fiber.pollUnsafe() !== undefined, true)
      }
      yield* world.gone()
    })
  )
]
