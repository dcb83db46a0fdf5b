import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import * as CoarseClock from "../src/CoarseClock.ts"

const spin = (clock: Clock.Clock): void => {
  const from = clock.monotonicTimeNanosUnsafe()
  while (clock.monotonicTimeNanosUnsafe() - from < 2_000_000n);
}

describe("the coarse clock", () => {
  it.live("stands still within a turn, but for its exact reading", () =>
    Effect.gen(function* () {
      const live = yield* Clock.Clock
      const clock = CoarseClock.make(live)
      yield* Effect.yieldNow
      const before = clock.exact()
      spin(live)
      assert.strictEqual(clock.now(), before)
      assert.isAtLeast(clock.exact() - before, 2)
    })
  )

  it.live("goes on with the next turn, and after 32 readings within one", () =>
    Effect.gen(function* () {
      const live = yield* Clock.Clock
      const clock = CoarseClock.make(live)
      const before = clock.exact()
      spin(live)
      let read = clock.now()
      for (let i = 0; i < 32; i++) read = clock.now()
      assert.isAtLeast(read - before, 2)
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 1)))
      const later = clock.now()
      assert.isAbove(later, read)
    })
  )

  it.live("goes on within a turn in steps of a tenth of a millisecond, and never back", () =>
    Effect.gen(function* () {
      const clock = CoarseClock.make(yield* Clock.Clock)
      const readings = [clock.exact()]
      while (readings.length < 100_000) readings.push(clock.now())
      const steps = readings.slice(1).map((reading, index) => reading - readings[index]!)
      const moved = steps.filter((step) => step !== 0)
      assert.isAbove(moved.length, 0)
      assert.isAtLeast(Math.min(...moved), 0.1)
    })
  )

  it.effect("reads any other clock at every call, also within a turn", () =>
    Effect.gen(function* () {
      let nanos = 0n
      const ticking: Partial<Clock.Clock> = { monotonicTimeNanosUnsafe: () => (nanos += 1_000_000n) }
      const clock = CoarseClock.make(ticking as Clock.Clock)
      assert.deepStrictEqual([clock.now(), clock.now(), clock.exact(), clock.now()], [1, 2, 3, 4])
    })
  )

  it.effect("goes on as the test's clock does", () =>
    Effect.gen(function* () {
      const clock = CoarseClock.make(yield* Clock.Clock)
      const before = clock.now()
      yield* TestClock.adjust(5)
      assert.strictEqual(clock.now() - before, 5)
      assert.strictEqual(clock.exact() - before, 5)
    })
  )
})
