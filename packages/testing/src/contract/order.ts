import { Pool } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { TestClock } from "effect/testing"
import { equal } from "./expect.ts"
import { group, type Plan } from "./plan.ts"
import { allAnswered, ended, settle, type World } from "./world.ts"

const order = group(4)

/** Notes who is served when; each is asked in turn, as in a queue. */
const queue = (world: World) => {
  const served: Array<string> = []
  const enter = (name: string, options?: Pool.AcquireOptions): Effect.Effect<Fiber.Fiber<unknown, unknown>> =>
    world.start(
      world.use(
        () =>
          Effect.andThen(
            Effect.sync(() => served.push(name)),
            Effect.sleep(1)
          ),
        options
      )
    )
  return { served, enter }
}

export const plans: ReadonlyArray<Plan> = [
  order.pool("by priority, then first come first served", { needs: ["waiting"], max: 1 }, (world) =>
    Effect.gen(function* () {
      const { enter, served } = queue(world)
      const [holder] = yield* world.holdMany(1)
      const all: Array<[string, number?]> = [
        ["a"],
        ["b", 0],
        ["low", -1],
        ["high", 5],
        ["c"],
        ["high2", 5],
        ["mid", 0.5],
        ["lowest", -Number.MAX_VALUE],
        ["highest", Number.MAX_VALUE]
      ]
      for (const [name, priority] of all) yield* enter(name, priority === undefined ? undefined : { priority })
      yield* holder!.release
      yield* TestClock.adjust(100)
      yield* equal("served", served, ["highest", "high", "high2", "mid", "a", "b", "c", "low", "lowest"])
    })
  ),

  order.pool(
    "a newcomer never overtakes, not even one that asks again and again",
    { needs: ["waiting"], max: 1 },
    (world) =>
      Effect.gen(function* () {
        const { served } = queue(world)
        const once = (name: string) =>
          world.use(() =>
            Effect.andThen(
              Effect.yieldNow,
              Effect.sync(() => served.push(name))
            )
          )
        const greedy = yield* world.start(Effect.repeat(once("greedy"), { times: 5 }))
        for (const name of ["a", "b", "c"]) yield* world.start(once(name))
        for (let turn = 0; turn < 5; turn++) yield* settle
        yield* ended("the greedy one", greedy)
        yield* equal("served", served.slice(0, 5), ["greedy", "a", "b", "c", "greedy"])
      })
  ),

  order.pool(
    "a newcomer in the step in which a lease ends comes after who waits",
    { needs: ["waiting"], max: 1 },
    (world) =>
      Effect.gen(function* () {
        const { enter, served } = queue(world)
        const [holder] = yield* world.holdMany(1)
        yield* enter("waits")
        holder!.fiber.interruptUnsafe()
        yield* enter("newcomer")
        yield* TestClock.adjust(10)
        yield* equal("served", served, ["waits", "newcomer"])
      })
  ),

  order.pool(
    "nobody is let in past a queue, neither without waiting nor if available",
    { needs: ["waiting"], max: 1 },
    (world) =>
      Effect.gen(function* () {
        yield* world.call()
        yield* Pool.suspend(world.pool)
        const waits = yield* world.hold()
        yield* Pool.resume(world.pool)
        const turnedAway = yield* world.call({ acquireTimeout: 0 })
        yield* equal("a caller that does not wait", turnedAway.answer, "Exhausted")
        const available = yield* Pool.useIfAvailable(world.pool, () => Effect.void)
        yield* equal("a caller that takes part if one is idle", available, Option.none())
        yield* settle
        yield* equal("the one who waited has an item", waits.item() !== undefined, true)
      })
  ),

  order.pool(
    "a new item goes to who waits longest",
    { needs: ["waiting", "time"], max: 3, maxCreating: 1, gates: { create: 10 } },
    (world) =>
      Effect.gen(function* () {
        const { enter, served } = queue(world)
        for (const name of ["0", "1", "2", "3", "4"]) yield* enter(name)
        yield* TestClock.adjust(200)
        yield* equal("served", served, ["0", "1", "2", "3", "4"])
      })
  ),

  order.pool(
    "a waiter that is interrupted in the step that serves it passes its turn on",
    { needs: ["waiting"], max: 1 },
    (world) =>
      Effect.gen(function* () {
        const { enter, served } = queue(world)
        const [holder] = yield* world.holdMany(1)
        const picked = yield* enter("picked")
        yield* enter("second")
        yield* enter("third")
        holder!.fiber.interruptUnsafe()
        picked.interruptUnsafe()
        yield* TestClock.adjust(10)
        yield* equal("served", served, ["second", "third"])
        if (world.has("reuse")) yield* equal("items", world.gates.items.length, 1)
        yield* world.atRest()
      })
  ),

  order.pool(
    "a queue interrupted in the step that serves it leaves nothing behind",
    { needs: ["waiting"], max: 2 },
    (world) =>
      Effect.gen(function* () {
        const held = yield* world.holdMany(2)
        const waiting = yield* Effect.forEach(Array.from({ length: 50 }), () => world.hold())
        for (const { fiber } of held) fiber.interruptUnsafe()
        for (const { fiber } of waiting) fiber.interruptUnsafe()
        yield* settle
        yield* world.atRest()
        yield* world.everyPlaceWorks()
      })
  ),

  order.pool("those who leave take nobody's place with them", { needs: ["waiting"], max: 1 }, (world) =>
    Effect.gen(function* () {
      const { enter, served } = queue(world)
      const [holder] = yield* world.holdMany(1)
      const waiting = yield* Effect.forEach(["0", "1", "2", "3", "4", "5"], (name) => enter(name))
      for (const index of [0, 2, 5]) waiting[index]!.interruptUnsafe()
      yield* settle
      yield* equal("pending", world.counts().pending, 3)
      yield* holder!.release
      yield* TestClock.adjust(10)
      yield* equal("served", served, ["1", "3", "4"])
    })
  ),

  order.pool("those whose time is over take nobody's place with them", { needs: ["waiting"], max: 1 }, (world) =>
    Effect.gen(function* () {
      const { enter, served } = queue(world)
      const [holder] = yield* world.holdMany(1)
      for (const [name, acquireTimeout] of [
        ["0", 5],
        ["1", 1000],
        ["2", 3],
        ["3", 1000],
        ["4", 8]
      ] as const) {
        yield* enter(name, { acquireTimeout })
      }
      yield* TestClock.adjust(10)
      yield* holder!.release
      yield* TestClock.adjust(10)
      yield* equal("served", served, ["1", "3"])
      yield* equal("timeouts", world.stats.timeouts, 3)
    })
  ),

  order.pool(
    "a waiter keeps its place while others of its priority leave and come",
    { needs: ["waiting"], max: 1 },
    (world) =>
      Effect.gen(function* () {
        const { enter, served } = queue(world)
        const [holder] = yield* world.holdMany(1)
        const first = yield* enter("first", { priority: 3 })
        yield* enter("second", { priority: 3 })
        yield* enter("other")
        first.interruptUnsafe()
        yield* settle
        yield* enter("third", { priority: 3 })
        yield* enter("last")
        yield* holder!.release
        yield* TestClock.adjust(10)
        yield* equal("served", served, ["second", "third", "other", "last"])
      })
  ),

  order.pool("order survives a suspension", { needs: ["waiting"], max: 1 }, (world) =>
    Effect.gen(function* () {
      const { enter, served } = queue(world)
      const [holder] = yield* world.holdMany(1)
      yield* enter("before")
      yield* Pool.suspend(world.pool)
      yield* enter("while")
      yield* enter("high", { priority: 1 })
      yield* holder!.release
      yield* TestClock.adjust(10)
      yield* equal("served while suspended", served, [])
      yield* Pool.resume(world.pool)
      yield* enter("after")
      yield* TestClock.adjust(10)
      yield* equal("served", served, ["high", "before", "while", "after"])
    })
  ),

  order.pool("order survives resizing", { needs: ["waiting"], max: 2, maxCreating: 2 }, (world) =>
    Effect.gen(function* () {
      const { enter, served } = queue(world)
      const held = yield* world.holdMany(2)
      for (const name of ["0", "1", "2", "3"]) yield* enter(name)
      yield* Pool.resize(world.pool, { max: 1 })
      for (const { release } of held) yield* release
      yield* TestClock.adjust(2)
      yield* Pool.resize(world.pool, { max: 3 })
      yield* TestClock.adjust(10)
      yield* equal("served", served, ["0", "1", "2", "3"])
    })
  ),

  order.pool(
    "an item that replaces a destroyed one goes to who waits longest",
    { needs: ["waiting"], max: 1 },
    (world) =>
      Effect.gen(function* () {
        const { enter, served } = queue(world)
        const [holder] = yield* world.holdMany(1)
        world.slow("create", 5)
        for (const name of ["0", "1", "2"]) yield* enter(name)
        yield* world.invalidate(holder!.value())
        yield* holder!.release
        yield* TestClock.adjust(100)
        yield* equal("served", served, ["0", "1", "2"])
      })
  ),

  order.pool(
    "a creation that fails is the failure of who waits longest",
    { needs: ["waiting", "time"], without: ["retries"], max: 1, gates: { create: { late: 10, ending: "fail" } } },
    (world) =>
      Effect.gen(function* () {
        const first = yield* world.start(world.call())
        const others = [yield* world.start(world.call()), yield* world.start(world.call())]
        yield* settle
        world.gates.create = "ok"
        yield* TestClock.adjust(10)
        yield* allAnswered("the first", [first], "GateFailure")
        yield* settle
        yield* allAnswered("the others", others, "served")
      })
  ),

  order.pool("get and use stand in one queue", { needs: ["waiting"], max: 1 }, (world) =>
    Effect.gen(function* () {
      const { enter, served } = queue(world)
      const [holder] = yield* world.holdMany(1)
      yield* enter("use")
      const got = yield* world.start(
        world.answer(
          Effect.scoped(
            Effect.andThen(
              world.get(),
              Effect.sync(() => served.push("get"))
            )
          )
        )
      )
      yield* enter("use again")
      yield* holder!.release
      yield* TestClock.adjust(10)
      yield* allAnswered("get", [got], "served")
      yield* equal("served", served, ["use", "get", "use again"])
    })
  )
]
