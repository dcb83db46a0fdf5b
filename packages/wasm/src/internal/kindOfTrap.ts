/** What kind of trap an engine means. Loads nothing else, as every plugin's thread asks too. */
import type { Kind } from "../WasmTrap.ts"
import { kindOf } from "./webAssembly.ts"

export const kindOfTrap = (error: unknown): Kind => {
  if (kindOf(error) === "exception") return "GuestException"
  if (!isError(error)) return "HostError"
  // Not traps to the engine, but errors of the language.
  if (error.name !== "RuntimeError") {
    if (/call stack size exceeded|too much recursion/.test(error.message)) return "StackOverflow"
    return error.name === "RangeError" && noMemory.test(error.message) ? "OutOfMemory" : "HostError"
  }
  return words.find(([, pattern]) => pattern.test(error.message))?.[0] ?? "Other"
}

const noMemory = /out of memory|cannot allocate|could not allocate/i

/** What engines say: V8, then SpiderMonkey, then JavaScriptCore. The first that fits counts. */
const words: ReadonlyArray<readonly [Kind, RegExp]> = [
  ["Unreachable", /^unreachable/i],
  ["DivideByZero", /divide by zero|remainder by zero|division by zero/i],
  ["IntegerOverflow", /divide result unrepresentable|integer overflow/i],
  ["InvalidConversion", /float unrepresentable|invalid conversion to integer|out of bounds trunc/i],
  ["IndirectCallMismatch", /signature mismatch|indirect call to null|call_indirect to a/i],
  ["NullReference", /dereferencing a? ?null pointer|null reference/i],
  ["IllegalCast", /illegal cast|bad cast|ref\.cast failed/i],
  ["UnalignedAccess", /unaligned/i],
  ["StackOverflow", /stack overflow/i],
  ["OutOfMemory", /new array is too large|too many array elements|out of memory/i],
  ["ArrayOutOfBounds", /array element access out of bounds|out of bounds array/i],
  [
    "TableOutOfBounds",
    /(?:table index|element segment).* out of bounds|out of bounds (?:table|call_indirect)|element segment/i
  ],
  ["MemoryOutOfBounds", /out of bounds|data segment/i]
]

/** An error of another realm is one too. */
const isError = (u: unknown): u is Error => Object.prototype.toString.call(u) === "[object Error]"
