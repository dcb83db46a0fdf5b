import { InvalidOptions } from "@effect-pools/core"
import { describe, expect, it } from "@effect/vitest"
import { ArenaBacking, ArenaError, BumpArena } from "@effect-pools/arena"
import { look } from "./support.ts"

const arenaOf = (size: number) => BumpArena.makeUnsafe({ size })

describe("options that make no sense are refused", () => {
  it.each<readonly [string, unknown, string]>([
    ["no options", undefined, "options"],
    ["no size", {}, "size"],
    ...[0, -1, NaN, 1.5, Infinity, 2 ** 31, "1", null].map((size) => ["size", { size }, "size"] as const),
    ["an unknown backing", { size: 1, backing: "disk" }, "backing"],
    ["half a backing", { size: 1, backing: { reserve: ArenaBacking.heap.reserve } }, "backing"],
    ["null for a backing", { size: 1, backing: null }, "backing"],
    ["an unknown overflow", { size: 1, overflow: "grow" }, "overflow"],
    ["checked by a string", { size: 1, checked: "yes" }, "checked"],
    ["an empty name", { size: 1, name: "" }, "name"],
    ["a misspelt option", { size: 1, backed: "heap" }, "backed"]
  ])("%s: %j", (_what, options, field) => {
    const make = () => BumpArena.makeUnsafe(options as BumpArena.Options)
    expect(make).toThrow(InvalidOptions.InvalidOptions)
    expect(make).toThrow(`"${field}"`)
  })

  it("undefined is as good as nothing", () => {
    using arena = BumpArena.makeUnsafe({
      size: 1,
      name: undefined,
      backing: undefined,
      overflow: undefined,
      checked: undefined
    })
    expect(arena.name).toBe("arena")
  })
})

const notSizes = [-1, NaN, 0.5, Infinity, -Infinity, 2 ** 53, "8", 8n, Symbol("8"), null, [8], {}, true]
const notAlignments = [...notSizes, 0, -0, 3, 6, -8, 131_072, 2 ** 31, 2 ** 32]

type Call = (arena: BumpArena.BumpArena, bad: never) => unknown

const refused = (bad: unknown, call: Call) => {
  using arena = arenaOf(100)
  BumpArena.allocBytesUnsafe(arena, 10).fill(7)
  const before = look(arena)
  expect(() => call(arena, bad as never)).toThrow(ArenaError.ArenaMisuse)
  expect(look(arena)).toEqual(before)
}

describe("what is no size is refused and changes nothing", () => {
  describe.each<readonly [string, Call]>([
    ["allocUnsafe", (arena, bad) => BumpArena.allocUnsafe(arena, bad)],
    ["allocBytesUnsafe", (arena, bad) => BumpArena.allocBytesUnsafe(arena, bad)],
    ["allocArrayUnsafe", (arena, bad) => BumpArena.allocArrayUnsafe(arena, Uint16Array, bad)],
    ["allocDataViewUnsafe", (arena, bad) => BumpArena.allocDataViewUnsafe(arena, bad)],
    ["bytesUnsafe, length", (arena, bad) => BumpArena.bytesUnsafe(arena, 0, bad)],
    ["bytesUnsafe, offset", (arena, bad) => BumpArena.bytesUnsafe(arena, bad, 0)],
    ["growUnsafe, offset", (arena, bad) => BumpArena.growUnsafe(arena, bad, 0, 1)],
    ["growUnsafe, size", (arena, bad) => BumpArena.growUnsafe(arena, 0, bad, 10)],
    ["growUnsafe, new size", (arena, bad) => BumpArena.growUnsafe(arena, 0, 10, bad)],
    ["growBytesUnsafe", (arena, bad) => BumpArena.growBytesUnsafe(arena, BumpArena.bytesUnsafe(arena, 0, 10), bad)],
    ["rewindUnsafe", (arena, bad) => BumpArena.rewindUnsafe(arena, bad)]
  ])("%s", (_name, call) => {
    it.each(notSizes)("%s", (bad) => refused(bad, call))
  })
})

describe("what is no alignment is refused and changes nothing", () => {
  describe.each<readonly [string, Call]>([
    ["allocUnsafe", (arena, bad) => BumpArena.allocUnsafe(arena, 1, bad)],
    ["allocUnsafe of nothing", (arena, bad) => BumpArena.allocUnsafe(arena, 0, bad)],
    ["allocUnsafe of too much", (arena, bad) => BumpArena.allocUnsafe(arena, 1000, bad)],
    ["allocBytesUnsafe", (arena, bad) => BumpArena.allocBytesUnsafe(arena, 1, bad)],
    ["allocDataViewUnsafe", (arena, bad) => BumpArena.allocDataViewUnsafe(arena, 1, bad)],
    ["growUnsafe", (arena, bad) => BumpArena.growUnsafe(arena, 0, 10, 10, bad)],
    ["growBytesUnsafe", (arena, bad) => BumpArena.growBytesUnsafe(arena, BumpArena.bytesUnsafe(arena, 0, 10), 20, bad)]
  ])("%s", (_name, call) => {
    it.each(notAlignments)("%s", (bad) => refused(bad, call))
  })
})

