import { Pool } from "@effect-pools/core"
import { InterruptSweep, TestPool } from "@effect-pools/testing"
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { faults } from "./faults.ts"
import { fresh, nonBlocking, synchronous } from "./kinds.ts"
import { subject } from "./subject.ts"

const timeout = 60_000

describe("the lease rule", () => {
  const kinds = [
    // All of them are for the pools that applications use.
    { kind: subject, budgets: [3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 17, 20, 24, 32, 48, 64], pairs: 60 },
    ...[fresh, synchronous, nonBlocking].map((kind) => ({ kind, budgets: [3, 4, 5, 7, 11, 64], pairs: 30 }))
  ]
  for (const { budgets, kind, pairs } of kinds) {
    describe(`${kind.kind} pool`, () => {
      InterruptSweep.suite(kind, it, { budgets, pairs })
    })
  }

  it.live("a scenario of one's own that does nothing does not count", () =>
    Effect.gen(function* () {
      const played = new Map<string, () => Effect.Effect<void>>()
      const skipped: Array<string> = []
      const live = Object.assign((name: string, run: () => Effect.Effect<void>) => void played.set(name, run), {
        skip: (name: string) => void skipped.push(name)
      })
      InterruptSweep.suite(
        nonBlocking,
        { live },
        {
          budgets: [3, 4, 5, 7, 11, 64],
          own: {
            nothing: [nonBlocking, { program: () => Effect.void }],
            much: [nonBlocking, { program: ({ use }) => use }]
          }
        }
      )
      const title = "an interruption at any step leaks nothing: "
      expect(String(yield* Effect.exit(played.get(`${title}nothing`)!()))).toContain("does too little")
      yield* played.get(`${title}much`)!()
      expect(skipped.some((name) => name.endsWith(`(skipped: ${nonBlocking.lacks.waiting})`))).toBe(true)
    })
  )

  it("a scenario for which a kind of pool lacks a trait is skipped with the reason", () => {
    const skipped = (kind: typeof subject) => InterruptSweep.scenarios(kind).map(({ skipped }) => skipped)
    expect(skipped(subject)).toContain(subject.lacks.reset)
    expect(skipped(subject)).not.toContain(nonBlocking.lacks.waiting)
    expect(skipped(nonBlocking)).toContain(nonBlocking.lacks.waiting)
    expect(skipped(nonBlocking).filter((reason) => reason === undefined).length).toBeGreaterThan(8)
  })
})

describe("the scenarios find a pool that", () => {
  for (const name of [
    "makes one item more than max",
    "forgets that an item which is being destroyed has its place",
    "gives an item back twice",
    "destroys an item twice",
    "keeps the item of a body that died",
    "does not destroy what is idle when it closes",
    "loses the place of a failed creation",
    "loses the place of an item whose finalizer fails",
    "keeps the place of a waiter that leaves",
    "hands an item to two callers",
    "forgets a waiter when it closes",
    "stays in the registry",
    "leaves its metrics behind",
    "leaves a fiber behind",
    "leaves a timer behind"
  ]) {
    it.live(
      name,
      () =>
        Effect.gen(function* () {
          for (const { run, skipped } of InterruptSweep.scenarios(faults[name]!.subject, {
            budgets: [3, 64],
            pairs: 0
          })) {
            if (skipped !== undefined) continue
            const report = yield* run
            if (report.leaks.length === 0) continue
            return expect(() => InterruptSweep.expectClean(report)).toThrow(InterruptSweep.LeaksFound)
          }
          expect.fail("No scenario finds it")
        }),
      timeout
    )
  }
})

type Items = TestPool.TestPool<{ readonly id: number }>
const twoItems = () => TestPool.make({ make: (id) => ({ id }), max: 2 })
const whats = ({ leaks }: InterruptSweep.Report) => leaks.map(({ what }) => what)

