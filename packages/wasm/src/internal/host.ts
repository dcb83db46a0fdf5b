/**
 * What the host lends to one instance: its functions, which are watched, so that a failure of theirs can be told from a
 * trap of the guest, and a call that came to nothing from one that ran.
 */
export class Host {
  /** How often the guest has called the host. */
  calls = 0
  /** Whether the guest can reach functions that are not watched. */
  isPartlyUnseen = false
  #thrown: { readonly error: unknown } | undefined

  /** A host that is not watched. */
  static unseen(): Host {
    const host = new Host()
    host.isPartlyUnseen = true
    return host
  }

  /** Whether this is what a function of the host has thrown last. */
  hasThrown(error: unknown): boolean {
    return this.#thrown !== undefined && Object.is(this.#thrown.error, error)
  }

  /** What the guest gets in the place of `value`. */
  lend(kind: string, value: unknown): unknown {
    if (kind === "table") this.isPartlyUnseen = true
    if (typeof value !== "function") return value
    // Engines tell functions of other instances by their identity, and know their types.
    if (isGuestFunction(value)) {
      this.isPartlyUnseen = true
      return value
    }
    return (...args: Array<unknown>): unknown => {
      this.calls++
      try {
        return (value as (...args: Array<unknown>) => unknown)(...args)
      } catch (error) {
        this.#thrown = { error }
        throw error
      }
    }
  }
}

/** Functions that modules export are called by their number. */
const isGuestFunction = (f: { readonly name: string }): boolean =>
  /^\d+$/.test(f.name) && Function.prototype.toString.call(f).includes("[native code]")
