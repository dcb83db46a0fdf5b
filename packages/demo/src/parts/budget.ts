/**
 * The budget that pools of several kinds share.
 */
import { Budget } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { eventually } from "../eventually.ts"
import { invariant } from "../invariants.ts"
import type { Part } from "../part.ts"

/** How often it is looked at, in milliseconds. */
const interval = 5

export const open = (budget: Budget.Budget): Effect.Effect<Part, never, Scope.Scope> =>
  Effect.gen(function* () {
    const seen = { samples: 0, most: 0, inLine: 0 }
    const look = Effect.map(Budget.stats(budget), ({ inLine, members }) => {
      seen.samples++
      seen.most = Math.max(seen.most, takenBy(members))
      if (inLine > 0) seen.inLine++
    })
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(look, Effect.sleep(interval))))
    return {
      name: "budget",
      requests: [],
      faults: Effect.void,
      settled: Effect.map(Budget.stats(budget), ({ max, members }) => ({
        facts: {
          "permits taken at most": seen.most,
          "samples in which a pool stood in line": seen.inLine,
          ...Object.fromEntries(members.map(({ name, taken }) => [`taken by ${name}`, taken]))
        },
        invariants: [
          invariant(
            "pools together never had more than their budget",
            seen.samples > 0 && seen.most > 0 && seen.most <= max,
            `at most ${seen.most} of ${max} in ${seen.samples} samples`
          )
        ]
      })),
      closed: Effect.map(
        eventually(Budget.stats(budget), ({ free, max }) => free === max),
        ({ free, max }) => ({
          invariants: [invariant("all permits are back", free === max, `${free} of ${max} free`)]
        })
      )
    } satisfies Part
  })

const takenBy = (members: Budget.BudgetStats["members"]): number => members.reduce((sum, { taken }) => sum + taken, 0)
