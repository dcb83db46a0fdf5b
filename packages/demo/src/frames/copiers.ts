/**
 * The threads that copy frames. One that ends is replaced, and what it had not copied is copied by another.
 */
import { once } from "node:events"
import { Worker } from "node:worker_threads"
import { SharedPool } from "@effect-pools/lock-free"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type Copy, type Order, ready } from "./frame.ts"

/**
 * A copy, and whose it is.
 */
export interface Copied extends Copy {
  readonly by: Worker
}

type Task = Extract<Order, { readonly order: "copy" }>

interface Waiting {
  readonly task: Task
  /** Who copies it; `undefined` while nobody can. */
  readonly by: Worker | undefined
  readonly resume: (copied: Effect.Effect<Copied>) => void
}

export class Copiers {
  readonly threads = { started: 0, living: 0 }
  /** Frames that another thread had to copy. */
  sentAgain = 0
  readonly #pool: SharedPool.SharedPool
  readonly #workers = new Set<Worker>()
  /** Those that are ready. */
  readonly #ready: Array<Worker> = []
  readonly #waiting = new Map<number, Waiting>()
  #isOver = false

  constructor(pool: SharedPool.SharedPool) {
    this.#pool = pool
  }

  /** Ends when the thread is ready. */
  start(): Promise<void> {
    const url = new URL("./copier.worker.ts", import.meta.url)
    // First of those that hear of its end: when others do, its slots are back.
    const worker = SharedPool.watch(this.#pool, new Worker(url, { workerData: this.#pool.handle }))
    this.threads.started++
    this.threads.living++
    this.#workers.add(worker)
    worker.on("error", (error) => this.#failed(error))
    worker.once("exit", () => this.#ended(worker))
    return new Promise((resolve, reject) => {
      worker.once("error", reject)
      worker.on("message", (message: Copy | typeof ready) => {
        if (message !== ready) return this.#copied(worker, message)
        this.#ready.push(worker)
        this.#sendAll(undefined)
        resolve()
      })
    })
  }

  /** Has a frame copied. The copy stays until it is released. */
  copy(task: Task): Effect.Effect<Copied> {
    return Effect.callback((resume) => {
      this.#send({ task, by: undefined, resume })
      return Effect.sync(() => this.#waiting.delete(task.frame))
    })
  }

  #send(waiting: Waiting): void {
    const { task } = waiting
    const by = this.#ready[task.frame % this.#ready.length]
    this.#waiting.set(task.frame, { ...waiting, by })
    by?.postMessage(task)
  }

  /** Those that this one was to copy. */
  #sendAll(by: Worker | undefined): void {
    for (const waiting of Array.from(this.#waiting.values())) {
      if (waiting.by !== by) continue
      if (by !== undefined) this.sentAgain++
      this.#send(waiting)
    }
  }

  #copied(by: Worker, copy: Copy): void {
    const waiting = this.#waiting.get(copy.frame)
    // Of a thread that has ended meanwhile, or for somebody who has left: the slot may hold anything by now.
    if (waiting?.by !== by) return this.release({ ...copy, by })
    this.#waiting.delete(copy.frame)
    waiting.resume(Effect.succeed({ ...copy, by }))
  }

  release({ by, frame }: Copied): void {
    by.postMessage({ order: "release", frame } satisfies Order)
  }

  #ended(worker: Worker): void {
    this.threads.living--
    this.#workers.delete(worker)
    const at = this.#ready.indexOf(worker)
    if (at >= 0) this.#ready.splice(at, 1)
    if (this.#isOver) return
    // If that fails, `#failed` tells everybody.
    this.start().catch(() => {})
    this.#sendAll(worker)
  }

  #failed(error: unknown): void {
    this.#isOver = true
    for (const { resume } of this.#waiting.values()) resume(Effect.die(error))
    this.#waiting.clear()
  }

  readonly close = Effect.promise(async () => {
    this.#isOver = true
    const ends = Array.from(this.#workers, (worker) => once(worker, "exit"))
    for (const worker of this.#workers) void worker.terminate()
    await Promise.all(ends)
  })
}

export const open = (pool: SharedPool.SharedPool, count: number): Effect.Effect<Copiers, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new Copiers(pool)),
    (copiers) => copiers.close
  ).pipe(
    Effect.tap((copiers) => Effect.promise(() => Promise.all(Array.from({ length: count }, () => copiers.start()))))
  )
