import { Pool } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { equal } from "./expect.ts"
import { group, type Plan } from "./plan.ts"
import { allAnswered, answerOf, ended, nothing, settle } from "./world.ts"

const once = group(2)

const endings = {
  success: { body: Effect.void, answer: "served", outcome: "success" },
  failure: { body: Effect.fail("no"), answer: "no", outcome: "failure" },
  defect: { body: Effect.die(new Error("no")), answer: "defect", outcome: "defect" },
  "interruption from within": { body: Effect.interrupt, answer: "interrupted", outcome: "interrupted" }
}

const byEnding = Object.entries(endings).flatMap(([name, { answer, body, outcome }]): Array<Plan> => [
  once.pool(`use gives its item back once on ${name}`, { max: 1 }, (world) =>
    Effect.gen(function* () {
      yield* equal("the caller", answerOf(yield* Effect.exit(world.use(() => body))), answer)
      yield* settle
      yield* world.atRest()
      yield* equal(
        "how leases ended",
        world.tagged("LeaseReleased").map((event) => event.outcome),
        [outcome]
      )
      yield* world.everyPlaceWorks()
    })
  ),
  once.pool(`get gives its item back once when its scope closes with ${name}`, { max: 1 }, (world) =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Effect.scoped(Effect.andThen(world.get(), body)))
      yield* equal("the caller", answerOf(exit), answer)
      yield* settle
      yield* world.atRest()
      yield* equal("LeaseReleased events", world.tagged("LeaseReleased").length, 1)
      yield* world.everyPlaceWorks()
    })
  )
])

