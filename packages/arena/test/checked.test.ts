import { describe, expect, it } from "@effect/vitest"
import { ArenaBacking, ArenaError, BumpArena } from "@effect-pools/arena"
import { counted, everyBacking } from "./support.ts"

const checked = (size: number, backing: ArenaBacking.ArenaBacking = ArenaBacking.heap) =>
  BumpArena.makeUnsafe({ size, backing, checked: true })

const POISON = 0xdb

const detaching = everyBacking.filter(([, backing]) => backing.detaches)
const lasting = everyBacking.filter(([, backing]) => !backing.detaches)

describe.each(detaching)("checked mode over %s", (_name, backing) => {
  it.each(["a reset", "the end of the arena"])("cuts off views at %s", (end) => {
    using arena = checked(100, backing)
    const bytes = BumpArena.allocBytesUnsafe(arena, 10).fill(1)
    const view = BumpArena.allocDataViewUnsafe(arena, 8)
    if (end === "a reset") BumpArena.resetUnsafe(arena)
    else arena[Symbol.dispose]()
    expect(bytes.length).toBe(0)
    expect(bytes[0]).toBeUndefined()
    expect(() => bytes.fill(2)).toThrow(TypeError)
    expect(() => bytes.set([1])).toThrow(TypeError)
    expect(() => view.getInt8(0)).toThrow(TypeError)
  })
})

describe.each(lasting)("checked mode over %s", (_name, backing) => {
  it.each(["a reset", "the end of the arena"])("shows poison to views after %s", (end) => {
    using arena = checked(100, backing)
    const bytes = BumpArena.allocBytesUnsafe(arena, 10).fill(1)
    if (end === "a reset") BumpArena.resetUnsafe(arena)
    else arena[Symbol.dispose]()
    expect([...bytes]).toEqual(Array<number>(10).fill(POISON))
  })
})

describe.each(everyBacking)("checked mode over %s", (_name, backing) => {
  it("goes on with memory of its own after a reset", () => {
    using arena = checked(100, backing)
    BumpArena.allocUnsafe(arena, 100)
    BumpArena.resetUnsafe(arena)
    expect([...BumpArena.allocBytesUnsafe(arena, 10).fill(3)]).toEqual(Array<number>(10).fill(3))
  })

  it("poisons what a rewind has freed, and only that", () => {
    using arena = checked(100, backing)
    const kept = BumpArena.allocBytesUnsafe(arena, 10).fill(1)
    const mark = BumpArena.markUnsafe(arena)
    const freed = BumpArena.allocBytesUnsafe(arena, 20).fill(2)
    BumpArena.rewindUnsafe(arena, mark)
    expect([...freed]).toEqual(Array<number>(20).fill(POISON))
    expect([...kept]).toEqual(Array<number>(10).fill(1))
  })
})

