/** What a shared pool is told that makes no sense, or that comes at the wrong time. */
import { describe, expect, it } from "@effect/vitest"
import { InvalidOptions } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { CLOSED_AT, TURNSTILE_AT } from "../src/internal/sharedLayout.ts"
import { SharedPermits, SharedPool } from "../src/index.ts"

const small = { slots: 2, slotBytes: 16, closeGrace: 0 }

/** The pool as another thread of the process would have it. */
const attachAs = (pool: SharedPool.SharedPool, thread: number, options: SharedPool.AttachOptions = {}) =>
  SharedPool.attach(pool.handle, { closeGrace: 0, ...options, thread })

const attachIn = (
  scope: Scope.Scope,
  pool: SharedPool.SharedPool,
  thread: number,
  options: SharedPool.AttachOptions = {}
) => Effect.provideService(attachAs(pool, thread, options), Scope.Scope, scope)

const wrongThreads = [-1, 1.5, NaN, Infinity, 2 ** 30, undefined, null, "1"]

describe("reclaiming", () => {
  it.effect.each(wrongThreads)("is refused for thread %s, and takes nothing", (thread) =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make({ slots: 8, slotBytes: 16, scale: { initial: 2, chunk: 2 } })
      const permits = yield* SharedPermits.make({ permits: 2 })
      for (const refused of [
        SharedPool.reclaim(pool, thread as number),
        SharedPermits.reclaim(permits, thread as number)
      ]) {
        const error = yield* Effect.flip(refused)
        expect(error).toBeInstanceOf(InvalidOptions.InvalidOptions)
        expect(error.field).toBe("thread")
      }
      expect(yield* SharedPool.stats(pool)).toMatchObject({ size: 2, idle: 2, details: { capacity: 2, reclaimed: 0 } })
      expect(yield* SharedPermits.stats(permits)).toMatchObject({ used: 0, reclaimed: 0 })
    })
  )

  it.effect("a worker that has ended can't be watched any more", () =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make(small)
      const permits = yield* SharedPermits.make({ permits: 1 })
      const ended = { threadId: -1, once: () => {} }
      expect(() => SharedPool.watch(pool, ended)).toThrow(InvalidOptions.InvalidOptions)
      expect(() => SharedPermits.watch(permits, ended)).toThrow(InvalidOptions.InvalidOptions)
    })
  )

  it.effect("a thread that lives, though it is wrong, does not let it give back what is another's since", () =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make(small)
      const kept = SharedPool.claimUnsafe(pool)
      const other = yield* attachAs(pool, 77)
      const lost = SharedPool.getOrThrowUnsafe(other)
      expect(yield* SharedPool.reclaim(pool, 77)).toBe(1)
      // It takes the same slot again while it thinks that it has it.
      const again = SharedPool.getOrThrowUnsafe(other)
      lost[Symbol.dispose]()
      expect(SharedPool.claimUnsafe(pool)).toBe(-1)
      again[Symbol.dispose]()
      expect(yield* SharedPool.stats(other)).toMatchObject({ used: 1, details: { ownUsed: 0 } })

      const claimed = SharedPool.claimUnsafe(other)
      yield* SharedPool.reclaim(pool, 77)
      const leased = SharedPool.getOrThrowUnsafe(other)
      expect(leased.value.index).toBe(claimed)
      expect(SharedPool.unclaimUnsafe(other, claimed)).toBe(false)
      expect(SharedPool.claimUnsafe(pool)).toBe(-1)
      leased[Symbol.dispose]()
      expect(yield* SharedPool.stats(other)).toMatchObject({ used: 1, details: { ownUsed: 0 } })
      SharedPool.unclaimUnsafe(pool, kept)
    })
  )

  it.live("a slot whose loss somebody hears of, and suspends the pool, is there for who waits when it goes on", () =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make(small)
      const suspending = Logger.make(() => other?.admission.suspend())
      let other: SharedPool.SharedPool | undefined
      other = yield* attachAs(pool, 77, { name: "other", wait: true }).pipe(Effect.provide(Logger.layer([suspending])))
      const lost = SharedPool.claimUnsafe(other)
      yield* SharedPool.reclaim(pool, 77)
      const [first, second] = [SharedPool.claimUnsafe(pool), SharedPool.claimUnsafe(pool)]
      expect([first, second]).toContain(lost)
      const waiter = yield* Effect.forkChild(
        SharedPool.use(other, ({ index }) => Effect.succeed(index)),
        { startImmediately: true }
      )
      SharedPool.unclaimUnsafe(pool, lost)
      while (other.admission.lifecycle === "open") yield* Effect.sleep("1 millis")
      expect(other.admission).toMatchObject({ lifecycle: "suspended", pending: 1, used: 0 })
      expect(yield* SharedPool.stats(pool)).toMatchObject({ used: 1, idle: 1 })
      yield* SharedPool.resume(other)
      expect(yield* Fiber.join(waiter)).toBe(lost)
      SharedPool.unclaimUnsafe(pool, first === lost ? second : first)
      expect(yield* SharedPool.stats(pool)).toMatchObject({ used: 0, idle: 2 })
    })
  )

  it.effect("a thread that lives does not end the place of another that has come since", () =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make(small)
      const scope = yield* Scope.make()
      yield* attachIn(scope, pool, 77)
      yield* SharedPool.reclaim(pool, 77)
      const since = yield* Scope.make()
      yield* attachIn(since, pool, 78)
      yield* Scope.close(scope, Exit.void)
      expect((yield* SharedPool.stats(pool)).details["threads"]).toBe(2)
      yield* Scope.close(since, Exit.void)
      expect((yield* SharedPool.stats(pool)).details["threads"]).toBe(1)
    })
  )
})

