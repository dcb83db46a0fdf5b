/**
 * What an `Auditor` has found, as data that travels as JSON, and in words.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * A lease that is out. Times are in milliseconds, `since` those since 1970.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Leak = Schema.Struct({
  lease: Schema.Number,
  item: Schema.Number,
  since: Schema.Number,
  heldFor: Schema.Number,
  /** A line of the stack, if the auditor or leak detection has seen to it that the pool knows. */
  takenAt: Schema.optional(Schema.String)
})

/**
 * @category models
 * @since 0.1.0
 */
export interface Leak extends Schema.Schema.Type<typeof Leak> {}

/**
 * A caller that waits for its lease.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Waiting = Schema.Struct({ lease: Schema.Number, since: Schema.Number, waited: Schema.Number })

/**
 * An item that there is. `createdAt` is missing if it was there before the auditor.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Item = Schema.Struct({
  item: Schema.Number,
  createdAt: Schema.optional(Schema.Number),
  /** Since when it lives on without its lease, or will when that ends. */
  detachedAt: Schema.optional(Schema.Number),
  leases: Schema.Array(Schema.Number),
  /** Where the latest of its leases was taken. */
  lastTakenAt: Schema.optional(Schema.String)
})

/**
 * In what way the books of a pool do not balance.
 *
 * - `releasedTwice`, `releasedUnknown`, `releasedElsewhere`: the end of a lease that had ended, had never begun, or held
 *   another item
 * - `acquiredTwice`: a lease got an item while it had one
 * - `handedOutGone`, `detachedGone`: an item was handed out or detached that was destroyed before, or that nobody made
 * - `shared`: an item was in more hands than allowed
 * - `createdTwice`, `destroyedTwice`, `destroyedUnknown`: two items of one number; an item that ended twice, or was never
 *   there
 * - `destroyedInUse`: an item ended under its holders, and not because a closing pool had waited long enough
 * - `lost`: an item that is left when the pool has closed
 * - `aboveMax`: there were more items than `max`
 * - `waitEndedUnknown`, `stranded`: the end of a wait that had not begun, or no end of one when the pool has closed
 * - `afterClosed`: something happened in a pool that had closed
 * - `miscounted`: the pool's own counts do not agree with what happened, or among themselves
 *
 * @category models
 * @since 0.1.0
 */
export type DiscrepancyKind = (typeof discrepancyKinds)[number]

const discrepancyKinds = [
  "releasedTwice",
  "releasedUnknown",
  "releasedElsewhere",
  "acquiredTwice",
  "handedOutGone",
  "detachedGone",
  "shared",
  "createdTwice",
  "destroyedTwice",
  "destroyedUnknown",
  "destroyedInUse",
  "lost",
  "aboveMax",
  "waitEndedUnknown",
  "stranded",
  "afterClosed",
  "miscounted"
] as const

/**
 * A fault of the pool, not of who uses it.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Discrepancy = Schema.Struct({
  kind: Schema.Literals(discrepancyKinds),
  /** In milliseconds since 1970. */
  at: Schema.Number,
  message: Schema.String
})

/**
 * @category models
 * @since 0.1.0
 */
export interface Discrepancy extends Schema.Schema.Type<typeof Discrepancy> {}

/**
 * A failure of the application's own that no caller waited for. With `destroy`, an item was not closed as it should be.
 *
 * @category schemas
 * @since 0.1.0
 */
export const BackgroundFailure = Schema.Struct({
  at: Schema.Number,
  during: Schema.String,
  item: Schema.optional(Schema.Number),
  cause: Schema.String
})

/**
 * **Details**
 *
 * - `from`, `until`: the time that the report is about, in milliseconds since 1970
 * - `created`, `destroyed`, `acquired`, `released`: what the auditor has seen happen, `events` being all of it
 * - `idle`, `used`, `creating`, `destroying`, `pending`, `max`, `state`: what the pool says of itself at the end
 * - `leaks`: the leases that are out, oldest first
 * - `outlived`: those that were out when the pool began to close; they may have come back since
 * - `discrepancies`: the first 100; `omitted` says how many more there were
 * - `failures`: the latest 100 of what failed in the background, which is the application's own and no discrepancy
 *
 * @category schemas
 * @since 0.1.0
 */
