import { ConnectionPool } from "@effect-pools/connection"
import { Pool as Pools } from "@effect-pools/core"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Pool from "effect/Pool"
import * as Scope from "effect/Scope"
import { type Case, collectGarbage, type Contender } from "../harness.ts"
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
    // What has survived two collections has moved for the last time: no part of what is timed.
    collectGarbage()
    collectGarbage()
    const start = performance.now()
    return Effect.map(effect, () => performance.now() - start)
  })

/** So many callers wait for what nobody gives them. */
const queue = Effect.fnUntraced(function* (size: number, call: Effect.Effect<unknown, unknown, Scope.Scope>) {
  const fibers = yield* Effect.forEach(Array.from({ length: size }), () => Effect.forkScoped(Effect.exit(call)))
  yield* Effect.yieldNow
  return fibers
})

const held = (acquireTimeout: Duration.Input) =>
  Effect.map(
    Effect.tap(ConnectionPool.make({ acquire, max: 1, acquireTimeout }), (pool) => ConnectionPool.get(pool)),
    (pool) => ({ pool, call: ConnectionPool.use(pool, () => Effect.void) })
  )

const heldInEffects = Effect.map(
  Effect.tap(Pool.make({ acquire, size: 1 }), (pool) => Pool.get(pool)),
  (pool) => Pool.use(pool, () => Effect.void)
)

/** A wait that has something to clean up when it ends, as that of a pool has. */
const bareWait = Effect.callback<never>(() => Effect.void)

const interrupted = Effect.fnUntraced(function* (size: number) {
  const { call, pool } = yield* held("1 minute")
  const fibers = yield* queue(size, call)
  if (Pools.statsUnsafe(pool).pending !== size) throw new Error("not everybody waits")
  return yield* timed(Fiber.interruptAll(fibers))
})

const interruptedBare = Effect.fnUntraced(function* (size: number) {
  const fibers = yield* queue(size, bareWait)
  return yield* timed(Fiber.interruptAll(fibers))
})

const interruptedInEffects = Effect.fnUntraced(function* (size: number) {
  const fibers = yield* queue(size, yield* heldInEffects)
  return yield* timed(Fiber.interruptAll(fibers))
})

/** In milliseconds. */
const PATIENCE = 1

/** Answers how long it takes to begin so many calls, and to end them once the patience of all is over. */
const timingOut = (size: number, call: Effect.Effect<unknown, unknown>): Effect.Effect<number> =>
  Effect.promise(async () => {
    const start = performance.now()
    const fibers = Array.from({ length: size }, () => Effect.runFork(call))
    const began = performance.now()
    while (performance.now() < began + 2 * PATIENCE);
    const over = performance.now()
    const exits = await Promise.all(
      fibers.map((fiber) => new Promise<Exit.Exit<unknown, unknown>>((resolve) => void fiber.addObserver(resolve)))
    )
    const ended = performance.now()
    if (exits.some(Exit.isSuccess)) throw new Error("not everybody timed out")
    return began - start + ended - over
  })

const timedOut = (size: number) => Effect.flatMap(held(PATIENCE), ({ call }) => timingOut(size, call))

const timedOutBare = (size: number) => timingOut(size, Effect.timeout(bareWait, PATIENCE))

const timedOutInEffects = (size: number) =>
  Effect.flatMap(heldInEffects, (call) => timingOut(size, Effect.timeout(call, PATIENCE)))

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

/** So many items, each with a scope, in a map. */
const bareItems = (size: number): Map<Item, Scope.Closeable> =>
  new Map(Array.from({ length: size }, (_, id) => [{ id }, Scope.makeUnsafe()]))

/** Closes the scope of an item, in a fiber of its own. */
const endBare = (items: Map<Item, Scope.Closeable>, item: Item): void => {
  Effect.runFork(Scope.close(items.get(item)!, Exit.void))
  items.delete(item)
}

const invalidatedBare = (size: number) =>
  Effect.suspend(() => {
    const items = bareItems(size)
    return timed(
      Effect.forEach(Array.from(items.keys()), (item) => Effect.sync(() => endBare(items, item)), { discard: true })
    )
  })

const shrunkBare = (size: number) =>
  Effect.suspend(() => {
    const items = bareItems(size)
    return timed(
      Effect.sync(() => {
        for (const item of items.keys()) endBare(items, item)
      })
    )
  })

type Crowd = Parameters<typeof inCrowds>[2]

/**
 * What many do at once, or is done to many: is the price for each the same, however many there are? Ten thousand no longer fit
 * into the caches that a thousand fit into; the floors show what that takes from whatever is done.
 */
export const makeCrowds = ({ isQuick }: Effort): Effect.Effect<ReadonlyArray<Case>> => {
  const few = 1000
  const many = 10_000
  const floorOf = { name: `floor of ${many}`, against: `floor of ${few}` }
  const oursOf = { name: `${many} at once`, against: `${few} at once` }
  const grows = (
    name: string,
    title: string,
    method: string,
    { floor, ours, peers = {} }: { readonly ours: Crowd; readonly floor: Crowd; readonly peers?: Record<string, Crowd> }
  ): Case => ({
    name,
    title,
    method,
    operations: many,
    rounds: isQuick ? 3 : 31,
    contenders: [
      inCrowds(floorOf.against, few, floor),
      inCrowds(floorOf.name, many, floor),
      inCrowds(oursOf.against, few, ours),
      inCrowds(oursOf.name, many, ours),
      ...Object.entries(peers).map(([peer, crowd]) => inCrowds(`${many} at once, ${peer}`, many, crowd))
    ],
    comparisons: [
      // A price that grows with their number would leave a tenth of it.
      { ...oursOf, margin: 0.25 },
      floorOf,
      { ...oursOf, relativeTo: floorOf, goal: 0.6 },
      { name: oursOf.against, against: floorOf.against },
      { name: oursOf.name, against: floorOf.name },
      ...Object.keys(peers).map((peer) => ({ name: oursOf.name, against: `${many} at once, ${peer}`, goal: 1 }))
    ]
  })
  return Effect.succeed([
    grows(
      "waiters-interrupted",
      "waiters that are interrupted together",
      "Callers wait for the one item of a pool, which somebody holds. Timed from their interruption until all have ended. " +
        "The floor are the same fibers, each on a bare Effect.callback with a cleanup that does nothing.",
      { ours: interrupted, floor: interruptedBare, peers: { "Pool.use": interruptedInEffects } }
    ),
    grows(
      "waiters-timed-out",
      "waiters that time out together",
      `Callers wait for the one item of a pool, which somebody holds, for ${PATIENCE} ms at most. Timed until all wait, and` +
        " again from when the time of all is over until all have ended. The floor are fibers on a bare Effect.callback, each" +
        " under an Effect.timeout of its own; Pool.use is under one as well.",
      { ours: timedOut, floor: timedOutBare, peers: { "Pool.use": timedOutInEffects } }
    ),
    grows(
      "items-invalidated",
      "items that are invalidated one after the other",
      "All items of a pool are idle, and their end does nothing. The floor is a Map of scopes, each taken out and closed in a" +
        " fiber of its own.",
      { ours: invalidated, floor: invalidatedBare }
    ),
    grows(
      "pool-shrunk",
      "a pool that shrinks to one item",
      "All items of a pool are idle, and their end does nothing. The time for each item. The floor is a Map of scopes, each" +
        " taken out and closed in a fiber of its own, all in one step.",
      { ours: shrunk, floor: shrunkBare }
    )
  ])
}
