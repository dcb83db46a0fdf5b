import { Pool } from "@effect-pools/core"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { vi } from "vitest"
import * as CoarseClock from "../src/CoarseClock.ts"
import { fork, open } from "./fake.ts"

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

  it.live("goes on after a turn at whose end somebody was woken who has read it", () =>
    Effect.gen(function* () {
      const clock = CoarseClock.make(yield* Clock.Clock)
      const pool = yield* open({ max: 1 })
      const holder = yield* fork(Pool.use(pool, () => Effect.never))
      const waiter = yield* fork(Pool.use(pool, () => Effect.void))
      yield* Fiber.interrupt(holder)
      yield* Fiber.join(waiter)
      const read = clock.now()
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 2)))
      assert.isAbove(clock.now(), read)
    })
  )

  it.live("measures from the start what those do who are woken at the end of a long turn", () =>
    Effect.gen(function* () {
      const live = yield* Clock.Clock
      const pool = yield* open({ max: 1 })
      const holder = yield* fork(Pool.use(pool, () => Effect.never))
      const waiter = yield* fork(Pool.use(pool, () => Effect.void))
      holder.interruptUnsafe()
      // The waiter has the item, and does not know it yet.
      spin(live)
      yield* Fiber.join(waiter)
      assert.isAtLeast(pool.admission.observer.use.max, 2)
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

  it.live("dates a reading once: events of one moment have one date, and those of a later one a later", () =>
    Effect.gen(function* () {
      const clock = CoarseClock.make(yield* Clock.Clock)
      const monotonic = vi.spyOn(performance, "now").mockReturnValue(1000)
      const date = vi.spyOn(Date, "now").mockReturnValue(50_000)
      try {
        const before = clock.exact()
        assert.strictEqual(clock.wall(before), 50_000)
        date.mockReturnValue(50_010)
        assert.strictEqual(clock.wall(before), 50_000)
        monotonic.mockReturnValue(1010)
        assert.strictEqual(clock.wall(clock.exact()), 50_010)
      } finally {
        monotonic.mockRestore()
        date.mockRestore()
      }
    })
  )

  it.effect("reads any other clock at every call, also within a turn", () =>
    Effect.gen(function* () {
      let nanos = 0n
      let millis = 0
      const ticking: Partial<Clock.Clock> = {
        monotonicTimeNanosUnsafe: () => (nanos += 1_000_000n),
        currentTimeMillisUnsafe: () => ++millis
      }
      const clock = CoarseClock.make(ticking as Clock.Clock)
      assert.deepStrictEqual([clock.now(), clock.now(), clock.exact(), clock.now()], [1, 2, 3, 4])
      assert.deepStrictEqual([clock.wall(4), clock.wall(4)], [1, 2])
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
