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

const PER_TURN = 1024

let ready: Array<Waiter<any>> = []
let isScheduled = false
const settled = Promise.resolve()
/** Nobody's in particular: a fiber's own scheduler may be stopped, or stepped by hand. */
const scheduler = new MixedScheduler()

/** Ends a wait with `answer`: the lease itself if it holds an item now. */
export const wake = (waiter: Waiter<any>, answer: Effect.Effect<any, any, any>): void => {
  waiter.answer = answer
  ready.push(waiter)
  if (isScheduled) return
  isScheduled = true
  void settled.then(drain)
}

const drain = (): void => {
  let woken = 0
  // Those woken here may wake others, which join the end of the same list.
  while (woken < ready.length && woken < PER_TURN) {
    const waiter = ready[woken++]!
    try {
      // Has no effect on a fiber that was interrupted in the meantime; its lease has seen to the item.
      waiter.resume(waiter.answer!)
    } catch (error) {
      // An observer of the fiber threw: the application's bug, to be seen, but not to stop everybody else.
      scheduler.makeDispatcher().scheduleTask(() => {
        throw error
      }, 0)
    }
  }
  if (woken === ready.length) {
    ready = []
    isScheduled = false
  } else {
    ready = ready.slice(woken)
    scheduler.makeDispatcher().scheduleTask(drain, 0)
  }
}
