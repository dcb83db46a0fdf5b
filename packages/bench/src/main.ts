/** `pnpm bench`: measures, prints tables, and writes them into the documentation. */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { makeArenas } from "./cases/arenas.ts"
import { makeContended } from "./cases/contended.ts"
import { makeCrowds } from "./cases/crowds.ts"
import { makeInstances } from "./cases/instances.ts"
import { makeLockFree } from "./cases/lockFree.ts"
import { makeObserved } from "./cases/observed.ts"
import { makePeers } from "./cases/peers.ts"
import { makePlugins } from "./cases/plugins.ts"
import { makeResourceCases } from "./cases/resources.ts"
import { makeScoped } from "./cases/scoped.ts"
import { makeShared } from "./cases/shared.ts"
import { makeUncontended } from "./cases/uncontended.ts"
import { type Case, type CaseResult, measure } from "./harness.ts"
import { describeMachine, describeVersions } from "./machine.ts"
import { document, ratiosTable, type Results, timesTable } from "./report.ts"
import { type Effort, parseSettings, type Settings, USAGE } from "./settings.ts"

const groups: ReadonlyArray<(effort: Effort) => Effect.Effect<ReadonlyArray<Case>, unknown, Scope.Scope>> = [
  makeUncontended,
  makeScoped,
  makeContended,
  makeCrowds,
  makePeers,
  makeObserved,
  makeInstances,
  makeLockFree,
  makePlugins,
  makeArenas,
  makeResourceCases,
  makeShared
]

const documentation = join(import.meta.dirname, "../../../docs/benchmarks")

const measureAll = Effect.fnUntraced(function* (settings: Settings) {
  const results: Array<CaseResult> = []
  for (const makeCases of groups) {
    // The pools of one group are closed before the next one's are made.
    yield* Effect.scoped(
      Effect.gen(function* () {
        for (const case_ of yield* makeCases(settings)) {
          if (settings.only !== undefined && !case_.name.includes(settings.only)) continue
          const result = yield* Effect.promise(() => measure(case_))
          console.log(`\n${result.title}\n\n${timesTable(result)}`)
          results.push(result)
        }
      })
    )
  }
  return results
})

const write = (results: Results, settings: Settings): void => {
  const json = `${JSON.stringify(results, undefined, 2)}\n`
  if (settings.json !== undefined) return writeFileSync(settings.json, json)
  if (settings.isQuick || settings.only !== undefined) return
  mkdirSync(documentation, { recursive: true })
  writeFileSync(join(documentation, "results.json"), json)
  writeFileSync(join(documentation, "README.md"), document(results))
}

const settings = parseSettings(process.argv.slice(2))
if (settings === undefined) {
  console.log(USAGE)
} else {
  const machine = describeMachine()
  const versions = describeVersions()
  console.log(`${machine.cpu}, ${machine.cores} cores; Node ${versions.node}, effect ${versions.effect}`)
  const cases = await Effect.runPromise(measureAll(settings))
  console.log(`\nRatios\n\n${ratiosTable(cases)}`)
  write({ date: new Date().toISOString(), command: "pnpm bench", machine, versions, cases }, settings)
}
