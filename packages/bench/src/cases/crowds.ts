import { ConnectionPool } from "@effect-pools/connection"
import { Pool as Pools } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Pool from "effect/Pool"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import type { Case, Contender } from "../harness.ts"
import type { Item } from "../pools.ts"
import type { Effort } from "../settings.ts"

const acquire = Effect.sync((): Item => ({ id: 0 }))

/** Performs operations in crowds of `size`; answers how long that took, without what `crowd` does before it starts the clock. */
const inCrowds = (
  name: string,
  size: number,
  crowd: (size: number) => Effect.Effect<number, unknown, Scope.Scope>
): Contender => ({
  name,
  run: (operations) =>
    Effect.runPromise(
      Effect.gen(function* () {
        let elapsed = 0
        for (let done = 0; done < operations; done += size) elapsed += yield* Effect.scoped(crowd(size))
        return elapsed
      })
    )
})

/** In milliseconds. */
const timed = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<number, E, R> =>
  Effect.suspend(() => {
    const start = performance.now()
    return Effect.map(effect, () => performance.now() - start)
  })

/** So many callers wait for an item that nobody gives back. */
const queue = Effect.fnUntraced(function* (size: number, call: Effect.Effect<unknown, unknown, Scope.Scope>) {
  const fibers = yield* Effect.forEach(Array.from({ length: size }), () => Effect.forkScoped(Effect.exit(call)))
  yield* Effect.yieldNow
  return fibers
})

const held = Effect.map(
  Effect.tap(ConnectionPool.make({ acquire, max: 1, acquireTimeout: "1 minute" }), (pool) => ConnectionPool.get(pool)),
  (pool) => ({ pool, call: ConnectionPool.use(pool, () => Effect.void) })
)

const interrupted = Effect.fnUntraced(function* (size: number) {
  const { call, pool } = yield* held
  const fibers = yield* queue(size, call)
  if (Pools.statsUnsafe(pool).pending !== size) throw new Error("not everybody waits")
  return yield* timed(Fiber.interruptAll(fibers))
})

const interruptedInEffects = Effect.fnUntraced(function* (size: number) {
  const pool = yield* Pool.make({ acquire, size: 1 })
  yield* Pool.get(pool)
  const fibers = yield* queue(
    size,
    Pool.use(pool, () => Effect.void)
  )
  return yield* timed(Fiber.interruptAll(fibers))
})

const timedOut = Effect.fnUntraced(function* (size: number) {
  const scope = yield* Scope.make()
  return yield* Effect.gen(function* () {
    const { call, pool } = yield* held
    yield* queue(size, call)
    const elapsed = yield* timed(TestClock.adjust("1 minute"))
    if (Pools.statsUnsafe(pool).timeouts !== size) throw new Error("not everybody timed out")
    yield* Scope.close(scope, Exit.void)
    return elapsed
  }).pipe(Scope.provide(scope), Effect.provide(TestClock.layer()))
})

/** A pool of so many idle items. */
const idle = Effect.fnUntraced(function* (size: number) {
  const items: Array<Item> = []
  const pool = yield* ConnectionPool.make({
    acquire: Effect.sync(() => {
      const item = { id: items.length }
      items.push(item)
      return item
    }),
    min: size,
    max: size,
    maxCreating: size
  })
  while (Pools.statsUnsafe(pool).idle < size) yield* Effect.yieldNow
  return { items, pool }
})

const invalidated = Effect.fnUntraced(function* (size: number) {
  const { items, pool } = yield* idle(size)
  yield* ConnectionPool.resize(pool, { min: 0 })
  const all = items.slice()
  return yield* timed(Effect.forEach(all, (item) => ConnectionPool.invalidate(pool, item), { discard: true }))
})

const shrunk = Effect.fnUntraced(function* (size: number) {
  const { pool } = yield* idle(size)
  return yield* timed(ConnectionPool.resize(pool, { min: 0, max: 1 }))
})

/** What many do at once, or is done to many: is the price for each the same, however many there are? */
export const makeCrowds = ({ isQuick }: Effort): Effect.Effect<ReadonlyArray<Case>> => {
  const few = 1000
  const many = 10_000
  const common = { operations: many, rounds: isQuick ? 7 : 31 }
  const grows = (name: string, title: string, method: string, crowd: Parameters<typeof inCrowds>[2]): Case => ({
    ...common,
    name,
    title,
    method,
    contenders: [inCrowds(`${few} at once`, few, crowd), inCrowds(`${many} at once`, many, crowd)],
    comparisons: [{ name: `${many} at once`, against: `${few} at once`, goal: 0.6 }]
  })
  const interrupts = grows(
    "waiters-interrupted",
    "waiters that are interrupted together",
    "Callers wait for the one item of a pool, which somebody holds. Timed from their interruption until all have ended.",
    interrupted
  )
  return Effect.succeed([
    {
      ...interrupts,
      contenders: [...interrupts.contenders, inCrowds(`${many} at once, Pool.use`, many, interruptedInEffects)],
      comparisons: [...interrupts.comparisons, { name: `${many} at once`, against: `${many} at once, Pool.use` }]
    },
    grows(
      "waiters-timed-out",
      "waiters that time out together",
      "Callers wait for the one item of a pool, which somebody holds, under a TestClock that is then set on.",
      timedOut
    ),
    grows(
      "items-invalidated",
      "items that are invalidated one after the other",
      "All items of a pool are idle, and their end does nothing.",
      invalidated
    ),
    grows(
      "pool-shrunk",
      "a pool that shrinks to one item",
      "All items of a pool are idle, and their end does nothing. The time for each item.",
      shrunk
    )
  ])
}