export const AuditReport = Schema.Struct({
  pool: Schema.String,
  kind: Schema.String,
  state: Schema.Literals(["open", "suspended", "draining", "closed"]),
  from: Schema.Number,
  until: Schema.Number,
  events: Schema.Number,
  created: Schema.Number,
  destroyed: Schema.Number,
  acquired: Schema.Number,
  released: Schema.Number,
  idle: Schema.Number,
  used: Schema.Number,
  creating: Schema.Number,
  destroying: Schema.Number,
  pending: Schema.Number,
  max: Schema.Number,
  items: Schema.Array(Item),
  leaks: Schema.Array(Leak),
  outlived: Schema.Array(Leak),
  waiting: Schema.Array(Waiting),
  discrepancies: Schema.Array(Discrepancy),
  failures: Schema.Array(BackgroundFailure),
  omitted: Schema.Number
})

/**
 * @category models
 * @since 0.1.0
 */
export interface AuditReport extends Schema.Schema.Type<typeof AuditReport> {}

/**
 * What must not be at the end of a test, a line each: leases that are out, callers that wait, and discrepancies.
 *
 * @category operations
 * @since 0.1.0
 */
export const findings = (
  report: Pick<AuditReport, "leaks" | "waiting" | "discrepancies" | "omitted">
): Array<string> => [
  ...report.leaks.map((leak) => describeLeak(leak)),
  ...report.waiting.map(({ lease, waited }) => `a caller (lease ${lease}) has been waiting for ${inTime(waited)}`),
  ...report.discrepancies.map(({ at, kind, message }) => `${kind}: ${message} (${new Date(at).toISOString()})`),
  ...(report.omitted === 0 ? [] : [`${report.omitted} more discrepancies are left out`])
]

/**
 * What is still going on in a pool beside leases and waiting, a line each.
 *
 * @category operations
 * @since 0.1.0
 */
export const underway = (report: AuditReport): Array<string> => {
  const held = new Set(report.leaks.map(({ item }) => item)).size
  const detached = report.items.filter(({ detachedAt, leases }) => detachedAt !== undefined && leases.length === 0)
  const found = detached.map(
    ({ detachedAt, item, lastTakenAt }) =>
      `item ${item} lives on without a lease, detached for ${inTime(report.until - detachedAt!)}, ` +
      `last taken ${lastTakenAt ?? "in an unknown place"}`
  )
  const missing = report.used - held - detached.length
  if (missing > 0) found.push(`${missing} items are in use without a lease: being prepared, or lost`)
  if (report.creating > 0) found.push(`${report.creating} items are being created`)
  if (report.destroying > 0) found.push(`${report.destroying} items are being destroyed`)
  return found
}

/**
 * One lease in words.
 *
 * @category formatting
 * @since 0.1.0
 */
export const describeLeak = ({ heldFor, item, lease, since, takenAt }: Leak): string =>
  `lease ${lease} holds item ${item} for ${inTime(heldFor)}, since ${new Date(since).toISOString()}, taken ` +
  (takenAt ?? "in an unknown place")

/**
 * One lease that was out when its pool began to close, and has come back since, in words.
 *
 * @category formatting
 * @since 0.1.0
 */
export const describeOutlived = ({ heldFor, item, lease, since, takenAt }: Leak): string =>
  `lease ${lease} on item ${item} was still out when the pool began to close (its scope closes later than the pool's), ` +
  `after ${inTime(heldFor)}, since ${new Date(since).toISOString()}, taken ${takenAt ?? "in an unknown place"}`

/**
 * What was found, and what the auditor has seen of the pool, in a few lines.
 *
 * @category formatting
 * @since 0.1.0
 */
export const format = (report: AuditReport, found: ReadonlyArray<string> = findings(report)): string => {
  const { created, destroyed, events, from, kind, pool, until } = report
  return [
    `Pool "${pool}" (${kind}): ${found.length === 0 ? "nothing wrong" : `${found.length} found`}`,
    ...found.map((line) => `  - ${line}`),
    `  seen in ${inTime(until - from)}: ${events} events, ${report.acquired} leases taken, ${report.released} given back, ` +
      `${created} items created, ${destroyed} destroyed`,
    `  the pool is ${report.state}: ${report.used} used, ${report.idle} idle, ${report.creating} being created, ` +
      `${report.destroying} being destroyed, ${report.pending} waiting, max ${report.max}`
  ].join("\n")
}

const inTime = (millis: number): string => {
  if (millis < 1000) return `${Math.round(millis)} ms`
  if (millis < 120_000) return `${(millis / 1000).toFixed(1)} s`
  return `${Math.round(millis / 60_000)} min`
}

/**
 * An audit that found something. The message says all of it.
 *
 * @category errors
 * @since 0.1.0
 */
export class AuditFailure extends Schema.TaggedError<AuditFailure>("effect-pools/AuditFailure")("AuditFailure", {
  report: AuditReport,
  findings: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return format(this.report, this.findings)
  }
}
