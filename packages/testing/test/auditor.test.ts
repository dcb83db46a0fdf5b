import { InvalidOptions, Pool, type PoolEvent, PoolRegistry } from "@effect-pools/core"
import { Auditor, AuditReport, TestPool } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { type BrokenStore, type Fault, open } from "./brokenStore.ts"

type Broken = Pool.Pool<string> & { readonly store: BrokenStore }

/** Takes an item until the returned effect is run. */
const hold = (pool: Pool.Pool<string>) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const item = yield* Scope.provide(Pool.get(pool), scope)
    return { item, release: Scope.close(scope, Exit.void) }
  })

const touch = (pool: Pool.Pool<string>) => Pool.use(pool, Effect.succeed)

/** A pool that goes wrong once the auditor is there. */
const audited = (fault: Fault | undefined, options?: Parameters<typeof open>[0]) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const registry = PoolRegistry.makeUnsafe()
    const pool: Broken = yield* Scope.provide(open(options), scope).pipe(
      Effect.provideService(PoolRegistry.PoolRegistry, registry)
    )
    const auditor = yield* Auditor.make(pool)
    pool.store.fault = fault
    return { pool, auditor, close: Scope.close(scope, Exit.void) }
  })

const fork = Effect.forkScoped({ startImmediately: true })

const kinds = (report: AuditReport.AuditReport) => report.discrepancies.map(({ kind }) => kind)

describe("an auditor of a pool that is right", () => {
  it.effect("finds nothing, and has seen all", () =>
    Effect.gen(function* () {
      const { auditor, close, pool } = yield* audited(undefined)
      for (let i = 0; i < 100; i++) yield* touch(pool)
      yield* Effect.all([touch(pool), touch(pool), touch(pool), touch(pool)], { concurrency: "unbounded" })
      const held = yield* hold(pool)
      yield* fork(Effect.exit(Effect.scoped(Effect.andThen(hold(pool), hold(pool)))))
      yield* TestClock.adjust("5 seconds")
      yield* held.release
      yield* Pool.resize(pool, { max: 1 })
      const report = yield* Auditor.report(auditor)
      assert.deepStrictEqual(report.discrepancies, [])
      assert.deepInclude(report, { acquired: 106, released: 105, created: 2, destroyed: 1, state: "open" })
      assert.deepStrictEqual(
        report.leaks.map(({ item }) => item),
        report.items.map(({ item }) => item)
      )
      yield* close
      const last = yield* Auditor.report(auditor)
      assert.deepStrictEqual(last.discrepancies, [])
      assert.deepInclude(last, { created: 2, destroyed: 2, state: "closed" })
    })
  )

  it.effect("passes as clean, and as at rest, with items idle and when it has closed", () =>
    Effect.gen(function* () {
      const { auditor, close, pool } = yield* audited(undefined)
      yield* touch(pool)
      yield* Auditor.expectClean(auditor)
      assert.deepInclude(yield* Auditor.expectAtRest(auditor), { idle: 1, acquired: 1, released: 1 })
      yield* close
      yield* Auditor.expectAtRest(auditor)
      assert.deepStrictEqual(Auditor.findingsUnsafe(auditor), [])
    })
  )

  it.effect("leaves neither listener nor tracking behind when its scope closes, and keeps its last report", () =>
    Effect.gen(function* () {
      const pool = yield* open()
      const auditor = yield* Effect.scoped(
        Effect.tap(Auditor.make(pool), () => {
          assert.isTrue(pool.admission.tracksCallSites)
          return touch(pool)
        })
      )
      assert.isFalse(pool.admission.observer.isListening)
      assert.isFalse(pool.admission.tracksCallSites)
      yield* touch(pool)
      assert.strictEqual((yield* Auditor.report(auditor)).acquired, 1)
      yield* Auditor.expectClean(auditor)
    })
  )

  it.effect("lets items be shared as far as the pool allows", () =>
    Effect.gen(function* () {
      const { auditor, pool } = yield* audited("hands out what is in use", { concurrency: 2 })
      const first = yield* hold(pool)
      const second = yield* hold(pool)
      assert.strictEqual(first.item, second.item)
      const two = yield* Auditor.report(auditor)
      assert.deepStrictEqual(two.items[0]?.leases, [1, 2])
      assert.notInclude(kinds(two), "shared")
      yield* hold(pool)
      const [third] = (yield* Auditor.report(auditor)).discrepancies.filter(({ kind }) => kind === "shared")
      assert.match(
        third?.message ?? "",
        /item 1 was handed to lease 3 \(concurrency 2\) while held by lease 1 .*lease 2/
      )
    })
  )

  it.effect("accounts for a lease that comes back after its pool has closed", () =>
    Effect.gen(function* () {
      const { auditor, close, pool } = yield* audited(undefined)
      const held = yield* hold(pool)
      yield* close
      const report = yield* Auditor.report(auditor)
      assert.deepStrictEqual(report.outlived, report.leaks)
      assert.strictEqual(report.leaks.length, 1)
      yield* held.release
      yield* Auditor.expectAtRest(auditor)
      assert.strictEqual((yield* Auditor.report(auditor)).outlived.length, 1)
    })
  )

  it.effect("keeps nothing of what has ended, but for the latest", () =>
    Effect.gen(function* () {
      const { auditor, pool } = yield* audited(undefined)
      for (let i = 0; i < 5000; i++) {
        yield* Pool.invalidate(pool, yield* touch(pool))
      }
      const report = yield* Auditor.report(auditor)
      assert.deepInclude(report, { acquired: 5000, created: 5000, destroyed: 5000, items: [], leaks: [] })
      assert.deepStrictEqual(report.discrepancies, [])
    })
  )
})

