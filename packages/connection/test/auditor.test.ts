import { ConnectionPool } from "@effect-pools/connection"
import { AuditReport, Auditor, Gates } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { open, settle } from "./support.ts"

const fork = Effect.forkScoped({ startImmediately: true })

const gates: ReadonlyArray<Gates.Gate> = ["ok", "ok", "ok", "ok", 5, 50, { late: 30 }, ...Gates.bad]

const below = (limit: number) => Random.nextIntBetween(0, limit, { halfOpen: true })
const pick = <A>(from: ReadonlyArray<A>) => Effect.map(below(from.length), (index) => from[index]!)

type GatedPool = ConnectionPool.ConnectionPool<Gates.Item, Gates.GateFailure>

/** Random operations on a pool whose connections fail, hang and die; answers with what the audit ends. */
const play = Effect.fnUntraced(function* (operations: number, sabotage?: (pool: GatedPool) => void) {
  const gated = Gates.make()
  const pooled = yield* open(
    {
      max: 4,
      min: yield* below(3),
      concurrency: yield* pick([1, 1, 2]),
      maxUses: yield* pick([3, Infinity]),
      idleTimeout: yield* pick([100, 60_000]),
      acquireTimeout: 500,
      createTimeout: 100,
      validationTimeout: 100,
      resetTimeout: 100,
      destroyTimeout: 100,
      closeGrace: yield* pick([0, 100]),
      validateAfterIdle: 0,
      createRetry: Schedule.spaced(20),
      breaker: yield* pick([false as const, { failures: 3, probeInterval: 50 }]),
      validate: gated.onValidate,
      health: { check: gated.onCheck, interval: 50, timeout: 100 },
      ...((yield* below(2)) === 0 ? { reset: gated.onReset } : {})
    },
    gated
  )
  const { pool } = pooled
  const auditor = yield* Auditor.make(pool, { callSites: false })
  sabotage?.(pool)
  const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
  const steps = ["create", "validate", "reset", "check", "destroy"] as const
  const commands: ReadonlyArray<Effect.Effect<unknown, unknown, Scope.Scope>> = [
    Effect.flatMap(below(80), (millis) => ConnectionPool.use(pool, () => Effect.sleep(millis))),
    Effect.scoped(Effect.andThen(ConnectionPool.get(pool, { priority: 1 }), Effect.sleep(20))),
    ConnectionPool.use(pool, () => Effect.die("bug")),
    ConnectionPool.use(pool, (item) => ConnectionPool.invalidate(pool, item)),
    ConnectionPool.useIfAvailable(pool, () => Effect.sleep(10)),
    ConnectionPool.use(pool, () => Effect.never, { acquireTimeout: 10 })
  ]
  for (let n = 0; n < operations; n++) {
    switch (yield* below(12)) {
      case 0:
        gated[yield* pick(steps)] = yield* pick(gates)
        break
      case 1:
        gated.allWell()
        break
      case 2:
        yield* fork(Fiber.interrupt((yield* pick([...fibers, yield* fork(Effect.void)]))!))
        break
      case 3:
        yield* ConnectionPool.resize(pool, { min: 0, max: 1 + (yield* below(5)) })
        break
      case 4:
        yield* ConnectionPool.suspend(pool)
        break
      case 5:
        yield* ConnectionPool.resume(pool)
        break
      case 6:
        yield* TestClock.adjust(yield* below(60))
        break
      default:
        fibers.push(yield* fork(Effect.exit(yield* pick(commands))))
    }
    if (sabotage === undefined) assert.deepStrictEqual((yield* Auditor.report(auditor)).discrepancies, [])
  }
  yield* ConnectionPool.resume(pool)
  gated.allWell()
  yield* fork(Fiber.interruptAll(fibers))
  yield* TestClock.adjust("1 minute")
  const atRest = Auditor.findingsUnsafe(auditor)
  yield* fork(pooled.close)
  yield* TestClock.adjust("1 minute")
  return { report: yield* Auditor.report(auditor), findings: [...atRest, ...Auditor.findingsUnsafe(auditor)] }
})

