import { Pool, PoolRegistry } from "@effect-pools/core"
import { LeakCheck, TestPool } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { open } from "./brokenStore.ts"

class Db extends Context.Service<Db, TestPool.TestPool<string>>()("app/Db") {
  static readonly layer = Layer.effect(
    Db,
    Effect.orDie(TestPool.make({ make: String, name: "app/Db", closeGrace: "10 seconds" }))
  )
}

const query = Effect.flatMap(Db, (pool) => Pool.use(pool, Effect.succeed))

/** Takes a lease for a scope that nobody closes. */
const leak = Effect.gen(function* () {
  const scope = yield* Scope.make()
  yield* Scope.provide(Pool.get(yield* Db), scope)
  return scope
})

/** What a check of an effect finds, a line each. */
const found = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>, options: LeakCheck.Options = {}) =>
  Effect.map(Effect.flip(LeakCheck.runWith(effect, options)), (error) =>
    error instanceof LeakCheck.LeaksFound ? error.pools.flatMap(({ findings }) => findings) : assert.fail(String(error))
  )

describe("a test that leaves nothing behind", () => {
  it.effect("passes with its result", () =>
    Effect.gen(function* () {
      yield* Effect.forEach(Array.from({ length: 20 }), () => query, { concurrency: 5 })
      yield* Effect.scoped(Effect.flatMap(Db, (pool) => Pool.get(pool)))
      return "done"
    }).pipe(
      Effect.provide(Db.layer),
      LeakCheck.run,
      Effect.map((result) => assert.strictEqual(result, "done"))
    )
  )

  it.effect("passes with a pool in the scope that it is given", () =>
    Effect.gen(function* () {
      const pool = yield* TestPool.make({ make: String })
      yield* Pool.get(pool)
      yield* Effect.forkScoped(Pool.use(pool, () => Effect.never))
      yield* TestClock.adjust("1 second")
    }).pipe(LeakCheck.run)
  )

  it.effect("fails as it fails", () =>
    Effect.gen(function* () {
      const failed = LeakCheck.run(Effect.provide(Effect.andThen(query, Effect.fail("oops")), Db.layer))
      assert.strictEqual(yield* Effect.flip(failed), "oops")
    })
  )

  it.effect("has a registry of its own, where names are free", () =>
    Effect.gen(function* () {
      yield* TestPool.make({ make: String, name: "db" })
      const name = yield* LeakCheck.run(Effect.map(TestPool.make({ make: String, name: "db" }), ({ name }) => name))
      assert.strictEqual(name, "db")
    })
  )
})

describe("a test with a leak", () => {
  it.effect("fails with the lease and the line that took it, and does not wait for it", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(LeakCheck.run(Effect.provide(leak, Db.layer)))
      assert.instanceOf(error, LeakCheck.LeaksFound)
      const [title, line] = error.message.split("\n")
      assert.strictEqual(title, 'Pool "app/Db" (test): 1 found')
      assert.match(line ?? "", /lease 1 holds item 1 for 0 ms, .*, taken at .*leakCheck\.test\.ts:25:\d+/)
      assert.match(error.stack ?? "", /\n {4}at [^\n]*leakCheck\.test\.ts:25:\d+\)?$/)
    })
  )

  it.effect("fails if a fiber still holds a lease, also if that ends while the pool closes", () =>
    Effect.gen(function* () {
      const test = Effect.gen(function* () {
        const pool = yield* Db
        yield* Effect.forkDetach(
          Pool.use(pool, () => Effect.sleep("1 second")),
          { startImmediately: true }
        )
        yield* Effect.yieldNow
      })
      assert.strictEqual((yield* found(Effect.provide(test, Db.layer))).length, 1)
    })
  )

  it.effect("may let a lease come back within the grace of its pool", () =>
    Effect.gen(function* () {
      const test = Effect.gen(function* () {
        const pool = yield* Db
        yield* Effect.forkDetach(
          Pool.use(pool, () => Effect.sleep("1 second")),
          { startImmediately: true }
        )
      })
      const checking = yield* Effect.forkScoped(
        test.pipe(Effect.provide(Db.layer), LeakCheck.runWith({ allowGrace: true })),
        {
          startImmediately: true
        }
      )
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(checking.pollUnsafe(), Exit.void)
      const hanging = yield* Effect.forkScoped(found(Effect.provide(leak, Db.layer), { allowGrace: true }))
      yield* TestClock.adjust("20 seconds")
      const exit = hanging.pollUnsafe()
      assert.match(String(exit), /lease 1 holds item 1 for 10\.0 s/)
    })
  )

  it.effect("tells of the leak beside its own failure", () =>
    Effect.gen(function* () {
      const test = Effect.andThen(leak, Effect.fail("oops"))
      const exit = yield* Effect.exit(LeakCheck.run(Effect.provide(test, Db.layer)))
      assert.isTrue(Exit.isFailure(exit))
      if (Exit.isFailure(exit)) {
        const said = Cause.pretty(exit.cause)
        assert.include(said, "oops")
        assert.match(said, /lease 1 holds item 1/)
      }
    })
  )

  it.effect("tells of every pool", () =>
    Effect.gen(function* () {
      const test = Effect.gen(function* () {
        const other = yield* TestPool.make({ make: String, name: "other" })
        yield* Scope.provide(Pool.get(other), yield* Scope.make())
        yield* leak
      })
      const error = yield* Effect.flip(LeakCheck.run(Effect.provide(test, Db.layer)))
      assert.match(String(error), /Pool "app\/Db" .*: 1 found[^]*Pool "other" .*: 1 found/)
    })
  )
})

