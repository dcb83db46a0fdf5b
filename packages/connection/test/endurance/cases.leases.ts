import { ConnectionPool } from "@effect-pools/connection"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type Case, connect, many, open, together } from "./case.ts"

/** A pool on which all connections are in use, for as long as the scope is open. */
const exhausted = Effect.tap(open({ max: 2, acquireTimeout: "1 milli" }), (pool) =>
  Effect.replicateEffect(ConnectionPool.get(pool), 2)
)

const ignored = () => Effect.void
const yielding = () => Effect.yieldNow

/** Leases and waits of every kind on a pool that stays open. */
export const leases: ReadonlyArray<Case> = [
  {
    name: "use, uncontended",
    unit: "lease",
    units: 1_000_000,
    bound: 0.5,
    keeps: "leases",
    prepare: Effect.map(open({ max: 10 }), (pool) => many(ConnectionPool.use(pool, ignored)))
  },
  {
    name: "get in a scope",
    unit: "lease",
    units: 200_000,
    bound: 1,
    keeps: "leases",
    prepare: Effect.map(open({ max: 10 }), (pool) => many(Effect.scoped(ConnectionPool.get(pool))))
  },
  {
    name: "use by 100 fibers on 10 connections",
    unit: "lease",
    units: 200_000,
    bound: 1,
    keeps: "waiters",
    prepare: Effect.map(open({ max: 10 }), (pool) => together(100, ConnectionPool.use(pool, yielding)))
  },
  {
    name: "get in a scope by 100 fibers on 10 connections",
    unit: "lease",
    units: 100_000,
    bound: 2,
    keeps: "waiters",
    prepare: Effect.map(open({ max: 10 }), (pool) =>
      together(100, Effect.scoped(Effect.andThen(ConnectionPool.get(pool), Effect.yieldNow)))
    )
  },
  {
    name: "use of connections that ten share",
    unit: "lease",
    units: 100_000,
    bound: 2,
    keeps: "leases",
    prepare: Effect.map(open({ max: 2, concurrency: 10 }), (pool) => together(100, ConnectionPool.use(pool, yielding)))
  },
  {
    name: "waits with priorities and deadlines of their own",
    unit: "lease",
    units: 40_000,
    bound: 6,
    keeps: "waiters",
    prepare: Effect.map(open({ max: 10 }), (pool) => {
      let n = 0
      const lease = Effect.suspend(() => {
        n++
        return ConnectionPool.use(pool, yielding, { priority: n * 1.5, acquireTimeout: 60_000 + n })
      })
      return together(100, lease)
    })
  },
  {
    name: "waits that time out",
    unit: "wait",
    units: 25_000,
    bound: 8,
    keeps: "waiters",
    prepare: Effect.map(exhausted, (pool) => together(500, Effect.exit(ConnectionPool.use(pool, ignored))))
  },
  {
    name: "waits that are interrupted",
    unit: "wait",
    units: 40_000,
    bound: 6,
    keeps: "waiters",
    prepare: Effect.map(
      open({ max: 1, acquireTimeout: Infinity }),
      (pool) => (units) =>
        Effect.scoped(
          Effect.gen(function* () {
            yield* ConnectionPool.get(pool)
            for (let n = 0; n < units; n += 100) {
              const fibers = yield* Effect.replicateEffect(
                Effect.forkChild(ConnectionPool.use(pool, ignored), { startImmediately: true }),
                100
              )
              yield* Fiber.interruptAll(fibers)
            }
          })
        )
    )
  },
  {
    name: "waits in a scope that lives long, timed out, interrupted or for nothing",
    unit: "wait",
    units: 20_000,
    bound: 12,
    keeps: "waiters",
    prepare: Effect.gen(function* () {
      const pool = yield* exhausted
      const scope = yield* Scope.make()
      const inScope = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) =>
        Effect.exit(Effect.provideService(effect, Scope.Scope, scope))
      const waits = [
        inScope(ConnectionPool.get(pool)),
        inScope(ConnectionPool.getIfAvailable(pool)),
        inScope(ConnectionPool.get(pool, { acquireTimeout: 0 })),
        Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(inScope(ConnectionPool.get(pool)), { startImmediately: true })
          yield* Fiber.interrupt(fiber)
        })
      ]
      let n = 0
      return together(
        500,
        Effect.suspend(() => waits[n++ % waits.length]!)
      )
    })
  },
  {
    name: "leases in scopes within a scope that lives long",
    unit: "lease",
    units: 50_000,
    bound: 4,
    keeps: "leases",
    prepare: Effect.gen(function* () {
      const pool = yield* open({ max: 10 })
      const parent = yield* Effect.scope
      return many(
        Effect.gen(function* () {
          const child = yield* Scope.fork(parent)
          yield* Effect.provideService(ConnectionPool.get(pool), Scope.Scope, child)
          yield* Scope.close(child, Exit.void)
        })
      )
    })
  },
  {
    name: "calls for an idle connection when there is none",
    unit: "call",
    units: 100_000,
    bound: 2,
    keeps: "calls",
    prepare: Effect.map(exhausted, (pool) => many(ConnectionPool.useIfAvailable(pool, ignored)))
  },
  {
    name: "bodies that fail, die or interrupt themselves",
    unit: "lease",
    units: 40_000,
    bound: 6,
    keeps: "leases",
    prepare: Effect.map(open({ max: 10 }), (pool) => {
      const ends = [Effect.fail("no"), Effect.die(new Error("no")), Effect.interrupt]
      let n = 0
      return many(Effect.exit(ConnectionPool.use(pool, () => ends[n++ % 3]!)))
    })
  },
  {
    name: "bodies that are interrupted",
    unit: "lease",
    units: 25_000,
    bound: 8,
    keeps: "leases",
    prepare: Effect.map(open({ max: 10 }), (pool) =>
      many(
        Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(
            ConnectionPool.use(pool, () => Effect.never),
            { startImmediately: true }
          )
          yield* Fiber.interrupt(fiber)
        })
      )
    )
  },
  {
    name: "connections invalidated by every lease",
    unit: "connection",
    units: 25_000,
    bound: 8,
    keeps: "connections",
    prepare: Effect.map(open({ max: 10 }), (pool) =>
      many(ConnectionPool.use(pool, (connection) => ConnectionPool.invalidate(pool, connection)))
    )
  },
  {
    name: "connections used once, validated and reset, by 100 fibers on 10",
    unit: "connection",
    units: 8_000,
    bound: 24,
    keeps: "connections",
    prepare: Effect.map(
      open({
        max: 10,
        maxUses: 1,
        validate: () => Effect.yieldNow,
        validateAfterIdle: 0,
        reset: () => Effect.yieldNow
      }),
      (pool) => together(100, ConnectionPool.use(pool, yielding))
    )
  },
  {
    name: "connections validated and reset at every lease",
    unit: "lease",
    units: 20_000,
    bound: 12,
    keeps: "leases",
    prepare: Effect.map(
      open({ max: 10, validate: () => Effect.yieldNow, validateAfterIdle: 0, reset: () => Effect.yieldNow }),
      (pool) => together(100, ConnectionPool.use(pool, ignored))
    )
  },
  {
    name: "creations that fail, one after the other",
    unit: "creation",
    units: 400,
    bound: 512,
    keeps: "waiters",
    prepare: Effect.map(
      open({ acquire: Effect.fail("no"), max: 1, createRetry: Schedule.recurs(0), breaker: false }),
      (pool) => together(1, Effect.exit(ConnectionPool.use(pool, ignored)))
    )
  },
  {
    name: "creations of which every other fails",
    unit: "creation",
    units: 400,
    bound: 512,
    keeps: "connections",
    prepare: Effect.suspend(() => {
      let n = 0
      const acquire = Effect.suspend(() => (n++ % 2 === 0 ? Effect.fail("no") : connect))
      return Effect.map(open({ acquire, max: 1, maxUses: 1, createRetry: Schedule.spaced(1) }), (pool) =>
        many(ConnectionPool.use(pool, ignored))
      )
    })
  },
  {
    name: "callers answered by the breaker",
    unit: "call",
    units: 50_000,
    bound: 4,
    keeps: "calls",
    prepare: Effect.map(
      open({ acquire: Effect.fail("no"), breaker: { failures: 1, probeInterval: 5 }, createRetry: Schedule.recurs(0) }),
      (pool) => (units) =>
        Effect.andThen(together(100, Effect.exit(ConnectionPool.use(pool, ignored)))(units), Effect.sleep(5))
    )
  },
  {
    name: "readers of events that come and go",
    unit: "reader",
    units: 3_000,
    bound: 64,
    keeps: "listeners",
    prepare: Effect.map(open({ max: 10 }), (pool) =>
      many(
        Effect.gen(function* () {
          const reader = yield* Effect.forkChild(Stream.runDrain(ConnectionPool.events(pool)), {
            startImmediately: true
          })
          yield* ConnectionPool.use(pool, ignored)
          yield* Fiber.interrupt(reader)
        })
      )
    )
  },
  {
    name: "leases whose place is noted, some of them overdue",
    unit: "lease",
    units: 10_000,
    bound: 20,
    keeps: "leases",
    prepare: Effect.map(
      open({ max: 10, leakDetection: 1 }),
      (pool) => (units) =>
        Effect.gen(function* () {
          for (let n = 0; n < units; n++) {
            yield* n % 100 === 0 ? ConnectionPool.use(pool, () => Effect.sleep(3)) : ConnectionPool.use(pool, ignored)
          }
        })
    )
  },
  {
    name: "traced waits",
    unit: "lease",
    units: 10_000,
    bound: 20,
    keeps: "waiters",
    prepare: Effect.map(open({ max: 1 }), (pool) =>
      together(10, Effect.withSpan(ConnectionPool.use(pool, yielding), "request"))
    )
  },
  {
    name: "sizes, pauses and reports",
    unit: "call",
    units: 8_000,
    bound: 24,
    keeps: "connections",
    prepare: Effect.map(open({ min: 1, max: 10 }), (pool) =>
      many(
        Effect.gen(function* () {
          yield* ConnectionPool.resize(pool, { min: 2 })
          yield* ConnectionPool.suspend(pool)
          yield* ConnectionPool.resume(pool)
          yield* ConnectionPool.stats(pool)
          yield* ConnectionPool.connections(pool)
          yield* ConnectionPool.resize(pool, { min: 0, max: 1 })
          yield* ConnectionPool.resize(pool, { max: 10 })
        })
      )
    )
  }
]
