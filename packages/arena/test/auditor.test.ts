/** Thousands of random operations, of which an auditor keeps books of its own. */
import { type ArenaBacking, ArenaPool, BumpArena } from "@effect-pools/arena"
import { Auditor, Gates, Sandbox } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import { TestClock } from "effect/testing"
import { gated, type GatedArena, type GatedMemory } from "./subject.ts"

const fork = Effect.forkScoped({ startImmediately: true })

/** A gate of a step in plain code. */
const gates: ReadonlyArray<Gates.Gate> = ["ok", "ok", "ok", "ok", "fail", "die"]

const below = (limit: number) => Random.nextIntBetween(0, limit, { halfOpen: true })
const pick = <A>(from: ReadonlyArray<A>) => Effect.map(below(from.length), (index) => from[index]!)

type GatedPool = ArenaPool.ArenaPool<GatedMemory>

/** Fills more of an arena than it may have. */
const fill = (arena: GatedArena) =>
  Effect.flatMap(below(4), (count) => Effect.repeat(Effect.ignore(BumpArena.allocBytes(arena, 40)), { times: count }))

/** Random operations on a pool whose backing fails, in both forms of leases; answers with what the audit ends. */
const play = Effect.fnUntraced(function* (operations: number, sabotage?: (pool: GatedPool) => void) {
  const made = Gates.make()
  const options: ArenaPool.Options<GatedMemory> = {
    size: 64,
    backing: gated(made) as ArenaBacking.ArenaBacking<GatedMemory>,
    cap: yield* below(4),
    maxOutstanding: 5,
    overflow: yield* pick(["fail", "chain"] as const),
    clear: yield* pick(["none", "onReturn"] as const),
    checked: yield* pick([true, false]),
    acquireTimeout: 500,
    releaseIdleAfter: yield* pick([20, "Infinity" as const]),
    idleTimeToLive: yield* pick([50, "Infinity" as const]),
    closeGrace: yield* pick([0, 100])
  }
  const sandbox = yield* Sandbox.open(ArenaPool.make(options))
  const { pool } = sandbox
  const auditor = yield* Auditor.make(pool, { callSites: false })
  sabotage?.(pool)
  const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
  const checkedOut: Array<GatedArena> = []
  const commands: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
    Effect.flatMap(below(80), (millis) =>
      ArenaPool.use(pool, (arena) => Effect.andThen(fill(arena), Effect.sleep(millis)))
    ),
    Effect.scoped(Effect.andThen(Effect.flatMap(ArenaPool.get(pool, { priority: 1 }), fill), Effect.sleep(20))),
    ArenaPool.use(pool, () => Effect.die("a bug")),
    ArenaPool.use(pool, (arena) => ArenaPool.invalidate(pool, arena)),
    ArenaPool.useIfAvailable(pool, () => Effect.sleep(10)),
    ArenaPool.use(pool, () => Effect.never, { acquireTimeout: 10 }),
    Effect.try(() => checkedOut.push(ArenaPool.checkoutUnsafe(pool))),
    Effect.suspend(() => {
      const arena = checkedOut.pop()
      return arena === undefined ? Effect.void : Effect.sync(() => arena[Symbol.dispose]())
    }),
    ArenaPool.prewarm(pool, 2),
    ArenaPool.trim(pool, 1),
    ArenaPool.releaseIdle(pool)
  ]
  for (let n = 0; n < operations; n++) {
    switch (yield* below(12)) {
      case 0:
        made[yield* pick(["create", "destroy"] as const)] = yield* pick(gates)
        break
      case 1:
        made.allWell()
        break
      case 2:
        yield* fork(Fiber.interrupt((yield* pick([...fibers, yield* fork(Effect.void)]))!))
        break
      case 3:
        yield* ArenaPool.resize(pool, { max: 1 + (yield* below(5)) })
        break
      case 4:
        yield* ArenaPool.suspend(pool)
        break
      case 5:
        yield* ArenaPool.resume(pool)
        break
      case 6:
        yield* TestClock.adjust(yield* below(60))
        break
      default:
        fibers.push(yield* fork(Effect.exit(yield* pick(commands))))
    }
    if (sabotage === undefined) assert.deepStrictEqual((yield* Auditor.report(auditor)).discrepancies, [])
  }
  yield* ArenaPool.resume(pool)
  made.allWell()
  yield* fork(Fiber.interruptAll(fibers))
  for (const arena of checkedOut) ArenaPool.giveBackUnsafe(pool, arena)
  yield* TestClock.adjust("1 minute")
  yield* Sandbox.settle
  const atRest = Auditor.findingsUnsafe(auditor)
  yield* fork(sandbox.close)
  yield* TestClock.adjust("1 minute")
  const findings = [...atRest, ...Auditor.findingsUnsafe(auditor), ...made.audit(0)]
  return { report: yield* Auditor.report(auditor), findings }
})

describe("the auditor, over an arena pool", () => {
  it.effect(
    "finds nothing in thousands of random operations",
    () =>
      Effect.gen(function* () {
        let leases = 0
        let items = 0
        for (let seed = 1; seed <= 60; seed++) {
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

  it.effect("finds an arena that is not given back, one time in three, among them", () =>
    Effect.gen(function* () {
      const sabotage = ({ store }: GatedPool) => {
        const giveBack = store.giveBack.bind(store)
        let calls = 0
        store.giveBack = (...args) => (++calls % 3 === 0 ? undefined : giveBack(...args))
      }
      const { findings } = yield* Random.withSeed(Effect.scoped(play(150, sabotage)), 7)
      assert.match(findings.join("\n"), /items are in use without a lease/)
    })
  )
})
