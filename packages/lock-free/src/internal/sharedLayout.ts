/** Where everything lies in the control memory of a shared structure, in words of 32 bits. */

/** "PooL" in ASCII: what is not one of these begins otherwise. */
const MAGIC = 0x506f_6f4c
const VERSION = 1

export type SharedKind = "pool" | "permits"

/** As many as a tree of four levels finds without a search. */
export const MOST_SLOTS = 65_536
/** How many threads may be attached at a time. Each costs two cache lines. */
export const MOST_THREADS = 128

/** A cache line, in words. What different threads write lies in different ones. */
const LINE = 16

const MAGIC_AT = 0
const VERSION_AT = 1
const KIND_AT = 2
const MAXIMUM_AT = 3
const CHUNK_AT = 4
const SLOT_BYTES_AT = 5
const RESET_AT = 6
/** How many slots there are by now. */
export const CAPACITY_AT = LINE
/** Not 0 once the structure is closed. */
export const CLOSED_AT = LINE + 1
/** The word that those who wait sleep on. It changes only while somebody waits. */
export const TURNSTILE_AT = 2 * LINE
/** The word that those sleep on who want to hear what others lack and give back. */
export const BELL_AT = 2 * LINE + 1
const MEMBERS_AT = 3 * LINE

/** A thread's place: whose it is, how many of its pools sleep, and its totals, which are numbers of 64 bits. */
const MEMBER_WORDS = 2 * LINE
export const MEMBER_ASLEEP = 1
/** How many pools on this structure the thread has. Only that thread writes it. */
export const MEMBER_POOLS = 2
const MEMBER_TOTALS = 4
/** The totals of a thread, which only that thread writes. */
export const totals = [
  "acquired",
  "timeouts",
  "exhausted",
  "reclaimed",
  "resetFailed",
  "pending",
  "wanted",
  "leaving",
  "since"
] as const
export type Total = (typeof totals)[number]
/** Where a total is among those of its thread. */
export const placeOf = Object.fromEntries(totals.map((total, place) => [total, place])) as Record<Total, number>
/** What ends with the thread: how many wait in it, for how many permits, since when, and how many are on their way back. */
export const passing: ReadonlySet<Total> = new Set(["pending", "wanted", "leaving", "since"] as const)

export const resets = ["none", "zero", "function"] as const
export type ResetMode = (typeof resets)[number]

export interface Shape {
  readonly kind: SharedKind
  readonly initial: number
  readonly maximum: number
  /** How many slots are added at a time; 0 doubles. */
  readonly chunk: number
  readonly slotBytes: number
  readonly reset: ResetMode
}

/** One level of the tree: where its words begin and how many there are. The highest has one. */
export interface Level {
  readonly at: number
  readonly words: number
}

const levelsOf = (maximum: number, at: number): ReadonlyArray<Level> => {
  const levels: Array<Level> = []
  for (let bits = maximum; levels.length === 0 || bits > 1;) {
    const words = Math.ceil(bits / 32)
    levels.push({ at, words })
    // Each level begins in a cache line of its own.
    at += Math.ceil(words / LINE) * LINE
    bits = words
  }
  return levels
}

/** The memory of one shared structure, with what its header says. */
export class Layout {
  readonly words: Int32Array
  /** The same memory as numbers of 64 bits, for totals. */
  readonly doubles: Float64Array
  readonly kind: SharedKind
  readonly maximum: number
  readonly chunk: number
  readonly slotBytes: number
  readonly reset: ResetMode
  readonly ownersAt: number
  readonly levels: ReadonlyArray<Level>

  constructor(control: SharedArrayBuffer) {
    this.words = new Int32Array(control)
    this.doubles = new Float64Array(control)
    this.kind = this.words[KIND_AT] === 0 ? "pool" : "permits"
    this.maximum = this.words[MAXIMUM_AT]!
    this.chunk = this.words[CHUNK_AT]!
    this.slotBytes = this.words[SLOT_BYTES_AT]!
    this.reset = resets[this.words[RESET_AT]!]!
    this.ownersAt = MEMBERS_AT + MOST_THREADS * MEMBER_WORDS
    this.levels = levelsOf(this.maximum, this.ownersAt + Math.ceil(this.maximum / LINE) * LINE)
  }

  memberAt(member: number): number {
    return MEMBERS_AT + member * MEMBER_WORDS
  }

  /** Index into `doubles`. */
  totalAt(member: number, total: Total): number {
    return (this.memberAt(member) + MEMBER_TOTALS) / 2 + placeOf[total]
  }
}

const bytesFor = (maximum: number): number => {
  const ownersAt = MEMBERS_AT + MOST_THREADS * MEMBER_WORDS
  const last = levelsOf(maximum, ownersAt + Math.ceil(maximum / LINE) * LINE).at(-1)!
  return (last.at + Math.ceil(last.words / LINE) * LINE) * 4
}

/** The control memory of a new structure, which has no slots yet. */
export const makeControl = (shape: Shape): SharedArrayBuffer => {
  const control = new SharedArrayBuffer(bytesFor(shape.maximum))
  const words = new Int32Array(control)
  words[MAGIC_AT] = MAGIC
  words[VERSION_AT] = VERSION
  words[KIND_AT] = shape.kind === "pool" ? 0 : 1
  words[MAXIMUM_AT] = shape.maximum
  words[CHUNK_AT] = shape.chunk
  words[SLOT_BYTES_AT] = shape.slotBytes
  words[RESET_AT] = resets.indexOf(shape.reset)
  return control
}

/** What is wrong with control memory that came from elsewhere; `undefined` if it is sound. */
export const faultOf = (control: unknown, kind: SharedKind): string | undefined => {
  if (!isShared(control) || control.byteLength < MEMBERS_AT * 4) return "it has no control memory"
  const words = new Int32Array(control, 0, MEMBERS_AT)
  if (words[MAGIC_AT] !== MAGIC) return "its memory is not that of a shared structure"
  if (words[VERSION_AT] !== VERSION) return `its memory is of version ${words[VERSION_AT]}, not ${VERSION}`
  const maximum = words[MAXIMUM_AT]!
  if (maximum < 1 || maximum > MOST_SLOTS || control.byteLength !== bytesFor(maximum)) return "its memory is cut off"
  if (words[KIND_AT] !== (kind === "pool" ? 0 : 1)) return `it is not that of shared ${kind}`
  const [capacity, chunk, slotBytes] = [words[CAPACITY_AT]!, words[CHUNK_AT]!, words[SLOT_BYTES_AT]!]
  const isSound =
    resets[words[RESET_AT]!] !== undefined &&
    isWithin(capacity, 0, maximum) &&
    isWithin(chunk, 0, MOST_SLOTS) &&
    (kind === "permits" ? slotBytes === 0 : slotBytes > 0 && slotBytes % 8 === 0)
  if (!isSound) return "what its memory says of itself makes no sense"
  return words[CLOSED_AT] === 0 ? undefined : "it is closed"
}

const isWithin = (n: number, least: number, most: number): boolean => n >= least && n <= most

const byteLength = Object.getOwnPropertyDescriptor(SharedArrayBuffer.prototype, "byteLength")!

/** Neither by its class, as it may come from another realm, nor by its tag, which anything may bear. */
export const isShared = (u: unknown): u is SharedArrayBuffer => {
  try {
    byteLength.get!.call(u)
    return true
  } catch {
    return false
  }
}
