import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { Ledger } from "../src/internal/ledger.ts"

const Small = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 }))
const Size = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 5 }))

const commands = Arbitrary.array(
  Arbitrary.schema(
    Schema.TaggedUnion({ Add: { gap: Small, size: Size }, Grow: { by: Small }, Rewind: { back: Small } })
  ),
  { maxLength: 60 }
)

describe("Ledger", () => {
  it.prop(
    "knows what lies in an allocation",
    { commands },
    ({ commands }) => {
      const ledger = new Ledger()
      let model: Array<{ readonly start: number; readonly size: number }> = []
      const end = () => (model.length === 0 ? 0 : model.at(-1)!.start + model.at(-1)!.size)
      for (const command of commands) {
        switch (command._tag) {
          case "Add": {
            const start = end() + command.gap
            ledger.add(start, command.size)
            model.push({ start, size: command.size })
            break
          }
          case "Grow": {
            const last = model.pop()
            if (last === undefined) break
            model.push({ start: last.start, size: last.size + command.by })
            ledger.growLast(last.size + command.by)
            break
          }
          case "Rewind": {
            const position = Math.max(0, end() - 3 * command.back)
            ledger.rewind(position)
            model = model.filter(({ start }) => start < position)
            break
          }
        }
        for (let start = 0; start <= end() + 1; start++) {
          for (let size = 1; size <= 6; size++) {
            const isOne = model.some((one) => one.start === start && one.size === size)
            const isIn = model.some((one) => one.start <= start && start + size <= one.start + one.size)
            // `expect` would cost more than all the rest.
            if (ledger.isAllocation(start, size) !== isOne || ledger.covers(start, size) !== isIn) {
              expect.fail(`${size} bytes at ${start} among ${JSON.stringify(model)}`)
            }
          }
        }
      }
    },
    { arbitrary: { runs: 100, size: 30 } }
  )
})
