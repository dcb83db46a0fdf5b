import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { Background } from "../src/Background.ts"
import { Watch } from "../src/internal/watch.ts"
import { countingSleeps, fork } from "./fake.ts"

/** A watch over a number, which counts how often it is looked at. */
const watched = Effect.gen(function* () {
  const { asleep, context } = yield* countingSleeps
  const watch = new Watch(new Background(context))
  const world = { value: 0, looks: 0 }
  const reaches = (value: number, grace: number) =>
    watch.until(() => {
      world.looks++
      return world.value >= value
    }, grace)
  const change = (value: number) => {
    world.value = value
    watch.changed()
  }
  return { change, reaches, world, asleep }
})

const isOver = (fiber: Fiber.Fiber<unknown>) => fiber.pollUnsafe() !== undefined

describe("waiting for something to come true", () => {
  it.effect("ends at once if it is true, or if nobody wants to wait", () =>
    Effect.gen(function* () {
      const { asleep, reaches } = yield* watched
      assert.isTrue(isOver(yield* fork(reaches(0, Infinity))))
      assert.isTrue(isOver(yield* fork(reaches(1, 0))))
      assert.strictEqual(asleep.count, 0)
    })
  )

  it.effect("needs a timer only for a patience that ends", () =>
    Effect.gen(function* () {
      const { asleep, reaches } = yield* watched
      yield* fork(reaches(1, Infinity))
      assert.strictEqual(asleep.count, 0)
      yield* fork(reaches(1, 1000))
      assert.strictEqual(asleep.count, 1)
    })
  )

  it.effect("goes on through changes until it is true, for each who waits", () =>
    Effect.gen(function* () {
      const { change, reaches } = yield* watched
      const fibers = yield* Effect.forEach([1, 2, 2], (value) => fork(reaches(value, Infinity)))
      change(0)
      assert.deepStrictEqual(fibers.map(isOver), [false, false, false])
      change(1)
      assert.deepStrictEqual(fibers.map(isOver), [true, false, false])
      change(2)
      assert.deepStrictEqual(fibers.map(isOver), [true, true, true])
    })
  )

  it.effect("ends after the grace", () =>
    Effect.gen(function* () {
      const { reaches } = yield* watched
      const fiber = yield* fork(reaches(1, 500))
      yield* TestClock.adjust(499)
      assert.isFalse(isOver(fiber))
      yield* TestClock.adjust(1)
      assert.isTrue(isOver(fiber))
    })
  )

  it.effect("leaves nothing when it ends: true, after the grace, or interrupted", () =>
    Effect.gen(function* () {
      const { asleep, change, reaches, world } = yield* watched
      const interrupted = yield* fork(reaches(9, 1000))
      const satisfied = yield* fork(reaches(1, 1000))
      yield* fork(reaches(9, 100))
      assert.strictEqual(asleep.count, 3)
      change(1)
      yield* Fiber.join(satisfied)
      yield* Fiber.interrupt(interrupted)
      yield* TestClock.adjust(100)
      assert.strictEqual(asleep.count, 0)
      const { looks } = world
      change(2)
      assert.strictEqual(world.looks, looks)
    })
  )
})