describe("slots by number", () => {
  const numbers = [-1, -2, -100, 2, 99, 1e9, 0.5, NaN, Infinity, "0", null, undefined]
  for (const reset of ["none", "zero"] as const) {
    it.effect.each(numbers)(`with reset ${reset} are refused: %s`, (slot) =>
      Effect.gen(function* () {
        const pool = yield* SharedPool.make({ ...small, reset })
        expect(SharedPool.unclaimUnsafe(pool, slot as number)).toBe(false)
        expect(SharedPool.bytesUnsafe(pool, slot as number)).toBeUndefined()
        expect(SharedPool.peekUnsafe(pool, slot as number)).toBeUndefined()
        expect(yield* SharedPool.stats(pool)).toMatchObject({ used: 0, idle: 2, details: { ownUsed: 0 } })
      })
    )
  }

  it.effect("are this pool's only, not another's of the same thread", () =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make(small)
      const same = yield* SharedPool.attach(pool.handle)
      const guard = SharedPool.getOrThrowUnsafe(pool)
      const claimed = SharedPool.claimUnsafe(pool)
      for (const slot of [guard.value.index, claimed]) {
        expect(SharedPool.unclaimUnsafe(same, slot)).toBe(false)
        expect(SharedPool.bytesUnsafe(same, slot)).toBeUndefined()
      }
      expect(SharedPool.claimUnsafe(same)).toBe(-1)
      expect(SharedPool.unclaimUnsafe(pool, claimed)).toBe(true)
      guard[Symbol.dispose]()
      expect(yield* SharedPool.stats(pool)).toMatchObject({ used: 0, idle: 2, details: { ownUsed: 0 } })
      expect((yield* SharedPool.stats(same)).details["ownUsed"]).toBe(0)
    })
  )

  it.effect("go back when their pool closes, though the thread has another pool on the same slots", () =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make(small)
      const scope = yield* Scope.make()
      const same = yield* Effect.provideService(SharedPool.attach(pool.handle, { closeGrace: 0 }), Scope.Scope, scope)
      const kept = SharedPool.claimUnsafe(pool)
      SharedPool.claimUnsafe(same)
      yield* Scope.close(scope, Exit.void)
      expect(yield* SharedPool.stats(pool)).toMatchObject({ used: 1, idle: 1, details: { threads: 1 } })
      expect(SharedPool.unclaimUnsafe(pool, kept)).toBe(true)
    })
  )

  it.effect("end a drain when the last one is back", () =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make(small)
      const slot = SharedPool.claimUnsafe(pool)
      const draining = yield* Effect.forkChild(SharedPool.drain(pool), { startImmediately: true })
      expect(SharedPool.unclaimUnsafe(pool, slot)).toBe(true)
      yield* Fiber.join(draining)
    })
  )
})

