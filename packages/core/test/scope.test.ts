import { Pool } from "@effect-pools/core"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { fork, open } from "./fake.ts"

/** How many finalizers a scope keeps. */
const kept = ({ state }: Scope.Scope): number => {
  if (state._tag !== "Open") return 0
  return (state.finalizer === undefined ? 0 : 1) + (state.finalizers?.size ?? 0)
}

/** A pool of one item, which is held until the returned effect is run. */
const busy = Effect.gen(function* () {
  const pool = yield* open({ max: 1, acquireTimeout: 1000 })
  const holder = yield* fork(Pool.use(pool, () => Effect.never))
  return { pool, holder, release: Fiber.interrupt(holder) }
})

/** A scope with as many finalizers in it, which note the order in which they run. */
const scopeWith = Effect.fnUntraced(function* (finalizers: number) {
  const scope = yield* Scope.make()
  const ran: Array<number> = []
  for (let n = 1; n <= finalizers; n++) {
    yield* Scope.addFinalizer(
      scope,
      Effect.sync(() => ran.push(n))
    )
  }
  return { scope, ran }
})

describe("a lease and its scope", () => {
  for (const others of [0, 1, 2]) {
    it.effect(`a get that times out leaves nothing in a scope with ${others} finalizers of others`, () =>
      Effect.gen(function* () {
        const { pool } = yield* busy
        const { ran, scope } = yield* scopeWith(others)
        const caller = yield* fork(Effect.exit(Scope.provide(Pool.get(pool), scope)))
        assert.strictEqual(kept(scope), others + 1)
        yield* TestClock.adjust(1000)
        assert.isTrue(Exit.isFailure(yield* Fiber.join(caller)))
        assert.strictEqual(kept(scope), others)
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(ran.length, others)
      })
    )

    it.effect(`so does one that is interrupted, with ${others}`, () =>
      Effect.gen(function* () {
        const { pool } = yield* busy
        const { scope } = yield* scopeWith(others)
        const caller = yield* fork(Scope.provide(Pool.get(pool), scope))
        yield* Fiber.interrupt(caller)
        assert.strictEqual(kept(scope), others)
        assert.strictEqual(pool.admission.pending, 0)
      })
    )

    it.effect(`one that has waited and was served stays with its scope, and ends with it, with ${others}`, () =>
      Effect.gen(function* () {
        const { pool, release } = yield* busy
        const { ran, scope } = yield* scopeWith(others)
        const caller = yield* fork(Scope.provide(Pool.get(pool), scope))
        yield* release
        assert.strictEqual(yield* Fiber.join(caller), "item 1")
        assert.strictEqual(pool.admission.used, 1)
        assert.strictEqual(kept(scope), others + 1)
        // What is added behind it runs before it, as ever.
        yield* Scope.addFinalizer(
          scope,
          Effect.sync(() => ran.push(pool.admission.used))
        )
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(ran[0], 1)
        assert.strictEqual(ran.length, others + 1)
        assert.strictEqual(pool.admission.used, 0)
      })
    )
  }

  it.effect("one of several leases in a scope fails without taking the others along", () =>
    Effect.gen(function* () {
      const pool = yield* open({ max: 2, acquireTimeout: 1000 })
      const scope = yield* Scope.make()
      const get = Scope.provide(Pool.get(pool), scope)
      yield* get
      yield* get
      const third = yield* fork(Effect.exit(get))
      yield* TestClock.adjust(1000)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(third)))
      assert.strictEqual(kept(scope), 2)
      assert.strictEqual(pool.admission.used, 2)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(pool.admission.used, 0)
    })
  )

  it.effect("a get whose scope is closed meanwhile by somebody else is interrupted, and takes no item later", () =>
    Effect.gen(function* () {
      const { pool, release } = yield* busy
      const scope = yield* Scope.make()
      const caller = yield* fork(Scope.provide(Pool.get(pool), scope))
      yield* Scope.close(scope, Exit.void)
      const exit = yield* Fiber.await(caller)
      assert.isTrue(Exit.hasInterrupts(exit))
      assert.strictEqual(pool.admission.pending, 0)
      yield* release
      assert.strictEqual(pool.admission.used, 0)
    })
  )

  it.effect("a pool that was drained leaves nothing in the scope it was opened in", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const pool = yield* Scope.provide(open(), scope)
      assert.strictEqual(kept(scope), 1)
      yield* Pool.drain(pool)
      assert.strictEqual(kept(scope), 0)
    })
  )

  it.effect("a get whose scope is closed before it has queued takes nothing", () =>
    Effect.gen(function* () {
      const pool = yield* open({ max: 1 })
      const scope = yield* Scope.make()
      const { store } = pool
      const take = store.take.bind(store)
      // Nothing is there when the lease asks, and there is when it is about to queue.
      store.take = () => {
        store.take = take
        Effect.runFork(Scope.close(scope, Exit.void))
        return undefined
      }
      assert.isTrue(Exit.hasInterrupts(yield* Effect.exit(Scope.provide(Pool.get(pool), scope))))
      assert.strictEqual(pool.admission.used, 0)
    })
  )

  it.effect("a get that is interrupted in the step that serves it gives back, and leaves nothing in its scope", () =>
    Effect.gen(function* () {
      const { holder, pool } = yield* busy
      const { scope } = yield* scopeWith(1)
      const caller = yield* fork(Scope.provide(Pool.get(pool), scope))
      holder.interruptUnsafe()
      assert.deepInclude(pool.admission, { used: 1, pending: 0 })
      caller.interruptUnsafe()
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(caller)))
      assert.strictEqual(pool.admission.used, 0)
      assert.strictEqual(kept(scope), 1)
    })
  )

  it.effect("a get whose scope is closed in the step that serves it is interrupted, not given the item", () =>
    Effect.gen(function* () {
      const { holder, pool } = yield* busy
      const scope = yield* Scope.make()
      const caller = yield* fork(Scope.provide(Pool.get(pool), scope))
      holder.interruptUnsafe()
      Effect.runFork(Scope.close(scope, Exit.void))
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(caller)))
      assert.strictEqual(pool.admission.used, 0)
    })
  )

  it.effect("a fiber whose get has ended hears no more of its scope", () =>
    Effect.gen(function* () {
      /** Steps that are taken by hand, and a yield right before what the next wake-up brings. */
      const tasks: Array<() => void> = []
      let yields = 0
      const scheduler: Scheduler.Scheduler = {
        executionMode: "async",
        shouldYield: () => yields-- > 0,
        makeDispatcher: () => ({ scheduleTask: (task) => void tasks.push(task), flush: () => {} })
      }
      const { pool } = yield* busy
      const { store } = pool
      store.mayOffer = () => true
      const scope = yield* Scope.make()
      const isOpen = Deferred.makeUnsafe<number>()
      const getThenWait = Effect.andThen(
        Scope.provide(Pool.getIfAvailable(pool), scope),
        Effect.uninterruptible(Deferred.await(isOpen))
      )
      const fiber = Effect.runFork(getThenWait, { scheduler })
      yields = 1
      store.mayOffer = () => false
      pool.admission.serve()
      yield* Effect.promise(() => Promise.resolve())
      // It is about to go on without an item. In one turn its scope closes, and it does.
      Effect.runFork(Scope.close(scope, Exit.void))
      tasks.shift()!()
      yield* Effect.promise(() => Promise.resolve())
      assert.isUndefined(fiber.pollUnsafe())
      yield* Deferred.succeed(isOpen, 1)
      assert.strictEqual(yield* Fiber.join(fiber), 1)
    })
  )

  it.effect("an optional get takes an idle item for its scope", () =>
    Effect.gen(function* () {
      const pool = yield* open({ max: 1 })
      assert.deepStrictEqual(yield* Effect.scoped(Pool.getIfAvailable(pool)), Option.some("item 1"))
    })
  )

  it.effect("a get in a scope that is closed already gives back at once what it takes", () =>
    Effect.gen(function* () {
      const pool = yield* open({ max: 1 })
      const scope = yield* Scope.make()
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* Scope.provide(Pool.get(pool), scope), "item 1")
      assert.strictEqual(pool.admission.used, 0)
      const { acquired, released } = Pool.statsUnsafe(pool)
      assert.deepStrictEqual({ acquired, released }, { acquired: 1, released: 1 })
    })
  )

  for (const strategy of ["sequential", "parallel"] as const) {
    it.effect(`a lease ends with its scope whatever came before and after it (${strategy})`, () =>
      Effect.gen(function* () {
        for (const [before, leases, after] of [
          [0, 1, 0],
          [0, 2, 0],
          [0, 1, 1],
          [1, 1, 0],
          [1, 2, 1]
        ] as const) {
          const pool = yield* open({ max: 2 })
          const scope = yield* Scope.make(strategy)
          let others = 0
          const other = Scope.addFinalizer(
            scope,
            Effect.sync(() => others++)
          )
          yield* Effect.replicateEffect(other, before)
          yield* Effect.replicateEffect(Scope.provide(Pool.get(pool), scope), leases)
          yield* Effect.replicateEffect(other, after)
          assert.strictEqual(pool.admission.used, leases)
          yield* Scope.close(scope, Exit.void)
          assert.strictEqual(pool.admission.used, 0)
          assert.strictEqual(others, before + after)
        }
      })
    )
  }

  it.effect("a scope that had nothing but a lease can be closed in every way", () =>
    Effect.gen(function* () {
      const pool = yield* open({ max: 1 })
      const get = Pool.get(pool)
      assert.strictEqual(yield* Effect.scoped(get), "item 1")
      assert.strictEqual(yield* Effect.scopedWith((scope) => Scope.provide(get, scope)), "item 1")
      const parent = yield* Scope.make()
      const child = yield* Scope.fork(parent)
      yield* Scope.provide(get, child)
      yield* Scope.close(parent, Exit.void)
      const scope = Scope.makeUnsafe()
      yield* Scope.use(get, scope)
      const unsafe = Scope.makeUnsafe()
      yield* Scope.provide(get, unsafe)
      // Nothing is left to be run.
      assert.isUndefined(Scope.closeUnsafe(unsafe, Exit.void))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(Effect.scoped(Effect.andThen(get, Effect.fail("no"))))))
      assert.deepInclude(pool.admission, { used: 0, idle: 1 })
    })
  )
})
