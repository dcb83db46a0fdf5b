import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { eventually } from "../src/eventually.ts"
import { DemoResult } from "../src/result.ts"
import { startDemo } from "./process.ts"

describe("the demo", () => {
  it.live("keeps its invariants in a short run, and writes what it reports", () =>
    Effect.gen(function* () {
      const demo = yield* startDemo(["--seconds", "2", "--concurrency", "16", "--json", "result.json"])
      assert.strictEqual(yield* Effect.promise(() => demo.exited), 0, demo.output)
      assert.include(demo.output, "All invariants held.")
      const result = yield* Schema.decodeUnknownEffect(DemoResult)(
        JSON.parse(readFileSync(join(demo.folder, "result.json"), "utf8"))
      )
      assert.isTrue(result.held)
      assert.deepStrictEqual(
        result.stages.map(({ name }) => name),
        ["warm-up", "steady", "spike", "faults", "recovery"]
      )
      assert.strictEqual(
        result.stages.reduce((sum, stage) => sum + stage.requests, 0),
        result.requests.asked
      )
      const [part] = result.parts
      const [stats] = part!.pools
      assert.isAbove(part!.facts["backends terminated"]!, 0)
      assert.isAtMost(part!.facts["most backends on the server"]!, stats!.max)
      assert.strictEqual(stats!.acquired, stats!.released)
      assert.deepStrictEqual(demo.leftBehind, ["result.json"])
    }).pipe(Effect.scoped)
  )

  it.live("says in one line that no server answers", () =>
    Effect.gen(function* () {
      const demo = yield* startDemo([], { DATABASE_URL: "postgres://nobody@127.0.0.1:1/nothing" })
      assert.strictEqual(yield* Effect.promise(() => demo.exited), 1)
      assert.include(demo.output, "Failed to connect: connect ECONNREFUSED 127.0.0.1:1")
      assert.notInclude(demo.output, "    at ")
      assert.deepStrictEqual(demo.leftBehind, [])
    }).pipe(Effect.scoped)
  )
})

describe("an interrupted demo", () => {
  for (const [signal, moment] of [
    ["SIGINT", "Starting PostgreSQL"],
    ["SIGINT", "warm-up"],
    ["SIGINT", "spike"],
    ["SIGTERM", "steady"]
  ] as const) {
    it.live(`leaves nothing behind when ${signal} comes after it has said "${moment}"`, () =>
      Effect.gen(function* () {
        const demo = yield* startDemo(["--seconds", "5"])
        yield* Effect.promise(() => demo.says(moment))
        demo.kill(signal)
        assert.strictEqual(yield* Effect.promise(() => demo.exited), 130, demo.output)
        assert.include(demo.output, "Interrupted. Everything is closed.")
        assert.deepStrictEqual(demo.leftBehind, [])
      }).pipe(Effect.scoped)
    )
  }

  it.live("leaves nothing behind even when it is killed", () =>
    Effect.gen(function* () {
      const demo = yield* startDemo(["--seconds", "5"])
      yield* Effect.promise(() => demo.says("warm-up"))
      demo.kill("SIGKILL")
      yield* Effect.promise(() => demo.exited)
      // The keeper finds out by itself.
      assert.deepStrictEqual(
        yield* eventually(
          Effect.sync(() => demo.leftBehind),
          (left) => left.length === 0
        ),
        []
      )
    }).pipe(Effect.scoped)
  )
})
