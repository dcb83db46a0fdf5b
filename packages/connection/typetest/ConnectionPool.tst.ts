import { ConnectionPool } from "@effect-pools/connection"
import type { InvalidOptions, Pool, PoolError, PoolEvent, PoolStats } from "@effect-pools/core"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import { pipe } from "effect/Function"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { describe, expect, it } from "tstyche"

class ConnectError {
  readonly _tag = "ConnectError"
}
class QueryError {
  readonly _tag = "QueryError"
}
interface Config {
  readonly config: unique symbol
}
interface Query {
  readonly query: unique symbol
}
interface Connection {
  readonly url: string
}
type Invalid = InvalidOptions.InvalidOptions
type PoolFailure = PoolError.PoolError

declare const acquire: Effect.Effect<Connection, ConnectError, Config | Scope.Scope>
declare const simple: Effect.Effect<Connection>
declare const run: (connection: Connection) => Effect.Effect<number, QueryError, Query>
declare const connection: Connection
declare const options: Effect.Effect<{ readonly acquire: typeof acquire; readonly max: number }, QueryError, Query>
declare const pool: ConnectionPool.ConnectionPool<Connection, ConnectError>

describe("make", () => {
  it("infers item and failure, takes Scope for its own and leaves the rest to the caller", () => {
    expect(ConnectionPool.make({ acquire })).type.toBe<
      Effect.Effect<ConnectionPool.ConnectionPool<Connection, ConnectError>, Invalid, Config | Scope.Scope>
    >()
    expect(ConnectionPool.make({ acquire: simple })).type.toBe<
      Effect.Effect<ConnectionPool.ConnectionPool<Connection, never>, Invalid, Scope.Scope>
    >()
  })

  it("gives callbacks the connection, and asks for what they need", () => {
    expect(
      ConnectionPool.make({
        acquire: simple as Effect.Effect<Connection, never, Query>,
        validate: (connection) => {
          expect(connection).type.toBe<Connection>()
          return run(connection)
        },
        reset: run,
        health: { check: run }
      })
    ).type.toBe<Effect.Effect<ConnectionPool.ConnectionPool<Connection, never>, Invalid, Query | Scope.Scope>>()
  })

  it("gives the retry schedule the failure of acquire", () => {
    expect(ConnectionPool.make).type.toBeCallableWith({
      acquire,
      createRetry: Schedule.spaced(5).pipe(Schedule.setInputType<ConnectError>())
    })
    expect(ConnectionPool.make).type.not.toBeCallableWith({
      acquire,
      createRetry: Schedule.spaced(5).pipe(Schedule.setInputType<QueryError>())
    })
  })

  it("takes undefined for every option", () => {
    expect(ConnectionPool.make).type.toBeCallableWith({
      acquire,
      name: undefined,
      max: undefined,
      breaker: undefined,
      health: { interval: undefined, policy: { reward: undefined } }
    })
  })

  it("takes every form of a duration", () => {
    expect(ConnectionPool.make).type.toBeCallableWith({ acquire, idleTimeout: "5 minutes" })
    expect(ConnectionPool.make).type.toBeCallableWith({ acquire, idleTimeout: 5000 })
    expect(ConnectionPool.make).type.toBeCallableWith({ acquire, idleTimeout: { minutes: 5 } })
    expect(ConnectionPool.make).type.toBeCallableWith({ acquire, idleTimeout: "Infinity" })
  })

  it("refuses what is wrong", () => {
    expect(ConnectionPool.make).type.not.toBeCallableWith({})
    expect(ConnectionPool.make).type.not.toBeCallableWith({ acquire: () => acquire })
    expect(ConnectionPool.make).type.not.toBeCallableWith({ acquire, maxSize: 5 })
    expect(ConnectionPool.make).type.not.toBeCallableWith({ acquire, max: "5" })
    expect(ConnectionPool.make).type.not.toBeCallableWith({ acquire, idleTimeout: "5 parsecs" })
    expect(ConnectionPool.make).type.not.toBeCallableWith({ acquire, idleTimeout: null })
    expect(ConnectionPool.make).type.not.toBeCallableWith({ acquire, order: "random" })
    expect(ConnectionPool.make).type.not.toBeCallableWith({ acquire, breaker: true })
    expect(ConnectionPool.make).type.not.toBeCallableWith({ acquire, breaker: { failure: 5 } })
    expect(ConnectionPool.make).type.not.toBeCallableWith({ acquire, health: true })
    expect(ConnectionPool.make).type.not.toBeCallableWith({ acquire, health: { policy: { bonus: 5 } } })
    expect(ConnectionPool.make).type.not.toBeCallableWith({ acquire, classify: () => "bad" })
    expect(ConnectionPool.make).type.not.toBeCallableWith({ acquire, validate: (_: number) => Effect.void })
    expect(ConnectionPool.make).type.not.toBeCallableWith({ acquire, validate: () => true })
  })
})

