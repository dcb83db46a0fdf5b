/** How connections are made, and what becomes of attempts that fail. */
import { ConnectionPool } from "@effect-pools/connection"
import { describe, expect, it } from "@effect/vitest"
import { Gates } from "@effect-pools/testing"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Tracer from "effect/Tracer"
import { TestClock } from "effect/testing"
import { failures, hold, open, settle, tags, type World } from "./support.ts"

/** A caller that asks again as soon as it is answered. */
const impatient = (world: World, options?: { readonly acquireTimeout: number }) => {
  const use = ConnectionPool.use(world.pool, () => Effect.void, options)
  return Effect.forkChild(Effect.forever(Effect.andThen(Effect.exit(use), Effect.sleep(1))), { startImmediately: true })
}

const over = Schedule.recurs(0)

describe("attempts that fail", () => {
  it.effect("side by side are one step of the schedule", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, createRetry: Schedule.exponential("100 millis"), breaker: false })
      world.gates.create = { late: 100, ending: "fail" }
      yield* Effect.forEach([1, 2], () => hold(world))
      yield* TestClock.adjust(1000)
      expect(world.gates.attemptedAt).toEqual([0, 0, 200, 500, 1000])
    })
  )

  it.effect("are made up for at the breaker's pace for the sake of min, when the schedule is over", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      gates.create = "fail"
      const world = yield* open({ min: 1, createRetry: over, breaker: { failures: 100, probeInterval: 400 } }, gates)
      yield* TestClock.adjust(1000)
      expect(gates.attemptedAt).toEqual([0, 400, 800])
      // That a schedule ends is no failure of it.
      expect(failures(world)).toEqual([])
    })
  )

  it.effect("go on at that pace while other connections serve, when the schedule is over", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, createRetry: over, breaker: { failures: 100, probeInterval: 400 } })
      const holder = yield* hold(world)
      yield* settle
      world.gates.create = "fail"
      const waiter = yield* hold(world)
      yield* TestClock.adjust(1000)
      expect(world.gates.attemptedAt).toEqual([0, 0, 400, 800])
      yield* holder.release
      yield* waiter.release
    })
  )

  it.effect("are probes once the breaker is open, also when the schedule is over, whoever asks", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, createRetry: over, breaker: { failures: 1, probeInterval: 400 } })
      world.gates.create = "fail"
      const asking = [yield* impatient(world), yield* impatient(world, { acquireTimeout: 0 })]
      yield* TestClock.adjust(1000)
      expect(world.gates.attemptedAt).toEqual([0, 400, 800])
      for (const caller of asking) yield* Fiber.interrupt(caller)
    })
  )

  it.effect("that open the breaker are followed by the first probe at its pace, not at once", () =>
    Effect.gen(function* () {
      const createRetry = Schedule.spaced("1 hour")
      const world = yield* open({ max: 2, createRetry, breaker: { failures: 2, probeInterval: 400 } })
      world.gates.create = { late: 100, ending: "fail" }
      yield* Effect.forEach([1, 2], () => hold(world))
      yield* TestClock.adjust(1000)
      expect(world.gates.attemptedAt).toEqual([0, 0, 500, 1000])
      expect(world.logs.filter((line) => line.includes("can be made again"))).toEqual([])
      world.gates.create = "ok"
      yield* TestClock.adjust(500)
      expect(tags(world)).toContain("BreakerClosed")
      expect(world.logs.filter((line) => line.includes("can be made again")).length).toBe(1)
    })
  )

  it.effect("that open the breaker are followed by what the schedule has set already, if that comes sooner", () =>
    Effect.gen(function* () {
      const createRetry = Schedule.spaced("100 millis")
      const world = yield* open({ max: 2, createRetry, breaker: { failures: 2, probeInterval: 400 } })
      world.gates.create = { late: 100, ending: "fail" }
      yield* Effect.forEach([1, 2], () => hold(world))
      yield* TestClock.adjust(1000)
      expect(world.gates.attemptedAt).toEqual([0, 0, 200, 700])
    })
  )

  it.effect("after a success have a delay of their own, whatever was decided late for those before it", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      // The first decision takes its time, and would have been a long one.
      let decisions = 0
      const createRetry = Schedule.forever.pipe(
        Schedule.modifyDelay(() =>
          ++decisions === 1
            ? Effect.delay(Effect.succeed(Duration.minutes(10)), 200)
            : Effect.succeed(Duration.millis(50))
        )
      )
      const world = yield* open({ max: 2, createRetry, breaker: false }, gates)
      gates.create = 100
      const first = yield* hold(world)
      gates.create = "fail"
      const second = yield* hold(world)
      yield* Fiber.interrupt(second.fiber)
      yield* TestClock.adjust(300)
      yield* ConnectionPool.invalidate(world.pool, gates.items[0]!)
      yield* first.release
      yield* hold(world)
      yield* TestClock.adjust(50)
      expect(gates.attemptedAt).toEqual([0, 0, 300, 350])
    })
  )

  it.effect("beside one that succeeds leave no timer of a later attempt", () =>
    Effect.gen(function* () {
      const forever = { acquireTimeout: Infinity, idleTimeout: Infinity, maxLifetime: Infinity, health: false } as const
      const world = yield* open({ max: 2, createRetry: Schedule.spaced("1 hour"), breaker: false, ...forever })
      world.gates.create = { late: 100, ending: "fail" }
      const first = yield* hold(world)
      world.gates.create = 200
      const second = yield* hold(world)
      yield* TestClock.adjust(150)
      expect(world.left.sleeps).toBeGreaterThan(0)
      yield* TestClock.adjust(10_000)
      for (const { release } of [first, second]) yield* release
      yield* settle
      expect(world.left.sleeps).toBe(0)
    })
  )

  it.effect("see their own failure in the finalizers of what they have opened", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const acquire = Effect.andThen(
        Effect.addFinalizer((exit) => Effect.sync(() => seen.push(exit._tag))),
        Effect.fail(new Gates.GateFailure({ at: "create" }))
      )
      const world = yield* open({ acquire, createRetry: over })
      yield* Effect.exit(ConnectionPool.use(world.pool, () => Effect.void))
      yield* settle
      expect(seen).toEqual(["Failure"])
    })
  )

  it.effect("because they interrupt themselves are defects for those who wait, who are not interrupted", () =>
    Effect.gen(function* () {
      const world = yield* open({ createRetry: over })
      world.gates.create = "interrupt"
      const exit = yield* Effect.exit(ConnectionPool.use(world.pool, () => Effect.void))
      expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toEqual(new Error("acquire was interrupted from within"))
    })
  )
})

