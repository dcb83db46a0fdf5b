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
import { InvalidOptions, PoolRegistry } from "@effect-pools/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as AuditReport from "./AuditReport.ts"
import * as Auditor from "./Auditor.ts"
import { flag } from "./internal/flag.ts"
import { pointAt } from "./internal/pointAt.ts"
import { giveUp, RunLeases, Runs } from "./internal/runLeases.ts"

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
 * The effect gets a scope of its own, and a `PoolRegistry` in which it finds the pools that were open before, unless one
 * of its own has the same name. When it has ended, and its scope has closed:
 *
 * - every pool that was opened in it is closed
 * - no lease was out when its pool began to close (see `allowGrace`), and none is out now
 * - every item was destroyed, and none failed to
 * - the pools' own books balance, as an `Auditor` sees them
 *
 * Pools that were open before, in a layer shared by several tests, are watched as well: the leases that fibers of this
 * effect took meanwhile must be back. Those of tests that run at the same time do not count. If the effect fails and
 * leaves something behind, both are told.
 *
 * **Gotchas**
 *
 * - The scope of the effect closes last. A `yield* Db.get()` right in an effect that is given `Db.layer` would hold its
 *   lease until after the pool has closed: `Effect.scoped` goes in between, before `Effect.provide(Db.layer)`.
 * - Fibers are known by their context. What a test runs in a runtime of its own, by `ManagedRuntime` or
 *   `Effect.runPromise`, is not seen, neither its pools nor its leases on pools that were open before, unless it is given
 *   the test's context: `Effect.runPromiseWith(yield* Effect.context())`, or the layer with {@link layer} beneath it.
 *   Nor are the leases of a fiber that was there before, a worker that serves the test say, or of a service that was
 *   built under another check and runs its effects in the context of then, with `Effect.provideContext`.
 * - The place where a lease was taken is known for calls made while the pool is open. Of an effect that was written down
 *   before, as a constant of a module, it is not.
 *
 * @category operations
 * @since 0.1.0
 */
export const run = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | LeaksFound, Exclude<R, Scope.Scope>> =>
  watched(self, checkOptions({}))

/**
 * As {@link run}, with options. Fails with `InvalidOptions` if they make no sense.
 *
 * @category operations
 * @since 0.1.0
 */
export const runWith: {
  (
    options: Options
  ): <A, E, R>(
    self: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | LeaksFound | InvalidOptions.InvalidOptions, Exclude<R, Scope.Scope>>
  <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options: Options
  ): Effect.Effect<A, E | LeaksFound | InvalidOptions.InvalidOptions, Exclude<R, Scope.Scope>>
} = dual(
  2,
  <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options: Options
  ): Effect.Effect<A, E | LeaksFound | InvalidOptions.InvalidOptions, Exclude<R, Scope.Scope>> =>
    Effect.flatMap(
      InvalidOptions.check(() => checkOptions(options)),
      (checked) => watched(self, checked)
    )
)

