import { ConnectionPool } from "@effect-pools/connection"
import { describe, expect, it } from "@effect/vitest"
import { Gates } from "@effect-pools/testing"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import {
  expectExactlyOnce,
  counts,
  expectAtRest,
  expectEveryPlaceWorks,
  failures,
  hold,
  holding,
  open,
  settle,
  type World
} from "./support.ts"

/** Looks at the cap at every event, which is at every transition. */
const watchCap = (world: World): { readonly most: () => number } => {
  let most = 0
  world.pool.admission.observer.listen(() => {
    const { creating, destroying, idle, used } = counts(world)
    most = Math.max(most, idle + used + creating + destroying)
  })
  return { most: () => most }
}

const everySecond = Schedule.spaced("1 second")

describe("invariant 1 (cap)", () => {
  it.effect("invariant 1 (cap): a hundred callers at once never have more than max connections", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 4, maxCreating: 10 })
      world.gates.create = 20
      const cap = watchCap(world)
      const fibers = yield* Effect.forEach(Array.from({ length: 100 }), () =>
        Effect.forkChild(
          ConnectionPool.use(
            world.pool,
            holding(world, () => Effect.sleep(5))
          )
        )
      )
      yield* TestClock.adjust("1 second")
      for (const fiber of fibers) expect(Exit.isSuccess(yield* Fiber.await(fiber))).toBe(true)
      expect(cap.most()).toBe(4)
      expect(world.gates.most).toBe(4)
      expectAtRest(world)
    })
  )

  it.effect("invariant 1 (cap): a connection that is being closed keeps its place until its finalizer has ended", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2, maxUses: 1 })
      world.gates.destroy = 100
      const cap = watchCap(world)
      const fibers = yield* Effect.forEach(Array.from({ length: 6 }), () =>
        Effect.forkChild(
          ConnectionPool.use(
            world.pool,
            holding(world, () => Effect.sleep(10))
          )
        )
      )
      yield* TestClock.adjust(105)
      expect(counts(world)).toEqual({ idle: 0, used: 0, creating: 0, destroying: 2, pending: 4 })
      yield* TestClock.adjust("1 second")
      for (const fiber of fibers) expect(Exit.isSuccess(yield* Fiber.await(fiber))).toBe(true)
      expect(cap.most()).toBe(2)
      expect(world.gates.most).toBe(2)
      expectAtRest(world)
    })
  )

  it.effect("invariant 1 (cap): a hanging finalizer gives its place back after destroyTimeout, and says so", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, maxUses: 1, destroyTimeout: "2 seconds" })
      world.gates.destroy = "stuck"
      yield* ConnectionPool.use(world.pool, () => Effect.void)
      const waiter = yield* Effect.forkChild(ConnectionPool.use(world.pool, (item) => Effect.succeed(item.id)))
      yield* TestClock.adjust(1999)
      expect(counts(world)).toEqual({ idle: 0, used: 0, creating: 0, destroying: 1, pending: 1 })
      yield* TestClock.adjust(1)
      expect(yield* Fiber.join(waiter)).toBe(2)
      expect(failures(world)).toMatchObject([{ during: "destroy", item: 1 }])
      yield* TestClock.adjust(2000)
      expect(counts(world)).toEqual({ idle: 0, used: 0, creating: 0, destroying: 0, pending: 0 })
    })
  )

  it.effect("invariant 1 (cap): what a failed attempt has opened keeps its place until it is closed", () =>
    Effect.gen(function* () {
      let openNow = 0
      let most = 0
      // Connects, then fails in the handshake; hanging up takes a second.
      const acquire = Effect.andThen(
        Effect.acquireRelease(
          Effect.sync(() => (most = Math.max(most, ++openNow))),
          () =>
            Effect.andThen(
              Effect.sleep("1 second"),
              Effect.sync(() => openNow--)
            )
        ),
        Effect.fail("handshake" as never)
      )
      const world = yield* open({
        max: 1,
        acquire,
        breaker: false,
        createRetry: Schedule.spaced("100 millis"),
        acquireTimeout: "10 seconds"
      })
      yield* Effect.forkChild(Effect.exit(ConnectionPool.use(world.pool, () => Effect.void)))
      yield* TestClock.adjust("5 seconds")
      expect(most).toBe(1)
    })
  )

  it.effect(
    "invariant 1 (cap): an attempt that is given up frees its place, and what it makes late is closed once",
    () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 1, createTimeout: "1 second", createRetry: Schedule.spaced("10 millis") })
        const cap = watchCap(world)
        world.gates.create = { late: 5000 }
        const first = yield* Effect.forkChild(ConnectionPool.use(world.pool, (item) => Effect.succeed(item.id)))
        yield* TestClock.adjust(500)
        world.gates.create = "ok"
        yield* TestClock.adjust(600)
        expect(yield* Fiber.join(first)).toBe(1)
        expect(world.gates.items[0]).toMatchObject({ destroying: 0 })
        yield* TestClock.adjust(5000)
        expect(world.gates.items[1]).toMatchObject({ destroying: 1 })
        expect(cap.most()).toBe(1)
        expectAtRest(world)
        yield* expectEveryPlaceWorks(world)
      })
  )

  it.effect("invariant 1 (cap): shrinking holds for leases, creations and checks that end later", () =>
    Effect.gen(function* () {
      const world = yield* open({
        max: 6,
        maxCreating: 2,
        health: { interval: "1 second", check: () => Effect.sleep(100) }
      })
      const leases = yield* Effect.forEach(Array.from({ length: 4 }), () => hold(world))
      for (const lease of leases.slice(0, 3)) yield* lease.release
      yield* TestClock.adjust(1010)
      expect(world.pool.store.all.size).toBe(4)
      expect(Array.from(world.pool.store.all, ({ state }) => state).sort()).toEqual([
        "checking",
        "checking",
        "idle",
        "used"
      ])
      const taken = yield* hold(world)
      world.gates.create = 50
      yield* hold(world)
      expect(counts(world).creating).toBe(1)
      yield* ConnectionPool.resize(world.pool, { max: 1 })
      yield* TestClock.adjust(200)
      yield* taken.release
      yield* leases[3]!.release
      yield* settle
      const { creating, idle, used } = counts(world)
      expect(idle + used + creating).toBe(1)
    })
  )

  it.effect("invariant 1 (cap): a connection that is ready when the pool has shrunk goes at once, counted once", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 3 })
      yield* ConnectionPool.use(world.pool, () => Effect.void)
      yield* hold(world)
      world.gates.create = 10
      const waiter = yield* Effect.forkChild(
        ConnectionPool.use(world.pool, () => Effect.void),
        {
          startImmediately: true
        }
      )
      yield* settle
      expect(counts(world)).toMatchObject({ used: 1, creating: 1, pending: 1 })
      yield* Fiber.interrupt(waiter)
      yield* ConnectionPool.resize(world.pool, { max: 1 })
      yield* TestClock.adjust(10)
      expect(counts(world)).toEqual({ idle: 0, used: 1, creating: 0, destroying: 0, pending: 0 })
      expectExactlyOnce(world.gates, 1)
    })
  )

  it.effect("invariant 1 (cap): with concurrency 2 a connection has two holders at most", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 3, concurrency: 2 })
      const cap = watchCap(world)
      let inHands = 0
      let most = 0
      const fibers = yield* Effect.forEach(Array.from({ length: 40 }), () =>
        Effect.forkChild(
          ConnectionPool.use(
            world.pool,
            holding(
              world,
              () =>
                Effect.suspend(() => {
                  most = Math.max(most, ++inHands)
                  return Effect.ensuring(
                    Effect.sleep(3),
                    Effect.sync(() => inHands--)
                  )
                }),
              2
            )
          )
        )
      )
      yield* TestClock.adjust(100)
      for (const fiber of fibers) expect(Exit.isSuccess(yield* Fiber.await(fiber))).toBe(true)
      expect(most).toBe(6)
      expect(cap.most()).toBeLessThanOrEqual(3)
      expectAtRest(world)
    })
  )
})

