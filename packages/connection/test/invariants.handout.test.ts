/** What is special to connections: the rest of these invariants is in the contract suite, which `contract.test.ts` runs. */
import { ConnectionPool } from "@effect-pools/connection"
import { describe, expect, it } from "@effect/vitest"
import { Gates } from "@effect-pools/testing"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Scheduler from "effect/Scheduler"
import { TestClock } from "effect/testing"
import {
  counts,
  expectAtRest,
  expectEveryPlaceWorks,
  failures,
  hold,
  holding,
  open,
  settle,
  tags,
  type World
} from "./support.ts"

/** When a caller that starts now is served. */
const servedAt = (world: World) =>
  Effect.forkChild(
    ConnectionPool.use(
      world.pool,
      holding(world, () => Clock.currentTimeMillis, world.pool.store.options.concurrency)
    ),
    { startImmediately: true }
  )

describe("invariant 6 (isolation)", () => {
  for (const gate of ["hang", "stuck", 400] as const) {
    it.effect(`invariant 6 (isolation): nor one that must be validated first, if creation goes ${gate}`, () =>
      Effect.gen(function* () {
        const gates = Gates.make()
        const world = yield* open({ max: 3, validate: gates.onValidate, validateAfterIdle: 0 }, gates)
        const holder = yield* hold(world)
        yield* settle
        gates.create = gate
        const caller = yield* servedAt(world)
        yield* TestClock.adjust(20)
        yield* holder.release
        yield* settle
        expect(counts(world).pending).toBe(0)
        expect(yield* Fiber.join(caller)).toBe(20)
      })
    )

    it.effect(`invariant 6 (isolation): nor one that goes ${gate} after a validation that somebody waits for`, () =>
      Effect.gen(function* () {
        const gates = Gates.make()
        const world = yield* open({ max: 2, validate: gates.onValidate }, gates)
        yield* ConnectionPool.use(world.pool, () => Effect.void)
        yield* TestClock.adjust(1000)
        gates.validate = 10
        gates.destroy = gate
        const caller = yield* servedAt(world)
        yield* ConnectionPool.invalidate(world.pool, gates.items[0]!)
        yield* TestClock.adjust(10)
        expect(yield* Fiber.join(caller)).toBe(1010)
      })
    )

    it.effect(`invariant 6 (isolation): a background check that goes ${gate} holds up no caller with places left`, () =>
      Effect.gen(function* () {
        const gates = Gates.make()
        const world = yield* open({ max: 4, health: { interval: 1000, check: gates.onCheck, timeout: 500 } }, gates)
        const three = yield* Effect.forEach([1, 2, 3], () => hold(world))
        for (const { release } of three) yield* release
        gates.check = gate
        yield* TestClock.adjust(1000)
        expect(Array.from(world.pool.store.all, ({ state }) => state).sort()).toEqual(["checking", "checking", "idle"])
        const first = yield* hold(world)
        const second = yield* hold(world)
        yield* settle
        expect(first.got.item).toBeDefined()
        expect(second.got.item).toBeDefined()
      })
    )
  }

  for (const order of ["lifo", "fifo"] as const) {
    it.effect(
      `invariant 6 (isolation): room on a shared connection is used while an idle one needs validation, ${order}`,
      () =>
        Effect.gen(function* () {
          const gates = Gates.make()
          const world = yield* open({ max: 2, concurrency: 2, order, validate: gates.onValidate }, gates)
          const three = yield* Effect.forEach([1, 2, 3], () => hold(world))
          yield* settle
          yield* three[2]!.release
          yield* TestClock.adjust(1000)
          yield* three[0]!.release
          expect(counts(world)).toMatchObject({ idle: 1, used: 1 })
          gates.validate = "hang"
          expect(yield* Fiber.join(yield* servedAt(world))).toBe(1000)
        })
    )
  }

  it.effect("invariant 6 (isolation): a validation that hangs holds nobody up while other connections are idle", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const world = yield* open({ max: 3, validate: gates.onValidate, validationTimeout: 5000 }, gates)
      const three = yield* Effect.forEach([1, 2, 3], () => hold(world))
      for (const { release } of three) yield* release
      yield* TestClock.adjust(1000)
      gates.validate = "hang"
      const caller = yield* servedAt(world)
      gates.validate = "ok"
      yield* TestClock.adjust(1000)
      expect(caller.pollUnsafe()).toBeDefined()
    })
  )

  it.effect("invariant 6 (isolation): a validation that hangs holds nobody up while there is room for another", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const world = yield* open({ max: 2, validate: gates.onValidate, validationTimeout: 5000 }, gates)
      yield* (yield* hold(world)).release
      yield* TestClock.adjust(1000)
      gates.validate = "hang"
      const caller = yield* servedAt(world)
      yield* TestClock.adjust(1000)
      expect(caller.pollUnsafe()).toBeDefined()
      expect(gates.attempts).toBe(2)
    })
  )

  it.effect("invariant 6 (isolation): a reset that hangs holds nobody up while there is room for another", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const world = yield* open({ max: 2, reset: gates.onReset, resetTimeout: 5000 }, gates)
      gates.reset = "hang"
      yield* (yield* hold(world)).release
      const caller = yield* servedAt(world)
      yield* TestClock.adjust(1000)
      expect(caller.pollUnsafe()).toBeDefined()
    })
  )

  it.effect("invariant 6 (isolation): a connect that hangs holds nobody up while another may be tried", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const world = yield* open({ max: 2 }, gates)
      gates.create = "hang"
      const caller = yield* servedAt(world)
      gates.create = "ok"
      yield* TestClock.adjust(999)
      expect(caller.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust(1)
      expect(caller.pollUnsafe()).toBeDefined()
    })
  )
})

