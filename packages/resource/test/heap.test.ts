/** The heap, against a sorted list. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Heap, type Placed } from "../src/internal/heap.ts"

class Member implements Placed {
  place = -1
  readonly id: number
  key: number

  constructor(id: number, key: number) {
    this.id = id
    this.key = key
  }
}

const precedes = (one: Member, other: Member) => (one.key === other.key ? one.id < other.id : one.key < other.key)

const Key = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 }))
const Which = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 50 }))
const Command = Schema.Union([
  Schema.Struct({ _tag: Schema.tag("add"), key: Key }),
  Schema.Struct({ _tag: Schema.tag("remove"), which: Which }),
  Schema.Struct({ _tag: Schema.tag("move"), which: Which, key: Key })
])

describe("a heap", () => {
  it.effect.prop("has its members in order, whoever comes, leaves and moves", [Schema.Array(Command)], ([commands]) =>
    Effect.sync(() => {
      const heap = new Heap<Member>(precedes)
      const model: Array<Member> = []
      let made = 0
      for (const command of commands) {
        if (command._tag === "add") {
          const member = new Member(++made, command.key)
          heap.add(member)
          model.push(member)
        } else {
          const member = model[command.which % Math.max(1, model.length)]
          if (member === undefined) continue
          if (command._tag === "remove") {
            heap.remove(member)
            model.splice(model.indexOf(member), 1)
            expect(member.place).toBe(-1)
          } else {
            member.key = command.key
            heap.moved(member)
          }
        }
        model.sort((one, other) => (precedes(one, other) ? -1 : 1))
        expect(heap.size).toBe(model.length)
        expect(heap.first).toBe(model[0])
        expect(Array.from(heap.inOrder(), ({ id }) => id)).toEqual(model.map(({ id }) => id))
      }
    })
  )

  it("gives up thousands of members in order, from any place", () => {
    const heap = new Heap<Member>(precedes)
    const members = Array.from({ length: 5000 }, (_, n) => new Member(n, (n * 7919) % 1013))
    for (const member of members) heap.add(member)
    for (const member of members) if (member.id % 3 === 0) heap.remove(member)
    const rest = members.filter(({ id }) => id % 3 !== 0).sort((one, other) => (precedes(one, other) ? -1 : 1))
    for (const member of rest) {
      expect(heap.first).toBe(member)
      heap.remove(member)
    }
    expect(heap.size).toBe(0)
    expect(Array.from(heap.inOrder())).toEqual([])
  })
})
