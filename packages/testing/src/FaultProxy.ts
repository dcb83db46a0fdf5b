/**
 * A proxy between a client and its server that makes their network go wrong.
 *
 * It passes on TCP connections and those of Unix domain sockets, from one kind to the other too. Faults can be set and
 * taken back while connections are open:
 *
 * | fault | what happens |
 * |---|---|
 * | {@link delay} | bytes take longer; they keep their order |
 * | {@link throttle} | only so many bytes a second pass |
 * | {@link stall} | nothing passes until {@link resume}, and nothing is lost |
 * | {@link blackhole} | everything is accepted, and lost |
 * | {@link cut} | streams end in good order, as those of a server that shuts down |
 * | {@link reset} | connections break off, as those of a server that was killed |
 * | {@link cutAfter} | connections end after a number of bytes, in the middle of a message |
 * | {@link refuse} | nobody listens |
 *
 * Those that last add up: a direction can be delayed and throttled at the same time. {@link heal} takes all of them back.
 *
 * **Details**
 *
 * - Time is that of Effect's `Clock`, chance that of its `Random`, both as they are where the proxy is made.
 * - A direction of a connection holds at most 256 KiB and what the sockets themselves hold; then its source has to wait.
 * - The end of a stream takes its turn like bytes do: it is delayed, stalled or lost with them.
 * - When the server can't be reached, the client's connection is accepted and then reset, and counts as `failed`.
 *
 * **Example** (A pool's connections, with a slow and then a dead network)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { FaultProxy } from "@effect-pools/testing"
 *
 * const program = Effect.gen(function*() {
 *   const proxy = yield* FaultProxy.make({ upstream: { host: "127.0.0.1", port: 5432 } })
 *   // This is where the pool is to connect to.
 *   const { host, port } = proxy.address
 *
 *   yield* FaultProxy.delay(proxy, { latency: "20 millis", jitter: "10 millis" })
 *   yield* FaultProxy.blackhole(proxy, { direction: "toServer" })
 *   yield* FaultProxy.heal(proxy)
 *   const { open, total } = yield* FaultProxy.stats(proxy)
 *   return { host, port, open, total }
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 */
import { InvalidOptions } from "@effect-pools/core"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { checkOptions, checkTarget } from "./internal/faultProxyOptions.ts"
import { type Conditions, healthy } from "./internal/faultProxyPipe.ts"
import { directions, Relay } from "./internal/faultProxyRelay.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface TcpAddress {
  readonly host: string
  readonly port: number
}

/**
 * @category models
 * @since 0.1.0
 */
export interface UnixAddress {
  readonly path: string
}

/**
 * @category models
 * @since 0.1.0
 */
export interface FaultProxy<out Address extends TcpAddress | UnixAddress = TcpAddress | UnixAddress> {
  /** Where it listens: what clients connect to. */
  readonly address: Address
  readonly relay: Relay
}

/**
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** The server. `host` defaults to 127.0.0.1. */
  readonly upstream: { readonly host?: string | undefined; readonly port: number } | UnixAddress
  /**
   * Where to listen: a port (default 0, a free one) of `host` (default 127.0.0.1), a path, or `"unix"` for a path in a
   * temporary folder of its own.
   */
  readonly listen?:
    | { readonly host?: string | undefined; readonly port?: number | undefined }
    | UnixAddress
    | "unix"
    | undefined
}

/**
 * What a fault affects.
 *
 * @category options
 * @since 0.1.0
 */
export interface Target {
  /** Default: both. */
  readonly direction?: "toServer" | "toClient" | "both" | undefined
  /** The connections that are open now, those to come, or all (default). */
  readonly connections?: "open" | "new" | "all" | undefined
}

/**
 * Bytes of one direction, over all connections: read from the one side, given to the other, and lost in a blackhole or
 * because their connection ended before they could be passed on.
 *
 * @category models
 * @since 0.1.0
 */
export interface Traffic {
  readonly received: number
  readonly sent: number
  readonly lost: number
}

/**
 * - `open`: connections that clients or the server have not closed, or that wait for the end to get through
 * - `total`: connections accepted since the start
 * - `failed`: those for which the server could not be reached; also those that could not be accepted, which `total` lacks
 *
 * @category models
 * @since 0.1.0
 */
export interface Stats {
  readonly open: number
  readonly total: number
  readonly failed: number
  readonly toServer: Traffic
  readonly toClient: Traffic
}

