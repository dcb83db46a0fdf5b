/**
 * What every kind of pool offers. A kind brings its store and its options; taking, waiting, reporting and ending are
 * the same for all and live here.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as Option from "effect/Option"
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import { hasProperty } from "effect/Predicate"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { Admission, type Lines, type Settings } from "./Admission.ts"
import { check, Checks, type InvalidOptions } from "./InvalidOptions.ts"
import { atCallSite, captureCallSite } from "./internal/callSite.ts"
import { isRunLoopKnown } from "./internal/runLoop.ts"
import { addFinalizerUnsafe, removeFinalizerUnsafe } from "./internal/scope.ts"
import * as Layout from "./Layout.ts"
import * as Lease from "./Lease.ts"
import type { PoolError } from "./PoolError.ts"
import type { PoolEvent } from "./PoolEvent.ts"
import * as PoolMetrics from "./PoolMetrics.ts"
import { PoolRegistry, type RegisteredPool } from "./PoolRegistry.ts"
import type { PoolStats } from "./PoolStats.ts"
import type { Store } from "./Store.ts"

const TypeId = "~@effect-pools/core/Pool"

/**
 * A pool of items of type `A`; creating one can fail with `E`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pool<in out A, out E = never> extends Pipeable {
  readonly [TypeId]: typeof TypeId
  /** Unique among the open pools of the registry. */
  readonly name: string
  readonly kind: string
  /** The pool's state. For those who build pools; applications use the functions. */
  readonly admission: Admission<A, E>
}

/**
 * @category guards
 * @since 0.1.0
 */
export const isPool = (u: unknown): u is Pool<unknown, unknown> => hasProperty(u, TypeId)

/**
 * What one call may ask for.
 *
 * @category options
 * @since 0.1.0
 */
export interface AcquireOptions {
  /** Waiters with a higher priority are served first; among equals, who came first. Any finite number; default 0. */
  readonly priority?: number | undefined
  /**
   * Replaces the pool's `acquireTimeout` for this call. `0` means: do not wait, fail with `Exhausted` (or `Suspended`)
   * if no item can be had at once. A pool that reuses its items then validates or makes one for those who come after.
   */
  readonly acquireTimeout?: Duration.Input | undefined
}

// Construction -------------------------------------------------------------------------------------------------------

/**
 * Opens a pool in the surrounding scope: enters it in the registry and among the metrics, and closes it with the scope.
 * For those who build a kind of pool.
 *
 * @category constructors
 * @since 0.1.0
 */
export const open = <A, E, S extends Store<A, E>>(definition: {
  readonly kind: string
  readonly settings: Settings & Lines<A>
  /** How long closing waits for leases that are out, in milliseconds. */
  readonly closeGrace: number
  /** Makes the store. It may start work of its own at once. */
  readonly store: (admission: Admission<A, E>, context: Context.Context<never>) => S
}): Effect.Effect<Pool<A, E> & { readonly store: S }, never, Scope.Scope> =>
  Effect.uninterruptible(
    Effect.gen(function* () {
      const scope = yield* Effect.scope
      // Background work is nobody's child: it outlives the span in which the pool was made.
      const context = Context.omit(
        Tracer.ParentSpan,
        Scope.Scope
      )(yield* Effect.context<never>()) as Context.Context<never>
      const registry = Context.get(context, PoolRegistry)
      const asked = definition.settings.name
      const name = registry.claimUnsafe(asked)
      const settings = { ...definition.settings, name }
      // Not under a budget: those would join it.
      Layout.settle(Admission, () => new Admission<A, E>({ ...settings, budget: undefined }, context))
      const admission = new Admission<A, E>(settings, context)
      const store = definition.store(admission, context)
      admission.store = store
      const pool: Pool<A, E> & { readonly store: S } = {
        [TypeId]: TypeId,
        name,
        kind: definition.kind,
        admission,
        store,
        pipe() {
          return pipeArguments(this, arguments)
        }
      }
      registry.addUnsafe(new Registered(pool))
      const forgetMetrics = PoolMetrics.registerUnsafe(admission, definition.kind, context)
      admission.onClosed(() => {
        forgetMetrics()
        registry.releaseUnsafe(name)
        // A pool that was drained is gone before its scope, which may live long and see many.
        removeFinalizerUnsafe(scope, ending)
      })
      const close = admission.close(definition.closeGrace)
      const ending = { onClose: () => close }
      if (!addFinalizerUnsafe(scope, ending)) yield* close
      if (name !== asked) {
        yield* Effect.logWarning(`A pool named "${asked}" is open already; this one is called "${name}"`)
      }
      if (!isRunLoopKnown && !isTold) {
        isTold = true
        yield* Effect.logDebug("This version of Effect has a run loop that pools do not know: leases take longer")
      }
      admission.serve()
      return pool
    })
  )

