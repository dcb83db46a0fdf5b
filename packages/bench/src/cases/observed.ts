import { ConnectionPool } from "@effect-pools/connection"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Case } from "../harness.ts"
import { inOneFiber } from "../loops.ts"
import { makeOurs } from "../pools.ts"
import type { Effort } from "../settings.ts"

const body = Effect.succeed(undefined)

/** What watching costs: the same pool with and without a listener to its events, and with leak detection. */
export const makeObserved = Effect.fnUntraced(function* ({ isQuick }: Effort) {
  const plain = yield* makeOurs()
  const listened = yield* makeOurs()
  const streamed = yield* makeOurs()
  const tracked = yield* makeOurs({ leakDetection: "1 minute" })
  const stop = listened.admission.observer.listen(() => {})
  yield* Effect.addFinalizer(() => Effect.sync(stop))
  yield* Effect.forkScoped(Stream.runDrain(ConnectionPool.events(streamed)))
  // Until the reader listens.
  yield* Effect.whileLoop({
    while: () => !streamed.admission.observer.isListening,
    body: () => Effect.yieldNow,
    step: () => {}
  })
  const observed: Case = {
    name: "observed",
    title: "use, uncontended, watched",
    method:
      "One fiber, Effect.whileLoop, 10 idle items, effect built per call. The listener is an empty function; the " +
      "stream is ConnectionPool.events with a reader that drops what it reads; leak detection notes every call site.",
    operations: isQuick ? 10_000 : 20_000,
    rounds: isQuick ? 21 : 75,
    overhead: "empty loop",
    contenders: [
      inOneFiber("empty loop", () => body),
      inOneFiber("nobody listens", () => ConnectionPool.use(plain, () => body)),
      inOneFiber("a listener", () => ConnectionPool.use(listened, () => body)),
      inOneFiber("an event stream", () => ConnectionPool.use(streamed, () => body)),
      inOneFiber("leak detection", () => ConnectionPool.use(tracked, () => body))
    ],
    comparisons: [
      { name: "a listener", against: "nobody listens" },
      { name: "an event stream", against: "nobody listens" },
      { name: "leak detection", against: "nobody listens" }
    ]
  }
  return [observed]
})
