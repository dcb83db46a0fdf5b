/**
 * Thousands of random operations in plain code, over memory that fails, and that uses the pool while the pool uses it.
 * All of the memory lies in one buffer, so that whatever is written in the wrong place is seen.
 */
import { type ArenaBacking, ArenaError, ArenaPool, BumpArena } from "@effect-pools/arena"
import { Budget, PoolError } from "@effect-pools/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as References from "effect/References"

/** `POOL_LONG` plays many more. */
const plays = process.env["POOL_LONG"] === "1" ? 3000 : 50

const SIZE = 256
/** Apart by more than their size, so that there are bytes between them that are nobody's. */
const SLOT = 65_536
const NOBODYS = 0xaa
const untouched = new Uint8Array(SLOT * 64).fill(NOBODYS)
const NO_MEMORY = new RangeError("no memory")

/** Pseudo-random numbers below a limit: the same ones for the same seed. */
const dice = (seed: number) => {
  let state = seed
  return (limit: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * limit)
  }
}

interface Piece extends ArenaBacking.ArenaMemory {
  state: "usable" | "released" | "destroyed"
}

/** What somebody has allocated and not freed: `size` bytes that all are `stamp`. */
interface Allocation {
  readonly offset: number
  readonly size: number
  readonly stamp: number
}

interface Held {
  readonly pool: ArenaPool.ArenaPool
  readonly arena: BumpArena.BumpArena
  live: Array<Allocation>
  /** Each with how many allocations lie before it. */
  marks: Array<readonly [mark: number, before: number]>
  /** Just being emptied: what was in it may be there or not. */
  isBusy: boolean
}

interface Setting {
  /** One pool for each of these. */
  readonly pools: ReadonlyArray<Partial<ArenaPool.Options>>
  /** How many bytes they share. */
  readonly budget?: number
}

