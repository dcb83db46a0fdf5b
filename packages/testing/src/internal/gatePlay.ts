import { Pool } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Combination } from "../GateCombinations.ts"
import { Gates, type Step } from "../Gates.ts"
import type { Settings, Subject } from "../Subject.ts"
import { Callers } from "./gateCallers.ts"
import { Watch } from "./gateWatch.ts"
import { pseudoRandom } from "./pseudoRandom.ts"
import { World } from "./world.ts"

interface Play {
  readonly cancellations: number
  readonly observations: number
  readonly begun: { readonly [S in Step]: number }
  readonly faults: ReadonlyArray<string>
}

const MAX = 3

const settings = {
  name: "gated",
  max: MAX,
  acquireTimeout: 400,
  createTimeout: 100,
  destroyTimeout: 100,
  closeGrace: 300,
  maxCreating: 2,
  steps: ["validate", "reset", "check"]
} satisfies Settings

/** In which every idle item comes to be checked. */
const A_ROUND = 31_000

/** In which every step that does not end is given up. */
const A_WHILE = 8000

/** How often a caller is interrupted: once in so many steps. */
const STEPS_PER_CANCELLATION = 40

/** Runs the program once, and looks at the pool before every step. */
export const playGates = async <A>(
  subject: Subject<A>,
  combination: Combination,
  seed: number,
  closesInTheMiddle: boolean
): Promise<Play> => {
  const random = pseudoRandom(seed)
  const below = (limit: number) => Math.floor(random() * limit)
  // Spans cost a tenth of the time, and waiting with one is a way of its own: in a part of the runs.
  const world = new World([3, 5, 17, 2048][below(4)], seed, below(4) === 0)
  const { runtime } = world
  const gates = new Gates()
  const scope = Scope.makeUnsafe()
  const min = subject.lacks.minimum === undefined && below(4) === 0 ? 2 : 0
  const concurrency = subject.lacks.sharing === undefined && below(4) === 0 ? 2 : 1
  const pool = await world.finish(Scope.provide(subject.make(gates, { ...settings, min, concurrency }), scope))
  const watch = new Watch({ pool, gates, combination, max: MAX, hasGrace: subject.lacks.grace === undefined })
  const callers = new Callers({ subject, world, gates, pool, below, max: MAX, concurrency })
  let observations = 0
  const goOn = async (millis: number, until: () => boolean = () => false) => {
    const horizon = runtime.now + millis
    let wasReached = false
    await runtime.run(() => {
      observations++
      watch.look()
      if (below(STEPS_PER_CANCELLATION) === 0) callers.cancelOne()
      wasReached = until()
      return wasReached
    }, horizon)
    if (!wasReached) runtime.now = horizon
  }
  const come = async (count: number, between: number) => {
    for (let n = 0; n < count; n++) {
      callers.start()
      if (between > 0) await goOn(below(between))
    }
  }
  const command = async (effect: Effect.Effect<void, unknown>) => {
    const fiber = world.fork(effect)
    await goOn(0, () => fiber.pollUnsafe() !== undefined)
  }
  const resize = async (max: number) => {
    watch.max = Math.max(watch.max, max)
    await command(Pool.resize(pool, { min: Math.min(min, max), max }))
    watch.max = max
  }

  // There are items for all that follows; from now on things go as they should not.
  await world.finish(Effect.scoped(Effect.all(Array.from({ length: MAX }, () => subject.get(pool)))))
  const before = begunOf(gates)
  Object.assign(gates, combination)
  await come(below(2) * 4, 0)
  await come(4, 3)
  callers.invalidateOne()
  await goOn(below(30))
  await come(2, 3)
  // Into the middle of a check, if there are checks.
  const { checks } = gates
  await goOn(A_ROUND, () => gates.checks > checks)
  await come(4, 3)
  if (below(2) === 0) {
    await resize(1)
    await come(2, 3)
    await goOn(A_WHILE)
    watch.expectAtMost(1)
  } else {
    await command(Pool.suspend(pool))
    await come(3, 3)
    await command(Pool.resume(pool))
    await goOn(A_WHILE)
  }
  watch.expectAnswers(callers, "when there was time")
  await come(2, 3)
  await resize(MAX)
  await come(2, 3)
  await goOn(below(200))
  if (closesInTheMiddle) {
    await come(5, 0)
    await goOn(below(3))
  } else {
    gates.allWell()
    await goOn(A_WHILE)
    watch.expectAnswers(callers, "when all is well again")
    watch.faults.push(...world.inUse())
    await callers.expectPlaces(watch.faults, "together", Effect.void, Effect.void)
    if (subject.lacks.waiting === undefined) {
      await callers.expectPlaces(watch.faults, "after a suspension", Pool.suspend(pool), Pool.resume(pool))
      const shrink = Pool.resize(pool, { min: Math.min(min, 1), max: 1 })
      await callers.expectPlaces(watch.faults, "after growing", shrink, Pool.resize(pool, { min, max: MAX }))
      await callers.expectTurns(watch.faults)
    }
  }
  let few = below(8)
  const close = Scope.close(scope, Exit.void)
  const drain = Effect.andThen(
    Pool.drain(pool, 50 + below(300)),
    Effect.sync(() => pool.admission.hasEnded || watch.faults.push("draining ends before the pool has closed"))
  )
  const closing = world.fork(below(3) === 0 ? Effect.andThen(drain, close) : close)
  await goOn(0, () => few-- <= 0)
  await come(2, 3)
  await goOn(A_WHILE)
  watch.expectAnswers(callers, "after the close")
  if (closing.pollUnsafe() === undefined) watch.faults.push("closing does not end")
  watch.expectNothingLeft(world)
  const after = begunOf(gates)
  for (const step of Object.keys(after) as Array<Step>) after[step] -= before[step]
  return { cancellations: callers.cancelled.size, observations, begun: after, faults: watch.faults }
}

const begunOf = (gates: Gates): { [S in Step]: number } => ({
  create: gates.attempts,
  validate: gates.validations,
  reset: gates.resets,
  check: gates.checks,
  destroy: gates.items.filter((item) => item.destroying > 0).length
})
