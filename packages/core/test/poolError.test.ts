import { Pool, PoolError } from "@effect-pools/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { fork, open } from "./fake.ts"

const explanation = { idle: 0, used: 2, creating: 1, pending: 7, max: 3, heldByCaller: 0 }

const reasons = {
  AcquireTimeout: new PoolError.AcquireTimeout({ pool: "db", phase: "queue", waited: 5000, explanation }),
  Exhausted: new PoolError.Exhausted({ pool: "db", max: 3 }),
  QueueFull: new PoolError.QueueFull({ pool: "db", maxWaiters: 100 }),
  Suspended: new PoolError.Suspended({ pool: "db" }),
  Closed: new PoolError.Closed({ pool: "db" }),
  BudgetClosed: new PoolError.BudgetClosed({ pool: "db", budget: "files" })
}

const full = new PoolError.AcquireTimeout({
  pool: "db",
  phase: "queue",
  waited: 5000.4,
  explanation: {
    ...explanation,
    oldestLease: 61_000.2,
    oldestLeaseTakenAt: "at listOrders (orders.ts:12:5)",
    lastCreateFailure: "SqlError: too many clients",
    heldByCaller: 2
  }
})

describe("messages", () => {
  it("each reason says the pool and what happened, in a sentence", () => {
    assert.strictEqual(
      reasons.AcquireTimeout.message,
      'Pool "db": no item within 5000 ms (2 used, 0 idle, 1 being created, 7 waiting, max 3)'
    )
    assert.strictEqual(
      reasons.Exhausted.message,
      'Pool "db" has no item to hand out at once (max 3) and the call does not wait'
    )
    const { message } = new PoolError.Exhausted({ pool: "db", max: 3, needs: 4 })
    assert.strictEqual(message, 'Pool "db" has 3 places, and the call needs 4')
    assert.strictEqual(reasons.QueueFull.message, 'Pool "db" has 100 callers waiting already')
    assert.strictEqual(reasons.Suspended.message, 'Pool "db" is suspended and the call does not wait')
    assert.strictEqual(reasons.Closed.message, 'Pool "db" is closed')
  })

  it("a timeout explains itself: wait, state, oldest lease and its place, last failure, self-deadlock", () => {
    assert.strictEqual(
      full.message,
      'Pool "db": no item within 5000 ms (2 used, 0 idle, 1 being created, 7 waiting, max 3);' +
        " the oldest lease is 61000 ms old, taken at listOrders (orders.ts:12:5);" +
        " the last creation failed: SqlError: too many clients;" +
        " this fiber holds 2 of the pool's items while it waits for another, a self-deadlock if every holder does so"
    )
  })

  it("a timeout says the age of the oldest lease also where its place is not known", () => {
    const timeout = new PoolError.AcquireTimeout({
      pool: "db",
      phase: "queue",
      waited: 1,
      explanation: { ...explanation, oldestLease: 5 }
    })
    assert.isTrue(timeout.message.endsWith("; the oldest lease is 5 ms old"))
  })

  it("a timeout leaves what others said as they said it", () => {
    const timeout = new PoolError.AcquireTimeout({
      pool: "db",
      phase: "queue",
      waited: 1,
      explanation: { ...explanation, lastCreateFailure: "Error: a ; b" }
    })
    assert.isTrue(timeout.message.endsWith("; the last creation failed: Error: a ; b"))
  })

  it("a creation that took too long is told from a wait", () => {
    const timeout = new PoolError.AcquireTimeout({ pool: "db", phase: "create", waited: 3000, explanation })
    assert.isTrue(timeout.message.startsWith('Pool "db": creating an item took longer than 3000 ms (2 used,'))
  })

  it("the error speaks with the words of its reason", () => {
    const error = new PoolError.PoolError({ reason: full })
    assert.strictEqual(error.message, full.message)
    assert.strictEqual(error.pool, "db")
    assert.strictEqual(error.cause, full)
    assert.include(String(error), full.message)
  })
})

describe("isRetryable", () => {
  it("is true for every reason but those that are final", () => {
    const retryable = Object.values(reasons).map((reason) => [
      reason._tag,
      new PoolError.PoolError({ reason }).isRetryable
    ])
    assert.deepStrictEqual(Object.fromEntries(retryable), {
      AcquireTimeout: true,
      Exhausted: true,
      QueueFull: true,
      Suspended: true,
      Closed: false,
      BudgetClosed: false
    })
  })
})

