import { Pool } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { equal } from "./expect.ts"
import { group, type Plan } from "./plan.ts"
import { allAnswered, ended, settle } from "./world.ts"

const stranded = group(3)

export const plans: ReadonlyArray<Plan> = [
  stranded.pool("an idle item is had at once", { needs: ["reuse"], max: 1 }, (world) =>
    Effect.gen(function* () {
      yield* world.call()
      yield* settle
      for (let n = 0; n < 3; n++) {
        yield* equal("a caller that does not wait", (yield* world.call({ acquireTimeout: 0 })).answer, "served")
        yield* settle
      }
      yield* equal("items", world.gates.items.length, 1)
    })
  ),

  stranded.pool("free capacity is had by as many as there is of it", { max: 5, maxCreating: 5 }, (world) =>
    Effect.gen(function* () {
      yield* world.holdMany(5)
      yield* equal("pending", world.counts().pending, 0)
    })
  ),

  stranded.pool("whoever waits is served when a lease ends", { needs: ["waiting"], max: 1 }, (world) =>
    Effect.gen(function* () {
      for (const ending of ["release", "interrupt", "invalidate"]) {
        const [holder] = yield* world.holdMany(1)
        const waiter = yield* world.start(world.call())
        yield* equal("pending", world.counts().pending, 1)
        if (ending === "invalidate") yield* world.invalidate(holder!.value())
        if (ending === "interrupt") holder!.fiber.interruptUnsafe()
        else yield* holder!.release
        yield* settle
        yield* allAnswered(`the waiter, after ${ending}`, [waiter], "served")
        yield* world.atRest()
      }
    })
  ),

  stranded.pool(
    "two leases that end in one step serve two waiters",
    { needs: ["waiting"], max: 2, maxCreating: 2 },
    (world) =>
      Effect.gen(function* () {
        const held = yield* world.holdMany(2)
        const waiters = yield* Effect.forEach([1, 2], () => world.hold())
        for (const { fiber } of held) fiber.interruptUnsafe()
        yield* settle
        yield* equal("waiters served", waiters.filter((waiter) => waiter.item() !== undefined).length, 2)
      })
  ),

  stranded.pool(
    "a returned item serves whoever waits, though one is under creation for them",
    { needs: ["waiting", "reuse", "time"], max: 5 },
    (world) =>
      Effect.gen(function* () {
        const [holder] = yield* world.holdMany(1)
        world.gates.create = "hang"
        const waiter = yield* world.start(world.call())
        yield* equal("pending", world.counts().pending, 1)
        yield* holder!.release
        yield* allAnswered("the waiter", [waiter], "served")
      })
  ),

  stranded.pool("a larger max serves waiters at once", { needs: ["waiting"], max: 1, maxCreating: 5 }, (world) =>
    Effect.gen(function* () {
      yield* world.holdMany(1)
      const waiters = yield* Effect.forEach([1, 2, 3], () => world.hold())
      yield* equal("pending", world.counts().pending, 3)
      yield* Pool.resize(world.pool, { max: 4 })
      yield* settle
      yield* equal("waiters served", waiters.filter((waiter) => waiter.item() !== undefined).length, 3)
    })
  ),

  stranded.pool("when creation works again, a caller is served", { needs: ["waiting"], max: 2 }, (world) =>
    Effect.gen(function* () {
      world.gates.create = "fail"
      const early = yield* Effect.forEach([1, 2, 3], () => world.start(world.call({ acquireTimeout: 5000 })))
      yield* TestClock.adjust(1000)
      world.gates.create = "ok"
      yield* TestClock.adjust(10_000)
      for (const caller of early) yield* ended("an early caller", caller)
      const later = yield* Effect.forEach([1, 2, 3], () => world.start(world.call()))
      yield* settle
      yield* allAnswered("later callers", later, "served")
      yield* world.atRest()
    })
  ),

  stranded.pool("a caller that is turned away has an item made for the next", { needs: ["reuse"], max: 2 }, (world) =>
    Effect.gen(function* () {
      // Whether the first is served depends on whether an item can be made in its own step.
      yield* world.call({ acquireTimeout: 0 })
      yield* settle
      yield* equal("the next caller that does not wait", (yield* world.call({ acquireTimeout: 0 })).answer, "served")
    })
  ),

  stranded.pool("a waiter whose scope somebody else closes does not hang", { needs: ["waiting"], max: 1 }, (world) =>
    Effect.gen(function* () {
      const [holder] = yield* world.holdMany(1)
      const scope = yield* Scope.make()
      const waiter = yield* world.start(Scope.provide(world.get(), scope))
      yield* equal("pending", world.counts().pending, 1)
      yield* Scope.close(scope, Exit.void)
      yield* settle
      yield* ended("the waiter", waiter)
      yield* equal("pending", world.counts().pending, 0)
      yield* holder!.release
      yield* world.atRest()
      yield* world.everyPlaceWorks()
    })
  ),

  stranded.pool(
    "a scope that closes in the step that serves its waiter loses nothing",
    { needs: ["waiting"], max: 1 },
    (world) =>
      Effect.gen(function* () {
        const [holder] = yield* world.holdMany(1)
        const scope = yield* Scope.make()
        const waiter = yield* world.start(Scope.provide(world.get(), scope))
        // The holder's end serves the waiter; the scope closes before that one's fiber has woken.
        holder!.fiber.interruptUnsafe()
        Effect.runFork(Scope.close(scope, Exit.void))
        yield* settle
        yield* ended("the waiter", waiter)
        yield* world.atRest()
        yield* world.everyPlaceWorks()
      })
  ),

  stranded.pool("those behind a waiter that leaves are served in its place", { needs: ["waiting"], max: 1 }, (world) =>
    Effect.gen(function* () {
      const [holder] = yield* world.holdMany(1)
      const leaves = yield* world.hold()
      const expires = yield* world.start(world.call({ acquireTimeout: 10 }))
      const stays = yield* world.start(world.call())
      leaves.fiber.interruptUnsafe()
      yield* TestClock.adjust(10)
      yield* allAnswered("the one whose time is over", [expires], "AcquireTimeout")
      yield* equal("pending", world.counts().pending, 1)
      yield* holder!.release
      yield* allAnswered("the one who stays", [stays], "served")
      yield* world.atRest()
    })
  ),

  stranded.pool("resume serves everybody who queued", { needs: ["waiting"], max: 3, maxCreating: 3 }, (world) =>
    Effect.gen(function* () {
      for (const { release } of yield* world.holdMany(2)) yield* release
      yield* Pool.suspend(world.pool)
      const waiters = yield* Effect.forEach([1, 2, 3], () => world.hold())
      yield* settle
      yield* equal("pending while suspended", world.counts().pending, 3)
      yield* Pool.resume(world.pool)
      yield* settle
      yield* equal("waiters served", waiters.filter((waiter) => waiter.item() !== undefined).length, 3)
    })
  ),

  stranded.pool("what is returned while suspended is there when resumed", { needs: ["waiting"], max: 2 }, (world) =>
    Effect.gen(function* () {
      const held = yield* world.holdMany(2)
      yield* Pool.suspend(world.pool)
      const waiters = yield* Effect.forEach([1, 2], () => world.start(world.call()))
      for (const { release } of held) yield* release
      yield* equal("pending while suspended", world.counts().pending, 2)
      yield* Pool.resume(world.pool)
      yield* settle
      yield* allAnswered("waiters", waiters, "served")
      yield* world.atRest()
    })
  ),

  stranded.pool(
    "two thousand waiters are all served, without growing the stack",
    { needs: ["waiting"], max: 1 },
    (world) =>
      Effect.gen(function* () {
        const [holder] = yield* world.holdMany(1)
        let served = 0
        yield* Effect.forEach(Array.from({ length: 2000 }), () =>
          world.start(world.use(() => Effect.sync(() => served++)))
        )
        yield* equal("pending", world.counts().pending, 2000)
        yield* holder!.release
        for (let turn = 0; turn < 2000 && served < 2000; turn++) yield* Effect.yieldNow
        yield* equal("served", served, 2000)
        yield* settle
        yield* world.atRest()
      })
  ),

  stranded.pool(
    "a fiber in an uninterruptible region is served, or told in time",
    { needs: ["waiting"], max: 1 },
    (world) =>
      Effect.gen(function* () {
        const [holder] = yield* world.holdMany(1)
        const first = yield* world.start(Effect.uninterruptible(world.call()))
        const second = yield* world.start(Effect.uninterruptible(world.call({ acquireTimeout: 10 })))
        second.interruptUnsafe()
        yield* TestClock.adjust(10)
        yield* ended("the one whose time is over", second)
        yield* holder!.release
        yield* allAnswered("the other", [first], "served")
        yield* world.atRest()
      })
  )
]
