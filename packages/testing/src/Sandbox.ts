/**
 * A pool in surroundings of its own, in which every trace that it leaves can be looked at.
 *
 * @since 0.1.0
 */
import { type Pool, type PoolEvent, PoolRegistry } from "@effect-pools/core"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"

/**
 * @category models
 * @since 0.1.0
 */
export interface Sandbox<P> {
  readonly pool: P
  /** Every event of the pool, from its first. */
  readonly events: Array<PoolEvent.PoolEvent>
  /** Warnings and worse, as text. */
  readonly logs: Array<string>
  readonly registry: PoolRegistry.PoolRegistry
  readonly metrics: Map<string, Metric.Metric.Metadata<any, any>>
  /** How many sleeps and fibers of the pool there are now. */
  readonly left: { readonly sleeps: number; readonly fibers: number }
  readonly scope: Scope.Closeable
  readonly close: Effect.Effect<void>
}

/**
 * Opens a pool that has a registry, metrics and a log to itself, and whose sleeps and fibers are counted. It is closed
 * with the surrounding scope, in the background, if it is not closed before. Time is the surrounding clock's.
 *
 * @category constructors
 * @since 0.1.0
 */
export const open = Effect.fnUntraced(function* <P extends Pool.Pool<any, any>, E>(
  make: Effect.Effect<P, E, Scope.Scope>
) {
  const clock = yield* Clock.Clock
  const left = { sleeps: 0, fibers: 0 }
  const logs: Array<string> = []
  const events: Array<PoolEvent.PoolEvent> = []
  const registry = listening(events)
  const metrics = new Map<string, Metric.Metric.Metadata<any, any>>()
  const scope = yield* Scope.make()
  const countingClock: Clock.Clock = {
    currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
    currentTimeMillis: clock.currentTimeMillis,
    currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
    currentTimeNanos: clock.currentTimeNanos,
    monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
    monotonicTimeNanos: clock.monotonicTimeNanos,
    sleep: (duration) =>
      Effect.suspend(() => {
        left.sleeps++
        return Effect.ensuring(
          clock.sleep(duration),
          Effect.sync(() => left.sleeps--)
        )
      })
  }
  const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
    if (logLevel === "Warn" || logLevel === "Error" || logLevel === "Fatal") {
      logs.push((Array.isArray(message) ? message : [message]).map(String).join(" "))
    }
  })
  const pool = yield* Effect.provideContext(
    make,
    Context.make(Scope.Scope, scope).pipe(
      Context.add(Clock.Clock, countingClock),
      Context.add(PoolRegistry.PoolRegistry, registry),
      Context.add(Metric.MetricRegistry, metrics),
      Context.add(Logger.CurrentLoggers, new Set([logger])),
      Context.add(Metric.FiberRuntimeMetrics, {
        recordFiberStart: () => void left.fibers++,
        recordFiberEnd: () => void left.fibers--
      })
    )
  )
  const close = Scope.close(scope, Exit.void)
  yield* Effect.addFinalizer(() => Effect.asVoid(Effect.forkDetach(close)))
  return { pool, events, logs, registry, metrics, left, scope, close } satisfies Sandbox<P>
})

/** A registry that hears all of the first pool that is entered in it, from that moment: before the pool does anything. */
const listening = (events: Array<PoolEvent.PoolEvent>): PoolRegistry.PoolRegistry => {
  const { addUnsafe, claimUnsafe, find, list, releaseUnsafe } = PoolRegistry.makeUnsafe()
  let isFirst = true
  return {
    claimUnsafe,
    find,
    list,
    releaseUnsafe,
    addUnsafe(registered) {
      addUnsafe(registered)
      if (!isFirst) return
      isFirst = false
      registered.pool.admission.observer.listen((event) => events.push(event))
    }
  }
}

/**
 * Lets every fiber that can go on do so, without time passing. Needs the `TestClock`.
 *
 * @category operations
 * @since 0.1.0
 */
export const settle: Effect.Effect<void> = Effect.gen(function* () {
  for (let turn = 0; turn < 10; turn++) yield* Effect.yieldNow
  yield* TestClock.adjust(0)
})

/**
 * Whether a pool has nothing left of itself: fibers, sleeps, and entries in its registry and among its metrics.
 *
 * @category operations
 * @since 0.1.0
 */
export const leftovers = ({ left, metrics, registry }: Sandbox<unknown>): Array<string> => {
  const found: Array<string> = []
  if (left.fibers !== 0) found.push(`${left.fibers} fibers are left`)
  if (left.sleeps !== 0) found.push(`${left.sleeps} sleeps are left`)
  if (registry.list().length !== 0) found.push(`the registry has ${registry.list().length} pools`)
  if (metrics.size !== 0) found.push(`${metrics.size} metrics are left`)
  return found
}
