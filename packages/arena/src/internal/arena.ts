import * as Layout from "@effect-pools/core/Layout"
import type * as Lease from "@effect-pools/core/Lease"
import type { ArenaMemory } from "../ArenaBacking.ts"
import { ArenaExhausted, ArenaMisuse } from "../ArenaError.ts"
import type { BumpArena } from "../BumpArena.ts"
import type { Chunk, ViewClass } from "./chunk.ts"
import { Ledger } from "./ledger.ts"
import { alignUp, isAlignment, isSize, MAX_ALIGNMENT, MAX_SIZE, show } from "./limits.ts"
import { MarkStack } from "./markStack.ts"

export const TypeId = "~@effect-pools/arena/BumpArena"

/** Where an arena that chains gets more memory, and gives it back. */
export interface ChunkSource<M extends ArenaMemory> {
  /** A chunk of the arena's own size, committed; `undefined` where there is none to be had. */
  readonly take: (arena: Arena<M>) => Chunk<M> | undefined
  readonly giveBack: (chunk: Chunk<M>) => void
}

export interface ArenaOptions<M extends ArenaMemory> {
  readonly name: string
  /** Its own memory, committed. */
  readonly chunk: Chunk<M>
  /** Given if it chains. */
  readonly source?: ChunkSource<M> | undefined
  readonly checked: boolean
  /** What `using` does at the end of its block. */
  readonly onDispose: (arena: Arena<M>) => void
}

/** An arena that has its fields at hand. */
export const makeArena = <M extends ArenaMemory>(options: ArenaOptions<M>): Arena<M> =>
  Layout.make(Arena, () => new Arena<M>(options))

/**
 * The allocator. Positions count through all chunks: chunk `i` begins at `i * stride`, and between the end of one and the
 * beginning of the next lies at least one position that nobody is ever given, so that no two chunks touch.
 *
 * `open` is what a holder has; `idle` lies in a pool; `chained` is lent for its memory alone, which another arena has;
 * `destroyed` has no memory any more.
 *
 * Memory is the user's own code, and may call whatever there is while an arena calls it: so what an arena is comes first,
 * and such calls last.
 */
export class Arena<M extends ArenaMemory = ArenaMemory> {
  readonly [TypeId] = TypeId
  readonly name: string
  readonly marks = new MarkStack()
  state: BumpArena["state"] = "open"
  /** How often it was emptied. What was allocated under another number is dead. */
  generation = 0
  /** The most bytes that were ever in use between two times that it was emptied, as `allocated` counts them. */
  mostUsed = 0
  /** The lease on it that plain code has taken, and so has to end. */
  lease: Lease.Lease<any> | undefined = undefined

  readonly #chunks: Array<Chunk<M>>
  readonly #source: ChunkSource<M> | undefined
  readonly #ledger: Ledger | undefined
  readonly #onDispose: (arena: Arena<M>) => void
  readonly #size: number
  readonly #stride: number
  /** The chunk that the cursor is in. */
  #current = 0
  #cursor = 0
  /** The end of the current chunk. */
  #limit = 0
  /** The limit, or −1 while every allocation has to take the long way: in checked mode, and when it is not open. */
  #fastLimit = 0

  constructor(options: ArenaOptions<M>) {
    this.name = options.name
    this.#chunks = [options.chunk]
    this.#source = options.source
    this.#ledger = options.checked ? new Ledger() : undefined
    this.#onDispose = options.onDispose
    this.#size = options.chunk.size
    this.#stride = Math.ceil((this.#size + 1) / MAX_ALIGNMENT) * MAX_ALIGNMENT
    this.#moveTo(0, 0)
  }

  /** Its own chunk, without those that it has chained. */
  get chunk(): Chunk<M> {
    return this.#chunks[0]!
  }

  get memory(): M {
    return this.chunk.memory
  }

  get capacity(): number {
    return this.#chunks.length * this.#size
  }

