import { type Admission, Budget, InvalidOptions, Pool, PoolError, SynchronousStore } from "@effect-pools/core"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { fork } from "./fake.ts"

type AnyPool = Pool.Pool<object>

interface Given {
  readonly name?: string
  readonly max?: number
  readonly minimum?: number
  readonly weight?: number
  readonly acquireTimeout?: number
  readonly destroy?: () => void
}

/** A pool of objects under a budget. */
const openPool = (budget: Budget.Budget, given: Given = {}) =>
  Pool.open({
    kind: "objects",
    settings: {
      name: given.name ?? "objects",
      min: 0,
      max: given.max ?? 10,
      acquireTimeout: given.acquireTimeout ?? 1000,
      maxWaiters: Infinity,
      budget: { budget, minimum: given.minimum ?? 0, weight: given.weight ?? 1 }
    },
    closeGrace: 0,
    store: (admission: Admission.Admission<object, never>) =>
      new SynchronousStore.SynchronousStore<object, never>(admission, {
        make: () => ({}),
        failure: Cause.die,
        destroy: given.destroy
      })
  })

const hold = Effect.fnUntraced(function* (pool: AnyPool) {
  const scope = yield* Scope.make()
  const item = yield* Scope.provide(Pool.get(pool), scope)
  return { item, release: Scope.close(scope, Exit.void) }
})

const reasonOf = (exit: Exit.Exit<unknown, unknown>): string | undefined => {
  if (Exit.isSuccess(exit)) return undefined
  const error = Cause.squash(exit.cause)
  return error instanceof PoolError.PoolError ? error.reason._tag : String(error)
}

const nothing = () => {}

/** A member that does nothing of its own accord. */
const memberOf = (given: Partial<Budget.Member> = {}): Budget.Member => ({
  name: "member",
  minimum: 0,
  weight: 1,
  now: () => 0,
  idle: () => 0,
  oldest: () => undefined,
  reclaim: nothing,
  granted: nothing,
  freed: nothing,
  closed: nothing,
  ...given
})

const sizes = (...pools: ReadonlyArray<AnyPool>) => pools.map(({ admission }) => admission.live)

