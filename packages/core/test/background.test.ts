import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/testing/TestClock"
import { Background } from "../src/Background.ts"

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
