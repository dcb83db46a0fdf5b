/**
 * One event per transition of a pool, in the order in which they happen.
 *
 * Events exist only while somebody listens. `at` is wall-clock time in milliseconds since 1970; durations are in
 * milliseconds; `item` is the number the pool gave the item, unique within the pool. Times are as coarse as the pool's clock
 * (see `CoarseClock`): what a body does without leaving its turn of the event loop may seem to have taken no time.
 *
 * @since 0.1.0
 */

/**
 * Why an item was destroyed.
 *
 * - `idleTimeout`, `maxLifetime`, `maxUses`: its time or number of uses was over
 * - `unhealthy`: its health score fell too low, or the caller's error condemned it
 * - `validationFailed`, `resetFailed`: it did not pass
 * - `invalidated`: the application asked for it
 * - `shrink`: there were more than the pool is to have: it was resized, or who asked for this one has left
 * - `reclaimed`: another pool needed its place
 * - `abandoned`: whoever had it has lost it: nobody knows whether it is still used
 * - `released`: items of this pool are never reused
 * - `closed`: the pool closed
 *
 * @category models
 * @since 0.1.0
 */
export type DestroyReason = (typeof destroyReasons)[number]

/**
 * @category models
 * @since 0.1.0
 */
export const destroyReasons = [
  "idleTimeout",
  "maxLifetime",
  "maxUses",
  "unhealthy",
  "validationFailed",
  "resetFailed",
  "invalidated",
  "shrink",
  "reclaimed",
  "abandoned",
  "released",
  "closed"
] as const

/**
 * What ended a wait without a lease.
 *
 * @category models
 * @since 0.1.0
 */
export type WaitOutcome = "timeout" | "interrupted" | "failed" | "closed" | "declined"

interface Happening {
  readonly pool: string
  readonly at: number
}

/**
 * @category models
 * @since 0.1.0
 */
export type PoolEvent = Happening &
  (
    | {
        readonly _tag: "LeaseAcquired"
        readonly item: number
        readonly lease: number
        readonly waited: number
        /**
         * A line of the stack: known while leak detection is on, or an auditor is at work. Put into words when it is read,
         * which costs some ten microseconds.
         */
        readonly takenAt: string | undefined
      }
    | {
        readonly _tag: "LeaseReleased"
        readonly item: number
        readonly lease: number
        readonly used: number
        readonly outcome: "success" | "failure" | "defect" | "interrupted"
      }
    | { readonly _tag: "WaitStarted"; readonly lease: number; readonly pending: number }
    | { readonly _tag: "WaitEnded"; readonly lease: number; readonly waited: number; readonly outcome: WaitOutcome }
    | { readonly _tag: "ItemCreating" }
    | { readonly _tag: "ItemCreated"; readonly item: number; readonly took: number }
    | {
        readonly _tag: "ItemCreateFailed"
        readonly took: number
        readonly failures: number
        readonly cause: string
      }
    | { readonly _tag: "ItemDestroyed"; readonly item: number; readonly reason: DestroyReason; readonly age: number }
    /** The item lives on when its lease ends, for as long as another scope keeps it. */
    | { readonly _tag: "ItemDetached"; readonly item: number }
    | { readonly _tag: "ItemHealth"; readonly item: number; readonly score: number; readonly errors: number }
    | {
        /** Something failed that no caller waits for. It is logged as well. */
        readonly _tag: "BackgroundFailure"
        readonly during: "validate" | "reset" | "check" | "destroy" | "classify" | "retry"
        readonly item: number | undefined
        readonly cause: string
      }
    | {
        readonly _tag: "LeaseOverdue"
        readonly item: number
        readonly lease: number
        readonly held: number
        readonly takenAt: string | undefined
      }
    /** Who took it in plain code has lost the means to give it back, as the garbage collector found. */
    | {
        readonly _tag: "LeaseAbandoned"
        readonly item: number
        readonly lease: number
        readonly takenAt: string | undefined
      }
    | { readonly _tag: "NestedAcquire"; readonly lease: number; readonly held: number }
    | { readonly _tag: "BreakerOpened"; readonly failures: number; readonly cause: string }
    | { readonly _tag: "BreakerClosed" }
    | { readonly _tag: "Suspended" }
    | { readonly _tag: "Resumed" }
    | { readonly _tag: "Resized"; readonly min: number; readonly max: number }
    | { readonly _tag: "Draining" }
    /** The pool begins to close; `used` items are still out. */
    | { readonly _tag: "Closing"; readonly used: number }
    /** Nothing is left of the pool. */
    | { readonly _tag: "Closed" }
  )

/**
 * The part of an event that the place where it happens fills in.
 *
 * @category models
 * @since 0.1.0
 */
export type Detail = PoolEvent extends infer Each
  ? Each extends PoolEvent
    ? Omit<Each, keyof Happening>
    : never
  : never
