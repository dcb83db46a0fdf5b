import type * as Lease from "@effect-pools/core/Lease"
import type * as LinkedList from "@effect-pools/core/data/LinkedList"
import type * as PoolEvent from "@effect-pools/core/PoolEvent"
import type * as Scope from "effect/Scope"

/**
 * `checking` is a background check of an idle connection; `validating` and `resetting` stand between two leases and
 * count as used.
 */
export type ConnectionState = "idle" | "used" | "validating" | "resetting" | "checking" | "destroyed"

/** One pooled connection. Times are in milliseconds of the pool's clock. */
export class Connection<A> implements Lease.Entry<A>, LinkedList.Linked<Connection<A>> {
  readonly id: number
  readonly value: A
  readonly scope: Scope.Closeable
  readonly createdAt: number
  readonly expiresAt: number
  /** Nobody's yet, but not idle either: it has yet to go into service. */
  state: ConnectionState = "used"
  /** When its last lease ended. Checks do not touch it. */
  lastUsed: number
  /** When it was last known to work: creation, the end of a lease, a check that passed. */
  provenAt: number
  /** When it was last checked in the background, or created. */
  checkedAt: number
  /** Validated or created for the waiter that is about to get it. */
  isProven = true
  uses = 0
  score = 100
  errors = 0
  holders = 0
  holder: Lease.Lease<A> | undefined = undefined
  /** Why it is to be destroyed when its last lease ends. */
  doom: PoolEvent.DestroyReason | undefined = undefined
  /** Another connection with the same value: `acquire` may return one object more than once. */
  twin: Connection<A> | undefined = undefined
  list: LinkedList.LinkedList<any> | undefined = undefined
  previous: Connection<A> | undefined = undefined
  next: Connection<A> | undefined = undefined

  constructor(id: number, value: A, scope: Scope.Closeable, now: number, expiresAt: number) {
    this.id = id
    this.value = value
    this.scope = scope
    this.createdAt = now
    this.expiresAt = expiresAt
    this.lastUsed = now
    this.provenAt = now
    this.checkedAt = now
  }
}
