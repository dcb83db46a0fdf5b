import * as Context from "effect/Context"

/** How long the calls of a fiber may take, in milliseconds: `undefined` is as the pool has it. */
export const CurrentCallTimeout: Context.Reference<number | undefined> = Context.Reference(
  "@effect-pools/worker/CurrentCallTimeout",
  { defaultValue: (): number | undefined => undefined }
)