describe("a budget", () => {
  it.effect("has others give up items whose ends use the pool that asks: that has no more items than it may", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 2 })
      const asking = yield* openPool(budget, { max: 1 })
      let isFirst = true
      const destroy = () => {
        if (isFirst) Effect.runFork(Pool.use(asking, () => Effect.never))
        isFirst = false
      }
      const other = yield* openPool(budget, { destroy })
      for (const { release } of [yield* hold(other), yield* hold(other)]) yield* release
      const waiter = yield* fork(Pool.use(asking, () => Effect.void))
      assert.deepInclude(asking.admission, { live: 1, used: 1, pending: 1 })
      assert.isUndefined(waiter.pollUnsafe())
      assert.strictEqual(budget.statsUnsafe().free, 2 - asking.admission.live - other.admission.live)
    })
  )

  it.effect("has the end of an item told before the item that has its permit", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 1 })
      const pool = yield* openPool(budget)
      const { item, release } = yield* hold(pool)
      const waiter = yield* fork(Pool.use(pool, Effect.succeed))
      const told: Array<string> = []
      pool.admission.observer.listen(({ _tag }) => _tag.startsWith("Item") && told.push(_tag))
      yield* Pool.invalidate(pool, item)
      yield* release
      assert.notStrictEqual(yield* Fiber.join(waiter), item)
      assert.deepStrictEqual(told, ["ItemDestroyed", "ItemCreating", "ItemCreated"])
    })
  )

  it.effect("bounds its pools together", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ name: "files", max: 3 })
      const [one, other] = [yield* openPool(budget, { name: "one" }), yield* openPool(budget, { name: "other" })]
      const held = [yield* hold(one), yield* hold(one), yield* hold(other)]
      const refused = yield* Effect.exit(Pool.use(other, () => Effect.void, { acquireTimeout: 0 }))
      assert.strictEqual(reasonOf(refused), "Exhausted")
      assert.deepStrictEqual(yield* Budget.stats(budget), {
        name: "files",
        max: 3,
        free: 0,
        inLine: 0,
        members: [
          { name: "one", taken: 2, minimum: 0, weight: 1, waits: false },
          { name: "other", taken: 1, minimum: 0, weight: 1, waits: false }
        ]
      })
      for (const { release } of held) yield* release
      // What lies idle keeps its permit, until somebody needs it.
      assert.strictEqual((yield* Budget.stats(budget)).free, 0)
    })
  )

  it.effect("has the least recently used idle item given up, whosever it is, before anybody waits", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 3 })
      const pools = [yield* openPool(budget), yield* openPool(budget), yield* openPool(budget)] as const
      for (const pool of [pools[1], pools[0], pools[2]]) {
        yield* (yield* hold(pool)).release
        yield* TestClock.adjust(10)
      }
      const fourth = yield* openPool(budget)
      yield* hold(fourth)
      assert.deepStrictEqual(sizes(...pools, fourth), [1, 0, 1, 1])
      yield* hold(fourth)
      assert.deepStrictEqual(sizes(...pools, fourth), [0, 0, 1, 2])
      assert.strictEqual((yield* Pool.stats(pools[1])).destroyed.reclaimed, 1)
      yield* hold(fourth)
      assert.deepStrictEqual(sizes(...pools, fourth), [0, 0, 0, 3])
    })
  )

  it.effect("serves pools in need in the order in which they asked, one item at a time", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 1 })
      const [holder, second, third] = [yield* openPool(budget), yield* openPool(budget), yield* openPool(budget)]
      const held = yield* hold(holder)
      const served: Array<string> = []
      const ask = (name: string, pool: AnyPool) =>
        fork(
          Pool.use(pool, (item) =>
            Effect.andThen(
              Effect.sync(() => served.push(name)),
              Pool.invalidate(pool, item)
            )
          )
        )
      const callers = [
        yield* ask("2a", second),
        yield* ask("2b", second),
        yield* ask("3a", third),
        yield* ask("1b", holder)
      ]
      assert.strictEqual((yield* Budget.stats(budget)).inLine, 3)
      yield* Pool.invalidate(holder, held.item)
      yield* held.release
      yield* Effect.forEach(callers, (caller) => Fiber.join(caller))
      assert.deepStrictEqual(
        served,
        ["2a", "3a", "1b", "2b"].toSorted((a, b) => served.indexOf(a) - served.indexOf(b))
      )
      assert.strictEqual(served[0], "2a")
      assert.isBelow(served.indexOf("3a"), served.indexOf("2b"))
    })
  )

  it.effect("passes on a turn that is not needed any more", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 1 })
      const [holder, left, next] = [yield* openPool(budget), yield* openPool(budget), yield* openPool(budget)]
      const held = yield* hold(holder)
      const leaving = yield* fork(hold(left))
      const waiting = yield* fork(hold(next))
      yield* Fiber.interrupt(leaving)
      yield* Pool.invalidate(holder, held.item)
      yield* held.release
      yield* Fiber.join(waiting)
      assert.deepStrictEqual(sizes(holder, left, next), [0, 0, 1])
    })
  )

  it.effect("keeps a member's minimum for it, idle or not taken at all", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 3 })
      const safe = yield* openPool(budget, { name: "safe", minimum: 2 })
      const greedy = yield* openPool(budget, { name: "greedy" })
      yield* (yield* hold(safe)).release
      yield* hold(greedy)
      assert.strictEqual(
        reasonOf(yield* Effect.exit(Pool.use(greedy, () => Effect.void, { acquireTimeout: 0 }))),
        "Exhausted"
      )
      const waiting = yield* fork(hold(greedy))
      // Past those who wait, as nobody else could have these.
      yield* hold(safe)
      yield* hold(safe)
      assert.deepStrictEqual(sizes(safe, greedy), [2, 1])
      assert.isUndefined(waiting.pollUnsafe())
      yield* Fiber.interrupt(waiting)
    })
  )

  it.effect("serves a minimum that comes free past the first in line, who could not have it", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 3 })
      const holder = yield* openPool(budget)
      const held = [yield* hold(holder), yield* hold(holder), yield* hold(holder)]
      const late = yield* openPool(budget, { minimum: 2 })
      const first = yield* fork(hold(yield* openPool(budget)))
      const own = [yield* fork(hold(late)), yield* fork(hold(late))]
      for (const { item, release } of held.slice(0, 2)) {
        yield* Pool.invalidate(holder, item)
        yield* release
      }
      for (const fiber of own) yield* Fiber.join(fiber)
      assert.isUndefined(first.pollUnsafe())
      yield* held[2]!.release
      yield* Fiber.join(first)
    })
  )

  it.effect("gives up nothing for a caller who does not wait and for whom it would not be enough", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 5 })
      const small = yield* openPool(budget)
      const held = yield* Effect.forEach([1, 2, 3, 4, 5], () => hold(small))
      yield* held[0]!.release
      yield* held[1]!.release
      const large = yield* openPool(budget, { weight: 3 })
      const impatient = Pool.use(large, () => Effect.void, { acquireTimeout: 0 })
      assert.strictEqual(reasonOf(yield* Effect.exit(impatient)), "Exhausted")
      assert.deepStrictEqual(sizes(small, large), [5, 0])
      yield* held[2]!.release
      yield* impatient
      assert.deepStrictEqual(sizes(small, large), [2, 1])
    })
  )

  it.effect("does not disturb others for a pool that is suspended, and keeps nothing for one that drains", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 2 })
      const [one, other] = [yield* openPool(budget), yield* openPool(budget, { minimum: 1 })]
      const held = yield* hold(one)
      yield* hold(other)
      const waiting = yield* fork(Effect.exit(Pool.use(other, () => Effect.void)))
      yield* Pool.suspend(other)
      yield* held.release
      assert.deepStrictEqual(sizes(one, other), [1, 1])
      assert.strictEqual((yield* Budget.stats(budget)).inLine, 0)
      yield* Pool.resume(other)
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(waiting)))

      const fresh = yield* Budget.make({ max: 2 })
      const draining = yield* openPool(fresh, { minimum: 2 })
      yield* hold(draining)
      const third = yield* openPool(fresh)
      const blocked = yield* fork(hold(third))
      yield* TestClock.adjust(1)
      assert.isUndefined(blocked.pollUnsafe())
      yield* fork(Pool.drain(draining))
      yield* Fiber.join(blocked)
    })
  )

  it.effect("counts by weight, and lets nobody by who needs less than the first in line", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 10 })
      const large = yield* openPool(budget, { weight: 6 })
      const small = yield* openPool(budget, { weight: 2 })
      const held = [yield* hold(small), yield* hold(small), yield* hold(small)]
      const waiting = yield* fork(hold(large))
      yield* TestClock.adjust(1)
      const behind = yield* fork(hold(small))
      assert.deepInclude(yield* Budget.stats(budget), { free: 4, inLine: 2 })
      // It came back to a pool whose own caller would like it, but has not waited as long.
      yield* held[0]!.release
      const first = yield* Fiber.join(waiting)
      assert.isUndefined(behind.pollUnsafe())
      yield* held[1]!.release
      yield* Fiber.join(behind)
      assert.deepInclude(yield* Budget.stats(budget), { free: 0, inLine: 0 })
      yield* first.release
    })
  )

  it.effect("hands on within a pool to whoever has waited longer than others elsewhere", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 1 })
      const [here, elsewhere] = [yield* openPool(budget), yield* openPool(budget)]
      const held = yield* hold(here)
      const first = yield* fork(hold(here))
      yield* TestClock.adjust(1)
      const second = yield* fork(hold(elsewhere))
      yield* held.release
      const next = yield* Fiber.join(first)
      assert.strictEqual(next.item, held.item)
      yield* next.release
      yield* Fiber.join(second)
      assert.deepStrictEqual(sizes(here, elsewhere), [0, 1])
    })
  )

  it.effect("is not kept by a busy pool that is first in line itself, and hands on what it has", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 3 })
      const [busy, other] = [yield* openPool(budget), yield* openPool(budget)]
      const forever = Effect.forever(Pool.use(busy, () => Effect.sleep(3)))
      const callers = yield* Effect.forEach([1, 2, 3, 4, 5, 6, 7], () => fork(forever))
      yield* TestClock.adjust(10)
      assert.deepInclude(yield* Budget.stats(budget), { free: 0, inLine: 1 })
      const waiting = yield* fork(hold(other))
      // Those of the other pool's callers who came before have their turn before.
      yield* TestClock.adjust(1)
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust(9)
      const held = yield* Fiber.join(waiting)
      assert.deepStrictEqual(sizes(busy, other), [2, 1])
      yield* Effect.forEach(callers, (caller) => Fiber.interrupt(caller))
      yield* held.release
    })
  )

  it.effect("tells in a timeout who has its permits", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ name: "files", max: 2 })
      const [a, b] = [yield* openPool(budget, { name: "a" }), yield* openPool(budget, { name: "b" })]
      // Each has what the other needs.
      const both = (first: AnyPool, second: AnyPool) =>
        fork(
          Pool.use(first, () =>
            Effect.andThen(
              Effect.sleep(10),
              Pool.use(second, () => Effect.void)
            )
          )
        )
      const fibers = [yield* both(a, b), yield* both(b, a)]
      yield* TestClock.adjust(2000)
      const exits = yield* Effect.forEach(fibers, (fiber) => Fiber.await(fiber))
      const failures = exits.flatMap((exit) => (Exit.isFailure(exit) ? [Cause.squash(exit.cause) as Error] : []))
      // What the first gave back in the end was enough for the other.
      assert.lengthOf(failures, 1)
      assert.match(failures[0]!.message, /budget "files" has no permit to give \(max 2: a 1, b 1; 2 in line\)/)
    })
  )

  it.effect("names those who have most of it, and not all of a thousand members", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ name: "files", max: 14 })
      for (let n = 1; n <= 12; n++) {
        const pool = yield* openPool(budget, { name: `pool ${n}` })
        for (let held = 0; held < (n <= 2 ? 2 : 1); held++) yield* hold(pool)
      }
      const poor = yield* openPool(budget, { name: "poor", acquireTimeout: 10 })
      const waiting = yield* fork(Effect.flip(Pool.use(poor, () => Effect.void)))
      yield* TestClock.adjust(10)
      const { message } = yield* Fiber.join(waiting)
      assert.match(message, /\(max 14: pool 1 2, pool 2 2, pool 3 1, .*pool 10 1, 2 others 2; 1 in line\)/)
      assert.notInclude(message, "poor 0")
    })
  )

  it.effect("asks for a minimum of any number of members", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 10 })
      for (let n = 0; n < 200_000; n++) {
        budget.join(memberOf())
      }
      const checks = new InvalidOptions.Checks("pool")
      assert.strictEqual(Budget.check(checks, { budget, minimum: 9 })?.minimum, 9)
      assert.throws(() => Budget.check(checks, { budget, minimum: 10 }), /must not exceed what others can do without/)
    })
  )

  it.effect("tells a pool that made no demand when its own minimum comes free", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 2 })
      const greedy = budget.join(memberOf())
      assert.isTrue(greedy.take("line", 2))
      const freed: Array<number> = []
      for (const minimum of [2, 0]) {
        const seat = budget.join(
          memberOf({
            minimum,
            freed: () => {
              assert.isTrue(seat.take("ahead", 1))
              freed.push(minimum)
            }
          })
        )
        assert.isFalse(seat.take("ahead", 1))
      }
      greedy.give(1)
      assert.deepStrictEqual(freed, [2])
    })
  )

  it.effect("gives as many permits as it was asked for, whatever else the pool asks meanwhile", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 4 })
      const idle = budget.join(
        memberOf({
          idle: () => 4,
          oldest: () => ({ since: 0, permits: 4 }),
          reclaim: () => {
            // What ends an item is the user's own, and can look at anything.
            assert.isTrue(asking.isWithinReach(1))
            idle.give(4)
          }
        })
      )
      const asking = budget.join(memberOf())
      assert.isTrue(idle.take("now", 4))
      assert.isTrue(asking.take("now", 3))
      assert.deepInclude(yield* Budget.stats(budget), { free: 1 })
      asking.give(3)
      assert.deepInclude(yield* Budget.stats(budget), { free: 4 })
    })
  )

  it.effect("has the minimum of a pool that is about to close for others", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 2 })
      const closing = yield* openPool(budget, { minimum: 2 })
      const held = yield* hold(closing)
      const checks = new InvalidOptions.Checks("pool")
      assert.throws(() => Budget.check(checks, budget), /must not exceed what is promised to nobody \(0\)/)
      const drained = yield* fork(Pool.drain(closing))
      assert.strictEqual(Budget.check(checks, { budget, minimum: 1 })?.minimum, 1)
      assert.strictEqual((yield* Budget.stats(budget)).members[0]!.minimum, 0)
      yield* held.release
      yield* Fiber.join(drained)
      assert.strictEqual(budget.open, 2)
    })
  )

  it.effect("is blamed in a timeout only while it has nothing to give, or has closed", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const budget = yield* Scope.provide(Budget.make({ name: "files", max: 2 }), scope)
      const [one, other] = [
        yield* openPool(budget, { name: "one", max: 1 }),
        yield* openPool(budget, { name: "other" })
      ]
      const held = [yield* hold(other), yield* hold(other)]
      const first = yield* fork(hold(one))
      /** What whoever waits for the one item of this pool is told in the end. */
      const blamed = Effect.gen(function* () {
        const caller = yield* fork(Effect.flip(Pool.use(one, () => Effect.void)))
        yield* TestClock.adjust(1000)
        const { reason } = yield* Fiber.join(caller)
        return reason._tag === "AcquireTimeout" ? reason.explanation.budget : reason._tag
      })
      const end = Effect.fnUntraced(function* ({ item, release }: (typeof held)[number]) {
        yield* Pool.invalidate(other, item)
        yield* release
      })
      yield* end(held[0]!)
      yield* Fiber.join(first)
      assert.strictEqual(yield* blamed, 'budget "files" has no permit to give (max 2: one 1, other 1; 0 in line)')
      yield* end(held[1]!)
      assert.isUndefined(yield* blamed)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* blamed, 'its budget "files" is closed')
    })
  )

  it.effect("is not blamed when nobody is in line any more", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 2 })
      const [one, other] = [yield* openPool(budget, { max: 2 }), yield* openPool(budget)]
      yield* hold(one)
      const { release } = yield* hold(other)
      const leaving = yield* fork(hold(one))
      yield* Fiber.interrupt(leaving)
      yield* release
      yield* Pool.resize(one, { max: 1 })
      const caller = yield* fork(Effect.flip(Pool.use(one, () => Effect.void)))
      yield* TestClock.adjust(1000)
      const { reason } = yield* Fiber.join(caller)
      assert.isTrue(reason._tag === "AcquireTimeout" && reason.explanation.budget === undefined)
    })
  )

  it.effect("has a name of its own if it is given none", () =>
    Effect.gen(function* () {
      const names = [(yield* Budget.make({ max: 1 })).name, (yield* Budget.make({ max: 1 })).name]
      for (const name of names) assert.match(name, /^budget-\d+$/)
      assert.notStrictEqual(names[0], names[1])
    })
  )

  it.effect("has nothing left of a pool that has closed", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 2 })
      const scope = yield* Scope.make()
      const closing = yield* Scope.provide(openPool(budget, { minimum: 2 }), scope)
      yield* hold(closing)
      const other = yield* openPool(budget)
      const waiting = yield* fork(hold(other))
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(waiting)
      assert.deepInclude(yield* Budget.stats(budget), {
        free: 1,
        members: [{ name: other.name, taken: 1, minimum: 0, weight: 1, waits: false }]
      })
    })
  )

  it.effect("that closes under its pools lets them use what they have, and no more", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const budget = yield* Scope.provide(Budget.make({ name: "files", max: 2 }), scope)
      const [rich, poor] = [yield* openPool(budget, { name: "rich" }), yield* openPool(budget, { name: "poor" })]
      const held = [yield* hold(rich), yield* hold(rich)]
      const waiting = yield* fork(Effect.exit(Pool.use(poor, () => Effect.void)))
      const patient = yield* fork(hold(rich))
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(reasonOf(yield* Fiber.join(waiting)), "BudgetClosed")
      assert.strictEqual(reasonOf(yield* Effect.exit(Pool.use(poor, () => Effect.void))), "BudgetClosed")
      yield* held[0]!.release
      const last = yield* Fiber.join(patient)
      const hopeful = yield* fork(Effect.exit(Pool.use(rich, () => Effect.never)))
      for (const { item, release } of [last, held[1]!]) {
        yield* Pool.invalidate(rich, item)
        yield* release
      }
      assert.strictEqual(reasonOf(yield* Fiber.join(hopeful)), "BudgetClosed")
      assert.deepStrictEqual(sizes(rich, poor), [0, 0])
    })
  )

  it.effect("is refused options that make no sense", () =>
    Effect.gen(function* () {
      for (const options of [
        {},
        { max: 0 },
        { max: 1.5 },
        { max: NaN },
        { max: Infinity },
        { max: -1 },
        { max: "3" },
        { max: 3, maximum: 4 },
        { max: 3, name: "" },
        null,
        undefined
      ]) {
        const error = yield* Effect.flip(Effect.scoped(Budget.make(options as never)))
        assert.instanceOf(error, InvalidOptions.InvalidOptions)
      }
    })
  )

  it.effect("refuses a share that could never be granted", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 4 })
      const check = (share: unknown) =>
        InvalidOptions.check(() => Budget.check(new InvalidOptions.Checks("pool"), share as Budget.Share))
      for (const [share, field] of [
        [{ budget, weight: 5 }, "budget.weight"],
        [{ budget, weight: 0 }, "budget.weight"],
        [{ budget, weight: 1.5 }, "budget.weight"],
        [{ budget, minimum: 5 }, "budget.minimum"],
        [{ budget, minimum: 3, weight: 2 }, "budget.minimum"],
        [{ budget, minimum: -1 }, "budget.minimum"],
        [{ budget, minimum: "1" }, "budget.minimum"],
        [{ budget, maximum: 1 }, "budget.maximum"],
        [{ budget: 4 }, "budget"],
        // As somebody may have built it who did not know of them.
        [Object.create(budget, { dealings: { value: undefined } }), "budget.dealings"],
        [null, "budget"],
        [4, "budget"]
      ] as const) {
        assert.strictEqual((yield* Effect.flip(check(share))).field, field)
      }
      assert.deepStrictEqual(yield* check(budget), { budget, minimum: 0, weight: 1 })
      yield* openPool(budget, { minimum: 2 })
      // What others can always have is nothing to count on, and what they must be able to have is nothing to ask for.
      assert.strictEqual((yield* Effect.flip(check({ budget, weight: 3 }))).field, "budget.weight")
      assert.strictEqual((yield* Effect.flip(check({ budget, minimum: 3 }))).field, "budget.minimum")
      yield* openPool(budget, { weight: 2 })
      assert.strictEqual((yield* Effect.flip(check({ budget, minimum: 1 }))).field, "budget.minimum")
      assert.deepStrictEqual(yield* check({ budget, weight: 2 }), { budget, minimum: 0, weight: 2 })
    })
  )

  it.effect(
    "is never exceeded, and in the end is whole again, whatever its pools do",
    () =>
      Effect.gen(function* () {
        for (let seed = 1; seed <= 200; seed++) yield* Random.withSeed(Effect.scoped(play), seed)
      }),
    60_000
  )
})

