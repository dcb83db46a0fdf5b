/** What became of a module whose memories were to be limited. */
export type Limited =
  | { readonly _tag: "Limited"; readonly bytes: Uint8Array<ArrayBuffer> }
  /** A memory needs more than it may have, from the beginning. */
  | { readonly _tag: "TooLarge"; readonly pages: number }
  /** These bytes are no module, or one with something in it that is not known here. */
  | { readonly _tag: "Unreadable" }

/**
 * Rewrites a module so that none of its memories can grow beyond `limit` pages of 64 KiB: those it defines, and those it
 * imports, which then have to be limited too for the engine to link them. All else stays as it is, right or wrong.
 */
export const limitMemory = (module: Uint8Array, limit: number): Limited => {
  try {
    return { _tag: "Limited", bytes: rewrite(new Reader(module), BigInt(limit)) }
  } catch (problem) {
    if (problem instanceof TooLarge) return { _tag: "TooLarge", pages: problem.pages }
    if (problem instanceof Unreadable) return { _tag: "Unreadable" }
    throw problem
  }
}

class TooLarge extends Error {
  readonly pages: number
  constructor(pages: bigint) {
    super()
    this.pages = Number(pages)
  }
}

class Unreadable extends Error {}

const rewrite = (module: Reader, limit: bigint): Uint8Array<ArrayBuffer> => {
  const written: Array<Uint8Array> = [module.preamble()]
  while (!module.isAtEnd) {
    const id = module.byte()
    const section = module.part(module.size())
    const content =
      id === IMPORTS ? imports(section, limit) : id === MEMORIES ? memories(section, limit) : section.rest()
    written.push(Uint8Array.of(id), unsigned(BigInt(content.length)), content)
  }
  return concat(written)
}

const IMPORTS = 2
const MEMORIES = 5

const memories = (section: Reader, limit: bigint): Uint8Array<ArrayBuffer> => {
  const count = section.size()
  const written = [unsigned(BigInt(count))]
  for (let n = 0; n < count; n++) written.push(memoryType(section, limit))
  section.end()
  return concat(written)
}

const imports = (section: Reader, limit: bigint): Uint8Array<ArrayBuffer> => {
  const count = section.size()
  const written: Array<Uint8Array> = [unsigned(BigInt(count))]
  for (let n = 0; n < count; n++) {
    const start = section.at
    section.part(section.size())
    section.part(section.size())
    const kind = section.byte()
    if (kind === 2) {
      written.push(section.since(start), memoryType(section, limit))
      continue
    }
    skipImport(kind, section)
    written.push(section.since(start))
  }
  section.end()
  return concat(written)
}

const skipImport = (kind: number, section: Reader): void => {
  switch (kind) {
    case 0: // A function: its type.
      section.unsigned()
      return
    case 1: // A table: what is in it, and its limits.
      skipValueType(section)
      limits(section)
      return
    case 3: // A global: its type, and whether it is mutable.
      skipValueType(section)
      section.byte()
      return
    case 4: // A tag: an attribute, and its type.
      section.byte()
      section.unsigned()
      return
    default:
      throw new Unreadable()
  }
}

/** References have their type behind them; all else is a byte. */
const skipValueType = (section: Reader): void => {
  const type = section.byte()
  if (type === 0x63 || type === 0x64) section.unsigned()
}

const HAS_MAXIMUM = 1
const IS_64 = 4
const KNOWN_FLAGS = 7

interface Limits {
  readonly flags: number
  readonly initial: bigint
  readonly maximum: bigint | undefined
}

const limits = (section: Reader): Limits => {
  const flags = section.byte()
  // Pages of another size, for one.
  if ((flags & ~KNOWN_FLAGS) !== 0) throw new Unreadable()
  const initial = section.unsigned()
  return { flags, initial, maximum: (flags & HAS_MAXIMUM) === 0 ? undefined : section.unsigned() }
}

const memoryType = (section: Reader, limit: bigint): Uint8Array<ArrayBuffer> => {
  const { flags, initial, maximum } = limits(section)
  if (initial > limit) throw new TooLarge(initial)
  // What addresses can reach: more is no valid maximum.
  const reach = (flags & IS_64) === 0 ? 2n ** 16n : 2n ** 48n
  const most = maximum ?? reach
  return concat([Uint8Array.of(flags | HAS_MAXIMUM), unsigned(initial), unsigned(most < limit ? most : limit)])
}

/** Reads what the binary format is made of. */
class Reader {
  readonly bytes: Uint8Array
  at = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.at === this.bytes.length
  }

  end(): void {
    if (!this.isAtEnd) throw new Unreadable()
  }

  byte(): number {
    const byte = this.bytes[this.at++]
    if (byte === undefined) throw new Unreadable()
    return byte
  }

  /** Of up to 64 bits, in LEB128; of signed ones it finds the end just as well. */
  unsigned(): bigint {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.byte()
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    throw new Unreadable()
  }

  size(): number {
    return Number(this.unsigned())
  }

  part(length: number): Reader {
    const end = this.at + length
    if (end > this.bytes.length) throw new Unreadable()
    const part = new Reader(this.bytes.subarray(this.at, end))
    this.at = end
    return part
  }

  rest(): Uint8Array {
    return this.bytes.subarray(this.at)
  }

  since(start: number): Uint8Array {
    return this.bytes.subarray(start, this.at)
  }

  /** `\0asm` and the version of modules. */
  preamble(): Uint8Array {
    const { bytes } = this.part(8)
    if (!preamble.every((byte, index) => bytes[index] === byte)) throw new Unreadable()
    return bytes
  }
}

const preamble = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]

const unsigned = (value: bigint): Uint8Array<ArrayBuffer> => {
  const bytes: Array<number> = []
  let rest = value
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  bytes.push(Number(rest))
  return Uint8Array.from(bytes)
}

const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array<ArrayBuffer> => {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
