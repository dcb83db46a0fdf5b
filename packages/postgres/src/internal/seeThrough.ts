import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"

/** How long a statement may go on whose fiber is interrupted; after that it is cancelled like any other. */
const PATIENCE = "1 second"

/**
 * Runs a statement that must not be interrupted, such as `COMMIT`; but not without end, as nobody else could free the
 * caller and the connection when the network has died. The fiber that runs it can be interrupted, and the one that waits
 * for it learns of its own interruption.
 */
export const seeThrough = <A, E>(statement: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.uninterruptible(
    Effect.gen(function* () {
      const running = yield* Effect.forkChild(statement, { startImmediately: true })
      const ended = yield* Effect.exit(Effect.interruptible(Fiber.await(running)))
      if (Exit.isFailure(ended)) {
        yield* Effect.timeoutOption(Fiber.await(running), PATIENCE)
        yield* Fiber.interrupt(running)
      }
      return yield* Fiber.join(running)
    })
  )
