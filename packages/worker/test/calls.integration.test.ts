import { InstancePool } from "@effect-pools/instance"
import { describe, expect, it, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { Worker } from "node:worker_threads"
import { WorkerInstancePool } from "@effect-pools/worker"
import { Refused } from "./fixtures/sandbox.ts"
import {
  atRest,
  fork,
  options,
  outcome,
  type Pool,
  scripts,
  until,
  type Worker as Client,
  withPool
} from "./support.ts"

/** One worker that serves with `WorkerGuest`, for all that does not end it. */
class Guest extends Context.Service<Guest, Client>()("test/Guest") {
  static readonly layer = Layer.effect(
    Guest,
    Effect.gen(function* () {
      const pool: Pool = yield* WorkerInstancePool.make({ ...options, spawn: scripts.sandbox })
      return yield* InstancePool.get(pool)
    })
  )
}

layer(Guest.layer, { timeout: "50 seconds", excludeTestServices: true })("a call", (it) => {
  it.effect("answers with what its handler gives, or fails with what it declares", () =>
    Effect.gen(function* () {
      const worker = yield* Guest
      expect(yield* worker.Double({ n: 21 })).toBe(42)
      expect(yield* Effect.flip(worker.Refuse({ why: "no" }))).toEqual(new Refused({ why: "no" }))
      expect(yield* worker.Double({ n: 21 }, { discard: true })).toBe(undefined)
      const ns = Array.from({ length: 100 }, (_, n) => n)
      const doubled = yield* Effect.forEach(ns, (n) => worker.Double({ n }), { concurrency: "unbounded" })
      expect(doubled).toEqual(ns.map((n) => n * 2))
    })
  )

  it.effect("with a payload that its schema refuses is a defect of its caller's, and the worker lives on", () =>
    Effect.gen(function* () {
      const worker = yield* Guest
      expect(yield* outcome(worker.Double({ n: "21" } as never))).toHaveProperty("defect")
      expect(yield* worker.Double({ n: 21 })).toBe(42)
    })
  )

  it.effect("that is interrupted interrupts its handler", () =>
    Effect.gen(function* () {
      const worker = yield* Guest
      const waiting = yield* fork(worker.Wait())
      // The next call is answered after the handler of the first has begun.
      expect(yield* worker.Interrupted()).toBe(0)
      yield* Fiber.interrupt(waiting)
      expect(yield* worker.Interrupted()).toBe(1)
    })
  )

  it.effect("that is interrupted while its answer is on the way does the worker no harm", () =>
    Effect.gen(function* () {
      const worker = yield* Guest
      for (let round = 0; round < 20; round++) {
        const calls = yield* Effect.forEach([1, 2, 3, 4], (n) => fork(worker.Double({ n })))
        // What is sent is answered, and taken in the next turn of the event loop.
        for (let turn = 0; turn < round; turn++) yield* Effect.promise(() => new Promise(setImmediate))
        yield* Fiber.interruptAll(calls)
      }
      expect(yield* worker.Double({ n: 21 })).toBe(42)
    })
  )

  it.effect("for a stream gives its elements, as far as they are wanted, as a stream or as a queue", () =>
    Effect.gen(function* () {
      const worker = yield* Guest
      const numbers = yield* Stream.runCollect(worker.Numbers({ count: 100 }))
      expect(numbers).toEqual(Array.from({ length: 100 }, (_, n) => n))
      expect(yield* Stream.runCollect(Stream.take(worker.Numbers({ count: 100 }), 2))).toEqual([0, 1])
      const queue = yield* worker.Numbers({ count: 100 }, { asQueue: true, streamBufferSize: 1 })
      expect(yield* Queue.take(queue)).toBe(0)
      expect(yield* worker.Double({ n: 21 })).toBe(42)
    }).pipe(Effect.scoped)
  )
})

describe("a stream", () => {
  it.live("whose worker owes the next element for too long fails, and what has come is not lost", () =>
    withPool({ callTimeout: "2 seconds" }, (pool) =>
      InstancePool.use(pool, (worker) =>
        Effect.gen(function* () {
          const seen: Array<number> = []
          const numbers = worker.Numbers({ count: 5, spinAt: 2 })
          const end = yield* outcome(Stream.runForEach(numbers, (n) => Effect.sync(() => seen.push(n))))
          expect(end).toMatchObject({ _tag: "CallTimeout", rpc: "Numbers", timeout: 2000 })
          expect(seen).toEqual([0, 1])
          expect(yield* outcome(Stream.runCollect(numbers))).toMatchObject({ _tag: "CallTimeout" })
          const queue = yield* worker.Numbers({ count: 1 }, { asQueue: true })
          expect(yield* outcome(Queue.take(queue))).toMatchObject({ _tag: "CallTimeout" })
        }).pipe(Effect.scoped)
      )
    )
  )
})

describe("a worker", () => {
  it.live("is fresh in every lease", () =>
    withPool({ max: 1, onExhausted: "wait" }, (pool) => {
      const count = InstancePool.use(pool, (worker) => Effect.andThen(worker.Count(), worker.Count()))
      return Effect.gen(function* () {
        expect(yield* Effect.all([count, count, count], { concurrency: "unbounded" })).toEqual([2, 2, 2])
      })
    })
  )

  it.live("is there at once if it was prepared", () =>
    withPool({ prepare: 1 }, (pool) =>
      Effect.gen(function* () {
        yield* until(() => pool.admission.idle === 1)
        const answer = yield* InstancePool.useIfAvailable(pool, (worker) => worker.Double({ n: 21 }))
        expect(answer).toMatchObject({ _tag: "Some", value: 42 })
        expect((yield* InstancePool.stats(pool)).details).toMatchObject({ hits: 1, misses: 0 })
        yield* until(() => pool.admission.idle === 1)
      })
    )
  )

  it.live("that ends while it is prepared is replaced", () => {
    const spawned: Array<Worker> = []
    const spawn = (options: object) => {
      const worker = new Worker(scripts.light, options)
      spawned.push(worker)
      return worker
    }
    return withPool({ prepare: 1, spawn }, (pool) =>
      Effect.gen(function* () {
        yield* until(() => pool.admission.idle === 1)
        yield* Effect.promise(() => spawned[0]!.terminate())
        yield* until(() => spawned.length === 2 && pool.admission.idle === 1)
        expect(yield* InstancePool.use(pool, (worker) => worker.Double({ n: 21 }))).toBe(42)
        expect((yield* InstancePool.stats(pool)).destroyed.invalidated).toBe(1)
        yield* until(() => pool.admission.idle === 1)
      })
    )
  })

  it.live("has the data, the environment and the arguments that the pool gives it, for itself", () => {
    const env = { GREETING: "hello", NOTHING: undefined }
    return withPool({ workerData: { limit: 3 }, env, argv: ["--fast"] }, (pool) =>
      Effect.gen(function* () {
        const setup = yield* InstancePool.use(pool, (worker) => worker.Setup())
        expect(setup).toEqual({ workerData: { limit: 3 }, env: { GREETING: "hello" }, argv: ["--fast"] })
      })
    )
  })

  it.live("closes its handlers in good order if it has nothing to do, timers or not, and only then", () => {
    const farewells = new Int32Array(new SharedArrayBuffer(4))
    return withPool({ spawn: scripts.sandbox, workerData: { farewells }, exitGrace: "20 seconds" }, (pool) =>
      Effect.gen(function* () {
        yield* InstancePool.use(pool, (worker) => worker.Linger())
        yield* atRest(pool)
        expect(farewells[0]).toBe(1)
        yield* InstancePool.use(pool, (worker) => Effect.andThen(fork(worker.Wait()), worker.Double({ n: 1 })))
        yield* atRest(pool)
        expect(farewells[0]).toBe(1)
      })
    )
  })

  it.live("is terminated at once where no grace is given", () => {
    const farewells = new Int32Array(new SharedArrayBuffer(4))
    return withPool({ spawn: scripts.sandbox, workerData: { farewells }, exitGrace: 0 }, (pool) =>
      Effect.gen(function* () {
        yield* InstancePool.use(pool, (worker) => worker.Double({ n: 1 }))
        yield* atRest(pool)
        expect(farewells[0]).toBe(0)
      })
    )
  })

  it.live("lives on when it is detached, as long as its new scope", () =>
    withPool({}, (pool) =>
      Effect.gen(function* () {
        const worker = yield* InstancePool.use(pool, (worker) => InstancePool.detach(pool, worker))
        expect(yield* worker.Double({ n: 21 })).toBe(42)
      }).pipe(Effect.scoped)
    )
  )

  it.live("that its lease has left answers nothing: calls fail, those under way too", () =>
    withPool({}, (pool) =>
      Effect.gen(function* () {
        const [worker, waiting] = yield* InstancePool.use(pool, (worker) =>
          Effect.gen(function* () {
            const waiting = yield* Effect.forkDetach(outcome(worker.Wait()), { startImmediately: true })
            yield* worker.Double({ n: 1 })
            return [worker, waiting] as const
          })
        )
        expect(yield* Fiber.join(waiting)).toMatchObject({ _tag: "LeaseEnded", pool: pool.name })
        expect(yield* outcome(worker.Double({ n: 1 }))).toMatchObject({ _tag: "LeaseEnded" })
        expect(yield* outcome(Stream.runCollect(worker.Numbers({ count: 1 })))).toMatchObject({ _tag: "LeaseEnded" })
      })
    )
  )
})

describe("withCallTimeout", () => {
  it.effect("refuses what is no duration, as a defect", () =>
    Effect.gen(function* () {
      for (const timeout of [0, -5, NaN, "nonsense", "-1 second", -Infinity, null, undefined, {}, () => 1]) {
        const refused = outcome(WorkerInstancePool.withCallTimeout(Effect.void, timeout as never))
        const defect = { _tag: "InvalidOptions", subject: "withCallTimeout", field: "timeout" }
        expect({ timeout, ...((yield* refused) as object) }).toMatchObject({ timeout, defect })
      }
    })
  )

  it.live("shortens and lengthens the time of the calls inside it", () =>
    Effect.gen(function* () {
      yield* withPool({ callTimeout: 1 }, (pool) =>
        InstancePool.use(pool, (worker) => worker.Double({ n: 21 })).pipe(
          WorkerInstancePool.withCallTimeout("40 seconds"),
          Effect.map((answer) => expect(answer).toBe(42))
        )
      )
      yield* withPool({ callTimeout: Infinity }, (pool) =>
        InstancePool.use(pool, (worker) => WorkerInstancePool.withCallTimeout(worker.Wait(), 100)).pipe(
          outcome,
          Effect.map((answer) => expect(answer).toMatchObject({ _tag: "CallTimeout", rpc: "Wait", timeout: 100 }))
        )
      )
    })
  )
})
