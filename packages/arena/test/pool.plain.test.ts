/** Leases that plain code takes and gives back. */
import type { PoolError } from "@effect-pools/core"
import { type ArenaBacking, ArenaError, ArenaPool, BumpArena } from "@effect-pools/arena"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { counted, thrownBy } from "./support.ts"

const SIZE = 1000

const look = (pool: ArenaPool.ArenaPool) => {
  const { idle, used } = pool.admission
  const { acquired, released } = pool.admission.observer
  return { idle, used, acquired, released }
}

/** It throws that, and nothing of the pool or of what is lent by it has changed. */
const expectRefused = (pool: ArenaPool.ArenaPool, arena: unknown, rule: string, give: () => void) => {
  const before = look(pool)
  const states = Array.from(pool.store.all, ({ value }) => [value.state, value.generation, value.allocated])
  const error = thrownBy(give)
  expect(error).toBeInstanceOf(ArenaError.ArenaMisuse)
  const name = (arena as BumpArena.BumpArena | undefined)?.name ?? "arena"
  expect((error as Error).message).toBe(`Arena "${name}": pool "${pool.name}" takes back what was checked out: ${rule}`)
  expect(look(pool)).toEqual(before)
  expect(Array.from(pool.store.all, ({ value }) => [value.state, value.generation, value.allocated])).toEqual(states)
}

