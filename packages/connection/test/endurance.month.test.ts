import { ConnectionPool } from "@effect-pools/connection"
import { Gates, Sandbox } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { isLong } from "./endurance/settings.ts"
import { type Promises, Timekeeper } from "./endurance/timekeeper.ts"

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const HOLD = 1000
const DAYS = isLong ? 365 : 30

/** How many callers come at once, six times an hour, in each hour of the day: more than `max` at noon. */
const CALLERS = [1, 1, 1, 1, 1, 1, 2, 4, 8, 12, 16, 24, 24, 16, 12, 12, 8, 6, 4, 4, 2, 2, 1, 1]

const promises: Promises = {
  min: 2,
  max: 20,
  maxLifetime: 30 * MINUTE,
  lifetimeJitter: 0.25,
  idleTimeout: 5 * MINUTE,
  hold: HOLD
}

type Options = Partial<ConnectionPool.Options<Gates.Item, Gates.GateFailure, Scope.Scope>>

const open = (gates: Gates.Gates, options: Options) =>
  Sandbox.open(
    ConnectionPool.make({
      acquire: gates.make,
      min: promises.min,
      max: promises.max,
      maxLifetime: promises.maxLifetime,
      lifetimeJitter: promises.lifetimeJitter,
      idleTimeout: promises.idleTimeout,
      ...options
    })
  )

/** Lets days go by, and answers with everything that was not as promised. */
const live = Effect.fnUntraced(function* (days: number, promised: Promises, options: (gates: Gates.Gates) => Options) {
  const gates = Gates.make()
  const sandbox = yield* open(gates, options(gates))
  const { pool } = sandbox
  const timekeeper = new Timekeeper(promised)
  const wrong: Array<string> = timekeeper.wrong
  // The first connections were there before anybody could listen: others take their place.
  pool.admission.observer.listen((event) => timekeeper.hear(event))
  for (const { connection } of yield* ConnectionPool.connections(pool)) {
    yield* ConnectionPool.invalidate(pool, connection)
  }
  yield* Sandbox.settle
  let served = 0
  const call = ConnectionPool.use(pool, (item) =>
    gates.holding(
      item,
      Effect.map(Effect.sleep(HOLD), () => served++)
    )
  )
  let called = 0
  for (let hour = 0; hour < days * 24 && wrong.length === 0; hour++) {
    const start = yield* Clock.currentTimeMillis
    for (let n = 0; n < 6; n++) {
      const callers = CALLERS[hour % 24]!
      called += callers
      for (let caller = 0; caller < callers; caller++) yield* Effect.forkChild(call, { startImmediately: true })
      // At another moment of the minute each time: what happens every minute is not always met.
      yield* TestClock.adjust(9 * MINUTE - 10_000 + (((hour * 6 + n) * 7919) % 20_000))
    }
    yield* TestClock.setTime(start + HOUR)
    timekeeper.look(start + HOUR)
    sandbox.events.length = 0
    const { idle, used } = pool.admission
    if (idle !== promised.min || used !== 0) wrong.push(`${idle} idle and ${used} used after ${hour} hours`)
    const { fibers, sleeps } = sandbox.left
    // Housekeeping, and for a second after each creation whether that has ended.
    if (sleeps > 2 || fibers > 2) wrong.push(`${sleeps} sleeps and ${fibers} fibers after ${hour} hours`)
  }
  const { checks, created, lifetimes, meanLifetime } = timekeeper
  const expectedChecks = timekeeper.expectedUntil(yield* Clock.currentTimeMillis)
  const { exhausted, timeouts } = pool.admission.observer
  if (timeouts > 0 || exhausted > 0 || served !== called) wrong.push(`${served} of ${called} were served`)
  yield* sandbox.close
  wrong.push(...gates.audit(0), ...Sandbox.leftovers(sandbox), ...sandbox.logs)
  return { wrong, most: gates.most, checks, expectedChecks, created, lifetimes, meanLifetime, served }
})

describe(`${DAYS} days`, { timeout: isLong ? 3_600_000 : 120_000 }, () => {
  it.effect("of lifetimes, idle timeouts and health checks, by day and by night, go as the options say", () =>
    Effect.gen(function* () {
      const checkInterval = isLong ? MINUTE / 2 : MINUTE
      const { checks, created, expectedChecks, lifetimes, meanLifetime, most, wrong } = yield* live(
        DAYS,
        { ...promises, checkInterval },
        (gates) => ({ keepAlive: "2 minutes", health: { interval: checkInterval, check: gates.onCheck } })
      )
      assert.deepStrictEqual(wrong, [])
      assert.strictEqual(most, promises.max)
      // Two connections that are replaced every 22.5 to 30 minutes, and those of the day besides.
      assert.isAbove(lifetimes, DAYS * 100)
      assert.isAbove(created, lifetimes)
      assert.approximately(meanLifetime / MINUTE, 26.25, 0.2625)
      assert.isAbove(checks, (DAYS * 24 * HOUR) / checkInterval)
      assert.approximately(checks / expectedChecks, 1, 0.01)
    })
  )

  it.effect("of keep-alive, or a fifth of them: nothing lies idle for longer without a sign of life", () =>
    Effect.gen(function* () {
      const keepAlive = 2 * MINUTE
      const { checks, wrong } = yield* live(DAYS / 5, { ...promises, keepAlive }, (gates) => ({
        keepAlive,
        validate: gates.onValidate,
        health: false
      }))
      assert.deepStrictEqual(wrong, [])
      assert.isAbove(checks, (DAYS * 24 * HOUR) / 5 / keepAlive)
    })
  )

  const broken: ReadonlyArray<readonly [string, string, Options]> = [
    ["checks that come late", "was checked after 61000 ms", { health: { interval: 61_000 } }],
    ["checks that come early", "was checked after 59000 ms", { health: { interval: 59_000 } }],
    ["connections that live too long", "lived for 18", { maxLifetime: 31 * MINUTE, lifetimeJitter: 0 }],
    ["connections that live too short", "was too old after", { maxLifetime: 22 * MINUTE, lifetimeJitter: 0 }],
    ["connections that stay unused", "idle and 0 used", { idleTimeout: 20 * MINUTE }],
    [
      "connections that do not stay long enough",
      "was unused for too long after 240000 ms",
      { idleTimeout: 4 * MINUTE }
    ],
    ["a size that is not kept", "1 idle and 0 used", { min: 1 }]
  ]
  for (const [what, said, options] of broken) {
    it.effect(`would find ${what}`, () =>
      Effect.gen(function* () {
        const { wrong } = yield* live(2, { ...promises, checkInterval: MINUTE }, (gates) => ({
          validate: gates.onValidate,
          health: { interval: MINUTE },
          ...options
        }))
        assert.include(wrong.join("\n"), said)
      })
    )
  }
})
