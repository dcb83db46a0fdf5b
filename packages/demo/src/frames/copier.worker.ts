/**
 * A thread that copies frames from slots of the shop's pool to slots that it takes itself.
 */
import { parentPort, workerData } from "node:worker_threads"
import { SharedPool } from "@effect-pools/lock-free"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { checksumOf, type Copy, type Order, ready } from "./frame.ts"

const serve = Effect.gen(function* () {
  const pool = yield* SharedPool.attach(workerData, { wait: true, acquireTimeout: Infinity })
  const copies = new Map<number, Fiber.Fiber<unknown, unknown>>()

  /** Keeps its slot until it is interrupted. */
  const copy = (frame: number, from: number, length: number) =>
    SharedPool.use(pool, ({ bytes, index }) =>
      Effect.suspend(() => {
        bytes.set(SharedPool.peekUnsafe(pool, from)!.subarray(0, length))
        const copied: Copy = { frame, slot: index, checksum: checksumOf(bytes.subarray(0, length)) }
        parentPort!.postMessage(copied)
        return Effect.never
      })
    )

  parentPort!.on("message", (order: Order) => {
    if (order.order === "copy") {
      copies.set(order.frame, Effect.runFork(copy(order.frame, order.slot, order.length)))
    } else {
      copies.get(order.frame)?.interruptUnsafe()
      copies.delete(order.frame)
    }
  })
  parentPort!.postMessage(ready)
  return yield* Effect.never
})

Effect.runFork(Effect.scoped(serve))