/**
 * The proxy can't listen where it was told to.
 *
 * @category errors
 * @since 0.1.0
 */
export class FaultProxyError extends Schema.TaggedError<FaultProxyError>("effect-pools/FaultProxyError")(
  "FaultProxyError",
  { address: Schema.String, cause: Schema.Defect() }
) {
  override get message(): string {
    return `The fault proxy can't listen on ${this.address}: ${String(this.cause)}`
  }
}

/**
 * Starts a proxy. When the scope closes it stops listening, destroys every connection, half-open ones too, and leaves
 * neither handle nor timer behind.
 *
 * **Details**
 *
 * The server is not asked before a client connects.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: {
  (
    options: Options & { readonly listen?: Exclude<Options["listen"], UnixAddress | "unix"> }
  ): Effect.Effect<FaultProxy<TcpAddress>, FaultProxyError | InvalidOptions.InvalidOptions, Scope.Scope>
  (
    options: Options & { readonly listen: UnixAddress | "unix" }
  ): Effect.Effect<FaultProxy<UnixAddress>, FaultProxyError | InvalidOptions.InvalidOptions, Scope.Scope>
  (options: Options): Effect.Effect<FaultProxy, FaultProxyError | InvalidOptions.InvalidOptions, Scope.Scope>
} = Effect.fnUntraced(function* (options: Options) {
  const { listen, upstream } = yield* InvalidOptions.check(() => checkOptions(options))
  const relay = new Relay(upstream, yield* Effect.context<never>())
  const wanted = listen === "unix" ? { path: join(yield* temporaryFolder, "proxy.sock") } : listen
  yield* Effect.addFinalizer(() => relay.close)
  const port = yield* startListening(relay, wanted)
  const address = "path" in wanted ? wanted : { host: wanted.host, port: port! }
  return { address, relay } satisfies FaultProxy as FaultProxy<any>
})

// Faults that last ---------------------------------------------------------------------------------------------------

/**
 * From now on bytes take `latency`, and up to `jitter` (default 0) longer at random. They keep their order. A latency of
 * 0 takes the delay back.
 *
 * **Details**
 *
 * At most 256 KiB are under way in a direction of a connection, so a long latency limits its throughput too. Bytes that
 * are under way already are delayed as well, counted from when they came.
 *
 * @category faults
 * @since 0.1.0
 */
export const delay = (
  self: FaultProxy<any>,
  options: Target & { readonly latency: Duration.Input; readonly jitter?: Duration.Input | undefined }
): Effect.Effect<void, InvalidOptions.InvalidOptions> =>
  change(self, options, { latency: "required", jitter: "optional" }, (checks) => ({
    latency: checks.millis("latency", options.latency, NaN, { zero: true }),
    jitter: checks.millis("jitter", options.jitter, 0, { zero: true })
  }))

/**
 * From now on only so many bytes a second pass, in each direction of each connection. `Infinity` takes it back.
 *
 * @category faults
 * @since 0.1.0
 */
export const throttle = (
  self: FaultProxy<any>,
  options: Target & { readonly bytesPerSecond: number }
): Effect.Effect<void, InvalidOptions.InvalidOptions> =>
  change(self, options, { bytesPerSecond: "required" }, (checks) => ({
    bytesPerSecond: checks.limit("bytesPerSecond", options.bytesPerSecond, NaN, 1)
  }))

/**
 * Nothing passes until {@link resume}; nothing is lost, and everything stays open. Connections made meanwhile are
 * accepted, and stall as well.
 *
 * @category faults
 * @since 0.1.0
 */
export const stall = (self: FaultProxy<any>, target: Target = {}): Effect.Effect<void, InvalidOptions.InvalidOptions> =>
  change(self, target, {}, () => ({ isStalled: true }))

/**
 * Takes a {@link stall} back.
 *
 * @category faults
 * @since 0.1.0
 */
export const resume = (
  self: FaultProxy<any>,
  target: Target = {}
): Effect.Effect<void, InvalidOptions.InvalidOptions> => change(self, target, {}, () => ({ isStalled: false }))

/**
 * Everything is accepted, and lost: bytes, the ends of streams, and new connections, which never reach the server unless
 * one of their directions still works.
 *
 * **Details**
 *
 * Connections that have lost something are reset by {@link heal}, as a firewall does that has forgotten them. The others
 * go on as if nothing had been.
 *
 * @category faults
 * @since 0.1.0
 */
