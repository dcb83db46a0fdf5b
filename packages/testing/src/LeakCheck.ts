/**
 * For tests of applications, with any test runner: no lease outlives the test, no pool stays open, every item is
 * destroyed.
 *
 * **Example** (One line in a test)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool } from "@effect-pools/connection"
 * import { LeakCheck } from "@effect-pools/testing"
 *
 * class Db extends ConnectionPool.Service<Db>()("app/Db", {
 *   acquire: Effect.succeed({ users: Effect.succeed(["Ada", "Grace"]) })
 * }) {}
 *
 * // it.effect("lists users", () => test)
 * const test = Effect.gen(function*() {
 *   return yield* Db.use((connection) => connection.users)
 * }).pipe(
 *   Effect.provide(Db.layer),
 *   LeakCheck.run // no lease outlived this test
 * )
 * ```
 *
 * @since 0.1.0
 */
import { PoolRegistry } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as AuditReport from "./AuditReport.ts"
import * as Auditor from "./Auditor.ts"
import { pointAt } from "./internal/pointAt.ts"

/**
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * Whether leases may come back while their pool closes, for as long as its `closeGrace` lasts. Default `false`: a lease
   * that is out when its pool begins to close is found, and the pool does not wait for it.
   */
  readonly allowGrace?: boolean | undefined
}

/**
 * Pools that did not end as they should. The message says which, and what of each was left: leases with the place where
 * they were taken.
 *
 * @category errors
 * @since 0.1.0
 */
export class LeaksFound extends Schema.TaggedError<LeaksFound>("effect-pools/LeaksFound")("LeaksFound", {
  pools: Schema.Array(Schema.Struct({ findings: Schema.Array(Schema.String), report: AuditReport.AuditReport }))
}) {
  override get message(): string {
    return this.pools.map(({ findings, report }) => AuditReport.format(report, findings)).join("\n")
  }
}

/**
 * Runs an effect, a test say, and fails if it leaves anything behind in a pool.
 *
 * **Details**
 *
 * The effect gets a scope and a `PoolRegistry` of its own. When it has ended, and its scope has closed:
 *
 * - every pool that was opened in it is closed
 * - no lease was out when its pool began to close (see `allowGrace`), and none is out now
 * - every item was destroyed, and none failed to
 * - the pools' own books balance, as an `Auditor` sees them
 *
 * Pools that were open before, in a layer shared by several tests, are watched as well: leases taken meanwhile must be
 * back. If the effect fails and leaves something behind, both are told.
 *
 * **Gotchas**
 *
 * The place where a lease was taken is known for calls made while the pool is open. Of an effect that was written down
 * before, as a constant of a module, it is not.
 *
 * @category operations
 * @since 0.1.0
 */
export const run = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | LeaksFound, Exclude<R, Scope.Scope>> =>
  runWith(self, {})

/**
 * As {@link run}, with options.
 *
 * @category operations
 * @since 0.1.0
 */
export const runWith: {
  (
    options: Options
  ): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | LeaksFound, Exclude<R, Scope.Scope>>
  <A, E, R>(self: Effect.Effect<A, E, R>, options: Options): Effect.Effect<A, E | LeaksFound, Exclude<R, Scope.Scope>>
} = dual(
  2,
  <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options: Options
  ): Effect.Effect<A, E | LeaksFound, Exclude<R, Scope.Scope>> =>
    Effect.flatMap(begin(options), (watch) =>
      Effect.scoped(self).pipe(
        Effect.provideService(PoolRegistry.PoolRegistry, watch.registry),
        Effect.onExit(() => watch.end)
      )
    )
)

