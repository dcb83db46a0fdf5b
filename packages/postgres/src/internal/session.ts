import { PgConnection } from "@effect/sql-pg"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import type { Duplex } from "node:stream"
import { nameConnectionError } from "./errors.ts"

/**
 * The inside of a `PgConnection`, as far as a pool has to know it. None of it is part of sql-pg's interface: each piece
 * is looked for at run time, and what is done without it stands in docs/decisions/0008-inside-sql-pg.md.
 */
interface Inside {
  readonly session?: { readonly socket?: Duplex | undefined } | undefined
  /** The statement on the wire. */
  readonly consumer?: object | undefined
  readonly [internalsKey]?:
    | {
        /** Called when the session must not be used again: it is dead, or a cancel request may still hit it. */
        readonly retireHooks?: Set<() => void> | undefined
      }
    | undefined
}

const internalsKey = "~@effect/sql-pg/PgConnection/internals"

const inside = (connection: PgConnection.PgConnection): Inside => connection as never

/** When what a session still does is cancelled again. */
const again = Schedule.min([Schedule.exponential("10 millis"), Schedule.spaced("200 millis")])

/** `unknown` while a statement is on its way, and when it can't be told. */
type TransactionStatus = "idle" | "open" | "failed" | "unknown"

/** What a pool needs to know of one server session beside its connection. */
export class Session {
  #connection: PgConnection.PgConnection | undefined
  #socket: Duplex | undefined
  #status: TransactionStatus = "unknown"
  /** The end of the last chunk if it may hold the beginning of a `ReadyForQuery`. */
  #tail: Uint8Array | undefined
  /** Whether the pool is ending it. */
  isEnding = false

  /**
   * Connects. Closing the scope cancels what still runs, for `closeTimeout` at most, and ends when the server has let go, or
   * fails after as long again.
   */
  static connect(
    config: PgConnection.Config,
    closeTimeout: Duration.Input,
    onRetire: (connection: PgConnection.PgConnection) => void
  ): Effect.Effect<readonly [PgConnection.PgConnection, Session], SqlError, Scope.Scope> {
    return Effect.uninterruptibleMask((restore) => {
      const session = new Session()
      return Effect.gen(function* () {
        yield* Effect.addFinalizer(() => session.#awaitClosed(closeTimeout))
        const connection = yield* restore(Effect.mapError(PgConnection.make(config), nameConnectionError))
        session.#attach(connection, onRetire)
        yield* Effect.addFinalizer(() => session.#cancelRunning(closeTimeout))
        return [connection, session] as const
      })
    })
  }

  /**
   * Makes sure that no transaction is left open. `false` says that the session is no longer fit for use. Costs nothing
   * unless there is something to do.
   */
  tidy(pool: string): Effect.Effect<boolean, SqlError> {
    const connection = this.#connection!
    // A statement that outlived its lease answers whoever comes next.
    if (inside(connection).consumer !== undefined) return unfit
    if (this.#status === "idle") return fit
    const wasOpen = this.#status !== "unknown"
    return Effect.andThen(
      wasOpen
        ? Effect.logWarning(
            `Pool "${pool}": a lease of session ${connection.processId} ended inside a transaction, which is ` +
              "rolled back now"
          )
        : Effect.void,
      // Outside of a transaction the server takes it with a warning.
      Effect.map(connection.query("ROLLBACK"), () => this.#socket === undefined || this.#status === "idle")
    )
  }

  #attach(connection: PgConnection.PgConnection, onRetire: (connection: PgConnection.PgConnection) => void): void {
    this.#connection = connection
    const { [internalsKey]: internals, session } = inside(connection)
    internals?.retireHooks?.add?.(() => {
      onRetire(connection)
      // Once more, in case that the session dies before the pool knows it.
      setImmediate(onRetire, connection)
    })
    const socket = session?.socket
    if (typeof socket?.prependListener !== "function") return
    this.#socket = socket
    this.#status = "idle"
    // First in line: the connection's own listener may run a fiber to the end of its lease before it returns.
    socket.prependListener("data", (chunk: Uint8Array) => this.#read(chunk))
  }

  /**
   * The server ends every answer with `ReadyForQuery`, six bytes of which the last is the transaction status; whatever
   * else comes when no statement runs leaves the status unknown.
   */
  #read(chunk: Uint8Array): void {
    let end = chunk
    if (chunk.length < 6 && this.#tail !== undefined) end = Buffer.concat([this.#tail, chunk])
    const at = end.length - 6
    if (
      at >= 0 &&
      end[at] === 0x5a &&
      end[at + 1] === 0 &&
      end[at + 2] === 0 &&
      end[at + 3] === 0 &&
      end[at + 4] === 5
    ) {
      this.#tail = undefined
      this.#status = end[at + 5] === 0x49 ? "idle" : end[at + 5] === 0x54 ? "open" : "failed"
    } else {
      this.#tail = end.slice(-5)
      this.#status = "unknown"
    }
  }

  /**
   * A server that is busy reads its mail later: without this it would go on with what nobody waits for. It takes no notice
   * of a request that comes before it has read the statement, so it is asked again until that has ended.
   */
  #cancelRunning(timeout: Duration.Input): Effect.Effect<void> {
    this.isEnding = true
    const connection = this.#connection!
    const isRunning = () => inside(connection).consumer !== undefined
    if (!isRunning()) return Effect.void
    const cancel = Effect.suspend(() => (isRunning() ? connection.interrupt : Effect.void))
    const cancelled = Effect.repeat(cancel, { schedule: again, while: isRunning })
    return Effect.ignore(Effect.timeout(Effect.interruptible(cancelled), timeout))
  }

  /** The server keeps its end open until the session's process ends, and only then is a new session no excess one. */
  #awaitClosed(timeout: Duration.Input): Effect.Effect<void> {
    const socket = this.#socket
    if (socket === undefined || socket.closed) return Effect.void
    const closed = Effect.callback<void>((resume) => {
      const done = (): void => resume(Effect.void)
      socket.once("close", done)
      // While it is paused a socket does not notice its end.
      socket.resume()
      return Effect.sync(() => {
        socket.off("close", done)
        socket.destroy()
      })
    })
    return Effect.timeoutOrElse(Effect.interruptible(closed), {
      duration: timeout,
      orElse: () => Effect.die(new Error(`the server did not end session ${this.#connection!.processId} in time`))
    })
  }
}

const fit = Effect.succeed(true)
const unfit = Effect.succeed(false)
