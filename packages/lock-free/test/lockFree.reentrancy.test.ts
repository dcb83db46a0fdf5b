/** Random plays in which `create`, `reset` and `destroy` do to their own pools whatever comes to mind, and throw. */
import { LockFreePool, SharedPool } from "@effect-pools/lock-free"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { expectEveryPlaceWorks, statsOf } from "./lockFreeSupport.ts"

const SEEDS = Array.from({ length: 100 }, (_, index) => index + 1)
const ROUNDS = 60
/** How deep one callback may be within another. */
const DEPTH = 3

/** The same numbers each time. */
const numbers = (seed: number) => {
  let state = seed
  return (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** One of several things at random, and others within it, until it is over. */
class Play {
  readonly next: (below: number) => number
  readonly #deeds: () => ReadonlyArray<() => void>
  #depth = 0
  #isOver = false

  constructor(seed: number, deeds: () => ReadonlyArray<() => void>) {
    this.next = numbers(seed)
    this.#deeds = deeds
  }

  readonly act = (): void => {
    if (this.#isOver || this.#depth > DEPTH) return
    this.#depth++
    const deeds = this.#deeds()
    try {
      for (let times = this.next(3); times > 0; times--) deeds[this.next(deeds.length)]!()
    } catch {
      // What making an item throws is the caller's.
    } finally {
      this.#depth--
    }
  }

  /** `true` now and then; or throws, as seldom. */
  readonly fails = (): boolean => {
    this.act()
    if (!this.#isOver && this.next(8) === 0) throw new Error("as it comes")
    return !this.#isOver && this.next(6) === 0
  }

  /** One of these, which is not among them any more. */
  oneOf<A>(some: Array<A>): A | undefined {
    return some.splice(this.next(Math.max(1, some.length)), 1)[0]
  }

  end(): void {
    this.#isOver = true
  }
}

const rounds = Effect.fnUntraced(function* (play: Play, check: () => void) {
  for (let round = 0; round < ROUNDS; round++) {
    play.act()
    if (play.next(10) === 0) yield* Effect.yieldNow
    check()
  }
  play.end()
})

const playOnce = Effect.fnUntraced(function* (seed: number, wait: boolean) {
  const living = new Set<object>()
  const faults: Array<string> = []
  const held: Array<LockFreePool.Guard<object>> = []
  const play = new Play(seed, () => [
    () => held.push(LockFreePool.getOrThrowUnsafe(pool)),
    () => held.push(LockFreePool.getOrThrowUnsafe(pool)),
    () => play.oneOf(held)?.[Symbol.dispose](),
    () => play.oneOf(held)?.[Symbol.dispose](),
    () => LockFreePool.invalidateUnsafe(pool, held[0]?.value ?? {}),
    () => void Effect.runFork(LockFreePool.suspend(pool)),
    () => void Effect.runFork(LockFreePool.resume(pool)),
    () => void Effect.runFork(LockFreePool.resize(pool, { max: 1 + play.next(5) })),
    () => void Effect.runFork(LockFreePool.use(pool, () => Effect.void)),
    () => play.next(60) === 0 && Effect.runFork(LockFreePool.drain(pool, 0))
  ])
  const scope = yield* Scope.make()
  const pool: LockFreePool.LockFreePool<object> = yield* LockFreePool.make({
    create: () => {
      play.fails()
      const item = {}
      living.add(item)
      return item
    },
    reset: () => !play.fails(),
    destroy: (item) => {
      if (!living.delete(item)) faults.push("destroyed twice")
      play.fails()
    },
    scale: { mode: "auto", maximum: 5, chunk: seed % 3 },
    wait,
    closeGrace: 0
  }).pipe(Effect.provideService(Scope.Scope, scope))
  const isOpen = (): boolean => pool.admission.lifecycle !== "closed"
  yield* rounds(play, () => {
    const { creating, destroying, idle, used } = statsOf(pool)
    assert.isAtLeast(Math.min(creating, destroying, idle, used), 0)
    if (!isOpen()) return
    assert.strictEqual(new Set(held.map(({ value }) => value)).size, held.length)
    assert.isTrue(held.every(({ value }) => living.has(value)))
  })
  yield* LockFreePool.resume(pool)
  for (const guard of held) guard[Symbol.dispose]()
  yield* TestClock.adjust("1 minute")
  const { acquired, released, size } = statsOf(pool)
  assert.deepInclude(statsOf(pool), { used: 0, creating: 0, destroying: 0, pending: 0 })
  assert.deepStrictEqual([released, size], [acquired, living.size])
  if (isOpen()) expectEveryPlaceWorks(pool)
  yield* Scope.close(scope, Exit.void)
  assert.deepStrictEqual([living.size, faults], [0, []])
})

const playSharedOnce = Effect.fnUntraced(function* (seed: number) {
  const held: Array<readonly [SharedPool.SharedPool, SharedPool.Guard]> = []
  const claimed: Array<readonly [SharedPool.SharedPool, number]> = []
  const pools: Array<SharedPool.SharedPool> = []
  const any = (): SharedPool.SharedPool => pools[play.next(pools.length)]!
  const unclaim = (one: (typeof claimed)[number] | undefined): unknown => one && SharedPool.unclaimUnsafe(...one)
  const take = (pool: SharedPool.SharedPool): unknown => held.push([pool, SharedPool.getOrThrowUnsafe(pool)])
  const claim = (pool: SharedPool.SharedPool): void => {
    const slot = SharedPool.claimUnsafe(pool)
    if (slot >= 0) claimed.push([pool, slot])
  }
  const play = new Play(seed, () => [
    () => take(any()),
    () => take(any()),
    () => claim(any()),
    () => play.oneOf(held)?.[1][Symbol.dispose](),
    () => play.oneOf(held)?.[1][Symbol.dispose](),
    () => unclaim(play.oneOf(claimed)),
    () => void Effect.runFork(SharedPool.suspend(any())),
    () => void Effect.runFork(SharedPool.resume(any())),
    () => void Effect.runFork(SharedPool.resize(any(), { max: 1 + play.next(6) })),
    () => void Effect.runFork(SharedPool.use(any(), () => Effect.void)),
    () => play.next(60) === 0 && Effect.runFork(SharedPool.drain(any(), 0))
  ])
  const options = { reset: () => !play.fails(), wait: true, closeGrace: 0 }
  const main = yield* SharedPool.make({ ...options, slots: 6, slotBytes: 8, scale: { initial: 1, chunk: seed % 3 } })
  pools.push(main, yield* SharedPool.attach(main.handle, options))
  pools.push(yield* SharedPool.attach(main.handle, { ...options, thread: 99 }))
  yield* rounds(play, () => {
    const isOpen = ([pool]: readonly [SharedPool.SharedPool, unknown]): boolean => pool.admission.lifecycle !== "closed"
    const numbers = [
      ...held.filter(isOpen).map(([, { value }]) => value.index),
      ...claimed.filter(isOpen).map(([, slot]) => slot)
    ]
    assert.strictEqual(new Set(numbers).size, numbers.length)
    for (const pool of pools) assert.isAtLeast(pool.admission.used, 0)
  })
  for (const [, guard] of held) guard[Symbol.dispose]()
  for (const one of claimed) unclaim(one)
  for (const pool of pools) {
    yield* SharedPool.resize(pool, { max: 6 })
    yield* SharedPool.resume(pool)
  }
  yield* Effect.promise(() => new Promise(setImmediate))
  yield* TestClock.adjust("1 minute")
  for (const { admission } of pools) assert.deepStrictEqual([admission.used, admission.pending], [0, 0])
  assert.strictEqual(main.store.slots.countUsed(), 0)
})

describe("pools whose callbacks call back into them", () => {
  for (const wait of [false, true]) {
    it.effect(`lose nothing and hand out nothing twice: lock-free, ${wait ? "waiting" : "refusing"}`, () =>
      Effect.forEach(SEEDS, (seed) => playOnce(seed, wait), { discard: true })
    )
  }

  it.effect("lose nothing and hand out nothing twice: shared, of one thread and of another", () =>
    Effect.forEach(SEEDS, (seed) => Effect.scoped(playSharedOnce(seed)), { discard: true })
  )
})
