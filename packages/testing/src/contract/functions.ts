import { Pool } from "@effect-pools/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { equal } from "./expect.ts"
import { group, type Plan } from "./plan.ts"
import { answered, answerOf, settle } from "./world.ts"

const use = group("use")
const get = group("get")
const available = group("if available")
const invalidate = group("invalidate")

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
  )
]
