/** Resources under a budget, with weights of their own. */
import { Budget, InvalidOptions, PoolError } from "@effect-pools/core"
import { Resource, ResourcePool } from "@effect-pools/resource"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"

const fork = Effect.forkScoped({ startImmediately: true })

const allocate = Effect.sync(() => ({}))
const slowly = Effect.acquireRelease(Effect.andThen(Effect.sleep(5), allocate), () => Effect.sleep(3))

const taken = (budget: Budget.Budget) =>
  Object.fromEntries(budget.statsUnsafe().members.map(({ name, taken }) => [name, taken]))

const hold = Effect.fnUntraced(function* (resource: Resource.Resource<object>) {
  const scope = yield* Scope.make()
  yield* Scope.provide(Resource.get(resource), scope)
  return Scope.close(scope, Exit.void)
})

describe("resources under a budget", () => {
  it.effect("take permits for each of their places, until they are released", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 20 })
      const pool = yield* ResourcePool.make({ name: "files", max: 8, budget: { budget, weight: 2 } })
      const light = yield* ResourcePool.create(pool, { allocate })
      const heavy = yield* ResourcePool.create(pool, { allocate, weight: 3 })
      yield* Resource.use(light, () => Effect.void)
      assert.deepStrictEqual(taken(budget), { files: 2 })
      yield* Resource.use(heavy, () => Effect.void)
      assert.deepStrictEqual(taken(budget), { files: 8 })
      assert.deepInclude(budget.statsUnsafe().members[0], { weight: 6 })
      yield* Resource.release(light)
      assert.deepStrictEqual(taken(budget), { files: 6 })
    })
  )

  it.effect("wait for as many permits as they need, and hold none meanwhile", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 4 })
      const one = yield* ResourcePool.make({ name: "one", max: 4, budget })
      const other = yield* ResourcePool.make({ name: "other", max: 4, budget })
      const small = yield* Effect.forEach([1, 2], () => ResourcePool.create(one, { allocate }))
      const big = yield* Effect.forEach([1, 2], () => ResourcePool.create(other, { allocate, weight: 3 }))
      const back = yield* Effect.forEach(small, hold)
      const first = yield* fork(Resource.use(big[0]!, () => Effect.never))
      assert.deepInclude(budget.statsUnsafe(), { free: 2, inLine: 1 })
      yield* back[0]!
      assert.deepStrictEqual(taken(budget), { one: 1, other: 3 })
      // Of the same size, it waits for the other, and is told so.
      const second = yield* fork(Effect.exit(Resource.use(big[1]!, () => Effect.void, { acquireTimeout: 100 })))
      yield* TestClock.adjust(100)
      const exit = yield* Fiber.join(second)
      assert.match(String(exit), /no place for "resource-\d+" within 100 ms/)
      yield* Fiber.interrupt(first)
      yield* back[1]!
    })
  )

  it.effect("are released for others of their own pool when the budget is spent", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 3 })
      const pool = yield* ResourcePool.make({ name: "files", max: 10, budget })
      const light = yield* Effect.forEach([1, 2, 3], () => ResourcePool.create(pool, { allocate }))
      const heavy = yield* ResourcePool.create(pool, { allocate, weight: 2 })
      for (const resource of light) yield* Resource.use(resource, () => Effect.void)
      yield* Resource.use(heavy, () => Effect.void)
      assert.deepStrictEqual(yield* Effect.forEach(light, Resource.isAllocated), [false, false, true])
      assert.deepStrictEqual(taken(budget), { files: 3 })
    })
  )

  it.effect("that are heavy have several items of others given up", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 4 })
      const scope = yield* Scope.make()
      const others = yield* Scope.provide(ResourcePool.make({ name: "others", max: 4, budget }), scope)
      const pool = yield* Scope.provide(ResourcePool.make({ name: "files", max: 4, budget }), scope)
      const light = yield* Effect.forEach([1, 2, 3, 4], () => ResourcePool.create(others, { allocate: slowly }))
      const heavy = yield* ResourcePool.create(pool, { allocate: slowly, weight: 3 })
      const idle = yield* fork(Effect.forEach(light, (resource) => Resource.use(resource, () => Effect.sleep(1))))
      yield* TestClock.adjust(50)
      yield* Fiber.join(idle)
      assert.deepStrictEqual(taken(budget), { others: 4, files: 0 })
      const call = yield* fork(Resource.use(heavy, () => Effect.void))
      yield* TestClock.adjust(10)
      yield* Fiber.join(call)
      assert.deepStrictEqual(taken(budget), { others: 1, files: 3 })
      assert.deepStrictEqual(yield* Effect.forEach(light, Resource.isAllocated), [false, false, false, true])
      yield* fork(Scope.close(scope, Exit.void))
      yield* TestClock.adjust(10)
      assert.deepInclude(budget.statsUnsafe(), { free: 4, members: [] })
    })
  )

  it.effect("are not handed on past those who wait elsewhere, however heavy others of the pool are", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 4 })
      const pool = yield* ResourcePool.make({ name: "files", max: 4, budget })
      const other = yield* ResourcePool.make({ name: "other", max: 4, budget })
      const light = yield* ResourcePool.create(pool, { allocate })
      yield* ResourcePool.create(pool, { allocate, weight: 4 })
      const wide = yield* ResourcePool.create(other, { allocate, weight: 4 })
      const back = yield* hold(light)
      const first = yield* fork(hold(wide))
      yield* TestClock.adjust(1)
      const second = yield* fork(hold(light))
      yield* back
      const next = yield* Fiber.join(first)
      assert.isUndefined(second.pollUnsafe())
      yield* next
      yield* yield* Fiber.join(second)
    })
  )

  it.effect("that are light are given up where a minimum keeps the heavy one that has lain idle for longer", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 6 })
      const pool = yield* ResourcePool.make({ name: "files", max: 6, budget: { budget, minimum: 2 } })
      const other = yield* ResourcePool.make({ name: "other", max: 6, budget })
      const heavy = yield* ResourcePool.create(pool, { allocate, weight: 4 })
      const light = yield* ResourcePool.create(pool, { allocate })
      const [one, two, wide] = yield* Effect.forEach([1, 1, 3], (weight) =>
        ResourcePool.create(other, { allocate, weight })
      )
      yield* Resource.use(heavy, () => Effect.void)
      yield* TestClock.adjust(1)
      yield* Resource.use(light, () => Effect.void)
      const back = [yield* hold(one!)]
      assert.deepStrictEqual(taken(budget), { files: 5, other: 1 })
      // What the heavy one has is not for others, and the light one alone would not do.
      for (const options of [{ wait: false }, { acquireTimeout: 0 }]) {
        const error = yield* Effect.flip(Resource.use(wide!, () => Effect.void, options))
        assert.instanceOf(error, PoolError.PoolError)
        assert.strictEqual(error.reason._tag, "Exhausted")
        assert.deepStrictEqual(taken(budget), { files: 5, other: 1 })
      }
      back.push(yield* hold(two!))
      assert.deepStrictEqual(taken(budget), { files: 4, other: 2 })
      assert.isTrue(yield* Resource.isAllocated(heavy))
      for (const release of back) yield* release
    })
  )

  it.effect("of their own pool stay where others give up enough, and count only for as much as they weigh", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 3 })
      const pool = yield* ResourcePool.make({ name: "files", max: 4, budget })
      const other = yield* ResourcePool.make({ name: "other", max: 4, budget })
      const old = yield* ResourcePool.create(other, { allocate: slowly, weight: 2 })
      const [own, next] = yield* Effect.forEach([1, 2], (weight) => ResourcePool.create(pool, { allocate, weight }))
      const idle = yield* fork(Resource.use(old, () => Effect.void))
      yield* TestClock.adjust(5)
      yield* Fiber.join(idle)
      yield* Resource.use(own!, () => Effect.void)
      const call = yield* fork(hold(next!))
      yield* TestClock.adjust(3)
      const back = yield* Fiber.join(call)
      assert.isTrue(yield* Resource.isAllocated(own!))
      yield* back
      yield* Resource.release(next!)
      const holding = yield* fork(Resource.use(old, () => Effect.sleep(50)))
      yield* TestClock.adjust(10)
      const refusal = yield* Effect.flip(Resource.use(next!, () => Effect.void, { wait: false }))
      assert.include(refusal.message, "no item to hand out at once")
      yield* TestClock.adjust(50)
      yield* Fiber.join(holding)
      yield* fork(Resource.release(old))
      yield* TestClock.adjust(3)
    })
  )

  it.effect("are refused if the budget could never give them what they weigh", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 10 })
      yield* ResourcePool.make({ max: 5, budget: { budget, minimum: 4 } })
      const pool = yield* ResourcePool.make({ name: "files", max: 8, budget: { budget, weight: 2 } })
      yield* ResourcePool.create(pool, { allocate, weight: 3 })
      const refusal = yield* Effect.flip(ResourcePool.create(pool, { allocate, weight: 4 }))
      assert.instanceOf(refusal, InvalidOptions.InvalidOptions)
      assert.include(refusal.message, 'option "weight" must not exceed what the budget has for it (3), but is 4')
      // Nor may others come who would leave too little for it.
      const late = yield* Effect.flip(ResourcePool.make({ max: 5, budget: { budget, minimum: 1 } }))
      assert.include(late.message, "must not exceed what others can do without (0)")
    })
  )

  it.effect("of a budget that has closed go on, and no others are allocated", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const budget = yield* Scope.provide(Budget.make({ name: "handles", max: 4 }), scope)
      const pool = yield* ResourcePool.make({ max: 4, budget })
      const [one, other] = yield* Effect.forEach([1, 2], () => ResourcePool.create(pool, { allocate }))
      const back = yield* hold(one!)
      yield* Scope.close(scope, Exit.void)
      const call = yield* fork(Effect.exit(Resource.use(other!, () => Effect.void)))
      // As long as something is left it may come back.
      assert.isUndefined(call.pollUnsafe())
      yield* Resource.release(one!)
      yield* back
      const exit = yield* Fiber.join(call)
      assert.match(String(exit), /its budget "handles" is closed/)
      assert.instanceOf(yield* Effect.flip(Resource.use(one!, () => Effect.void)), PoolError.PoolError)
    })
  )

  it.effect("never exceed it, lose nothing of it and strand nobody, whatever they weigh", () =>
    Effect.gen(function* () {
      let served = 0
      for (let seed = 1; seed <= 30; seed++) served += yield* Random.withSeed(Effect.scoped(play), seed)
      assert.isAbove(served, 1000)
    })
  )
})

