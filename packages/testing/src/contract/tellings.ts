import { Pool } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import { atLeast, equal, includes } from "./expect.ts"
import { group, type Plan } from "./plan.ts"
import { allAnswered, ended, settle, type World } from "./world.ts"

const events = group("events")

/** Why items were destroyed, as events tell it and as stats count it. */
const reasons = Effect.fnUntraced(function* (world: World, expected: Record<string, number>) {
  const told: Record<string, number> = {}
  for (const { reason } of world.tagged("ItemDestroyed")) told[reason] = (told[reason] ?? 0) + 1
  yield* equal("why items were destroyed, by events", told, expected)
  yield* includes("why items were destroyed, by stats", world.stats.destroyed, expected)
})

/** What events say beyond that something happened. */
export const plans: ReadonlyArray<Plan> = [
  events.pool("an item that is invalidated is destroyed for this reason", { max: 2, maxCreating: 2 }, (world) =>
    Effect.gen(function* () {
      const [first, second] = yield* world.holdMany(2)
      yield* world.invalidate(first!.value())
      yield* first!.release
      yield* reasons(world, { invalidated: 1 })
      if (!world.has("reuse")) return
      yield* second!.release
      yield* world.invalidate(second!.value())
      yield* settle
      yield* reasons(world, { invalidated: 2 })
    })
  ),

  events.pool(
    "an item that is too many after a resize is destroyed for this reason",
    { needs: ["reuse"], max: 3, maxCreating: 3 },
    (world) =>
      Effect.gen(function* () {
        const [first, second] = yield* world.holdMany(3)
        yield* first!.release
        yield* Pool.resize(world.pool, { max: 1 })
        yield* settle
        yield* reasons(world, { shrink: 1 })
        yield* second!.release
        yield* reasons(world, { shrink: 2 })
      })
  ),

  events.pool(
    "items that are idle or in use as the pool closes are destroyed for this reason",
    { needs: ["reuse", "grace"], max: 2, maxCreating: 2, closeGrace: 1000 },
    (world) =>
      Effect.gen(function* () {
        const [first, second] = yield* world.holdMany(2)
        yield* first!.release
        const closing = yield* world.start(world.close)
        yield* settle
        yield* second!.release
        yield* ended("the close", closing)
        yield* reasons(world, { closed: 2 })
      })
  ),

  events.pool(
    "an item that is destroyed under its holder is destroyed for the reason that the pool closes",
    { needs: ["grace"], max: 1, closeGrace: 0 },
    (world) =>
      Effect.gen(function* () {
        yield* world.holdMany(1)
        const closing = yield* world.start(world.close)
        yield* settle
        yield* ended("the close", closing)
        yield* reasons(world, { closed: 1 })
      })
  ),

  events.pool("tell of each attempt to make an item, before what becomes of it", { max: 1 }, (world) =>
    Effect.gen(function* () {
      yield* world.use((_, value) => world.invalidate(value))
      yield* settle
      world.gates.create = "fail"
      const caller = yield* world.start(world.call({ acquireTimeout: 10 }))
      yield* TestClock.adjust(10)
      yield* ended("the caller", caller)
      const told = world.events.map(({ _tag }) => _tag)
      const begun = told.filter((tag) => tag === "ItemCreating").length
      yield* atLeast("attempts", begun, 2)
      yield* equal("attempts that were told, of those made", begun, world.gates.attempts)
      yield* equal("what becomes of them", told.filter((tag) => tag.startsWith("ItemCreat")).slice(0, 4), [
        "ItemCreating",
        "ItemCreated",
        "ItemCreating",
        "ItemCreateFailed"
      ])
    })
  ),

  events.pool(
    "say how long a failed attempt took, and which in a row it was",
    { needs: ["waiting", "time"], max: 2, gates: { create: { late: 30, ending: "fail" } } },
    (world) =>
      Effect.gen(function* () {
        const call = Effect.gen(function* () {
          const caller = yield* world.start(world.call({ acquireTimeout: 100 }))
          // Longer than whatever a pool lets pass between attempts.
          yield* TestClock.adjust("1 minute")
          yield* ended("a caller", caller)
        })
        const failed = () => world.tagged("ItemCreateFailed").map(({ failures, took }) => ({ failures, took }))
        yield* call
        yield* call
        const inRow = failed()
        yield* atLeast("attempts", inRow.length, 2)
        yield* equal(
          "failed attempts",
          inRow,
          inRow.map((_, before) => ({ failures: before + 1, took: 30 }))
        )
        world.gates.create = "ok"
        yield* world.holdMany(1)
        world.gates.create = { late: 30, ending: "fail" }
        yield* call
        yield* equal("the first that failed after a success", failed()[inRow.length], { failures: 1, took: 30 })
      })
  ),

  events.pool("say how long those waited who were not served", { needs: ["waiting"], max: 1 }, (world) =>
    Effect.gen(function* () {
      const [holder] = yield* world.holdMany(1)
      yield* TestClock.adjust(100)
      world.events.length = 0
      const leaves = yield* world.hold()
      const expires = yield* world.start(world.call({ acquireTimeout: 40 }))
      const stays = yield* world.start(world.call())
      yield* TestClock.adjust(25)
      leaves.fiber.interruptUnsafe()
      yield* TestClock.adjust(40)
      yield* world.start(world.close)
      yield* settle
      yield* holder!.release
      yield* allAnswered("the one whose time is over", [expires], "AcquireTimeout")
      yield* allAnswered("the one who stays", [stays], "Closed")
      yield* equal(
        "how long they waited",
        world.tagged("WaitEnded").map(({ outcome, waited }) => ({ outcome, waited })),
        [
          { outcome: "interrupted", waited: 25 },
          { outcome: "timeout", waited: 40 },
          { outcome: "closed", waited: 65 }
        ]
      )
    })
  ),

  events.pool("say how many items are in use as the pool begins to close", { max: 3, maxCreating: 3 }, (world) =>
    Effect.gen(function* () {
      const held = yield* world.holdMany(3)
      yield* held[0]!.release
      yield* world.start(world.close)
      yield* settle
      yield* equal(
        "in use",
        world.tagged("Closing").map(({ used }) => used),
        [2]
      )
      for (const { release } of held) yield* release
    })
  ),

  events.pool("say where a lease was taken while that is noted", { max: 1 }, (world) =>
    Effect.gen(function* () {
      const stop = world.pool.admission.trackCallSites()
      yield* world.use(() => Effect.void)
      stop()
      const [taken] = world.tagged("LeaseAcquired")
      yield* equal("a place is told", typeof taken?.takenAt === "string" && taken.takenAt.length > 0, true)
    })
  )
]
