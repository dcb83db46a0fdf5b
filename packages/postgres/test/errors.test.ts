import { assert, describe, it } from "@effect/vitest"
import { PoolError } from "@effect-pools/core"
import * as Cause from "effect/Cause"
import {
  ConnectionError,
  DeadlockError,
  LockTimeoutError,
  SerializationError,
  SqlError,
  StatementTimeoutError,
  UniqueViolation,
  UnknownError
} from "effect/sql/SqlError"
import { classify, isPermanent, isSafeToRetry, nameConnectionError, toSqlError } from "../src/internal/errors.ts"

const cause = new Error("no")
const lost = new SqlError({ reason: new ConnectionError({ cause }) })
const duplicate = new SqlError({ reason: new UniqueViolation({ cause, constraint: "key" }) })
const server = (code: string) =>
  new SqlError({ reason: new UnknownError({ cause: Object.assign(new Error(), { code }) }) })
const closed = PoolError.make(() => new PoolError.Closed({ pool: "p" }))
const full = PoolError.make(() => new PoolError.QueueFull({ pool: "p", maxWaiters: 1 }))

describe("classify", () => {
  it("an error about the connection is fatal, typed or not", () => {
    assert.strictEqual(classify(Cause.fail(lost)), "fatal")
    assert.strictEqual(classify(Cause.die(lost)), "fatal")
    assert.strictEqual(classify(Cause.combine(Cause.fail(duplicate), Cause.die(lost))), "fatal")
  })

  it("so is one that says that the server has ended the session", () => {
    assert.strictEqual(classify(Cause.fail(server("57P01"))), "fatal")
    assert.strictEqual(classify(Cause.fail(server("25P03"))), "fatal")
  })

  it("any other SqlError is fine, typed or not", () => {
    assert.strictEqual(classify(Cause.fail(duplicate)), "fine")
    assert.strictEqual(classify(Cause.die(duplicate)), "fine")
    assert.strictEqual(classify(Cause.fail(server("22012"))), "fine")
    assert.strictEqual(classify(Cause.fail(new SqlError({ reason: new DeadlockError({ cause }) }))), "fine")
  })

  it("a lease that could not be had says nothing about the one that was", () => {
    assert.strictEqual(classify(Cause.fail(toSqlError(full))), "fine")
  })

  it("a defect is suspect, an interruption and the application's errors are fine", () => {
    assert.strictEqual(classify(Cause.die(cause)), "suspect")
    assert.strictEqual(classify(Cause.interrupt(1)), "fine")
    assert.strictEqual(classify(Cause.fail("not found")), "fine")
  })
})

describe("what the server says of a connection", () => {
  it("is a ConnectionError, worth a retry, in the server's words", () => {
    for (const code of ["57P01", "57P02", "57P03", "53300"]) {
      const cause = Object.assign(new Error("sorry"), { code })
      const reason = new UnknownError({ cause, message: "failed to connect", operation: "connect" })
      const named = nameConnectionError(new SqlError({ reason }))
      assert.strictEqual(named.reason._tag, "ConnectionError")
      assert.isTrue(named.isRetryable)
      assert.strictEqual(named.message, "failed to connect: sorry")
      assert.strictEqual(named.reason.cause, cause)
      assert.strictEqual(named.reason.operation, "connect")
    }
  })

  it("is told from what it says of a statement", () => {
    for (const error of [server("22012"), server("53200"), duplicate, lost]) {
      assert.strictEqual(nameConnectionError(error), error)
    }
  })
})

describe("isSafeToRetry", () => {
  const failure = (operation: string | undefined) => new SqlError({ reason: new ConnectionError({ cause, operation }) })

  it("is what failed for want of a connection", () => {
    for (const error of [full, toSqlError(full), failure("acquire"), failure("connect")]) {
      assert.isTrue(isSafeToRetry(error), String(error))
    }
  })

  it("is not what the server has undone: before that it may have committed", () => {
    for (const Reason of [DeadlockError, SerializationError, LockTimeoutError, StatementTimeoutError]) {
      const error = new SqlError({ reason: new Reason({ cause, operation: "query" }) })
      assert.isTrue(error.isRetryable)
      assert.isFalse(isSafeToRetry(error), String(error))
    }
  })

  it("is not what may have been done, nor what will fail again, nor what nobody knows", () => {
    for (const error of [failure("query"), lost, closed, toSqlError(closed), duplicate, server("22012"), cause, "no"]) {
      assert.isFalse(isSafeToRetry(error), String(error))
    }
  })
})

describe("a PoolError as a SqlError", () => {
  it("is a ConnectionError that keeps cause, message and whether to retry", () => {
    for (const error of [closed, full]) {
      const translated = toSqlError(error)
      assert.instanceOf(translated.reason, ConnectionError)
      assert.strictEqual(translated.reason._tag, "ConnectionError")
      assert.strictEqual(translated.reason.cause, error)
      assert.strictEqual(translated.message, error.message)
      assert.strictEqual(translated.isRetryable, error.isRetryable)
      assert.strictEqual(translated.reason.operation, "acquire")
    }
    assert.strictEqual(toSqlError(closed).isRetryable, false)
  })

  it("is made once for each", () => {
    assert.strictEqual(toSqlError(full), toSqlError(full))
  })
})

describe("isPermanent", () => {
  const connecting = (message: string, cause: unknown) =>
    new SqlError({ reason: new ConnectionError({ cause, message: `PgConnection: ${message}`, operation: "connect" }) })
  const fromNode = (code: string) => connecting("Failed to connect", Object.assign(new Error(code), { code }))

  it("is true of a database that isn't there, false of a server that starts or is full", () => {
    assert.isTrue(isPermanent(server("3D000")))
    assert.isFalse(isPermanent(server("57P03")))
    assert.isFalse(isPermanent(server("53300")))
    assert.isFalse(isPermanent(lost))
  })

  it("is true of settings that can't be used, and of a server without TLS", () => {
    for (const message of ["No username configured", 'Unrecognized sslmode in URL: "bogus"']) {
      assert.isTrue(isPermanent(connecting(message, new Error(message))), message)
    }
    assert.isTrue(isPermanent(connecting("Server refused TLS", new Error("The server does not support TLS"))))
    assert.isTrue(isPermanent(fromNode("ERR_INVALID_URL")))
    assert.isTrue(isPermanent(fromNode("ERR_SOCKET_BAD_PORT")))
  })

  it("is false of a network that fails", () => {
    for (const code of ["ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EPIPE", "ENOTFOUND", "EAI_AGAIN", "ENOENT"]) {
      assert.isFalse(isPermanent(fromNode(code)), code)
    }
    assert.isFalse(isPermanent(connecting("Connection timed out", new Error("Connection timed out"))))
    assert.isFalse(
      isPermanent(connecting("Connection closed during startup", new Error("Connection closed unexpectedly")))
    )
    assert.isFalse(isPermanent(connecting("Failed to connect", new Error("the tunnel is down"))))
    assert.isFalse(isPermanent(connecting("Failed to connect", "not even an error")))
  })
})
