/** Allocations as views. Each throws `ArenaExhausted` where there is no room. */
import type { ArenaMemory } from "../ArenaBacking.ts"
import { BackingFailed } from "../ArenaError.ts"
import type { Arena } from "./arena.ts"
import type { ViewClass } from "./chunk.ts"
import { isSize, show } from "./limits.ts"
import { utf8 } from "./platform.ts"

type Inner = Arena<ArenaMemory>

/**
 * A class of typed arrays. Its prototype says what they are over memory of whatever kind; what the constructor's own type
 * says is true of an `ArrayBuffer` alone.
 */
export interface ArrayClass<A> extends ViewClass<unknown> {
  readonly BYTES_PER_ELEMENT: number
  readonly prototype: A
}

/** The classes of typed arrays by name, over memory of whatever kind. */
interface TypedArrays {
  readonly Int8Array: Int8Array
  readonly Uint8Array: Uint8Array
  readonly Uint8ClampedArray: Uint8ClampedArray
  readonly Int16Array: Int16Array
  readonly Uint16Array: Uint16Array
  readonly Int32Array: Int32Array
  readonly Uint32Array: Uint32Array
  readonly Float32Array: Float32Array
  readonly Float64Array: Float64Array
  readonly BigInt64Array: BigInt64Array
  readonly BigUint64Array: BigUint64Array
}

export type AnyTypedArray = TypedArrays[keyof TypedArrays]

/** The class that a typed array has by its contents: `Uint8Array` for a `Buffer`. */
export type CopyOf<A extends AnyTypedArray> = TypedArrays[A[typeof Symbol.toStringTag]]

export const allocBytes = (arena: Inner, length: number, align: number): Uint8Array<ArrayBufferLike> =>
  arena.viewAt(Uint8Array, allocOrThrow(arena, length, align), length)

export const allocArray = <A>(arena: Inner, array: ArrayClass<A>, length: number): A => {
  const width = elementSize(arena, array)
  arena.requireSize("a length", length)
  const size = length * width
  // More than can be counted is more than there is.
  if (!isSize(size)) throw arena.exhausted(size)
  return arena.viewAt(array, allocOrThrow(arena, size, width), length) as A
}

export const allocDataView = (arena: Inner, length: number, align: number): DataView<ArrayBufferLike> =>
  arena.viewAt(DataView, allocOrThrow(arena, length, align), length)

export const allocCopy = <A extends AnyTypedArray>(arena: Inner, source: A): CopyOf<A> => {
  const copy = allocArray(arena, classOf(arena, source), source.length)
  copy.set(source)
  return copy
}

export const allocString = (arena: Inner, text: string): Uint8Array<ArrayBufferLike> => {
  if (typeof text !== "string") throw arena.misuse(`only a string has an encoding, not ${show(text)}`)
  arena.requireOpen()
  const most = text.length * 3
  if (most > arena.room) {
    const bytes = allocBytes(arena, utf8Length(text), 1)
    utf8.encodeInto(text, bytes)
    return bytes
  }
  const { written } = utf8.encodeInto(text, arena.ahead(most))
  return allocBytes(arena, written, 1)
}

export const growBytes = (
  arena: Inner,
  bytes: Uint8Array<ArrayBufferLike>,
  length: number,
  align: number
): Uint8Array<ArrayBufferLike> => {
  arena.requireOpen()
  const start = bytes instanceof Uint8Array ? arena.find(bytes) : -1
  if (start < 0) throw arena.misuse("what was to grow is not a live allocation of this arena")
  const grown = exhaustedIfNegative(arena, length, () => arena.grow(start, bytes.byteLength, length, align))
  return arena.bytes(grown, length)
}

const allocOrThrow = (arena: Inner, size: number, align: number): number =>
  exhaustedIfNegative(arena, size, () => arena.alloc(size, align))

const exhaustedIfNegative = (arena: Inner, asked: number, allocate: () => number): number => {
  let start: number
  try {
    start = allocate()
  } catch (error) {
    // A backing that fails while the arena chains leaves it without room.
    throw error instanceof BackingFailed ? arena.exhausted(asked, error) : error
  }
  if (start < 0) throw arena.exhausted(asked)
  return start
}

const elementSize = (arena: Inner, array: ArrayClass<unknown>): number => {
  const width: unknown = typeof array === "function" ? array.BYTES_PER_ELEMENT : undefined
  if (width === 1 || width === 2 || width === 4 || width === 8) return width
  throw arena.misuse("only a class of typed arrays says how large its elements are")
}

interface CopyTarget<A extends AnyTypedArray> {
  readonly set: (source: A) => void
}

/** The platform's own class of a typed array: subclasses such as `Buffer` do not always construct over a buffer. */
const classOf = <A extends AnyTypedArray>(arena: Inner, source: A): ArrayClass<CopyOf<A> & CopyTarget<A>> => {
  const isTypedArray = ArrayBuffer.isView(source) && !((source as unknown) instanceof DataView)
  if (!isTypedArray) throw arena.misuse(`only typed arrays can be copied, not ${show(source)}`)
  const found: unknown = Reflect.get(globalThis, source[Symbol.toStringTag])
  return found as ArrayClass<CopyOf<A> & CopyTarget<A>>
}

/** How many bytes `encodeInto` writes for a text. Half of a surrogate pair becomes U+FFFD. */
const utf8Length = (text: string): number => {
  let length = text.length
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit > 0x7f) length++
    if (unit > 0x7ff) length++
    const isPair = unit >= 0xd800 && unit < 0xdc00 && isLowSurrogate(text.charCodeAt(at + 1))
    // Two units are four bytes: three were counted for the first, and one for being there for the second.
    if (isPair) at++
  }
  return length
}

const isLowSurrogate = (unit: number): boolean => unit >= 0xdc00 && unit < 0xe000
