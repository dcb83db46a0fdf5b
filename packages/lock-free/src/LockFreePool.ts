/**
 * A pool of plain objects that are taken and returned in plain code, without a fiber and without ever waiting.
 *
 * @since 0.1.0
 */
import type { Pool } from "@effect-pools/core"

/**
 * A pool of items of type `A`; making one can fail with `E`.
 *
 * @category models
 * @since 0.1.0
 */
export interface LockFreePool<in out A, out E = never> extends Pool.Pool<A, E> {
  readonly kind: "lock-free"
}