describe("options that make no sense", () => {
  it.effect("are refused, and nothing is begun", () =>
    Effect.gen(function* () {
      const pool = yield* open()
      for (const options of [{ callsites: true }, { callSites: 1 }, null]) {
        const error = yield* Effect.flip(Auditor.make(pool, options as never))
        assert.instanceOf(error, InvalidOptions.InvalidOptions)
        assert.throws(() => Auditor.makeUnsafe(pool, options as never), InvalidOptions.InvalidOptions)
      }
      const registry = yield* PoolRegistry.PoolRegistry
      const many = yield* Effect.flip(Auditor.makeAll(registry, { callSites: "no" } as never))
      assert.deepInclude(many, { field: "callSites", value: '"no"', rule: "must be true or false" })
      assert.isFalse(pool.admission.observer.isListening)
      assert.isFalse(pool.admission.tracksCallSites)
    })
  )
})

describe("an auditor that comes late", () => {
  it.effect("knows the leases that are out, who waits, and of the idle items how many", () =>
    Effect.gen(function* () {
      const pool = yield* open()
      const release = pool.admission.trackCallSites()
      const first = yield* hold(pool)
      const second = yield* hold(pool)
      release()
      yield* TestClock.adjust("3 seconds")
      const waiter = yield* fork(Pool.use(pool, Effect.succeed, { acquireTimeout: "10 seconds" }))
      const auditor = yield* Auditor.make(pool)
      yield* TestClock.adjust("1 second")
      const report = yield* Auditor.report(auditor)
      assert.deepStrictEqual(
        report.leaks.map(({ heldFor, item }) => [item, heldFor]),
        [
          [1, 4000],
          [2, 4000]
        ]
      )
      for (const { takenAt } of report.leaks) assert.match(takenAt ?? "", /auditor\.test\.ts/)
      assert.deepInclude(report.waiting[0], { waited: 1000 })
      yield* first.release
      yield* second.release
      yield* Fiber.join(waiter)
      yield* Auditor.expectAtRest(auditor)
    })
  )

  it.effect("takes no offence at idle items that it has not seen being made", () =>
    Effect.gen(function* () {
      const pool: Broken = yield* open()
      yield* Effect.all([Effect.scoped(Pool.get(pool)), Effect.scoped(Pool.get(pool))])
      const held = yield* hold(pool)
      yield* touch(pool)
      yield* held.release
      assert.strictEqual(pool.admission.idle, 2)
      const auditor = yield* Auditor.make(pool)
      yield* Pool.invalidate(pool, yield* touch(pool))
      yield* touch(pool)
      yield* Auditor.expectAtRest(auditor)
      pool.store.fault = "destroys what it never made"
      yield* Pool.invalidate(pool, yield* touch(pool))
      assert.include(kinds(yield* Auditor.report(auditor)), "destroyedUnknown")
    })
  )

  it.effect("counts the leases that a close has taken the items from", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const pool = yield* Scope.provide(open(), scope)
      const held = yield* hold(pool)
      yield* Scope.close(scope, Exit.void)
      const auditor = yield* Auditor.make(pool)
      yield* held.release
      yield* Auditor.expectAtRest(auditor)
    })
  )

  it.effect("can be sent to every pool of a registry", () =>
    Effect.gen(function* () {
      const registry = yield* PoolRegistry.PoolRegistry
      const pool = yield* open()
      yield* TestPool.make({ make: String })
      const auditors = yield* Auditor.makeAll(registry)
      yield* hold(pool)
      assert.deepStrictEqual(
        auditors.map(({ pool, reportUnsafe }) => [pool.kind, reportUnsafe().leaks.length]),
        [
          ["broken", 1],
          ["test", 0]
        ]
      )
    }).pipe(Effect.provideService(PoolRegistry.PoolRegistry, PoolRegistry.makeUnsafe()))
  )
})

