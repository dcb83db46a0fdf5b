import { Pool, PoolError } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { TestClock } from "effect/testing"
import { atLeast, ContractViolation, equal, includes, says } from "./expect.ts"
import { group, type Plan } from "./plan.ts"
import { ended, settle, type World } from "./world.ts"

const errors = group("PoolError")

/** The pool error that an effect which has to end without time passing, or in `after` milliseconds, fails with. */
const errorOf = Effect.fnUntraced(function* (world: World, effect: Effect.Effect<unknown, unknown>, after = 0) {
  const fiber = yield* world.start(Effect.flip(effect))
  yield* TestClock.adjust(after)
  const exit = yield* ended("the caller", fiber)
  const error: unknown = exit._tag === "Success" ? exit.value : exit
  if (error instanceof PoolError.PoolError) return error
  return yield* new ContractViolation({ what: "the caller's failure", expected: "a PoolError", actual: error })
})

/** What is true of every reason. */
const expectSound = Effect.fnUntraced(function* (
  world: World,
  error: PoolError.PoolError,
  reason: string,
  isRetryable: boolean
) {
  yield* equal("tag", error._tag, "PoolError")
  yield* equal("reason", error.reason._tag, reason)
  yield* equal("pool", [error.pool, error.reason.pool], [world.pool.name, world.pool.name])
  yield* equal("isRetryable", [error.isRetryable, error.reason.isRetryable], [isRetryable, isRetryable])
  yield* says("message", error.message, `"${world.pool.name}"`)
  const json = JSON.parse(JSON.stringify(Schema.encodeUnknownSync(PoolError.PoolError)(error)))
  const back = Schema.decodeUnknownSync(PoolError.PoolError)(json)
  yield* equal("message after a round trip through JSON", back.message, error.message)
  const caught = Effect.fail(error).pipe(Effect.catchTag("PoolError", (it) => Effect.succeed(it.reason._tag)))
  yield* equal("caught by its tag", yield* caught, reason)
})

