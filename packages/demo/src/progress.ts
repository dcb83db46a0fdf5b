/**
 * What there is to see while the load runs: a bar in a terminal, a line now and then elsewhere.
 */
import { PoolRegistry } from "@effect-pools/core"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Terminal from "effect/Terminal"
import type { Run } from "./load.ts"

/**
 * Shows how far a stage is, until interrupted.
 */
export const show = (run: Run, isTerminal: boolean): Effect.Effect<never, never, Terminal.Terminal> =>
  isTerminal ? bar(run) : lines(run)

/**
 * Leaves the place to what comes next: takes the bar away, or says in a line how the stage went.
 */
export const end = (run: Run, isTerminal: boolean): Effect.Effect<void, never, Terminal.Terminal> =>
  isTerminal ? display("\r\x1b[2K") : print(run)

const bar = (run: Run) =>
  Effect.gen(function* () {
    const terminal = yield* Terminal.Terminal
    // Some terminals do not tell how wide they are.
    const columns = (yield* terminal.columns) || 80
    // A full line would break.
    yield* display(`\r\x1b[2K${(yield* line(run, 20)).slice(0, columns - 1)}`)
    yield* Effect.sleep("100 millis")
  }).pipe(Effect.forever)

const lines = (run: Run) => Effect.forever(Effect.andThen(Effect.sleep("2 seconds"), print(run)))

const print = (run: Run) => Effect.flatMap(line(run, 0), (text) => Console.log(text))

const line = Effect.fnUntraced(function* (run: Run, width: number) {
  const elapsed = (yield* Clock.currentTimeMillis) - run.startedAt
  const done = Math.min(1, elapsed / run.millis)
  const filled = Math.round(done * width)
  const { failed, answered } = run.tally
  return [
    run.stage.name.padEnd(8),
    ...(width === 0 ? [] : [`[${"#".repeat(filled)}${"-".repeat(width - filled)}]`]),
    `${Math.round(done * 100)} %`.padStart(5),
    ` ${run.users} users: ${answered} answered, ${failed} not; ${(yield* pools).join("; ")}`
  ].join(" ")
})

/** Whatever pools there are. */
const pools = Effect.gen(function* () {
  const registry = yield* PoolRegistry.PoolRegistry
  return yield* Effect.forEach(registry.list(), ({ name, stats }) =>
    Effect.map(
      stats,
      ({ max, pending, size, used }) => `${name}: ${used} used of ${size} of ${max}, ${pending} waiting`
    )
  )
})

const display = (text: string) => Effect.flatMap(Terminal.Terminal, (terminal) => Effect.orDie(terminal.display(text)))
