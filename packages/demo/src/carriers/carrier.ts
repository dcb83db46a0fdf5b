/**
 * A carrier that says what a parcel costs: a process of its own, asked over a Unix socket, a line of JSON for each question
 * and each answer. Run as `node carrier.ts <name>`; prints where its socket is, and ends with its input.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { createServer, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import type { Question } from "./line.ts"

const [name] = process.argv.slice(2)
if (name === undefined) throw new Error("usage: node carrier.ts <name>")

const folder = mkdtempSync(join(tmpdir(), "effect-pools-carrier-"))
const path = join(folder, "socket")

const answer = (socket: Socket, line: string): void => {
  const { grams, parcel } = JSON.parse(line) as Question
  socket.write(`${JSON.stringify({ carrier: name, parcel, cents: 390 + Math.ceil(grams / 500) * 60 })}\n`)
}

const server = createServer((socket) => {
  socket.on("error", () => socket.destroy())
  createInterface({ input: socket })
    .on("line", (line) => answer(socket, line))
    .on("error", () => {})
})
server.listen(path, () => process.stdout.write(`${path}\n`))

const end = (): void => {
  rmSync(folder, { recursive: true, force: true })
  process.exit()
}
process.stdin.on("close", end).resume()
// Those to the foreground group are the demo's to act on: it still asks while it drains.
for (const signal of ["SIGINT", "SIGHUP"]) process.on(signal, () => {})
process.on("SIGTERM", end)
