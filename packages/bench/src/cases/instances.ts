import { Budget } from "@effect-pools/core"
import { InstancePool } from "@effect-pools/instance"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Case, Contender } from "../harness.ts"
import { inOneFiber } from "../loops.ts"
import type { Effort } from "../settings.ts"

const body = Effect.succeed(undefined)
const useBody = () => body

const create = Effect.sync(() => ({}))
/** As most instances are: with something to do at their end. */
const createEnding = Effect.acquireRelease(create, () => Effect.void)

/** A lease on an instance of its own, against its factory alone. */
export const makeInstances = Effect.fnUntraced(function* ({
  isQuick
}: Effort): Effect.fn.Return<ReadonlyArray<Case>, unknown, Scope.Scope> {
  const pool = yield* InstancePool.make({ create })
  const budgeted = yield* InstancePool.make({ create, budget: yield* Budget.make({ max: 4 }) })
  const ending = yield* InstancePool.make({ create: createEnding })
  const uses = {
    "bare factory": Effect.flatMap(create, useBody),
    "bare factory in a scope": Effect.scoped(Effect.flatMap(createEnding, useBody)),
    "InstancePool.use": InstancePool.use(pool, useBody),
    "InstancePool.use, with a finalizer": InstancePool.use(ending, useBody),
    "InstancePool.use, under a budget": InstancePool.use(budgeted, useBody)
  }
  const leases: Case = {
    name: "instance-lease",
    title: "a lease on an instance of its own",
    method:
      "One fiber, Effect.whileLoop, `create` is an Effect.sync, without and with a finalizer; the effect is built once." +
      " A pool builds and destroys in fibers of its own, which time out and which no caller can interrupt.",
    operations: isQuick ? 5000 : 10_000,
    rounds: isQuick ? 11 : 101,
    overhead: "empty loop",
    contenders: [
      inOneFiber("empty loop", () => body),
      ...Object.entries(uses).map(([name, use]) => inOneFiber(name, () => use))
    ],
    comparisons: [
      { name: "InstancePool.use", against: "bare factory" },
      { name: "InstancePool.use, with a finalizer", against: "bare factory in a scope" },
      { name: "InstancePool.use, under a budget", against: "InstancePool.use" }
    ]
  }
  const slow = Effect.as(Effect.sleep(building), {})
  const together = yield* InstancePool.make({ create: slow, max: callers })
  const concurrent: Case = {
    name: "instance-concurrent",
    title: `${callers} callers at once, each of whose instances takes ${building} ms to build`,
    method: "The time for all of them, divided by their number. A pool builds them beside one another.",
    operations: callers,
    rounds: isQuick ? 3 : 31,
    contenders: [
      atOnce("one after the other", 1, slow),
      atOnce("bare factory, at once", callers, slow),
      atOnce("InstancePool.use, at once", callers, InstancePool.use(together, useBody))
    ],
    comparisons: [
      { name: "InstancePool.use, at once", against: "one after the other", goal: callers / 2 },
      { name: "InstancePool.use, at once", against: "bare factory, at once" }
    ]
  }
  return [leases, concurrent]
})

const callers = 16
/** In milliseconds. */
const building = 10

/** So many fibers at a time perform an effect. */
const atOnce = (name: string, concurrency: number, effect: Effect.Effect<unknown, unknown>): Contender => ({
  name,
  run: async (operations) => {
    const start = performance.now()
    await Effect.runPromise(Effect.forEach(Array.from({ length: operations }), () => effect, { concurrency }))
    return performance.now() - start
  }
})
