import { ConnectionPool } from "@effect-pools/connection"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { Backend, fork, hold, loggingTo, now, touch } from "./backend.ts"

const unshowable: ReadonlyArray<readonly [string, unknown]> = [
  ["an object without a prototype", Object.create(null)],
  ["an object whose toString is no function", { toString: "x" }],
  [
    "an object whose toString throws",
    {
      toString() {
        throw new Error("no words")
      }
    }
  ]
]

describe("an error that cannot be shown", () => {
  for (const [name, error] of unshowable) {
    it.effect(`of a creation loses no slot and no deadline: ${name}`, () =>
      Effect.gen(function* () {
        let isDown = true
        const pool = yield* ConnectionPool.make({
          acquire: Effect.suspend(() => (isDown ? Effect.fail(error) : Effect.succeed("connection"))),
          max: 1,
          acquireTimeout: "1 second"
        })
        const first = yield* fork(ConnectionPool.use(pool, () => Effect.void))
        yield* TestClock.adjust("1 second")
        assert.isTrue(Exit.isFailure(yield* Fiber.await(first)))
        isDown = false
        yield* TestClock.adjust("1 second")
        yield* ConnectionPool.use(pool, () => Effect.void)
        assert.deepInclude(yield* ConnectionPool.stats(pool), { idle: 1, used: 0, creating: 0, destroying: 0 })
      })
    )

    it.effect(`of a validation, a reset or a finalizer loses no slot: ${name}`, () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const pool = yield* ConnectionPool.make({
          acquire: Effect.acquireRelease(
            Effect.sync(() => ({})),
            () => Effect.die(error)
          ),
          max: 1,
          validate: () => Effect.fail(error),
          reset: () => Effect.fail(error),
          acquireTimeout: "1 second"
        }).pipe(Scope.provide(scope))
        for (let i = 0; i < 3; i++) {
          yield* ConnectionPool.use(pool, () => Effect.void)
          yield* TestClock.adjust("1 second")
        }
        yield* Scope.close(scope, Exit.void)
        assert.deepInclude(yield* ConnectionPool.stats(pool), { state: "closed", size: 0, destroying: 0 })
      })
    )
  }
})

describe("a listener that interrupts who has just been served", () => {
  it.effect("leaves the connection to the next, and its counts as they are", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make({ acquire: Effect.succeed("connection"), max: 1 })
      const holder = yield* fork(ConnectionPool.use(pool, () => Effect.never))
      const waiter = yield* fork(ConnectionPool.use(pool, () => Effect.never))
      const unlisten = pool.admission.observer.listen(
        ({ _tag }) => _tag === "LeaseAcquired" && waiter.interruptUnsafe()
      )
      yield* Fiber.interrupt(holder)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(waiter)))
      unlisten()
      const during = yield* ConnectionPool.use(pool, () => ConnectionPool.stats(pool))
      assert.deepInclude(during, { idle: 0, used: 1 })
      assert.deepInclude(yield* ConnectionPool.stats(pool), { idle: 1, used: 0 })
    })
  )
})

describe("a fiber whose observer throws", () => {
  it.live("stops neither the waiters behind it nor those of other pools", () =>
    Effect.gen(function* () {
      const thrown: Array<unknown> = []
      const onThrown = (error: unknown): void => void thrown.push(error)
      const listeners = process.listeners("uncaughtException")
      process.removeAllListeners("uncaughtException")
      process.on("uncaughtException", onThrown)
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          process.off("uncaughtException", onThrown)
          for (const listener of listeners) process.on("uncaughtException", listener)
        })
      )
      const one = yield* ConnectionPool.make({ acquire: Effect.succeed("one"), max: 1 })
      const other = yield* ConnectionPool.make({ acquire: Effect.succeed("other"), max: 1 })
      const taken = [yield* hold(one), yield* hold(other)]
      const hostile = Effect.runFork(ConnectionPool.use(one, () => Effect.void))
      hostile.addObserver(() => {
        throw new Error("the observer's own bug")
      })
      const behind = yield* fork(ConnectionPool.use(one, Effect.succeed))
      const elsewhere = yield* fork(ConnectionPool.use(other, Effect.succeed))
      for (const { release } of taken) yield* release()
      assert.strictEqual(yield* Fiber.join(behind), "one")
      assert.strictEqual(yield* Fiber.join(elsewhere), "other")
      // Thrown on, where the process can see it.
      while (thrown.length === 0) yield* Effect.yieldNow
      assert.match(String(thrown[0]), /the observer's own bug/)
    })
  )
})