describe("a leak", () => {
  it.effect("is named with its item, how long it has been held, and the line that took it", () =>
    Effect.gen(function* () {
      const { auditor, pool } = yield* audited(undefined)
      yield* touch(pool)
      yield* hold(pool)
      yield* TestClock.adjust("90 seconds")
      const failure = yield* Effect.flip(Auditor.expectClean(auditor))
      assert.strictEqual(failure._tag, "AuditFailure")
      assert.strictEqual(failure.report.leaks.length, 1)
      assert.deepInclude(failure.report.leaks[0], { lease: 2, item: 1, since: 0, heldFor: 90_000 })
      const [title, leak, seen, state] = failure.message.split("\n")
      assert.strictEqual(title, 'Pool "broken" (broken): 1 found')
      assert.match(
        leak ?? "",
        /^ {2}- lease 2 holds item 1 for 90\.0 s, since 1970-01-01T00:00:00\.000Z, taken at .*auditor\.test\.ts:\d+/
      )
      assert.match(seen ?? "", /2 leases taken, 1 given back, 1 items created, 0 destroyed/)
      assert.match(state ?? "", /the pool is open: 1 used, 0 idle/)
    })
  )

  it.effect("has no place if the auditor was told not to ask for it", () =>
    Effect.gen(function* () {
      const pool = yield* open()
      const auditor = yield* Auditor.make(pool, { callSites: false })
      yield* hold(pool)
      assert.isFalse(pool.admission.tracksCallSites)
      assert.match((yield* Effect.flip(Auditor.expectClean(auditor))).message, /taken in an unknown place/)
    })
  )

  it.effect("is a caller that still waits, too", () =>
    Effect.gen(function* () {
      const { auditor, pool } = yield* audited(undefined)
      const held = [yield* hold(pool), yield* hold(pool)]
      yield* fork(Effect.exit(touch(pool)))
      for (const { release } of held) yield* Effect.andThen(Pool.suspend(pool), release)
      const failure = yield* Effect.flip(Auditor.expectClean(auditor))
      assert.deepStrictEqual(failure.findings, ["a caller (lease 3) has been waiting for 0 ms"])
    })
  )
})