describe("get", () => {
  it("needs a scope and fails with the connection's own failure or PoolError", () => {
    expect(ConnectionPool.get(pool)).type.toBe<Effect.Effect<Connection, ConnectError | PoolFailure, Scope.Scope>>()
  })

  it("can fail with InvalidOptions only if the call has options", () => {
    expect(ConnectionPool.get(pool, { acquireTimeout: "1 second", priority: 5 })).type.toBe<
      Effect.Effect<Connection, ConnectError | PoolFailure | Invalid, Scope.Scope>
    >()
  })

  it("refuses options that it does not know", () => {
    expect(ConnectionPool.get).type.not.toBeCallableWith(pool, { timeout: 5 })
    expect(ConnectionPool.get).type.not.toBeCallableWith(pool, { priority: "high" })
    expect(ConnectionPool.get).type.not.toBeCallableWith(pool, { acquireTimeout: "5 parsecs" })
  })
})

describe("use", () => {
  it("adds the body's failure and needs to its own, data-first and data-last", () => {
    type Used = Effect.Effect<number, ConnectError | PoolFailure | QueryError, Query>
    expect(ConnectionPool.use(pool, run)).type.toBe<Used>()
    expect(pool.pipe(ConnectionPool.use(run))).type.toBe<Used>()
    expect(pipe(pool, ConnectionPool.use(run))).type.toBe<Used>()
  })

  it("can fail with InvalidOptions only if the call has options", () => {
    type Used = Effect.Effect<number, ConnectError | PoolFailure | Invalid | QueryError, Query>
    expect(ConnectionPool.use(pool, run, { priority: 1 })).type.toBe<Used>()
    expect(pool.pipe(ConnectionPool.use(run, { priority: 1 }))).type.toBe<Used>()
  })

  it("gives the body the connection", () => {
    expect(
      ConnectionPool.use(pool, (connection) => {
        expect(connection).type.toBe<Connection>()
        return Effect.succeed(connection.url)
      })
    ).type.toBe<Effect.Effect<string, ConnectError | PoolFailure>>()
  })

  it("refuses a body for another item, and a body that is no effect", () => {
    expect(ConnectionPool.use).type.not.toBeCallableWith(pool, (_: { readonly port: number }) => Effect.void)
    expect(ConnectionPool.use).type.not.toBeCallableWith(pool, () => 5)
    expect(ConnectionPool.use).type.not.toBeCallableWith(pool, run, { retries: 5 })
  })
})

describe("getIfAvailable and useIfAvailable", () => {
  it("answer with an Option, and cannot fail as a creation does", () => {
    expect(ConnectionPool.getIfAvailable(pool)).type.toBe<
      Effect.Effect<Option.Option<Connection>, PoolFailure, Scope.Scope>
    >()
    expect(ConnectionPool.useIfAvailable(pool, run)).type.toBe<
      Effect.Effect<Option.Option<number>, PoolFailure | QueryError, Query>
    >()
    expect(pool.pipe(ConnectionPool.useIfAvailable(run))).type.toBe<
      Effect.Effect<Option.Option<number>, PoolFailure | QueryError, Query>
    >()
  })
})

