/**
 * Memory for one unit of work, allocated by moving a cursor and freed all at once.
 *
 * **When to use**
 *
 * For what lives as long as a request, a frame or a message: buffers, encoded text, numbers for a WebAssembly guest. An
 * allocation costs a few nanoseconds and leaves nothing to the garbage collector.
 *
 * **What it does**
 *
 * - {@link allocUnsafe} gives an offset, and allocates nothing on the JavaScript heap. The other allocations give views.
 * - {@link markUnsafe} and {@link rewindUnsafe} free what came after a mark; {@link scope} does so around a piece of work.
 * - {@link resetUnsafe} frees everything.
 *
 * Functions that end in `Unsafe` are synchronous and throw; the others are Effects.
 *
 * **Gotchas**
 *
 * - An arena belongs to one fiber at a time. Scopes of two fibers that interleave cut off each other's allocations.
 * - New allocations contain whatever was there before.
 * - A view that outlives its allocation sees what comes after it. With `checked: true` such views are cut off or see
 *   poison, as far as the backing can do that; see {@link Options.checked}.
 *
 * @since 0.1.0
 */
import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { hasProperty } from "effect/Predicate"
import type * as Scope from "effect/Scope"
import type { ArenaBacking, ArenaMemory, BackingName } from "./ArenaBacking.ts"
import { ArenaExhausted, BackingFailed } from "./ArenaError.ts"
import { type Arena, makeArena, TypeId } from "./internal/arena.ts"
import { Chunk } from "./internal/chunk.ts"
import { DEFAULT_ALIGNMENT } from "./internal/limits.ts"
import { checkOptions } from "./internal/options.ts"
import * as Views from "./internal/views.ts"

/**
 * An arena over memory of type `M`. `using` ends it, or gives it back to the pool that it is from.
 *
 * @category models
 * @since 0.1.0
 */
export interface BumpArena<out M extends ArenaMemory = ArenaMemory> extends Disposable {
  readonly [TypeId]: typeof TypeId
  /** What errors call it. */
  readonly name: string
  /** Its memory, without what it has chained. Offsets below `size` are indexes of `memory.view`. */
  readonly memory: M
  /** All bytes that it has at the moment, with those that it has chained. */
  readonly capacity: number
  /** Bytes in use, with padding, and with what was left over at the end of each chunk that was too full. */
  readonly allocated: number
  /** `capacity` without `allocated`. */
  readonly remaining: number
  /** How often it was emptied: what was allocated under another number is dead. */
  readonly generation: number
  /** `open` while it can be used, `idle` while it lies in a pool, `chained` while another arena of the pool has its memory. */
  readonly state: "open" | "idle" | "chained" | "destroyed"
}

/**
 * How to make an arena. Only `size` is required.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options<M extends ArenaMemory = ArenaMemory> {
  /** In bytes: from 1 to 2³¹ − 65,536. */
  readonly size: number
  /** What errors call it. Default `arena`. */
  readonly name?: string | undefined
  /** Where its memory comes from. Default `heap`. */
  readonly backing?: BackingName | ArenaBacking<M> | undefined
  /**
   * What becomes of an allocation that does not fit: `fail` (default), or `chain`, which takes as much memory again and
   * goes on there. An allocation larger than `size` never fits.
   */
  readonly overflow?: "fail" | "chain" | undefined
  /**
   * For tests and for the search of mistakes. Default `false`.
   *
   * Dead memory is overwritten with `0xdb`. At a reset, `heap` and `resizable` memory is replaced: views from before have
   * length 0 and their methods throw (an index reads `undefined`; the platform has no way to make it throw). Views and
   * growth are only to be had of what was allocated as such. All of it costs time, and memory for each allocation.
   */
  readonly checked?: boolean | undefined
}

/**
 * A position that can be rewound to. It stays good until the arena is reset, or rewound to an earlier mark.
 *
 * @category models
 * @since 0.1.0
 */
export type Mark = number

/**
 * A class of typed arrays, such as `Float64Array`.
 *
 * @category models
 * @since 0.1.0
 */
