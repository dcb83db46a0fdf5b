import { ConnectionPool, ConnectionPoolMap } from "@effect-pools/connection"
import { Budget, InvalidOptions, type Pool, PoolError, PoolRegistry } from "@effect-pools/core"
import { Sandbox } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Tracer from "effect/Tracer"
import { Backend, type Connection, type ConnectError, fork, loggingTo } from "./backend.ts"

type Map<K = string, E = ConnectError> = ConnectionPoolMap.ConnectionPoolMap<K, Connection, E>
type KeyOptions = Partial<ConnectionPoolMap.KeyOptions<Connection, ConnectError, Scope.Scope>>
type Options = Partial<Omit<ConnectionPoolMap.Options<string, Connection, ConnectError, Scope.Scope>, "lookup">>

class Unknown extends Data.TaggedError("Unknown")<{ readonly tenant: string }> {}

/** A map of plain options over one backend, in a registry of its own. */
const open = Effect.fnUntraced(function* (options?: Options, ofKeys?: KeyOptions) {
  const backend = new Backend()
  const registry = PoolRegistry.makeUnsafe()
  const lookups: Array<string> = []
  const map: Map = yield* ConnectionPoolMap.make({
    name: "tenants",
    max: 10,
    lookup: (tenant: string) => {
      lookups.push(tenant)
      return { acquire: backend.connect, health: false, ...ofKeys }
    },
    ...(options?.budget === undefined ? {} : { max: undefined }),
    ...options
  }).pipe(Effect.provideService(PoolRegistry.PoolRegistry, registry))
  return { backend, registry, lookups, map, names: () => registry.list().map(({ name }) => name) }
})

const id = ({ id }: Connection) => Effect.succeed(id)
const touch = <K, E>(map: Map<K, E>, key: K, options?: Pool.AcquireOptions) =>
  ConnectionPoolMap.use(map, key, id, options)

/** Takes a connection until `release` is run or the test ends. */
const hold = Effect.fnUntraced(function* <K, E>(map: Map<K, E>, key: K) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const connection = yield* Scope.provide(ConnectionPoolMap.get(map, key), scope)
  return { connection, release: Scope.close(scope, Exit.void) }
})

const reasonOf = (exit: Exit.Exit<unknown, unknown>): string | undefined => {
  if (Exit.isSuccess(exit)) return undefined
  const error = Cause.squash(exit.cause)
  return error instanceof PoolError.PoolError ? error.reason._tag : String(error)
}

/** A map whose lookups wait until the test lets them go on. */
const gated = Effect.fnUntraced(function* (options?: Options) {
  const backend = new Backend()
  const lookups: Array<Deferred.Deferred<KeyOptions, Unknown>> = []
  const map: Map<string, ConnectError | Unknown> = yield* ConnectionPoolMap.make({
    name: "tenants",
    max: 10,
    lookup: () =>
      Effect.suspend(() => {
        const lookup = Deferred.makeUnsafe<KeyOptions, Unknown>()
        lookups.push(lookup)
        return Effect.map(Deferred.await(lookup), (options) => ({ acquire: backend.connect, ...options }))
      }),
    ...options
  })
  return { backend, lookups, map }
})

