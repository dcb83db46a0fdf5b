/**
 * Elapsed time for the lease path, cheap enough to read twice per lease.
 *
 * Reading the operating system's clock costs about a fifth of a whole lease. Within one turn of the event loop nothing a
 * pool waits for can happen, so the live clock is read once a turn and then again at every 32nd call, like Linux's
 * `CLOCK_MONOTONIC_COARSE`. Work that never leaves its turn is therefore measured in steps of up to 32 leases, and of a
 * tenth of a millisecond; anything that waits for a socket, a timer or another thread is measured exactly. A clock other
 * than Effect's default one, such as `TestClock`, is read at every call.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import { askForTurnEnd, atTurnBegin } from "./internal/turn.ts"

const READS_PER_REFRESH = 32

/** Within a turn the clock goes on in steps of this, in milliseconds. */
const STEP = 0.1

/**
 * @category models
 * @since 0.1.0
 */
export interface CoarseClock {
  /** Monotonic time in milliseconds, from an arbitrary origin. */
  now(): number
  /** As `now`, read from the clock itself: for deadlines, which must not end early because the turn has been long. */
  exact(): number
  /**
   * Wall-clock time in milliseconds since 1970, for what people read. `now` is the latest reading of this clock: the live
   * one's date is asked for once per reading, and moves on as the readings do.
   */
  wall(now: number): number
}

/** The monotonic clock behind Effect's default one, without its detour by way of a `bigint`. */
declare const performance: { readonly now: () => number }

let turn = 0
let readsLeft = 0

/** The first reading of a turn is a new one. */
let isNewTurn = true
atTurnBegin(() => {
  isNewTurn = true
  readsLeft = 0
})

const read = (): number => {
  turn = performance.now()
  settle()
  return turn
}

/** A reading that says nothing new is not kept: each that is takes room on the heap. */
const refresh = (): number => {
  const now = performance.now()
  if (isNewTurn || now - turn >= STEP) turn = now
  settle()
  return turn
}

/** The latest reading that has a date. */
let dated = -1
let date = 0

const dateOf = (now: number, clock: Clock.Clock): number => {
  dated = now
  date = clock.currentTimeMillisUnsafe()
  return date
}

const settle = (): void => {
  readsLeft = READS_PER_REFRESH
  if (!isNewTurn) return
  isNewTurn = false
  askForTurnEnd()
}

const monotonicMillis = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = (clock: Clock.Clock): CoarseClock => {
  const isLive = clock === Context.get(Context.empty(), Clock.Clock)
  return {
    now: isLive ? () => (readsLeft-- > 0 ? turn : refresh()) : () => monotonicMillis(clock),
    exact: isLive ? read : () => monotonicMillis(clock),
    wall: isLive ? (now) => (now === dated ? date : dateOf(now, clock)) : () => clock.currentTimeMillisUnsafe()
  }
}
