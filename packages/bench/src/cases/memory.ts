import { ConnectionPool } from "@effect-pools/connection"
import { Pool as Pools } from "@effect-pools/core"
import { InstancePool } from "@effect-pools/instance"
import { LockFreePool } from "@effect-pools/lock-free"
import { Footprint } from "@effect-pools/testing"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Pool from "effect/Pool"
import * as Scope from "effect/Scope"
import type { Case, Contender } from "../harness.ts"
import type { Item } from "../pools.ts"
import type { Effort } from "../settings.ts"

/** Makes so many; what they keep lives until the scope closes. */
type Make = (count: number) => Effect.Effect<unknown, unknown, Scope.Scope>

/** Answers how many bytes more are in use after `make` than before, both times after full collections. */
const keeping = (name: string, prepare: Effect.Effect<Make, unknown, Scope.Scope>): Contender => ({
  name,
  run: (count) =>
    Effect.gen(function* () {
      const make = yield* prepare
      const before = yield* Footprint.memory
      const made = yield* make(count)
      const after = yield* Footprint.memory
      yield* Effect.addFinalizer(() => Effect.sync(() => forget(made)))
      return after - before
    }).pipe(Effect.scoped, Effect.runPromise)
})

/** So that what was made is needed until here. */
const forget = (_made: unknown): void => {}

const repeat = <A>(count: number, next: () => A): Array<A> => Array.from({ length: count }, next)

const acquire = (): Effect.Effect<Item, never, Scope.Scope> => {
  let made = 0
  return Effect.acquireRelease(
    Effect.sync(() => ({ id: ++made })),
    () => Effect.void
  )
}

const nothing = (): Effect.Effect<void> => Effect.void

// Waiters ------------------------------------------------------------------------------------------------------------

/** So many fibers, each in a call of its own that does not end. */
const waiting =
  (call: () => Effect.Effect<unknown, unknown>, pending?: () => number): Make =>
  (count) =>
    Effect.gen(function* () {
      const fibers = repeat(count, () => Effect.runFork(call()))
      yield* Effect.addFinalizer(() => Fiber.interruptAll(fibers))
      if ((pending?.() ?? count) !== count) throw new Error("not everybody waits")
    })

const held = (acquireTimeout: "30 seconds" | "Infinity") =>
  Effect.tap(ConnectionPool.make({ acquire: acquire(), max: 1, acquireTimeout }), (pool) => ConnectionPool.get(pool))

const heldInEffects = Effect.tap(Pool.make({ acquire: acquire(), size: 1 }), (pool) => Pool.get(pool))

const waiters = ({ isQuick }: Effort): Case => {
  const fiber = "the fiber alone, on Effect.callback"
  const effects = "Pool.use"
  const effectsInTime = "Pool.use, Effect.timeout"
  const effectsScoped = "Pool.get, scoped"
  const ours = "ConnectionPool.use"
  const oursForever = "ConnectionPool.use, no time limit"
  const oursScoped = "ConnectionPool.get, scoped"
  const inEffects = (name: string, call: (pool: Pool.Pool<Item>) => Effect.Effect<unknown, unknown>): Contender =>
    keeping(
      name,
      Effect.map(heldInEffects, (pool) => waiting(() => call(pool)))
    )
  const inOurs = (
    name: string,
    call: (pool: ConnectionPool.ConnectionPool<Item>) => Effect.Effect<unknown, unknown>,
    acquireTimeout: "30 seconds" | "Infinity" = "30 seconds"
  ): Contender =>
    keeping(
      name,
      Effect.map(held(acquireTimeout), (pool) =>
        waiting(
          () => call(pool),
          () => Pools.statsUnsafe(pool).pending
        )
      )
    )
  return {
    name: "memory-waiters",
    title: "memory of a waiter",
    method:
      "Fibers call for the one item of a pool, which somebody holds: the bytes of each, fiber and all. " +
      "Subtracted are those of a fiber that waits on a bare Effect.callback with a cleanup. Calls are made anew for each fiber. " +
      "ConnectionPool has its time limit of 30 seconds, but where it says so.",
    unit: "bytes",
    operations: 2000,
    rounds: isQuick ? 1 : 11,
    overhead: fiber,
    contenders: [
      keeping(fiber, Effect.succeed(waiting(() => Effect.callback<void>(() => Effect.void)))),
      inEffects(effects, (pool) => Pool.use(pool, nothing)),
      inEffects(effectsInTime, (pool) => Effect.timeout(Pool.use(pool, nothing), "30 seconds")),
      inEffects(effectsScoped, (pool) => Effect.scoped(Pool.get(pool))),
      inOurs(ours, (pool) => ConnectionPool.use(pool, nothing)),
      inOurs(oursForever, (pool) => ConnectionPool.use(pool, nothing), "Infinity"),
      inOurs(oursScoped, (pool) => Effect.scoped(ConnectionPool.get(pool)))
    ],
    comparisons: [
      { name: ours, against: effects, goal: 1, margin: 0.8 },
      { name: ours, against: effectsInTime },
      { name: oursForever, against: effects, goal: 1 },
      { name: oursScoped, against: effectsScoped, goal: 1, margin: 0.8 }
    ]
  }
}

