import { assert, describe, it } from "@effect/vitest"
import { WasmTrap } from "@effect-pools/wasm"
import { engine } from "../src/internal/webAssembly.ts"
import { fromCode, fromText } from "./modules.ts"

/** What the function `run` of a module throws, or else instantiating it. */
const thrownBy = async (module: Uint8Array, run: () => unknown = () => 0): Promise<unknown> => {
  const compiled = await engine.compile(module)
  try {
    const { exports } = new engine.Instance(compiled, { host: { run } })
    ;(exports.run as () => void)()
  } catch (error) {
    return error
  }
  return assert.fail("nothing was thrown")
}

const throwing = (error: unknown) => () => {
  throw error
}

const callsHost = fromText(`(module (import "host" "run" (func $host)) (func (export "run") call $host))`)

const traps: ReadonlyArray<readonly [what: string, WasmTrap.Kind, module: Uint8Array]> = [
  ["unreachable code", "Unreachable", fromText(`(module (func (export "run") unreachable))`)],
  [
    "a load beyond the end of memory",
    "MemoryOutOfBounds",
    fromText(`(module (memory 1) (func (export "run") (drop (i32.load (i32.const 65533)))))`)
  ],
  [
    "a bulk operation beyond the end of memory",
    "MemoryOutOfBounds",
    fromText(`(module (memory 1) (func (export "run") (memory.fill (i32.const 65536) (i32.const 0) (i32.const 1))))`)
  ],
  [
    "a data segment that does not fit",
    "MemoryOutOfBounds",
    fromText(`(module (memory 1) (data (i32.const 65536) "x"))`)
  ],
  [
    "an access beyond the end of a table",
    "TableOutOfBounds",
    fromText(`(module (table 1 funcref) (func (export "run") (drop (table.get 0 (i32.const 1)))))`)
  ],
  [
    "an indirect call beyond the end of the table",
    "TableOutOfBounds",
    fromText(
      `(module (type $t (func)) (table 1 funcref) (func (export "run") (call_indirect (type $t) (i32.const 1))))`
    )
  ],
  [
    "an element segment that does not fit",
    "TableOutOfBounds",
    fromText(`(module (table 1 funcref) (func $f) (elem (i32.const 1) $f))`)
  ],
  [
    "an indirect call of a function of another type",
    "IndirectCallMismatch",
    fromText(
      `(module (type $t (func (result i32))) (table 1 funcref) (func $run (export "run")
        (drop (call_indirect (type $t) (i32.const 0)))) (elem (i32.const 0) $run))`
    )
  ],
  [
    "an indirect call of no function",
    "IndirectCallMismatch",
    fromText(
      `(module (type $t (func)) (table 1 funcref) (func (export "run") (call_indirect (type $t) (i32.const 0))))`
    )
  ],
  [
    "a division by zero",
    "DivideByZero",
    fromText(`(module (func (export "run") (drop (i32.div_s (i32.const 1) (i32.const 0)))))`)
  ],
  [
    "a remainder by zero",
    "DivideByZero",
    fromText(`(module (func (export "run") (drop (i64.rem_u (i64.const 1) (i64.const 0)))))`)
  ],
  [
    "a quotient that does not fit",
    "IntegerOverflow",
    fromText(`(module (func (export "run") (drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))))`)
  ],
  [
    "a float that is no integer",
    "InvalidConversion",
    fromText(`(module (func (export "run") (drop (i32.trunc_f32_s (f32.const nan)))))`)
  ],
  [
    "an atomic access to an address that is none",
    "UnalignedAccess",
    fromText(`(module (memory 1 1 shared) (func (export "run") (drop (i32.atomic.load (i32.const 1)))))`)
  ],
  ["calls that go too deep", "StackOverflow", fromText(`(module (func $run (export "run") call $run))`)],
  [
    "an exception that nobody catches",
    "GuestException",
    fromText(`(module (tag $t (param i32)) (func (export "run") (throw $t (i32.const 3))))`)
  ],
  ["a null that is not to be one", "NullReference", fromCode(0xd0, 0x70, 0xd4, 0x1a)],
  ["an array that is null", "NullReference", fromCode(0xd0, 2, 0x41, 0, 0xfb, 0x0b, 2, 0x1a)],
  [
    "an access beyond the end of an array",
    "ArrayOutOfBounds",
    fromCode(0x41, 1, 0xfb, 7, 2, 0x41, 5, 0xfb, 0x0b, 2, 0x1a)
  ],
  ["a cast to another type", "IllegalCast", fromCode(0xfb, 1, 1, 0xfb, 0x16, 2, 0x1a)],
  ["an array as large as can be", "OutOfMemory", fromCode(0x41, 0xff, 0xff, 0xff, 0xff, 7, 0xfb, 7, 2, 0x1a)],
  [
    "to wait where nothing may",
    "Other",
    fromText(
      `(module (memory 1 1) (func (export "run")
        (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 1)))))`
    )
  ]
]