/** Plays, and answers with how often the pools were used by their memory, and what is wrong. */
const play = (seed: number, setting: Setting, operations: number) =>
  Effect.gen(function* () {
    const below = dice(seed)
    const faults: Array<string> = []
    const all = untouched.slice()
    const pieces: Array<Piece> = []
    const free = Array.from({ length: 64 }, (_, slot) => slot)
    let isTroublesome = false
    let depth = 0
    let reentries = 0

    /** What the memory does beside what it is asked for. */
    const trouble = (): void => {
      if (!isTroublesome) return
      if (below(10) === 0) throw NO_MEMORY
      if (depth >= 3 || below(2) === 0) return
      reentries++
      act()
    }
    const backing: ArenaBacking.ArenaBacking = {
      name: "troublesome",
      canRelease: true,
      detaches: seed % 2 === 0,
      isShared: false,
      reserve: (size) => {
        trouble()
        const slot = free.splice(below(free.length), 1)[0]
        if (slot === undefined) throw new RangeError("no slot is left")
        const view = all.subarray(slot * SLOT, slot * SLOT + size).fill(0)
        const is = (expected: Piece["state"], step: string) => {
          if (piece.state !== expected) faults.push(`${step} of what is ${piece.state}`)
        }
        const piece: Piece = {
          state: "usable",
          get view() {
            if (piece.state !== "usable") faults.push(`use of what is ${piece.state}`)
            return view
          },
          commit: () => {
            is("released", "commit")
            trouble()
            if (piece.state !== "destroyed") piece.state = "usable"
          },
          release: () => {
            is("usable", "release")
            trouble()
            // Not of another piece that has come to lie there.
            if (piece.state === "destroyed") return
            view.fill(0)
            piece.state = "released"
          },
          destroy: () => {
            if (piece.state === "destroyed") faults.push("destroyed twice")
            piece.state = "destroyed"
            view.fill(NOBODYS)
            free.push(slot)
            trouble()
          }
        }
        pieces.push(piece)
        return piece
      }
    }
    const budget = setting.budget === undefined ? undefined : yield* Budget.make({ max: setting.budget })
    const pools = yield* Effect.forEach(setting.pools, (options) =>
      ArenaPool.make({ size: SIZE, closeGrace: 0, budget, ...options, backing })
    )
    const held: Array<Held> = []
    const known = new Map<BumpArena.BumpArena, ArenaPool.ArenaPool>()
    const run = <A, E>(effect: Effect.Effect<A, E>) => Effect.runSync(Effect.ignore(effect))

    const expected = [PoolError.PoolError, ArenaError.BackingFailed, ArenaError.ArenaExhausted]
    /** Runs what may be refused, but not for a mistake. */
    const attempt = (f: () => void): void => {
      try {
        f()
      } catch (error) {
        if (error !== NO_MEMORY && !expected.some((kind) => error instanceof kind))
          faults.push(String((error as Error).stack))
      }
    }
    const isHeld = (arena: BumpArena.BumpArena) => held.some((other) => other.arena === arena)
    const any = () => pools[below(pools.length)]!
    const pick = () => {
      const own = held[below(held.length + 1)]
      return own?.isBusy === true ? undefined : own
    }
    const drop = (own: Held) => void held.splice(held.indexOf(own), 1)

    const actions: ReadonlyArray<() => void> = [
      () => {
        const pool = any()
        const arena = ArenaPool.checkoutUnsafe(pool)
        if (isHeld(arena) || arena.state !== "open" || arena.allocated !== 0) faults.push("handed out in use")
        known.set(arena, pool)
        held.push({ pool, arena, live: [], marks: [], isBusy: false })
      },
      () => {
        const own = pick()
        if (own === undefined) return
        drop(own)
        ArenaPool.giveBackUnsafe(own.pool, own.arena)
      },
      () => {
        const own = pick()
        if (own === undefined) return
        const { arena } = own
        const size = 1 + below(100)
        let offset = -1
        try {
          offset = BumpArena.allocUnsafe(arena, size, 1 << below(6))
        } catch (error) {
          // Whoever was to supply the memory may have given the arena back.
          if (held.includes(own) || !(error instanceof ArenaError.ArenaMisuse)) throw error
        }
        if (offset < 0 || !held.includes(own)) return
        const stamp = 1 + below(100)
        BumpArena.bytesUnsafe(arena, offset, size).fill(stamp)
        own.live.push({ offset, size, stamp })
      },
      () => {
        const own = pick()
        if (own !== undefined) own.marks.push([BumpArena.markUnsafe(own.arena), own.live.length])
      },
      () => {
        const own = pick()
        const at = own === undefined ? 0 : below(own.marks.length + 1)
        const mark = own?.marks[at]
        if (own === undefined || mark === undefined) return
        own.marks.length = at
        own.live.length = mark[1]
        BumpArena.rewindUnsafe(own.arena, mark[0])
      },
      () => {
        const own = pick()
        if (own === undefined) return
        own.isBusy = true
        own.live = []
        own.marks = []
        try {
          BumpArena.resetUnsafe(own.arena)
        } finally {
          own.isBusy = false
        }
      },
      () => {
        for (const [arena, pool] of known) {
          const misuses = [
            () => ArenaPool.giveBackUnsafe(pool, arena),
            () => BumpArena.allocUnsafe(arena, 1),
            () => BumpArena.resetUnsafe(arena)
          ]
          // Of an arena in use there is one misuse: giving it to another pool.
          if (isHeld(arena)) {
            const other = pools.find((other) => other !== pool)
            if (other === undefined) continue
            misuses.splice(0, 3, () => ArenaPool.giveBackUnsafe(other, arena))
          }
          const { admission } = pool
          const before = [admission.idle, admission.used, admission.observer.released]
          for (const misuse of misuses) {
            try {
              misuse()
              faults.push(`an arena that is ${arena.state} was used by who has it no more`)
            } catch (error) {
              if (!(error instanceof ArenaError.ArenaMisuse)) faults.push(String(error))
            }
          }
          const after = [admission.idle, admission.used, admission.observer.released]
          if (String(before) !== String(after)) faults.push("a misuse has changed the pool")
        }
      },
      () => run(ArenaPool.trim(any(), below(3))),
      () => run(ArenaPool.clear(any())),
      () => run(ArenaPool.prewarm(any(), below(4))),
      () => run(ArenaPool.releaseIdle(any())),
      () => run(ArenaPool.resize(any(), { max: 1 + below(12) })),
      () => run(ArenaPool.suspend(any())),
      () => run(ArenaPool.resume(any())),
      () => {
        const one = [...known][below(known.size + 1)]
        if (one !== undefined) run(ArenaPool.invalidate(one[1], one[0]))
      },
      () => run(ArenaPool.stats(any()))
    ]
    /** The first ones more often than the others. */
    const act = (): void => {
      depth++
      attempt(actions[below(2) === 0 ? below(3) : below(actions.length)]!)
      depth--
    }

    const look = () => {
      for (const { arena, live } of held) {
        for (const { offset, size, stamp } of live) {
          const bytes = BumpArena.bytesUnsafe(arena, offset, size)
          if (bytes.some((byte) => byte !== stamp)) faults.push(`${size} bytes at ${offset} are not what was written`)
        }
      }
      let size = 0
      let taken = 0
      for (const { admission, store } of pools) {
        const states = Array.from(store.all, ({ state }) => state)
        const idle = states.filter((state) => state === "idle").length
        const out = admission.observer.acquired - admission.observer.released
        const counts = [admission.idle, store.idle.size, admission.used, out, admission.creating, admission.destroying]
        if (String(counts) !== String([idle, idle, states.length - idle, states.length - idle, 0, 0])) {
          faults.push(`the counts are ${String(counts)} where ${String(states)}`)
        }
        if (idle > store.keep) faults.push(`${idle} lie idle of ${store.keep} that may`)
        size += states.length
        taken += states.length * store.options.size
      }
      const usable = pieces.filter(({ state }) => state !== "destroyed").length
      if (usable !== size) faults.push(`${usable} pieces of memory for ${size} arenas`)
      const stats = budget?.statsUnsafe()
      if (stats !== undefined && stats.max - stats.free !== taken) {
        faults.push(`the budget has given ${stats.max - stats.free} bytes to arenas of ${taken}`)
      }
    }

    for (let n = 0; n < operations && faults.length === 0; n++) {
      isTroublesome = below(2) === 0
      act()
      isTroublesome = false
      look()
    }
    for (const { admission } of pools) admission.resume()
    for (const { arena, pool } of held) attempt(() => ArenaPool.giveBackUnsafe(pool, arena))
    held.length = 0
    if (faults.length === 0) look()
    for (const pool of pools) yield* ArenaPool.drain(pool)
    if (faults.length === 0) look()
    if (Buffer.compare(all, untouched) !== 0) faults.push("there is something where nothing was to be written")
    return { faults: faults.slice(0, 3), reserved: pieces.length, reentries }
  }).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "None"))

describe("whatever its memory does while the pool uses it", () => {
  const settings: ReadonlyArray<Setting> = [
    { pools: [{}] },
    { pools: [{ overflow: "chain" }] },
    { pools: [{ overflow: "chain", clear: "onReturn", cap: 2 }] },
    { pools: [{ overflow: "chain", checked: true }] },
    { pools: [{ checked: true, clear: "onReturn", maxOutstanding: 6 }] },
    { pools: [{ overflow: "chain", checked: true, clear: "onReturn", maxOutstanding: 4, cap: 1 }] },
    { pools: [{ overflow: "chain" }, { size: 3 * SIZE, checked: true }], budget: 10 * SIZE }
  ]
  for (const setting of settings) {
    it.live(
      `nothing overlaps, is lost or is lent twice: ${JSON.stringify(setting)}`,
      () =>
        Effect.gen(function* () {
          let reentries = 0
          for (let seed = 1; seed <= plays; seed++) {
            const played = yield* play(seed, setting, 150)
            assert.deepStrictEqual(played.faults, [], `seed ${seed}`)
            reentries += played.reentries
          }
          assert.isAbove(reentries, 2 * plays)
        }),
      plays * 1000
    )
  }
})
