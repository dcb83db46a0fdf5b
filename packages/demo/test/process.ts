/**
 * The demo as a process of its own, with a folder for whatever it might leave behind.
 */
import { execFileSync, spawn } from "node:child_process"
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))

export const startDemo = (args: ReadonlyArray<string>, env: NodeJS.ProcessEnv = {}) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const folder = mkdtempSync(join(tmpdir(), "effect-pools-demo-test-"))
      chmodSync(folder, 0o711)
      return new Demo(folder, args, env)
    }),
    (demo) =>
      Effect.sync(() => {
        demo.kill("SIGKILL")
        rmSync(demo.folder, { recursive: true, force: true })
      })
  )

class Demo {
  readonly folder: string
  output = ""
  readonly exited: Promise<number | null>
  readonly kill: (signal: NodeJS.Signals) => void
  /** As when its terminal is closed: the signal, and nobody to write to. */
  readonly hangUp: () => void
  #onOutput = (): void => {}

  constructor(folder: string, args: ReadonlyArray<string>, env: NodeJS.ProcessEnv) {
    this.folder = folder
    const child = spawn(process.execPath, [main, ...args], {
      cwd: folder,
      // Its temporary files go where nobody else's are.
      env: { ...process.env, DATABASE_URL: undefined, TMPDIR: folder, ...env },
      stdio: ["ignore", "pipe", "pipe"]
    })
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk) => {
        this.output += String(chunk)
        this.#onOutput()
      })
    }
    this.exited = new Promise((resolve) => child.on("close", resolve))
    this.kill = (signal) => void child.kill(signal)
    this.hangUp = () => {
      for (const stream of [child.stdout, child.stderr]) stream.destroy()
      child.kill("SIGHUP")
    }
  }

  /** Until it has said this, or has exited. */
  says(text: string): Promise<unknown> {
    return Promise.race([
      this.exited,
      new Promise<void>((resolve) => {
        this.#onOutput = () => {
          if (this.output.includes(text)) resolve()
        }
        this.#onOutput()
      })
    ])
  }

  /** Files in its folder, and processes that name it: the server's all do. */
  get leftBehind(): ReadonlyArray<string> {
    return [...readdirSync(this.folder), ...commandLines().filter((line) => line.includes(this.folder))]
  }
}

/** Of all processes. Linux tells by files: a slim image has no `ps`. */
const commandLines = (): ReadonlyArray<string> => {
  if (process.platform !== "linux") return execFileSync("ps", ["-eo", "pid,args"], { encoding: "utf8" }).split("\n")
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return `${pid} ${readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")}`
      } catch {
        // It has ended meanwhile.
        return pid
      }
    })
}
