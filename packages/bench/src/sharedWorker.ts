/** A worker thread that takes and gives back slots, in each of the ways that are compared. */
import { parentPort, workerData } from "node:worker_threads"
import { SharedPool } from "@effect-pools/lock-free"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"

export type Way = "pool" | "lock" | "messages"

export interface WorkerData {
  readonly handle: SharedPool.Handle
  /** A lock, the number of free slots, and the slots as a stack. */
  readonly locked: SharedArrayBuffer
}

const { handle, locked } = workerData as WorkerData
const port = parentPort!
const attached = Effect.provideService(SharedPool.attach(handle), Scope.Scope, Scope.makeUnsafe())
const pool = await Effect.runPromise(attached)
const words = new Int32Array(locked)

/** 0 is free, 1 taken, 2 taken with somebody asleep. */
const lock = (): void => {
  let state = Atomics.compareExchange(words, 0, 0, 1)
  if (state === 0) return
  if (state !== 2) state = Atomics.exchange(words, 0, 2)
  while (state !== 0) {
    Atomics.wait(words, 0, 2)
    state = Atomics.exchange(words, 0, 2)
  }
}

const unlock = (): void => {
  if (Atomics.exchange(words, 0, 0) === 2) Atomics.notify(words, 0, 1)
}

const loops: Record<Way, (operations: number) => void | Promise<void>> = {
  pool(operations) {
    for (let n = 0; n < operations; n++) {
      const slot = SharedPool.claimUnsafe(pool)
      if (slot < 0 || !SharedPool.unclaimUnsafe(pool, slot)) throw new Error("there was no slot")
    }
  },
  lock(operations) {
    for (let n = 0; n < operations; n++) {
      lock()
      const slot = words[2 + --words[1]!]!
      unlock()
      lock()
      words[2 + words[1]!++] = slot
      unlock()
    }
  },
  async messages(operations) {
    for (let n = 0; n < operations; n++) {
      port.postMessage({ give: await new Promise((resolve) => port.once("message", resolve).postMessage("take")) })
    }
  }
}

const run = async ({ operations, way }: { readonly way: Way; readonly operations: number }): Promise<void> => {
  await loops[way](operations)
  port.once("message", (next) => void run(next))
  port.postMessage("done")
}

port.once("message", (next) => void run(next))
port.postMessage("done")