describe("invariant 7 (clean hand-out)", () => {
  it.effect("invariant 7 (clean hand-out): a shared connection is reset when the last of its leases has ended", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const world = yield* open({ max: 1, concurrency: 3, reset: gates.onReset }, gates)
      const one = yield* hold(world)
      const two = yield* hold(world)
      yield* settle
      gates.reset = 50
      yield* one.release
      expect(gates.resets).toBe(0)
      yield* two.release
      expect(gates.resets).toBe(1)
      // Not before the reset is over.
      const caller = yield* servedAt(world)
      yield* TestClock.adjust(50)
      expect(yield* Fiber.join(caller)).toBe(50)
    })
  )

  it.effect(
    "invariant 7 (clean hand-out): an invalidated connection is never handed out again, whatever it is doing",
    () =>
      Effect.gen(function* () {
        const gates = Gates.make()
        const world = yield* open(
          {
            max: 1,
            validate: gates.onValidate,
            validateAfterIdle: 100,
            reset: gates.onReset,
            health: { interval: 1000, check: gates.onCheck }
          },
          gates
        )
        const use = ConnectionPool.use(
          world.pool,
          holding(world, (item) => Effect.succeed(item))
        )
        const invalidate = (id: number) => ConnectionPool.invalidate(world.pool, gates.items[id - 1]!)
        const stateOf = (id: number) => world.pool.store.find(gates.items[id - 1]!)?.state
        // Idle.
        yield* use
        yield* invalidate(1)
        expect(stateOf(1)).toBeUndefined()
        // In use, with somebody waiting.
        const holder = yield* hold(world)
        yield* settle
        const waiting = yield* Effect.forkChild(use, { startImmediately: true })
        yield* invalidate(2)
        yield* holder.release
        expect((yield* Fiber.join(waiting)).id).toBe(3)
        // Resetting.
        gates.reset = 50
        yield* use
        expect(stateOf(3)).toBe("resetting")
        yield* invalidate(3)
        gates.reset = "ok"
        yield* TestClock.adjust(50)
        expect((yield* use).id).toBe(4)
        // Validating, for somebody.
        yield* TestClock.adjust(200)
        gates.validate = 50
        const validated = yield* Effect.forkChild(use, { startImmediately: true })
        expect(stateOf(4)).toBe("validating")
        yield* invalidate(4)
        yield* TestClock.adjust(50)
        expect((yield* Fiber.join(validated)).id).toBe(5)
        // In a background check.
        gates.check = 50
        yield* TestClock.adjust(1000)
        expect(stateOf(5)).toBe("checking")
        yield* invalidate(5)
        yield* TestClock.adjust(50)
        expect(stateOf(5)).toBeUndefined()
        expect((yield* use).id).toBe(6)
        // Twice, and one that the pool does not know any more.
        yield* invalidate(6)
        yield* invalidate(6)
        yield* invalidate(1)
        expect(world.pool.admission.observer.destroyed.invalidated).toBe(6)
        expectAtRest(world)
      })
  )

  it.effect("invariant 7 (clean hand-out): an expired connection is not handed out, even if the alarm is late", () =>
    Effect.gen(function* () {
      const ids: Array<number> = []
      const world = yield* open({ max: 1, maxLifetime: 1000, lifetimeJitter: 0 })
      const use = ConnectionPool.use(
        world.pool,
        holding(world, (item) => Effect.sync(() => ids.push(item.id)))
      )
      yield* use
      yield* TestClock.adjust(999)
      yield* use
      yield* TestClock.adjust(1)
      yield* use
      expect(ids).toEqual([1, 1, 2])
    })
  )
})

