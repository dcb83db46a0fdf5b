import { InvalidOptions, Pool, PoolRegistry } from "@effect-pools/core"
import { Auditor, InterruptSweep, LeakCheck, TestPool } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
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

/** Takes a lease that nobody gives back until the returned scope is closed. */
const takeFrom = (pool: Pool.Pool<any>) => Effect.tap(Scope.make(), (scope) => Scope.provide(Pool.get(pool), scope))

/** Opens pools in a registry that no other test uses, around what is the test. */
const alone =
  (names: ReadonlyArray<string>, closeGrace: Duration.Input = "10 seconds") =>
  <A, E>(test: Effect.Effect<A, E, Scope.Scope>) =>
    Effect.andThen(
      Effect.forEach(names, (name) => TestPool.make({ make: String, name, closeGrace })),
      test
    ).pipe(Effect.scoped, Effect.provideService(PoolRegistry.PoolRegistry, PoolRegistry.makeUnsafe()))

const poolOf = (name: string) =>
  Effect.map(PoolRegistry.PoolRegistry, (registry) => registry.find(name)!.pool as Pool.Pool<any>)

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

  it.effect("finds the pools that were open before in its registry, but those that its own hide", () =>
    Effect.gen(function* () {
      const { names, found } = yield* LeakCheck.run(
        Effect.gen(function* () {
          const registry = yield* PoolRegistry.PoolRegistry
          const found = [registry.find("shared")?.pool, registry.find("db")?.pool]
          const db = yield* TestPool.make({ make: String, name: "db" })
          assert.strictEqual(registry.find("db")?.pool, db)
          return { names: registry.list().map(({ name }) => name), found }
        })
      )
      assert.deepStrictEqual(names, ["shared", "db"])
      assert.deepStrictEqual(found, [yield* poolOf("shared"), yield* poolOf("db")])
    }).pipe(alone(["shared", "db"]))
  )

  it.effect("is seen in full by a check within a check", () =>
    Effect.gen(function* () {
      const pool = yield* poolOf("shared")
      const inner = Effect.flip(LeakCheck.run(takeFrom(pool)))
      const lines = yield* found(inner)
      assert.strictEqual(lines.length, 1)
    }).pipe(alone(["shared"]))
  )
})

