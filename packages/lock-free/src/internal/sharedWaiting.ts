import type { SharedSlots } from "./sharedSlots.ts"

/** How often it is looked whether the process is still to be kept alive by who waits, in milliseconds. */
const STILL_WAITED = 1000

/** What this thread does with a slot that may be there. */
export interface Waiting {
  /** Whether somebody in this thread waits for a slot and may have one. */
  readonly isWanted: () => boolean
  /** Gives those who wait what can be had; `true` if that was anything. */
  readonly serve: () => boolean
  /** The structure was closed. */
  readonly closed: () => void
  /** Calls back in so many milliseconds, unless told not to, and keeps the process alive until then. */
  readonly after: (millis: number, f: () => void) => () => void
}

/**
 * The sleep of one thread, on behalf of all its fibers that wait. It sleeps once, however many they are: whoever is woken
 * takes one slot for each of them if there are so many.
 */
export class ThreadSleep {
  readonly #slots: SharedSlots
  readonly #waiting: Waiting
  #isAsleep = false
  #letGo: (() => void) | undefined = undefined

  constructor(slots: SharedSlots, waiting: Waiting) {
    this.#slots = slots
    this.#waiting = waiting
  }

  /** Makes sure that this thread is woken when a slot comes back, while it is wanted. */
  begin(): void {
    const { turnstile } = this.#slots
    while (!this.#isAsleep && this.#waiting.isWanted()) {
      const ticket = turnstile.arrive()
      // Slots that came back before the arrival woke nobody for it.
      this.#waiting.serve()
      if (this.#slots.isClosed) return this.#waiting.closed()
      if (!this.#waiting.isWanted()) return
      const slept = turnstile.sleep(ticket)
      if (slept === undefined) continue
      this.#isAsleep = true
      this.#slots.setAsleep(true)
      this.#stayAlive()
      void slept.then(() => this.#woken())
    }
  }

  #woken(): void {
    this.#isAsleep = false
    this.#slots.setAsleep(false)
    this.#letGo?.()
    if (this.#slots.isClosed) return this.#waiting.closed()
    const isServed = this.#waiting.isWanted() && this.#waiting.serve()
    // Whoever was to have been served has left. The turn is another thread's.
    if (!isServed && !this.#waiting.isWanted()) this.#slots.turnstile.wakeOne()
    this.begin()
  }

  /** A promise that another thread fulfils does not keep this one from ending. */
  #stayAlive(): void {
    this.#letGo = this.#waiting.after(STILL_WAITED, () => {
      if (this.#isAsleep && this.#waiting.isWanted()) this.#stayAlive()
    })
  }
}