describe("more hand-overs in a row than a turn has room for", () => {
  it.live("all happen, one after the other", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make({ acquire: Effect.succeed("connection"), max: 1 })
      const { release } = yield* hold(pool)
      let served = 0
      const waiting = yield* fork(
        Effect.forEach(
          Array.from({ length: 5000 }),
          () => ConnectionPool.use(pool, () => Effect.sync(() => void served++)),
          { concurrency: "unbounded", discard: true }
        )
      )
      while (pool.admission.pending < 5000) yield* Effect.yieldNow
      yield* release()
      yield* Fiber.join(waiting)
      assert.strictEqual(served, 5000)
    })
  )
})

describe("a connection whose bodies fail", () => {
  it.effect(
    "counts as proven by those that succeed alone: a dead one is validated though it is used all the time",
    () =>
      Effect.gen(function* () {
        const backend = new Backend()
        let isDead = false
        let validations = 0
        const pool = yield* ConnectionPool.make({
          acquire: backend.connect,
          validate: () => Effect.suspend(() => (validations++, isDead ? Effect.fail("dead") : Effect.void))
        })
        yield* touch(pool)
        isDead = true
        const failing = Effect.exit(
          ConnectionPool.use(pool, ({ id }) => (id === 1 ? Effect.fail("dead") : Effect.void))
        )
        const results: Array<boolean> = []
        for (let i = 0; i < 10; i++) {
          results.push(Exit.isSuccess(yield* failing))
          yield* TestClock.adjust(200)
        }
        assert.isAtMost(results.indexOf(true), 3)
        assert.isAtLeast(validations, 1)
      })
  )
})

describe("code that calls back into the pool", () => {
  it.effect("a finalizer that invalidates the next connection does not stop the close", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const made: Array<{ readonly id: number }> = []
      const pool: ConnectionPool.ConnectionPool<{ readonly id: number }> = yield* ConnectionPool.make({
        acquire: Effect.acquireRelease(
          Effect.sync(() => {
            const connection = { id: made.length + 1 }
            made.push(connection)
            return connection
          }),
          // As a client does that closes all its channels with the first.
          () => Effect.sync(() => made.forEach((connection) => ConnectionPool.invalidateUnsafe(pool, connection)))
        ),
        min: 3
      }).pipe(Scope.provide(scope))
      yield* TestClock.adjust(1)
      yield* Scope.close(scope, Exit.void)
      const stats = yield* ConnectionPool.stats(pool)
      assert.deepInclude(stats, { state: "closed", size: 0, created: 3 })
    })
  )

  it.effect("an acquire that drains the pool ends the refilling of min", () =>
    Effect.gen(function* () {
      let attempts = 0
      const pool: ConnectionPool.ConnectionPool<string> = yield* ConnectionPool.make({
        acquire: Effect.suspend((): Effect.Effect<string> => {
          attempts++
          return pool === undefined
            ? Effect.succeed("early")
            : Effect.as(Effect.forkDetach(ConnectionPool.drain(pool), { startImmediately: true }), "late")
        }),
        min: 0,
        max: 5
      })
      yield* ConnectionPool.resize(pool, { min: 5 })
      yield* TestClock.adjust("1 second")
      assert.isAtMost(attempts, 5)
      assert.deepInclude(yield* ConnectionPool.stats(pool), { state: "closed", size: 0 })
    })
  )

  it.effect("a body that returns no effect is a defect, and gives its connection back", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make({ acquire: Effect.succeed("connection"), max: 1 })
      const exit = yield* Effect.exit(
        ConnectionPool.use(pool, (() => undefined) as unknown as () => Effect.Effect<void>)
      )
      assert.isTrue(Exit.isFailure(exit))
      assert.deepInclude(yield* ConnectionPool.stats(pool), { used: 0, idle: 1, acquired: 1, released: 1 })
    })
  )
})

