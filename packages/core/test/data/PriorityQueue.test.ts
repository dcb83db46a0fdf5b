import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import type { LinkedList } from "../../src/data/LinkedList.ts"
import { type Prioritised, PriorityQueue } from "../../src/data/PriorityQueue.ts"
import { below, MiB, random, retainedBytes } from "./support.ts"

class Waiter implements Prioritised<Waiter> {
  readonly id: number
  readonly priority: number
  list: LinkedList<Waiter> | undefined = undefined
  previous: Waiter | undefined = undefined
  next: Waiter | undefined = undefined
  constructor(id: number, priority: number) {
    this.id = id
    this.priority = priority
  }
}

/** The order of service of waiters given in the order of their arrival. Sorting is stable. */
const served = (arrived: ReadonlyArray<Waiter>): Array<Waiter> =>
  arrived.toSorted((a, b) => (a.priority === b.priority ? 0 : a.priority < b.priority ? 1 : -1))

const show = (waiters: Iterable<Waiter>): Array<string> =>
  Array.from(waiters, ({ id, priority }) => `${id} with ${priority}`)

const expectSame = (queue: PriorityQueue<Waiter>, arrived: ReadonlyArray<Waiter>) => {
  const model = served(arrived)
  expect(queue.size).toBe(model.length)
  expect(show(queue)).toEqual(show(model))
  expect(queue.first()).toBe(model[0])
}

const queueOf = (priorities: ReadonlyArray<number>) => {
  const queue = new PriorityQueue<Waiter>()
  const arrived = priorities.map((priority, id) => new Waiter(id, priority))
  for (const waiter of arrived) queue.add(waiter)
  return { queue, arrived }
}

const drain = (queue: PriorityQueue<Waiter>): Array<Waiter> => {
  const taken: Array<Waiter> = []
  for (let waiter = queue.takeFirst(); waiter !== undefined; waiter = queue.takeFirst()) taken.push(waiter)
  return taken
}

const Index = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 }))
const commands = (priority: Schema.Schema<number>) =>
  Arbitrary.array(
    Arbitrary.schema(
      Schema.TaggedUnion({
        Add: { priority },
        AddMore: { priority },
        TakeFirst: {},
        Leave: { at: Index },
        Return: { at: Index }
      })
    ),
    { maxLength: 200 }
  )

type Commands = ReadonlyArray<
  | { readonly _tag: "Add" | "AddMore"; readonly priority: number }
  | { readonly _tag: "TakeFirst" }
  | { readonly _tag: "Leave" | "Return"; readonly at: number }
>

const fewPriorities = [-Infinity, -3, -0.5, 0, 0.25, 1, 10, Infinity]

const runAgainstModel = (commands: Commands, priorityOf: (generated: number) => number) => {
  const queue = new PriorityQueue<Waiter>()
  const arrived: Array<Waiter> = []
  let id = 0
  for (const command of commands) {
    switch (command._tag) {
      case "Add":
      case "AddMore": {
        const waiter = new Waiter(id++, priorityOf(command.priority))
        queue.add(waiter)
        arrived.push(waiter)
        break
      }
      case "TakeFirst": {
        const expected = served(arrived)[0]
        expect(queue.takeFirst()).toBe(expected)
        if (expected !== undefined) arrived.splice(arrived.indexOf(expected), 1)
        break
      }
      case "Leave":
      case "Return": {
        if (arrived.length === 0) break
        const [waiter] = arrived.splice(command.at % arrived.length, 1)
        queue.remove(waiter!)
        expect(waiter!.list).toBeUndefined()
        if (command._tag === "Return") {
          queue.add(waiter!)
          arrived.push(waiter!)
        }
        break
      }
    }
    expectSame(queue, arrived)
  }
  expect(show(drain(queue))).toEqual(show(served(arrived)))
  expect(queue.size).toBe(0)
}

