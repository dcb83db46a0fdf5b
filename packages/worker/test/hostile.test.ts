/** Workers that send what they like. No thread is needed for that: what counts is what comes from it. */
import { InstancePool } from "@effect-pools/instance"
import { Sandbox as PoolSandbox } from "@effect-pools/testing"
import { WorkerInstancePool } from "@effect-pools/worker"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import type { Worker } from "node:worker_threads"
import { FakeWorker } from "./fakeWorker.ts"
import { fork, type Options, options, outcome, type Worker as Client } from "./support.ts"

const { settle } = PoolSandbox

const open = (more: Options = {}) =>
  Effect.gen(function* () {
    const workers: Array<FakeWorker> = []
    const spawn = () => {
      const worker = new FakeWorker()
      workers.push(worker)
      return worker as unknown as Worker
    }
    const pool = yield* WorkerInstancePool.make({ ...options, callTimeout: "1 second", exitGrace: 0, ...more, spawn })
    return { pool, workers }
  })

/** A lease of a worker that is ready. */
const lease = (more: Options = {}) =>
  Effect.gen(function* () {
    const { pool, workers } = yield* open(more)
    const leasing = yield* fork(InstancePool.get(pool))
    yield* settle
    workers[0]!.ready()
    return { client: yield* Fiber.join(leasing), worker: workers[0]! }
  })

type Id = string | number
const success = (requestId: Id, value: unknown = 42) => ({ _tag: "Exit", requestId, exit: { _tag: "Success", value } })
const failure = (requestId: Id, ...cause: ReadonlyArray<unknown>) => ({
  _tag: "Exit",
  requestId,
  exit: { _tag: "Failure", cause }
})
const interruption = (requestId: Id) => failure(requestId, { _tag: "Interrupt", fiberId: 1 })
const part = (requestId: Id, values: unknown = [1]) => ({ _tag: "Chunk", requestId, values })

/** The number of the last call that the worker was asked for. */
const lastCall = ({ sent }: FakeWorker): Id => {
  const requests = sent.map((message) => (message as [0, { readonly _tag: string; readonly id: Id }])[1])
  return requests.findLast(({ _tag }) => _tag === "Request")!.id
}

const double = (client: Client) => client.Double({ n: 21 })
const read = (client: Client) => Stream.runDrain(client.Numbers({ count: 9 }, { streamBufferSize: 1 }))

/** Makes a call, which the worker answers with this and nothing more. */
const answeredWith = (
  messages: (id: Id) => ReadonlyArray<unknown>,
  call: (client: Client) => Effect.Effect<unknown, unknown> = double
) =>
  Effect.gen(function* () {
    const { client, worker } = yield* lease()
    const calling = yield* fork(outcome(call(client)))
    yield* settle
    for (const message of messages(lastCall(worker))) {
      worker.say(message)
      yield* settle
    }
    const end = calling.pollUnsafe() === undefined ? "under way" : yield* Fiber.join(calling)
    // The end of the scope would terminate it.
    return { end, terminated: worker.terminated }
  }).pipe(Effect.scoped)

const expectCrash = Effect.fnUntraced(function* (...args: Parameters<typeof answeredWith>) {
  const crash = yield* answeredWith(...args)
  expect({ sent: args[0](0), ...crash }).toMatchObject({ end: { _tag: "Crashed" }, terminated: true })
})