describe("what is not the arena's is refused and changes nothing", () => {
  it.each<readonly [string, Call]>([
    ["a view beyond what is allocated", (arena) => BumpArena.bytesUnsafe(arena, 5, 6)],
    ["a view behind what is allocated", (arena) => BumpArena.bytesUnsafe(arena, 10, 1)],
    ["a view so far that positions end", (arena) => BumpArena.bytesUnsafe(arena, Number.MAX_SAFE_INTEGER, 0)],
    ["growth of what was not allocated", (arena) => BumpArena.growUnsafe(arena, 5, 6, 20)],
    ["growth to less", (arena) => BumpArena.growUnsafe(arena, 0, 10, 9)],
    ["growth of a foreign view", (arena) => BumpArena.growBytesUnsafe(arena, new Uint8Array(10), 20)],
    ["growth of a free part", (arena) => BumpArena.growBytesUnsafe(arena, arena.memory.view.subarray(10, 20), 20)],
    ["growth of no view", (arena) => BumpArena.growBytesUnsafe(arena, "bytes" as never, 20)],
    ["no class of arrays", (arena) => BumpArena.allocArrayUnsafe(arena, DataView as never, 1)],
    ["no class at all", (arena) => BumpArena.allocArrayUnsafe(arena, undefined as never, 1)],
    ["a copy of an array", (arena) => BumpArena.allocCopyUnsafe(arena, [1, 2] as never)],
    ["a copy of a DataView", (arena) => BumpArena.allocCopyUnsafe(arena, new DataView(new ArrayBuffer(1)) as never)],
    ["a text that is none", (arena) => BumpArena.allocStringUnsafe(arena, 1 as never)]
  ])("%s", (_what, call) => refused(undefined, call))
})

describe("an arena that is over", () => {
  const uses: ReadonlyArray<readonly [string, (arena: BumpArena.BumpArena) => unknown]> = [
    ["allocUnsafe", (arena) => BumpArena.allocUnsafe(arena, 1)],
    ["allocUnsafe of nothing", (arena) => BumpArena.allocUnsafe(arena, 0)],
    ["allocUnsafe of too much", (arena) => BumpArena.allocUnsafe(arena, 1000)],
    ["allocBytesUnsafe", (arena) => BumpArena.allocBytesUnsafe(arena, 1)],
    ["allocStringUnsafe", (arena) => BumpArena.allocStringUnsafe(arena, "")],
    ["allocCopyUnsafe", (arena) => BumpArena.allocCopyUnsafe(arena, new Uint8Array(0))],
    ["bytesUnsafe", (arena) => BumpArena.bytesUnsafe(arena, 0, 0)],
    ["growUnsafe", (arena) => BumpArena.growUnsafe(arena, 0, 0, 1)],
    ["growBytesUnsafe", (arena) => BumpArena.growBytesUnsafe(arena, new Uint8Array(1), 1)],
    ["markUnsafe", (arena) => BumpArena.markUnsafe(arena)],
    ["rewindUnsafe", (arena) => BumpArena.rewindUnsafe(arena, 1)],
    ["scopeUnsafe", (arena) => BumpArena.scopeUnsafe(arena, () => 1)],
    ["resetUnsafe", (arena) => BumpArena.resetUnsafe(arena)]
  ]

  it.each(uses)("refuses %s", (_name, use) => {
    const arena = arenaOf(100)
    BumpArena.allocUnsafe(arena, 10)
    arena[Symbol.dispose]()
    const before = look(arena)
    expect(() => use(arena)).toThrow("it is destroyed")
    expect(look(arena)).toEqual(before)
  })

  it("can be disposed of again, as anything can", () => {
    const arena = arenaOf(100)
    arena[Symbol.dispose]()
    arena[Symbol.dispose]()
    expect([arena.state, arena.allocated]).toEqual(["destroyed", 0])
  })

  it("has left dead views", () => {
    const arena = arenaOf(100)
    const bytes = BumpArena.allocBytesUnsafe(arena, 10)
    arena[Symbol.dispose]()
    expect(bytes.length).toBe(0)
  })
})
