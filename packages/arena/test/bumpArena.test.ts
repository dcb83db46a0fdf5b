import { runInNewContext } from "node:vm"
import { describe, expect, it } from "@effect/vitest"
import { ArenaBacking, ArenaError, BumpArena } from "@effect-pools/arena"
import { carved, counted, everyBacking } from "./support.ts"

const arenaOf = (size: number, options: Partial<BumpArena.Options> = {}) => BumpArena.makeUnsafe({ ...options, size })

describe.each(everyBacking)("an arena over %s", (_name, backing) => {
  it("starts empty, hands out all that it has, and no more", () => {
    using arena = arenaOf(1000, { backing })
    expect([arena.capacity, arena.allocated, arena.remaining]).toEqual([1000, 0, 1000])
    expect(BumpArena.allocUnsafe(arena, 600)).toBe(0)
    expect(BumpArena.allocUnsafe(arena, 401)).toBe(-1)
    expect(BumpArena.allocUnsafe(arena, 400)).toBe(600)
    expect(BumpArena.allocUnsafe(arena, 1, 1)).toBe(-1)
    expect([arena.capacity, arena.allocated, arena.remaining]).toEqual([1000, 1000, 0])
  })

  it("gives views that are written and read", () => {
    using arena = arenaOf(1000, { backing })
    BumpArena.allocUnsafe(arena, 1)
    const numbers = BumpArena.allocArrayUnsafe(arena, Float64Array, 3)
    const text = BumpArena.allocStringUnsafe(arena, "größer 😀")
    const copy = BumpArena.allocCopyUnsafe(arena, Int16Array.of(-1, 2, 3))
    const view = BumpArena.allocDataViewUnsafe(arena, 12)
    numbers.set([1.5, -2.5, Infinity])
    view.setFloat64(0, 0.25)
    view.setInt32(8, -7)
    expect([...numbers]).toEqual([1.5, -2.5, Infinity])
    expect(new TextDecoder().decode(new Uint8Array(text))).toBe("größer 😀")
    expect([...copy]).toEqual([-1, 2, 3])
    expect([view.getFloat64(0), view.getInt32(8)]).toEqual([0.25, -7])
    expect([numbers, text, copy, view].every(({ buffer }) => buffer === arena.memory.view.buffer)).toBe(true)
  })

  it("is used again from the beginning after a reset", () => {
    using arena = arenaOf(100, { backing })
    for (let round = 0; round < 3; round++) {
      expect(arena.generation).toBe(round)
      expect(BumpArena.allocUnsafe(arena, 100)).toBe(0)
      BumpArena.resetUnsafe(arena)
      expect(arena.allocated).toBe(0)
    }
  })
})

describe("allocation", () => {
  it.each([1, 2, 4, 8, 16, 4096, 65_536])("is aligned to %i, and padding counts", (align) => {
    using arena = arenaOf(3 * 65_536)
    BumpArena.allocUnsafe(arena, 1, 1)
    expect(BumpArena.allocUnsafe(arena, 3, align)).toBe(align)
    expect(arena.allocated).toBe(align + 3)
  })

  it("is aligned to 8 by default", () => {
    using arena = arenaOf(100)
    BumpArena.allocUnsafe(arena, 1)
    expect(BumpArena.allocUnsafe(arena, 1)).toBe(8)
  })

  it("fails where only the padding does not fit, and what fits without it is still to be had", () => {
    using arena = arenaOf(10)
    BumpArena.allocUnsafe(arena, 5, 1)
    expect(BumpArena.allocUnsafe(arena, 3, 8)).toBe(-1)
    expect(arena.allocated).toBe(5)
    expect(BumpArena.allocUnsafe(arena, 5, 1)).toBe(5)
  })

  it("of nothing takes no room, and is to be had from a full arena", () => {
    using arena = arenaOf(5)
    expect(BumpArena.allocUnsafe(arena, 0)).toBe(0)
    BumpArena.allocUnsafe(arena, 5)
    expect(BumpArena.allocUnsafe(arena, 0, 4)).toBe(4)
    expect(BumpArena.allocUnsafe(arena, -0, 4)).toBe(4)
    expect(BumpArena.allocBytesUnsafe(arena, 0).length).toBe(0)
    expect(BumpArena.allocStringUnsafe(arena, "").length).toBe(0)
    expect(BumpArena.allocArrayUnsafe(arena, BigInt64Array, 0).length).toBe(0)
    expect(arena.allocated).toBe(5)
  })

  it("refused as a view says what was asked for and what there is", () => {
    using arena = arenaOf(100, { name: "scratch" })
    BumpArena.allocUnsafe(arena, 40)
    const error = thrown(() => BumpArena.allocArrayUnsafe(arena, Float32Array, 16))
    expect(error).toBeInstanceOf(ArenaError.ArenaExhausted)
    expect(error).toMatchObject({ arena: "scratch", asked: 64, remaining: 60, capacity: 100 })
    expect((error as Error).message).toBe('Arena "scratch" has no room for 64 bytes: 60 of 100 remain')
    expect(arena.allocated).toBe(40)
  })

  it("of any size beyond the arena's is merely refused", () => {
    using arena = arenaOf(100)
    for (const size of [101, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 32 + 4, Number.MAX_SAFE_INTEGER]) {
      expect(BumpArena.allocUnsafe(arena, size)).toBe(-1)
      expect(thrown(() => BumpArena.allocArrayUnsafe(arena, Float64Array, size))).toBeInstanceOf(
        ArenaError.ArenaExhausted
      )
    }
    expect(arena.allocated).toBe(0)
  })
})

