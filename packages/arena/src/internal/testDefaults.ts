import type { ArenaMemory } from "../ArenaBacking.ts"
import type { Options } from "../ArenaPool.ts"

/** What `layerTest` says of these is part of its documentation. */
const defaults = {
  checked: true,
  acquireTimeout: "1 second",
  closeGrace: 0,
  leakDetection: "1 minute"
} as const satisfies Partial<Options>

/** The options of a pool in a test. As everywhere, `undefined` is as good as nothing. */
export const withTestDefaults = <M extends ArenaMemory>(options: Options<M>): Options<M> => {
  // Refused where options are checked.
  if (typeof options !== "object" || options === null) return options
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  return Object.assign({}, defaults, Object.fromEntries(given) as unknown as Options<M>)
}
