/** An instance as its holder knows it, over a guest in this thread or in one of its own. */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type * as Scope from "effect/Scope"
import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import * as ExtismError from "../ExtismError.ts"
import { ExtismOutput } from "../ExtismOutput.ts"
import type { CallError, CallOptions, ExtismInstance } from "../ExtismPool.ts"
import { type Kind, WasmTrap } from "../WasmTrap.ts"
import type { Blueprint, LogLevel, Outcome } from "./extismGuest.ts"
import { Denied } from "./extismHttp.ts"
import { OutOfMemory } from "./extismMemory.ts"
import { kindOfTrap } from "./kindOfTrap.ts"

/** What all instances of a pool have in common. */
export interface Plan {
  readonly pool: string
  readonly blueprint: Omit<Blueprint, "functions">
  /** The functions that the plugin exports. */
  readonly exports: ReadonlyArray<string>
  /** In milliseconds. */
  readonly callTimeout: number
  readonly log: (level: LogLevel, message: string) => void
}

export interface Guest {
  /** Whether a call that is interrupted ends the guest. Otherwise calls can't be interrupted. */
  readonly canEnd: boolean
  readonly call: (name: string, input: string | Uint8Array) => Effect.Effect<Outcome, Failure>
}

/** How a guest fails. */
export type Failure =
  | { readonly _tag: "Trapped"; readonly kind: Kind; readonly cause: unknown }
  | { readonly _tag: "Denied"; readonly error: ExtismError.ExtismError }
  | { readonly _tag: "ThreadEnded"; readonly cause: unknown }

/** By what the guest itself has thrown. */
export const threw = (cause: unknown): Failure => ({ _tag: "Trapped", kind: kindOfTrap(cause), cause })

/** By what was thrown in a function of the host: its own failure, unless the plugin asks for what it may not have. */
export const threwInHost = (cause: unknown): Failure => {
  if (cause instanceof Denied) return { _tag: "Denied", error: cause.error }
  return { _tag: "Trapped", kind: cause instanceof OutOfMemory ? "OutOfMemory" : "HostError", cause }
}

/** What failing to build or to call a guest is to the caller. */
export const toError = (pool: string, name: string, failure: Failure): CallError => {
  switch (failure._tag) {
    case "Trapped":
      return new WasmTrap({ kind: failure.kind, pool, export: name, cause: failure.cause })
    case "Denied":
      return failure.error
    case "ThreadEnded":
      return ExtismError.make(new ExtismError.ThreadEnded({ pool, cause: failure.cause }))
  }
}

/** The instance ends for its holder with the scope, even if the guest should not. */
export const openInstance = (plan: Plan, guest: Guest): Effect.Effect<ExtismInstance, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new Instance(plan, guest)),
    (instance) => instance.end("its lease is over")
  )

class Instance implements ExtismInstance {
  readonly exports: ReadonlyArray<string>
  readonly #plan: Plan
  readonly #guest: Guest
  /** A guest does one thing at a time. */
  readonly #turns = Semaphore.makeUnsafe(1)
  /** Why it ended. */
  #ended: string | undefined

  constructor(plan: Plan, guest: Guest) {
    this.exports = plan.exports
    this.#plan = plan
    this.#guest = guest
  }

  end(because: string): Effect.Effect<void> {
    return Effect.sync(() => {
      this.#ended ??= because
    })
  }

  /** A property, so that it can be taken out of the instance. */
  readonly call = (
    name: string,
    input: string | Uint8Array = "",
    options?: CallOptions
  ): Effect.Effect<ExtismOutput, any> =>
    Effect.flatMap(this.#timeoutOf(options), (timeout) =>
      this.#turns.withPermit(Effect.suspend(() => this.#call(name, input, timeout)))
    )

  #timeoutOf(options: CallOptions | undefined): Effect.Effect<number, InvalidOptions.InvalidOptions> {
    const { callTimeout, pool } = this.#plan
    if (options === undefined) return Effect.succeed(callTimeout)
    return InvalidOptions.check(() => {
      const checks = new InvalidOptions.Checks(pool)
      checks.known(options, callOptions)
      const { timeout } = options
      if (timeout === undefined) return callTimeout
      const millis = checks.millis("timeout", timeout, callTimeout, { infinity: true })
      if (millis !== Infinity && !this.#guest.canEnd) {
        checks.refuse("timeout", timeout, "needs instances with threads of their own (runInWorker)")
      }
      return millis
    })
  }

  #call(name: string, input: string | Uint8Array, timeout: number): Effect.Effect<ExtismOutput, CallError> {
    const { pool } = this.#plan
    if (this.#ended !== undefined) return this.#failEnded(name, this.#ended)
    if (!this.exports.includes(name)) {
      return fail(new ExtismError.FunctionNotFound({ pool, function: name, available: this.exports }))
    }
    if (typeof input !== "string" && !(input instanceof Uint8Array)) {
      return Effect.die(new TypeError(`The input of "${name}" must be a string or a Uint8Array`))
    }
    const called = this.#guest.call(name, input).pipe(
      Effect.onInterrupt(() => this.end(`a call of "${name}" was interrupted`)),
      Effect.matchEffect({
        onFailure: (failure) => this.#failed(name, failure),
        onSuccess: (outcome) => this.#returned(name, outcome)
      })
    )
    if (timeout === Infinity) return called
    return Effect.timeoutOrElse(called, {
      duration: timeout,
      orElse: () => {
        this.#ended = `a call of "${name}" timed out`
        return fail(new ExtismError.CallTimeout({ pool, function: name, timeout }))
      }
    })
  }

  #returned(name: string, outcome: Outcome): Effect.Effect<ExtismOutput, ExtismError.ExtismError> {
    if (outcome._tag === "Returned") return Effect.succeed(new ExtismOutput(outcome.output))
    return fail(new ExtismError.PluginError({ pool: this.#plan.pool, function: name, text: outcome.text }))
  }

  #failed(name: string, failure: Failure): Effect.Effect<never, CallError> {
    const { pool } = this.#plan
    // The thread was ended with the instance.
    if (this.#ended !== undefined) return this.#failEnded(name, this.#ended)
    const error = toError(pool, name, failure)
    this.#ended = error.message
    return Effect.fail(error)
  }

  #failEnded(name: string, because: string): Effect.Effect<never, ExtismError.ExtismError> {
    return fail(new ExtismError.InstanceEnded({ pool: this.#plan.pool, function: name, because }))
  }
}

const callOptions: ReadonlySet<string> = new Set(["timeout"])

const fail = (reason: ExtismError.ExtismErrorReason): Effect.Effect<never, ExtismError.ExtismError> =>
  Effect.fail(ExtismError.make(reason))
