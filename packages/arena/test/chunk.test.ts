import { describe, expect, it } from "@effect/vitest"
import { ArenaBacking, ArenaError } from "@effect-pools/arena"
import { Chunk } from "../src/internal/chunk.ts"

/** Counts what happens to resizable memory. */
const counting = () => {
  const calls = { released: 0, committed: 0, destroyed: 0 }
  const backing: ArenaBacking.ArenaBacking = {
    ...ArenaBacking.resizable,
    reserve: (size) => {
      const memory = ArenaBacking.resizable.reserve(size)
      return {
        view: memory.view,
        release: () => {
          calls.released++
          memory.release()
        },
        commit: () => {
          calls.committed++
          memory.commit()
        },
        destroy: () => {
          calls.destroyed++
          memory.destroy()
        }
      }
    }
  }
  return { backing, calls }
}

describe("Chunk", () => {
  it("holds what was used, in whole pages, but never more than it has", () => {
    const chunk = new Chunk(ArenaBacking.resizable, 10_000)
    expect(chunk.resident).toBe(0)
    chunk.used(1)
    expect(chunk.resident).toBe(4096)
    chunk.used(4097)
    expect(chunk.resident).toBe(8192)
    chunk.used(10)
    expect(chunk.resident).toBe(8192)
    chunk.used(10_000)
    expect(chunk.resident).toBe(10_000)
  })

  it("returns its pages once, and they read as zero", () => {
    const { backing, calls } = counting()
    const chunk = new Chunk(backing, 100_000)
    chunk.memory.view.fill(1, 0, 50_000)
    chunk.used(50_000)
    expect(chunk.release()).toBe(53_248)
    expect(chunk.release()).toBe(0)
    expect(calls.released).toBe(1)
    expect(chunk.resident).toBe(0)
    chunk.commit()
    chunk.commit()
    expect(calls.committed).toBe(1)
    expect(chunk.memory.view.every((byte) => byte === 0)).toBe(true)
  })

  it("has nothing to return before it was used, nor after it was used no more", () => {
    const { backing, calls } = counting()
    const chunk = new Chunk(backing, 100_000)
    expect(chunk.release()).toBe(0)
    chunk.used(10)
    chunk.release()
    chunk.commit()
    expect(chunk.release()).toBe(0)
    expect(calls.released).toBe(1)
  })

  it("returns nothing where the backing cannot", () => {
    const chunk = new Chunk(ArenaBacking.heap, 100_000)
    chunk.memory.view.fill(1)
    chunk.used(100_000)
    expect(chunk.release()).toBe(0)
    expect(chunk.resident).toBe(100_000)
    expect(chunk.memory.view[0]).toBe(1)
  })

  it("zeroes what was used, and holds its pages still", () => {
    const chunk = new Chunk(ArenaBacking.heap, 8192)
    chunk.memory.view.fill(1)
    chunk.used(5000)
    chunk.zero()
    expect(chunk.memory.view.subarray(0, 5000).every((byte) => byte === 0)).toBe(true)
    expect(chunk.memory.view[5000]).toBe(1)
    expect(chunk.dirtyEnd).toBe(0)
    expect(chunk.resident).toBe(8192)
  })

  it("a backing that throws is a typed error", () => {
    const cause = new RangeError("no memory")
    const backing: ArenaBacking.ArenaBacking = {
      ...ArenaBacking.heap,
      name: "broken",
      reserve: () => {
        throw cause
      }
    }
    const error = thrown(() => new Chunk(backing, 100))
    expect(error).toBeInstanceOf(ArenaError.BackingFailed)
    expect(error).toMatchObject({ backing: "broken", size: 100, cause })
  })

  it("a commit that throws is a typed error, and can be tried again", () => {
    let fails = true
    const backing: ArenaBacking.ArenaBacking = {
      ...ArenaBacking.resizable,
      reserve: (size) => {
        const memory = ArenaBacking.resizable.reserve(size)
        const commit = () => {
          if (fails) throw new RangeError("no memory")
          memory.commit()
        }
        return { ...memory, commit }
      }
    }
    const chunk = new Chunk(backing, 100)
    chunk.used(1)
    chunk.release()
    expect(thrown(() => chunk.commit())).toBeInstanceOf(ArenaError.BackingFailed)
    expect(chunk.isReleased).toBe(true)
    fails = false
    chunk.commit()
    expect(chunk.memory.view.byteLength).toBe(100)
  })

  it.each([
    ["is too small", new Uint8Array(99)],
    ["does not start at a multiple of 16", new Uint8Array(new ArrayBuffer(200), 8, 150)]
  ])("memory that %s is refused and ended", (_what, view) => {
    let destroyed = 0
    const memory = { view, commit: () => {}, release: () => {}, destroy: () => void destroyed++ }
    const error = thrown(() => new Chunk({ ...ArenaBacking.heap, reserve: () => memory }, 100))
    expect(error).toBeInstanceOf(ArenaError.BackingFailed)
    expect(destroyed).toBe(1)
  })
})

describe("what a backing gives that is no memory", () => {
  const steps = { commit: () => {}, release: () => {}, destroy: () => {} }
  const sound = new Uint8Array(100)

  it.each<readonly [string, unknown, string]>([
    ["nothing", undefined, "it has no view of bytes"],
    ["a number", 5, "it has no view of bytes"],
    ["a promise", Promise.resolve({ ...steps, view: sound }), "it has no view of bytes"],
    ["no view", steps, "it has no view of bytes"],
    ["an array", { ...steps, view: Array.from(sound) }, "it has no view of bytes"],
    ["what says that it has bytes", { ...steps, view: { byteLength: 100, byteOffset: 0 } }, "it has no view of bytes"],
    ["a view of numbers", { ...steps, view: new Float64Array(100) }, "it has no view of bytes"],
    ["a DataView", { ...steps, view: new DataView(sound.buffer) }, "it has no view of bytes"],
    ["too little of it, and no way to end it", { view: sound.subarray(1) }, "its view has 99 bytes and starts at 1"],
    ["a view alone", { view: sound }, "it has no function commit, release, destroy"]
  ])("%s, is a failure of the backing", (_what, memory, fault) => {
    const backing = { ...ArenaBacking.heap, reserve: () => memory as never }
    const error = thrown(() => new Chunk(backing, 100))
    expect(error).toBeInstanceOf(ArenaError.BackingFailed)
    expect(String((error as ArenaError.BackingFailed).cause)).toContain(fault)
  })

  it("may be a Buffer", () => {
    const chunk = new Chunk({ ...ArenaBacking.heap, reserve: () => ({ ...steps, view: Buffer.alloc(100) }) }, 100)
    expect(chunk.viewAt(Uint8Array, 0, 100).length).toBe(100)
  })

  it("or throws when it is looked at, is a failure of the backing", () => {
    const broken = {
      ...steps,
      get view(): never {
        throw new RangeError("no memory")
      }
    }
    const error = thrown(() => new Chunk({ ...ArenaBacking.heap, reserve: () => broken }, 100))
    expect(error).toMatchObject({ _tag: "ArenaBackingFailed", cause: new RangeError("no memory") })
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
