import { concat, Reader, unsigned, Unreadable } from "./wasmBinary.ts"
import { hasObjects, valueType } from "./wasmTypes.ts"

/** What became of a module whose memory was to be limited. */
export type Limited =
  | { readonly _tag: "Limited"; readonly bytes: Uint8Array<ArrayBuffer> }
  /** A memory or a table needs more than its share, from the beginning. */
  | { readonly _tag: "TooLarge"; readonly what: "memory" | "table"; readonly pages: number; readonly limit: number }
  /** It has objects in the engine's own heap. */
  | { readonly _tag: "HasObjects" }
  /** These bytes are no module, or one with something in it that is not known here. */
  | { readonly _tag: "Unreadable" }

/**
 * Rewrites a module so that its memories together never have more than `limit` pages of 64 KiB, and its tables never more
 * entries than fit into as much again, or into one page. Each has an equal share. Those that it imports have to be limited
 * too, for the engine to link them.
 *
 * Sizes of sections are written anew; all else stays as it is, right or wrong.
 */
export const limitMemory = (module: Uint8Array, limit: number): Limited => {
  try {
    const sections = readSections(new Reader(module))
    if (sections.some(({ bytes, id }) => id === TYPES && hasObjects(new Reader(bytes)))) return { _tag: "HasObjects" }
    const count = countOf(sections)
    const shares: Shares = {
      memory: share(limit, count.memory),
      table: share(Math.max(limit, 1) * ENTRIES_PER_PAGE, count.table)
    }
    return { _tag: "Limited", bytes: concat([module.subarray(0, 8), ...sections.map((s) => rewrite(s, shares))]) }
  } catch (problem) {
    if (problem instanceof TooLarge) return problem.result
    if (problem instanceof Unreadable) return { _tag: "Unreadable" }
    throw problem
  }
}

type Limitable = "memory" | "table"

/** The most that each may have: in pages, and in entries. */
type Shares = Readonly<Record<Limitable, bigint>>

/** An entry has up to 16 bytes: a function's has two pointers. */
const ENTRIES_PER_PAGE = 4096

const share = (all: number, count: number): bigint => BigInt(Math.floor(all / Math.max(count, 1)))

class TooLarge extends Error {
  readonly result: Limited

  constructor(what: Limitable, initial: bigint, most: bigint) {
    super()
    const pages = (size: bigint) => Number(size) / (what === "table" ? ENTRIES_PER_PAGE : 1)
    this.result = { _tag: "TooLarge", what, pages: Math.ceil(pages(initial)), limit: Math.floor(pages(most)) }
  }
}

// Sections -----------------------------------------------------------------------------------------------------------

interface Section {
  readonly id: number
  readonly bytes: Uint8Array
}

const TYPES = 1
const IMPORTS = 2
const TABLES = 4
const MEMORIES = 5

const readSections = (module: Reader): ReadonlyArray<Section> => {
  module.preamble()
  const sections: Array<Section> = []
  while (!module.isAtEnd) {
    const id = module.byte()
    sections.push({ id, bytes: module.part(module.size()).bytes })
  }
  return sections
}

const countOf = (sections: ReadonlyArray<Section>): Record<Limitable, number> => {
  const count = { memory: 0, table: 0 }
  for (const { bytes, id } of sections) {
    const section = new Reader(bytes)
    if (id === MEMORIES) count.memory += section.size()
    if (id === TABLES) count.table += section.size()
    if (id !== IMPORTS) continue
    eachOf(section, () => {
      const kind = importKind(section)
      if (kind === MEMORY_IMPORT) count.memory++
      if (kind === TABLE_IMPORT) count.table++
      importType(section, kind)
      return nothing
    })
  }
  return count
}

const nothing = new Uint8Array()

const rewrite = ({ bytes, id }: Section, shares: Shares): Uint8Array<ArrayBuffer> => {
  const section = new Reader(bytes)
  const content =
    id === IMPORTS
      ? eachOf(section, () => limitedImport(section, shares))
      : id === TABLES
        ? eachOf(section, () => limitedTable(section, shares.table))
        : id === MEMORIES
          ? eachOf(section, () => limitedMemory(section, shares.memory))
          : bytes
  return concat([Uint8Array.of(id), unsigned(BigInt(content.length)), content])
}

