/** Connection pools that share a budget: with creation, validation, reset and finalizers that take time. */
import { ConnectionPool } from "@effect-pools/connection"
import { Budget } from "@effect-pools/core"
import { Gates } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"

type Pool = ConnectionPool.ConnectionPool<Gates.Item, Gates.GateFailure>
type Options = Partial<ConnectionPool.Options<Gates.Item, Gates.GateFailure, Scope.Scope>>

const fork = Effect.forkScoped({ startImmediately: true })

const open = Effect.fnUntraced(function* (budget: Budget.Budget | Budget.Share, options?: Options) {
  const gates = Gates.make()
  const pool: Pool = yield* ConnectionPool.make({ acquire: gates.make, closeGrace: 0, budget, ...options })
  return { gates, pool }
})

const touch = (pool: Pool) => ConnectionPool.use(pool, () => Effect.void)

const taken = (budget: Budget.Budget) => budget.max - (budget.statsUnsafe() as Budget.BudgetStats).free

describe("connection pools under a budget", () => {
  it.effect("hold its permit until a finalizer has ended, so that the server never sees more", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 1 })
      const [one, other] = [yield* open(budget), yield* open(budget)]
      yield* touch(one.pool)
      one.gates.destroy = 50
      const waiting = yield* fork(touch(other.pool))
      yield* TestClock.adjust(49)
      assert.strictEqual(other.gates.attempts, 0)
      yield* TestClock.adjust(1)
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(waiting)))
      assert.strictEqual((yield* ConnectionPool.stats(one.pool)).destroyed.reclaimed, 1)
    })
  )

  it.effect("give the permit of a connection back that could not be made", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 1 })
      const [failing, other] = [yield* open(budget, { createRetry: undefined }), yield* open(budget)]
      for (const gate of ["fail", "die", "interrupt"] as const) {
        failing.gates.create = gate
        const caller = yield* fork(Effect.exit(touch(failing.pool)))
        yield* TestClock.adjust("2 minutes")
        assert.isTrue(Exit.isFailure(yield* Fiber.join(caller)))
        yield* touch(other.pool)
      }
      assert.strictEqual(taken(budget), 1)
    })
  )

  it.effect("fill min with what is free, and take nothing from others for it", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 3 })
      const first = yield* open(budget, { min: 2 })
      yield* TestClock.adjust(10)
      const second = yield* open(budget, { min: 2 })
      yield* TestClock.adjust(10)
      assert.strictEqual((yield* ConnectionPool.stats(first.pool)).idle, 2)
      assert.strictEqual((yield* ConnectionPool.stats(second.pool)).idle, 1)
      // What comes free is for those who would like it.
      const { connection } = (yield* ConnectionPool.connections(first.pool))[0]!
      yield* ConnectionPool.resize(first.pool, { min: 0 })
      yield* ConnectionPool.invalidate(first.pool, connection)
      yield* TestClock.adjust(10)
      assert.strictEqual((yield* ConnectionPool.stats(second.pool)).idle, 2)
    })
  )

  it.effect("that fill min do not take back what was given up for others", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 1 })
      const eager = yield* open(budget, { min: 1 })
      const other = yield* open(budget)
      yield* TestClock.adjust(10)
      assert.strictEqual((yield* ConnectionPool.stats(eager.pool)).idle, 1)
      for (const options of [undefined, { acquireTimeout: 0 }]) {
        const before = eager.gates.attempts
        const caller = yield* fork(Effect.exit(ConnectionPool.use(other.pool, () => Effect.void, options)))
        yield* TestClock.adjust(10)
        const exit = yield* Fiber.join(caller)
        assert.isAtMost(eager.gates.attempts - before, 1)
        if (options === undefined) assert.isTrue(Exit.isSuccess(exit))
      }
    })
  )

  it.effect("with an open breaker come back when their backend does, though others hold all permits idle", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 2 })
      const broken = yield* open(budget, { breaker: { failures: 2, probeInterval: "1 second" } as never })
      broken.gates.create = "fail"
      const caller = yield* fork(Effect.exit(touch(broken.pool)))
      yield* TestClock.adjust("2 minutes")
      yield* Fiber.join(caller)
      const rich = yield* open(budget, { min: 2, idleTimeout: Infinity, maxLifetime: Infinity })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* ConnectionPool.stats(rich.pool)).idle, 2)
      broken.gates.allWell()
      yield* TestClock.adjust("2 minutes")
      assert.isTrue(Exit.isSuccess(yield* Effect.exit(touch(broken.pool))))
    })
  )

  it.effect("reclaim no connection that is being checked or reset", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 1 })
      const gates = Gates.make()
      const busy: Pool = yield* ConnectionPool.make({
        acquire: gates.make,
        closeGrace: 0,
        budget,
        reset: gates.onReset
      })
      gates.reset = 30
      yield* touch(busy)
      const other = yield* open(budget)
      const waiting = yield* fork(touch(other.pool))
      yield* TestClock.adjust(29)
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(waiting)))
      assert.deepStrictEqual(gates.audit(0), [])
    })
  )

  it.effect("give up a connection for others as soon as its check is over", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 1 })
      const gates = Gates.make()
      const checked: Pool = yield* ConnectionPool.make({
        acquire: gates.make,
        closeGrace: 0,
        budget,
        health: { check: gates.onCheck, interval: "1 minute" }
      })
      yield* touch(checked)
      gates.check = 30
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(gates.checks, 1)
      const other = yield* open(budget)
      const waiting = yield* fork(touch(other.pool))
      yield* TestClock.adjust(29)
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(waiting)))
    })
  )

  it.effect("leave to others the permit that they may not use before the next attempt", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 1 })
      const failing = yield* open(budget, { createRetry: Schedule.spaced("1 minute"), breaker: false })
      const other = yield* open(budget)
      failing.gates.create = { late: 100, ending: "fail" }
      for (const _ of [1, 2]) yield* fork(Effect.exit(touch(failing.pool)))
      const waiting = yield* fork(touch(other.pool))
      assert.strictEqual((budget.statsUnsafe() as Budget.BudgetStats).inLine, 2)
      yield* TestClock.adjust(100)
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(waiting)))
      assert.strictEqual(failing.gates.attempts, 1)
    })
  )

  it.effect("give a connection to as many as it has room for while more of them wait for a permit", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 1 })
      const gates = Gates.make()
      const pool: Pool = yield* ConnectionPool.make({
        acquire: gates.make,
        closeGrace: 0,
        budget,
        concurrency: 2,
        validate: gates.onValidate,
        validateAfterIdle: 0
      })
      yield* touch(pool)
      gates.validate = 100
      const held = ConnectionPool.use(pool, (item) => gates.holding(item, Effect.sleep(1000), 2))
      for (const _ of [1, 2, 3]) yield* fork(held)
      yield* TestClock.adjust(100)
      assert.deepInclude(yield* ConnectionPool.stats(pool), { idle: 0, used: 1, pending: 1 })
      assert.strictEqual(gates.items[0]!.holders, 2)
      assert.strictEqual(gates.validations, 1)
      yield* TestClock.adjust(5000)
      assert.deepStrictEqual(gates.audit(1), [])
    })
  )

  it.effect(
    "exceed it never, and leave it whole, whatever happens to them",
    () =>
      Effect.gen(function* () {
        for (let seed = 1; seed <= 100; seed++) yield* Random.withSeed(Effect.scoped(play), seed)
      }),
    60_000
  )
})

