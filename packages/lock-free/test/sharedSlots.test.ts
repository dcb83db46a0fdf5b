import { describe, expect, it } from "@effect/vitest"
import { MOST_THREADS } from "../src/internal/sharedLayout.ts"
import { NO_PLACE } from "../src/internal/sharedSlots.ts"
import { makeSlots, takeAll } from "./shared/slots.ts"

const sizes = [1, 2, 31, 32, 33, 64, 1000, 1024, 1025, 32_768, 65_536]

describe("shared slots", () => {
  it.each(sizes)("hand out each of %i once, and then none", (maximum) => {
    const { first } = makeSlots({ maximum })
    const taken = takeAll(first)
    expect(new Set(taken).size).toBe(maximum)
    expect(taken.length).toBe(maximum)
    expect(first.countUsed()).toBe(maximum)
    expect(taken.every((slot) => first.give(slot))).toBe(true)
    expect(first.countUsed()).toBe(0)
    expect(new Set(takeAll(first)).size).toBe(maximum)
  })

  it("are found by a thread that has not given them back", () => {
    const { first, thread } = makeSlots({ maximum: 100 })
    const second = thread(1)
    for (const slot of takeAll(first)) first.give(slot)
    expect(takeAll(second).length).toBe(100)
    expect(first.take()).toBe(-1)
  })

  it("are found though the bits of those in use promise more", () => {
    const { first, thread } = makeSlots({ maximum: 64 })
    const second = thread(1)
    // Given back and remembered, they are taken without a look at the tree, where their bits stay set.
    for (const slot of takeAll(first)) first.give(slot)
    const kept = takeAll(first)
    const last = kept.pop()!
    first.give(last)
    expect(takeAll(second)).toEqual([last])
    for (const slot of kept) first.give(slot)
    expect(takeAll(second).length).toBe(63)
  })

  it("are not given back by who has none, or twice, or by a wrong number", () => {
    const { first, thread } = makeSlots({ maximum: 4 })
    const second = thread(1)
    const slot = first.take()
    expect(second.give(slot)).toBe(false)
    expect(first.ownerOf(slot)).toBe(0)
    expect(first.give(slot)).toBe(true)
    expect(first.give(slot)).toBe(false)
    for (const wrong of [-1, 4, 1e9, NaN, 0.5]) expect(first.give(wrong)).toBe(false)
    expect(takeAll(second).length).toBe(4)
  })

  it("grow by a chunk", () => {
    const { first, grown } = makeSlots({ maximum: 100, initial: 1, chunk: 1 })
    expect(takeAll(first).length).toBe(100)
    expect(grown).toEqual(Array.from({ length: 100 }, (_, index) => index + 1))
  })

  it("double", () => {
    const { first, grown } = makeSlots({ maximum: 1000, initial: 1, chunk: 0 })
    for (let taken = 0; taken < 100; taken++) first.take()
    expect(first.capacity).toBe(128)
    expect(grown).toEqual([1, 2, 4, 8, 16, 32, 64, 128])
  })

  it("grow to the maximum and not beyond", () => {
    const { first } = makeSlots({ maximum: 10, initial: 4, chunk: 4 })
    expect(takeAll(first).length).toBe(10)
    expect(first.capacity).toBe(10)
  })

  it("come back when their thread is no more, whoever reclaims them, once", () => {
    const { first, thread } = makeSlots({ maximum: 40 })
    const second = thread(1)
    const kept = first.take()
    const lost = takeAll(second)
    const cleaned: Array<number> = []
    expect(first.reclaim(1, (slot) => cleaned.push(slot))).toBe(39)
    expect(cleaned.toSorted((a, b) => a - b)).toEqual(lost.toSorted((a, b) => a - b))
    expect(first.reclaim(1, () => {})).toBe(0)
    expect(first.ownerOf(kept)).toBe(0)
    expect(takeAll(first).length).toBe(39)
    // Who was taken for dead gives back nothing that is another's now.
    for (const slot of lost) expect(second.give(slot)).toBe(false)
    expect(first.countUsed()).toBe(40)
  })

  it("are known again though a thread ended between two steps", () => {
    for (const broken of ["no bits", "no bits above", "told of bits that are not there", "not told"] as const) {
      const { first, thread, words } = makeSlots({ maximum: 2000 })
      for (const slot of takeAll(first)) first.give(slot)
      const { levels, ownersAt } = first.layout
      const clear = (level: number) => {
        const { at, words: count } = levels[level]!
        words.fill(0, at, at + count)
      }
      if (broken === "no bits") clear(0)
      if (broken === "no bits above") for (let level = 1; level < levels.length; level++) clear(level)
      if (broken === "told of bits that are not there") {
        for (let level = 0; level < levels.length; level++) clear(level)
      }
      if (broken === "not told") words.fill(0, ownersAt, ownersAt + 2000)
      const third = thread(2)
      third.reclaim(1, () => {})
      expect(takeAll(third).length).toBe(2000)
    }
  })

  it("are known again though a thread ended while others had them", () => {
    const { first, thread, words } = makeSlots({ maximum: 64 })
    for (const slot of takeAll(first)) first.give(slot)
    const held = takeAll(first)
    // It had cleared a bit, but not told the holder yet.
    const { at } = first.layout.levels[0]!
    words[at] = 0
    first.repair()
    for (const slot of held) first.give(slot)
    expect(takeAll(thread(1)).length).toBe(64)
  })

  it("have places for a number of threads, which come free when one leaves or is reclaimed", () => {
    const { first, thread } = makeSlots({ maximum: 1 })
    const others = Array.from({ length: MOST_THREADS - 1 }, (_, index) => thread(index + 1))
    expect(first.threads().length).toBe(MOST_THREADS)
    expect(() => thread(1000)).toThrow(NO_PLACE)
    others[0]!.leave()
    expect(thread(1000).owner).toBe(1001)
    first.reclaim(2, () => {})
    expect(thread(1001).owner).toBe(1002)
    // A thread that has one place needs no other.
    expect(thread(1001).owner).toBe(1002)
  })

  it("are another thread's only when the last pool of a thread has left its place", () => {
    const { first, thread } = makeSlots({ maximum: 1 })
    const once = thread(1)
    const twice = thread(1)
    once.leave()
    expect(first.threads()).toEqual([0, 1])
    twice.leave()
    expect(first.threads()).toEqual([0])
  })

  it("wake one who sleeps for each slot, and nobody when nobody does", async () => {
    const { first, thread } = makeSlots({ maximum: 2 })
    const [second, third] = [thread(1), thread(2)]
    const [a, b] = takeAll(first)
    const woken: Array<string> = []
    const sleepers = [second, third].map(({ turnstile }, index) => {
      const asleep = turnstile.sleep(turnstile.arrive())
      expect(asleep).toBeDefined()
      return asleep!.then(() => woken.push(`thread ${index + 1}`))
    })
    first.give(a!)
    await sleepers[0]
    expect(woken).toEqual(["thread 1"])
    first.give(b!)
    await sleepers[1]
    expect(woken).toEqual(["thread 1", "thread 2"])
    expect(first.turnstile.isAwaited).toBe(true)
    first.give(first.take())
    expect(first.turnstile.isAwaited).toBe(false)
  })

  it("let nobody fall asleep who has missed one", () => {
    const { first, thread } = makeSlots({ maximum: 1 })
    const { turnstile } = thread(1)
    const slot = first.take()
    const ticket = turnstile.arrive()
    first.give(slot)
    expect(turnstile.sleep(ticket)).toBeUndefined()
  })
})
