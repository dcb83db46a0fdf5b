import { ArenaPool, BumpArena } from "@effect-pools/arena"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Case } from "../harness.ts"
import { inPlainCode } from "../loops.ts"
import { receipts, receiptType } from "../receipts.ts"
import type { Effort } from "../settings.ts"

const MiB = 1024 * 1024

/** What is made is looked at, or the compiler would see that nobody needs it. */
const sink = { last: undefined as unknown }

/** Arenas against the buffers that a program without them would make. */
export const makeArenas = Effect.fnUntraced(function* ({
  isQuick
}: Effort): Effect.fn.Return<ReadonlyArray<Case>, unknown, Scope.Scope> {
  const rounds = isQuick ? 3 : 101
  const pool = yield* ArenaPool.make({ size: MiB })
  const small = yield* ArenaPool.make({ size: MiB })
  const responses = yield* ArenaPool.make({ size: MiB })
  const arena = yield* BumpArena.make({ size: MiB })
  return [
    allocations(arena, rounds),
    units(16_384, pool, rounds),
    written(pool, rounds),
    units(64, small, rounds),
    encoder(responses, isQuick ? 3 : 31)
  ]
})

const allocations = (arena: BumpArena.BumpArena, rounds: number): Case => ({
  name: "arena-alloc",
  title: "64 bytes",
  method: "A loop in plain code. The arena is of 1 MiB, and is emptied when it is full.",
  operations: 100_000,
  rounds,
  overhead: "empty loop",
  contenders: [
    inPlainCode("empty loop", () => {}),
    inPlainCode("Buffer.allocUnsafe", () => {
      sink.last = Buffer.allocUnsafe(64)
    }),
    inPlainCode("new Uint8Array", () => {
      sink.last = new Uint8Array(64)
    }),
    inPlainCode("BumpArena.allocUnsafe: an offset", () => {
      if (BumpArena.allocUnsafe(arena, 64) < 0) BumpArena.resetUnsafe(arena)
    }),
    inPlainCode("BumpArena.allocBytesUnsafe: a view", () => {
      if (arena.remaining < 64) BumpArena.resetUnsafe(arena)
      sink.last = BumpArena.allocBytesUnsafe(arena, 64)
    })
  ],
  comparisons: [
    { name: "BumpArena.allocUnsafe: an offset", against: "Buffer.allocUnsafe", goal: 3 },
    { name: "BumpArena.allocUnsafe: an offset", against: "new Uint8Array", goal: 3 },
    { name: "BumpArena.allocBytesUnsafe: a view", against: "Buffer.allocUnsafe" }
  ]
})

const COUNT = 64

const because = "[64 offsets](#64-bytes) without a pool are some 10 times as fast"

/** A unit of work with 64 allocations of one size. */
const units = (size: number, pool: ArenaPool.ArenaPool, rounds: number): Case => {
  const what = size < 1024 ? `${size} bytes` : `${size / 1024} KiB`
  const buffers = (name: string, make: () => Uint8Array) =>
    inPlainCode(name, () => {
      const made: Array<Uint8Array> = []
      for (let n = 0; n < COUNT; n++) made.push(make())
      sink.last = made
    })
  return {
    name: `arena-unit-${size}`,
    title: `a unit of work with 64 allocations of ${what}`,
    method:
      "A loop in plain code. An arena of 1 MiB is checked out of a pool, allocated from, and given back; or the buffers are" +
      " made and dropped.",
    operations: size < 1024 ? 5000 : 200,
    rounds,
    countsGarbageCollection: true,
    contenders: [
      buffers("fresh: new Uint8Array", () => new Uint8Array(size)),
      buffers("fresh: Buffer.allocUnsafe", () => Buffer.allocUnsafe(size)),
      inPlainCode("arena: offsets", () => {
        const arena = ArenaPool.checkoutUnsafe(pool)
        for (let n = 0; n < COUNT; n++) sink.last = BumpArena.allocUnsafe(arena, size)
        ArenaPool.giveBackUnsafe(pool, arena)
      }),
      inPlainCode("arena: views", () => {
        const arena = ArenaPool.checkoutUnsafe(pool)
        const made: Array<Uint8Array> = []
        for (let n = 0; n < COUNT; n++) made.push(BumpArena.allocBytesUnsafe(arena, size))
        sink.last = made
        ArenaPool.giveBackUnsafe(pool, arena)
      })
    ],
    comparisons: [
      { name: "arena: offsets", against: "fresh: new Uint8Array", goal: 20, because },
      { name: "arena: offsets", against: "fresh: Buffer.allocUnsafe", goal: 20, because },
      { name: "arena: views", against: "fresh: new Uint8Array" },
      { name: "arena: views", against: "fresh: Buffer.allocUnsafe" }
    ]
  }
}

