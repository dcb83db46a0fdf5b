/**
 * Accounts for every item and every lease of a pool; says what leaked, since when, taken where.
 *
 * An auditor keeps books of its own, from the events of the pool, and holds them against the pool's counts. It hears of
 * every event in the step in which it happens, so it misses none, whatever the load.
 *
 * **Example** (A lease that does not come back)
 *
 * ```ts
 * import { Effect, Scope } from "effect"
 * import { ConnectionPool } from "@effect-pools/connection"
 * import { Auditor } from "@effect-pools/testing"
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* ConnectionPool.make({ acquire: Effect.succeed("connection"), closeGrace: 0 })
 *   const auditor = yield* Auditor.make(pool)
 *   yield* ConnectionPool.use(pool, () => Effect.void)
 *   yield* Auditor.expectClean(auditor)
 *
 *   const forgotten = yield* Scope.make()
 *   yield* Scope.provide(ConnectionPool.get(pool), forgotten)
 *   const { leaks } = yield* Auditor.report(auditor)
 *   yield* Effect.log(leaks[0]?.takenAt)
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 */
import { InvalidOptions, Pool, type PoolRegistry } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as AuditReport from "./AuditReport.ts"
import { flag } from "./internal/flag.ts"
import { Ledger } from "./internal/ledger.ts"
import { pointAt } from "./internal/pointAt.ts"

/**
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * Whether the pool's leases note where they are taken. Costs some ten microseconds per lease.
   * Default `true`.
   */
  readonly callSites?: boolean | undefined
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Auditor {
  readonly pool: Pool.Pool<any, any>
  /** What has been found so far; as of its end once the auditor has stopped. See {@link report}. */
  readonly reportUnsafe: () => AuditReport.AuditReport
  /** Ends the audit, for auditors of {@link makeUnsafe}. */
  readonly stopUnsafe: () => void
}

/**
 * Audits a pool from now on, until the surrounding scope closes. Fails with `InvalidOptions` if the options make no sense.
 *
 * **Details**
 *
 * Leases that are out, and callers that wait, when it comes to a pool that has been open for a while are among what it
 * accounts for; idle items from then are counted, but not known by name. What has ended is forgotten, but for counts: the
 * memory it takes is bounded by what is there.
 *
 * **Gotchas**
 *
 * In one scope with the pool the auditor ends before the pool closes. To see that too, give the pool an inner scope, or
 * use `LeakCheck`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  pool: Pool.Pool<any, any> | PoolRegistry.RegisteredPool,
  options?: Options
): Effect.Effect<Auditor, InvalidOptions.InvalidOptions, Scope.Scope> =>
  Effect.acquireRelease(
    InvalidOptions.check(() => makeUnsafe(pool, options)),
    (auditor) => Effect.sync(auditor.stopUnsafe)
  )

/**
 * As {@link make}, for every pool that is in a registry now.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeAll = (
  registry: PoolRegistry.PoolRegistry,
  options?: Options
): Effect.Effect<ReadonlyArray<Auditor>, InvalidOptions.InvalidOptions, Scope.Scope> =>
  Effect.suspend(() => Effect.forEach(registry.list(), (pool) => make(pool, options)))

/**
 * As {@link make}, at once, until `stopUnsafe` is called: for tests that do not run as an effect. Throws
 * `InvalidOptions` if the options make no sense.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeUnsafe = (pool: Pool.Pool<any, any> | PoolRegistry.RegisteredPool, options: Options = {}): Auditor => {
  const checks = new InvalidOptions.Checks("auditor")
  checks.known(options, new Set(["callSites"]))
  const callSites = flag(checks, "callSites", options.callSites, true)
  const audited = Pool.isPool(pool) ? pool : pool.pool
  const { admission } = audited
  const forgetCallSites = callSites ? admission.trackCallSites() : () => {}
  const ledger = new Ledger(audited)
  const stopListening = admission.observer.listen((event) => ledger.handle(event))
  let last: AuditReport.AuditReport | undefined
  return {
    pool: audited,
    reportUnsafe: () => last ?? ledger.report(),
    stopUnsafe() {
      last ??= ledger.report()
      stopListening()
      forgetCallSites()
    }
  }
}

/**
 * What the auditor has found so far; as of its end once its scope has closed.
 *
 * @category operations
 * @since 0.1.0
 */
export const report = (self: Auditor): Effect.Effect<AuditReport.AuditReport> => Effect.sync(() => self.reportUnsafe())

/**
 * Fails if a lease is out, a caller waits or the books do not balance. What else goes on in the pool does not matter: it
 * may have idle items, and others that are being made, cleaned or destroyed.
 *
 * @category operations
 * @since 0.1.0
 */
export const expectClean = (self: Auditor): Effect.Effect<AuditReport.AuditReport, AuditReport.AuditFailure> =>
  Effect.flatMap(report(self), (report) => judge(report, AuditReport.findings(report)))

/**
 * As {@link expectClean}, and nothing may be going on: items are idle or gone. For the end of a test that has let
 * everything settle; an item that the pool has lost sight of shows here.
 *
 * @category operations
 * @since 0.1.0
 */
export const expectAtRest = (self: Auditor): Effect.Effect<AuditReport.AuditReport, AuditReport.AuditFailure> =>
  Effect.flatMap(report(self), (report) =>
    judge(report, [...AuditReport.findings(report), ...AuditReport.underway(report)])
  )

/**
 * What is wrong now, a line each, as {@link expectAtRest} sees it: for tests that collect faults.
 *
 * @category operations
 * @since 0.1.0
 */
export const findingsUnsafe = (self: Auditor): Array<string> => {
  const report = self.reportUnsafe()
  return [...AuditReport.findings(report), ...AuditReport.underway(report)]
}

const judge = (
  report: AuditReport.AuditReport,
  findings: ReadonlyArray<string>
): Effect.Effect<AuditReport.AuditReport, AuditReport.AuditFailure> =>
  findings.length === 0
    ? Effect.succeed(report)
    : Effect.fail(pointAt(new AuditReport.AuditFailure({ report, findings }), report.leaks))