describe("callers that do not wait", () => {
  for (const options of [{ acquireTimeout: 0 }, { maxWaiters: 0 }] as const) {
    it.effect(`find nothing in an empty pool, but those after them do: ${JSON.stringify(options)}`, () =>
      Effect.gen(function* () {
        const backend = new Backend()
        const pool = yield* ConnectionPool.make({ acquire: backend.connect, ...options })
        assert.isTrue(Exit.isFailure(yield* Effect.exit(touch(pool))))
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* touch(pool), 1)
      })
    )
  }
})

describe("callers that do not wait for a validation", () => {
  for (const options of [{ acquireTimeout: 0 }, { maxWaiters: 0 }] as const) {
    it.effect(`have it done for those after them: ${JSON.stringify(options)}`, () =>
      Effect.gen(function* () {
        const backend = new Backend()
        const pool = yield* ConnectionPool.make({
          acquire: backend.connect,
          max: 4,
          validate: () => Effect.sleep(1),
          health: false,
          ...options
        })
        yield* Effect.exit(touch(pool))
        for (let i = 0; i < 10; i++) {
          yield* TestClock.adjust("2 seconds")
          yield* Effect.exit(touch(pool))
          yield* TestClock.adjust(100)
          assert.strictEqual(yield* touch(pool), 1)
        }
        assert.strictEqual((yield* ConnectionPool.stats(pool)).created, 1)
      })
    )
  }

  it.effect("make no connections while the pool is suspended", () =>
    Effect.gen(function* () {
      const backend = new Backend()
      const pool = yield* ConnectionPool.make({ acquire: backend.connect, max: 5, maxWaiters: 0 })
      yield* ConnectionPool.suspend(pool)
      for (let i = 0; i < 10; i++) yield* Effect.exit(touch(pool))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* ConnectionPool.stats(pool)).created, 0)
    })
  )
})

describe("attempts side by side", () => {
  it.effect("a success between two failures strands nobody", () =>
    Effect.gen(function* () {
      // How long each attempt takes, and whether it succeeds.
      const plan: ReadonlyArray<readonly [number, boolean]> = [
        [5, false],
        [10, true],
        [10, false],
        [10, true]
      ]
      let attempt = 0
      const pool = yield* ConnectionPool.make({
        acquire: Effect.suspend(() => {
          const [time, succeeds] = plan[attempt++] ?? [1, true]
          return Effect.andThen(Effect.sleep(time), succeeds ? Effect.succeed(attempt) : Effect.fail("down"))
        }),
        max: 3,
        createRetry: Schedule.spaced("5 seconds")
      })
      const callers = [yield* fork(hold(pool)), yield* fork(hold(pool)), yield* fork(hold(pool))]
      yield* TestClock.adjust("10 seconds")
      for (const caller of callers) assert.isDefined(caller.pollUnsafe())
    })
  )

  it.effect("the breaker probes at its pace, also when the schedule has put the next attempt far off", () =>
    Effect.gen(function* () {
      const attempts: Array<number> = []
      const pool = yield* ConnectionPool.make({
        acquire: Effect.flatMap(
          Effect.map(now, (at) => attempts.push(at)),
          () => Effect.andThen(Effect.sleep(attempts.length), Effect.fail("down"))
        ),
        max: 2,
        breaker: { failures: 2, probeInterval: "500 millis" },
        createRetry: Schedule.spaced("30 seconds")
      })
      for (let i = 0; i < 2; i++) yield* fork(Effect.exit(ConnectionPool.use(pool, () => Effect.void)))
      yield* TestClock.adjust("2 seconds")
      assert.isAtLeast(attempts.length, 4)
    })
  )
})

