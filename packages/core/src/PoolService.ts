/**
 * Pools as services: a class that is the tag, with a `layer` that opens the pool and the pool's functions as statics.
 * Each kind of pool has a `Service` of its own, built on {@link make}.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Admission } from "./Admission.ts"
import type { InvalidOptions } from "./InvalidOptions.ts"
import { atCallSite, captureCallSite } from "./internal/callSite.ts"
import * as Pool from "./Pool.ts"
import type { PoolError } from "./PoolError.ts"
import type { PoolEvent } from "./PoolEvent.ts"
import type { PoolStats } from "./PoolStats.ts"

/**
 * What every pool service has. `Self` is the class itself, `P` the pool, `A` its items, `E` what creating one can fail
 * with, `LE` and `LR` what opening the pool can fail with and needs.
 *
 * @category models
 * @since 0.1.0
 */
export interface PoolServiceClass<Self, Id extends string, P extends Pool.Pool<A, E>, A, E, LE, LR> extends Context.Key<
  Self,
  P
> {
  new (_: never): Context.ServiceClass.Shape<Id, P>
  readonly key: Id
  /** A pool made elsewhere, as this service. */
  readonly of: (pool: P) => P
  /** Opens the pool for the lifetime of the layer. */
  readonly layer: Layer.Layer<Self, LE, LR>
  /** See {@link Pool.get}. */
  readonly get: {
    (): Effect.Effect<A, E | PoolError, Self | Scope.Scope>
    (options: Pool.AcquireOptions): Effect.Effect<A, E | PoolError | InvalidOptions, Self | Scope.Scope>
  }
  /** See {@link Pool.use}. */
  readonly use: {
    <B, E2, R2>(f: (item: A) => Effect.Effect<B, E2, R2>): Effect.Effect<B, E | PoolError | E2, Self | R2>
    <B, E2, R2>(
      f: (item: A) => Effect.Effect<B, E2, R2>,
      options: Pool.AcquireOptions
    ): Effect.Effect<B, E | PoolError | InvalidOptions | E2, Self | R2>
  }
  /** See {@link Pool.getIfAvailable}. */
  readonly getIfAvailable: Effect.Effect<Option.Option<A>, PoolError, Self | Scope.Scope>
  /** See {@link Pool.useIfAvailable}. */
  readonly useIfAvailable: <B, E2, R2>(
    f: (item: A) => Effect.Effect<B, E2, R2>
  ) => Effect.Effect<Option.Option<B>, PoolError | E2, Self | R2>
  /** See {@link Pool.invalidate}. */
  readonly invalidate: (item: A) => Effect.Effect<void, never, Self>
  /** See {@link Pool.stats}. */
  readonly stats: Effect.Effect<PoolStats, never, Self>
  /** See {@link Pool.events}. */
  readonly events: Stream.Stream<PoolEvent, never, Self>
  /** See {@link Pool.suspend}. */
  readonly suspend: Effect.Effect<void, never, Self>
  /** See {@link Pool.resume}. */
  readonly resume: Effect.Effect<void, never, Self>
  /** See {@link Pool.resize}. */
  readonly resize: (size: {
    readonly min?: number | undefined
    readonly max?: number | undefined
  }) => Effect.Effect<void, InvalidOptions, Self>
  /** See {@link Pool.drain}. */
  readonly drain: (grace?: Duration.Input | undefined) => Effect.Effect<void, InvalidOptions, Self>
}

/**
 * Makes the class; `extra` adds the statics that only one kind of pool has. `tracksCallSites` says whether the pool is to
 * know where leases are taken; while a pool is open, the class knows by itself.
 *
 * **Details**
 *
 * A static that opens the pool in another way, a layer for tests say, passes the effect through `opening`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <Self, const Id extends string, P extends Pool.Pool<A, E>, A, E, LE, LR, Extra extends object>(
  id: Id,
  open: Effect.Effect<P, LE, LR | Scope.Scope>,
  extra: (
    tag: Context.Service<Self, P>,
    opening: <E2, R2>(open: Effect.Effect<P, E2, R2>) => Effect.Effect<P, E2, R2>
  ) => Extra,
  tracksCallSites = false
): PoolServiceClass<Self, Id, P, A, E, LE, Exclude<LR, Scope.Scope>> & Extra => {
  // `Context.Service` has a `use` of its own, which hands out the service; here it hands out an item.
  class PoolService extends Context.Service<Self, P>()(id) {}
  const tag = PoolService as unknown as Context.Service<Self, P>
  const withPool = <B, E2, R2>(f: (pool: P) => Effect.Effect<B, E2, R2>): Effect.Effect<B, E2, Self | R2> =>
    Effect.flatMap(tag, f)
  // One at most in an application; tests may open several.
  const opened: Array<Admission<A, E>> = []
  const tracks = (admission: Admission<A, E>): boolean => admission.tracksCallSites
  // A lease is taken where the application says so, not where the pool is at hand.
  const withLease = <B, E2, R2>(f: (pool: P) => Effect.Effect<B, E2, R2>): Effect.Effect<B, E2, Self | R2> => {
    if (!tracksCallSites && !opened.some(tracks)) return withPool(f)
    const site = captureCallSite()
    return withPool((pool) => atCallSite(site, () => f(pool)))
  }
  const opening = <E2, R2>(open: Effect.Effect<P, E2, R2>): Effect.Effect<P, E2, R2> =>
    Effect.map(open, (pool) => {
      const { admission } = pool
      opened.push(admission)
      admission.onClosed(() => void opened.splice(opened.indexOf(admission), 1))
      return pool
    })
  // A getter: each use of it is a call of its own, in a place of its own.
  Object.defineProperty(PoolService, "getIfAvailable", { get: () => withLease((pool) => Pool.getIfAvailable(pool)) })
  return Object.assign(PoolService, {
    layer: Layer.effect(tag, opening(open)),
    get: (options?: Pool.AcquireOptions) => withLease((pool) => Pool.get(pool, options)),
    use: (f: (item: A) => Effect.Effect<any, any, any>, options?: Pool.AcquireOptions) =>
      withLease((pool) => Pool.use(pool, f, options)),
    useIfAvailable: (f: (item: A) => Effect.Effect<any, any, any>) => withLease((pool) => Pool.useIfAvailable(pool, f)),
    invalidate: (item: A) => withPool((pool) => Pool.invalidate(pool, item)),
    stats: withPool((pool) => Pool.stats(pool)),
    events: Stream.unwrap(Effect.map(tag, (pool) => Pool.events(pool))),
    suspend: withPool((pool) => Pool.suspend(pool)),
    resume: withPool((pool) => Pool.resume(pool)),
    resize: (size: { readonly min?: number; readonly max?: number }) => withPool((pool) => Pool.resize(pool, size)),
    drain: (grace?: Duration.Input) => withPool((pool) => Pool.drain(pool, grace)),
    ...extra(tag, opening)
  }) as never
}

/**
 * Options of a pool that is named after its service unless they say otherwise. For those who build pools.
 *
 * @category constructors
 * @since 0.1.0
 */
export const named = <O extends { readonly name?: string | undefined }>(id: string, options: O): O =>
  // What is no object is refused where options are checked.
  options?.name === undefined ? { ...options, name: id } : options