describe("a worker is terminated", () => {
  it.effect("that sends what is no message, or none about a call", () =>
    Effect.gen(function* () {
      for (const message of [null, 1, "ready", {}, [], [2], ["0"]]) {
        const { client, worker } = yield* lease()
        worker.emit("message", message)
        expect(yield* outcome(double(client))).toMatchObject({ _tag: "Crashed" })
        expect(worker.terminated).toBe(true)
      }
      for (const message of [undefined, null, 1, [], {}, { _tag: "Exit" }, { _tag: "ClientEnd" }, { _tag: "Defect" }]) {
        yield* expectCrash(() => [message])
      }
    }).pipe(Effect.scoped)
  )

  it.effect("that answers a call with what is no answer", () =>
    Effect.gen(function* () {
      for (const exit of [undefined, null, 5, "Success", {}, [], { _tag: "Failure" }, { _tag: "Failure", cause: {} }]) {
        yield* expectCrash((requestId) => [{ _tag: "Exit", requestId, exit }])
      }
      yield* expectCrash((requestId) => [{ _tag: "Exit", requestId }])
      yield* expectCrash((requestId) => [{ _tag: "Other", requestId }])
      yield* expectCrash((requestId) => [{ _tag: "ClientProtocolError", requestId, error: {} }])
      for (const values of [null, "zzz", { length: 1 }, []]) {
        yield* expectCrash((id) => [part(id, values)], read)
      }
    })
  )

  it.effect("that answers with a failure for no reason, or for one that does not exist", () =>
    Effect.gen(function* () {
      yield* expectCrash((id) => [failure(id)])
      yield* expectCrash((id) => [failure(id, null)])
      yield* expectCrash((id) => [failure(id, { _tag: "Other" })])
    })
  )

  it.effect("that would interrupt its caller", () =>
    Effect.gen(function* () {
      yield* expectCrash((id) => [interruption(id)])
      yield* expectCrash((id) => [interruption(id)], read)
    })
  )

  it.effect("that answers a call with a part, which would stop its clock", () => expectCrash((id) => [part(id)]))

  it.effect("that answers a call that nobody has made, or makes its answer twice", () =>
    Effect.gen(function* () {
      yield* expectCrash(() => [success("nobody")])
      yield* expectCrash(() => [part("nobody")])
      expect(yield* answeredWith((id) => [success(id)])).toEqual({ end: 42, terminated: false })
      expect(yield* answeredWith((id) => [success(id), success(id)])).toEqual({ end: 42, terminated: true })
    })
  )

  it.effect("that sends more of a stream than is wanted", () =>
    Effect.gen(function* () {
      const numbers = [1, 2, 3]
      const parts = (count: number) => (id: Id) => Array.from({ length: count }, () => part(id, numbers))
      expect(yield* answeredWith(parts(1), paused)).toEqual({ end: "under way", terminated: false })
      expect(yield* answeredWith(parts(2), paused)).toEqual({ end: "under way", terminated: true })
    })
  )

  it.effect("that says again that it is ready", () =>
    Effect.gen(function* () {
      const { client, worker } = yield* lease()
      worker.ready()
      expect(worker.terminated).toBe(true)
      expect(yield* outcome(double(client))).toMatchObject({ _tag: "Crashed" })
    }).pipe(Effect.scoped)
  )

  it.effect("that says anything while it is prepared, and is replaced", () =>
    Effect.gen(function* () {
      const { pool, workers } = yield* open({ prepare: 1, max: 1 })
      yield* settle
      workers[0]!.ready()
      yield* settle
      expect(pool.admission.idle).toBe(1)
      workers[0]!.say(part("nobody"))
      yield* settle
      expect(workers[0]!.terminated).toBe(true)
      yield* TestClock.adjust(10)
      yield* settle
      expect(workers).toHaveLength(2)
    }).pipe(Effect.scoped)
  )
})

/** Reads a stream no further than its first element. */
const paused = (client: Client) =>
  Stream.runForEach(client.Numbers({ count: 9 }, { streamBufferSize: 1 }), () => Effect.never)

describe("what a worker throws", () => {
  let twice: unknown = []
  for (let depth = 0; depth < 100; depth++) twice = [twice, twice]
  const thrown: ReadonlyArray<unknown> = [
    { toString: 1 },
    { toJSON: 1, message: { toString: 1 } },
    Object.defineProperty(new Error(), "message", { value: { toString: 1 } }),
    Object.assign(new Error("boom"), { cause: twice }),
    twice,
    null,
    undefined
  ]

  it.effect("uncaught, or in a handler, can be told and written down whatever it is", () =>
    Effect.gen(function* () {
      const expectTold = Effect.fnUntraced(function* (send: (worker: FakeWorker, id: Id) => void) {
        const { client, worker } = yield* lease()
        const calling = yield* fork(Effect.exit(double(client)))
        yield* settle
        send(worker, lastCall(worker))
        const exit = yield* Fiber.join(calling)
        if (exit._tag === "Success") return yield* Effect.die("it has succeeded")
        expect(Cause.squash(exit.cause)).toMatchObject({
          _tag: "WorkerInstanceError",
          reason: { _tag: "Crashed" },
          message: expect.stringContaining("the worker crashed: ")
        })
        expect(Cause.pretty(exit.cause).length).toBeLessThan(100_000)
        return worker
      })
      for (const defect of thrown) {
        yield* expectTold((worker) => worker.emit("error", defect))
        const died = yield* expectTold((worker, id) => worker.say(failure(id, { _tag: "Die", defect })))
        expect(died.terminated).toBe(true)
        const defected = yield* expectTold((worker) => worker.say({ _tag: "Defect", defect }))
        expect(defected.terminated).toBe(true)
      }
    }).pipe(Effect.scoped)
  )

  it.effect("before it is ready is told too", () =>
    Effect.gen(function* () {
      for (const cause of thrown) {
        const { pool, workers } = yield* open()
        const calling = yield* fork(outcome(InstancePool.use(pool, double)))
        yield* settle
        workers[0]!.emit("error", cause)
        const message = expect.stringContaining("the worker did not start: ")
        expect(yield* Fiber.join(calling)).toMatchObject({ _tag: "StartFailed", message })
      }
    }).pipe(Effect.scoped)
  )
})