// Idle items ---------------------------------------------------------------------------------------------------------

const settled = (isSettled: () => boolean): Effect.Effect<void> =>
  Effect.whileLoop({ while: () => !isSettled(), body: () => Effect.yieldNow, step: () => {} })

const ourIdle: Make = Effect.fnUntraced(function* (count: number) {
  const pool = yield* ConnectionPool.make({ acquire: acquire(), min: count, max: count, maxCreating: count })
  yield* settled(() => Pools.statsUnsafe(pool).idle === count)
  return pool
})

const idleInEffects: Make = Effect.fnUntraced(function* (count: number) {
  const pool = yield* Pool.make({ acquire: acquire(), size: count })
  yield* settled(() => pool.state.items.size === count)
  return pool
})

const idleUntilUnused: Make = Effect.fnUntraced(function* (count: number) {
  const pool = yield* Pool.makeWithTTL({ acquire: acquire(), min: count, max: count, timeToLive: "5 minutes" })
  yield* settled(() => pool.state.items.size === count)
  return pool
})

const inScopes: Make = Effect.fnUntraced(function* (count: number) {
  const scopes = repeat(count, () => Scope.makeUnsafe())
  const one = acquire()
  const items = yield* Effect.forEach(scopes, (scope) => Scope.provide(one, scope))
  return { items, scopes }
})

const idle = ({ isQuick }: Effort): Case => {
  const item = "the item alone, in a scope of its own"
  const effects = "Pool"
  const effectsInTime = "Pool, with a time to live"
  const ours = "ConnectionPool"
  return {
    name: "memory-idle",
    title: "memory of an idle item",
    method:
      "A pool of idle items, each of which has a finalizer that does nothing: the bytes of pool and items, divided by their" +
      " number. Subtracted are those of the bare object in the scope that it was acquired in.",
    unit: "bytes",
    operations: 2000,
    rounds: isQuick ? 1 : 11,
    overhead: item,
    contenders: [
      keeping(item, Effect.succeed(inScopes)),
      keeping(effects, Effect.succeed(idleInEffects)),
      keeping(effectsInTime, Effect.succeed(idleUntilUnused)),
      keeping(ours, Effect.succeed(ourIdle))
    ],
    comparisons: [
      { name: ours, against: effects, goal: 1 },
      { name: ours, against: effectsInTime }
    ]
  }
}

// Pools --------------------------------------------------------------------------------------------------------------

const SIZE = 10

const each = (name: string, make: Effect.Effect<unknown, unknown, Scope.Scope>): Contender =>
  keeping(
    name,
    Effect.succeed((count) => Effect.forEach(Array.from({ length: count }), () => make))
  )

const effectsPool = Effect.suspend(() =>
  Pool.makeWithTTL({ acquire: acquire(), min: 0, max: SIZE, timeToLive: "5 minutes" })
)
const ourPool = Effect.suspend(() => ConnectionPool.make({ acquire: acquire(), max: SIZE }))
const instancePool = Effect.suspend(() => InstancePool.make({ create: acquire(), max: SIZE }))
const lockFreePool = Effect.suspend(() =>
  LockFreePool.make({ create: () => ({}), reset: () => true, scale: { mode: "auto", maximum: SIZE } })
)

