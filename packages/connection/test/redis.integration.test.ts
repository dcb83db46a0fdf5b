import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { ConnectionPool } from "@effect-pools/connection"
import type { PoolError } from "@effect-pools/core"
import { FaultProxy } from "@effect-pools/testing"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import {
  type Address,
  canStart,
  type Client,
  command,
  type observe,
  type RedisError,
  shared,
  startServer
} from "./redis.ts"
import {
  eventually,
  expectHealthy,
  expectTyped,
  idOf,
  limit,
  MARGIN,
  type Options,
  OUTAGE,
  ping,
  PUNCTUAL,
  type RedisPool,
  report,
  STORM,
  timed,
  watchTimers,
  withPool
} from "./redis.support.ts"

describe.skipIf(shared === undefined && !canStart)("connections to Redis", () => {
  let address: Address
  const scope = Scope.makeUnsafe()
  beforeAll(async () => {
    address = shared ?? (await Effect.runPromise(Scope.provide(startServer(), scope))).address
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  /** Done at most once for each key, and told of by a list. */
  const ONCE = `if redis.call("HSETNX", KEYS[1], ARGV[1], "") == 1 then redis.call("RPUSH", KEYS[2], ARGV[1]) end
    return ARGV[1]`

  /** Commands of several kinds on keys of the pool's own, and what the server has made of them. */
  const makeBooks = (pool: RedisPool, observer: Effect.Success<ReturnType<typeof observe>>) =>
    Effect.gen(function* () {
      const guard = `${pool.name}:guard`
      const list = `${pool.name}:done`
      const counter = `${pool.name}:count`
      const values = `${pool.name}:values`
      const run = <A>(f: (client: Client) => Promise<A>) =>
        ConnectionPool.use(pool, (client) => command(() => f(client)))
      yield* Effect.addFinalizer(() =>
        Effect.orDie(command(() => observer.client.unlink([guard, list, counter, values])))
      )
      return {
        /** Safe to repeat: it has a key under which it is done once. */
        once: (key: string) => run((client) => client.eval(ONCE, { keys: [guard, list], arguments: [key] })),
        /** Safe to repeat: it makes no difference. */
        put: (n: number) => run((client) => client.hSet(values, String(n), n)),
        /** Safe to repeat, and its answer is like no other. */
        echo: (n: number) => run((client) => client.echo(String(n))),
        /** Not to be repeated. */
        count: run((client) => client.incr(counter)),
        done: command(() => observer.client.lRange(list, 0, -1)),
        counted: Effect.map(
          command(() => observer.client.get(counter)),
          Number
        )
      }
    })

  const patience = Schedule.min([Schedule.exponential("5 millis"), Schedule.spaced("200 millis")]).pipe(
    Schedule.jittered,
    Schedule.upTo({ duration: "10 seconds" })
  )
  const retry = <A, R>(self: Effect.Effect<A, RedisError | PoolError.PoolError, R>) =>
    Effect.retry(self, {
      while: (error) => (error._tag === "RedisError" ? !error.isReply : error.isRetryable),
      schedule: patience
    })

  it.live(
    "killed at random under 64 fibers are replaced, and everything that is safe to repeat is done, once",
    () =>
      withPool(address, { max: 10, maxCreating: 4 }, (pool, observer) =>
        Effect.gen(function* () {
          const books = yield* makeBooks(pool, observer)
          const seen = { most: 0, samples: 0, killed: 0 }
          yield* Effect.forkScoped(
            Effect.forever(
              Effect.andThen(
                Effect.map(observer.clients(pool.name), ({ length }) => {
                  seen.samples++
                  seen.most = Math.max(seen.most, length)
                }),
                Effect.sleep("3 millis")
              )
            )
          )
          let isOver = false
          const kill = Effect.gen(function* () {
            yield* Effect.sleep(50 + Math.random() * 50)
            const ids = yield* observer.clients(pool.name)
            const id = ids[Math.floor(Math.random() * ids.length)]
            if (id !== undefined) seen.killed += Number(yield* observer.kill(id))
          })
          const storm = yield* Effect.forkScoped(Effect.repeat(kill, { until: () => isOver }))

          const asked: Array<string> = []
          const told = { counted: 0, failed: 0, repeated: 0 }
          const counting = <A, E, R>(request: Effect.Effect<A, E, R>) => {
            let attempts = 0
            return Effect.suspend(() => {
              if (attempts++ > 0) told.repeated++
              return request
            })
          }
          const requests: ReadonlyArray<(n: number) => Effect.Effect<void, RedisError | PoolError.PoolError>> = [
            (n) => {
              const key = `order ${n}`
              asked.push(key)
              return Effect.map(retry(counting(books.once(key))), (answer) => assert.strictEqual(answer, key))
            },
            (n) =>
              Effect.map(Effect.exit(books.count), (exit) => {
                expectTyped(exit)
                if (Exit.isSuccess(exit)) told.counted++
                else told.failed++
                return n
              }),
            (n) => retry(counting(books.put(n))),
            // The answer to another one would show a connection in two hands, or one with an answer left over.
            (n) => Effect.map(retry(counting(books.echo(n))), (said) => assert.strictEqual(said, String(n)))
          ]
          const until = performance.now() + STORM
          let n = 0
          yield* Effect.forEach(
            Array.from({ length: 64 }, (_, fiber) => requests[fiber % requests.length]!),
            (request) =>
              Effect.repeat(
                Effect.suspend(() => request(++n)),
                { until: () => performance.now() > until && seen.killed >= 20 }
              ),
            { concurrency: "unbounded", discard: true }
          )
          isOver = true
          yield* Fiber.join(storm)

          // Every connection that was killed is known to be dead, be it that it was not yet ready.
          const totals = pool.admission.observer
          const lost = () => totals.destroyed.invalidated + totals.destroyed.unhealthy + totals.createFailed
          yield* eventually(() => lost() >= seen.killed)
          assert.strictEqual(lost(), seen.killed)
          const done = yield* books.done
          assert.strictEqual(new Set(done).size, done.length)
          assert.sameMembers(done, asked)
          const counted = yield* books.counted
          assert.isAtLeast(counted, told.counted)
          assert.isAtMost(counted, told.counted + told.failed)
          assert.isAtMost(seen.most, 10)
          assert.isAbove(seen.samples, 20)
          report("kills", {
            requests: n,
            killed: seen.killed,
            repeated: told.repeated,
            "failed, not to be repeated": told.failed,
            "of these done": counted - told.counted,
            created: totals.created,
            "most connections": seen.most
          })
        })
      ),
    limit
  )

  it.live("whose answer is lost leave a command done: once if it is guarded, twice if it is repeated as it is", () =>
    Effect.gen(function* () {
      const proxy = yield* FaultProxy.make({ upstream: { host: address.host, port: address.port } })
      yield* withPool(address, { max: 1, via: { ...address, ...proxy.address } }, (pool, observer) =>
        Effect.gen(function* () {
          const books = yield* makeBooks(pool, observer)
          const losingTheAnswer = <A, E, R>(request: Effect.Effect<A, E, R>) =>
            Effect.gen(function* () {
              yield* ConnectionPool.use(pool, ping)
              yield* FaultProxy.cutAfter(proxy, { bytes: 0, direction: "toClient", connections: "open" })
              return yield* request
            })
          assert.strictEqual(yield* losingTheAnswer(retry(books.once("key"))), "key")
          assert.deepStrictEqual(yield* books.done, ["key"])
          // The check above can fail.
          assert.strictEqual(yield* losingTheAnswer(retry(books.count)), 2)
        })
      )
    })
  )

  const faults = {
    "in a blackhole": (proxy: FaultProxy.FaultProxy) => FaultProxy.blackhole(proxy, { connections: "open" }),
    stalled: (proxy: FaultProxy.FaultProxy) => FaultProxy.stall(proxy, { connections: "open" })
  }

  describe.each(Object.entries(faults))("%s", (name, spoil) => {
    it.live("are found by validation, and nobody gets them", () =>
      Effect.gen(function* () {
        const proxy = yield* FaultProxy.make({ upstream: { host: address.host, port: address.port } })
        const validationTimeout = 200
        const options: Options = { max: 3, validate: ping, validateAfterIdle: 0, validationTimeout, health: false }
        yield* withPool(address, { ...options, via: { ...address, ...proxy.address } }, (pool) =>
          Effect.gen(function* () {
            yield* expectHealthy(pool)
            const before = yield* ConnectionPool.connections(pool)
            yield* spoil(proxy)
            const timers = yield* watchTimers
            const { exit, took } = yield* timed(ConnectionPool.use(pool, Effect.succeed))
            assert.isTrue(Exit.isSuccess(exit), String(exit))
            if (Exit.isSuccess(exit)) {
              assert.notInclude(
                before.map(({ connection }) => connection),
                exit.value
              )
            }
            yield* eventually(() => pool.admission.observer.destroyed.validationFailed > 0)
            report(`validation of connections ${name}`, { "validation timeout": validationTimeout, took })
            // They are tried one after the other before a new one is made.
            assert.isBelow(took, 3 * validationTimeout + MARGIN + timers.total)
            yield* FaultProxy.heal(proxy)
          })
        )
      })
    )

    it.live("are found by health checks while nobody asks for them", () =>
      Effect.gen(function* () {
        const proxy = yield* FaultProxy.make({ upstream: { host: address.host, port: address.port } })
        const options: Options = { max: 3, min: 3, health: { check: ping, interval: 100, timeout: 100 } }
        yield* withPool(address, { ...options, via: { ...address, ...proxy.address } }, (pool) =>
          Effect.gen(function* () {
            yield* expectHealthy(pool)
            const before = new Set((yield* ConnectionPool.connections(pool)).map(({ id }) => id))
            yield* spoil(proxy)
            const timers = yield* watchTimers
            const spoiltAt = performance.now()
            yield* Effect.repeat(Effect.andThen(Effect.sleep("2 millis"), ConnectionPool.connections(pool)), {
              until: (all) => all.length === 3 && all.every(({ id }) => !before.has(id))
            })
            const took = performance.now() - spoiltAt
            report(`health checks of connections ${name}`, { connections: 3, took })
            assert.strictEqual(pool.admission.observer.destroyed.unhealthy, 3)
            // A connection is given up after two checks that fail, and no more than two are checked at a time.
            assert.isBelow(took, 2 * 2 * (100 + 100) + 2 * MARGIN + timers.total)
            yield* FaultProxy.heal(proxy)
          })
        )
      })
    )

    it.live("keep a holder no longer than its own timeout, and are gone after it", () =>
      Effect.gen(function* () {
        const proxy = yield* FaultProxy.make({ upstream: { host: address.host, port: address.port } })
        yield* withPool(address, { max: 1, via: { ...address, ...proxy.address } }, (pool, observer) =>
          Effect.gen(function* () {
            const id = yield* ConnectionPool.use(pool, idOf)
            const timers = yield* watchTimers
            for (const end of ["timeout within", "timeout around"] as const) {
              yield* spoil(proxy)
              const stuck =
                end === "timeout within"
                  ? ConnectionPool.use(pool, (client) => Effect.timeout(ping(client), 200))
                  : Effect.timeout(ConnectionPool.use(pool, ping), 200)
              const { exit, took } = yield* timed(stuck)
              assert.isTrue(Exit.isFailure(exit) && Cause.isTimeoutError(Cause.squash(exit.cause)), String(exit))
              assert.isBelow(took, 200 + MARGIN + timers.total)
              assert.notStrictEqual(yield* ConnectionPool.use(pool, idOf), id)
              report(`a stuck command on a connection ${name}, ${end}`, { timeout: 200, took })
            }
            assert.strictEqual(pool.admission.observer.destroyed.unhealthy, 2)
            // The close of a connection gets through when its way is free again.
            yield* FaultProxy.heal(proxy)
            yield* Effect.repeat(observer.clients(pool.name), { until: (ids) => ids.length === 1 })
          })
        )
      })
    )
  })

  it.live(
    "that can't be made, because everything is lost on the way, cost bounded attempts until they can",
    () =>
      Effect.gen(function* () {
        const proxy = yield* FaultProxy.make({ upstream: { host: address.host, port: address.port } })
        const acquireTimeout = 300
        const options: Options = { max: 5, createTimeout: 200, acquireTimeout, validate: ping, validationTimeout: 200 }
        yield* withPool(address, { ...options, via: { ...address, ...proxy.address } }, (pool) =>
          Effect.gen(function* () {
            yield* FaultProxy.blackhole(proxy)
            const timers = yield* watchTimers
            let latest = 0
            let atDeadline = 0
            const caller = Effect.map(timed(ConnectionPool.use(pool, ping)), ({ exit, took }) => {
              assert.isTrue(Exit.isFailure(exit))
              expectTyped(exit)
              latest = Math.max(latest, took - acquireTimeout)
              if (took >= acquireTimeout) atDeadline++
            })
            const until = performance.now() + OUTAGE
            yield* Effect.forEach(
              Array.from({ length: 20 }),
              () =>
                Effect.repeat(Effect.andThen(caller, Effect.sleep("5 millis")), {
                  until: () => performance.now() > until
                }),
              { concurrency: "unbounded" }
            )
            const attempts = pool.admission.observer.createFailed + pool.admission.creating
            yield* FaultProxy.heal(proxy)
            const healedAt = performance.now()
            yield* Effect.retry(ConnectionPool.use(pool, ping), { schedule: Schedule.spaced("5 millis") })
            const back = performance.now() - healedAt
            report("a network that loses everything", {
              outage: OUTAGE,
              attempts,
              "failed at their deadline": atDeadline,
              "latest after it": latest,
              "latest timer": timers.latest,
              back
            })
            assert.isAtLeast(atDeadline, 20)
            assert.isBelow(latest, PUNCTUAL + timers.latest)
            assert.isAtMost(attempts, OUTAGE / 200 + 5)
            assert.isBelow(back, 1000 + MARGIN + timers.total)
          })
        )
      }),
    limit
  )
})
