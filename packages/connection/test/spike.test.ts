import { ConnectionPool } from "@effect-pools/connection"
import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { atRest, counts, expectAtRest, holding, open, settle } from "./support.ts"

/**
 * The reference case of HikariCP ("Welcome to the jungle"): a short burst on a warm pool is over before one connection
 * has been made, and a pool that makes one per caller ends with forty too many.
 */
const CALLERS = 50
const CONNECT = 150
const QUERY = 2

const warmPool = Effect.gen(function* () {
  const world = yield* open({ min: 5, max: 50 })
  yield* settle
  expect(counts(world)).toEqual(atRest(5))
  world.gates.create = CONNECT
  return world
})

describe("spike", () => {
  it.effect(
    "fifty callers at once on five warm connections are served by those five, long before a sixth is there",
    () =>
      Effect.gen(function* () {
        const world = yield* warmPool
        const { maxCreating } = world.pool.store.options
        const start = yield* Clock.currentTimeMillis
        const doneAt: Array<number> = []
        const callers = yield* Effect.forEach(Array.from({ length: CALLERS }), () =>
          Effect.forkChild(
            Effect.andThen(
              ConnectionPool.use(
                world.pool,
                holding(world, () => Effect.sleep(QUERY))
              ),
              Effect.map(Clock.currentTimeMillis, (now) => doneAt.push(now - start))
            )
          )
        )
        yield* TestClock.adjust("10 seconds")
        for (const caller of callers) expect(Exit.isSuccess(yield* Fiber.await(caller))).toBe(true)
        // Ten rounds of five.
        expect(Math.max(...doneAt)).toBe((CALLERS / 5) * QUERY)
        expect(world.gates.attempts).toBeLessThanOrEqual(5 + maxCreating)
        expect(world.gates.most).toBeLessThanOrEqual(5 + maxCreating)
        expectAtRest(world)
      })
  )

  it.effect("every further spike makes maxCreating more at most", () =>
    Effect.gen(function* () {
      const world = yield* warmPool
      const { maxCreating } = world.pool.store.options
      for (let round = 0; round < 4; round++) {
        yield* Effect.forEach(Array.from({ length: CALLERS }), () =>
          Effect.forkChild(
            ConnectionPool.use(
              world.pool,
              holding(world, () => Effect.sleep(QUERY))
            )
          )
        )
        yield* TestClock.adjust("1 second")
      }
      expect(world.pool.admission.observer.released).toBe(4 * CALLERS)
      expect(world.gates.attempts).toBeLessThanOrEqual(5 + 4 * maxCreating)
      expectAtRest(world)
    })
  )

  it.effect("a load that lasts longer than a connect does get more connections, up to what it needs", () =>
    Effect.gen(function* () {
      const world = yield* open({ min: 5, max: 50, maxCreating: 15 })
      yield* settle
      world.gates.create = CONNECT
      yield* Effect.forEach(Array.from({ length: CALLERS }), () =>
        Effect.forkChild(
          Effect.forever(
            ConnectionPool.use(
              world.pool,
              holding(world, () => Effect.sleep(20))
            )
          )
        )
      )
      // Three rounds of fifteen: fifty callers that never rest keep fifty connections busy.
      yield* TestClock.adjust(4 * CONNECT)
      expect(world.gates.attempts).toBe(CALLERS)
      expect(world.gates.most).toBe(CALLERS)
    })
  )

  it.effect("for comparison: one connection per caller that finds none ends with fifty", () =>
    Effect.gen(function* () {
      const world = yield* open({ min: 5, max: 50, maxCreating: 50 })
      yield* settle
      world.gates.create = CONNECT
      yield* Effect.forEach(Array.from({ length: CALLERS }), () =>
        Effect.forkChild(
          ConnectionPool.use(
            world.pool,
            holding(world, () => Effect.sleep(QUERY))
          )
        )
      )
      yield* TestClock.adjust("1 second")
      expect(world.gates.attempts).toBeGreaterThan(40)
    })
  )
})
