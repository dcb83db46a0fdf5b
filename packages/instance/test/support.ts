/** What the tests of the instance pool share. */
import { PoolError } from "@effect-pools/core"
import { InstancePool } from "@effect-pools/instance"
import { expect } from "@effect/vitest"
import { Gates, Sandbox } from "@effect-pools/testing"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"

export type Options = Partial<InstancePool.Options<Gates.Item, Gates.GateFailure, Scope.Scope>>

export interface World extends Sandbox.Sandbox<InstancePool.InstancePool<Gates.Item, Gates.GateFailure>> {
  readonly gates: Gates.Gates
}

/** Opens a pool of gated instances, every trace of which can be looked at. */
export const open = Effect.fnUntraced(function* (options?: Options, gates: Gates.Gates = Gates.make()) {
  const made: Sandbox.Sandbox<InstancePool.InstancePool<Gates.Item, Gates.GateFailure>> = yield* Sandbox.open(
    InstancePool.make<Gates.Item, Gates.GateFailure, Scope.Scope>({ create: gates.make, ...options })
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

export const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

/** A lease that ends at once, and answers with the instance's number. */
export const use = ({ gates, pool }: World) =>
  InstancePool.use(pool, (instance) => gates.holding(instance, Effect.succeed(instance.id)))

/** Forks a lease that is held until `release`. */
export const hold = Effect.fnUntraced(function* (world: World, options?: { readonly acquireTimeout?: number }) {
  const got: { item: Gates.Item | undefined } = { item: undefined }
  const end = yield* Deferred.make<void>()
  const fiber = yield* Effect.forkDetach(
    InstancePool.use(
      world.pool,
      (instance) =>
        world.gates.holding(
          instance,
          Effect.suspend(() => {
            got.item = instance
            return Deferred.await(end)
          })
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

/** What a fiber has ended with so far: the reason of a `PoolError`, another failure, or its success. */
export const outcome = <A, E>(fiber: Fiber.Fiber<A, E>): unknown => {
  const exit = fiber.pollUnsafe()
  return exit === undefined ? "waiting" : told(exit)
}

export const told = <A, E>(exit: Exit.Exit<A, E>): unknown => {
  if (Exit.isSuccess(exit)) return exit.value
  const reason = exit.cause.reasons[0]
  if (reason?._tag !== "Fail") return reason?._tag
  return reason.error instanceof PoolError.PoolError ? reason.error.reason._tag : reason.error
}

export const counts = ({ pool: { admission } }: World) => ({
  idle: admission.idle,
  used: admission.used,
  creating: admission.creating,
  destroying: admission.destroying,
  pending: admission.pending
})

/** What must be true of a pool at rest, whatever happened to it. */
export const expectAtRest = (world: World, idle = 0): void => {
  const { admission, store } = world.pool
  expect(counts(world)).toEqual({ idle, used: 0, creating: 0, destroying: 0, pending: 0 })
  expect(store.all.size, "known instances").toBe(idle)
  expect(store.retiring, "ends that concern nobody").toBe(0)
  expect(admission.observer.released, "released leases").toBe(admission.observer.acquired)
  expect(world.gates.audit(idle)).toEqual([])
}

/** Every place of the pool can be taken, all together; the rest is refused. */
export const expectEveryPlaceWorks = Effect.fnUntraced(function* (world: World) {
  const { gates, pool } = world
  gates.allWell()
  const { max, min } = pool.admission
  const held = yield* Effect.forEach(Array.from({ length: max }), () => hold(world))
  yield* settle
  expect(held.filter(({ got }) => got.item !== undefined).length, "places that work").toBe(max)
  if (!pool.store.options.waits) expect(told(yield* Effect.exit(use(world)))).toBe("Exhausted")
  for (const { release } of held) yield* release
  yield* settle
  expectAtRest(world, min)
})

export const details = ({ pool }: World) => Effect.map(InstancePool.stats(pool), ({ details }) => details)
