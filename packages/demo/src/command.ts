/**
 * The command line.
 */
import * as CliConfig from "effect/cli/CliConfig"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import type { SqlError } from "effect/sql/SqlError"
import { demo } from "./demo.ts"
import * as Logger from "./logger.ts"
import { flags, type Options } from "./options.ts"
import { report } from "./report.ts"
import { DemoResult } from "./result.ts"

/**
 * Parses the arguments, runs the demo, reports.
 */
export const run = (args: ReadonlyArray<string>) =>
  Effect.provide(
    Command.runWith(command, { version: "0.0.0" })(args),
    CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.LogLevel] })
  )

const runDemo = Effect.fnUntraced(
  function* (options: Options) {
    const isTerminal = process.stdout.isTTY
    const result = yield* demo(options, isTerminal).pipe(
      Effect.provide(Logger.layer(isTerminal)),
      Effect.onInterrupt(() => Console.log("Interrupted. Everything is closed."))
    )
    yield* conclude(result, options.json)
  },
  (run) =>
    run.pipe(
      Effect.catchTag("ServerError", (error) => userError(error.message)),
      Effect.catchTag("ConfigError", (error) => userError(error.message)),
      Effect.catchTag("PlatformError", (error) => userError(error.message)),
      Effect.catchTag("SqlError", (error) => userError(oneLine(error)))
    )
)

const command = Command.make("demo", flags, runDemo).pipe(
  Command.withDescription(
    "A shop on a pool of connections to a real PostgreSQL, under load and under faults. DATABASE_URL names a server to" +
      " use; without it, one is started for the run. Exits with 0 only if all invariants held."
  )
)

/**
 * Reports a result; fails if an invariant did not hold.
 */
export const conclude = Effect.fnUntraced(function* (result: DemoResult, json: Option.Option<string>) {
  yield* Console.log(report(result))
  if (Option.isSome(json)) yield* writeJson(json.value, result)
  if (!result.held) return yield* new Broken()
})

const writeJson = Effect.fnUntraced(function* (file: string, result: DemoResult) {
  const fs = yield* FileSystem.FileSystem
  const encoded = yield* Effect.orDie(Schema.encodeEffect(DemoResult)(result))
  yield* fs.writeFileString(file, `${JSON.stringify(encoded, null, 2)}\n`)
})

/** The report has said what is wrong. */
class Broken extends Schema.TaggedError<Broken>("effect-pools/demo/Broken")("Broken", {}) {
  override readonly [Runtime.errorReported] = false
}

/** What was tried, and the innermost cause of its failure: what the server or the system has said. */
const oneLine = (error: SqlError): string => {
  let cause: unknown = error
  while (cause instanceof Error && cause.cause !== undefined) cause = cause.cause
  const reason = cause instanceof Error ? cause.message : String(cause)
  return reason === error.message ? reason : `${error.message}: ${reason}`
}

/** Shown as it is, without a stack. */
const userError = (userMessage: string) => Effect.fail(new CliError.UserError({ cause: userMessage, userMessage }))
