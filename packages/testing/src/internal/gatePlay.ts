import { Pool, PoolEvent } from "@effect-pools/core"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { Combination } from "../GateCombinations.ts"
import { type Gate, type GateFailure, Gates, type Item, type Step } from "../Gates.ts"
import type { Settings, Subject } from "../Subject.ts"
import { pseudoRandom } from "./pseudoRandom.ts"
import { World } from "./world.ts"

interface Play {
  readonly cancellations: number
  readonly observations: number
  readonly begun: { readonly [S in Step]: number }
  readonly faults: ReadonlyArray<string>
}

const MAX = 3

const settings = {
  name: "gated",
  max: MAX,
  acquireTimeout: 400,
  createTimeout: 100,
  destroyTimeout: 100,
  closeGrace: 300,
  maxCreating: 2,
  steps: ["validate", "reset", "check"]
} satisfies Settings

/** In which every idle item comes to be checked. */
const A_ROUND = 31_000

/** In which every step that does not end is given up. */
const A_WHILE = 8000

/** How often a caller is interrupted: once in so many steps. */
const STEPS_PER_CANCELLATION = 40

/** More faults of one run tell nothing new. */
const ENOUGH = 5

/** Runs the program once, and looks at the pool before every step. */
export const playGates = async <A>(
  subject: Subject<A>,
  combination: Combination,
  seed: number,
  closesInTheMiddle: boolean
): Promise<Play> => {
  const random = pseudoRandom(seed)
  const below = (limit: number) => Math.floor(random() * limit)
  // Spans cost a tenth of the time, and waiting with one is a way of its own: in a part of the runs.
  const world = new World([3, 5, 17, 2048][below(4)], seed, below(4) === 0)
  const { runtime } = world
  const gates = new Gates()
  const scope = Scope.makeUnsafe()
  const min = subject.lacks.minimum === undefined && below(4) === 0 ? 2 : 0
  const concurrency = subject.lacks.sharing === undefined && below(4) === 0 ? 2 : 1
  const pool = await world.finish(Scope.provide(subject.make(gates, { ...settings, min, concurrency }), scope))
  const watch = new Watch(pool, gates, combination, subject.lacks.grace === undefined)
  const callers = new Callers({ subject, world, gates, pool, below, concurrency })
  let observations = 0
  const goOn = async (millis: number, until: () => boolean = () => false) => {
    const horizon = runtime.now + millis
    let wasReached = false
    await runtime.run(() => {
      observations++
      watch.look()
      if (below(STEPS_PER_CANCELLATION) === 0) callers.cancelOne()
      wasReached = until()
      return wasReached
    }, horizon)
    if (!wasReached) runtime.now = horizon
  }
  const come = async (count: number, between: number) => {
    for (let n = 0; n < count; n++) {
      callers.start()
      if (between > 0) await goOn(below(between))
    }
  }
  const command = async (effect: Effect.Effect<void, unknown>) => {
    const fiber = world.fork(effect)
    await goOn(0, () => fiber.pollUnsafe() !== undefined)
  }
  const resize = async (max: number) => {
    watch.max = Math.max(watch.max, max)
    await command(Pool.resize(pool, { min: Math.min(min, max), max }))
    watch.max = max
  }

  // There are items for all that follows; from now on things go as they should not.
  await world.finish(Effect.scoped(Effect.all(Array.from({ length: MAX }, () => subject.get(pool)))))
  const before = begunOf(gates)
  Object.assign(gates, combination)
  await come(below(2) * 4, 0)
  await come(4, 3)
  callers.invalidateOne()
  await goOn(below(30))
  await come(2, 3)
  // Into the middle of a check, if there are checks.
  const { checks } = gates
  await goOn(A_ROUND, () => gates.checks > checks)
  await come(4, 3)
  if (below(2) === 0) {
    await resize(1)
    await come(2, 3)
    await goOn(A_WHILE)
    watch.expectAtMost(1)
  } else {
    await command(Pool.suspend(pool))
    await come(3, 3)
    await command(Pool.resume(pool))
    await goOn(A_WHILE)
  }
  watch.expectAnswers(callers, "when there was time")
  await come(2, 3)
  await resize(MAX)
  await come(2, 3)
  await goOn(below(200))
  if (closesInTheMiddle) {
    await come(5, 0)
    await goOn(below(3))
  } else {
    gates.allWell()
    await goOn(A_WHILE)
    watch.expectAnswers(callers, "when all is well again")
    watch.faults.push(...world.inUse())
    await callers.expectPlaces(watch.faults, "together", Effect.void, Effect.void)
    if (subject.lacks.waiting === undefined) {
      await callers.expectPlaces(watch.faults, "after a suspension", Pool.suspend(pool), Pool.resume(pool))
      const shrink = Pool.resize(pool, { min: Math.min(min, 1), max: 1 })
      await callers.expectPlaces(watch.faults, "after growing", shrink, Pool.resize(pool, { min, max: MAX }))
    }
  }
  let few = below(8)
  const close = Scope.close(scope, Exit.void)
  const closing = world.fork(below(3) === 0 ? Effect.andThen(Pool.drain(pool, 50 + below(300)), close) : close)
  await goOn(0, () => few-- <= 0)
  await come(2, 3)
  await goOn(A_WHILE)
  watch.expectAnswers(callers, "after the close")
  if (closing.pollUnsafe() === undefined) watch.faults.push("closing does not end")
  watch.expectNothingLeft(world)
  const after = begunOf(gates)
  for (const step of Object.keys(after) as Array<Step>) after[step] -= before[step]
  return { cancellations: callers.cancelled.size, observations, begun: after, faults: watch.faults.slice(0, ENOUGH) }
}

