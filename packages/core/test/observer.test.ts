import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import { inWords } from "../src/Observer.ts"

describe("a failure in words", () => {
  it("is what a text says, an error as it shows itself, and anything else by its fields", () => {
    assert.strictEqual(inWords(Cause.fail("too many clients")), "too many clients")
    assert.strictEqual(inWords(Cause.fail(new TypeError("no such host"))), "TypeError: no such host")
    assert.strictEqual(inWords(Cause.die({ code: 53_300 })), '{"code":53300}')
  })

  it("says so where an error cannot show itself", () => {
    class Hostile extends Error {
      override get message(): string {
        throw new Error("no words")
      }
    }
    assert.strictEqual(inWords(Cause.fail(new Hostile())), "a failure that cannot be shown")
  })
})