/** Whether it was said that leases are slow: once is enough for a process. */
let isTold = false
let unnamed = 0

/**
 * A readable name for a pool that was given none, such as `connection-pool-3`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const generateName = (kind: string): string => `${kind}-pool-${++unnamed}`

// Leases -------------------------------------------------------------------------------------------------------------

/**
 * Takes an item for the surrounding scope and gives it back when the scope closes.
 *
 * @category leases
 * @since 0.1.0
 */
export const get: {
  <A, E>(self: Pool<A, E>): Effect.Effect<A, E | PoolError, Scope.Scope>
  <A, E>(
    self: Pool<A, E>,
    options: AcquireOptions | undefined
  ): Effect.Effect<A, E | PoolError | InvalidOptions, Scope.Scope>
} = <A, E>(self: Pool<A, E>, options?: AcquireOptions | undefined): Effect.Effect<A, any, Scope.Scope> =>
  options === undefined
    ? Lease.get(self.admission)
    : withChecked(self, options, (options) => Lease.get(self.admission, options))

/**
 * Takes an item, runs an effect with it, and gives it back however the effect ends.
 *
 * @category leases
 * @since 0.1.0
 */
export const use: {
  <A, B, E2, R2>(
    f: (item: A) => Effect.Effect<B, E2, R2>
  ): <E>(self: Pool<A, E>) => Effect.Effect<B, E | PoolError | E2, R2>
  <A, B, E2, R2>(
    f: (item: A) => Effect.Effect<B, E2, R2>,
    options: AcquireOptions | undefined
  ): <E>(self: Pool<A, E>) => Effect.Effect<B, E | PoolError | InvalidOptions | E2, R2>
  <A, E, B, E2, R2>(
    self: Pool<A, E>,
    f: (item: A) => Effect.Effect<B, E2, R2>
  ): Effect.Effect<B, E | PoolError | E2, R2>
  <A, E, B, E2, R2>(
    self: Pool<A, E>,
    f: (item: A) => Effect.Effect<B, E2, R2>,
    options: AcquireOptions | undefined
  ): Effect.Effect<B, E | PoolError | InvalidOptions | E2, R2>
} = (
  // Told apart by hand: `dual` would cost a tenth of the lease.
  first: Pool<any, any> | ((item: any) => Effect.Effect<any, any, any>),
  second?: any,
  third?: AcquireOptions | undefined
): any =>
  typeof first === "function"
    ? (self: Pool<any, any>) => use(self, first, second)
    : third === undefined
      ? Lease.use(first.admission, second)
      : withChecked(first, third, (options) => Lease.use(first.admission, second, options))

/**
 * As {@link get}, if an item is idle now. Never waits for its turn and never has an item created; an idle item that has
 * to be validated first is validated. `None` if there is none, also while the pool is suspended.
 *
 * @category leases
 * @since 0.1.0
 */
export const getIfAvailable = <A, E>(self: Pool<A, E>): Effect.Effect<Option.Option<A>, PoolError, Scope.Scope> =>
  Lease.getIfAvailable(self.admission)

/**
 * As {@link use}, if an item is idle now. See {@link getIfAvailable}.
 *
 * @category leases
 * @since 0.1.0
 */
export const useIfAvailable: {
  <A, B, E2, R2>(
    f: (item: A) => Effect.Effect<B, E2, R2>
  ): <E>(self: Pool<A, E>) => Effect.Effect<Option.Option<B>, PoolError | E2, R2>
  <A, E, B, E2, R2>(
    self: Pool<A, E>,
    f: (item: A) => Effect.Effect<B, E2, R2>
  ): Effect.Effect<Option.Option<B>, PoolError | E2, R2>
} = dual(
  2,
  <A, E, B, E2, R2>(
    self: Pool<A, E>,
    f: (item: A) => Effect.Effect<B, E2, R2>
  ): Effect.Effect<Option.Option<B>, PoolError | E2, R2> => Lease.useIfAvailable(self.admission, f)
)

