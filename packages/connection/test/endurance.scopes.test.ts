import { ConnectionPool } from "@effect-pools/connection"
import { Gates, Sandbox } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"

/** How many finalizers a scope has. */
const finalizers = ({ state }: Scope.Scope): number => (state._tag === "Open" ? (state.finalizers?.size ?? 1) : 0)

const setUp = Effect.gen(function* () {
  const gates = Gates.make()
  const { pool, scope } = yield* Sandbox.open(
    ConnectionPool.make({ acquire: gates.make, max: 1, acquireTimeout: "1 second", closeGrace: 0 })
  )
  const longLived = yield* Scope.make()
  const inScope = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) =>
    Effect.provideService(effect, Scope.Scope, longLived)
  return { gates, inScope, longLived, pool, poolScope: scope }
})

describe("a scope that lives long", () => {
  it.effect("has nothing left of a pool that was drained", () =>
    Effect.gen(function* () {
      const { pool, poolScope } = yield* setUp
      yield* ConnectionPool.use(pool, () => Effect.void)
      assert.strictEqual(finalizers(poolScope), 1)
      yield* ConnectionPool.drain(pool)
      assert.strictEqual(finalizers(poolScope), 0)
    })
  )

  it.effect("has nothing left of a pool whose drain was not waited for", () =>
    Effect.gen(function* () {
      const { pool, poolScope } = yield* setUp
      const holder = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.sleep("1 minute")))
      yield* Sandbox.settle
      const drain = yield* Effect.forkChild(ConnectionPool.drain(pool))
      yield* Sandbox.settle
      yield* Fiber.interrupt(drain)
      assert.strictEqual(finalizers(poolScope), 1)
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(holder)
      yield* Sandbox.settle
      assert.strictEqual(finalizers(poolScope), 0)
    })
  )

  it.effect("has nothing left of waits that end without a lease, whatever ends them", () =>
    Effect.gen(function* () {
      const { inScope, longLived, pool, poolScope } = yield* setUp
      yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.never))
      yield* Sandbox.settle
      const wait = Effect.forkChild(Effect.exit(inScope(ConnectionPool.get(pool))), { startImmediately: true })

      yield* wait
      assert.strictEqual(finalizers(longLived), 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(finalizers(longLived), 0)

      yield* Fiber.interrupt(yield* wait)
      assert.strictEqual(finalizers(longLived), 0)

      yield* Effect.exit(inScope(ConnectionPool.get(pool, { acquireTimeout: 0 })))
      yield* inScope(ConnectionPool.getIfAvailable(pool))
      assert.strictEqual(finalizers(longLived), 0)

      const waiting = yield* wait
      yield* Scope.close(poolScope, Exit.void)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(waiting)))
      assert.strictEqual(finalizers(longLived), 0)
    })
  )

  it.effect("keeps a lease until it closes, also when the pool has gone first", () =>
    Effect.gen(function* () {
      const { gates, inScope, longLived, pool, poolScope } = yield* setUp
      yield* inScope(ConnectionPool.get(pool))
      yield* Scope.close(poolScope, Exit.void)
      assert.strictEqual(gates.open, 0)
      assert.strictEqual(finalizers(longLived), 1)
      yield* Scope.close(longLived, Exit.void)
      assert.strictEqual(pool.admission.observer.released, 1)
      assert.deepStrictEqual(gates.audit(0), [])
    })
  )

  it.effect("keeps nothing of leases in scopes within it that have closed", () =>
    Effect.gen(function* () {
      const { longLived, pool } = yield* setUp
      for (let n = 0; n < 100; n++) {
        const child = yield* Scope.fork(longLived)
        yield* Effect.provideService(ConnectionPool.get(pool), Scope.Scope, child)
        yield* Scope.close(child, Exit.void)
      }
      assert.strictEqual(finalizers(longLived), 0)
      assert.strictEqual(pool.admission.observer.released, 100)
    })
  )
})
