import type * as Background from "@effect-pools/core/Background"
import type * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type { ConnectionPool } from "../ConnectionPool.ts"

/** A key of the map: its pool is about to open, is open, or closes. */
export class Member<K, A, E> {
  readonly key: K
  readonly name: string
  /** Of what `lookup` opens. The pool has one of its own, which closes before. */
  readonly scope = Scope.makeUnsafe()
  readonly poolScope = Scope.makeUnsafe()
  /** Callers that wait for the pool to open. */
  readonly waiting = new Set<() => void>()
  pool: ConnectionPool<A, E> | undefined = undefined
  /** Why there is no pool. */
  failure: Effect.Effect<never, E> | undefined = undefined
  isOpening = true
  isClosing = false
  /** Calls the opening off. */
  cancel: ((grace: number) => void) | undefined = undefined
  alarm: Background.Alarm | undefined = undefined
  openedAt = 0
  idleTimeToLive = Infinity

  constructor(key: K, name: string) {
    this.key = key
    this.name = name
  }

  /** Whether somebody uses it, or waits. */
  get isBusy(): boolean {
    if (this.pool === undefined) return this.isOpening
    const { pending, used } = this.pool.admission
    return used > 0 || pending > 0
  }

  /** When somebody last used it. */
  get usedAt(): number {
    return this.pool === undefined ? this.openedAt : Math.max(this.openedAt, this.pool.store.usedAt)
  }
}
