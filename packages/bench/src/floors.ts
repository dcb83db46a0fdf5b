/** The least that Effect's public functions cost for what a pool has to do. */
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

/** To wait in an array for one of so many turns, to be woken by a microtask, and to hand the turn on. */
export const makeQueueFloor = (turns: number, body: Effect.Effect<void>): Effect.Effect<void> => {
  let waiting: Array<(effect: Effect.Effect<void>) => void> = []
  let next = 0
  let free = turns
  const settled = Promise.resolve()
  const wait = Effect.callback<void>((resume) => {
    if (free === 0) return void waiting.push(resume)
    free--
    resume(body)
  })
  const handOn = (): undefined => {
    if (next === waiting.length) {
      free++
      return
    }
    const resume = waiting[next++]!
    if (next === 10_000) {
      waiting = waiting.slice(next)
      next = 0
    }
    void settled.then(() => resume(body))
  }
  return Effect.suspend(() => Effect.onExitPrimitive(wait, handOn))
}

/** To be woken once, from a microtask, and then to run a body that yields once. */
export const makeWaitFloor = (body: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.flatMap(
    Effect.callback<void>((resume) => {
      queueMicrotask(() => resume(Effect.void))
    }),
    () => body
  )