const below = (limit: number) => Random.nextIntBetween(0, limit, { halfOpen: true })

/** Random operations on three pools of different weights and minimums. */
const play = Effect.gen(function* () {
  const max = 6 + (yield* below(6))
  const budget = yield* Budget.make({ max })
  const scope = yield* Scope.make()
  const pools: Array<AnyPool> = []
  for (const [weight, minimum] of [
    [1, 2],
    [2, 0],
    [3, 3]
  ] as const) {
    pools.push(
      yield* Scope.provide(openPool(budget, { weight, minimum, max: 1 + (yield* below(6)), acquireTimeout: 50 }), scope)
    )
  }
  const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
  const check = Effect.gen(function* () {
    const { free, members } = yield* Budget.stats(budget)
    const taken = members.reduce((sum, member) => sum + member.taken, 0)
    assert.strictEqual(free + taken, max)
    assert.isAtLeast(free, 0)
    members.forEach((member, index) => assert.strictEqual(member.taken, pools[index]!.admission.live * (index + 1)))
  })
  for (let n = 0; n < 80; n++) {
    const pool = pools[yield* below(3)]!
    switch (yield* below(8)) {
      case 0:
        if (fibers.length > 0) yield* fork(Fiber.interrupt(fibers[yield* below(fibers.length)]!))
        break
      case 1:
        yield* TestClock.adjust(yield* below(40))
        break
      case 2:
        yield* Pool.resize(pool, { max: 1 + (yield* below(6)) })
        break
      case 3:
        yield* pool.admission.lifecycle === "open" ? Pool.suspend(pool) : Pool.resume(pool)
        break
      case 4:
        fibers.push(yield* fork(Pool.use(pool, (item) => Effect.andThen(Effect.sleep(5), Pool.invalidate(pool, item)))))
        break
      default:
        fibers.push(yield* fork(Pool.use(pool, () => Effect.flatMap(below(30), Effect.sleep))))
    }
    yield* check
  }
  for (const pool of pools) yield* Pool.resume(pool)
  yield* TestClock.adjust(1000)
  yield* check
  // Nobody waits for what could be had.
  for (const { admission } of pools) assert.strictEqual(admission.pending, 0)
  assert.strictEqual((yield* Budget.stats(budget)).inLine, 0)
  yield* Scope.close(scope, Exit.void)
  assert.deepInclude(yield* Budget.stats(budget), { free: max, inLine: 0, members: [] })
})
