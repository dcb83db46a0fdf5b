/**
 * Takes and gives back slots as fast as it can, looks whether each is its own alone, and never ends by itself. It has
 * nothing of Effect, so that many can be started and terminated.
 */
import { workerData } from "node:worker_threads"
import { Layout, TURNSTILE_AT } from "../../src/internal/sharedLayout.ts"
import { growData } from "../../src/internal/sharedMemory.ts"
import { SharedSlots } from "../../src/internal/sharedSlots.ts"

interface StressData {
  readonly control: SharedArrayBuffer
  readonly data: SharedArrayBuffer
  readonly report: SharedArrayBuffer
  readonly thread: number
  readonly slotBytes: number
  /** How many slots it takes at most before it gives any back. */
  readonly most: number
}

/** In the report: how many slots were taken and given back, what went wrong, how often it slept, and the order to stop. */
const report = { operations: 0, faults: 1, sleeps: 2, stop: 3 } as const

const { control, data, most, report: reported, slotBytes, thread } = workerData as StressData
const layout = new Layout(control)
const slots = new SharedSlots(layout, thread, (count) => growData(data, count * slotBytes))
const words = layout.words
const figures = new Int32Array(reported)
const perSlot = slotBytes / 4

/** Sleeps for as long as there is no slot. If a wake-up were lost, for ever. */
const takeOrSleep = (): number => {
  while (Atomics.load(figures, report.stop) === 0) {
    const slot = slots.take()
    if (slot >= 0) return slot
    const ticket = slots.turnstile.arrive()
    const second = slots.take()
    if (second >= 0) return second
    Atomics.add(figures, report.sleeps, 1)
    if (Atomics.load(figures, report.stop) === 0) Atomics.wait(words, TURNSTILE_AT, ticket)
  }
  return -1
}

const viewOf = (slot: number): Int32Array => new Int32Array(data, slot * slotBytes, perSlot)

/** The slot is to be empty, and to stay this thread's. */
const fill = (slot: number): void => {
  const view = viewOf(slot)
  if (Atomics.compareExchange(view, 0, 0, thread) !== 0) Atomics.add(figures, report.faults, 1)
  for (let word = 1; word < perSlot; word++) view[word] = thread
}

const empty = (slot: number): void => {
  const view = viewOf(slot)
  for (let word = 0; word < perSlot; word++) if (view[word] !== thread) Atomics.add(figures, report.faults, 1)
  view.fill(0, 1)
  Atomics.store(view, 0, 0)
}

let seed = thread * 2_654_435_761
const random = (): number => {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff
  return seed / 0x8000_0000
}

const held: Array<number> = []
for (let done = 0, isOver = false; !isOver;) {
  const wanted = 1 + Math.floor(random() * most)
  const first = takeOrSleep()
  isOver = first < 0
  if (first >= 0) held.push(first)
  while (!isOver && held.length < wanted) {
    const slot = slots.take()
    if (slot < 0) break
    held.push(slot)
  }
  for (const slot of held) fill(slot)
  for (const slot of held) {
    empty(slot)
    if (!slots.give(slot)) Atomics.add(figures, report.faults, 1)
  }
  done += held.length * 2
  held.length = 0
  if (done >= 1000 || isOver) {
    Atomics.add(figures, report.operations, done)
    done = 0
  }
}
slots.leave()