/** What other engines say, and V8 when it is hard to make it. */
const said: ReadonlyArray<readonly [WasmTrap.Kind, name: string, message: string]> = [
  ["Unreachable", "RuntimeError", "unreachable executed"],
  ["IntegerOverflow", "RuntimeError", "integer overflow"],
  ["InvalidConversion", "RuntimeError", "invalid conversion to integer"],
  ["DivideByZero", "RuntimeError", "integer divide by zero"],
  ["MemoryOutOfBounds", "RuntimeError", "index out of bounds"],
  ["TableOutOfBounds", "RuntimeError", "table index out of bounds"],
  ["UnalignedAccess", "RuntimeError", "unaligned memory access"],
  ["IndirectCallMismatch", "RuntimeError", "indirect call to null"],
  ["IndirectCallMismatch", "RuntimeError", "indirect call signature mismatch"],
  ["NullReference", "RuntimeError", "dereferencing null pointer"],
  ["IllegalCast", "RuntimeError", "bad cast"],
  ["StackOverflow", "InternalError", "too much recursion"],
  ["Unreachable", "RuntimeError", "Unreachable code should not be executed (evaluating 'run()')"],
  ["MemoryOutOfBounds", "RuntimeError", "Out of bounds memory access (evaluating 'run()')"],
  ["TableOutOfBounds", "RuntimeError", "Out of bounds table access"],
  ["TableOutOfBounds", "RuntimeError", "Out of bounds call_indirect (evaluating 'run()')"],
  ["ArrayOutOfBounds", "RuntimeError", "Out of bounds array.get"],
  ["IndirectCallMismatch", "RuntimeError", "call_indirect to a null table entry (evaluating 'run()')"],
  ["IndirectCallMismatch", "RuntimeError", "call_indirect to a signature that does not match"],
  ["DivideByZero", "RuntimeError", "Division by zero"],
  ["IntegerOverflow", "RuntimeError", "Integer overflow"],
  ["InvalidConversion", "RuntimeError", "Out of bounds Trunc operation"],
  ["UnalignedAccess", "RuntimeError", "Unaligned memory access"],
  ["NullReference", "RuntimeError", "array.get to a null reference"],
  ["IllegalCast", "RuntimeError", "ref.cast failed to cast reference to target heap type"],
  ["StackOverflow", "RangeError", "Maximum call stack size exceeded."],
  ["StackOverflow", "RuntimeError", "Stack overflow"],
  ["OutOfMemory", "RangeError", "WebAssembly.Instance(): Out of memory: Cannot allocate Wasm memory for new instance"],
  ["TableOutOfBounds", "RuntimeError", "element segment out of bounds"],
  ["MemoryOutOfBounds", "RuntimeError", "data segment out of bounds"],
  ["Other", "RuntimeError", "Aborted()"],
  ["HostError", "RangeError", "Invalid array length"],
  ["HostError", "Error", "division by zero"]
]

describe("the kind of a trap", () => {
  for (const [what, kind, module] of traps) {
    it(`of ${what} is ${kind}`, async () => {
      assert.strictEqual(WasmTrap.trapKind(await thrownBy(module)), kind)
    })
  }

  it("of what a function of the host throws is HostError, whatever it is", async () => {
    for (const thrown of [new Error("no"), new TypeError("no"), "no", undefined, null, { message: "unreachable" }]) {
      const error = await thrownBy(callsHost, throwing(thrown))
      assert.strictEqual(error, thrown)
      assert.strictEqual(WasmTrap.trapKind(error), "HostError")
    }
  })

  it("is told in the words of other engines too", () => {
    for (const [kind, name, message] of said) {
      assert.strictEqual(WasmTrap.trapKind(Object.assign(new Error(message), { name })), kind, `${name}: ${message}`)
    }
  })
})

describe("a trap", () => {
  it("names the pool, the export and what the engine said", () => {
    const cause = new Error("unreachable")
    const trap = new WasmTrap.WasmTrap({ kind: "Unreachable", pool: "plugins", export: "price", cause })
    assert.strictEqual(trap.message, `Pool "plugins": the guest trapped in "price" (Unreachable): unreachable`)
    assert.strictEqual(trap.cause, cause)
  })

  it("has a message whatever was thrown", () => {
    const said = (kind: WasmTrap.Kind, cause: unknown) =>
      new WasmTrap.WasmTrap({ kind, pool: "plugins", export: "price", cause }).message
    for (const cause of [undefined, null, Symbol("no"), Object.create(null), () => 1]) {
      assert.include(said("HostError", cause), `Pool "plugins": the host failed in "price" (HostError): `)
    }
    assert.include(said("GuestException", {}), `(GuestException): it has thrown an exception`)
  })

  it("says that it was the host's failure", () => {
    const trap = new WasmTrap.WasmTrap({ kind: "HostError", pool: "plugins", export: "start", cause: "no" })
    assert.strictEqual(trap.message, `Pool "plugins": the host failed in "start" (HostError): "no"`)
  })
})
