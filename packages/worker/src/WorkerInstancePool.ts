/**
 * Worker threads as the instances of an `InstancePool`: each lease has a thread of its own, which nobody has used, and
 * which is stopped wherever it is when its time is up.
 *
 * **When to use**
 *
 * For code that may run away, crash or use up its heap, and for computations that would hold up the event loop.
 *
 * **What a worker thread isolates, and what not**
 *
 * A thread has its own heap, its own event loop and its own globals, and its end is its own: `process.exit`, an error that
 * nobody catches and a heap that fills up end the worker, not the process. It has the **same** rights as the process: files,
 * network, child processes, native addons, the process id and its signals. And it can end the process: with a signal, or
 * with a single allocation that is far larger than what is left of its heap, such as `new Array(5e7).fill(1.5)`, for which
 * V8 gives up. JavaScript that is not trusted needs more than this: WebAssembly inside a worker, Node's permission model,
 * or a process with fewer rights. WebAssembly with garbage-collected types is held by neither the heap's limit nor, on
 * Node 24, by the end of its thread: `maxMemoryPages` of a `WasmInstancePool` refuses it.
 *
 * What a worker sends is not trusted. It may answer what it was asked, once for every call and once for every part of a
 * stream that is wanted; anything else ends it. What it answers is decoded by the schemas of its group in the process, and
 * takes as long as they do.
 *
 * @since 0.1.0
 */
import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import * as PoolService from "@effect-pools/core/PoolService"
import * as InstancePool from "@effect-pools/instance/InstancePool"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as Rpc from "effect/rpc/Rpc"
import type * as RpcClient from "effect/rpc/RpcClient"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import type * as Scope from "effect/Scope"
import type * as WorkerThreads from "node:worker_threads"
import { CurrentCallTimeout } from "./internal/callTimeout.ts"
import { makeClient } from "./internal/client.ts"
import { type Sorted, sortOptions } from "./internal/options.ts"
import { Restraint } from "./internal/restraint.ts"
import { Thread } from "./internal/thread.ts"
import { StartFailed, WorkerInstanceError } from "./WorkerInstanceError.ts"

/**
 * A worker: the calls of its group. They fail with what their handlers declare, or with `WorkerInstanceError`.
 *
 * @category models
 * @since 0.1.0
 */
export type Worker<Rpcs extends Rpc.Any> = RpcClient.RpcClient<Rpcs, WorkerInstanceError>

/**
 * A pool of workers. All functions of `InstancePool` work on it.
 *
 * @category models
 * @since 0.1.0
 */
export type WorkerInstancePool<Rpcs extends Rpc.Any> = InstancePool.InstancePool<Worker<Rpcs>, WorkerInstanceError>

/**
 * The options of an `InstancePool`, but for `create`. `name` is also what the threads are called.
 *
 * **Gotchas**
 *
 * A worker's place is free when its thread is gone, a moment after its lease. By default a pool refuses who finds no place
 * free, so that with `max: 1` one `use` right after another fails with `Exhausted`: `onExhausted: "wait"` waits for it.
 *
 * @category options
 * @since 0.1.0
 */
export type PoolOptions = Omit<InstancePool.Options<unknown, unknown, never>, "create">

/**
 * What the workers are, and how many. `group` and `spawn` are required.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options<Rpcs extends Rpc.Any> extends PoolOptions {
  /** What can be called. The worker's module serves it, with `WorkerGuest.serve`. */
  readonly group: RpcGroup.RpcGroup<Rpcs>
  /**
   * The worker's module: a `file:` or `data:` URL, or a path that is absolute or begins with `./` or `../`. Or a function
   * that returns the worker, made with the options it is given, for bundlers that look for `new Worker(new URL(…))`, and
   * for what these options do not cover: with `stdout: true` and `stderr: true` added, what the worker writes goes nowhere by
   * itself. Otherwise it goes to the `stdout` and `stderr` of the process.
   */
  readonly spawn: URL | string | ((options: WorkerThreads.WorkerOptions) => WorkerThreads.Worker)
  /** What the worker finds as `workerData`: each has a copy. Default `undefined`. */
  readonly workerData?: unknown
  /** The worker's `process.env`. Default: a copy of that of the process, with all that is secret in it. */
  readonly env?: { readonly [name: string]: string | undefined } | undefined
  /** Added to the worker's `process.argv`. Default none. */
  readonly argv?: ReadonlyArray<string> | undefined
  /** Options of Node for the worker. Default: those of the process. */
  readonly execArgv?: ReadonlyArray<string> | undefined
  /**
   * The worker's heap, code range and stack, in megabytes. One that fills its heap ends with `OutOfMemory`. What is not
   * on the heap does not count: buffers for example. `maxOldGenerationSizeMb` must be at least 8, `stackSizeMb` at least
   * 0.5, and `codeRangeSizeMb` at most 512: with others a worker's start may end the process. Default: what Node has for
   * a thread, which may be gigabytes.
   */
  readonly resourceLimits?: WorkerThreads.ResourceLimits | undefined
  /**
   * How long a worker may owe an answer, before it is terminated with `CallTimeout`. See {@link withCallTimeout}. Default 30
   * seconds; `Infinity` for no limit.
   */
  readonly callTimeout?: Duration.Input | undefined
  /**
   * How long a worker that has nothing to do when its lease ends may take to close its handlers' layer; then it is
   * terminated. With `0`, and whenever it has something to do, it is terminated at once. Default 100 milliseconds.
   */
  readonly exitGrace?: Duration.Input | undefined
}