describe("a key's pool is opened", () => {
  it.effect("by its first use, under the name of map and key, and is its alone", () =>
    Effect.gen(function* () {
      const { backend, lookups, map, names } = yield* open()
      assert.deepStrictEqual(yield* ConnectionPoolMap.keys(map), [])
      const [a, b] = [yield* touch(map, "a"), yield* touch(map, "b")]
      assert.notStrictEqual(a, b)
      assert.strictEqual(yield* touch(map, "a"), a)
      assert.deepStrictEqual(lookups, ["a", "b"])
      assert.deepStrictEqual(names(), ["tenants/a", "tenants/b"])
      assert.deepStrictEqual(yield* ConnectionPoolMap.keys(map), ["a", "b"])
      assert.isTrue(yield* ConnectionPoolMap.has(map, "a"))
      assert.isFalse(yield* ConnectionPoolMap.has(map, "c"))
      assert.strictEqual(backend.live, 2)
    })
  )

  it.effect("once for keys that are equal", () =>
    Effect.gen(function* () {
      class Shard extends Data.Class<{ readonly region: string; readonly number: number }> {}
      const backend = new Backend()
      const map = yield* ConnectionPoolMap.make({
        name: "shards",
        max: 10,
        lookup: (_: Shard) => ({ acquire: backend.connect })
      })
      const first = yield* touch(map, new Shard({ region: "eu", number: 1 }))
      assert.strictEqual(yield* touch(map, new Shard({ region: "eu", number: 1 })), first)
      assert.notStrictEqual(yield* touch(map, new Shard({ region: "eu", number: 2 })), first)
      const { pools } = yield* ConnectionPoolMap.stats(map)
      assert.match(pools[0]!.name, /^shards\/.*eu.*1/)
      yield* ConnectionPoolMap.invalidate(map, new Shard({ region: "eu", number: 1 }))
      assert.lengthOf(yield* ConnectionPoolMap.keys(map), 1)
    })
  )

  it.effect("with keys that nobody can show, or that look alike", () =>
    Effect.gen(function* () {
      const shown = {
        toJSON() {
          throw new Error("not to be shown")
        }
      }
      const backend = new Backend()
      const map: Map<unknown> = yield* ConnectionPoolMap.make({
        name: "odd",
        max: 10,
        lookup: (_: unknown) => ({ acquire: backend.connect })
      })
      const odd = [shown, 1, "1", "", NaN, undefined, null, Symbol("a"), "a\nb\u0000", "x".repeat(1000), () => {}]
      for (const key of odd) {
        const first = yield* touch(map, key)
        assert.strictEqual(yield* touch(map, key), first)
      }
      const names = (yield* ConnectionPoolMap.stats(map)).pools.map(({ name }) => name)
      assert.strictEqual(new Set(names).size, odd.length)
      assert.include(names, "odd/1")
      assert.include(names, "odd/1#2")
      assert.include(names, "odd/a b ")
      for (const name of names) assert.isBelow(name.length, 100)
    })
  )

  it.effect("once for all who come while it opens, who are served in their order", () =>
    Effect.gen(function* () {
      const { lookups, map } = yield* gated()
      const served: Array<number> = []
      const callers = yield* Effect.forEach([1, 2, 3], (n) =>
        fork(ConnectionPoolMap.use(map, "a", () => Effect.sync(() => served.push(n))))
      )
      assert.deepInclude(yield* ConnectionPoolMap.stats(map), { keys: 1, opening: 1, pending: 3 })
      yield* Deferred.succeed(lookups[0]!, { max: 1 })
      yield* Effect.forEach(callers, (caller) => Fiber.join(caller))
      assert.deepStrictEqual(served, [1, 2, 3])
      assert.lengthOf(lookups, 1)
      assert.deepInclude(yield* ConnectionPoolMap.stats(map), { keys: 1, opening: 0, pending: 0 })
    })
  )

  it.effect("in vain for all who wait, each told why, and anew for the next", () =>
    Effect.gen(function* () {
      const { lookups, map } = yield* gated()
      const callers = yield* Effect.forEach([1, 2], () => fork(Effect.exit(touch(map, "a"))))
      yield* Deferred.fail(lookups[0]!, new Unknown({ tenant: "a" }))
      for (const caller of callers)
        assert.deepInclude(yield* Effect.flip(Effect.flatten(Fiber.join(caller))), { tenant: "a" })
      assert.isFalse(yield* ConnectionPoolMap.has(map, "a"))
      const next = yield* fork(touch(map, "a"))
      yield* Deferred.succeed(lookups[1]!, {})
      yield* Fiber.join(next)
    })
  )

  it.effect("for the others, though the first who asked has left", () =>
    Effect.gen(function* () {
      const { lookups, map } = yield* gated()
      const first = yield* fork(touch(map, "a"))
      const second = yield* fork(touch(map, "a"))
      yield* Fiber.interrupt(first)
      yield* Deferred.succeed(lookups[0]!, {})
      yield* Fiber.join(second)
      assert.lengthOf(lookups, 1)
      assert.deepInclude(yield* ConnectionPoolMap.stats(map), { acquired: 1, released: 1, pending: 0 })
    })
  )

  it.effect("in vain if lookup dies, throws, or interrupts itself: a defect, and no interruption of who asked", () =>
    Effect.gen(function* () {
      const lookups: Record<string, () => Effect.Effect<{ readonly acquire: Backend["connect"] }>> = {
        die: () => Effect.die(new Error("broken")),
        throw: () => {
          throw new Error("broken")
        },
        interrupt: () => Effect.interrupt
      }
      const map: Map = yield* ConnectionPoolMap.make({ max: 1, lookup: (key: string) => lookups[key]!() })
      for (const key of Object.keys(lookups)) {
        const exit = yield* Effect.exit(touch(map, key))
        assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause) && !Cause.hasInterrupts(exit.cause), key)
        assert.isFalse(yield* ConnectionPoolMap.has(map, key))
      }
    })
  )

  it.effect("in vain if lookup takes too long, and what it opens later is closed", () =>
    Effect.gen(function* () {
      const finalized: Array<string> = []
      const map: Map = yield* ConnectionPoolMap.make({
        name: "tenants",
        max: 1,
        lookupTimeout: "1 second",
        lookup: (_: string) =>
          Effect.uninterruptible(
            Effect.gen(function* () {
              yield* Effect.sleep("1 hour")
              yield* Effect.addFinalizer(() => Effect.sync(() => finalized.push("late")))
              return { acquire: new Backend().connect }
            })
          )
      })
      const caller = yield* fork(Effect.flip(touch(map, "a")))
      yield* TestClock.adjust("1 second")
      const error = yield* Fiber.join(caller)
      assert.deepInclude(error, { _tag: "PoolError", pool: "tenants/a" })
      assert.deepInclude((error as PoolError.PoolError).reason, {
        _tag: "AcquireTimeout",
        phase: "open",
        waited: 1000
      })
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(finalized, ["late"])
    })
  )

  it.effect("within the deadline of who asked, which spans what comes after", () =>
    Effect.gen(function* () {
      const { lookups, map } = yield* gated()
      const hasty = yield* fork(Effect.exit(touch(map, "a", { acquireTimeout: 100 })))
      const calm = yield* fork(Effect.exit(touch(map, "a", { acquireTimeout: 300 })))
      const byDefault = yield* fork(Effect.exit(touch(map, "a")))
      yield* TestClock.adjust(100)
      assert.strictEqual(reasonOf(yield* Fiber.join(hasty)), "AcquireTimeout")
      const never: KeyOptions = { acquire: Effect.never, acquireTimeout: 400 }
      yield* Deferred.succeed(lookups[0]!, never)
      yield* TestClock.adjust(199)
      assert.isUndefined(calm.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.strictEqual(reasonOf(yield* Fiber.join(calm)), "AcquireTimeout")
      yield* TestClock.adjust(99)
      assert.isUndefined(byDefault.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.strictEqual(reasonOf(yield* Fiber.join(byDefault)), "AcquireTimeout")
    })
  )

  it.effect("for those who come later, if who asked does not wait", () =>
    Effect.gen(function* () {
      const { lookups, map } = yield* gated()
      assert.strictEqual(reasonOf(yield* Effect.exit(touch(map, "a", { acquireTimeout: 0 }))), "Exhausted")
      yield* Deferred.succeed(lookups[0]!, {})
      assert.isTrue(Option.isSome(yield* ConnectionPoolMap.poolIfOpen(map, "a")))
    })
  )

  it.effect("for who takes a connection for a scope as long as that is open, and leaves nothing in it", () =>
    Effect.gen(function* () {
      const { lookups, map } = yield* gated()
      const [closing, lasting] = [yield* Scope.make(), yield* Scope.make()]
      const left = yield* fork(Effect.exit(Scope.provide(ConnectionPoolMap.get(map, "a"), closing)))
      const stays = yield* fork(Scope.provide(ConnectionPoolMap.get(map, "a"), lasting))
      yield* Scope.close(closing, Exit.void)
      const exit = yield* Fiber.join(left)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
      yield* Deferred.succeed(lookups[0]!, {})
      yield* Fiber.join(stays)
      assert.deepInclude(yield* ConnectionPoolMap.stats(map), { acquired: 1, used: 1, pending: 0 })
      // The lease, and nothing of the wait before it.
      assert.isUndefined(lasting.state._tag === "Open" ? lasting.state.finalizers : "none")
      yield* Scope.close(lasting, Exit.void)
      assert.strictEqual((yield* ConnectionPoolMap.stats(map)).used, 0)
    })
  )

  it.effect("in a span of its own, if somebody traces, before that of the wait for a connection", () =>
    Effect.gen(function* () {
      const spans: Array<Tracer.NativeSpan> = []
      const tracer = Tracer.make({
        span(options) {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const { lookups, map } = yield* gated()
      const caller = yield* fork(touch(map, "a").pipe(Effect.withSpan("request"), Effect.withTracer(tracer)))
      yield* Deferred.succeed(lookups[0]!, {})
      yield* Fiber.join(caller)
      assert.deepStrictEqual(
        spans.map(({ attributes, name }) => [name, attributes.get("pool.name")]),
        [
          ["request", undefined],
          ["pool.open", "tenants/a"],
          ["pool.wait", "tenants/a"]
        ]
      )
    })
  )

  it.effect("for callers of a pool that lets nobody wait, who then have to wait for it alone", () =>
    Effect.gen(function* () {
      const { backend, lookups, map } = yield* gated()
      backend.connectTime = 10
      const caller = yield* fork(Effect.exit(touch(map, "a")))
      yield* TestClock.adjust(50)
      yield* Deferred.succeed(lookups[0]!, { acquireTimeout: 0 })
      assert.strictEqual(reasonOf(yield* Fiber.join(caller)), "Exhausted")
      yield* TestClock.adjust(10)
      yield* touch(map, "a")
    })
  )

  it.effect("by nobody who takes a connection only if one is idle", () =>
    Effect.gen(function* () {
      const { lookups, map } = yield* open()
      assert.isTrue(Option.isNone(yield* ConnectionPoolMap.useIfAvailable(map, "a", id)))
      assert.isTrue(Option.isNone(yield* Effect.scoped(ConnectionPoolMap.getIfAvailable(map, "a"))))
      assert.deepStrictEqual(lookups, [])
      const made = yield* touch(map, "a")
      assert.deepStrictEqual(yield* ConnectionPoolMap.useIfAvailable(map, "a", id), Option.some(made))
      const got = yield* Effect.scoped(ConnectionPoolMap.getIfAvailable(map, "a"))
      assert.strictEqual(Option.getOrThrow(got).id, made)
    })
  )

  it.effect("and what lookup has opened for it is closed after it", () =>
    Effect.gen(function* () {
      const backend = new Backend()
      const closed: Array<string> = []
      const map: Map = yield* ConnectionPoolMap.make({
        max: 10,
        lookup: (key: string) =>
          Effect.as(
            Effect.addFinalizer(() => Effect.sync(() => closed.push(`${key} with ${backend.live} open`))),
            { acquire: backend.connect }
          )
      })
      yield* touch(map, "a")
      yield* ConnectionPoolMap.invalidate(map, "a")
      assert.deepStrictEqual(closed, ["a with 0 open"])
      // Also if it is somebody else who closes the pool.
      yield* touch(map, "b")
      yield* ConnectionPool.drain(yield* ConnectionPoolMap.pool(map, "b"))
      assert.deepStrictEqual(closed, ["a with 0 open", "b with 0 open"])
      assert.deepStrictEqual(yield* ConnectionPoolMap.keys(map), [])
    })
  )

  it.effect("in vain, and the log says so if nobody waits any more", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const { lookups, map } = yield* loggingTo(lines)(gated())
      const caller = yield* fork(touch(map, "a"))
      yield* Fiber.interrupt(caller)
      yield* Deferred.fail(lookups[0]!, new Unknown({ tenant: "a" }))
      assert.match(lines.join(), /Pool "tenants\/a": it could not be opened/)
      lines.length = 0
      const failing = ConnectionPoolMap.make({
        max: 1,
        lookup: (tenant: string) => Effect.as(Effect.fail(new Unknown({ tenant })), { acquire: new Backend().connect })
      })
      const told = yield* Effect.flip(touch(yield* loggingTo(lines)(failing), "a"))
      assert.deepInclude(told, { tenant: "a" })
      assert.deepStrictEqual(lines, [])
    })
  )
})

describe("a key's pool is closed", () => {
  it.effect("when nobody has used it for idleTimeToLive, its min included", () =>
    Effect.gen(function* () {
      const { backend, map, names } = yield* open({ idleTimeToLive: "1 minute" }, { min: 1 })
      yield* touch(map, "a")
      yield* touch(map, "b")
      yield* TestClock.adjust("30 seconds")
      yield* touch(map, "a")
      yield* TestClock.adjust("29 seconds")
      assert.deepStrictEqual(names(), ["tenants/a", "tenants/b"])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(names(), ["tenants/a"])
      assert.strictEqual(backend.live, 1)
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(names(), [])
      assert.deepInclude(yield* ConnectionPoolMap.stats(map), { keys: 0, size: 0, created: 2, pools: [] })
      assert.strictEqual(backend.live, 0)
    })
  )

  it.effect("not while a lease is out or somebody waits, and idleTimeToLive after that", () =>
    Effect.gen(function* () {
      const { map, names } = yield* open({ idleTimeToLive: 100 }, { max: 1, acquireTimeout: "1 hour" })
      const held = yield* hold(map, "a")
      const waiting = yield* fork(ConnectionPoolMap.use(map, "a", () => Effect.sleep(1000)))
      yield* TestClock.adjust(1000)
      yield* held.release
      yield* TestClock.adjust(1099)
      assert.deepStrictEqual(names(), ["tenants/a"])
      yield* Fiber.join(waiting)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(names(), [])
    })
  )

  it.effect("idleTimeToLive after the last use even if the connection of that was destroyed", () =>
    Effect.gen(function* () {
      const { map, names } = yield* open({ idleTimeToLive: 100 }, { maxUses: 1 })
      yield* TestClock.adjust(1)
      yield* touch(map, "a")
      yield* TestClock.adjust(60)
      yield* touch(map, "a")
      yield* TestClock.adjust(99)
      assert.deepStrictEqual(names(), ["tenants/a"])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(names(), [])
    })
  )

  it.effect("after a time of its own, if the key has one", () =>
    Effect.gen(function* () {
      const { map, names } = yield* open({ idleTimeToLive: (key) => (key === "hot" ? "Infinity" : 10) })
      yield* touch(map, "hot")
      yield* touch(map, "cold")
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(names(), ["tenants/hot"])
    })
  )

  it.effect("and whoever uses the key at that moment has a new one", () =>
    Effect.gen(function* () {
      const { backend, map, names } = yield* open({ idleTimeToLive: 100 })
      backend.closeTime = 50
      const first = yield* touch(map, "a")
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(names(), ["tenants/a"])
      assert.notStrictEqual(yield* touch(map, "a"), first)
      assert.deepStrictEqual(names(), ["tenants/a", "tenants/a#2"])
      yield* TestClock.adjust(50)
      assert.deepStrictEqual(names(), ["tenants/a#2"])
      backend.closeTime = 0
    })
  )

  it.effect("by invalidate: idle connections at once, those in use as they come back", () =>
    Effect.gen(function* () {
      const { backend, lookups, map } = yield* open()
      const held = yield* hold(map, "a")
      yield* Effect.scoped(hold(map, "a"))
      assert.strictEqual(backend.live, 2)
      yield* ConnectionPoolMap.invalidate(map, "a")
      assert.strictEqual(backend.live, 1)
      yield* touch(map, "a")
      assert.deepStrictEqual(lookups, ["a", "a"])
      assert.strictEqual(backend.live, 2)
      yield* held.release
      assert.strictEqual(backend.live, 1)
      yield* ConnectionPoolMap.invalidate(map, "nobody")
    })
  )

  it.effect("and its callers who wait go on to the next one, by priority, with the time that they have left", () =>
    Effect.gen(function* () {
      const { backend, map } = yield* open({ max: 1 }, { acquireTimeout: 100 })
      const held = yield* hold(map, "a")
      const served: Array<string> = []
      const ask = (name: string, options?: Pool.AcquireOptions) =>
        fork(Effect.exit(ConnectionPoolMap.use(map, "a", () => Effect.sync(() => served.push(name)), options)))
      const callers = [
        yield* ask("low"),
        yield* ask("late", { acquireTimeout: 50 }),
        yield* ask("high", { priority: 1 })
      ]
      yield* TestClock.adjust(40)
      yield* ConnectionPoolMap.invalidate(map, "a")
      yield* Sandbox.settle
      assert.deepInclude(yield* ConnectionPoolMap.stats(map), { pending: 3, used: 1 })
      yield* TestClock.adjust(10)
      assert.strictEqual(reasonOf(yield* Fiber.join(callers[1]!)), "AcquireTimeout")
      yield* held.release
      yield* Effect.forEach(callers, (caller) => Fiber.join(caller))
      assert.deepStrictEqual(served, ["high", "low"])
      assert.strictEqual(backend.attempts, 2)
      assert.deepInclude(yield* ConnectionPoolMap.stats(map), { acquired: 3, released: 3, timeouts: 1, pending: 0 })
    })
  )

  it.effect("and who is about to wait in it, but has not begun to, has all its time", () =>
    Effect.gen(function* () {
      const { map } = yield* open({ max: 3 }, { max: 1, acquireTimeout: 100 })
      yield* TestClock.adjust("1 hour")
      for (let budget = 3; budget < 20; budget++) {
        const held = yield* hold(map, "a")
        const caller = yield* fork(
          Effect.provideService(Effect.exit(touch(map, "a")), Scheduler.MaxOpsBeforeYield, budget)
        )
        yield* ConnectionPoolMap.invalidate(map, "a")
        const next = yield* hold(map, "a")
        yield* TestClock.adjust(99)
        assert.isUndefined(caller.pollUnsafe(), String(budget))
        yield* next.release
        assert.isTrue(Exit.isSuccess(yield* Fiber.join(caller)), String(budget))
        yield* held.release
      }
    })
  )

  it.effect("while it opens, and who waits for that has the options that are found then", () =>
    Effect.gen(function* () {
      const { lookups, map } = yield* gated()
      const caller = yield* fork(ConnectionPoolMap.pool(map, "a"))
      const user = yield* fork(touch(map, "a"))
      yield* ConnectionPoolMap.invalidate(map, "a")
      // What was under way is not waited for.
      assert.lengthOf(lookups, 2)
      yield* Deferred.succeed(lookups[0]!, { max: 1 })
      assert.isUndefined(caller.pollUnsafe())
      yield* Deferred.succeed(lookups[1]!, { max: 2 })
      assert.strictEqual((yield* Fiber.join(caller)).admission.max, 2)
      yield* Fiber.join(user)
      assert.lengthOf(lookups, 2)
    })
  )

  it.effect("while it opens, by the lookup itself", () =>
    Effect.gen(function* () {
      const backend = new Backend()
      let lookups = 0
      const map: Map = yield* ConnectionPoolMap.make({
        max: 10,
        lookup: (key: string) =>
          Effect.gen(function* () {
            if (++lookups > 1) return { acquire: backend.connect }
            yield* ConnectionPoolMap.invalidate(map, key)
            return yield* Effect.never
          })
      })
      yield* touch(map, "a")
      assert.strictEqual(lookups, 2)
      assert.deepInclude(yield* ConnectionPoolMap.stats(map), { keys: 1, opening: 0 })
    })
  )

  it.effect("while it opens, which gives those who wait no more time than they had", () =>
    Effect.gen(function* () {
      const { lookups, map } = yield* gated()
      const caller = yield* fork(Effect.exit(touch(map, "a", { acquireTimeout: 100 })))
      yield* TestClock.adjust(60)
      yield* ConnectionPoolMap.invalidate(map, "a")
      yield* TestClock.adjust(39)
      assert.isUndefined(caller.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.strictEqual(reasonOf(yield* Fiber.join(caller)), "AcquireTimeout")
      assert.lengthOf(lookups, 2)
      // The same if it has waited for one pool to open, and in the next one.
      const later = yield* fork(Effect.exit(touch(map, "a", { acquireTimeout: 100 })))
      yield* TestClock.adjust(40)
      yield* Deferred.succeed(lookups[1]!, { acquire: Effect.never })
      yield* TestClock.adjust(40)
      yield* ConnectionPoolMap.invalidate(map, "a")
      yield* TestClock.adjust(19)
      assert.isUndefined(later.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.strictEqual(reasonOf(yield* Fiber.join(later)), "AcquireTimeout")
      assert.lengthOf(lookups, 3)
    })
  )

  it.effect("and neither a fiber nor a timer of it is left", () =>
    Effect.gen(function* () {
      const backend = new Backend()
      const sandbox = yield* Sandbox.open(
        Effect.gen(function* () {
          const map: Map = yield* ConnectionPoolMap.make({
            max: 10,
            lookup: (key: string) =>
              Effect.as(key === "a" ? Effect.void : Effect.sleep(1), { acquire: backend.connect })
          })
          return Object.assign(yield* ConnectionPoolMap.pool(map, "a"), { map })
        })
      )
      const { map } = sandbox.pool
      yield* Sandbox.settle
      const before = { ...sandbox.left }
      const caller = yield* fork(touch(map, "b", { acquireTimeout: "1 hour" }))
      yield* TestClock.adjust(1)
      yield* Fiber.join(caller)
      yield* ConnectionPoolMap.invalidate(map, "b")
      yield* Sandbox.settle
      assert.deepStrictEqual(sandbox.left, before)
      yield* sandbox.close
      yield* Sandbox.settle
      assert.deepStrictEqual(Sandbox.leftovers(sandbox), [])
    })
  )

  it.effect("by whoever drains it in the registry, and the next call has another", () =>
    Effect.gen(function* () {
      const { lookups, map, names, registry } = yield* open()
      const held = yield* hold(map, "a")
      const drained = yield* fork(registry.find("tenants/a")!.drain())
      yield* touch(map, "a")
      assert.deepStrictEqual(names(), ["tenants/a", "tenants/a#2"])
      yield* held.release
      yield* Fiber.join(drained)
      assert.deepStrictEqual(names(), ["tenants/a#2"])
      assert.deepStrictEqual(lookups, ["a", "a"])
      assert.deepStrictEqual(yield* ConnectionPoolMap.keys(map), ["a"])
    })
  )

  it.effect("if it is the one unused for longest and there are too many, and none that is used", () =>
    Effect.gen(function* () {
      const { map } = yield* open({ capacity: 2 })
      for (const key of ["a", "b", "a"]) {
        yield* touch(map, key)
        yield* TestClock.adjust(1)
      }
      const held = yield* hold(map, "c")
      assert.deepStrictEqual(yield* ConnectionPoolMap.keys(map), ["a", "c"])
      yield* hold(map, "a")
      const refused = yield* Effect.flip(touch(map, "d"))
      assert.deepInclude((refused as PoolError.PoolError).reason, { _tag: "Exhausted", pool: "tenants", max: 2 })
      yield* held.release
      yield* touch(map, "d")
      assert.deepStrictEqual(yield* ConnectionPoolMap.keys(map), ["a", "d"])
    })
  )
})

describe("the map as a whole", () => {
  it.effect("closes with its scope, and leaves nothing behind", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { backend, map, names } = yield* Scope.provide(open({ max: 1 }), scope)
      backend.closeTime = 10
      const held = yield* hold(map, "a")
      const waiting = yield* fork(Effect.exit(touch(map, "a")))
      const inLine = yield* fork(Effect.exit(touch(map, "b")))
      const closing = yield* fork(Scope.close(scope, Exit.void))
      for (const caller of [waiting, inLine]) assert.strictEqual(reasonOf(yield* Fiber.join(caller)), "Closed")
      yield* held.release
      yield* TestClock.adjust(9)
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust(1)
      yield* Fiber.join(closing)
      assert.strictEqual(backend.live, 0)
      assert.deepStrictEqual(names(), [])
      assert.deepInclude(yield* ConnectionPoolMap.stats(map), { state: "closed", keys: 0, size: 0, pending: 0 })
      const calls: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
        touch(map, "a"),
        Effect.scoped(ConnectionPoolMap.get(map, "a")),
        ConnectionPoolMap.useIfAvailable(map, "a", id),
        Effect.scoped(ConnectionPoolMap.getIfAvailable(map, "a")),
        ConnectionPoolMap.pool(map, "a")
      ]
      for (const call of calls) assert.strictEqual(reasonOf(yield* Effect.exit(call)), "Closed")
      assert.isTrue(Option.isNone(yield* ConnectionPoolMap.poolIfOpen(map, "a")))
      assert.deepStrictEqual(yield* ConnectionPoolMap.keys(map), [])
      yield* ConnectionPoolMap.invalidate(map, "a")
      yield* ConnectionPoolMap.suspend(map)
      yield* ConnectionPoolMap.resume(map)
      yield* ConnectionPoolMap.drain(map)
    })
  )

  it.effect("closes while pools open: who waits is told, and the lookup is called off", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { backend, lookups, map } = yield* Scope.provide(gated(), scope)
      const caller = yield* fork(Effect.exit(touch(map, "a")))
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(reasonOf(yield* Fiber.join(caller)), "Closed")
      yield* Deferred.succeed(lookups[0]!, { min: 1 })
      assert.strictEqual(backend.attempts, 0)
    })
  )

  it.effect("closes though what lookup has opened does not, or fails to, and says so", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const lines: Array<string> = []
      const make = ConnectionPoolMap.make({
        name: "tenants",
        max: 10,
        lookup: (key: string) =>
          Effect.as(
            Effect.addFinalizer(() => (key === "hangs" ? Effect.never : Effect.die(new Error("broken")))),
            { acquire: new Backend().connect, destroyTimeout: "2 seconds" }
          )
      })
      const map: Map = yield* Scope.provide(loggingTo(lines)(make), scope)
      yield* touch(map, "hangs")
      yield* touch(map, "dies")
      const closing = yield* fork(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(closing)
      assert.match(lines.join("\n"), /"tenants\/hangs": closing what lookup has opened took longer than 2000 ms/)
      assert.match(lines.join("\n"), /"tenants\/dies": closing what lookup has opened failed/)
    })
  )

  it.effect("drains: refuses callers, waits for leases, then closes", () =>
    Effect.gen(function* () {
      const { backend, map } = yield* open({ max: 1 })
      const held = yield* hold(map, "a")
      const waiting = yield* fork(Effect.exit(touch(map, "b")))
      const drained = yield* fork(ConnectionPoolMap.drain(map))
      assert.strictEqual(reasonOf(yield* Fiber.join(waiting)), "Closed")
      assert.strictEqual(reasonOf(yield* Effect.exit(touch(map, "c"))), "Closed")
      yield* TestClock.adjust("1 hour")
      assert.isUndefined(drained.pollUnsafe())
      assert.strictEqual((yield* ConnectionPoolMap.stats(map)).state, "draining")
      yield* held.release
      yield* Fiber.join(drained)
      assert.strictEqual(backend.live, 0)
      assert.strictEqual((yield* ConnectionPoolMap.stats(map)).state, "closed")
    })
  )

  it.effect("drains no longer than its grace, and closes no later than its scope", () =>
    Effect.gen(function* () {
      for (const isScope of [false, true]) {
        const scope = yield* Scope.make()
        const { backend, map } = yield* Scope.provide(open(undefined, { closeGrace: 100 }), scope)
        const held = yield* hold(map, "a")
        const drained = yield* fork(isScope ? ConnectionPoolMap.drain(map) : ConnectionPoolMap.drain(map, 100))
        const closing = isScope ? yield* fork(Scope.close(scope, Exit.void)) : drained
        yield* TestClock.adjust(99)
        assert.isUndefined(closing.pollUnsafe())
        yield* TestClock.adjust(1)
        yield* Fiber.join(closing)
        yield* Fiber.join(drained)
        assert.strictEqual(backend.live, 0)
        assert.deepInclude(yield* ConnectionPoolMap.stats(map), { acquired: 1, released: 0 })
        yield* held.release
        assert.deepInclude(yield* ConnectionPoolMap.stats(map), { acquired: 1, released: 1 })
        assert.deepInclude(yield* ConnectionPoolMap.stats(map), { acquired: 1, released: 1 })
      }
    })
  )

  it.effect(
    "drains no longer than its grace, though a key was invalidated that had more time, or is drained again",
    () =>
      Effect.gen(function* () {
        const { backend, map } = yield* open()
        yield* hold(map, "invalidated")
        yield* ConnectionPoolMap.invalidate(map, "invalidated")
        yield* hold(map, "held")
        const patient = yield* fork(ConnectionPoolMap.drain(map, "1 hour"))
        const hasty = yield* fork(ConnectionPoolMap.drain(map, 100))
        yield* TestClock.adjust(99)
        assert.strictEqual(backend.live, 2)
        yield* TestClock.adjust(1)
        yield* Fiber.join(hasty)
        yield* Fiber.join(patient)
        assert.strictEqual(backend.live, 0)
      })
  )

  it.effect("is suspended and resumed, with the pools that open meanwhile", () =>
    Effect.gen(function* () {
      const { map } = yield* open()
      yield* touch(map, "old")
      yield* ConnectionPoolMap.suspend(map)
      const callers = yield* Effect.forEach(["old", "new"], (key) => fork(touch(map, key)))
      assert.deepInclude(yield* ConnectionPoolMap.stats(map), { state: "suspended", pending: 2, used: 0 })
      assert.strictEqual(reasonOf(yield* Effect.exit(touch(map, "old", { acquireTimeout: 0 }))), "Suspended")
      yield* ConnectionPoolMap.resume(map)
      yield* Effect.forEach(callers, (caller) => Fiber.join(caller))
      assert.strictEqual((yield* ConnectionPoolMap.stats(map)).state, "open")
    })
  )

  it.effect("counts what its pools have done that are gone", () =>
    Effect.gen(function* () {
      const { map } = yield* open()
      for (const key of ["a", "b", "a"]) yield* touch(map, key)
      const { destroyed, ...before } = yield* ConnectionPoolMap.stats(map)
      assert.deepInclude(before, { name: "tenants", max: 10, keys: 2, idle: 2, size: 2, acquired: 3, created: 2 })
      yield* ConnectionPoolMap.invalidate(map, "a")
      const after = yield* ConnectionPoolMap.stats(map)
      assert.deepInclude(after, { keys: 1, idle: 1, acquired: 3, released: 3, created: 2 })
      assert.strictEqual(destroyed.closed, 0)
      assert.strictEqual(after.destroyed.closed, 1)
      assert.deepStrictEqual(
        after.pools.map(({ acquired, name }) => [name, acquired]),
        [["tenants/b", 1]]
      )
    })
  )

  it.effect("tells what happens in every pool, those to come included, from the first moment on", () =>
    Effect.gen(function* () {
      const { map } = yield* open(undefined, { min: 1 })
      yield* ConnectionPoolMap.pool(map, "a")
      const told: Array<string> = []
      const reader = yield* fork(
        Stream.runForEach(ConnectionPoolMap.events(map), ({ _tag, pool }) =>
          Effect.sync(() => told.push(`${pool} ${_tag}`))
        )
      )
      yield* touch(map, "a")
      yield* touch(map, "b")
      yield* ConnectionPoolMap.drain(map)
      yield* Fiber.join(reader)
      for (const event of [
        "a LeaseAcquired",
        "b ItemCreating",
        "b ItemCreated",
        "b LeaseReleased",
        "a Closed",
        "b Closed"
      ]) {
        assert.include(told, `tenants/${event}`)
      }
      const bad = yield* Effect.flip(Stream.runDrain(ConnectionPoolMap.events(map, { capacity: 0 })))
      assert.deepInclude(bad, { pool: "tenants", field: "capacity" })
    })
  )

  it.effect("has each pool among the metrics while it is open", () =>
    Effect.gen(function* () {
      const { map } = yield* open()
      const named = Effect.map(Metric.snapshot, (metrics) =>
        metrics.filter(({ attributes }) => attributes?.["db.client.connection.pool.name"] === "tenants/a")
      )
      yield* touch(map, "a")
      assert.isAbove((yield* named).length, 5)
      yield* ConnectionPoolMap.invalidate(map, "a")
      assert.lengthOf(yield* named, 0)
    })
  )

  it.effect("notes where leases are taken if it looks for leaks, or somebody else does, of keys not yet used too", () =>
    Effect.gen(function* () {
      const record = (map: Map) => {
        const sites: Array<string> = []
        map.members.listen((event) => {
          if (event._tag === "LeaseAcquired") sites.push(event.takenAt ?? "unknown")
        })
        return sites
      }
      const { map } = yield* open({ leakDetection: "1 minute", max: 1 })
      const sites = record(map)
      yield* touch(map, "a", { priority: 1 })
      yield* Effect.scoped(ConnectionPoolMap.get(map, "b"))
      yield* ConnectionPoolMap.useIfAvailable(map, "b", id)
      assert.lengthOf(sites, 3)
      for (const site of sites) assert.match(site, /map\.test\.ts/)

      const held = yield* hold(map, "c")
      const waiting = yield* fork(touch(map, "c"))
      yield* ConnectionPoolMap.invalidate(map, "c")
      yield* held.release
      yield* Fiber.join(waiting)
      assert.match(sites.at(-1)!, /map\.test\.ts/)

      const other = yield* open()
      const noted = record(other.map)
      const pool = yield* ConnectionPoolMap.pool(other.map, "a")
      const forget = pool.admission.trackCallSites()
      yield* Effect.suspend(() => touch(other.map, "a"))
      yield* Effect.suspend(() => touch(other.map, "b"))
      forget()
      yield* Effect.suspend(() => touch(other.map, "a"))
      assert.match(noted[0]!, /map\.test\.ts/)
      assert.strictEqual(noted[2], "unknown")

      // One key alone may look for leaks, from when it is open.
      const third = yield* open(undefined, { leakDetection: "1 minute" })
      const known = record(third.map)
      yield* Effect.suspend(() => touch(third.map, "a"))
      yield* Effect.suspend(() => touch(third.map, "a"))
      assert.strictEqual(known[0], "unknown")
      assert.match(known[1]!, /map\.test\.ts/)
      yield* ConnectionPoolMap.invalidate(third.map, "a")
      assert.isFalse(third.map.members.tracksCallSites)
    })
  )
})