/**
 * Makes sure that this item is never handed out again: an idle one is destroyed now, one in use when its leases end.
 * An item that the pool does not know has no effect.
 *
 * @category operations
 * @since 0.1.0
 */
export const invalidate: {
  <A>(item: A): <E>(self: Pool<A, E>) => Effect.Effect<void>
  <A, E>(self: Pool<A, E>, item: A): Effect.Effect<void>
} = dual(2, <A, E>(self: Pool<A, E>, item: A): Effect.Effect<void> =>
  Effect.sync(() => self.admission.store.invalidate(item))
)

// Observation --------------------------------------------------------------------------------------------------------

/**
 * A consistent snapshot of the pool's state and totals.
 *
 * @category observation
 * @since 0.1.0
 */
export const stats = <A, E>(self: Pool<A, E>): Effect.Effect<PoolStats> => Effect.sync(() => statsUnsafe(self))

/**
 * As {@link stats}, at once.
 *
 * @category observation
 * @since 0.1.0
 */
export const statsUnsafe = <A, E>(self: Pool<A, E>): PoolStats => {
  const { admission, kind, name } = self
  const observer = admission.observer
  return {
    name,
    kind,
    state: admission.lifecycle,
    min: admission.min,
    max: admission.max,
    idle: admission.idle,
    used: admission.used,
    creating: admission.creating,
    destroying: admission.destroying,
    pending: admission.pending,
    size: admission.idle + admission.used,
    acquired: observer.acquired,
    released: observer.released,
    created: observer.created,
    createFailed: observer.createFailed,
    timeouts: observer.timeouts,
    exhausted: observer.exhausted,
    destroyed: { ...observer.destroyed },
    wait: observer.wait.summary(),
    use: observer.use.summary(),
    create: observer.create.summary(),
    details: admission.store.details(),
    ...admission.store.figures?.()
  }
}

/**
 * Every transition of the pool from now on, in order. The stream ends when the pool has closed.
 *
 * **Details**
 *
 * A reader that falls behind by more than `capacity` events (default 16,384) loses the oldest ones; the pool is never
 * held up by who watches it.
 *
 * @category observation
 * @since 0.1.0
 */
export const events: {
  <A, E>(self: Pool<A, E>): Stream.Stream<PoolEvent>
  <A, E>(
    self: Pool<A, E>,
    options: { readonly capacity?: number | undefined } | undefined
  ): Stream.Stream<PoolEvent, InvalidOptions>
} = <A, E>(
  self: Pool<A, E>,
  options?: { readonly capacity?: number | undefined } | undefined
): Stream.Stream<PoolEvent> =>
  options?.capacity === undefined
    ? eventsUpTo(self, 16_384)
    : // The overload with options says how this can fail.
      (Stream.unwrap(
        Effect.map(
          check(() => new Checks(self.name).integer("capacity", options.capacity, 1, 1)),
          (capacity) => eventsUpTo(self, capacity)
        )
      ) as Stream.Stream<PoolEvent>)

const eventsUpTo = <A, E>(self: Pool<A, E>, capacity: number): Stream.Stream<PoolEvent> =>
  Stream.callback<PoolEvent>(
    (queue) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          if (self.admission.hasEnded) Queue.endUnsafe(queue)
          return self.admission.observer.listen((event) => {
            Queue.offerUnsafe(queue, event)
            if (event._tag === "Closed") Queue.endUnsafe(queue)
          })
        }),
        (stop) => Effect.sync(stop)
      ),
    { bufferSize: capacity, strategy: "sliding" }
  )

// Administration -----------------------------------------------------------------------------------------------------

/**
 * Stops handing out items. Callers queue, and their timeouts run; leases that are out are not touched.
 *
 * @category administration
 * @since 0.1.0
 */
export const suspend = <A, E>(self: Pool<A, E>): Effect.Effect<void> => Effect.sync(() => self.admission.suspend())

/**
 * Undoes {@link suspend}: callers that queued are served in order.
 *
 * @category administration
 * @since 0.1.0
 */
export const resume = <A, E>(self: Pool<A, E>): Effect.Effect<void> => Effect.sync(() => self.admission.resume())

/**
 * Changes the bounds of a living pool. Shrinking never interrupts a lease: idle items above the new `max` go at once,
 * those in use when they come back.
 *
 * @category administration
 * @since 0.1.0
 */