describe("options that make no sense", () => {
  it.effect("are refused", () =>
    Effect.gen(function* () {
      for (const options of [{ allowgrace: true }, { allowGrace: "yes" }, null]) {
        const error = yield* Effect.flip(LeakCheck.runWith(Effect.void, options as never))
        assert.instanceOf(error, InvalidOptions.InvalidOptions)
        if (options !== null) assert.throws(() => LeakCheck.layer(options as never), InvalidOptions.InvalidOptions)
      }
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
      assert.match(line ?? "", /lease 1 holds item 1 for 0 ms, .*, taken at .*leakCheck\.test\.ts:29:\d+/)
      assert.match(error.stack ?? "", /\n {4}at [^\n]*leakCheck\.test\.ts:29:\d+\)?$/)
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

  it.effect("fails with a lease that its own scope gives back after the pool has closed, and says so", () =>
    Effect.gen(function* () {
      const test = Effect.flatMap(Db, (pool) => Pool.get(pool))
      const lines = yield* found(Effect.provide(test, Db.layer))
      assert.strictEqual(lines.length, 1)
      assert.match(
        lines[0] ?? "",
        /^lease 1 on item 1 was still out when the pool began to close \(its scope closes later than the pool's\), after/
      )
      yield* LeakCheck.run(test.pipe(Effect.scoped, Effect.provide(Db.layer)))
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

describe("a pool that others use at the same time", () => {
  it.effect("does not count what others took meanwhile, nor whom they keep waiting", () =>
    Effect.gen(function* () {
      const pool = yield* poolOf("shared")
      const [begun, taken] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const innocent = yield* Effect.forkChild(
        LeakCheck.run(
          Effect.gen(function* () {
            yield* Pool.use(pool, Effect.succeed)
            yield* Deferred.succeed(begun, undefined)
            yield* Deferred.await(taken)
          })
        )
      )
      const neighbour = yield* Effect.forkChild(
        LeakCheck.run(
          Effect.gen(function* () {
            yield* Deferred.await(begun)
            yield* Effect.forEach(
              Array.from({ length: 12 }),
              () => Pool.use(pool, () => Effect.andThen(Deferred.succeed(taken, undefined), Effect.sleep("1 second"))),
              { concurrency: "unbounded" }
            )
          })
        )
      )
      yield* Fiber.join(innocent)
      assert.isAbove(Pool.statsUnsafe(pool).used, 0)
      assert.isAbove(Pool.statsUnsafe(pool).pending, 0)
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(neighbour)
    }).pipe(alone(["shared"]))
  )

  for (const [how, wrong] of [
    ["itself", (pool: Pool.Pool<any>) => takeFrom(pool)],
    [
      "in a fiber that has ended",
      (pool: Pool.Pool<any>) => Effect.flatMap(Effect.forkChild(takeFrom(pool)), (fiber) => Fiber.join(fiber))
    ],
    [
      "in a fiber that goes on",
      (pool: Pool.Pool<any>) =>
        Effect.andThen(
          Effect.forkDetach(
            Pool.use(pool, () => Effect.never),
            { startImmediately: true }
          ),
          Effect.yieldNow
        )
    ],
    [
      "after it had waited",
      (pool: Pool.Pool<any>) =>
        Effect.gen(function* () {
          yield* Pool.suspend(pool)
          const fiber = yield* Effect.forkChild(takeFrom(pool), { startImmediately: true })
          yield* Pool.resume(pool)
          yield* Fiber.join(fiber)
        })
    ],
    [
      "in a promise that has its context",
      (pool: Pool.Pool<any>) =>
        Effect.flatMap(Effect.context(), (context) =>
          Effect.promise(() => Effect.runPromiseWith(context)(takeFrom(pool)))
        )
    ]
  ] as const) {
    it.effect(`finds who took a lease ${how} and kept it, and nobody else`, () =>
      Effect.gen(function* () {
        const pool = yield* poolOf("shared")
        const over = yield* Deferred.make<void>()
        const innocent = yield* Effect.forkChild(LeakCheck.run(Deferred.await(over)), { startImmediately: true })
        const lines = yield* found(wrong(pool))
        yield* Deferred.succeed(over, undefined)
        yield* Fiber.join(innocent)
        assert.strictEqual(lines.length, 1)
        assert.match(lines[0] ?? "", /lease 1 holds item 1 .*leakCheck\.test\.ts/)
      }).pipe(alone(["shared"], 0))
    )
  }

  it.effect("finds who keeps a caller waiting", () =>
    Effect.gen(function* () {
      const pool = yield* poolOf("shared")
      yield* Pool.suspend(pool)
      const wait = Effect.forkDetach(
        Pool.use(pool, () => Effect.never),
        { startImmediately: true }
      )
      yield* wait
      const lines = yield* found(wait)
      assert.strictEqual(lines.length, 1)
      assert.match(lines[0] ?? "", /a caller \(lease 2\) has been waiting/)
    }).pipe(alone(["shared"], 0))
  )

  /** Closes the pool while a caller is in it, with or without the lease that was found. */
  const closeWithCaller = (comesBack: boolean) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const pool = yield* Scope.provide(TestPool.make({ make: String, closeGrace: "10 seconds" }), scope)
      let leaked: Scope.Closeable | undefined
      yield* found(Effect.map(takeFrom(pool), (scope) => (leaked = scope)))
      if (comesBack) yield* Scope.close(leaked!, Exit.void)
      const listens = pool.admission.observer.isListening
      const caller = yield* Effect.forkChild(
        Pool.use(pool, () => Effect.sleep("5 seconds")),
        { startImmediately: true }
      )
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* TestClock.adjust("4 seconds")
      const usedMeanwhile = pool.admission.used
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(caller)
      yield* Fiber.join(closing)
      return { listens, usedMeanwhile, listensAfter: pool.admission.observer.isListening }
    }).pipe(Effect.provideService(PoolRegistry.PoolRegistry, PoolRegistry.makeUnsafe()))

  it.effect("keeps its grace when a lease that was found has come back, and is left alone", () =>
    Effect.gen(function* () {
      const seen = yield* closeWithCaller(true)
      assert.deepStrictEqual(seen, { listens: false, usedMeanwhile: 1, listensAfter: false })
    })
  )

  it.effect("waits for callers, and not for a lease that was found and is still out", () =>
    Effect.gen(function* () {
      const seen = yield* closeWithCaller(false)
      assert.deepStrictEqual(seen, { listens: true, usedMeanwhile: 2, listensAfter: false })
    })
  )

  it.effect("does not wait for leases that several runs have left out", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const pool = yield* Scope.provide(TestPool.make({ make: String, max: 8, closeGrace: "10 seconds" }), scope)
      for (let run = 0; run < 2; run++) assert.strictEqual((yield* found(takeFrom(pool))).length, 1)
      // Were the pool to wait, this test would hang.
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(Pool.statsUnsafe(pool).state, "closed")
    }).pipe(Effect.provideService(PoolRegistry.PoolRegistry, PoolRegistry.makeUnsafe()))
  )

  it.effect("does not wait for what a caller who was found waiting takes later", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const pool = yield* Scope.provide(TestPool.make({ make: String, max: 1, closeGrace: "10 seconds" }), scope)
      const before = yield* takeFrom(pool)
      const wait = Effect.forkDetach(
        Pool.use(pool, () => Effect.never),
        { startImmediately: true }
      )
      assert.strictEqual((yield* found(wait)).length, 1)
      yield* Scope.close(before, Exit.void)
      assert.strictEqual(Pool.statsUnsafe(pool).used, 1)
      // Were the pool to wait, this test would hang.
      yield* Scope.close(scope, Exit.void)
      assert.isFalse(pool.admission.observer.isListening)
    }).pipe(Effect.provideService(PoolRegistry.PoolRegistry, PoolRegistry.makeUnsafe()))
  )

  it.live(
    "is left alone after an interruption at any step",
    () =>
      Effect.gen(function* () {
        const wrong = ({ admission }: Pool.Pool<any>) => [
          ...(admission.tracksCallSites ? ["call sites are tracked still"] : []),
          ...(admission.observer.isListening ? ["somebody listens still"] : [])
        ]
        const setup = () => open()
        const audit = (pool: Pool.Pool<any>) => Effect.sync(() => wrong(pool))
        const program = (pool: Pool.Pool<any>, stage: InterruptSweep.Stage) =>
          LeakCheck.run(
            Effect.gen(function* () {
              const own = yield* TestPool.make({ make: String })
              yield* Effect.scoped(Effect.andThen(Pool.get(own), Pool.get(pool)))
              return yield* Pool.use(pool, Effect.succeed)
            })
          ).pipe(
            Effect.onError((cause) =>
              Effect.sync(() => {
                for (const reason of cause.reasons) if (reason._tag === "Fail") stage.note(String(reason.error))
              })
            )
          )
        const budgets = [3, 4, 5, 7, 12]
        InterruptSweep.expectClean(yield* InterruptSweep.run({ setup, audit, program, budgets, pairs: 0 }))

        // A check that is begun before its end is sure to come.
        const unsafe = (pool: Pool.Pool<any>) =>
          Effect.flatMap(
            Effect.sync(() => Auditor.makeUnsafe(pool)),
            (auditor) => Effect.ensuring(Pool.use(pool, Effect.succeed), Effect.sync(auditor.stopUnsafe))
          )
        const { leaks } = yield* InterruptSweep.run({ setup, audit, program: unsafe, budgets, pairs: 0 })
        assert.include(
          leaks.map(({ what }) => what),
          "call sites are tracked still"
        )
      }),
    60_000
  )
})

describe("a runtime of its own in a test", () => {
  it.effect("is seen if its layer has that of the check beneath it", () =>
    Effect.gen(function* () {
      const runtime = ManagedRuntime.make(Layer.provideMerge(Db.layer, LeakCheck.layer()))
      yield* Effect.promise(() => runtime.runPromise(leak))
      const exit = yield* Effect.exit(runtime.disposeEffect)
      assert.isTrue(Exit.isFailure(exit))
      if (Exit.isFailure(exit)) assert.instanceOf(Cause.squash(exit.cause), LeakCheck.LeaksFound)
    })
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
