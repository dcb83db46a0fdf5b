import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import type { ArenaMemory } from "../ArenaBacking.ts"
import type { Options } from "../ArenaPool.ts"

/** What `layerTest` says of these is part of its documentation. */
const defaults = {
  checked: true,
  acquireTimeout: "1 second",
  closeGrace: 0,
  leakDetection: "1 minute"
} as const satisfies Partial<Options>

/** The options of a pool in a test. */
export const withTestDefaults = <M extends ArenaMemory>(options: Options<M>): Options<M> =>
  InvalidOptions.withDefaults<Options<M>>(options, defaults)
