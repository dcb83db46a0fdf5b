import * as Effect from "effect/Effect"
import type { Background } from "../Background.ts"

/** Lets fibers wait until something that changes from time to time has come true. */
export class Watch {
  readonly #background: Background
  readonly #looks = new Set<() => void>()

  constructor(background: Background) {
    this.#background = background
  }

  /** To be called when a condition that somebody waits for may have come true. */
  changed(): void {
    if (this.#looks.size > 0) this.#lookAgain()
  }

  #lookAgain(): void {
    for (const look of Array.from(this.#looks)) look()
  }

  /** Ends when `condition` holds or `grace` milliseconds are over. */
  until(condition: () => boolean, grace: number): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (condition() || grace === 0) return resume(Effect.void)
      let cancel: (() => void) | undefined
      const end = (): void => {
        this.#looks.delete(look)
        cancel?.()
      }
      const look = (): void => {
        if (!condition()) return
        end()
        resume(Effect.void)
      }
      this.#looks.add(look)
      if (grace !== Infinity) {
        cancel = this.#background.after(grace, () => {
          cancel = undefined
          end()
          resume(Effect.void)
        })
      }
      return Effect.sync(end)
    })
  }
}
