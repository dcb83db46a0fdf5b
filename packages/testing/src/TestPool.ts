/**
 * A pool of items that an effect or a function makes, with nothing that an application's test would have to configure.
 *
 * **When to use**
 *
 * In tests of an application that takes a pool (a pool of fakes), and as the plainest example of how a kind of pool is
 * written on `@effect-pools/core`: this file checks the options and opens a pool over a store; the store, which is all that
 * a kind has to bring, is `internal/testStore.ts`. Leases, waiting, deadlines, order, lifecycle, stats, events, metrics and
 * the registry come with `Pool.open`.
 *
 * **Example** (A pool of fakes)
 *
 * ```ts
 * import { Pool } from "@effect-pools/core"
 * import { TestPool } from "@effect-pools/testing"
 * import { Effect } from "effect"
 *
 * interface Connection {
 *   readonly query: () => ReadonlyArray<string>
 * }
 *
 * const users = (pool: Pool.Pool<Connection>) =>
 *   Pool.use(pool, (connection) => Effect.succeed(connection.query()))
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* TestPool.make({ make: (): Connection => ({ query: () => ["Ada", "Grace"] }), max: 2 })
 *   return yield* users(pool)
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 */
import { InvalidOptions, Pool } from "@effect-pools/core"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type Checked, TestStore } from "./internal/testStore.ts"

/**
 * A pool of items of type `A`. The functions for it are those of `Pool`, in `@effect-pools/core`.
 *
 * @category models
 * @since 0.1.0
 */
export interface TestPool<A, E = never> extends Pool.Pool<A, E> {}

/**
 * Where the items come from: an effect whose scope is the item's life, or a function that is told the item's number,
 * from 1.
 *
 * @category options
 * @since 0.1.0
 */
export type Source<A, E, R> =
  | { readonly acquire: Effect.Effect<A, E, R>; readonly make?: undefined }
  | { readonly make: (id: number) => A; readonly acquire?: undefined }

/**
 * @category options
 * @since 0.1.0
 */
export type Options<A, E, R> = Source<A, E, R> & {
  /** Default: a generated one, such as `test-pool-1`. */
  readonly name?: string | undefined
  /** How many items are there at least, made in the background; after a failure only once a caller needs one. Default 0. */
  readonly min?: number | undefined
  /** The most items at a time. Default 10. */
  readonly max?: number | undefined
  /** How long a caller waits for an item. Default 30 seconds; `0`: not at all. */
  readonly acquireTimeout?: Duration.Input | undefined
  /** How many callers may wait. Default `Infinity`. */
  readonly maxWaiters?: number | undefined
  /** How long making an item may take. Default 30 seconds. */
  readonly createTimeout?: Duration.Input | undefined
  /** How long an item's end keeps its place; after that the place is free and the end goes on. Default 5 seconds. */
  readonly destroyTimeout?: Duration.Input | undefined
  /** How long closing waits for leases; after that their items are destroyed under their holders. Default: not at all. */
  readonly closeGrace?: Duration.Input | undefined
}

/**
 * Opens a pool in the surrounding scope.
 *
 * **Details**
 *
 * Items are made when callers wait for them, and handed out again, the last returned first, until they are invalidated
 * or the pool shrinks or closes. An item that cannot be made is the failure of the caller who waits at the front; nothing
 * is tried again. Where leases were taken is always known to the pool's timeouts.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A, E = never, R = never>(
  options: Options<A, E, R>
): Effect.Effect<TestPool<A, E>, InvalidOptions.InvalidOptions, Exclude<R, Scope.Scope> | Scope.Scope> =>
  Effect.flatMap(
    InvalidOptions.check(() => checkOptions(options)),
    (checked) =>
      Pool.open({
        kind: "test",
        settings: checked,
        closeGrace: checked.closeGrace,
        store: (admission) => {
          admission.trackCallSites()
          return new TestStore<A, E>(admission, checked)
        }
      })
    // Items are made in the context in which the pool is opened, which so must have all that `acquire` needs.
  ) as Effect.Effect<TestPool<A, E>, any, any>

const fields = new Set<string>([
  "acquire",
  "make",
  "name",
  "min",
  "max",
  "acquireTimeout",
  "maxWaiters",
  "createTimeout",
  "destroyTimeout",
  "closeGrace"
] satisfies Array<keyof Options<any, any, any>>)

const checkOptions = <A, E, R>(options: Options<A, E, R>): Checked<A, E> => {
  const unnamed = new InvalidOptions.Checks("test pool")
  if (typeof options !== "object" || options === null) return unnamed.refuse("options", options, "must be an object")
  const checks = new InvalidOptions.Checks(unnamed.name(options.name, () => Pool.generateName("test")))
  checks.known(options, fields)
  const make = checks.callback("make", options.make)
  if (make === undefined && !Effect.isEffect(options.acquire)) {
    checks.refuse("acquire", options.acquire, "must be an Effect, unless there is `make`")
  }
  if (make !== undefined && options.acquire !== undefined)
    checks.refuse("acquire", options.acquire, "stands beside `make`")
  let made = 0
  const zero = { zero: true, infinity: true }
  return {
    acquire: (make === undefined ? options.acquire : Effect.sync(() => make(++made))) as Effect.Effect<
      A,
      E,
      Scope.Scope
    >,
    name: checks.pool,
    ...Pool.checkSize(checks, options, { min: 0, max: 10 }),
    acquireTimeout: checks.millis("acquireTimeout", options.acquireTimeout, 30_000, zero),
    maxWaiters: checks.limit("maxWaiters", options.maxWaiters, Infinity, 0),
    createTimeout: checks.millis("createTimeout", options.createTimeout, 30_000, { infinity: true }),
    destroyTimeout: checks.millis("destroyTimeout", options.destroyTimeout, 5000, { infinity: true }),
    closeGrace: checks.millis("closeGrace", options.closeGrace, 0, zero)
  }
}
