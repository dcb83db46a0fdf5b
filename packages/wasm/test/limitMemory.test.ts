/** How a module's bytes are changed for its memories to be limited. */
import { assert, describe, it } from "@effect/vitest"
import { limitMemory } from "../src/internal/limitMemory.ts"
import { engine } from "../src/internal/webAssembly.ts"
import { fromText, section, sqlite } from "./modules.ts"

const header = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]

const limited = (module: Uint8Array, limit: number): Uint8Array => {
  const result = limitMemory(module, limit)
  return result._tag === "Limited" ? result.bytes : assert.fail(`it is ${result._tag}`)
}

const modules: ReadonlyArray<readonly [what: string, limit: number, text: string, limited: string]> = [
  ["no memory", 3, `(module (func (export "run")))`, `(module (func (export "run")))`],
  ["no maximum", 3, `(module (memory 1))`, `(module (memory 1 3))`],
  ["a greater maximum", 3, `(module (memory 1 300))`, `(module (memory 1 3))`],
  ["a smaller maximum", 3, `(module (memory 1 2))`, `(module (memory 1 2))`],
  ["what it has from the beginning", 1, `(module (memory 1))`, `(module (memory 1 1))`],
  ["nothing, and may have nothing", 0, `(module (memory 0))`, `(module (memory 0 0))`],
  ["numbers of several bytes", 1000, `(module (memory 200 60000))`, `(module (memory 200 1000))`],
  ["a limit beyond all addresses", 2 ** 40, `(module (memory 1))`, `(module (memory 1 65536))`],
  [
    "several memories, which share it",
    10,
    `(module (memory 1) (memory 2 9) (memory 0 2))`,
    `(module (memory 1 3) (memory 2 3) (memory 0 2))`
  ],
  [
    "tables, which share as much again",
    2,
    `(module (memory 1) (table 1 funcref) (table 0 9 externref) (table 3 9999999 externref))`,
    `(module (memory 1 2) (table 1 2730 funcref) (table 0 9 externref) (table 3 2730 externref))`
  ],
  ["a table, and may have no memory", 0, `(module (table 1 funcref))`, `(module (table 1 4096 funcref))`],
  ["a table, and no limit to speak of", 2 ** 40, `(module (table 1 funcref))`, `(module (table 1 0xffffffff funcref))`],
  ["shared memory", 3, `(module (memory 1 9 shared))`, `(module (memory 1 3 shared))`],
  ["memory of 64 bits", 3, `(module (memory i64 1))`, `(module (memory i64 1 3))`],
  [
    "memory of 64 bits, and no limit to speak of",
    2 ** 50,
    `(module (memory i64 1))`,
    `(module (memory i64 1 ${2 ** 48}))`
  ],
  [
    "imports of every kind",
    6,
    `(module (import "a" "f" (func (param i32))) (import "a" "t" (table 1 funcref)) (import "a" "u" (table 1 2 externref))
      (import "a" "m" (memory 1)) (import "a" "n" (memory 1 9 shared)) (import "a" "g" (global (mut i64)))
      (import "a" "h" (global externref)) (import "a" "e" (tag (param i32))))`,
    `(module (import "a" "f" (func (param i32))) (import "a" "t" (table 1 12288 funcref)) (import "a" "u" (table 1 2 externref))
      (import "a" "m" (memory 1 3)) (import "a" "n" (memory 1 3 shared)) (import "a" "g" (global (mut i64)))
      (import "a" "h" (global externref)) (import "a" "e" (tag (param i32))))`
  ],
  [
    "all else",
    2,
    `(module (memory 1) (data (i32.const 3) "x") (table 1 funcref) (func $f (export "run")) (elem (i32.const 0) $f) (start $f))`,
    `(module (memory 1 2) (data (i32.const 3) "x") (table 1 8192 funcref) (func $f (export "run")) (elem (i32.const 0) $f) (start $f))`
  ]
]

