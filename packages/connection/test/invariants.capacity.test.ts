/** What is special to connections: the rest of these invariants is in the contract suite, which `contract.test.ts` runs. */
import { ConnectionPool } from "@effect-pools/connection"
import { describe, expect, it } from "@effect/vitest"
import { Gates } from "@effect-pools/testing"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import { TestClock } from "effect/testing"
import { expectExactlyOnce, counts, expectAtRest, expectEveryPlaceWorks, hold, open, settle } from "./support.ts"

const everySecond = Schedule.spaced("1 second")

describe("invariant 1 (cap)", () => {
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
})

describe("invariant 2 (exactly once)", () => {
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
})
