/**
 * Slots of memory that all threads of a process share: taken and given back with a compare-and-swap, by whichever thread
 * needs one.
 *
 * **When to use**
 *
 * For scratch memory, frames, messages or rows that several worker threads fill, read and reuse without copying; and
 * wherever at most so many of something may be in use over all threads.
 *
 * **What it does**
 *
 * - Nobody holds a lock: whatever a thread does or wherever it is terminated, the others go on.
 * - A slot bears the mark of the thread that has it, from the instant it is taken. What a terminated thread had comes back
 *   by {@link reclaim}, or by itself if the thread is {@link watch}ed.
 * - Effects may wait for a slot that another thread gives back.
 *
 * @since 0.1.0
 */
import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import * as Pool from "@effect-pools/core/Pool"
import * as PoolService from "@effect-pools/core/PoolService"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import { hasProperty } from "effect/Predicate"
import type * as Scope from "effect/Scope"
import { Guard as GuardClass } from "./internal/guard.ts"
import { AttachError, type HandleParts, readHandle } from "./internal/sharedHandle.ts"
import { Layout } from "./internal/sharedLayout.ts"
import { allocate, type Memory } from "./internal/sharedMemory.ts"
import { type Checked, checkAttach, checkMake, checkThread } from "./internal/sharedOptions.ts"
import { makeSlots, NO_PLACE, type SharedSlots } from "./internal/sharedSlots.ts"
import { growing, SharedStore, type Slot } from "./internal/sharedStore.ts"

export { AttachError } from "./internal/sharedHandle.ts"
export type { Reset, Slot } from "./internal/sharedStore.ts"

/**
 * One thread's pool of slots that all threads share.
 *
 * @category models
 * @since 0.1.0
 */
export interface SharedPool extends Pool.Pool<Slot> {
  readonly kind: "shared"
  readonly store: SharedStore
  /** What names the pool to other threads: post it, or pass it as `workerData`. */
  readonly handle: Handle
}

/**
 * What names a shared pool to another thread. It can be posted like any message, and shares the memory.
 *
 * @category models
 * @since 0.1.0
 */
export interface Handle extends HandleParts {}

/**
 * A slot in plain code's hands. Disposing the guard gives the slot back; after that the guard can't be used, nor disposed
 * again: both throw `GuardError`.
 *
 * **Gotchas**
 *
 * Keep the guard for as long as the bytes are used, not only the bytes: a guard that nobody refers to any more, and that was
 * not disposed, is lost. The pool reports it when the garbage collector has found it, fills the slot with zeros, and has it
 * again. A guard that is held for longer than a turn of the event loop costs some microseconds, for that.
 *
 * @category models
 * @since 0.1.0
 */
export interface Guard extends Disposable {
  readonly value: Slot
  readonly isDisposed: boolean
}

/**
 * What each thread decides for itself.
 *
 * @category options
 * @since 0.1.0
 */
export interface AttachOptions {
  /** The pool's name in errors, metrics, logs and the registry of this thread. Default: as the pool was made. */
  readonly name?: string | undefined
  /** Whether effects wait while there is no slot. Default `false`: they fail with `Exhausted` at once. */
  readonly wait?: boolean | undefined
  /** How long an effect waits at most, in a pool with `wait`. Default 30 seconds. */
  readonly acquireTimeout?: Duration.Input | undefined
  /** How many effects of this thread may wait; the next one fails with `QueueFull`. Default `Infinity`. */
  readonly maxWaiters?: number | undefined
  /** How long closing waits for slots that this thread uses; after that they are given back. Default 30 seconds. */
  readonly closeGrace?: Duration.Input | undefined
  /** A lease held longer than this is reported, with where it was taken. Default: off. */
  readonly leakDetection?: Duration.Input | undefined
  /**
   * What happens to the bytes of a slot when it comes back: nothing (`none`, the default), `zero`, or what a function does.
   * If that throws or answers `false`, the slot is filled with zeros, and it is reported. A function can't be posted:
   * every thread has to bring one.
   */
  readonly reset?:
    | "none"
    | "zero"
    | ((bytes: Uint8Array<SharedArrayBuffer>, index: number) => boolean | void)
    | undefined
  /**
   * The number of this thread, which no other thread of the process may have or have had. Default: that of
   * `node:worker_threads`; required where there is none.
   */
  readonly thread?: number | undefined
}

