import * as Effect from "effect/Effect"
import type { Fiber } from "effect/Fiber"
import { TestClock } from "effect/testing"
import { bad, type Gate, type Step } from "../Gates.ts"
import type { Trait } from "../Subject.ts"
import { atMost, equal } from "./expect.ts"
import { group, type Plan } from "./plan.ts"
import { allAnswered, type Answer, ended, settle, type World } from "./world.ts"

const slots = group(5)

const gates: ReadonlyArray<Gate> = [...bad, 50, { late: 60_000 }, { late: 20_000, ending: "die" }]

/** Gates at which a step takes time, if only until it is given up. */
const takesTime = (gate: Gate): boolean => typeof gate !== "string" || gate === "hang" || gate === "stuck"

export const show = (gate: Gate): string =>
  typeof gate === "object"
    ? `late, then ${gate.ending ?? "ok"}`
    : typeof gate === "number"
      ? "slow"
      : gate === "false"
        ? "answers false"
        : gate

const needs = (gate: Gate, ...more: ReadonlyArray<Trait>): ReadonlyArray<Trait> =>
  takesTime(gate) ? [...more, "time"] : more

/** Callers come while a step goes wrong; all of them come to an end in time. */
const visit = Effect.fnUntraced(function* (world: World) {
  const callers: Array<Fiber<Answer>> = []
  for (let n = 0; n < 3; n++) {
    // Items have to be made and destroyed all the time, not only handed on.
    const body = world.use((_, value) => (n === 1 ? world.invalidate(value) : Effect.sleep(1)), {
      acquireTimeout: 10_000
    })
    callers.push(yield* world.start(world.answer(body)))
  }
  yield* TestClock.adjust("1 minute")
  for (const caller of callers) yield* ended("a caller", caller)
  yield* TestClock.adjust("2 minutes")
})

/** When all goes well again, every place can be had. */
const recovers = Effect.fnUntraced(function* (world: World) {
  world.gates.allWell()
  yield* TestClock.adjust("5 minutes")
  yield* world.atRest()
  yield* world.everyPlaceWorks()
  yield* atMost("items by the pool's counts", world.most, 2)
})

/** What was made or validated for somebody who left is there for the next caller, if such a thing can be kept. */
const isThereForTheNext = (world: World) => (world.has("reuse") ? equal("idle", world.counts().idle, 1) : Effect.void)

const whileGoing = (step: Step, gate: Gate, more: ReadonlyArray<Trait>): Plan =>
  slots.pool(
    `${step}: ${show(gate)}: callers end, and every place can be had afterwards`,
    {
      needs: needs(gate, ...more),
      max: 2,
      createTimeout: 2000,
      destroyTimeout: 2000,
      steps: step === "validate" || step === "reset" || step === "check" ? [step] : [],
      // A finalizer that hangs can't be interrupted.
      leavesWork: gate === "stuck" || typeof gate === "object" || (step === "destroy" && gate === "hang")
    },
    (world) =>
      Effect.gen(function* () {
        yield* world.call()
        yield* TestClock.adjust(1000)
        world.gates[step] = gate
        for (let round = 0; round < 3; round++) yield* visit(world)
        yield* recovers(world)
      })
  )

const optional = ["validate", "reset", "check"] as const
const trait = { validate: "validation", reset: "reset", check: "checks" } as const

export const plans: ReadonlyArray<Plan> = [
  // Making and destroying answer nothing, so `false` is none of their ways.
  ...gates.filter((gate) => gate !== "false").map((gate) => whileGoing("create", gate, ["waiting"])),
  ...gates.filter((gate) => gate !== "false").map((gate) => whileGoing("destroy", gate, ["waiting"])),
  ...optional.flatMap((step) => gates.map((gate) => whileGoing(step, gate, ["waiting", trait[step]]))),

  ...(["fail", "die", "interrupt"] as const).map((gate) =>
    slots.pool(`a creation that ends with ${gate} leaves its place to the next, without waiting`, { max: 1 }, (world) =>
      Effect.gen(function* () {
        world.gates.create = gate
        for (let n = 0; n < 3; n++) yield* world.call({ acquireTimeout: 0 })
        world.gates.create = "ok"
        // Longer than whatever a pool lets pass between attempts.
        yield* TestClock.adjust("1 minute")
        yield* world.everyPlaceWorks()
      })
    )
  ),

  slots.pool(
    "a waiter that leaves while its item is made keeps neither the item nor the place",
    { needs: ["waiting", "time"], max: 1, gates: { create: 100 } },
    (world) =>
      Effect.gen(function* () {
        const waiter = yield* world.start(world.call())
        yield* TestClock.adjust(50)
        yield* equal("pending", world.counts().pending, 1)
        waiter.interruptUnsafe()
        yield* settle
        yield* equal("pending", world.counts().pending, 0)
        yield* TestClock.adjust(100)
        yield* isThereForTheNext(world)
        yield* world.atRest()
        yield* world.everyPlaceWorks()
      })
  ),

  slots.pool(
    "a waiter whose time is over while its item is made keeps neither the item nor the place",
    { needs: ["waiting", "time"], max: 1, gates: { create: 100 } },
    (world) =>
      Effect.gen(function* () {
        const waiter = yield* world.start(world.call({ acquireTimeout: 50 }))
        yield* TestClock.adjust(50)
        yield* allAnswered("the waiter", [waiter], "AcquireTimeout")
        yield* TestClock.adjust(100)
        yield* isThereForTheNext(world)
        yield* world.atRest()
        yield* world.everyPlaceWorks()
      })
  ),

  slots.pool("a waiter that leaves the queue keeps no place", { needs: ["waiting"], max: 1 }, (world) =>
    Effect.gen(function* () {
      const [holder] = yield* world.holdMany(1)
      const waiters = yield* Effect.forEach([1, 2, 3], () => world.hold())
      yield* equal("pending", world.counts().pending, 3)
      for (const { fiber } of waiters) fiber.interruptUnsafe()
      yield* settle
      yield* equal("pending", world.counts().pending, 0)
      yield* holder!.release
      yield* world.atRest()
      yield* world.everyPlaceWorks()
    })
  ),

  slots.pool(
    "a waiter that leaves while an item is validated for it keeps neither",
    { needs: ["waiting", "time", "validation"], max: 1, steps: ["validate"] },
    (world) =>
      Effect.gen(function* () {
        yield* world.call()
        yield* TestClock.adjust(1000)
        world.gates.validate = 100
        const waiter = yield* world.start(world.call())
        yield* TestClock.adjust(50)
        waiter.interruptUnsafe()
        yield* settle
        yield* equal("pending", world.counts().pending, 0)
        yield* TestClock.adjust(100)
        yield* isThereForTheNext(world)
        yield* world.atRest()
        yield* world.everyPlaceWorks()
      })
  ),

  slots.pool("a hundred bodies that end badly cost no place", { max: 2 }, (world) =>
    Effect.gen(function* () {
      const endings = [Effect.fail("no"), Effect.die("no"), Effect.interrupt, Effect.void] as Array<
        Effect.Effect<void, string>
      >
      for (let n = 0; n < 100; n++) {
        yield* Effect.exit(world.use((_, value) => (n % 3 === 0 ? world.invalidate(value) : endings[n % 4]!)))
        yield* settle
      }
      yield* world.atRest()
      yield* world.everyPlaceWorks()
    })
  )
]