  get allocated(): number {
    return this.#current * this.#size + this.#cursor - this.#base
  }

  get remaining(): number {
    return this.capacity - this.allocated
  }

  /** How much of the current chunk is left. */
  get room(): number {
    return this.#limit - this.#cursor
  }

  /** The position of what is allocated, or −1 if there is no room. */
  alloc(size: number, align: number): number {
    if (typeof size === "number" && (size | 0) === size && size > 0 && isAlignment(align)) {
      const start = alignUp(this.#cursor, align)
      if (size <= this.#fastLimit - start) {
        this.#cursor = start + size
        return start
      }
    }
    return this.#allocTheLongWay(size, align)
  }

  #allocTheLongWay(size: number, align: number): number {
    this.requireOpen()
    this.requireSize("a size", size)
    this.#requireAlignment(align)
    // It takes no room, so any aligned position does, even where the cursor is at the end.
    if (size === 0) return this.#cursor & -align
    while (size > this.#limit - alignUp(this.#cursor, align)) if (!this.#chain(size)) return -1
    const start = alignUp(this.#cursor, align)
    this.#cursor = start + size
    this.#ledger?.add(start, size)
    return start
  }

  /** Makes an allocation larger: where it lies if it is the last one, else by a copy. −1 if there is no room. */
  grow(start: number, size: number, newSize: number, align: number): number {
    this.requireOpen()
    this.requireSize("a size", size)
    this.requireSize("a new size", newSize)
    this.#requireAlignment(align)
    if (newSize < size) throw this.misuse(`an allocation of ${size} bytes cannot grow to ${newSize}`)
    this.#requireAllocation(start, size)
    const isAligned = (start & (align - 1)) === 0
    if (newSize === size && isAligned) return start
    // An allocation that is older than a mark stays as it is: rewinding would cut off what was added.
    const isLast = size > 0 && start + size === this.#cursor && start >= this.marks.top
    if (isLast && isAligned && newSize <= this.#limit - start) {
      this.#cursor = start + newSize
      this.#ledger?.growLast(newSize)
      return start
    }
    const moved = this.alloc(newSize, align)
    if (moved >= 0 && size > 0) this.bytes(moved, size).set(this.bytes(start, size))
    return moved
  }

  /** A view of part of an allocation. */
  bytes(start: number, length: number): Uint8Array<ArrayBufferLike> {
    this.requireOpen()
    this.requireSize("a length", length)
    this.#requireUsed(start, length)
    return this.viewAt(Uint8Array, start, length)
  }

  /** A view of what was just allocated. */
  viewAt<A>(view: ViewClass<A>, start: number, length: number): A {
    const index = this.#indexAt(start)
    return this.#chunks[index]!.viewAt(view, start - index * this.#stride, length)
  }

  /** The free bytes behind the cursor, to write into before they are allocated. */
  ahead(length: number): Uint8Array<ArrayBufferLike> {
    return this.viewAt(Uint8Array, this.#cursor, length)
  }

  /** The position of a view of allocated bytes, or −1 for any other. */
  find(view: Uint8Array<ArrayBufferLike>): number {
    for (let index = 0; index <= this.#current; index++) {
      const own = this.#chunks[index]!.memory.view
      const from = view.byteOffset - own.byteOffset
      // What lies behind it in the same buffer may be anybody's.
      if (view.buffer === own.buffer && from >= 0 && from + view.byteLength <= this.#size) {
        const start = index * this.#stride + from
        if (this.#isUsed(start, view.byteLength)) return start
      }
    }
    return -1
  }

  mark(): number {
    this.requireOpen()
    return this.marks.push(this.#cursor)
  }

  /** A mark for a scope, which ends with `leave`. */
  enter(): number {
    this.requireOpen()
    return this.marks.enter(this.#cursor)
  }

  rewind(mark: number): void {
    this.requireOpen()
    const position = this.marks.rewind(mark)
    if (position < 0) {
      throw this.misuse(
        "the mark is not one of this arena's: it belongs to another, is forged, or was undone by a reset or rewind"
      )
    }
    this.noteUsed()
    this.#poisonFrom(position)
    this.#ledger?.rewind(position)
    this.#moveTo(this.#indexAt(position), position)
  }

  /** Rewinds at the end of a scope. Where that has failed, its mark may be gone with it. */
  leave(mark: number, succeeded: boolean): void {
    // The end of the pool has come before that of the scope: there is nothing left to free, and nobody's mistake.
    if (this.state === "destroyed") return
    if (!succeeded && (this.state !== "open" || !this.marks.has(mark))) return
    this.rewind(mark)
    this.marks.leave()
  }

  /** Empties it. Chunks that it chained go back to where they came from. */
  reset(): void {
    this.requireOpen()
    this.#clean()
  }

  /** Empties it and lays it by. Until `resume` every use is refused. */
  suspend(): void {
    if (this.state !== "chained") this.requireOpen()
    this.#become("idle")
    this.#clean()
    // The end of the pool may have come in between.
    if (this.state !== "idle") this.requireOpen()
  }

  #clean(): void {
    this.noteUsed()
    if (this.#ledger === undefined) this.#empty()
    else this.#cleanChecked()
  }

  /** In checked mode what was used is dead, and views of it stop working where the backing can do that. */
  #cleanChecked(): void {
    const { generation, state } = this
    const replaceable = this.#chunks.filter((chunk) => chunk.isReplaceable)
    const spare: Array<M> = []
    try {
      for (const chunk of replaceable) spare.push(chunk.reserve())
      if (this.state !== state) this.requireOpen()
    } catch (error) {
      endAll(spare)
      throw error
    }
    // Where it was emptied meanwhile, its chunks may be others' by now.
    if (this.generation !== generation) return endAll(spare)
    this.noteUsed()
    for (const chunk of this.#chunks) if (!chunk.isReplaceable) chunk.poisonFrom(0, chunk.dirtyEnd)
    const old = replaceable.map((chunk, at) => chunk.replace(spare[at]!))
    try {
      this.#empty()
    } finally {
      endAll(old)
    }
  }

  /** Makes an idle one usable again, with its pages if they were released. */
  resume(): void {
    this.#requireIdle()
    this.chunk.commit()
    this.chunk.requireWhole()
    this.#requireIdle()
    this.#become("open")
  }

  /** One that was just lent is lent for its memory: whoever had it before is to have no use of it. */
  chain(): Chunk<M> {
    this.#become("chained")
    return this.chunk
  }

  /** Ends it, and with it its memory. */
  destroy(): void {
    if (this.state === "destroyed") throw this.misuse("it is destroyed already")
    this.noteUsed()
    this.#become("destroyed")
    try {
      this.#poisonFrom(0)
    } finally {
      try {
        this.#empty()
      } finally {
        this.chunk.destroy()
      }
    }
  }

  [Symbol.dispose](): void {
    this.#onDispose(this)
  }

  misuse(rule: string): ArenaMisuse {
    return new ArenaMisuse({ arena: this.name, rule })
  }

  exhausted(asked: number, cause?: unknown): ArenaExhausted {
    const { capacity, name, remaining } = this
    return new ArenaExhausted({ arena: name, asked, remaining, capacity, ...(cause === undefined ? {} : { cause }) })
  }

  requireOpen(): void {
    if (this.state === "open") return
    throw this.misuse(this.state === "destroyed" ? "it is destroyed" : "it was given back")
  }

  #requireIdle(): void {
    if (this.state !== "idle") throw new Error(`BUG: an arena that is ${this.state} cannot be resumed`)
  }

  requireSize(what: string, size: number): void {
    if (!isSize(size)) throw this.misuse(`${what} must be a whole number of at least 0, but is ${show(size)}`)
  }

  #requireAlignment(align: number): void {
    if (isAlignment(align)) return
    throw this.misuse(`an alignment must be a power of two up to ${MAX_ALIGNMENT}, but is ${show(align)}`)
  }

  #requireUsed(start: number, size: number): void {
    if (this.#isUsed(start, size)) return
    throw this.misuse(`nothing of ${size} bytes is allocated at ${show(start)}`)
  }

  #requireAllocation(start: number, size: number): void {
    this.#requireUsed(start, size)
    if (size === 0 || this.#ledger === undefined || this.#ledger.isAllocation(start, size)) return
    throw this.misuse(`no allocation of ${size} bytes begins at ${start}`)
  }

  #isUsed(start: number, size: number): boolean {
    if (!isSize(start)) return false
    const index = this.#indexAt(start)
    if (index > this.#current) return false
    const end = index === this.#current ? this.#cursor : index * this.#stride + this.#size
    if (start + size > end) return false
    return size === 0 || this.#ledger === undefined || this.#ledger.covers(start, size)
  }

  get #base(): number {
    return this.#current * this.#stride
  }

  #indexAt(position: number): number {
    return position < this.#stride ? 0 : Math.floor(position / this.#stride)
  }

  #moveTo(chunk: number, cursor: number): void {
    this.#current = chunk
    this.#cursor = cursor
    this.#limit = chunk * this.#stride + this.#size
    this.#fastLimit = this.#ledger === undefined && this.state === "open" ? this.#limit : -1
  }

  #become(state: BumpArena["state"]): void {
    this.state = state
    this.#moveTo(this.#current, this.#cursor)
  }