const begunOf = (gates: Gates): { [S in Step]: number } => ({
  create: gates.attempts,
  validate: gates.validations,
  reset: gates.resets,
  check: gates.checks,
  destroy: gates.items.filter((item) => item.destroying > 0).length
})

interface Given<A> {
  readonly subject: Subject<A>
  readonly world: World
  readonly gates: Gates
  readonly pool: Pool.Pool<A, GateFailure>
  readonly below: (limit: number) => number
  readonly concurrency: number
}

/** Callers of every sort. */
class Callers<A> {
  readonly running = new Set<Fiber.Fiber<unknown, unknown>>()
  readonly cancelled = new Set<Fiber.Fiber<unknown, unknown>>()
  /** What callers were told that nobody should be told. */
  readonly complaints: Array<string> = []
  readonly #invalidated = new Set<Item>()
  readonly #given: Given<A>

  constructor(given: Given<A>) {
    this.#given = given
  }

  start(): void {
    const fiber = this.#given.world.fork(this.#call())
    this.running.add(fiber)
    fiber.addObserver((exit) => {
      this.running.delete(fiber)
      if (Exit.isSuccess(exit)) return
      if (Cause.hasInterrupts(exit.cause) && !this.cancelled.has(fiber)) {
        this.complaints.push("a caller ends as if it were interrupted")
      }
      for (const reason of exit.cause.reasons) {
        if (reason._tag === "Die" && String(reason.defect).includes("BUG")) this.complaints.push(String(reason.defect))
      }
    })
  }