describe("an arena that plain code checks out", () => {
  it.effect("is lent until it is given back", () =>
    Effect.gen(function* () {
      const pool = yield* ArenaPool.make({ size: SIZE, closeGrace: 0 })
      const arena = ArenaPool.checkoutUnsafe(pool)
      expect([arena.state, arena.name, look(pool)]).toEqual([
        "open",
        pool.name,
        { idle: 0, used: 1, acquired: 1, released: 0 }
      ])
      ArenaPool.giveBackUnsafe(pool, arena)
      expect([arena.state, look(pool)]).toEqual(["idle", { idle: 1, used: 0, acquired: 1, released: 1 }])
      expect(ArenaPool.checkoutUnsafe(pool)).toBe(arena)
    })
  )

  it.effect("is given back at the end of a using block, also if that throws", () =>
    Effect.gen(function* () {
      const pool = yield* ArenaPool.make({ size: SIZE, closeGrace: 0 })
      expect(() => {
        using arena = ArenaPool.checkoutUnsafe(pool)
        BumpArena.allocUnsafe(arena, 10)
        throw new Error("from within")
      }).toThrow("from within")
      expect(look(pool)).toEqual({ idle: 1, used: 0, acquired: 1, released: 1 })
    })
  )

  it.effect("goes to the first who waits for one", () =>
    Effect.gen(function* () {
      const pool = yield* ArenaPool.make({ size: SIZE, closeGrace: 0, maxOutstanding: 1 })
      const arena = ArenaPool.checkoutUnsafe(pool)
      BumpArena.allocUnsafe(arena, 10)
      const waiting = yield* Effect.forkChild(
        ArenaPool.use(pool, (arena) => Effect.sync(() => [arena, arena.allocated])),
        { startImmediately: true }
      )
      // Who waits comes first.
      expect(thrownBy(() => ArenaPool.checkoutUnsafe(pool))).toMatchObject({ reason: { _tag: "Exhausted" } })
      ArenaPool.giveBackUnsafe(pool, arena)
      expect(yield* Fiber.join(waiting)).toEqual([arena, 0])
    })
  )

  it.effect("is refused with the reason", () =>
    Effect.gen(function* () {
      const { backing, fails } = counted()
      const pool = yield* ArenaPool.make({ size: SIZE, closeGrace: 0, backing, maxOutstanding: 1 })
      const reason = () => (thrownBy(() => ArenaPool.checkoutUnsafe(pool)) as PoolError.PoolError).reason._tag
      fails.reserve = new RangeError("no memory")
      expect(thrownBy(() => ArenaPool.checkoutUnsafe(pool))).toMatchObject({ _tag: "ArenaBackingFailed" })
      fails.reserve = undefined
      const arena = ArenaPool.checkoutUnsafe(pool)
      expect(reason()).toBe("Exhausted")
      yield* ArenaPool.suspend(pool)
      expect(reason()).toBe("Suspended")
      yield* ArenaPool.resume(pool)
      ArenaPool.giveBackUnsafe(pool, arena)
      yield* ArenaPool.drain(pool)
      expect(reason()).toBe("Closed")
    })
  )

  it.effect("is not handed out if its memory cannot be had again: the next one is, or a new one", () =>
    Effect.gen(function* () {
      const { backing, counts, fails } = counted()
      const pool = yield* ArenaPool.make({ size: SIZE, closeGrace: 0, backing })
      const held = [ArenaPool.checkoutUnsafe(pool), ArenaPool.checkoutUnsafe(pool)]
      for (const arena of held) BumpArena.allocUnsafe(arena, 10)
      for (const arena of held) ArenaPool.giveBackUnsafe(pool, arena)
      yield* ArenaPool.releaseIdle(pool)
      fails.commit = new RangeError("no memory")
      const fresh = ArenaPool.checkoutUnsafe(pool)
      expect(held.includes(fresh)).toBe(false)
      expect([counts.destroyed, look(pool)]).toEqual([2, { idle: 0, used: 1, acquired: 3, released: 2 }])
      expect((yield* ArenaPool.stats(pool)).destroyed.validationFailed).toBe(2)
    })
  )

  it.effect("is not handed out if the pool has closed while its memory was had again", () =>
    Effect.gen(function* () {
      const { backing, counts } = counted()
      const closing: ArenaBacking.ArenaBacking = {
        ...backing,
        reserve: (size) => ({ ...backing.reserve(size), commit: () => void Effect.runFork(ArenaPool.drain(pool, 0)) })
      }
      const pool = yield* ArenaPool.make({ size: SIZE, closeGrace: 0, backing: closing })
      const arena = ArenaPool.checkoutUnsafe(pool)
      BumpArena.allocUnsafe(arena, 10)
      ArenaPool.giveBackUnsafe(pool, arena)
      yield* ArenaPool.releaseIdle(pool)
      expect(thrownBy(() => ArenaPool.checkoutUnsafe(pool))).toMatchObject({ reason: { _tag: "Closed" } })
      expect([arena.state, counts.reserved, counts.destroyed]).toEqual(["destroyed", 1, 1])
      expect(yield* ArenaPool.stats(pool)).toMatchObject({ state: "closed", size: 0, acquired: 1, released: 1 })
    })
  )

  it.effect("is over if the pool closes while its memory is replaced, each piece of which ends once", () =>
    Effect.gen(function* () {
      const { backing, counts } = counted()
      const closing: ArenaBacking.ArenaBacking = {
        ...backing,
        detaches: true,
        reserve: (size) => {
          if (counts.reserved === 1) Effect.runFork(ArenaPool.drain(pool, 0))
          return backing.reserve(size)
        }
      }
      const pool = yield* ArenaPool.make({ size: SIZE, closeGrace: 0, backing: closing, checked: true })
      const arena = ArenaPool.checkoutUnsafe(pool)
      BumpArena.allocUnsafe(arena, 10)
      ArenaPool.giveBackUnsafe(pool, arena)
      expect([arena.state, counts.reserved, counts.destroyed]).toEqual(["destroyed", 2, 2])
      expect(yield* ArenaPool.stats(pool)).toMatchObject({ state: "closed", size: 0, acquired: 1, released: 1 })
    })
  )

  it.effect("is whole, also where the last one who had it, or has kept a view, has transferred its memory", () =>
    Effect.gen(function* () {
      for (const backing of ["heap", "resizable"] as const) {
        for (const when of ["in use", "idle", "just ended"] as const) {
          const pool = yield* ArenaPool.make({ size: SIZE, closeGrace: 0, backing })
          const failures: Array<unknown> = []
          pool.admission.observer.listen((event) => {
            if (event._tag === "BackgroundFailure") failures.push(event.during)
          })
          const arena = ArenaPool.checkoutUnsafe(pool)
          const { view } = arena.memory
          const transfer = () => structuredClone(0, { transfer: [view.buffer as ArrayBuffer] })
          BumpArena.allocUnsafe(arena, 10)
          if (when !== "idle") transfer()
          if (when === "just ended") yield* ArenaPool.invalidate(pool, arena)
          ArenaPool.giveBackUnsafe(pool, arena)
          if (when === "idle") transfer()
          const other = ArenaPool.checkoutUnsafe(pool)
          expect([arena.state, BumpArena.allocBytesUnsafe(other, SIZE).length]).toEqual(["destroyed", SIZE])
          expect(failures).toEqual(when === "just ended" ? [] : ["validate"])
        }
      }
    })
  )

  it.effect("is reported with the place that took it when it is held for too long", () =>
    Effect.gen(function* () {
      const pool = yield* ArenaPool.make({ size: SIZE, closeGrace: 0, leakDetection: "1 minute" })
      ArenaPool.checkoutUnsafe(pool)
      const [lease] = pool.store.leases()
      expect(lease!.request.callSite).toContain("pool.plain.test")
    })
  )
})

