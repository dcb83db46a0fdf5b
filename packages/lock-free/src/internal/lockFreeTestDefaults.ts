import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import type { Options } from "../LockFreePool.ts"

/** What `layerTest` says of these is part of its documentation. */
const defaults = {
  acquireTimeout: "1 second",
  closeGrace: 0,
  leakDetection: "1 minute"
} as const satisfies Partial<Options<unknown, unknown, unknown>>

/** The options of a pool of fakes. */
export const withTestDefaults = <A, E, C>(options: Options<A, E, C>): Options<A, E, C> =>
  InvalidOptions.withDefaults<Options<A, E, C>>(options, defaults)
