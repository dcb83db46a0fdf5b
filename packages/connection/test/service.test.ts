import { ConnectionPool } from "@effect-pools/connection"
import { InvalidOptions, PoolRegistry } from "@effect-pools/core"
import { LeakCheck } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { Backend, type Connection, ConnectError, fork, record, tagged } from "./backend.ts"

const backend = new Backend()
class Db extends ConnectionPool.Service<Db>()("app/Db", {
  acquire: backend.connect,
  max: 2,
  acquireTimeout: "5 seconds"
}) {}

const id = ({ id }: Connection) => Effect.succeed(id)

describe("a service", () => {
  it.effect("opens its pool with the layer, closes it with the layer's scope", () =>
    Effect.gen(function* () {
      const before = backend.live
      const pool = yield* Effect.gen(function* () {
        yield* Db.use(id)
        assert.strictEqual(backend.live, before + 1)
        return yield* Db
      }).pipe(Effect.provide(Db.layer))
      assert.strictEqual(backend.live, before)
      assert.strictEqual((yield* ConnectionPool.stats(pool)).state, "closed")
    })
  )

  it.effect("names its pool after itself, unless the options say otherwise", () =>
    Effect.gen(function* () {
      class Named extends ConnectionPool.Service<Named>()("app/Named", {
        acquire: Effect.succeed("connection"),
        name: "primary"
      }) {}
      class Undefined extends ConnectionPool.Service<Undefined>()("app/Undefined", {
        acquire: Effect.succeed("connection"),
        name: undefined
      }) {}
      const nameOf = Effect.map(Db.stats, ({ name }) => name)
      assert.strictEqual(yield* Effect.provide(nameOf, Db.layer), "app/Db")
      assert.strictEqual((yield* Effect.provide(Named.stats, Named.layer)).name, "primary")
      assert.strictEqual((yield* Effect.provide(Undefined.stats, Undefined.layer)).name, "app/Undefined")
    })
  )

  it.effect("has the key it was given, and is the pool itself when it is asked for", () =>
    Effect.gen(function* () {
      assert.strictEqual(Db.key, "app/Db")
      const pool = yield* Db
      assert.isTrue(ConnectionPool.isConnectionPool(pool))
      assert.strictEqual(pool.name, "app/Db")
    }).pipe(Effect.provide(Db.layer))
  )

  it.effect("has every function of a pool as a static", () =>
    Effect.gen(function* () {
      const events = yield* fork(Stream.runCollect(Stream.take(Db.events, 2)))
      yield* TestClock.adjust(0)
      const first = yield* Db.use(id)
      assert.strictEqual(yield* Db.use(id, { priority: 1 }), first)
      assert.deepStrictEqual(
        (yield* Fiber.join(events)).map(({ _tag }) => _tag),
        ["WaitStarted", "ItemCreating"]
      )
      assert.strictEqual((yield* Effect.scoped(Db.get())).id, first)
      assert.strictEqual((yield* Effect.scoped(Db.get({ acquireTimeout: 0 }))).id, first)
      assert.deepStrictEqual(yield* Db.useIfAvailable(id), Option.some(first))
      const connection = Option.getOrThrow(yield* Effect.scoped(Db.getIfAvailable))
      assert.strictEqual(connection.id, first)
      assert.deepInclude(yield* Db.stats, { acquired: 6, released: 6, idle: 1 })
      assert.deepInclude((yield* Db.connections)[0], { connection, uses: 6, score: 100 })
      yield* Db.report(connection, "suspect")
      assert.deepInclude((yield* Db.connections)[0], { score: 75 })
      assert.strictEqual(yield* Db.cleanUp, 0)
      yield* Db.invalidate(connection)
      assert.deepStrictEqual(yield* Db.connections, [])
      yield* Db.resize({ min: 1, max: 3 })
      assert.deepInclude(yield* Db.stats, { min: 1, max: 3, idle: 1 })
      yield* Db.suspend
      assert.strictEqual((yield* Db.stats).state, "suspended")
      yield* Db.resume
      assert.strictEqual((yield* Db.stats).state, "open")
      yield* Db.drain("1 second")
      assert.strictEqual((yield* Db.stats).state, "closed")
    }).pipe(Effect.provide(Db.layer))
  )

  it.effect("can be a pool that was made elsewhere", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make({ acquire: backend.connect, name: "elsewhere" })
      const name = Effect.map(Db.stats, (stats) => stats.name)
      assert.strictEqual(yield* Effect.provideService(name, Db, Db.of(pool)), "elsewhere")
      assert.strictEqual(yield* Effect.provide(name, Layer.succeed(Db, pool)), "elsewhere")
    })
  )

  it.effect("is opened once however often its layer is used in a composition", () =>
    Effect.gen(function* () {
      const opened = backend.attempts
      class Users extends Context.Service<Users, { readonly find: Effect.Effect<number, unknown> }>()("app/Users") {
        static readonly layer = Layer.effect(
          Users,
          Effect.map(Db, (pool) => Users.of({ find: ConnectionPool.use(pool, id) }))
        ).pipe(Layer.provide(Db.layer))
      }
      class Orders extends Context.Service<Orders, { readonly find: Effect.Effect<number, unknown> }>()("app/Orders") {
        static readonly layer = Layer.effect(
          Orders,
          Effect.map(Db, (pool) => Orders.of({ find: ConnectionPool.use(pool, id) }))
        ).pipe(Layer.provide(Db.layer))
      }
      const both = Effect.gen(function* () {
        const users = yield* Users
        const orders = yield* Orders
        return [yield* users.find, yield* orders.find, (yield* Db.stats).name]
      })
      const [first, second, name] = yield* Effect.provide(both, Layer.mergeAll(Users.layer, Orders.layer, Db.layer))
      assert.strictEqual(first, second)
      assert.strictEqual(name, "app/Db")
      assert.strictEqual(backend.attempts, opened + 1)
    })
  )

  it.effect("knows where a leaked lease was taken", () =>
    Effect.gen(function* () {
      class Leaky extends ConnectionPool.Service<Leaky>()("app/Leaky", {
        acquire: Effect.succeed("connection"),
        leakDetection: "10 seconds"
      }) {}
      // Written down before the pool is open, as applications do.
      const leak = Leaky.use(() => Effect.never)
      yield* Effect.gen(function* () {
        const events = record(yield* Leaky)
        yield* Effect.forkChild(leak, { startImmediately: true })
        yield* Effect.forkChild(Effect.scoped(Effect.andThen(Leaky.get({ priority: 1 }), Effect.never)), {
          startImmediately: true
        })
        yield* TestClock.adjust("10 seconds")
        const sites = tagged(events, "LeaseOverdue").map(({ takenAt }) => takenAt ?? "")
        assert.strictEqual(sites.length, 2)
        for (const site of sites) assert.match(site, /service\.test\.ts/)
        yield* Leaky.drain(0)
      }).pipe(Effect.provide(Leaky.layer))
    })
  )

  it.effect("calls a place unknown that is not on the stack, instead of naming the runtime's own", () =>
    Effect.gen(function* () {
      class Leaky extends ConnectionPool.Service<Leaky>()("app/Leaky", {
        acquire: Effect.succeed("connection"),
        min: 1,
        leakDetection: "10 seconds"
      }) {}
      yield* Effect.gen(function* () {
        const events = record(yield* Leaky)
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* Effect.yieldNow
            yield* Leaky.getIfAvailable
            yield* TestClock.adjust("10 seconds")
          })
        )
        const [overdue] = tagged(events, "LeaseOverdue")
        assert.isDefined(overdue)
        assert.notMatch(overdue.takenAt ?? "", /node:|effect[/\\](?:src|dist)/)
      }).pipe(Effect.provide(Leaky.layer))
    })
  )
})

