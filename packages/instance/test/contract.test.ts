import { describe, it } from "@effect/vitest"
import { Contract } from "@effect-pools/testing"
import { refusing, subject } from "./subject.ts"

describe("the contract, kept by the instance pool", () => {
  describe("whose callers wait", () => {
    Contract.suite(subject, it)
  })
  describe("whose callers are refused", () => {
    Contract.suite(refusing, it)
  })
})
