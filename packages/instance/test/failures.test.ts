/** Instances that cannot be built, or that do not end: no place is lost with them. */
import { PoolError } from "@effect-pools/core"
import { InstancePool } from "@effect-pools/instance"
import { describe, expect, it } from "@effect/vitest"
import { Gates, Sandbox } from "@effect-pools/testing"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { counts, expectAtRest, expectEveryPlaceWorks, fork, hold, open, outcome, settle, told, use } from "./support.ts"

const times = { createTimeout: 100, destroyTimeout: 100 }
const late: ReadonlyArray<Gates.Gate> = [{ late: 1500 }, { late: 1500, ending: "fail" }, { late: 1500, ending: "die" }]
const inWords = (gate: Gates.Gate) =>
  typeof gate === "object" ? `late, and then ${gate.ending ?? "ok"}` : String(gate)

describe("an instance that cannot be built", () => {
  for (const gate of [...Gates.bad.filter((gate) => gate !== "false"), ...late]) {
    for (const prepare of [0, 1]) {
      it.effect(`takes no place with it: create is ${inWords(gate)}, ${prepare} prepared`, () =>
        Effect.gen(function* () {
          const gates = Gates.make()
          gates.create = gate
          const world = yield* open({ max: 2, prepare, ...times }, gates)
          for (let round = 0; round < 3; round++) {
            const callers = yield* Effect.forEach([1, 2], () => fork(use(world)))
            yield* TestClock.adjust(100)
            for (const caller of callers)
              expect(Exit.isFailure((yield* Fiber.await(caller)) as Exit.Exit<unknown, unknown>)).toBe(true)
          }
          expect(gates.attempts).toBeGreaterThanOrEqual(6)
          gates.allWell()
          yield* TestClock.adjust(20_000)
          expectAtRest(world, prepare)
          yield* expectEveryPlaceWorks(world)
        })
      )
    }
  }

  it.effect("is the failure of its caller, as it is", () =>
    Effect.gen(function* () {
      const failure = new Error("no such module")
      const failing = yield* InstancePool.make({ create: Effect.fail(failure) })
      expect(yield* Effect.flip(InstancePool.use(failing, () => Effect.void))).toBe(failure)
      const dying = yield* InstancePool.make({ create: Effect.die(failure) })
      const exit = yield* Effect.exit(InstancePool.use(dying, () => Effect.void))
      expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toBe(failure)
      const throwing = yield* InstancePool.make({
        create: Effect.sync(() => {
          throw failure
        })
      })
      const thrown = yield* Effect.exit(Effect.scoped(InstancePool.get(throwing)))
      expect(Exit.isFailure(thrown) && Cause.squash(thrown.cause)).toBe(failure)
    })
  )

  it.effect("that takes too long fails its caller with a timeout of creation", () =>
    Effect.gen(function* () {
      const world = yield* open(times)
      world.gates.create = "hang"
      const caller = yield* fork(Effect.flip(use(world)))
      yield* TestClock.adjust(100)
      const failure = yield* Fiber.join(caller)
      expect(failure).toBeInstanceOf(PoolError.PoolError)
      expect(failure).toMatchObject({ reason: { _tag: "AcquireTimeout", phase: "create", waited: 100 } })
    })
  )

  it.effect("that hangs holds up nobody who comes later", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 3, createTimeout: "10 seconds", onExhausted: "wait" })
      world.gates.create = "hang"
      const first = yield* fork(Effect.flip(use(world)))
      yield* TestClock.adjust(500)
      yield* Fiber.interrupt(first)
      world.gates.create = "ok"
      // It may still be of use to those who come soon after, but not for longer than a second.
      const second = yield* fork(use(world))
      yield* TestClock.adjust(499)
      expect(second.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust(1)
      expect(Exit.isSuccess(yield* Fiber.await(second))).toBe(true)
      yield* use(world)
      expect(counts(world)).toMatchObject({ creating: 1, used: 0, pending: 0 })
      yield* TestClock.adjust("10 seconds")
      expectAtRest(world, 0)
    })
  )

  it.effect("that takes long is waited for by whoever asked for it, and no second one is built for them", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 4, createTimeout: "10 seconds" })
      world.gates.create = "hang"
      const first = yield* fork(Effect.flip(use(world)))
      yield* TestClock.adjust("5 seconds")
      expect(world.gates.attempts).toBe(1)
      const second = yield* fork(Effect.flip(use(world)))
      yield* TestClock.adjust("4 seconds")
      expect(world.gates.attempts).toBe(2)
      // Each has the failure of its own.
      yield* TestClock.adjust("1 second")
      expect((yield* Fiber.join(first)) as object).toMatchObject({ reason: { waited: 10_000 } })
      yield* TestClock.adjust("4 seconds")
      expect(second.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust("1 second")
      expect((yield* Fiber.join(second)) as object).toMatchObject({ reason: { waited: 10_000 } })
      expectAtRest(world, 0)
    })
  )

  it.effect("for somebody who came before is no failure of those who came after", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      gates.create = 100
      const world = yield* open({ max: 4, prepare: 1 }, gates)
      yield* TestClock.adjust(98)
      gates.create = "fail"
      yield* TestClock.adjust(1)
      gates.create = 5
      const caller = yield* fork(use(world))
      yield* TestClock.adjust(5)
      expect(Exit.isSuccess(yield* Fiber.await(caller))).toBe(true)
    })
  )

  it.effect("takes nobody with it who came when it was nearly over", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, onExhausted: "wait", createTimeout: 1000 })
      world.gates.create = "hang"
      const first = yield* fork(Effect.exit(use(world)))
      yield* TestClock.adjust(500)
      yield* Fiber.interrupt(first)
      const second = yield* fork(Effect.exit(use(world)))
      yield* TestClock.adjust(499)
      world.gates.create = "ok"
      yield* TestClock.adjust(1)
      expect(outcome(second)).toMatchObject({ _tag: "Success" })
      expectAtRest(world, 0)
    })
  )

  it.effect("ahead of time is not built a second time because it takes long", () =>
    Effect.gen(function* () {
      const gates = Gates.make()
      gates.create = "hang"
      const world = yield* open({ max: 4, prepare: 1, createTimeout: "10 seconds" }, gates)
      yield* TestClock.adjust("5 seconds")
      expect(gates.attempts).toBe(1)
      expect(counts(world)).toMatchObject({ creating: 1 })
    })
  )

  it.effect("together with others is a failure of its own for each caller", () =>
    Effect.gen(function* () {
      let attempts = 0
      const pool = yield* InstancePool.make({
        create: Effect.suspend(() => Effect.delay(Effect.fail(++attempts), 10)),
        max: 4
      })
      const callers = yield* Effect.forEach([1, 2, 3, 4], () =>
        fork(Effect.flip(InstancePool.use(pool, () => Effect.void)))
      )
      yield* TestClock.adjust(10)
      expect(callers.map(outcome)).toEqual([1, 2, 3, 4])
      expect(attempts).toBe(4)
    })
  )

  it.effect("is not tried again for callers who wait behind: each has an attempt of its own", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, onExhausted: "wait" })
      world.gates.create = 10
      const callers = yield* Effect.forEach([1, 2, 3], () => fork(use(world)))
      world.gates.create = "fail"
      yield* TestClock.adjust(10)
      yield* settle
      expect(callers.map(outcome)).toEqual([
        1,
        new Gates.GateFailure({ at: "create" }),
        new Gates.GateFailure({ at: "create" })
      ])
      expect(world.gates.attempts).toBe(3)
      yield* expectEveryPlaceWorks(world)
    })
  )

  it.effect("whose cleaning up takes its time keeps its place for as long, and no longer than destroyTimeout", () =>
    Effect.gen(function* () {
      let fails = true
      const create = Effect.gen(function* () {
        yield* Effect.addFinalizer(() => Effect.sleep(80))
        if (fails) return yield* Effect.fail("half built")
        return "built"
      })
      const { pool } = yield* Sandbox.open(InstancePool.make({ create, max: 1, destroyTimeout: 50 }))
      const caller = Effect.exit(InstancePool.use(pool, Effect.succeed))
      expect(told(yield* caller)).toBe("half built")
      fails = false
      expect(told(yield* caller)).toBe("Exhausted")
      yield* TestClock.adjust(49)
      expect(told(yield* caller)).toBe("Exhausted")
      yield* TestClock.adjust(1)
      expect(told(yield* caller)).toBe("built")
    })
  )

  it.effect("for ever so many callers who wait, at once, is no deeper than for one", () =>
    Effect.gen(function* () {
      const many = 3000
      const pool = yield* InstancePool.make({
        create: Effect.fail("no"),
        max: 1,
        onExhausted: "wait",
        acquireTimeout: "Infinity"
      })
      yield* InstancePool.suspend(pool)
      const callers = yield* Effect.forEach(Array.from({ length: many }), () =>
        fork(Effect.flip(InstancePool.use(pool, () => Effect.void)))
      )
      yield* InstancePool.resume(pool)
      expect(yield* Effect.forEach(callers, Fiber.join)).toEqual(Array.from({ length: many }, () => "no"))
      expect(pool.admission.observer.createFailed).toBe(many)
    })
  )
})

