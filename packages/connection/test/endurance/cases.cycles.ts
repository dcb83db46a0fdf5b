import { ConnectionPool } from "@effect-pools/connection"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type Case, connect, many, open } from "./case.ts"

const cycles = (name: string, cycle: Effect.Effect<unknown, unknown, Scope.Scope>): Case => ({
  name,
  unit: "cycle",
  units: 2_000,
  bound: 96,
  keeps: "pools",
  prepare: Effect.succeed(many(Effect.scoped(cycle)))
})

const once = () => Effect.void

class Db extends ConnectionPool.Service<Db>()("test/endurance/Db", {
  acquire: connect,
  min: 1,
  leakDetection: "1 minute"
}) {}

/** Pools that are opened and closed. */
export const pools: ReadonlyArray<Case> = [
  cycles(
    "pools opened, used and closed",
    Effect.flatMap(open({ min: 2 }), (pool) => ConnectionPool.use(pool, once))
  ),
  cycles("pools opened and closed at once", open({ min: 2 })),
  cycles(
    "pools that check, keep alive, note places and have timers for all of it",
    Effect.gen(function* () {
      const pool = yield* open({
        name: "the same",
        min: 2,
        validate: () => Effect.yieldNow,
        validateAfterIdle: 0,
        reset: () => Effect.yieldNow,
        keepAlive: "2 minutes",
        health: { interval: "1 second" },
        leakDetection: "1 minute",
        acquireTimeout: "1 minute"
      })
      yield* ConnectionPool.use(pool, once)
    })
  ),
  cycles(
    "pools closed under their holders and with callers waiting",
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const pool = yield* Effect.provideService(open({ max: 1, closeGrace: 0 }), Scope.Scope, scope)
      const holder = yield* Effect.forkChild(
        ConnectionPool.use(pool, () => Effect.never),
        { startImmediately: true }
      )
      const waiters = yield* Effect.replicateEffect(
        Effect.forkChild(Effect.exit(ConnectionPool.use(pool, once)), { startImmediately: true }),
        5
      )
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.awaitAll(waiters)
      yield* Fiber.interrupt(holder)
    })
  ),
  cycles(
    "pools whose creations fail, hang and are called off",
    Effect.gen(function* () {
      let n = 0
      const acquire = Effect.suspend(() => (n++ === 0 ? Effect.fail("no") : Effect.never))
      const pool = yield* open({ acquire, max: 2 })
      yield* Effect.forkChild(ConnectionPool.use(pool, once), { startImmediately: true })
      yield* Effect.yieldNow
    })
  ),
  cycles(
    "pools whose events are read until the end",
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const pool = yield* Effect.provideService(open(), Scope.Scope, scope)
      const reader = yield* Effect.forkChild(Stream.runDrain(ConnectionPool.events(pool)), { startImmediately: true })
      yield* ConnectionPool.use(pool, once)
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(reader)
    })
  ),
  {
    ...cycles("pools drained in a scope that lives long", Effect.void),
    prepare: Effect.map(Effect.scope, (scope) =>
      many(
        Effect.gen(function* () {
          const pool = yield* Effect.provideService(open({ min: 1 }), Scope.Scope, scope)
          yield* ConnectionPool.use(pool, once)
          yield* ConnectionPool.drain(pool)
        })
      )
    )
  },
  cycles("services built from their layer, used and released", Effect.provide(Db.use(once), Layer.fresh(Db.layer)))
]