/**
 * How to make a pool. `slots` and `slotBytes` are required.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options extends AttachOptions {
  /** The name, in all threads. Default `shared-pool-<n>`. */
  readonly name?: string | undefined
  /** How many slots there are at most, from 1 to 65,536. */
  readonly slots: number
  /** The size of a slot: a multiple of 8, in bytes. Over all slots at most 4 GiB. */
  readonly slotBytes: number
  /**
   * Begins with `initial` slots (default: all of them) and adds `chunk` (default 1; `0` doubles) when there is none, up to
   * `slots`. Memory is taken only for slots that there are.
   */
  readonly scale?: { readonly initial?: number | undefined; readonly chunk?: number | undefined } | undefined
}

/**
 * @category guards
 * @since 0.1.0
 */
export const isSharedPool = (u: unknown): u is SharedPool =>
  Pool.isPool(u) && hasProperty(u, "kind") && u.kind === "shared"

// Construction -------------------------------------------------------------------------------------------------------

/**
 * Makes a pool, in the surrounding scope. Closing the scope closes it for all threads: those that wait fail with
 * `Closed`.
 *
 * **Example** (A pool that a worker uses too)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { SharedPool } from "@effect-pools/lock-free"
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* SharedPool.make({ slots: 64, slotBytes: 4096, reset: "zero", wait: true })
 *   // new Worker("./worker.ts", { workerData: pool.handle }), and there: SharedPool.attach(workerData, { wait: true })
 *   return yield* SharedPool.use(pool, ({ bytes }) => Effect.sync(() => bytes.fill(1).length))
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<SharedPool, InvalidOptions.InvalidOptions, Scope.Scope> =>
  Effect.flatMap(
    InvalidOptions.check(() => {
      const { checked, shape } = checkMake(options)
      const memory = allocate(shape)
      const slots = makeSlots(new Layout(memory.control), checked.thread, growing(memory, shape.slotBytes))
      slots.growTo(0, shape.initial)
      return { checked, memory, slots }
    }),
    ({ checked, memory, slots }) => open(checked, memory, slots, true)
  )

/**
 * The pool of a handle, in this thread and the surrounding scope. Closing the scope ends this thread's part in it.
 *
 * **Details**
 *
 * The handle of something else, or of another version, fails with {@link AttachError}. So does a pool with as many
 * threads as it has places for, which are 128; a terminated thread keeps its place until it is reclaimed.
 *
 * @category constructors
 * @since 0.1.0
 */
export const attach = (
  handle: Handle,
  options: AttachOptions = {}
): Effect.Effect<SharedPool, InvalidOptions.InvalidOptions | AttachError, Scope.Scope> =>
  Effect.flatMap(
    attaching(() => {
      const { control, data, layout, name } = readHandle(handle, "pool")
      const checked = checkAttach(options, { name, maximum: layout.maximum, reset: layout.reset })
      const memory = { control, data }
      return { checked, memory, slots: makeSlots(layout, checked.thread, growing(memory, layout.slotBytes)) }
    }),
    ({ checked, memory, slots }) => open(checked, memory, slots, false)
  )

const attaching = <A>(f: () => A): Effect.Effect<A, InvalidOptions.InvalidOptions | AttachError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(f())
    } catch (error) {
      if (error instanceof InvalidOptions.InvalidOptions || error instanceof AttachError) return Effect.fail(error)
      if (error instanceof RangeError && error.message === NO_PLACE)
        return Effect.fail(new AttachError({ problem: NO_PLACE }))
      return Effect.die(error)
    }
  })