export const blackhole = (
  self: FaultProxy<any>,
  target: Target = {}
): Effect.Effect<void, InvalidOptions.InvalidOptions> => change(self, target, {}, () => ({ isBlackhole: true }))

/**
 * Every connection passes so many more bytes, in each of the directions, and then ends: in good order (`"cut"`, the
 * default), or not (`"reset"`).
 *
 * @category faults
 * @since 0.1.0
 */
export const cutAfter = (
  self: FaultProxy<any>,
  options: Target & { readonly bytes: number; readonly ending?: "cut" | "reset" | undefined }
): Effect.Effect<void, InvalidOptions.InvalidOptions> =>
  change(self, options, { bytes: "required", ending: "optional" }, (checks) => ({
    bytesLeft: checks.integer("bytes", options.bytes, NaN, 0),
    ending: checks.oneOf("ending", options.ending, "cut", ["cut", "reset"])
  }))

/**
 * Stops listening: who connects is refused. Open connections are left alone.
 *
 * @category faults
 * @since 0.1.0
 */
export const refuse = (self: FaultProxy<any>): Effect.Effect<void> => self.relay.refuse

/**
 * Takes back every fault that lasts, for all connections, and listens again on the same address if it was told to
 * {@link refuse}. That can fail: somebody else may have taken the port meanwhile.
 *
 * @category faults
 * @since 0.1.0
 */
export const heal = (self: FaultProxy<any>): Effect.Effect<void, FaultProxyError> =>
  Effect.andThen(
    Effect.sync(() => self.relay.change(healthy, { directions, open: true, future: true })),
    Effect.asVoid(startListening(self.relay, self.address))
  )

// Faults of a moment -------------------------------------------------------------------------------------------------

/**
 * Ends the open connections in good order: each side reads the end of its stream. What is under way, and what is still
 * sent, is lost.
 *
 * **Details**
 *
 * A connection is gone when its side has closed it as well. With a `direction` only that one ends, and the connection is
 * half-open.
 *
 * @category faults
 * @since 0.1.0
 */
export const cut = (
  self: FaultProxy<any>,
  options: Pick<Target, "direction"> = {}
): Effect.Effect<void, InvalidOptions.InvalidOptions> =>
  InvalidOptions.check(() => {
    const { affected } = checkTarget(options, {})
    for (const link of Array.from(self.relay.links)) link.cut(affected.directions)
  })

/**
 * Breaks the open connections off: both sides get a TCP reset (`ECONNRESET`).
 *
 * **Gotchas**
 *
 * Unix domain sockets know no reset. They are closed, and both sides read the end of the stream, or an error if something
 * they had sent was not read yet.
 *
 * @category faults
 * @since 0.1.0
 */
export const reset = (self: FaultProxy<any>): Effect.Effect<void> =>
  Effect.sync(() => {
    for (const link of Array.from(self.relay.links)) link.reset()
  })

// Observation --------------------------------------------------------------------------------------------------------

/**
 * @category observation
 * @since 0.1.0
 */
export const stats = ({ relay }: FaultProxy<any>): Effect.Effect<Stats> =>
  Effect.sync(() => ({
    open: relay.links.size,
    total: relay.total,
    failed: relay.failed,
    toServer: { ...relay.traffic.toServer },
    toClient: { ...relay.traffic.toClient }
  }))

// Helpers ------------------------------------------------------------------------------------------------------------

const temporaryFolder = Effect.acquireRelease(
  Effect.mapError(
    Effect.tryPromise(() => mkdtemp(join(tmpdir(), "effect-pools-proxy-"))),
    ({ cause }) => new FaultProxyError({ address: tmpdir(), cause })
  ),
  (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
)

const startListening = (relay: Relay, address: TcpAddress | UnixAddress) =>
  Effect.mapError(
    relay.listen({ ...address }),
    (cause) =>
      new FaultProxyError({ address: "path" in address ? address.path : `${address.host}:${address.port}`, cause })
  )

const change = (
  self: FaultProxy<any>,
  target: Target,
  fields: Readonly<Record<string, "required" | "optional">>,
  read: (checks: InvalidOptions.Checks) => Partial<Conditions>
) =>
  InvalidOptions.check(() => {
    const { affected, checks } = checkTarget(target, { connections: "optional", ...fields })
    self.relay.change(read(checks), affected)
  })
