import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Rpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSchema from "effect/rpc/RpcSchema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { WorkerInstanceError } from "../WorkerInstanceError.ts"
import { makeProtocol, unwrap } from "./protocol.ts"
import type { Thread } from "./thread.ts"

/** The calls of a group, answered by one thread, which fail as the thread does. */
export const makeClient = <Rpcs extends Rpc.Any>(
  group: RpcGroup.RpcGroup<Rpcs>,
  thread: Thread,
  callTimeout: number
): Effect.Effect<RpcClient.RpcClient<Rpcs, WorkerInstanceError>, never, Rpc.MiddlewareClient<Rpcs> | Scope.Scope> =>
  Effect.gen(function* () {
    const streams = new Set<string>()
    const protocol = yield* makeProtocol(thread, callTimeout, (rpc) => streams.has(rpc))
    const calls = (yield* Effect.provideService(RpcClient.make(group), RpcClient.Protocol, protocol)) as Record<
      string,
      Method
    >
    const client: Record<string, Method> = {}
    group.requests.forEach((rpc) => {
      const { _tag, successSchema } = rpc as unknown as Rpc.AnyWithProps
      const call = calls[_tag]!
      const isStream = RpcSchema.isStreamSchema(successSchema)
      if (isStream) streams.add(_tag)
      client[_tag] = isStream ? streaming(thread, call) : single(thread, call)
    })
    return client as never
  }) as never

type Options = { readonly asQueue?: boolean; readonly streamBufferSize?: number }
type Method = (payload: unknown, options?: Options) => any

const single =
  (thread: Thread, call: Method): Method =>
  (payload, options) =>
    Effect.suspend(() => {
      // A client whose scope has closed would interrupt its caller.
      if (thread.error !== undefined) return Effect.fail(thread.error)
      return Effect.mapError(inFiber(call(payload, options) as Effect.Effect<unknown, unknown>), unwrap)
    })

/**
 * Runs a call in a fiber of its own. `RpcClient` of effect 4.1 takes a fiber that is interrupted right before its request
 * is made for the fiber that makes it, and ends it at once: without its finalizers, and so without the end of its lease.
 */
const inFiber = <A, E>(call: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.contextWith((context: Context.Context<never>) =>
    Effect.callback<A, E>((resume) => {
      const fiber = Effect.runForkWith(context)(call)
      fiber.addObserver(resume)
      return Fiber.interrupt(fiber)
    })
  )

const streaming =
  (thread: Thread, call: Method): Method =>
  (payload, options) => {
    const stream = Stream.suspend(() => {
      if (thread.error !== undefined) return Stream.fail(thread.error)
      const inner = { ...options, asQueue: false }
      return Stream.mapError(call(payload, inner) as Stream.Stream<unknown, unknown>, unwrap)
    })
    return options?.asQueue === true ? Stream.toQueue(stream, { capacity: options.streamBufferSize ?? 16 }) : stream
  }