const open = (
  checked: Checked,
  memory: Memory,
  slots: SharedSlots,
  isMaker: boolean
): Effect.Effect<SharedPool, never, Scope.Scope> =>
  Effect.map(
    Pool.open<Slot, never, SharedStore>({
      kind: "shared",
      settings: checked,
      closeGrace: checked.closeGrace,
      store: (admission) => new SharedStore(admission, { ...checked, memory, slots, isMaker })
    }),
    (pool) =>
      Object.assign(pool, {
        handle: { name: checked.name, ...memory }
      }) as SharedPool
  )

// Plain code ---------------------------------------------------------------------------------------------------------

/**
 * Takes a slot in plain code, or answers `undefined` if there is none now. Never waits, and never overtakes an effect of
 * the same thread that does.
 *
 * @category leases
 * @since 0.1.0
 */
export const getUnsafe = (self: SharedPool): Guard | undefined => self.store.guards.takeIfAvailable()

/**
 * As {@link getUnsafe}, but throws why there is none: `PoolError` with `Exhausted`, `Suspended` or `Closed`.
 *
 * @category leases
 * @since 0.1.0
 */
export const getOrThrowUnsafe = (self: SharedPool): Guard => self.store.guards.take()

/**
 * Gives back what a guard of this pool holds. Throws `GuardError` for the guard of another pool, which keeps what it
 * holds, and for one that is disposed.
 *
 * @category leases
 * @since 0.1.0
 */
export const releaseUnsafe: {
  (guard: Guard): (self: SharedPool) => void
  (self: SharedPool, guard: Guard): void
} = dual(2, (self: SharedPool, guard: Guard): void => {
  const { guards } = self.store
  if (!(guard instanceof GuardClass) || !guard.isOf(guards)) throw guards.error("foreign")
  guard[Symbol.dispose]()
})

/**
 * Takes a slot and answers its number, or -1 if there is none now. The fastest way, without a guard, an event or a time.
 *
 * **Gotchas**
 *
 * Nothing but the number says whose the slot is: given back twice by one thread, it may be another holder's in between.
 *
 * @category leases
 * @since 0.1.0
 */
export const claimUnsafe = (self: SharedPool): number => {
  const { admission, store } = self
  return admission.lifecycle === "open" && admission.waiters.size === 0 ? store.claim() : -1
}

/**
 * Gives back a slot that this thread has claimed; `false`, and nothing else, for any other.
 *
 * @category leases
 * @since 0.1.0
 */
export const unclaimUnsafe = (self: SharedPool, slot: number): boolean => self.store.unclaim(slot)

/**
 * The bytes of a slot that this thread has claimed; `undefined` for any other.
 *
 * @category leases
 * @since 0.1.0
 */
export const bytesUnsafe = (self: SharedPool, slot: number): Uint8Array<SharedArrayBuffer> | undefined =>
  self.store.bytesOf(slot)

/**
 * The bytes of a slot that somebody else has, in whatever thread, and has told this one to look at; `undefined` if there is
 * no such slot.
 *
 * **Gotchas**
 *
 * They are what they seem for as long as the one who has the slot keeps it. Nothing makes sure of that but what the two
 * have agreed on.
 *
 * @category leases
 * @since 0.1.0
 */
export const peekUnsafe = (self: SharedPool, slot: number): Uint8Array<SharedArrayBuffer> | undefined =>
  self.store.isThere(slot) ? self.store.entryOf(slot).value.bytes : undefined

// Leases -------------------------------------------------------------------------------------------------------------

/**
 * Takes a slot for the surrounding scope. Fails with `Exhausted` if there is none now; in a pool with `wait` it waits.
 *
 * @category leases
 * @since 0.1.0
 */
export const get: typeof Pool.get = Pool.get