describe("a service over fakes", () => {
  const config = ConfigProvider.layer(ConfigProvider.fromUnknown({}))
  class Users extends ConnectionPool.Service<Users>()(
    "app/Users",
    Effect.gen(function* () {
      const url = yield* Config.String("DATABASE_URL")
      return {
        acquire: Effect.as(backend.connect, { find: (id: number) => Effect.succeed(`${id} of ${url}`) }),
        max: 9
      }
    })
  ) {}
  const fake = { find: (id: number) => Effect.succeed(`fake ${id}`) }

  it.effect("needs nothing that its own options need, and connects to nothing", () =>
    Effect.gen(function* () {
      const attempts = backend.attempts
      const found = yield* Effect.provide(
        Users.use((users) => users.find(1)),
        Users.layerTest({ acquire: Effect.succeed(fake) })
      )
      assert.strictEqual(found, "fake 1")
      assert.strictEqual(backend.attempts, attempts)
      const real = yield* Effect.exit(Layer.build(Users.layer))
      assert.isTrue(Exit.isFailure(real), "which has no configuration here")
    }).pipe(Effect.scoped, Effect.provide(config))
  )

  it.effect("is small, named after the service, and does nothing by itself", () =>
    Effect.gen(function* () {
      const pool = yield* Users
      yield* Users.use((users) => users.find(1))
      yield* TestClock.adjust("3 days")
      assert.deepInclude(yield* Users.stats, { name: "app/Users", max: 2, idle: 1, created: 1 })
      assert.isTrue(pool.admission.tracksCallSites)
    }).pipe(Effect.provide(Users.layerTest({ acquire: Effect.succeed(fake) })))
  )

  it.effect("answers with the failure of acquire at once", () =>
    Effect.gen(function* () {
      class Down extends ConnectionPool.Service<Down>()("app/Down", { acquire: backend.connect }) {}
      const failing = Down.layerTest({ acquire: Effect.fail(new ConnectError({ attempt: 7 })) })
      const error = yield* Effect.flip(Effect.provide(Down.use(id), failing))
      assert.deepInclude(error, { _tag: "ConnectError", attempt: 7 })
    })
  )

  it.effect("takes all options, and `undefined` for those that it is to have defaults for", () =>
    Effect.gen(function* () {
      const validated: Array<unknown> = []
      const layer = Users.layerTest({
        acquire: Effect.succeed(fake),
        name: "fakes",
        max: 5,
        acquireTimeout: undefined,
        validate: (users) => Effect.sync(() => validated.push(users))
      })
      yield* Effect.gen(function* () {
        assert.deepInclude(yield* Users.stats, { name: "fakes", max: 5 })
        assert.strictEqual((yield* Users).admission.acquireTimeout, 1000)
        yield* Users.use((users) => users.find(1))
        yield* Users.use((users) => users.find(2))
        assert.deepStrictEqual(validated, [fake])
      }).pipe(Effect.provide(layer))
    })
  )

  it.effect("refuses options that make no sense", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Layer.build(Users.layerTest({ acquire: Effect.succeed(fake), max: 0 })))
      assert.deepInclude(error, { _tag: "InvalidOptions", pool: "app/Users", field: "max" })
      for (const nothing of [undefined, null]) {
        const none = yield* Effect.flip(Layer.build(Users.layerTest(nothing as never)))
        assert.deepInclude(none, { field: "acquire" })
      }
    }).pipe(Effect.scoped)
  )

  it.effect("ends with the test though a lease is out, and tells where that was taken", () =>
    Effect.gen(function* () {
      const test = Effect.gen(function* () {
        yield* Effect.provideService(Users.get(), Scope.Scope, yield* Scope.make())
      })
      const layer = Users.layerTest({ acquire: Effect.succeed(fake) })
      const error = yield* Effect.flip(LeakCheck.run(Effect.provide(test, layer)))
      assert.instanceOf(error, LeakCheck.LeaksFound)
      assert.match(error.message, /Pool "app\/Users" .*\n.*lease 1 .* taken .*service\.test\.ts/)
      yield* Effect.provide(test, layer)
    })
  )
})

