import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { DeadlineQueue, type Expiring, type Slot } from "../../src/data/DeadlineQueue.ts"
import { below, MiB, random, retainedBytes } from "./support.ts"

class Waiter implements Expiring<Waiter> {
  readonly id: number
  deadline: number
  slot: Slot<Waiter> | undefined = undefined
  earlier: Waiter | undefined = undefined
  later: Waiter | undefined = undefined
  constructor(id: number, deadline: number) {
    this.id = id
    this.deadline = deadline
  }
}

const show = (waiters: Iterable<Waiter>): Array<string> =>
  Array.from(waiters, ({ deadline, id }) => `${id} at ${deadline}`)

const takeAll = (queue: DeadlineQueue<Waiter>, now: number): Array<Waiter> => {
  const taken: Array<Waiter> = []
  for (let waiter = queue.takeExpired(now); waiter !== undefined; waiter = queue.takeExpired(now)) taken.push(waiter)
  return taken
}

const queueOf = (deadlines: ReadonlyArray<number>) => {
  const queue = new DeadlineQueue<Waiter>()
  const all = deadlines.map((deadline, id) => new Waiter(id, deadline))
  for (const waiter of all) queue.add(waiter)
  return { all, queue }
}

/** A sorted array: by the millisecond in which they expire, and within one in the order of arrival. */
class Model {
  members: Array<Waiter> = []

  add(waiter: Waiter) {
    if (waiter.deadline === Infinity) return
    this.members = [...this.members, waiter].sort((a, b) => Math.ceil(a.deadline) - Math.ceil(b.deadline))
  }

  remove(waiter: Waiter) {
    this.members = this.members.filter((member) => member !== waiter)
  }

  next(): number {
    return this.members.length === 0 ? Infinity : Math.ceil(this.members[0]!.deadline)
  }

  takeExpired(now: number): Waiter | undefined {
    return this.next() <= now ? this.members.shift() : undefined
  }
}

const expectSame = (queue: DeadlineQueue<Waiter>, model: Model) => {
  expect(queue.size).toBe(model.members.length)
  // `===` and not `toBe`, for -0.
  expect(queue.next() === model.next(), `next() is ${queue.next()} instead of ${model.next()}`).toBe(true)
}

const Index = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 }))
/** Few milliseconds, so that they are shared, and with fractions of them. */
const Deadline = Schema.Union([
  Schema.Int.check(Schema.isBetween({ minimum: -5, maximum: 20 })),
  Schema.Finite.check(Schema.isBetween({ minimum: -5, maximum: 20 })),
  Schema.Literal("never")
])
const millis = (deadline: number | "never"): number => (deadline === "never" ? Infinity : deadline)
const Command = Schema.TaggedUnion({
  Add: { deadline: Deadline },
  AddMore: { deadline: Deadline },
  Remove: { at: Index },
  RemoveAgain: { at: Index },
  Return: { at: Index, deadline: Deadline },
  TakeExpired: { now: Schema.Finite.check(Schema.isBetween({ minimum: -6, maximum: 21 })) },
  TakeAllExpired: { now: Schema.Finite.check(Schema.isBetween({ minimum: -6, maximum: 21 })) }
})

