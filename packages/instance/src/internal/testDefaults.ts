import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import type { Options } from "../InstancePool.ts"

/** What `layerTest` says of these is part of its documentation. */
const defaults = {
  acquireTimeout: "1 second",
  createTimeout: "1 second",
  destroyTimeout: "1 second",
  closeGrace: 0,
  leakDetection: "1 minute"
} as const satisfies Partial<Options<unknown, unknown, never>>

/** The options of a pool of fakes. */
export const withTestDefaults = <A, E, R>(options: Options<A, E, R>): Options<A, E, R> =>
  InvalidOptions.withDefaults<Options<A, E, R>>(options, defaults)
