/** The least that Effect itself costs for what a pool has to do. No pool can be faster. */
import * as Effect from "effect/Effect"

const nothing = (): undefined => undefined

/** A step in which to take, a handler in which to give back, installed first: the shape of a safe lease. */
export const makeLeaseFloor = (body: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.suspend(() =>
    Effect.onExitPrimitive(
      Effect.suspend(() => body),
      nothing
    )
  )

/** The same, with nothing between the handler and the body. */
export const makeHandlerFloor = (body: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.suspend(() => Effect.onExitPrimitive(body, nothing))

/** To be woken once, from a microtask, and then to run a body that yields once. */
export const makeWaitFloor = (body: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.flatMap(
    Effect.callback<void>((resume) => {
      queueMicrotask(() => resume(Effect.void))
    }),
    () => body
  )
