import { type ConnectionPool, ConnectionPoolMap } from "@effect-pools/connection"
import type { Budget, InvalidOptions, PoolError, PoolEvent } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import { pipe } from "effect/Function"
import type * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { describe, expect, it } from "tstyche"

class ConnectError {
  readonly _tag = "ConnectError"
}
class LookupError {
  readonly _tag = "LookupError"
}
class QueryError {
  readonly _tag = "QueryError"
}
interface Config {
  readonly config: unique symbol
}
interface Directory {
  readonly directory: unique symbol
}
interface Query {
  readonly query: unique symbol
}
interface Connection {
  readonly url: string
}
interface Tenant {
  readonly tenant: string
}
type Invalid = InvalidOptions.InvalidOptions
type Failure = ConnectError | LookupError | PoolError.PoolError | Invalid

declare const acquire: Effect.Effect<Connection, ConnectError, Config | Scope.Scope>
declare const simple: Effect.Effect<Connection>
declare const found: Effect.Effect<void, LookupError, Directory | Scope.Scope>
declare const budget: Budget.Budget
declare const run: (connection: Connection) => Effect.Effect<number, QueryError, Query>
declare const map: ConnectionPoolMap.ConnectionPoolMap<Tenant, Connection, ConnectError | LookupError>
declare const tenant: Tenant

describe("make", () => {
  it("infers key, connection and failure of plain options", () => {
    expect(ConnectionPoolMap.make({ lookup: (_: Tenant) => ({ acquire, max: 4 }), max: 10 })).type.toBe<
      Effect.Effect<
        ConnectionPoolMap.ConnectionPoolMap<Tenant, Connection, ConnectError>,
        Invalid,
        Config | Scope.Scope
      >
    >()
  })

  it("infers them of an effect that finds the options, with what that fails with and needs", () => {
    expect(
      ConnectionPoolMap.make({ lookup: (_: Tenant) => Effect.map(found, () => ({ acquire, max: 4 })), max: 10 })
    ).type.toBe<
      Effect.Effect<
        ConnectionPoolMap.ConnectionPoolMap<Tenant, Connection, ConnectError | LookupError>,
        Invalid,
        Config | Directory | Scope.Scope
      >
    >()
  })

  it("takes every option, and undefined for those that are not required", () => {
    expect(ConnectionPoolMap.make).type.toBeCallableWith({
      lookup: (_: string) => ({ acquire: simple, budget: { minimum: 1, weight: 1 }, breaker: undefined }),
      budget,
      max: undefined,
      name: undefined,
      maxPerKey: 5,
      idleTimeToLive: (key: string) => (key === "hot" ? "1 hour" : 5000),
      capacity: Infinity,
      lookupTimeout: "5 seconds",
      leakDetection: "1 minute"
    })
    expect(ConnectionPoolMap.make).type.toBeCallableWith({
      lookup: (_: string) => ({
        acquire,
        createRetry: Schedule.spaced(5).pipe(Schedule.setInputType<ConnectError>())
      }),
      max: 5
    })
  })

  it("refuses what is wrong", () => {
    expect(ConnectionPoolMap.make).type.not.toBeCallableWith({ max: 5 })
    expect(ConnectionPoolMap.make).type.not.toBeCallableWith({ lookup: { acquire }, max: 5 })
    expect(ConnectionPoolMap.make).type.not.toBeCallableWith({ lookup: () => simple, max: 5 })
    expect(ConnectionPoolMap.make).type.not.toBeCallableWith({ lookup: () => ({ max: 5 }), max: 5 })
    expect(ConnectionPoolMap.make).type.not.toBeCallableWith({ lookup: () => ({ acquire: simple, budget }), max: 5 })
    expect(ConnectionPoolMap.make).type.not.toBeCallableWith({ lookup: () => ({ acquire: simple }), max: "5" })
    expect(ConnectionPoolMap.make).type.not.toBeCallableWith({ lookup: () => ({ acquire: simple }), maxKeys: 5 })
    expect(ConnectionPoolMap.make).type.not.toBeCallableWith({
      lookup: () => ({ acquire: simple }),
      max: 5,
      idleTimeToLive: "5 parsecs"
    })
  })
})

