import type { InvalidOptions } from "@effect-pools/core"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Gates, Item } from "../Gates.ts"
import type * as Subject from "../Subject.ts"
import { Callers } from "./callers.ts"
import { type Case, type Command, inWords } from "./cases.ts"
import { finish, type Places } from "./ending.ts"
import { hear } from "./hear.ts"
import { Look } from "./look.ts"
import { perform, pick } from "./perform.ts"
import { type AnyPool, type Violation, World } from "./world.ts"

/** What a model run knows of a kind of pool. */
export interface Kind<P extends AnyPool, O, C> {
  readonly subject: Subject.Subject<any>
  readonly make: (
    gates: Gates,
    settings: Subject.Settings,
    options: O
  ) => Effect.Effect<P, InvalidOptions.InvalidOptions, Scope.Scope>
  readonly isSpecial: (command: Command | C) => command is C
  readonly run: (pool: P, command: C, item: Item | undefined) => Effect.Effect<unknown, unknown>
  readonly look: (pool: P) => Iterable<string>
  readonly trust: (options: O) => number
  readonly places: (max: number, concurrency: number, options: O) => number
}

/** What came of a case. */
export interface Outcome {
  readonly violation: Violation | undefined
  /** How often the pool was looked at. */
  readonly steps: number
  /** A line for each command that was begun, with the states of the model and of the pool after it. */
  readonly story: ReadonlyArray<string>
}

/** Plays the commands of a case on a new pool, until they are over or something is wrong. */
export const play = async <P extends AnyPool, O, C>(kind: Kind<P, O, C>, input: Case<O, C>): Promise<Outcome> => {
  const world = new World<P>(input.settings, kind.subject.lacks)
  const callers = new Callers(world, kind.subject, kind.trust(input.options))
  const look = new Look(world, callers, kind.look)
  const places: Places = (max) => kind.places(max, world.settings.concurrency, input.options)
  const story: Array<string> = []
  const tell = (at: number, what: string): void => {
    story.push(`${at} ms  ${what}`, `    model: ${world.model.inWords()}`, `    pool:  ${world.poolInWords()}`)
  }
  await world.open(kind.make(world.observedGates(), world.settings, input.options), hear(world, callers))
  world.onStep = () => look.atStep()
  await world.advance(0)
  look.atRest()
  for (const command of input.commands) {
    if (world.violation !== undefined) break
    const at = world.now
    if (kind.isSpecial(command)) {
      const { gates, pool } = world
      world.runtime.fork(kind.run(pool, command, pick(gates.items, whichOf(command))))
    } else {
      await perform(world, callers, command, places)
    }
    const steps = (command as { readonly steps?: number }).steps
    if (steps === undefined) {
      await world.advance(0)
      look.atRest()
    } else {
      await world.steps(steps)
    }
    tell(at, inWords(command as object))
  }
  if (world.violation === undefined) {
    const at = world.now
    await finish(world, callers, places)
    tell(at, "the end: all is well, everything goes back, the pool closes")
  }
  return { violation: world.violation, steps: world.runtime.steps, story }
}

const whichOf = (command: unknown): number | undefined => (command as { readonly which?: number }).which
