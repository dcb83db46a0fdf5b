/** Redis for tests: one that is there already, servers of one's own, and connections for pools. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { mkdtemp, rm } from "node:fs/promises"
import { connect as connectSocket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createClient, ErrorReply } from "redis"
import getPort from "get-port"

export interface Address {
  readonly host: string
  readonly port: number
  readonly username?: string
  readonly password?: string
  readonly database?: number
}

export class RedisError extends Data.TaggedError("RedisError")<{
  readonly message: string
  readonly cause: unknown
  /** The server has answered, so the connection is sound. */
  readonly isReply: boolean
}> {}

const redisError = (cause: unknown): RedisError =>
  new RedisError({ message: String(cause), cause, isReply: cause instanceof ErrorReply })

// Connections --------------------------------------------------------------------------------------------------------

const makeClient = (address: Address | { readonly path: string }, name: string) =>
  createClient({
    name,
    ...("path" in address
      ? { socket: { path: address.path, reconnectStrategy: false as const } }
      : {
          socket: {
            host: address.host,
            port: address.port,
            reconnectStrategy: false as const,
            connectTimeout: 1000
          },
          ...(address.username === undefined ? {} : { username: address.username }),
          ...(address.password === undefined ? {} : { password: address.password }),
          ...(address.database === undefined ? {} : { database: address.database })
        }),
    disableClientInfo: true,
    maintNotifications: "disabled"
  })

export type Client = ReturnType<typeof makeClient>

/** A connection, which tells `onLost` when it breaks off. */
export const connect = (
  address: Address | { readonly path: string },
  name: string,
  onLost: (client: Client) => void = () => {}
): Effect.Effect<Client, RedisError, Scope.Scope> =>
  Effect.gen(function* () {
    let isReleased = false
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => makeClient(address, name)),
      (client) =>
        Effect.sync(() => {
          isReleased = true
          client.destroy()
        })
    )
    client.on("error", () => onLost(client))
    // Destroyed while it connects, a client connects all the same.
    client.on("connect", () => {
      if (isReleased) client.destroy()
    })
    yield* command(() => client.connect())
    return client
  })

/** A command's answer. Interrupted, it may still be carried out, and its answer still comes. */
export const command = <A>(run: () => Promise<A>): Effect.Effect<A, RedisError> =>
  Effect.tryPromise({ try: run, catch: redisError })

/** Looks at the server from outside of any pool. */
export const observe = (address: Address) =>
  Effect.map(connect(address, "observer"), (client) => ({
    client,
    /** The ids of the connections with this name. */
    clients: (name: string) =>
      Effect.map(
        command(() => client.clientList()),
        (list) => list.filter((entry) => entry.name === name).map(({ id }) => Number(id))
      ),
    kill: (id: number) => command(() => client.sendCommand(["CLIENT", "KILL", "ID", String(id)]))
  }))

// Servers ------------------------------------------------------------------------------------------------------------

/** A server of one's own, which can be stopped and started again on its port. */
export interface Server {
  readonly address: Address
  /** Its Unix domain socket. */
  readonly path: string
  /** Ends when the server answers. */
  readonly start: Effect.Effect<void>
  /** Ends its process without notice. */
  readonly kill: Effect.Effect<void>
  /** Its process does nothing until it is thawed; the system accepts connections in its name. */
  readonly freeze: Effect.Effect<void>
  readonly thaw: Effect.Effect<void>
}

const PROGRAM = "redis-server"

/** Whether a server can be started on this machine. */
export const canStart = spawnSync(PROGRAM, ["--version"]).status === 0

export const startServer = (...settings: ReadonlyArray<string>): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "effect-pools-redis-"))),
      (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
    )
    const address = { host: "127.0.0.1", port: yield* Effect.promise(() => getPort({ host: "127.0.0.1" })) }
    const path = join(folder, "redis.sock")
    const args = ["--port", String(address.port), "--bind", address.host, "--unixsocket", path, "--dir", folder]
    args.push("--save", "", "--appendonly", "no", ...settings)
    let running: ChildProcess | undefined
    const kill = Effect.promise(async () => {
      const child = running
      running = undefined
      if (child === undefined || child.exitCode !== null) return
      const exited = new Promise((resolve) => child.once("exit", resolve))
      child.kill("SIGKILL")
      await exited
    })
    const start = Effect.promise(async () => {
      const output: Array<string> = []
      const child = spawn(PROGRAM, args)
      running = child
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => output.push(String(text)))
      while (!(await answers(address))) {
        if (child.exitCode !== null) throw new Error(`${PROGRAM} did not start:\n${output.join("")}`)
      }
    })
    yield* Effect.addFinalizer(() => kill)
    yield* start
    const signal = (name: NodeJS.Signals) => Effect.sync(() => void running?.kill(name))
    return { address, path, start, kill, freeze: signal("SIGSTOP"), thaw: signal("SIGCONT") }
  })

/** Whether a Redis server answers here, be it that it wants a password. */
const answers = ({ host, port }: Address): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connectSocket({ host, port })
    const end = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(1000, () => end(false))
    socket.on("error", () => end(false))
    socket.on("close", () => end(false))
    socket.on("connect", () => socket.write("PING\r\n"))
    socket.on("data", (data) => end(/^(\+PONG|-NOAUTH)/.test(String(data))))
  })

/** The server that `REDIS_URL` names, or one on the usual port. */
const findShared = async (): Promise<Address | undefined> => {
  const url = new URL(process.env["REDIS_URL"] || "redis://127.0.0.1:6379")
  const address: Address = {
    host: url.hostname,
    port: Number(url.port || 6379),
    ...(url.username === "" ? {} : { username: decodeURIComponent(url.username) }),
    ...(url.password === "" ? {} : { password: decodeURIComponent(url.password) }),
    ...(url.pathname.length > 1 ? { database: Number(url.pathname.slice(1)) } : {})
  }
  return (await answers(address)) ? address : undefined
}

/** A server that is there already, and that tests must leave as they found it. */
export const shared: Address | undefined = await findShared()
