/** The results as tables, for a terminal and for the documentation. */
import { againstWhat, atLeast, type Goal, goalsOf, wordingOf } from "./goals.ts"
import type { CaseResult, ComparisonResult } from "./harness.ts"
import type { Machine, Versions } from "./machine.ts"
import { draw, plots } from "./plots.ts"
import type { Spread } from "./statistics.ts"

export interface Results {
  readonly date: string
  readonly command: string
  readonly machine: Machine
  readonly versions: Versions
  readonly cases: ReadonlyArray<CaseResult>
}

type Row = ReadonlyArray<string>

/** The results as a file of their own, to be read again. */
export const figuresOf = (results: Results): string => `${JSON.stringify(results, undefined, 2)}\n`

/** All files of the documentation, by their names; fails if the results lack what one of them tells. */
export const pagesOf = async (results: Results): Promise<ReadonlyArray<readonly [file: string, text: string]>> => [
  ...(await Promise.all(plots.map(async (plot) => [plot.file, await draw(plot, results.cases)] as const))),
  ["README.md", document(results)],
  ["results.json", figuresOf(results)]
]

export const costsTable = ({ contenders, operations, overhead, unit }: CaseResult): string => {
  // What is weighed once has none.
  const hasSpread = contenders.some(({ cost }) => cost.samples > 1)
  const hasNet = contenders.some(({ net }) => net !== undefined)
  const hasCollecting = contenders.some(({ collecting }) => collecting !== undefined)
  return table(
    [
      "",
      operations === 1 ? unit : `${unit} per operation`,
      ...(hasSpread ? ["quartiles", "min"] : []),
      ...(hasNet ? [`net of ${overhead}`] : []),
      ...(hasCollecting ? ["garbage collection, mean"] : [])
    ],
    contenders.map(({ collecting, cost, name, net }) => [
      name,
      whole(cost.median),
      ...(hasSpread ? [`${whole(cost.p25)} … ${whole(cost.p75)}`, whole(cost.min)] : []),
      ...(hasNet ? [net === undefined ? "" : whole(net.median)] : []),
      ...(hasCollecting ? [collecting === undefined ? "" : whole(collecting)] : [])
    ])
  )
}

export const ratiosTable = (cases: ReadonlyArray<CaseResult>): string =>
  table(
    ["case", "", "times as fast or small as", "ratio", "quartiles", "net", "goal", ""],
    cases.flatMap(({ comparisons, title }) =>
      comparisons.map((comparison) => [
        title,
        comparison.name,
        againstWhat(comparison),
        atLeast(comparison.ratio.median),
        quartiles(comparison.ratio),
        comparison.netRatio === undefined ? "" : atLeast(comparison.netRatio.median),
        comparison.goal === undefined ? "" : `≥ ${Number(comparison.goal.toFixed(2))}`,
        verdict(comparison)
      ])
    )
  )

const goalsTable = (goals: ReadonlyArray<Goal>): string =>
  table(
    ["case", "", "against", "goal", "measured", "quartiles", "", "why not"],
    goals.map((goal) => {
      const { against, because = "", isMet, name, title } = goal
      const { goal: bound, measured, quartiles } = wordingOf(goal)
      return [title, name, against, bound, measured, quartiles, verdict(goal), isMet ? "" : because]
    })
  )

export const document = (results: Results): string => {
  const { cases, command, date, machine, versions } = results
  const goals = goalsOf(cases)
  return `# Benchmarks

Written by \`${command}\`; all figures are in [results.json](./results.json). Measured ${date.slice(0, 10)} on ${machine.cpu},
${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.platform}; Node ${versions.node}, effect ${versions.effect}, effect-pools ${versions["effect-pools"]}.

All contenders of a case run in one process and take turns: each round runs every one of them once, in an order that
moves on from round to round, with a garbage collection before each. Figures are medians over the rounds. A ratio is taken
within each round, then the median over the rounds; it says how many times as fast the first one is, or how many times as
small what it keeps in memory, so a ratio to a floor is below 1. *Net* is with the cost of measuring itself subtracted, that
of an empty loop, say, measured in the same round. Goals are judged by the less favourable of the two. Compare ratios, not
times: the times are this machine's, with whatever else it did.

## Goals

${goals.filter(({ isMet }) => isMet).length} of ${goals.length} are met. *Measured* is in the words of the goal: how many times as fast, or how many times what the other
one costs.

${goalsTable(goals)}

${plots.map(({ file, title }) => `![${title}](./${file})`).join("\n\n")}

## Ratios

${ratiosTable(cases)}

## Figures

${cases.map(section).join("\n\n")}
`
}

const section = (result: CaseResult): string => {
  const { method, operations, rounds, title } = result
  const effort = `${rounds} rounds of ${operations === 1 ? "one operation" : `${whole(operations)} operations`}.`
  return `### ${title}\n\n${method}${rounds === 1 ? "" : ` ${effort}`}\n\n${costsTable(result)}`
}

const verdict = ({ isMet }: Pick<ComparisonResult, "isMet">): string =>
  isMet === undefined ? "" : isMet ? "met" : "**not met**"

const whole = (value: number): string => Math.round(value).toLocaleString("en")

const quartiles = (spread: Spread): string => `${atLeast(spread.p25)} … ${atLeast(spread.p75)}`

/** A table that reads well as text and is Markdown too. */
const table = (head: Row, rows: ReadonlyArray<Row>): string => {
  const widths = head.map((cell, column) => Math.max(3, cell.length, ...rows.map((row) => row[column]!.length)))
  const line = (cells: Row): string =>
    `| ${cells.map((cell, column) => (isNumber(cell) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!))).join(" | ")} |`
  return [line(head), `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`, ...rows.map(line)].join("\n")
}

const isNumber = (cell: string): boolean => /^-?[\d.,]+( … -?[\d.,]+)?$/.test(cell)
