import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { CallTimeout } from "../WorkerInstanceError.ts"
import type { Answer } from "./answer.ts"
import type { Thread } from "./thread.ts"

type Id = string | number

interface Call {
  readonly rpc: string
  /** How long the worker may owe an answer, in milliseconds. */
  readonly timeout: number
  /** Runs while it owes one. */
  clock: Fiber.Fiber<void> | undefined
  /** Whether the next part of a stream was asked for, and has not come. */
  isPartDue: boolean
  /** Whether its handler was told to let go. */
  isInterrupted: boolean
}

/**
 * The calls that a thread has not answered in full, and how long it has owed each an answer. One that nobody waits for any
 * more is still such a call, until the thread says that it has let go of it.
 */
export class Calls {
  readonly #thread: Thread
  readonly #fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  readonly #calls = new Map<Id, Call>()
  /** How many ends may come a second time: an interruption that crosses the end of its call is answered with another. */
  #secondEnds = 0

  constructor(thread: Thread, fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>) {
    this.#thread = thread
    this.#fork = fork
  }

  begin(id: Id, rpc: string, isStream: boolean, timeout: number): void {
    const call: Call = { rpc, timeout, clock: undefined, isPartDue: isStream, isInterrupted: false }
    this.#calls.set(id, call)
    this.#thread.busy = true
    this.#owe(call)
  }

  /** The next part of a stream is asked for. */
  next(id: Id): void {
    const call = this.#calls.get(id)
    if (call === undefined) return
    call.isPartDue = true
    this.#owe(call)
  }

  interrupt(id: Id): void {
    const call = this.#calls.get(id)
    if (call === undefined) {
      this.#secondEnds++
      return
    }
    call.isInterrupted = true
    this.#owe(call)
  }

  /** Takes an answer, or says what is wrong with it: a thread may say no more than it was asked for. */
  receive(answer: Answer): string | undefined {
    return answer._tag === "part" ? this.#part(answer.id) : this.#last(answer.id, answer.isInterruption)
  }

  #part(id: Id): string | undefined {
    const call = this.#calls.get(id)
    if (call === undefined || !call.isPartDue) return UNASKED
    call.isPartDue = false
    // One that was told to let go owes the end.
    if (!call.isInterrupted) stop(call)
    return undefined
  }

  #last(id: Id, isInterruption: boolean): string | undefined {
    const call = this.#calls.get(id)
    if (call === undefined) {
      if (this.#secondEnds === 0) return UNASKED
      this.#secondEnds--
      return undefined
    }
    if (isInterruption && !call.isInterrupted) return "a call was interrupted, and not by its caller"
    if (call.isInterrupted) this.#secondEnds++
    this.#end(id, call)
    return undefined
  }

  endAll(): void {
    for (const [id, call] of this.#calls) this.#end(id, call)
  }

  #end(id: Id, call: Call): void {
    stop(call)
    this.#calls.delete(id)
    if (this.#calls.size === 0) this.#thread.busy = false
  }

  /** From now on an answer is owed, if it was not before. */
  #owe(call: Call): void {
    if (call.clock !== undefined || call.timeout === Infinity) return
    call.clock = this.#fork(Effect.andThen(patience(call.timeout), this.#overdue(call)))
  }

  #overdue({ rpc, timeout }: Call): Effect.Effect<void> {
    const thread = this.#thread
    return Effect.sync(() => thread.kill(new CallTimeout({ pool: thread.pool, rpc, timeout })))
  }
}

const UNASKED = "it has sent an answer that nobody has asked for"

const stop = (call: Call): void => {
  call.clock?.interruptUnsafe()
  call.clock = undefined
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
