/**
 * Wakes the fibers of leases that were given an item.
 *
 * Waking a fiber runs it, and it may give its item back at once and so wake the next: done in place that would nest as
 * deep as the queue is long. So leases are collected and woken one after the other from a microtask, which costs a
 * third of a scheduler task. After a thousand the rest is left to the scheduler, so that a pool that is handed round
 * without ever waiting does not keep timers and sockets from their turn.
 */
import type { Lease } from "../Lease.ts"

const PER_TURN = 1024

let ready: Array<Lease<any>> = []
let isScheduled = false
const settled = Promise.resolve()

export const wake = (lease: Lease<any>): void => {
  ready.push(lease)
  if (isScheduled) return
  isScheduled = true
  void settled.then(drain)
}

const drain = (): void => {
  let woken = 0
  // Leases woken here may wake others, which join the end of the same list.
  while (woken < ready.length && woken < PER_TURN) {
    const lease = ready[woken++]!
    // A lease whose fiber was interrupted in the meantime has given its item back already.
    if (lease.state === "held") lease.waiter!.resume(lease as never)
  }
  if (woken === ready.length) {
    ready = []
    isScheduled = false
  } else {
    ready = ready.slice(woken)
    ready[0]!.fiber!.currentDispatcher.scheduleTask(drain, 0)
  }
}
