import { ConnectionPool } from "@effect-pools/connection"
import { Lease, type Pool } from "@effect-pools/core"
import { GateCombinations, type Gates, Subject } from "@effect-pools/testing"
import { afterAll, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { subject } from "./subject.ts"

/** `POOL_LONG=1` runs each combination 20 times as often. */
const isLong = process.env["POOL_LONG"] === "1"
const plays = isLong ? 40 : 2
const timeout = isLong ? 1_200_000 : 120_000

const total = { combinations: 0, plays: 0, cancellations: 0, observations: 0, faults: 0 }
afterAll(() => {
  console.log(
    `gates: ${total.combinations} combinations in ${total.plays} runs, ${total.cancellations} cancellations,` +
      ` ${total.observations} observations, ${total.faults} faults`
  )
})

const expectSound = (combinations: ReadonlyArray<GateCombinations.Combination>) =>
  Effect.gen(function* () {
    const report = yield* GateCombinations.run(subject, { combinations, plays })
    total.combinations += report.combinations
    total.plays += report.plays
    total.cancellations += report.cancellations
    total.observations += report.observations
    total.faults += report.faults.length
    GateCombinations.expectSound(report)
    // With fewer it would not be under cancellation, or the gates would not have been reached.
    expect(report.cancellations).toBeGreaterThan(2 * report.plays)
    expect(report.observations).toBeGreaterThan(100 * report.plays)
    for (const count of Object.values(report.begun)) expect(count).toBeGreaterThan(report.plays / 4)
  })

describe("every combination of gates under cancellation", () => {
  const all = GateCombinations.all(subject)

  it("there are five gates at each of five steps", () => {
    expect(all).toHaveLength(5 ** 5)
  })

  for (const gate of ["ok", "fail", "die", 20, "hang"] as const) {
    const combinations = all.filter(({ create }) => create === gate)
    it.live(`leaves the pool sound with creation: ${gate}`, () => expectSound(combinations), timeout)
  }

  it.live(
    "leaves the pool sound with steps that say no, interrupt themselves, are stuck or late",
    () => expectSound(GateCombinations.pairwise(subject)),
    timeout
  )
})

describe("the combinations find a pool that", () => {
  type Options = Partial<ConnectionPool.Options<Gates.Item, Gates.GateFailure, Scope.Scope>>

  const broken = (options: (gates: Gates.Gates, pool: () => Pool.Pool<any, any>) => Options) =>
    Subject.make({
      ...subject,
      make: (gates, { steps: _, ...settings }) => {
        let pool: Pool.Pool<any, any> | undefined
        return Effect.tap(
          ConnectionPool.make({
            ...settings,
            acquire: gates.make,
            validate: gates.onValidate,
            validateAfterIdle: 0,
            reset: gates.onReset,
            health: { check: gates.onCheck },
            ...options(gates, () => pool!)
          }),
          (made) => Effect.sync(() => (pool = made))
        )
      }
    })

  /** Takes in one step and installs the release many steps later: a caller is interrupted in one of forty. */
  const leakyUse: Subject.Subject<Gates.Item>["use"] = (pool, body, options) =>
    Effect.flatMap(
      Effect.sync(() => new Lease.Lease(new Lease.Request(pool.admission, undefined, undefined, false))),
      (lease) =>
        pool.admission.take(lease)
          ? Effect.andThen(
              Effect.replicateEffect(Effect.yieldNow, 300, { discard: true }),
              Effect.onExit(body(lease.entry!.value), (exit) => Effect.sync(() => lease.end(exit)))
            )
          : subject.use(pool, body, options)
    )

  const faults: Record<string, readonly [Subject.Subject<Gates.Item>, RegExp, Partial<GateCombinations.Combination>]> =
    {
      "takes an item before it has seen to its release": [{ ...subject, use: leakyUse }, /in use by nobody/, {}],
      "loses the place of a connection whose validation dies": [
        broken((gates, pool) => ({
          validate: (item) =>
            Effect.onExit(gates.onValidate(item), (exit) =>
              Effect.sync(() => {
                if (Exit.hasDies(exit)) pool().admission.used++
              })
            )
        })),
        /in use by nobody|there may be 3 items/,
        { validate: "die" }
      ],
      "loses the place of a connection whose reset never ends": [
        broken((gates, pool) => ({
          reset: (item) =>
            Effect.onInterrupt(gates.onReset(item), () =>
              Effect.sync(() => {
                pool().admission.destroying++
              })
            )
        })),
        /there may be 3 items|of 3 places work|closing does not end/,
        { reset: "hang" }
      ],
      "destroys a connection twice": [
        broken((gates) => ({
          acquire: Effect.tap(gates.make, (item) => Effect.addFinalizer(() => Effect.sync(() => item.destroying++)))
        })),
        /destroyed 2 times/,
        { create: 20 }
      ],
      "forgets to destroy a connection": [
        broken((gates) => ({ acquire: Scope.provide(gates.make, Scope.makeUnsafe()) })),
        /was destroyed 0 times/,
        { create: 20 }
      ],
      "gives up the place of a connection whose end goes on": [
        broken(() => ({ destroyTimeout: 1 })),
        /items are there/,
        { destroy: 20, reset: "fail" }
      ],
      "makes one connection too many": [
        Subject.make({
          ...subject,
          make: (gates, { max = 10, ...rest }) => subject.make(gates, { ...rest, max: max + 1 })
        }),
        /there may be 3 items/,
        {}
      ],
      "leaves a caller without an answer when creation dies": [
        {
          ...subject,
          use: (pool, body, options) =>
            Effect.catchDefect(subject.use(pool, body, options), (defect) =>
              String(defect).includes("create died") ? Effect.never : Effect.die(defect)
            )
        },
        /callers have no answer/,
        { create: "die", reset: "fail" }
      ]
    }

  for (const [name, [broken, what, only]] of Object.entries(faults)) {
    it.live(name, () =>
      Effect.gen(function* () {
        const combinations = GateCombinations.all(subject).filter((combination) =>
          Object.entries(only).every(([step, gate]) => combination[step as Gates.Step] === gate)
        )
        const sample = combinations.filter((_, n) => n % Math.ceil(combinations.length / 25) === 0)
        const report = yield* GateCombinations.run(broken, { combinations: sample })
        const found = report.faults.filter((fault) => what.test(fault.what))
        expect(found.length).toBeGreaterThan(0)
        expect(() => GateCombinations.expectSound(report)).toThrow(GateCombinations.FaultsFound)
        // What a fault names is enough to see it again.
        expect(yield* GateCombinations.replay(broken, found[0]!)).toContain(found[0]!.what)
      })
    )
  }
})
