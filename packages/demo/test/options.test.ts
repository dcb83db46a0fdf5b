import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as CliOutput from "effect/cli/CliOutput"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { flags, type Options } from "../src/options.ts"

/** What the arguments mean, without doing it. */
const parse = (...args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    let parsed: Options | undefined
    const command = Command.make("demo", flags, (options) =>
      Effect.sync(() => {
        parsed = options
      })
    )
    yield* Command.runWith(command, { version: "0.0.0" })(args).pipe(
      Effect.provide([NodeServices.layer, CliOutput.layerPresenter({ present: () => Effect.void })])
    )
    return parsed
  })

describe("options", () => {
  it.effect("have defaults", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* parse(), { seconds: 15, concurrency: 32, json: Option.none() })
    })
  )

  it.effect("are taken as they are given", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* parse("--seconds", "2.5", "--concurrency=4", "--json", "result.json"), {
        seconds: 2.5,
        concurrency: 4,
        json: Option.some("result.json")
      })
    })
  )

  for (const [nonsense, says] of [
    [["--seconds", "-1"], "a number from 1 to 3600"],
    [["--seconds", "0"], "a number from 1 to 3600"],
    [["--seconds", "Infinity"], "finite"],
    [["--seconds", "soon"], "finite"],
    [["--seconds"], "--seconds"],
    [["--concurrency", "0"], "a whole number from 1 to 10000"],
    [["--concurrency", "1.5"], "integer"],
    [["--concurrency", "10001"], "a whole number from 1 to 10000"],
    [["--json", "/no/such/folder/result.json"], "a file that can be written"],
    [["--json", "."], "a file that can be written"],
    [["--json", ""], "a file that can be written"],
    [["--speed", "3"], "--speed"],
    [["faster"], "faster"]
  ] as const) {
    it.effect(`refuses ${JSON.stringify(nonsense.join(" "))} and says why`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(parse(...nonsense))
        assert.instanceOf(error, CliError.ShowHelp)
        assert.include(error.errors.map(({ message }) => message).join("\n"), says)
      })
    )
  }
})
