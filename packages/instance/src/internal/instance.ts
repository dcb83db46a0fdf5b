import type * as Lease from "@effect-pools/core/Lease"
import type * as LinkedList from "@effect-pools/core/data/LinkedList"
import type * as PoolEvent from "@effect-pools/core/PoolEvent"
import type * as Scope from "effect/Scope"

/** One instance. It is handed out once at most. Times are in milliseconds of the pool's clock. */
export class Instance<A> implements Lease.Entry<A>, LinkedList.Linked<Instance<A>> {
  readonly id: number
  readonly value: A
  readonly scope: Scope.Closeable
  readonly createdAt: number
  state: "prepared" | "used" | "destroyed" = "prepared"
  holder: Lease.Lease<A> | undefined = undefined
  /** The scopes that have detached it, and keep it when its lease has ended. */
  keepers = 0
  /** Why it ends, if not because its lease does. */
  doom: PoolEvent.DestroyReason | undefined = undefined
  /** Another instance with the same value: `create` may return one object more than once. */
  twin: Instance<A> | undefined = undefined
  list: LinkedList.LinkedList<any> | undefined = undefined
  previous: Instance<A> | undefined = undefined
  next: Instance<A> | undefined = undefined

  constructor(id: number, value: A, scope: Scope.Closeable, now: number) {
    this.id = id
    this.value = value
    this.scope = scope
    this.createdAt = now
  }
}
