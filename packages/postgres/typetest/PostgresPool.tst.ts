import type { PgClient, PgConnection } from "@effect/sql-pg"
import type { ConnectionPool } from "@effect-pools/connection"
import type { InvalidOptions, PoolError } from "@effect-pools/core"
import { PostgresPool } from "@effect-pools/postgres"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Reactivity from "effect/reactivity/Reactivity"
import type * as Scope from "effect/Scope"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { describe, expect, test } from "tstyche"

type Services = PostgresPool.PostgresPool | PgClient.PgClient | SqlClient.SqlClient

describe("PostgresPool", () => {
  test("is a ConnectionPool of PgConnections", () => {
    expect<PostgresPool.PostgresPool>().type.toBeAssignableTo<
      ConnectionPool.ConnectionPool<PgConnection.PgConnection, SqlError>
    >()
  })

  test("layer provides pool and client, and fails with nothing but InvalidOptions", () => {
    expect(PostgresPool.layer({})).type.toBe<Layer.Layer<Services, InvalidOptions.InvalidOptions>>()
  })

  test("layer takes what PgClient.layer takes", () => {
    expect<PostgresPool.Options>().type.toBeAssignableFrom<
      Omit<PgClient.PgPoolConfig, "multiplex" | "multiplexConcurrency">
    >()
  })

  test("layer takes neither acquire, concurrency nor multiplex", () => {
    expect(PostgresPool.layer).type.not.toBeCallableWith({ acquire: Effect.never })
    expect(PostgresPool.layer).type.not.toBeCallableWith({ concurrency: 2 })
    expect(PostgresPool.layer).type.not.toBeCallableWith({ multiplex: true })
  })

  test("layerConfig fails with what the configuration lacks as well", () => {
    expect(PostgresPool.layerConfig({ url: Config.Redacted("URL") })).type.toBe<
      Layer.Layer<Services, Config.ConfigError | InvalidOptions.InvalidOptions>
    >()
  })

  test("make needs a scope", () => {
    expect(PostgresPool.make({})).type.toBe<
      Effect.Effect<PostgresPool.PostgresPool, InvalidOptions.InvalidOptions, Scope.Scope | Reactivity.Reactivity>
    >()
  })

  test("Service infers from its options and hands out connections", () => {
    class Db extends PostgresPool.Service<Db>()("app/Db", Effect.fail("no" as const)) {}
    expect(Db.layer).type.toBe<Layer.Layer<Db, InvalidOptions.InvalidOptions | "no">>()
    expect(Db.client).type.toBe<Effect.Effect<PgClient.PgClient, never, Db>>()
    expect(Db.use((connection) => connection.query(""))).type.toBe<
      Effect.Effect<PgConnection.Result, SqlError | PoolError.PoolError, Db>
    >()
  })
})
