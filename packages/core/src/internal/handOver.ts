/**
 * Wakes the fibers of waiters that have been served or answered.
 *
 * Waking a fiber runs it, and it may give its item back at once and so wake the next: done in place that would nest as
 * deep as the queue is long, inside whatever the pool was doing. So waiters are collected and woken one after the other
 * from a microtask, which costs a third of a scheduler task. After a thousand the rest is left to the scheduler, so that
 * a pool that is handed round without ever waiting does not keep timers and sockets from their turn.
 */
import type * as Effect from "effect/Effect"
import { MixedScheduler } from "effect/Scheduler"
import type { Waiter } from "../Waiter.ts"
import { proceed } from "./runLoop.ts"
import { askForTurnEnd, atTurnEnd } from "./turn.ts"

const PER_TURN = 1024

/** Who is to be woken: those from `next` to `end`. */
const ready: Array<Waiter<any> | undefined> = []
let next = 0
let end = 0
/**
 * The scheduler has the rest. Were that woken at the end of a turn as well, each of both would leave more to the scheduler,
 * which would soon do nothing else.
 */
let isLeft = false
/** Nobody's in particular: a fiber's own scheduler may be stopped, or stepped by hand. */
const scheduler = new MixedScheduler()

/** Ends a wait with `answer`: the lease itself if it holds an item now. */
export const wake = (waiter: Waiter<any>, answer: Effect.Effect<any, any, any>): void => {
  waiter.answer = answer
  ready[end++] = waiter
  if (!isLeft) askForTurnEnd()
}

const drain = (): void => {
  const last = next + PER_TURN
  // Those woken here may wake others, which join the end of the same list.
  while (next < end && next < last) {
    const waiter = ready[next]!
    ready[next++] = undefined
    // Its fiber may have gone on for another reason: then the lease has seen to the item.
    if (waiter.lease.waiter !== waiter) continue
    try {
      goOn(waiter)
    } catch (error) {
      // An observer of the fiber threw: the application's bug, to be seen, but not to stop everybody else.
      scheduler.makeDispatcher().scheduleTask(() => {
        throw error
      }, 0)
    }
  }
  if (next < end) {
    ready.splice(0, next)
    end -= next
    isLeft = true
    scheduler.makeDispatcher().scheduleTask(drain, 0)
  } else {
    // It keeps some room, as it fills and empties all the time.
    if (end > PER_TURN) ready.length = PER_TURN
    end = 0
    isLeft = false
  }
  next = 0
}
atTurnEnd(() => {
  if (!isLeft) drain()
})

const goOn = ({ answer, lease, resume }: Waiter<any>): void => {
  if (resume !== undefined) resume(answer!)
  else proceed(lease.fiber!, answer!)
}
