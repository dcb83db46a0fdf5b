import { type Admission, Pool, type PoolError, SynchronousStore } from "@effect-pools/core"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { fork } from "./fake.ts"

type Steps = Partial<SynchronousStore.Steps<object, Error>>

/** A pool of objects, with steps that the test gives, and what was destroyed. */
const open = Effect.fnUntraced(function* (steps: Steps = {}, max = 4) {
  const destroyed: Array<object> = []
  const pool = yield* Pool.open({
    kind: "objects",
    settings: { name: "objects", min: 0, max, acquireTimeout: 1000, maxWaiters: Infinity },
    closeGrace: 0,
    store: (admission: Admission.Admission<object, Error>) =>
      new SynchronousStore.SynchronousStore<object, Error>(admission, {
        make: () => ({}),
        failure: (thrown) => Cause.fail(thrown as Error),
        destroy: (item) => void destroyed.push(item),
        ...steps
      })
  })
  const events: Array<string> = []
  pool.admission.observer.listen((event) =>
    events.push(event._tag === "ItemDestroyed" ? `destroyed: ${event.reason}` : event._tag)
  )
  return { pool, store: pool.store, destroyed, events }
})

const hold = Effect.fnUntraced(function* (pool: Pool.Pool<object, Error>) {
  const scope = yield* Scope.make()
  const item = yield* Scope.provide(Pool.get(pool), scope)
  return { item, release: Scope.close(scope, Exit.void) }
})

