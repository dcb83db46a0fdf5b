import { once } from "node:events"
import { setTimeout } from "node:timers/promises"
import { Worker } from "node:worker_threads"
import { InstancePool } from "@effect-pools/instance"
import { WorkerInstancePool } from "@effect-pools/worker"
import * as Effect from "effect/Effect"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import type * as Scope from "effect/Scope"
import type { Case, Contender } from "../harness.ts"
import { fixed } from "../loops.ts"
import { Runaway } from "../runaway/group.ts"
import type { Effort } from "../settings.ts"

/** In milliseconds. */
const DEADLINE = 100
const TICK = 5

/** In milliseconds: how much later than its deadline it was dead, and how late the latest tick was meanwhile. */
interface Lateness {
  readonly end: number
  readonly tick: number
}

/** How late a thread that runs away is killed, and the event loop meanwhile. */
export const makeRunaways = Effect.fnUntraced(function* ({
  isQuick
}: Effort): Effect.fn.Return<ReadonlyArray<Case>, unknown, Scope.Scope> {
  const pool = yield* WorkerInstancePool.make({
    group: Runaway,
    spawn: new URL("../runaway/runaway.worker.ts", import.meta.url),
    callTimeout: DEADLINE
  })
  const ofPool = async (): Promise<Lateness> => {
    // Its caller is told before.
    const ended = new Promise<void>((resolve) => {
      const stop = pool.admission.observer.listen(({ _tag }) => {
        if (_tag !== "ItemDestroyed") return
        stop()
        resolve()
      })
    })
    const spin = (worker: WorkerInstancePool.Worker<RpcGroup.Rpcs<typeof Runaway>>) =>
      Effect.suspend(() => {
        const stop = watch()
        return Effect.as(Effect.flip(worker.Spin()), stop)
      })
    const stop = await Effect.runPromise(InstancePool.use(pool, spin))
    await ended
    return stop()
  }
  const ways: Record<string, () => Promise<Lateness>> = {
    "bare worker": ofBare,
    WorkerInstancePool: ofPool
  }
  const effort = { unit: "µs", operations: 1, rounds: isQuick ? 3 : 31 } as const
  const goal = "50 ms"
  const method =
    `A thread is asked for something and computes for ever; ${DEADLINE} ms later it is to be dead. A bare worker is terminated` +
    " by `setTimeout`."
  const makeCase = (name: string, title: string, what: string, latenessOf: (lateness: Lateness) => number): Case => ({
    ...effort,
    name,
    title,
    method: `${method} ${what} "50 ms" is not run: it is the goal.`,
    contenders: [
      ...Object.entries(ways).map(([name, run]): Contender => ({ name, run: async () => latenessOf(await run()) })),
      fixed(goal, 50)
    ],
    comparisons: [
      { name: "WorkerInstancePool", against: goal, goal: 1 },
      { name: "WorkerInstancePool", against: "bare worker" }
    ]
  })
  return [
    makeCase("runaway-end", "a thread that runs away", "What counts is how much later that is.", ({ end }) => end),
    makeCase(
      "runaway-ticks",
      "the event loop while a thread runs away",
      `What counts is how late the latest tick is of a timer of ${TICK} ms meanwhile.`,
      ({ tick }) => tick
    )
  ]
})

const ofBare = async (): Promise<Lateness> => {
  const worker = new Worker(new URL("../runaway/bare.worker.ts", import.meta.url))
  await once(worker, "message")
  const stop = watch()
  await setTimeout(DEADLINE)
  await worker.terminate()
  return stop()
}

/** To be called when the thread is asked; and what that returns, when it is dead. */
const watch = (): (() => Lateness) => {
  const started = performance.now()
  let last = started
  let tick = 0
  const look = (): void => {
    const now = performance.now()
    tick = Math.max(tick, now - last - TICK)
    last = now
  }
  const ticking = setInterval(look, TICK)
  return () => {
    clearInterval(ticking)
    return { end: performance.now() - started - DEADLINE, tick }
  }
}
