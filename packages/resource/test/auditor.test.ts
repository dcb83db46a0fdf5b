/** Thousands of random operations, of which an auditor keeps books of its own. */
import type { PoolEvent } from "@effect-pools/core"
import { Resource, ResourcePool } from "@effect-pools/resource"
import { Auditor, type Gates, Sandbox } from "@effect-pools/testing"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"

import { TestClock } from "effect/testing"
import { open, type Probe, type World } from "./support.ts"

const fork = Effect.forkScoped({ startImmediately: true })

const below = (limit: number) => Random.nextIntBetween(0, limit, { halfOpen: true })
const pick = <A>(from: ReadonlyArray<A>) => Effect.map(below(from.length), (index) => from[index]!)

/** Nothing takes longer than its timeout: then what the pool counts is what there is. */
const calm: ReadonlyArray<Gates.Gate> = [
  "ok",
  "ok",
  "ok",
  "fail",
  "die",
  5,
  40,
  { late: 30 },
  { late: 20, ending: "fail" }
]
/** But for a release that never ends: that resource is lost. */
const wild: ReadonlyArray<Gates.Gate> = [...calm, "interrupt", 2500, { late: 3000 }, { late: 1500, ending: "die" }]

/** `POOL_LONG` plays many more, new ones each time. */
const isLong = process.env["POOL_LONG"] === "1"
const seeds = isLong ? { first: Date.now() % 1_000_000_000, count: 5000 } : { first: 1, count: 60 }

type AnyHolding = Probe["resource"]["holding"]

const precedes = (
  one: { readonly priority: number; readonly order: number },
  other: { readonly priority: number; readonly order: number }
) => (one.priority === other.priority ? one.order < other.order : one.priority > other.priority)

/** Looks at a pool in the middle of each of its steps, and between them. */
class Inspector {
  readonly wrong: Array<string> = []
  readonly #probes: ReadonlyArray<Probe>
  readonly #pool: ResourcePool.ResourcePool
  readonly #book: World["book"]
  readonly #isCalm: boolean
  /** Which resource an item is, and when it was last used. */
  readonly #items = new Map<number, { readonly holding: AnyHolding; since: number }>()
  #uses = 0
  /** For each resource that is being released, whether another had been idle for longer. */
  readonly #passedOver = new Map<AnyHolding, boolean>()

  constructor({ book, pool }: World, probes: ReadonlyArray<Probe>, isCalm: boolean) {
    this.#pool = pool
    this.#probes = probes
    this.#book = book
    this.#isCalm = isCalm
    pool.admission.observer.listen((event) => this.#heard(event))
    book.onRelease = ({ resource }) => this.#releasing(resource.holding)
  }

  get #holdings(): ReadonlyArray<AnyHolding> {
    return this.#probes.map(({ resource }) => resource.holding)
  }

  get #taken(): number {
    return (this.#pool.store.details() as { readonly taken: number }).taken
  }

