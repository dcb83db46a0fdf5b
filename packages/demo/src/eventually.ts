import * as Effect from "effect/Effect"

/**
 * Asks until the answer is as it should be, for five seconds at most; the last answer, whatever it is.
 */
export const eventually = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  isGood: (answer: A) => boolean
): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    let answer = yield* self
    for (let attempt = 0; attempt < 100 && !isGood(answer); attempt++) {
      yield* Effect.sleep("50 millis")
      answer = yield* self
    }
    return answer
  })