  /** Moves on to the next chunk, which is taken if none is left from before a rewind. */
  #chain(size: number): boolean {
    if (this.#source === undefined || size > this.#size) return false
    const next = this.#current + 1
    if (next === this.#chunks.length) {
      const chunk = (next + 1) * this.#stride > MAX_SIZE ? undefined : this.#source.take(this)
      if (chunk === undefined) return false
      if (this.state !== "open" || this.#current + 1 !== next || this.#chunks.length !== next) {
        // Where it came from, the arena was used: things are to be looked at anew.
        this.#source.giveBack(chunk)
        this.requireOpen()
        return true
      }
      this.#chunks.push(chunk)
    }
    this.noteUsed()
    this.#moveTo(next, next * this.#stride)
    return true
  }

  /** The cursor is about to leave where it is, or somebody wants to know: what lies before it has been in use. */
  noteUsed(): void {
    const { allocated } = this
    if (allocated > this.mostUsed) this.mostUsed = allocated
    this.#chunks[this.#current]!.used(this.#cursor - this.#base)
  }

  #empty(): void {
    this.marks.clear()
    this.#ledger?.rewind(0)
    this.generation++
    this.#moveTo(0, 0)
    if (this.#chunks.length > 1) this.#unchain()
  }

  /** Gives back all chunks behind the current one, which is the first unless somebody allocates in the meantime. */
  #unchain(): void {
    let failure: { readonly error: unknown } | undefined
    while (this.#chunks.length > this.#current + 1) {
      try {
        this.#source!.giveBack(this.#chunks.pop()!)
      } catch (error) {
        failure ??= { error }
      }
    }
    if (failure !== undefined) throw failure.error
  }

  /** In checked mode: what lies behind a position is dead. */
  #poisonFrom(position: number): void {
    if (this.#ledger === undefined) return
    const first = this.#indexAt(position)
    for (let index = first; index <= this.#current; index++) {
      const chunk = this.#chunks[index]!
      chunk.poisonFrom(index === first ? position % this.#stride : 0, chunk.dirtyEnd)
    }
  }
}

/** Ends each, also if that fails for some; the first failure is thrown. */
const endAll = (memories: ReadonlyArray<ArenaMemory>): void => {
  let failure: { readonly error: unknown } | undefined
  for (const memory of memories) {
    try {
      memory.destroy()
    } catch (error) {
      failure ??= { error }
    }
  }
  if (failure !== undefined) throw failure.error
}
