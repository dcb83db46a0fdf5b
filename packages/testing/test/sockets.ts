import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { mkdtemp, rm } from "node:fs/promises"
import { connect, createServer, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { FaultProxy } from "../src/index.ts"

export type Address = FaultProxy.TcpAddress | FaultProxy.UnixAddress

/** One end of a connection, and everything that it has seen of the other. */
export class Peer {
  readonly socket: Socket
  /** How many bytes it has received. */
  size = 0
  hasEnded = false
  isClosed = false
  error: string | undefined = undefined
  readonly #chunks: Array<Uint8Array> = []

  constructor(socket: Socket) {
    this.socket = socket
    socket.on("data", (bytes) => {
      this.#chunks.push(bytes)
      this.size += bytes.length
    })
    socket.on("end", () => (this.hasEnded = true))
    socket.on("error", (error: NodeJS.ErrnoException) => (this.error = error.code))
    socket.on("close", () => (this.isClosed = true))
  }

  get received(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  get text(): string {
    return this.received.toString()
  }

  send(data: string | Uint8Array): void {
    this.socket.write(data)
  }
}

/** Ends when this has come to be. It is looked at whenever anything else had its turn, and takes no time of a clock. */
export const eventually = (condition: () => boolean): Effect.Effect<void> =>
  Effect.asVoid(
    Effect.repeat(
      Effect.promise(() => new Promise((resolve) => setImmediate(resolve))),
      { until: condition }
    )
  )

/** The surrounding clock, and how many sleeps on it have not ended. */
export const countSleeps = Effect.map(Clock.Clock, (clock) => {
  let running = 0
  const sleep: Clock.Clock["sleep"] = (duration) =>
    Effect.suspend(() => {
      running++
      return Effect.ensuring(
        clock.sleep(duration),
        Effect.sync(() => running--)
      )
    })
  return { clock: Object.assign(Object.create(clock) as Clock.Clock, { sleep }), running: () => running }
})

/** A server that keeps its ends of the connections; with `isEcho` it sends back what it gets. */
export const startServer = (kind: "TCP" | "Unix", options: { readonly isEcho?: boolean } = {}) =>
  Effect.gen(function* () {
    const folder = yield* temporaryFolder
    const peers: Array<Peer> = []
    const address = yield* Effect.acquireRelease(
      Effect.promise(
        () =>
          new Promise<{ readonly address: Address; readonly close: () => Promise<void> }>((resolve) => {
            const server = createServer({ allowHalfOpen: true }, (socket) => {
              peers.push(new Peer(socket))
              if (options.isEcho === true) socket.pipe(socket)
            })
            server.listen(
              kind === "TCP" ? { port: 0, host: "127.0.0.1" } : { path: join(folder, "server.sock") },
              () => {
                const bound = server.address()
                resolve({
                  address: typeof bound === "string" ? { path: bound } : { host: "127.0.0.1", port: bound!.port },
                  close: () =>
                    new Promise((closed) => {
                      server.close(() => closed())
                      for (const peer of peers) peer.socket.destroy()
                    })
                })
              }
            )
          })
      ),
      ({ close }) => Effect.promise(close)
    )
    return { ...address, peers }
  })

/** Connects, and is not told of anything that happens after: see {@link Peer}. */
export const dial = (address: Address) =>
  Effect.acquireRelease(
    Effect.sync(() => new Peer(connect({ ...address, allowHalfOpen: true }))),
    ({ socket }) => Effect.sync(() => socket.destroy())
  )

export const temporaryFolder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "effect-pools-sockets-"))),
  (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
)
