/** What real threads do too seldom, or too slowly, to be tested with them. */
import { InstancePool } from "@effect-pools/instance"
import { Sandbox as PoolSandbox } from "@effect-pools/testing"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import type { Worker } from "node:worker_threads"
import { WorkerInstancePool } from "@effect-pools/worker"
import { FakeWorker } from "./fakeWorker.ts"
import { fork, type Options, options, outcome } from "./support.ts"

const { settle } = PoolSandbox

const open = (more: Options = {}) =>
  Effect.gen(function* () {
    const workers: Array<FakeWorker> = []
    const spawn = () => {
      const worker = new FakeWorker()
      workers.push(worker)
      return worker as unknown as Worker
    }
    const pool = yield* WorkerInstancePool.make({ ...options, ...more, spawn })
    return { pool, workers }
  })

describe("workers that end as soon as they are ready", () => {
  it.effect("are replaced after a pause that grows, until one of them is asked for something", () =>
    Effect.gen(function* () {
      const { pool, workers } = yield* open({ prepare: 1, max: 1, exitGrace: 0 })
      const expectStarted = Effect.fnUntraced(function* (after: number) {
        const { length } = workers
        yield* TestClock.adjust(after - 1)
        yield* settle
        expect(workers).toHaveLength(length)
        yield* TestClock.adjust(1)
        yield* settle
        expect(workers).toHaveLength(length + 1)
      })
      const endLast = Effect.fnUntraced(function* () {
        workers.at(-1)!.ready()
        yield* settle
        expect(pool.admission.idle).toBe(1)
        workers.at(-1)!.exit(0)
        yield* settle
      })
      yield* settle
      for (const pause of [10, 20, 40, 80, 160, 320, 640, 1000, 1000]) {
        yield* endLast()
        yield* expectStarted(pause)
      }
      workers.at(-1)!.ready()
      yield* settle
      yield* fork(InstancePool.use(pool, (worker) => Effect.timeoutOption(worker.Wait(), 1)))
      yield* settle
      yield* TestClock.adjust(1)
      yield* settle
      yield* endLast()
      yield* expectStarted(10)
    }).pipe(Effect.scoped)
  )
})

describe("a worker", () => {
  it.effect("whose answer can't be read ends with NotSendable", () =>
    Effect.gen(function* () {
      const { pool, workers } = yield* open()
      const call = yield* fork(outcome(InstancePool.use(pool, (worker) => worker.Wait())))
      yield* settle
      workers[0]!.ready()
      yield* settle
      workers[0]!.emit("messageerror", new Error("unreadable"))
      const reason = { _tag: "NotSendable", direction: "response", cause: new Error("unreadable") }
      expect(yield* Fiber.join(call)).toMatchObject(reason)
      expect(workers[0]!.terminated).toBe(true)
    }).pipe(Effect.scoped)
  )

  it.effect("that is stuck in native code fails its calls in time, and gives its place back after destroyTimeout", () =>
    Effect.gen(function* () {
      const { pool, workers } = yield* open({ max: 1, callTimeout: "1 second", destroyTimeout: "5 seconds" })
      const call = yield* fork(outcome(InstancePool.use(pool, (worker) => worker.Spin())))
      yield* settle
      workers[0]!.isStuck = true
      workers[0]!.ready()
      yield* settle
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(call)).toMatchObject({ _tag: "CallTimeout", timeout: 1000 })
      yield* settle
      expect(pool.admission).toMatchObject({ used: 0, destroying: 1 })
      yield* TestClock.adjust("5 seconds")
      yield* settle
      expect(pool.admission).toMatchObject({ destroying: 0, live: 0 })
      workers[0]!.exit(1)
      yield* settle
    }).pipe(Effect.scoped)
  )

  it.effect("that does not close within exitGrace is terminated", () =>
    Effect.gen(function* () {
      const { pool, workers } = yield* open({ exitGrace: "1 second" })
      const lease = yield* fork(InstancePool.use(pool, () => Effect.void))
      yield* settle
      workers[0]!.ready()
      yield* settle
      yield* Fiber.join(lease)
      expect(workers[0]!.sent).toEqual([[1]])
      yield* TestClock.adjust(999)
      expect(workers[0]!.terminated).toBe(false)
      yield* TestClock.adjust(1)
      yield* settle
      expect(workers[0]!.terminated).toBe(true)
      expect(pool.admission.live).toBe(0)
    }).pipe(Effect.scoped)
  )

  it.effect("that says nothing leaves no thread when createTimeout is over, however late it would be ready", () =>
    Effect.gen(function* () {
      const { pool, workers } = yield* open({ createTimeout: "2 seconds" })
      const call = yield* fork(outcome(InstancePool.use(pool, (worker) => worker.Wait())))
      yield* settle
      yield* TestClock.adjust("2 seconds")
      expect(yield* Fiber.join(call)).toMatchObject({ _tag: "AcquireTimeout", phase: "create" })
      yield* settle
      expect(workers[0]!.terminated).toBe(true)
      workers[0]!.ready()
      yield* settle
      expect(pool.admission.live).toBe(0)
    }).pipe(Effect.scoped)
  )
})
