import { assert, describe, it } from "@effect/vitest"
import type { InvalidOptions } from "@effect-pools/core"
import { PostgresPool } from "@effect-pools/postgres"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"

const url = Redacted.make("postgres://ada:secret@db.example.com:6432/orders?application_name=mine")

const made = (options: PostgresPool.Options) => Effect.provide(PostgresPool.make(options), Reactivity.layer)

const refused = (options: object) =>
  Effect.scoped(Effect.flip(made(options as PostgresPool.Options))) as Effect.Effect<InvalidOptions.InvalidOptions>

describe("options", () => {
  it.effect("all of PgClient's and all of the pool's are taken", () =>
    Effect.gen(function* () {
      const pool = yield* made({
        url,
        host: "localhost",
        port: 5433,
        ssl: { rejectUnauthorized: false },
        database: "orders",
        username: "ada",
        password: Effect.succeed(Redacted.make("secret")),
        connectTimeout: "3 seconds",
        keepAlive: "30 seconds",
        applicationName: "app",
        startupParameters: { search_path: "app" },
        startupOptions: "-c geqo=off",
        spanAttributes: { team: "orders" },
        transformResultNames: (name) => name,
        transformQueryNames: (name) => name,
        transformJson: true,
        prepare: false,
        preparedStatementCacheSize: 10,
        maxMessageSize: 1024,
        multiplex: false,
        name: "everything",
        min: 0,
        max: 5,
        acquireTimeout: "1 second",
        maxWaiters: 10,
        maxCreating: 1,
        createTimeout: "2 seconds",
        createRetry: Schedule.recurs(1),
        breaker: false,
        idleTimeout: "1 minute",
        maxLifetime: "1 hour",
        lifetimeJitter: 0.1,
        maxUses: 1000,
        keepAliveQuery: "30 seconds",
        validate: () => Effect.void,
        validateAfterIdle: "1 second",
        validationTimeout: "1 second",
        reset: true,
        resetTimeout: "1 second",
        destroyTimeout: "1 second",
        closeGrace: "1 second",
        order: "fifo",
        health: { interval: "10 seconds" },
        classify: () => "fine",
        leakDetection: "1 minute"
      })
      assert.strictEqual(pool.name, "everything")
      assert.strictEqual(pool.admission.max, 5)
      assert.strictEqual(pool.client.config.port, 5433)
    })
  )

  it.effect("PgClient's names for the pool's are understood", () =>
    Effect.gen(function* () {
      const pool = yield* made({ maxConnections: 7, minConnections: 0, connectionTTL: "1 hour" })
      assert.strictEqual(pool.admission.max, 7)
      assert.strictEqual(pool.store.options.maxLifetime, 3_600_000)
    })
  )

  it.effect("two names for one thing are refused", () =>
    Effect.gen(function* () {
      for (const [alias, name] of [
        ["maxConnections", "max"],
        ["minConnections", "min"],
        ["connectionTTL", "maxLifetime"]
      ]) {
        const error = yield* refused({ [alias!]: 3, [name!]: 3 })
        assert.strictEqual(error._tag, "InvalidOptions")
        assert.strictEqual(error.field, alias)
        assert.include(error.rule, `"${name}"`)
      }
    })
  )

  it.effect("what nobody knows is refused", () =>
    Effect.gen(function* () {
      for (const field of ["maxConnexions", "acquire", "concurrency", "multiplexConcurrency", "toString"]) {
        const error = yield* refused({ [field]: 1 })
        assert.strictEqual(error._tag, "InvalidOptions")
        assert.strictEqual(error.field, field)
      }
    })
  )

  it.effect("nonsense is refused under the name it was given", () =>
    Effect.gen(function* () {
      const nonsense: ReadonlyArray<object> = [
        { max: 0 },
        { min: -1 },
        { idleTimeout: 0 },
        { multiplex: true },
        { reset: "yes" },
        { keepAliveQuery: 0 },
        { name: "" },
        { validate: 1 }
      ]
      for (const options of nonsense) {
        const error = yield* refused(options)
        assert.strictEqual(error._tag, "InvalidOptions")
        assert.strictEqual(error.field, Object.keys(options)[0])
      }
    })
  )

  it.effect("secrets in the clear are refused, and not repeated", () =>
    Effect.gen(function* () {
      for (const options of [{ url: "postgres://ada:hunter2@localhost/db" }, { password: "hunter2" }]) {
        const error = yield* refused(options)
        assert.strictEqual(error._tag, "InvalidOptions")
        assert.notInclude(error.message, "hunter2")
        assert.include(error.message, "Redacted")
      }
    })
  )

  it.effect("the pool is named after the database", () =>
    Effect.gen(function* () {
      const name = (options: PostgresPool.Options) => Effect.scoped(Effect.map(made(options), (pool) => pool.name))
      assert.strictEqual(yield* name({}), "postgres")
      assert.strictEqual(yield* name({ url }), "postgres/orders")
      assert.strictEqual(yield* name({ url, database: "reports" }), "postgres/reports")
      assert.strictEqual(yield* name({ url: Redacted.make("postgres://ada@localhost") }), "postgres/ada")
      assert.strictEqual(yield* name({ url: Redacted.make("postgres:///x?dbname=a%20b") }), "postgres/a b")
      assert.strictEqual(yield* name({ url: Redacted.make("nonsense") }), "postgres")
    })
  )

  it.effect("they may come from the configuration", () =>
    Effect.gen(function* () {
      const pool = yield* PostgresPool.PostgresPool
      assert.strictEqual(pool.admission.max, 12)
      assert.strictEqual(pool.name, "postgres/orders")
    }).pipe(
      Effect.provide(
        PostgresPool.layerConfig({ url: Config.Redacted("DATABASE_URL"), max: Config.Int("CONNECTIONS") })
      ),
      Effect.provide(
        ConfigProvider.layer(ConfigProvider.fromUnknown({ DATABASE_URL: Redacted.value(url), CONNECTIONS: "12" }))
      )
    )
  )
})
