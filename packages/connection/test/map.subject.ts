import { ConnectionPoolMap } from "@effect-pools/connection"
import { InvalidOptions, type Pool } from "@effect-pools/core"
import { type Gates, Subject } from "@effect-pools/testing"
import * as Effect from "effect/Effect"
import { optionsOf } from "./subject.ts"

type Map = ConnectionPoolMap.ConnectionPoolMap<string, Gates.Item, Gates.GateFailure>

const KEY = "key"

/** The map that a pool belongs to, so that leases go by way of it. */
const mapOf = new WeakMap<Pool.Pool<Gates.Item, Gates.GateFailure>, Map>()

/** The pool of one key of a map, for the suites of `testing`. */
export const subject = Subject.make({
  kind: "connection",
  make: (gates, settings) =>
    Effect.gen(function* () {
      const map: Map = yield* ConnectionPoolMap.make({
        name: "map",
        lookup: (_: string) => optionsOf(gates, settings),
        max: 1000,
        idleTimeToLive: "Infinity"
      })
      const pool = yield* ConnectionPoolMap.pool(map, KEY)
      mapOf.set(pool, map)
      return pool
    }).pipe(
      Effect.catchIf(
        (error) => !(error instanceof InvalidOptions.InvalidOptions),
        (error) => Effect.die(error)
      )
    ),
  item: (connection) => connection,
  lacks: {},
  apart: {
    "a key whose pool somebody drains has another one opened": [
      "invariant 9 (close completes): drain refuses callers, waits for leases, then closes",
      "invariant 9 (close completes): drain of a pool without leases closes it at once",
      "invariant 9 (close completes): drain fails those who wait with Closed"
    ],
    "where it is not known yet which pool a call goes to, the map has the say": [
      "PoolError: Closed is not worth a retry",
      "InvalidOptions: a call refuses options that make no sense, and takes nothing"
    ],
    "pools are named after the map and the key": [
      "names: a pool without a name gets one that says its kind, another for each pool"
    ]
  },
  get: (pool, options) => ConnectionPoolMap.get(mapOf.get(pool)!, KEY, options),
  use: (pool, body, options) => ConnectionPoolMap.use(mapOf.get(pool)!, KEY, body, options)
})
