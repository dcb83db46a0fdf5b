import { PoolError } from "@effect-pools/core"
import { assert, describe, it } from "@effect/vitest"
import * as Exit from "effect/Exit"
import { DeadlineExceeded } from "../src/requests.ts"
import { Tally } from "../src/tally.ts"

describe("the tally", () => {
  it("tells outcomes by the error's tag and its reason's", () => {
    const tally = new Tally()
    const exhausted = PoolError.make(() => new PoolError.Exhausted({ pool: "orders", max: 1 }))
    for (const exit of [Exit.void, Exit.void, Exit.fail(new DeadlineExceeded()), Exit.fail(exhausted)]) {
      tally.begin()
      tally.end(exit, 1)
    }
    assert.deepStrictEqual(Object.fromEntries(tally.outcomes), {
      ok: 2,
      DeadlineExceeded: 1,
      "PoolError.Exhausted": 1
    })
    assert.strictEqual(tally.asked, tally.ended)
    assert.strictEqual(tally.withoutType, 0)
  })

  it("counts defects and interruptions as what nobody should see", () => {
    const tally = new Tally()
    tally.end(Exit.die("oops"), 1)
    tally.end(Exit.interrupt(), 1)
    assert.strictEqual(tally.withoutType, 2)
    assert.deepStrictEqual(tally.defects, ["oops"])
  })

  it("shows requests without an end", () => {
    const tally = new Tally()
    tally.begin()
    assert.strictEqual(tally.asked - tally.ended, 1)
  })
})
