import { ConnectionPool } from "@effect-pools/connection"
import type { InvalidOptions } from "@effect-pools/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Kept } from "./keeping.ts"

/** What is done over and over while memory is watched. */
export interface Case {
  readonly name: string
  readonly unit: string
  /** How many units there are in all measured rounds together, when time is short. */
  readonly units: number
  /** How many bytes may stay with a unit, which is what measuring cannot tell from nothing. */
  readonly bound: number
  /** What a faulty pool keeps, to show that the case would find it. */
  readonly keeps: Kept
  /** Opens what is needed, and answers with a round of so many units. */
  readonly prepare: Effect.Effect<Round, unknown, Scope.Scope>
}

type Round = (units: number) => Effect.Effect<unknown, unknown>

/** What the pools of the cases hold. */
export class Connection {
  readonly buffer = Array.from({ length: 16 }, () => 0)
}

export const connect: Effect.Effect<Connection, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => new Connection()),
  () => Effect.void
)

/** Is told of every pool that a case opens. */
export class OnOpen extends Context.Reference<(pool: ConnectionPool.ConnectionPool<any, any>) => void>(
  "test/endurance/OnOpen",
  { defaultValue: () => () => {} }
) {}

/** Opens a pool. */
export const open = <E = never>(
  options: Partial<ConnectionPool.Options<Connection, E, Scope.Scope>> = {}
): Effect.Effect<ConnectionPool.ConnectionPool<Connection, E>, InvalidOptions.InvalidOptions, Scope.Scope> =>
  Effect.gen(function* () {
    const pool = yield* ConnectionPool.make({
      acquire: connect as Effect.Effect<Connection, E, Scope.Scope>,
      ...options
    })
    const onOpen = yield* OnOpen
    onOpen(pool)
    return pool
  })

/** One after the other. */
export const many =
  (unit: Effect.Effect<unknown, unknown>): Round =>
  (units) =>
    Effect.gen(function* () {
      for (let n = 0; n < units; n++) yield* unit
    })

/** By so many fibers at once, each one after the other. */
export const together =
  (fibers: number, unit: Effect.Effect<unknown, unknown>): Round =>
  (units) =>
    Effect.forEach(Array.from({ length: fibers }), () => many(unit)(units / fibers), {
      concurrency: "unbounded",
      discard: true
    })