describe("the largest arena", () => {
  const largest = 2 ** 31 - 65_536

  it("is used to its last byte, with any alignment", () => {
    using arena = arenaOf(largest)
    expect(BumpArena.allocUnsafe(arena, largest - 65_537, 1)).toBe(0)
    expect(BumpArena.allocUnsafe(arena, 1, 65_536)).toBe(largest - 65_536)
    expect(BumpArena.allocUnsafe(arena, 65_536, 1)).toBe(-1)
    expect(BumpArena.allocUnsafe(arena, 65_535, 1)).toBe(largest - 65_535)
    for (const align of [1, 8, 65_536]) {
      expect(BumpArena.allocUnsafe(arena, 1, align)).toBe(-1)
      expect(BumpArena.allocUnsafe(arena, 2 ** 31 - 1, align)).toBe(-1)
    }
    expect(arena.remaining).toBe(0)
  })
})

describe("text", () => {
  const texts = [
    "",
    "a",
    "ä",
    "€",
    "😀",
    "\ud83d",
    "\ude00",
    "\ude00\ud83d",
    "a\ud83db",
    "\u0000\u007f\u0080\u07ff\u0800\uffff"
  ]

  it.each(texts.map((text) => [JSON.stringify(text), text] as const))(
    "%s is encoded, in all the room it needs",
    (_, text) => {
      const expected = [...new TextEncoder().encode(text)]
      using roomy = arenaOf(100)
      expect([...BumpArena.allocStringUnsafe(roomy, text)]).toEqual(expected)
      if (expected.length === 0) return
      using tight = arenaOf(expected.length)
      expect([...BumpArena.allocStringUnsafe(tight, text)]).toEqual(expected)
      expect(tight.remaining).toBe(0)
    }
  )

  it("that does not fit says how many bytes it has", () => {
    using arena = arenaOf(6)
    expect(thrown(() => BumpArena.allocStringUnsafe(arena, "€😀"))).toMatchObject({ asked: 7, remaining: 6 })
    expect(arena.allocated).toBe(0)
  })
})

describe("copies", () => {
  it.each([
    new Int8Array([-1, 1]),
    new Uint8ClampedArray([0, 255]),
    new Uint16Array([1, 65_535]),
    new Int32Array([-5, 5]),
    new Uint32Array([7]),
    new Float32Array([0.5]),
    new Float64Array([Number.MIN_VALUE]),
    new BigInt64Array([-1n]),
    new BigUint64Array([2n ** 64n - 1n])
  ])("are of the class of the original", (source) => {
    using arena = arenaOf(100)
    BumpArena.allocUnsafe(arena, 1)
    const copy = BumpArena.allocCopyUnsafe(arena, source)
    expect(copy).toEqual(source)
    expect(copy.constructor).toBe(source.constructor)
    new Uint8Array(source.buffer).fill(0)
    expect(copy).not.toEqual(source)
  })

  it("of a Buffer are plain bytes", () => {
    using arena = arenaOf(100)
    const copy = BumpArena.allocCopyUnsafe(arena, Buffer.from("abc"))
    expect(copy.constructor).toBe(Uint8Array)
    expect([...copy]).toEqual([97, 98, 99])
  })

  it("of part of a buffer are of that part", () => {
    using arena = arenaOf(100)
    const copy = BumpArena.allocCopyUnsafe(arena, new Uint8Array([1, 2, 3, 4]).subarray(1, 3))
    expect([...copy]).toEqual([2, 3])
  })
})