export const plans: ReadonlyArray<Plan> = [
  errors.pool(
    "AcquireTimeout says how long it waited, and how the pool was",
    { needs: ["waiting"], max: 2, maxCreating: 2, name: "timed" },
    (world) =>
      Effect.gen(function* () {
        yield* TestClock.adjust(1000)
        const [holder] = yield* world.holdMany(1)
        yield* TestClock.adjust(40)
        yield* world.holdMany(1)
        const error = yield* errorOf(
          world,
          world.use(() => Effect.void, { acquireTimeout: 60 }),
          60
        )
        yield* expectSound(world, error, "AcquireTimeout", true)
        const reason = error.reason as PoolError.AcquireTimeout
        yield* includes("reason", reason, { phase: "queue", waited: 60 })
        yield* includes("explanation", reason.explanation, {
          idle: 0,
          used: 2,
          creating: 0,
          pending: 1,
          max: 2,
          oldestLease: 100,
          heldByCaller: 0
        })
        yield* says("message", error.message, "60 ms")
        yield* says("message", error.message, "2 used")
        yield* holder!.release
        yield* equal("timeouts", world.stats.timeouts, 1)
      })
  ),

  errors.pool(
    "AcquireTimeout tells a fiber that waits for itself, and the log warns",
    { needs: ["waiting"], max: 1 },
    (world) =>
      Effect.gen(function* () {
        const nested = world.use(() => world.use(() => Effect.void, { acquireTimeout: 70 }))
        const error = yield* errorOf(world, nested, 70)
        yield* includes("explanation", (error.reason as PoolError.AcquireTimeout).explanation, {
          heldByCaller: 1,
          oldestLease: 70
        })
        yield* equal("NestedAcquire events", world.tagged("NestedAcquire").length, 1)
        yield* atLeast("log lines", world.logs.length, 1)
        yield* settle
        yield* world.atRest()
      })
  ),

  errors.pool(
    "AcquireTimeout says why the last creation failed, until one succeeds",
    { needs: ["waiting", "time"], max: 2, maxCreating: 2 },
    (world) =>
      Effect.gen(function* () {
        const lastFailure = Effect.gen(function* () {
          const caller = world.use(() => Effect.void, { acquireTimeout: 60 })
          const error = yield* errorOf(world, caller, 60)
          yield* equal("reason", error.reason._tag, "AcquireTimeout")
          return (error.reason as PoolError.AcquireTimeout).explanation.lastCreateFailure
        })
        const [, ends] = yield* world.holdMany(2)
        yield* equal("before any failure", yield* lastFailure, undefined)
        yield* world.invalidate(ends!.value())
        yield* ends!.release
        world.gates.create = "fail"
        const fails = yield* world.start(world.call({ acquireTimeout: 60 }))
        yield* TestClock.adjust(60)
        yield* ended("a caller for whom there is no item", fails)
        world.gates.create = "hang"
        yield* says("after a failure", String(yield* lastFailure), "GateFailure")
        // Longer than the attempt that hangs, and than whatever a pool lets pass between attempts.
        yield* TestClock.adjust("1 minute")
        world.gates.create = "ok"
        const served = yield* world.hold()
        yield* TestClock.adjust("1 minute")
        yield* equal("the next caller has an item", served.item() !== undefined, true)
        yield* equal("after a success", yield* lastFailure, undefined)
      })
  ),

  errors.pool("Exhausted says the max of the moment", { max: 1, name: "exhausted" }, (world) =>
    Effect.gen(function* () {
      yield* world.holdMany(1)
      const call = world.use(() => Effect.void, { acquireTimeout: 0 })
      const error = yield* errorOf(world, call)
      yield* expectSound(world, error, "Exhausted", true)
      yield* includes("reason", error.reason, { max: 1 })
      yield* Pool.resize(world.pool, { max: 2 })
      yield* world.holdMany(1)
      yield* includes("reason after a resize", (yield* errorOf(world, call)).reason, { max: 2 })
      yield* equal("exhausted", world.stats.exhausted, 2)
    })
  ),

  errors.pool("a get that does not wait fails with Exhausted too", { max: 1 }, (world) =>
    Effect.gen(function* () {
      yield* world.holdMany(1)
      const error = yield* errorOf(world, Effect.scoped(world.get({ acquireTimeout: 0 })))
      yield* expectSound(world, error, "Exhausted", true)
    })
  ),

  errors.pool(
    "QueueFull says how many may wait, and a place that comes free can be taken",
    { needs: ["waiting"], max: 1, maxWaiters: 2, name: "full" },
    (world) =>
      Effect.gen(function* () {
        yield* world.holdMany(1)
        const first = yield* world.hold()
        yield* world.hold()
        const error = yield* errorOf(
          world,
          world.use(() => Effect.void)
        )
        yield* expectSound(world, error, "QueueFull", true)
        yield* includes("reason", error.reason, { maxWaiters: 2 })
        yield* equal("pending", world.counts().pending, 2)
        first.fiber.interruptUnsafe()
        yield* settle
        const late = yield* world.hold()
        yield* equal("it waits", late.fiber.pollUnsafe(), undefined)
        yield* equal("pending", world.counts().pending, 2)
      })
  ),

  errors.pool("maxWaiters 0 lets nobody wait", { needs: ["waiting"], max: 1, maxWaiters: 0 }, (world) =>
    Effect.gen(function* () {
      // Where making an item is a wait, the first caller may be turned away as well.
      yield* world.call()
      yield* settle
      yield* world.start(world.use(() => Effect.never))
      yield* settle
      const error = yield* errorOf(
        world,
        world.use(() => Effect.void)
      )
      yield* expectSound(world, error, "QueueFull", true)
    })
  ),

  errors.pool("Suspended is for those who do not wait", { max: 1, name: "suspended" }, (world) =>
    Effect.gen(function* () {
      yield* world.call()
      yield* Pool.suspend(world.pool)
      const error = yield* errorOf(
        world,
        world.use(() => Effect.void, { acquireTimeout: 0 })
      )
      yield* expectSound(world, error, "Suspended", true)
    })
  ),

  errors.pool("Closed is not worth a retry", { max: 1, name: "closed" }, (world) =>
    Effect.gen(function* () {
      yield* world.close
      yield* settle
      const error = yield* errorOf(
        world,
        world.use(() => Effect.void)
      )
      yield* expectSound(world, error, "Closed", false)
    })
  ),

  errors.pool("a reason can be caught by its name", { max: 1 }, (world) =>
    Effect.gen(function* () {
      yield* world.holdMany(1)
      const call = Pool.use(world.pool, () => Effect.succeed("served"), { acquireTimeout: 0 })
      const answer = yield* call.pipe(
        Effect.catchReason("PoolError", "Exhausted", (reason) => Effect.succeed(`at most ${reason.max}`))
      )
      yield* equal("the answer", answer, "at most 1")
    })
  ),

  errors.pool("a failure to make an item reaches the caller as itself", { max: 1, acquireTimeout: 1000 }, (world) =>
    Effect.gen(function* () {
      world.gates.create = "fail"
      const caller = yield* world.start(Effect.flip(world.use(() => Effect.void)))
      yield* TestClock.adjust(1000)
      const exit = yield* ended("the caller", caller)
      const error = exit._tag === "Success" ? exit.value : exit
      // A kind that doesn't wait and makes its items ahead has nothing to hand out.
      if (error instanceof PoolError.PoolError) yield* equal("the reason", error.reason._tag, "Exhausted")
      else yield* includes("the caller's failure", error, { _tag: "GateFailure", at: "create" })
    })
  ),

  errors.pool("an error of the body that looks like the pool's own is the body's", { max: 1 }, (world) =>
    Effect.gen(function* () {
      const foreign = PoolError.make(() => new PoolError.Closed({ pool: "another" }))
      const error = yield* errorOf(
        world,
        world.use(() => Effect.fail(foreign))
      )
      yield* equal("it is the same", error === foreign, true)
      yield* equal("a caller", (yield* world.call()).answer, "served")
    })
  )
]
