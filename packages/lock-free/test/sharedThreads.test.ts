import { once } from "node:events"
import { Worker } from "node:worker_threads"
import * as NodeWorker from "@effect/platform-node/NodeWorker"
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { WorkerPlatform } from "effect/workers/Worker"
import type { PoolStats } from "@effect-pools/core"
import { SharedPermits, SharedPool } from "../src/index.ts"
import type { Order, PoolWorkerData } from "./shared/poolWorker.ts"

/** A thread that does what it is told, and is terminated when the test is over. */
class Thread {
  readonly worker: Worker
  readonly id: number
  readonly #answers: Array<{ readonly order: string; readonly answer?: unknown; readonly error?: string }> = []
  #arrived: () => void = () => {}

  constructor(data: PoolWorkerData) {
    this.worker = new Worker(new URL("./shared/poolWorker.ts", import.meta.url), { workerData: data })
    this.id = this.worker.threadId
    this.worker.on("message", (message) => {
      this.#answers.push(message)
      this.#arrived()
    })
  }

  tell(order: Order): void {
    this.worker.postMessage(order)
  }

  /** The answer to the oldest order of this kind. */
  async answer(order: string): Promise<any> {
    while (true) {
      const at = this.#answers.findIndex((answer) => answer.order === order)
      if (at >= 0) {
        const { answer, error } = this.#answers.splice(at, 1)[0]!
        if (error !== undefined) throw new Error(error)
        return answer
      }
      await new Promise<void>((resolve) => (this.#arrived = resolve))
    }
  }

  ask(order: Order): Promise<any> {
    this.tell(order)
    return this.answer(order.order)
  }
}

const open = Effect.fnUntraced(function* (options: { readonly slots: number; readonly permits: number }) {
  const pool = yield* SharedPool.make({
    slots: options.slots,
    slotBytes: 16,
    reset: "zero",
    wait: true,
    acquireTimeout: "1 minute",
    closeGrace: 0
  })
  const permits = yield* SharedPermits.make({ permits: options.permits })
  const start = (): Effect.Effect<Thread, never, Scope.Scope> =>
    Effect.acquireRelease(
      Effect.promise(async () => {
        const thread = new Thread({ pool: pool.handle, permits: permits.handle })
        SharedPool.watch(pool, thread.worker)
        SharedPermits.watch(permits, thread.worker)
        await thread.answer("ready")
        return thread
      }),
      (thread) => Effect.promise(() => thread.worker.terminate())
    )
  return { permits, pool, start }
})

const told = <A>(f: () => Promise<A>): Effect.Effect<A> => Effect.promise(f)

describe("a shared pool in a worker of Effect's", { timeout: 60_000 }, () => {
  it.live("is used there, and has its slots back when the worker ends", () =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make({ slots: 2, slotBytes: 16 })
      const spawn = () =>
        SharedPool.watch(
          pool,
          new Worker(new URL("./shared/effectWorker.ts", import.meta.url), { workerData: pool.handle })
        )
      const filled = yield* Deferred.make<number>()
      const running = yield* Effect.gen(function* () {
        const platform = yield* WorkerPlatform
        const worker = yield* platform.spawn<number, number>(0)
        const running = yield* Effect.forkChild(worker.run((slot) => Deferred.succeed(filled, slot)))
        yield* worker.send(7)
        return running
      }).pipe(Effect.provide(NodeWorker.layer(spawn)))
      const slot = yield* Deferred.await(filled)
      expect(SharedPool.peekUnsafe(pool, slot)?.[0]).toBe(7)
      expect((yield* SharedPool.stats(pool)).used).toBe(1)
      yield* Fiber.interrupt(running)
      while ((yield* SharedPool.stats(pool)).used > 0) yield* Effect.sleep(1)
      expect((yield* SharedPool.stats(pool)).idle).toBe(2)
    })
  )
})

