/**
 * What the demo found out, as a Schema: `--json` writes it.
 */
import { PoolStats } from "@effect-pools/core"
import * as Schema from "effect/Schema"
import { Invariant } from "./invariants.ts"
import type { Run } from "./load.ts"

const Outcomes = Schema.Record(Schema.String, Schema.Number)

/**
 * What became of the requests of a stage. Times are in milliseconds; the latency is that of answered requests.
 */
const StageResult = Schema.Struct({
  name: Schema.String,
  users: Schema.Number,
  took: Schema.Number,
  requests: Schema.Number,
  perSecond: Schema.Number,
  outcomes: Outcomes,
  latency: PoolStats.TimeSummary
})

const PartResult = Schema.Struct({
  name: Schema.String,
  pools: Schema.Array(PoolStats.PoolStats),
  facts: Schema.Record(Schema.String, Schema.Number),
  invariants: Schema.Array(Invariant)
})

export const DemoResult = Schema.Struct({
  server: Schema.Literals(["own", "given"]),
  seconds: Schema.Number,
  concurrency: Schema.Number,
  stages: Schema.Array(StageResult),
  requests: Schema.Struct({
    asked: Schema.Number,
    answered: Schema.Number,
    perSecond: Schema.Number,
    outcomes: Outcomes
  }),
  parts: Schema.Array(PartResult),
  /** Those of no part in particular. */
  invariants: Schema.Array(Invariant),
  held: Schema.Boolean
})

export type StageResult = typeof StageResult.Type
export type PartResult = typeof PartResult.Type
export type DemoResult = typeof DemoResult.Type

export const stageResult = ({ stage, tally, took, users }: Run): StageResult => ({
  name: stage.name,
  users,
  took,
  requests: tally.asked,
  perSecond: perSecond(tally.answered, took),
  outcomes: Object.fromEntries(tally.outcomes),
  latency: tally.latency.summary()
})

/** Over all stages. */
export const requestsOf = (stages: ReadonlyArray<StageResult>): DemoResult["requests"] => {
  const outcomes: Record<string, number> = {}
  for (const stage of stages) {
    for (const [outcome, count] of Object.entries(stage.outcomes)) outcomes[outcome] = (outcomes[outcome] ?? 0) + count
  }
  const answered = outcomes["ok"] ?? 0
  return {
    asked: stages.reduce((sum, { requests }) => sum + requests, 0),
    answered,
    perSecond: perSecond(
      answered,
      stages.reduce((sum, { took }) => sum + took, 0)
    ),
    outcomes
  }
}

const perSecond = (count: number, millis: number): number => (millis === 0 ? 0 : Math.round((count / millis) * 1000))
