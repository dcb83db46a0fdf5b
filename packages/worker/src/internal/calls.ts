import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { CallTimeout } from "../WorkerInstanceError.ts"
import type { Thread } from "./thread.ts"

type Id = string | number

interface Call {
  readonly rpc: string
  /** How long the worker may owe an answer, in milliseconds. */
  readonly timeout: number
  /** Runs while it owes one. */
  clock: Fiber.Fiber<void> | undefined
}

/**
 * The calls that a thread has not answered in full, and how long it has owed each an answer. One that nobody waits for any
 * more is still such a call, until the thread says that it has let go of it.
 */
export class Calls {
  readonly #thread: Thread
  readonly #fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  readonly #calls = new Map<Id, Call>()

  constructor(thread: Thread, fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>) {
    this.#thread = thread
    this.#fork = fork
  }

  has(id: Id): boolean {
    return this.#calls.has(id)
  }

  begin(id: Id, rpc: string, timeout: number): void {
    this.#calls.set(id, { rpc, timeout, clock: undefined })
    this.#thread.busy = true
    this.owe(id)
  }

  /** From now on an answer is owed, if it was not before. */
  owe(id: Id): void {
    const call = this.#calls.get(id)
    if (call === undefined || call.clock !== undefined || call.timeout === Infinity) return
    call.clock = this.#fork(Effect.andThen(patience(call.timeout), this.#overdue(call)))
  }

  #overdue({ rpc, timeout }: Call): Effect.Effect<void> {
    const thread = this.#thread
    return Effect.sync(() => thread.kill(new CallTimeout({ pool: thread.pool, rpc, timeout })))
  }

  /** An answer has come, though not the last. */
  answer(id: Id): void {
    const call = this.#calls.get(id)
    call?.clock?.interruptUnsafe()
    if (call !== undefined) call.clock = undefined
  }

  end(id: Id): void {
    this.answer(id)
    this.#calls.delete(id)
    if (this.#calls.size === 0) this.#thread.busy = false
  }

  endAll(): void {
    for (const id of Array.from(this.#calls.keys())) this.end(id)
  }
}

/** In milliseconds: a timer that is later than this was kept by a process that was busy. */
const LATE = 20

/** Waits for an answer. One that is there, and that the process was too busy to take, comes before the end of this. */
const patience = (timeout: number): Effect.Effect<void> =>
  Effect.clockWith((clock) => {
    const due = clock.currentTimeMillisUnsafe() + timeout
    const isLate = Effect.sync(() => clock.currentTimeMillisUnsafe() - due > LATE)
    return Effect.andThen(
      Effect.sleep(timeout),
      Effect.flatMap(isLate, (late) => (late ? Effect.sleep(1) : Effect.void))
    )
  })