/**
 * The same, of large ones, with all that is done to memory: that is where fresh pages have their price. Writing takes its
 * time wherever the memory comes from: what an arena can save is the rest.
 */
const written = (pool: ArenaPool.ArenaPool, rounds: number): Case => {
  const size = 16_384
  const floor = "the writing alone: one buffer of 1 MiB, again and again"
  const whole = Buffer.alloc(MiB)
  const pieces = Array.from({ length: COUNT }, (_, n) => whole.subarray(n * size, (n + 1) * size))
  const buffers = (name: string, make: () => Uint8Array) =>
    inPlainCode(name, () => {
      for (let n = 0; n < COUNT; n++) sink.last = make().fill(n)
    })
  return {
    name: "arena-written",
    title: "a unit of work with 64 allocations of 16 KiB, every byte of which is written",
    method: "As before; each allocation is filled. What the writing alone takes nobody can save.",
    operations: 200,
    rounds,
    countsGarbageCollection: true,
    contenders: [
      inPlainCode(floor, () => {
        for (let n = 0; n < COUNT; n++) sink.last = pieces[n]!.fill(n)
      }),
      buffers("fresh: new Uint8Array", () => new Uint8Array(size)),
      buffers("fresh: Buffer.allocUnsafe", () => Buffer.allocUnsafe(size)),
      inPlainCode("arena: views", () => {
        const arena = ArenaPool.checkoutUnsafe(pool)
        for (let n = 0; n < COUNT; n++) sink.last = BumpArena.allocBytesUnsafe(arena, size).fill(n)
        ArenaPool.giveBackUnsafe(pool, arena)
      }),
      inPlainCode("arena: offsets, written by its one view", () => {
        const arena = ArenaPool.checkoutUnsafe(pool)
        const { view } = arena.memory
        for (let n = 0; n < COUNT; n++) {
          const start = BumpArena.allocUnsafe(arena, size)
          sink.last = view.fill(n, start, start + size)
        }
        ArenaPool.giveBackUnsafe(pool, arena)
      })
    ],
    comparisons: [
      ...["fresh: new Uint8Array", "fresh: Buffer.allocUnsafe"].map((against) => ({
        name: "arena: offsets, written by its one view",
        against,
        goal: 20,
        because: "[the writing alone](../guides/arenas.md) takes nearly all of the time"
      })),
      { name: "arena: offsets, written by its one view", against: floor },
      { name: "arena: views", against: "fresh: new Uint8Array" },
      { name: "arena: views", against: "fresh: Buffer.allocUnsafe" },
      { name: "arena: views", against: floor }
    ]
  }
}

/** A response of many messages that lie side by side until they are written. */
const encoder = (pool: ArenaPool.ArenaPool, rounds: number): Case => {
  const orders = receipts(100)
  const bytes = orders.reduce((sum, order) => sum + receiptType.toBuffer(order).length, 0)
  const floor = "one buffer of 1 MiB, again and again"
  const whole = Buffer.alloc(MiB)
  return {
    name: "arena-encoder",
    title: `100 receipts in Avro (${Math.round(bytes / 1024)} KiB)`,
    method:
      "A loop in plain code; each operation encodes a whole response with avsc. `toBuffer` is the library's own way, and" +
      " makes a buffer of each message; the others write one behind the other, into memory that they are given. The one" +
      " buffer that is used again and again is what an arena could at best be: nobody else may have it meanwhile.",
    // Enough for the garbage of each to be collected within the round.
    operations: 500,
    rounds,
    countsGarbageCollection: true,
    contenders: [
      inPlainCode("toBuffer", () => {
        sink.last = orders.map((order) => receiptType.toBuffer(order))
      }),
      inPlainCode(floor, () => {
        sink.last = encodeAll(orders, whole, 0)
      }),
      inPlainCode("a fresh buffer of 1 MiB", () => {
        sink.last = encodeAll(orders, Buffer.allocUnsafe(MiB), 0)
      }),
      inPlainCode("an arena", () => {
        const arena = ArenaPool.checkoutUnsafe(pool)
        const { buffer, byteLength, byteOffset } = arena.memory.view
        sink.last = encodeAll(orders, Buffer.from(buffer, byteOffset, byteLength), BumpArena.allocUnsafe(arena, bytes))
        ArenaPool.giveBackUnsafe(pool, arena)
      })
    ],
    comparisons: [
      { name: "an arena", against: "toBuffer" },
      { name: "an arena", against: "a fresh buffer of 1 MiB" },
      { name: "an arena", against: floor }
    ]
  }
}

/** Writes one behind the other; answers where the last one ends. */
const encodeAll = (orders: ReturnType<typeof receipts>, into: Buffer, start: number): number => {
  let position = start
  for (const order of orders) position = receiptType.encode(order, into, position)
  return position
}
