import { InvalidOptions } from "@effect-pools/core"
import { describe, expect, it } from "@effect/vitest"
import { Worker } from "node:worker_threads"
import { once } from "node:events"
import { ArenaBacking, ArenaError, BumpArena } from "@effect-pools/arena"
import { everyBacking } from "./support.ts"

describe.each(everyBacking)("memory of %s", (_name, backing) => {
  it.each([1, 100, 65_536, 100_000])("has at least the %i bytes that were asked for, all zero", (size) => {
    const memory = backing.reserve(size)
    expect(memory.view.byteLength).toBeGreaterThanOrEqual(size)
    expect(memory.view.byteOffset % 16).toBe(0)
    expect(memory.view.every((byte) => byte === 0)).toBe(true)
    memory.view.fill(1)
    expect(memory.view.every((byte) => byte === 1)).toBe(true)
    memory.destroy()
  })

  it("is zero after it was released and committed again, or still as it was if it cannot be released", () => {
    const memory = backing.reserve(100_000)
    memory.view.fill(1)
    memory.release()
    expect(memory.view.byteLength).toBe(backing.canRelease ? 0 : 100_000)
    memory.commit()
    expect(memory.view.byteLength).toBe(100_000)
    expect(memory.view.every((byte) => byte === (backing.canRelease ? 0 : 1))).toBe(true)
  })

  it("leaves dead views behind if it says so", () => {
    const memory = backing.reserve(100)
    const view = new Uint8Array(memory.view.buffer, memory.view.byteOffset, 10)
    memory.destroy()
    expect(view.byteLength).toBe(backing.detaches ? 0 : 10)
    expect(throws(() => view.fill(1))).toBe(backing.detaches)
  })

  it("is shared if it says so", () => {
    expect(backing.reserve(1).view.buffer instanceof SharedArrayBuffer).toBe(backing.isShared)
  })
})

describe("memory of WebAssembly", () => {
  it("is a memory that an instance imports, in whole pages", () => {
    const { memory, view } = ArenaBacking.wasm.reserve(65_537)
    expect(memory.buffer.byteLength).toBe(2 * 65_536)
    expect(view.byteLength).toBe(65_537)
    expect(() => memory.grow(1)).toThrow(RangeError)
  })

  it.each([-1, 1.5, NaN, Infinity, 65_537, "1", undefined])("cannot be grown to %s pages", (pages) => {
    expect(() => ArenaBacking.growingWasm(pages as number)).toThrow(InvalidOptions.InvalidOptions)
  })

  it("is seen where it now lies after a guest has grown it", () => {
    const memory = ArenaBacking.growingWasm(3).reserve(100)
    memory.view[7] = 42
    const before = memory.view
    memory.memory.grow(2)
    expect(before.byteLength).toBe(0)
    expect(memory.view.byteLength).toBe(100)
    expect(memory.view[7]).toBe(42)
    expect(() => memory.memory.grow(1)).toThrow(RangeError)
  })
})

describe("an arena over WebAssembly memory", () => {
  it("goes on where the memory lies after a guest has grown it", () => {
    using arena = BumpArena.makeUnsafe({ size: 100, backing: ArenaBacking.growingWasm(2) })
    const before = BumpArena.allocBytesUnsafe(arena, 4).fill(1)
    arena.memory.memory.grow(1)
    expect(before.length).toBe(0)
    expect([...BumpArena.bytesUnsafe(arena, 0, 4)]).toEqual([1, 1, 1, 1])
    expect(BumpArena.allocBytesUnsafe(arena, 4).fill(2).byteOffset).toBe(4)
    expect(() => BumpArena.growBytesUnsafe(arena, before, 8)).toThrow(ArenaError.ArenaMisuse)
  })
})

describe("memory that others see", () => {
  it("is written by a WebAssembly guest, whose addresses are the arena's offsets", () => {
    using arena = BumpArena.makeUnsafe({ size: 1000, backing: ArenaBacking.wasm })
    BumpArena.allocUnsafe(arena, 100)
    const offset = BumpArena.allocUnsafe(arena, 10)
    // (module (import "e" "m" (memory 1)) (func (export "s") (param i32 i32) local.get 0 local.get 1 i32.store8))
    const code = Buffer.from(
      "0061736d010000000106016002" +
        "7f7f00020801016501" +
        "6d0200010302010007050101730000" +
        "0a0b010900200020013a00000b",
      "hex"
    )
    const { Instance, Module } = Reflect.get(globalThis, "WebAssembly") as {
      readonly Module: new (code: Uint8Array) => object
      readonly Instance: new (
        module: object,
        imports: object
      ) => {
        readonly exports: { readonly s: (address: number, byte: number) => void }
      }
    }
    const guest = new Instance(new Module(code), { e: { m: arena.memory.memory } })
    guest.exports.s(offset + 3, 42)
    expect([...BumpArena.bytesUnsafe(arena, offset, 5)]).toEqual([0, 0, 0, 42, 0])
  })

  it("is written by a worker thread", async () => {
    using arena = BumpArena.makeUnsafe({ size: 1000, backing: "shared" })
    BumpArena.allocUnsafe(arena, 100)
    const bytes = BumpArena.allocBytesUnsafe(arena, 3)
    const worker = new Worker("require('node:worker_threads').workerData.fill(7)", { eval: true, workerData: bytes })
    await once(worker, "exit")
    expect([...bytes]).toEqual([7, 7, 7])
  })
})

const throws = (f: () => unknown): boolean => {
  try {
    f()
  } catch {
    return true
  }
  return false
}
