import { InvalidOptions } from "@effect-pools/core"
import * as Schedule from "effect/Schedule"
import type { Options } from "../ConnectionPool.ts"

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
