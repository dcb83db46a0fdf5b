/** Leases that are ended by the pool, not by their holders. */
import { Pool } from "@effect-pools/core"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { fork, open } from "./fake.ts"

describe("a lease that is revoked", () => {
  it.effect("is given back there, and not again by its holder", () =>
    Effect.gen(function* () {
      const pool = yield* open({ max: 1 })
      const { admission } = pool
      const scope = yield* Scope.make()
      yield* Scope.provide(Pool.get(pool), scope)
      const [lease] = admission.store.leases()
      lease!.revoke()
      expect(admission).toMatchObject({ idle: 1, used: 0 })
      expect(yield* Pool.use(pool, Effect.succeed)).toBe("item 1")
      yield* Scope.close(scope, Exit.void)
      expect(admission.observer).toMatchObject({ acquired: 2, released: 2 })
    })
  )

  for (const way of ["use", "get"] as const) {
    const ask = (pool: Pool.Pool<string, never>) =>
      way === "use" ? Pool.use(pool, Effect.succeed) : Effect.scoped(Pool.get(pool))

    /** A caller has been given the item, after 60 ms, and it is taken away in the same step. */
    const revoked = Effect.fnUntraced(function* (before: (pool: Pool.Pool<string, never>) => void) {
      const pool = yield* open({ max: 1, acquireTimeout: 100 })
      const scope = yield* Scope.make()
      yield* Scope.provide(Pool.get(pool), scope)
      const fiber = yield* fork(ask(pool))
      yield* TestClock.adjust(60)
      yield* Effect.andThen(
        Scope.close(scope, Exit.void),
        Effect.sync(() => {
          const [lease] = pool.admission.store.leases()
          expect(lease!.state).toBe("held")
          before(pool)
          lease!.revoke()
        })
      )
      expect(fiber.pollUnsafe()).toBeUndefined()
      return { pool, fiber }
    })

    it.effect(`before its holder has gone on with it asks again: ${way}`, () =>
      Effect.gen(function* () {
        const { fiber, pool } = yield* revoked(() => {})
        expect(yield* Fiber.join(fiber)).toBe("item 1")
        expect(pool.admission).toMatchObject({ idle: 1, used: 0, observer: { acquired: 3, released: 3 } })
      })
    )

    it.effect(`before its holder has gone on with it waits no longer than it would have: ${way}`, () =>
      Effect.gen(function* () {
        const { fiber, pool } = yield* revoked(({ admission }) => admission.suspend())
        yield* TestClock.adjust(39)
        expect(fiber.pollUnsafe()).toBeUndefined()
        yield* TestClock.adjust(1)
        expect(yield* Effect.flip(Fiber.join(fiber))).toMatchObject({ reason: { _tag: "AcquireTimeout" } })
        expect(pool.admission).toMatchObject({ idle: 1, used: 0, pending: 0 })
      })
    )

    it.effect(`before its holder has gone on with it ends with its fiber: ${way}`, () =>
      Effect.gen(function* () {
        const { fiber, pool } = yield* revoked(({ admission }) => admission.suspend())
        yield* Fiber.interrupt(fiber)
        expect(pool.admission).toMatchObject({ idle: 1, used: 0, pending: 0 })
      })
    )
  }
})
