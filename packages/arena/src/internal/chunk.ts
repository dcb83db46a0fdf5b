import type { ArenaBacking, ArenaMemory } from "../ArenaBacking.ts"
import { BackingFailed } from "../ArenaError.ts"

/** What arenas fill dead bytes with in checked mode: easy to recognise, odd, and far from zero as a number of any kind. */
const POISON = 0xdb

/** The smallest page of any operating system that Node.js runs on: what is touched is resident in whole pages. */
const OS_PAGE = 4096

/** A class of views over buffers. */
export type ViewClass<A> = new (buffer: ArrayBufferLike, byteOffset: number, length: number) => A

/** One piece of memory, and how much of it has been used. */
export class Chunk<M extends ArenaMemory = ArenaMemory> {
  readonly backing: ArenaBacking<M>
  readonly size: number
  memory: M
  /** Bytes from here on read as zero, unless somebody wrote where nothing was allocated. */
  dirtyEnd = 0
  /** Bytes from here on were not touched since the memory was reserved or released. */
  touchedEnd = 0
  isReleased = false
  #isDestroyed = false
  /** In the middle of `release`: what the backing does there may reach for the chunk. */
  #isReleasing = false
  /** What `viewAt` knows of the memory's view: asking a view for its buffer takes longer than making another one. */
  #known: Uint8Array<ArrayBufferLike> | undefined
  #buffer: ArrayBufferLike | undefined
  #byteOffset = 0

  constructor(backing: ArenaBacking<M>, size: number) {
    this.backing = backing
    this.size = size
    this.memory = reserve(backing, size)
  }

  /** How many bytes of physical memory it is thought to hold. */
  get resident(): number {
    return Math.min(Math.ceil(this.touchedEnd / OS_PAGE) * OS_PAGE, this.size)
  }

  viewAt<A>(view: ViewClass<A>, start: number, length: number): A {
    const whole = this.memory.view
    if (whole !== this.#known) {
      this.#known = whole
      this.#buffer = whole.buffer
      this.#byteOffset = whole.byteOffset
    }
    return new view(this.#buffer!, this.#byteOffset + start, length)
  }

  /** Notes that the bytes before `end` have been in use. */
  used(end: number): void {
    if (end > this.dirtyEnd) this.dirtyEnd = end
    if (end > this.touchedEnd) this.touchedEnd = end
  }

  /** Makes everything that was used read as zero. */
  zero(): void {
    if (this.dirtyEnd > 0) this.memory.view.fill(0, 0, this.dirtyEnd)
    this.dirtyEnd = 0
  }

  /** Returns the physical pages and says how many bytes those were: none where there is nothing to return. */
  release(): number {
    if (!this.backing.canRelease || this.isReleased || this.touchedEnd === 0) return 0
    if (this.#isReleasing) return 0
    const returned = this.resident
    this.#isReleasing = true
    try {
      this.memory.release()
    } finally {
      this.#isReleasing = false
    }
    this.isReleased = true
    this.dirtyEnd = 0
    this.touchedEnd = 0
    return returned
  }

  /** Makes it usable after a release. */
  commit(): void {
    if (this.isReleased || this.#isReleasing) this.#commitReleased()
  }

  /** Whoever has a view can transfer the memory to another thread, with `postMessage`, or resize it. */
  requireWhole(): void {
    if (this.memory.view.byteLength < this.size) throw new Error("its memory was transferred or resized by somebody")
  }

  /** A function of its own: one that makes a closure allocates for it also when it goes another way. */
  #commitReleased(): void {
    attempt(this.backing, this.size, () => {
      if (this.#isReleasing) throw new Error("its pages are just being returned")
      this.memory.commit()
    })
    this.isReleased = false
  }

  /** Whether old views of what was used can be made to end, by other memory. */
  get isReplaceable(): boolean {
    return this.backing.detaches && this.dirtyEnd > 0
  }

  /** Other memory for it. */
  reserve(): M {
    return reserve(this.backing, this.size)
  }

  /** Has other memory from now on; answers what it had. */
  replace(fresh: M): M {
    const old = this.memory
    this.memory = fresh
    this.touchedEnd = 0
    this.dirtyEnd = 0
    return old
  }

  /** Only what was used: memory that was released, or has ended, has no bytes to write to. */
  poisonFrom(start: number, end: number): void {
    if (start < end && !this.#isDestroyed) this.memory.view.fill(POISON, start, end)
  }

  destroy(): void {
    this.#isDestroyed = true
    this.memory.destroy()
  }
}

/** Memory that an arena can use, or `BackingFailed`. */
const reserve = <M extends ArenaMemory>(backing: ArenaBacking<M>, size: number): M => {
  const memory = attempt(backing, size, () => backing.reserve(size))
  const fault = attempt(backing, size, () => faultOf(memory, size))
  if (fault === undefined) return memory
  attempt(backing, size, () => memory?.destroy?.())
  throw new BackingFailed({ backing: backing.name, size, cause: new Error(fault) })
}

/** What is wrong with memory that a backing has given, which is the user's own and may be anything. */
const faultOf = (memory: Partial<ArenaMemory> | undefined, size: number): string | undefined => {
  const view = memory?.view
  // By its name, which is the same for those of other realms.
  if (!ArrayBuffer.isView(view) || view[Symbol.toStringTag] !== "Uint8Array") return "it has no view of bytes"
  const { byteLength, byteOffset } = view
  if (byteLength < size || byteOffset % 16 !== 0) {
    return `its view has ${byteLength} bytes and starts at ${byteOffset}, not a multiple of 16`
  }
  const steps = ["commit", "release", "destroy"] as const
  const missing = steps.filter((step) => typeof memory?.[step] !== "function")
  return missing.length === 0 ? undefined : `it has no function ${missing.join(", ")}`
}

const attempt = <A>(backing: ArenaBacking, size: number, f: () => A): A => {
  try {
    return f()
  } catch (cause) {
    throw new BackingFailed({ backing: backing.name, size, cause })
  }
}