describe("a reset that calls back into its pool", () => {
  it.effect("can't give its slot back a second time", () =>
    Effect.gen(function* () {
      const answers: Array<boolean> = []
      const pool: SharedPool.SharedPool = yield* SharedPool.make({
        ...small,
        reset: (_, index) => void answers.push(SharedPool.unclaimUnsafe(pool, index))
      })
      const slot = SharedPool.claimUnsafe(pool)
      expect(SharedPool.unclaimUnsafe(pool, slot)).toBe(true)
      yield* SharedPool.use(pool, () => Effect.void)
      expect(answers).toEqual([false, false])
      expect(yield* SharedPool.stats(pool)).toMatchObject({ used: 0, idle: 2, details: { ownUsed: 0 } })
    })
  )

  it.effect("may take and give back others, and close the pool", () =>
    Effect.gen(function* () {
      let isFirst = true
      const pool: SharedPool.SharedPool = yield* SharedPool.make({
        ...small,
        closeGrace: 0,
        reset: () => {
          if (!isFirst) return
          isFirst = false
          SharedPool.getOrThrowUnsafe(pool)[Symbol.dispose]()
          SharedPool.claimUnsafe(pool)
          Effect.runFork(SharedPool.drain(pool, 0))
        }
      })
      SharedPool.getOrThrowUnsafe(pool)[Symbol.dispose]()
      yield* SharedPool.drain(pool)
      expect(yield* SharedPool.stats(pool)).toMatchObject({ state: "closed", used: 0, details: { ownUsed: 0 } })
      expect(pool.store.slots.countUsed()).toBe(0)
    })
  )
})

describe("what other threads are told", () => {
  it.effect("is that nobody waits any more, however the wait has ended", () =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make(small)
      const other = yield* attachAs(pool, 77, { wait: true, acquireTimeout: "1 second" })
      const guards = [SharedPool.getOrThrowUnsafe(pool), SharedPool.getOrThrowUnsafe(pool)]
      const pending = Effect.map(SharedPool.stats(pool), ({ pending }) => pending)
      const wait = Effect.forkChild(
        SharedPool.use(other, () => Effect.void),
        { startImmediately: true }
      )
      const left = yield* wait
      expect(yield* pending).toBe(1)
      yield* Fiber.interrupt(left)
      expect(yield* pending).toBe(0)
      yield* wait
      yield* TestClock.adjust("1 second")
      expect(yield* SharedPool.stats(pool)).toMatchObject({ pending: 0, timeouts: 1 })
      for (const guard of guards) guard[Symbol.dispose]()
    })
  )

  it.effect("is how many found nothing, at once", () =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make({ ...small, wait: true })
      const refusing = yield* attachAs(pool, 77)
      const full = yield* attachAs(pool, 78, { wait: true, maxWaiters: 0 })
      const guards = [SharedPool.getOrThrowUnsafe(pool), SharedPool.getOrThrowUnsafe(pool)]
      const exhausted = Effect.map(SharedPool.stats(pool), ({ exhausted }) => exhausted)
      expect(SharedPool.getUnsafe(refusing)).toBeUndefined()
      expect(yield* exhausted).toBe(1)
      expect(() => SharedPool.getOrThrowUnsafe(refusing)).toThrow("no item")
      expect(yield* exhausted).toBe(2)
      yield* Effect.flip(SharedPool.use(refusing, () => Effect.void))
      expect(yield* exhausted).toBe(3)
      yield* Effect.flip(SharedPool.use(full, () => Effect.void))
      expect(yield* exhausted).toBe(4)
      for (const guard of guards) guard[Symbol.dispose]()
    })
  )
})

describe("a pool that a thread leaves", () => {
  it.effect("keeps nobody of it asleep, who would be woken in place of one who waits", () =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make(small)
      const scope = yield* Scope.make()
      const other = yield* attachIn(scope, pool, 77, { wait: true })
      const guards = [SharedPool.getOrThrowUnsafe(pool), SharedPool.getOrThrowUnsafe(pool)]
      yield* Effect.forkChild(Effect.exit(SharedPool.use(other, () => Effect.void)), { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      expect(Atomics.notify(new Int32Array(pool.handle.control), TURNSTILE_AT)).toBe(0)
      for (const guard of guards) guard[Symbol.dispose]()
    })
  )

  it.effect("keeps nothing of it that waits for the pool's end", () =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make(small)
      for (let thread = 100; thread < 110; thread++) yield* Effect.scoped(attachAs(pool, thread))
      yield* Effect.promise(() => new Promise(setImmediate))
      // Its own.
      expect(Atomics.notify(new Int32Array(pool.handle.control), CLOSED_AT)).toBe(1)
    })
  )

  it.effect("has an invalidated slot back that was in use, filled with zeros", () =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make({ slots: 1, slotBytes: 8 })
      const scope = yield* Scope.make()
      const other = yield* attachIn(scope, pool, 77)
      const guard = SharedPool.getOrThrowUnsafe(other)
      guard.value.bytes.fill(5)
      yield* SharedPool.invalidate(other, guard.value)
      yield* Scope.close(scope, Exit.void)
      yield* SharedPool.use(pool, ({ bytes }) => Effect.sync(() => expect(bytes[0]).toBe(0)))
    })
  )

  it.effect("counts a thread once, though places have come free before its own", () =>
    Effect.gen(function* () {
      const pool = yield* SharedPool.make(small)
      const scope = yield* Scope.make()
      yield* attachIn(scope, pool, 77)
      yield* attachAs(pool, 78)
      yield* Scope.close(scope, Exit.void)
      yield* attachAs(pool, 78)
      expect((yield* SharedPool.stats(pool)).details["threads"]).toBe(2)
    })
  )
})

