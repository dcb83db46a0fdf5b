import { availableParallelism } from "node:os"
import { Worker } from "node:worker_threads"
import { SharedPool } from "@effect-pools/lock-free"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Case, Contender } from "../harness.ts"
import { inPlainCode } from "../loops.ts"
import type { Effort } from "../settings.ts"
import type { Way, WorkerData } from "../sharedWorker.ts"

const SLOTS = 64

/** Slots that threads share, against what is below them and what would be used instead of them. */
export const makeShared = Effect.fnUntraced(function* ({
  isQuick
}: Effort): Effect.fn.Return<ReadonlyArray<Case>, unknown, Scope.Scope> {
  const pool = yield* SharedPool.make({ slots: SLOTS, slotBytes: 64 })
  const raw = new Int32Array(new SharedArrayBuffer(64))
  const claim = (pool: SharedPool.SharedPool) => () => {
    SharedPool.unclaimUnsafe(pool, SharedPool.claimUnsafe(pool))
  }
  const alone: Case = {
    name: "shared-alone",
    title: "a shared slot in one thread",
    method: "Plain code in one thread: a slot is taken and given back, 64 of them are free.",
    operations: isQuick ? 20_000 : 200_000,
    rounds: isQuick ? 21 : 51,
    overhead: "empty loop",
    contenders: [
      inPlainCode("empty loop", () => {}),
      inPlainCode("compare-and-swap, twice", () => {
        Atomics.compareExchange(raw, 0, 0, 1)
        Atomics.compareExchange(raw, 0, 1, 0)
      }),
      inPlainCode("SharedPool.claimUnsafe", claim(pool)),
      inPlainCode("SharedPool.getUnsafe", () => SharedPool.getUnsafe(pool)![Symbol.dispose]())
    ],
    comparisons: [
      {
        name: "SharedPool.claimUnsafe",
        against: "compare-and-swap, twice",
        goal: 1 / 1.5,
        because: "[decision 11](../decisions/0011-shared-pool-algorithm.md)"
      },
      { name: "SharedPool.getUnsafe", against: "compare-and-swap, twice" }
    ]
  }
  return [alone, yield* makeSizes(isQuick), ...(yield* makeThreads(pool, isQuick))]
})

/** The cost must not grow with the number of slots, however many of them are in use. */
const makeSizes = Effect.fnUntraced(function* (isQuick: boolean) {
  const contenders: Array<Contender> = []
  for (const slots of [64, 1024, 65_536]) {
    const free = yield* SharedPool.make({ slots, slotBytes: 8 })
    // Its slots are never given back: its end must not wait for them.
    const full = yield* SharedPool.make({ slots, slotBytes: 8, closeGrace: 0 })
    for (let taken = 0; taken < slots - 1; taken++) SharedPool.claimUnsafe(full)
    // What another thread gives back is not remembered here, and is found by the tree.
    const other = yield* SharedPool.attach(full.handle, { thread: 1_000_000, name: `${full.name}, another thread` })
    contenders.push(
      inPlainCode(`${slots} slots, free`, () => {
        SharedPool.unclaimUnsafe(free, SharedPool.claimUnsafe(free))
      }),
      inPlainCode(`${slots} slots, one free, between threads`, () => {
        SharedPool.unclaimUnsafe(full, SharedPool.claimUnsafe(full))
        SharedPool.unclaimUnsafe(other, SharedPool.claimUnsafe(other))
      })
    )
  }
  return {
    name: "shared-sizes",
    title: "shared slots, by their number",
    method:
      "Plain code in one thread, which in the second row of each plays two: slots are taken and given back in turns.",
    operations: isQuick ? 20_000 : 100_000,
    rounds: isQuick ? 21 : 51,
    contenders,
    comparisons: [
      { name: "65536 slots, free", against: "64 slots, free", goal: 0.95 },
      { name: "65536 slots, one free, between threads", against: "64 slots, one free, between threads", goal: 0.95 }
    ]
  } satisfies Case
})

/** Several threads at the same slots: as many as there are cores, at least up to four. */
const makeThreads = Effect.fnUntraced(function* (pool: SharedPool.SharedPool, isQuick: boolean) {
  const crews: Array<Case> = []
  for (const size of [1, 2, 4, 8, 16]) {
    if (size > Math.max(4, availableParallelism())) break
    const crew = yield* Effect.acquireRelease(
      Effect.promise(() => hire(pool, size)),
      ({ dismiss }) => Effect.promise(dismiss)
    )
    crews.push({
      name: `shared-${size}`,
      title: `shared slots, ${size} worker${size === 1 ? "" : "s"}`,
      method:
        "Each worker takes a slot of 64 and gives it back, again and again; the time is that of all, from the order to the" +
        " last answer, over all operations. The lock guards a stack of free slots; with messages the main thread keeps it.",
      operations: isQuick ? 200_000 : 1_000_000,
      rounds: isQuick ? 7 : 31,
      contenders: [
        crew.contender("SharedPool", "pool"),
        crew.contender("lock (Atomics.wait)", "lock"),
        crew.contender("messages", "messages", 400)
      ],
      comparisons: [
        { name: "SharedPool", against: "lock (Atomics.wait)", ...(size > 1 ? { goal: 1 } : {}) },
        { name: "SharedPool", against: "messages", ...(size > 1 ? { goal: 1 } : {}) }
      ]
    })
  }
  return crews
})

/** Workers that do what they are told, and tell when all are done. */
const hire = async (pool: SharedPool.SharedPool, size: number) => {
  const locked = new Int32Array(new SharedArrayBuffer(4 * (2 + SLOTS)))
  locked[1] = SLOTS
  for (let slot = 0; slot < SLOTS; slot++) locked[2 + slot] = slot
  const free = Array.from({ length: SLOTS }, (_, slot) => slot)
  let done = (): void => {}
  let fail: (error: unknown) => void = () => {}
  let busy = size
  const workers = Array.from({ length: size }, () => {
    const data: WorkerData = { handle: pool.handle, locked: locked.buffer as SharedArrayBuffer }
    const worker = new Worker(new URL("../sharedWorker.ts", import.meta.url), { workerData: data })
    worker.on("error", (error) => fail(error))
    worker.on("message", (message: "done" | "take" | { readonly give: number }) => {
      if (message === "take") worker.postMessage(free.pop()!)
      else if (message !== "done") free.push(message.give)
      else if (--busy === 0) done()
    })
    return SharedPool.watch(pool, worker)
  })
  const allDone = (): Promise<void> =>
    new Promise((resolve, reject) => {
      done = resolve
      fail = reject
    })
  await allDone()
  return {
    /** With `fewer`, only so many of the operations are performed, and the time is that of all of them. */
    contender: (name: string, way: Way, fewer = 1): Contender => ({
      name,
      run: async (operations) => {
        const ended = allDone()
        busy = size
        const start = performance.now()
        for (const worker of workers) worker.postMessage({ way, operations: Math.ceil(operations / size / fewer) })
        await ended
        return (performance.now() - start) * fewer
      }
    }),
    dismiss: async (): Promise<void> => {
      await Promise.all(workers.map((worker) => worker.terminate()))
    }
  }
}