describe("a call that is interrupted", () => {
  const interrupted = (call: (client: Client) => Effect.Effect<unknown, unknown>) =>
    Effect.gen(function* () {
      const { client, worker } = yield* lease()
      const calling = yield* fork(call(client))
      yield* settle
      const id = lastCall(worker)
      yield* Fiber.interrupt(calling)
      expect(worker.sent.at(-1)).toMatchObject([0, { _tag: "Interrupt", requestId: id }])
      return { client, id, worker }
    })

  it.effect("while its answer is on the way ends twice, which an honest worker can't help, but not three times", () =>
    Effect.gen(function* () {
      const { client, id, worker } = yield* interrupted(double)
      worker.say(success(id))
      worker.say(interruption(id))
      const calling = yield* fork(double(client))
      yield* settle
      worker.say(success(lastCall(worker)))
      expect(yield* Fiber.join(calling)).toBe(42)
      worker.say(interruption(id))
      expect(worker.terminated).toBe(true)
    }).pipe(Effect.scoped)
  )

  it.effect("is owed its end, and a part of its stream that was on the way does not stop the clock", () =>
    Effect.gen(function* () {
      const { id, worker } = yield* interrupted(read)
      worker.say(part(id))
      yield* TestClock.adjust(999)
      expect(worker.terminated).toBe(false)
      yield* TestClock.adjust(1)
      expect(worker.terminated).toBe(true)
    }).pipe(Effect.scoped)
  )

  it.effect("of which one part was on the way has no second", () =>
    Effect.gen(function* () {
      const { id, worker } = yield* interrupted(read)
      worker.say(part(id))
      expect(worker.terminated).toBe(false)
      worker.say(part(id))
      expect(worker.terminated).toBe(true)
    }).pipe(Effect.scoped)
  )
})

describe("a stream", () => {
  it.effect("may be read as slowly as one likes, and last for longer than a call may take", () =>
    Effect.gen(function* () {
      const { client, worker } = yield* lease()
      const slow = client.Numbers({ count: 20 }, { streamBufferSize: 1 }).pipe(
        // As ten calls could take.
        Stream.tap(() => Effect.sleep("10 seconds")),
        Stream.runCount
      )
      const reading = yield* fork(slow)
      yield* settle
      const id = lastCall(worker)
      const isAsked = () => worker.sent.length > 1
      yield* TestClock.adjust(999)
      for (let parts = 0; parts < 3; parts++) {
        worker.sent.length = 1
        worker.say(part(id, [1, 2, 3]))
        yield* settle
        while (!isAsked()) {
          yield* TestClock.adjust("10 seconds")
          yield* settle
        }
      }
      worker.say({ _tag: "Exit", requestId: id, exit: { _tag: "Success", value: null } })
      yield* TestClock.adjust("1 hour")
      expect(yield* Fiber.join(reading)).toBe(9)
      expect(worker.terminated).toBe(false)
    }).pipe(Effect.scoped)
  )
})

describe("a function that spawns workers", () => {
  it.effect("and returns none, or a promise of one, fails the start by name", () =>
    Effect.gen(function* () {
      for (const spawned of [undefined, null, {}, Promise.resolve(new FakeWorker()), "worker"]) {
        const spawn = (() => spawned) as never
        const pool = yield* WorkerInstancePool.make({ ...options, spawn })
        const message = expect.stringContaining('"spawn" must return a Worker, but has returned ')
        expect(yield* outcome(InstancePool.use(pool, double))).toMatchObject({ _tag: "StartFailed", message })
      }
    }).pipe(Effect.scoped)
  )
})