describe("a handle", () => {
  const forged = (handle: SharedPool.Handle, words: Record<number, number>): SharedPool.Handle => {
    const control = new SharedArrayBuffer(handle.control.byteLength)
    new Int32Array(control).set(new Int32Array(handle.control))
    for (const [at, value] of Object.entries(words)) new Int32Array(control)[Number(at)] = value
    return { ...handle, control }
  }

  it.effect.each([
    ["a chunk below 0", { 4: -1 }],
    ["a chunk beyond all slots", { 4: 65_537 }],
    ["slots of no size", { 5: 0 }],
    ["slots of an odd size", { 5: 15 }],
    ["an unknown reset", { 6: 3 }],
    ["more slots than there may be", { 16: 3 }],
    ["less than no slots", { 16: -1 }]
  ] as const)("that says %s is refused", ([, words]) =>
    Effect.gen(function* () {
      const { handle } = yield* SharedPool.make(small)
      const error = yield* Effect.flip(SharedPool.attach(forged(handle, words)))
      expect(error).toMatchObject({ problem: "what its memory says of itself makes no sense" })
    })
  )

  it.effect("that only looks like one is refused", () =>
    Effect.gen(function* () {
      const { handle } = yield* SharedPool.make(small)
      const words = new Int32Array(handle.control)
      const disguised = Object.assign(Array.from(words), {
        byteLength: handle.control.byteLength,
        [Symbol.toStringTag]: "SharedArrayBuffer"
      })
      const data = { growable: true, maxByteLength: 32, byteLength: 32, [Symbol.toStringTag]: "SharedArrayBuffer" }
      expect(yield* Effect.flip(SharedPool.attach({ ...handle, control: disguised as never }))).toMatchObject({
        problem: "it has no control memory"
      })
      expect(yield* Effect.flip(SharedPool.attach({ ...handle, data: data as never }))).toMatchObject({
        problem: "it has no memory for slots"
      })
      const less = new SharedArrayBuffer(16, { maxByteLength: 32 })
      expect(yield* Effect.flip(SharedPool.attach({ ...handle, data: less }))).toMatchObject({
        problem: "its memory for slots is of another size"
      })
    })
  )

  it.effect("of what is closed is refused", () =>
    Effect.gen(function* () {
      const { handle } = yield* Effect.scoped(SharedPool.make(small))
      const permits = yield* Effect.scoped(SharedPermits.make({ permits: 1 }))
      const closed = { _tag: "AttachError", problem: "it is closed" }
      expect(yield* Effect.flip(SharedPool.attach(handle))).toMatchObject(closed)
      expect(yield* Effect.flip(SharedPermits.attach(permits.handle))).toMatchObject(closed)
    })
  )
})

describe("what is no object of options", () => {
  it.effect.each([undefined, null, 5, "slots", [], () => {}])("%s is refused", (options) =>
    Effect.gen(function* () {
      const { handle } = yield* SharedPool.make(small)
      const permits = yield* SharedPermits.make({ permits: 1 })
      const made = [
        SharedPool.make(options as never),
        SharedPermits.make(options as never),
        ...(options === undefined
          ? []
          : [SharedPool.attach(handle, options as never), SharedPermits.attach(permits.handle, options as never)])
      ]
      for (const refused of made) {
        expect(yield* Effect.flip(refused as Effect.Effect<unknown, unknown, Scope.Scope>)).toBeInstanceOf(
          InvalidOptions.InvalidOptions
        )
      }
    })
  )
})
