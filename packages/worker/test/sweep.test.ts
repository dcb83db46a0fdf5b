import { InstancePool } from "@effect-pools/instance"
import { InterruptSweep } from "@effect-pools/testing"
import { WorkerInstancePool } from "@effect-pools/worker"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Worker } from "node:worker_threads"
import { ObligingWorker } from "./fakeWorker.ts"
import { type Options, options, type Pool, type Worker as Client } from "./support.ts"

interface World {
  readonly pool: Pool
  readonly living: () => number
}

const open = (more: Options) =>
  Effect.gen(function* () {
    const workers: Array<ObligingWorker> = []
    const spawn = () => {
      const worker = new ObligingWorker()
      workers.push(worker)
      return worker as unknown as Worker
    }
    const limits = {
      acquireTimeout: 5000,
      createTimeout: 5000,
      callTimeout: 1000,
      destroyTimeout: 1000,
      exitGrace: 100
    }
    const pool: Pool = yield* WorkerInstancePool.make({ ...options, ...limits, max: 2, ...more, spawn })
    return { pool, living: () => workers.filter(({ isAlive }) => isAlive).length } satisfies World
  })

const sweep = (use: (worker: Client) => Effect.Effect<unknown, unknown>, more: Options = {}) =>
  Effect.gen(function* () {
    const report = yield* InterruptSweep.run<World>({
      setup: () => open(more),
      program: ({ pool }) => InstancePool.use(pool, use),
      audit: ({ living, pool }) =>
        Effect.sync(() =>
          living() === pool.admission.idle ? [] : [`${living()} threads live, ${pool.admission.idle} are prepared`]
        ),
      closed: ({ living }) => (living() === 0 ? [] : [`${living()} threads live`]),
      budgets: [3, 5, 11, 64]
    })
    InterruptSweep.expectClean(report)
    expect(report.interruptions).toBeGreaterThan(50)
  })

describe("an interruption at any step leaves no thread", () => {
  const timeout = 60_000
  it.live("of a call", () => sweep((worker) => worker.Double({ n: 21 })), timeout)
  it.live("of calls to a prepared worker", () => sweep(twice, { prepare: 1 }), timeout)
  it.live("of a stream", () => sweep((worker) => Stream.runDrain(worker.Numbers({ count: 2 }))), timeout)
  it.live("of a stream that is left", () => sweep((worker) => Stream.runHead(worker.Numbers({ count: 2 }))), timeout)
  it.live("of a call that runs over its time", () => sweep((worker) => Effect.exit(overdue(worker))), timeout)
})

const twice = (worker: Client) =>
  Effect.all([worker.Double({ n: 21 }), worker.Double({ n: 21 })], { concurrency: "unbounded" })

const overdue = (worker: Client) => WorkerInstancePool.withCallTimeout(worker.Spin(), 10)
