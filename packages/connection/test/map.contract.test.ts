import { describe, it } from "@effect/vitest"
import { Contract } from "@effect-pools/testing"
import { subject } from "./map.subject.ts"

describe("the contract, kept by a key of a map", () => {
  Contract.suite(subject, it)
})