  #heard(event: PoolEvent.PoolEvent): void {
    switch (event._tag) {
      case "ItemCreating":
        return this.#creating()
      case "ItemCreated": {
        const holding = this.#holdings.find(({ allocation }) => allocation?.id === event.item)
        if (holding === undefined) this.wrong.push(`item ${event.item} is of no resource`)
        else this.#items.set(event.item, { holding, since: ++this.#uses })
        return
      }
      case "LeaseReleased":
        this.#items.get(event.item)!.since = ++this.#uses
        return
      case "LeaseAcquired":
        return this.#acquired(event.item)
      case "ItemDestroyed": {
        const { holding } = this.#items.get(event.item)!
        this.#items.delete(event.item)
        if (event.reason === "reclaimed" && this.#passedOver.get(holding) === true) {
          this.wrong.push(`${holding.name} was released, and another had been idle for longer`)
        }
      }
    }
  }

  #releasing(holding: AnyHolding): void {
    const sinces = Array.from(this.#items.values())
    const own = sinces.find((item) => item.holding === holding)
    const idle = sinces.filter((item) => item.holding !== holding && item.holding.state === "idle")
    this.#passedOver.set(holding, own !== undefined && idle.some(({ since }) => since < own.since))
  }

  /** Nobody who could be served is passed over, and there is room. */
  #creating(): void {
    const { max } = this.#pool.admission
    if (this.#taken > max) this.wrong.push(`${this.#taken} places of ${max} are taken`)
    const own = this.#holdings.filter((it) => it.state === "allocating").map((it) => it.waiters.first())
    const last = own.filter((it) => it !== undefined)
    for (const { isFree, name, waiters } of this.#holdings) {
      const first = waiters.first()
      if (!isFree || first === undefined || last.length === 0) continue
      if (last.every((it) => precedes(first, it))) this.wrong.push(`${name} has waited longer`)
    }
  }

  #acquired(item: number): void {
    const { holding } = this.#items.get(item) ?? {}
    if (holding === undefined) return void this.wrong.push(`item ${item} is not known`)
    const waiter = holding.allocation?.holder?.waiter
    for (const other of holding.waiters) {
      if (waiter !== undefined && precedes(other, waiter)) this.wrong.push(`a caller of ${holding.name} was overtaken`)
    }
  }

  /** What must be true whenever nothing is being done this instant. */
  look(): void {
    const { admission } = this.#pool
    const holdings = this.#holdings
    const weighs = (...states: ReadonlyArray<string>) =>
      holdings.filter(({ state }) => states.includes(state)).reduce((sum, { weight }) => sum + weight, 0)
    const taken = this.#taken
    const settled = weighs("idle", "used", "releasing")
    if (taken < settled || taken > settled + weighs("allocating"))
      this.wrong.push(`${taken} places are taken, not ${settled}`)
    if (this.#isCalm && this.#book.taken !== taken)
      this.wrong.push(`${this.#book.taken} are there, ${taken} places taken`)
    const count = (state: string) => holdings.filter((holding) => holding.state === state).length
    if (count("idle") !== admission.idle) this.wrong.push(`${count("idle")} are idle, ${admission.idle} are counted`)
    if (count("used") !== admission.used) this.wrong.push(`${count("used")} are used, ${admission.used} are counted`)
    const waiting = holdings.reduce((sum, { waiters }) => sum + waiters.size, 0)
    if (waiting !== admission.pending) this.wrong.push(`${waiting} wait, ${admission.pending} are counted`)
    if (admission.lifecycle !== "open") return
    const ready = holdings.filter(({ isFree, waiters }) => isFree && waiters.size > 0)
    for (const { name, state } of ready) if (state === "idle") this.wrong.push(`${name} is idle, and waited for`)
    ready.sort((one, other) => (precedes(one.waiters.first()!, other.waiters.first()!) ? -1 : 1))
    const first = ready[0]
    if (first !== undefined && taken + first.weight <= admission.max)
      this.wrong.push(`${first.name} could be allocated`)
    const wanted = ready.reduce((sum, { weight }) => sum + weight, 0)
    if (count("idle") > 0 && taken - weighs("releasing") + wanted > admission.max) {
      this.wrong.push("resources are idle whose places are needed")
    }
  }
}

interface Rules {
  readonly isCalm: boolean
  readonly operations: number
  readonly seed: number
  readonly sabotage?: (pool: ResourcePool.ResourcePool) => void
}

