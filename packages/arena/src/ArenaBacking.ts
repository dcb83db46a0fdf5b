/**
 * Where the memory of an arena comes from.
 *
 * | backing | memory | pages can be returned | views of ended memory throw | other threads see it |
 * |---|---|---|---|---|
 * | {@link heap} | `ArrayBuffer` | no | yes | no |
 * | {@link resizable} | `ArrayBuffer` that can be resized | yes | yes | no |
 * | {@link shared} | `SharedArrayBuffer` | no | no | yes |
 * | {@link wasm} | `WebAssembly.Memory` | no | no | no |
 *
 * **Gotchas**
 *
 * Reading and writing single elements of a `resizable` buffer takes about three times as long as of a fixed one, because
 * the runtime looks at its present length each time. `heap` is the backing for speed, `resizable` the one for programs that
 * want their memory back.
 *
 * @since 0.1.0
 */
import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import { makeWasmMemory, type WasmMemory } from "./internal/platform.ts"

/**
 * One stretch of memory. Everything in it is synchronous.
 *
 * **Details**
 *
 * Whoever writes one promises that new memory reads as zero, and so does memory that was released and committed again. It may
 * throw, and may use pools and arenas, those that are just using it included: an arena whose pages are being returned, or
 * which is just being emptied, is then not to be had.
 *
 * @category models
 * @since 0.1.0
 */
export interface ArenaMemory {
  /**
   * The bytes: at least as many as were asked for, starting at a multiple of 16 in their buffer. It is looked up at every
   * use, and may be another view after a `commit`.
   */
  readonly view: Uint8Array<ArrayBufferLike>
  /** Makes all of it usable again after a `release`. */
  readonly commit: () => void
  /** Returns the physical pages to the operating system; the address range stays. Called if `canRelease` alone. */
  readonly release: () => void
  /** Ends it: what it held is free, and it is not used any more. */
  readonly destroy: () => void
}

/**
 * A source of memory.
 *
 * **Example** (Memory with a name for each piece)
 *
 * ```ts
 * import { ArenaBacking, BumpArena } from "@effect-pools/arena"
 *
 * let reserved = 0
 * const counted: ArenaBacking.ArenaBacking = {
 *   ...ArenaBacking.heap,
 *   name: "counted",
 *   reserve: (size) => {
 *     reserved++
 *     return ArenaBacking.heap.reserve(size)
 *   }
 * }
 *
 * const arena = BumpArena.makeUnsafe({ size: 1024, backing: counted })
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface ArenaBacking<out M extends ArenaMemory = ArenaMemory> {
  /** What errors call it. */
  readonly name: string
  /** Whether `release` returns physical pages to the operating system. */
  readonly canRelease: boolean
  /** Whether views of memory that was destroyed are of length 0, and their methods throw. */
  readonly detaches: boolean
  /** Whether other threads can use the memory while this one does. */
  readonly isShared: boolean
  /** Reserves memory of at least `size` bytes that reads as zero, or throws. */
  readonly reserve: (size: number) => M
}

/**
 * @category models
 * @since 0.1.0
 */
export type BackingName = "heap" | "resizable" | "shared" | "wasm"

/**
 * Memory of a `WebAssembly.Memory`. The offsets in an arena are the guest's addresses.
 *
 * @category models
 * @since 0.1.0
 */
export interface WasmArenaMemory extends ArenaMemory {
  readonly memory: WasmMemory
}

/** Of a `WebAssembly.Memory`, in bytes. */
const PAGE = 65_536

/** As many as 32 bits can address. */
const MAX_PAGES = 65_536

/** For backings that return no pages: what is not released needs no commit. */
const nothing = (): void => {}

/** Frees a buffer, unless somebody has transferred it already. */
const end = (buffer: ArrayBuffer): void => {
  if (!buffer.detached) buffer.transfer(0)
}

