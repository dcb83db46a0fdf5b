/** Ends that set off other ends. */
import { Budget, PoolRegistry } from "@effect-pools/core"
import { InstancePool } from "@effect-pools/instance"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { fork, settle, told } from "./support.ts"

interface Numbered {
  readonly pool: InstancePool.InstancePool<number>
  readonly ended: ReadonlyArray<number>
  readonly isRegistered: () => boolean
}

/** A pool in a scope of its own, whose instances are numbered, and do something when they are built. */
const numbered = Effect.fnUntraced(function* (
  onBuilt: (id: number, pool: () => InstancePool.InstancePool<number>) => Effect.Effect<void, never, Scope.Scope>,
  options?: Partial<InstancePool.Options<number, never, never>>
) {
  const registry = PoolRegistry.makeUnsafe()
  const scope = yield* Scope.make()
  const ended: Array<number> = []
  let built = 0
  let opened: InstancePool.InstancePool<number> | undefined
  const create = Effect.gen(function* () {
    const id = ++built
    yield* Effect.addFinalizer(() => Effect.sync(() => ended.push(id)))
    yield* onBuilt(id, () => opened!)
    return id
  })
  const pool = (opened = yield* InstancePool.make({ create, closeGrace: 0, ...options }).pipe(
    Scope.provide(scope),
    Effect.provideService(PoolRegistry.PoolRegistry, registry)
  ))
  const world: Numbered = { pool, ended, isRegistered: () => registry.list().length > 0 }
  return { ...world, close: Scope.close(scope, Exit.void) }
})

/** Every instance was ended once, and nothing is left of the pool. */
const expectGone = ({ ended, isRegistered, pool }: Numbered, ...ids: ReadonlyArray<number>) => {
  expect(new Set(ended)).toEqual(new Set(ids))
  expect(ended).toHaveLength(ids.length)
  const { hasEnded, live } = pool.admission
  expect({ hasEnded, live, isRegistered: isRegistered() }).toEqual({ hasEnded: true, live: 0, isRegistered: false })
}

/** The first instance works with another of the same pool for as long as it lives. */
const withCompanion = (id: number, pool: () => InstancePool.InstancePool<number>) =>
  id === 1
    ? Effect.asVoid(
        Effect.forkScoped(Effect.suspend(() => InstancePool.use(pool(), () => Effect.never)).pipe(Effect.ignore))
      )
    : Effect.void

const pairOut = Effect.gen(function* () {
  const world = yield* numbered(withCompanion)
  const holder = yield* Scope.make()
  for (let n = 0; n < 2; n++) {
    yield* Scope.provide(InstancePool.get(world.pool), holder)
    yield* settle
  }
  expect(world.pool.admission.used).toBe(3)
  return world
})

describe("an instance whose end is that of another", () => {
  it.effect("does not keep the pool from closing", () =>
    Effect.gen(function* () {
      const world = yield* pairOut
      yield* world.close
      expectGone(world, 1, 2, 3)
    })
  )

  it.effect("does not keep the pool from being drained", () =>
    Effect.gen(function* () {
      const world = yield* pairOut
      const drained = yield* fork(InstancePool.drain(world.pool, 100))
      yield* TestClock.adjust(100)
      yield* Fiber.join(drained)
      expectGone(world, 1, 2, 3)
    })
  )

  it.effect("does not disturb the others when both are prepared", () =>
    Effect.gen(function* () {
      const world = yield* numbered(
        (id, pool) =>
          Effect.addFinalizer(() =>
            Effect.forEach(
              [1, 2, 3].filter((other) => other !== id),
              (other) => InstancePool.invalidate(pool(), other),
              {
                discard: true
              }
            )
          ),
        { prepare: 3 }
      )
      yield* settle
      expect(world.pool.admission.idle).toBe(3)
      yield* world.close
      expect(world.ended).toHaveLength(3)
      expect(new Set(world.ended)).toEqual(new Set([1, 2, 3]))
      expect(world.pool.admission).toMatchObject({ hasEnded: true, live: 0 })
    })
  )
})

describe("a pool that closes", () => {
  it.effect("before a caller went on with what it was given does not let it use that", () =>
    Effect.gen(function* () {
      for (const lease of ["use", "get"] as const) {
        const world = yield* numbered(() => Effect.void, { max: 1, onExhausted: "wait" })
        let used = 0
        const holder = yield* Scope.make()
        yield* Scope.provide(InstancePool.get(world.pool), holder)
        const body = () => Effect.sync(() => used++)
        const caller = yield* fork(
          lease === "use"
            ? InstancePool.use(world.pool, body)
            : Effect.scoped(Effect.flatMap(InstancePool.get(world.pool), body))
        )
        // It is the caller's turn, which it hears of only after this step.
        yield* Scope.close(holder, Exit.void)
        expect(world.pool.admission).toMatchObject({ used: 1, pending: 0 })
        yield* world.close
        expect(told(yield* Fiber.await(caller))).toBe("Closed")
        expect(used).toBe(0)
        expectGone(world, 1, 2)
        expect(world.pool.admission.observer).toMatchObject({ acquired: 2, released: 2 })
      }
    })
  )
})

describe("under a budget", () => {
  it.effect("the end of an instance is told before the one that has its permit", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ max: 1 })
      const { pool } = yield* numbered(() => Effect.void, { max: 2, onExhausted: "wait", budget })
      const told: Array<string> = []
      pool.admission.observer.listen(({ _tag }) => _tag.startsWith("Item") && told.push(_tag))
      yield* fork(InstancePool.use(pool, () => Effect.sleep(10)))
      yield* fork(InstancePool.use(pool, () => Effect.void))
      yield* TestClock.adjust(10)
      yield* settle
      expect(told).toEqual([
        "ItemCreating",
        "ItemCreated",
        "ItemDestroyed",
        "ItemCreating",
        "ItemCreated",
        "ItemDestroyed"
      ])
    })
  )
})
