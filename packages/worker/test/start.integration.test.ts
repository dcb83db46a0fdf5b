import { InstancePool } from "@effect-pools/instance"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Worker } from "node:worker_threads"
import { fork, outcome, type Options, scripts, until, withPool } from "./support.ts"

/** What a caller is told of a worker that does not start: twice, of the only place there is. */
const expectStart = (more: Options, reason: object) => {
  const spawned: Array<Worker> = []
  const spawn = (options: object) => {
    const worker = new Worker(scripts.broken, options)
    spawned.push(worker)
    return worker
  }
  return withPool({ max: 1, onExhausted: "wait", spawn, ...more }, (pool) =>
    Effect.gen(function* () {
      const attempt = outcome(InstancePool.use(pool, (worker) => worker.Double({ n: 1 })))
      expect(yield* attempt).toMatchObject({ pool: pool.name, ...reason })
      expect(yield* attempt).toMatchObject({ pool: pool.name, ...reason })
      yield* until(() => spawned.every(({ threadId }) => threadId === -1))
    })
  )
}

describe("a worker that does not start fails its caller and gives its place back", () => {
  it.live("if its module can't be found", () =>
    expectStart(
      { spawn: new URL("./fixtures/missing.worker.ts", import.meta.url) },
      { _tag: "StartFailed", cause: { code: "MODULE_NOT_FOUND" } }
    )
  )

  it.live("if its module can't be parsed", () =>
    expectStart(
      { spawn: new URL("data:text/javascript,const%20=") },
      { _tag: "StartFailed", cause: { name: "SyntaxError" } }
    )
  )

  it.live("if its module throws", () =>
    expectStart({ workerData: "throws" }, { _tag: "StartFailed", cause: new Error("not today") })
  )

  it.live("if it exits, or has nothing to do", () =>
    Effect.gen(function* () {
      yield* expectStart({ workerData: "exits" }, { _tag: "StartFailed", cause: { _tag: "Exited", code: 7 } })
      yield* expectStart({ workerData: "returns" }, { _tag: "StartFailed", cause: { _tag: "Exited", code: 0 } })
    })
  )

  it.live("if it uses up its heap", () =>
    expectStart(
      { workerData: "hoards", resourceLimits: { maxOldGenerationSizeMb: 24 } },
      { _tag: "StartFailed", cause: { _tag: "OutOfMemory" } }
    )
  )

  it.live("if its handlers can't be built", () =>
    expectStart({ spawn: scripts.handlers }, { _tag: "StartFailed", cause: new Error("no database") })
  )

  it.live("if it can't be spawned", () =>
    Effect.gen(function* () {
      yield* expectStart({ workerData: () => 1 }, { _tag: "StartFailed", cause: { name: "DataCloneError" } })
      yield* expectStart({ execArgv: ["--no-such-option"] }, { _tag: "StartFailed" })
      const spawn = () => {
        throw new Error("no worker for you")
      }
      yield* expectStart({ spawn }, { _tag: "StartFailed", cause: new Error("no worker for you") })
      yield* expectStart({ spawn: () => ({}) as Worker }, { _tag: "StartFailed" })
    })
  )

  it.live("if it never says that it is ready, whatever it does instead", () =>
    Effect.gen(function* () {
      const late = { _tag: "AcquireTimeout", phase: "create" }
      yield* expectStart({ workerData: "waits", createTimeout: "300 millis" }, late)
      yield* expectStart({ workerData: "spins", createTimeout: "300 millis" }, late)
      yield* expectStart({ workerData: "blocks", createTimeout: "300 millis" }, late)
    })
  )

  it.live("if nobody waits for it any more and the pool closes", () =>
    withPool({ spawn: scripts.broken, workerData: "spins", max: 1 }, (pool) =>
      Effect.gen(function* () {
        const caller = yield* fork(InstancePool.use(pool, (worker) => worker.Double({ n: 1 })))
        yield* until(() => pool.admission.creating === 1)
        yield* Fiber.interrupt(caller)
        yield* InstancePool.drain(pool)
      })
    )
  )
})
