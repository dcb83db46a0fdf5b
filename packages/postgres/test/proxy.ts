import * as Effect from "effect/Effect"
import { connect, createServer, type Server as NetServer, type Socket } from "node:net"
import type { Server } from "./server.ts"

export interface ProxyOptions {
  /** The server's answers go on in pieces of so many bytes. */
  readonly chunk?: number
  /** Asked of every connection, counted from 1: whether to close it at once. */
  readonly refuses?: (connection: number) => boolean
  /** Asked of every piece of the server's answers: whether to lose it, and the connection with it. */
  readonly loses?: (data: Buffer) => boolean
}

/** Between the pool and the server: knows of the protocol, where `FaultProxy` of the testing package does not. */
export const makeProxy = (server: Server, { chunk = Infinity, loses, refuses }: ProxyOptions = {}) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      let isCut = false
      let connections = 0
      const proxy = await listen((socket) => {
        if (isCut || refuses?.(++connections) === true) {
          socket.destroy()
          return
        }
        const upstream = connect(server.config.port, "127.0.0.1")
        socket.on("data", (data) => upstream.write(data))
        upstream.on("data", (data) => {
          if (loses?.(data) === true) socket.destroy()
          else deliver(socket, data, chunk)
        })
        for (const [from, to] of [
          [socket, upstream],
          [upstream, socket]
        ] as const) {
          from.on("error", () => to.destroy())
          from.on("close", () => to.end())
        }
      })
      return {
        ...proxy,
        cut: () => {
          isCut = true
          proxy.destroyAll()
        },
        mend: () => {
          isCut = false
        }
      }
    }),
    ({ close }) => Effect.sync(close)
  )

/** Each piece goes out by itself: the next one waits for its turn in the event loop. */
const deliver = (socket: Socket, data: Uint8Array, chunk: number): void => {
  socket.setNoDelay()
  const pieces: Array<Uint8Array> = queues.get(socket) ?? []
  const isRunning = queues.has(socket)
  queues.set(socket, pieces)
  for (let at = 0; at < data.length; at += chunk) pieces.push(data.subarray(at, Math.min(data.length, at + chunk)))
  const next = (): void => {
    const piece = pieces.shift()
    if (piece === undefined) {
      queues.delete(socket)
      return
    }
    socket.write(piece)
    setImmediate(next)
  }
  if (!isRunning) next()
}
const queues = new WeakMap<Socket, Array<Uint8Array>>()

export const listen = (onConnection: (socket: Socket) => void) =>
  new Promise<{ readonly port: number; readonly destroyAll: () => void; readonly close: () => void }>((resolve) => {
    const sockets = new Set<Socket>()
    const listener: NetServer = createServer((socket) => {
      sockets.add(socket)
      socket.on("error", () => {})
      socket.on("close", () => sockets.delete(socket))
      onConnection(socket)
    })
    const destroyAll = (): void => {
      for (const socket of sockets) socket.destroy()
    }
    listener.listen(0, "127.0.0.1", () =>
      resolve({
        port: (listener.address() as { port: number }).port,
        destroyAll,
        close: () => {
          destroyAll()
          listener.close()
        }
      })
    )
  })
