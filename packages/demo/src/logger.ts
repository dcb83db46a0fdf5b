/**
 * Log lines beside a progress bar: one each, without stacks.
 */
import * as Cause from "effect/Cause"
import type * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"

/**
 * Writes what is logged to the standard error output.
 */
export const layer = (isTerminal: boolean): Layer.Layer<never> =>
  Logger.layer([
    Logger.make(({ cause, logLevel, message }) => {
      const said = (Array.isArray(message) ? message : [message]).map(String)
      if (cause.reasons.length > 0) said.push(String(Cause.squash(cause)))
      // Over the bar, which is drawn again below.
      process.stderr.write(`${isTerminal ? "\r\x1b[2K" : ""}${logLevel.toUpperCase()} ${said.join(": ")}\n`)
    })
  ])
