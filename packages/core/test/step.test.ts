import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { step } from "../src/internal/step.ts"

describe("a step of the run loop, taken by hand", () => {
  it.effect("installs an exit handler and answers with what it is around", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const body = Effect.sync(() => void seen.push("body"))
      const around = Effect.onExitPrimitive(body, () => void seen.push("handler"))
      yield* Effect.withFiber((fiber) => {
        const next = step(around, fiber)
        // Where this fails, Effect evaluates in another way: leases still work, in one operation more.
        assert.strictEqual(next, body)
        return next
      })
      assert.deepStrictEqual(seen, ["body", "handler"])
    })
  )

  it.effect("answers with an effect that means the same, whatever the effect", () =>
    Effect.gen(function* () {
      const value = yield* Effect.withFiber((fiber) =>
        step(
          Effect.suspend(() => Effect.succeed(42)),
          fiber
        )
      )
      assert.strictEqual(value, 42)
    })
  )
})
