/** What the tests of the connection pool's invariants share. */
import { ConnectionPool } from "@effect-pools/connection"
import { expect } from "@effect/vitest"
import { Gates, Sandbox } from "@effect-pools/testing"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"

export type Options = Partial<ConnectionPool.Options<Gates.Item, Gates.GateFailure, Scope.Scope>>

export interface World extends Sandbox.Sandbox<ConnectionPool.ConnectionPool<Gates.Item, Gates.GateFailure>> {
  readonly gates: Gates.Gates
}

/** Opens a pool of gated connections, every trace of which can be looked at. */
export const open = Effect.fnUntraced(function* (options?: Options, gates = Gates.make()) {
  const made: Sandbox.Sandbox<ConnectionPool.ConnectionPool<Gates.Item, Gates.GateFailure>> = yield* Sandbox.open(
    ConnectionPool.make<Gates.Item, Gates.GateFailure, Scope.Scope>({ acquire: gates.make, ...options })
  )
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      // What a test leaves stuck must not keep the pool from closing after it.
      gates.destroy = "ok"
      expect(gates.faults).toEqual([])
    })
  )
  return { ...made, gates } satisfies World
})

export const { settle } = Sandbox

/** A body that counts itself, so that an item in two hands shows. */
export const holding =
  <A, E, R>(world: World, body: (item: Gates.Item) => Effect.Effect<A, E, R>, limit = 1) =>
  (item: Gates.Item): Effect.Effect<A, E, R> =>
    world.gates.holding(
      item,
      Effect.suspend(() => body(item)),
      limit
    )

/** Forks a lease that is held until the returned function is called. */
export const hold = Effect.fnUntraced(function* (
  world: World,
  options?: { readonly priority?: number; readonly acquireTimeout?: number }
) {
  const got: { item: Gates.Item | undefined } = { item: undefined }
  const end = yield* Deferred.make<void>()
  const fiber = yield* Effect.forkDetach(
    ConnectionPool.use(
      world.pool,
      holding(
        world,
        (item) => {
          got.item = item
          return Deferred.await(end)
        },
        world.pool.store.options.concurrency
      ),
      options
    ),
    { startImmediately: true }
  )
  return {
    fiber,
    got,
    /** Ends the body, and so the lease. */
    release: Effect.andThen(Deferred.succeed(end, undefined), Fiber.await(fiber))
  }
})

export const counts = ({ pool: { admission } }: World) => ({
  idle: admission.idle,
  used: admission.used,
  creating: admission.creating,
  destroying: admission.destroying,
  pending: admission.pending
})

export const atRest = (idle: number) => ({ idle, used: 0, creating: 0, destroying: 0, pending: 0 })

/** Every item was destroyed once at most, was never in too many hands, and as many are there as the pool has. */
export const expectExactlyOnce = (gates: Gates.Gates, open: number): void => expect(gates.audit(open)).toEqual([])

/** What must be true of a pool at rest, whatever happened to it. */
export const expectAtRest = (world: World): void => {
  const { admission } = world.pool
  const { idle } = admission
  expect(counts(world)).toEqual(atRest(idle))
  expect(world.pool.store.all.size, "known connections").toBe(idle)
  expect(admission.observer.released, "released leases").toBe(admission.observer.acquired)
  expectExactlyOnce(world.gates, idle)
}

/** Every place of the pool can be taken at once, all together. */
export const expectEveryPlaceWorks = Effect.fnUntraced(function* (world: World) {
  const { gates, pool } = world
  gates.allWell()
  const places = pool.admission.max * pool.store.options.concurrency
  const held = yield* Effect.forEach(Array.from({ length: places }), () => hold(world))
  yield* settle
  expect(held.filter(({ got }) => got.item !== undefined).length, "places that work").toBe(places)
  for (const { release } of held) yield* release
  yield* settle
  expectAtRest(world)
})

export const tags = (world: World): Array<string> => world.events.map((event) => event._tag)

export const failures = (world: World) => world.events.filter((event) => event._tag === "BackgroundFailure")
