/**
 * The arena pool at work: receipts are encoded into arenas and written from there, without a copy, while the pages of idle
 * arenas are returned under it.
 */
import { isDeepStrictEqual } from "node:util"
import { type ArenaError, ArenaPool, BumpArena } from "@effect-pools/arena"
import type { PoolError, PoolStats } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { eventually } from "../eventually.ts"
import { invariant, nothingLeaked } from "../invariants.ts"
import type { NewOrder } from "../orders.ts"
import type { Part } from "../part.ts"
import * as Printer from "../printer.ts"
import { anyReceipt, type Receipt, receiptOf, receiptType } from "../receipts.ts"

/** The longest receipt is a tenth of this. */
const size = 16 * 1024

const max = 8

const openPool = ArenaPool.make({
  name: "receipts",
  size,
  backing: "resizable",
  maxOutstanding: max,
  acquireTimeout: "2 seconds",
  clear: "onReturn",
  releaseIdleAfter: "1 second"
})

/** How many of the receipts are looked at in the end. */
const sampled = 500

/**
 * What prints the receipts of orders that are placed elsewhere in the shop.
 */
export interface ReceiptsPart extends Part {
  readonly print: (order: NewOrder) => Effect.Effect<void, PoolError.PoolError | ArenaError.BackingFailed>
}

export const open: Effect.Effect<ReceiptsPart, never, Scope.Scope> = Effect.gen(function* () {
  const printer = yield* Printer.open
  const pool = yield* openPool
  const samples: Array<{ readonly receipt: Receipt; readonly position: number; readonly length: number }> = []
  const books = { printed: 0, bytes: 0, ordered: 0 }

  const print = (receipt: Receipt) =>
    ArenaPool.use(pool, (arena) =>
      Effect.gen(function* () {
        const bytes = encode(arena, receipt)
        // Noted before: it is written even if its user has left.
        books.printed++
        books.bytes += bytes.length
        const position = yield* printer.print(bytes)
        const sample = { receipt, position, length: bytes.length }
        if (samples.length < sampled) samples.push(sample)
        else samples[books.printed % sampled] = sample
      })
    )

  return {
    name: "receipts",
    print: (order) =>
      Effect.map(print(receiptOf(order)), () => {
        books.ordered++
      }),
    requests: [{ name: "print a receipt", weight: 20, run: Effect.flatMap(anyReceipt, print) }],
    faults: Effect.asVoid(Effect.repeat(ArenaPool.releaseIdle(pool), Schedule.spaced("20 millis"))),
    settled: Effect.gen(function* () {
      const stats = yield* eventually(ArenaPool.stats(pool), isAtRest)
      let wrong = 0
      for (const { length, position, receipt } of samples) {
        if (!isDeepStrictEqual(decode(yield* printer.read(position, length)), receipt)) wrong++
      }
      const fileSize = yield* printer.size
      return {
        pools: [stats],
        facts: {
          "receipts printed": books.printed,
          "of orders placed": books.ordered,
          "bytes printed": books.bytes,
          "arenas made": stats.created,
          "KiB returned to the system": Math.round(Number(stats.details["releasedBytes"]) / 1024)
        },
        invariants: [
          invariant(
            "every receipt was written whole",
            books.printed > 0 && fileSize === books.bytes,
            `${books.printed} receipts of ${books.bytes} bytes, ${fileSize} in the file`
          ),
          invariant(
            "receipts say what was encoded",
            samples.length > 0 && wrong === 0,
            `${wrong} of ${samples.length} that were decoded are wrong`
          ),
          invariant(
            "arenas were used again",
            stats.created <= max && stats.acquired === books.printed,
            `${stats.created} arenas for ${stats.acquired} leases, max ${max}`
          ),
          invariant("orders that were placed had their receipts", books.ordered > 0, `${books.ordered} receipts`),
          ...nothingLeaked(stats, pool.store.all.size)
        ]
      }
    }),
    closed: Effect.map(ArenaPool.stats(pool), ({ details }) => {
      const left = Number(details["reservedBytes"])
      return { invariants: [invariant("no arena is left when the pool has closed", left === 0, `${left} bytes`)] }
    })
  } satisfies ReceiptsPart
}).pipe(Effect.orDie)

/** Writes a receipt into an arena, and gives the part of the arena's memory where it is. */
const encode = (arena: BumpArena.BumpArena, receipt: Receipt): Uint8Array => {
  const start = BumpArena.allocUnsafe(arena, size)
  const { buffer, byteOffset } = arena.memory.view
  const memory = Buffer.from(buffer, byteOffset, size)
  const end = receiptType.encode(receipt, memory, start)
  if (end < 0) throw new Error(`The receipt is ${-end} bytes longer than an arena`)
  return memory.subarray(start, end)
}

const decode = (bytes: Buffer): unknown =>
  // Its records have classes of their own.
  JSON.parse(JSON.stringify(receiptType.fromBuffer(bytes)))

const isAtRest = ({ pending, used }: PoolStats.PoolStats): boolean => pending + used === 0
