/**
 * The worker's side of a `WorkerInstancePool`: serves a group of calls inside a worker thread.
 *
 * **When to use**
 *
 * In the module that the pool starts its workers with, and nowhere else. It is an entry of its own, so that a worker loads
 * no pool: `@effect-pools/worker/WorkerGuest`.
 *
 * @since 0.1.0
 */
import * as NodeWorkerRunner from "@effect/platform-node/NodeWorkerRunner"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Rpc from "effect/rpc/Rpc"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcServer from "effect/rpc/RpcServer"

/**
 * Serves a group until the pool has no more use for this worker.
 *
 * **Details**
 *
 * The worker is ready when `handlers` is built. If that fails, the worker ends, and its pool's caller fails with
 * `StartFailed`. When the lease of a worker ends that has nothing to do, `handlers` is closed and the thread exits, timers
 * or not; the pool's `exitGrace` says how long that may take.
 *
 * A failure of a handler that is declared in the group reaches the caller as it is. A defect ends the worker, and so does a
 * handler that is interrupted by anybody but its caller.
 *
 * **Gotchas**
 *
 * Starting a worker is for the most part loading its modules. What a worker imports should be what it needs.
 *
 * **Example** (A worker's module)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Rpc, RpcGroup } from "effect/rpc"
 * import * as WorkerGuest from "@effect-pools/worker/WorkerGuest"
 *
 * // The group is the pool's too, and so has a module of its own.
 * const Prices = RpcGroup.make(
 *   Rpc.make("Price", { payload: { cents: Schema.Number }, success: Schema.Number })
 * )
 *
 * const handlers = Prices.toLayer({ Price: ({ cents }) => Effect.succeed(cents * 2) })
 *
 * // In a worker's module this is called at once.
 * const main = () => WorkerGuest.serve(Prices, handlers)
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const serve = <Rpcs extends Rpc.Any, E>(
  group: RpcGroup.RpcGroup<Rpcs>,
  handlers: Layer.Layer<Rpc.ToHandler<Rpcs> | Rpc.Middleware<Rpcs> | Rpc.ServicesServer<Rpcs>, E>
): void => {
  const server = RpcServer.layer(group).pipe(
    Layer.provide(RpcServer.layerProtocolWorkerRunner),
    Layer.provide(NodeWorkerRunner.layer),
    // Before the protocol, which says that the worker is ready.
    Layer.provide(handlers)
  )
  Effect.runFork(Layer.launch(server)).addObserver((exit) => {
    if (Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)) {
      const failure = Cause.squash(exit.cause)
      // Thrown where nobody can catch it: that is what ends a worker with its error.
      setImmediate(() => {
        throw failure
      })
    } else {
      process.exit()
    }
  })
}