describe("PriorityQueue", () => {
  it.prop(
    "behaves as a stably sorted array with few priorities",
    { commands: commands(Schema.Literals([...fewPriorities.keys()])) },
    ({ commands }) => runAgainstModel(commands, (index) => fewPriorities[index]!),
    { arbitrary: { runs: 300, size: 60 } }
  )

  it.prop(
    "behaves as a stably sorted array with many priorities",
    { commands: commands(Schema.Finite) },
    ({ commands }) => runAgainstModel(commands, (priority) => priority),
    { arbitrary: { runs: 300, size: 60 } }
  )

  it("has no first member in the beginning", () => {
    const queue = new PriorityQueue<Waiter>()
    expect(queue.takeFirst()).toBeUndefined()
    expectSame(queue, [])
  })

  it("serves in the order of arrival when all have the same priority", () => {
    const { arrived, queue } = queueOf([0, 0, 0, 0])
    expect(drain(queue)).toEqual(arrived)
  })

  it("serves the highest priority first and the order of arrival within it", () => {
    const { queue } = queueOf([0, 5, 0, 9, 5, 9])
    expect(drain(queue).map((waiter) => waiter.id)).toEqual([3, 5, 1, 4, 0, 2])
  })

  it("serves negative priorities after zero", () => {
    const { queue } = queueOf([-10, -1, 0, -5, 3])
    expect(drain(queue).map((waiter) => waiter.priority)).toEqual([3, 0, -1, -5, -10])
  })

  it("tells fractional priorities apart", () => {
    const { queue } = queueOf([1, 1.5, 1.25, -0.5, -0.25, 1 + Number.EPSILON])
    expect(drain(queue).map((waiter) => waiter.priority)).toEqual([1.5, 1.25, 1 + Number.EPSILON, 1, -0.25, -0.5])
  })

  it("takes 0 and -0 for the same priority", () => {
    const { queue } = queueOf([0, -0, 0, 1, -0])
    expect(drain(queue).map((waiter) => waiter.id)).toEqual([3, 0, 1, 2, 4])
  })

  it("serves Infinity before and -Infinity after all others", () => {
    const { queue } = queueOf([-Infinity, 1e300, Infinity, -1e300, Infinity])
    expect(drain(queue).map((waiter) => waiter.id)).toEqual([2, 4, 1, 3, 0])
  })

  it.each([
    ["at the front", 0],
    ["in the middle", 3],
    ["at the end", 5]
  ])("closes the gap when somebody leaves %s", (_place, position) => {
    const { arrived, queue } = queueOf([1, 2, 3, 1, 2, 3])
    const leaving = served(arrived)[position]!
    queue.remove(leaving)
    expectSame(
      queue,
      arrived.filter((waiter) => waiter !== leaving)
    )
  })

  it("one who left and came back stands behind those of the same priority", () => {
    const { arrived, queue } = queueOf([1, 1, 0])
    queue.remove(arrived[0]!)
    queue.add(arrived[0]!)
    expect(drain(queue).map((waiter) => waiter.id)).toEqual([1, 0, 2])
  })

  it("looking at the first takes nothing", () => {
    const { arrived, queue } = queueOf([0, 1])
    expect(queue.first()).toBe(arrived[1])
    expect(queue.first()).toBe(arrived[1])
    expectSame(queue, arrived)
  })

  it("serves a priority that was used up and is used again", () => {
    const queue = new PriorityQueue<Waiter>()
    for (const priority of [1, 2, 1, 2, 3, 1]) {
      const waiter = new Waiter(0, priority)
      queue.add(waiter)
      expect(queue.takeFirst()).toBe(waiter)
      expectSame(queue, [])
    }
  })

  it("finds the others when the priority last used has nobody left", () => {
    const { arrived, queue } = queueOf([0, 1, 5])
    expect(queue.takeFirst()).toBe(arrived[2])
    expectSame(queue, [arrived[0]!, arrived[1]!])
    const low = new Waiter(9, -1)
    queue.add(low)
    expectSame(queue, [arrived[0]!, arrived[1]!, low])
  })

  it("visits everybody once when each is removed as it is visited", () => {
    const { arrived, queue } = queueOf([2, 0, 1, 2, 1, 0, 3])
    const expected = show(served(arrived))
    const seen: Array<Waiter> = []
    for (const waiter of queue) {
      queue.remove(waiter)
      seen.push(waiter)
    }
    expect(show(seen)).toEqual(expected)
    expectSame(queue, [])
  })

  it("refuses a member that is in a queue already and stays as it was", () => {
    const { arrived, queue } = queueOf([0, 1])
    expect(() => queue.add(arrived[0]!)).toThrow(/^BUG: /)
    expectSame(queue, arrived)
  })

  describe("priorities that nobody waits with any more", () => {
    it("keep no memory while the queue is used one at a time", () => {
      const queue = new PriorityQueue<Waiter>()
      const grown = retainedBytes(() => {
        for (let i = 0; i < 200_000; i++) {
          queue.add(new Waiter(i, i))
          queue.takeFirst()
        }
      })
      expect(queue.size).toBe(0)
      expect(grown).toBeLessThan(MiB)
    })

    it("keep no memory after all of them were in use at once", { timeout: 60_000 }, () => {
      const queue = new PriorityQueue<Waiter>()
      const grown = retainedBytes(() => {
        const next = random(5)
        const all = Array.from({ length: 20_000 }, (_, id) => new Waiter(id, next()))
        for (const waiter of all) queue.add(waiter)
        for (let left = all.length; left > 0; left--) {
          const at = below(next, left)
          queue.remove(all[at]!)
          all[at] = all[left - 1]!
        }
      })
      expect(queue.size).toBe(0)
      expect(queue.first()).toBeUndefined()
      expect(grown).toBeLessThan(MiB)
    })

    it("do not slow down those that come after, while somebody waits at the bottom", () => {
      // With levels left behind this is 200,000 times a walk over up to 200,000 of them, and runs into the time limit.
      const queue = new PriorityQueue<Waiter>()
      const patient = new Waiter(-1, -1)
      queue.add(patient)
      for (let i = 0; i < 200_000; i++) {
        const waiter = new Waiter(i, i)
        queue.add(waiter)
        // `expect` would cost more than what is measured here.
        if (queue.takeFirst() !== waiter || queue.first() !== patient) throw new Error(`wrong order at ${i}`)
      }
      expectSame(queue, [patient])
    })
  })

  it("keeps nothing per arrival when priorities take turns", () => {
    const queue = new PriorityQueue<Waiter>()
    const arrived = Array.from({ length: 100_000 }, (_, id) => new Waiter(id, id % 2))
    const grown = retainedBytes(() => {
      for (const waiter of arrived) queue.add(waiter)
    })
    expect(grown).toBeLessThan(MiB)
    expect(queue.size).toBe(100_000)
    for (const waiter of arrived) queue.remove(waiter)
    expectSame(queue, [])
  })

  it("serves 20,000 of distinct priorities in order", () => {
    const next = random(11)
    const arrived = Array.from({ length: 20_000 }, (_, id) => new Waiter(id, next() - 0.5))
    const queue = new PriorityQueue<Waiter>()
    for (const waiter of arrived) queue.add(waiter)
    expect(queue.size).toBe(20_000)
    expect(show(drain(queue))).toEqual(show(served(arrived)))
    expect(queue.size).toBe(0)
  })
})