describe("checked mode", () => {
  it("gives views of allocations alone, or of parts of them", () => {
    using arena = checked(100)
    const first = BumpArena.allocUnsafe(arena, 4, 8)
    const second = BumpArena.allocUnsafe(arena, 4, 8)
    expect(BumpArena.bytesUnsafe(arena, second, 4).length).toBe(4)
    expect(BumpArena.bytesUnsafe(arena, second + 1, 2).length).toBe(2)
    for (const [start, length] of [
      [first, 5],
      [first + 4, 4],
      [second - 1, 2]
    ] as const) {
      expect(() => BumpArena.bytesUnsafe(arena, start, length)).toThrow(ArenaError.ArenaMisuse)
    }
  })

  it("grows whole allocations alone", () => {
    using arena = checked(100)
    const first = BumpArena.allocUnsafe(arena, 8)
    expect(() => BumpArena.growUnsafe(arena, first, 4, 16)).toThrow(ArenaError.ArenaMisuse)
    expect(() => BumpArena.growUnsafe(arena, first + 4, 4, 16)).toThrow(ArenaError.ArenaMisuse)
    expect(BumpArena.growUnsafe(arena, first, 8, 16)).toBe(first)
    expect(BumpArena.growUnsafe(arena, first, 16, 20)).toBe(first)
  })

  it("knows nothing of what was freed", () => {
    using arena = checked(100)
    const mark = BumpArena.markUnsafe(arena)
    const bytes = BumpArena.allocBytesUnsafe(arena, 10)
    BumpArena.rewindUnsafe(arena, mark)
    BumpArena.allocUnsafe(arena, 2, 1)
    expect(() => BumpArena.growBytesUnsafe(arena, bytes, 20)).toThrow(ArenaError.ArenaMisuse)
  })

  it("cuts off views of every chunk of an arena that chains", () => {
    using arena = BumpArena.makeUnsafe({ size: 100, overflow: "chain", checked: true })
    const pieces = Array.from({ length: 3 }, () => BumpArena.allocBytesUnsafe(arena, 80).fill(1))
    BumpArena.resetUnsafe(arena)
    expect(pieces.map((piece) => piece.length)).toEqual([0, 0, 0])
  })

  it("poisons what a rewind over several chunks has freed", () => {
    using arena = BumpArena.makeUnsafe({ size: 100, overflow: "chain", checked: true })
    const kept = BumpArena.allocBytesUnsafe(arena, 10).fill(1)
    const mark = BumpArena.markUnsafe(arena)
    const pieces = Array.from({ length: 3 }, () => BumpArena.allocBytesUnsafe(arena, 80).fill(2))
    BumpArena.rewindUnsafe(arena, mark)
    expect(pieces.every((piece) => piece.every((byte) => byte === POISON))).toBe(true)
    expect(kept.every((byte) => byte === 1)).toBe(true)
  })

  it("leaves an arena as it was if a reset cannot replace the memory of one of its chunks", () => {
    const memory = counted()
    using arena = BumpArena.makeUnsafe({
      size: 100,
      overflow: "chain",
      checked: true,
      backing: {
        ...memory.backing,
        detaches: true,
        reserve: (size) => {
          if (memory.counts.reserved === 4) throw new RangeError("no memory")
          return memory.backing.reserve(size)
        }
      }
    })
    const pieces = Array.from({ length: 3 }, (_, at) => BumpArena.allocBytesUnsafe(arena, 100).fill(at + 1))
    // One more can be had, where three were needed.
    expect(() => BumpArena.resetUnsafe(arena)).toThrow(ArenaError.BackingFailed)
    expect([arena.allocated, arena.generation, memory.counts.destroyed]).toEqual([300, 0, 1])
    expect(BumpArena.bytesUnsafe(arena, 0, 100)).toEqual(pieces[0])
    expect(pieces.every((piece, at) => piece.every((byte) => byte === at + 1))).toBe(true)
  })

  it("has emptied an arena, and has its new memory, if a reset cannot end the old one", () => {
    const { backing, counts, fails } = counted()
    const arena = checked(100, { ...backing, detaches: true })
    BumpArena.allocBytesUnsafe(arena, 100)
    fails.destroy = new Error("busy")
    expect(() => BumpArena.resetUnsafe(arena)).toThrow("busy")
    expect([arena.allocated, arena.generation]).toEqual([0, 1])
    fails.destroy = undefined
    arena[Symbol.dispose]()
    // Each once.
    expect(counts).toMatchObject({ reserved: 2, destroyed: 2 })
  })

  it("leaves an arena as it was if a reset cannot replace its memory", () => {
    let fails = false
    const backing: ArenaBacking.ArenaBacking = {
      ...ArenaBacking.heap,
      reserve: (size) => {
        if (fails) throw new RangeError("no memory")
        return ArenaBacking.heap.reserve(size)
      }
    }
    using arena = checked(100, backing)
    const bytes = BumpArena.allocBytesUnsafe(arena, 10).fill(1)
    fails = true
    expect(() => BumpArena.resetUnsafe(arena)).toThrow(ArenaError.BackingFailed)
    expect([arena.state, arena.allocated, arena.generation]).toEqual(["open", 10, 0])
    expect([...bytes]).toEqual(Array<number>(10).fill(1))
  })
})