export type ArrayClass<A> = Views.ArrayClass<A>

/**
 * @category guards
 * @since 0.1.0
 */
export const isBumpArena = (u: unknown): u is BumpArena => hasProperty(u, TypeId)

// Making one ---------------------------------------------------------------------------------------------------------

/**
 * Makes an arena of its own, for `using`. Throws `InvalidOptions` or `BackingFailed`.
 *
 * **Example** (Sums without garbage)
 *
 * ```ts
 * import { BumpArena } from "@effect-pools/arena"
 *
 * {
 *   using arena = BumpArena.makeUnsafe({ size: 64 * 1024 })
 *   const numbers = BumpArena.allocArrayUnsafe(arena, Float64Array, 100)
 *   numbers.fill(1)
 * }
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeUnsafe = <M extends ArenaMemory = ArenaMemory>(options: Options<M>): BumpArena<M> => {
  const { backing, chains, checked, name, size } = checkOptions(options)
  const take = () => new Chunk(backing, size)
  return makeArena<M>({
    name,
    chunk: take(),
    source: chains ? { take, giveBack: (chunk) => chunk.destroy() } : undefined,
    checked,
    onDispose: (arena) => {
      if (arena.state !== "destroyed") arena.destroy()
    }
  })
}

/**
 * Makes an arena of its own, which ends with the surrounding scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <M extends ArenaMemory = ArenaMemory>(
  options: Options<M>
): Effect.Effect<BumpArena<M>, InvalidOptions.InvalidOptions | BackingFailed, Scope.Scope> =>
  Effect.acquireRelease(
    attempt(
      () => makeUnsafe(options),
      (error) => error instanceof InvalidOptions.InvalidOptions || error instanceof BackingFailed
    ),
    (arena) => Effect.sync(() => arena[Symbol.dispose]())
  )

// Synchronous --------------------------------------------------------------------------------------------------------

/**
 * Allocates, and gives the offset, or −1 if there is no room.
 *
 * **Details**
 *
 * Offsets are multiples of `align`: a power of two up to 65,536, by default 8, which fits every typed array. A size of 0
 * takes no room and always succeeds. In an arena that chains, offsets count through all of its chunks; {@link bytesUnsafe}
 * finds what lies there. Throws `ArenaMisuse` for what is no size or alignment, and `BackingFailed` where an arena was to
 * chain and its backing failed.
 *
 * @category synchronous
 * @since 0.1.0
 */
export const allocUnsafe = (self: BumpArena, size: number, align = DEFAULT_ALIGNMENT): number =>
  inner(self).alloc(size, align)

/**
 * Makes an allocation larger, and gives its offset, or −1 if there is no room.
 *
 * **Details**
 *
 * The last allocation grows where it lies, unless a mark was set behind it, or a scope began there that is not over:
 * rewinding would cut off what was added. Any other is copied, and the old one stays as it is.
 *
 * @category synchronous
 * @since 0.1.0
 */
export const growUnsafe = (
  self: BumpArena,
  offset: number,
  size: number,
  newSize: number,
  align = DEFAULT_ALIGNMENT
): number => inner(self).grow(offset, size, newSize, align)

/**
 * A view of what was allocated at an offset, or of part of it.
 *
 * @category synchronous
 * @since 0.1.0
 */
export const bytesUnsafe = (self: BumpArena, offset: number, length: number): Uint8Array<ArrayBufferLike> =>
  inner(self).bytes(offset, length)

/**
 * As {@link allocBytes}, at once. Throws `ArenaExhausted` if there is no room.
 *
 * @category synchronous
 * @since 0.1.0
 */
export const allocBytesUnsafe = (self: BumpArena, length: number, align = 1): Uint8Array<ArrayBufferLike> =>
  Views.allocBytes(inner(self), length, align)

/**
 * As {@link allocArray}, at once. Throws `ArenaExhausted` if there is no room.
 *
 * @category synchronous
 * @since 0.1.0
 */
export const allocArrayUnsafe = <A>(self: BumpArena, array: ArrayClass<A>, length: number): A =>
  Views.allocArray(inner(self), array, length)

