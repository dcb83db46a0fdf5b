/** The results as tables, for a terminal and for the documentation. */
import type { CaseResult, ComparisonResult } from "./harness.ts"
import type { Machine, Versions } from "./machine.ts"
import type { Spread } from "./statistics.ts"

export interface Results {
  readonly date: string
  readonly command: string
  readonly machine: Machine
  readonly versions: Versions
  readonly cases: ReadonlyArray<CaseResult>
}

type Row = ReadonlyArray<string>

export const timesTable = ({ contenders }: CaseResult): string => {
  const hasNet = contenders.some(({ net }) => net !== undefined)
  const hasCollecting = contenders.some(({ collecting }) => collecting !== undefined)
  return table(
    [
      "",
      "ns per operation",
      "quartiles",
      "min",
      ...(hasNet ? ["net of the loop"] : []),
      ...(hasCollecting ? ["garbage collection, mean"] : [])
    ],
    contenders.map(({ collecting, name, net, time }) => [
      name,
      nanos(time.median),
      `${nanos(time.p25)} … ${nanos(time.p75)}`,
      nanos(time.min),
      ...(hasNet ? [net === undefined ? "" : nanos(net.median)] : []),
      ...(hasCollecting ? [collecting === undefined ? "" : nanos(collecting)] : [])
    ])
  )
}

export const ratiosTable = (cases: ReadonlyArray<CaseResult>): string =>
  table(
    ["case", "", "times as fast as", "ratio", "quartiles", "net of the loop", "goal", ""],
    cases.flatMap(({ comparisons, title }) =>
      comparisons.map((comparison) => [
        title,
        comparison.name,
        comparison.against,
        times(comparison.ratio.median),
        quartiles(comparison.ratio),
        comparison.netRatio === undefined ? "" : times(comparison.netRatio.median),
        comparison.goal === undefined ? "" : `≥ ${Number(comparison.goal.toFixed(2))}`,
        verdict(comparison)
      ])
    )
  )

export const document = (results: Results): string => {
  const { cases, command, date, machine, versions } = results
  return `# Benchmarks

Written by \`${command}\`; all figures are in [results.json](./results.json). Measured ${date.slice(0, 10)} on ${machine.cpu},
${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.platform}; Node ${versions.node}, effect ${versions.effect}, effect-pools ${versions["effect-pools"]}.

All contenders of a case run in one process and take turns: each round runs every one of them once, in an order that
moves on from round to round, with a garbage collection before each. Times are medians over the rounds. A ratio is taken
within each round, then the median over the rounds; it says how many times as fast the first one is, so a ratio to a floor
is below 1. *Net of the loop* is with the time of an empty loop subtracted, measured in the same round. Goals are judged
by the less favourable of the two. Compare ratios, not times: the times are this machine's, with whatever else it did.

## Ratios

${ratiosTable(cases)}

## Times

${cases.map((result) => `### ${result.title}\n\n${result.method} ${effort(result)}\n\n${timesTable(result)}`).join("\n\n")}
`
}

const effort = ({ operations, rounds }: CaseResult): string =>
  `${rounds} rounds of ${operations.toLocaleString("en")} operations.`

const verdict = ({ isMet }: ComparisonResult): string => (isMet === undefined ? "" : isMet ? "met" : "**not met**")

const nanos = (value: number): string => Math.round(value).toLocaleString("en")

const quartiles = (spread: Spread): string => `${times(spread.p25)} … ${times(spread.p75)}`

/** Rounded down, so that a goal just missed does not look met. */
const times = (ratio: number): string => (Math.floor(ratio * 100) / 100).toFixed(2)

/** A table that reads well as text and is Markdown too. */
const table = (head: Row, rows: ReadonlyArray<Row>): string => {
  const widths = head.map((cell, column) => Math.max(3, cell.length, ...rows.map((row) => row[column]!.length)))
  const line = (cells: Row): string =>
    `| ${cells.map((cell, column) => (isNumber(cell) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!))).join(" | ")} |`
  return [line(head), `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`, ...rows.map(line)].join("\n")
}

const isNumber = (cell: string): boolean => /^\d/.test(cell)
