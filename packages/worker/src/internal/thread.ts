import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { FromClientEncoded } from "effect/rpc/RpcMessage"
import type { Transferable, Worker } from "node:worker_threads"
import {
  Crashed,
  Exited,
  LeaseEnded,
  NotSendable,
  OutOfMemory,
  StartFailed,
  WorkerInstanceError,
  type WorkerInstanceErrorReason
} from "../WorkerInstanceError.ts"
import { tame } from "./tame.ts"

/** What a thread tells. Nothing is received after it has ended. */
export interface Listener {
  readonly received: (message: unknown) => void
  /** The thread answers nothing any more. Called once. */
  readonly ended: (error: WorkerInstanceError) => void
}

/**
 * One worker thread, which ends once and for one reason. It speaks the protocol of `effect/workers`: `[0]` says that it is
 * ready, `[1, data]` is a message from it; `[0, data]` is a message to it, `[1]` asks it to close.
 */
export class Thread {
  readonly pool: string
  /** Why it has ended. */
  error: WorkerInstanceError | undefined
  /** Whether anything was ever asked of it. */
  isUsed = false
  /** Called when it is first asked. */
  onUse: (() => void) | undefined
  /** Called when it ends before its lease. */
  onFailure: (() => void) | undefined
  readonly #worker: Worker
  #listener: Listener | undefined
  readonly #ready = Deferred.makeUnsafe<void, WorkerInstanceError>()
  readonly #exited = Deferred.makeUnsafe<void>()
  #isReady = false
  #isBusy = false
  #isIdle = false

  constructor(pool: string, worker: Worker) {
    this.pool = pool
    this.#worker = worker
    worker.on("message", (message) => this.#receive(message))
    worker.on("messageerror", (cause) => this.kill(new NotSendable({ pool, direction: "response", cause })))
    worker.on("error", (thrown) => {
      const cause = tame(thrown)
      this.#end(isOutOfMemory(cause) ? new OutOfMemory({ pool, cause }) : new Crashed({ pool, cause }))
    })
    worker.on("exit", (code) => {
      this.#end(new Exited({ pool, code }))
      Deferred.doneUnsafe(this.#exited, Effect.void)
    })
  }

  /** Ends when the worker is ready, or fails with the reason why it never will be. */
  get ready(): Effect.Effect<void, WorkerInstanceError> {
    return Deferred.await(this.#ready)
  }

  listen(listener: Listener): void {
    this.#listener = listener
  }

  /** Sends a message, or answers with the error that it ended with. */
  post(message: FromClientEncoded, transfers: ReadonlyArray<unknown> | undefined): WorkerInstanceError | undefined {
    if (this.error !== undefined) return this.error
    if (!this.isUsed) this.onUse?.()
    this.isUsed = true
    try {
      this.#worker.postMessage([0, message], transfers as ReadonlyArray<Transferable> | undefined)
    } catch (cause) {
      this.kill(new NotSendable({ pool: this.pool, direction: "request", cause }))
    }
    return this.error
  }

  /** While it owes answers, it keeps the process alive. */
  set busy(isBusy: boolean) {
    this.#isBusy = isBusy
    if (this.error !== undefined || !this.#isReady) return
    if (isBusy) this.#worker.ref()
    else this.#worker.unref()
  }

  /** Stops it wherever it is, `while (true)` included. */
  kill(reason: WorkerInstanceErrorReason): void {
    if (!this.#settle(reason)) return
    // Before anybody hears of it: whatever they do, it ends.
    void this.#worker.terminate()
    this.#tell(reason)
  }

  /** Its lease has ended: it answers nothing any more. */
  leave(): void {
    this.#isIdle = this.#isReady && !this.#isBusy && this.error === undefined
    this.#end(new LeaseEnded({ pool: this.pool }))
  }

  /** Waits until it is gone. One that had nothing to do when it left has `grace` milliseconds to close what it holds. */
  close(grace: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      const exited = Deferred.await(this.#exited)
      const terminated = Effect.suspend(() => {
        void this.#worker.terminate()
        return exited
      })
      if (!this.#isIdle || grace === 0) return terminated
      this.#worker.postMessage([1])
      return Effect.timeoutOrElse(Effect.interruptible(exited), {
        duration: Duration.millis(grace),
        orElse: () => terminated
      })
    })
  }

  #receive(message: unknown): void {
    if (this.error !== undefined) return
    if (Array.isArray(message) && message[0] === 1) return this.#listener?.received(message[1])
    const isReady = Array.isArray(message) && message[0] === 0 && !this.#isReady
    if (!isReady) {
      const cause = new Error("it has sent what is no message of a worker's")
      return this.kill(new Crashed({ pool: this.pool, cause }))
    }
    this.#isReady = true
    this.busy = this.#isBusy
    Deferred.doneUnsafe(this.#ready, Effect.void)
  }

  #end(reason: WorkerInstanceErrorReason): void {
    if (this.#settle(reason)) this.#tell(reason)
  }

  /** Whether this is what has ended it. */
  #settle(reason: WorkerInstanceErrorReason): boolean {
    if (this.error !== undefined) return false
    const { pool } = this
    this.error = new WorkerInstanceError({
      reason: this.#isReady || reason._tag === "LeaseEnded" ? reason : new StartFailed({ pool, cause: causeOf(reason) })
    })
    // Whoever waits for its exit is not to lose the process for it.
    this.#worker.ref()
    return true
  }

  #tell(reason: WorkerInstanceErrorReason): void {
    const error = this.error!
    Deferred.doneUnsafe(this.#ready, Effect.fail(error))
    if (reason._tag !== "LeaseEnded") this.onFailure?.()
    // Whoever hears of it may end the lease in the same step.
    this.#listener?.ended(error)
  }
}

/** What the module threw says more than that it crashed. */
const causeOf = (reason: WorkerInstanceErrorReason): unknown => (reason._tag === "Crashed" ? reason.cause : reason)

const isOutOfMemory = (cause: unknown): boolean =>
  cause instanceof Error && "code" in cause && cause.code === "ERR_WORKER_OUT_OF_MEMORY"