describe("the auditor, over a connection pool", () => {
  it.effect(
    "finds nothing in thousands of random operations",
    () =>
      Effect.gen(function* () {
        let leases = 0
        let items = 0
        for (let seed = 1; seed <= 40; seed++) {
          const { findings, report } = yield* Random.withSeed(Effect.scoped(play(150)), seed)
          assert.deepStrictEqual(findings, [], `seed ${seed}`)
          assert.deepInclude(report, { state: "closed", items: [], leaks: [] }, `seed ${seed}`)
          leases += report.acquired
          items += report.destroyed
        }
        assert.isAbove(leases, 1000)
        assert.isAbove(items, 500)
      }),
    60_000
  )

  const sabotaged = (what: string, sabotage: (pool: GatedPool) => void, finding: RegExp) =>
    it.effect(`finds ${what}, one time in ten, among them`, () =>
      Effect.gen(function* () {
        const { findings } = yield* Random.withSeed(Effect.scoped(play(150, sabotage)), 7)
        assert.match(findings.join("\n"), finding)
      })
    )
  /** Calls `instead` of a method every tenth time. */
  const everyTenth = <A extends object, K extends keyof A>(on: A, method: K, instead: A[K] & Function): void => {
    const usual = on[method] as A[K] & Function
    let calls = 0
    on[method] = ((...args: Array<unknown>) => (++calls % 10 === 0 ? instead : usual).apply(on, args)) as A[K] &
      Function
  }
  sabotaged(
    "an item that is not taken back",
    ({ store }) => everyTenth(store, "giveBack", () => {}),
    /items are in use without a lease/
  )
  sabotaged(
    "a lease that is not counted",
    ({ admission }) => everyTenth(admission.observer.use, "record", () => void admission.observer.released--),
    /miscounted: .* leases were taken and .* given back/
  )
  sabotaged(
    "an item that is handed out while it is in use",
    ({ store }) =>
      everyTenth(store, "take", () => {
        const taken = Array.from(store.all).find(({ state }) => state === "used")
        if (taken !== undefined) taken.holders++
        return taken
      }),
    /shared: item .* was handed to lease .* while held by/
  )

  it.effect("names the line that took a lease which did not come back", () =>
    Effect.gen(function* () {
      const { close, pool } = yield* open({ max: 3, closeGrace: 0 })
      const auditor = yield* Auditor.make(pool)
      const forgotten = yield* Scope.make()
      for (let i = 0; i < 20; i++) yield* fork(ConnectionPool.use(pool, () => Effect.sleep(10)))
      yield* TestClock.adjust("1 second")
      yield* Scope.provide(ConnectionPool.get(pool), forgotten)
      const line = Number(/auditor\.test\.ts:(\d+)/.exec(new Error().stack ?? "")?.[1]) - 1
      yield* TestClock.adjust("3 minutes")
      const failure = yield* Effect.flip(Auditor.expectClean(auditor))
      assert.strictEqual(failure.report.leaks.length, 1)
      assert.deepInclude(failure.report.leaks[0], { since: 1000, heldFor: 180_000 })
      assert.include(failure.report.leaks[0]?.takenAt, `auditor.test.ts:${line}:`)
      assert.include(failure.message, "for 3 min, since 1970-01-01T00:00:01.000Z, taken")
      yield* close
      yield* settle
      const report = yield* Auditor.report(auditor)
      assert.strictEqual(report.outlived[0]?.lease, failure.report.leaks[0]?.lease)
      assert.deepStrictEqual(report.discrepancies, [])
    })
  )

  it.effect("finds a connection that the store has lost sight of", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ max: 3 })
      const auditor = yield* Auditor.make(pool)
      yield* ConnectionPool.use(pool, (item) =>
        Effect.sync(() => {
          // As if a return had been counted twice.
          const [connection] = pool.store.all
          assert.strictEqual(connection?.value, item)
          pool.store.all.delete(connection!)
          pool.admission.used++
        })
      )
      const report = yield* Auditor.report(auditor)
      assert.match(AuditReport.format(report), /1 items were created and 0 destroyed .* together are 2/)
      pool.admission.used--
    })
  )
})