/**
 * Plain `ArrayBuffer`s: the fastest to read and write.
 *
 * **Gotchas**
 *
 * Memory that ended goes back to the process's allocator, which keeps what is small for later: only large buffers leave
 * the process for certain.
 *
 * @category backings
 * @since 0.1.0
 */
export const heap: ArenaBacking = {
  name: "heap",
  canRelease: false,
  detaches: true,
  isShared: false,
  reserve: (size) => {
    const view = new Uint8Array(size)
    return { view, commit: nothing, release: nothing, destroy: () => end(view.buffer) }
  }
}

/**
 * `ArrayBuffer`s with a `maxByteLength`: shrinking one to nothing returns its pages to the operating system at once, and
 * growing it again makes it usable at the same place, reading as zero.
 *
 * **Gotchas**
 *
 * Do not hand views to native code that goes on in the background (compression, hashing, file access) and then give the
 * arena back: the memory may be gone under it.
 *
 * @category backings
 * @since 0.1.0
 */
export const resizable: ArenaBacking = {
  name: "resizable",
  canRelease: true,
  detaches: true,
  isShared: false,
  reserve: (size) => {
    const buffer = new ArrayBuffer(size, { maxByteLength: size })
    return {
      // Of fixed length: out of bounds while the buffer is empty, and itself again afterwards.
      view: new Uint8Array(buffer, 0, size),
      commit: () => buffer.resize(size),
      release: () => buffer.resize(0),
      destroy: () => end(buffer)
    }
  }
}

/**
 * `SharedArrayBuffer`s, which workers can be given. The arena itself belongs to one thread, which says who uses what.
 *
 * @category backings
 * @since 0.1.0
 */
export const shared: ArenaBacking = {
  name: "shared",
  canRelease: false,
  detaches: false,
  isShared: true,
  reserve: (size) => ({
    view: new Uint8Array(new SharedArrayBuffer(size)),
    commit: nothing,
    release: nothing,
    destroy: nothing
  })
}

/**
 * `WebAssembly.Memory`, to be imported by an instance: `arena.memory.memory`. An offset in the arena is an address there.
 *
 * **Details**
 *
 * As many pages of 64 KiB as the size needs, and no growth; see {@link growingWasm}.
 *
 * @category backings
 * @since 0.1.0
 */
export const wasm: ArenaBacking<WasmArenaMemory> = growingWasm(0)

/**
 * As {@link wasm}, with memory that a guest may grow to `maximumPages` of 64 KiB: at most 65,536. What it adds is its own:
 * the arena keeps to the bytes that it was asked for. Throws `InvalidOptions` for what is no number of pages.
 *
 * @category backings
 * @since 0.1.0
 */
export function growingWasm(maximumPages: number): ArenaBacking<WasmArenaMemory> {
  if (!Number.isSafeInteger(maximumPages) || maximumPages < 0 || maximumPages > MAX_PAGES) {
    const checks = new InvalidOptions.Checks("wasm", 'Backing "wasm"')
    checks.refuse("maximumPages", maximumPages, `must be a whole number from 0 to ${MAX_PAGES}`)
  }
  return {
    name: "wasm",
    canRelease: false,
    detaches: false,
    isShared: false,
    reserve: (size) => {
      const pages = Math.ceil(size / PAGE)
      const memory = makeWasmMemory(pages, Math.max(pages, maximumPages))
      let view = new Uint8Array(memory.buffer, 0, size)
      return {
        memory,
        get view() {
          // A memory that grows gets another buffer, and views of the old one are dead.
          if (view.buffer !== memory.buffer) view = new Uint8Array(memory.buffer, 0, size)
          return view
        },
        commit: nothing,
        release: nothing,
        destroy: nothing
      }
    }
  }
}

/**
 * The backings by name.
 *
 * @category backings
 * @since 0.1.0
 */
export const byName: { readonly [Name in BackingName]: ArenaBacking } = { heap, resizable, shared, wasm }
