import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/testing/TestClock"
import { Alarm, Background, Tasks } from "../src/Background.ts"
import * as CoarseClock from "../src/CoarseClock.ts"
import { countingSleeps } from "./fake.ts"

/** A background whose sleeps are counted. */
const make = Effect.gen(function* () {
  const { asleep, context } = yield* countingSleeps
  return { background: new Background(context), clock: CoarseClock.make(Context.get(context, Clock.Clock)), asleep }
})

/** An effect that takes its time, which says how many milliseconds it needs to react to its interruption. */
const work = (millis: number, reacts: number) =>
  Effect.onInterrupt(Effect.as(Effect.sleep(millis), "result"), () => Effect.sleep(reacts))

const inShort = (exit: Exit.Exit<unknown, unknown> | undefined): unknown =>
  exit === undefined ? "nothing" : exit._tag === "Success" ? exit.value : "failed"

describe("an effect of the user's, run in the background", () => {
  const cases = [
    { it: "calls back with the exit at once if it is over at once", takes: 0, calls: [[0, "result", false]] },
    { it: "calls back with the exit when it is over", takes: 500, calls: [[500, "result", false]] },
    {
      it: "calls back without one when its time is over, also if it reacts at once",
      takes: 5000,
      calls: [
        [1000, "nothing", false],
        [1000, "late", "failed"]
      ]
    },
    {
      it: "that does not react in time is given up, as stuck; what it ends with is late",
      takes: 5000,
      reacts: 700,
      calls: [
        [1000, "nothing", true],
        [1700, "late", "failed"]
      ]
    },
    {
      it: "that may take some time to react is waited for",
      takes: 5000,
      reacts: 700,
      grace: 800,
      calls: [
        [1700, "nothing", false],
        [1700, "late", "failed"]
      ]
    },
    {
      it: "that takes more than that is stuck",
      takes: 5000,
      reacts: 700,
      grace: 600,
      calls: [
        [1600, "nothing", true],
        [1700, "late", "failed"]
      ]
    },
    {
      it: "can be ended early: then it calls back with the exit",
      takes: 5000,
      end: 0,
      calls: [[250, "failed", false]]
    },
    {
      it: "can be ended early, with some time to react",
      takes: 5000,
      reacts: 100,
      end: 200,
      calls: [[350, "failed", false]]
    },
    {
      it: "can be ended early, and is stuck if it does not react",
      takes: 5000,
      reacts: 300,
      end: 200,
      calls: [
        [450, "nothing", true],
        [550, "late", "failed"]
      ]
    },
    {
      it: "is over when it is over: ending it has no meaning then",
      takes: 100,
      end: 0,
      calls: [[100, "result", false]]
    }
  ] as const satisfies ReadonlyArray<{
    readonly it: string
    readonly takes: number
    readonly reacts?: number
    readonly grace?: number
    readonly end?: number
    readonly calls: ReadonlyArray<readonly [number, unknown, unknown]>
  }>

  for (const given of cases) {
    const { calls, end, grace, it: name, reacts, takes } = { reacts: 0, grace: undefined, end: undefined, ...given }
    it.effect(name, () =>
      Effect.gen(function* () {
        const { asleep, background, clock } = yield* make
        const seen: Array<readonly [number, unknown, unknown]> = []
        const stop = background.run({
          effect: takes === 0 ? Effect.succeed("result") : work(takes, reacts),
          timeout: 1000,
          grace,
          done: (exit, isStuck) => seen.push([clock.now(), inShort(exit), isStuck]),
          late: (exit) => seen.push([clock.now(), "late", inShort(exit)])
        })
        yield* TestClock.adjust(250)
        if (end !== undefined) stop(end)
        yield* TestClock.adjust(9750)
        stop(100)
        yield* TestClock.adjust(1000)
        assert.deepStrictEqual(seen, calls as never)
        assert.strictEqual(asleep.count, 0)
      })
    )
  }

  it.effect("leaves no timer behind when it is over, and has none if it may take as long as it likes", () =>
    Effect.gen(function* () {
      const { asleep, background } = yield* make
      background.run({ effect: work(100, 0), timeout: 60_000, done: () => {} })
      background.run({ effect: Effect.never, timeout: Infinity, done: () => {} })
      assert.strictEqual(asleep.count, 2)
      yield* TestClock.adjust(100)
      assert.strictEqual(asleep.count, 0)
      background.interruptAll()
    })
  )

  it.effect("is asked to stop with all others, and nobody waits for that", () =>
    Effect.gen(function* () {
      const { asleep, background } = yield* make
      const seen: Array<unknown> = []
      for (const reacts of [0, 100]) {
        background.run({ effect: work(5000, reacts), timeout: Infinity, done: (exit) => seen.push(inShort(exit)) })
      }
      background.after(3000, () => seen.push("never"))
      background.interruptAll()
      assert.deepStrictEqual(seen, ["failed"])
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(seen, ["failed", "failed"])
      assert.strictEqual(asleep.count, 0)
    })
  )
})

