import { ConnectionPool } from "@effect-pools/connection"
import { PostgresPool } from "@effect-pools/postgres"
import { PgConnection } from "@effect/sql-pg"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Reactivity from "effect/reactivity/Reactivity"
import type * as Scope from "effect/Scope"
import { Client } from "pg"
import PgPool from "pg-pool"
import type { Case } from "../harness.ts"
import { inManyFibers, inOneFiber, inPromises } from "../loops.ts"
import { SIZE } from "../pools.ts"
import { type Address, startServer } from "../server.ts"
import type { Effort } from "../settings.ts"

const SQL = "SELECT 1"

const names = {
  theirDriver: "pg, no pool",
  theirs: "pg-pool",
  ourDriver: "PgConnection, no pool",
  ours: "PostgresPool, use",
  client: "PostgresPool, its SqlClient"
}

/** A real server, on which the price of a pool is seen in its place; without one there is nothing to measure. */
export const makeStatements = ({ isQuick }: Effort): Effect.Effect<ReadonlyArray<Case>, unknown, Scope.Scope> =>
  Effect.matchEffect(startServer, {
    onFailure: (reason) =>
      Effect.sync(() => {
        console.log(`\nSkipped: statements on a server. ${reason}`)
        return []
      }),
    onSuccess: (address) => makeCases(address, isQuick)
  })

const makeCases = Effect.fnUntraced(function* (
  address: Address,
  isQuick: boolean
): Effect.fn.Return<ReadonlyArray<Case>, unknown, Scope.Scope> {
  const { database, host, password, port, user } = address
  const config = { host, port, database, username: user, password: Redacted.make(password) }
  const pool = yield* Effect.provide(PostgresPool.make({ ...config, min: SIZE, max: SIZE }), Reactivity.layer)
  const connection = yield* PgConnection.make(config)
  const theirs = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const pool = new PgPool({ ...address, min: SIZE, max: SIZE })
      // It ends before its connections do, which may then hear of the server's end.
      return pool.on("error", () => {})
    }),
    (pool) => Effect.promise(() => pool.end())
  )
  const client = yield* Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new Client(address)
      // When the program is interrupted the server ends first.
      client.on("error", () => {})
      await client.connect()
      return client
    }),
    (client) => Effect.promise(() => client.end())
  )
  const use = ConnectionPool.use(pool, (connection) => connection.query(SQL))
  const statement = pool.client.unsafe(SQL)
  const method =
    `A server on this machine, by TCP; ${SIZE} connections, at least and at most, and everything else as it is by default.` +
    " The drivers differ: pg sends a text, PgConnection a statement that is prepared once. What a pool takes is what comes" +
    " on top of its own driver."
  return [
    {
      name: "statements",
      title: `${SQL} on PostgreSQL, one caller`,
      method: `One after the other. ${method}`,
      operations: isQuick ? 500 : 2000,
      rounds: isQuick ? 5 : 51,
      contenders: [
        inPromises(names.theirDriver, 1, () => client.query(SQL)),
        inPromises(names.theirs, 1, () => theirs.query(SQL)),
        inOneFiber(names.ourDriver, () => connection.query(SQL)),
        inOneFiber(names.ours, () => use),
        inOneFiber(names.client, () => statement)
      ],
      comparisons: [
        { name: names.ours, against: names.theirs },
        { name: names.client, against: names.theirs },
        { name: names.theirs, against: names.theirDriver },
        { name: names.ours, against: names.ourDriver }
      ]
    },
    {
      name: "statements-100",
      title: `${SQL} on PostgreSQL, 100 callers on ${SIZE} connections`,
      method: `All callers at once, each again and again. ${method}`,
      operations: isQuick ? 1000 : 3000,
      rounds: isQuick ? 5 : 51,
      contenders: [
        inPromises(names.theirs, 100, () => theirs.query(SQL)),
        inManyFibers(names.ours, 100, () => use),
        inManyFibers(names.client, 100, () => statement)
      ],
      comparisons: [
        { name: names.ours, against: names.theirs },
        { name: names.client, against: names.theirs }
      ]
    }
  ]
})
