/**
 * The result as a person reads it.
 */
import { PoolEvent, type PoolStats } from "@effect-pools/core"
import type { Invariant } from "./invariants.ts"
import type { DemoResult, PartResult } from "./result.ts"

/**
 * Tables of what happened, and the list of what must hold.
 */
export const report = (result: DemoResult): string =>
  [
    ...stages(result),
    "",
    ...requests(result),
    ...result.parts.flatMap((part) => ["", ...partRows(part)]),
    "",
    ...invariants(result),
    "",
    result.held ? "All invariants held." : "NOT ALL INVARIANTS HELD."
  ].join("\n")

const stages = (result: DemoResult): ReadonlyArray<string> =>
  table([
    ["stage", "users", "seconds", "requests", "answered/s", "p50", "p95", "p99", "not answered"],
    ...result.stages.map(({ latency, name, outcomes, perSecond, requests, took, users }) => [
      name,
      count(users),
      (took / 1000).toFixed(1),
      count(requests),
      count(perSecond),
      time(latency.p50),
      time(latency.p95),
      time(latency.p99),
      count(requests - (outcomes["ok"] ?? 0))
    ])
  ])

const requests = ({ requests: { asked, outcomes, perSecond } }: DemoResult): ReadonlyArray<string> =>
  table([
    ["requests", count(asked)],
    ["answered per second", count(perSecond)],
    ...Object.entries(outcomes)
      .toSorted(([, a], [, b]) => b - a)
      .map(([outcome, times]) => [`  ${outcome}`, count(times)])
  ])

const partRows = ({ facts, name, pools }: PartResult): ReadonlyArray<string> =>
  table([
    [`${name}:`, ...pools.map((pool) => pool.name)],
    ...poolRows.flatMap(([label, value]) =>
      pools.some((pool) => value(pool) !== undefined) ? [[label, ...pools.map((pool) => value(pool) ?? "-")]] : []
    ),
    ...Object.entries(facts).map(([fact, number]) => [fact, count(number)])
  ])

const poolRows: ReadonlyArray<readonly [label: string, value: (stats: PoolStats.PoolStats) => string | undefined]> = [
  ["min, max", ({ max, min }) => `${count(min)}, ${count(max)}`],
  ["acquired", ({ acquired }) => count(acquired)],
  ["released", ({ released }) => count(released)],
  ["created", ({ created }) => count(created)],
  ["failed to create", ({ createFailed }) => unlessZero(createFailed)],
  ["destroyed", ({ destroyed }) => count(Object.values(destroyed).reduce((sum, times) => sum + times, 0))],
  ...PoolEvent.destroyReasons.map(
    (reason) => [`  ${reason}`, ({ destroyed }: PoolStats.PoolStats) => unlessZero(destroyed[reason])] as const
  ),
  ["timeouts", ({ timeouts }) => count(timeouts)],
  ["exhausted", ({ exhausted }) => unlessZero(exhausted)],
  ["wait p50, p95, p99", ({ wait }) => times(wait)],
  ["use p50, p95, p99", ({ use }) => times(use)],
  ["create p50, p95, p99", ({ create }) => times(create)]
]

const invariants = (result: DemoResult): ReadonlyArray<string> =>
  [
    ...result.invariants.map((each) => ["", each] as const),
    ...result.parts.flatMap(({ invariants, name }) => invariants.map((each) => [`${name}: `, each] as const))
  ].flatMap(([prefix, each]) => invariantRows(prefix, each))

const invariantRows = (prefix: string, { detail, held, name }: Invariant): ReadonlyArray<string> => [
  `${held ? "held  " : "BROKEN"}  ${prefix}${name}`,
  `        ${detail}`
]

// Cells --------------------------------------------------------------------------------------------------------------

/** The first column to the left, all others to the right. */
const table = (rows: ReadonlyArray<ReadonlyArray<string>>): Array<string> => {
  const widths: Array<number> = []
  for (const row of rows) row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, cell.length)))
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]! + 2)))
      .join("")
      .trimEnd()
  )
}

const count = (n: number): string => n.toLocaleString("en-US")
const unlessZero = (n: number): string | undefined => (n === 0 ? undefined : count(n))
const times = ({ p50, p95, p99 }: PoolStats.PoolStats["wait"]): string => [p50, p95, p99].map(time).join(", ")

/** To three digits. */
const time = (millis: number): string =>
  millis === 0 ? "0 ms" : millis < 1000 ? `${Number(millis.toPrecision(3))} ms` : `${(millis / 1000).toPrecision(3)} s`