describe("growth", () => {
  it("of the last allocation happens where it lies", () => {
    using arena = arenaOf(100)
    const first = BumpArena.allocBytesUnsafe(arena, 10).fill(1)
    const grown = BumpArena.growBytesUnsafe(arena, first, 100)
    expect([grown.byteOffset, grown.length, arena.allocated]).toEqual([0, 100, 100])
    expect(grown.subarray(0, 10).every((byte) => byte === 1)).toBe(true)
  })

  it("of any other is a copy, which leaves the old one alone", () => {
    using arena = arenaOf(100)
    const first = BumpArena.allocBytesUnsafe(arena, 10).fill(1)
    BumpArena.allocBytesUnsafe(arena, 1)
    const grown = BumpArena.growBytesUnsafe(arena, first, 20)
    expect(grown.byteOffset).toBe(11)
    expect(grown.subarray(0, 10).every((byte) => byte === 1)).toBe(true)
    grown.fill(2)
    expect(first.every((byte) => byte === 1)).toBe(true)
  })

  it("does not reach over a mark, so that rewinding cuts nothing off", () => {
    using arena = arenaOf(100)
    const first = BumpArena.allocBytesUnsafe(arena, 10).fill(1)
    const mark = BumpArena.markUnsafe(arena)
    expect(BumpArena.growBytesUnsafe(arena, first, 20).byteOffset).toBe(10)
    BumpArena.rewindUnsafe(arena, mark)
    BumpArena.allocBytesUnsafe(arena, 50).fill(2)
    expect(first.every((byte) => byte === 1)).toBe(true)
  })

  it("reaches over where scopes have been that are over, unless somebody has a mark there", () => {
    using arena = arenaOf(100)
    let end = 10
    const first = BumpArena.allocUnsafe(arena, end)
    for (let round = 0; round < 3; round++) {
      BumpArena.scopeUnsafe(arena, () => {
        BumpArena.scopeUnsafe(arena, () => BumpArena.allocUnsafe(arena, 8))
        // In the scope it would be cut off at its end.
        expect(BumpArena.growUnsafe(arena, first, end, end + 10)).not.toBe(first)
      })
      expect(BumpArena.growUnsafe(arena, first, end, end + 10)).toBe(first)
      end += 10
    }
    const mark = BumpArena.scopeUnsafe(arena, () => BumpArena.markUnsafe(arena))
    expect(BumpArena.growUnsafe(arena, first, end, end + 10)).not.toBe(first)
    BumpArena.rewindUnsafe(arena, mark)
    expect(arena.allocated).toBe(end)
  })

  it("of another arena's bytes in the same buffer is refused, wherever its own chunks lie", () => {
    const whole = new ArrayBuffer(8 * 65_536)
    const places = [0, 4, 1]
    const backing: ArenaBacking.ArenaBacking = {
      ...ArenaBacking.shared,
      name: "carved",
      reserve: (size) => ({
        view: new Uint8Array(whole, places.shift()! * 65_536, size),
        commit: () => {},
        release: () => {},
        destroy: () => {}
      })
    }
    using arena = arenaOf(1000, { backing, overflow: "chain" })
    for (let n = 0; n < 2; n++) BumpArena.allocUnsafe(arena, 1000)
    using other = arenaOf(1000, { backing })
    const foreign = BumpArena.allocBytesUnsafe(other, 100)
    expect(() => BumpArena.growBytesUnsafe(arena, foreign, 200)).toThrow(ArenaError.ArenaMisuse)
  })

  it("that does not fit changes nothing", () => {
    using arena = arenaOf(100)
    const first = BumpArena.allocUnsafe(arena, 10)
    expect(BumpArena.growUnsafe(arena, first, 10, 101)).toBe(-1)
    expect(arena.allocated).toBe(10)
    const view = BumpArena.bytesUnsafe(arena, first, 10)
    expect(thrown(() => BumpArena.growBytesUnsafe(arena, view, 101))).toBeInstanceOf(ArenaError.ArenaExhausted)
  })

  it("to a stricter alignment moves what does not have it", () => {
    using arena = arenaOf(100)
    BumpArena.allocUnsafe(arena, 1, 1)
    const first = BumpArena.allocUnsafe(arena, 2, 1)
    expect(BumpArena.growUnsafe(arena, first, 2, 2, 16)).toBe(16)
  })

  it("of nothing is an allocation", () => {
    using arena = arenaOf(100)
    BumpArena.allocUnsafe(arena, 8)
    const nothing = BumpArena.allocUnsafe(arena, 0)
    expect(BumpArena.growUnsafe(arena, nothing, 0, 10)).toBe(8)
  })
})