/**
 * Takes a slot, runs an effect with it, and gives it back however the effect ends. Fails with `Exhausted` if there is none
 * now; in a pool with `wait` it waits.
 *
 * @category leases
 * @since 0.1.0
 */
export const use: typeof Pool.use = Pool.use

/**
 * As {@link get}, with `None` if there is no slot now. Never waits.
 *
 * @category leases
 * @since 0.1.0
 */
export const getIfAvailable: typeof Pool.getIfAvailable = Pool.getIfAvailable

/**
 * As {@link use}, with `None` if there is no slot now. Never waits.
 *
 * @category leases
 * @since 0.1.0
 */
export const useIfAvailable: typeof Pool.useIfAvailable = Pool.useIfAvailable

/**
 * Has the bytes of a slot in use filled with zeros when it comes back, whatever `reset` says.
 *
 * @category operations
 * @since 0.1.0
 */
export const invalidate: typeof Pool.invalidate = Pool.invalidate

// Threads ------------------------------------------------------------------------------------------------------------

/**
 * Has the slots come back that a terminated thread had, and sets right what it left undone. Answers how many there were.
 * Any thread may do it, as often as it likes.
 *
 * **Gotchas**
 *
 * The thread must have ended: not being told to end, but ended, as the `exit` event of its worker says. By then the worker
 * has no number any more (its `threadId` is -1, which is refused): note it before, or use {@link watch}. The calling thread
 * itself is never reclaimed.
 *
 * @category threads
 * @since 0.1.0
 */
export const reclaim: {
  (thread: number): (self: SharedPool) => Effect.Effect<number, InvalidOptions.InvalidOptions>
  (self: SharedPool, thread: number): Effect.Effect<number, InvalidOptions.InvalidOptions>
} = dual(2, (self: SharedPool, thread: number): Effect.Effect<number, InvalidOptions.InvalidOptions> =>
  InvalidOptions.check(() => self.store.reclaim(checkThread(self.name, thread)))
)

/**
 * A worker as far as its end is concerned: one of `node:worker_threads`.
 *
 * @category threads
 * @since 0.1.0
 */
export interface WatchedWorker {
  readonly threadId: number
  once(event: "exit", listener: () => void): unknown
}

/**
 * Reclaims what the worker has when it ends, however that comes. Answers the worker, so that it can stand where one is
 * spawned. Throws `InvalidOptions` for a worker that has ended.
 *
 * **Example** (Workers of Effect's own)
 *
 * ```ts
 * import { SharedPool } from "@effect-pools/lock-free"
 * import { Worker } from "node:worker_threads"
 *
 * declare const pool: SharedPool.SharedPool
 *
 * // NodeWorker.layer(spawn), of @effect/platform-node
 * const spawn = () => SharedPool.watch(pool, new Worker("./worker.ts", { workerData: pool.handle }))
 * ```
 *
 * @category threads
 * @since 0.1.0
 */
export const watch = <W extends WatchedWorker>(self: SharedPool, worker: W): W => {
  // Ended, a worker has no number any more.
  const threadId = checkThread(self.name, worker.threadId)
  worker.once("exit", () => self.store.reclaim(threadId))
  return worker
}

// Observation --------------------------------------------------------------------------------------------------------

/**
 * A snapshot: the same in every thread, but for `min`, `max`, `state` and the times, which are this thread's. `details` has
 * `capacity` (slots there are by now), `slotBytes`, `threads`, `ownUsed` (slots that this thread uses), `reclaimed`,
 * `resetFailed` and `abandoned` (guards that were lost in this thread).
 *
 * @category observation
 * @since 0.1.0
 */
export const stats: typeof Pool.stats = Pool.stats

/**
 * Every transition of this thread's part of the pool from now on. See `Pool.events` of `@effect-pools/core`.
 *
 * @category observation
 * @since 0.1.0
 */
export const events: typeof Pool.events = Pool.events

// Administration -----------------------------------------------------------------------------------------------------

