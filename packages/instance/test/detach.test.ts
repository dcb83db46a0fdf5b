/** Instances that are handed over to a scope of the caller's. */
import { InstancePool } from "@effect-pools/instance"
import { describe, expect, it } from "@effect/vitest"
import { Gates } from "@effect-pools/testing"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import {
  counts,
  details,
  expectAtRest,
  expectEveryPlaceWorks,
  fork,
  hold,
  open,
  outcome,
  settle,
  told,
  use,
  type World
} from "./support.ts"

/** Takes an instance, detaches it for a scope and ends the lease. */
const detached = (world: World, scope: Scope.Scope) =>
  InstancePool.use(world.pool, (instance) => Scope.provide(InstancePool.detach(world.pool, instance), scope))

const closed = (scope: Scope.Closeable) => Scope.close(scope, Exit.void)

const notInUse = (world: World) => new InstancePool.NotInUse({ pool: world.pool.name })

describe("detach", () => {
  it.effect("keeps the instance beyond its lease, until the scope closes, and its place with it", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 2 })
      const scope = yield* Scope.make()
      const instance = yield* detached(world, scope)
      expect(instance.destroying).toBe(0)
      expect(counts(world)).toMatchObject({ used: 1, destroying: 0 })
      expect(world.pool.admission.observer).toMatchObject({ acquired: 1, released: 1 })
      // The cap holds: one other, and no more.
      const other = yield* hold(world)
      expect(told(yield* Effect.exit(use(world)))).toBe("Exhausted")
      expect(yield* details(world)).toMatchObject({ live: 2, exhausted: 1 })
      yield* other.release
      yield* closed(scope)
      expect(instance.destroyed).toBe(1)
      yield* expectEveryPlaceWorks(world)
    })
  )

  it.effect("keeps the calling fiber's own, of several instances of one value", () =>
    Effect.gen(function* () {
      const ended: Array<number> = []
      let built = 0
      const create = Effect.suspend(() => {
        const id = ++built
        return Effect.as(
          Effect.addFinalizer(() => Effect.sync(() => ended.push(id))),
          "always the same"
        )
      })
      const pool = yield* InstancePool.make({ create })
      const outer = yield* Scope.make()
      const first = yield* fork(InstancePool.use(pool, () => Effect.never))
      yield* InstancePool.use(pool, (instance) => Scope.provide(InstancePool.detach(pool, instance), outer))
      expect(ended).toEqual([])
      yield* Fiber.interrupt(first)
      expect(ended).toEqual([1])
      yield* closed(outer)
      expect(ended).toEqual([1, 2])
    })
  )

  it.effect("for a scope that closes before the lease ends changes nothing", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      yield* InstancePool.use(world.pool, (instance) =>
        Effect.gen(function* () {
          yield* Effect.scoped(InstancePool.detach(world.pool, instance))
          expect(instance.destroying).toBe(0)
          expect(counts(world).used).toBe(1)
        })
      )
      yield* expectEveryPlaceWorks(world)
    })
  )

  it.effect("for a scope that has closed already changes nothing", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const scope = yield* Scope.make()
      yield* closed(scope)
      const instance = yield* detached(world, scope)
      expect(instance.destroyed).toBe(1)
      yield* expectEveryPlaceWorks(world)
    })
  )

  it.effect("twice lasts until the last of both scopes closes", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const [first, second] = [yield* Scope.make(), yield* Scope.make()]
      const instance = yield* InstancePool.use(world.pool, (instance) =>
        Effect.andThen(
          Scope.provide(InstancePool.detach(world.pool, instance), first),
          Scope.provide(InstancePool.detach(world.pool, instance), second)
        )
      )
      yield* closed(first)
      expect(instance.destroying).toBe(0)
      // One that is detached can be detached further.
      const third = yield* Scope.make()
      yield* Scope.provide(InstancePool.detach(world.pool, instance), third)
      yield* closed(second)
      expect(instance.destroying).toBe(0)
      yield* closed(third)
      expect(instance.destroyed).toBe(1)
      yield* expectEveryPlaceWorks(world)
    })
  )

  it.effect("twice in one scope is destroyed once", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const scope = yield* Scope.make()
      yield* InstancePool.use(world.pool, (instance) =>
        Effect.andThen(
          Scope.provide(InstancePool.detach(world.pool, instance), scope),
          Scope.provide(InstancePool.detach(world.pool, instance), scope)
        )
      )
      yield* closed(scope)
      yield* closed(scope)
      expect(world.gates.items.map(({ destroying }) => destroying)).toEqual([1])
      yield* expectEveryPlaceWorks(world)
    })
  )

  it.effect("of the scope that holds the lease ends with it, in any order", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      yield* Effect.scoped(
        Effect.flatMap(InstancePool.get(world.pool), (instance) => InstancePool.detach(world.pool, instance))
      )
      yield* expectEveryPlaceWorks(world)
    })
  )

  it.effect("refuses what is not in use: unknown, prepared, ended, of another pool", () =>
    Effect.gen(function* () {
      const world = yield* open({ name: "plugins", max: 2, prepare: 1 })
      const other = yield* open({ name: "others" })
      yield* settle
      const refused = (instance: Gates.Item) => Effect.flip(Effect.scoped(InstancePool.detach(world.pool, instance)))
      expect(yield* refused(new Gates.Item(1))).toEqual(notInUse(world))
      expect(yield* refused(world.gates.items[0]!)).toEqual(notInUse(world))
      const ended = yield* InstancePool.use(world.pool, Effect.succeed)
      expect(yield* refused(ended)).toEqual(notInUse(world))
      const foreign = yield* Effect.scoped(Effect.tap(InstancePool.get(other.pool), refused))
      expect(yield* refused(foreign)).toMatchObject({ _tag: "NotInUse", pool: "plugins" })
      expect(notInUse(world).message).toContain('Pool "plugins"')
      yield* settle
      expectAtRest(world, 1)
      expectAtRest(other)
    })
  )

  it.effect("in a pool whose callers wait, has them wait until its scope closes", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, onExhausted: "wait" })
      const scope = yield* Scope.make()
      yield* detached(world, scope)
      const next = yield* fork(use(world))
      yield* settle
      expect(outcome(next)).toBe("waiting")
      yield* closed(scope)
      expect(yield* Fiber.join(next)).toBe(2)
    })
  )

  it.effect("is destroyed in the end though its holder was interrupted, before or after", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      for (const after of [false, true]) {
        const scope = yield* Scope.make()
        const fiber = yield* fork(
          InstancePool.use(world.pool, (instance) =>
            Effect.andThen(
              Effect.andThen(
                after ? Effect.void : Effect.never,
                Scope.provide(InstancePool.detach(world.pool, instance), scope)
              ),
              Effect.never
            )
          )
        )
        yield* settle
        yield* Fiber.interrupt(fiber)
        expect(counts(world).used).toBe(after ? 1 : 0)
        yield* closed(scope)
        yield* expectEveryPlaceWorks(world)
      }
    })
  )

  it.effect("that is invalidated ends with its scope, and the reason is told", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1 })
      const scope = yield* Scope.make()
      const instance = yield* detached(world, scope)
      yield* InstancePool.invalidate(world.pool, instance)
      expect(instance.destroying).toBe(0)
      yield* closed(scope)
      expect(world.pool.admission.observer.destroyed).toMatchObject({ invalidated: 1, released: 0 })
      expectAtRest(world)
    })
  )

  it.effect("holds up a drain, which goes on as soon as its scope closes", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 3, prepare: 1 })
      yield* settle
      const scope = yield* Scope.make()
      const instance = yield* detached(world, scope)
      const draining = yield* fork(InstancePool.drain(world.pool))
      yield* TestClock.adjust("1 hour")
      expect(world.pool.admission.lifecycle).toBe("draining")
      // It can be handed on, even now.
      const next = yield* Scope.make()
      yield* Scope.provide(InstancePool.detach(world.pool, instance), next)
      yield* closed(scope)
      expect(counts(world).used).toBe(1)
      world.gates.destroy = 100
      yield* closed(next)
      yield* settle
      expect(counts(world)).toMatchObject({ idle: 0, used: 0 })
      yield* TestClock.adjust(100)
      yield* Fiber.join(draining)
      expectAtRest(world)
    })
  )

  it.effect("is waited for by a close, within its grace; after that it is destroyed under its holder, once", () =>
    Effect.gen(function* () {
      for (const isInTime of [true, false]) {
        const world = yield* open({ max: 1, closeGrace: 1000 })
        const scope = yield* Scope.make()
        const instance = yield* detached(world, scope)
        const closing = yield* fork(world.close)
        yield* TestClock.adjust(999)
        expect(instance.destroying).toBe(0)
        if (isInTime) yield* closed(scope)
        yield* TestClock.adjust(1)
        yield* Fiber.join(closing)
        expect(instance.destroyed).toBe(1)
        expect(yield* Effect.flip(Effect.scoped(InstancePool.detach(world.pool, instance)))).toEqual(notInUse(world))
        yield* closed(scope)
        expectAtRest(world)
        expect(world.left).toEqual({ sleeps: 0, fibers: 0 })
      }
    })
  )

  it.effect("whose finalizer does not end gives its place back like any other", () =>
    Effect.gen(function* () {
      const world = yield* open({ max: 1, destroyTimeout: 100 })
      const scope = yield* Scope.make()
      yield* detached(world, scope)
      world.gates.destroy = "hang"
      // Whoever closes the scope is not held up by it.
      yield* closed(scope)
      expect(counts(world).destroying).toBe(1)
      yield* TestClock.adjust(100)
      yield* expectEveryPlaceWorks(world)
    })
  )
})
