/**
 * What ends a guest: a trap of its own, or what was thrown through it.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { inWords } from "./internal/inWords.ts"
import { kindOfTrap } from "./internal/kindOfTrap.ts"

const kinds = [
  "Unreachable",
  "MemoryOutOfBounds",
  "TableOutOfBounds",
  "ArrayOutOfBounds",
  "UnalignedAccess",
  "DivideByZero",
  "IntegerOverflow",
  "InvalidConversion",
  "IndirectCallMismatch",
  "NullReference",
  "IllegalCast",
  "StackOverflow",
  "OutOfMemory",
  "GuestException",
  "HostError",
  "Other"
] as const

/**
 * Why a guest ended.
 *
 * **Details**
 *
 * - `Unreachable`: it says so itself, as compiled panics and aborts do
 * - `MemoryOutOfBounds`, `TableOutOfBounds`, `ArrayOutOfBounds`: an access beyond the end, that of a segment included
 * - `UnalignedAccess`: an atomic access to an address that is none
 * - `DivideByZero`: a division, or a remainder
 * - `IntegerOverflow`: a quotient that its type can't hold
 * - `InvalidConversion`: a float that is no such integer
 * - `IndirectCallMismatch`: a call through a table, to a function of another type or to none
 * - `NullReference`, `IllegalCast`: a reference that is null, or of another type
 * - `StackOverflow`: its calls go too deep
 * - `OutOfMemory`: the engine can't allocate what it asks for. A `memory.grow` beyond a limit is no trap: it gives -1
 * - `GuestException`: it has thrown what nothing caught
 * - `HostError`: a function of the host that it called has thrown: that is the `cause`
 * - `Other`: a trap that has no name here
 *
 * @category models
 * @since 0.1.0
 */
export type Kind = (typeof kinds)[number]

/**
 * A guest has trapped. Its instance is of no more use.
 *
 * **Details**
 *
 * `pool` is the pool's name and `export` the function that was called, or `start` if it happened while the module was
 * instantiated. `cause` is what the engine or the host has thrown.
 *
 * @category errors
 * @since 0.1.0
 */
export class WasmTrap extends Schema.TaggedError<WasmTrap>("effect-pools/WasmTrap")("WasmTrap", {
  kind: Schema.Literals(kinds),
  pool: Schema.String,
  export: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    const what = this.kind === "HostError" ? "the host failed in" : "the guest trapped in"
    const said = this.kind === "GuestException" ? "it has thrown an exception" : inWords(this.cause)
    return `Pool "${this.pool}": ${what} "${this.export}" (${this.kind}): ${said}`
  }
}

/**
 * Tells what kind of trap it is that a guest's function has thrown.
 *
 * **Details**
 *
 * Engines don't say but in words: those of V8, SpiderMonkey and JavaScriptCore are known. What is no error of
 * WebAssembly's is one of the host's.
 *
 * @category conversions
 * @since 0.1.0
 */
export const trapKind = (error: unknown): Kind => kindOfTrap(error)
