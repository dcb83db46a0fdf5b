import { assert, describe, it } from "@effect/vitest"
import { PoolError } from "@effect-pools/core"
import * as Cause from "effect/Cause"
import { ConnectionError, DeadlockError, SqlError, UniqueViolation, UnknownError } from "effect/sql/SqlError"
import { classify, isPermanent, toSqlError } from "../src/internal/errors.ts"

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
  it("is true of a database that isn't there, false of a server that starts or is full", () => {
    assert.isTrue(isPermanent(server("3D000")))
    assert.isFalse(isPermanent(server("57P03")))
    assert.isFalse(isPermanent(server("53300")))
    assert.isFalse(isPermanent(lost))
  })
})
