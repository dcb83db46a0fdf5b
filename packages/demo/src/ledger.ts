/**
 * What the users know of their orders, to hold against the tables at the end.
 */

/**
 * - `unknown`: asked for, and no answer that settles it: it may have been placed or not, but not twice
 * - `confirmed`: the commit was acknowledged
 * - `refused`: the application said no
 */
type State = "unknown" | "confirmed" | "refused"

export class Ledger {
  readonly #states = new Map<string, State>()
  /** Views of products that were asked for, and those that were acknowledged: not repeatable, so in between is truth. */
  viewsAsked = 0
  viewsConfirmed = 0
  /** Transactions that were left open with something written. */
  unfinished = 0

  asked(key: string): void {
    this.#states.set(key, "unknown")
  }

  confirmed(key: string): void {
    this.#states.set(key, "confirmed")
  }

  refused(key: string): void {
    this.#states.set(key, "refused")
  }

  count(state: State): number {
    let count = 0
    for (const each of this.#states.values()) if (each === state) count++
    return count
  }

  /** Compares with the keys found in the table. */
  compare(found: Iterable<string>): { readonly lost: number; readonly foreign: number; readonly unconfirmed: number } {
    let confirmed = 0
    let foreign = 0
    let unconfirmed = 0
    for (const key of found) {
      const state = this.#states.get(key)
      if (state === "confirmed") confirmed++
      else if (state === "unknown") unconfirmed++
      else foreign++
    }
    return { lost: this.count("confirmed") - confirmed, foreign, unconfirmed }
  }
}
