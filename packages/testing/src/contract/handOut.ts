import { Pool } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import { bad } from "../Gates.ts"
import { equal } from "./expect.ts"
import { group, type Plan } from "./plan.ts"
import { show } from "./slots.ts"
import { allAnswered, ended, settle, type World } from "./world.ts"

const clean = group(7)

/** The number of the item that a caller gets. */
const itemOf = (world: World) => world.use((item) => Effect.succeed(item.id))

export const plans: ReadonlyArray<Plan> = [
  clean.pool("an item that is invalidated in use is not handed out again", { max: 1 }, (world) =>
    Effect.gen(function* () {
      const [holder] = yield* world.holdMany(1)
      yield* world.invalidate(holder!.value())
      yield* settle
      // Its holder may go on using it.
      yield* equal("its end has begun", holder!.item()!.destroying, 0)
      yield* holder!.release
      yield* equal("its end has begun", holder!.item()!.destroying, 1)
      const [next] = yield* world.holdMany(1)
      yield* equal("the next caller has another", next!.item() !== holder!.item(), true)
      yield* equal("destroyed as invalidated", world.stats.destroyed.invalidated, 1)
    })
  ),

  clean.pool("whoever waits for an item that is invalidated gets another", { needs: ["waiting"], max: 1 }, (world) =>
    Effect.gen(function* () {
      const [holder] = yield* world.holdMany(1)
      const waiter = yield* world.hold()
      yield* world.invalidate(holder!.value())
      yield* holder!.release
      yield* equal("the waiter is served", waiter.item() !== undefined, true)
      yield* equal("the waiter has another item", waiter.item() !== holder!.item(), true)
    })
  ),

  clean.pool("an idle item that is invalidated is destroyed at once", { needs: ["reuse"], max: 2 }, (world) =>
    Effect.gen(function* () {
      const [one, two] = yield* world.holdMany(2)
      yield* one!.release
      yield* two!.release
      yield* world.invalidate(one!.value())
      yield* settle
      yield* equal("idle", world.counts().idle, 1)
      yield* equal("how often it was destroyed", one!.item()!.destroyed, 1)
      yield* equal("how often the other was destroyed", two!.item()!.destroyed, 0)
      yield* world.everyPlaceWorks()
    })
  ),

  clean.pool("invalidating what the pool does not know, or knows no more, has no effect", { max: 2 }, (world) =>
    Effect.gen(function* () {
      const [gone, holder] = yield* world.holdMany(2)
      yield* world.invalidate(gone!.value())
      yield* gone!.release
      const before = world.counts()
      for (const unknown of [gone!.value(), undefined, null, NaN, "item", {}, () => {}])
        yield* world.invalidate(unknown)
      yield* settle
      yield* equal("counts", world.counts(), before)
      yield* equal("the other item's end has begun", holder!.item()!.destroying, 0)
      yield* equal("destroyed as invalidated", world.stats.destroyed.invalidated, 1)
    })
  ),

  clean.pool(
    "an item that is invalidated while the pool is suspended is not handed out on resume",
    { max: 1 },
    (world) =>
      Effect.gen(function* () {
        const [holder] = yield* world.holdMany(1)
        yield* Pool.suspend(world.pool)
        yield* holder!.release
        yield* world.invalidate(holder!.value())
        yield* Pool.resume(world.pool)
        const [next] = yield* world.holdMany(1)
        yield* equal("the next caller has another", next!.item() !== holder!.item(), true)
      })
  ),

  clean.pool("an item that its own body invalidates is gone for the next caller, each time", { max: 2 }, (world) =>
    Effect.gen(function* () {
      const seen: Array<number> = []
      for (let n = 0; n < 5; n++) {
        seen.push(yield* world.use((item, value) => Effect.as(world.invalidate(value), item.id)))
        yield* settle
      }
      yield* equal("items that callers got", seen.length, new Set(seen).size)
      yield* world.atRest()
    })
  ),

  clean.pool("an item is in one hand at a time", { needs: ["waiting"], max: 3, maxCreating: 3 }, (world) =>
    Effect.gen(function* () {
      // The bodies themselves note an item that is in two hands, or destroyed.
      const callers = yield* Effect.forEach(Array.from({ length: 60 }), (_, n) =>
        world.start(
          world.answer(
            world.use((_, value) =>
              n % 7 === 0 ? world.invalidate(value) : n % 2 === 0 ? Effect.sleep(n % 5) : Effect.yieldNow
            )
          )
        )
      )
      yield* TestClock.adjust(200)
      yield* allAnswered("callers", callers, "served")
      yield* world.atRest()
    })
  ),

  clean.pool("each lease has an item of its own that nobody had before", { without: ["reuse"], max: 2 }, (world) =>
    Effect.gen(function* () {
      const seen: Array<number> = []
      for (let n = 0; n < 5; n++) {
        seen.push((yield* itemOf(world)) as number)
        yield* settle
      }
      yield* equal("items that callers got", seen.length, new Set(seen).size)
    })
  ),

  clean.pool("an item that came back is handed out again", { needs: ["reuse"], max: 1 }, (world) =>
    Effect.gen(function* () {
      const first = yield* itemOf(world)
      yield* settle
      yield* equal("the item of the next caller", yield* itemOf(world), first)
      yield* equal("items", world.gates.items.length, 1)
    })
  ),

  clean.pool(
    "an invalidated item that is shared takes no further lease",
    { needs: ["sharing"], max: 2, concurrency: 3 },
    (world) =>
      Effect.gen(function* () {
        const [one] = yield* world.holdMany(1)
        yield* world.invalidate(one!.value())
        const [two] = yield* world.holdMany(1)
        yield* equal("the second has another", two!.item() !== one!.item(), true)
        yield* one!.release
        yield* two!.release
        yield* world.atRest()
      })
  ),

  clean.pool(
    "what a lease left dirty is reset before anybody else gets it",
    { needs: ["waiting", "reset"], max: 1, steps: ["reset"] },
    (world) =>
      Effect.gen(function* () {
        world.slow("reset", 3)
        const body = world.use((item) =>
          Effect.suspend(() => {
            const wasDirty = item.isDirty
            item.isDirty = true
            return Effect.as(Effect.sleep(1), wasDirty)
          })
        )
        const callers = yield* Effect.forEach(Array.from({ length: 5 }), () => world.start(Effect.exit(body)))
        yield* TestClock.adjust(100)
        for (const caller of callers) {
          const exit = yield* Effect.flatten(ended("a caller", caller))
          yield* equal("the caller found it dirty", exit._tag === "Success" && exit.value, false)
        }
        yield* equal("resets", world.gates.resets, 5)
      })
  ),

  ...bad.flatMap((gate): Array<Plan> => {
    const needs = gate === "hang" || gate === "stuck" ? (["time"] as const) : []
    return [
      clean.pool(
        `validate: ${show(gate)}: the item is destroyed, and the caller gets another`,
        { needs: ["waiting", "validation", ...needs], max: 1, steps: ["validate"], leavesWork: gate === "stuck" },
        (world) =>
          Effect.gen(function* () {
            yield* world.call()
            yield* TestClock.adjust(1000)
            world.gates.validate = gate
            const caller = yield* world.start(Effect.exit(itemOf(world)))
            // Longer than any pool lets validation hang.
            yield* TestClock.adjust("20 seconds")
            const exit = yield* Effect.flatten(ended("the caller", caller))
            yield* equal("the item of the caller", exit._tag === "Success" && exit.value, 2)
            yield* equal("destroyed, as validation failed", world.stats.destroyed.validationFailed, 1)
          })
      ),
      clean.pool(
        `reset: ${show(gate)}: the item is destroyed, and the next caller gets another`,
        { needs: ["waiting", "reset", ...needs], max: 1, steps: ["reset"], leavesWork: gate === "stuck" },
        (world) =>
          Effect.gen(function* () {
            world.gates.reset = gate
            yield* world.call()
            const caller = yield* world.start(Effect.exit(itemOf(world)))
            yield* TestClock.adjust("20 seconds")
            const exit = yield* Effect.flatten(ended("the caller", caller))
            yield* equal("the item of the caller", exit._tag === "Success" && exit.value, 2)
            yield* equal("destroyed, as the reset failed", world.stats.destroyed.resetFailed, 2)
          })
      )
    ]
  })
]