/**
 * Opens a pool in the surrounding scope. Closing the scope closes the pool, and no thread is left behind.
 *
 * **Details**
 *
 * A lease begins with a worker that has said it is ready. One that ends before fails its caller with `StartFailed`; one
 * that never says anything ends with `createTimeout`, with the reason `AcquireTimeout` of `PoolError`. Starting a worker
 * takes the time to load its modules: `prepare` keeps some ready.
 *
 * A worker that ends before its lease fails all its calls with the same `WorkerInstanceError`, whose reason says why; what
 * can't be passed between threads is such an end too. Its place is free when the lease has ended and the thread is gone.
 * One that ends while it is prepared is replaced; if one after the other does, the next start waits, from 10 ms doubling
 * to a second.
 *
 * A handler whose caller is interrupted is interrupted too, if it lets itself: as long as it does not, the clock of its
 * call runs on. When its lease ends the thread ends, whatever it does.
 *
 * Workers keep the process alive while they start, owe an answer or end, but not while they have nothing to do.
 *
 * **Gotchas**
 *
 * A thread that is inside a native function (`execSync`, a synchronous addon) ends when that returns. Its calls fail in
 * time all the same, and its place comes back after `destroyTimeout`.
 *
 * Payloads and results are encoded as JSON, as `effect/rpc` does it between threads. For binary data use the schemas of
 * `Transferable` from `effect/workers`, which are passed without a copy. A payload or an answer that its schema refuses is
 * a defect of the caller's, as everywhere in `effect/rpc`: the second tells of a worker that was built for another group.
 *
 * **Example** (A computation with a deadline)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Rpc, RpcGroup } from "effect/rpc"
 * import { InstancePool } from "@effect-pools/instance"
 * import { WorkerInstancePool } from "@effect-pools/worker"
 *
 * const Prices = RpcGroup.make(
 *   Rpc.make("Price", { payload: { cents: Schema.Number }, success: Schema.Number })
 * )
 *
 * const price = (cents: number) => Effect.gen(function*() {
 *   const pool = yield* WorkerInstancePool.make({
 *     group: Prices,
 *     spawn: new URL("./prices.worker.ts", import.meta.url),
 *     resourceLimits: { maxOldGenerationSizeMb: 64 },
 *     callTimeout: "1 second",
 *     prepare: 1,
 *     // The default is to refuse who finds all workers in use.
 *     onExhausted: "wait"
 *   })
 *   return yield* InstancePool.use(pool, (worker) => worker.Price({ cents }))
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <Rpcs extends Rpc.Any>(
  options: Options<Rpcs>
): Effect.Effect<WorkerInstancePool<Rpcs>, InvalidOptions.InvalidOptions, Rpc.MiddlewareClient<Rpcs> | Scope.Scope> =>
  Effect.flatMap(
    InvalidOptions.check(() => sortOptions(options)),
    (sorted) =>
      Effect.suspend(() => {
        // Assigned below; workers end later than they are asked for.
        let pool: WorkerInstancePool<Rpcs> | undefined
        const create = createWorker(options.group, sorted, new Restraint(), {
          name: () => pool?.name ?? sorted.name,
          invalidate: (worker) => (pool === undefined ? Effect.void : InstancePool.invalidate(pool, worker))
        })
        return Effect.map(InstancePool.make({ ...sorted.pool, create }), (opened) => (pool = opened))
      })
  )

/**
 * How long the workers may owe the calls of this effect an answer, instead of the pool's `callTimeout`.
 *
 * **Details**
 *
 * The clock runs from the request to its answer. For a stream it runs from the request to the first part, and from the
 * moment that one part was taken to the next: a slow reader costs the worker no time, and a stream may last for as long
 * as it goes on. What runs over is the end of the worker, and of all its calls.
 *
 * `timeout` is what the pool's option may be: longer than zero, and `Infinity` for no limit. Anything else is a mistake in
 * the program, and so a defect: `InvalidOptions`.
 *
 * @category deadlines
 * @since 0.1.0
 */
export const withCallTimeout: {
  (timeout: Duration.Input): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, timeout: Duration.Input): Effect.Effect<A, E, R>
} = dual(2, <A, E, R>(self: Effect.Effect<A, E, R>, timeout: Duration.Input): Effect.Effect<A, E, R> =>
  Effect.flatMap(checkTimeout(timeout), (millis) => Effect.provideService(self, CurrentCallTimeout, millis))
)