describe("invariant 2 (exactly once)", () => {
  const endings: Record<string, Effect.Effect<unknown, string>> = {
    success: Effect.void,
    failure: Effect.fail("no"),
    defect: Effect.die(new Error("no")),
    "interruption from within": Effect.interrupt
  }

  for (const [name, ending] of Object.entries(endings)) {
    it.effect(`invariant 2 (exactly once): use releases the connection once on ${name}`, () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 1 })
        const exit = yield* Effect.exit(
          ConnectionPool.use(
            world.pool,
            holding(world, () => ending)
          )
        )
        expect(Exit.isSuccess(exit)).toBe(name === "success")
        expectAtRest(world)
        expect(world.events.filter((event) => event._tag === "LeaseReleased").length).toBe(1)
        yield* expectEveryPlaceWorks(world)
      })
    )

    it.effect(`invariant 2 (exactly once): get releases the connection once when its scope closes with ${name}`, () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 1 })
        const exit = yield* Effect.exit(Effect.scoped(Effect.andThen(ConnectionPool.get(world.pool), ending)))
        expect(Exit.isSuccess(exit)).toBe(name === "success")
        expectAtRest(world)
        yield* expectEveryPlaceWorks(world)
      })
    )
  }

  it.effect("invariant 2 (exactly once): a body that throws instead of returning an effect gives its lease back", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      for (const use of [ConnectionPool.use, ConnectionPool.useIfAvailable] as Array<typeof ConnectionPool.use>) {
        const exit = yield* Effect.exit(
          use(world.pool, (): Effect.Effect<void> => {
            throw new Error("thrown")
          })
        )
        expect(Exit.isFailure(exit) && Cause.hasDies(exit.cause)).toBe(true)
        expectAtRest(world)
      }
      yield* expectEveryPlaceWorks(world)
    })
  )

  it.effect("invariant 2 (exactly once): leases of several scopes end in any order", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 3, concurrency: 2 })
      const orders = [
        [0, 1, 2, 3, 4, 5],
        [5, 4, 3, 2, 1, 0],
        [2, 5, 0, 3, 1, 4]
      ]
      for (const order of orders) {
        const scopes = yield* Effect.forEach(order, () => Scope.make())
        for (const scope of scopes) yield* Scope.provide(ConnectionPool.get(world.pool), scope)
        expect(counts(world).used).toBe(3)
        for (const index of order) yield* Scope.close(scopes[index]!, Exit.void)
        expectAtRest(world)
      }
    })
  )

  it.effect("invariant 2 (exactly once): a lease taken into a scope that is closed already is over at once", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const scope = yield* Scope.make()
      yield* Scope.close(scope, Exit.void)
      yield* Scope.provide(ConnectionPool.get(world.pool), scope)
      expectAtRest(world)
      yield* expectEveryPlaceWorks(world)
    })
  )

  it.effect("invariant 2 (exactly once): one effect run by many fibers is a lease each", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 3 })
      const once = ConnectionPool.use(
        world.pool,
        holding(world, () => Effect.sleep(1))
      )
      const all = yield* Effect.forkChild(Effect.all([once, once, once, once, once], { concurrency: "unbounded" }))
      yield* TestClock.adjust(10)
      yield* Fiber.join(all)
      yield* Effect.forkChild(Effect.repeat(once, { times: 3 }))
      yield* TestClock.adjust(10)
      expectAtRest(world)
      expect(world.pool.admission.observer.acquired).toBe(9)
    })
  )

  it.effect("invariant 2 (exactly once): every way to go destroys a connection once", () =>
    Effect.gen(function* () {
      const world = yield* open({
        max: 5,
        maxUses: 3,
        idleTimeout: "10 seconds",
        maxLifetime: "15 seconds",
        lifetimeJitter: 0
      })
      const { gates, pool } = world
      // Of three: one worn out, one invalidated in use, one left to grow old; then two die of the idle timeout.
      for (let use = 0; use < 3; use++) yield* ConnectionPool.use(pool, () => Effect.void)
      yield* ConnectionPool.use(pool, (item) => ConnectionPool.invalidate(pool, item))
      yield* ConnectionPool.use(pool, (item) =>
        Effect.andThen(ConnectionPool.report(pool, item, "fatal"), ConnectionPool.invalidate(pool, item))
      )
      const old = yield* hold(world)
      yield* ConnectionPool.use(pool, () => Effect.void)
      yield* TestClock.adjust("12 seconds")
      yield* ConnectionPool.use(pool, () => Effect.void)
      yield* TestClock.adjust("5 seconds")
      yield* old.release
      yield* ConnectionPool.use(pool, (item) => Effect.succeed(item))
      yield* ConnectionPool.resize(pool, { max: 1 })
      yield* settle
      yield* world.close
      expect(pool.admission.observer.destroyed).toMatchObject({
        maxUses: 1,
        invalidated: 1,
        unhealthy: 1,
        idleTimeout: 1,
        maxLifetime: 1
      })
      expectExactlyOnce(gates, 0)
      const destroyed = world.events.filter((event) => event._tag === "ItemDestroyed").map((event) => event.item)
      expect(new Set(destroyed).size).toBe(destroyed.length)
      expect(destroyed.length).toBe(gates.items.length)
    })
  )
})