describe("keys share the map's connections", () => {
  it.effect("and a key in need has that of the key closed that was used longest ago", () =>
    Effect.gen(function* () {
      const { backend, map } = yield* open({ max: 3 })
      for (const key of ["a", "b", "c", "a"]) {
        yield* touch(map, key)
        yield* TestClock.adjust(1)
      }
      yield* touch(map, "d")
      assert.strictEqual(backend.live, 3)
      const sizes = (yield* ConnectionPoolMap.stats(map)).pools.map(({ name, size }) => [name, size])
      assert.deepStrictEqual(sizes, [
        ["tenants/a", 1],
        ["tenants/b", 0],
        ["tenants/c", 1],
        ["tenants/d", 1]
      ])
      assert.strictEqual(backend.peak, 3)
    })
  )

  it.effect("or a budget's, with pools outside of the map", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ name: "server", max: 2 })
      const { backend, map } = yield* open({ budget })
      const pool = yield* ConnectionPool.make({ acquire: backend.connect, budget })
      yield* ConnectionPool.use(pool, id)
      yield* touch(map, "a")
      yield* touch(map, "b")
      assert.strictEqual(backend.peak, 2)
      assert.strictEqual((yield* ConnectionPool.stats(pool)).destroyed.reclaimed, 1)
      assert.strictEqual((yield* ConnectionPoolMap.stats(map)).max, 2)
    })
  )

  it.effect("within what each may have of them, by default or by its own options", () =>
    Effect.gen(function* () {
      const backend = new Backend()
      const map: Map = yield* ConnectionPoolMap.make({
        max: 10,
        maxPerKey: 2,
        lookup: (key: string) => ({ acquire: backend.connect, ...(key === "big" ? { max: 5 } : {}) })
      })
      assert.strictEqual((yield* ConnectionPoolMap.pool(map, "small")).admission.max, 2)
      assert.strictEqual((yield* ConnectionPoolMap.pool(map, "big")).admission.max, 5)
    })
  )

  it.effect("beside the minimum of one, also when its pool is opened again before the last has ended", () =>
    Effect.gen(function* () {
      const { map } = yield* open({ max: 2 }, { budget: { minimum: 1 }, acquireTimeout: 10 })
      const held = yield* hold(map, "a")
      yield* ConnectionPoolMap.invalidate(map, "a")
      yield* touch(map, "a")
      yield* held.release
      // Of two permits one is promised to a; another promise would leave none for a third.
      const refused = yield* Effect.flip(Effect.andThen(touch(map, "b"), touch(map, "c")))
      assert.deepInclude(refused, { _tag: "InvalidOptions", pool: "tenants/c", field: "budget.weight" })
    })
  )

  it.effect("and cannot make any when the budget has closed under them", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const budget = yield* Scope.provide(Budget.make({ name: "server", max: 2 }), scope)
      const { map } = yield* open({ budget })
      const held = yield* hold(map, "a")
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(reasonOf(yield* Effect.exit(touch(map, "b"))), "BudgetClosed")
      yield* held.release
      yield* touch(map, "a")
    })
  )
})