const below = (limit: number) => Random.nextIntBetween(0, limit, { halfOpen: true })
const pick = <A>(from: ReadonlyArray<A>) => Effect.map(below(from.length), (index) => from[index]!)

const MAX = 7

/** Random calls for resources of three pools; answers how many were served. */
const play = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const budget = yield* Scope.provide(Budget.make({ max: MAX }), scope)
  const pools = yield* Effect.forEach([0, 1, 2], (minimum) =>
    Scope.provide(ResourcePool.make({ max: 5, acquireTimeout: 300, budget: { budget, minimum } }), scope)
  )
  const resources = yield* Effect.forEach(
    pools.flatMap((pool) => [1, 1, 2, 4].map((weight) => ({ pool, weight }))),
    ({ pool, weight }) => ResourcePool.create(pool, { allocate: slowly, weight })
  )
  let served = 0
  const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
  const check = Effect.sync(() => {
    const { free, members } = budget.statsUnsafe()
    const given = members.reduce((sum, { taken }) => sum + taken, 0)
    assert.isAtMost(given, MAX)
    assert.strictEqual(given + free, MAX)
    const places = pools.map((pool) => Number(pool.store.details()["taken"]))
    // What is being asked for is not a place yet.
    members.forEach(({ taken }, index) => assert.isAtLeast(taken, places[index]!))
  })
  for (let n = 0; n < 150; n++) {
    const resource = yield* pick(resources)
    switch (yield* below(8)) {
      case 0:
        yield* fork(Fiber.interrupt(yield* pick([...fibers, yield* fork(Effect.void)])))
        break
      case 1:
        yield* Resource.scheduleRelease(resource)
        break
      case 2:
      case 3:
        yield* TestClock.adjust(yield* below(15))
        break
      default:
        fibers.push(
          yield* fork(
            Effect.exit(
              Effect.tap(
                Resource.use(resource, () => Effect.flatMap(below(20), (millis) => Effect.sleep(millis))),
                () => Effect.sync(() => served++)
              )
            )
          )
        )
    }
    yield* check
  }
  yield* TestClock.adjust("10 seconds")
  for (const fiber of fibers) assert.isDefined(fiber.pollUnsafe(), "a caller is stranded")
  for (const { admission } of pools) {
    const { creating, destroying, pending, used } = admission
    assert.strictEqual(creating + destroying + pending + used, 0)
  }
  assert.strictEqual(budget.statsUnsafe().inLine, 0)
  const closing = yield* fork(Scope.close(scope, Exit.void))
  yield* TestClock.adjust("1 second")
  yield* Fiber.join(closing)
  assert.deepInclude(budget.statsUnsafe(), { free: MAX, inLine: 0, members: [] })
  return served
})
