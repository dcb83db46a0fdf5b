import { describe, it } from "@effect/vitest"
import { Contract } from "@effect-pools/testing"
import { growing, shared, whileGrowing } from "./shared/subject.ts"

describe("the contract, kept by the shared pool", () => {
  Contract.suite(shared, it)

  describe("as it grows", () => {
    for (const { name, run } of Contract.cases(growing)) {
      if (whileGrowing.includes(name)) it.effect(name, () => run)
    }
  })
})
