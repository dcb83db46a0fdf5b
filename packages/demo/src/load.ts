/**
 * Users who ask for things, stage after stage.
 */
import { performance } from "node:perf_hooks"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Random from "effect/Random"
import type { Options } from "./options.ts"
import type { Part, Request } from "./part.ts"
import type { Stage } from "./stages.ts"
import { Tally } from "./tally.ts"

/**
 * A stage under way, or over.
 */
export class Run {
  readonly stage: Stage
  readonly millis: number
  readonly users: number
  readonly tally = new Tally()
  readonly startedAt: number
  /** How long it took, its last requests included. */
  took = 0
  /** No new requests. */
  isOver = false

  constructor(stage: Stage, options: Pick<Options, "seconds" | "concurrency">, startedAt: number) {
    this.stage = stage
    this.millis = options.seconds * 1000 * stage.share
    this.users = Math.max(1, Math.round(options.concurrency * stage.users))
    this.startedAt = startedAt
  }
}

/** How long a stage waits for its last requests: longer than any request may take, unless it was interrupted. */
const patience = { ended: "20 seconds", interrupted: "3 seconds" } as const

/**
 * Runs a stage to its end.
 *
 * It ends in the same way when its time is over and when it is interrupted: nobody asks for more, and what was asked for
 * is answered.
 */
export const run = (current: Run, parts: ReadonlyArray<Part>): Effect.Effect<void> =>
  Effect.scoped(
    Effect.gen(function* () {
      const users = yield* FiberSet.make<void>()
      yield* Effect.addFinalizer((exit) =>
        Effect.sync(() => {
          current.isOver = true
        }).pipe(
          Effect.andThen(
            Effect.timeoutOption(
              FiberSet.awaitEmpty(users),
              patience[Exit.hasInterrupts(exit) ? "interrupted" : "ended"]
            )
          ),
          Effect.andThen(Clock.currentTimeMillis),
          Effect.map((now) => {
            current.took = now - current.startedAt
          })
        )
      )
      const requests = parts.flatMap((part) => part.requests)
      yield* Effect.forEach(Array.from({ length: current.users }), () => FiberSet.run(users, user(current, requests)), {
        discard: true
      })
      if (current.stage.hasFaults) {
        yield* Effect.forEach(parts, (part) => Effect.forkScoped(part.faults), { discard: true })
      }
      yield* Effect.sleep(current.millis)
    })
  )

const user = (current: Run, requests: ReadonlyArray<Request>) =>
  Effect.gen(function* () {
    while (!current.isOver) {
      // First one of each: in a short stage, chance may leave some out.
      yield* ask(current.tally, requests[current.tally.asked] ?? (yield* pick(requests)))
      yield* Effect.sleep(yield* Random.nextBetween(0, current.stage.thinks))
    }
  })

const ask = (tally: Tally, request: Request) =>
  Effect.suspend(() => {
    const since = performance.now()
    tally.begin()
    return Effect.map(Effect.exit(request.run), (exit) => tally.end(exit, performance.now() - since))
  })

const pick = (requests: ReadonlyArray<Request>): Effect.Effect<Request> => {
  const sum = requests.reduce((sum, request) => sum + request.weight, 0)
  return Effect.map(Random.nextBetween(0, sum), (at) => {
    let left = at
    return requests.find((request) => (left -= request.weight) < 0) ?? requests[requests.length - 1]!
  })
}
