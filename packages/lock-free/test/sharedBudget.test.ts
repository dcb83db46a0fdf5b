import { once } from "node:events"
import { Worker } from "node:worker_threads"
import { describe, expect, it } from "@effect/vitest"
import { Budget } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { LockFreePool, SharedPermits } from "../src/index.ts"
import { TURNSTILE_AT } from "../src/internal/sharedLayout.ts"
import type { BudgetOrder, BudgetWorkerData } from "./shared/budgetWorker.ts"

/** Pools of two threads, of which this test plays both, over permits that they share. */
const open = Effect.fnUntraced(function* (permits: number) {
  const here = yield* SharedPermits.make({ permits, name: "together" })
  const there = yield* SharedPermits.attach(here.handle, { thread: 77 })
  const things = { living: 0, most: 0 }
  const poolOf = (
    { budget }: SharedPermits.SharedPermits,
    scale: LockFreePool.Scale = { mode: "auto" },
    weight?: number
  ) =>
    LockFreePool.make({
      create: () => {
        things.living++
        things.most = Math.max(things.most, things.living * (weight ?? 1))
        return {}
      },
      reset: () => true,
      destroy: () => void things.living--,
      scale,
      wait: true,
      acquireTimeout: "20 seconds",
      closeGrace: 0,
      budget: weight === undefined ? budget : { budget, weight }
    })
  return { here, there, things, poolOf }
})

const used = (permits: SharedPermits.SharedPermits) => Effect.map(SharedPermits.stats(permits), ({ used }) => used)

const leave = (pool: LockFreePool.LockFreePool<object>, count: number): void => {
  const guards = Array.from({ length: count }, () => LockFreePool.getOrThrowUnsafe(pool))
  for (const guard of guards) guard[Symbol.dispose]()
}

const turns = Effect.promise(async () => {
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
})