describe("invariant 5 (no slot is lost)", () => {
  /** What stands at each hook, and whether the caller gets through in the end. */
  const hooks = ["validate", "reset", "check", "destroy"] as const
  const gates: ReadonlyArray<Gates.Gate> = [...Gates.bad, { late: 60_000 }, { late: 20_000, ending: "die" }]
  const show = (gate: Gates.Gate) => (typeof gate === "object" ? `late, then ${gate.ending ?? "ok"}` : gate)

  for (const gate of gates) {
    if (gate !== "false") {
      it.effect(`invariant 5 (no slot is lost): acquire: ${show(gate)}`, () =>
        Effect.gen(function* () {
          const world = yield* open({ max: 2, createTimeout: "2 seconds", createRetry: everySecond, breaker: false })
          world.gates.create = gate
          const callers = yield* Effect.forEach(Array.from({ length: 3 }), () =>
            Effect.forkChild(Effect.exit(ConnectionPool.use(world.pool, () => Effect.void, { acquireTimeout: 10_000 })))
          )
          yield* TestClock.adjust("10 seconds")
          for (const caller of callers) expect(Exit.isFailure(yield* Fiber.join(caller))).toBe(true)
          expect(world.gates.attempts).toBeLessThanOrEqual(2 * 11)
          world.gates.create = "ok"
          yield* TestClock.adjust("3 minutes")
          expectAtRest(world)
          yield* expectEveryPlaceWorks(world)
          // Those that came late are closed too.
          yield* world.close
          expectExactlyOnce(world.gates, 0)
        })
      )
    }

    for (const hook of hooks) {
      it.effect(`invariant 5 (no slot is lost): ${hook}: ${show(gate)}`, () =>
        Effect.gen(function* () {
          const { gates, ...world } = yield* openWithHooks
          yield* ConnectionPool.use(world.pool, () => Effect.void)
          yield* TestClock.adjust(500)
          gates[hook] = gate
          // Three rounds through every hook: validated, used, reset, worn out or not, checked in the background.
          for (let round = 0; round < 3; round++) {
            const callers = yield* Effect.forEach(Array.from({ length: 3 }), () =>
              Effect.forkChild(Effect.exit(ConnectionPool.use(world.pool, () => Effect.sleep(1))))
            )
            yield* TestClock.adjust("1 minute")
            for (const caller of callers) expect(Exit.isSuccess(yield* Fiber.join(caller))).toBe(true)
            yield* TestClock.adjust("2 minutes")
          }
          expectAtRest({ gates, ...world })
          expect(gates.validations + gates.resets + gates.checks).toBeGreaterThan(0)
          yield* expectEveryPlaceWorks({ gates, ...world })
          yield* TestClock.adjust("2 minutes")
          yield* world.close
          expectExactlyOnce(gates, 0)
        })
      )
    }
  }

  const openWithHooks = Effect.gen(function* () {
    const world = yield* open({ max: 2 })
    yield* world.close
    const { gates } = world
    return yield* open(
      {
        max: 2,
        maxUses: 5,
        validate: gates.onValidate,
        validateAfterIdle: 100,
        validationTimeout: "2 seconds",
        reset: gates.onReset,
        resetTimeout: "2 seconds",
        destroyTimeout: "2 seconds",
        health: { interval: "10 seconds", check: gates.onCheck, timeout: "2 seconds" }
      },
      gates
    )
  })

  it.effect("invariant 5 (no slot is lost): a waiter that leaves keeps neither its connection nor its place", () =>
    Effect.gen(function* () {
      for (const phase of ["creating", "validating", "queue"] as const) {
        const { gates, ...world } = yield* openWithHooks
        const all = { gates, ...world }
        const blockers: Array<Effect.Success<ReturnType<typeof hold>>> = []
        if (phase === "creating") gates.create = 100
        if (phase === "validating") {
          yield* ConnectionPool.use(world.pool, () => Effect.void)
          yield* TestClock.adjust(200)
          gates.validate = 100
        }
        if (phase === "queue") blockers.push(yield* hold(all), yield* hold(all))
        const waiter = yield* Effect.forkChild(
          ConnectionPool.use(world.pool, () => Effect.void),
          {
            startImmediately: true
          }
        )
        yield* TestClock.adjust(50)
        expect(counts(all).pending).toBe(1)
        yield* Fiber.interrupt(waiter)
        expect(counts(all).pending).toBe(0)
        for (const blocker of blockers) yield* blocker.release
        yield* TestClock.adjust(100)
        expectAtRest(all)
        // What was being made or validated for it is there for the next one.
        if (phase !== "queue") expect(counts(all).idle).toBe(1)
        yield* expectEveryPlaceWorks(all)
      }
    })
  )
})