describe("a store in plain code", () => {
  it.effect("hands out what came back last, and counts how often", () =>
    Effect.gen(function* () {
      const { pool } = yield* open()
      const [first, second] = [yield* hold(pool), yield* hold(pool)]
      yield* first.release
      yield* second.release
      assert.strictEqual((yield* hold(pool)).item, second.item)
      assert.strictEqual((yield* hold(pool)).item, first.item)
      assert.deepStrictEqual((yield* Pool.stats(pool)).details, { recycled: 2, made: 2 })
    })
  )

  it.effect("keeps no more idle than it is told to", () =>
    Effect.gen(function* () {
      const { destroyed, pool, store } = yield* open()
      store.keep = 1
      const held = [yield* hold(pool), yield* hold(pool)]
      for (const { release } of held) yield* release
      assert.deepStrictEqual(destroyed, [held[1]!.item])
      assert.deepInclude(yield* Pool.stats(pool), { idle: 1, used: 0, size: 1 })
    })
  )

  it.effect("keeps the item whose making has closed the scope that it was for", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { pool } = yield* open({
        make: () => {
          Effect.runFork(Scope.close(scope, Exit.void))
          return {}
        }
      })
      assert.isTrue(Exit.hasInterrupts(yield* Effect.exit(Scope.provide(Pool.get(pool), scope))))
      assert.deepInclude(pool.admission, { idle: 1, used: 0 })
      assert.deepInclude(pool.admission.observer, { acquired: 1, released: 1 })
    })
  )

  for (const others of [0, 1]) {
    it.effect(`keeps the item that is ready for a waiter who has left meanwhile, with ${others} behind`, () =>
      Effect.gen(function* () {
        let leaves: Fiber.Fiber<unknown, unknown> | undefined
        const { pool } = yield* open({ ready: () => leaves?.interruptUnsafe() }, 1)
        yield* Pool.use(pool, () => Effect.void)
        yield* Pool.suspend(pool)
        leaves = yield* fork(Pool.use(pool, () => Effect.void))
        const behind = yield* Effect.replicateEffect(fork(Pool.use(pool, () => Effect.void)), others)
        yield* Pool.resume(pool)
        for (const fiber of behind) yield* Fiber.join(fiber)
        assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(leaves)))
        assert.deepInclude(pool.admission, { idle: 1, used: 0, pending: 0 })
      })
    )
  }

  it.effect("hands out nothing, and makes nothing, where getting an item ready has closed the pool", () =>
    Effect.gen(function* () {
      const made: Array<object> = []
      const { destroyed, pool, store } = yield* open({
        make: () => {
          made.push({})
          return made.at(-1)!
        },
        ready: (item) => {
          Effect.runFork(Pool.drain(pool, 0))
          assert.deepStrictEqual(destroyed, [item])
          throw new Error("it is gone")
        }
      })
      yield* (yield* hold(pool)).release
      const error = yield* Effect.flip(Effect.scoped(Pool.get(pool)))
      assert.deepInclude(error, { _tag: "PoolError" })
      assert.strictEqual((error as PoolError.PoolError).reason._tag, "Closed")
      assert.deepStrictEqual(destroyed, made)
      assert.strictEqual(store.all.size, 0)
      assert.deepInclude(yield* Pool.stats(pool), { state: "closed", size: 0, created: 1, acquired: 1, released: 1 })
    })
  )

  it.effect("hands on to who waits what may not lie idle", () =>
    Effect.gen(function* () {
      const { destroyed, pool, store } = yield* open({}, 1)
      store.keep = 0
      const held = yield* hold(pool)
      const waiting = yield* fork(hold(pool))
      yield* held.release
      const next = yield* Fiber.join(waiting)
      assert.strictEqual(next.item, held.item)
      assert.deepStrictEqual(destroyed, [])
      yield* next.release
      assert.deepStrictEqual(destroyed, [held.item])
    })
  )

  it.effect("counts what comes back while the pool is suspended when it is handed out", () =>
    Effect.gen(function* () {
      const { pool, store } = yield* open({}, 1)
      const held = yield* hold(pool)
      const waiting = yield* fork(hold(pool))
      yield* Pool.suspend(pool)
      yield* held.release
      assert.strictEqual(store.recycled, 0)
      yield* Pool.resume(pool)
      yield* Fiber.join(waiting)
      assert.strictEqual(store.recycled, 1)
    })
  )

  it.effect("counts what is being made when it shrinks", () =>
    Effect.gen(function* () {
      let isShrinking = false
      const { pool, store } = yield* open({
        make: () => {
          if (isShrinking) pool.admission.resize(0, 2)
          return {}
        }
      })
      const held = [yield* hold(pool), yield* hold(pool)]
      for (const { release } of held) yield* release
      isShrinking = true
      store.make()
      assert.deepInclude(yield* Pool.stats(pool), { idle: 1, used: 1, max: 2 })
    })
  )

  it.effect("destroys what cannot be got ready, and hands out the next", () =>
    Effect.gen(function* () {
      let bad: object | undefined
      const { destroyed, events, pool } = yield* open({
        ready: (item) => {
          if (item === bad) throw new Error("no memory")
        }
      })
      const [first, second] = [yield* hold(pool), yield* hold(pool)]
      yield* first.release
      yield* second.release
      bad = second.item
      assert.strictEqual((yield* hold(pool)).item, first.item)
      assert.deepStrictEqual(destroyed, [second.item])
      assert.deepStrictEqual((yield* Pool.stats(pool)).details, { recycled: 1, made: 2 })
      assert.includeMembers(events, ["BackgroundFailure", "destroyed: validationFailed"])
    })
  )

  it.effect("destroys what cannot be got ready for the first who waits, and makes another", () =>
    Effect.gen(function* () {
      let isBad = false
      const { destroyed, pool } = yield* open(
        {
          ready: () => {
            if (isBad) throw new Error("no memory")
          }
        },
        1
      )
      const held = yield* hold(pool)
      const waiting = yield* fork(hold(pool))
      isBad = true
      yield* held.release
      assert.notStrictEqual((yield* Fiber.join(waiting)).item, held.item)
      assert.deepStrictEqual(destroyed, [held.item])
    })
  )

  it.effect("tells each who waits of a failure of its own, and strands nobody", () =>
    Effect.gen(function* () {
      let attempts = 0
      const { pool } = yield* open({
        make: () => {
          throw new Error(`no memory ${++attempts}`)
        }
      })
      yield* Pool.suspend(pool)
      const callers = yield* Effect.forEach([1, 2, 3], () => fork(Effect.flip(Pool.use(pool, () => Effect.void))))
      yield* Pool.resume(pool)
      const failures = yield* Effect.forEach(callers, (caller) => Fiber.join(caller))
      assert.deepStrictEqual(
        failures.map(({ message }) => message),
        ["no memory 1", "no memory 2", "no memory 3"]
      )
      assert.deepInclude(yield* Pool.stats(pool), { size: 0, pending: 0, createFailed: 3 })
    })
  )

  it.effect("says why it has nothing also to those who do not wait", () =>
    Effect.gen(function* () {
      const failure = new Error("no memory")
      let isBad = true
      const { pool, store } = yield* open(
        {
          make: () => {
            if (isBad) throw failure
            return {}
          }
        },
        1
      )
      const impatient = Pool.use(pool, () => Effect.void, { acquireTimeout: 0 })
      assert.strictEqual(yield* Effect.flip(impatient), failure)
      assert.include(store.lastCreateFailure(), "no memory")
      isBad = false
      yield* hold(pool)
      assert.isUndefined(store.lastCreateFailure())
      const exhausted = (yield* Effect.flip(impatient)) as PoolError.PoolError
      assert.strictEqual(exhausted.reason._tag, "Exhausted")
    })
  )

  it.effect("does not tell a caller of a failure that was another's", () =>
    Effect.gen(function* () {
      let isBad = true
      const { pool } = yield* open({
        make: () => {
          if (isBad) throw new Error("no memory")
          return {}
        }
      })
      assert.isTrue(Option.isNone(yield* Pool.useIfAvailable(pool, () => Effect.void)))
      isBad = false
      yield* Pool.suspend(pool)
      const waiting = yield* fork(Pool.use(pool, () => Effect.succeed("served")))
      yield* Pool.resume(pool)
      assert.strictEqual(yield* Fiber.join(waiting), "served")
    })
  )

  it.effect("does not tell a caller of a failure that was nobody's, while others wait", () =>
    Effect.gen(function* () {
      let isBad = false
      const took: Array<number> = []
      const { pool, store } = yield* open(
        {
          make: () => {
            if (isBad) throw new Error("no memory")
            return {}
          }
        },
        1
      )
      pool.admission.observer.listen((event) => {
        if (event._tag === "ItemCreateFailed") took.push(event.took)
      })
      yield* TestClock.adjust(100)
      const held = yield* hold(pool)
      const waiting = yield* fork(hold(pool))
      isBad = true
      assert.isUndefined(store.make())
      assert.deepStrictEqual(took, [0])
      const refused = (yield* Effect.flip(
        Pool.use(pool, () => Effect.void, { acquireTimeout: 0 })
      )) as PoolError.PoolError
      assert.strictEqual(refused.reason._tag, "Exhausted")
      yield* held.release
      assert.strictEqual((yield* Fiber.join(waiting)).item, held.item)
    })
  )

  it.effect("tries once for each caller", () =>
    Effect.gen(function* () {
      let attempts = 0
      const { pool } = yield* open({
        make: () => {
          throw new Error(`no memory ${++attempts}`)
        }
      })
      for (let n = 1; n <= 3; n++) {
        const failure = yield* Effect.flip(Pool.use(pool, () => Effect.void))
        assert.strictEqual(failure.message, `no memory ${n}`)
      }
      assert.strictEqual(attempts, 3)
    })
  )

  it.effect("loses no place to steps that throw", () =>
    Effect.gen(function* () {
      const { events, pool } = yield* open(
        {
          reset: () => {
            throw new Error("reset")
          },
          destroy: () => {
            throw new Error("destroy")
          }
        },
        1
      )
      for (let n = 0; n < 3; n++) yield* (yield* hold(pool)).release
      assert.strictEqual(events.filter((event) => event === "BackgroundFailure").length, 6)
      assert.deepInclude(yield* Pool.stats(pool), { size: 0, used: 0, idle: 0, destroying: 0 })
      assert.deepInclude((yield* Pool.stats(pool)).destroyed, { resetFailed: 3 })
    })
  )

  it.effect("invalidates all items of one value", () =>
    Effect.gen(function* () {
      const same = {}
      const { pool } = yield* open({ make: () => same })
      const [one, other] = [yield* hold(pool), yield* hold(pool)]
      yield* one.release
      yield* Pool.invalidate(pool, same)
      assert.deepInclude(yield* Pool.stats(pool), { idle: 0, used: 1 })
      yield* other.release
      assert.deepInclude((yield* Pool.stats(pool)).destroyed, { invalidated: 2 })
      yield* (yield* hold(pool)).release
      assert.deepInclude(yield* Pool.stats(pool), { idle: 1, used: 0 })
    })
  )

  for (const order of [
    [0, 1, 2],
    [1, 0, 2],
    [2, 1, 0]
  ] as const) {
    it.effect(`knows the others of three items of one value when they go in the order ${order.join(", ")}`, () =>
      Effect.gen(function* () {
        const same = {}
        const { pool, store } = yield* open({ make: () => same })
        const held = [yield* hold(pool), yield* hold(pool), yield* hold(pool)]
        const items = Array.from(store.all)
        for (const n of order) {
          items[n]!.doom = "abandoned"
          yield* held[n]!.release
          const known = Array.from(store.itemsOf(same), ({ id }) => id)
          assert.deepStrictEqual(known, Array.from(store.all, ({ id }) => id).toReversed())
        }
        assert.deepInclude(yield* Pool.stats(pool), { size: 0 })
      })
    )
  }

  it.effect("ends each once when the end of one is that of another", () =>
    Effect.gen(function* () {
      const destroyed: Array<object> = []
      const scope = yield* Scope.make()
      const { pool, store } = yield* Scope.provide(
        open({
          destroy: (item) => {
            destroyed.push(item)
            for (const other of store.all) store.invalidate(other.value)
          }
        }),
        scope
      )
      const held = [yield* hold(pool), yield* hold(pool), yield* hold(pool)]
      yield* held[0]!.release
      yield* held[1]!.release
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(new Set(destroyed).size, 3)
      assert.lengthOf(destroyed, 3)
      assert.isTrue(pool.admission.hasEnded)
    })
  )

  it.effect("does not hand out what its own reset has invalidated", () =>
    Effect.gen(function* () {
      const { destroyed, events, pool, store } = yield* open({
        reset: (item) => {
          store.invalidate(item)
          return true
        }
      })
      const { item, release } = yield* hold(pool)
      yield* release
      assert.deepStrictEqual(destroyed, [item])
      assert.include(events, "destroyed: invalidated")
      assert.deepInclude(yield* Pool.stats(pool), { idle: 0, used: 0, size: 0 })
    })
  )

  for (const isClean of [true, false]) {
    it.effect(`destroys once what ends while it is reset, and is ${isClean ? "" : "not "}clean`, () =>
      Effect.gen(function* () {
        const { destroyed, pool } = yield* open({
          reset: () => {
            Effect.runFork(pool.admission.close(0))
            return isClean
          }
        })
        const { item, release } = yield* hold(pool)
        yield* release
        assert.deepStrictEqual(destroyed, [item])
        assert.deepInclude(yield* Pool.stats(pool), { state: "closed", idle: 0, used: 0, size: 0 })
        assert.isTrue(pool.admission.hasEnded)
      })
    )
  }

  it.effect("ends what is made for nobody when the pool has closed meanwhile", () =>
    Effect.gen(function* () {
      const { destroyed, pool, store } = yield* open()
      const item = store.make()!
      Effect.runFork(pool.admission.close(1000))
      store.place(item)
      assert.deepStrictEqual(destroyed, [item.value])
      assert.deepInclude(yield* Pool.stats(pool), { state: "closed", size: 0 })
    })
  )

  it.effect("says why an item ends that comes back with a doom of its own", () =>
    Effect.gen(function* () {
      const { destroyed, events, pool, store } = yield* open()
      const { item, release } = yield* hold(pool)
      for (const entry of store.itemsOf(item)) entry.doom = "abandoned"
      yield* release
      assert.deepStrictEqual(destroyed, [item])
      assert.include(events, "destroyed: abandoned")
    })
  )
})