describe("marks", () => {
  it("nest, and each can be rewound to again", () => {
    using arena = arenaOf(100)
    BumpArena.allocUnsafe(arena, 10)
    const outer = BumpArena.markUnsafe(arena)
    BumpArena.allocUnsafe(arena, 10)
    const inner = BumpArena.markUnsafe(arena)
    for (let round = 0; round < 2; round++) {
      BumpArena.allocUnsafe(arena, 30)
      BumpArena.rewindUnsafe(arena, inner)
      expect(arena.allocated).toBe(26)
    }
    BumpArena.rewindUnsafe(arena, outer)
    expect(arena.allocated).toBe(10)
  })

  it.each<readonly [string, (arena: BumpArena.BumpArena) => number]>([
    ["of another arena", () => BumpArena.markUnsafe(arenaOf(1))],
    ["that a rewind has undone", undoneByRewind],
    ["from before a reset", fromBeforeReset],
    ["that nobody made", () => 123_456_789]
  ])("%s are refused", (_what, markOf) => {
    using arena = arenaOf(100)
    const mark = markOf(arena)
    const { allocated } = arena
    expect(() => BumpArena.rewindUnsafe(arena, mark)).toThrow(ArenaError.ArenaMisuse)
    expect(arena.allocated).toBe(allocated)
  })
})

function undoneByRewind(arena: BumpArena.BumpArena): number {
  const before = BumpArena.markUnsafe(arena)
  BumpArena.allocUnsafe(arena, 10)
  const later = BumpArena.markUnsafe(arena)
  BumpArena.rewindUnsafe(arena, before)
  BumpArena.allocUnsafe(arena, 50)
  return later
}

function fromBeforeReset(arena: BumpArena.BumpArena): number {
  const mark = BumpArena.markUnsafe(arena)
  BumpArena.resetUnsafe(arena)
  BumpArena.markUnsafe(arena)
  return mark
}

describe("a synchronous scope", () => {
  it("frees what its body has allocated, and gives the result", () => {
    using arena = arenaOf(100)
    BumpArena.allocUnsafe(arena, 10)
    const result = BumpArena.scopeUnsafe(arena, () => {
      BumpArena.allocUnsafe(arena, 10)
      BumpArena.scopeUnsafe(arena, () => BumpArena.allocUnsafe(arena, 50))
      return arena.allocated
    })
    expect([result, arena.allocated]).toEqual([26, 10])
  })

  it("frees it when the body throws too, which is what the caller sees", () => {
    using arena = arenaOf(100)
    const boom = new Error("boom")
    const body = () => {
      BumpArena.allocUnsafe(arena, 10)
      throw boom
    }
    expect(thrown(() => BumpArena.scopeUnsafe(arena, body))).toBe(boom)
    expect(arena.allocated).toBe(0)
  })

  it("lets a body that failed after a reset fail with its own error", () => {
    using arena = arenaOf(100)
    const boom = new Error("boom")
    const body = () => {
      BumpArena.resetUnsafe(arena)
      throw boom
    }
    expect(thrown(() => BumpArena.scopeUnsafe(arena, body))).toBe(boom)
  })

  it("refuses a body that rewound beyond its beginning", () => {
    using arena = arenaOf(100)
    expect(() => BumpArena.scopeUnsafe(arena, () => BumpArena.resetUnsafe(arena))).toThrow(ArenaError.ArenaMisuse)
  })

  it("refuses a body that goes on", () => {
    using arena = arenaOf(100)
    const ofAnotherRealm: unknown = runInNewContext("Promise.resolve()")
    for (const body of [() => Promise.resolve(), () => ofAnotherRealm]) {
      expect(() => BumpArena.scopeUnsafe(arena, body)).toThrow(/must be done when it returns/)
    }
  })
})

