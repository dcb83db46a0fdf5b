import { ConnectionPoolMap } from "@effect-pools/connection"
import { Resource, ResourcePool } from "@effect-pools/resource"
import * as Effect from "effect/Effect"
import * as RcMap from "effect/RcMap"
import type * as Scope from "effect/Scope"
import type { Case } from "../harness.ts"
import { inOneFiber, inTurns } from "../loops.ts"
import type { Effort } from "../settings.ts"

const KEYS = Array.from({ length: 10 }, (_, index) => `key ${index}`)

const body = Effect.succeed(undefined)
const useBody = () => body

const item = Effect.sync(() => ({}))

/** What is there for a key, against Effect's own map of shared resources. */
export const makeKeyed = Effect.fnUntraced(function* ({
  isQuick
}: Effort): Effect.fn.Return<ReadonlyArray<Case>, unknown, Scope.Scope> {
  const rcMap = yield* RcMap.make({ lookup: (_: string) => item, idleTimeToLive: Infinity })
  const pools = yield* ConnectionPoolMap.make({ lookup: (_: string) => ({ acquire: item }), max: KEYS.length })
  const named = yield* ResourcePool.make({ max: KEYS.length })
  const resources = yield* Effect.forEach(KEYS, () =>
    ResourcePool.create(named, { allocate: item, release: () => Effect.void })
  )
  const uses = {
    "RcMap.get": KEYS.map((key) => Effect.scoped(RcMap.get(rcMap, key))),
    "ConnectionPoolMap.get": KEYS.map((key) => Effect.scoped(ConnectionPoolMap.get(pools, key))),
    "ConnectionPoolMap.use": KEYS.map((key) => ConnectionPoolMap.use(pools, key, useBody)),
    "Resource.get": resources.map((resource) => Effect.scoped(Resource.get(resource))),
    "Resource.use": resources.map((resource) => Resource.use(resource, useBody))
  }
  const keyed: Case = {
    name: "keyed",
    title: `use of what is there for one of ${KEYS.length} keys`,
    method:
      "One fiber, Effect.whileLoop, the keys in turn; the effects are built once. get is in a scope of its own, for RcMap" +
      " has nothing else; its entries never expire, for by default they would end with each use, and it hands the same one" +
      " to all who ask: what is lent to one alone has to be counted and given back. A Resource is its own key.",
    operations: isQuick ? 20_000 : 40_000,
    rounds: isQuick ? 11 : 101,
    overhead: "empty loop",
    contenders: [
      inOneFiber("empty loop", () => body),
      ...Object.entries(uses).map(([name, effects]) => inTurns(name, effects))
    ],
    comparisons: Object.keys(uses)
      .filter((name) => name !== "RcMap.get")
      .map((name) => ({ name, against: "RcMap.get" }))
  }
  return [keyed]
})
