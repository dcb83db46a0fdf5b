import type * as Admission from "@effect-pools/core/Admission"
import * as Background from "@effect-pools/core/Background"
import type * as PoolEvent from "@effect-pools/core/PoolEvent"
import type * as PoolStats from "@effect-pools/core/PoolStats"
import * as SynchronousStore from "@effect-pools/core/SynchronousStore"
import * as Cause from "effect/Cause"
import type { ArenaMemory } from "../ArenaBacking.ts"
import { BackingFailed } from "../ArenaError.ts"
import type { BumpArena } from "../BumpArena.ts"
import type { Arena } from "./arena.ts"
import { Lending } from "./lending.ts"
import type { Checked } from "./poolOptions.ts"

type Item<M extends ArenaMemory> = SynchronousStore.Item<BumpArena<M>>

/** The store of an arena pool. Of idle arenas the head of the list came back last, so the tail is idle for longest. */
export class ArenaStore<M extends ArenaMemory> extends SynchronousStore.SynchronousStore<BumpArena<M>, BackingFailed> {
  readonly options: Checked<M>
  readonly lending: Lending<M>
  readonly #housekeeping: Background.Alarm
  /** For how long an arena lies idle before there is something to do. */
  readonly #patience: number
  /** When the housekeeping is due; `Infinity` while nothing is to be done. */
  #due = Infinity
  /** Bytes returned to the operating system so far. */
  #released = 0
  /** The most bytes that one unit of work has used, among arenas that are gone. */
  #mostUsed = 0

  constructor(admission: Admission.Admission<BumpArena<M>, BackingFailed>, options: Checked<M>) {
    const lending = new Lending(admission, options)
    super(admission, {
      make: () => lending.make(),
      failure: (thrown) => (thrown instanceof BackingFailed ? Cause.fail(thrown) : Cause.die(thrown)),
      ready: (arena) => inner(arena).resume(),
      reset: (arena) => {
        inner(arena).suspend()
        if (options.clears) inner(arena).chunk.zero()
        return true
      },
      destroy: (arena) => inner(arena).destroy()
    })
    this.options = options
    this.keep = options.cap
    this.lending = lending
    this.#patience = Math.min(options.idleTimeToLive, options.releaseIdleAfter)
    this.#housekeeping = new Background.Alarm(admission.background, admission.clock, (now) => this.#keepHouse(now))
  }

  override layIdle(item: Item<M>, now: number): void {
    if (item.value.state === "open") inner(item.value).suspend()
    super.layIdle(item, now)
    const due = now + this.#patience
    // Not asked of the alarm: a call that the engine does not inline has its numbers made on the heap.
    if (due < this.#due) this.#keepHouseAt(due)
  }

  override end(item: Item<M>, reason: PoolEvent.DestroyReason): void {
    const arena = inner(item.value)
    super.end(item, reason)
    this.#mostUsed = Math.max(this.#mostUsed, arena.mostUsed)
  }

  override resized(): void {
    super.resized()
    // Those that were to be kept until now may be overdue.
    if (this.options.idleTimeToLive !== Infinity) this.#keepHouseAt(this.admission.clock.now())
  }

  override shutdown(): void {
    this.#due = Infinity
    this.#housekeeping.clear()
    super.shutdown()
  }

  // Idle arenas ------------------------------------------------------------------------------------------------------

  /** Makes arenas ahead; fewer than asked for where there is no room, or where one fails. */
  prewarm(count: number): { readonly made: number; readonly failure: Cause.Cause<BackingFailed> | undefined } {
    let made = 0
    while (made < count && this.#hasRoom && this.admission.claim("ahead")) {
      const item = this.make()
      if (item === undefined) return { made, failure: this.lastFailure }
      made++
      this.place(item)
    }
    return { made, failure: undefined }
  }

  get #hasRoom(): boolean {
    const { idle, lifecycle, live, max } = this.admission
    return idle < this.keep && live < max && (lifecycle === "open" || lifecycle === "suspended")
  }

  /** Drops idle arenas until so many are left, those first that are idle for longest; answers how many went. */
  trim(left: number): number {
    let dropped = 0
    // A backing is the user's own, and may use the pool: what comes back meanwhile is not meant.
    for (const item of Array.from(this.idle).toReversed()) {
      if (this.admission.idle <= left) break
      if (item.state !== "idle") continue
      this.end(item, "shrink")
      dropped++
    }
    return dropped
  }

  /** Returns the pages of all idle arenas, and answers how many bytes that were. */
  releaseIdle(): number {
    const before = this.#released
    for (const item of Array.from(this.idle)) if (item.state === "idle") this.#release(item)
    return this.#released - before
  }

  #release(item: Item<M>): void {
    try {
      this.#released += inner(item.value).chunk.release()
    } catch (error) {
      // Nobody knows what is left of its memory.
      this.failed("reset", item, Cause.die(error))
      if (item.state !== "destroyed") this.end(item, "resetFailed")
    }
  }

  /** Does what is due to those that lie idle, and sees to it that the rest has its turn. */
  #keepHouse(now: number): void {
    this.#due = Infinity
    const { idleTimeToLive, releaseIdleAfter } = this.options
    let next = Infinity
    for (const item of Array.from(this.idle).toReversed()) {
      if (item.state !== "idle") continue
      const endsAt = this.#isSpare ? item.idleSince + idleTimeToLive : Infinity
      if (endsAt <= now) {
        this.end(item, "idleTimeout")
        continue
      }
      const releasesAt = item.idleSince + releaseIdleAfter
      if (releasesAt <= now) this.#release(item)
      next = Math.min(next, endsAt, releasesAt <= now ? Infinity : releasesAt)
    }
    this.#keepHouseAt(next)
  }

  #keepHouseAt(due: number): void {
    this.#due = Math.min(due, this.#due)
    this.#housekeeping.set(due)
  }

  /** Whether there are more than the pool is to keep at any time. */
  get #isSpare(): boolean {
    const { idle, min, used } = this.admission
    return idle + used > min
  }

  // Answers ----------------------------------------------------------------------------------------------------------

  override details(): PoolStats.PoolStats["details"] {
    const { options, recycled } = this
    let mostUsed = this.#mostUsed
    for (const { value } of this.all) {
      const arena = inner(value)
      if (arena.state === "open") arena.noteUsed()
      mostUsed = Math.max(mostUsed, arena.mostUsed)
    }
    let resident = 0
    for (const { value } of this.all) resident += inner(value).chunk.resident
    return {
      recycled,
      minted: this.admission.observer.created,
      reservedBytes: this.all.size * options.size,
      residentBytes: resident,
      mostUsedBytes: mostUsed,
      releasedBytes: this.#released
    }
  }
}

const inner = <M extends ArenaMemory>(arena: BumpArena<M>): Arena<M> => arena as unknown as Arena<M>
