import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { atLeast, atMost, equal } from "./expect.ts"
import { group, type Plan } from "./plan.ts"
import { allAnswered, type Answer, ended, settle, type World } from "./world.ts"

const storms = group(11)

/** That many callers wait for ten seconds while every attempt fails after five milliseconds. */
const besiege = Effect.fnUntraced(function* (world: World, count: number) {
  world.gates.create = { late: 5, ending: "fail" }
  const callers: Array<Fiber.Fiber<Answer>> = []
  for (let n = 0; n < count; n++) callers.push(yield* world.start(world.call({ acquireTimeout: 10_000 })))
  yield* TestClock.adjust(10_000)
  for (const caller of callers) yield* ended("a caller", caller)
})

export const plans: ReadonlyArray<Plan> = [
  ...[1, 1000].map((count) =>
    storms.pool(
      `attempts are the backoff's, with ${count} waiting`,
      { needs: ["waiting", "time", "retries"], max: 50, maxCreating: 2 },
      (world) =>
        Effect.gen(function* () {
          yield* besiege(world, count)
          // Ten a second is far more than any backoff allows, and far less than callers ask for.
          yield* atMost("attempts in ten seconds", world.gates.attempts, 100)
          yield* atLeast("attempts in ten seconds", world.gates.attempts, 2)
        })
    )
  ),

  storms.pool(
    "callers that ask again at once make no attempts without pause",
    { needs: ["waiting", "time", "retries"], max: 5 },
    (world) =>
      Effect.gen(function* () {
        world.gates.create = { late: 5, ending: "fail" }
        const stubborn = Effect.ignore(
          Effect.retry(
            world.use(() => Effect.void),
            { times: 2000 }
          )
        )
        yield* Effect.forEach(Array.from({ length: 10 }), () => world.start(stubborn))
        yield* TestClock.adjust(10_000)
        yield* atMost("attempts in ten seconds", world.gates.attempts, 100)
      })
  ),

  storms.pool(
    "service resumes by itself for those who wait",
    { needs: ["waiting", "time", "retries"], max: 5 },
    (world) =>
      Effect.gen(function* () {
        world.gates.create = { late: 5, ending: "fail" }
        const early = yield* Effect.forEach([1, 2, 3], () => world.start(world.call({ acquireTimeout: Infinity })))
        yield* TestClock.adjust(30)
        world.gates.create = "ok"
        yield* TestClock.adjust(10_000)
        yield* allAnswered("those who waited", early, "served")
        yield* world.atRest()
      })
  ),

  storms.pool(
    "service resumes by itself after a long outage",
    { needs: ["waiting", "time", "retries"], max: 5 },
    (world) =>
      Effect.gen(function* () {
        yield* besiege(world, 10)
        yield* TestClock.adjust("2 minutes")
        world.gates.create = "ok"
        yield* TestClock.adjust(10_000)
        const later = yield* Effect.forEach([1, 2, 3], () => world.start(world.call({ acquireTimeout: 10_000 })))
        yield* TestClock.adjust(10_000)
        yield* allAnswered("later callers", later, "served")
        yield* world.everyPlaceWorks()
      })
  ),

  storms.pool(
    "attempts that hang are at most maxCreating",
    { needs: ["waiting", "time", "creationLimit"], max: 50, maxCreating: 3, gates: { create: "hang" } },
    (world) =>
      Effect.gen(function* () {
        let most = 0
        world.pool.admission.observer.listen(() => (most = Math.max(most, world.counts().creating)))
        yield* Effect.forEach(Array.from({ length: 1000 }), () => world.start(world.call()))
        yield* settle
        yield* equal("attempts", world.gates.attempts, 3)
        yield* TestClock.adjust(20_000)
        yield* atMost("items under creation at one time", most, 3)
      })
  ),

  storms.pool(
    "no attempt is made but for a caller",
    { without: ["retries"], max: 5, gates: { create: "fail" } },
    (world) =>
      Effect.gen(function* () {
        for (let n = 0; n < 20; n++) {
          const caller = yield* world.start(world.call())
          yield* settle
          yield* ended("a caller", caller)
        }
        // Where items are made in the caller's own step, it may try again as it takes its place in the queue.
        yield* atMost("attempts", world.gates.attempts, 40)
        const before = world.gates.attempts
        yield* TestClock.adjust("10 seconds")
        yield* equal("attempts after ten seconds without callers", world.gates.attempts, before)
        world.gates.create = "ok"
        yield* world.everyPlaceWorks()
      })
  ),

  storms.pool(
    "with capacity left, no more items are under creation than callers wait",
    { needs: ["waiting", "time"], max: 50, maxCreating: 50, gates: { create: "hang" } },
    (world) =>
      Effect.gen(function* () {
        yield* Effect.forEach([1, 2, 3], () => world.start(world.call()))
        yield* settle
        yield* atMost("attempts", world.gates.attempts, 3)
      })
  ),

  storms.pool(
    "callers that do not wait have one item made at a time",
    { needs: ["time"], max: 10, maxCreating: 10, gates: { create: "hang" } },
    (world) =>
      Effect.gen(function* () {
        for (let n = 0; n < 5; n++) {
          yield* world.start(world.call({ acquireTimeout: 0 }))
          yield* settle
        }
        yield* atMost("attempts", world.gates.attempts, 1)
        yield* atMost("creating", world.counts().creating, 1)
      })
  ),

  storms.pool(
    "keeping min makes few attempts while none succeeds",
    { needs: ["minimum"], min: 3, max: 5, gates: { create: "fail" } },
    (world) =>
      Effect.gen(function* () {
        yield* TestClock.adjust("1 minute")
        yield* atMost("attempts in a minute", world.gates.attempts, 300)
        const before = world.gates.attempts
        yield* TestClock.adjust("2 minutes")
        yield* atMost("attempts in two more minutes", world.gates.attempts - before, 600)
      })
  ),

  storms.pool(
    "min is filled again by itself",
    { needs: ["minimum", "retries"], min: 3, max: 5, gates: { create: "fail" } },
    (world) =>
      Effect.gen(function* () {
        yield* TestClock.adjust("1 minute")
        world.gates.create = "ok"
        yield* TestClock.adjust("1 minute")
        yield* equal("idle", world.counts().idle, 3)
      })
  ),

  storms.pool("min is filled again whenever its items are gone", { needs: ["minimum"], min: 2, max: 5 }, (world) =>
    Effect.gen(function* () {
      yield* settle
      yield* equal("idle at the start", world.counts().idle, 2)
      for (let round = 0; round < 3; round++) {
        for (const { release, value } of yield* world.holdMany(2)) {
          yield* world.invalidate(value())
          yield* release
        }
        yield* TestClock.adjust("1 minute")
        yield* equal("idle when those before were invalidated", world.counts().idle, 2)
      }
    })
  )
]
