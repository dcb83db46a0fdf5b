/** A worker as Effect runs them: fills a slot of the pool for every message, says which, and keeps it. */
import { workerData } from "node:worker_threads"
import * as NodeWorkerRunner from "@effect/platform-node/NodeWorkerRunner"
import * as Effect from "effect/Effect"
import { WorkerRunner } from "effect/workers"
import { SharedPool } from "../../src/index.ts"

const serve = Effect.gen(function* () {
  const pool = yield* SharedPool.attach(workerData, { wait: true })
  const platform = yield* WorkerRunner.WorkerRunnerPlatform
  const runner = yield* platform.start<number, number>()
  yield* runner.run((port, message) =>
    SharedPool.use(pool, ({ bytes, index }) => {
      bytes.fill(message)
      return Effect.andThen(runner.send(port, index), Effect.never)
    })
  )
})

Effect.runFork(Effect.scoped(Effect.provide(serve, NodeWorkerRunner.layer)))
