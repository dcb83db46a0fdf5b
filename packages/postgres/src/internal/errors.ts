import type * as Health from "@effect-pools/connection/Health"
import * as PoolError from "@effect-pools/core/PoolError"
import * as Cause from "effect/Cause"
import { hasProperty } from "effect/Predicate"
import { ConnectionError, isSqlError, SqlError } from "effect/sql/SqlError"

/** A pool's refusal in the terms of a client, of which only `SqlError` is expected. */
export const toSqlError = (error: PoolError.PoolError): SqlError => {
  let translated = translations.get(error)
  if (translated === undefined) {
    const Reason = error.isRetryable ? ConnectionError : FinalConnectionError
    translated = new SqlError({
      reason: new Reason({ cause: error, message: error.message, operation: "acquire" })
    })
    translations.set(error, translated)
  }
  return translated
}

/** Pools fail with one and the same error for as long as it says the same. */
const translations = new WeakMap<PoolError.PoolError, SqlError>()

/** A `ConnectionError` says of itself that a retry may help; with a pool that is closed it can't. */
class FinalConnectionError extends ConnectionError {
  override get isRetryable(): boolean {
    return false
  }
}

/**
 * sql-pg has no name for what the server says when it has no session to give, or has ended one between two statements.
 * That is about the connection, and as much worth a retry as one that broke.
 */
export const nameConnectionError = (error: SqlError): SqlError => {
  const { _tag, cause, message, operation } = error.reason
  if (_tag !== "UnknownError") return error
  const state = sqlState(cause)
  if (state === undefined || !(sessionEnds.has(state) || noSession.has(state))) return error
  const said = cause instanceof Error ? `: ${cause.message}` : ""
  return new SqlError({ reason: new ConnectionError({ cause, message: `${message}${said}`, operation }) })
}

/**
 * Worth a retry, and for want of a connection nothing was sent. What the server says of a statement is no proof: it may
 * have a COMMIT in it, and have failed after that.
 */
export const isSafeToRetry = (error: unknown): boolean => {
  if (error instanceof PoolError.PoolError) return error.isRetryable
  if (!isSqlError(error) || !error.isRetryable) return false
  const { operation } = error.reason
  return operation === "acquire" || operation === "connect"
}

/** Whether a statement fails like this when its session is ended under it: by a cancel request, by the end itself. */
export const isCutOff = ({ reason }: SqlError): boolean =>
  reason._tag === "ConnectionError" || sqlState(reason.cause) === "57014"

/** What an error of the body says about its connection. */
export const classify: Health.Classify = (cause) => {
  let verdict: Health.Verdict = "fine"
  for (const reason of cause.reasons) {
    if (Cause.isInterruptReason(reason)) continue
    // A transaction that can't be rolled back dies of its `SqlError`.
    const error = Cause.isFailReason(reason) ? reason.error : reason.defect
    if (isSqlError(error)) {
      if (endsSession(error)) return "fatal"
    } else if (Cause.isDieReason(reason)) {
      verdict = "suspect"
    }
  }
  return verdict
}

export const endsSession = ({ reason }: SqlError): boolean => {
  // Of another lease that could not be had the connection at hand knows nothing.
  if (reason._tag === "ConnectionError") return !(reason.cause instanceof PoolError.PoolError)
  const state = sqlState(reason.cause)
  return state !== undefined && sessionEnds.has(state)
}

/** Shut down by an administrator, by a crash; idle for too long, in a transaction or out of one. */
const sessionEnds = new Set(["57P01", "57P02", "25P03", "57P05"])

/** Starting up or shutting down; too many connections. */
const noSession = new Set(["57P03", "53300"])

/**
 * Whether another attempt to connect must fail the same way: credentials or settings that are wrong, a database that
 * isn't there, a server without TLS. Attempts all the same would only help to get the account locked.
 */
export const isPermanent = (error: unknown): boolean => {
  if (!isSqlError(error)) return false
  const { _tag, cause } = error.reason
  return (
    _tag === "AuthenticationError" ||
    _tag === "AuthorizationError" ||
    sqlState(cause) === "3D000" ||
    (_tag === "ConnectionError" &&
      error.reason.operation === "connect" &&
      cause instanceof Error &&
      isRefused(error.message, cause))
  )
}

/**
 * Settings are refused before a socket is opened: by Node with a code, by sql-pg without one and with a message that
 * is its prefix and the cause's. Whatever else fails without a code, a socket of the application's own, say, may heal.
 */
const isRefused = (message: string, cause: Error): boolean => {
  const code = sqlState(cause)
  if (code !== undefined) return code === "ERR_SOCKET_BAD_PORT" || code.startsWith("ERR_INVALID_")
  return (
    (message === `${prefix}${cause.message}` && message !== `${prefix}Connection timed out`) ||
    message === `${prefix}Server refused TLS`
  )
}

const prefix = "PgConnection: "

const sqlState = (cause: unknown): string | undefined =>
  hasProperty(cause, "code") && typeof cause.code === "string" ? cause.code : undefined