it.effect("idle connections that serve one lease each are validated side by side", () =>
  Effect.gen(function* () {
    const backend = new Backend()
    const pool = yield* ConnectionPool.make({
      acquire: backend.connect,
      min: 4,
      max: 4,
      maxCreating: 4,
      concurrency: 10,
      maxUses: 1,
      health: false,
      validate: () => Effect.sleep(200)
    })
    yield* TestClock.adjust("1 second")
    const callers = yield* fork(
      Effect.forEach(Array.from({ length: 4 }), () => touch(pool), { concurrency: "unbounded" })
    )
    yield* TestClock.adjust(200)
    // One after the other they would take 800 ms.
    assert.strictEqual((yield* Fiber.join(callers)).length, 4)
  })
)

it.effect("a connection whose check is stuck is nobody's, also not a listener's", () =>
  Effect.gen(function* () {
    const backend = new Backend()
    const pool = yield* ConnectionPool.make({
      acquire: backend.connect,
      max: 1,
      health: { check: () => Effect.uninterruptible(Effect.never) }
    })
    yield* touch(pool)
    const taken: Array<unknown> = []
    pool.admission.observer.listen((event) => {
      if (event._tag !== "ItemHealth") return
      Effect.runFork(ConnectionPool.use(pool, ({ id }) => Effect.sync(() => void taken.push(id))))
    })
    yield* TestClock.adjust("40 seconds")
    assert.notInclude(taken, 1)
  })
)

describe("a schedule without delay", () => {
  it.effect("is slowed down to the breaker's pace once it is open", () =>
    Effect.gen(function* () {
      let attempts = 0
      const pool = yield* ConnectionPool.make({
        acquire: Effect.suspend(() => (attempts++, Effect.fail("down"))),
        createRetry: Schedule.forever
      })
      const caller = yield* fork(Effect.exit(ConnectionPool.use(pool, () => Effect.void)))
      yield* TestClock.adjust("1 second")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(caller)))
      const before = attempts
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(attempts - before, 20)
    })
  )

  it.effect("that never decides ends with createTimeout", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make({
        acquire: Effect.fail("down"),
        createTimeout: "1 second",
        createRetry: Schedule.spaced(1).pipe(Schedule.modifyDelay(() => Effect.never))
      })
      const caller = yield* fork(Effect.exit(ConnectionPool.use(pool, () => Effect.void)))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Effect.flip(Effect.flatten(Fiber.join(caller))), "down")
    })
  )
})

describe("closing", () => {
  it.effect("tells why a creation that it called off died", () =>
    Effect.gen(function* () {
      const logs: Array<string> = []
      const scope = yield* Scope.make()
      const pool = yield* ConnectionPool.make({
        acquire: Effect.onInterrupt(Effect.never, () => Effect.die(new Error("licence revoked"))),
        min: 1
      }).pipe(Scope.provide(scope), loggingTo(logs))
      const events = yield* fork(Stream.runCollect(ConnectionPool.events(pool)))
      yield* TestClock.adjust(1)
      yield* Scope.close(scope, Exit.void)
      const failed = (yield* Fiber.join(events)).find((event) => event._tag === "ItemCreateFailed")
      assert.match((failed as { readonly cause: string }).cause, /licence revoked/)
      assert.isTrue(logs.some((line) => line.includes("could not be made")))
    })
  )

  it.effect("by a drain goes on when the fiber that asked for it is interrupted", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make({ acquire: Effect.succeed("connection") })
      const { release } = yield* hold(pool)
      const draining = yield* fork(ConnectionPool.drain(pool))
      yield* Fiber.interrupt(draining)
      yield* release()
      yield* TestClock.adjust(1)
      assert.deepInclude(yield* ConnectionPool.stats(pool), { state: "closed", size: 0 })
    })
  )
})

it.effect("connections that serve one lease each are made side by side, however many leases might share one", () =>
  Effect.gen(function* () {
    const backend = new Backend()
    backend.connectTime = 50
    const pool = yield* ConnectionPool.make({
      acquire: backend.connect,
      concurrency: 10,
      maxUses: 1,
      maxCreating: Infinity
    })
    const callers = yield* fork(
      Effect.forEach(Array.from({ length: 10 }), () => touch(pool), { concurrency: "unbounded" })
    )
    yield* TestClock.adjust(50)
    assert.strictEqual((yield* Fiber.join(callers)).length, 10)
  })
)
