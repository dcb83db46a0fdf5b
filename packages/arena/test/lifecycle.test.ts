import { describe, expect, it } from "@effect/vitest"
import { ArenaBacking, ArenaError } from "@effect-pools/arena"
import { Arena, type ChunkSource } from "../src/internal/arena.ts"
import { Chunk } from "../src/internal/chunk.ts"

const SIZE = 10_000

const make = (options: { readonly source?: ChunkSource<ArenaBacking.ArenaMemory>; readonly checked?: boolean } = {}) =>
  new Arena({
    name: "lent",
    chunk: new Chunk(ArenaBacking.resizable, SIZE),
    source: options.source,
    checked: options.checked ?? false,
    onDispose: (arena) => arena.suspend()
  })

describe("an arena that a pool lends", () => {
  it("is empty and of no use while it lies idle, and empty when it is lent again", () => {
    const arena = make()
    arena.alloc(100, 1)
    arena.suspend()
    expect([arena.state, arena.allocated, arena.generation]).toEqual(["idle", 0, 1])
    for (const use of [() => arena.alloc(1, 1), () => arena.mark(), () => arena.reset(), () => arena.bytes(0, 0)]) {
      expect(use).toThrow("it was given back")
    }
    arena.resume()
    expect(arena.state).toBe("open")
    expect(arena.alloc(SIZE, 1)).toBe(0)
  })

  it("refuses to be given back twice, and to be lent twice", () => {
    const arena = make()
    arena.suspend()
    expect(() => arena.suspend()).toThrow(ArenaError.ArenaMisuse)
    arena.resume()
    expect(() => arena.resume()).toThrow(/^BUG: /)
    expect(arena.generation).toBe(1)
  })

  it("is given back at the end of a using block", () => {
    const arena = make()
    {
      using lent = arena
      lent.alloc(1, 1)
    }
    expect(arena.state).toBe("idle")
  })

  it("knows marks of its last holder no more", () => {
    const arena = make()
    const mark = arena.mark()
    arena.suspend()
    arena.resume()
    arena.mark()
    expect(() => arena.rewind(mark)).toThrow(ArenaError.ArenaMisuse)
  })

  it("remembers how far it was used, beyond rewinds and resets, until its pages are returned", () => {
    const arena = make()
    const mark = arena.mark()
    arena.alloc(6000, 1)
    arena.rewind(mark)
    arena.alloc(100, 1)
    arena.reset()
    arena.alloc(10, 1)
    arena.suspend()
    expect([arena.chunk.dirtyEnd, arena.chunk.resident]).toEqual([6000, 8192])
    expect(arena.chunk.release()).toBe(8192)
    expect(arena.chunk.release()).toBe(0)
    arena.resume()
    expect(arena.bytes(arena.alloc(SIZE, 1), SIZE).every((byte) => byte === 0)).toBe(true)
  })

  it("has nothing of its last holder where it is zeroed", () => {
    const arena = make()
    arena.bytes(arena.alloc(SIZE, 1), SIZE).fill(7)
    arena.suspend()
    arena.chunk.zero()
    arena.resume()
    expect(arena.bytes(arena.alloc(SIZE, 1), SIZE).every((byte) => byte === 0)).toBe(true)
  })

  it("stays idle if its memory cannot be had again", () => {
    const arena = make()
    arena.alloc(1, 1)
    arena.suspend()
    arena.chunk.release()
    const { commit } = arena.memory
    Object.assign(arena.memory, {
      commit: () => {
        throw new RangeError("no memory")
      }
    })
    expect(() => arena.resume()).toThrow(ArenaError.BackingFailed)
    expect(arena.state).toBe("idle")
    Object.assign(arena.memory, { commit })
    arena.resume()
    expect(arena.alloc(SIZE, 1)).toBe(0)
  })

  it("is destroyed once, lent or idle", () => {
    for (const arena of [make(), make()].map((arena, at) => (at === 0 ? arena : (arena.suspend(), arena)))) {
      const bytes = new Uint8Array(arena.memory.view.buffer)
      arena.destroy()
      expect(bytes.length).toBe(0)
      expect(() => arena.destroy()).toThrow(ArenaError.ArenaMisuse)
      expect(() => arena.suspend()).toThrow("it is destroyed")
      expect(() => arena.resume()).toThrow(/^BUG: /)
    }
  })
})

describe("an arena that chains memory of a pool", () => {
  const pool = (limit: number) => {
    const taken: Array<Chunk> = []
    const returned: Array<Chunk> = []
    const take = () => {
      if (taken.length === limit) return undefined
      const chunk = new Chunk(ArenaBacking.heap, SIZE)
      taken.push(chunk)
      return chunk
    }
    return { taken, returned, source: { take, giveBack: (chunk: Chunk) => void returned.push(chunk) } }
  }

  it.each<readonly [string, (arena: Arena) => void]>([
    ["a reset", (arena) => arena.reset()],
    ["being given back", (arena) => arena.suspend()],
    ["being destroyed", (arena) => arena.destroy()]
  ])("returns all of it at %s, last first, with how far it was used", (_what, end) => {
    const { returned, source, taken } = pool(3)
    const arena = make({ source })
    arena.alloc(SIZE, 1)
    arena.alloc(5000, 1)
    arena.alloc(6000, 1)
    arena.alloc(7000, 1)
    end(arena)
    expect(returned).toEqual(taken.toReversed())
    expect(returned.map((chunk) => chunk.dirtyEnd)).toEqual([7000, 6000, 5000])
    expect(arena.capacity).toBe(SIZE)
  })

  it("is full when the pool has no more", () => {
    const { returned, source } = pool(1)
    const arena = make({ source })
    arena.alloc(SIZE, 1)
    arena.alloc(SIZE, 1)
    expect(arena.alloc(1, 1)).toBe(-1)
    expect([arena.capacity, arena.remaining]).toEqual([2 * SIZE, 0])
    arena.reset()
    expect(returned.length).toBe(1)
  })
})
