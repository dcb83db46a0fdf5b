import { ConnectionPool } from "@effect-pools/connection"
import { Gates, Sandbox } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { isLong } from "./endurance/settings.ts"

const DAYS = isLong ? 365 : 30
const HOUR = 3_600_000
const YEAR = 365 * 24 * HOUR

/** A clock whose two times can be put forward and back, and that counts how often anybody sleeps. */
class Jumping implements Clock.Clock {
  /** In milliseconds. */
  wall = 0
  monotonic = 0
  sleeps = 0
  readonly #clock: Clock.Clock

  constructor(clock: Clock.Clock) {
    this.#clock = clock
  }

  currentTimeMillisUnsafe = () => this.#clock.currentTimeMillisUnsafe() + this.wall
  currentTimeMillis = Effect.sync(() => this.currentTimeMillisUnsafe())
  currentTimeNanosUnsafe = () => this.#clock.currentTimeNanosUnsafe() + BigInt(this.wall) * 1_000_000n
  currentTimeNanos = Effect.sync(() => this.currentTimeNanosUnsafe())
  monotonicTimeNanosUnsafe = () => this.#clock.monotonicTimeNanosUnsafe() + BigInt(this.monotonic) * 1_000_000n
  monotonicTimeNanos = Effect.sync(() => this.monotonicTimeNanosUnsafe())
  sleep = (duration: Duration.Duration) =>
    Effect.suspend(() => {
      this.sleeps++
      return this.#clock.sleep(duration)
    })
}

type Options = Partial<ConnectionPool.Options<Gates.Item, Gates.GateFailure, Scope.Scope>>

const open = (options: (gates: Gates.Gates) => Options) =>
  Effect.gen(function* () {
    const gates = Gates.make()
    const clock = new Jumping(yield* Clock.Clock)
    const sandbox = yield* Effect.provideService(
      Sandbox.open(ConnectionPool.make({ acquire: gates.make, ...options(gates) })),
      Clock.Clock,
      clock
    )
    return { ...sandbox, sandbox, gates, clock }
  })

/** How often a pool sleeps while so many days go by. */
const sleepsIn = (days: number, options: (gates: Gates.Gates) => Options) =>
  Effect.gen(function* () {
    const { clock, pool, sandbox } = yield* open(options)
    // Whether the creation of `min` has ended is looked at after a second.
    yield* TestClock.adjust("10 seconds")
    clock.sleeps = 0
    yield* TestClock.adjust(Duration.days(days))
    const { sleeps } = clock
    yield* sandbox.close
    assert.deepStrictEqual(Sandbox.leftovers(sandbox), [])
    return { sleeps, created: pool.admission.observer.created }
  })

const forever: Options = { idleTimeout: Infinity, maxLifetime: Infinity, health: false }

