/**
 * A line to a carrier: one question at a time.
 */
import { createConnection, type Socket } from "node:net"
import { createInterface } from "node:readline"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"

export interface Question {
  readonly parcel: number
  readonly grams: number
}

const Answer = Schema.Struct({ carrier: Schema.String, parcel: Schema.Number, cents: Schema.Number })
export type Answer = typeof Answer.Type

/** The carrier does not answer, or not any more. */
export class CarrierGone extends Schema.TaggedError<CarrierGone>("effect-pools/demo/CarrierGone")("CarrierGone", {
  carrier: Schema.String
}) {
  get isRetryable(): boolean {
    return true
  }
}

export interface Line {
  readonly ask: (question: Question) => Effect.Effect<Answer, CarrierGone>
}

/** Counts lines that are open, from before they are asked for until they are closed. */
export interface Lines {
  open: number
  most: number
}

export const connect = (carrier: string, path: string, lines: Lines): Effect.Effect<Line, CarrierGone, Scope.Scope> =>
  Effect.gen(function* () {
    const gone = new CarrierGone({ carrier })
    const socket = yield* Effect.acquireRelease(
      Effect.sync(() => {
        lines.open++
        lines.most = Math.max(lines.most, lines.open)
        return createConnection(path).on("error", () => {})
      }),
      (socket) =>
        Effect.andThen(
          closed(socket),
          Effect.sync(() => lines.open--)
        )
    )
    let answered: (answer: string | undefined) => void = () => {}
    // It passes on the socket's errors, all of which end in `close`.
    createInterface({ input: socket })
      .on("line", (answer) => answered(answer))
      .on("error", () => {})
    socket.on("close", () => answered(undefined))
    yield* Effect.callback<void, CarrierGone>((resume) => {
      socket.once("connect", () => resume(Effect.void))
      socket.once("close", () => resume(Effect.fail(gone)))
    })
    return {
      ask: (question) =>
        Effect.callback<string, CarrierGone>((resume) => {
          if (socket.destroyed) return resume(Effect.fail(gone))
          answered = (answer) => resume(answer === undefined ? Effect.fail(gone) : Effect.succeed(answer))
          socket.write(`${JSON.stringify(question)}\n`)
        }).pipe(
          Effect.flatMap((answer) => Schema.decodeUnknownEffect(Schema.fromJsonString(Answer))(answer)),
          Effect.catchTag("SchemaError", Effect.die)
        )
    }
  })

const closed = (socket: Socket): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (socket.closed) return resume(Effect.void)
    socket.once("close", () => resume(Effect.void)).destroy()
  })