/** As many as each of our pools has. */
const METRICS = 10

/** Metrics that are read from numbers that somebody keeps anyway: no way to have some weighs less. */
const metrics = Effect.acquireRelease(
  Effect.contextWith((context: Context.Context<never>) =>
    Effect.sync(() => {
      let n = 0
      const get = () => ({ value: n })
      const attributes = { "pool.name": `pool-${++pools}` }
      return repeat(METRICS, () =>
        Metric.registerUnsafe(Metric.gauge(`pool.figure_${++n}`, { attributes }), context, {
          get,
          update: () => {},
          modify: () => {}
        })
      )
    })
  ),
  (registrations) =>
    Effect.sync(() => {
      for (const registration of registrations) registration.remove()
    })
)
let pools = 0

const EFFECTS = "Pool, with a time to live"
const EFFECTS_WITH_METRICS = `${EFFECTS} and ${METRICS} metrics`
const because = "[decision 17](../decisions/0017-memory-and-crowds.md)"
const ONLY_METRICS = `${METRICS} metrics alone`

const withMetrics = <A>(pool: Effect.Effect<A, unknown, Scope.Scope>) => Effect.zip(pool, metrics)

const empty = ({ isQuick }: Effort): Case => {
  const ours = { ConnectionPool: ourPool, InstancePool: instancePool, LockFreePool: lockFreePool }
  return {
    name: "memory-pools",
    title: "memory of a pool that is open and empty",
    method:
      `Pools of up to ${SIZE} items that have none yet. Each of ours has ${METRICS} metrics, read when somebody exports them;` +
      " Pool has none. What as many take alone is shown as well, one object of attributes and one function for all of them.",
    unit: "bytes",
    operations: 200,
    rounds: isQuick ? 1 : 11,
    contenders: [
      each(ONLY_METRICS, metrics),
      each(EFFECTS, effectsPool),
      each(EFFECTS_WITH_METRICS, withMetrics(effectsPool)),
      ...Object.entries(ours).map(([name, make]) => each(name, make))
    ],
    comparisons: [
      { name: ONLY_METRICS, against: EFFECTS },
      ...Object.keys(ours).flatMap((name) => [
        { name, against: EFFECTS, goal: 1, because },
        { name, against: EFFECTS_WITH_METRICS }
      ])
    ]
  }
}

const hold = Effect.sleep("2 millis")

const used = <P>(
  make: Effect.Effect<P, unknown, Scope.Scope>,
  use: (pool: P) => Effect.Effect<unknown, unknown>
): Effect.Effect<P, unknown, Scope.Scope> =>
  Effect.tap(make, (pool) =>
    Effect.all(
      repeat(2 * SIZE, () => use(pool)),
      { concurrency: "unbounded", discard: true }
    )
  )

const afterUse = ({ isQuick }: Effort): Case => {
  const inEffects = used(effectsPool, (pool) => Pool.use(pool, () => hold))
  const ours = used(ourPool, (pool) => ConnectionPool.use(pool, () => hold))
  return {
    name: "memory-pools-used",
    title: "memory of a pool after use",
    method:
      `Pools of ${SIZE} items, all idle again after ${2 * SIZE} calls that came together and took 2 ms each: the bytes of pool and` +
      " items. Ours have measured how long the calls waited and took, and what takes room for a moment still, such as" +
      " timers, is counted.",
    unit: "bytes",
    operations: 50,
    rounds: isQuick ? 1 : 11,
    contenders: [
      each(EFFECTS, inEffects),
      each(EFFECTS_WITH_METRICS, withMetrics(inEffects)),
      each("ConnectionPool", ours)
    ],
    comparisons: [
      { name: "ConnectionPool", against: EFFECTS, goal: 1, because },
      { name: "ConnectionPool", against: EFFECTS_WITH_METRICS }
    ]
  }
}

/** What is kept in memory for everybody who waits, every item that lies idle, every pool. */
export const makeMemory = (effort: Effort): Effect.Effect<ReadonlyArray<Case>> =>
  Effect.succeed([waiters(effort), idle(effort), empty(effort), afterUse(effort)])
