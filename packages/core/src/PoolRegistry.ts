/**
 * Every open pool of the process, with what an operator may want to know of it and do to it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { InvalidOptions } from "./InvalidOptions.ts"
import type { Pool } from "./Pool.ts"
import type { PoolEvent } from "./PoolEvent.ts"
import type { PoolStats } from "./PoolStats.ts"

/**
 * A pool as an operator sees it, whatever it holds.
 *
 * **Gotchas**
 *
 * What it offers is made when it is asked for: a copy by `{ ...registered }` has only the `pool`.
 *
 * @category models
 * @since 0.1.0
 */
export interface RegisteredPool {
  /** Unique among the open pools of the registry. */
  readonly name: string
  readonly kind: string
  readonly stats: Effect.Effect<PoolStats>
  readonly events: Stream.Stream<PoolEvent>
  readonly suspend: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  readonly resize: (size: { readonly min?: number; readonly max?: number }) => Effect.Effect<void, InvalidOptions>
  readonly drain: (grace?: Duration.Input | undefined) => Effect.Effect<void, InvalidOptions>
  /** The pool itself, for tools that account for it rather than watch it. */
  readonly pool: Pool<any, any>
}

/**
 * @category models
 * @since 0.1.0
 */
export interface PoolRegistry {
  /** The open pools, oldest first. */
  readonly list: () => ReadonlyArray<RegisteredPool>
  readonly find: (name: string) => RegisteredPool | undefined
  /** The name itself, or with a number behind it if an open pool has it already. Reserved until released. */
  readonly claimUnsafe: (name: string) => string
  readonly addUnsafe: (pool: RegisteredPool) => void
  /** Forgets the pool and frees its name. */
  readonly releaseUnsafe: (name: string) => void
}

/**
 * @category constructors
 * @since 0.1.0
 */
export const makeUnsafe = (): PoolRegistry => {
  const names = new Set<string>()
  const pools = new Map<string, RegisteredPool>()
  return {
    list: () => Array.from(pools.values()),
    find: (name) => pools.get(name),
    claimUnsafe(name) {
      let unique = name
      for (let n = 2; names.has(unique); n++) unique = `${name}-${n}`
      names.add(unique)
      return unique
    },
    addUnsafe(pool) {
      pools.set(pool.name, pool)
    },
    releaseUnsafe(name) {
      names.delete(name)
      pools.delete(name)
    }
  }
}

/**
 * The registry in which pools enter themselves while they are open. One for the whole process, unless another is
 * provided.
 *
 * **Example** (Listing every pool of the process)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { PoolRegistry } from "@effect-pools/core"
 *
 * const report = Effect.gen(function*() {
 *   const registry = yield* PoolRegistry.PoolRegistry
 *   for (const pool of registry.list()) {
 *     const { idle, pending, used } = yield* pool.stats
 *     yield* Effect.log(`${pool.name}: ${used} used, ${idle} idle, ${pending} waiting`)
 *   }
 * })
 * ```
 *
 * @category references
 * @since 0.1.0
 */
export const PoolRegistry: Context.Reference<PoolRegistry> = Context.Reference<PoolRegistry>(
  "@effect-pools/core/PoolRegistry",
  { defaultValue: makeUnsafe }
)
