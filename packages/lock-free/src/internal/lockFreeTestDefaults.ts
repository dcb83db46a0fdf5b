import type { Options } from "../LockFreePool.ts"

/** What `layerTest` says of these is part of its documentation. */
const defaults = {
  acquireTimeout: "1 second",
  closeGrace: 0,
  leakDetection: "1 minute"
} as const satisfies Partial<Options<unknown, unknown, unknown>>

/** The options of a pool of fakes. As everywhere, `undefined` is as good as nothing. */
export const withTestDefaults = <A, E, C>(options: Options<A, E, C>): Options<A, E, C> => {
  // Refused where options are checked.
  if (typeof options !== "object" || options === null) return options
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  return Object.assign({}, defaults, Object.fromEntries(given) as unknown as Options<A, E, C>)
}