/**
 * This thread takes no slots any more: effects queue in a pool with `wait`. Other threads go on.
 *
 * @category administration
 * @since 0.1.0
 */
export const suspend: typeof Pool.suspend = Pool.suspend

/**
 * Undoes {@link suspend}.
 *
 * @category administration
 * @since 0.1.0
 */
export const resume: typeof Pool.resume = Pool.resume

/**
 * Changes how many slots this thread may use at most: `max`. How many there are is what the pool was made with.
 *
 * @category administration
 * @since 0.1.0
 */
export const resize: typeof Pool.resize = Pool.resize

/**
 * Refuses new leases in this thread, ends when its last one is back, and closes this thread's pool; that of the thread
 * that made it closes it for all.
 *
 * @category administration
 * @since 0.1.0
 */
export const drain: typeof Pool.drain = Pool.drain

// Services -----------------------------------------------------------------------------------------------------------

/**
 * The class that {@link Service} makes.
 *
 * @category services
 * @since 0.1.0
 */
export interface ServiceClass<Self, Id extends string, LE, LR> extends PoolService.PoolServiceClass<
  Self,
  Id,
  SharedPool,
  Slot,
  never,
  LE,
  LR
> {
  /** See {@link reclaim}. */
  readonly reclaim: (thread: number) => Effect.Effect<number, InvalidOptions.InvalidOptions, Self>
  /** What names the pool to other threads. */
  readonly handle: Effect.Effect<Handle, never, Self>
}

/**
 * What a service opens: a new pool, or that of a handle.
 *
 * @category services
 * @since 0.1.0
 */
export type ServiceOptions = Options | (AttachOptions & { readonly handle: Handle })

/**
 * A pool as a service: a class that is the tag, has a `layer`, and the pool's functions as statics. With a `handle` among
 * the options its layer attaches that pool, else it makes one.
 *
 * **Example** (In the main thread and in a worker)
 *
 * ```ts
 * import { workerData } from "node:worker_threads"
 * import { Effect } from "effect"
 * import { SharedPool } from "@effect-pools/lock-free"
 *
 * class Frames extends SharedPool.Service<Frames>()("app/Frames", { slots: 16, slotBytes: 65_536 }) {}
 *
 * // In the worker, which was given `pool.handle` as its data.
 * class FramesOfMain extends SharedPool.Service<FramesOfMain>()("app/Frames", { handle: workerData }) {}
 *
 * const program = Frames.use(({ bytes }) => Effect.sync(() => bytes.length)).pipe(Effect.provide(Frames.layer))
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export const Service =
  <Self>() =>
  <const Id extends string, OE = never, OR = never>(
    id: Id,
    options: ServiceOptions | Effect.Effect<ServiceOptions, OE, OR>
  ): ServiceClass<Self, Id, OE | InvalidOptions.InvalidOptions | AttachError, Exclude<OR, Scope.Scope>> => {
    const given = Effect.isEffect(options) ? options : Effect.succeed(options)
    const tracksCallSites = !Effect.isEffect(options) && options?.leakDetection !== undefined
    return PoolService.make<
      Self,
      Id,
      SharedPool,
      Slot,
      never,
      OE | InvalidOptions.InvalidOptions | AttachError,
      OR,
      object
    >(
      id,
      Effect.flatMap(given, (options) => openNamed(id, options)),
      (tag) => ({
        reclaim: (thread: number) => Effect.flatMap(tag, (pool) => reclaim(pool, thread)),
        handle: Effect.map(tag, (pool) => pool.handle)
      }),
      tracksCallSites
    ) as never
  }

const openNamed = (
  id: string,
  options: ServiceOptions
): Effect.Effect<SharedPool, InvalidOptions.InvalidOptions | AttachError, Scope.Scope> => {
  const named = PoolService.named(id, options)
  if (!("handle" in named)) return make(named)
  const { handle, ...rest } = named
  return attach(handle, rest)
}
