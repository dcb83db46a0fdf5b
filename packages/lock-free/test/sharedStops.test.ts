import { describe, expect, it } from "@effect/vitest"
import { TURNSTILE_AT } from "../src/internal/sharedLayout.ts"
import type { Turnstile } from "../src/internal/sharedTurnstile.ts"
import { makeSlots, takeAll } from "./shared/slots.ts"

/** Every operation on shared memory, which is where a thread can be seen to stop. */
const operations = ["load", "store", "add", "and", "or", "compareExchange", "notify"] as const

/** What happens before a thread's operations on shared memory, the first being 0. */
interface Interruption {
  /** Another thread does this before that operation. */
  readonly others?: { readonly before: number; readonly act: () => void }
  /** The thread takes no step from here on. */
  readonly stop?: number
}

class Stopped extends Error {}

/** Runs the steps of a thread, with others' among them; `false` if it was stopped on the way. */
const interrupted = (f: () => void, { others, stop }: Interruption): boolean => {
  const originals = operations.map((name) => [name, Atomics[name]] as const)
  let steps = 0
  let isOther = false
  const before = (): void => {
    if (isOther) return
    const step = steps++
    if (step === stop) throw new Stopped()
    if (step !== others?.before) return
    isOther = true
    others.act()
    isOther = false
  }
  try {
    for (const [name, original] of originals) {
      const patched = (...args: Array<unknown>): unknown => {
        before()
        return Reflect.apply(original, Atomics, args)
      }
      Object.assign(Atomics, { [name]: patched })
    }
    f()
    return true
  } catch (error) {
    if (error instanceof Stopped) return false
    throw error
  } finally {
    for (const [name, original] of originals) Object.assign(Atomics, { [name]: original })
  }
}

/** Two levels of bits, and as many slots to a word as there can be. */
const SLOTS = 64

/** What a thread is about to do that will be stopped, and what others do in the middle of it or afterwards. */
interface Scene {
  readonly doomed: () => void
  readonly others: () => void
  readonly slots: ReturnType<typeof makeSlots>
}

const scenes: Record<string, () => Scene> = {
  "gives back the first of a word": () => {
    const slots = makeSlots({ maximum: SLOTS })
    const [doomed, rest] = [slots.thread(1), slots.thread(2)]
    const slot = doomed.take()
    const taken = takeAll(rest)
    return { slots, doomed: () => void doomed.give(slot), others: () => taken.forEach((slot) => rest.give(slot)) }
  },
  "finds nothing": () => {
    const slots = makeSlots({ maximum: SLOTS })
    const [doomed, rest] = [slots.thread(1), slots.thread(2)]
    const taken: Array<number> = []
    for (let slot = 0; slot < SLOTS; slot++) taken.push(rest.take())
    return { slots, doomed: () => void doomed.take(), others: () => taken.forEach((slot) => rest.give(slot)) }
  },
  "takes one that another has given back": () => {
    const slots = makeSlots({ maximum: SLOTS })
    const [doomed, rest] = [slots.thread(1), slots.thread(2)]
    const taken = takeAll(rest)
    rest.give(taken.pop()!)
    return { slots, doomed: () => void doomed.take(), others: () => taken.forEach((slot) => rest.give(slot)) }
  },
  "makes more": () => {
    const slots = makeSlots({ maximum: SLOTS, initial: 1, chunk: 0 })
    const doomed = slots.thread(1)
    const take = (): void => void Array.from({ length: 9 }, () => doomed.take())
    return { slots, doomed: take, others: () => {} }
  }
}

/** How many steps a thread takes that nobody disturbs. */
const stepsOf = (f: () => () => void): number => {
  let steps = 0
  while (!interrupted(f(), { stop: steps })) steps++
  return steps
}