it.effect("an attempt is made at its time though the timer rings a little early", () =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    let early = 0n
    const world = yield* open({ createRetry: over, breaker: { failures: 100, probeInterval: 400 } }).pipe(
      Effect.provideService(Clock.Clock, {
        currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
        currentTimeMillis: clock.currentTimeMillis,
        currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
        currentTimeNanos: clock.currentTimeNanos,
        monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe() - early,
        monotonicTimeNanos: Effect.map(clock.monotonicTimeNanos, (nanos) => nanos - early),
        sleep: (duration) => clock.sleep(duration)
      })
    )
    world.gates.create = "fail"
    yield* Effect.exit(ConnectionPool.use(world.pool, () => Effect.void))
    // The schedule is over, and whoever comes next may have an attempt in a millisecond.
    world.gates.create = "ok"
    const waiter = yield* hold(world)
    early = 1n
    yield* TestClock.adjust(2)
    expect(world.gates.attempts).toBe(2)
    yield* waiter.release
  })
)

describe("what was given up", () => {
  const finish = Effect.fnUntraced(function* (world: World, destroy: Gates.Gate) {
    const holder = yield* hold(world)
    yield* settle
    world.gates.destroy = destroy
    yield* ConnectionPool.invalidate(world.pool, holder.got.item!)
    yield* holder.release
    yield* TestClock.adjust(2000)
    return failures(world).map(({ cause }) => cause)
  })

  it.effect("and ends well after all is not told of again, and what fails after all is", () =>
    Effect.gen(function* () {
      const overdue = "took longer than 1000 ms"
      expect(yield* finish(yield* open({ destroyTimeout: 1000 }), 1500)).toEqual([overdue])
      const fails = yield* finish(yield* open({ destroyTimeout: 1000 }), { late: 1500, ending: "die" })
      expect(fails).toEqual([overdue, "Error: destroy died"])
    })
  )

  it.effect("and is interrupted for it is no failure of its own, nor is what ends well by then", () =>
    Effect.gen(function* () {
      for (const create of ["hang", { late: 1500 }] as const) {
        const world = yield* open({ createTimeout: 1000, createRetry: over })
        world.gates.create = create
        yield* Effect.exit(ConnectionPool.use(world.pool, () => Effect.void)).pipe(
          Effect.forkChild({ startImmediately: true })
        )
        yield* TestClock.adjust(2000)
        expect(tags(world)).toContain("ItemCreateFailed")
        expect(failures(world)).toEqual([])
      }
    })
  )

  it.effect("to a failed attempt is called that, for want of a connection", () =>
    Effect.gen(function* () {
      const acquire = Effect.andThen(
        Effect.addFinalizer(() => Effect.die("stuck")),
        Effect.fail(new Gates.GateFailure({ at: "create" }))
      )
      const world = yield* open({ acquire, createRetry: over })
      yield* Effect.exit(ConnectionPool.use(world.pool, () => Effect.void))
      expect(world.logs.filter((line) => line.includes("cleaning up after a failed creation")).length).toBe(1)
    })
  )
})

