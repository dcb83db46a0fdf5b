import { ConnectionPool } from "@effect-pools/connection"
import { Footprint } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"

class Connection {
  readonly id = 1
}

/** What is to be collected, by name. */
type Watched = Record<string, WeakRef<object>>

/** Those that are still there when everything that can be collected has been. */
const remaining = (watched: Watched) =>
  Effect.map(Effect.andThen(Footprint.collect, Footprint.collect), () =>
    Object.keys(watched).filter((name) => watched[name]!.deref() !== undefined)
  )

const connect = Effect.acquireRelease(
  Effect.sync(() => new Connection()),
  () => Effect.void
)

const options: ConnectionPool.Options<Connection, never, Scope.Scope> = {
  acquire: connect,
  min: 1,
  max: 1,
  acquireTimeout: "1 minute",
  validate: () => Effect.void,
  keepAlive: "1 minute",
  leakDetection: "1 minute"
}

/** A pool that was used in every way and closed, and what took part in it. Nothing else refers to any of it. */
const closedPool = (keep: (pool: object) => void): Effect.Effect<Watched> =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const pool = yield* Effect.provideService(Effect.orDie(ConnectionPool.make(options)), Scope.Scope, scope)
    keep(pool)
    const stop = pool.admission.observer.listen(() => {})
    const connection = yield* Effect.orDie(ConnectionPool.use(pool, Effect.succeed))
    const body = () => Effect.never
    const holder = yield* Effect.forkDetach(ConnectionPool.use(pool, body), { startImmediately: true })
    const waiter = yield* Effect.forkDetach(ConnectionPool.use(pool, body), { startImmediately: true })
    const place = pool.admission.waiters.first()!
    const { lease } = place
    yield* Fiber.interrupt(holder)
    yield* Effect.yieldNow
    yield* Fiber.interrupt(waiter)
    yield* Scope.close(scope, Exit.void)
    stop()
    const watched = {
      scope,
      pool,
      admission: pool.admission,
      store: pool.store,
      connection,
      body,
      holder,
      waiter,
      place,
      lease
    }
    return Object.fromEntries(Object.entries(watched).map(([name, value]) => [name, new WeakRef<object>(value)]))
  })

describe("what nobody refers to is collected", () => {
  it.live("a pool that has closed, with all that took part in it", () =>
    Effect.gen(function* () {
      const watched = yield* closedPool(() => {})
      assert.deepStrictEqual(yield* remaining(watched), [])
    })
  )

  it.live("not while something keeps the pool", () =>
    Effect.gen(function* () {
      const kept: Array<object> = []
      const watched = yield* closedPool((pool) => kept.push(pool))
      const left = yield* remaining(watched)
      // The pool itself, and nothing of what it held.
      assert.deepStrictEqual(left, ["scope", "pool", "admission", "store"])
      assert.strictEqual(kept.length, 1)
    })
  )

  it.live("a pool of a service that has closed, though the service is there for the next", () =>
    Effect.gen(function* () {
      class Service extends ConnectionPool.Service<Service>()("app/Collected", options) {}
      const use = Effect.gen(function* () {
        yield* Service.use(() => Effect.void)
        const pool = yield* Service
        return { pool: new WeakRef<object>(pool), admission: new WeakRef<object>(pool.admission) }
      })
      assert.deepStrictEqual(yield* remaining(yield* Effect.provide(use, Service.layer)), [])
      yield* Effect.provide(use, Service.layer)
    })
  )

  it.live("a connection that was destroyed, and the last user of one that is idle, while the pool is open", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(options)
      const use = Effect.gen(function* () {
        const body = (connection: Connection) => Effect.as(ConnectionPool.invalidate(pool, connection), connection)
        const user = yield* Effect.forkDetach(ConnectionPool.use(pool, body))
        const destroyed = yield* Fiber.join(user)
        const idle = () => Effect.void
        const lastUser = yield* Effect.forkDetach(ConnectionPool.use(pool, idle))
        yield* Fiber.join(lastUser)
        return {
          body: new WeakRef<object>(body),
          user: new WeakRef<object>(user),
          destroyed: new WeakRef<object>(destroyed),
          idle: new WeakRef<object>(idle),
          lastUser: new WeakRef<object>(lastUser)
        }
      })
      assert.deepStrictEqual(yield* remaining(yield* use), [])
      assert.strictEqual(pool.admission.idle, 1)
    })
  )
})
