import { Background, CoarseClock } from "@effect-pools/core"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Semaphore from "effect/Semaphore"
// Not effect/socket: it has no resets, no half-open connections, and doesn't say when a socket is connected or drained.
import { createServer, type ListenOptions, type NetConnectOpts, type Server, Socket } from "node:net"
import { type Conditions, healthy, Pipe, type Surroundings, type Traffic } from "./faultProxyPipe.ts"

export const directions = ["toServer", "toClient"] as const

export type Direction = (typeof directions)[number]

/** The listener and its connections. */
export class Relay {
  readonly links = new Set<Link>()
  readonly traffic: Record<Direction, Traffic> = {
    toServer: { received: 0, sent: 0, lost: 0 },
    toClient: { received: 0, sent: 0, lost: 0 }
  }
  total = 0
  failed = 0
  /** The conditions under which new connections begin. */
  readonly #initial: Record<Direction, Conditions> = { toServer: healthy, toClient: healthy }
  readonly #upstream: NetConnectOpts
  readonly #surroundings: Surroundings
  /** Listening again takes time, and not listening may be asked for meanwhile. */
  readonly #turns = Semaphore.makeUnsafe(1)
  #server: Server | undefined = undefined
  #isClosed = false

  constructor(upstream: NetConnectOpts, context: Context.Context<never>) {
    const random = Context.get(context, Random.Random)
    this.#upstream = upstream
    this.#surroundings = {
      background: new Background.Background(context),
      clock: CoarseClock.make(Context.get(context, Clock.Clock)),
      random: () => random.nextDoubleUnsafe()
    }
  }

  /** Listens, unless it does already; the port that it got if it listens on one. */
  listen(address: ListenOptions): Effect.Effect<number | undefined, unknown> {
    return this.#turns.withPermit(
      Effect.callback((resume) => {
        if (this.#isClosed || this.#server !== undefined) return resume(Effect.succeed(undefined))
        const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client))
        this.#server = server
        const fail = (error: Error): void => {
          if (this.#server === server) this.#server = undefined
          resume(Effect.fail(error))
        }
        server.once("error", fail)
        server.once("close", () => resume(Effect.succeed(undefined)))
        server.listen(address, () => {
          server.off("error", fail)
          // A connection that could not be accepted. No file handles left is none: Node hangs up by itself then.
          server.on("error", () => this.failed++)
          const bound = server.address()
          resume(Effect.succeed(typeof bound === "object" ? bound?.port : undefined))
        })
        return Effect.sync(() => this.#stopListening())
      })
    )
  }

  /** Stops listening, and leaves the connections alone. */
  readonly refuse: Effect.Effect<void> = this.#turns.withPermit(Effect.sync(() => this.#stopListening()))

  readonly close: Effect.Effect<void> = Effect.promise(async () => {
    this.#isClosed = true
    this.#stopListening()
    const links = Array.from(this.links)
    for (const link of links) link.destroy()
    await Promise.all(links.map((link) => link.closed))
  })

  /** Changes the conditions of some directions, of the connections that are open, of those to come, or of both. */
  change(
    change: Partial<Conditions>,
    affected: { readonly directions: ReadonlyArray<Direction>; readonly open: boolean; readonly future: boolean }
  ): void {
    for (const direction of affected.directions) {
      if (affected.future) this.#initial[direction] = { ...this.#initial[direction], ...change }
      if (affected.open) for (const link of Array.from(this.links)) link.pipes[direction].change(change)
    }
  }

  #accept(client: Socket): void {
    this.total++
    const upstream = new Socket({ allowHalfOpen: true })
    const link = new Link(client, upstream, this.#initial, this.traffic, this.#surroundings)
    this.links.add(link)
    void link.closed.then(() => this.links.delete(link))
    if (directions.every((direction) => this.#initial[direction].isBlackhole)) {
      for (const direction of directions) link.pipes[direction].lose()
      return
    }
    const fail = () => this.failed++
    upstream.once("error", fail)
    upstream.once("connect", () => upstream.off("error", fail))
    upstream.setNoDelay()
    try {
      upstream.connect(this.#upstream)
    } catch {
      // Nobody else would catch it here: an address that Node refuses at once.
      upstream.off("error", fail)
      fail()
      link.reset()
    }
  }

  #stopListening(): void {
    this.#server?.close()
    this.#server = undefined
  }
}

/** A client's connection and the one to the server that was made for it. */
export class Link {
  readonly pipes: Record<Direction, Pipe>
  /** Both sockets have closed. */
  readonly closed: Promise<unknown>
  readonly #client: Socket
  readonly #upstream: Socket

  constructor(
    client: Socket,
    upstream: Socket,
    conditions: Record<Direction, Conditions>,
    traffic: Record<Direction, Traffic>,
    surroundings: Surroundings
  ) {
    this.#client = client
    this.#upstream = upstream
    this.closed = Promise.all(
      [client, upstream].map((socket) => {
        // An error is followed by the close, which tells the pipe.
        socket.on("error", () => {})
        return new Promise((resolve) => socket.once("close", resolve))
      })
    )
    const owner = {
      broken: () => this.reset(),
      bytesSpent: (ending: "cut" | "reset") => (ending === "cut" ? this.cut(directions) : this.reset()),
      inconsistent: () => this.reset()
    }
    this.pipes = {
      toServer: new Pipe(client, upstream, conditions.toServer, traffic.toServer, surroundings, owner),
      toClient: new Pipe(upstream, client, conditions.toClient, traffic.toClient, surroundings, owner)
    }
  }

  /** Ends directions in good order: their sinks learn that nothing more comes. */
  cut(which: ReadonlyArray<Direction>): void {
    for (const direction of which) {
      this.pipes[direction].stop()
      const sink = direction === "toServer" ? this.#upstream : this.#client
      // One that was never connected has nobody to tell.
      if (sink.pending && !sink.connecting) sink.destroy()
      else sink.end()
    }
  }

  reset(): void {
    this.#stop()
    for (const socket of [this.#client, this.#upstream]) {
      // Only TCP knows resets.
      if (isTcp(socket)) socket.resetAndDestroy()
      else socket.destroy()
    }
  }

  destroy(): void {
    this.#stop()
    this.#client.destroy()
    this.#upstream.destroy()
  }

  #stop(): void {
    for (const direction of directions) this.pipes[direction].stop()
  }
}

/** A socket connected over TCP: only such a one has the address of a peer. */
const isTcp = (socket: Socket): boolean => socket.remoteAddress !== undefined
