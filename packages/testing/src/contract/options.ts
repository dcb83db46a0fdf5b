import { InvalidOptions, Pool } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Settings, Trait } from "../Subject.ts"
import { make as makeGates } from "../Gates.ts"
import { ContractViolation, equal, includes, says } from "./expect.ts"
import { group, type Plan } from "./plan.ts"
import { settle } from "./world.ts"

const options = group("InvalidOptions")

/** The effect fails with `InvalidOptions` that name the field and the pool. */
const refused = Effect.fnUntraced(function* (
  what: string,
  effect: Effect.Effect<unknown, unknown>,
  field: string,
  pool?: string
) {
  const error = yield* Effect.result(effect)
  const failure: unknown = error._tag === "Failure" ? error.failure : error
  if (!(failure instanceof InvalidOptions.InvalidOptions)) {
    return yield* new ContractViolation({ what, expected: `InvalidOptions about ${field}`, actual: failure })
  }
  yield* equal(`${what}: field`, failure.field, field)
  if (pool !== undefined) yield* equal(`${what}: pool`, failure.pool, pool)
  yield* equal(`${what}: it says the rule and the value`, failure.rule.length > 0 && failure.value.length > 0, true)
  yield* says(`${what}: message`, failure.message, `"${field}"`)
})

const notCounts = [NaN, -1, 1.5, -Infinity, 2 ** 53, "3", "", true, null, {}, [3], () => 3, 3n]
const notDurations = [NaN, -1, "soon", "5 parsecs", true, null, {}, [1, 2, 3], { second: 1 }, () => 1]

/** The options that every kind has, if it has the trait, and values that make no sense in them. */
const table: ReadonlyArray<readonly [keyof Settings, ReadonlyArray<unknown>, Trait?]> = [
  ["name", ["", "  ", 1, null, {}]],
  ["max", [0, Infinity, ...notCounts]],
  ["min", [Infinity, ...notCounts], "minimum"],
  ["acquireTimeout", notDurations, "waiting"],
  ["maxWaiters", notCounts, "waiting"],
  ["maxCreating", [0, ...notCounts], "creationLimit"],
  ["createTimeout", [0, ...notDurations], "time"],
  ["destroyTimeout", [0, ...notDurations], "time"],
  ["closeGrace", notDurations, "grace"],
  ["concurrency", [0, Infinity, ...notCounts], "sharing"]
]

export const plans: ReadonlyArray<Plan> = [
  ...table.map(([field, values, trait]) =>
    options.kind(
      `make refuses a ${field} that makes no sense`,
      { needs: trait === undefined ? [] : [trait] },
      (subject) =>
        Effect.gen(function* () {
          for (const value of values) {
            const settings = { name: "picky", steps: [], [field]: value } as unknown as Settings
            const gates = makeGates()
            const pool = field === "name" ? undefined : "picky"
            yield* refused(
              `${field}: ${String(typeof value)}`,
              Effect.scoped(subject.make(gates, settings)),
              field,
              pool
            )
            yield* equal("attempts to make items", gates.attempts, 0)
          }
        })
    )
  ),

  options.kind("make refuses a min above max", { needs: ["minimum"] }, (subject) =>
    refused(
      "min above max",
      Effect.scoped(subject.make(makeGates(), { name: "picky", min: 3, max: 2, steps: [] })),
      "min",
      "picky"
    )
  ),

  options.pool("resize refuses sizes that make no sense, and nothing changes", { max: 3, name: "picky" }, (world) =>
    Effect.gen(function* () {
      const resize = (size: unknown) => Pool.resize(world.pool, size as { readonly max?: number })
      for (const value of [0, Infinity, ...notCounts]) yield* refused("max", resize({ max: value }), "max", "picky")
      for (const value of [Infinity, ...notCounts]) yield* refused("min", resize({ min: value }), "min", "picky")
      yield* refused("min above max", resize({ min: 4 }), "min", "picky")
      yield* refused("max below min", resize({ min: 2, max: 1 }), "min", "picky")
      yield* refused("an unknown field", resize({ maximum: 4 }), "maximum", "picky")
      for (const size of [1, "1", [], true]) yield* refused("no object", resize(size), "options", "picky")
      yield* includes("stats", world.stats, { min: 0, max: 3 })
      yield* equal("events", world.events, [])
    })
  ),

  options.pool("a call refuses options that make no sense, and takes nothing", { max: 1, name: "picky" }, (world) =>
    Effect.gen(function* () {
      const calls = (given: unknown): ReadonlyArray<Effect.Effect<unknown, unknown>> => {
        const options = given as Pool.AcquireOptions
        return [
          world.use(() => Effect.die("it ran"), options),
          Effect.scoped(world.get(options)),
          Pool.use(() => Effect.die("it ran"), options)(world.pool)
        ]
      }
      const hostile: Array<[string, unknown]> = [
        ...[NaN, Infinity, -Infinity, "high", null, {}, true, 1n].map((priority): [string, unknown] => [
          "priority",
          { priority }
        ]),
        ...notDurations.map((acquireTimeout): [string, unknown] => ["acquireTimeout", { acquireTimeout }]),
        ["timeout", { timeout: 1 }],
        ["Priority", { Priority: 1 }],
        ...[1, "now", [], true].map((given): [string, unknown] => ["options", given])
      ]
      for (const [field, given] of hostile) {
        for (const call of calls(given)) yield* refused(field, call, field, "picky")
      }
      yield* settle
      yield* equal("attempts to make items", world.gates.attempts, 0)
      yield* includes("stats", world.stats, { acquired: 0, exhausted: 0, pending: 0 })
    })
  ),

  options.pool("a call takes options that make sense, also if they are undefined", { max: 1 }, (world) =>
    Effect.gen(function* () {
      for (const given of [
        undefined,
        {},
        { priority: undefined, acquireTimeout: undefined },
        { priority: -0.5, acquireTimeout: "1 second" },
        { acquireTimeout: Infinity },
        { acquireTimeout: { seconds: 1 } }
      ] as ReadonlyArray<Pool.AcquireOptions>) {
        yield* equal("a caller", (yield* world.call(given)).answer, "served")
        yield* settle
      }
    })
  ),

  options.pool(
    "drain refuses a grace that makes no sense, and the pool stays open",
    { max: 1, name: "picky" },
    (world) =>
      Effect.gen(function* () {
        for (const grace of notDurations)
          yield* refused("grace", Pool.drain(world.pool, grace as never), "grace", "picky")
        yield* equal("state", world.stats.state, "open")
        yield* equal("a caller", (yield* world.call()).answer, "served")
      })
  ),

  options.pool("events refuses a capacity that makes no sense", { max: 1, name: "picky" }, (world) =>
    Effect.gen(function* () {
      for (const capacity of [0, Infinity, ...notCounts]) {
        const read = Stream.runDrain(Pool.events(world.pool, { capacity: capacity as number }))
        yield* refused("capacity", read, "capacity", "picky")
      }
    })
  )
]
