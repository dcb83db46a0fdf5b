import { describe, expect, it } from "@effect/vitest"
import { inWords } from "../src/internal/inWords.ts"
import { tame } from "../src/internal/tame.ts"

describe("what a worker has thrown", () => {
  it("stays what it is if it is small: a value, plain data, an error of its class with its properties and its cause", () => {
    for (const value of [undefined, null, 1, 1n, "text", { a: [1, { b: null }] }, []])
      expect(tame(value)).toEqual(value)
    const error = Object.assign(new RangeError("too much", { cause: { limit: 1 } }), { code: "ERR_TOO_MUCH" })
    const tamed = tame(error) as RangeError
    expect(tamed).toBeInstanceOf(RangeError)
    expect(tamed).toEqual(error)
    expect(tamed).toMatchObject({ code: "ERR_TOO_MUCH", cause: { limit: 1 }, stack: error.stack })
    expect(Object.keys(tamed)).toEqual(["code"])
  })

  it("has texts of at most 10,000 characters, and at most 1,000 values", () => {
    expect(tame("x".repeat(10_001))).toBe(`${"x".repeat(10_000)}…`)
    expect((tame(new Error("x".repeat(1e6))) as Error).message).toHaveLength(10_001)
    expect(tame(Array.from({ length: 2000 }))).toHaveLength(999)
    const wide = Object.fromEntries(Array.from({ length: 2000 }, (_, index) => [`field${index}`, index]))
    expect(Object.keys(tame(wide) as object)).toHaveLength(999)
  })

  it("is a tree: what would take for ever to write, or has no end, comes but once", () => {
    let twice: unknown = []
    for (let depth = 0; depth < 100; depth++) twice = [twice, twice]
    expect(JSON.stringify(tame(twice)).length).toBeLessThan(10_000)
    const error = new Error("round")
    error.cause = error
    expect(tame(error)).toMatchObject({ message: "round", cause: "[seen before]" })
    let deep = new Error("deep")
    for (let depth = 0; depth < 10_000; depth++) deep = new Error("deep", { cause: deep })
    expect(JSON.stringify((tame(deep) as Error).cause)).toBeTypeOf("string")
  })

  it("is put in words if it is neither data nor an error", () => {
    expect(tame(new Map([[1, 2]]))).toBe("Map(1) { 1 => 2 }")
    expect(tame({ at: new Date(NaN) })).toEqual({ at: "Invalid Date" })
  })

  it("is an error whose texts are text", () => {
    const forged = Object.defineProperties(new Error(), {
      message: { value: { toString: 1 } },
      name: { value: null },
      stack: { value: [1] }
    })
    expect(() => String(forged)).toThrow("Cannot convert object to primitive value")
    const tamed = tame(forged) as Error
    expect([tamed.name, tamed.message, tamed.stack]).toEqual(["null", "{ toString: 1 }", "[ 1 ]"])
  })
})

describe("anything", () => {
  it("can be put in words", () => {
    const shy = new Proxy({}, { get: () => fail() })
    const hostile = Object.defineProperty(new Error(), "message", { get: () => fail() })
    expect(inWords("text")).toBe("text")
    expect(inWords(new Error("boom"))).toBe("boom")
    expect(inWords({ toString: 1, [Symbol.toPrimitive]: 1 })).toContain("toString: 1")
    expect(inWords(Object.create(null))).toBe("[Object: null prototype] {}")
    expect(inWords(Symbol("x"))).toBe("Symbol(x)")
    expect(inWords(shy)).toBeTypeOf("string")
    expect(inWords(hostile)).toBe("something that can't be put in words")
  })
})

const fail = () => {
  throw new Error("not for you")
}