describe("as JSON", () => {
  const codec = Schema.toCodecJson(PoolError.PoolError)

  for (const reason of [...Object.values(reasons), full]) {
    it(`${reason === full ? "an AcquireTimeout with all it can say" : reason._tag} travels and is itself again`, () => {
      const error = new PoolError.PoolError({ reason })
      const text = JSON.stringify(Schema.encodeSync(codec)(error))
      const back = Schema.decodeUnknownSync(codec)(JSON.parse(text))
      assert.instanceOf(back, PoolError.PoolError)
      assert.strictEqual(back.reason._tag, reason._tag)
      assert.strictEqual(back.message, error.message)
      assert.strictEqual(back.isRetryable, error.isRetryable)
      assert.deepStrictEqual(JSON.parse(JSON.stringify(Schema.encodeSync(codec)(back))), JSON.parse(text))
    })
  }
})

describe("make", () => {
  it("captures no stack, and leaves the limit of others as it was", () => {
    const limit = Error.stackTraceLimit
    const error = PoolError.make(() => new PoolError.Closed({ pool: "db" }))
    assert.notInclude(error.stack ?? "", "    at ")
    assert.notInclude(error.reason.stack ?? "", "    at ")
    assert.strictEqual(Error.stackTraceLimit, limit)
    assert.throws(() =>
      PoolError.make(() => {
        throw new Error("oops")
      })
    )
    assert.strictEqual(Error.stackTraceLimit, limit)
  })

  it("works where the limit cannot be set", () => {
    const limit = Object.getOwnPropertyDescriptor(Error, "stackTraceLimit")!
    Object.defineProperty(Error, "stackTraceLimit", { ...limit, writable: false })
    try {
      assert.strictEqual(PoolError.make(() => new PoolError.Closed({ pool: "db" })).pool, "db")
    } finally {
      Object.defineProperty(Error, "stackTraceLimit", limit)
    }
  })
})

describe("a pool's own errors", () => {
  it.effect("a timeout carries the state of that moment", () =>
    Effect.gen(function* () {
      const pool = yield* open({ name: "db", max: 1, acquireTimeout: 5000 })
      yield* fork(Pool.use(pool, () => Effect.never))
      yield* TestClock.adjust(100)
      pool.store.failure = "Error: no more"
      const waiting = yield* fork(Effect.flip(Pool.use(pool, () => Effect.void)))
      yield* fork(Pool.use(pool, () => Effect.void, { acquireTimeout: "1 minute" }))
      yield* TestClock.adjust(5000)
      const error = yield* Fiber.join(waiting)
      assert(error.reason._tag === "AcquireTimeout")
      assert.strictEqual(error.reason.waited, 5000)
      assert.strictEqual(error.reason.phase, "queue")
      assert.deepStrictEqual(error.reason.explanation, {
        idle: 0,
        used: 1,
        creating: 0,
        pending: 2,
        max: 1,
        oldestLease: 5100,
        oldestLeaseTakenAt: undefined,
        lastCreateFailure: "Error: no more",
        budget: undefined,
        heldByCaller: 0
      })
    })
  )

  it.effect("a timeout tells of the oldest lease, whichever item it is on", () =>
    Effect.gen(function* () {
      const pool = yield* open({ max: 2, acquireTimeout: 1000 })
      const first = yield* fork(Pool.use(pool, () => Effect.never))
      yield* TestClock.adjust(100)
      yield* fork(Pool.use(pool, () => Effect.never))
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust(100)
      // The first item has the youngest lease.
      yield* fork(Pool.use(pool, () => Effect.never))
      const waiting = yield* fork(Effect.flip(Pool.use(pool, () => Effect.void)))
      yield* TestClock.adjust(1000)
      const error = yield* Fiber.join(waiting)
      assert(error.reason._tag === "AcquireTimeout")
      assert.strictEqual(error.reason.explanation.oldestLease, 1100)
    })
  )

  it.effect("can be caught by tag and by reason", () =>
    Effect.gen(function* () {
      const pool = yield* open({ max: 1 })
      yield* fork(Pool.use(pool, () => Effect.never))
      const failing = Pool.use(pool, () => Effect.succeed("used"), { acquireTimeout: 0 })
      assert.strictEqual(yield* Effect.catchTag(failing, "PoolError", (error) => Effect.succeed(error.pool)), "fakes")
      assert.strictEqual(
        yield* Effect.catchReason(failing, "PoolError", "Exhausted", ({ max }) => Effect.succeed(`max ${max}`)),
        "max 1"
      )
      const other = yield* Effect.flip(
        Effect.catchReason(failing, "PoolError", "QueueFull", () => Effect.succeed("full"))
      )
      assert.strictEqual(other._tag, "PoolError")
    })
  )

  it.effect("say the new max after a resize", () =>
    Effect.gen(function* () {
      const pool = yield* open({ max: 1 })
      yield* fork(Pool.use(pool, () => Effect.never))
      const failing = Effect.flip(Pool.use(pool, () => Effect.void, { acquireTimeout: 0 }))
      assert.include((yield* failing).message, "(max 1)")
      yield* Pool.resize(pool, { max: 2 })
      yield* fork(Pool.use(pool, () => Effect.never))
      assert.include((yield* failing).message, "(max 2)")
    })
  )
})