describe("invariant 10 (time)", () => {
  it.effect("invariant 10 (time): a year passes under TestClock, with nothing real waited for", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const world = yield* open(
        {
          min: 1,
          max: 3,
          idleTimeout: "1 hour",
          maxLifetime: "1 day",
          lifetimeJitter: 0,
          health: { interval: "6 hours", check: gates.onCheck }
        },
        gates
      )
      const wallBefore = yield* Clock.currentTimeMillis
      yield* TestClock.adjust("30 days")
      expect((yield* Clock.currentTimeMillis) - wallBefore).toBe(30 * 86_400_000)
      // One a day for `min`, and four looks at each.
      expect(gates.attempts).toBeGreaterThanOrEqual(30)
      expect(gates.attempts).toBeLessThanOrEqual(31)
      expect(gates.checks).toBeGreaterThanOrEqual(30 * 3)
      expect(gates.checks).toBeLessThanOrEqual(30 * 4)
      expectAtRest(world)
    })
  )

  it.effect("invariant 10 (time): times in stats, events and connections are the clock's", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      world.gates.create = 150
      const caller = yield* servedAt(world)
      yield* TestClock.adjust(1000)
      expect(yield* Fiber.join(caller)).toBe(150)
      const { create, wait } = yield* ConnectionPool.stats(world.pool)
      expect(create.max).toBe(150)
      expect(wait.max).toBe(150)
      const [info] = yield* ConnectionPool.connections(world.pool)
      expect(info).toMatchObject({ age: 850, unusedFor: 850, uses: 1 })
      expect(world.events.find((event) => event._tag === "ItemCreated")).toMatchObject({ at: 150, took: 150 })
    })
  )
})