/**
 * As {@link allocDataView}, at once. Throws `ArenaExhausted` if there is no room.
 *
 * @category synchronous
 * @since 0.1.0
 */
export const allocDataViewUnsafe = (
  self: BumpArena,
  length: number,
  align = DEFAULT_ALIGNMENT
): DataView<ArrayBufferLike> => Views.allocDataView(inner(self), length, align)

/**
 * As {@link allocString}, at once. Throws `ArenaExhausted` if there is no room.
 *
 * @category synchronous
 * @since 0.1.0
 */
export const allocStringUnsafe = (self: BumpArena, text: string): Uint8Array<ArrayBufferLike> =>
  Views.allocString(inner(self), text)

/**
 * As {@link allocCopy}, at once. Throws `ArenaExhausted` if there is no room.
 *
 * @category synchronous
 * @since 0.1.0
 */
export const allocCopyUnsafe = <A extends Views.AnyTypedArray>(self: BumpArena, source: A): Views.CopyOf<A> =>
  Views.allocCopy(inner(self), source)

/**
 * As {@link growBytes}, at once. Throws `ArenaExhausted` if there is no room.
 *
 * @category synchronous
 * @since 0.1.0
 */
export const growBytesUnsafe = (
  self: BumpArena,
  bytes: Uint8Array<ArrayBufferLike>,
  length: number,
  align = 1
): Uint8Array<ArrayBufferLike> => Views.growBytes(inner(self), bytes, length, align)

/**
 * Notes how far the arena is used. Allocates nothing once the arena has had as many marks before.
 *
 * @category synchronous
 * @since 0.1.0
 */
export const markUnsafe = (self: BumpArena): Mark => inner(self).mark()

/**
 * Frees what was allocated since a mark. Later marks are gone; this one can be rewound to again. Throws `ArenaMisuse` for
 * a mark that is not one of this arena's.
 *
 * @category synchronous
 * @since 0.1.0
 */
export const rewindUnsafe = (self: BumpArena, mark: Mark): void => inner(self).rewind(mark)

/**
 * Runs `body`, and frees what it has allocated, whether it returns or throws. It must be done when it returns: for
 * Effects there is {@link scope}.
 *
 * @category synchronous
 * @since 0.1.0
 */
export const scopeUnsafe = <A>(self: BumpArena, body: () => A): A => {
  const arena = inner(self)
  const mark = arena.enter()
  let result: A
  try {
    result = body()
  } catch (error) {
    arena.leave(mark, false)
    throw error
  }
  arena.leave(mark, true)
  if (isThenable(result)) throw arena.misuse("what runs in a synchronous scope must be done when it returns")
  return result
}

/**
 * Frees everything, in constant time. Memory that was chained goes back to where it came from.
 *
 * **Details**
 *
 * In checked mode it takes as long as replacing or overwriting what was used, and throws `BackingFailed`, changing nothing,
 * where memory cannot be replaced.
 *
 * @category synchronous
 * @since 0.1.0
 */
export const resetUnsafe = (self: BumpArena): void => inner(self).reset()

// Effects ------------------------------------------------------------------------------------------------------------

/**
 * Allocates bytes, at any offset or at a multiple of `align`.
 *
 * @category effects
 * @since 0.1.0
 */
export const allocBytes = (
  self: BumpArena,
  length: number,
  align?: number
): Effect.Effect<Uint8Array<ArrayBufferLike>, ArenaExhausted> =>
  orExhausted(() => allocBytesUnsafe(self, length, align))

/**
 * Allocates a typed array of `length` elements.
 *
 * @category effects
 * @since 0.1.0
 */
export const allocArray = <A>(
  self: BumpArena,
  array: ArrayClass<A>,
  length: number
): Effect.Effect<A, ArenaExhausted> => orExhausted(() => allocArrayUnsafe(self, array, length))

/**
 * Allocates bytes to be read and written as numbers of any kind, by default at a multiple of 8.
 *
 * @category effects
 * @since 0.1.0
 */