describe("attempts that a close calls off", () => {
  it.effect("are told as such, and count as no failures", () =>
    Effect.gen(function* () {
      const world = yield* open({ min: 1 })
      world.gates.create = "hang"
      yield* ConnectionPool.resize(world.pool, { min: 2 })
      yield* TestClock.adjust(70)
      yield* world.close
      expect(world.events.filter((event) => event._tag === "ItemCreateFailed")).toMatchObject([
        { took: 70, failures: 0, cause: "called off by the close" }
      ])
      expect(world.pool.admission.observer.createFailed).toBe(0)
    })
  )

  it.effect("open no breaker, if they die of it", () =>
    Effect.gen(function* () {
      const acquire = Effect.onInterrupt(Effect.never, () => Effect.die("of the close"))
      const world = yield* open({ acquire, min: 1, breaker: { failures: 1 } })
      yield* world.close
      expect(tags(world)).toContain("ItemCreateFailed")
      expect(tags(world)).not.toContain("BreakerOpened")
    })
  )

  it.effect("leave no timer of a later attempt, while the last lease is waited for", () =>
    Effect.gen(function* () {
      const createRetry = Schedule.spaced("1 minute")
      const world = yield* open({ max: 2, health: false, createRetry, closeGrace: "10 seconds" })
      const holder = yield* hold(world)
      yield* settle
      world.gates.create = "fail"
      yield* hold(world)
      yield* settle
      yield* Effect.forkChild(world.close, { startImmediately: true })
      yield* settle
      const left = world.left.sleeps
      yield* holder.release
      expect(left).toBe(1)
    })
  )
})

it.effect("a large min is made up for without growing the stack", () =>
  Effect.gen(function* () {
    const world = yield* open({ acquire: Effect.sync(() => new Gates.Item(1)), min: 5000, max: 5000 })
    expect(world.pool.admission.idle).toBe(5000)
  })
)

it.effect("times in the life of a connection are the differences that they say", () =>
  Effect.gen(function* () {
    const world = yield* open({ max: 1 })
    yield* TestClock.adjust(5000)
    world.gates.create = 30
    const holder = yield* hold(world)
    yield* TestClock.adjust(30 + 200)
    yield* ConnectionPool.invalidate(world.pool, holder.got.item!)
    yield* holder.release
    expect(world.events.filter(({ _tag }) => _tag === "ItemCreating" || _tag === "ItemCreated")).toMatchObject([
      { _tag: "ItemCreating", at: 5000 },
      { _tag: "ItemCreated", at: 5030, took: 30 }
    ])
    expect(world.events.filter((event) => event._tag === "ItemDestroyed")).toMatchObject([{ age: 200 }])
    expect((yield* ConnectionPool.stats(world.pool)).create).toMatchObject({ count: 1, max: 30 })
  })
)

it.effect("making a connection is a span of the pool's own, in nobody's trace", () =>
  Effect.gen(function* () {
    const spans: Array<Tracer.NativeSpan> = []
    const tracer = Tracer.make({
      span(options) {
        spans.push(new Tracer.NativeSpan(options))
        return spans.at(-1)!
      }
    })
    const world = yield* open({ max: 1 }).pipe(Effect.withTracer(tracer))
    yield* Effect.withSpan(
      ConnectionPool.use(world.pool, () => Effect.void),
      "request"
    )
    const [span] = spans.filter(({ name }) => name === "pool.create")
    expect(Object.fromEntries(span!.attributes)).toEqual({ "pool.name": world.pool.name })
    expect(span!.parent).toEqual(Option.none())
  })
)

describe("a timeout", () => {
  it.effect("tells of the last failure to make a connection, as long as none was made since", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, acquireTimeout: 1000 })
      const { gates, pool } = world
      const holder = yield* hold(world)
      yield* settle
      /** What a caller is told who finds all connections in use. */
      const told = Effect.gen(function* () {
        const caller = yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, () => Effect.void)), {
          startImmediately: true
        })
        yield* TestClock.adjust(1000)
        const error = yield* Fiber.join(caller)
        return error._tag === "PoolError" && error.reason._tag === "AcquireTimeout"
          ? error.reason.explanation.lastCreateFailure
          : error
      })
      gates.create = "die"
      expect(yield* told).toBe("Error: create died")
      gates.create = "ok"
      yield* TestClock.adjust(10_000)
      const second = yield* hold(world)
      yield* settle
      expect(yield* told).toBeUndefined()
      yield* second.release
      yield* holder.release
    })
  )

  it.effect("of who waits for a first connection is that failure, with any connection there it is a timeout", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 3, acquireTimeout: 1000 })
      const { gates, pool } = world
      gates.create = "fail"
      const told = Effect.gen(function* () {
        const caller = yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, () => Effect.void)), {
          startImmediately: true
        })
        yield* TestClock.adjust(1000)
        return (yield* Fiber.join(caller))._tag
      })
      expect(yield* told).toBe("GateFailure")
      gates.create = "ok"
      yield* TestClock.adjust(10_000)
      const [holder, other] = [yield* hold(world), yield* hold(world)]
      yield* settle
      gates.create = "fail"
      expect(yield* told).toBe("PoolError")
      // As many idle as in use.
      yield* ConnectionPool.suspend(pool)
      yield* other.release
      expect(yield* told).toBe("PoolError")
      yield* holder.release
    })
  )
})