describe("invariant 12 (nothing is silent)", () => {
  const shown: ReadonlyArray<Gates.Gate> = [...Gates.bad, { late: 60_000, ending: "die" }]
  const show = (gate: Gates.Gate) => (typeof gate === "object" ? "late, then dies" : gate)

  for (const gate of shown) {
    for (const hook of ["validate", "reset", "check", "destroy"] as const) {
      // Closing a scope answers nothing, so `false` is no failure there.
      if (hook === "destroy" && gate === "false") continue
      it.effect(`invariant 12 (nothing is silent): ${hook}: ${show(gate)}: an event and a log line`, () =>
        Effect.gen(function* () {
          const gates = Gates.make()
          const world = yield* open(
            {
              max: 1,
              validate: gates.onValidate,
              validateAfterIdle: 1000,
              validationTimeout: 100,
              reset: gates.onReset,
              resetTimeout: 100,
              destroyTimeout: 100,
              health: { interval: 2000, check: gates.onCheck, timeout: 100, policy: { penalty: 10 } }
            },
            gates
          )
          yield* ConnectionPool.use(world.pool, () => Effect.void)
          yield* TestClock.adjust(1500)
          expect(failures(world)).toEqual([])
          gates[hook] = gate
          if (hook === "destroy") yield* ConnectionPool.invalidate(world.pool, gates.items[0]!)
          if (hook === "validate" || hook === "reset") {
            yield* Effect.forkChild(ConnectionPool.use(world.pool, () => Effect.void))
          }
          // A check is given a second to end once it was interrupted.
          yield* TestClock.adjust(hook === "check" ? 1600 : 600)
          gates[hook] = "ok"
          yield* TestClock.adjust(200)
          const during = hook
          expect(failures(world)).toMatchObject([{ during, item: 1 }])
          expect(world.logs.length).toBe(1)
          expect(world.logs[0]).toContain(`${during} of connection 1 failed`)
          // What happens after it was given up is told as well.
          yield* TestClock.adjust(60_000)
          if (typeof gate === "object") expect(failures(world).length).toBe(2)
        })
      )
    }
  }

  for (const gate of ["fail", "die", "interrupt", "hang", "stuck"] as const) {
    it.effect(`invariant 12 (nothing is silent): acquire: ${gate}: an event each time, one line of log`, () =>
      Effect.gen(function* () {
        const world = yield* open({
          min: 1,
          max: 1,
          createTimeout: 100,
          createRetry: Schedule.spaced(100),
          breaker: false
        })
        yield* world.close
        world.events.length = world.logs.length = 0
        const gates = Gates.make()
        gates.create = gate
        const dead = yield* open(
          { min: 1, max: 1, createTimeout: 100, createRetry: Schedule.spaced(100), breaker: false },
          gates
        )
        yield* TestClock.adjust(1000)
        expect(tags(dead).filter((tag) => tag === "ItemCreateFailed").length).toBeGreaterThanOrEqual(4)
        expect(dead.logs.length).toBe(1)
        expect(dead.pool.admission.observer.createFailed).toBe(gates.attempts - counts(dead).creating)
      })
    )
  }

  for (const close of ["fail", "die", "stuck"] as const) {
    it.effect(`invariant 12 (nothing is silent): cleaning up after a failed attempt: ${close}`, () =>
      Effect.gen(function* () {
        const gates = Gates.make()
        const acquire = Effect.andThen(gates.make, Effect.fail("handshake" as never))
        const world = yield* open({ max: 1, acquire, breaker: false, destroyTimeout: 100 }, gates)
        gates.destroy = close
        const caller = yield* Effect.forkChild(
          Effect.exit(ConnectionPool.use(world.pool, () => Effect.void, { acquireTimeout: 5 })),
          { startImmediately: true }
        )
        yield* TestClock.adjust(500)
        expect(Exit.isFailure(yield* Fiber.join(caller))).toBe(true)
        expect(failures(world)).toMatchObject([{ during: "destroy", item: undefined }])
        expect(world.logs.filter((line) => line.includes("cleaning up after a failed creation")).length).toBe(1)
        gates.destroy = "ok"
        yield* settle
        expect(counts(world)).toEqual({ idle: 0, used: 0, creating: 0, destroying: 0, pending: 0 })
      })
    )
  }

  it.effect(
    "invariant 12 (nothing is silent): an attempt that was given up and fails late, or closes in vain, is told",
    () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 1, createTimeout: 100, breaker: false })
        world.gates.create = { late: 1000, ending: "die" }
        const caller = yield* Effect.forkChild(
          Effect.exit(ConnectionPool.use(world.pool, () => Effect.void, { acquireTimeout: 50 }))
        )
        yield* TestClock.adjust(150)
        yield* Fiber.join(caller)
        expect(failures(world)).toEqual([])
        yield* TestClock.adjust(1000)
        expect(failures(world)).toMatchObject([{ during: "destroy", item: undefined }])
        world.gates.create = { late: 1000 }
        world.gates.destroy = "die"
        yield* Effect.forkChild(
          Effect.exit(ConnectionPool.use(world.pool, () => Effect.void, { acquireTimeout: 50 })),
          { startImmediately: true }
        )
        yield* TestClock.adjust(2000)
        expect(failures(world).length).toBe(2)
        expect(world.gates.items[0]).toMatchObject({ destroying: 1, destroyed: 1 })
      })
  )

  it.effect("invariant 12 (nothing is silent): classify that throws", () =>
    Effect.gen(function* () {
      const world = yield* open({
        max: 1,
        classify: () => {
          throw new Error("classify is broken")
        }
      })
      expect(Exit.isFailure(yield* Effect.exit(ConnectionPool.use(world.pool, () => Effect.fail("no"))))).toBe(true)
      expect(failures(world)).toMatchObject([{ during: "classify", item: 1 }])
      expect(world.logs.length).toBe(1)
      yield* expectEveryPlaceWorks(world)
    })
  )

  it.effect("invariant 12 (nothing is silent): createRetry that dies", () =>
    Effect.gen(function* () {
      const world = yield* open({
        max: 1,
        createRetry: Schedule.forever.pipe(Schedule.modifyDelay(() => Effect.die(new Error("retry is broken"))))
      })
      world.gates.create = "fail"
      const caller = yield* Effect.forkChild(Effect.exit(ConnectionPool.use(world.pool, () => Effect.void)))
      yield* TestClock.adjust(1000)
      expect(Exit.isFailure(yield* Fiber.join(caller))).toBe(true)
      expect(failures(world)).toMatchObject([{ during: "retry" }])
      expect(world.logs.some((line) => line.includes("createRetry failed"))).toBe(true)
      yield* expectEveryPlaceWorks(world)
    })
  )

  it.effect(
    "invariant 12 (nothing is silent): a finalizer that fails as the pool closes is logged, however often fibers yield",
    () =>
      Effect.gen(function* () {
        for (const maxOps of [3, 4, 5, 7, 11, 64]) {
          const world = yield* Effect.provideService(open({ max: 1 }), Scheduler.MaxOpsBeforeYield, maxOps)
          yield* ConnectionPool.use(world.pool, () => Effect.void)
          world.gates.destroy = "die"
          yield* world.close
          yield* settle
          expect(failures(world)).toMatchObject([{ during: "destroy", item: 1 }])
          expect([maxOps, world.logs.length]).toEqual([maxOps, 1])
        }
      })
  )

  it.effect("invariant 12 (nothing is silent): closing a healthy pool says nothing", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      const world = yield* open(
        {
          max: 3,
          validate: gates.onValidate,
          reset: gates.onReset,
          health: { interval: 1000, check: gates.onCheck }
        },
        gates
      )
      const all = [yield* hold(world), yield* hold(world), yield* hold(world)]
      yield* settle
      gates.reset = gates.validate = gates.check = 100
      yield* all[0]!.release
      yield* all[1]!.release
      yield* TestClock.adjust(1100)
      gates.reset = 1000
      yield* all[2]!.release
      yield* Effect.forkChild(Effect.exit(ConnectionPool.use(world.pool, () => Effect.void)), {
        startImmediately: true
      })
      expect(Array.from(world.pool.store.all, ({ state }) => state)).toContain("resetting")
      const closing = yield* Effect.forkChild(world.close)
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(closing)
      expect(failures(world)).toEqual([])
      expect(world.logs).toEqual([])
      expect(world.pool.admission.observer.destroyed).toMatchObject({ closed: 3 })
    })
  )
})