describe("the other functions", () => {
  it("need nothing, and fail only where they take options", () => {
    expect(ConnectionPool.stats(pool)).type.toBe<Effect.Effect<PoolStats.PoolStats>>()
    expect(ConnectionPool.events(pool)).type.toBe<Stream.Stream<PoolEvent.PoolEvent>>()
    expect(ConnectionPool.connections(pool)).type.toBe<
      Effect.Effect<ReadonlyArray<ConnectionPool.ConnectionInfo<Connection>>>
    >()
    expect(ConnectionPool.cleanUp(pool)).type.toBe<Effect.Effect<number>>()
    expect(ConnectionPool.suspend(pool)).type.toBe<Effect.Effect<void>>()
    expect(ConnectionPool.resume(pool)).type.toBe<Effect.Effect<void>>()
    expect(ConnectionPool.resize(pool, { max: 5 })).type.toBe<Effect.Effect<void, Invalid>>()
    expect(pool.pipe(ConnectionPool.resize({ max: 5 }))).type.toBe<Effect.Effect<void, Invalid>>()
    expect(ConnectionPool.drain(pool)).type.toBe<Effect.Effect<void, Invalid>>()
    expect(pool.pipe(ConnectionPool.drain("5 seconds"))).type.toBe<Effect.Effect<void, Invalid>>()
  })

  it("take only the pool's own connections and the verdicts there are", () => {
    expect(ConnectionPool.report(pool, connection, "fatal")).type.toBe<Effect.Effect<void>>()
    expect(pool.pipe(ConnectionPool.report(connection, "fine"))).type.toBe<Effect.Effect<void>>()
    expect(ConnectionPool.invalidate(pool, connection)).type.toBe<Effect.Effect<void>>()
    expect(pool.pipe(ConnectionPool.invalidate(connection))).type.toBe<Effect.Effect<void>>()
    expect(ConnectionPool.report).type.not.toBeCallableWith(pool, connection, "bad")
    expect(ConnectionPool.report).type.not.toBeCallableWith(pool, 5, "fatal")
    expect(ConnectionPool.invalidate).type.not.toBeCallableWith(pool, 5)
    expect(ConnectionPool.resize).type.not.toBeCallableWith(pool, { maxx: 5 })
  })

  it("a connection pool is a pool, not the other way round", () => {
    expect(pool).type.toBeAssignableTo<Pool.Pool<Connection, ConnectError>>()
    expect<Pool.Pool<Connection, ConnectError>>().type.not.toBeAssignableTo<
      ConnectionPool.ConnectionPool<Connection, ConnectError>
    >()
  })
})

