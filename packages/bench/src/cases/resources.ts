import { ConnectionPool, ConnectionPoolMap } from "@effect-pools/connection"
import { Budget } from "@effect-pools/core"
import { Resource, ResourcePool } from "@effect-pools/resource"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Case } from "../harness.ts"
import { inOneFiber, inTurns } from "../loops.ts"
import { makeOurs } from "../pools.ts"
import type { Effort } from "../settings.ts"

const body = Effect.succeed(undefined)
const useBody = () => body

const PLACES = 100

const allocate = Effect.sync(() => ({}))
const release = () => Effect.void

/** So many resources of one pool, each with callbacks that do nothing. */
const makeResources = (count: number, budget?: Budget.Budget) =>
  Effect.flatMap(ResourcePool.make({ max: PLACES, budget }), (pool) =>
    Effect.forEach(Array.from({ length: count }), () => ResourcePool.create(pool, { allocate, release }))
  )

const usesOf = (resources: ReadonlyArray<Resource.Resource<object>>) =>
  resources.map((resource) => Resource.use(resource, useBody))

/** The least that it takes: nothing but a scope for each that has a place, closed when its place is needed. */
const bareUses = (count: number): ReadonlyArray<Effect.Effect<unknown>> => {
  const owners = Array.from({ length: count }, () => ({ scope: undefined as Scope.Closeable | undefined }))
  return owners.map((owner, i) => {
    const previous = owners[(i + count - PLACES) % count]!
    return Effect.suspend(() => {
      const { scope } = previous
      previous.scope = undefined
      owner.scope = Scope.makeUnsafe()
      const use = Effect.flatMap(Scope.provide(Effect.acquireRelease(allocate, release), owner.scope), useBody)
      return scope === undefined ? use : Effect.andThen(Scope.close(scope, Exit.void), use)
    })
  })
}

/** A resource that is allocated, against a connection; and what it costs when others need its place. */
export const makeResourceCases = Effect.fnUntraced(function* ({
  isQuick
}: Effort): Effect.fn.Return<ReadonlyArray<Case>, unknown, Scope.Scope> {
  const connections = yield* makeOurs()
  const [resource] = yield* makeResources(1)
  const map = yield* ConnectionPoolMap.make({ lookup: () => ({ acquire: allocate }), max: 10 })
  const uses = {
    "ConnectionPool.use": ConnectionPool.use(connections, useBody),
    "Resource.use": Resource.use(resource!, useBody),
    "ConnectionPoolMap.use": ConnectionPoolMap.use(map, "key", useBody)
  }
  const warm: Case = {
    name: "resource-warm",
    title: "use of what is there, by its name",
    method:
      "One fiber, Effect.whileLoop; the effect is built once. A resource that is allocated, and a connection of a key's pool," +
      " against a connection pool of ten idle items.",
    operations: isQuick ? 20_000 : 100_000,
    rounds: isQuick ? 11 : 101,
    overhead: "empty loop",
    contenders: [
      inOneFiber("empty loop", () => body),
      ...Object.entries(uses).map(([name, use]) => inOneFiber(name, () => use))
    ],
    comparisons: [
      { name: "Resource.use", against: "ConnectionPool.use", goal: 1 / 1.2 },
      { name: "ConnectionPoolMap.use", against: "ConnectionPool.use" }
    ]
  }
  const bare = Effect.scoped(Effect.flatMap(Effect.acquireRelease(allocate, release), useBody))
  const few = `${2 * PLACES} resources`
  const many = `${100 * PLACES} resources`
  const floorOf = (resources: string) => `floor of ${resources}`
  const growth = { name: many, against: few }
  const floorGrowth = { name: floorOf(many), against: floorOf(few) }
  const budget = yield* Budget.make({ max: PLACES })
  const evictions: Case = {
    name: "resource-eviction",
    title: `use of a resource that has no place yet, of which there are ${PLACES}`,
    method:
      "One fiber, Effect.whileLoop. All resources in turns, so that each use releases the one that has been idle for" +
      " longest; allocating and releasing do nothing. The floors have a scope for each that has a place, and nothing else:" +
      " what the memory takes for so many things that are each needed rarely.",
    operations: isQuick ? 10_000 : 20_000,
    rounds: isQuick ? 3 : 51,
    overhead: "empty loop",
    contenders: [
      inOneFiber("empty loop", () => body),
      inOneFiber("acquireRelease in a scope", () => bare),
      inTurns(floorOf(few), bareUses(2 * PLACES)),
      inTurns(floorOf(many), bareUses(100 * PLACES)),
      inTurns(few, usesOf(yield* makeResources(2 * PLACES))),
      inTurns(many, usesOf(yield* makeResources(100 * PLACES))),
      inTurns(`${few}, under a budget`, usesOf(yield* makeResources(2 * PLACES, budget)))
    ],
    comparisons: [
      { name: few, against: "acquireRelease in a scope" },
      growth,
      floorGrowth,
      { ...growth, relativeTo: floorGrowth, goal: 0.8 },
      { name: `${few}, under a budget`, against: few }
    ]
  }
  return [warm, evictions]
})
