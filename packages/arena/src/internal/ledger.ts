/** What an arena in checked mode has handed out: where allocations lie, in rising order. */
export class Ledger {
  readonly #starts: Array<number> = []
  readonly #ends: Array<number> = []

  /** Notes an allocation behind all others. */
  add(start: number, size: number): void {
    this.#starts.push(start)
    this.#ends.push(start + size)
  }

  /** The last allocation has grown. */
  growLast(size: number): void {
    const last = this.#starts.length - 1
    this.#ends[last] = this.#starts[last]! + size
  }

  /** Whether exactly this was allocated. */
  isAllocation(start: number, size: number): boolean {
    const at = this.#lastFrom(start)
    return at >= 0 && this.#starts[at] === start && this.#ends[at] === start + size
  }

  /** Whether all of this lies in one allocation. */
  covers(start: number, size: number): boolean {
    const at = this.#lastFrom(start)
    return at >= 0 && start + size <= this.#ends[at]!
  }

  /** Forgets what begins at or behind a position. */
  rewind(position: number): void {
    const count = position === 0 ? 0 : this.#lastFrom(position - 1) + 1
    this.#starts.length = count
    this.#ends.length = count
  }

  /** The index of the last allocation that starts at or before a position, or −1. */
  #lastFrom(position: number): number {
    let low = 0
    let high = this.#starts.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#starts[middle]! <= position) low = middle + 1
      else high = middle
    }
    return low - 1
  }
}
