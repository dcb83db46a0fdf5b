import { expect, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"

/** Starts a process that starts a server, and goes on with `then`. Its temporary folder is `folder`. */
const startProgram = (folder: string, then: string) => {
  const script = [
    `const { startServer } = await import(${JSON.stringify(new URL("../src/server.ts", import.meta.url).href)})`,
    'const Effect = await import("effect/Effect")',
    `await Effect.runPromise(Effect.scoped(Effect.andThen(startServer, ${then})))`
  ]
  return spawn(process.execPath, ["--input-type=module", "--eval", script.join("\n")], {
    cwd: import.meta.dirname,
    env: { ...process.env, TMPDIR: folder },
    stdio: ["ignore", "pipe", "inherit"],
    // As in a terminal, where Ctrl-C signals all processes of a group.
    detached: true
  })
}

const inFolder = async (f: (folder: string) => Promise<void>): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), "bench folder "))
  // PostgreSQL runs as another user if this is root.
  chmodSync(folder, 0o755)
  try {
    await f(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

it(
  "a server leaves nothing behind when the program is stopped",
  () =>
    inFolder(async (folder) => {
      const started = 'Effect.andThen(Effect.sync(() => console.log("started")), Effect.never)'
      const child = startProgram(folder, started)
      await once(child.stdout, "data")
      expect(readdirSync(folder)).toHaveLength(1)
      child.kill("SIGTERM")
      await once(child, "exit")
      expect(readdirSync(folder)).toEqual([])
    }),
  30_000
)

it(
  "a server leaves nothing behind when the program is stopped while it starts",
  () =>
    inFolder(async (folder) => {
      const child = startProgram(folder, "Effect.never")
      const isAtWork = () => readdirSync(folder, { recursive: true }).some((file) => String(file).includes("pg_"))
      while (!isAtWork()) await setTimeout(1)
      process.kill(-child.pid!, "SIGINT")
      await once(child, "exit")
      expect(readdirSync(folder)).toEqual([])
    }),
  30_000
)

it(
  "a program that has started a server ends as it says",
  () =>
    inFolder(async (folder) => {
      const child = startProgram(folder, "Effect.sync(() => { process.exitCode = 3 })")
      expect(await once(child, "exit")).toEqual([3, null])
    }),
  30_000
)