describe("a module whose memory is limited", () => {
  for (const [what, limit, text, expected] of modules) {
    it(`is the same but for the limit: it has ${what}`, () => {
      assert.deepStrictEqual(limited(fromText(text), limit), fromText(expected))
    })
  }

  it("keeps sections of its own, wherever they are", () => {
    const custom = section(0, [1, 0x78, 5, 1, 2, 3])
    const module = (maximum: Array<number>) =>
      Uint8Array.from([...header, ...custom, ...section(5, [1, ...maximum]), ...custom])
    assert.deepStrictEqual(limited(module([0, 1]), 3), module([1, 1, 3]))
  })

  it("may have typed references among its imports", () => {
    // (import "a" "b" (global (ref null? 0))) (import "a" "c" (memory 1)), after a type.
    const type = section(1, [1, 0x60, 0, 0])
    for (const reference of [0x63, 0x64]) {
      const global = [1, 0x61, 1, 0x62, 3, reference, 0, 0]
      const module = (memory: Array<number>) =>
        Uint8Array.from([...header, ...type, ...section(2, [2, ...global, 1, 0x61, 1, 0x63, 2, ...memory])])
      assert.deepStrictEqual(limited(module([0, 1]), 3), module([1, 1, 3]))
    }
  })

  it("may say what its tables have in them at first", () => {
    // (table 1 funcref (ref.func 0)), after a type and a function; the rest of its code does not matter here.
    const before = [...section(1, [1, 0x60, 0, 0]), ...section(3, [1, 0])]
    const table = (...limits: Array<number>) =>
      Uint8Array.from([...header, ...before, ...section(4, [1, 0x40, 0, 0x70, ...limits, 0xd2, 0, 0x0b])])
    assert.deepStrictEqual(limited(table(0, 1), 1), table(1, 1, 0x80, 0x20))
  })

  it("may write numbers longer than need be", () => {
    const long = Uint8Array.from([...header, 5, 0x85, 0x80, 0x00, 0x81, 0x00, 0, 0x81, 0x00])
    assert.deepStrictEqual(limited(long, 3), fromText(`(module (memory 1 3))`))
  })

  it("may be large", async () => {
    const bytes = limited(sqlite.bytes, 2 ** 16)
    assert.deepStrictEqual(
      engine.Module.exports(await engine.compile(bytes)),
      engine.Module.exports(await engine.compile(sqlite.bytes))
    )
  })

  it("says how many pages it needs, if that is more", () => {
    for (const text of [
      `(module (memory 4))`,
      `(module (memory 4 2000))`,
      `(module (memory 1) (memory 4))`,
      `(module (memory i64 4))`,
      `(module (import "a" "b" (memory 4)))`
    ]) {
      const limit = text.includes("(memory 1)") ? 6 : 3
      assert.deepStrictEqual(limitMemory(fromText(text), limit), {
        _tag: "TooLarge",
        what: "memory",
        pages: 4,
        limit: 3
      })
    }
    for (const text of [`(module (table 12289 funcref))`, `(module (import "a" "b" (table 12289 externref)))`]) {
      assert.deepStrictEqual(limitMemory(fromText(text), 3), { _tag: "TooLarge", what: "table", pages: 4, limit: 3 })
    }
  })
})

describe("bytes that can't be read", () => {
  const unreadable: Record<string, ReadonlyArray<number>> = {
    "are none": [],
    "are less than a header": header.slice(0, 7),
    "are of another version": [0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00],
    "have a section beyond their end": [...header, 5, 9, 1, 0, 1],
    "have a section without a length": [...header, 5],
    "have a length without an end": [...header, 5, ...Array.from({ length: 12 }, () => 0x80)],
    "have fewer memories than they say": [...header, ...section(5, [2, 0, 1])],
    "have more in them than memories": [...header, ...section(5, [1, 0, 1, 0])],
    "have memories of an unknown kind": [...header, ...section(5, [1, 8, 1, 16])],
    "have a length of six bytes": [...header, 5, 0x83, 0x80, 0x80, 0x80, 0x80, 0, 1, 0, 1],
    "have a length of more than 32 bits": [...header, 5, 0x83, 0x80, 0x80, 0x80, 0x10, 1, 0, 1],
    "have more pages than 32 bits can say": [...header, ...section(5, [1, 0, 0x81, 0x80, 0x80, 0x80, 0x80, 0])],
    "have tables of an unknown kind": [...header, ...section(4, [1, 0x70, 8, 1, 16])],
    "have tables of what takes long to say": [...header, ...section(4, [1, 0x40, 0, 0x70, 0, 1, 0x41, 0, 0x0b])],
    "import what is not known": [...header, ...section(2, [1, 1, 0x61, 1, 0x62, 9, 0])],
    "have more in them than imports": [...header, ...section(2, [0, 0])]
  }
  for (const [what, bytes] of Object.entries(unreadable)) {
    it(`are left to the engine: they ${what}`, () => {
      assert.deepStrictEqual(limitMemory(Uint8Array.from(bytes), 3), { _tag: "Unreadable" })
    })
  }
})

describe("bytes with a wrong bit", () => {
  it("are a module that is limited, or none for the engine either", () => {
    const { validate } = (
      globalThis as unknown as { readonly WebAssembly: { validate: (bytes: Uint8Array) => boolean } }
    ).WebAssembly
    const module = fromText(`(module (import "a" "f" (func)) (import "a" "t" (table 1 funcref))
      (import "a" "m" (memory 1)) (import "a" "g" (global i64)) (table 3 funcref) (memory 1) (memory 2 9) (data (i32.const 3) "x")
      (func (export "run") (param i32) (result i32) (memory.grow (local.get 0))))`)
    let accepted = 0
    for (let bit = 0; bit < module.length * 8; bit++) {
      const wrong = module.slice()
      wrong[bit >> 3]! ^= 1 << (bit & 7)
      const result = limitMemory(wrong, 12)
      if (!validate(wrong)) continue
      accepted++
      assert.notStrictEqual(result._tag, "Unreadable", `bit ${bit}`)
      if (result._tag === "Limited") assert.isTrue(validate(result.bytes), `bit ${bit}`)
    }
    assert.isAbove(accepted, 100)
  })
})