describe("leases", () => {
  it("get needs a scope and fails with all that can go wrong on the way", () => {
    type Got = Effect.Effect<Connection, Failure, Scope.Scope>
    expect(ConnectionPoolMap.get(map, tenant)).type.toBe<Got>()
    expect(ConnectionPoolMap.get(map, tenant, { priority: 1 })).type.toBe<Got>()
    expect(pipe(map, ConnectionPoolMap.get(tenant))).type.toBe<Got>()
  })

  it("use adds the body's failure and needs, data-first and data-last", () => {
    type Used = Effect.Effect<number, Failure | QueryError, Query>
    expect(ConnectionPoolMap.use(map, tenant, run)).type.toBe<Used>()
    expect(ConnectionPoolMap.use(map, tenant, run, { acquireTimeout: "1 second" })).type.toBe<Used>()
    expect(map.pipe(ConnectionPoolMap.use(tenant, run))).type.toBe<Used>()
  })

  it("if available, they answer with an Option and open nothing that could fail", () => {
    expect(ConnectionPoolMap.getIfAvailable(map, tenant)).type.toBe<
      Effect.Effect<Option.Option<Connection>, PoolError.PoolError, Scope.Scope>
    >()
    expect(ConnectionPoolMap.useIfAvailable(map, tenant, run)).type.toBe<
      Effect.Effect<Option.Option<number>, PoolError.PoolError | QueryError, Query>
    >()
  })

  it("refuse another key, another connection, and options that they do not know", () => {
    expect(ConnectionPoolMap.get).type.not.toBeCallableWith(map, "tenant")
    expect(ConnectionPoolMap.use).type.not.toBeCallableWith(map, "tenant", run)
    expect(ConnectionPoolMap.use).type.not.toBeCallableWith(map, tenant, (_: { readonly port: number }) => Effect.void)
    expect(ConnectionPoolMap.use).type.not.toBeCallableWith(map, tenant, () => 5)
    expect(ConnectionPoolMap.get).type.not.toBeCallableWith(map, tenant, { timeout: 5 })
  })
})

describe("keys and the whole", () => {
  it("have their types", () => {
    expect(ConnectionPoolMap.invalidate(map, tenant)).type.toBe<Effect.Effect<void>>()
    expect(ConnectionPoolMap.keys(map)).type.toBe<Effect.Effect<ReadonlyArray<Tenant>>>()
    expect(map.pipe(ConnectionPoolMap.has(tenant))).type.toBe<Effect.Effect<boolean>>()
    expect(ConnectionPoolMap.pool(map, tenant)).type.toBe<
      Effect.Effect<ConnectionPool.ConnectionPool<Connection, ConnectError | LookupError>, Failure>
    >()
    expect(ConnectionPoolMap.stats(map)).type.toBe<Effect.Effect<ConnectionPoolMap.MapStats>>()
    expect(ConnectionPoolMap.events(map)).type.toBe<Stream.Stream<PoolEvent.PoolEvent, Invalid>>()
    expect(ConnectionPoolMap.drain(map, "1 second")).type.toBe<Effect.Effect<void, Invalid>>()
    expect(map.pipe(ConnectionPoolMap.drain())).type.toBe<Effect.Effect<void, Invalid>>()
  })
})

describe("Service", () => {
  class Tenants extends ConnectionPoolMap.Service<Tenants>()("app/Tenants", {
    lookup: (_: Tenant) => Effect.map(found, () => ({ acquire, max: 4 })),
    max: 100
  }) {}

  it("has a layer that needs what the options need", () => {
    expect(Tenants.layer).type.toBe<Layer.Layer<Tenants, Invalid, Config | Directory>>()
    expect(Tenants.key).type.toBe<"app/Tenants">()
  })

  it("has statics that need the service", () => {
    expect(Tenants.use(tenant, run)).type.toBe<Effect.Effect<number, Failure | QueryError, Tenants | Query>>()
    expect(Tenants.get(tenant)).type.toBe<Effect.Effect<Connection, Failure, Tenants | Scope.Scope>>()
    expect(Tenants.invalidate(tenant)).type.toBe<Effect.Effect<void, never, Tenants>>()
    expect(Tenants.stats).type.toBe<Effect.Effect<ConnectionPoolMap.MapStats, never, Tenants>>()
    expect(Tenants.use).type.not.toBeCallableWith("tenant", run)
  })

  it("takes its options from an effect, whose failure is the layer's", () => {
    class Configured extends ConnectionPoolMap.Service<Configured>()(
      "app/Configured",
      Effect.map(found, () => ({ lookup: (_: string) => ({ acquire: simple }), max: 100 }))
    ) {}
    expect(Configured.layer).type.toBe<Layer.Layer<Configured, LookupError | Invalid, Directory>>()
    expect(Configured.get("a")).type.toBe<
      Effect.Effect<Connection, PoolError.PoolError | Invalid, Configured | Scope.Scope>
    >()
  })

  it("has a test layer that needs none of that", () => {
    expect(Tenants.layerTest({ lookup: () => ({ acquire: simple }) })).type.toBe<Layer.Layer<Tenants, Invalid>>()
    expect(Tenants.layerTest).type.not.toBeCallableWith({ lookup: () => ({ acquire: Effect.succeed(5) }) })
    expect(Tenants.layerTest).type.not.toBeCallableWith({})
  })
})