export const allocDataView = (
  self: BumpArena,
  length: number,
  align?: number
): Effect.Effect<DataView<ArrayBufferLike>, ArenaExhausted> =>
  orExhausted(() => allocDataViewUnsafe(self, length, align))

/**
 * Allocates the UTF-8 encoding of a text. Halves of surrogate pairs become U+FFFD.
 *
 * @category effects
 * @since 0.1.0
 */
export const allocString = (
  self: BumpArena,
  text: string
): Effect.Effect<Uint8Array<ArrayBufferLike>, ArenaExhausted> => orExhausted(() => allocStringUnsafe(self, text))

/**
 * Allocates a copy of a typed array. A `Buffer` becomes a `Uint8Array`.
 *
 * @category effects
 * @since 0.1.0
 */
export const allocCopy = <A extends Views.AnyTypedArray>(
  self: BumpArena,
  source: A
): Effect.Effect<Views.CopyOf<A>, ArenaExhausted> => orExhausted(() => allocCopyUnsafe(self, source))

/**
 * Makes allocated bytes more, and gives the view of all: where they lie if they are the last allocation, else of a copy.
 * See {@link growUnsafe}.
 *
 * @category effects
 * @since 0.1.0
 */
export const growBytes = (
  self: BumpArena,
  bytes: Uint8Array<ArrayBufferLike>,
  length: number,
  align?: number
): Effect.Effect<Uint8Array<ArrayBufferLike>, ArenaExhausted> =>
  orExhausted(() => growBytesUnsafe(self, bytes, length, align))

/**
 * Runs an effect, and frees what it has allocated, however it ends. Scopes nest.
 *
 * **Example** (Room for one row at a time)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { BumpArena } from "@effect-pools/arena"
 *
 * const lengths = (arena: BumpArena.BumpArena, rows: ReadonlyArray<string>) =>
 *   Effect.forEach(rows, (row) =>
 *     BumpArena.scope(arena, Effect.map(BumpArena.allocString(arena, row), (bytes) => bytes.length))
 *   )
 * ```
 *
 * @category effects
 * @since 0.1.0
 */
export const scope = <A, E, R>(self: BumpArena, body: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const arena = inner(self)
    const mark = arena.enter()
    // An interrupt that strikes before this handler is there comes before the body too: there is nothing to free.
    return Effect.onExit(body, (exit) => Effect.sync(() => arena.leave(mark, Exit.isSuccess(exit))))
  })

/**
 * Frees, when the surrounding scope closes, what was allocated since.
 *
 * @category effects
 * @since 0.1.0
 */
export const scoped = (self: BumpArena): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.sync(() => inner(self).enter()),
      (mark, exit) => Effect.sync(() => inner(self).leave(mark, Exit.isSuccess(exit)))
    )
  )

/**
 * As {@link markUnsafe}.
 *
 * @category effects
 * @since 0.1.0
 */
export const mark = (self: BumpArena): Effect.Effect<Mark> => Effect.sync(() => markUnsafe(self))

/**
 * As {@link rewindUnsafe}. A mark that is not one of this arena's is a defect.
 *
 * @category effects
 * @since 0.1.0
 */
export const rewind = (self: BumpArena, mark: Mark): Effect.Effect<void> => Effect.sync(() => rewindUnsafe(self, mark))

/**
 * As {@link resetUnsafe}.
 *
 * @category effects
 * @since 0.1.0
 */
export const reset = (self: BumpArena): Effect.Effect<void> => Effect.sync(() => resetUnsafe(self))

const inner = (self: BumpArena): Arena => self as unknown as Arena

const isThenable = (u: unknown): boolean => hasProperty(u, "then") && typeof u.then === "function"

const orExhausted = <A>(f: () => A): Effect.Effect<A, ArenaExhausted> =>
  attempt(f, (error) => error instanceof ArenaExhausted)

/** Errors that a caller may expect fail; any other is a defect. */
const attempt = <A, E>(f: () => A, isExpected: (error: unknown) => error is E): Effect.Effect<A, E> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(f())
    } catch (error) {
      return isExpected(error) ? Effect.fail(error) : Effect.die(error)
    }
  })
