import { describe, it } from "@effect/vitest"
import * as Contract from "../src/Contract.ts"
import { subject } from "./subject.ts"

describe("the contract, kept by the test pool", () => {
  Contract.suite(subject, it)
})
