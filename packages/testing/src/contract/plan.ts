import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Gate, Step } from "../Gates.ts"
import type { Settings, Subject, Trait } from "../Subject.ts"
import { open, type World } from "./world.ts"

/** The numbers of the invariants, and the words for them in the names of cases. */
export const invariants = {
  1: "cap",
  2: "exactly once",
  3: "no stranded waiter",
  4: "order",
  5: "no slot is lost",
  6: "isolation",
  7: "clean hand-out",
  8: "deadlines are absolute",
  9: "close completes",
  10: "time",
  11: "no retry storms",
  12: "nothing is silent"
} as const

export type Invariant = keyof typeof invariants

/** A case before it is known which kind of pool it is for. */
export interface Plan {
  readonly invariant: Invariant | undefined
  readonly name: string
  readonly needs: ReadonlyArray<Trait>
  /** Traits without which the case makes sense only. */
  readonly without: ReadonlyArray<Trait>
  readonly run: (subject: Subject<any>) => Effect.Effect<void, unknown, Scope.Scope>
}

interface Needs {
  readonly needs?: ReadonlyArray<Trait>
  readonly without?: ReadonlyArray<Trait>
}

interface Setup extends Needs, Partial<Settings> {
  /** How steps go from the start. */
  readonly gates?: Partial<Record<Step, Gate>>
  /** Some work that the case starts never ends: its fiber is allowed to be left behind. */
  readonly leavesWork?: boolean
}

/** Plans of one invariant, or of one part of the common interface. */
export const group = (of: Invariant | string) => {
  const invariant = typeof of === "number" ? of : undefined
  const prefix = typeof of === "number" ? `invariant ${of} (${invariants[of]})` : of
  const plan = (says: string, { needs = [], without = [] }: Needs, run: Plan["run"]): Plan => ({
    invariant,
    name: `${prefix}: ${says}`,
    needs,
    without,
    run
  })
  return {
    /** A case about one pool, which is closed at the end and must then have left nothing behind. */
    pool: (
      says: string,
      { gates, leavesWork = false, needs = [], without = [], ...settings }: Setup,
      body: (world: World) => Effect.Effect<unknown, unknown, Scope.Scope>
    ): Plan =>
      plan(says, { needs, without }, (subject) =>
        Effect.gen(function* () {
          const world = yield* open(subject, settings, gates)
          yield* body(world)
          yield* world.finish(leavesWork)
        })
      ),
    /** A case that makes its pools itself. */
    kind: plan
  }
}
