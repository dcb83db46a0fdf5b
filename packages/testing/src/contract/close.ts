import { Pool } from "@effect-pools/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import type { Gate } from "../Gates.ts"
import { atMost, equal } from "./expect.ts"
import { group, type Plan } from "./plan.ts"
import { show } from "./slots.ts"
import { allAnswered, answerOf, ended, settle, type World } from "./world.ts"

const close = group(9)

/** Runs an effect in a fiber that ends with the time at which it ended. */
const timed = (world: World, effect: Effect.Effect<unknown, unknown>) =>
  world.start(Effect.andThen(effect, Clock.currentTimeMillis))

/** An effect that was started by `timed` has ended at that time. */
const endedAt = Effect.fnUntraced(function* (what: string, fiber: Fiber.Fiber<number, unknown>, at: number) {
  const exit = yield* ended(what, fiber)
  yield* equal(what, exit._tag === "Success" ? exit.value : exit.cause, at)
})

/** All ways to take an item are refused with `Closed`, and nothing is made for them. */
const refusesAll = Effect.fnUntraced(function* (world: World) {
  const { attempts } = world.gates
  yield* equal("use", (yield* world.call()).answer, "Closed")
  yield* equal("use without waiting", (yield* world.call({ acquireTimeout: 0 })).answer, "Closed")
  yield* equal("get", answerOf(yield* Effect.exit(Effect.scoped(world.get()))), "Closed")
  const available = [
    yield* Effect.exit(Pool.useIfAvailable(world.pool, () => Effect.void)),
    yield* Effect.exit(Effect.scoped(Pool.getIfAvailable(world.pool)))
  ]
  yield* equal("if available", available.map(answerOf), ["Closed", "Closed"])
  yield* equal("attempts to make items", world.gates.attempts, attempts)
})

const inFlight: ReadonlyArray<Gate> = [300, "hang", "stuck", { late: 1000 }, "fail"]
const optional = ["validate", "reset", "check"] as const
const trait = { validate: "validation", reset: "reset", check: "checks" } as const

/** How long closing waits for work that goes so, with a `destroyTimeout` of two seconds that begins at this time. */
const lateness = (gate: Gate, began: number): number =>
  // What does not react to its interruption is left behind.
  gate === "stuck" ? began + 2000 : typeof gate === "object" ? gate.late : 0

const whileGoing = inFlight.flatMap((gate): Array<Plan> => [
  close.pool(
    `with creations in flight: ${show(gate)}`,
    {
      needs: ["waiting", "time"],
      max: 4,
      maxCreating: 2,
      destroyTimeout: 2000,
      gates: { create: gate },
      leavesWork: gate === "stuck"
    },
    (world) =>
      Effect.gen(function* () {
        const callers = yield* Effect.forEach([1, 2, 3], () => world.start(world.call()))
        yield* TestClock.adjust(50)
        const closing = yield* timed(world, world.close)
        yield* settle
        for (const caller of callers) {
          const answer = yield* Effect.flatten(ended("a caller", caller))
          if (answer.answer !== "GateFailure" || gate !== "fail") yield* equal("a caller", answer.answer, "Closed")
        }
        yield* TestClock.adjust("1 minute")
        yield* endedAt("the close", closing, Math.max(50, lateness(gate, 50)))
      })
  ),

  close.pool(
    `with finalizers: ${show(gate)}`,
    {
      needs: ["time"],
      max: 3,
      maxCreating: 3,
      destroyTimeout: 2000,
      closeGrace: 1000,
      leavesWork: gate === "stuck" || gate === "hang"
    },
    (world) =>
      Effect.gen(function* () {
        const [first, second] = yield* world.holdMany(2)
        yield* first!.release
        world.gates.destroy = gate
        const closing = yield* timed(world, world.close)
        yield* second!.release
        yield* TestClock.adjust("1 minute")
        const exit = yield* ended("the close", closing)
        yield* atMost("the time of the close", exit._tag === "Success" ? exit.value : Infinity, 2000)
        yield* equal(
          "how often each was destroyed",
          world.gates.items.map((item) => item.destroying),
          world.gates.items.map(() => 1)
        )
      })
  ),

  ...optional.map((step) =>
    close.pool(
      `with a ${step} in flight: ${show(gate)}`,
      {
        needs: ["time", "waiting", trait[step]],
        max: 2,
        destroyTimeout: 2000,
        steps: [step],
        leavesWork: gate === "stuck"
      },
      (world) =>
        Effect.gen(function* () {
          yield* world.call()
          yield* TestClock.adjust(900)
          world.gates[step] = gate
          if (step !== "check") yield* world.start(world.call())
          for (let tries = 0; step === "check" && world.gates.checks === 0 && tries < 1000; tries++) {
            yield* TestClock.adjust(100)
          }
          const began = yield* Clock.currentTimeMillis
          const closing = yield* timed(world, world.close)
          yield* TestClock.adjust("1 minute")
          const exit = yield* ended("the close", closing)
          const took = exit._tag === "Success" ? exit.value - began : Infinity
          yield* atMost("the time of the close", took, lateness(gate, 0))
        })
    )
  )
])

