/**
 * One of many named resources that share a cap.
 *
 * A resource is made by `ResourcePool.create`, which allocates nothing. It is allocated when somebody gets it, stays so
 * when it is put back, and is released when another one needs its place. It has one holder at a time.
 *
 * @since 0.1.0
 */
import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import type * as Lease from "@effect-pools/core/Lease"
import * as Pool from "@effect-pools/core/Pool"
import type * as PoolError from "@effect-pools/core/PoolError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import type * as Option from "effect/Option"
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Types from "effect/Types"
import { type Holding, ResourceRequest } from "./internal/store.ts"
import type { ResourcePool } from "./ResourcePool.ts"

const TypeId = "~@effect-pools/resource/Resource"

/**
 * A resource that is an `A` while it is allocated; allocating it can fail with `E`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Resource<out A, out E = never> extends Pipeable {
  readonly [TypeId]: { readonly _A: Types.Covariant<A>; readonly _E: Types.Covariant<E> }
  readonly name: string
  /** How many places of the pool it takes while it is allocated. */
  readonly weight: number
  readonly pool: ResourcePool
  /** Its state. Belongs to the pool. */
  readonly holding: Holding
}

/**
 * How to make a resource. Only `allocate` is required.
 *
 * @category options
 * @since 0.1.0
 */
export interface ResourceOptions<A, E, R, E2 = never, R2 = never> {
  /** Allocates it. What it adds to its scope is run when the resource is released. Not interrupted if there is a `release`. */
  readonly allocate: Effect.Effect<A, E, R>
  /** Releases it, before what `allocate` has added to its scope. Default: that is all. */
  readonly release?: ((value: A) => Effect.Effect<unknown, E2, R2>) | undefined
  /** Its name in errors and logs. Default `resource-<n>`. */
  readonly name?: string | undefined
  /** How many places of the pool it takes while it is allocated. At most the pool's `max`. Default 1. */
  readonly weight?: number | undefined
}

/**
 * What one call may ask for.
 *
 * @category options
 * @since 0.1.0
 */
export interface GetOptions extends Pool.AcquireOptions {
  /**
   * Whether to wait for others: for the resource to be put back, or for a place in the pool. With `false` the call fails
   * with `Exhausted` instead; allocating the resource, or releasing an idle one for it, is waited for. This is decided when
   * the call is made: suspending the pool after that, say, has it wait as others do. Default `true`.
   */
  readonly wait?: boolean | undefined
}

/**
 * A resource was not released: its `release` failed (`failed`, with the `cause`), has not ended within the pool's
 * `releaseTimeout` and goes on (`timeout`), or the resource is just being allocated (`allocating`).
 *
 * @category errors
 * @since 0.1.0
 */
export class ReleaseError extends Schema.TaggedError<ReleaseError>("effect-pools/Resource/ReleaseError")(
  "ReleaseError",
  {
    pool: Schema.String,
    resource: Schema.String,
    reason: Schema.Literals(["failed", "timeout", "allocating"]),
    cause: Schema.optional(Schema.Defect())
  }
) {
  override get message(): string {
    return `Pool "${this.pool}": "${this.resource}" ${words[this.reason]}`
  }
}

const words = {
  failed: "could not be released",
  timeout: "has not been released in time",
  allocating: "cannot be released while it is being allocated"
}

/**
 * @category guards
 * @since 0.1.0
 */
export const isResource = (u: unknown): u is Resource<unknown, unknown> => hasProperty(u, TypeId)

/** For `ResourcePool.create`. */
export const makeUnsafe = <A, E>(pool: ResourcePool, holding: Holding): Resource<A, E> => ({
  [TypeId]: variance,
  name: holding.name,
  weight: holding.weight,
  pool,
  holding,
  pipe() {
    return pipeArguments(this, arguments)
  }
})

const variance = { _A: (_: never) => _, _E: (_: never) => _ }

// Leases -------------------------------------------------------------------------------------------------------------

/**
 * Takes the resource for the surrounding scope, and puts it back when the scope closes.
 *
 * **Details**
 *
 * Callers wait until it is put back, and then, unless it is still allocated, for a place in the pool. One deadline spans
 * both, and allocating: `AcquireTimeout` says as `phase` which of them it was (`put`, `capacity`, `create`).
 *
 * @category leases
 * @since 0.1.0
 */
export const get: {
  <A, E>(self: Resource<A, E>): Effect.Effect<A, E | PoolError.PoolError, Scope.Scope>
  <A, E>(
    self: Resource<A, E>,
    options: GetOptions | undefined
  ): Effect.Effect<A, E | PoolError.PoolError | InvalidOptions.InvalidOptions, Scope.Scope>
} = <A, E>(self: Resource<A, E>, options?: GetOptions | undefined): Effect.Effect<A, any, Scope.Scope> =>
  request(self, undefined, options)

/**
 * Takes the resource, runs an effect with it, and puts it back however the effect ends. See {@link get}.
 *
 * **Example** (A socket that is open only while there is room for it)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Resource, ResourcePool } from "@effect-pools/resource"
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* ResourcePool.make({ max: 2, name: "sockets" })
 *   const mail = yield* ResourcePool.create(pool, {
 *     name: "mail",
 *     allocate: Effect.succeed({ send: (text: string) => text.length }),
 *     release: () => Effect.log("closed")
 *   })
 *   return yield* Resource.use(mail, (socket) => Effect.succeed(socket.send("hello")))
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category leases
 * @since 0.1.0
 */