describe("a budget over permits that threads share", () => {
  it.effect("bounds the pools of all threads together", () =>
    Effect.gen(function* () {
      const { here, there, poolOf } = yield* open(3)
      const [mine, theirs] = [yield* poolOf(here), yield* poolOf(there)]
      const guards = [mine, theirs, mine].map((pool) => LockFreePool.getOrThrowUnsafe(pool))
      expect(LockFreePool.getUnsafe(mine)).toBeUndefined()
      expect(LockFreePool.getUnsafe(theirs)).toBeUndefined()
      expect(yield* used(here)).toBe(3)
      for (const guard of guards) guard[Symbol.dispose]()
      // What lies idle keeps its permits.
      expect(yield* used(there)).toBe(3)
    })
  )

  it.live("has another thread give up what lies idle before anybody waits for long", () =>
    Effect.gen(function* () {
      const { here, poolOf, there, things } = yield* open(2)
      const [mine, theirs] = [yield* poolOf(here), yield* poolOf(there)]
      leave(mine, 2)
      yield* LockFreePool.use(theirs, () => Effect.void)
      expect(LockFreePool.statsUnsafe(mine)).toMatchObject({ idle: 1, destroyed: { reclaimed: 1 } })
      expect(things).toEqual({ living: 2, most: 2 })
    })
  )

  it.live("gives up what lies idle for those who want permits without a pool, in any thread", () =>
    Effect.gen(function* () {
      const { here, poolOf, there } = yield* open(2)
      const mine = yield* poolOf(here)
      for (const permits of [here, there]) {
        leave(mine, 2)
        expect(yield* SharedPermits.use(permits, 2, used(here))).toBe(2)
        expect(LockFreePool.statsUnsafe(mine).idle).toBe(0)
      }
    })
  )

  it.live("gives up one item for one who waits, whatever the number of threads", () =>
    Effect.gen(function* () {
      const { here, poolOf, there } = yield* open(4)
      const third = yield* SharedPermits.attach(here.handle, { thread: 78 })
      const idle = [yield* poolOf(here), yield* poolOf(third)]
      for (const pool of idle) leave(pool, 2)
      const theirs = yield* poolOf(there)
      yield* LockFreePool.use(theirs, () => Effect.void)
      yield* turns
      expect(idle.reduce((sum, pool) => sum + LockFreePool.statsUnsafe(pool).idle, 0)).toBe(3)
    })
  )

  it.effect(
    "gives up what comes to lie idle though the word that threads sleep on says for a moment that none does",
    () =>
      Effect.gen(function* () {
        const { here, poolOf, there } = yield* open(1)
        const [mine, theirs] = [yield* poolOf(here), yield* poolOf(there)]
        const guard = LockFreePool.getOrThrowUnsafe(mine)
        const waiting = yield* Effect.forkChild(
          LockFreePool.use(theirs, () => Effect.void),
          { startImmediately: true }
        )
        new Int32Array(here.handle.control)[TURNSTILE_AT]!++
        guard[Symbol.dispose]()
        expect(LockFreePool.statsUnsafe(mine)).toMatchObject({ size: 0, destroyed: { reclaimed: 1 } })
        yield* Fiber.interrupt(waiting)
      })
  )

  it.live("does not let a busy thread hand its items on for ever while another waits", () =>
    Effect.gen(function* () {
      const { here, poolOf, there, things } = yield* open(1)
      const [mine, theirs] = [yield* poolOf(here, { mode: "auto", maximum: 1 }), yield* poolOf(there)]
      const busy = LockFreePool.use(mine, () => Effect.sleep(1))
      const users = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(Effect.forever(busy)))
      yield* Effect.sleep(5)
      yield* LockFreePool.use(theirs, () => Effect.sync(() => expect(things.living).toBe(1)))
      expect(things.most).toBe(1)
      yield* Fiber.interruptAll(users)
    })
  )

  it.live("does not let a busy pool do so that is first in line itself", () =>
    Effect.gen(function* () {
      const { here, poolOf } = yield* open(2)
      const [one, other] = [yield* poolOf(here), yield* poolOf(here)]
      const busy = LockFreePool.use(one, () => Effect.sleep(1))
      const users = yield* Effect.forEach([1, 2, 3, 4, 5], () => Effect.forkChild(Effect.forever(busy)))
      yield* Effect.sleep(5)
      expect(here.budget.statsUnsafe().inLine).toBe(1)
      yield* LockFreePool.use(other, () => Effect.void)
      yield* Fiber.interruptAll(users)
    })
  )

  it.live("does not let a busy pool keep those waiting who need permits for something else", () =>
    Effect.gen(function* () {
      const { here, poolOf } = yield* open(3)
      const pool = yield* poolOf(here)
      const busy = LockFreePool.use(pool, () => Effect.sleep(1))
      const users = yield* Effect.forEach([1, 2, 3, 4, 5, 6], () => Effect.forkChild(Effect.forever(busy)))
      yield* Effect.sleep(5)
      for (const permits of [1, 2]) yield* SharedPermits.use(here, permits, Effect.void, { timeout: "5 seconds" })
      yield* Fiber.interruptAll(users)
    })
  )

  it.live("does not fill up a pool with what another thread waits for, but does so afterwards", () =>
    Effect.gen(function* () {
      const { here, poolOf, there } = yield* open(2)
      const mine = yield* poolOf(here, { mode: "static", count: 2 })
      expect(LockFreePool.statsUnsafe(mine).idle).toBe(2)
      const scope = yield* Scope.make()
      const theirs = yield* Effect.provideService(poolOf(there), Scope.Scope, scope)
      yield* LockFreePool.use(theirs, () =>
        Effect.gen(function* () {
          yield* turns
          expect(LockFreePool.statsUnsafe(mine).size).toBe(1)
        })
      )
      yield* Scope.close(scope, Exit.void)
      yield* turns
      expect(LockFreePool.statsUnsafe(mine).idle).toBe(2)
    })
  )

  it.live("serves pools of one thread in the order in which they asked", () =>
    Effect.gen(function* () {
      const { here, poolOf } = yield* open(1)
      const pools = yield* Effect.forEach([1, 2, 3], () => poolOf(here))
      const order: Array<number> = []
      const first = LockFreePool.getOrThrowUnsafe(pools[0]!)
      const waiting = yield* Effect.forEach([2, 1], (index) =>
        Effect.forkChild(
          LockFreePool.use(pools[index]!, () => Effect.sync(() => order.push(index))),
          { startImmediately: true }
        )
      )
      yield* turns
      expect(order).toEqual([])
      first[Symbol.dispose]()
      yield* Fiber.joinAll(waiting)
      expect(order).toEqual([2, 1])
    })
  )

  it.live("counts an item for its weight", () =>
    Effect.gen(function* () {
      const { here, poolOf, there, things } = yield* open(5)
      const [mine, theirs] = [yield* poolOf(here, { mode: "auto" }, 2), yield* poolOf(there, { mode: "auto" }, 2)]
      leave(mine, 2)
      expect(yield* used(here)).toBe(4)
      yield* LockFreePool.use(theirs, () => Effect.void)
      expect(yield* used(here)).toBe(4)
      expect(things.most).toBe(4)
    })
  )

  it.effect("has permits back when a pool closes, and forgets it", () =>
    Effect.gen(function* () {
      const { here, poolOf } = yield* open(2)
      yield* Effect.scoped(Effect.map(poolOf(here), (pool) => leave(pool, 2)))
      expect(yield* used(here)).toBe(0)
      expect((yield* Budget.stats(here.budget)).members.map(({ name }) => name)).toEqual(["other threads"])
    })
  )

  it.effect("says who has the permits, and what other threads have", () =>
    Effect.gen(function* () {
      const { here, poolOf, there } = yield* open(3)
      const [mine, theirs] = [yield* poolOf(here), yield* poolOf(there)]
      leave(mine, 1)
      const guards = [theirs, theirs].map((pool) => LockFreePool.getOrThrowUnsafe(pool))
      const waiting = yield* Effect.forkChild(
        LockFreePool.use(theirs, () => Effect.void),
        { startImmediately: true }
      )
      expect(yield* Budget.stats(here.budget)).toEqual({
        name: "together",
        max: 3,
        free: 0,
        inLine: 1,
        members: [
          { name: mine.name, taken: 1, minimum: 0, weight: 1, waits: false },
          { name: "other threads", taken: 2, minimum: 0, weight: 1, waits: true }
        ]
      })
      yield* Fiber.interrupt(waiting)
      expect((yield* Budget.stats(here.budget)).inLine).toBe(0)
      for (const guard of guards) guard[Symbol.dispose]()
    })
  )

  it.effect("promises nothing to one pool", () =>
    Effect.gen(function* () {
      const { here } = yield* open(3)
      const refused = LockFreePool.make({
        create: () => ({}),
        reset: () => true,
        scale: { mode: "auto" },
        budget: { budget: here.budget, minimum: 1 }
      })
      expect(yield* Effect.flip(refused)).toMatchObject({ field: "budget.minimum" })
    })
  )

  it.live("leaves nothing for long to a thread that has waited longer, but does not come", () =>
    Effect.gen(function* () {
      const { here, poolOf, there } = yield* open(1)
      const mine = yield* poolOf(here)
      const guard = LockFreePool.getOrThrowUnsafe(mine)
      // As a thread leaves it that waits, and stops then.
      const { slots } = there.ledger
      slots.add("pending", 1)
      slots.add("wanted", 1)
      slots.tellSince(1)
      slots.turnstile.arrive()
      const waiting = yield* Effect.forkChild(
        LockFreePool.use(mine, () => Effect.succeed("served")),
        { startImmediately: true }
      )
      guard[Symbol.dispose]()
      expect(yield* Fiber.join(waiting)).toBe("served")
    })
  )

  it.live("that ends before its pools fails those that wait", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { here, poolOf, there } = yield* Effect.provideService(open(1), Scope.Scope, scope)
      const [mine, theirs] = [yield* poolOf(here), yield* poolOf(there)]
      const guard = LockFreePool.getOrThrowUnsafe(mine)
      const waiting = yield* Effect.forkChild(Effect.flip(LockFreePool.use(theirs, () => Effect.void)), {
        startImmediately: true
      })
      yield* Scope.close(scope, Exit.void)
      expect(yield* Fiber.join(waiting)).toMatchObject({ reason: { _tag: "BudgetClosed" } })
      guard[Symbol.dispose]()
    })
  )
})

