/**
 * What the command line can say.
 */
import { dirname } from "node:path"
import * as CliError from "effect/cli/CliError"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type * as Option from "effect/Option"

/**
 * Options, checked.
 */
export interface Options {
  readonly seconds: number
  readonly concurrency: number
  readonly json: Option.Option<string>
}

const longest = 3600
const widest = 10_000

/** Better to find out before the run than after it. */
const checkWritable = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const isWritable = yield* Effect.isSuccess(
    Effect.flatMap(fs.exists(file), (exists) => fs.access(exists ? file : dirname(file), { writable: true }))
  )
  const isFolder = yield* Effect.orElseSucceed(
    Effect.map(fs.stat(file), ({ type }) => type === "Directory"),
    () => false
  )
  if (file.trim() !== "" && isWritable && !isFolder) return file
  return yield* new CliError.InvalidValue({
    option: "json",
    value: file,
    expected: "a file that can be written",
    kind: "flag"
  })
})

/**
 * The options of `pnpm demo`.
 */
export const flags = {
  seconds: Flag.Finite("seconds").pipe(
    Flag.withMetavar("N"),
    Flag.withDescription("How long the load runs, all stages together (default 15)"),
    Flag.filter(
      (seconds) => seconds >= 1 && seconds <= longest,
      () => `a number from 1 to ${longest}`
    ),
    Flag.withDefault(15)
  ),
  concurrency: Flag.Int("concurrency").pipe(
    Flag.withMetavar("N"),
    Flag.withDescription("How many users the steady load has, a spike four times as many (default 32)"),
    Flag.filter(
      (users) => users >= 1 && users <= widest,
      () => `a whole number from 1 to ${widest}`
    ),
    Flag.withDefault(32)
  ),
  json: Flag.String("json").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("Write the result to this file as well"),
    Flag.mapEffect(checkWritable),
    Flag.optional
  )
}
