/** Random plays of pools of every kind that share one budget, with weights, minimums and ends that take too long. */
import { ArenaPool } from "@effect-pools/arena"
import { ConnectionPool, ConnectionPoolMap } from "@effect-pools/connection"
import { Budget, Pool } from "@effect-pools/core"
import { InstancePool } from "@effect-pools/instance"
import { LockFreePool } from "@effect-pools/lock-free"
import { Resource, ResourcePool } from "@effect-pools/resource"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"

const MAX = 10
const PLAYS = 60
const STEPS = 150

const fork = Effect.forkScoped({ startImmediately: true })
const below = (limit: number) => Random.nextIntBetween(0, limit, { halfOpen: true })

/** Something that takes a while to make and to end, and sometimes fails. */
const acquire = (ending: () => number) =>
  Effect.flatMap(below(10), (dice) =>
    dice === 9
      ? Effect.fail("none" as const)
      : Effect.acquireRelease(Effect.as(Effect.sleep(dice), {}), () => Effect.sleep(ending()))
  )

const play = Effect.fnUntraced(function* (seed: number) {
  const scope = yield* Scope.make()
  const budgetScope = yield* Scope.make()
  const budget = yield* Scope.provide(Budget.make({ max: MAX }), budgetScope)
  let ending = 2
  const made = acquire(() => ending)
  const common = { acquireTimeout: "1 hour", destroyTimeout: 50 } as const
  const minimum = seed % 2
  const [connections, instances, arenas, slots, resources, tenants] = yield* Scope.provide(
    Effect.all([
      ConnectionPool.make({
        ...common,
        acquire: made,
        max: 4,
        min: 1,
        health: false,
        budget: { budget, weight: 2, minimum: minimum * 2 }
      }),
      InstancePool.make({ ...common, create: made, max: 5, onExhausted: "wait", prepare: 1, budget }),
      ArenaPool.make({ size: 64, acquireTimeout: "1 hour", budget: { budget, weight: 3 } }),
      LockFreePool.make({
        create: () => ({}),
        reset: () => true,
        scale: { mode: "auto", initial: 1, maximum: 6, chunk: 2 },
        wait: true,
        acquireTimeout: "1 hour",
        budget: { budget, minimum }
      }),
      ResourcePool.make({ max: 6, acquireTimeout: "1 hour", releaseTimeout: 50, budget: { budget, minimum } }),
      ConnectionPoolMap.make({
        budget,
        lookup: (_: number) => ({ ...common, acquire: made, max: 2, health: false }),
        idleTimeToLive: 60,
        capacity: 4
      })
    ]),
    scope
  )
  const pools: ReadonlyArray<Pool.Pool<any, any>> = [connections, instances, arenas, slots, resources]
  const named = yield* Effect.forEach([1, 1, 2, 3, 4], (weight) =>
    ResourcePool.create(resources, { allocate: made, weight })
  )
  const body = () => Effect.flatMap(below(15), (millis) => Effect.sleep(millis))
  const call = Effect.fnUntraced(function* (options: Pool.AcquireOptions | undefined) {
    const kind = yield* below(pools.length + 2)
    if (kind === pools.length) return yield* ConnectionPoolMap.use(tenants, yield* below(6), body, options)
    const resource = named[yield* below(named.length)]!
    if (kind > pools.length) return yield* Resource.use(resource, body, { wait: false })
    if (pools[kind] === resources) return yield* Resource.use(resource, body, options)
    return yield* Pool.use(pools[kind]!, body, options)
  })
  const check = (step: number) => {
    const { free, inLine, members } = budget.statsUnsafe()
    const taken = members.reduce((sum, member) => sum + member.taken, 0)
    assert.isAtLeast(free, 0)
    assert.strictEqual(taken + free, MAX, `play ${seed}, step ${step}`)
    // Alone in line, with items that all weigh the same, nobody waits for what is there.
    const alone = members.find(({ waits }) => waits)
    if (inLine !== 1 || alone === undefined || alone.name === resources.name) return
    const others = members.filter((member) => member !== alone)
    const promised = others.reduce((sum, { minimum, taken }) => sum + Math.max(0, minimum - taken), 0)
    assert.isBelow(free - promised, alone.weight, `play ${seed}, step ${step}`)
  }
  const fibers: Array<Fiber.Fiber<unknown>> = []
  let served = 0
  for (let step = 0; step < STEPS; step++) {
    const { admission } = pools[yield* below(pools.length)]!
    switch (yield* below(14)) {
      case 0:
        admission.suspend()
        break
      case 1:
        for (const { admission } of pools) admission.resume()
        break
      case 2:
        if (admission !== slots.admission) admission.resize(admission.min, 1 + (yield* below(6)))
        break
      case 3:
        yield* Resource.scheduleRelease(named[yield* below(named.length)]!)
        break
      case 4:
        yield* ConnectionPoolMap.invalidate(tenants, yield* below(6))
        break
      case 5:
        ending = (yield* below(6)) === 0 ? 200 : yield* below(4)
        break
      case 6:
      case 7:
        yield* TestClock.adjust(yield* below(12))
        break
      case 8:
        if (fibers.length > 0) yield* fork(Fiber.interrupt(fibers[yield* below(fibers.length)]!))
        break
      default: {
        const options = (yield* below(5)) === 0 ? { acquireTimeout: 0 } : { priority: yield* below(2) }
        fibers.push(yield* fork(Effect.exit(Effect.tap(call(options), () => Effect.sync(() => served++)))))
      }
    }
    // Some lose their budget on the way.
    if (seed % 3 === 0 && step === STEPS - 50) yield* Scope.close(budgetScope, Exit.void)
    check(step)
  }
  for (const { admission } of pools) {
    admission.resize(admission.min, 6)
    admission.resume()
  }
  for (let step = 0; step < 20; step++) {
    yield* TestClock.adjust(500)
    check(STEPS + step)
  }
  for (const fiber of fibers) assert.isDefined(fiber.pollUnsafe(), `play ${seed}: somebody is stranded`)
  assert.strictEqual(budget.statsUnsafe().inLine, 0)
  const closing = yield* fork(Scope.close(scope, Exit.void))
  yield* TestClock.adjust("1 minute")
  yield* Fiber.join(closing)
  assert.deepInclude(budget.statsUnsafe(), { free: MAX, inLine: 0, members: [] })
  return served
})

describe("pools of every kind under one budget", () => {
  it.effect(
    "never have more, strand nobody and give everything back, whatever they weigh and whatever is done to them",
    () =>
      Effect.gen(function* () {
        let served = 0
        for (let seed = 1; seed <= PLAYS; seed++) served += yield* Random.withSeed(Effect.scoped(play(seed)), seed)
        assert.isAbove(served, 1000)
      })
  )
})