describe("an instance that does not end", () => {
  for (const gate of [...Gates.bad.filter((gate) => gate !== "false"), ...late, 50]) {
    it.effect(`gives its place back: destroy is ${inWords(gate)}`, () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 2, ...times })
        world.gates.destroy = gate
        for (let round = 0; round < 3; round++) {
          yield* Effect.all([use(world), use(world)], { concurrency: 2 })
          yield* TestClock.adjust(100)
        }
        expect(counts(world)).toEqual({ idle: 0, used: 0, creating: 0, destroying: 0, pending: 0 })
        const isReported = gate !== 50
        expect(world.events.filter(({ _tag }) => _tag === "BackgroundFailure").length).toBeGreaterThanOrEqual(
          isReported ? 6 : 0
        )
        expect(world.logs.length > 0).toBe(isReported)
        yield* expectEveryPlaceWorks(world)
      })
    )
  }

  it.effect("is the pool's affair: its caller has gone on with what the body gave", () =>
    Effect.gen(function* () {
      const world = yield* open({ name: "plugins", max: 1 })
      world.gates.destroy = "die"
      expect(yield* use(world)).toBe(1)
      expect(world.logs).toEqual([expect.stringContaining('Pool "plugins": destroy of instance 1 failed')])
    })
  )

  it.effect("keeps its place until destroyTimeout, and whoever waits is served then", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, onExhausted: "wait", destroyTimeout: 1000 })
      world.gates.destroy = "stuck"
      yield* use(world)
      const next = yield* fork(use(world))
      yield* TestClock.adjust(999)
      expect(outcome(next)).toBe("waiting")
      yield* TestClock.adjust(1)
      expect(outcome(next)).toBe(2)
    })
  )

  it.effect("delays nobody for whom there is room", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 3 })
      world.gates.destroy = "hang"
      yield* use(world)
      yield* use(world)
      expect(counts(world).destroying).toBe(2)
      expect(yield* use(world)).toBe(3)
      expect(told(yield* Effect.exit(use(world)))).toBe("Exhausted")
    })
  )
})