const below = (limit: number) => Random.nextIntBetween(0, limit, { halfOpen: true })
const gates: ReadonlyArray<Gates.Gate> = ["ok", "ok", "ok", 5, 40, { late: 30 }, ...Gates.bad]

/** Random operations on three pools whose connections fail, hang and die. */
const play = Effect.gen(function* () {
  const max = 4 + (yield* below(4))
  const budget = yield* Budget.make({ max })
  const scope = yield* Scope.make()
  const worlds: Array<{ readonly gates: Gates.Gates; readonly pool: Pool }> = []
  for (const minimum of [0, 1, 2]) {
    const gates = Gates.make()
    const pool: Pool = yield* Scope.provide(
      ConnectionPool.make({
        acquire: gates.make,
        max: 1 + (yield* below(5)),
        min: yield* below(2),
        budget: { budget, minimum },
        acquireTimeout: 200,
        createTimeout: 100,
        destroyTimeout: 100,
        closeGrace: 0,
        reset: minimum === 1 ? gates.onReset : undefined,
        validate: minimum === 2 ? gates.onValidate : undefined
      }),
      scope
    )
    worlds.push({ gates, pool })
  }
  const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
  const check = Effect.sync(() => {
    const { free, members } = budget.statsUnsafe()
    assert.isAtLeast(free, 0)
    members.forEach((member, index) => assert.strictEqual(member.taken, worlds[index]!.pool.admission.live))
    assert.strictEqual(
      members.reduce((sum, member) => sum + member.taken, free),
      max
    )
  })
  for (let n = 0; n < 60; n++) {
    const { gates: own, pool } = worlds[yield* below(3)]!
    switch (yield* below(9)) {
      case 0:
        own[(["create", "destroy", "reset", "validate"] as const)[yield* below(4)]!] =
          gates[yield* below(gates.length)]!
        break
      case 1:
        own.allWell()
        break
      case 2:
        if (fibers.length > 0) yield* fork(Fiber.interrupt(fibers[yield* below(fibers.length)]!))
        break
      case 3:
        yield* TestClock.adjust(yield* below(60))
        break
      case 4:
        yield* ConnectionPool.resize(pool, { min: 0, max: 1 + (yield* below(5)) })
        break
      case 5:
        fibers.push(yield* fork(Effect.exit(ConnectionPool.use(pool, (item) => ConnectionPool.invalidate(pool, item)))))
        break
      default:
        fibers.push(yield* fork(Effect.exit(ConnectionPool.use(pool, () => Effect.flatMap(below(60), Effect.sleep)))))
    }
    yield* check
  }
  for (const { gates } of worlds) gates.allWell()
  yield* TestClock.adjust("5 minutes")
  yield* check
  assert.strictEqual(budget.statsUnsafe().inLine, 0)
  const closing = yield* fork(Scope.close(scope, Exit.void))
  yield* TestClock.adjust("1 minute")
  yield* Fiber.join(closing)
  assert.deepInclude(budget.statsUnsafe(), { free: max, inLine: 0, members: [] })
})