describe("tasks", () => {
  it.effect("are called off together, but for those that are over", () =>
    Effect.gen(function* () {
      const { background, clock } = yield* make
      const tasks = new Tasks(background)
      const seen: Array<unknown> = []
      for (const [takes, reacts] of [
        [0, 0],
        [100, 0],
        [5000, 0],
        [5000, 100],
        [5000, 300]
      ] as const) {
        tasks.run({
          effect: takes === 0 ? Effect.succeed("result") : work(takes, reacts),
          timeout: Infinity,
          done: (exit, isStuck) => seen.push([clock.now(), inShort(exit), isStuck])
        })
      }
      yield* TestClock.adjust(200)
      tasks.cancel(200)
      yield* TestClock.adjust(9800)
      tasks.cancel(200)
      assert.deepStrictEqual(seen, [
        [0, "result", false],
        [100, "result", false],
        [200, "failed", false],
        [300, "failed", false],
        [400, "nothing", true]
      ])
    })
  )
})

describe("an alarm", () => {
  const set = Effect.gen(function* () {
    const { asleep, background, clock } = yield* make
    const rings: Array<number> = []
    return { alarm: new Alarm(background, clock, (now) => rings.push(now)), rings, asleep }
  })

  it.effect("rings once, at the earliest time it was set to", () =>
    Effect.gen(function* () {
      const { alarm, asleep, rings } = yield* set
      alarm.set(300)
      alarm.set(200)
      alarm.set(200)
      alarm.set(400)
      alarm.set(Infinity)
      assert.strictEqual(asleep.count, 1)
      yield* TestClock.adjust(1000)
      assert.deepStrictEqual(rings, [200])
      alarm.set(1500)
      yield* TestClock.adjust(1000)
      assert.deepStrictEqual(rings, [200, 1500])
    })
  )

  it.effect("is silent once it is cleared, and can be set anew", () =>
    Effect.gen(function* () {
      const { alarm, asleep, rings } = yield* set
      alarm.clear()
      alarm.set(300)
      alarm.clear()
      assert.strictEqual(asleep.count, 0)
      yield* TestClock.adjust(1000)
      assert.deepStrictEqual(rings, [])
      alarm.set(1200)
      yield* TestClock.adjust(1000)
      assert.deepStrictEqual(rings, [1200])
    })
  )

  it.effect("never rings early, nor in the very step in which it is set", () =>
    Effect.gen(function* () {
      const { alarm, rings } = yield* set
      yield* TestClock.adjust(10)
      // Timers count whole milliseconds.
      alarm.set(10.5)
      alarm.set(3)
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(rings, [])
      yield* TestClock.adjust(5)
      assert.deepStrictEqual(rings, [11])
      alarm.set(16.2)
      yield* TestClock.adjust(5)
      assert.deepStrictEqual(rings, [11, 17])
    })
  )
})

describe("work at a given time", () => {
  it.effect("is done once, then", () =>
    Effect.gen(function* () {
      let done = 0
      const background = new Background(yield* Effect.context<never>())
      background.after(1000, () => done++)
      yield* TestClock.adjust(999)
      assert.strictEqual(done, 0)
      yield* TestClock.adjust(60_000)
      assert.strictEqual(done, 1)
    })
  )

  it.effect("that throws is told in the log", () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => lines.push(`${logLevel}: ${[message].flat().join(" ")}`))
    return Effect.gen(function* () {
      const background = new Background(yield* Effect.context<never>())
      background.after(1000, () => {
        throw new Error("a broken invariant")
      })
      yield* TestClock.adjust(1000)
      assert.strictEqual(lines.length, 1)
      assert.match(lines[0]!, /^Error: BUG: .*a broken invariant/)
    }).pipe(Effect.provideService(Logger.CurrentLoggers, new Set([logger])))
  })
})
