import { ConnectionPool } from "@effect-pools/connection"
import type { Pool, PoolEvent } from "@effect-pools/core"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"

export class ConnectError extends Data.TaggedError("ConnectError")<{ readonly attempt: number }> {}

/** A connection to a backend that exists only in the test. */
export interface Connection {
  readonly id: number
}

/** A backend that counts what is done to it, and does what the test tells it. */
export class Backend {
  attempts = 0
  live = 0
  /** The most connections that were ever open at a time. */
  peak = 0
  readonly opened: Array<number> = []
  readonly closed: Array<number> = []
  /** When connecting began, in milliseconds of the test's clock. */
  readonly attemptedAt: Array<number> = []
  /** How long connecting takes, in milliseconds; `Infinity` for ever. */
  connectTime = 0
  /** How long closing takes, in milliseconds; `Infinity` for ever. */
  closeTime = 0
  isDown = false

  readonly connect: Effect.Effect<Connection, ConnectError, Scope.Scope> = Effect.gen({ self: this }, function* () {
    const attempt = ++this.attempts
    this.attemptedAt.push(yield* now)
    yield* this.pause(this.connectTime)
    if (this.isDown) return yield* new ConnectError({ attempt })
    return yield* Effect.acquireRelease(
      Effect.sync((): Connection => {
        this.opened.push(attempt)
        this.peak = Math.max(this.peak, ++this.live)
        return { id: attempt }
      }),
      ({ id }) =>
        Effect.andThen(
          this.pause(this.closeTime),
          Effect.sync(() => {
            this.live--
            this.closed.push(id)
          })
        )
    )
  })

  pause(millis: number): Effect.Effect<void> {
    return Effect.suspend(() =>
      millis === 0 ? Effect.void : millis === Infinity ? Effect.never : Effect.sleep(millis)
    )
  }
}

/** The test's clock, in milliseconds. */
export const now: Effect.Effect<number> = TestClock.testClockWith((clock) => clock.currentTimeMillis)

/** Starts an effect that must end before the pools that were made before it. */
export const fork = Effect.forkScoped({ startImmediately: true })

/** Takes a connection until `release` is run or the test ends. */
export const hold = <A, E>(pool: ConnectionPool.ConnectionPool<A, E>, options?: Pool.AcquireOptions) =>
  Effect.gen(function* () {
    const scope = yield* Scope.fork(yield* Effect.scope)
    const connection = yield* Scope.provide(ConnectionPool.get(pool, options), scope)
    const release = (exit: Exit.Exit<unknown, unknown> = Exit.void) => Scope.close(scope, exit)
    return { connection, release }
  })

/** Uses a connection for nothing. */
export const touch = <E>(pool: ConnectionPool.ConnectionPool<Connection, E>) =>
  ConnectionPool.use(pool, (connection) => Effect.succeed(connection.id))

/** Every event of the pool from now on, as it happens. */
export const record = <A, E>(pool: ConnectionPool.ConnectionPool<A, E>): Array<PoolEvent.PoolEvent> => {
  const events: Array<PoolEvent.PoolEvent> = []
  pool.admission.observer.listen((event) => events.push(event))
  return events
}

export const tagged = <Tag extends PoolEvent.PoolEvent["_tag"]>(events: ReadonlyArray<PoolEvent.PoolEvent>, tag: Tag) =>
  events.filter((event): event is Extract<PoolEvent.PoolEvent, { readonly _tag: Tag }> => event._tag === tag)

/** Runs an effect, and all that it starts, with a logger that writes into the list. */
export const loggingTo = (lines: Array<string>) =>
  Effect.provideService(
    Logger.CurrentLoggers,
    new Set([Logger.make(({ logLevel, message }) => lines.push(`${logLevel}: ${[message].flat().join(" ")}`))])
  )
