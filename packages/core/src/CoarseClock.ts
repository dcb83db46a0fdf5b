/**
 * Elapsed time for the lease path, cheap enough to read twice per lease.
 *
 * Reading the operating system's clock costs about a fifth of a whole lease. Within one turn of the event loop nothing a
 * pool waits for can happen, so the live clock is read once a turn and then again at every 32nd call, like Linux's
 * `CLOCK_MONOTONIC_COARSE`. Work that never leaves its turn is therefore measured in steps of up to 32 leases; anything
 * that waits for a socket, a timer or another thread is measured exactly. A clock other than Effect's default one, such
 * as `TestClock`, is read at every call.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"

const READS_PER_REFRESH = 32

/**
 * @category models
 * @since 0.1.0
 */
export interface CoarseClock {
  /** Monotonic time in milliseconds, from an arbitrary origin. */
  now(): number
  /** As `now`, read from the clock itself: for deadlines, which must not end early because the turn has been long. */
  exact(): number
  /** Wall-clock time in milliseconds since 1970, for what people read. */
  wall(): number
}

let turn = 0
let readsLeft = 0
let resetScheduled = false
const settled = Promise.resolve()

const reset = (): void => {
  resetScheduled = false
  readsLeft = 0
}

const refresh = (clock: Clock.Clock): number => {
  turn = monotonicMillis(clock)
  readsLeft = READS_PER_REFRESH
  if (!resetScheduled) {
    resetScheduled = true
    void settled.then(reset)
  }
  return turn
}

const monotonicMillis = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = (clock: Clock.Clock): CoarseClock => {
  const isLive = clock === Context.get(Context.empty(), Clock.Clock)
  return {
    now: isLive ? () => (readsLeft-- > 0 ? turn : refresh(clock)) : () => monotonicMillis(clock),
    exact: isLive ? () => refresh(clock) : () => monotonicMillis(clock),
    wall: () => clock.currentTimeMillisUnsafe()
  }
}
