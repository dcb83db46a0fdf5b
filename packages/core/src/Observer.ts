/**
 * What a pool counts, times and tells. Counting is unconditional and costs an increment; telling happens only while
 * somebody listens.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Formatter from "effect/Formatter"
import type { CoarseClock } from "./CoarseClock.ts"
import { Histogram } from "./data/Histogram.ts"
import { type DestroyReason, destroyReasons, type Detail, type PoolEvent } from "./PoolEvent.ts"

/**
 * @category models
 * @since 0.1.0
 */
export class Observer {
  acquired = 0
  released = 0
  created = 0
  createFailed = 0
  timeouts = 0
  exhausted = 0
  readonly destroyed: Record<DestroyReason, number> = Object.fromEntries(
    destroyReasons.map((reason) => [reason, 0])
  ) as Record<DestroyReason, number>
  readonly wait = new Histogram()
  readonly use = new Histogram()
  readonly create = new Histogram()
  /** Whether anybody listens. Look here before building an event. */
  isListening = false

  readonly #pool: string
  readonly #clock: CoarseClock
  readonly #listeners = new Set<(event: PoolEvent) => void>()
  #only: ((event: PoolEvent) => void) | undefined

  constructor(pool: string, clock: CoarseClock) {
    this.#pool = pool
    this.#clock = clock
  }

  /**
   * Calls `listener` with every event until the returned function is called. The listener must not throw. Whether one that
   * is added while an event is told hears of that one too is left open.
   */
  listen(listener: (event: PoolEvent) => void): () => void {
    this.#listeners.add(listener)
    this.#changed()
    return () => {
      this.#listeners.delete(listener)
      this.#changed()
    }
  }

  #changed(): void {
    const [first, second] = this.#listeners
    this.isListening = first !== undefined
    this.#only = second === undefined ? first : undefined
  }

  /** Makes an event of `detail`, which must have been made for this: it may have fields that are read late. */
  emit(detail: Detail): void {
    if (!this.isListening) return
    const event = detail as Detail & { pool: string; at: number }
    event.pool = this.#pool
    event.at = this.#clock.wall(this.#clock.now())
    this.tell(event)
  }

  /**
   * Tells of an event that is complete. For what happens at every lease: an object that is made with all its fields takes
   * far less than one that is given some later.
   */
  tell(event: PoolEvent): void {
    // Most often there is one, and going through a set takes some nanoseconds.
    if (this.#only !== undefined) this.#only(event)
    else for (const listener of this.#listeners) listener(event)
  }
}

/**
 * A failure in words, whatever the application failed with: telling of a failure must not be one.
 *
 * @category formatting
 * @since 0.1.0
 */
export const inWords = (cause: Cause.Cause<unknown>): string => {
  try {
    const error = Cause.squash(cause)
    return error instanceof Error ? String(error) : typeof error === "string" ? error : Formatter.format(error)
  } catch {
    return "a failure that cannot be shown"
  }
}
