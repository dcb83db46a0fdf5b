/** `pnpm bench`: measures, prints tables, and writes them into the documentation. */
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import { groups, select } from "./groups.ts"
import { type CaseResult, measure } from "./harness.ts"
import { describeMachine, describeVersions } from "./machine.ts"
import { checkedPart, recordedIn, regressionsOf } from "./regressions.ts"
import { costsTable, figuresOf, pagesOf, ratiosTable, type Results } from "./report.ts"
import { parseSettings, type Settings, USAGE } from "./settings.ts"

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
          const chosen = settings.isCheck ? checkedPart(case_) : isChosen(case_.name) ? case_ : undefined
          if (chosen === undefined) continue
          const result = yield* Effect.promise(() => measure(chosen))
          console.log(`\n${result.title}\n\n${costsTable(result)}`)
          results.push(result)
        }
      })
    )
  }
  return results
})

/** Finds out before anything is measured whether there will be a place for what was. */
const checkPlace = ({ json, isWritten }: Settings): void => {
  if (isWritten) mkdirSync(documentation, { recursive: true })
  const file = json ?? (isWritten ? resultsFile : undefined)
  if (file === undefined) return
  const isThere = existsSync(file)
  closeSync(openSync(file, "a"))
  if (!isThere) rmSync(file)
}

const write = async (results: Results, { isWritten, json }: Settings): Promise<void> => {
  if (json !== undefined) writeFileSync(json, figuresOf(results))
  if (!isWritten) return
  for (const [file, text] of await pagesOf(results)) writeFileSync(join(documentation, file), text)
}

/** Says what has become worse; the process fails if anything has. */
const compare = (cases: ReadonlyArray<CaseResult>, recorded: ReadonlyArray<CaseResult>): void => {
  const { compared, regressions, unrecorded } = regressionsOf(cases, recorded)
  for (const { against, bound, name, now, recorded, title } of regressions) {
    console.log(
      `${title}: ${name} is ${now.toFixed(2)} times as fast or small as ${against}; recorded is ${recorded.toFixed(2)},` +
        ` and it must be ${bound.toFixed(2)} at least`
    )
  }
  if (compared === 0) fail("Nothing of this is recorded: there is nothing to compare with.")
  else if (regressions.length > 0) fail("\nMuch worse than recorded.")
  else console.log(`\nNothing is much worse than recorded, in ${compared} comparisons; ${unrecorded} are not recorded.`)
}

const fail = (reason: string): void => {
  console.error(reason)
  process.exitCode = 1
}

const run = async (settings: Settings): Promise<void> => {
  const recorded = settings.isCheck ? recordedIn(readFileSync(resultsFile, "utf8")) : []
  checkPlace(settings)
  const machine = describeMachine()
  const versions = describeVersions()
  console.log(`${machine.cpu}, ${machine.cores} cores; Node ${versions.node}, effect ${versions.effect}`)
  const cases = await Effect.runPromise(measureAll(settings))
  if (cases.length === 0) {
    const names = Object.keys(groups)
    const isGroup = names.some((name) => settings.only === undefined || name.includes(settings.only))
    return fail(
      isGroup
        ? "Nothing was measured."
        : `No group and no case is called ${settings.only}. Groups: ${names.join(", ")}.`
    )
  }
  if (cases.some(({ comparisons }) => comparisons.length > 0)) console.log(`\nRatios\n\n${ratiosTable(cases)}`)
  if (settings.isCheck) compare(cases, recorded)
  await write({ date: new Date().toISOString(), command: "pnpm bench", machine, versions, cases }, settings)
}

try {
  const settings = parseSettings(process.argv.slice(2))
  if (settings === undefined) console.log(USAGE)
  else await run(settings)
} catch (error) {
  fail(error instanceof Error ? error.message : String(error))
}
