import type { WasmTrap } from "../WasmTrap.ts"

/**
 * What the host lends to one instance: its functions, which are watched, so that a failure of theirs can be told from a
 * trap of the guest, and a call that came to nothing from one that ran.
 */
export class Host {
  /** What has ended the guest. */
  trap: WasmTrap | undefined
  /** How often the guest has called the host. */
  calls = 0
  /** Whether the guest may run functions, or throw errors, that did not pass here. */
  isPartlyUnseen: boolean
  #thrown: { readonly error: unknown } | undefined

  constructor(isPartlyUnseen: boolean) {
    this.isPartlyUnseen = isPartlyUnseen
  }

  /** Whether this is what a function of the host has thrown last. */
  hasThrown(error: unknown): boolean {
    return this.#thrown !== undefined && Object.is(this.#thrown.error, error)
  }

  /** What the guest gets in the place of `value`. */
  lend(value: unknown): unknown {
    if (typeof value !== "function" || isGuestFunction(value)) return value
    return (...args: Array<unknown>): unknown => {
      this.calls++
      try {
        this.#endTrapped()
        const result: unknown = (value as (...args: Array<unknown>) => unknown)(...args)
        this.#endTrapped()
        if (mayHoldFunctions(result)) this.isPartlyUnseen = true
        return result
      } catch (error) {
        this.#thrown = { error }
        throw error
      }
    }
  }

  /** A guest that was called by a function of the host, and trapped, does not go on. */
  #endTrapped(): void {
    if (this.trap !== undefined) throw this.trap
  }
}

/**
 * Functions that modules export are called by their number. Engines tell them by their identity and know their types, so
 * they can't be watched.
 */
export const isGuestFunction = (value: unknown): boolean =>
  typeof value === "function" && /^\d+$/.test(value.name) && String(value).includes("[native code]")

/** Several results are any iterable. */
const mayHoldFunctions = (result: unknown): boolean =>
  isGuestFunction(result) || (typeof result === "object" && result !== null && Symbol.iterator in result)
