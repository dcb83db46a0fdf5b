import { InstancePool } from "@effect-pools/instance"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { WorkerInstancePool } from "@effect-pools/worker"
import { atRest, fork, outcome, withPool } from "./support.ts"

/** In milliseconds: when it is to be killed, and by when it has been on any machine. */
const deadline = 1000
const patience = 20_000

describe("a runaway", () => {
  it.live("is killed when its time is up, while the event loop keeps ticking and its neighbours answer", () =>
    withPool({ max: 2 }, (pool) =>
      Effect.scoped(
        Effect.gen(function* () {
          const runaway = yield* InstancePool.get(pool)
          const neighbour = yield* InstancePool.get(pool)
          let answers = 0
          const asking = yield* neighbour.Double({ n: 21 }).pipe(
            Effect.tap((answer) => Effect.sync(() => answer === 42 && answers++)),
            Effect.andThen(Effect.sleep("5 millis")),
            Effect.forever,
            fork
          )
          let ticks = 0
          const ticking = setInterval(() => ticks++, 10)
          const started = performance.now()
          const late = yield* outcome(WorkerInstancePool.withCallTimeout(runaway.Spin(), deadline))
          expect(late).toMatchObject({ _tag: "CallTimeout", rpc: "Spin", timeout: deadline })
          const took = performance.now() - started
          clearInterval(ticking)
          yield* Fiber.interrupt(asking)
          expect(took).toBeGreaterThanOrEqual(deadline - 2)
          expect(took).toBeLessThan(patience)
          expect(ticks).toBeGreaterThan(3)
          expect(answers).toBeGreaterThan(3)
        })
      )
    )
  )

  it.live("whose caller was interrupted is killed all the same, and with its lease at the latest", () =>
    withPool({ callTimeout: "500 millis" }, (pool) =>
      Effect.gen(function* () {
        yield* InstancePool.use(pool, (worker) =>
          Effect.gen(function* () {
            const spinning = yield* fork(worker.Spin())
            yield* Effect.sleep("20 millis")
            yield* Fiber.interrupt(spinning)
            // The worker never comes to this, and the call it still owes has the shorter time left.
            expect(yield* outcome(worker.Double({ n: 1 }))).toMatchObject({ _tag: "CallTimeout", rpc: "Spin" })
          })
        )
        yield* InstancePool.use(pool, (worker) => Effect.timeoutOption(worker.Spin(), "50 millis"))
        yield* InstancePool.use(pool, (worker) =>
          Effect.timeoutOption(Stream.runDrain(worker.Numbers({ count: 9, spinAt: 1 })), "50 millis")
        )
        yield* atRest(pool)
        expect((yield* InstancePool.stats(pool)).destroyed).toMatchObject({ invalidated: 1, released: 2 })
      })
    )
  )

  it.live("is not what has answered in time while the process was too busy to take the answer", () =>
    withPool({ callTimeout: "500 millis" }, (pool) =>
      InstancePool.use(pool, (worker) =>
        Effect.gen(function* () {
          const call = yield* fork(outcome(worker.Nap({ millis: 100 })))
          yield* Effect.sleep("20 millis")
          // Before this the event loop takes messages, after it timers.
          yield* Effect.promise(() => new Promise(setImmediate))
          const until = performance.now() + 1000
          while (performance.now() < until);
          expect(yield* Fiber.join(call)).toBe(100)
        })
      )
    )
  )

  it.live("does not hold up the close of its pool beyond the grace, and its caller is told", () =>
    Effect.gen(function* () {
      const calling = yield* withClosing((pool) => InstancePool.use(pool, (worker) => worker.Spin()))
      expect(yield* Fiber.join(calling)).toMatchObject({ _tag: "LeaseEnded" })
      const reading = yield* withClosing((pool) =>
        InstancePool.use(pool, (worker) => Stream.runDrain(worker.Numbers({ count: 9, spinAt: 0 })))
      )
      expect(yield* Fiber.join(reading)).toMatchObject({ _tag: "LeaseEnded" })
    })
  )
})

/** Closes a pool while a caller of its is under way; the end of the test's time limit is what "never" would be. */
const withClosing = (call: (pool: Parameters<Parameters<typeof withPool>[1]>[0]) => Effect.Effect<unknown, unknown>) =>
  Effect.gen(function* () {
    let fiber: Fiber.Fiber<unknown> | undefined
    yield* withPool({ closeGrace: "100 millis", exitGrace: "20 seconds" }, (pool) =>
      Effect.gen(function* () {
        fiber = yield* Effect.forkDetach(outcome(call(pool)), { startImmediately: true })
        yield* Effect.sleep("1 millis")
        while (pool.admission.used === 0) yield* Effect.sleep("5 millis")
        yield* InstancePool.drain(pool, "100 millis")
      })
    )
    return fiber!
  })