describe("an instance whose holder goes wrong", () => {
  const bodies: Record<
    string,
    (world: { readonly gates: Gates.Gates }) => (item: Gates.Item) => Effect.Effect<unknown, unknown>
  > = {
    fails: () => () => Effect.fail("no"),
    dies: () => () => Effect.die("no"),
    throws: () => () => {
      throw new Error("no")
    },
    "interrupts itself": () => () => Effect.interrupt,
    "is no effect": () => () => "no effect" as never
  }
  for (const [how, body] of Object.entries(bodies)) {
    it.effect(`is destroyed, and its place is there for the next: the body ${how}`, () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 1 })
        for (const round of [1, 2, 3]) {
          expect(Exit.isFailure(yield* Effect.exit(InstancePool.use(world.pool, body(world))))).toBe(true)
          expect(world.gates.items[round - 1]!.destroyed).toBe(1)
        }
        yield* expectEveryPlaceWorks(world)
      })
    )
  }

  it.effect("is reported once when it is held for long", () =>
    Effect.gen(function* () {
      const world = yield* open({ name: "plugins", leakDetection: "1 minute" })
      const holder = yield* hold(world)
      yield* TestClock.adjust("10 minutes")
      expect(world.logs).toEqual([expect.stringContaining('Pool "plugins": instance 1 has been held for 60000 ms')])
      expect(world.events.filter(({ _tag }) => _tag === "LeaseOverdue")).toHaveLength(1)
      yield* holder.release
    })
  )
})