describe("a test that leaves something else behind", () => {
  it.effect("fails if a pool is open", () =>
    Effect.gen(function* () {
      const test = Effect.gen(function* () {
        const pool = yield* Scope.provide(TestPool.make({ make: String }), yield* Scope.make())
        yield* Pool.use(pool, Effect.succeed)
      })
      assert.deepStrictEqual(yield* found(test), ["the pool is still open: nothing has closed its scope"])
    })
  )

  it.effect("fails if an item could not be destroyed", () =>
    Effect.gen(function* () {
      const acquire = Effect.acquireRelease(Effect.succeed("item"), () => Effect.die("stuck"))
      const test = Effect.flatMap(TestPool.make({ acquire }), (pool) => Pool.use(pool, Effect.succeed))
      assert.deepStrictEqual(yield* found(test), ["item 1 did not end: stuck"])
    })
  )

  it.effect("fails if a caller still waits", () =>
    Effect.gen(function* () {
      const test = Effect.gen(function* () {
        const pool = yield* Scope.provide(TestPool.make({ make: String, max: 1 }), yield* Scope.make())
        yield* Effect.forkDetach(
          Pool.use(pool, () => Effect.never),
          { startImmediately: true }
        )
        yield* Effect.forkDetach(
          Pool.use(pool, () => Effect.never),
          { startImmediately: true }
        )
      })
      const lines = yield* found(test)
      assert.strictEqual(lines.length, 3)
      assert.match(lines[1] ?? "", /a caller \(lease 2\) has been waiting/)
    })
  )

  it.effect("fails if the pool lost an item", () =>
    Effect.gen(function* () {
      const test = Effect.gen(function* () {
        const pool = yield* open()
        pool.store.fault = "drops what comes back"
        yield* Pool.use(pool, Effect.succeed)
      })
      assert.match((yield* found(test)).join("\n"), /lost: item 1 was never destroyed/)
    })
  )
})

describe("a pool that was open before", () => {
  it.effect("must have back what was taken meanwhile, and no more", () =>
    Effect.gen(function* () {
      const before = yield* leak
      yield* LeakCheck.run(query)
      const lines = yield* found(Effect.provideService(leak, Db, yield* Db))
      assert.strictEqual(lines.length, 1)
      assert.match(lines[0] ?? "", /lease \d+ holds item 2/)
      yield* LeakCheck.run(query)
      yield* Scope.close(before, Exit.void)
      // The lease that was found is out for good: were the close of the pool to wait for it, this test would hang.
    }).pipe(Effect.provide(Db.layer), Effect.provideService(PoolRegistry.PoolRegistry, PoolRegistry.makeUnsafe()))
  )
})

describe("the layer", () => {
  const built = <R>(layer: Layer.Layer<R>, test: Effect.Effect<unknown, unknown, R>) =>
    Effect.exit(Effect.provide(test, layer))

  it.effect("finds nothing where nothing was left", () =>
    Effect.gen(function* () {
      const exit = yield* built(Layer.provideMerge(Db.layer, LeakCheck.layer()), query)
      assert.isTrue(Exit.isSuccess(exit))
    })
  )

  it.effect("dies of what was left, when it is closed", () =>
    Effect.gen(function* () {
      const exit = yield* built(Layer.provideMerge(Db.layer, LeakCheck.layer()), leak)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      if (Exit.isFailure(exit)) assert.instanceOf(Cause.squash(exit.cause), LeakCheck.LeaksFound)
    })
  )

  it.layer(Layer.provideMerge(Db.layer, LeakCheck.layer()))("around a block of tests", (it) => {
    it.effect("serves the first", () => query)
    it.effect("serves the second, and each may be checked alone", () => LeakCheck.run(query))
  })
})