export const plans: ReadonlyArray<Plan> = [
  close.pool("a pool at rest closes at once", { max: 3, maxCreating: 3 }, (world) =>
    Effect.gen(function* () {
      for (const { release } of yield* world.holdMany(3)) yield* release
      const closing = yield* timed(world, world.close)
      yield* settle
      yield* endedAt("the close", closing, 0)
      yield* world.gone()
      yield* refusesAll(world)
    })
  ),

  close.pool("a pool that keeps items ready closes at once", { needs: ["minimum"], min: 3, max: 5 }, (world) =>
    Effect.gen(function* () {
      yield* settle
      const closing = yield* timed(world, world.close)
      yield* settle
      yield* endedAt("the close", closing, 0)
      yield* equal("destroyed as closed", world.stats.destroyed.closed, 3)
      yield* world.gone()
    })
  ),

  close.pool(
    "waiters fail with Closed at once, and are not interrupted",
    { needs: ["waiting"], max: 1, closeGrace: 1000 },
    (world) =>
      Effect.gen(function* () {
        const [holder] = yield* world.holdMany(1)
        const waiters = yield* Effect.forEach(Array.from({ length: 100 }), () => world.start(world.call()))
        const got = yield* world.start(world.answer(Effect.scoped(world.get())))
        const closing = yield* timed(world, world.close)
        yield* settle
        yield* allAnswered("waiters", [...waiters, got], "Closed")
        yield* refusesAll(world)
        yield* holder!.release
        yield* endedAt("the close", closing, 0)
        yield* world.gone()
      })
  ),

  close.pool(
    "idle items go at once, those in use when their lease ends",
    { needs: ["grace"], max: 3, maxCreating: 3, closeGrace: 10_000 },
    (world) =>
      Effect.gen(function* () {
        const held = yield* world.holdMany(3)
        yield* held[0]!.release
        const closing = yield* timed(world, world.close)
        yield* settle
        yield* equal("items that are there", world.gates.open, 2)
        yield* TestClock.adjust(100)
        yield* held[1]!.release
        yield* equal("items that are there", world.gates.open, 1)
        yield* TestClock.adjust(100)
        yield* equal("the close still waits", closing.pollUnsafe(), undefined)
        yield* held[2]!.release
        yield* endedAt("the close", closing, 200)
        yield* world.gone()
      })
  ),

  ...[0, 700].map((closeGrace) =>
    close.pool(
      `after a grace of ${closeGrace} ms items in use are destroyed under their holders`,
      { needs: ["grace"], max: 2, closeGrace },
      (world) =>
        Effect.gen(function* () {
          const held = yield* world.holdMany(2)
          const closing = yield* timed(world, world.close)
          yield* TestClock.adjust("1 minute")
          yield* endedAt("the close", closing, closeGrace)
          yield* equal("items that are there", world.gates.open, 0)
          // Their leases end later, to no further effect.
          for (const { release } of held) yield* release
          yield* world.gone()
        })
    )
  ),

  close.pool("a lease that closes its own pool does not hang", { needs: ["grace"], max: 1, closeGrace: 100 }, (world) =>
    Effect.gen(function* () {
      const selfish = yield* world.start(world.use(() => world.close))
      yield* TestClock.adjust(100)
      yield* ended("the lease", selfish)
      yield* settle
      yield* world.gone()
    })
  ),

  close.pool(
    "closing again, or while it closes, is closing once",
    { needs: ["grace"], max: 2, closeGrace: 30_000 },
    (world) =>
      Effect.gen(function* () {
        const [holder] = yield* world.holdMany(1)
        const all = [
          yield* timed(world, world.close),
          yield* timed(world, world.pool.admission.close(30_000)),
          yield* timed(world, Pool.drain(world.pool, 30_000)),
          yield* timed(world, Pool.drain(world.pool))
        ]
        yield* TestClock.adjust(300)
        yield* holder!.release
        for (const closing of all) yield* endedAt("a close", closing, 300)
        yield* world.close
        yield* Pool.drain(world.pool)
        yield* world.gone()
      })
  ),

  close.pool(
    "the shortest grace of several closers counts",
    { needs: ["grace"], max: 2, closeGrace: 10_000 },
    (world) =>
      Effect.gen(function* () {
        const [holder] = yield* world.holdMany(1)
        const all = [
          yield* timed(world, Pool.drain(world.pool)),
          yield* timed(world, world.close),
          yield* timed(world, Pool.drain(world.pool, 400))
        ]
        yield* TestClock.adjust("1 minute")
        for (const closing of all) yield* endedAt("a close", closing, 400)
        yield* holder!.release
        yield* world.gone()
      })
  ),

  close.pool("drain refuses callers, waits for leases, then closes", { max: 2 }, (world) =>
    Effect.gen(function* () {
      const [first, second] = yield* world.holdMany(2)
      const draining = yield* timed(world, Pool.drain(world.pool))
      yield* settle
      yield* equal("state", world.stats.state, "draining")
      yield* refusesAll(world)
      yield* TestClock.adjust("1 hour")
      yield* first!.release
      yield* equal("it still waits", draining.pollUnsafe(), undefined)
      yield* refusesAll(world)
      yield* second!.release
      yield* endedAt("the drain", draining, 3_600_000)
      yield* world.gone()
    })
  ),

  close.pool("drain fails those who wait with Closed", { needs: ["waiting"], max: 1 }, (world) =>
    Effect.gen(function* () {
      const [holder] = yield* world.holdMany(1)
      const waiters = yield* Effect.forEach([1, 2, 3], () => world.start(world.call()))
      const draining = yield* timed(world, Pool.drain(world.pool))
      yield* settle
      yield* allAnswered("waiters", waiters, "Closed")
      yield* equal("the lease goes on", holder!.fiber.pollUnsafe(), undefined)
      yield* holder!.release
      yield* endedAt("the drain", draining, 0)
    })
  ),

  close.pool("drain of a pool without leases closes it at once", { max: 2 }, (world) =>
    Effect.gen(function* () {
      yield* world.call()
      yield* settle
      const draining = yield* timed(world, Pool.drain(world.pool))
      yield* settle
      yield* endedAt("the drain", draining, 0)
      yield* world.gone()
      yield* refusesAll(world)
    })
  ),

  ...[0, 500].map((grace) =>
    close.pool(`drain closes after its grace of ${grace} ms, under the holders`, { max: 2 }, (world) =>
      Effect.gen(function* () {
        const held = yield* world.holdMany(2)
        const draining = yield* timed(world, Pool.drain(world.pool, grace))
        yield* TestClock.adjust("1 minute")
        yield* endedAt("the drain", draining, grace)
        yield* equal("items that are there", world.gates.open, 0)
        for (const { release } of held) yield* release
        yield* world.gone()
      })
    )
  ),

  close.pool("a drain that is interrupted goes on, and the pool still closes", { max: 1 }, (world) =>
    Effect.gen(function* () {
      const [holder] = yield* world.holdMany(1)
      const draining = yield* world.start(Pool.drain(world.pool))
      draining.interruptUnsafe()
      yield* settle
      yield* ended("the one who drained", draining)
      yield* equal("state", world.stats.state, "draining")
      yield* holder!.release
      yield* equal("state after the last lease", world.stats.state, "closed")
      yield* world.gone()
    })
  ),

  close.pool("a suspended pool with a queue closes", { needs: ["waiting"], max: 1 }, (world) =>
    Effect.gen(function* () {
      yield* world.call()
      yield* Pool.suspend(world.pool)
      const waiters = yield* Effect.forEach([1, 2, 3], () => world.start(world.call()))
      const closing = yield* timed(world, world.close)
      yield* settle
      yield* ended("the close", closing)
      yield* allAnswered("waiters", waiters, "Closed")
      yield* Pool.resume(world.pool)
      yield* world.gone()
    })
  ),

  close.pool("what is done to a closed pool has no effect", { max: 2 }, (world) =>
    Effect.gen(function* () {
      const [holder] = yield* world.holdMany(1)
      yield* holder!.release
      yield* world.close
      yield* settle
      yield* Pool.suspend(world.pool)
      yield* Pool.resume(world.pool)
      yield* Pool.resize(world.pool, { max: 5 })
      yield* world.invalidate(holder!.value())
      yield* Pool.drain(world.pool, 0)
      yield* TestClock.adjust("1 hour")
      yield* equal("items that were made", world.gates.items.length, 1)
      yield* world.gone()
      yield* refusesAll(world)
    })
  ),

  close.pool("a caller that comes from the end of a lease finds it closed", { max: 1 }, (world) =>
    Effect.gen(function* () {
      const loop = yield* world.start(
        Effect.exit(
          Effect.forever(
            world.use(() => Effect.sleep(10)),
            { disableYield: true }
          )
        )
      )
      yield* TestClock.adjust(25)
      const closing = yield* timed(world, world.close)
      yield* TestClock.adjust("1 minute")
      yield* ended("the close", closing)
      const exit = yield* Effect.flatten(ended("the one who asks again and again", loop))
      yield* equal("the one who asks again and again", answerOf(exit), "Closed")
    })
  ),

  close.pool("the stream of events ends", { max: 1 }, (world) =>
    Effect.gen(function* () {
      const reader = yield* world.start(Stream.runCollect(Pool.events(world.pool)))
      yield* settle
      yield* world.call()
      yield* world.close
      yield* settle
      const events = yield* Effect.flatten(ended("the reader", reader))
      yield* equal("the last event", events.at(-1)?._tag, "Closed")
      const late = yield* world.start(Stream.runCollect(Pool.events(world.pool)))
      yield* settle
      yield* equal("events of a closed pool", yield* Effect.flatten(ended("a late reader", late)), [])
    })
  ),

  close.pool(
    "a pool whose items cannot be made closes without a trace",
    { max: 3, gates: { create: "fail" } },
    (world) =>
      Effect.gen(function* () {
        yield* world.start(world.call())
        yield* world.call({ acquireTimeout: 0 })
        yield* TestClock.adjust(500)
        yield* world.close
        const { attempts } = world.gates
        yield* TestClock.adjust("1 hour")
        yield* equal("attempts after the close", world.gates.attempts, attempts)
        yield* world.gone()
      })
  ),

  ...whileGoing
]
