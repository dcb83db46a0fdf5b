/**
 * The connection pool at work: the shop's orders on a `PostgresPool`, while backends are terminated under it.
 */
import { ConnectionPool } from "@effect-pools/connection"
import type { Budget, PoolStats } from "@effect-pools/core"
import { PostgresPool } from "@effect-pools/postgres"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { ordersAreConsistent } from "../consistency.ts"
import type { Database } from "../database.ts"
import { eventually } from "../eventually.ts"
import { terminateBackends } from "../faults.ts"
import { invariant, type Invariant, nothingLeaked } from "../invariants.ts"
import { Ledger } from "../ledger.ts"
import * as Monitor from "../monitor.ts"
import { Orders } from "../orders.ts"
import type { Part } from "../part.ts"
import { requests } from "../requests.ts"
import type { ReceiptsPart } from "./receipts.ts"

const max = 10

/** What an application writes. The times are short, so that seconds show what else takes a day. */
const pool = ({ applicationName, schema, url }: Database, budget: Budget.Budget) =>
  PostgresPool.layer({
    url,
    name: "orders",
    applicationName,
    startupParameters: { search_path: schema },
    min: 2,
    max,
    budget: { budget, minimum: 4 },
    acquireTimeout: "2 seconds",
    idleTimeout: "500 millis",
    maxLifetime: "5 seconds",
    closeGrace: "5 seconds",
    health: { interval: "1 second" }
  })

export const open = (
  database: Database,
  budget: Budget.Budget,
  printReceipt: ReceiptsPart["print"]
): Effect.Effect<Part, never, Scope.Scope> =>
  Effect.gen(function* () {
    // Before the pool, so that it sees the pool close.
    const samples = yield* Monitor.watch(database)
    const context = yield* Layer.build(Layer.provideMerge(Orders.layer, pool(database, budget))).pipe(
      // Its options are those above, none of which comes from outside.
      Effect.catchTag("InvalidOptions", Effect.die)
    )
    const orders = Context.get(context, Orders)
    const ordersPool = Context.get(context, PostgresPool.PostgresPool)
    const ledger = new Ledger()
    let terminated = 0
    return {
      name: "connection",
      requests: requests(orders, ordersPool, ledger, printReceipt),
      faults: Effect.orDie(terminateBackends(database, () => terminated++)),
      settled: Effect.gen(function* () {
        const stats = yield* eventually(ConnectionPool.stats(ordersPool), isAtRest)
        const items = (yield* ConnectionPool.connections(ordersPool)).length
        const backends = yield* eventually(Monitor.backends(database), (count) => count === stats.size)
        return {
          pools: [stats],
          facts: {
            "backends terminated": terminated,
            "most backends on the server": samples.most,
            "samples taken": samples.taken,
            "orders placed": ledger.count("confirmed")
          },
          invariants: [
            // Else all others say less than they seem to.
            invariant("the faults were real", terminated > 0, `${terminated} backends terminated`),
            ...nothingLeaked(stats, items),
            invariant(
              "the server has as many backends as the pool has connections",
              backends === stats.size,
              `${backends} backends, ${stats.size} connections`
            ),
            ...(yield* ordersAreConsistent(database, ledger))
          ]
        }
      }).pipe(Effect.orDie),
      closed: Effect.gen(function* () {
        const backends = yield* eventually(Monitor.backends(database), (count) => count === 0)
        return {
          invariants: [
            neverMoreThanMax(samples),
            invariant("no backend is left when the pool has closed", backends === 0, `${backends} backends`)
          ]
        }
      }).pipe(Effect.orDie)
    }
  })

const neverMoreThanMax = ({ failure, most, taken }: Monitor.Samples): Invariant =>
  invariant(
    "never more backends on the server than max",
    taken > 0 && most <= max && failure === undefined,
    `at most ${most} of ${max} in ${taken} samples of pg_stat_activity` +
      (failure === undefined ? "" : `, which ended with ${failure.message}`)
  )

/** A pool makes and destroys connections in the background. */
const isAtRest = ({ creating, destroying, pending, used }: PoolStats.PoolStats): boolean =>
  creating + destroying + pending + used === 0
