import { describe, it } from "@effect/vitest"
import * as Contract from "../src/Contract.ts"
import { fresh, nonBlocking, synchronous } from "./kinds.ts"
import { subject } from "./subject.ts"

for (const kind of [subject, fresh, synchronous, nonBlocking]) {
  describe(`the contract, kept by a ${kind.kind} pool`, () => {
    Contract.suite(kind, it)
  })
}
