import { InvalidOptions, type Pool } from "@effect-pools/core"
import { type ArenaBacking, ArenaError, ArenaPool, type BumpArena } from "@effect-pools/arena"
import { type Gates, Subject } from "@effect-pools/testing"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"

/** Memory that comes and goes through the gates. */
export interface GatedMemory extends ArenaBacking.ArenaMemory {
  readonly item: Gates.Item
}

export type GatedArena = BumpArena.BumpArena<GatedMemory>

const SIZE = 64

/** A backing as a user writes it, in plain code: gates that take time are not for it. */
export const gated = (gates: Gates.Gates): ArenaBacking.ArenaBacking<GatedMemory> => ({
  name: "gated",
  canRelease: true,
  detaches: false,
  isShared: false,
  reserve: (size) => {
    const scope = Scope.makeUnsafe()
    const item = run(Effect.provideService(gates.make, Scope.Scope, scope))
    const view = new Uint8Array(size)
    return {
      item,
      view,
      commit: () => {},
      release: () => void view.fill(0),
      destroy: () => run(Scope.close(scope, Exit.void))
    }
  }
})

const run = <A>(effect: Effect.Effect<A, Gates.GateFailure>): A => {
  const exit = Effect.runSyncExit(effect)
  if (Exit.isSuccess(exit)) return exit.value
  // What is thrown is the cause itself, of which nothing is to be lost.
  throw Cause.hasInterruptsOnly(exit.cause) ? Cause.die(new Error("interrupted from within")) : exit.cause
}

/** What the suites know of is the failure of the gate, not that of the backing around it. */
const unwrapped = <A, E, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, Exclude<E, ArenaError.BackingFailed>, R> =>
  Effect.catchCause(effect, (cause) => {
    const error = Cause.squash(cause)
    return Effect.failCause((error instanceof ArenaError.BackingFailed ? error.cause : cause) as Cause.Cause<never>)
  })

const subjectOf = (options: Partial<ArenaPool.Options<GatedMemory>>) =>
  Subject.make<GatedArena>({
    kind: "arena",
    make: (gates, { acquireTimeout, closeGrace, max = 10, maxWaiters, name }) =>
      ArenaPool.make({
        size: SIZE,
        backing: gated(gates),
        cap: Infinity,
        name,
        maxOutstanding: max,
        acquireTimeout,
        maxWaiters,
        closeGrace,
        ...options
      }).pipe(
        // The suites speak of one kind of failure.
        Effect.map((pool) => pool as unknown as Pool.Pool<GatedArena, Gates.GateFailure>),
        // What the suites call `max`.
        Effect.mapError(({ field, pool, rule, value }) => {
          return new InvalidOptions.InvalidOptions({
            pool,
            field: field === "maxOutstanding" ? "max" : field,
            value,
            rule
          })
        }),
        // Not even the run loop comes in between where an item is made in the caller's own step.
        Effect.provideService(Scheduler.MaxOpsBeforeYield, Infinity)
      ),
    item: ({ memory }) => memory.item,
    get: (pool, options) => unwrapped(ArenaPool.get(pool, options)),
    use: (pool, body, options) => unwrapped(ArenaPool.use(pool, body, options)),
    lacks: {
      minimum: "arenas are made on demand",
      time: "arenas are made, emptied and ended in plain code",
      creationLimit: "as many arenas are made as callers ask for",
      retries: "a backing that fails is the failure of the caller",
      validation: "an arena that is empty needs no validation",
      reset: "an arena is emptied by moving its cursor",
      checks: "nobody looks at arenas that lie idle",
      sharing: "an arena has one holder"
    }
  })

/** The arena pool, for the suites of `testing`. */
export const subject = subjectOf({})
/** With everything that happens to an arena between two holders. */
export const busy = subjectOf({ clear: "onReturn", releaseIdleAfter: 50, idleTimeToLive: 200 })
/** Whose arenas take others' memory when they are full. */
export const chaining = subjectOf({ overflow: "chain" })
