/**
 * Where threads sleep until a slot comes back: one word. Odd says that somebody may be asleep.
 *
 * The word changes with every arrival and before every wake-up, so a thread falls asleep only on the value that it put
 * there itself, after which it has looked once more and nobody has woken anybody.
 */
export class Turnstile {
  readonly #words: Int32Array
  readonly #at: number

  constructor(words: Int32Array, at: number) {
    this.#words = words
    this.#at = at
  }

  get isAwaited(): boolean {
    return (Atomics.load(this.#words, this.#at) & 1) !== 0
  }

  /** Says that this thread is about to sleep. It has to look once more before it does. */
  arrive(): number {
    while (true) {
      const before = Atomics.load(this.#words, this.#at)
      const ticket = (before + 2) | 1 | 0
      if (Atomics.compareExchange(this.#words, this.#at, before, ticket) === before) return ticket
    }
  }

  /** Sleeps, if nothing has happened since the arrival; `undefined` if something has. */
  sleep(ticket: number): Promise<unknown> | undefined {
    const { async, value } = Atomics.waitAsync(this.#words, this.#at, ticket)
    return async ? value : undefined
  }

  /** Wakes who has slept longest, if anybody does. */
  wakeOne(): void {
    if (this.isAwaited) this.#wake(1)
  }

  wakeAll(): void {
    this.#wake(Infinity)
  }

  #wake(count: number): void {
    while (true) {
      const before = Atomics.load(this.#words, this.#at)
      const after = (before + 2) | 0
      // From here on nobody falls asleep but who arrives later, and looks later.
      if (Atomics.compareExchange(this.#words, this.#at, before, after) !== before) continue
      if (Atomics.notify(this.#words, this.#at, count) === 0) {
        // Nobody sleeps. If somebody has arrived since, this changes nothing.
        Atomics.compareExchange(this.#words, this.#at, after, (after + 2) & ~1)
      }
      return
    }
  }
}
