/** Random commands, against the model that all kinds of pools are compared with. */
import type { ArenaPool } from "@effect-pools/arena"
import { type Gates, ModelRun, type Subject } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { busy, type GatedArena, type GatedMemory, subject } from "./subject.ts"

/** `POOL_LONG` plays many more cases, new ones each time. */
const isLong = process.env["POOL_LONG"] === "1"
const budget = isLong ? { runs: 30_000, seed: Date.now() } : { runs: 300, seed: 1 }

type Pool = ArenaPool.ArenaPool<GatedMemory>

/** The model speaks of an arena as of the item that its memory is. */
const make = (kind: Subject.Subject<GatedArena>) => (gates: Gates.Gates, settings: Subject.Settings) =>
  Effect.map(kind.make(gates, settings), (made) => {
    const { store } = made as unknown as Pool
    const invalidate = store.invalidate.bind(store)
    store.invalidate = (item: unknown) => {
      for (const { value } of Array.from(store.all)) if (value.memory.item === item) invalidate(value)
    }
    return made
  })

const look = function* (made: unknown) {
  const { admission, store } = made as Pool
  let idle = 0
  for (const { state, value } of store.all) {
    if (state === "idle") idle++
    const expected = state === "idle" ? "idle" : "open"
    if (value.state !== expected) yield `an arena is ${value.state} whose place says ${state}`
    if (state === "idle" && value.allocated !== 0) yield "an idle arena is not empty"
  }
  if (idle !== admission.idle) yield `${idle} arenas are idle, ${admission.idle} are counted`
  if (store.idle.size !== idle) yield `${idle} arenas are idle, ${store.idle.size} can be handed out`
  if (store.all.size !== idle + admission.used) yield `${store.all.size} arenas are known, ${admission.used} are used`
}

describe("an arena pool", () => {
  for (const [how, kind] of [
    ["as it is", subject],
    ["that zeroes, releases and drops what is idle", busy]
  ] as const) {
    it.live(
      `does what the model says, ${how}, seed ${budget.seed}`,
      () =>
        Effect.gen(function* () {
          const { commands, runs } = yield* ModelRun.check(kind, { ...budget, length: 120 }, { make: make(kind), look })
          assert.strictEqual(runs, budget.runs)
          assert.isAbove(commands, runs * 20)
        }),
      isLong ? 3_600_000 : 60_000
    )
  }
})
