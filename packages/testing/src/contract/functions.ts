import { Pool } from "@effect-pools/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { equal, includes } from "./expect.ts"
import { group, type Plan } from "./plan.ts"
import { allAnswered, answered, answerOf, settle } from "./world.ts"

const use = group("use")
const get = group("get")
const available = group("if available")
const invalidate = group("invalidate")
const suspend = group("suspend")
const resize = group("resize")
const drain = group("drain")

/** A service of the caller's, which its bodies may need. */
const Greeting = Context.Service<{ readonly text: string }>("effect-pools/testing/Greeting")

export const plans: ReadonlyArray<Plan> = [
  use.pool("answers with what the body answers", { max: 1 }, (world) =>
    Effect.gen(function* () {
      yield* equal("the answer", yield* world.use(() => Effect.succeed("answer")), "answer")
      yield* equal("an answer that is undefined", yield* world.use(() => Effect.void), undefined)
    })
  ),

  use.pool("is lazy: nothing happens before it is run", { max: 1 }, (world) =>
    Effect.gen(function* () {
      world.use(() => Effect.die("it ran"))
      world.get()
      Pool.useIfAvailable(world.pool, () => Effect.die("it ran"))
      yield* settle
      yield* equal("leases", world.stats.acquired, 0)
      yield* equal("attempts to make items", world.gates.attempts, 0)
    })
  ),

  use.pool("takes the pool first or last, with and without options", { max: 1 }, (world) =>
    Effect.gen(function* () {
      const body = () => Effect.succeed("answer")
      const { pool } = world
      const answers: Array<unknown> = [
        yield* Pool.use(pool, body),
        yield* Pool.use(body)(pool),
        yield* Pool.use(pool, body, { priority: 1 }),
        yield* Pool.use(body, { priority: 1 })(pool),
        yield* pool.pipe(Pool.use(body)),
        yield* pool.pipe(Pool.use(body, { acquireTimeout: "1 second" }))
      ]
      yield* equal(
        "answers",
        answers,
        Array.from({ length: 6 }, () => "answer")
      )
      yield* settle
      yield* world.atRest()
    })
  ),

  use.pool("gives its body the services and the interruptibility of the caller", { max: 1 }, (world) =>
    Effect.gen(function* () {
      const greet = world.use(() => Effect.map(Greeting, ({ text }) => text))
      yield* equal("the service", yield* Effect.provideService(greet, Greeting, { text: "hello" }), "hello")
      // A body that is not interruptible within an interruptible caller, and the other way about.
      const inside = world.use(() => Effect.uninterruptible(Effect.as(Effect.yieldNow, "done")))
      yield* equal("an uninterruptible body", yield* inside, "done")
      const outside = Effect.uninterruptibleMask((restore) => world.use(() => restore(Effect.sleep("1 hour"))))
      const fiber = yield* world.start(outside)
      yield* settle
      fiber.interruptUnsafe()
      yield* settle
      yield* equal("a body that is interruptible again has ended", fiber.pollUnsafe() !== undefined, true)
      yield* world.atRest()
    })
  ),

  use.pool("runs its body in the caller's own fiber", { max: 1 }, (world) =>
    Effect.gen(function* () {
      const caller = yield* Effect.fiberId
      yield* equal("the fiber", yield* world.use(() => Effect.fiberId), caller)
    })
  ),

  get.pool("hands its item out for the surrounding scope", { max: 1 }, (world) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const value = yield* Scope.provide(world.get(), scope)
      yield* equal("the item is the subject's", world.gates.items.includes(world.subject.item(value)), true)
      yield* TestClock.adjust("1 hour")
      yield* equal("used", world.counts().used, 1)
      yield* Scope.close(scope, Exit.void)
      yield* settle
      yield* world.atRest()
    })
  ),

  get.pool("runs the finalizers of a scope in order: the lease ends after what was added later", { max: 1 }, (world) =>
    Effect.gen(function* () {
      const used: Array<number> = []
      const note = Effect.addFinalizer(() => Effect.sync(() => used.push(world.counts().used)))
      yield* Effect.scoped(Effect.andThen(note, Effect.andThen(world.get(), note)))
      yield* equal("used as the finalizers ran", used, [1, 0])
    })
  ),

  available.pool("an idle item is handed out", { needs: ["reuse"], max: 1 }, (world) =>
    Effect.gen(function* () {
      yield* world.call()
      yield* settle
      const { pool } = world
      yield* equal("use", yield* Pool.useIfAvailable(pool, () => Effect.succeed("answer")), Option.some("answer"))
      yield* settle
      yield* equal("use, pool last", yield* Pool.useIfAvailable(() => Effect.succeed(1))(pool), Option.some(1))
      yield* settle
      const got = yield* Effect.scoped(Pool.getIfAvailable(pool))
      yield* equal("get", Option.map(got, world.subject.item), Option.some(world.gates.items[0]))
      yield* settle
      yield* equal("items", world.gates.items.length, 1)
      yield* world.atRest()
    })
  ),

  available.pool("with everything in use there is none, at once", { max: 2, maxCreating: 2 }, (world) =>
    Effect.gen(function* () {
      const held = yield* world.holdMany(2)
      yield* equal("use", yield* Pool.useIfAvailable(world.pool, () => Effect.void), Option.none())
      yield* equal("get", yield* Effect.scoped(Pool.getIfAvailable(world.pool)), Option.none())
      yield* settle
      yield* equal("items", world.gates.items.length, 2)
      yield* equal("pending", world.counts().pending, 0)
      for (const { release } of held) yield* release
      yield* world.atRest()
    })
  ),

  available.pool(
    "never waits, and never has an item made that takes time",
    { needs: ["time"], max: 2, gates: { create: 100 } },
    (world) =>
      Effect.gen(function* () {
        const caller = yield* world.start(world.answer(Pool.useIfAvailable(world.pool, () => Effect.void)))
        yield* settle
        yield* equal("the caller", yield* answered("the caller", caller), { answer: "served", at: 0 })
        yield* TestClock.adjust(1000)
        yield* world.atRest()
      })
  ),

  available.pool("while the pool is suspended there is none", { max: 2 }, (world) =>
    Effect.gen(function* () {
      yield* world.call()
      yield* Pool.suspend(world.pool)
      yield* settle
      yield* equal("use", yield* Pool.useIfAvailable(world.pool, () => Effect.void), Option.none())
      yield* equal("get", yield* Effect.scoped(Pool.getIfAvailable(world.pool)), Option.none())
    })
  ),

  available.pool("the failure of the body is the caller's, and its lease ends", { needs: ["reuse"], max: 1 }, (world) =>
    Effect.gen(function* () {
      yield* world.call()
      yield* settle
      const exit = yield* Effect.exit(Pool.useIfAvailable(world.pool, () => Effect.fail("no")))
      yield* equal("the caller", answerOf(exit), "no")
      yield* settle
      yield* world.atRest()
    })
  ),

  invalidate.pool("takes the pool first or last", { max: 1 }, (world) =>
    Effect.gen(function* () {
      yield* world.use((_, value) => Pool.invalidate(world.pool, value))
      yield* settle
      yield* world.use((_, value) => Pool.invalidate(value)(world.pool))
      yield* settle
      yield* world.use((_, value) => world.pool.pipe(Pool.invalidate(value)))
      yield* settle
      yield* equal("destroyed as invalidated", world.stats.destroyed.invalidated, 3)
    })
  ),

  suspend.pool("holds new leases back and does not touch those that are out", { needs: ["waiting"], max: 2 }, (world) =>
    Effect.gen(function* () {
      const [holder] = yield* world.holdMany(1)
      yield* Pool.suspend(world.pool)
      yield* equal("state", world.stats.state, "suspended")
      const caller = yield* world.start(world.call())
      yield* TestClock.adjust(1000)
      yield* equal("the lease goes on", holder!.fiber.pollUnsafe(), undefined)
      yield* equal("counts", world.counts(), { idle: 0, used: 1, creating: 0, destroying: 0, pending: 1 })
      yield* Pool.resume(world.pool)
      yield* settle
      yield* equal("state", world.stats.state, "open")
      yield* equal("the caller", yield* answered("the caller", caller), { answer: "served", at: 1000 })
    })
  ),

  suspend.pool("twice is once, and resume of an open pool is nothing", { max: 1 }, (world) =>
    Effect.gen(function* () {
      yield* Pool.resume(world.pool)
      yield* Pool.suspend(world.pool)
      yield* Pool.suspend(world.pool)
      yield* Pool.resume(world.pool)
      yield* Pool.resume(world.pool)
      yield* equal(
        "events",
        world.events.map((event) => event._tag),
        ["Suspended", "Resumed"]
      )
      yield* equal("a caller", (yield* world.call()).answer, "served")
    })
  ),

  suspend.pool("leases may end while suspended", { max: 1 }, (world) =>
    Effect.gen(function* () {
      const [holder] = yield* world.holdMany(1)
      yield* Pool.suspend(world.pool)
      yield* holder!.release
      yield* world.atRest()
      yield* Pool.resume(world.pool)
      yield* world.everyPlaceWorks()
    })
  ),

  suspend.pool("a suspended pool can be drained", { max: 1 }, (world) =>
    Effect.gen(function* () {
      const [holder] = yield* world.holdMany(1)
      yield* Pool.suspend(world.pool)
      const draining = yield* world.start(Pool.drain(world.pool))
      yield* settle
      yield* equal("state", world.stats.state, "draining")
      yield* Pool.resume(world.pool)
      yield* equal("state after a resume", world.stats.state, "draining")
      yield* holder!.release
      yield* equal("the drain has ended", draining.pollUnsafe() !== undefined, true)
    })
  ),

  resize.pool("changes what is given and leaves the rest", { max: 3 }, (world) =>
    Effect.gen(function* () {
      yield* Pool.resize(world.pool, { max: 5 })
      yield* includes("stats", world.stats, { min: 0, max: 5 })
      yield* Pool.resize({ max: 2 })(world.pool)
      yield* includes("stats", world.stats, { min: 0, max: 2 })
      yield* Pool.resize(world.pool, { max: undefined })
      yield* includes("stats", world.stats, { min: 0, max: 2 })
      yield* Pool.resize(world.pool, {})
      yield* includes("stats", world.stats, { min: 0, max: 2 })
      yield* includes("the first event", world.tagged("Resized")[0], { min: 0, max: 5 })
      yield* world.everyPlaceWorks()
    })
  ),

  resize.pool("serves nobody while the pool is suspended", { needs: ["waiting"], max: 1 }, (world) =>
    Effect.gen(function* () {
      yield* world.call()
      yield* settle
      yield* Pool.suspend(world.pool)
      const waiter = yield* world.hold()
      yield* Pool.resize(world.pool, { max: 2 })
      yield* TestClock.adjust(1000)
      yield* equal("the waiter has an item", waiter.item() !== undefined, false)
      yield* includes("counts", world.counts(), { used: 0, pending: 1 })
      yield* Pool.resume(world.pool)
      yield* settle
      yield* equal("the waiter has an item after the resume", waiter.item() !== undefined, true)
    })
  ),

  resize.pool("does nothing to a closed pool, and tells nothing", { max: 3 }, (world) =>
    Effect.gen(function* () {
      yield* world.call()
      yield* world.close
      yield* settle
      const told = world.events.length
      yield* Pool.resize(world.pool, { max: 5 })
      yield* Pool.suspend(world.pool)
      yield* Pool.resume(world.pool)
      yield* settle
      yield* includes("stats", world.stats, { state: "closed", min: 0, max: 3 })
      yield* equal("events after the close", world.events.slice(told), [])
    })
  ),

  resize.pool("never interrupts a lease", { max: 3, maxCreating: 3 }, (world) =>
    Effect.gen(function* () {
      const held = yield* world.holdMany(3)
      yield* Pool.resize(world.pool, { max: 1 })
      yield* TestClock.adjust(1000)
      yield* equal("leases that go on", held.filter(({ fiber }) => fiber.pollUnsafe() === undefined).length, 3)
      yield* equal("destroyed", world.gates.items.filter((item) => item.destroying > 0).length, 0)
      for (const { release } of held) yield* release
      yield* world.atRest()
      yield* world.everyPlaceWorks()
    })
  ),

  resize.pool("back and forth loses no place", { needs: ["waiting"], max: 2, maxCreating: 5 }, (world) =>
    Effect.gen(function* () {
      const callers = yield* Effect.forEach(Array.from({ length: 30 }), (_, n) =>
        world.start(world.answer(world.use(() => Effect.sleep(1 + (n % 3)))))
      )
      for (const max of [5, 1, 4, 2, 3, 1, 5, 3]) {
        yield* Pool.resize(world.pool, { max })
        yield* TestClock.adjust(1)
      }
      yield* TestClock.adjust(100)
      yield* allAnswered("callers", callers, "served")
      yield* world.atRest()
      yield* world.everyPlaceWorks()
    })
  ),

  drain.pool("takes the pool first or last, with and without a grace", { max: 1 }, (world) =>
    Effect.gen(function* () {
      for (const draining of [
        Pool.drain(world.pool),
        Pool.drain(world.pool, 0),
        Pool.drain()(world.pool),
        Pool.drain("1 second")(world.pool),
        world.pool.pipe(Pool.drain())
      ]) {
        const fiber = yield* world.start(draining)
        yield* settle
        yield* equal("the drain has ended", fiber.pollUnsafe() !== undefined, true)
      }
      yield* world.gone()
    })
  )
]