describe("two services", () => {
  it.effect("are two pools, even over the same options", () =>
    Effect.gen(function* () {
      const options = { acquire: backend.connect, max: 1 } as const
      class Primary extends ConnectionPool.Service<Primary>()("app/Primary", options) {}
      class Replica extends ConnectionPool.Service<Replica>()("app/Replica", options) {}
      yield* Effect.gen(function* () {
        const inPrimary = yield* Primary.use((primary) => Replica.use((replica) => Effect.succeed([primary, replica])))
        assert.notStrictEqual(inPrimary[0], inPrimary[1])
        const registry = yield* PoolRegistry.PoolRegistry
        assert.deepStrictEqual(
          registry.list().map(({ name }) => name),
          ["app/Primary", "app/Replica"]
        )
      }).pipe(
        Effect.provide(Layer.merge(Primary.layer, Replica.layer)),
        Effect.provideService(PoolRegistry.PoolRegistry, PoolRegistry.makeUnsafe())
      )
    })
  )
})

describe("options as an effect", () => {
  class Configured extends ConnectionPool.Service<Configured>()(
    "app/Configured",
    Effect.gen(function* () {
      const max = yield* Config.Int("MAX")
      return { acquire: backend.connect, max }
    })
  ) {}

  const withConfig = (config: Record<string, string>) =>
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(config))

  it.effect("are read when the layer is built", () =>
    Effect.gen(function* () {
      const stats = yield* Configured.stats.pipe(Effect.provide(Configured.layer), withConfig({ MAX: "7" }))
      assert.deepInclude(stats, { name: "app/Configured", max: 7 })
    })
  )

  it.effect("that cannot be had fail the layer with their own error", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Configured.stats.pipe(Effect.provide(Configured.layer), withConfig({})))
      assert.instanceOf(error, Config.ConfigError)
    })
  )

  it.effect("that make no sense fail the layer with InvalidOptions, which names the service", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Configured.stats.pipe(Effect.provide(Configured.layer), withConfig({ MAX: "0" }))
      )
      assert.instanceOf(error, InvalidOptions.InvalidOptions)
      assert.strictEqual(error.pool, "app/Configured")
      assert.strictEqual(error.field, "max")
    })
  )
})

