import { Pool } from "@effect-pools/core"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { fork, open } from "./fake.ts"

const immediates = () => process.getActiveResourcesInfo().filter((resource) => resource === "Immediate").length

it.live("when all who were served have been woken, nothing is left to be done in the next turn", () =>
  Effect.gen(function* () {
    const pool = yield* open({ max: 1 })
    const holder = yield* fork(Pool.use(pool, () => Effect.never))
    const callers = yield* Effect.forEach(Array.from({ length: 2000 }), () => fork(Pool.use(pool, () => Effect.void)))
    yield* Fiber.interrupt(holder)
    for (const caller of callers) yield* Fiber.join(caller)
    // Others in this process may have something to do in the next turn, but not in each of a hundred.
    const turn = Effect.promise(() => new Promise<void>((resolve) => void setTimeout(resolve, 1)))
    // The last caller may have gone on in the middle of what woke it.
    yield* turn
    let left = immediates()
    for (let turns = 0; left > 0 && turns < 100; turns++) {
      yield* turn
      left = immediates()
    }
    assert.strictEqual(left, 0)
  })
)

it.live("a pool that is handed round without end does not keep timers from their turn", () =>
  Effect.gen(function* () {
    const pool = yield* open({ max: 1 })
    let leases = 0
    let isOver = false
    const round = Effect.whileLoop({
      while: () => !isOver && leases < 1_000_000,
      body: () => Pool.use(pool, () => Effect.sync(() => leases++)),
      step: () => {}
    })
    // All of them have to wait, so that from then on each serves the next.
    const holder = yield* fork(Pool.use(pool, () => Effect.never))
    const callers = yield* Effect.forEach([1, 2, 3], () => fork(round))
    yield* Fiber.interrupt(holder)
    yield* Effect.promise(() => new Promise<void>((resolve) => void setTimeout(resolve, 1)))
    isOver = true
    for (const caller of callers) yield* Fiber.join(caller)
    assert.isBelow(leases, 1_000_000)
    assert.deepInclude(pool.admission, { used: 0, pending: 0 })
  })
)

it.live("what is left of a turn is left to one task of the scheduler, however long that goes on", () =>
  Effect.gen(function* () {
    const pool = yield* open({ max: 1 })
    let leases = 0
    let most = 0
    const round = Effect.whileLoop({
      while: () => leases < 50_000,
      body: () =>
        Pool.use(pool, () =>
          Effect.sync(() => {
            if (++leases % 500 === 0) most = Math.max(most, immediates())
          })
        ),
      step: () => {}
    })
    const holder = yield* fork(Pool.use(pool, () => Effect.never))
    const callers = yield* Effect.forEach([1, 2, 3], () => fork(round))
    yield* Fiber.interrupt(holder)
    for (const caller of callers) yield* Fiber.join(caller)
    // Others in this process may have something to do as well.
    assert.isAtMost(most, 5)
  })
)
