import { type InvalidOptions, Pool, PoolError, type PoolEvent, type PoolStats } from "@effect-pools/core"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import * as Gates from "../Gates.ts"
import * as Sandbox from "../Sandbox.ts"
import type { Settings, Subject } from "../Subject.ts"
import { ContractViolation, equal } from "./expect.ts"

export type AnyPool = Pool.Pool<any, Gates.GateFailure>

/** What a caller is told, and when: `served`, the tag of a failure or of a pool error's reason, `defect`, `interrupted`. */
export interface Answer {
  readonly answer: string
  readonly at: number
}

/** A lease that a fiber holds, or waits for, until it is released. */
export interface Holder {
  readonly fiber: Fiber.Fiber<unknown, unknown>
  readonly item: () => Gates.Item | undefined
  readonly value: () => unknown
  readonly release: Effect.Effect<void>
}

/** A pool of the subject's kind over gates, in a sandbox, with what cases do to it. */
export class World {
  readonly subject: Subject<any>
  readonly gates: Gates.Gates
  readonly sandbox: Sandbox.Sandbox<AnyPool>
  readonly pool: AnyPool
  readonly events: Array<PoolEvent.PoolEvent>
  readonly logs: Array<string>
  readonly close: Effect.Effect<void>
  /** The most items there were at one time by the pool's own counts, looked at with every event. */
  most = 0
  readonly #sharers: number
  readonly #fibers: Array<Fiber.Fiber<unknown, unknown>> = []

  constructor(subject: Subject<any>, gates: Gates.Gates, sandbox: Sandbox.Sandbox<AnyPool>, sharers: number) {
    this.subject = subject
    this.gates = gates
    this.sandbox = sandbox
    this.pool = sandbox.pool
    this.events = sandbox.events
    this.logs = sandbox.logs
    this.close = sandbox.close
    this.#sharers = sharers
    this.pool.admission.observer.listen(() => {
      const { creating, destroying, idle, used } = this.counts()
      this.most = Math.max(this.most, idle + used + creating + destroying)
    })
  }

  // What cases do

  has(trait: keyof Subject<any>["lacks"]): boolean {
    return this.subject.lacks[trait] === undefined
  }

  /** Takes an item for a body, which counts itself among the item's holders. */
  use<B, E, R>(
    body: (item: Gates.Item, value: any) => Effect.Effect<B, E, R>,
    options?: Pool.AcquireOptions
  ): Effect.Effect<B, unknown, R> {
    return this.subject.use(this.pool, (value) => this.holding(value, body), options)
  }

  get(options?: Pool.AcquireOptions): Effect.Effect<unknown, unknown, Scope.Scope> {
    return this.subject.get(this.pool, options)
  }

  holding<B, E, R>(
    value: unknown,
    body: (item: Gates.Item, value: any) => Effect.Effect<B, E, R>
  ): Effect.Effect<B, E, R> {
    const item = this.subject.item(value)
    return this.gates.holding(
      item,
      Effect.suspend(() => body(item, value)),
      this.#sharers
    )
  }

  /** Starts a fiber that the end of the case interrupts, and does not wait for: in a broken pool it may never end. */
  start<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Fiber.Fiber<A, E>, never, R> {
    return Effect.map(Effect.forkDetach(effect, { startImmediately: true }), (fiber) => {
      this.#fibers.push(fiber)
      return fiber
    })
  }

