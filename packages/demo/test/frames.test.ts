import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { allHeld } from "../src/invariants.ts"
import * as Frames from "../src/parts/frames.ts"

describe("frames in shared memory", () => {
  it.live(
    "come back once and unharmed while one of their threads is terminated, and leave nothing behind",
    () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const part = yield* Scope.provide(Frames.open, scope)
        const load = Effect.all(
          Array.from({ length: 300 }, () => part.requests[0]!.run),
          { concurrency: 30, discard: true }
        )
        // More than are there at a time, so that some are under way whenever the thread ends.
        yield* Effect.all([load, part.faults], { concurrency: "unbounded" })
        const settled = yield* part.settled
        yield* Scope.close(scope, Exit.void)
        const closed = yield* part.closed
        const invariants = [...settled.invariants, ...closed.invariants]
        assert.isTrue(allHeld(invariants), JSON.stringify(invariants.filter(({ held }) => !held)))
        assert.strictEqual(settled.facts?.["frames sent"], 301)
        assert.isAbove(settled.facts?.["frames sent again"] ?? 0, 0)
      }),
    30_000
  )
})