/** Random operations on many resources; answers with what is wrong in the end. */
const play = Effect.fnUntraced(function* ({ isCalm, operations, sabotage, seed }: Rules) {
  const most = 6
  const world = yield* open({
    max: most,
    acquireTimeout: 500,
    allocateTimeout: isCalm ? 1000 : 50,
    releaseTimeout: isCalm ? 1000 : 1200,
    closeGrace: yield* pick([0, 100]),
    maxWaiters: yield* pick([Infinity, 12])
  })
  const { book, pool } = world
  const probes = yield* Effect.forEach(Array.from({ length: 14 }), (_, n) =>
    world.probe(`r${n}`, 1 + (n % 4 === 0 ? n % 3 : 0), n % 2 === 1)
  )
  const inspector = new Inspector(world, probes, isCalm)
  const auditor = yield* Auditor.make(pool, { callSites: false })
  sabotage?.(pool)
  const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
  const gates = isCalm ? calm : wild
  const some = pick(probes)
  const sleep = Effect.flatMap(below(60), Effect.sleep)
  const use = (body: (probe: Probe) => Effect.Effect<unknown, unknown>, options?: Resource.GetOptions) =>
    Effect.flatMap(some, (probe) => Resource.use(probe.resource, (value) => probe.holding(value, body(probe)), options))
  const commands: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
    use(() => sleep),
    use(() => sleep),
    use(() => sleep, { priority: 1 }),
    use(() => sleep, { acquireTimeout: 30 }),
    use(() => sleep, { wait: false }),
    use(() => sleep, { acquireTimeout: 0 }),
    use(() => Effect.die("a bug")),
    use(({ resource }) => Effect.andThen(sleep, Resource.release(resource))),
    use(() => use(() => sleep)),
    Effect.scoped(
      Effect.flatMap(some, ({ resource }) =>
        Effect.andThen(Resource.get(resource), Effect.andThen(sleep, Resource.scheduleRelease(resource)))
      )
    ),
    Effect.flatMap(some, (probe) =>
      Resource.use(probe.resource, (value) => Effect.andThen(ResourcePool.invalidate(pool, value), sleep))
    ),
    Effect.flatMap(some, ({ resource }) => Resource.useIfAvailable(resource, () => sleep)),
    Effect.flatMap(some, ({ resource }) => Resource.scheduleRelease(resource)),
    Effect.flatMap(some, ({ resource }) => Resource.release(resource))
  ]
  for (let n = 0; n < operations; n++) {
    switch (yield* below(14)) {
      case 0: {
        const probe = yield* some
        if ((yield* below(2)) === 0) probe.release = yield* pick(gates)
        // Every second one can be interrupted.
        else
          probe.allocate = yield* pick(isCalm || probes.indexOf(probe) % 2 === 0 ? gates : [...gates, "hang" as const])
        break
      }
      case 1: {
        const probe = yield* some
        probe.allocate = probe.release = "ok"
        break
      }
      case 2:
        yield* fork(Fiber.interrupt((yield* pick([...fibers, yield* fork(Effect.void)]))!))
        break
      case 3:
        yield* ResourcePool.resize(pool, { max: 1 + (yield* below(most)) })
        break
      case 4:
        yield* (yield* below(3)) === 0 ? ResourcePool.suspend(pool) : ResourcePool.resume(pool)
        break
      case 5:
      case 6:
        yield* TestClock.adjust(yield* below(50))
        break
      default:
        fibers.push(yield* fork(Effect.exit(yield* pick(commands))))
    }
    inspector.look()
    if (sabotage !== undefined) continue
    const { discrepancies } = yield* Auditor.report(auditor)
    assert.deepStrictEqual([...discrepancies, ...inspector.wrong, ...book.faults], [], `seed ${seed}`)
  }
  yield* ResourcePool.resume(pool)
  yield* ResourcePool.resize(pool, { max: most })
  for (const probe of probes) probe.allocate = probe.release = "ok"
  yield* fork(Fiber.interruptAll(fibers))
  yield* TestClock.adjust("1 minute")
  yield* Sandbox.settle
  inspector.look()
  const atRest = Auditor.findingsUnsafe(auditor)
  if (sabotage === undefined) {
    // Each of them works.
    const all = yield* Effect.forEach(probes, (probe) => fork(Effect.exit(probe.use())))
    yield* TestClock.adjust(1)
    assert.isTrue(
      (yield* Fiber.awaitAll(all)).every((exit) => exit._tag === "Success" && exit.value._tag === "Success")
    )
  }
  yield* fork(world.close)
  yield* TestClock.adjust("1 minute")
  const findings = [...atRest, ...Auditor.findingsUnsafe(auditor), ...inspector.wrong, ...book.faults]
  if (sabotage === undefined) {
    findings.push(...Sandbox.leftovers(world))
    if (book.taken !== 0) findings.push(`${book.taken} places are taken in the end`)
  }
  return { report: yield* Auditor.report(auditor), findings }
})

describe("the auditor, over a resource pool", () => {
  for (const [how, isCalm] of [
    ["with steps that fail", true],
    ["with steps that hang, and go on when they are given up", false]
  ] as const) {
    it.effect(
      `finds nothing in thousands of random operations ${how}`,
      () =>
        Effect.gen(function* () {
          let leases = 0
          let items = 0
          for (let seed = seeds.first; seed < seeds.first + seeds.count; seed++) {
            const { findings, report } = yield* Random.withSeed(
              Effect.scoped(play({ isCalm, operations: 150, seed })),
              seed
            )
            assert.deepStrictEqual(findings, [], `seed ${seed}`)
            assert.deepInclude(report, { state: "closed", items: [], leaks: [] }, `seed ${seed}`)
            leases += report.acquired
            items += report.destroyed
          }
          assert.isAbove(leases, 1000)
          assert.isAbove(items, 500)
        }),
      isLong ? 3_600_000 : 60_000
    )
  }

  it.effect("finds a resource that is not given back, one time in three, among them", () =>
    Effect.gen(function* () {
      const sabotage = ({ store }: ResourcePool.ResourcePool) => {
        const giveBack = store.giveBack.bind(store)
        let calls = 0
        store.giveBack = (...args) => (++calls % 3 === 0 ? undefined : giveBack(...args))
      }
      const { findings } = yield* Random.withSeed(
        Effect.scoped(play({ isCalm: true, operations: 150, seed: 7, sabotage })),
        7
      )
      assert.match(findings.join("\n"), /items are in use without a lease/)
    })
  )
})