describe("what makes no sense is refused", () => {
  it.effect("for the map, when it is made", () =>
    Effect.gen(function* () {
      const lookup = () => ({ acquire: new Backend().connect })
      const budget = yield* Budget.make({ max: 5 })
      const bad: ReadonlyArray<readonly [string, unknown]> = [
        ["options", null],
        ["options", "tenants"],
        ["lookup", { max: 1 }],
        ["lookup", { max: 1, lookup: {} }],
        ["max", { lookup }],
        ["max", { lookup, max: 0 }],
        ["max", { lookup, max: 1.5 }],
        ["max", { lookup, max: Infinity }],
        ["max", { lookup, max: 5, budget }],
        ["budget", { lookup, budget: { budget, minimum: 1 } }],
        ["budget", { lookup, budget: 5 }],
        ["maxPerKey", { lookup, max: 5, maxPerKey: 0 }],
        ["idleTimeToLive", { lookup, max: 5, idleTimeToLive: 0 }],
        ["idleTimeToLive", { lookup, max: 5, idleTimeToLive: "soon" }],
        ["capacity", { lookup, max: 5, capacity: 0 }],
        ["lookupTimeout", { lookup, max: 5, lookupTimeout: -1 }],
        ["leakDetection", { lookup, max: 5, leakDetection: {} }],
        ["name", { lookup, max: 5, name: "" }],
        ["maxKeys", { lookup, max: 5, maxKeys: 5 }]
      ]
      for (const [field, options] of bad) {
        const error = yield* Effect.flip(
          ConnectionPoolMap.make(options as ConnectionPoolMap.Options<string, Connection, ConnectError, never>)
        )
        assert.instanceOf(error, InvalidOptions.InvalidOptions)
        assert.strictEqual(error.field, field, JSON.stringify(options))
      }
    })
  )

  it.effect("for a key, when it is used; and the next caller looks it up anew", () =>
    Effect.gen(function* () {
      const backend = new Backend()
      const budget = yield* Budget.make({ max: 5 })
      const acquire = backend.connect
      const bad: Record<string, readonly [string, unknown]> = {
        nothing: ["lookup", undefined],
        text: ["lookup", "options"],
        none: ["acquire", {}],
        max: ["max", { acquire, max: 0 }],
        min: ["min", { acquire, min: 11 }],
        own: ["budget", { acquire, budget }],
        nested: ["budget.budget", { acquire, budget: { budget } }],
        minimum: ["budget.minimum", { acquire, budget: { minimum: -1 } }],
        weight: ["budget.weight", { acquire, budget: { weight: 11 } }],
        field: ["maximum", { acquire, maximum: 5 }],
        ttl: ["idleTimeToLive", { acquire }]
      }
      const asked: Array<string> = []
      const map: Map = yield* ConnectionPoolMap.make({
        name: "tenants",
        max: 10,
        idleTimeToLive: (key: string) => (key === "ttl" ? ("soon" as never) : 10),
        lookup: (key: string) => {
          asked.push(key)
          return bad[key]![1] as { readonly acquire: typeof acquire }
        }
      })
      for (const [key, [field]] of Object.entries(bad)) {
        const calls: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
          touch(map, key),
          ConnectionPoolMap.pool(map, key)
        ]
        for (const call of calls) {
          const error = yield* Effect.flip(call)
          assert.deepInclude(error, { _tag: "InvalidOptions", pool: `tenants/${key}`, field }, key)
        }
      }
      assert.lengthOf(asked, 2 * Object.keys(bad).length)
      assert.deepInclude(yield* ConnectionPoolMap.stats(map), { keys: 0, pools: [] })
      assert.strictEqual(map.budget.open, 10)
    })
  )

  it.effect("in a call, and nothing is opened for it", () =>
    Effect.gen(function* () {
      const { lookups, map } = yield* open()
      const error = yield* Effect.flip(touch(map, "a", { acquireTimeout: -1 }))
      assert.deepInclude(error, { _tag: "InvalidOptions", pool: "tenants", field: "acquireTimeout" })
      const grace = yield* Effect.flip(ConnectionPoolMap.drain(map, "soon" as never))
      assert.deepInclude(grace, { pool: "tenants", field: "grace" })
      const died = yield* Effect.exit(
        ConnectionPoolMap.use(map, "a", () => "no effect" as unknown as Effect.Effect<void>)
      )
      assert.isTrue(Exit.isFailure(died) && Cause.hasDies(died.cause))
      assert.deepStrictEqual(lookups, ["a"])
      assert.deepInclude(yield* ConnectionPoolMap.stats(map), { used: 0, idle: 1 })
    })
  )
})