describe("a fault of the pool", () => {
  const plant = (
    fault: Fault,
    expected: ReadonlyArray<AuditReport.DiscrepancyKind>,
    message: RegExp,
    run: (pool: Broken, close: Effect.Effect<void>) => Effect.Effect<unknown, unknown, Scope.Scope>
  ) =>
    it.effect(`is found: it ${fault}`, () =>
      Effect.gen(function* () {
        const { auditor, close, pool } = yield* audited(fault)
        yield* run(pool, close)
        const report = yield* Auditor.report(auditor)
        for (const kind of expected) assert.include(kinds(report), kind)
        assert.match(AuditReport.format(report), message)
        const failure = yield* Effect.flip(Auditor.expectClean(auditor))
        assert.strictEqual(failure.message, AuditReport.format(report))
      })
    )

  const invalidateIdle = (pool: Broken) => Effect.flatMap(touch(pool), (item) => Pool.invalidate(pool, item))
  const invalidateUsed = (pool: Broken) => Effect.flatMap(hold(pool), ({ item }) => Pool.invalidate(pool, item))

  plant(
    "hands out what is in use",
    ["shared"],
    /item 1 was handed to lease 2 while held by lease 1 \(taken at/,
    (pool) => Effect.andThen(hold(pool), touch(pool))
  )
  plant(
    "hands out what it destroyed",
    ["handedOutGone"],
    /lease 2 after it had been destroyed \(invalidated\)/,
    (pool) => Effect.andThen(invalidateIdle(pool), touch(pool))
  )
  plant("makes one more than max", ["aboveMax"], /there are 3 items; max is 2/, (pool) =>
    Effect.all([hold(pool), hold(pool), hold(pool)])
  )
  plant("gives every item the same number", ["createdTwice"], /two items of the number 1/, (pool) =>
    Effect.all([hold(pool), hold(pool)])
  )
  plant("destroys twice", ["destroyedTwice"], /item 1 was destroyed \(invalidated\) after it had been/, invalidateIdle)
  plant("destroys what it never made", ["destroyedUnknown"], /item 99 was destroyed .* never created/, invalidateIdle)
  plant(
    "detaches what it destroyed",
    ["detachedGone"],
    /item 1 was detached after it had been destroyed \(invalidated\)/,
    invalidateIdle
  )
  plant(
    "destroys what is in use",
    ["destroyedInUse"],
    /item 1 was destroyed .* held by lease 1 \(taken/,
    invalidateUsed
  )
  plant(
    "drops what comes back",
    ["lost", "miscounted"],
    /item 1 was never destroyed, created .*, last taken at/,
    (pool, close) => Effect.andThen(touch(pool), close)
  )
  plant("gives back twice", ["releasedTwice", "miscounted"], /lease 1 on item 1 was given back twice, taken at/, touch)
  plant(
    "gives back a lease that was never taken",
    ["releasedUnknown"],
    /lease 2 on item 1 was given back but never/,
    touch
  )
  plant("swaps the items of a lease", ["releasedElsewhere"], /lease 2 held item 2 and gave back item 1/, (pool) =>
    Effect.gen(function* () {
      yield* hold(pool)
      const second = yield* hold(pool)
      yield* Pool.invalidate(pool, second.item)
      yield* second.release
    })
  )
  plant("serves a lease twice", ["acquiredTwice"], /lease 1 got item 1 while it held item 1/, invalidateUsed)
  plant("counts an item twice", ["miscounted"], /2 items were created by the pool's count; events told of 1/, touch)
  plant("says nothing of a new item", ["handedOutGone", "miscounted"], /though there is no such item/, touch)
  plant("says nothing of an end", ["miscounted"], /1 items were destroyed .* told of 0/, invalidateIdle)
  plant("hides its leases", ["miscounted"], /the store knows nothing of lease 1 \(taken at/, hold)
  plant("shows a lease that has ended", ["miscounted"], /the store holds lease 1 on item 1, which is not out/, touch)
  plant("loses count of the leases", ["miscounted"], /3 leases were taken and 1 given back .* there are 1/, (pool) =>
    Effect.andThen(touch(pool), hold(pool))
  )

  it.effect("that keeps an item in use without a lease shows when all is at rest", () =>
    Effect.gen(function* () {
      const { auditor, pool } = yield* audited("keeps counting what comes back as used")
      yield* touch(pool)
      yield* Auditor.expectClean(auditor)
      const failure = yield* Effect.flip(Auditor.expectAtRest(auditor))
      assert.deepStrictEqual(failure.findings, ["1 items are in use without a lease: being prepared, or lost"])
    })
  )

  /** What the admission does right: told by an event that should not be. */
  const lie = (detail: PoolEvent.Detail, expected: AuditReport.DiscrepancyKind, message: RegExp) =>
    it.effect(`is found: ${detail._tag} is told where it has no place`, () =>
      Effect.gen(function* () {
        const { auditor, close, pool } = yield* audited(undefined)
        if (expected === "afterClosed" || expected === "stranded") yield* close
        pool.admission.observer.emit(detail)
        const { discrepancies } = yield* Auditor.report(auditor)
        assert.include(
          discrepancies.map(({ kind }) => kind),
          expected
        )
        assert.match(discrepancies.map((found) => found.message).join("\n"), message)
      })
    )
  lie({ _tag: "WaitEnded", lease: 7, waited: 1, outcome: "timeout" }, "waitEndedUnknown", /lease 7 ended a wait/)
  lie({ _tag: "WaitStarted", lease: 7, pending: 1 }, "miscounted", /0 callers wait by the pool's count; there are 1/)
  lie({ _tag: "Resumed" }, "afterClosed", /Resumed after the pool had closed/)

  it.effect("that forgets a caller when it closes is found", () =>
    Effect.gen(function* () {
      const { auditor, close, pool } = yield* audited(undefined)
      yield* Effect.all([hold(pool), hold(pool)])
      yield* fork(Effect.exit(touch(pool)))
      // As if nobody in the queue had been told.
      pool.admission.failWaiters = () => {}
      yield* close
      const report = yield* Auditor.report(auditor)
      assert.include(kinds(report), "stranded")
      assert.match(AuditReport.format(report), /lease 3 waits for a pool that has closed/)
    })
  )

  it.effect("that closes with items left is found", () =>
    Effect.gen(function* () {
      const { auditor, pool } = yield* audited(undefined)
      yield* hold(pool)
      pool.admission.observer.emit({ _tag: "Closed" })
      const report = yield* Auditor.report(auditor)
      assert.includeMembers(kinds(report), ["lost", "miscounted"])
      assert.match(AuditReport.format(report), /the pool has closed and counts 1 items/)
    })
  )

  it.effect("is kept with the first hundred, and counted", () =>
    Effect.gen(function* () {
      const { auditor, pool } = yield* audited(undefined)
      for (let lease = 1; lease <= 150; lease++) {
        pool.admission.observer.emit({ _tag: "WaitEnded", lease, waited: 0, outcome: "timeout" })
      }
      const report = yield* Auditor.report(auditor)
      assert.strictEqual(report.discrepancies.length, 100)
      assert.strictEqual(report.omitted, 50)
      assert.include(AuditReport.findings(report).at(-1), "50 more")
    })
  )
})

describe("a shrinking pool", () => {
  it.effect("may be above max while leases are out, but must not grow", () =>
    Effect.gen(function* () {
      const { auditor, pool } = yield* audited(undefined)
      const held = yield* hold(pool)
      const other = yield* hold(pool)
      yield* Pool.resize(pool, { max: 1 })
      yield* Effect.exit(Pool.use(pool, Effect.succeed, { acquireTimeout: 0 }))
      assert.deepStrictEqual(kinds(yield* Auditor.report(auditor)), [])
      pool.store.fault = "makes one more than max"
      yield* hold(pool)
      assert.deepStrictEqual(kinds(yield* Auditor.report(auditor)), ["aboveMax"])
      yield* held.release
      yield* other.release
    })
  )
})

describe("a report", () => {
  it.effect("goes into JSON and comes back", () =>
    Effect.gen(function* () {
      const { auditor, pool } = yield* audited("hands out what is in use")
      yield* Effect.all([hold(pool), hold(pool)])
      const report = yield* Auditor.report(auditor)
      const codec = Schema.fromJsonString(AuditReport.AuditReport)
      const text = yield* Schema.encodeEffect(codec)(report)
      assert.deepStrictEqual(
        yield* Schema.decodeUnknownEffect(codec)(text),
        JSON.parse(text) as AuditReport.AuditReport
      )
      assert.strictEqual((yield* Schema.decodeUnknownEffect(codec)(text)).leaks.length, 2)
    })
  )

  it.effect("tells what failed in the background, which is no discrepancy", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const item = Effect.acquireRelease(Effect.succeed("item"), () => Effect.die("stuck"))
      const pool = yield* Scope.provide(TestPool.make({ acquire: item }), scope)
      const auditor = yield* Auditor.make(pool)
      yield* touch(pool)
      yield* Scope.close(scope, Exit.void)
      const report = yield* Auditor.expectAtRest(auditor)
      assert.deepInclude(report.failures[0], { during: "destroy", item: 1, cause: "stuck" })
    })
  )
})