describe("a thread that is stopped for ever where it", () => {
  it.each(Object.keys(scenes))("%s keeps what it has, and at most one slot more", (name) => {
    const scene = scenes[name]!
    const steps = stepsOf(() => scene().doomed)
    expect(steps).toBeGreaterThan(1)
    for (let stop = 0; stop <= steps; stop++) {
      for (let before = 0; before <= stop; before++) {
        const { doomed, others, slots } = scene()
        let isDone = false
        const act = (): void => {
          isDone = true
          others()
        }
        interrupted(doomed, { stop, others: { before, act } })
        if (!isDone) others()
        const owned = Array.from({ length: SLOTS }, (_, slot) => slots.first.ownerOf(slot)).filter((by) => by === 1)
        const found = takeAll(slots.thread(3)).length
        expect(found, `stopped at ${stop}, others at ${before}`).toBeGreaterThanOrEqual(SLOTS - owned.length - 1)
        expect(found).toBeLessThanOrEqual(SLOTS - owned.length)
        slots.thread(4).reclaim(1, () => {})
        expect(takeAll(slots.thread(5)).length + found).toBe(SLOTS)
      }
    }
  })
})

it("a thread that is stopped for ever where it reclaims another leaves nothing that reclaiming both does not find", () => {
  const scene = () => {
    const slots = makeSlots({ maximum: SLOTS })
    const [dead, reclaims] = [slots.thread(1), slots.thread(2)]
    for (let slot = 0; slot < 3; slot++) dead.take()
    dead.give(dead.take())
    return { slots, reclaim: () => void reclaims.reclaim(1, () => {}) }
  }
  const steps = stepsOf(() => scene().reclaim)
  for (let stop = 0; stop < steps; stop++) {
    const { reclaim, slots } = scene()
    interrupted(reclaim, { stop })
    const third = slots.thread(3)
    third.reclaim(1, () => {})
    third.reclaim(2, () => {})
    expect(third.threads()).toEqual([0, 3])
    expect(takeAll(slots.thread(4)).length).toBe(SLOTS)
  }
})

/** A thread that waits as the pool does: it says so, looks once more, and sleeps. Answers what it has got, or its sleep. */
const waitFor = ({ turnstile, take }: { turnstile: Turnstile; take: () => number }): number | Promise<unknown> => {
  while (true) {
    const first = take()
    if (first >= 0) return first
    const ticket = turnstile.arrive()
    const second = take()
    if (second >= 0) return second
    const slept = turnstile.sleep(ticket)
    if (slept !== undefined) return slept
  }
}

describe("a slot that comes back", () => {
  // The word that threads sleep on, before: as at the start, and where it comes round.
  it.each([0, 2 ** 31 - 4, 2 ** 31 - 2, -2])(
    "at any step of one who is about to sleep is seen, or wakes it, with the word at %i",
    async (word) => {
      const scene = () => {
        const { thread, words } = makeSlots({ maximum: 1 })
        const [giver, waiter] = [thread(1), thread(2)]
        const slot = giver.take()
        words[TURNSTILE_AT] = word
        let answer: number | Promise<unknown> | undefined
        const wait = (): void => void (answer = waitFor({ turnstile: waiter.turnstile, take: () => waiter.take() }))
        return { wait, give: () => expect(giver.give(slot)).toBe(true), answer: () => answer, waiter }
      }
      const steps = stepsOf(() => scene().wait)
      expect(steps).toBeGreaterThan(5)
      for (let before = 0; before <= steps; before++) {
        const { answer, give, wait, waiter } = scene()
        let isGiven = false
        const act = (): void => {
          isGiven = true
          give()
        }
        interrupted(wait, { others: { before, act } })
        if (!isGiven) give()
        const got = await answer()
        expect(["ok", 0]).toContain(got)
        expect(waiter.take()).toBe(got === "ok" ? 0 : -1)
      }
    }
  )

  it("at any step of another that comes back wakes a second one who sleeps", async () => {
    const scene = () => {
      const { first, thread } = makeSlots({ maximum: 2 })
      const [one, two] = [thread(1), thread(2)]
      const [a, b] = [one.take(), two.take()]
      const woken: Array<number> = []
      const sleepers = [3, 4].map((number) => {
        const { turnstile } = thread(number)
        return turnstile.sleep(turnstile.arrive())!.then(() => woken.push(number))
      })
      return { first, sleepers, give: () => void one.give(a), giveToo: () => void two.give(b) }
    }
    const steps = stepsOf(() => scene().give)
    for (let before = 0; before <= steps; before++) {
      const { give, giveToo, sleepers } = scene()
      let isGiven = false
      const act = (): void => {
        isGiven = true
        giveToo()
      }
      interrupted(give, { others: { before, act } })
      if (!isGiven) giveToo()
      await Promise.all(sleepers)
    }
  })
})