describe("DeadlineQueue", () => {
  it.prop(
    "behaves as a sorted array with any sequence of adding, removing and taking",
    { commands: Arbitrary.array(Arbitrary.schema(Command), { maxLength: 200 }) },
    ({ commands }) => {
      const queue = new DeadlineQueue<Waiter>()
      const model = new Model()
      const gone: Array<Waiter> = []
      let id = 0
      for (const command of commands) {
        switch (command._tag) {
          case "Add":
          case "AddMore": {
            const waiter = new Waiter(id++, millis(command.deadline))
            queue.add(waiter)
            model.add(waiter)
            break
          }
          case "Remove": {
            if (model.members.length === 0) break
            const waiter = model.members[command.at % model.members.length]!
            queue.remove(waiter)
            model.remove(waiter)
            gone.push(waiter)
            break
          }
          case "RemoveAgain": {
            if (gone.length > 0) queue.remove(gone[command.at % gone.length]!)
            break
          }
          case "Return": {
            if (gone.length === 0) break
            const [waiter] = gone.splice(command.at % gone.length, 1)
            waiter!.deadline = millis(command.deadline)
            queue.add(waiter!)
            model.add(waiter!)
            break
          }
          case "TakeExpired": {
            const expected = model.takeExpired(command.now)
            expect(queue.takeExpired(command.now)).toBe(expected)
            if (expected !== undefined) gone.push(expected)
            break
          }
          case "TakeAllExpired": {
            const expected: Array<Waiter> = []
            for (let one = model.takeExpired(command.now); one !== undefined; one = model.takeExpired(command.now)) {
              expected.push(one)
            }
            expect(show(takeAll(queue, command.now))).toEqual(show(expected))
            gone.push(...expected)
            break
          }
        }
        expectSame(queue, model)
      }
      expect(show(takeAll(queue, 1000))).toEqual(show(model.members))
      expect(queue.next()).toBe(Infinity)
    },
    { arbitrary: { runs: 300, size: 60 } }
  )

  it.prop(
    "keeps every member and its place while most of hundreds leave, whatever the order",
    {
      seed: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 31 - 1 })),
      milliseconds: Schema.Literals([10, 300, 100_000])
    },
    ({ milliseconds, seed }) => {
      const next = random(seed)
      const queue = new DeadlineQueue<Waiter>()
      const model = new Model()
      for (let round = 0; round < 5; round++) {
        for (let i = 0; i < 150; i++) {
          const waiter = new Waiter(i, next() * milliseconds)
          queue.add(waiter)
          model.add(waiter)
        }
        for (let i = 0; i < 130; i++) {
          const waiter = model.members[below(next, model.members.length)]!
          queue.remove(waiter)
          model.remove(waiter)
          // Asking now and then only: next() clears away what a compaction is to find.
          if (i % 40 === 0) expectSame(queue, model)
        }
        const now = model.members[below(next, 10)]!.deadline
        for (let i = 0; i < 5; i++) expect(queue.takeExpired(now)).toBe(model.takeExpired(now))
        expectSame(queue, model)
      }
      expect(show(takeAll(queue, milliseconds))).toEqual(show(model.members))
    }
  )

  it("has nothing to wait for in the beginning", () => {
    const queue = new DeadlineQueue<Waiter>()
    expect(queue.size).toBe(0)
    expect(queue.next()).toBe(Infinity)
    expect(queue.takeExpired(Number.MAX_VALUE)).toBeUndefined()
  })

  it("takes the earliest first", () => {
    const { queue } = queueOf([30, 10, 20, 50, 40])
    expect(takeAll(queue, 100).map((waiter) => waiter.deadline)).toEqual([10, 20, 30, 40, 50])
  })

  it("takes in the order of arrival within a millisecond, whatever the fractions", () => {
    const { queue } = queueOf([9.9, 9.1, 10, 9.5, 9])
    expect(takeAll(queue, 10).map((waiter) => waiter.id)).toEqual([4, 0, 1, 2, 3])
  })

  it("takes what expires now and leaves what expires later", () => {
    const { all, queue } = queueOf([10, 11, 12])
    expect(takeAll(queue, 11)).toEqual([all[0], all[1]])
    expect(queue.size).toBe(1)
    expect(queue.next()).toBe(12)
    expect(takeAll(queue, 11.999)).toEqual([])
  })

  it("gives a member taken out no links to others", () => {
    const { all, queue } = queueOf([10, 10, 10])
    queue.remove(all[1]!)
    expect(queue.takeExpired(10)).toBe(all[0])
    for (const waiter of [all[0]!, all[1]!]) {
      expect([waiter.slot, waiter.earlier, waiter.later]).toEqual([undefined, undefined, undefined])
    }
  })

  it.each([
    ["first", 0],
    ["middle", 1],
    ["last", 2]
  ])("closes the gap when the %s of a millisecond leaves, and again does nothing", (_place, index) => {
    const { all, queue } = queueOf([10, 10, 10])
    queue.remove(all[index]!)
    queue.remove(all[index]!)
    expect(queue.size).toBe(2)
    expect(takeAll(queue, 10)).toEqual(all.toSpliced(index, 1))
  })

  it("removing a member that never was in the queue, or was taken, does nothing", () => {
    const { all, queue } = queueOf([10, 20])
    queue.remove(new Waiter(9, 10))
    expect(queue.takeExpired(10)).toBe(all[0])
    queue.remove(all[0]!)
    expect(queue.size).toBe(1)
    expect(queue.next()).toBe(20)
  })

  it("moves on to the next deadline when the earliest leaves", () => {
    const { all, queue } = queueOf([30, 10, 20])
    queue.remove(all[1]!)
    expect(queue.next()).toBe(20)
    queue.remove(all[2]!)
    expect(queue.next()).toBe(30)
    queue.remove(all[0]!)
    expect(queue.next()).toBe(Infinity)
  })

  it("uses a millisecond again that everybody has left", () => {
    const { all, queue } = queueOf([10, 20])
    queue.remove(all[0]!)
    const late = new Waiter(2, 10)
    queue.add(late)
    expect(queue.next()).toBe(10)
    expect(takeAll(queue, 20)).toEqual([late, all[1]])
    queue.add(all[0]!)
    expect(queue.next()).toBe(10)
    expect(takeAll(queue, 10)).toEqual([all[0]])
  })

  it("a member that comes back stands behind the others of its millisecond, at its new deadline", () => {
    const { all, queue } = queueOf([10, 10])
    queue.remove(all[0]!)
    queue.add(all[0]!)
    expect(takeAll(queue, 10)).toEqual([all[1], all[0]])
    all[0]!.deadline = 30
    queue.add(all[0]!)
    expect(queue.next()).toBe(30)
  })

  it.prop(
    "fractional deadlines never fire early and at most a millisecond late",
    { deadline: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1e9 })) },
    ({ deadline }) => {
      const { all, queue } = queueOf([deadline])
      expect(queue.next()).toBeGreaterThanOrEqual(deadline)
      expect(queue.next() - deadline).toBeLessThanOrEqual(1)
      expect(queue.takeExpired(deadline - 1e-6)).toBeUndefined()
      expect(queue.takeExpired(queue.next() - 1e-6)).toBeUndefined()
      expect(queue.takeExpired(queue.next())).toBe(all[0])
    }
  )

  it("leaves out deadlines that never come, and removing such a member does nothing", () => {
    const { all, queue } = queueOf([Infinity, 10, Infinity])
    expect(queue.size).toBe(1)
    queue.remove(all[0]!)
    expect(queue.size).toBe(1)
    expect(queue.next()).toBe(10)
    expect(takeAll(queue, Number.MAX_VALUE)).toEqual([all[1]])
  })

  it("takes everybody and then nobody when all time has passed", () => {
    // Once failed: an empty queue's next() is Infinity, which is not after a `now` of Infinity.
    const { all, queue } = queueOf([10, Infinity, 20])
    expect(takeAll(queue, Infinity)).toEqual([all[0], all[2]])
    expect(new DeadlineQueue<Waiter>().takeExpired(Infinity)).toBeUndefined()
  })

  it("deadlines that have passed before they were added come first", () => {
    const { queue } = queueOf([5, -100, -Infinity, 0])
    expect(takeAll(queue, 0).map((waiter) => waiter.id)).toEqual([2, 1, 3])
  })

  describe("compaction", () => {
    it.each([
      ["latest first", (i: number) => 999 - i],
      ["earliest first", (i: number) => i],
      ["from all over", (i: number) => (i * 617) % 1000]
    ])("loses no member when nine in ten leave, %s", (_order, position) => {
      const { all, queue } = queueOf(Array.from({ length: 1000 }, (_, i) => i))
      const staying = all.filter((waiter) => waiter.id % 10 === 3)
      for (let i = 0; i < 1000; i++) {
        const waiter = all[position(i)]!
        if (waiter.id % 10 !== 3) queue.remove(waiter)
      }
      expect(queue.size).toBe(100)
      expect(queue.next()).toBe(3)
      expect(show(takeAll(queue, 1000))).toEqual(show(staying))
    })

    it("lets a millisecond that was cleared away be used again", () => {
      const { all, queue } = queueOf(Array.from({ length: 1000 }, (_, i) => i))
      for (const waiter of all) queue.remove(waiter)
      for (const waiter of all.toReversed()) queue.add(waiter)
      expect(queue.size).toBe(1000)
      expect(show(takeAll(queue, 1000))).toEqual(show(all))
    })
  })

  describe("100,000 members", () => {
    const count = 100_000

    it("come and go one after another, each with a later deadline", () => {
      // How a pool uses it when nobody waits for long. next() is not asked, so nothing surfaces.
      const queue = new DeadlineQueue<Waiter>()
      const grown = retainedBytes(() => {
        for (let i = 0; i < count; i++) {
          const waiter = new Waiter(i, i)
          queue.add(waiter)
          queue.remove(waiter)
        }
      })
      expect(queue.size).toBe(0)
      expect(queue.next()).toBe(Infinity)
      expect(grown).toBeLessThan(MiB)
    })

    it("come and go in pairs that share a millisecond", () => {
      const queue = new DeadlineQueue<Waiter>()
      const grown = retainedBytes(() => {
        for (let i = 0; i < count; i++) {
          const pair = [new Waiter(i, i), new Waiter(i, i)]
          for (const waiter of pair) queue.add(waiter)
          for (const waiter of pair) queue.remove(waiter)
        }
      })
      expect(queue.size).toBe(0)
      expect(queue.next()).toBe(Infinity)
      expect(grown).toBeLessThan(MiB)
    })

    it("come and go while one waits for longer than all of them", () => {
      const queue = new DeadlineQueue<Waiter>()
      const patient = new Waiter(-1, 1e9)
      queue.add(patient)
      const grown = retainedBytes(() => {
        for (let i = 0; i < count; i++) {
          const waiter = new Waiter(i, i)
          queue.add(waiter)
          queue.remove(waiter)
        }
      })
      expect(queue.size).toBe(1)
      expect(queue.next()).toBe(1e9)
      expect(grown).toBeLessThan(MiB)
    })

    it("come and go while as many others wait for longer", () => {
      // Clearing away a fixed number at a time, instead of a share, would run into the time limit.
      const next = random(29)
      const { all, queue } = queueOf(Array.from({ length: count }, () => count + next() * 1e9))
      for (let i = 0; i < count; i++) {
        const waiter = new Waiter(i, i)
        queue.add(waiter)
        queue.remove(waiter)
      }
      expect(queue.size).toBe(count)
      expect(queue.next()).toBe(
        Math.ceil(all.reduce((earliest, { deadline }) => Math.min(earliest, deadline), Infinity))
      )
    })

    it.each([
      ["in the order of their deadlines", (i: number) => i],
      ["in the opposite order", (i: number) => count - 1 - i],
      ["from all over", (i: number) => (i * 7919) % count]
    ])("all wait at once and leave %s", (_order, position) => {
      const queue = new DeadlineQueue<Waiter>()
      const grown = retainedBytes(() => {
        const all = Array.from({ length: count }, (_, i) => new Waiter(i, i + 0.5))
        for (const waiter of all) queue.add(waiter)
        for (let i = 0; i < count; i++) queue.remove(all[position(i)]!)
      })
      expect(queue.size).toBe(0)
      expect(queue.next()).toBe(Infinity)
      expect(grown).toBeLessThan(MiB)
    })

    it("all wait at once for shared milliseconds and are taken in order", () => {
      const next = random(17)
      const queue = new DeadlineQueue<Waiter>()
      const all = Array.from({ length: count }, (_, i) => new Waiter(i, next() * 5000))
      for (const waiter of all) queue.add(waiter)
      const taken: Array<Waiter> = []
      for (let now = 0; now <= 5000; now++) {
        for (const waiter of takeAll(queue, now)) {
          if (Math.ceil(waiter.deadline) !== now) throw new Error(`${waiter.deadline} fired at ${now}`)
          taken.push(waiter)
        }
      }
      expect(taken.length).toBe(count)
      expect(show(taken)).toEqual(show(all.toSorted((a, b) => Math.ceil(a.deadline) - Math.ceil(b.deadline))))
      expect(queue.size).toBe(0)
      expect(queue.next()).toBe(Infinity)
    })

    it("half are taken and half leave in any mixture, and nothing is left", () => {
      const next = random(23)
      const queue = new DeadlineQueue<Waiter>()
      const waiting: Array<Waiter> = []
      let taken = 0
      for (let now = 0; now < count; now++) {
        const waiter = new Waiter(now, now + next() * 1000)
        queue.add(waiter)
        waiting.push(waiter)
        if (now % 2 === 0) queue.remove(waiting[below(next, waiting.length)]!)
        taken += takeAll(queue, now).length
      }
      taken += takeAll(queue, count + 1000).length
      expect(taken).toBeGreaterThan(count / 4)
      expect(waiting.every((waiter) => waiter.slot === undefined)).toBe(true)
      expect(queue.size).toBe(0)
      expect(queue.next()).toBe(Infinity)
    })
  })
})
