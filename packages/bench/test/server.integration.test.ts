import { expect, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

it("a server leaves nothing behind when the program is stopped", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bench folder "))
  // PostgreSQL runs as another user if this is root.
  chmodSync(folder, 0o755)
  try {
    const script = [
      `const { startServer } = await import(${JSON.stringify(new URL("../src/server.ts", import.meta.url).href)})`,
      'const Effect = await import("effect/Effect")',
      'await Effect.runPromise(Effect.scoped(Effect.andThen(startServer, Effect.sync(() => console.log("started")).pipe(Effect.andThen(Effect.never)))))'
    ]
    const child = spawn(process.execPath, ["--input-type=module", "--eval", script.join("\n")], {
      cwd: import.meta.dirname,
      env: { ...process.env, TMPDIR: folder },
      stdio: ["ignore", "pipe", "inherit"]
    })
    await once(child.stdout, "data")
    expect(readdirSync(folder)).toHaveLength(1)
    child.kill("SIGTERM")
    await once(child, "exit")
    expect(readdirSync(folder)).toEqual([])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}, 30_000)