/**
 * As {@link run}, from the layer's start to its end: for all tests of a block, with `it.layer`. What is left behind is a
 * defect, {@link LeaksFound}, of closing the layer.
 *
 * **Gotchas**
 *
 * Layers of pools must be provided to by this one, not merged with it: `Layer.provideMerge(Db.layer, LeakCheck.layer())`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<never> =>
  Layer.effect(
    PoolRegistry.PoolRegistry,
    Effect.map(
      Effect.acquireRelease(begin(options), (watch) => Effect.orDie(watch.end)),
      ({ registry }) => registry
    )
  )

interface Watch {
  readonly registry: PoolRegistry.PoolRegistry
  readonly end: Effect.Effect<void, LeaksFound>
}

const begin = (options: Options | undefined): Effect.Effect<Watch> =>
  Effect.map(PoolRegistry.PoolRegistry, (surrounding) => {
    const shared = surrounding.list().map((pool) => {
      const auditor = Auditor.makeUnsafe(pool)
      return { auditor, before: leasesOf(auditor.reportUnsafe()) }
    })
    const own: Array<Auditor.Auditor> = []
    const allowGrace = options?.allowGrace === true
    const { addUnsafe, claimUnsafe, find, list, releaseUnsafe } = PoolRegistry.makeUnsafe()
    const registry: PoolRegistry.PoolRegistry = {
      list,
      find,
      claimUnsafe,
      addUnsafe(pool) {
        addUnsafe(pool)
        const auditor = Auditor.makeUnsafe(pool)
        own.push(auditor)
        if (!allowGrace) giveUpAtClose(auditor)
      },
      releaseUnsafe
    }
    const end = Effect.suspend(() => {
      const found = [
        ...shared.map(({ auditor, before }) => judgeShared(auditor.reportUnsafe(), before)),
        ...own.map((auditor) => judgeOwn(auditor, allowGrace))
      ]
      for (const { auditor, before } of shared) {
        auditor.stopUnsafe()
        if (hasLeaked(auditor, before)) giveUpAtClose(auditor)
      }
      for (const auditor of own) auditor.stopUnsafe()
      const pools = found.filter(({ findings }) => findings.length > 0)
      if (pools.length === 0) return Effect.void
      const leaks = pools.flatMap(({ report }) => [...report.outlived, ...report.leaks])
      return Effect.fail(pointAt(new LeaksFound({ pools }), leaks))
    })
    return { registry, end }
  })

/**
 * A closing pool waits for its leases. Under a `TestClock` nobody's time passes meanwhile: what is a leak would be a test
 * that hangs.
 */
const giveUpAtClose = ({ pool, reportUnsafe }: Auditor.Auditor): void => {
  const { admission } = pool
  admission.observer.listen((event) => {
    if (event._tag !== "Closing" || reportUnsafe().leaks.length === 0) return
    // After the close that has just begun.
    admission.background.fork(Effect.andThen(Effect.yieldNow, admission.close(0)))
  })
}

interface Judged {
  readonly report: AuditReport.AuditReport
  readonly findings: ReadonlyArray<string>
}

const leasesOf = ({ leaks, waiting }: AuditReport.AuditReport): ReadonlySet<number> =>
  new Set([...leaks, ...waiting].map(({ lease }) => lease))

/** What the test found when it came, it may leave. */
const judgeShared = (report: AuditReport.AuditReport, before: ReadonlySet<number>): Judged => ({
  report,
  findings: AuditReport.findings({
    leaks: report.leaks.filter(({ lease }) => !before.has(lease)),
    waiting: report.waiting.filter(({ lease }) => !before.has(lease)),
    discrepancies: report.discrepancies,
    omitted: report.omitted
  })
})

const hasLeaked = ({ reportUnsafe }: Auditor.Auditor, before: ReadonlySet<number>): boolean =>
  reportUnsafe().leaks.some(({ lease }) => !before.has(lease))

const judgeOwn = ({ pool, reportUnsafe }: Auditor.Auditor, allowGrace: boolean): Judged => {
  const report = reportUnsafe()
  const { discrepancies, omitted, outlived, waiting } = report
  const leaks = new Map([...(allowGrace ? [] : outlived), ...report.leaks].map((leak) => [leak.lease, leak] as const))
  const findings = AuditReport.findings({ leaks: Array.from(leaks.values()), waiting, discrepancies, omitted })
  if (!pool.admission.hasEnded) {
    findings.push(
      `the pool is ${report.state === "closed" ? "still closing" : "still open: nothing has closed its scope"}`
    )
  }
  for (const { cause, during, item } of report.failures) {
    if (during === "destroy") findings.push(`${item === undefined ? "an item" : `item ${item}`} did not end: ${cause}`)
  }
  return { report, findings }
}
