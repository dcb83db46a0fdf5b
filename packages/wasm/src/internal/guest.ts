import * as Effect from "effect/Effect"
import { Ended, InvalidArguments, MissingExport, WasmError } from "../WasmError.ts"
import type { WasmInstance } from "../WasmInstancePool.ts"
import { trapKind, WasmTrap } from "../WasmTrap.ts"
import { type Host, isGuestFunction } from "./host.ts"
import { kindOf } from "./webAssembly.ts"

/** An instance, and what has become of it. */
export class Guest {
  readonly exports: Readonly<Record<string, unknown>>
  isEnded = false
  readonly #pool: string
  readonly #host: Host

  constructor(pool: string, exports: Readonly<Record<string, unknown>>, host: Host) {
    this.#pool = pool
    this.exports = exports
    this.#host = host
  }

  get trap(): WasmTrap | undefined {
    return this.#host.trap
  }

  /** A property, so that it can be taken out of the instance. */
  readonly call = (name: string, ...args: Array<unknown>): Effect.Effect<unknown, WasmTrap | WasmError> =>
    Effect.suspend(() => this.#call(name, args))

  #call(name: string, args: Array<unknown>): Effect.Effect<unknown, WasmTrap | WasmError> {
    const host = this.#host
    if (host.trap !== undefined) return Effect.fail(host.trap)
    const pool = this.#pool
    if (this.isEnded) return Effect.fail(new WasmError({ reason: new Ended({ pool, export: name }) }))
    const f = Object.hasOwn(this.exports, name) ? this.exports[name] : undefined
    if (typeof f !== "function") return Effect.fail(this.#missing(name, f))
    if (args.some(isGuestFunction)) host.isPartlyUnseen = true
    const before = host.calls
    try {
      const result: unknown = f(...args)
      // A function of the host has called the guest, which trapped, and has caught that.
      return host.trap === undefined ? Effect.succeed(result) : Effect.fail(host.trap)
    } catch (error) {
      if (host.trap === undefined && this.#isRefusal(error, before)) {
        return Effect.fail(new WasmError({ reason: new InvalidArguments({ pool, export: name, cause: error }) }))
      }
      host.trap ??= toTrap(error, host, pool, name)
      return Effect.fail(host.trap)
    }
  }

  /** Whether the arguments could not be converted: what is thrown then is no trap, and comes before all that the guest does. */
  #isRefusal(error: unknown, before: number): boolean {
    const { calls, isPartlyUnseen } = this.#host
    return calls === before && !isPartlyUnseen && trapKind(error) === "HostError"
  }

  #missing(name: string, found: unknown): WasmError {
    return new WasmError({
      reason: new MissingExport({
        pool: this.#pool,
        name,
        kind: "function",
        ...(found === undefined ? {} : { found: kindOf(found) }),
        exports: Object.keys(this.exports)
      })
    })
  }
}

/** A guest in the types of what it exports. */
export const typed = <X>(guest: Guest): WasmInstance<X> => guest as unknown as WasmInstance<X>

export const toTrap = (error: unknown, host: Host, pool: string, name: string): WasmTrap => {
  const kind = trapKind(error)
  const isHosts = host.hasThrown(error) && kind !== "StackOverflow"
  return new WasmTrap({ kind: isHosts ? "HostError" : kind, pool, export: name, cause: error })
}
