import { InstancePool } from "@effect-pools/instance"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { spawn as spawnProcess } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { Worker, type WorkerOptions } from "node:worker_threads"
import { atRest, fork, outcome, scripts, until, type Worker as Client, withPool } from "./support.ts"

/** Spawns sandboxes, and knows which threads live. */
const track = () => {
  const spawned: Array<Worker> = []
  const spawn = (options: WorkerOptions): Worker => {
    const worker = new Worker(scripts.light, options)
    spawned.push(worker)
    return worker
  }
  // Node forgets the number of a thread that has exited.
  return { spawn, spawned, living: () => spawned.filter(({ threadId }) => threadId !== -1).length }
}

/** What keeps the process alive, but for timers, which come and go by themselves. */
const resources = () =>
  process
    .getActiveResourcesInfo()
    .filter((name) => !["Timeout", "Immediate"].includes(name))
    .sort()

describe("nothing is left behind", () => {
  it.live("by twenty leases that end in every way", () =>
    Effect.gen(function* () {
      const { living, spawn, spawned } = track()
      const before = resources()
      const ends: ReadonlyArray<(worker: Client) => Effect.Effect<unknown, unknown>> = [
        (worker) => worker.Double({ n: 1 }),
        (worker) => worker.Exit({ code: 1 }),
        (worker) => worker.ThrowLater({ message: "boom" }),
        (worker) => Effect.timeoutOption(worker.Spin(), "20 millis"),
        (worker) => Effect.andThen(worker.Linger(), Effect.fail("no"))
      ]
      yield* withPool({ max: 2, onExhausted: "wait", spawn }, (pool) =>
        Effect.gen(function* () {
          const leases = Array.from({ length: 4 }, () => ends).flat()
          yield* Effect.forEach(leases, (end) => outcome(InstancePool.use(pool, end)), { concurrency: 3 })
          yield* atRest(pool)
          expect(living()).toBe(0)
          yield* InstancePool.use(pool, (worker) =>
            Effect.gen(function* () {
              yield* fork(worker.Wait())
              yield* worker.Double({ n: 1 })
              expect(living()).toBe(1)
              expect(resources()).not.toEqual(before)
            })
          )
        })
      )
      expect(spawned).toHaveLength(21)
      expect(living()).toBe(0)
      // What the test runner has under way ends by itself.
      yield* until(() => resources().length <= before.length)
      expect(resources()).toEqual(before)
    })
  )

  it.live("by callers that are interrupted at any moment", () =>
    Effect.gen(function* () {
      const { living, spawn } = track()
      const bodies: ReadonlyArray<(worker: Client) => Effect.Effect<unknown, unknown>> = [
        (worker) => worker.Spin(),
        (worker) => Effect.forever(worker.Double({ n: 1 })),
        (worker) => Stream.runDrain(worker.Numbers({ count: 1e9 }))
      ]
      yield* withPool({ max: 2, onExhausted: "wait", spawn, prepare: 1 }, (pool) =>
        Effect.gen(function* () {
          const started = performance.now()
          yield* InstancePool.use(pool, (worker) => worker.Double({ n: 1 }))
          const startTime = performance.now() - started
          // From before the start of a worker to well after it.
          for (let step = 0; step < 10; step++) {
            const callers = yield* Effect.forEach(bodies, (body) => fork(outcome(InstancePool.use(pool, body))))
            yield* Effect.sleep((startTime * step) / 10)
            yield* Fiber.interruptAll(callers)
          }
          yield* atRest(pool)
          yield* until(() => pool.admission.idle === 1 && living() === 1)
          expect(yield* InstancePool.use(pool, (worker) => worker.Double({ n: 21 }))).toBe(42)
        })
      )
      expect(living()).toBe(0)
    })
  )
})

/** Runs a program to its end, and answers with how it ended and what it wrote. */
const run = (scenario: string, react: (line: string, kill: () => void) => void = () => {}) =>
  Effect.promise(async () => {
    const program = fileURLToPath(scripts.program)
    const child = spawnProcess(process.execPath, [program, scenario], { stdio: ["ignore", "pipe", "inherit"] })
    let output = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text
      react(text, () => child.kill("SIGINT"))
    })
    const [code] = await once(child, "close")
    return { code: code as number | null, output }
  })

describe("a process", () => {
  it.live("is not kept alive by workers that have nothing to do", () =>
    Effect.gen(function* () {
      expect(yield* run("idle")).toEqual({ code: 0, output: "prepared\n" })
    })
  )

  it.live("is kept alive while a worker owes it an answer, and no longer", () =>
    Effect.gen(function* () {
      expect(yield* run("answer")).toEqual({ code: 0, output: "42\n" })
    })
  )

  it.live("that is interrupted ends its runaways and closes its pool", () =>
    Effect.gen(function* () {
      const { code, output } = yield* run("runaway", (line, interrupt) => line.includes("spinning") && interrupt())
      expect(output).toBe("spinning\nclosed\n")
      expect(code).toBe(130)
    })
  )
})
