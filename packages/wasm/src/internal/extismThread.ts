import { MessageChannel, type MessagePort, Worker } from "node:worker_threads"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { HostContext, HostFunctions } from "../ExtismPool.ts"
import { callFunction, makeContext, namesOf } from "./extismHost.ts"
import { type Failure, type Guest, type Plan, threwInHost } from "./extismInstance.ts"
import type { Outcome, Value } from "./extismGuest.ts"
import {
  type FromThread,
  fromThrown,
  type HostAnswer,
  type HostCall,
  provisional,
  storedIndex,
  type ThreadData
} from "./extismProtocol.ts"

/** Builds a plugin in a thread of its own, which ends with the scope. */
export const openThread = (plan: Plan, functions: HostFunctions): Effect.Effect<Guest, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    const thread = yield* Effect.acquireRelease(
      Effect.try({
        try: () => new Thread(plan, functions),
        catch: (cause): Failure => ({ _tag: "ThreadEnded", cause })
      }),
      (thread) => thread.terminate
    )
    yield* thread.ready
    return thread
  })

const source = new URL("./extismThreadMain.ts", import.meta.url)

// Sources run as they are; what is published has been compiled.
const main = import.meta.url.endsWith(".ts") ? source : new URL(source.href.replace(/ts$/, "js"))

type Resume = (result: Effect.Effect<Outcome, Failure>) => void

const nothing: Outcome = { _tag: "Returned", output: undefined }

class Thread implements Guest {
  readonly canEnd = true
  readonly #plan: Plan
  readonly #functions: HostFunctions
  readonly #worker: Worker
  readonly #answers: MessagePort
  readonly #flag = new Int32Array(new SharedArrayBuffer(4))
  readonly #controller = new AbortController()
  /** Who waits for the thread, to be ready or to end a call. */
  #waiting: Resume | undefined
  #failure: Failure | undefined
  /** What a function of the host has failed with last. The guest passes it on, or not. */
  #hostFailure: Failure | undefined

  constructor(plan: Plan, functions: HostFunctions) {
    this.#plan = plan
    this.#functions = functions
    const { port1, port2 } = new MessageChannel()
    this.#answers = port1
    const blueprint = { ...plan.blueprint, functions: namesOf(functions) }
    const workerData: ThreadData = { blueprint, answers: port2, flag: this.#flag }
    this.#worker = new Worker(main, { name: plan.pool, workerData, transferList: [port2] })
    this.#worker.on("message", (message: FromThread) => this.#hear(message))
    this.#worker.on("error", (cause) => this.#end(cause))
    this.#worker.on("exit", (code) => this.#end(new Error(`it has exited with ${code}`)))
  }

  /** Ends when the plugin is built. */
  readonly ready: Effect.Effect<void, Failure> = Effect.callback<Outcome, Failure>((resume) => this.#wait(resume))

  call(name: string, input: string | Uint8Array): Effect.Effect<Outcome, Failure> {
    return Effect.callback<Outcome, Failure>((resume) => {
      this.#wait(resume)
      // A part of a buffer would be sent with all of the buffer.
      this.#worker.postMessage({ name, input: typeof input === "string" ? input : Uint8Array.from(input) })
      return this.terminate
    })
  }

  /** Ends the thread, whatever it is doing, and then itself. */
  readonly terminate: Effect.Effect<void> = Effect.promise(() => {
    this.#controller.abort()
    this.#answers.close()
    return this.#worker.terminate()
  })

  #wait(resume: Resume): void {
    if (this.#failure !== undefined) return resume(Effect.fail(this.#failure))
    this.#worker.ref()
    this.#waiting = resume
  }

  #resume(result: Effect.Effect<Outcome, Failure>): void {
    const resume = this.#waiting
    this.#waiting = undefined
    // One that nobody waits for is no reason for the process to live on.
    this.#worker.unref()
    resume?.(result)
  }

  #end(cause: unknown): void {
    this.#controller.abort()
    this.#failure ??= { _tag: "ThreadEnded", cause }
    this.#resume(Effect.fail(this.#failure))
  }

  #hear(message: FromThread): void {
    switch (message._tag) {
      case "Ready":
        return this.#resume(Effect.succeed(nothing))
      case "Ended":
        return this.#resume(Effect.succeed(message.outcome))
      case "Threw":
        return this.#resume(
          Effect.fail({ _tag: "Trapped", kind: message.thrown.kind, cause: fromThrown(message.thrown) })
        )
      case "HostThrew":
        return this.#resume(Effect.fail(this.#hostFailure!))
      case "Log":
        this.#plan.log(message.level, message.message)
        // In another turn of the event loop, as this one goes on for as long as there are messages.
        setImmediate(() => this.#answer(undefined))
        return
      case "HostCall":
        void this.#callHost(message)
    }
  }

  async #callHost({ blocks, name, namespace, room, values }: HostCall): Promise<void> {
    const stored: Array<Uint8Array> = []
    let answer: HostAnswer | undefined
    try {
      const context = this.#contextOf(blocks, stored, room)
      answer = { value: await callFunction(this.#functions, context, namespace, name, values), stored }
    } catch (cause) {
      this.#hostFailure = threwInHost(cause)
    }
    this.#answer(answer)
  }

  #answer(answer: HostAnswer | undefined): void {
    this.#answers.postMessage(answer)
    Atomics.store(this.#flag, 0, 1)
    Atomics.notify(this.#flag, 0)
  }

  #contextOf(blocks: HostCall["blocks"], stored: Array<Uint8Array>, room: number): HostContext {
    const sent = new Map<Value, Uint8Array<ArrayBuffer>>(blocks)
    return makeContext({
      signal: this.#controller.signal,
      room,
      read: (address) => {
        const index = storedIndex(address, stored)
        const bytes = index === undefined ? sent.get(address) : stored[index]
        return bytes === undefined ? undefined : Uint8Array.from(bytes)
      },
      store: (bytes) => provisional(stored.push(Uint8Array.from(bytes)) - 1)
    })
  }
}
