/**
 * What keeps the process from ending: sockets, timers, child processes.
 */
import * as Effect from "effect/Effect"
import { eventually } from "./eventually.ts"
import { invariant, type Invariant } from "./invariants.ts"

/**
 * How much is active now, by kind.
 */
export const activeHandles = Effect.callback<ReadonlyMap<string, number>>((resume) => {
  // They become handles when they are first used, which is no leak.
  void [process.stdout, process.stderr]
  // In a turn that no timer has started: that timer would be active still.
  setImmediate(() => {
    const kinds = new Map<string, number>()
    for (const kind of process.getActiveResourcesInfo()) kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
    resume(Effect.succeed(kinds))
  })
})

/**
 * That nothing is active but what was before. A socket takes a moment to close.
 */
export const noHandlesLeft = (before: ReadonlyMap<string, number>): Effect.Effect<Invariant> =>
  eventually(
    Effect.map(activeHandles, (now) => more(now, before)),
    (left) => left.length === 0
  ).pipe(
    Effect.map((left) =>
      invariant(
        "no handle is left active",
        left.length === 0,
        left.length === 0 ? "no socket, timer or child process" : left.join(", ")
      )
    )
  )

const more = (now: ReadonlyMap<string, number>, before: ReadonlyMap<string, number>): ReadonlyArray<string> =>
  Array.from(now)
    .filter(([kind, count]) => count > (before.get(kind) ?? 0))
    .map(([kind, count]) => `${count - (before.get(kind) ?? 0)} ${kind}`)
