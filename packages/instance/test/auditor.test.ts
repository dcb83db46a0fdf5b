/** Thousands of random operations, of which an auditor keeps books of its own. */
import { InstancePool } from "@effect-pools/instance"
import { Auditor, Gates } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { open, settle } from "./support.ts"

const fork = Effect.forkScoped({ startImmediately: true })

const gates: ReadonlyArray<Gates.Gate> = ["ok", "ok", "ok", "ok", 5, 50, { late: 30 }, ...Gates.bad]

const below = (limit: number) => Random.nextIntBetween(0, limit, { halfOpen: true })
const pick = <A>(from: ReadonlyArray<A>) => Effect.map(below(from.length), (index) => from[index]!)

type GatedPool = InstancePool.InstancePool<Gates.Item, Gates.GateFailure>

/** Random operations on a pool whose instances fail, hang and die; answers with what the audit ends. */
const play = Effect.fnUntraced(function* (operations: number, sabotage?: (pool: GatedPool) => void) {
  const gated = Gates.make()
  const pooled = yield* open(
    {
      max: 4,
      prepare: yield* below(3),
      preparedMaxAge: yield* pick([100, "Infinity" as const]),
      onExhausted: yield* pick(["fail", "wait"] as const),
      acquireTimeout: 500,
      createTimeout: 100,
      destroyTimeout: 100,
      closeGrace: yield* pick([0, 100])
    },
    gated
  )
  const { pool } = pooled
  const auditor = yield* Auditor.make(pool, { callSites: false })
  sabotage?.(pool)
  const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
  const commands: ReadonlyArray<Effect.Effect<unknown, unknown, Scope.Scope>> = [
    Effect.flatMap(below(80), (millis) => InstancePool.use(pool, () => Effect.sleep(millis))),
    Effect.scoped(Effect.andThen(InstancePool.get(pool, { priority: 1 }), Effect.sleep(20))),
    InstancePool.use(pool, () => Effect.die("trap")),
    InstancePool.use(pool, (item) => InstancePool.invalidate(pool, item)),
    InstancePool.useIfAvailable(pool, () => Effect.sleep(10)),
    InstancePool.use(pool, () => Effect.never, { acquireTimeout: 10 }),
    Effect.scoped(
      Effect.andThen(
        InstancePool.use(pool, (item) => InstancePool.detach(pool, item)),
        Effect.sleep(30)
      )
    ),
    InstancePool.use(pool, (item) => Effect.andThen(Effect.scoped(InstancePool.detach(pool, item)), Effect.sleep(10)))
  ]
  for (let n = 0; n < operations; n++) {
    switch (yield* below(12)) {
      case 0:
        gated[yield* pick(["create", "destroy"] as const)] = yield* pick(gates)
        break
      case 1:
        gated.allWell()
        break
      case 2:
        yield* fork(Fiber.interrupt((yield* pick([...fibers, yield* fork(Effect.void)]))!))
        break
      case 3: {
        const max = 1 + (yield* below(5))
        yield* InstancePool.resize(pool, { min: yield* below(max + 1), max })
        break
      }
      case 4:
        yield* InstancePool.suspend(pool)
        break
      case 5:
        yield* InstancePool.resume(pool)
        break
      case 6:
        yield* TestClock.adjust(yield* below(60))
        break
      default:
        fibers.push(yield* fork(Effect.exit(yield* pick(commands))))
    }
    if (sabotage === undefined) {
      assert.deepStrictEqual((yield* Auditor.report(auditor)).discrepancies, [])
      assert.isAtMost(pool.store.retiring, pool.admission.destroying)
      assert.isAtLeast(pool.store.retiring, 0)
    }
  }
  yield* InstancePool.resume(pool)
  gated.allWell()
  yield* fork(Fiber.interruptAll(fibers))
  yield* TestClock.adjust("1 minute")
  yield* settle
  const atRest = Auditor.findingsUnsafe(auditor)
  if (pool.store.retiring > 0) atRest.push(`${pool.store.retiring} ends have been forgotten`)
  yield* fork(pooled.close)
  yield* TestClock.adjust("1 minute")
  return { report: yield* Auditor.report(auditor), findings: [...atRest, ...Auditor.findingsUnsafe(auditor)] }
})

describe("the auditor, over an instance pool", () => {
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
        assert.isAbove(leases, 500)
        assert.isAbove(items, 1000)
      }),
    60_000
  )

  it.effect("says which instance lives on without its lease", () =>
    Effect.gen(function* () {
      const { pool } = yield* open({ max: 2 })
      const auditor = yield* Auditor.make(pool)
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* InstancePool.use(pool, (item) => InstancePool.detach(pool, item))
          yield* TestClock.adjust("2 seconds")
          const [finding, ...others] = Auditor.findingsUnsafe(auditor)
          assert.match(finding!, /^item 1 lives on without a lease, detached for 2\.0 s, last taken .*auditor\.test/)
          assert.deepStrictEqual(others, [])
        })
      )
      yield* Auditor.expectAtRest(auditor)
    })
  )

  it.effect("finds an instance that is not given back, one time in three, among them", () =>
    Effect.gen(function* () {
      const sabotage = ({ store }: GatedPool) => {
        const giveBack = store.giveBack.bind(store)
        let calls = 0
        store.giveBack = (instance) => (++calls % 3 === 0 ? undefined : giveBack(instance))
      }
      const { findings } = yield* Random.withSeed(Effect.scoped(play(150, sabotage)), 7)
      assert.match(findings.join("\n"), /items are in use without a lease/)
    })
  )
})
