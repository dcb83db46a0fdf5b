/** A thread with a pool of its own, whose items are within a budget that all threads share. */
import { parentPort, workerData } from "node:worker_threads"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { LockFreePool, SharedPermits } from "../../src/index.ts"

export interface BudgetWorkerData {
  readonly permits: SharedPermits.Handle
  /** How many items there are, over all threads, and how many there have been at most. */
  readonly counts: SharedArrayBuffer
}

export type BudgetOrder =
  /** Uses an item so many times, from several fibers; some of them it throws away. */
  | { readonly order: "use"; readonly times: number }
  /** Has so many items and keeps them, for ever. */
  | { readonly order: "keep"; readonly items: number }

const { counts, permits: handle } = workerData as BudgetWorkerData
const [living, most] = [0, 1]
const figures = new Int32Array(counts)

const scope = Scope.makeUnsafe()
const pool = await Effect.runPromise(
  Effect.gen(function* () {
    const permits = yield* SharedPermits.attach(handle)
    return yield* LockFreePool.make({
      create: () => {
        const now = Atomics.add(figures, living, 1) + 1
        for (let before = Atomics.load(figures, most); before < now;)
          before = Atomics.compareExchange(figures, most, before, now)
        return {}
      },
      reset: () => true,
      destroy: () => void Atomics.sub(figures, living, 1),
      scale: { mode: "auto" },
      wait: true,
      acquireTimeout: "1 minute",
      budget: permits.budget
    })
  }).pipe(Effect.provideService(Scope.Scope, scope))
)

const use = (n: number): Effect.Effect<unknown, unknown> =>
  LockFreePool.use(pool, (item) =>
    n % 5 === 0 ? LockFreePool.invalidate(pool, item) : n % 3 === 0 ? Effect.sleep(1) : Effect.yieldNow
  )

const obey = (order: BudgetOrder): Effect.Effect<unknown, unknown> =>
  order.order === "use"
    ? Effect.forEach(
        Array.from({ length: order.times }, (_, n) => n),
        use,
        { concurrency: 4, discard: true }
      )
    : Effect.forEach(Array.from({ length: order.items }), () =>
        Effect.provideService(LockFreePool.get(pool), Scope.Scope, scope)
      )

parentPort!.on("message", (order: BudgetOrder) => {
  Effect.runPromise(obey(order)).then(
    () => parentPort!.postMessage({ done: order.order }),
    (error: unknown) => parentPort!.postMessage({ done: order.order, error: String(error) })
  )
})
parentPort!.postMessage({ done: "start" })
