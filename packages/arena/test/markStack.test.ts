import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { MarkStack } from "../src/internal/markStack.ts"

const Step = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 }))
const Index = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 }))

const commands = Arbitrary.array(
  Arbitrary.schema(
    Schema.TaggedUnion({ Advance: { by: Step }, Push: {}, Enter: {}, Leave: {}, Rewind: { to: Index }, Clear: {} })
  ),
  { maxLength: 200 }
)

describe("MarkStack", () => {
  it.prop(
    "behaves as a list of positions",
    { commands },
    ({ commands }) => {
      const stack = new MarkStack()
      let position = 0
      let live: Array<{ readonly mark: number; readonly position: number; scopes: number; isTaken: boolean }> = []
      const push = (mark: number) => {
        const top = live.at(-1)
        if (top?.position === position) expect(mark).toBe(top.mark)
        else {
          expect(seen.has(mark)).toBe(false)
          live.push({ mark, position, scopes: 0, isTaken: false })
        }
        seen.add(mark)
        return live.at(-1)!
      }
      const seen = new Set<number>()
      for (const command of commands) {
        switch (command._tag) {
          case "Advance": {
            position += command.by
            break
          }
          case "Push": {
            push(stack.push(position)).isTaken = true
            break
          }
          case "Enter": {
            push(stack.enter(position)).scopes++
            break
          }
          case "Leave": {
            // The innermost scope that is not over.
            const at = live.findLastIndex(({ scopes }) => scopes > 0)
            if (at < 0) break
            const scope = live[at]!
            expect(stack.rewind(scope.mark)).toBe(scope.position)
            stack.leave()
            position = scope.position
            scope.scopes--
            live = live.slice(0, scope.scopes > 0 || scope.isTaken ? at + 1 : at)
            break
          }
          case "Rewind": {
            const all = [...seen]
            if (all.length === 0) break
            const mark = all[command.to % all.length]!
            const at = live.findIndex((entry) => entry.mark === mark)
            expect(stack.has(mark)).toBe(at >= 0)
            expect(stack.rewind(mark)).toBe(at < 0 ? -1 : live[at]!.position)
            if (at >= 0) {
              position = live[at]!.position
              live = live.slice(0, at + 1)
            }
            break
          }
          case "Clear": {
            stack.clear()
            position = 0
            live = []
            break
          }
        }
        expect(stack.top).toBe(live.at(-1)?.position ?? 0)
      }
    },
    { arbitrary: { runs: 300, size: 60 } }
  )

  it("forgets the mark of scopes when the last of them is over, unless somebody has taken it", () => {
    const stack = new MarkStack()
    const mark = stack.enter(7)
    stack.enter(7)
    stack.leave()
    expect(stack.has(mark)).toBe(true)
    stack.leave()
    expect([stack.has(mark), stack.top]).toEqual([false, 0])
    const taken = stack.enter(7)
    expect(stack.push(7)).toBe(taken)
    stack.enter(7)
    for (let n = 0; n < 2; n++) stack.leave()
    expect(stack.has(taken)).toBe(true)
  })

  it("does not know the marks of another one", () => {
    const one = new MarkStack()
    const other = new MarkStack()
    const mark = one.push(0)
    other.push(0)
    expect(other.has(mark)).toBe(false)
    expect(other.rewind(mark)).toBe(-1)
  })

  it("forgets all marks when it is cleared", () => {
    const stack = new MarkStack()
    const mark = stack.push(7)
    stack.clear()
    expect(stack.rewind(mark)).toBe(-1)
    expect(stack.push(0)).not.toBe(mark)
  })

  it.each([NaN, -1, 0.5, Infinity, undefined, "1"])("has no mark %s", (mark) => {
    const stack = new MarkStack()
    stack.push(1)
    expect(stack.rewind(mark as number)).toBe(-1)
    expect(stack.top).toBe(1)
  })
})
