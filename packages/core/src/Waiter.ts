/**
 * A lease's place in the queue. It exists only while the lease waits, so that one that is served at once stays small.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type { Expiring, Slot } from "./data/DeadlineQueue.ts"
import type { LinkedList } from "./data/LinkedList.ts"
import type { Prioritised } from "./data/PriorityQueue.ts"
import type { Lease } from "./Lease.ts"

/**
 * Where waiters wait, and who of them is next.
 *
 * @category models
 * @since 0.1.0
 */
export interface Line<A> extends Iterable<Waiter<A>> {
  /** How many wait. */
  readonly size: number
  /** How many of them something could be done for; or of those who speak for them, so that 0 says that there is nobody. */
  readonly ready: number
  /** Whether some may need more than others, so that there may be enough for those behind when one leaves. Default: no. */
  readonly isUneven?: boolean
  /** Who of those is next. */
  first(): Waiter<A> | undefined
  add(waiter: Waiter<A>): void
  remove(waiter: Waiter<A>): void
}

/**
 * What `Effect.callback` gives to go on with.
 *
 * @category models
 * @since 0.1.0
 */
export type Resume = (effect: Effect.Effect<any, any, any>) => void

/**
 * The place of a lease in the queue, and among the deadlines.
 *
 * @category models
 * @since 0.1.0
 */
export class Waiter<A> implements Prioritised<Waiter<A>>, Expiring<Waiter<A>> {
  readonly lease: Lease<A>
  readonly priority: number
  /** Its number among those of its line, from 1: set by lines that need it. */
  order: number
  /** In milliseconds of the pool's clock; `Infinity` for a lease that waits as long as it takes. */
  deadline: number
  /** How its fiber is told to go on; `undefined` if that was suspended as it was. */
  readonly resume: Resume | undefined
  /** What its fiber goes on with, once the wait is over: the lease itself if it holds an item, else what the caller is told. */
  answer: Effect.Effect<any, any, any> | undefined
  list: LinkedList<Waiter<A>> | undefined
  previous: Waiter<A> | undefined
  next: Waiter<A> | undefined
  slot: Slot<Waiter<A>> | undefined
  earlier: Waiter<A> | undefined
  later: Waiter<A> | undefined

  constructor(lease: Lease<A>, priority: number, deadline: number, resume: Resume | undefined) {
    this.lease = lease
    this.priority = priority
    this.order = 0
    this.deadline = deadline
    this.resume = resume
    this.answer = undefined
    this.list = undefined
    this.previous = undefined
    this.next = undefined
    this.slot = undefined
    this.earlier = undefined
    this.later = undefined
  }
}
