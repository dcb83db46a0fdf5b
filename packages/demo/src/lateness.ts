/**
 * How late timers are: what holds up the event loop holds up everybody.
 */
import { performance } from "node:perf_hooks"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

const interval = 10

/**
 * By how much a timer of 10 ms has been late at most so far, in milliseconds.
 */
export class Lateness {
  most = 0
}

/**
 * Measures until the scope closes.
 */
export const watch: Effect.Effect<Lateness, never, Scope.Scope> = Effect.suspend(() => {
  const lateness = new Lateness()
  const tick = Effect.suspend(() => {
    const due = performance.now() + interval
    return Effect.map(Effect.sleep(interval), () => {
      lateness.most = Math.max(lateness.most, performance.now() - due)
    })
  })
  return Effect.as(Effect.forkScoped(Effect.forever(tick)), lateness)
})