class Thread {
  readonly worker: Worker
  readonly id: number

  constructor(data: BudgetWorkerData) {
    this.worker = new Worker(new URL("./shared/budgetWorker.ts", import.meta.url), { workerData: data })
    this.id = this.worker.threadId
  }

  /** Until the thread has done what it was told last. */
  async done(): Promise<void> {
    const [{ error }] = (await once(this.worker, "message")) as [{ readonly error?: string }]
    if (error !== undefined) throw new Error(error)
  }

  ask(order: BudgetOrder): Promise<void> {
    this.worker.postMessage(order)
    return this.done()
  }
}

describe("a budget in several threads", { timeout: 60_000 }, () => {
  it.live("is never exceeded by all together, and what a terminated one had comes back", () =>
    Effect.gen(function* () {
      const permits = yield* SharedPermits.make({ permits: 4 })
      const counts = new SharedArrayBuffer(8)
      const figures = new Int32Array(counts)
      let kept = 0
      const start = Effect.acquireRelease(
        Effect.promise(async () => {
          const thread = new Thread({ permits: permits.handle, counts })
          // Before its permits are others', its items are gone.
          thread.worker.once("exit", () => void Atomics.sub(figures, 0, kept))
          SharedPermits.watch(permits, thread.worker)
          await thread.done()
          return thread
        }),
        ({ worker }) => Effect.promise(() => worker.terminate())
      )
      const threads = [yield* start, yield* start, yield* start]
      yield* Effect.promise(() => Promise.all(threads.map((thread) => thread.ask({ order: "use", times: 300 }))))
      expect(figures[1]).toBeLessThanOrEqual(4)
      const [first, ...rest] = threads
      yield* Effect.promise(() => first!.ask({ order: "keep", items: 3 }))
      const others = rest.map((thread) => thread.ask({ order: "keep", items: 2 }))
      // What else it may have lies idle, and goes to them.
      const { slots } = permits.ledger
      const isFirsts = (slot: number): boolean => slots.ownerOf(slot) === first!.id
      while ([0, 1, 2, 3].filter(isFirsts).length > 3) yield* Effect.sleep(1)
      kept = 3
      yield* Effect.promise(() => first!.worker.terminate())
      kept = 0
      yield* Effect.promise(() => Promise.all(others))
      expect(yield* SharedPermits.stats(permits)).toMatchObject({ used: 4, reclaimed: 3, pending: 0 })
      expect(Array.from(figures)).toEqual([4, 4])
    })
  )
})
