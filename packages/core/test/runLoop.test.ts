import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { enter, type Frame, isRunLoopKnown, makeFrames, proceed, suspend } from "../src/internal/runLoop.ts"

type AnyFiber = Fiber.Fiber<unknown, unknown>

class Around implements Frame {
  readonly exits: Array<Exit.Exit<unknown, unknown>> = []
  readonly body: (fiber: AnyFiber) => Effect.Effect<any, any, any>

  constructor(body: (fiber: AnyFiber) => Effect.Effect<any, any, any>) {
    this.body = body
  }

  evaluate(fiber: AnyFiber): Effect.Effect<any, any, any> {
    return this.body(fiber)
  }

  onExit(exit: Exit.Exit<unknown, unknown>): void {
    this.exits.push(exit)
  }

  readonly run: Effect.Effect<any, any> = Effect.withFiber<any, any>(
    (fiber) => enter(this, fiber) as Effect.Effect<any, any>
  )
}
makeFrames(Around.prototype, "test/Around")

describe("a frame", () => {
  it.effect("is told how what it is around has ended, and changes nothing about it", () =>
    Effect.gen(function* () {
      const defect = new Error("defect")
      const bodies = {
        value: Effect.succeed(1),
        computed: Effect.sync(() => 2),
        later: Effect.as(Effect.yieldNow, 3),
        failure: Effect.fail("no"),
        defect: Effect.die(defect),
        thrown: Effect.sync(() => {
          throw defect
        })
      }
      for (const [name, body] of Object.entries(bodies)) {
        const around = new Around(() => body)
        const exit = yield* Effect.exit(around.run)
        assert.deepStrictEqual(exit, yield* Effect.exit(body), name)
        assert.deepStrictEqual(around.exits, [exit], name)
      }
    })
  )

  it.effect("is told when its evaluation throws", () =>
    Effect.gen(function* () {
      const around = new Around(() => {
        throw new Error("thrown")
      })
      assert.isTrue(Exit.hasDies(yield* Effect.exit(around.run)))
      assert.strictEqual(around.exits.length, 1)
    })
  )

  it.effect("is told of an interruption, wherever that finds the fiber", () =>
    Effect.gen(function* () {
      const meanwhile = {
        waiting: () => Effect.never,
        "in this step": (fiber: AnyFiber) => {
          fiber.interruptUnsafe()
          return Effect.succeed(1)
        },
        "in this step, about to wait": (fiber: AnyFiber) => {
          fiber.interruptUnsafe()
          return Effect.never
        },
        uninterruptible: () => Effect.uninterruptible(Effect.yieldNow),
        "in the middle of a failure": () => Effect.onExit(Effect.fail("no"), () => Effect.yieldNow)
      }
      for (const [name, body] of Object.entries(meanwhile)) {
        const around = new Around(body)
        let wentOn = false
        const fiber = yield* Effect.forkChild(
          Effect.andThen(
            around.run,
            Effect.sync(() => (wentOn = true))
          ),
          {
            startImmediately: true
          }
        )
        const exit = yield* Effect.exit(Effect.andThen(Fiber.interrupt(fiber), Fiber.await(fiber)))
        assert.isTrue(Exit.isSuccess(exit) && Exit.hasInterrupts(exit.value), name)
        assert.strictEqual(around.exits.length, 1, name)
        assert.isTrue(Exit.hasInterrupts(around.exits[0]!), name)
        assert.isFalse(wentOn, name)
      }
    })
  )

  it.effect("is told of a failure together with the interruption that came meanwhile", () =>
    Effect.gen(function* () {
      const failing = Effect.onExit(Effect.fail("no"), () => Effect.yieldNow)
      const around = new Around(() => failing)
      const fiber = yield* Effect.forkChild(around.run, { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      const own: Array<Exit.Exit<unknown, unknown>> = []
      const other = yield* Effect.forkChild(
        Effect.onExitPrimitive(failing, (exit) => void own.push(exit)),
        { startImmediately: true }
      )
      yield* Fiber.interrupt(other)
      const reasons = (exits: ReadonlyArray<Exit.Exit<unknown, unknown>>) =>
        exits.map((exit) => Exit.isFailure(exit) && exit.cause.reasons.map(({ _tag }) => _tag))
      assert.deepStrictEqual(reasons(around.exits), [["Fail", "Interrupt"]])
      assert.deepStrictEqual(reasons(own), reasons(around.exits))
    })
  )

  it.effect("that has its fiber interrupted while it is told of a failure does not lose that", () =>
    Effect.gen(function* () {
      const defect = new Error("defect")
      for (const body of [Effect.fail("no"), Effect.die(defect)]) {
        const around = new Around(() => body)
        const fiber = Effect.runFork(Effect.andThen(Effect.yieldNow, around.run))
        around.onExit = () => fiber.interruptUnsafe()
        const own: Fiber.Fiber<never, unknown> = Effect.runFork(
          Effect.andThen(
            Effect.yieldNow,
            Effect.onExitPrimitive(body as Effect.Effect<never, unknown>, () => own.interruptUnsafe() as undefined)
          )
        )
        const exit = yield* Fiber.await(fiber)
        assert.deepStrictEqual(exit, yield* Fiber.await(own))
        assert.isTrue(Exit.hasFails(exit) || Exit.hasDies(exit))
        assert.isTrue(Exit.hasInterrupts(exit))
      }
    })
  )

  it.effect("leaves its fiber as interruptible as it was", () =>
    Effect.gen(function* () {
      const caught = yield* Effect.forkChild(
        Effect.andThen(Effect.exit(new Around(() => Effect.fail("no")).run), Effect.never),
        { startImmediately: true }
      )
      yield* Fiber.interrupt(caught)
      let isThrough = false
      const shielded = yield* Effect.forkChild(
        Effect.uninterruptible(
          Effect.andThen(
            new Around(() => Effect.yieldNow).run,
            Effect.sync(() => (isThrough = true))
          )
        ),
        { startImmediately: true }
      )
      yield* Fiber.interrupt(shielded)
      assert.isTrue(isThrough)
    })
  )

  it.effect("that is one of many around one another is told in its turn", () =>
    Effect.gen(function* () {
      const told: Array<number> = []
      let effect: Effect.Effect<any, any> = Effect.succeed("in the middle")
      // More than Effect passes a value on through in one step.
      for (let n = 0; n < 1000; n++) {
        const inner = effect
        const around = new Around(() => inner)
        around.onExit = () => void told.push(n)
        effect = around.run
      }
      assert.strictEqual(yield* effect, "in the middle")
      assert.deepStrictEqual(
        told,
        Array.from({ length: 1000 }, (_, n) => n)
      )
    })
  )
})

describe("a fiber that is suspended by hand", () => {
  it("goes on with what it is given", () => {
    // Where this fails, Effect has changed: leases still work, but take up to 1.6 times the time.
    assert.isTrue(isRunLoopKnown)
    for (const exit of [Exit.succeed(1), Exit.fail("no")]) {
      const around = new Around(suspend)
      const fiber = Effect.runFork(around.run)
      assert.isUndefined(fiber.pollUnsafe())
      proceed(fiber, exit)
      assert.deepStrictEqual(fiber.pollUnsafe(), exit)
      assert.deepStrictEqual(around.exits, [exit])
    }
  })

  it("can be interrupted", () => {
    const around = new Around(suspend)
    const fiber = Effect.runFork(around.run)
    fiber.interruptUnsafe()
    assert.isTrue(Exit.hasInterrupts(fiber.pollUnsafe()!))
    assert.strictEqual(around.exits.length, 1)
  })
})
