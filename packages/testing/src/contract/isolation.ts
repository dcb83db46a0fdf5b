import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import * as Stream from "effect/Stream"
import { Pool } from "@effect-pools/core"
import { equal } from "./expect.ts"
import { group, type Plan } from "./plan.ts"
import { answered, settle, type World } from "./world.ts"

const isolation = group(6)

/** A caller that starts now is served now. */
const servedNow = Effect.fnUntraced(function* (what: string, world: World) {
  const now = yield* Clock.currentTimeMillis
  const caller = yield* world.start(world.call())
  yield* settle
  yield* equal(what, yield* answered(what, caller), { answer: "served", at: now })
})

const byGate = (["hang", "stuck", 400] as const).flatMap((gate): Array<Plan> => [
  isolation.pool(
    `a creation that goes ${gate} holds nobody up who gets a returned item`,
    { needs: ["waiting", "time", "reuse"], max: 3, maxCreating: 2, leavesWork: gate === "stuck" },
    (world) =>
      Effect.gen(function* () {
        const [holder] = yield* world.holdMany(1)
        world.gates.create = gate
        const callers = yield* Effect.forEach([1, 2, 3], () => world.start(world.call()))
        yield* TestClock.adjust(20)
        yield* holder!.release
        for (const caller of callers) {
          yield* equal("a caller", yield* answered("a caller", caller), { answer: "served", at: 20 })
        }
      })
  ),

  isolation.pool(
    `a creation that goes ${gate} holds nobody up for whom there is another`,
    { needs: ["waiting", "time"], max: 2, maxCreating: 2, gates: { create: gate }, leavesWork: gate === "stuck" },
    (world) =>
      Effect.gen(function* () {
        const first = yield* world.hold()
        world.gates.create = "ok"
        const second = yield* world.hold()
        yield* settle
        const served = [first, second].filter((holder) => holder.item() !== undefined)
        yield* equal("callers served at once", served.length, 1)
      })
  ),

  isolation.pool(
    `a finalizer that goes ${gate} holds up neither its caller nor others`,
    { needs: ["time"], max: 3, maxCreating: 3, leavesWork: gate !== 400 },
    (world) =>
      Effect.gen(function* () {
        const [broken, other] = yield* world.holdMany(2)
        world.gates.destroy = gate
        yield* world.invalidate(broken!.value())
        yield* broken!.release
        yield* equal("the one who released it has ended", broken!.fiber.pollUnsafe() !== undefined, true)
        yield* equal("destroying", world.counts().destroying, 1)
        world.gates.destroy = "ok"
        yield* servedNow("a caller who gets the place that is left", world)
        yield* other!.release
        yield* servedNow("a caller who gets the place that came back", world)
      })
  ),

  isolation.pool(
    `a reset that goes ${gate} holds up neither its caller nor others`,
    { needs: ["time", "reset"], max: 2, steps: ["reset"], leavesWork: gate === "stuck" },
    (world) =>
      Effect.gen(function* () {
        const [reset, other] = yield* world.holdMany(2)
        world.gates.reset = gate
        yield* reset!.release
        yield* equal("the one who released it has ended", reset!.fiber.pollUnsafe() !== undefined, true)
        world.gates.reset = "ok"
        yield* other!.release
        yield* servedNow("a caller", world)
      })
  ),

  isolation.pool(
    `a validation that goes ${gate} holds nobody up while there is another item`,
    { needs: ["waiting", "time", "validation"], max: 3, steps: ["validate"], leavesWork: gate === "stuck" },
    (world) =>
      Effect.gen(function* () {
        for (const { release } of yield* world.holdMany(2)) yield* release
        yield* TestClock.adjust(1000)
        world.gates.validate = gate
        const first = yield* world.hold()
        world.gates.validate = "ok"
        const second = yield* world.hold()
        yield* settle
        const served = [first, second].filter((holder) => holder.item() !== undefined)
        yield* equal("callers served at once", served.length, 1)
      })
  ),

  isolation.pool(
    `a check that goes ${gate} holds nobody up while there is room`,
    { needs: ["waiting", "time", "checks"], max: 3, steps: ["check"], leavesWork: gate === "stuck" },
    (world) =>
      Effect.gen(function* () {
        yield* world.call()
        world.gates.check = gate
        for (let minute = 0; minute < 10 && world.gates.checks === 0; minute++) yield* TestClock.adjust("10 seconds")
        yield* equal("a check is going on", world.gates.checks > 0, true)
        const held = yield* Effect.forEach([1, 2], () => world.hold())
        yield* settle
        yield* equal("callers served at once", held.filter((holder) => holder.item() !== undefined).length, 2)
      })
  )
])

export const plans: ReadonlyArray<Plan> = [
  ...byGate,

  isolation.pool("a body that cannot be interrupted holds up nobody else", { max: 2, maxCreating: 2 }, (world) =>
    Effect.gen(function* () {
      const stuck = yield* world.start(world.use(() => Effect.uninterruptible(Effect.sleep("1 hour"))))
      yield* settle
      stuck.interruptUnsafe()
      yield* servedNow("a caller", world)
      yield* TestClock.adjust("2 hours")
    })
  ),

  isolation.pool("a reader of events that has stopped reading holds nobody up", { max: 2 }, (world) =>
    Effect.gen(function* () {
      yield* world.start(Stream.runForEach(Pool.events(world.pool, { capacity: 2 }), () => Effect.never))
      for (let n = 0; n < 50; n++) yield* servedNow("a caller", world)
    })
  ),

  isolation.pool(
    "a caller that asks within a body holds nobody up when there is room",
    { max: 2, maxCreating: 2 },
    (world) =>
      Effect.gen(function* () {
        const nested = yield* world.start(world.answer(world.use(() => world.call())))
        yield* settle
        yield* equal("the one with two items", (yield* answered("the one with two items", nested)).answer, "served")
        yield* servedNow("a caller", world)
      })
  )
]
