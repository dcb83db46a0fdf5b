import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { type Linked, LinkedList } from "../../src/data/LinkedList.ts"

class Member implements Linked<Member> {
  readonly id: number
  list: LinkedList<Member> | undefined = undefined
  previous: Member | undefined = undefined
  next: Member | undefined = undefined
  constructor(id: number) {
    this.id = id
  }
}

const members = (count: number): Array<Member> => Array.from({ length: count }, (_, id) => new Member(id))

const listOf = (all: ReadonlyArray<Member>): LinkedList<Member> => {
  const list = new LinkedList<Member>()
  for (const member of all) list.addLast(member)
  return list
}

/** Everything that can be read from the list agrees with the model, in both directions. */
const expectSame = (list: LinkedList<Member>, model: ReadonlyArray<Member>) => {
  const ids = model.map((member) => member.id)
  expect(list.size).toBe(model.length)
  expect(Array.from(list, (member) => member.id)).toEqual(ids)
  const backwards: Array<number> = []
  for (let member = list.tail; member !== undefined; member = member.previous) backwards.push(member.id)
  expect(backwards).toEqual(ids.toReversed())
  expect(list.head).toBe(model[0])
  expect(list.tail).toBe(model.at(-1))
  for (const member of model) expect(member.list).toBe(list)
}

const expectFree = (member: Member) => {
  expect(member.list).toBeUndefined()
  expect(member.previous).toBeUndefined()
  expect(member.next).toBeUndefined()
}

const Index = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 }))
const Command = Schema.TaggedUnion({
  AddFirst: {},
  AddLast: {},
  Remove: { at: Index },
  /** A member that was taken out comes back at the other end. */
  Move: { at: Index },
  RemoveWhileIterating: { every: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 4 })) }
})

