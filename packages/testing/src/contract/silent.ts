import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import { bad, type Gate } from "../Gates.ts"
import { atLeast, equal, includes, says } from "./expect.ts"
import { group, type Plan } from "./plan.ts"
import { show } from "./slots.ts"
import { answerOf, ended, settle, type World } from "./world.ts"

const silent = group(12)

/** There is an event of a failure in the background, and a log line. */
const isTold = Effect.fnUntraced(function* (world: World, during: string) {
  const told = world.tagged("BackgroundFailure").filter((event) => event.during === during)
  yield* atLeast(`events of a failure during ${during}`, told.length, 1)
  yield* atLeast("log lines", world.logs.length, 1)
  for (const line of world.logs) yield* says("a log line", line, `"${world.pool.name}"`)
  yield* equal("the cause is told", told[0]!.cause.length > 0, true)
})

const optional = ["validate", "reset", "check"] as const
const trait = { validate: "validation", reset: "reset", check: "checks" } as const
const endings: ReadonlyArray<Gate> = ["fail", "die", "interrupt", "hang", "stuck", { late: 60_000, ending: "die" }]
const needs = (gate: Gate) =>
  typeof gate === "object" || gate === "hang" || gate === "stuck" ? (["time"] as const) : []

export const plans: ReadonlyArray<Plan> = [
  ...endings.flatMap((gate): Array<Plan> => {
    const leavesWork = gate === "stuck" || gate === "hang" || typeof gate === "object"
    return [
      silent.pool(
        `a finalizer: ${show(gate)}: is told, and is nothing to the one who held the item`,
        { needs: needs(gate), max: 1, destroyTimeout: 100, leavesWork },
        (world) =>
          Effect.gen(function* () {
            world.gates.destroy = gate
            const exit = yield* Effect.exit(world.use((_, value) => Effect.as(world.invalidate(value), "answer")))
            yield* includes("the caller", exit, { _tag: "Success", value: "answer" })
            yield* TestClock.adjust(100)
            yield* isTold(world, "destroy")
            yield* TestClock.adjust("2 minutes")
            // What happens after it was given up is told as well.
            const told = world.tagged("BackgroundFailure").length
            yield* equal("events of failures", told, typeof gate === "object" ? 2 : 1)
          })
      ),
      silent.pool(
        `a finalizer as the pool closes: ${show(gate)}: is told`,
        { needs: needs(gate), max: 1, destroyTimeout: 100, leavesWork },
        (world) =>
          Effect.gen(function* () {
            yield* world.call()
            const [holder] = yield* world.holdMany(1)
            world.gates.destroy = gate
            const closing = yield* world.start(world.close)
            yield* holder!.release
            yield* TestClock.adjust(100)
            yield* ended("the close", closing)
            yield* isTold(world, "destroy")
          })
      )
    ]
  }),

  ...optional.flatMap((step) =>
    bad.map((gate) =>
      silent.pool(
        `${step}: ${show(gate)}: is told`,
        { needs: [trait[step], ...needs(gate)], max: 1, steps: [step], leavesWork: gate === "stuck" },
        (world) =>
          Effect.gen(function* () {
            yield* world.call()
            yield* TestClock.adjust(1000)
            world.gates[step] = gate
            yield* world.start(world.call())
            yield* TestClock.adjust("1 minute")
            yield* isTold(world, step)
          })
      )
    )
  ),

  ...(["fail", "die", "interrupt"] as const).map((gate) =>
    silent.pool(
      `a creation: ${gate}: is an event, a count, and the caller's failure`,
      { max: 1, acquireTimeout: 1000 },
      (world) =>
        Effect.gen(function* () {
          world.gates.create = gate
          const caller = yield* world.start(world.call())
          yield* TestClock.adjust(1000)
          const { answer } = yield* Effect.flatten(ended("the caller", caller))
          const failed = gate === "fail" ? "GateFailure" : "defect"
          yield* equal("the caller", answer === "Exhausted" ? failed : answer, failed)
          const told = world.tagged("ItemCreateFailed")
          yield* atLeast("events", told.length, 1)
          yield* equal("creations that failed", world.stats.createFailed, told.length)
          yield* equal("the cause is told", told[0]!.cause.length > 0, true)
        })
    )
  ),

  silent.pool(
    "a creation that fails when its caller has left is told",
    { needs: ["waiting", "time"], max: 1, gates: { create: { late: 100, ending: "fail" } } },
    (world) =>
      Effect.gen(function* () {
        yield* world.start(world.call({ acquireTimeout: 10 }))
        yield* TestClock.adjust(200)
        yield* atLeast("events", world.tagged("ItemCreateFailed").length, 1)
        yield* atLeast("log lines", world.logs.length, 1)
      })
  ),

  silent.pool(
    "a creation that was given up and then fails is told again",
    { needs: ["waiting", "time"], max: 1, createTimeout: 100, gates: { create: { late: 1000, ending: "die" } } },
    (world) =>
      Effect.gen(function* () {
        yield* world.start(world.call({ acquireTimeout: 50 }))
        yield* TestClock.adjust(150)
        world.gates.create = "ok"
        const before = world.tagged("BackgroundFailure").length
        yield* TestClock.adjust(5000)
        yield* atLeast("events of failures", world.tagged("BackgroundFailure").length, before + 1)
      })
  ),

  silent.pool(
    "errors of bodies reach their callers as they are, and are no failures of the pool",
    { max: 1 },
    (world) =>
      Effect.gen(function* () {
        const hostile = {
          toString(): string {
            throw new Error("cannot be shown")
          }
        }
        for (const error of [hostile, null, undefined, 0, "", Symbol("no"), () => {}]) {
          yield* includes("the caller's failure", yield* Effect.result(world.use(() => Effect.fail(error))), {
            failure: error
          })
          yield* equal("a defect", answerOf(yield* Effect.exit(world.use(() => Effect.die(error)))), "defect")
          yield* settle
        }
        yield* equal("events of failures", world.tagged("BackgroundFailure").length, 0)
        yield* equal("log lines", world.logs, [])
        yield* world.everyPlaceWorks()
      })
  ),

  silent.pool(
    "opening, using, suspending, resizing and closing a healthy pool say nothing",
    { max: 3, maxCreating: 3 },
    (world) =>
      Effect.gen(function* () {
        for (const { release } of yield* world.holdMany(3)) yield* release
        const held = yield* world.holdMany(2)
        yield* world.invalidate(held[0]!.value())
        const closing = yield* world.start(world.close)
        for (const { release } of held) yield* release
        yield* ended("the close", closing)
        yield* equal("events of failures", world.tagged("BackgroundFailure"), [])
        yield* equal("log lines", world.logs, [])
      })
  )
]