describe("a shared pool in several threads", { timeout: 60_000 }, () => {
  it.live("hands out no slot twice, and shows every thread the same figures", () =>
    Effect.gen(function* () {
      const { permits, pool, start } = yield* open({ slots: 4, permits: 10 })
      const thread = yield* start()
      const mine = SharedPool.getOrThrowUnsafe(pool)
      const [theirs] = yield* told(() => thread.ask({ order: "hold", slots: 2, permits: 3 }))
      expect(new Set([mine.value.index, ...theirs]).size).toBe(3)
      const [poolStats, permitStats] = yield* told((): Promise<[PoolStats.PoolStats, SharedPermits.Stats]> =>
        thread.ask({ order: "stats" })
      )
      const here = yield* SharedPool.stats(pool)
      const shared = ["idle", "used", "size", "pending", "acquired", "released", "exhausted", "timeouts"] as const
      for (const figure of shared) expect(poolStats[figure]).toBe(here[figure])
      expect(here).toMatchObject({ idle: 1, used: 3, acquired: 3, released: 0 })
      expect(here.details).toMatchObject({ threads: 2, ownUsed: 1 })
      expect(yield* SharedPermits.stats(permits)).toEqual({ ...permitStats, held: 0 })
      expect(permitStats).toMatchObject({ used: 3, held: 3, threads: 2 })
    })
  )

  it.live("wakes a fiber of one thread when another gives a slot back, clean", () =>
    Effect.gen(function* () {
      const { pool, start } = yield* open({ slots: 1, permits: 1 })
      const thread = yield* start()
      const guard = SharedPool.getOrThrowUnsafe(pool)
      guard.value.bytes.fill(9)
      thread.tell({ order: "wait" })
      while ((yield* SharedPool.stats(pool)).pending === 0) yield* Effect.sleep(1)
      SharedPool.releaseUnsafe(pool, guard)
      expect(yield* told(() => thread.answer("wait"))).toEqual([0, 0])
      yield* told(() => thread.ask({ order: "hold", slots: 1, permits: 0 }))
      const waiting = yield* Effect.forkChild(SharedPool.use(pool, ({ bytes }) => Effect.succeed(bytes[0])))
      yield* told(() => thread.ask({ order: "release" }))
      expect(yield* Fiber.join(waiting)).toBe(0)
    })
  )

  it.live("has the slots and permits back of a worker that is terminated, and serves who waits for them", () =>
    Effect.gen(function* () {
      const { permits, pool, start } = yield* open({ slots: 3, permits: 3 })
      const thread = yield* start()
      yield* told(() => thread.ask({ order: "hold", slots: 3, permits: 3 }))
      const slot = yield* Effect.forkChild(SharedPool.use(pool, ({ bytes }) => Effect.succeed(bytes[0])))
      const permit = yield* Effect.forkChild(SharedPermits.use(permits, 2, Effect.succeed("held")))
      yield* Effect.yieldNow
      const exit = once(thread.worker, "exit")
      yield* told(() => thread.worker.terminate())
      yield* told(() => exit)
      expect(yield* Fiber.join(slot)).toBe(0)
      expect(yield* Fiber.join(permit)).toBe("held")
      expect(yield* SharedPool.stats(pool)).toMatchObject({ idle: 3, used: 0, details: { reclaimed: 3, threads: 1 } })
      expect(yield* SharedPermits.stats(permits)).toMatchObject({ used: 0, reclaimed: 3, threads: 1 })
    })
  )

  it.live("passes a turn on that a terminated worker had", () =>
    Effect.gen(function* () {
      const { pool, start } = yield* open({ slots: 1, permits: 1 })
      const [first, second] = [yield* start(), yield* start()]
      const guard = SharedPool.getOrThrowUnsafe(pool)
      first.tell({ order: "wait" })
      while ((yield* SharedPool.stats(pool)).pending < 1) yield* Effect.sleep(1)
      second.tell({ order: "wait" })
      while ((yield* SharedPool.stats(pool)).pending < 2) yield* Effect.sleep(1)
      // It may be woken, and be gone before it takes the slot.
      const exit = once(first.worker, "exit")
      const end = first.worker.terminate()
      SharedPool.releaseUnsafe(pool, guard)
      yield* told(() => end)
      yield* told(() => exit)
      expect(yield* told(() => second.answer("wait"))).toEqual([0, 0])
    })
  )

  it.live("closes in every thread when it closes where it was made", () =>
    Effect.gen(function* () {
      const { pool, start } = yield* open({ slots: 1, permits: 1 })
      const [waiting, idle] = [yield* start(), yield* start()]
      const guard = SharedPool.getOrThrowUnsafe(pool)
      waiting.tell({ order: "wait" })
      while ((yield* SharedPool.stats(pool)).pending === 0) yield* Effect.sleep(1)
      yield* SharedPool.drain(pool, 0)
      expect(guard.isDisposed).toBe(false)
      yield* Effect.promise(() => expect(waiting.answer("wait")).rejects.toThrow("is closed"))
      expect(yield* told(() => idle.ask({ order: "closed" }))).toContain("is closed")
    })
  )
})