describe("LinkedList", () => {
  it("gives up the first, until there is none", () => {
    const all = members(3)
    const list = listOf(all)
    for (let n = 0; n < 3; n++) {
      expect(list.removeFirst()).toBe(all[n])
      expectFree(all[n]!)
      expectSame(list, all.slice(n + 1))
    }
    expect(list.removeFirst()).toBeUndefined()
    expectSame(list, [])
    list.addLast(all[0]!)
    expectSame(list, [all[0]!])
  })

  it.prop(
    "behaves as an array with any sequence of adding and removing",
    { commands: Arbitrary.array(Arbitrary.schema(Command), { maxLength: 200 }) },
    ({ commands }) => {
      const list = new LinkedList<Member>()
      const model: Array<Member> = []
      let id = 0
      for (const command of commands) {
        switch (command._tag) {
          case "AddFirst": {
            const member = new Member(id++)
            list.addFirst(member)
            model.unshift(member)
            break
          }
          case "AddLast": {
            const member = new Member(id++)
            list.addLast(member)
            model.push(member)
            break
          }
          case "Remove":
          case "Move": {
            if (model.length === 0) break
            const [member] = model.splice(command.at % model.length, 1)
            list.remove(member!)
            expectFree(member!)
            if (command._tag === "Move") {
              list.addFirst(member!)
              model.unshift(member!)
            }
            break
          }
          case "RemoveWhileIterating": {
            const seen: Array<Member> = []
            for (const member of list) {
              if (seen.push(member) % command.every === 0) list.remove(member)
            }
            expect(seen).toEqual(model)
            const left = model.filter((_, index) => (index + 1) % command.every !== 0)
            model.splice(0, model.length, ...left)
            break
          }
        }
        expectSame(list, model)
      }
    },
    { arbitrary: { runs: 300, size: 60 } }
  )

  it("is empty in the beginning", () => {
    expectSame(new LinkedList<Member>(), [])
  })

  it("is empty again after its only member left, and takes it back at either end", () => {
    const list = new LinkedList<Member>()
    const [only] = members(1)
    list.addFirst(only!)
    list.remove(only!)
    expectSame(list, [])
    list.addLast(only!)
    expectSame(list, [only!])
    list.remove(only!)
    list.addFirst(only!)
    expectSame(list, [only!])
  })

  it.each([
    ["first", 0],
    ["middle", 1],
    ["last", 2]
  ])("closes the gap when the %s member leaves", (_place, index) => {
    const all = members(3)
    const list = listOf(all)
    list.remove(all[index]!)
    expectFree(all[index]!)
    expectSame(list, all.toSpliced(index, 1))
  })

  it("takes a member behind any other, or before all", () => {
    const [a, b, c, d, e] = members(5) as [Member, Member, Member, Member, Member]
    const list = listOf([b, d])
    list.addAfter(c, b)
    expectSame(list, [b, c, d])
    list.addAfter(a, undefined)
    expectSame(list, [a, b, c, d])
    list.addAfter(e, d)
    expectSame(list, [a, b, c, d, e])
    expect(() => list.addAfter(e, a)).toThrow("BUG: member is in a list already")
    const [stranger, other] = members(2) as [Member, Member]
    expect(() => list.addAfter(stranger, other)).toThrow("BUG: member is not in this list")
    expectFree(stranger)
  })

  it("leaves no link in a member that was taken out", () => {
    const all = members(3)
    const list = listOf(all)
    for (const member of all) list.remove(member)
    for (const member of all) expectFree(member)
    expectSame(list, [])
  })

  it("visits every member once when each is removed as it is visited", () => {
    const all = members(5)
    const list = listOf(all)
    const seen: Array<number> = []
    for (const member of list) {
      list.remove(member)
      seen.push(member.id)
    }
    expect(seen).toEqual([0, 1, 2, 3, 4])
    expectSame(list, [])
  })

  it("visits every member of the beginning when each moves to the end as it is visited", () => {
    const all = members(4)
    const list = listOf(all)
    const seen: Array<number> = []
    for (const member of list) {
      seen.push(member.id)
      if (seen.length === 4) break
      list.remove(member)
      list.addLast(member)
    }
    expect(seen).toEqual([0, 1, 2, 3])
    expectSame(list, [all[3]!, all[0]!, all[1]!, all[2]!])
  })

  it("goes on with the rest when members already visited are removed", () => {
    const all = members(4)
    const list = listOf(all)
    const seen: Array<number> = []
    for (const member of list) {
      seen.push(member.id)
      if (member.id === 2) {
        list.remove(all[0]!)
        list.remove(all[1]!)
      }
    }
    expect(seen).toEqual([0, 1, 2, 3])
    expectSame(list, [all[2]!, all[3]!])
  })

  it.each(["addFirst", "addLast"] as const)("%s refuses a member that is in the list already", (add) => {
    const all = members(2)
    const list = listOf(all)
    expect(() => list[add](all[0]!)).toThrow(/^BUG: member is in a list already/)
    expect(() => list[add](all[1]!)).toThrow(/^BUG: /)
    expectSame(list, all)
  })

  it.each(["addFirst", "addLast"] as const)("%s refuses a member of another list", (add) => {
    const all = members(1)
    const home = listOf(all)
    const other = new LinkedList<Member>()
    expect(() => other[add](all[0]!)).toThrow(/^BUG: member is in a list already/)
    expectSame(home, all)
    expectSame(other, [])
  })

  it("remove refuses a member of another list", () => {
    const all = members(3)
    const home = listOf(all)
    const other = listOf(members(2))
    expect(() => other.remove(all[1]!)).toThrow(/^BUG: member is not in this list/)
    expectSame(home, all)
    expect(other.size).toBe(2)
  })

  it("remove refuses a member that is in no list, be it new or taken out before", () => {
    const all = members(2)
    const list = listOf(all)
    expect(() => list.remove(new Member(9))).toThrow(/^BUG: member is not in this list/)
    list.remove(all[0]!)
    expect(() => list.remove(all[0]!)).toThrow(/^BUG: member is not in this list/)
    expectSame(list, [all[1]!])
  })

  it("a member can go from one list to another", () => {
    const all = members(3)
    const first = listOf(all)
    const second = new LinkedList<Member>()
    first.remove(all[1]!)
    second.addFirst(all[1]!)
    expectSame(first, [all[0]!, all[2]!])
    expectSame(second, [all[1]!])
  })

  it("removes from the middle of 200,000 members in constant time each", () => {
    const all = members(200_000)
    const list = listOf(all)
    for (let i = 0; i < all.length; i++) list.remove(all[(i * 7919) % all.length]!)
    expectSame(list, [])
  })
})