describe(`a pool at rest for ${DAYS} days`, { timeout: isLong ? 600_000 : 60_000 }, () => {
  it.effect("does not sleep once if nothing is open", () =>
    Effect.gen(function* () {
      const nothing = yield* sleepsIn(DAYS, (gates) => ({
        validate: gates.onValidate,
        keepAlive: "2 minutes",
        health: { interval: "1 second" },
        leakDetection: "1 second"
      }))
      assert.deepStrictEqual(nothing, { sleeps: 0, created: 0 })
    })
  )

  it.effect("does not sleep once if what is open may stay for ever", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* sleepsIn(DAYS, () => ({ ...forever, min: 5 })), { sleeps: 0, created: 5 })
    })
  )

  it.effect("does not look after what is unused and stays for the sake of min", () =>
    Effect.gen(function* () {
      const { sleeps } = yield* sleepsIn(DAYS, () => ({ ...forever, idleTimeout: 100, min: 5 }))
      assert.isAtMost(sleeps, 1)
    })
  )

  it.effect("looks once a period at what is in use, though a check of it would be due long since", () =>
    Effect.gen(function* () {
      const { clock, pool } = yield* open((gates) => ({
        ...forever,
        health: { check: gates.onCheck, interval: "1 minute" }
      }))
      const holder = yield* Effect.forkChild(
        ConnectionPool.use(pool, () => Effect.never),
        { startImmediately: true }
      )
      yield* TestClock.adjust("10 seconds")
      clock.sleeps = 0
      yield* TestClock.adjust("1 hour")
      yield* Fiber.interrupt(holder)
      assert.isAtMost(clock.sleeps, 60)
    })
  )

  it.effect("looks after what is unused as soon as min is lowered", () =>
    Effect.gen(function* () {
      const { gates, pool } = yield* open(() => ({ ...forever, idleTimeout: "1 minute", min: 5 }))
      yield* TestClock.adjust("50 seconds")
      yield* ConnectionPool.use(pool, () => Effect.void)
      yield* TestClock.adjust("5 seconds")
      yield* ConnectionPool.resize(pool, { min: 0 })
      assert.strictEqual(gates.open, 5)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(gates.open, 1)
      yield* TestClock.adjust("50 seconds")
      assert.strictEqual(gates.open, 0)
    })
  )

  it.effect("looks after what is unused as soon as there is more than min", () =>
    Effect.gen(function* () {
      const { gates, pool } = yield* open(() => ({ ...forever, idleTimeout: "1 minute", min: 2 }))
      yield* TestClock.adjust("10 minutes")
      yield* Effect.scoped(Effect.replicateEffect(ConnectionPool.get(pool), 4))
      assert.strictEqual(gates.open, 4)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(gates.open, 2)
    })
  )

  it.effect("sleeps until the next lifetime ends, and a few times when a connection is replaced", () =>
    Effect.gen(function* () {
      const { created, sleeps } = yield* sleepsIn(DAYS, () => ({ min: 2 }))
      // Every 22.5 to 30 minutes each.
      assert.isAtLeast(created, DAYS * 2 * 48)
      assert.isAtMost(created, DAYS * 2 * 64 + 2)
      assert.isAtMost(sleeps, 4 * created)
    })
  )

  it.effect("sleeps from check to check", () =>
    Effect.gen(function* () {
      const days = DAYS / 10
      const { sleeps } = yield* sleepsIn(days, (gates) => ({
        ...forever,
        min: 5,
        health: { interval: "1 minute", check: gates.onCheck }
      }))
      assert.approximately(sleeps, days * 24 * 60, 2)
    })
  )
})

const everything = (gates: Gates.Gates): Options => ({
  min: 2,
  max: 2,
  acquireTimeout: "10 seconds",
  validate: gates.onValidate,
  keepAlive: "2 minutes",
  health: { interval: "30 seconds" },
  leakDetection: "1 minute"
})

/** A pool with one holder for each connection and one caller that waits. */
const inUse = Effect.gen(function* () {
  const world = yield* open(everything)
  const { clock, pool } = world
  yield* Sandbox.settle
  const call = (effect: Effect.Effect<unknown>, options?: { readonly acquireTimeout: Duration.Input }) =>
    Effect.forkChild(
      Effect.provideService(Effect.exit(ConnectionPool.use(pool, () => effect, options)), Clock.Clock, clock),
      { startImmediately: true }
    )
  const holders = [yield* call(Effect.sleep("9 seconds")), yield* call(Effect.sleep("40 seconds"))]
  const patient = yield* call(Effect.void)
  const hasty = yield* call(Effect.void, { acquireTimeout: "5 seconds" })
  yield* TestClock.adjust("2 seconds")
  return { ...world, holders, patient, hasty }
})

const isFinite = (stats: object): boolean =>
  JSON.stringify(stats, (_, value: unknown) => (typeof value === "number" && !(value >= 0) ? "BAD" : value)).includes(
    "BAD"
  ) === false