describe("Service", () => {
  class Db extends ConnectionPool.Service<Db>()("app/Db", { acquire, max: 10 }) {}

  it("has a layer that needs what acquire needs, but for the scope", () => {
    expect(Db.layer).type.toBe<Layer.Layer<Db, Invalid, Config>>()
  })

  it("gives the pool when it is asked for itself", () => {
    expect(Effect.map(Db, (pool) => pool)).type.toBe<
      Effect.Effect<ConnectionPool.ConnectionPool<Connection, ConnectError>, never, Db>
    >()
    expect<Context.Service.Shape<typeof Db>>().type.toBe<ConnectionPool.ConnectionPool<Connection, ConnectError>>()
    expect(Db.key).type.toBe<"app/Db">()
  })

  it("has statics that need the service", () => {
    expect(Db.use(run)).type.toBe<Effect.Effect<number, ConnectError | PoolFailure | QueryError, Db | Query>>()
    expect(Db.use(run, { priority: 1 })).type.toBe<
      Effect.Effect<number, ConnectError | PoolFailure | Invalid | QueryError, Db | Query>
    >()
    expect(Db.get()).type.toBe<Effect.Effect<Connection, ConnectError | PoolFailure, Db | Scope.Scope>>()
    expect(Db.get({ priority: 1 })).type.toBe<
      Effect.Effect<Connection, ConnectError | PoolFailure | Invalid, Db | Scope.Scope>
    >()
    expect(Db.getIfAvailable).type.toBe<Effect.Effect<Option.Option<Connection>, PoolFailure, Db | Scope.Scope>>()
    expect(Db.useIfAvailable(run)).type.toBe<
      Effect.Effect<Option.Option<number>, PoolFailure | QueryError, Db | Query>
    >()
    expect(Db.stats).type.toBe<Effect.Effect<PoolStats.PoolStats, never, Db>>()
    expect(Db.events).type.toBe<Stream.Stream<PoolEvent.PoolEvent, never, Db>>()
    expect(Db.cleanUp).type.toBe<Effect.Effect<number, never, Db>>()
    expect(Db.connections).type.toBe<
      Effect.Effect<ReadonlyArray<ConnectionPool.ConnectionInfo<Connection>>, never, Db>
    >()
    expect(Db.resize({ max: 5 })).type.toBe<Effect.Effect<void, Invalid, Db>>()
    expect(Db.drain()).type.toBe<Effect.Effect<void, Invalid, Db>>()
  })

  it("takes options as an effect, whose failure and needs are the layer's", () => {
    class Configured extends ConnectionPool.Service<Configured>()("app/Configured", options) {}
    expect(Configured.layer).type.toBe<Layer.Layer<Configured, Invalid | QueryError, Config | Query>>()
    expect(Configured.use(run)).type.toBe<
      Effect.Effect<number, ConnectError | PoolFailure | QueryError, Configured | Query>
    >()
  })

  it("has a layer for tests that needs what the fake needs, and nothing of its own options", () => {
    class Configured extends ConnectionPool.Service<Configured>()("app/Configured", options) {}
    expect(Configured.layerTest({ acquire: simple })).type.toBe<Layer.Layer<Configured, Invalid>>()
    expect(Configured.layerTest({ acquire })).type.toBe<Layer.Layer<Configured, Invalid, Config>>()
    expect(Configured.layerTest({ acquire: simple, validate: run, max: 1 })).type.toBe<
      Layer.Layer<Configured, Invalid, Query>
    >()
    expect(Configured.layerTest({ acquire: Effect.fail(new ConnectError()) })).type.toBe<
      Layer.Layer<Configured, Invalid>
    >()
  })

  it("refuses a fake that is not what the service hands out", () => {
    expect(Db.layerTest).type.not.toBeCallableWith({})
    expect(Db.layerTest).type.not.toBeCallableWith({ max: 1 })
    expect(Db.layerTest).type.not.toBeCallableWith({ acquire: Effect.succeed({ port: 5432 }) })
    expect(Db.layerTest).type.not.toBeCallableWith({ acquire: Effect.fail(new QueryError()) })
    expect(Db.layerTest).type.not.toBeCallableWith({ acquire: simple, maxSize: 5 })
    expect(Db.layerTest).type.not.toBeCallableWith({ acquire: simple, validate: (_: number) => Effect.void })
  })

  it("tells two services apart", () => {
    class Other extends ConnectionPool.Service<Other>()("app/Other", { acquire: simple }) {}
    expect(Other.use(() => Db.use(run))).type.toBe<
      Effect.Effect<number, ConnectError | PoolFailure | QueryError, Db | Other | Query>
    >()
    expect(Other.layer).type.toBe<Layer.Layer<Other, Invalid>>()
  })

  it("refuses what is wrong", () => {
    expect(ConnectionPool.Service<Db>()).type.not.toBeCallableWith("app/Db", {})
    expect(ConnectionPool.Service<Db>()).type.not.toBeCallableWith("app/Db", { acquire, maxSize: 5 })
    expect(ConnectionPool.Service<Db>()).type.not.toBeCallableWith("app/Db", { acquire, idleTimeout: "5 parsecs" })
    expect(Db.use).type.not.toBeCallableWith((_: number) => Effect.void)
    expect(Db.use).type.not.toBeCallableWith(run, { timeout: 5 })
  })
})

describe("errors", () => {
  it("catchTag takes PoolError away, and leaves the connection's own failure", () => {
    expect(ConnectionPool.use(pool, run).pipe(Effect.catchTag("PoolError", () => Effect.void))).type.toBe<
      Effect.Effect<number | void, ConnectError | QueryError, Query>
    >()
  })

  it("catchReason gives the reason with its fields", () => {
    ConnectionPool.use(pool, run).pipe(
      Effect.catchReason("PoolError", "AcquireTimeout", (reason) => {
        expect(reason.waited).type.toBe<number>()
        expect(reason.phase).type.toBe<"queue" | "create" | "open" | "put" | "capacity">()
        expect(reason.explanation.lastCreateFailure).type.toBe<string | undefined>()
        return Effect.void
      })
    )
  })
})
