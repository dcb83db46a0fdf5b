/** A thread of the application, which does with a shared pool and shared permits what it is told. */
import { parentPort, workerData } from "node:worker_threads"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { SharedPermits, SharedPool } from "../../src/index.ts"

export interface PoolWorkerData {
  readonly pool: SharedPool.Handle
  readonly permits: SharedPermits.Handle
}

export type Order =
  | { readonly order: "hold"; readonly slots: number; readonly permits: number }
  | { readonly order: "wait" | "release" | "stats" | "closed" }

const { permits: permitsHandle, pool: poolHandle } = workerData as PoolWorkerData
const scope = Scope.makeUnsafe()
const [pool, permits] = await Effect.runPromise(
  Effect.all([
    SharedPool.attach(poolHandle, { wait: true, acquireTimeout: "1 minute" }),
    SharedPermits.attach(permitsHandle)
  ]).pipe(Effect.provideService(Scope.Scope, scope))
)
const guards: Array<SharedPool.Guard> = []

const obey = async (order: Order): Promise<unknown> => {
  switch (order.order) {
    case "hold":
      for (let slot = 0; slot < order.slots; slot++) guards.push(SharedPool.getOrThrowUnsafe(pool))
      for (const { value } of guards) value.bytes.fill(7)
      return [guards.map(({ value }) => value.index), SharedPermits.takeUnsafe(permits, order.permits)]
    case "wait":
      return Effect.runPromise(SharedPool.use(pool, ({ bytes, index }) => Effect.succeed([index, bytes[0]])))
    case "release":
      for (const guard of guards) SharedPool.releaseUnsafe(pool, guard)
      guards.length = 0
      return undefined
    case "stats":
      return [await Effect.runPromise(SharedPool.stats(pool)), await Effect.runPromise(SharedPermits.stats(permits))]
    case "closed":
      return Effect.runPromise(Effect.flip(SharedPool.use(pool, () => Effect.void)).pipe(Effect.map(String)))
  }
}

parentPort!.on("message", (order: Order) => {
  // It answers in order of what happens, not of what it was told.
  void obey(order).then(
    (answer) => parentPort!.postMessage({ order: order.order, answer }),
    (error: unknown) => parentPort!.postMessage({ order: order.order, error: String(error) })
  )
})
parentPort!.postMessage({ order: "ready" })