describe("errors", () => {
  class Small extends ConnectionPool.Service<Small>()("app/Small", { acquire: backend.connect, max: 1 }) {}
  const nested = Small.use(() => Small.use(id, { acquireTimeout: 0 }))

  it.effect("Effect.catchTag takes every PoolError", () =>
    Effect.gen(function* () {
      const message = yield* Effect.catchTag(nested, "PoolError", (error) => Effect.succeed(error.message))
      assert.strictEqual(message, 'Pool "app/Small" has no item to hand out at once (max 1) and the call does not wait')
    }).pipe(Effect.provide(Small.layer))
  )

  it.effect("Effect.catchReason takes one reason, and leaves the others", () =>
    Effect.gen(function* () {
      const caught = yield* Effect.catchReason(nested, "PoolError", "Exhausted", (reason) => Effect.succeed(reason.max))
      assert.strictEqual(caught, 1)
      const left = yield* nested.pipe(
        Effect.catchReason("PoolError", "Closed", () => Effect.succeed("closed")),
        Effect.flip
      )
      assert.strictEqual(left._tag, "PoolError")
    }).pipe(Effect.provide(Small.layer))
  )

  it.effect("Effect.catchReasons tells reasons apart", () =>
    Effect.gen(function* () {
      const told = yield* Effect.catchReasons(nested, "PoolError", {
        Exhausted: ({ pool }) => Effect.succeed(`${pool} is full`),
        AcquireTimeout: ({ waited }) => Effect.succeed(`waited ${waited}`)
      })
      assert.strictEqual(told, "app/Small is full")
    }).pipe(Effect.provide(Small.layer))
  )

  it.effect("the failure to connect is the connection's own, not wrapped", () =>
    Effect.gen(function* () {
      class Down extends ConnectionPool.Service<Down>()("app/Down", {
        acquire: Effect.fail(new ConnectError({ attempt: 1 })),
        breaker: { failures: 1 }
      }) {}
      const error = yield* Effect.flip(
        Effect.provide(
          Down.use(() => Effect.void),
          Down.layer
        )
      )
      assert.strictEqual(error._tag, "ConnectError")
    })
  )
})
