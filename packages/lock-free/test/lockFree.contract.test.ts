import { describe, it } from "@effect/vitest"
import { Contract } from "@effect-pools/testing"
import { refusing, waiting } from "./subject.ts"

describe("the contract, kept by the lock-free pool", () => {
  describe("whose callers wait", () => {
    Contract.suite(waiting, it)
  })
  describe("whose callers are refused", () => {
    Contract.suite(refusing, it)
  })
})
