import { Pool } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { type GateFailure, Gates } from "../Gates.ts"
import type { Definition, Stage } from "../InterruptSweep.ts"
import type { Settings, Subject } from "../Subject.ts"

/**
 * What a scenario of a pool has at hand.
 *
 * @category models
 * @since 0.1.0
 */
export class PoolStage<A> {
  readonly stage: Stage
  readonly subject: Subject<A>
  readonly settings: Settings
  readonly gates: Gates
  readonly pool: Pool.Pool<A, GateFailure>
  /** For a lease whose scope somebody else closes. */
  readonly scope: Scope.Closeable = Scope.makeUnsafe()

  constructor(stage: Stage, subject: Subject<A>, settings: Settings, gates: Gates, pool: Pool.Pool<A, GateFailure>) {
    this.stage = stage
    this.subject = subject
    this.settings = settings
    this.gates = gates
    this.pool = pool
  }

  get concurrency(): number {
    return this.settings.concurrency ?? 1
  }

  /** How many leases the pool can have at a time. */
  get places(): number {
    return this.pool.admission.max * this.concurrency
  }

  /** The body of a lease: notices an item in too many hands, and one whose end has begun. */
  readonly body =
    <B, E, R>(effect: Effect.Effect<B, E, R>) =>
    (value: A): Effect.Effect<B, E, R> =>
      this.gates.holding(this.subject.item(value), effect, this.concurrency)

  /** A lease around a body that yields once. */
  get use(): Effect.Effect<unknown, unknown> {
    return this.subject.use(this.pool, this.body(Effect.yieldNow))
  }

  /** The same through a scope. */
  get get(): Effect.Effect<unknown, unknown> {
    return Effect.scoped(Effect.flatMap(this.subject.get(this.pool), this.body(Effect.yieldNow)))
  }

  /** Leaves this many idle items; by default as many as there is room for. */
  warm(count = this.pool.admission.max): Effect.Effect<unknown, unknown> {
    const leases = Array.from({ length: count }, () => this.subject.get(this.pool))
    return Effect.scoped(Effect.all(leases))
  }

  /** Takes every place for 20 ms, in fibers beside the program. */
  readonly occupy: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    const { observer } = this.pool.admission
    for (let n = 0; n < this.places; n++) {
      this.stage.beside(this.subject.use(this.pool, this.body(Effect.sleep(20))))
    }
    while (observer.acquired - observer.released < this.places) yield* Effect.sleep(1)
  })
}

/**
 * A program around one pool that is opened before it.
 *
 * @category models
 * @since 0.1.0
 */
export interface PoolScenario<A> {
  readonly settings?: Partial<Settings> | undefined
  readonly prepare?: ((stage: PoolStage<A>) => Effect.Effect<unknown, unknown>) | undefined
  readonly program: (stage: PoolStage<A>) => Effect.Effect<unknown, unknown, Scope.Scope>
  readonly disturb?: ((stage: PoolStage<A>) => void) | undefined
}

/** The grace is longer than any rest, so that a lease that does not end holds up the close. */
const defaults: Settings = { name: "swept", max: 2, acquireTimeout: 5000, closeGrace: 30_000, steps: [] }

/**
 * Says what is wrong with a pool at rest, beyond what every pool can be asked.
 *
 * @category models
 * @since 0.1.0
 */
export type PoolAudit<A> = (pool: Pool.Pool<A, GateFailure>, gates: Gates) => ReadonlyArray<string>

export const onPool = <A>(
  subject: Subject<A>,
  { disturb, prepare, program, settings }: PoolScenario<A>,
  audit: PoolAudit<A> = () => []
): Definition<PoolStage<A>> => ({
  setup: (stage) =>
    Effect.gen(function* () {
      const gates = new Gates()
      const asked: Settings = { ...defaults, ...settings }
      const pool = yield* subject.make(gates, asked)
      const made = new PoolStage(stage, subject, asked, gates, pool)
      if (prepare !== undefined) yield* prepare(made)
      return made
    }),
  program: (stage) => program(stage),
  disturb: disturb && ((stage) => disturb(stage)),
  audit: (stage) =>
    Effect.gen(function* () {
      const { gates, pool } = stage
      const wrong = [...wrongAtRest(pool, gates), ...audit(pool, gates)]
      const { max } = stage.settings
      if (max !== undefined && gates.most > max) wrong.push(`there were ${gates.most} items at a time`)
      gates.allWell()
      yield* Pool.resume(pool)
      wrong.push(...(yield* everyPlaceWorks(stage)))
      // Time passes only when nothing is left to do: what the pool does with the returned items has happened.
      yield* Effect.sleep(1)
      return [...wrong, ...wrongAtRest(pool, gates), ...audit(pool, gates)]
    }),
  closed: ({ gates }) => gates.audit(0),
  // Without a grace items are destroyed under their holders.
  seconds: subject.lacks.grace === undefined ? undefined : ["interruptNeighbour"]
})

const wrongAtRest = <A>({ admission }: Pool.Pool<A, GateFailure>, gates: Gates): Array<string> => {
  const wrong = gates.audit(admission.idle)
  for (const item of gates.items) if (item.holders > 0) wrong.push(`item ${item.id} is in use`)
  const leases = Array.from(admission.store.leases()).length
  if (leases > 0) wrong.push(`${leases} leases are out`)
  return wrong
}

/** Takes all places together, so that none waits for another. */
const everyPlaceWorks = <A>({ body, places, pool, subject }: PoolStage<A>): Effect.Effect<Array<string>> =>
  Effect.gen(function* () {
    let inHands = 0
    let turns = 0
    const all: Effect.Effect<void> = Effect.suspend(() =>
      inHands === places || ++turns > 150 * places ? Effect.void : Effect.andThen(Effect.sleep(1), all)
    )
    const hold = body(
      Effect.suspend(() => {
        inHands++
        return all
      })
    )
    const holders = Array.from({ length: places }, () => Effect.exit(subject.use(pool, hold, { acquireTimeout: 100 })))
    const exits = yield* Effect.all(holders, { concurrency: "unbounded" })
    const wrong: Array<string> = []
    if (inHands !== places) wrong.push(`only ${inHands} of ${places} places work`)
    if (exits.some((exit) => exit._tag === "Failure")) wrong.push("a later use fails")
    return wrong
  })
