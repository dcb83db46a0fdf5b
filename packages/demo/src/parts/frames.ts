/**
 * The shared pool at work: receipts go to threads that copy them, and back, as frames in memory that all threads share.
 * One of the threads is terminated with a copy in its hands.
 */
import { once } from "node:events"
import type { PoolStats } from "@effect-pools/core"
import { SharedPool } from "@effect-pools/lock-free"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { eventually } from "../eventually.ts"
import * as Copiers from "../frames/copiers.ts"
import { checksumOf } from "../frames/frame.ts"
import { invariant } from "../invariants.ts"
import type { Part } from "../part.ts"
import { anyReceipt, type Receipt, receiptType } from "../receipts.ts"

const slots = 16

const openPool = SharedPool.make({
  name: "frames",
  slots,
  // The longest receipt is less than half of this.
  slotBytes: 4096,
  reset: "zero",
  scale: { initial: 4, chunk: 0 },
  wait: true,
  acquireTimeout: "2 seconds",
  closeGrace: "2 seconds"
})

export const open: Effect.Effect<Part, never, Scope.Scope> = Effect.gen(function* () {
  const pool = yield* openPool
  // Every frame takes a second slot for its copy. If all were taken for frames, nobody could copy any.
  yield* SharedPool.resize(pool, { max: slots / 2 })
  const copiers = yield* Copiers.open(pool, 2)
  const books = { sent: 0, wrong: 0, terminated: 0 }
  /** How often each frame has come back. */
  const back = new Map<number, number>()

  const frame = (receipt: Receipt, end: (copy: Copiers.Copied) => Effect.Effect<void>) =>
    SharedPool.use(pool, ({ bytes, index }) =>
      Effect.gen(function* () {
        const number = ++books.sent
        const length = encode(receipt, bytes)
        const checksum = checksumOf(bytes.subarray(0, length))
        const copy = yield* copiers.copy({ order: "copy", frame: number, slot: index, length })
        back.set(number, (back.get(number) ?? 0) + 1)
        const seen = checksumOf(SharedPool.peekUnsafe(pool, copy.slot)!.subarray(0, length))
        if (copy.checksum !== checksum || seen !== checksum || copy.slot === index) books.wrong++
        yield* end(copy)
      })
    )

  const release = (copy: Copiers.Copied) => Effect.sync(() => copiers.release(copy))
  const terminate = ({ by }: Copiers.Copied) =>
    Effect.promise(async () => {
      const end = once(by, "exit")
      await by.terminate()
      await end
      books.terminated++
    })

  return {
    name: "frames",
    requests: [
      { name: "have a receipt copied", weight: 20, run: Effect.flatMap(anyReceipt, (it) => frame(it, release)) }
    ],
    // Begun, it is done: without it the run shows too little.
    faults: Effect.uninterruptible(
      Effect.orDie(
        Effect.retry(
          Effect.flatMap(anyReceipt, (it) => frame(it, terminate)),
          { times: 4 }
        )
      )
    ),
    settled: Effect.gen(function* () {
      const stats = yield* eventually(SharedPool.stats(pool), isAtRest)
      const reclaimed = Number(stats.details["reclaimed"])
      const times = Array.from(back.values())
      const cameOnce = times.filter((count) => count === 1).length
      yield* Effect.orDie(SharedPool.resize(pool, { max: slots }))
      const free = takeAll(pool)
      return {
        pools: [stats],
        facts: {
          "frames sent": books.sent,
          "frames sent again": copiers.sentAgain,
          "threads terminated": books.terminated,
          "slots reclaimed": reclaimed
        },
        invariants: [
          invariant(
            "every frame came back once, as it was sent",
            books.sent > 0 && cameOnce === books.sent && times.length === books.sent && books.wrong === 0,
            `${cameOnce} of ${books.sent} once, ${times.length - cameOnce} more often, ${books.wrong} with a wrong checksum`
          ),
          invariant(
            "the slots of the thread that was terminated were reclaimed",
            books.terminated === 1 && reclaimed > 0,
            `${books.terminated} terminated, ${reclaimed} slots reclaimed`
          ),
          invariant(
            "every slot is free in the end, once",
            stats.used === 0 && stats.idle === stats.size && free.length === slots && new Set(free).size === slots,
            `${stats.used} used, ${stats.idle} idle, then ${new Set(free).size} of ${slots} taken, each once`
          ),
          invariant(
            "every lease came back",
            stats.acquired === stats.released && stats.pending === 0,
            `${stats.acquired} acquired, ${stats.released} released, ${stats.pending} waiting`
          )
        ]
      }
    }),
    closed: Effect.sync(() => {
      const { living, started } = copiers.threads
      const name = "no copying thread is left when the pool has closed"
      return { invariants: [invariant(name, started === 3 && living === 0, `${living} of ${started} threads`)] }
    })
  } satisfies Part
}).pipe(Effect.orDie)

const encode = (receipt: Receipt, { buffer, byteLength, byteOffset }: Uint8Array<SharedArrayBuffer>): number => {
  const end = receiptType.encode(receipt, Buffer.from(buffer, byteOffset, byteLength), 0)
  if (end < 0) throw new Error(`The receipt is ${-end} bytes longer than a slot`)
  return end
}

/** Takes every slot that there is, gives them back, and answers which they were. */
const takeAll = (pool: SharedPool.SharedPool): ReadonlyArray<number> => {
  const taken: Array<number> = []
  for (let slot = SharedPool.claimUnsafe(pool); slot >= 0; slot = SharedPool.claimUnsafe(pool)) taken.push(slot)
  for (const slot of taken) SharedPool.unclaimUnsafe(pool, slot)
  return taken
}

const isAtRest = ({ pending, used }: PoolStats.PoolStats): boolean => pending + used === 0
