/** Thousands of random operations in plain code and in effects, of which an auditor keeps books of its own. */
import { LockFreePool } from "@effect-pools/lock-free"
import { Auditor, Gates, Sandbox } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import { TestClock } from "effect/testing"
import { settle } from "./lockFreeSupport.ts"
import { stepsOf } from "./subject.ts"

type Guard = LockFreePool.Guard<Gates.Item>
type GatedPool = LockFreePool.LockFreePool<Gates.Item, Gates.GateFailure>

const below = (limit: number) => Random.nextIntBetween(0, limit, { halfOpen: true })
const pick = <A>(from: ReadonlyArray<A>) => Effect.map(below(from.length), (index) => from[index]!)

const scales: ReadonlyArray<LockFreePool.Scale> = [
  { mode: "static", count: 3 },
  { mode: "auto", initial: 1, maximum: 4, chunk: 0 },
  { mode: "auto", maximum: 6, chunk: 3 }
]

const take = (pool: GatedPool): Guard | undefined => {
  try {
    return LockFreePool.getUnsafe(pool)
  } catch {
    // `create` is made to fail.
    return undefined
  }
}

/** Random operations on a pool whose items fail in every step; answers with what the audit ends. */
const play = Effect.fnUntraced(function* (operations: number, sabotage?: (pool: GatedPool) => void) {
  const gates = Gates.make()
  const { close, pool } = yield* Sandbox.open(
    LockFreePool.make<Gates.Item, Gates.GateFailure>({
      ...stepsOf(gates),
      scale: yield* pick(scales),
      wait: yield* pick([true, false]),
      acquireTimeout: 500,
      closeGrace: yield* pick([0, 100])
    })
  )
  const auditor = yield* Auditor.make(pool, { callSites: false })
  sabotage?.(pool)
  const guards: Array<Guard> = []
  const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
  const commands = [
    Effect.flatMap(below(80), (millis) => LockFreePool.use(pool, () => Effect.sleep(millis))),
    Effect.scoped(Effect.andThen(LockFreePool.get(pool), Effect.sleep(20))),
    LockFreePool.use(pool, () => Effect.die("trap")),
    LockFreePool.use(pool, (item) => LockFreePool.invalidate(pool, item)),
    LockFreePool.useIfAvailable(pool, () => Effect.sleep(10))
  ]
  for (let n = 0; n < operations; n++) {
    switch (yield* below(12)) {
      case 0:
        gates[yield* pick(["create", "reset", "destroy"] as const)] = yield* pick([
          "ok",
          "fail",
          "die",
          "false"
        ] as const)
        break
      case 1:
        gates.allWell()
        break
      case 2:
        if (fibers.length > 0) yield* Fiber.interrupt(yield* pick(fibers))
        break
      case 3: {
        const max = 1 + (yield* below(6))
        yield* LockFreePool.resize(pool, { min: yield* pick([0, max]), max })
        break
      }
      case 4:
        yield* LockFreePool.suspend(pool)
        break
      case 5:
        yield* LockFreePool.resume(pool)
        break
      case 6:
        yield* TestClock.adjust(yield* below(60))
        break
      case 7:
      case 8: {
        const guard = take(pool)
        if (guard !== undefined) guards.push(guard)
        break
      }
      case 9:
      case 10:
        if (guards.length > 0) guards.splice(yield* below(guards.length), 1)[0]![Symbol.dispose]()
        break
      default:
        fibers.push(yield* Effect.forkScoped(Effect.exit(yield* pick(commands)), { startImmediately: true }))
    }
    yield* settle
  }
  gates.allWell()
  yield* LockFreePool.resume(pool)
  for (const guard of guards) guard[Symbol.dispose]()
  yield* TestClock.adjust(1000)
  for (const fiber of fibers) yield* Fiber.interrupt(fiber)
  yield* settle
  const atRest = Auditor.findingsUnsafe(auditor)
  const closing = yield* Effect.forkChild(close, { startImmediately: true })
  yield* TestClock.adjust(1000)
  if (sabotage === undefined) yield* Fiber.join(closing)
  return { findings: [...atRest, ...Auditor.findingsUnsafe(auditor)], report: yield* Auditor.report(auditor) }
})

describe("an audit", () => {
  it.effect(
    "finds nothing wrong with a lock-free pool, whatever happens to its items",
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
        assert.isAbove(items, 200)
      }),
    60_000
  )

  it.effect("finds an item that is not given back, one time in three, among them", () =>
    Effect.gen(function* () {
      const sabotage = ({ store }: GatedPool) => {
        const giveBack = store.giveBack.bind(store)
        let calls = 0
        store.giveBack = (item, lease, exit, now) => (++calls % 3 === 0 ? undefined : giveBack(item, lease, exit, now))
      }
      const { findings } = yield* Random.withSeed(Effect.scoped(play(150, sabotage)), 7)
      assert.match(findings.join("\n"), /in use without a lease/)
    })
  )
})