  readonly interruptAll = Effect.sync(() => {
    for (const fiber of this.#fibers) fiber.interruptUnsafe()
  })

  /** Starts a lease that is held until it is released. */
  hold(options?: Pool.AcquireOptions): Effect.Effect<Holder> {
    return Effect.suspend(() => {
      const end = Deferred.makeUnsafe<void>()
      let got: { readonly item: Gates.Item; readonly value: unknown } | undefined
      const body = this.use((item, value) => {
        got = { item, value }
        return Deferred.await(end)
      }, options)
      return Effect.map(this.start(body), (fiber) => ({
        fiber,
        item: () => got?.item,
        value: () => got?.value,
        release: Effect.andThen(Deferred.succeed(end, undefined), settle)
      }))
    })
  }

  /** Holds that many leases, which must be there at once. */
  readonly holdMany = Effect.fnUntraced({ self: this }, function* (this: World, count: number) {
    const held: Array<Holder> = []
    for (let n = 0; n < count; n++) held.push(yield* this.hold())
    yield* settle
    yield* equal("leases held at once", held.filter((holder) => holder.item() !== undefined).length, count)
    return held
  })

  /** Asks for an item and gives it back at once. */
  call(options?: Pool.AcquireOptions): Effect.Effect<Answer> {
    return this.answer(this.use(() => Effect.void, options))
  }

  answer(effect: Effect.Effect<unknown, unknown>): Effect.Effect<Answer> {
    return Effect.flatMap(Effect.exit(effect), (exit) =>
      Effect.map(Clock.currentTimeMillis, (at) => ({ answer: answerOf(exit), at }))
    )
  }

  /** A step takes this long, if steps of this kind of pool may take time. */
  slow(step: Gates.Step, millis: number): void {
    if (this.has("time")) this.gates[step] = millis
  }

  invalidate(value: unknown): Effect.Effect<void> {
    return Pool.invalidate(this.pool, value)
  }

  // What cases look at

  counts(): Counts {
    const { creating, destroying, idle, pending, used } = Pool.statsUnsafe(this.pool)
    return { idle, used, creating, destroying, pending }
  }

  get stats(): PoolStats.PoolStats {
    return Pool.statsUnsafe(this.pool)
  }

  get live(): number {
    const { creating, destroying, idle, used } = this.counts()
    return idle + used + creating + destroying
  }

  tagged<Tag extends PoolEvent.PoolEvent["_tag"]>(
    tag: Tag
  ): Array<Extract<PoolEvent.PoolEvent, { readonly _tag: Tag }>> {
    return this.events.filter((event) => event._tag === tag) as never
  }

  /** What must hold whenever nobody uses the pool and nothing is going on in it, whatever happened before. */
  readonly atRest = Effect.fnUntraced({ self: this }, function* (this: World) {
    const { idle } = this.counts()
    yield* equal("counts at rest", this.counts(), { idle, used: 0, creating: 0, destroying: 0, pending: 0 })
    const { acquired, released } = this.stats
    yield* equal("leases released, of those acquired", released, acquired)
    yield* equal("what is wrong with the items", this.gates.audit(idle), [])
  })

  /** All places can be taken at once. */
  readonly everyPlaceWorks = Effect.fnUntraced({ self: this }, function* (this: World) {
    this.gates.allWell()
    const held = yield* this.holdMany(this.stats.max * this.#sharers)
    for (const { release } of held) yield* release
    yield* this.atRest()
  })

  /** Ends whatever a case has left going on, closes the pool, and looks for what should not be there any more. */
  readonly finish = Effect.fnUntraced({ self: this }, function* (this: World, leavesWork: boolean) {
    this.gates.allWell()
    yield* this.interruptAll
    yield* settle
    const closing = yield* this.start(this.close)
    yield* settle
    if (closing.pollUnsafe() === undefined) yield* TestClock.adjust("1 hour")
    yield* equal("invariant 9: closing ends", closing.pollUnsafe() !== undefined, true)
    yield* settle
    yield* this.gone(leavesWork)
  })

  /** Nothing of a closed pool is left anywhere, and it says so. */
  readonly gone = Effect.fnUntraced({ self: this }, function* (this: World, leavesWork = false) {
    yield* equal("invariant 2: what is wrong with the items", this.gates.audit(0), [])
    const destroyed = this.tagged("ItemDestroyed").map(({ item }) => item)
    yield* equal("invariant 2: items told to be destroyed twice", destroyed.length, new Set(destroyed).size)
    const { acquired, released, state } = this.stats
    yield* equal("invariant 2: leases released, of those acquired", released, acquired)
    yield* equal("invariant 9: state", state, "closed")
    yield* equal("invariant 9: counts of a closed pool", this.counts(), nothing)
    yield* equal("invariant 9: Closed events", this.tagged("Closed").length, 1)
    const left = leavesWork ? this.sandbox.registry.list().map(({ name }) => name) : Sandbox.leftovers(this.sandbox)
    yield* equal("invariant 9: what a closed pool leaves behind", left, [])
  })
}

export interface Counts {
  readonly idle: number
  readonly used: number
  readonly creating: number
  readonly destroying: number
  readonly pending: number
}

export const nothing: Counts = { idle: 0, used: 0, creating: 0, destroying: 0, pending: 0 }

export const { settle } = Sandbox

/** Opens a pool of the subject's kind with steps that go as `gates` says. */
export const open: (
  subject: Subject<any>,
  settings: Partial<Settings>,
  given?: Partial<Record<Gates.Step, Gates.Gate>>
) => Effect.Effect<World, InvalidOptions.InvalidOptions, Scope.Scope> = Effect.fnUntraced(function* (
  subject,
  settings,
  given = {}
) {
  const gates = Object.assign(Gates.make(), given)
  const sandbox: Sandbox.Sandbox<AnyPool> = yield* Sandbox.open(subject.make(gates, { steps: [], ...settings }))
  const world = new World(subject, gates, sandbox, settings.concurrency ?? 1)
  yield* Effect.addFinalizer(() => world.interruptAll)
  return world
})

/** How a fiber has ended; a violation if it has not. */
export const ended = <A, E>(
  what: string,
  fiber: Fiber.Fiber<A, E>
): Effect.Effect<Exit.Exit<A, E>, ContractViolation> => {
  const exit = fiber.pollUnsafe()
  return exit === undefined
    ? new ContractViolation({ what, expected: "to have ended", actual: "still going on" })
    : Effect.succeed(exit)
}

/** What a call that must have ended was answered. */
export const answered = (what: string, fiber: Fiber.Fiber<Answer>): Effect.Effect<Answer, ContractViolation> =>
  Effect.flatMap(ended(what, fiber), (exit) => exit)

/** All those calls have been answered like this. */
export const allAnswered = Effect.fnUntraced(function* (
  what: string,
  fibers: ReadonlyArray<Fiber.Fiber<Answer>>,
  answer: string
) {
  const answers = yield* Effect.forEach(fibers, (fiber) => answered(what, fiber))
  yield* equal(
    what,
    answers.map((it) => it.answer),
    answers.map(() => answer)
  )
})

export const answerOf = (exit: Exit.Exit<unknown, unknown>): string => {
  if (exit._tag === "Success") return "served"
  if (Cause.hasInterruptsOnly(exit.cause)) return "interrupted"
  if (Cause.hasDies(exit.cause)) return "defect"
  const error = Cause.squash(exit.cause)
  if (error instanceof PoolError.PoolError) return error.reason._tag
  return typeof error === "object" && error !== null && "_tag" in error ? String(error._tag) : String(error)
}