export const resize: {
  (size: {
    readonly min?: number | undefined
    readonly max?: number | undefined
  }): <A, E>(self: Pool<A, E>) => Effect.Effect<void, InvalidOptions>
  <A, E>(
    self: Pool<A, E>,
    size: { readonly min?: number | undefined; readonly max?: number | undefined }
  ): Effect.Effect<void, InvalidOptions>
} = dual(
  2,
  <A, E>(
    self: Pool<A, E>,
    size: { readonly min?: number | undefined; readonly max?: number | undefined }
  ): Effect.Effect<void, InvalidOptions> =>
    check(() => {
      const checks = new Checks(self.name)
      checks.known(size, sizeFields)
      const { max, min } = checkSize(checks, size, self.admission)
      self.admission.resize(min, max)
    })
)

/**
 * Checks `min` and `max`, with defaults where they are not given.
 *
 * @category administration
 * @since 0.1.0
 */
export const checkSize = (
  checks: Checks,
  size: { readonly min?: number | undefined; readonly max?: number | undefined },
  defaults: { readonly min: number; readonly max: number }
): { readonly min: number; readonly max: number } => {
  const max = checks.integer("max", size.max, defaults.max, 1)
  const min = checks.integer("min", size.min, defaults.min, 0)
  if (min > max) checks.refuse("min", min, `must not exceed max (${max})`)
  return { min, max }
}

/**
 * Refuses new leases, ends when the last one is back, and closes the pool. After `grace` (default: no limit) it closes
 * anyway: items still in use are destroyed under their holders. Callers that wait fail with `Closed`.
 *
 * @category administration
 * @since 0.1.0
 */
export const drain: {
  (grace?: Duration.Input | undefined): <A, E>(self: Pool<A, E>) => Effect.Effect<void, InvalidOptions>
  <A, E>(self: Pool<A, E>, grace?: Duration.Input | undefined): Effect.Effect<void, InvalidOptions>
} = dual(
  (args) => isPool(args[0]),
  <A, E>(self: Pool<A, E>, grace?: Duration.Input | undefined): Effect.Effect<void, InvalidOptions> =>
    Effect.flatMap(
      check(() => new Checks(self.name).millis("grace", grace, Infinity, { zero: true, infinity: true })),
      (millis) => self.admission.drain(millis)
    )
)

// Inside -------------------------------------------------------------------------------------------------------------

/**
 * Checks what one call asks for, and notes where it was made. For those who build pools.
 *
 * @category leases
 * @since 0.1.0
 */
export const withChecked = <A, E, B, R>(
  self: Pool<A, E>,
  options: AcquireOptions,
  f: (options: Lease.AcquireOptions) => Effect.Effect<B, any, R>
): Effect.Effect<B, any, R> => {
  // Noted here, where the application is still on the stack.
  const site = self.admission.tracksCallSites ? captureCallSite() : undefined
  return Effect.flatMap(checkAcquire(self.name, options), (options) => atCallSite(site, () => f(options)))
}

/**
 * Checks what one call asks for. For those who build pools.
 *
 * @category options
 * @since 0.1.0
 */
export const checkAcquire = (
  name: string,
  options: AcquireOptions
): Effect.Effect<Lease.AcquireOptions, InvalidOptions> =>
  check(() => {
    const checks = new Checks(name)
    checks.known(options, acquireFields)
    return {
      priority: checks.finite("priority", options.priority, 0),
      timeout:
        options.acquireTimeout === undefined
          ? undefined
          : checks.millis("acquireTimeout", options.acquireTimeout, 0, { zero: true, infinity: true })
    }
  })

const acquireFields = new Set(["priority", "acquireTimeout"])
const sizeFields = new Set(["min", "max"])

/** Made when they are asked for: a pool may be one of many, and few operators ask for all of it. */
class Registered implements RegisteredPool {
  readonly pool: Pool<any, any>

  constructor(pool: Pool<any, any>) {
    this.pool = pool
  }

  get name(): string {
    return this.pool.name
  }

  get kind(): string {
    return this.pool.kind
  }

  get stats(): RegisteredPool["stats"] {
    return stats(this.pool)
  }

  get events(): RegisteredPool["events"] {
    return events(this.pool)
  }

  get suspend(): RegisteredPool["suspend"] {
    return suspend(this.pool)
  }

  get resume(): RegisteredPool["resume"] {
    return resume(this.pool)
  }

  get resize(): RegisteredPool["resize"] {
    return (size) => resize(this.pool, size)
  }

  get drain(): RegisteredPool["drain"] {
    return (grace) => drain(this.pool, grace)
  }
}
