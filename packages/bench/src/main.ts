/** `pnpm bench`: measures, prints tables, and writes them into the documentation. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
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
import { MARGIN, regressionsOf } from "./regressions.ts"
import { document, ratiosTable, type Results, timesTable } from "./report.ts"
import { type Effort, parseSettings, type Settings, USAGE } from "./settings.ts"

type MakeCases = (effort: Effort) => Effect.Effect<ReadonlyArray<Case>, unknown, Scope.Scope>

const groups: Record<string, MakeCases> = {
  uncontended: makeUncontended,
  scoped: makeScoped,
  contended: makeContended,
  crowds: makeCrowds,
  peers: makePeers,
  observed: makeObserved,
  instances: makeInstances,
  "lock-free": makeLockFree,
  plugins: makePlugins,
  arenas: makeArenas,
  resources: makeResourceCases,
  shared: makeShared
}

/** What every pool stands on, and what can be said of in half a minute. */
const checked = ["uncontended", "scoped", "contended"]

/** The groups to be measured, and which of their cases. */
const select = ({ isCheck, only }: Settings): readonly [ReadonlyArray<MakeCases>, (name: string) => boolean] => {
  const names = Object.keys(groups)
  const isWhole = (name: string) => (isCheck ? checked.includes(name) : only !== undefined && name.includes(only))
  const whole = names.filter(isWhole)
  const chosen = whole.length > 0 ? whole : names
  return [chosen.map((name) => groups[name]!), (name) => whole.length > 0 || only === undefined || name.includes(only)]
}

const documentation = join(import.meta.dirname, "../../../docs/benchmarks")
const resultsFile = join(documentation, "results.json")

const measureAll = Effect.fnUntraced(function* (settings: Settings) {
  const results: Array<CaseResult> = []
  const [makers, isChosen] = select(settings)
  for (const makeCases of makers) {
    // The pools of one group are closed before the next one's are made.
    yield* Effect.scoped(
      Effect.gen(function* () {
        for (const case_ of yield* makeCases(settings)) {
          if (!isChosen(case_.name)) continue
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
  if (settings.isCheck || settings.isQuick || settings.only !== undefined) return
  mkdirSync(documentation, { recursive: true })
  writeFileSync(resultsFile, json)
  writeFileSync(join(documentation, "README.md"), document(results))
}

/** Not floors: those fit into caches that no pool fits into, and a busy machine has less of them. */
const isPeer = (against: string): boolean => against.startsWith("Pool.")

/** Says what has become slower; the process fails if anything has. */
const compare = (cases: ReadonlyArray<CaseResult>): void => {
  const recorded = JSON.parse(readFileSync(resultsFile, "utf8")) as Results
  const regressions = regressionsOf(cases, recorded.cases, isPeer)
  for (const { against, name, now, recorded, title } of regressions) {
    console.log(
      `${title}: ${name} is ${now.toFixed(2)} times as fast as ${against}; recorded is ${recorded.toFixed(2)}`
    )
  }
  console.log(
    regressions.length === 0 ? `\nNothing is below ${MARGIN} of what is recorded.` : "\nSlower than recorded."
  )
  if (regressions.length > 0) process.exitCode = 1
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
  if (settings.isCheck) compare(cases)
  write({ date: new Date().toISOString(), command: "pnpm bench", machine, versions, cases }, settings)
}