export const use: {
  <A, B, E2, R2>(
    f: (item: A) => Effect.Effect<B, E2, R2>
  ): <E>(self: Resource<A, E>) => Effect.Effect<B, E | PoolError.PoolError | E2, R2>
  <A, B, E2, R2>(
    f: (item: A) => Effect.Effect<B, E2, R2>,
    options: GetOptions | undefined
  ): <E>(self: Resource<A, E>) => Effect.Effect<B, E | PoolError.PoolError | InvalidOptions.InvalidOptions | E2, R2>
  <A, E, B, E2, R2>(
    self: Resource<A, E>,
    f: (item: A) => Effect.Effect<B, E2, R2>
  ): Effect.Effect<B, E | PoolError.PoolError | E2, R2>
  <A, E, B, E2, R2>(
    self: Resource<A, E>,
    f: (item: A) => Effect.Effect<B, E2, R2>,
    options: GetOptions | undefined
  ): Effect.Effect<B, E | PoolError.PoolError | InvalidOptions.InvalidOptions | E2, R2>
} = (
  // Told apart by hand, as in `Pool.use`.
  first: Resource<any, any> | Body,
  second?: any,
  third?: GetOptions | undefined
): any =>
  typeof first === "function"
    ? (self: Resource<any, any>) => request(self, first, second)
    : request(first, second, third)

/**
 * As {@link get}, if the resource is allocated and idle: never waits, never allocates. `None` if it is not.
 *
 * @category leases
 * @since 0.1.0
 */
export const getIfAvailable = <A, E>(
  self: Resource<A, E>
): Effect.Effect<Option.Option<A>, PoolError.PoolError, Scope.Scope> =>
  new ResourceRequest(self.pool.admission, self.holding, undefined, undefined, true, false) as never

/**
 * As {@link use}, if the resource is allocated and idle: never waits, never allocates.
 *
 * @category leases
 * @since 0.1.0
 */
export const useIfAvailable: {
  <A, B, E2, R2>(
    f: (item: A) => Effect.Effect<B, E2, R2>
  ): <E>(self: Resource<A, E>) => Effect.Effect<Option.Option<B>, PoolError.PoolError | E2, R2>
  <A, E, B, E2, R2>(
    self: Resource<A, E>,
    f: (item: A) => Effect.Effect<B, E2, R2>
  ): Effect.Effect<Option.Option<B>, PoolError.PoolError | E2, R2>
} = dual(
  2,
  (self: Resource<any, any>, f: Body): any =>
    new ResourceRequest(self.pool.admission, self.holding, f, undefined, true, false)
)

// Releasing ----------------------------------------------------------------------------------------------------------

/**
 * Releases the resource now, and ends when that has ended; does nothing if it is not allocated.
 *
 * **Details**
 *
 * Its holder may do so, for which the lease ends here, and putting it back does nothing then; the next caller has it
 * allocated anew. Anybody else should rather use {@link scheduleRelease}: this takes it away from its holder.
 *
 * One that goes on already is joined. If that has been given up after `releaseTimeout`, this fails at once.
 *
 * @category releasing
 * @since 0.1.0
 */
export const release = <A, E>(self: Resource<A, E>): Effect.Effect<void, ReleaseError> =>
  Effect.callback((resume) => {
    const { holding, pool } = self
    const fail = (reason: ReleaseError["reason"], cause?: unknown): void =>
      resume(
        Effect.fail(
          new ReleaseError({ pool: pool.name, resource: self.name, reason, ...(cause === undefined ? {} : { cause }) })
        )
      )
    if (holding.state === "released") return resume(Effect.void)
    if (holding.state === "allocating") return fail("allocating")
    if (holding.state === "overdue") return fail("timeout")
    const forget = pool.store.release(holding, (exit) => {
      if (exit === undefined) fail("timeout")
      else if (Exit.isFailure(exit)) fail("failed", Cause.squash(exit.cause))
      else resume(Effect.void)
    })
    return Effect.sync(forget)
  })

/**
 * Has the resource released: now if it is idle, and else when it is next put back. Does nothing if it is not allocated.
 * A failure of its `release` is an event of the pool and a line in the log.
 *
 * @category releasing
 * @since 0.1.0
 */
export const scheduleRelease = <A, E>(self: Resource<A, E>): Effect.Effect<void> =>
  Effect.sync(() => self.pool.store.schedule(self.holding))

/**
 * Whether the resource is allocated now, idle or in use.
 *
 * @category observation
 * @since 0.1.0
 */
export const isAllocated = <A, E>(self: Resource<A, E>): Effect.Effect<boolean> =>
  Effect.sync(() => self.holding.allocation !== undefined)

// Inside -------------------------------------------------------------------------------------------------------------

type Body = (item: any) => Effect.Effect<any, any, any>

const request = (
  { holding, pool }: Resource<any, any>,
  body: Body | undefined,
  options: GetOptions | undefined
): Effect.Effect<any, any, any> => {
  if (options === undefined) return new ResourceRequest(pool.admission, holding, body, undefined, false, false) as never
  const { wait = true, ...others }: GetOptions = Object(options)
  if (typeof wait !== "boolean") {
    return InvalidOptions.check(() => new InvalidOptions.Checks(pool.name).refuse("wait", wait, "must be a boolean"))
  }
  return Pool.withChecked(
    pool,
    // What is no options at all is for the check to refuse.
    typeof options !== "object" || options === null || Array.isArray(options) ? options : others,
    (checked: Lease.AcquireOptions) =>
      new ResourceRequest(pool.admission, holding, body, checked, false, !wait) as never
  )
}