/**
 * As {@link run}, from the layer's start to its end: for all tests of a block, with `it.layer`. What is left behind is a
 * defect, {@link LeaksFound}, of closing the layer. Throws `InvalidOptions` if the options make no sense.
 *
 * **Gotchas**
 *
 * Layers of pools must be provided to by this one, not merged with it: `Layer.provideMerge(Db.layer, LeakCheck.layer())`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<never> => {
  const checked = checkOptions(options)
  return Layer.effectContext(
    Effect.map(
      Effect.acquireRelease(begin(checked), (watch) => Effect.orDie(watch.end)),
      ({ registry, runs }) => Context.add(Context.make(PoolRegistry.PoolRegistry, registry), Runs, runs)
    )
  )
}

interface Checked {
  readonly allowGrace: boolean
}

const checkOptions = (options: Options): Checked => {
  const checks = new InvalidOptions.Checks("leak check")
  checks.known(options, new Set(["allowGrace"]))
  return { allowGrace: flag(checks, "allowGrace", options.allowGrace, false) }
}

const watched = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  options: Checked
): Effect.Effect<A, E | LeaksFound, Exclude<R, Scope.Scope>> =>
  Effect.acquireUseRelease(
    begin(options),
    ({ registry, runs }) =>
      Effect.scoped(self).pipe(
        Effect.provideService(PoolRegistry.PoolRegistry, registry),
        Effect.provideService(Runs, runs)
      ),
    ({ end }) => end
  )

interface Watch {
  readonly registry: PoolRegistry.PoolRegistry
  readonly runs: ReadonlyArray<object>
  readonly end: Effect.Effect<void, LeaksFound>
}

const begin = ({ allowGrace }: Checked): Effect.Effect<Watch> =>
  Effect.gen(function* () {
    const surrounding = yield* PoolRegistry.PoolRegistry
    const run = {}
    const runs = [...(yield* Runs), run]
    const shared = surrounding.list().map(({ pool }) => ({
      auditor: Auditor.makeUnsafe(pool),
      leases: new RunLeases(pool, run)
    }))
    const own: Array<Auditor.Auditor> = []
    const registry = within(surrounding, (pool) => {
      const auditor = Auditor.makeUnsafe(pool)
      own.push(auditor)
      if (allowGrace) return
      auditor.pool.admission.observer.listen((event) => {
        if (event._tag === "Closing") giveUp(auditor.pool, () => true)
      })
    })
    const end = Effect.suspend(() => {
      const pools = [
        ...shared.map(({ auditor, leases }) => judgeShared(auditor.reportUnsafe(), leases)),
        ...own.map((auditor) => judgeOwn(auditor, allowGrace))
      ].filter(({ findings }) => findings.length > 0)
      for (const { auditor, leases } of shared) {
        auditor.stopUnsafe()
        leases.end()
      }
      for (const auditor of own) auditor.stopUnsafe()
      if (pools.length === 0) return Effect.void
      return Effect.fail(
        pointAt(
          new LeaksFound({ pools: pools.map(({ findings, report }) => ({ findings, report })) }),
          pools.flatMap(({ leaks }) => leaks)
        )
      )
    })
    return { registry, runs, end }
  })

/** A registry of its own that shows what the surrounding one has as well, but for names that it has given itself. */
const within = (
  surrounding: PoolRegistry.PoolRegistry,
  added: (pool: PoolRegistry.RegisteredPool) => void
): PoolRegistry.PoolRegistry => {
  const { addUnsafe, claimUnsafe, find, list, releaseUnsafe } = PoolRegistry.makeUnsafe()
  return {
    list: () => [...surrounding.list().filter(({ name }) => find(name) === undefined), ...list()],
    find: (name) => find(name) ?? surrounding.find(name),
    claimUnsafe,
    addUnsafe(pool) {
      addUnsafe(pool)
      added(pool)
    },
    releaseUnsafe
  }
}

interface Judged {
  readonly report: AuditReport.AuditReport
  readonly findings: ReadonlyArray<string>
  /** What the findings are about. */
  readonly leaks: ReadonlyArray<AuditReport.Leak>
}

/** What others have taken, before or meanwhile, may be out. */
const judgeShared = (report: AuditReport.AuditReport, own: RunLeases): Judged => {
  const { discrepancies, omitted } = report
  const waiters = own.waiting()
  const leaks = report.leaks.filter(({ lease }) => own.has(lease))
  const waiting = report.waiting.filter(({ lease }) => waiters.has(lease))
  return { report, leaks, findings: AuditReport.findings({ leaks, waiting, discrepancies, omitted }) }
}

const judgeOwn = ({ pool, reportUnsafe }: Auditor.Auditor, allowGrace: boolean): Judged => {
  const report = reportUnsafe()
  const out = new Set(report.leaks.map(({ lease }) => lease))
  const late = allowGrace ? [] : report.outlived.filter(({ lease }) => !out.has(lease))
  const findings = [...late.map((leak) => AuditReport.describeOutlived(leak)), ...AuditReport.findings(report)]
  if (!pool.admission.hasEnded) {
    findings.push(
      `the pool is ${report.state === "closed" ? "still closing" : "still open: nothing has closed its scope"}`
    )
  }
  for (const { cause, during, item } of report.failures) {
    if (during === "destroy") findings.push(`${item === undefined ? "an item" : `item ${item}`} did not end: ${cause}`)
  }
  return { report, findings, leaks: [...late, ...report.leaks] }
}