describe("an arena that chains", () => {
  it("goes on in as much memory again, and gives it back at a reset", () => {
    const memory = carved(16)
    using arena = arenaOf(100, { backing: memory.backing, overflow: "chain" })
    const pieces = Array.from({ length: 5 }, (_, at) => BumpArena.allocBytesUnsafe(arena, 60).fill(at + 1))
    expect([memory.reserved, arena.capacity, arena.allocated]).toEqual([5, 500, 460])
    expect(pieces.every((piece, at) => piece.every((byte) => byte === at + 1))).toBe(true)
    BumpArena.resetUnsafe(arena)
    expect([memory.destroyed, arena.capacity, arena.allocated]).toEqual([4, 100, 0])
    expect(memory.isIntact()).toBe(true)
  })

  it("finds what lies at an offset in any of its chunks", () => {
    using arena = arenaOf(65_536, { overflow: "chain" })
    const offsets = Array.from({ length: 4 }, () => BumpArena.allocUnsafe(arena, 40_000, 65_536))
    offsets.forEach((offset, at) => BumpArena.bytesUnsafe(arena, offset, 40_000).fill(at + 1))
    expect(new Set(offsets).size).toBe(4)
    expect(offsets.map((offset) => BumpArena.bytesUnsafe(arena, offset + 39_999, 1)[0])).toEqual([1, 2, 3, 4])
  })

  it("never gives more in one piece than its size", () => {
    using arena = arenaOf(100, { overflow: "chain" })
    expect(BumpArena.allocUnsafe(arena, 101)).toBe(-1)
    expect(arena.capacity).toBe(100)
    expect(BumpArena.allocUnsafe(arena, 100)).toBe(0)
  })

  it("keeps a chunk that a rewind has left, for the next time", () => {
    const memory = carved(16)
    using arena = arenaOf(100, { backing: memory.backing, overflow: "chain" })
    BumpArena.allocUnsafe(arena, 80)
    const mark = BumpArena.markUnsafe(arena)
    for (let round = 0; round < 3; round++) {
      expect(BumpArena.allocUnsafe(arena, 50)).toBeGreaterThan(100)
      BumpArena.rewindUnsafe(arena, mark)
      expect([arena.allocated, arena.capacity]).toEqual([80, 200])
    }
    expect(memory.reserved).toBe(2)
  })

  it("refuses views of a chunk that a rewind has left", () => {
    using arena = arenaOf(100, { overflow: "chain" })
    BumpArena.allocUnsafe(arena, 80)
    const mark = BumpArena.markUnsafe(arena)
    const second = BumpArena.allocUnsafe(arena, 50)
    BumpArena.rewindUnsafe(arena, mark)
    expect(() => BumpArena.bytesUnsafe(arena, second, 10)).toThrow(ArenaError.ArenaMisuse)
  })

  it("rewinds to the very end of a chunk, before and after it went on", () => {
    using arena = arenaOf(65_536, { overflow: "chain" })
    BumpArena.allocUnsafe(arena, 65_536)
    const mark = BumpArena.markUnsafe(arena)
    BumpArena.rewindUnsafe(arena, mark)
    expect([arena.allocated, arena.remaining]).toEqual([65_536, 0])
    const second = BumpArena.allocUnsafe(arena, 65_536)
    BumpArena.rewindUnsafe(arena, mark)
    expect([arena.allocated, arena.remaining]).toEqual([65_536, 65_536])
    expect(BumpArena.allocUnsafe(arena, 10)).toBe(second)
  })

  it("ends where positions end", () => {
    using arena = arenaOf(2 ** 30, { overflow: "chain" })
    expect(BumpArena.allocUnsafe(arena, 2 ** 30)).toBe(0)
    expect(BumpArena.allocUnsafe(arena, 1, 1)).toBe(-1)
    expect(arena.capacity).toBe(2 ** 30)
  })

  it("a view that does not lie in one chunk is refused", () => {
    using arena = arenaOf(100, { overflow: "chain" })
    BumpArena.allocUnsafe(arena, 100)
    const second = BumpArena.allocUnsafe(arena, 100)
    expect(() => BumpArena.bytesUnsafe(arena, 50, 51)).toThrow(ArenaError.ArenaMisuse)
    expect(() => BumpArena.bytesUnsafe(arena, second - 1, 1)).toThrow(ArenaError.ArenaMisuse)
  })

  it("gives back all that it has chained, also if some of it cannot be ended", () => {
    const { backing, counts, fails } = counted()
    using arena = arenaOf(100, { backing, overflow: "chain" })
    for (let n = 0; n < 4; n++) BumpArena.allocUnsafe(arena, 100)
    fails.destroy = new Error("busy")
    expect(thrown(() => BumpArena.resetUnsafe(arena))).toBe(fails.destroy)
    fails.destroy = undefined
    expect([counts.destroyed, arena.capacity, arena.allocated, arena.generation]).toEqual([3, 100, 0, 1])
    expect(BumpArena.allocUnsafe(arena, 100)).toBe(0)
  })

  it.each<readonly [string, (arena: BumpArena.BumpArena) => unknown]>([
    ["allocates from it", (arena) => BumpArena.allocUnsafe(arena, 10)],
    ["has it chain", (arena) => BumpArena.allocUnsafe(arena, 80)],
    ["rewinds it", (arena) => BumpArena.scopeUnsafe(arena, () => void BumpArena.allocUnsafe(arena, 80))]
  ])("is sound where what supplies its memory %s meanwhile", (_what, use) => {
    const memory = carved(16)
    const nested: Array<unknown> = []
    let isNesting = false
    const backing: ArenaBacking.ArenaBacking = {
      ...memory.backing,
      reserve: (size) => {
        if (isNesting) {
          isNesting = false
          nested.push(use(arena))
        }
        return memory.backing.reserve(size)
      }
    }
    const arena = arenaOf(100, { backing, overflow: "chain" })
    BumpArena.allocBytesUnsafe(arena, 80).fill(1)
    isNesting = true
    const outer = BumpArena.allocUnsafe(arena, 60, 1)
    expect(nested).not.toContain(outer)
    BumpArena.bytesUnsafe(arena, outer, 60).fill(2)
    expect(BumpArena.bytesUnsafe(arena, 0, 80).every((byte) => byte === 1)).toBe(true)
    BumpArena.resetUnsafe(arena)
    arena[Symbol.dispose]()
    expect([memory.reserved, memory.isIntact()]).toEqual([memory.destroyed, true])
  })

  it("is over where what supplies its memory has ended it meanwhile", () => {
    const { backing, counts } = counted()
    let isNesting = false
    const nesting: ArenaBacking.ArenaBacking = {
      ...backing,
      reserve: (size) => {
        if (isNesting) arena[Symbol.dispose]()
        return backing.reserve(size)
      }
    }
    const arena = arenaOf(100, { backing: nesting, overflow: "chain" })
    BumpArena.allocUnsafe(arena, 80)
    isNesting = true
    for (let n = 0; n < 2; n++) expect(() => BumpArena.allocUnsafe(arena, 60)).toThrow("it is destroyed")
    expect(counts).toMatchObject({ reserved: 2, destroyed: 2 })
  })

  it("a backing that fails is why there is no room, and nothing is changed", () => {
    const cause = new RangeError("no memory")
    let isFirst = true
    const backing: ArenaBacking.ArenaBacking = {
      ...ArenaBacking.heap,
      reserve: (size) => {
        if (!isFirst) throw cause
        isFirst = false
        return ArenaBacking.heap.reserve(size)
      }
    }
    using arena = arenaOf(100, { backing, overflow: "chain" })
    BumpArena.allocUnsafe(arena, 80)
    expect(() => BumpArena.allocUnsafe(arena, 80)).toThrow(ArenaError.BackingFailed)
    const error = thrown(() => BumpArena.allocBytesUnsafe(arena, 80))
    expect(error).toBeInstanceOf(ArenaError.ArenaExhausted)
    expect(error).toMatchObject({ asked: 80, cause: { _tag: "ArenaBackingFailed", cause } })
    expect([arena.allocated, arena.capacity]).toEqual([80, 100])
  })
})

const thrown = (f: () => unknown): unknown => {
  try {
    f()
  } catch (error) {
    return error
  }
  throw new Error("it did not throw")
}
