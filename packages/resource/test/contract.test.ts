import { describe, it } from "@effect/vitest"
import { Contract } from "@effect-pools/testing"
import { subject } from "./subject.ts"

describe("the contract, kept by the resource pool", () => {
  Contract.suite(subject, it)
})
