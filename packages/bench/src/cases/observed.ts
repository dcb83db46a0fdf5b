import { ConnectionPool } from "@effect-pools/connection"
import type { PoolEvent } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Stream from "effect/Stream"
import type { Case } from "../harness.ts"
import { inOneFiber } from "../loops.ts"
import { makeOurs } from "../pools.ts"
import type { Effort } from "../settings.ts"

const body = Effect.succeed(undefined)
const because = "[decision 6](../decisions/0006-events-and-ids.md)"

const heard: { latest: PoolEvent.PoolEvent | undefined } = { latest: undefined }

/** Keeps the event, so that the compiler can't leave out its making. */
const hear = (event: PoolEvent.PoolEvent): void => {
  heard.latest = event
}

/** What the two events of a lease take that nothing is done for but to make them. */
const makeBareEvents = (): (() => void) => {
  const pool = "bare"
  const at = Date.now()
  let lease = 0
  return () => {
    const item = ++lease % 10
    hear({ _tag: "LeaseAcquired", item, lease, waited: 0, takenAt: undefined, pool, at })
    hear({ _tag: "LeaseReleased", item, lease, used: 0, outcome: "success", pool, at })
  }
}

const LEASES_PER_READING = 1000

/** What watching costs: the same pool watched in several ways, and by nobody. */
export const makeObserved = Effect.fnUntraced(function* ({ isQuick }: Effort) {
  const plain = yield* makeOurs()
  const listened = yield* makeOurs()
  const streamed = yield* makeOurs()
  const tracked = yield* makeOurs({ leakDetection: "1 minute" })
  const stop = listened.admission.observer.listen(hear)
  yield* Effect.addFinalizer(() => Effect.sync(stop))
  yield* Effect.forkScoped(Stream.runDrain(ConnectionPool.events(streamed)))
  // Until the reader listens.
  yield* Effect.whileLoop({
    while: () => !streamed.admission.observer.isListening,
    body: () => Effect.yieldNow,
    step: () => {}
  })
  const makeTwoEvents = makeBareEvents()
  const [measured, metrics] = yield* Effect.all([makeOurs(), Effect.context<never>()]).pipe(
    Effect.provideService(Metric.MetricRegistry, new Map())
  )
  let untilReading = LEASES_PER_READING
  const readMetrics = () => {
    if (--untilReading > 0) return
    untilReading = LEASES_PER_READING
    if (Metric.snapshotUnsafe(metrics).length === 0) throw new Error("no metrics")
  }
  const observed: Case = {
    name: "observed",
    title: "use, uncontended, watched",
    method:
      "One fiber, Effect.whileLoop, 10 idle items, effect built per call. The listener keeps the latest event, and so do" +
      " two bare events per lease, in whose making no pool is involved." +
      " The stream is ConnectionPool.events with a reader that drops what it reads. Metrics are there always, and cost" +
      ` when they are read: all of one pool here, every ${LEASES_PER_READING.toLocaleString("en")} leases, some 3,000 times a second.` +
      " Leak detection notes every call site.",
    operations: isQuick ? 10_000 : 20_000,
    rounds: isQuick ? 11 : 75,
    overhead: "empty loop",
    contenders: [
      inOneFiber("empty loop", () => body),
      inOneFiber("nobody listens", () => ConnectionPool.use(plain, () => body)),
      inOneFiber("two bare events", () => {
        makeTwoEvents()
        return ConnectionPool.use(plain, () => body)
      }),
      inOneFiber("a listener", () => ConnectionPool.use(listened, () => body)),
      inOneFiber("an event stream", () => ConnectionPool.use(streamed, () => body)),
      inOneFiber("metrics are read", () => {
        readMetrics()
        return ConnectionPool.use(measured, () => body)
      }),
      inOneFiber("leak detection", () => ConnectionPool.use(tracked, () => body))
    ],
    comparisons: [
      { name: "two bare events", against: "nobody listens" },
      { name: "a listener", against: "nobody listens", goal: 0.95, because },
      { name: "a listener", against: "two bare events" },
      { name: "an event stream", against: "nobody listens", goal: 0.95, because },
      { name: "metrics are read", against: "nobody listens", goal: 0.95, because },
      { name: "leak detection", against: "nobody listens" }
    ]
  }
  return [observed]
})