describe("unlike the known system, what a pool did not lend is not taken back", () => {
  it.effect("an arena of another pool", () =>
    Effect.gen(function* () {
      const pool = yield* ArenaPool.make({ size: SIZE, closeGrace: 0, name: "ours" })
      const other = yield* ArenaPool.make({ size: SIZE, closeGrace: 0, name: "theirs" })
      ArenaPool.checkoutUnsafe(pool)
      const arena = ArenaPool.checkoutUnsafe(other)
      const idle = ArenaPool.checkoutUnsafe(other)
      ArenaPool.giveBackUnsafe(other, idle)
      for (const foreign of [arena, idle]) {
        expectRefused(pool, foreign, "it is not one of this pool's", () => ArenaPool.giveBackUnsafe(pool, foreign))
      }
      expect(look(other)).toEqual({ idle: 1, used: 1, acquired: 2, released: 1 })
      ArenaPool.giveBackUnsafe(other, arena)
    })
  )

  it.effect("an arena of its own kind that is nobody's, and what is none", () =>
    Effect.gen(function* () {
      const pool = yield* ArenaPool.make({ size: SIZE, closeGrace: 0 })
      using arena = BumpArena.makeUnsafe({ size: SIZE })
      expectRefused(pool, arena, "it is not one of this pool's", () => ArenaPool.giveBackUnsafe(pool, arena))
      expect(arena.state).toBe("open")
      const nothing = undefined as never
      expectRefused(pool, nothing, "a value of type undefined is no arena to give back", () =>
        ArenaPool.giveBackUnsafe(pool, nothing)
      )
    })
  )

  it.effect("an arena that was given back already, by hand or by using", () =>
    Effect.gen(function* () {
      const pool = yield* ArenaPool.make({ size: SIZE, closeGrace: 0 })
      const arena = ArenaPool.checkoutUnsafe(pool)
      ArenaPool.giveBackUnsafe(pool, arena)
      const rule = "it was given back already"
      expectRefused(pool, arena, rule, () => ArenaPool.giveBackUnsafe(pool, arena))
      expectRefused(pool, arena, rule, () => arena[Symbol.dispose]())
      yield* ArenaPool.clear(pool)
      expectRefused(pool, arena, "it is destroyed", () => ArenaPool.giveBackUnsafe(pool, arena))
    })
  )

  it.effect("an arena that an effect has", () =>
    Effect.gen(function* () {
      const pool = yield* ArenaPool.make({ size: SIZE, closeGrace: 0 })
      const rule = "it was taken by an effect, which gives it back by itself"
      yield* ArenaPool.use(pool, (arena) =>
        Effect.sync(() => {
          expectRefused(pool, arena, rule, () => ArenaPool.giveBackUnsafe(pool, arena))
          expectRefused(pool, arena, rule, () => arena[Symbol.dispose]())
        })
      )
      const arena = yield* ArenaPool.get(pool)
      expectRefused(pool, arena, rule, () => ArenaPool.giveBackUnsafe(pool, arena))
    }).pipe(Effect.scoped)
  )

  it.effect("an arena in an effect that plain code had before", () =>
    Effect.gen(function* () {
      const pool = yield* ArenaPool.make({ size: SIZE, closeGrace: 0 })
      const stale = ArenaPool.checkoutUnsafe(pool)
      ArenaPool.giveBackUnsafe(pool, stale)
      yield* ArenaPool.use(pool, (arena) =>
        Effect.sync(() => {
          expect(arena).toBe(stale)
          expect(() => ArenaPool.giveBackUnsafe(pool, stale)).toThrow(ArenaError.ArenaMisuse)
        })
      )
    })
  )

  it.effect("an arena of a pool whose checked mode cannot replace its memory is destroyed, and nothing is lost", () =>
    Effect.gen(function* () {
      const { backing, counts, fails } = counted()
      const pool = yield* ArenaPool.make({
        size: SIZE,
        closeGrace: 0,
        backing: { ...backing, detaches: true },
        checked: true
      })
      const arena = ArenaPool.checkoutUnsafe(pool)
      BumpArena.allocUnsafe(arena, 10)
      fails.reserve = new RangeError("no memory")
      ArenaPool.giveBackUnsafe(pool, arena)
      expect([arena.state, counts.destroyed]).toEqual(["destroyed", 1])
      expect(yield* ArenaPool.stats(pool)).toMatchObject({ size: 0, destroyed: { resetFailed: 1 } })
    })
  )
})

describe("who keeps an arena that was given back", () => {
  it.effect("is caught while it lies idle", () =>
    Effect.gen(function* () {
      const pool = yield* ArenaPool.make({ size: SIZE, closeGrace: 0 })
      const arena = yield* ArenaPool.use(pool, Effect.succeed)
      expect(() => BumpArena.allocUnsafe(arena, 1)).toThrow("it was given back")
    })
  )

  it.effect("has views without bytes in checked mode, whoever has the arena now", () =>
    Effect.gen(function* () {
      const pool = yield* ArenaPool.make({ size: SIZE, closeGrace: 0, checked: true })
      const view = yield* ArenaPool.use(pool, (arena) => BumpArena.allocBytes(arena, 10))
      ArenaPool.checkoutUnsafe(pool)
      expect(view.length).toBe(0)
      expect(() => view.set([1])).toThrow("detached")
    })
  )
})
