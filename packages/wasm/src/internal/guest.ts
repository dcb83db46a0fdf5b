import * as Effect from "effect/Effect"
import { Ended, InvalidArguments, MissingExport, WasmError } from "../WasmError.ts"
import type { WasmInstance } from "../WasmInstancePool.ts"
import { trapKind, WasmTrap } from "../WasmTrap.ts"
import type { Host } from "./host.ts"
import { kindOf } from "./webAssembly.ts"

/** An instance, and what has become of it. */
export class Guest {
  readonly exports: Readonly<Record<string, unknown>>
  trap: WasmTrap | undefined
  isEnded = false
  readonly #pool: string
  readonly #host: Host

  constructor(pool: string, exports: Readonly<Record<string, unknown>>, host: Host) {
    this.#pool = pool
    this.exports = exports
    this.#host = host
  }

  call(name: string, ...args: Array<unknown>): Effect.Effect<unknown, WasmTrap | WasmError> {
    return Effect.suspend(() => this.#call(name, args))
  }

  #call(name: string, args: Array<unknown>): Effect.Effect<unknown, WasmTrap | WasmError> {
    if (this.trap !== undefined) return Effect.fail(this.trap)
    const pool = this.#pool
    if (this.isEnded) return Effect.fail(new WasmError({ reason: new Ended({ pool, export: name }) }))
    const f = Object.hasOwn(this.exports, name) ? this.exports[name] : undefined
    if (typeof f !== "function") return Effect.fail(this.#missing(name, f))
    const before = this.#host.calls
    try {
      return Effect.succeed(f(...args))
    } catch (error) {
      return Effect.fail(
        this.#isRefusal(error, before)
          ? new WasmError({ reason: new InvalidArguments({ pool, export: name, cause: error }) })
          : (this.trap = toTrap(error, this.#host, pool, name))
      )
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