export const plans: ReadonlyArray<Plan> = [
  ...byEnding,

  once.pool("a body that is interrupted from outside gives its item back once", { max: 2 }, (world) =>
    Effect.gen(function* () {
      const held = yield* world.holdMany(2)
      for (const { fiber } of held) fiber.interruptUnsafe()
      yield* settle
      yield* world.atRest()
      yield* equal("LeaseReleased events", world.tagged("LeaseReleased").length, 2)
      yield* world.everyPlaceWorks()
    })
  ),

  once.pool(
    "a body that throws instead of returning an effect is a defect, and gives its item back",
    { max: 1 },
    (world) =>
      Effect.gen(function* () {
        const broken = (): Effect.Effect<void> => {
          throw new Error("thrown")
        }
        for (const use of [world.subject.use, Pool.useIfAvailable] as Array<typeof world.subject.use>) {
          const exit = yield* Effect.exit(use(world.pool, broken) as Effect.Effect<void, unknown>)
          // Whoever takes part only if an item is idle may have got none.
          if (Exit.isFailure(exit)) yield* equal("the caller", answerOf(exit), "defect")
          else yield* equal("a caller without an item", use === world.subject.use, false)
          yield* settle
          yield* world.atRest()
        }
        yield* world.everyPlaceWorks()
      })
  ),

  once.pool("a body that returns no effect is a defect, and gives its item back", { max: 1 }, (world) =>
    Effect.gen(function* () {
      for (const wrong of [undefined, null, 1, "effect", {}, () => Effect.void]) {
        const exit = yield* Effect.exit(world.subject.use(world.pool, () => wrong as unknown as Effect.Effect<void>))
        yield* equal("the caller", answerOf(exit), "defect")
        yield* settle
        yield* world.atRest()
      }
      yield* world.everyPlaceWorks()
    })
  ),

  once.pool("leases of several scopes end in any order", { max: 3 }, (world) =>
    Effect.gen(function* () {
      for (const order of [
        [0, 1, 2],
        [2, 1, 0],
        [1, 2, 0]
      ]) {
        const scopes = yield* Effect.forEach(order, () => Scope.make())
        for (const scope of scopes) yield* Scope.provide(world.get(), scope)
        yield* equal("used", world.counts().used, 3)
        for (const index of order) yield* Scope.close(scopes[index]!, Exit.void)
        yield* settle
        yield* world.atRest()
      }
    })
  ),

  once.pool(
    "leases that share items end in any order",
    { needs: ["sharing"], max: 3, maxCreating: 3, concurrency: 2 },
    (world) =>
      Effect.gen(function* () {
        for (const order of [
          [0, 1, 2, 3, 4, 5],
          [5, 4, 3, 2, 1, 0],
          [2, 5, 0, 3, 1, 4]
        ]) {
          const scopes = yield* Effect.forEach(order, () => Scope.make())
          for (const scope of scopes) yield* Scope.provide(world.get(), scope)
          yield* equal("used", world.counts().used, 3)
          for (const index of order) yield* Scope.close(scopes[index]!, Exit.void)
          yield* settle
          yield* world.atRest()
        }
      })
  ),

  once.pool("a scope that closes gives back every lease it has", { max: 3 }, (world) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      for (let n = 0; n < 3; n++) yield* Scope.provide(world.get(), scope)
      yield* equal("used", world.counts().used, 3)
      yield* Scope.close(scope, Exit.void)
      yield* Scope.close(scope, Exit.void)
      yield* settle
      yield* world.atRest()
      yield* equal("LeaseReleased events", world.tagged("LeaseReleased").length, 3)
    })
  ),

  once.pool("a lease taken into a scope that is closed already is over at once", { max: 1 }, (world) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      yield* Scope.close(scope, Exit.void)
      yield* Scope.provide(world.get(), scope)
      yield* settle
      yield* world.atRest()
      yield* world.everyPlaceWorks()
    })
  ),

  once.pool("one effect that many fibers run at once is a lease for each", { max: 5, maxCreating: 5 }, (world) =>
    Effect.gen(function* () {
      const one = world.use(() => Effect.sleep(1))
      const all = yield* world.start(Effect.all([one, one, one, one, one], { concurrency: "unbounded" }))
      yield* settle
      yield* equal("used", world.counts().used, 5)
      yield* TestClock.adjust(1)
      yield* ended("the five", all)
      yield* settle
      yield* equal("leases", world.stats.acquired, 5)
      yield* world.atRest()
    })
  ),

  once.pool("one effect that is repeated is a lease each time", { max: 1 }, (world) =>
    Effect.gen(function* () {
      yield* Effect.repeat(
        world.use(() => Effect.void),
        { times: 9 }
      )
      yield* Effect.repeat(Effect.scoped(world.get()), { times: 9 })
      yield* settle
      yield* equal("leases", world.stats.acquired, 20)
      yield* world.atRest()
    })
  ),

  once.pool("a fiber that holds two items gives both back", { max: 2 }, (world) =>
    Effect.gen(function* () {
      yield* world.use(() => world.use(() => Effect.sync(() => world.counts().used)))
      const inner = yield* Effect.exit(world.use(() => world.use(() => Effect.fail("no"))))
      yield* equal("the failure inside", answerOf(inner), "no")
      yield* settle
      yield* world.atRest()
      yield* world.everyPlaceWorks()
    })
  ),

  once.pool("a lease that was waited for leaves no finalizer in its scope", { needs: ["waiting"], max: 1 }, (world) =>
    Effect.gen(function* () {
      const [holder] = yield* world.holdMany(1)
      const scope = yield* Scope.make()
      const waiter = yield* world.start(Scope.provide(world.get(), scope))
      yield* equal("pending", world.counts().pending, 1)
      waiter.interruptUnsafe()
      yield* settle
      yield* equal("pending", world.counts().pending, 0)
      yield* equal("the scope of the one who left", scope.state._tag, "Empty")
      yield* holder!.release
      yield* world.atRest()
    })
  ),

  once.pool("an item that is invalidated in use is destroyed once, whatever comes on top", { max: 2 }, (world) =>
    Effect.gen(function* () {
      const [first, second] = yield* world.holdMany(2)
      yield* world.invalidate(first!.value())
      yield* world.invalidate(first!.value())
      const closing = yield* world.start(world.close)
      yield* world.invalidate(first!.value())
      first!.fiber.interruptUnsafe()
      yield* world.invalidate(first!.value())
      second!.fiber.interruptUnsafe()
      yield* settle
      yield* ended("the close", closing)
      yield* world.gone()
    })
  ),

  once.pool(
    "every item is destroyed once, with one event and one count, when the pool closes",
    { max: 4, maxCreating: 4 },
    (world) =>
      Effect.gen(function* () {
        for (const { release } of yield* world.holdMany(4)) yield* release
        const held = yield* world.holdMany(2)
        const closing = yield* world.start(world.close)
        for (const { fiber } of held) fiber.interruptUnsafe()
        yield* settle
        yield* ended("the close", closing)
        yield* world.gone()
        const { created, destroyed } = world.stats
        const total = Object.values(destroyed).reduce((sum, count) => sum + count, 0)
        yield* equal("destroyed, of those created", total, created)
        yield* equal("ItemDestroyed events", world.tagged("ItemDestroyed").length, created)
      })
  ),

  once.pool(
    "an item whose finalizer fails is destroyed once, and its place is free",
    { max: 1, gates: { destroy: "die" } },
    (world) =>
      Effect.gen(function* () {
        for (let n = 0; n < 3; n++) {
          yield* world.use((_, value) => world.invalidate(value))
          yield* settle
        }
        yield* equal(
          "how often each was destroyed",
          world.gates.items.map((item) => item.destroying),
          [1, 1, 1]
        )
        yield* world.everyPlaceWorks()
      })
  ),

  once.pool(
    "waiters that are interrupted as they are served give back what they got",
    { needs: ["waiting"], max: 2 },
    (world) =>
      Effect.gen(function* () {
        const held = yield* world.holdMany(2)
        const waiters = yield* Effect.forEach(Array.from({ length: 20 }), () => world.hold())
        for (const { fiber } of held) fiber.interruptUnsafe()
        for (const { fiber } of waiters) fiber.interruptUnsafe()
        yield* settle
        yield* world.atRest()
        yield* world.everyPlaceWorks()
      })
  ),

  once.pool("a pool that nobody used has nothing to destroy", { max: 2 }, (world) =>
    Effect.gen(function* () {
      yield* settle
      yield* world.close
      yield* settle
      yield* equal("counts", world.counts(), nothing)
      yield* equal("items destroyed", world.tagged("ItemDestroyed").length, world.gates.items.length)
    })
  ),

  once.pool(
    "callers that time out, and are served in the same moment, end once",
    { needs: ["waiting"], max: 1 },
    (world) =>
      Effect.gen(function* () {
        for (let wait = 1; wait < 6; wait++) {
          const holder = yield* world.start(world.use(() => Effect.sleep(3)))
          const caller = yield* world.start(world.call({ acquireTimeout: wait }))
          yield* TestClock.adjust(10)
          yield* ended("the holder", holder)
          if (wait !== 3) yield* allAnswered(`after ${wait} ms`, [caller], wait < 3 ? "AcquireTimeout" : "served")
          else yield* ended("the one whose time ends as its turn comes", caller)
          yield* world.atRest()
        }
        yield* world.everyPlaceWorks()
      })
  )
]
