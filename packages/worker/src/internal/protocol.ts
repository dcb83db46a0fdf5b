import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as RpcClient from "effect/rpc/RpcClient"
import { RpcClientDefect, RpcClientError } from "effect/rpc/RpcClientError"
import type { FromServerEncoded } from "effect/rpc/RpcMessage"
import type * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as Schema from "effect/Schema"
import { Crashed, NotSendable, WorkerInstanceError } from "../WorkerInstanceError.ts"
import { readMessage } from "./answer.ts"
import { Calls } from "./calls.ts"
import { CurrentCallTimeout } from "./callTimeout.ts"
import type { Thread } from "./thread.ts"

/**
 * The protocol of a client that talks to exactly one thread. It is not started again: when it ends, every call fails with
 * the reason.
 */
export const makeProtocol = (
  thread: Thread,
  callTimeout: number,
  isStream: (rpc: string) => boolean
): Effect.Effect<RpcClient.Protocol["Service"]> =>
  RpcClient.Protocol.make((write) =>
    Effect.contextWith((context: Context.Context<never>) => {
      const fork = Effect.runForkWith(context)
      const calls = new Calls(thread, fork)
      // There is one client. It is heard of before the thread has anything to say to it.
      let client = 0

      const crashed = (cause: unknown): void => thread.kill(new Crashed({ pool: thread.pool, cause }))
      const deliver = (response: FromServerEncoded): void => {
        fork(Effect.catchCause(write(client, response), (cause) => Effect.sync(() => crashed(Cause.squash(cause)))))
      }

      thread.listen({
        received(message) {
          const told = readMessage(message)
          if (told === undefined) return crashed(new Error("it has sent what is no answer"))
          if (told._tag === "defect") {
            if (!isCloneError(told.cause)) return crashed(told.cause)
            return thread.kill(new NotSendable({ pool: thread.pool, direction: "response", cause: told.cause }))
          }
          const problem = calls.receive(told)
          if (problem !== undefined) return crashed(new Error(problem))
          deliver(told.response)
        },
        ended(error) {
          calls.endAll()
          deliver({ _tag: "ClientProtocolError", error: wrap(error) })
        }
      })

      return Effect.succeed({
        send: (clientId, request, transfers) =>
          Effect.contextWith((context: Context.Context<never>) => {
            client = clientId
            const error = thread.post(withAnswer(request), transfers)
            if (error !== undefined) return Effect.fail(wrap(error))
            if (request._tag === "Request") {
              const timeout = Context.get(context, CurrentCallTimeout) ?? callTimeout
              calls.begin(request.id, request.tag, isStream(request.tag), timeout)
            } else if (request._tag === "Ack") {
              calls.next(request.requestId)
            } else if (request._tag === "Interrupt") {
              calls.interrupt(request.requestId)
            }
            return Effect.void
          }),
        supportsAck: true,
        supportsTransferables: true,
        // As `RpcServer.makeProtocolWorkerRunner` has it.
        codecFor: Schema.toCodecJson as RpcSerialization.CodecFor
      } satisfies Omit<RpcClient.Protocol["Service"], "run">)
    })
  )

/** A call whose answer the caller does not care for is answered all the same: until then the worker is at work. */
const withAnswer = (request: Parameters<Thread["post"]>[0]): Parameters<Thread["post"]>[0] => {
  if (request._tag !== "Request") return request
  const { discard: _, ...answered } = request
  return answered
}

const isCloneError = (cause: unknown): boolean => cause instanceof Error && cause.name === "DataCloneError"

/** A protocol can fail with nothing but this. */
const wrap = (error: WorkerInstanceError): RpcClientError =>
  new RpcClientError({ reason: new RpcClientDefect({ message: error.message, cause: error }) })

/** What a client's failure is to its caller: that of the thread, or what the handler has declared. */
export const unwrap = <E>(error: E | RpcClientError): E | WorkerInstanceError =>
  error instanceof RpcClientError && error.reason.cause instanceof WorkerInstanceError
    ? error.reason.cause
    : (error as E)