describe("the sweep of an application's program", () => {
  it.live("finds nothing wrong with one that leaves everything to use and get", () =>
    Effect.gen(function* () {
      class Items extends Context.Service<Items, TestPool.TestPool<{ readonly id: number }>>()("test/Items") {}
      const program = Effect.gen(function* () {
        const pool = yield* Items
        const ids = yield* Effect.forEach([1, 2, 3, 4], (n) => Pool.use(pool, ({ id }) => Effect.succeed(id + n)), {
          concurrency: "unbounded"
        })
        const item = yield* Pool.get(pool)
        yield* Effect.sleep(10)
        return ids.length + item.id
      })
      // It brings its own pool, which it opens and closes each time; or is given one.
      const own = yield* InterruptSweep.run({
        program: Effect.provide(program, Layer.effect(Items, twoItems())),
        budgets: [3, 5, 8, 13, 64]
      })
      InterruptSweep.expectClean(own)
      expect(own.pairs).toBe(0)
      const given = yield* InterruptSweep.run({
        setup: twoItems,
        program: (pool) => Effect.provideService(program, Items, pool),
        budgets: [3, 5, 8, 13, 64]
      })
      InterruptSweep.expectClean(given)
      expect(given.pairs).toBe(60)
      expect(given.interruptions).toBe(given.steps + given.primitives + 120)
    })
  )

  it.live("finds a lease whose release is installed a step after it was taken", () =>
    Effect.gen(function* () {
      const report = yield* InterruptSweep.run({
        setup: twoItems,
        program: (pool: Items) =>
          Effect.gen(function* () {
            const scope = yield* Scope.make()
            const item = yield* Scope.provide(Pool.get(pool), scope)
            return yield* Effect.ensuring(Effect.succeed(item.id), Scope.close(scope, Exit.void))
          })
      })
      expect(whats(report)).toContainEqual(expect.stringMatching(/^at rest: pool test-pool-\d+: used is 1$/))
      expect(report.leaks.some(({ place }) => place.step === undefined && place.primitive === undefined)).toBe(false)
    })
  )

  it.live("finds a pool that is left open", () =>
    Effect.gen(function* () {
      const report = yield* InterruptSweep.run({
        program: Effect.gen(function* () {
          const scope = yield* Scope.make()
          const pool = yield* Scope.provide(twoItems(), scope)
          yield* Effect.ensuring(
            Pool.use(pool, () => Effect.void),
            Scope.close(scope, Exit.void)
          )
        })
      })
      expect(whats(report)).toContainEqual(expect.stringMatching(/^closed: pool test-pool-\d+ is in the registry$/))
      expect(whats(report)).toContainEqual(expect.stringMatching(/^closed: \d+ metrics are left$/))
    })
  )

  it.live("finds a fiber, a timer and a neighbour that nobody ends, and a program that hangs", () =>
    Effect.gen(function* () {
      const budgets = [64]
      const left = yield* InterruptSweep.run({ program: Effect.forkDetach(Effect.sleep("1 minute")), budgets })
      expect(whats(left)).toContain("closed: 1 timers are left")
      expect(whats(left)).toContain("closed: 1 fibers are left")
      const beside = yield* InterruptSweep.run({
        program: (_, stage) => Effect.sync(() => stage.beside(Effect.never)),
        budgets
      })
      expect(whats(beside)).toContain("a fiber beside the program does not end")
      const hangs = yield* InterruptSweep.run({ program: Effect.uninterruptible(Effect.never), budgets })
      expect(whats(hangs)).toContain("the program does not end")
    })
  )

  it.live("says so if the program does not take the same steps each time", () =>
    Effect.gen(function* () {
      let runs = 0
      const report = yield* InterruptSweep.run({
        program: Effect.suspend(() => Effect.forEach(Array.from({ length: 40 - runs++ }), () => Effect.yieldNow)),
        budgets: [64]
      })
      expect(whats(report)).toContain("the program does not get here: it does not take the same steps each time")
    })
  )

  it.live("says so if the program is never done", () =>
    Effect.gen(function* () {
      const report = yield* InterruptSweep.run({
        program: Effect.uninterruptible(Effect.forever(Effect.yieldNow)),
        budgets: []
      })
      expect(whats(report)).toEqual([expect.stringContaining("does not come to rest")])
      expect(() => InterruptSweep.expectClean(report)).toThrow("does not come to rest")
    })
  )

  it("a sweep that interrupted nothing is not clean", () => {
    const empty = { interruptions: 0, steps: 0, primitives: 0, pairs: 0, leaks: [] }
    expect(() => InterruptSweep.expectClean(empty)).toThrow("no step")
  })
})

describe("the sweep of pairs", () => {
  /** A permit that is lost if the fiber it was given to is interrupted before it goes on. */
  class FaultySemaphore {
    permits = 1
    readonly #queue: Array<(effect: Effect.Effect<void>) => void> = []

    readonly #take = Effect.callback<void>((resume) => {
      if (this.permits > 0) {
        this.permits--
        return resume(Effect.void)
      }
      this.#queue.push(resume)
      return Effect.sync(() => {
        const index = this.#queue.indexOf(resume)
        if (index !== -1) this.#queue.splice(index, 1)
      })
    })

    readonly #give = Effect.sync(() => {
      const next = this.#queue.shift()
      if (next === undefined) this.permits++
      else void Promise.resolve().then(() => next(Effect.void))
    })

    with<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
      return Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(restore(this.#take), () => Effect.ensuring(restore(effect), this.#give))
      )
    }
  }

  const definition: InterruptSweep.Definition<FaultySemaphore> = {
    setup: (stage) =>
      Effect.sync(() => {
        const semaphore = new FaultySemaphore()
        stage.beside(semaphore.with(Effect.sleep(5)))
        stage.beside(Effect.andThen(Effect.sleep(1), semaphore.with(Effect.sleep(5))))
        return semaphore
      }),
    program: (semaphore) => Effect.andThen(Effect.sleep(2), semaphore.with(Effect.yieldNow)),
    audit: ({ permits }) => Effect.succeed(permits === 1 ? [] : [`${permits} permits`])
  }

  it.live("finds what only an interruption of the next in line loses", () =>
    Effect.gen(function* () {
      const report = yield* InterruptSweep.run({ ...definition, pairs: 600 })
      const paired = report.leaks.filter(({ place }) => place.second?.what === "interruptNeighbour")
      expect(paired.map(({ what }) => what)).toContain("0 permits")
    })
  )

  it.live("closes what was set up, and interrupts who closes it", () =>
    Effect.gen(function* () {
      const closed = { whole: 0, before: 0 }
      const report = yield* InterruptSweep.run({
        setup: () =>
          Effect.acquireRelease(Effect.succeed({ isClosed: false }), (made) =>
            Effect.sync(() => (made.isClosed = true))
          ),
        program: (made) =>
          Effect.ensuring(
            Effect.sleep(5),
            Effect.sync(() => closed[made.isClosed ? "before" : "whole"]++)
          ),
        closed: (made) => (made.isClosed ? [] : ["it is open"]),
        pairs: 100
      })
      InterruptSweep.expectClean(report)
      expect(closed.whole).toBeGreaterThan(0)
    })
  )
})