/** The section has nothing else in it. */
const eachOf = (section: Reader, write: () => Uint8Array): Uint8Array<ArrayBuffer> => {
  const count = section.size()
  const written: Array<Uint8Array> = [unsigned(BigInt(count))]
  for (let n = 0; n < count; n++) written.push(write())
  section.end()
  return concat(written)
}

// Imports ------------------------------------------------------------------------------------------------------------

const TABLE_IMPORT = 1
const MEMORY_IMPORT = 2

const importKind = (section: Reader): number => {
  section.part(section.size())
  section.part(section.size())
  return section.byte()
}

const limitedImport = (section: Reader, shares: Shares): Uint8Array => {
  const start = section.at
  const kind = importKind(section)
  const before = section.since(start)
  if (kind === MEMORY_IMPORT) return concat([before, limitedMemory(section, shares.memory)])
  if (kind === TABLE_IMPORT) return concat([before, limitedTableType(section, shares.table)])
  importType(section, kind)
  return section.since(start)
}

const importType = (section: Reader, kind: number): void => {
  switch (kind) {
    case 0: // A function: its type.
      section.unsigned(32)
      return
    case TABLE_IMPORT: // What is in it, and its limits.
      valueType(section)
      limits(section)
      return
    case MEMORY_IMPORT:
      limits(section)
      return
    case 3: // A global: its type, and whether it is mutable.
      valueType(section)
      section.byte()
      return
    case 4: // A tag: an attribute, and its type.
      section.byte()
      section.unsigned(32)
      return
    default:
      throw new Unreadable()
  }
}

// Tables -------------------------------------------------------------------------------------------------------------

const limitedTable = (section: Reader, most: bigint): Uint8Array => {
  if (section.bytes[section.at] !== 0x40) return limitedTableType(section, most)
  const before = section.part(2).bytes
  const type = limitedTableType(section, most)
  const start = section.at
  expression(section)
  return concat([before, type, section.since(start)])
}

const limitedTableType = (section: Reader, most: bigint): Uint8Array => {
  const start = section.at
  valueType(section)
  const element = section.since(start)
  const found = limits(section)
  return concat([element, limited("table", found, most, found.is64 ? 2n ** 64n - 1n : 2n ** 32n - 1n)])
}

/** What a table's entries are at first: a reference, in most cases. */
const expression = (section: Reader): void => {
  for (;;) {
    switch (section.byte()) {
      case 0x0b: // The end.
        return
      case 0x23: // A global.
      case 0xd0: // No reference, of some type.
      case 0xd2: // A function.
        section.unsigned(64)
        break
      default:
        throw new Unreadable()
    }
  }
}

// Limits -------------------------------------------------------------------------------------------------------------

const limitedMemory = (section: Reader, most: bigint): Uint8Array => {
  const found = limits(section)
  // What addresses can reach: more is no valid maximum.
  return limited("memory", found, most, found.is64 ? 2n ** 48n : 2n ** 16n)
}

const HAS_MAXIMUM = 1
const IS_64 = 4
const KNOWN_FLAGS = 7

interface Limits {
  readonly flags: number
  readonly is64: boolean
  readonly initial: bigint
  readonly maximum: bigint | undefined
}

const limits = (section: Reader): Limits => {
  const flags = section.byte()
  // Pages of another size, for one.
  if ((flags & ~KNOWN_FLAGS) !== 0) throw new Unreadable()
  const is64 = (flags & IS_64) !== 0
  const bits = is64 ? 64 : 32
  const initial = section.unsigned(bits)
  return { flags, is64, initial, maximum: (flags & HAS_MAXIMUM) === 0 ? undefined : section.unsigned(bits) }
}

const limited = (what: Limitable, { flags, initial, maximum }: Limits, most: bigint, reach: bigint): Uint8Array => {
  if (initial > most) throw new TooLarge(what, initial, most)
  const wanted = maximum ?? reach
  return concat([Uint8Array.of(flags | HAS_MAXIMUM), unsigned(initial), unsigned(wanted < most ? wanted : most)])
}
