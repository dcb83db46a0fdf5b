/**
 * The program: opens everything, runs the stages, closes everything, and says what it found.
 */
import { Budget, PoolRegistry } from "@effect-pools/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Database from "./database.ts"
import { activeHandles, noHandlesLeft } from "./handles.ts"
import { allHeld, invariant, type Invariant, serviceResumed } from "./invariants.ts"
import { run, Run } from "./load.ts"
import type { Options } from "./options.ts"
import type { Findings, Part } from "./part.ts"
import * as BudgetPart from "./parts/budget.ts"
import * as ConnectionPart from "./parts/connection.ts"
import * as FramesPart from "./parts/frames.ts"
import * as PartnersPart from "./parts/partners.ts"
import * as PluginsPart from "./parts/plugins.ts"
import * as ReceiptsPart from "./parts/receipts.ts"
import * as Progress from "./progress.ts"
import { type DemoResult, type PartResult, requestsOf, stageResult } from "./result.ts"
import * as Server from "./server.ts"
import { stages } from "./stages.ts"

/**
 * Runs the demo. Interrupting it ends the stage under way in good order and closes everything.
 */
export const demo = Effect.fnUntraced(function* (options: Options, isTerminal: boolean) {
  const before = yield* activeHandles
  const result = yield* Effect.scoped(
    Effect.gen(function* () {
      const server = yield* Server.open
      const database = yield* Database.open(server.url)
      const partsScope = yield* Effect.acquireRelease(Scope.make(), (scope, exit) => Scope.close(scope, exit))
      const parts = yield* Scope.provide(open(database), partsScope)
      const runs = yield* runStages(parts, options, isTerminal)
      const settled = yield* Effect.forEach(parts, (part) => part.settled)
      yield* Scope.close(partsScope, Exit.void)
      const closed = yield* Effect.forEach(parts, (part) => part.closed)
      return {
        server: server.isOwn ? ("own" as const) : ("given" as const),
        runs,
        parts: parts.map((part, index) => partResult(part, [settled[index]!, closed[index]!]))
      }
    })
  )
  const stageResults = result.runs.map(stageResult)
  const invariants = [
    everyRequestEnded(result.runs),
    // The last stage comes after the faults.
    serviceResumed(stageResults.at(-1)?.outcomes ?? {}),
    yield* noPoolLeft,
    yield* noHandlesLeft(before)
  ]
  return {
    server: result.server,
    seconds: options.seconds,
    concurrency: options.concurrency,
    stages: stageResults,
    requests: requestsOf(stageResults),
    parts: result.parts,
    invariants,
    held: allHeld([...invariants, ...result.parts.flatMap((part) => part.invariants)])
  } satisfies DemoResult
})

/** Connections to the database, lines to partners and threads: together fewer than their pools could have each. */
const openBudget = Effect.orDie(Budget.make({ name: "handles", max: 12 }))

/** Every kind of pool at work. */
const open = Effect.fnUntraced(function* (database: Database.Database) {
  const budget = yield* openBudget
  const receipts = yield* ReceiptsPart.open
  return [
    yield* ConnectionPart.open(database, budget, receipts.print),
    yield* PluginsPart.open(budget),
    receipts,
    yield* PartnersPart.open(budget),
    yield* FramesPart.open,
    yield* BudgetPart.open(budget)
  ]
})

const runStages = Effect.fnUntraced(function* (parts: ReadonlyArray<Part>, options: Options, isTerminal: boolean) {
  const runs: Array<Run> = []
  for (const stage of stages) {
    const current = new Run(stage, options, yield* Clock.currentTimeMillis)
    runs.push(current)
    yield* Effect.raceFirst(run(current, parts), Progress.show(current, isTerminal)).pipe(
      Effect.ensuring(Progress.end(current, isTerminal))
    )
  }
  return runs
})

const partResult = ({ name }: Part, findings: ReadonlyArray<Findings>): PartResult => ({
  name,
  pools: findings.flatMap(({ pools }) => pools ?? []),
  facts: Object.assign({}, ...findings.map(({ facts }) => facts ?? {})),
  invariants: findings.flatMap(({ invariants }) => invariants)
})

const everyRequestEnded = (runs: ReadonlyArray<Run>): Invariant => {
  const sum = (f: (run: Run) => number): number => runs.reduce((sum, run) => sum + f(run), 0)
  const asked = sum(({ tally }) => tally.asked)
  const ended = sum(({ tally }) => tally.ended)
  const withoutType = sum(({ tally }) => tally.withoutType)
  return invariant(
    "every request was answered or failed with a typed error",
    asked > 0 && asked === ended && withoutType === 0,
    [
      `${asked} asked, ${asked - ended} without an end, ${withoutType} with a defect`,
      ...runs.flatMap(({ tally }) => tally.defects).slice(0, 1)
    ].join("; ")
  )
}

const noPoolLeft = Effect.map(PoolRegistry.PoolRegistry, (registry) => {
  const left = registry.list().map(({ name }) => name)
  return invariant("no pool is left in the registry", left.length === 0, left.length === 0 ? "empty" : left.join(", "))
})
