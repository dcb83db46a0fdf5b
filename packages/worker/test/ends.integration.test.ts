import { InstancePool } from "@effect-pools/instance"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { WorkerInstancePool } from "@effect-pools/worker"
import { atRest, fork, outcome, type Options, scripts, type Worker, withPool } from "./support.ts"

/** In one lease: the end, what it does to the other calls of the worker, and to later ones; then that of a new lease. */
const expectEnd = (end: (worker: Worker) => Effect.Effect<unknown, unknown>, reason: object, more: Options = {}) =>
  withPool({ max: 1, ...more }, (pool) =>
    Effect.gen(function* () {
      yield* InstancePool.use(pool, (worker) =>
        Effect.gen(function* () {
          const waiting = yield* fork(outcome(worker.Wait()))
          const reading = yield* fork(outcome(Stream.runDrain(worker.Numbers({ count: 1e9 }))))
          yield* worker.Double({ n: 1 })
          expect(yield* outcome(end(worker))).toMatchObject({ pool: pool.name, ...reason })
          expect(yield* Fiber.join(waiting)).toMatchObject(reason)
          expect(yield* Fiber.join(reading)).toMatchObject(reason)
          expect(yield* outcome(worker.Double({ n: 1 }))).toMatchObject(reason)
          expect(yield* outcome(Stream.runCollect(worker.Numbers({ count: 1 })))).toMatchObject(reason)
        })
      )
      const stats = yield* InstancePool.stats(pool)
      expect(stats.destroyed).toMatchObject({ invalidated: 1 })
      yield* atRest(pool)
      expect(yield* InstancePool.use(pool, (worker) => worker.Double({ n: 21 }))).toBe(42)
    })
  )

describe("a worker ends with", () => {
  it.live("CallTimeout if it owes an answer for too long, whatever it does", () =>
    Effect.gen(function* () {
      const soon = WorkerInstancePool.withCallTimeout("300 millis")
      yield* expectEnd((worker) => soon(worker.Spin()), { _tag: "CallTimeout", rpc: "Spin", timeout: 300 })
      yield* expectEnd((worker) => soon(worker.Stuck()), { _tag: "CallTimeout", rpc: "Stuck", timeout: 300 })
    })
  )

  it.live("OutOfMemory if its heap is exhausted", () =>
    expectEnd(
      (worker) => worker.Hoard(),
      { _tag: "OutOfMemory", cause: { code: "ERR_WORKER_OUT_OF_MEMORY" } },
      { resourceLimits: { maxOldGenerationSizeMb: 24 } }
    )
  )

  it.live("Exited if it calls process.exit", () =>
    Effect.gen(function* () {
      yield* expectEnd((worker) => worker.Exit({ code: 0 }), { _tag: "Exited", code: 0 })
      yield* expectEnd((worker) => worker.Exit({ code: 3 }), { _tag: "Exited", code: 3 })
    })
  )

  it.live("Crashed if it throws where nobody catches it", () =>
    Effect.gen(function* () {
      const crashed = { _tag: "Crashed", cause: new Error("boom") }
      yield* expectEnd((worker) => worker.ThrowLater({ message: "boom" }), crashed)
      yield* expectEnd((worker) => worker.Reject({ message: "boom" }), crashed)
    })
  )

  it.live("Crashed if what it throws can't be put in words", () =>
    Effect.gen(function* () {
      const value = { toString: 1 }
      const crashed = {
        _tag: "Crashed",
        cause: value,
        message: expect.stringContaining("the worker crashed: { toString: 1 }")
      }
      yield* expectEnd((worker) => worker.Throw({ value }), crashed)
    })
  )

  it.live("Crashed if it floods the process, before its call runs over its time", () =>
    Effect.gen(function* () {
      const crashed = { _tag: "Crashed" }
      const ofNobody = [1, { _tag: "Chunk", requestId: "nobody", values: [1] }]
      yield* expectEnd((worker) => worker.Flood({ message: ofNobody }), crashed)
      yield* expectEnd((worker) => worker.Flood({ message: [0] }), crashed)
    })
  )

  it.live("NotSendable if a payload or a result can't be passed between threads", () =>
    Effect.gen(function* () {
      const value = { call: () => 1 }
      yield* expectEnd((worker) => worker.Echo({ value }), { _tag: "NotSendable", direction: "request" })
    })
  )

  it.live("the end that its handlers bring about", () =>
    withPool({ spawn: scripts.sandbox, max: 1, onExhausted: "wait" }, (pool) => {
      const endOf = (end: (worker: Worker) => Effect.Effect<unknown, unknown>) => outcome(InstancePool.use(pool, end))
      return Effect.gen(function* () {
        const defect = { toString: 1 }
        expect(yield* endOf((worker) => worker.Die({ defect }))).toMatchObject({ _tag: "Crashed", cause: defect })
        const cause = new Error("a call was interrupted, and not by its caller")
        expect(yield* endOf((worker) => worker.GiveUp())).toMatchObject({ _tag: "Crashed", cause })
        const response = { _tag: "NotSendable", direction: "response" }
        expect(yield* endOf((worker) => worker.Unsendable())).toMatchObject(response)
      })
    })
  )
})