  #call(): Effect.Effect<unknown, unknown> {
    const { below, pool, subject } = this.#given
    const bodies = [
      Effect.void,
      Effect.yieldNow,
      Effect.sleep(5),
      Effect.sleep(20),
      Effect.fail("body"),
      Effect.die("body")
    ]
    const body = this.#holding(bodies[below(bodies.length)]!)
    switch (below(7)) {
      case 0:
        return Effect.scoped(Effect.flatMap(subject.get(pool), body))
      case 1:
        return subject.use(pool, body, { acquireTimeout: 10 })
      case 2:
        return subject.use(pool, body, { acquireTimeout: 0 })
      case 3:
        return Pool.useIfAvailable(pool, body)
      case 4:
        return Effect.withSpan(subject.use(pool, body), "test")
      default:
        return subject.use(pool, body)
    }
  }

  #holding(body: Effect.Effect<unknown, unknown>): (value: A) => Effect.Effect<unknown, unknown> {
    const { concurrency, gates, subject } = this.#given
    return (value) => {
      const item = subject.item(value)
      // Who shares it may have got it before, and begin only now.
      const isInvalid = concurrency === 1 && this.#invalidated.has(item)
      if (isInvalid) this.complaints.push(`item ${item.id} was handed out after its invalidation`)
      return gates.holding(item, body, concurrency)
    }
  }

  cancelOne(): void {
    const fibers = Array.from(this.running).filter((fiber) => !this.cancelled.has(fiber))
    const fiber = fibers[this.#given.below(fibers.length)]
    if (fiber === undefined) return
    this.cancelled.add(fiber)
    fiber.interruptUnsafe()
  }

  /** Has the next body that gets an item tell the pool that it is no good. */
  invalidateOne(): void {
    const { pool, subject, world } = this.#given
    const invalidate = (value: A) =>
      Effect.andThen(
        Pool.invalidate(pool, value),
        Effect.suspend(() => {
          this.#invalidated.add(subject.item(value))
          return Effect.yieldNow
        })
      )
    const fiber = world.fork(subject.use(pool, (value) => this.#holding(invalidate(value))(value)))
    this.running.add(fiber)
    fiber.addObserver(() => this.running.delete(fiber))
  }

  /** Takes all places together, so that none waits for another: those who come after `before` have them by `after`. */
  async expectPlaces(
    faults: Array<string>,
    when: string,
    before: Effect.Effect<void, unknown>,
    after: Effect.Effect<void, unknown>
  ): Promise<void> {
    const { concurrency, pool, subject, world } = this.#given
    const places = MAX * concurrency
    let inHands = 0
    const hold = this.#holding(
      Effect.suspend(() => {
        inHands++
        return Effect.sleep(50)
      })
    )
    await world.finish(before)
    const holders = Array.from({ length: places }, () => world.fork(subject.use(pool, hold, { acquireTimeout: 40 })))
    await world.runtime.advance(5)
    const early = inHands
    await world.finish(after)
    await world.runtime.advance(10)
    const { lifecycle, pending } = pool.admission
    if (inHands !== places || pending > 0) faults.push(`${when}: ${inHands} of ${places} places work, ${pending} wait`)
    if (before !== after && lifecycle === "open" && early === places) faults.push(`${when}: nobody had to wait`)
    await world.runtime.advance(100)
    const failed = holders.filter((holder) => holder.pollUnsafe()?._tag !== "Success").length
    if (failed > 0) faults.push(`${when}: ${failed} of ${places} uses fail`)
  }
}

/** What has to be true of the pool at any time. */
class Watch<A> {
  readonly faults: Array<string> = []
  max = MAX
  readonly #pool: Pool.Pool<A, GateFailure>
  readonly #gates: Gates
  /** Items that the pool has given up may be there beside those it has. */
  readonly #isExact: boolean
  readonly #isEndless: boolean
  readonly #hasGrace: boolean
  #allowed = MAX
  /** How many leases had begun when the pool no longer let anybody in. */
  #acquired: number | undefined

  constructor(
    pool: Pool.Pool<A, GateFailure>,
    gates: Gates,
    { create, destroy, ...others }: Combination,
    hasGrace: boolean
  ) {
    this.#pool = pool
    this.#gates = gates
    this.#hasGrace = hasGrace
    const isGivenUp = (gate: Gate) => gate === "hang" || gate === "stuck" || typeof gate === "object"
    this.#isExact = !isGivenUp(destroy) && typeof create !== "object"
    this.#isEndless = destroy === "hang" || [create, destroy, ...Object.values(others)].includes("stuck")
  }

  look(): void {
    if (this.faults.length >= ENOUGH) return
    const { creating, destroying, idle, lifecycle, live, observer, pending, used } = this.#pool.admission
    // After a shrink there may be more, but only on the way down.
    this.#allowed = Math.max(this.max, Math.min(this.#allowed, live))
    const counts = () => JSON.stringify({ idle, used, creating, destroying, pending })
    if (idle + used + creating + destroying > this.#allowed) {
      this.faults.push(`there may be ${this.#allowed} items: ${counts()}`)
    }
    if (Math.min(idle, used, creating, destroying, pending) < 0) this.faults.push(`a count is negative: ${counts()}`)
    let gone = 0
    for (const reason of PoolEvent.destroyReasons) gone += observer.destroyed[reason]
    const here = observer.created - gone
    if (here < idle + used || here > idle + used + destroying) {
      this.faults.push(`${observer.created} created, ${gone} destroyed: ${counts()}`)
    }
    const isOver = lifecycle === "draining" || lifecycle === "closed"
    if (isOver) this.#acquired ??= observer.acquired
    if (isOver && observer.acquired !== this.#acquired) this.faults.push("somebody is let in after the close began")
    let present = 0
    for (const item of this.#gates.items) {
      if (item.destroyed === 0) present++
      if (item.holders > 0 && item.destroying > 0 && (this.#hasGrace || !isOver)) {
        this.faults.push(`item ${item.id} is destroyed under its holder`)
      }
      if (item.destroying > 1) this.faults.push(`item ${item.id} is destroyed ${item.destroying} times`)
    }
    if (this.#isExact && present > this.#allowed) {
      this.faults.push(`${present} items are there, ${this.#allowed} may be: ${counts()}`)
    }
  }

  /** After a shrink, when there was time for everything to end. */
  expectAtMost(max: number): void {
    const { live } = this.#pool.admission
    if (live > max) this.faults.push(`${live} items are left after the pool has shrunk to ${max}`)
  }

  expectAnswers({ complaints, running }: Callers<A>, when: string): void {
    if (running.size > 0) this.faults.push(`${when}: ${running.size} callers have no answer`)
    const { pending, used } = this.#pool.admission
    if (pending > 0) this.faults.push(`${when}: ${pending} are pending`)
    if (used > 0) this.faults.push(`${when}: ${used} items are in use by nobody`)
    this.faults.push(...complaints.splice(0))
  }

  expectNothingLeft(world: World): void {
    // Without a grace an item may be gone before its holder has begun.
    if (this.#hasGrace) this.faults.push(...this.#gates.faults)
    this.faults.push(...world.leftovers(this.#isEndless))
    for (const item of this.#gates.items) {
      if (item.holders > 0) this.faults.push(`item ${item.id} is in use`)
      if (item.destroying !== 1) this.faults.push(`item ${item.id} was destroyed ${item.destroying} times`)
      if (!this.#isEndless && item.destroyed !== 1) this.faults.push(`the end of item ${item.id} has not ended`)
    }
  }
}
