import { InstancePool } from "@effect-pools/instance"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { atRest, fork, outcome, type Worker, withPool } from "./support.ts"

/** Ticks every 10 ms, and says how late the latest tick was. */
const startTicking = () => {
  let last = performance.now()
  let count = 0
  let latest = 0
  const tick = () => {
    const now = performance.now()
    latest = Math.max(latest, now - last - 10)
    last = now
    count++
  }
  const timer = setInterval(tick, 10)
  return () => {
    clearInterval(timer)
    return { count, latest: Math.round(latest) }
  }
}

/** How late this machine is when one thread runs as fast as it can, and the pool has no part in it. */
const measureMachine = (worker: Worker) =>
  Effect.gen(function* () {
    const stop = startTicking()
    const started = performance.now()
    const spinning = yield* fork(outcome(worker.Spin()))
    yield* Effect.sleep("300 millis")
    const slept = performance.now() - started
    yield* Fiber.interrupt(spinning)
    return { late: Math.round(slept - 300), ...stop() }
  })

/** In milliseconds: what is asked for, and what is allowed on top of twice what the machine takes by itself. */
const deadline = 300
const margin = 50
const noise = 200

describe("a runaway", () => {
  it.live("is killed when its time is up, while the event loop keeps ticking and its neighbours answer", () =>
    withPool({ max: 3, callTimeout: deadline }, (pool) =>
      Effect.gen(function* () {
        const machine = yield* InstancePool.use(pool, measureMachine)
        yield* atRest(pool)

        yield* Effect.scoped(
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
            const stop = startTicking()
            const started = performance.now()
            expect(yield* outcome(runaway.Spin())).toMatchObject({ _tag: "CallTimeout", rpc: "Spin" })
            const over = Math.round(performance.now() - started - deadline)
            const ticks = stop()
            yield* Fiber.interrupt(asking)
            console.log(`killed ${over} ms after its deadline of ${deadline} ms;`, { ticks, answers, machine })
            expect(over).toBeGreaterThanOrEqual(-2)
            expect(over).toBeLessThan(margin + noise + 2 * machine.late)
            expect(ticks.latest).toBeLessThan(margin + noise + 2 * machine.latest)
            expect(ticks.count).toBeGreaterThan(3)
            expect(answers).toBeGreaterThan(3)
          })
        )
      })
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