describe("when the time of day is put", () => {
  for (const [where, by] of [
    ["forward", YEAR],
    ["back", -YEAR]
  ] as const) {
    it.effect(`${where} by a year, deadlines, lifetimes and checks go on as if nothing had happened`, () =>
      Effect.gen(function* () {
        const { clock, gates, hasty, patient, pool, sandbox } = yield* inUse
        clock.wall = by
        yield* TestClock.adjust(2999)
        assert.isUndefined(hasty.pollUnsafe())
        yield* TestClock.adjust(1)
        assert.isTrue(Exit.isFailure(yield* Fiber.join(hasty)))
        yield* TestClock.adjust("4 seconds")
        assert.isTrue(Exit.isSuccess(yield* Fiber.join(patient)))
        yield* TestClock.adjust("20 minutes")
        const stats = yield* ConnectionPool.stats(pool)
        assert.deepInclude(stats, { created: 2, idle: 2, used: 0, timeouts: 1 })
        assert.isTrue(isFinite(stats))
        assert.isAtLeast(gates.checks + gates.validations, 2 * 2 * 19)
        // The time of an event is for people to read.
        assert.isAbove(Math.abs(sandbox.events.at(-1)!.at), YEAR / 2)
        yield* sandbox.close
        assert.deepStrictEqual([...Sandbox.leftovers(sandbox), ...gates.audit(0)], [])
      })
    )

    for (const [name, createRetry] of [
      ["the default", undefined],
      ["a spaced", Schedule.spaced(100)],
      ["a fixed", Schedule.fixed(100)],
      ["a windowed", Schedule.windowed(100)]
    ] as const) {
      it.effect(`${where} by a year during an outage, ${name} schedule goes on with its attempts`, () =>
        Effect.gen(function* () {
          const { clock, gates, pool } = yield* open(() => ({ min: 1, createRetry, breaker: false, health: false }))
          yield* ConnectionPool.use(pool, (item) => ConnectionPool.invalidate(pool, item)).pipe(
            Effect.andThen(Effect.sync(() => (gates.create = "fail")))
          )
          for (const { connection } of yield* ConnectionPool.connections(pool)) {
            yield* ConnectionPool.invalidate(pool, connection)
          }
          yield* TestClock.adjust("1 second")
          clock.wall = by
          yield* TestClock.adjust("10 seconds")
          const { attempts } = gates
          yield* TestClock.adjust("10 seconds")
          assert.isAbove(gates.attempts, attempts)
          gates.allWell()
          yield* TestClock.adjust("10 seconds")
          assert.strictEqual(pool.admission.idle, 1)
        })
      )
    }
  }
})

describe("when the monotonic clock, against its name, goes", () => {
  it.effect("forward by an hour, as after a process was stopped, what is overdue ends and the pool serves", () =>
    Effect.gen(function* () {
      const { clock, gates, hasty, holders, patient, pool, sandbox } = yield* inUse
      clock.monotonic = HOUR
      yield* TestClock.adjust("1 minute")
      for (const caller of [hasty, patient]) assert.isTrue(Exit.isFailure(yield* Fiber.join(caller)))
      for (const holder of holders) assert.isTrue(Exit.isSuccess(yield* Fiber.join(holder)))
      assert.isTrue(Exit.isSuccess(yield* Effect.exit(ConnectionPool.use(pool, () => Effect.void))))
      const stats = yield* ConnectionPool.stats(pool)
      assert.deepInclude(stats, { idle: 2, used: 0, pending: 0, timeouts: 2 })
      assert.strictEqual(stats.destroyed.maxLifetime, 2)
      assert.isTrue(isFinite(stats))
      yield* sandbox.close
      assert.deepStrictEqual([...Sandbox.leftovers(sandbox), ...gates.audit(0)], [])
    })
  )

  it.effect("back by an hour, the pool serves, reports and closes; deadlines are later by that hour at most", () =>
    Effect.gen(function* () {
      const { clock, gates, hasty, patient, pool, sandbox } = yield* inUse
      clock.monotonic = -HOUR
      yield* TestClock.adjust("7 seconds")
      // The first holder is done, and both are served in the same instant.
      for (const caller of [patient, hasty]) assert.isTrue(Exit.isSuccess(yield* Fiber.join(caller)))
      yield* TestClock.adjust("1 minute")
      assert.isTrue(isFinite(yield* ConnectionPool.stats(pool)))
      for (let n = 0; n < 4; n++) {
        assert.isTrue(Exit.isSuccess(yield* Effect.exit(ConnectionPool.use(pool, () => Effect.void))))
      }
      yield* TestClock.adjust("2 hours")
      assert.isTrue(isFinite(yield* ConnectionPool.stats(pool)))
      assert.isAtLeast(pool.admission.observer.destroyed.maxLifetime, 2)
      yield* sandbox.close
      assert.deepStrictEqual([...Sandbox.leftovers(sandbox), ...gates.audit(0)], [])
    })
  )
})
