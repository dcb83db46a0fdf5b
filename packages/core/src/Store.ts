/**
 * What a kind of pool brings, behind the `Admission` that all kinds share.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type { Entry, Lease } from "./Lease.ts"
import type { AcquireTimeout } from "./PoolError.ts"
import type { PoolStats } from "./PoolStats.ts"

/**
 * What is counted over all who share the items.
 *
 * @category models
 * @since 0.1.0
 */
export interface Figures extends Pick<
  PoolStats,
  "idle" | "used" | "size" | "pending" | "acquired" | "released" | "timeouts" | "exhausted"
> {}

/**
 * What one lease waits for: `name` is what the pool calls it, `holder` who has it.
 *
 * @category models
 * @since 0.1.0
 */
export interface WaitsFor<A> {
  readonly phase: AcquireTimeout["phase"]
  readonly name: string
  readonly holder: Lease<A> | undefined
}

/**
 * How many places items take.
 *
 * @category models
 * @since 0.1.0
 */
export interface Places {
  /** The heaviest there is. */
  readonly heaviest: number
  /** The idle item that `idleSince(most)` speaks of. */
  readonly oldest: (most: number) => number
  /** What could be had, but not more than `most`, by giving up one such item after the other. */
  readonly idle: (most: number) => number
}

/**
 * What a kind of pool brings: its items.
 *
 * The methods run synchronously inside a caller's step; none may throw. They keep `idle`,
 * `used`, `creating` and `destroying` true.
 *
 * @category models
 * @since 0.1.0
 */
export interface Store<A, E> {
  /** An item for this lease that can be handed out this instant, counted as used from now on. */
  take(now: number, lease: Lease<A>): Entry<A> | undefined
  /** A lease on `entry` has ended and is no longer among its holders. */
  giveBack(entry: Entry<A>, lease: Lease<A>, exit: Exit.Exit<unknown, unknown>, now: number): void
  /**
   * Something changed that may call for items: a waiter, a destroyed item, a resize. Others call `Admission.replenish`, which
   * never calls this from within itself.
   */
  replenish(): void
  /** This lease does not wait and found nothing: there may be too few items for those who come next. */
  turnedAway(lease: Lease<A>): void
  /** Whether a lease that takes part only if an item is idle may still get one. */
  mayOffer(): boolean
  /** Why this lease cannot be served for the time being, if waiting is pointless. */
  refusal(lease: Lease<A>): Effect.Effect<never, E> | undefined
  /** What a lease is told whose deadline passed before it was served. `undefined` means `AcquireTimeout`. */
  timeoutFailure(): Effect.Effect<never, E> | undefined
  /** What a lease that waits is waiting for. Default: whatever comes free first. */
  waitsFor?(lease: Lease<A>): WaitsFor<A>
  /** The last failure to create an item, in words, while items cannot be created. */
  lastCreateFailure(): string | undefined
  /** The leases that are out, in no particular order. */
  leases(): Iterable<Lease<A>>
  /** Gives up all that is not in use, and what is in use as it comes back. */
  shutdown(): void
  /** The grace is over: gives up what is in use as well. */
  abandon(): void
  /** Never hands this item out again: destroyed now if idle, at the end of its leases if in use. */
  invalidate(item: A): void
  /** `min` or `max` changed: gives up what is too much. */
  resized(): void
  /**
   * Since when its least recently used idle item lies idle, in milliseconds of the pool's clock; `undefined` if none does
   * that it could give up. Only items of at most `most` places count, which is at least 1.
   */
  idleSince(most: number): number | undefined
  /** Gives up that item, for another pool of the same budget. */
  evict(most: number): void
  /** Of kinds whose items take several places each, in the budget as well. Default: each takes one. */
  readonly places?: Places
  /** What only this kind of pool has to say in its stats. */
  details(): PoolStats["details"]
  /** `pending`, `timeouts` or `exhausted` has changed: for those whose items others share, who are to know. */
  counted?(): void
  /** Figures that replace the admission's in stats and metrics: of a pool whose items others share, in other threads say. */
  figures?(): Figures
}
