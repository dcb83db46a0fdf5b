import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { Options } from "../ConnectionPool.ts"
import type { KeyOptions, Options as MapOptions } from "../ConnectionPoolMap.ts"

/** What `layerTest` says of these is part of its documentation. */
const defaults = {
  max: 2,
  acquireTimeout: "1 second",
  createTimeout: "1 second",
  createRetry: Schedule.recurs(0),
  breaker: false,
  idleTimeout: "Infinity",
  maxLifetime: "Infinity",
  validateAfterIdle: 0,
  validationTimeout: "1 second",
  resetTimeout: "1 second",
  destroyTimeout: "1 second",
  closeGrace: 0,
  health: false,
  leakDetection: "1 minute"
} as const satisfies Partial<Options<unknown, unknown, never>>

/** The options of a pool of fakes. */
export const withTestDefaults = <A, E, R>(options: Options<A, E, R>): Options<A, E, R> =>
  InvalidOptions.withDefaults<Options<A, E, R>>(options, defaults)

/** The options of a map of pools of fakes. */
export const withMapTestDefaults = <K>(
  options: MapOptions<K, any, any, any, any, any>
): MapOptions<K, any, any, any, any, any> => {
  const { leakDetection, max, ...ofKeys } = defaults
  const complete = InvalidOptions.withDefaults<MapOptions<K, any, any, any, any, any>>(options, {
    maxPerKey: max,
    idleTimeToLive: "Infinity",
    lookupTimeout: "1 second",
    leakDetection,
    ...(options?.budget === undefined ? { max: 10 } : {})
  })
  if (typeof complete?.lookup !== "function") return complete
  const { lookup } = complete
  const withKeyDefaults = (given: KeyOptions<any, any, any>) =>
    InvalidOptions.withDefaults<KeyOptions<any, any, any>>(given, ofKeys)
  return {
    ...complete,
    lookup: (key) => {
      const given = lookup(key)
      return Effect.isEffect(given) ? Effect.map(given, withKeyDefaults) : withKeyDefaults(given)
    }
  }
}