// Services -----------------------------------------------------------------------------------------------------------

/**
 * The class that {@link Service} makes.
 *
 * @category services
 * @since 0.1.0
 */
export type ServiceClass<Self, Id extends string, Rpcs extends Rpc.Any, LE, LR> = InstancePool.ServiceClass<
  Self,
  Id,
  Worker<Rpcs>,
  WorkerInstanceError,
  LE,
  LR
>

/**
 * A pool as a service: a class that is the tag, has a `layer`, and the pool's functions as statics. The pool is named
 * after the service unless its options say otherwise. `layerTest` starts no
 * thread: its `create` is a client of handlers in the same thread, or any other fake.
 *
 * **Example** (A sandbox as a service, and a test without threads)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Rpc, RpcGroup, RpcTest } from "effect/rpc"
 * import { WorkerInstancePool } from "@effect-pools/worker"
 *
 * const Prices = RpcGroup.make(
 *   Rpc.make("Price", { payload: { cents: Schema.Number }, success: Schema.Number })
 * )
 *
 * class Sandbox extends WorkerInstancePool.Service<Sandbox>()("app/Sandbox", {
 *   group: Prices,
 *   spawn: new URL("./prices.worker.ts", import.meta.url),
 *   onExhausted: "wait"
 * }) {}
 *
 * const price = Effect.suspend(() => Sandbox.use((worker) => worker.Price({ cents: 21 })))
 * const main = price.pipe(Effect.provide(Sandbox.layer))
 *
 * const handlers = Prices.toLayer({ Price: ({ cents }) => Effect.succeed(cents * 2) })
 * const create = Effect.provide(RpcTest.makeClient(Prices), handlers)
 * const test = price.pipe(Effect.provide(Sandbox.layerTest({ create })))
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export const Service =
  <Self>() =>
  <const Id extends string, Rpcs extends Rpc.Any, OE = never, OR = never>(
    id: Id,
    options: Options<Rpcs> | Effect.Effect<Options<Rpcs>, OE, OR>
  ): ServiceClass<
    Self,
    Id,
    Rpcs,
    OE | InvalidOptions.InvalidOptions,
    Exclude<Rpc.MiddlewareClient<Rpcs> | OR, Scope.Scope>
  > => {
    const given = Effect.isEffect(options) ? options : Effect.succeed(options)
    const open = Effect.flatMap(given, (options) => make(PoolService.named(id, options)))
    const tracksCallSites = !Effect.isEffect(options) && options?.leakDetection !== undefined
    return InstancePool.serviceOf<
      Self,
      Id,
      Worker<Rpcs>,
      WorkerInstanceError,
      OE | InvalidOptions.InvalidOptions,
      Rpc.MiddlewareClient<Rpcs> | OR | Scope.Scope
    >(id, open, tracksCallSites) as never
  }

// Inside -------------------------------------------------------------------------------------------------------------

const checkTimeout = (timeout: Duration.Input | undefined): Effect.Effect<number> =>
  InvalidOptions.check(() => {
    const checks = new InvalidOptions.Checks("", "withCallTimeout")
    if (timeout === undefined) return checks.refuse("timeout", timeout, "must be a duration")
    return checks.millis("timeout", timeout, Infinity, { infinity: true })
  }).pipe(Effect.orDie)

/** What a worker knows of its pool. */
interface Home<Rpcs extends Rpc.Any> {
  readonly name: () => string
  readonly invalidate: (worker: Worker<Rpcs>) => Effect.Effect<void>
}

const createWorker = <Rpcs extends Rpc.Any>(
  group: RpcGroup.RpcGroup<Rpcs>,
  { callTimeout, exitGrace, spawn }: Sorted,
  restraint: Restraint,
  home: Home<Rpcs>
): Effect.Effect<Worker<Rpcs>, WorkerInstanceError, Rpc.MiddlewareClient<Rpcs> | Scope.Scope> =>
  Effect.gen(function* () {
    if (restraint.pause > 0) yield* Effect.sleep(restraint.pause)
    const thread = yield* Effect.acquireRelease(start(home.name(), spawn), (thread) => thread.close(exitGrace))
    const client = yield* makeClient(group, thread, callTimeout)
    // Before the client closes, which interrupts those who call it.
    yield* Effect.addFinalizer(() => Effect.sync(() => thread.leave()))
    yield* thread.ready
    if (thread.error !== undefined) return yield* Effect.fail(thread.error)
    thread.onUse = () => restraint.used()
    thread.onFailure = () => {
      if (!thread.isUsed) restraint.endedUnused()
      Effect.runSync(home.invalidate(client))
    }
    return client
  })

const start = (pool: string, spawn: () => WorkerThreads.Worker): Effect.Effect<Thread, WorkerInstanceError> =>
  Effect.try({
    try: () => new Thread(pool, spawn()),
    catch: (cause) => new WorkerInstanceError({ reason: new StartFailed({ pool, cause }) })
  })
