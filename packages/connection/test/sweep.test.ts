import { ConnectionPool } from "@effect-pools/connection"
import { Lease } from "@effect-pools/core"
import { type Gates, InterruptSweep, Subject } from "@effect-pools/testing"
import { afterAll, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { subject } from "./subject.ts"

type Options = Partial<ConnectionPool.Options<Gates.Item, Gates.GateFailure, Scope.Scope>>
type Stage = InterruptSweep.PoolStage<Gates.Item>

/** The store of a pool at rest knows the idle connections and no others. */
const audit: InterruptSweep.PoolAudit<Gates.Item> = (pool) => {
  if (!ConnectionPool.isConnectionPool(pool)) return ["it is no connection pool"]
  const known = pool.store.all.size
  const { idle } = pool.admission
  return known === idle ? [] : [`${known} connections are known, ${idle} are idle`]
}

const withOptions = (options: (gates: Gates.Gates) => Options) =>
  Subject.make({
    ...subject,
    make: (gates, { steps: _, ...settings }) =>
      ConnectionPool.make({ ...settings, acquire: gates.make, ...options(gates) })
  })

/** What only connection pools have options for. */
const own: Record<string, readonly [Subject.Subject<Gates.Item>, InterruptSweep.PoolScenario<Gates.Item>]> = {
  "get, validating the connection unused longest": [
    withOptions((gates) => ({ validate: gates.onValidate, validateAfterIdle: 0, order: "fifo" })),
    {
      prepare: (stage) =>
        Effect.andThen(
          stage.warm(),
          Effect.sync(() => (stage.gates.validate = 10))
        ),
      program: (stage) => stage.get
    }
  ],
  "get, resetting and worn out": [
    withOptions((gates) => ({ reset: gates.onReset, max: 1, maxUses: 2 })),
    {
      prepare: (stage) => {
        stage.gates.reset = 10
        stage.gates.destroy = 5
        return stage.occupy
      },
      program: (stage) => Effect.andThen(stage.get, stage.get)
    }
  ]
}

const total = { scenarios: 0, interruptions: 0, pairs: 0, leaks: 0 }
afterAll(() => {
  console.log(
    `interrupt sweep: ${total.scenarios} scenarios, ${total.interruptions} interruptions,` +
      ` ${total.pairs} of them in pairs, ${total.leaks} leaks`
  )
})

const expectClean = (report: InterruptSweep.Report): void => {
  total.scenarios++
  total.interruptions += report.interruptions
  total.pairs += report.pairs
  total.leaks += report.leaks.length
  InterruptSweep.expectClean(report)
}

describe("the lease rule", () => {
  const timeout = 60_000
  const scenarios = InterruptSweep.scenarios(subject, { audit })
  for (const { name, run } of scenarios) {
    it.live(`an interruption at any step leaks nothing: ${name}`, () => Effect.map(run, expectClean), timeout)
  }
  it("every standard scenario is played", () => {
    expect(scenarios.filter(({ skipped }) => skipped !== undefined)).toEqual([])
  })
  for (const [name, [subject, scenario]] of Object.entries(own)) {
    const sweep = InterruptSweep.run(InterruptSweep.ofPool(subject, scenario, audit))
    it.live(`an interruption at any step leaks nothing: ${name}`, () => Effect.map(sweep, expectClean), timeout)
  }
})

describe("the sweep itself", () => {
  const warm = (stage: Stage) => stage.warm()

  it.live("finds the leak of a pool that takes in one step and installs the release in the next", () =>
    Effect.gen(function* () {
      const leakyUse = ({ body, pool }: Stage) =>
        Effect.flatMap(
          Effect.suspend(() => {
            const lease = new Lease.Lease(new Lease.Request(pool.admission, undefined, undefined, false))
            return pool.admission.take(lease) ? Effect.succeed(lease) : Effect.die("nothing idle")
          }),
          (lease) =>
            Effect.onExit(body(Effect.yieldNow)(lease.entry!.value), (exit) => Effect.sync(() => lease.end(exit)))
        )
      const definition = InterruptSweep.ofPool(subject, { prepare: warm, program: leakyUse })
      const report = yield* InterruptSweep.run(definition)
      const held = report.leaks.filter(({ what }) => what.includes("used is 1"))
      expect(held.filter(({ place }) => place.primitive !== undefined).length).toBeGreaterThan(0)
      expect(held.filter(({ place }) => place.step !== undefined).length).toBeGreaterThan(0)
      expect(() => InterruptSweep.expectClean(report)).toThrow(InterruptSweep.LeaksFound)
      // The place that a leak names is enough to see it again.
      expect(yield* InterruptSweep.replay(definition, held[0]!.place)).toContain(held[0]!.what)
      expect(yield* InterruptSweep.replay(definition, { budget: 64 })).toEqual([])
    })
  )

  it.live("finds the leak of a release that the run loop skips", () =>
    Effect.gen(function* () {
      const { leaks } = yield* InterruptSweep.run(
        InterruptSweep.ofPool(subject, {
          prepare: warm,
          program: ({ body, pool }) => {
            const request = new Lease.Request(pool.admission, body(Effect.yieldNow), undefined, false)
            const lease = new Lease.Lease(request)
            return Effect.onExitPrimitive(
              lease as unknown as Effect.Effect<void>,
              (exit) => {
                lease.end(exit)
                return undefined
              },
              true
            )
          }
        })
      )
      expect(leaks.length).toBeGreaterThan(0)
    })
  )
})
