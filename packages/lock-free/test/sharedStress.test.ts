import { once } from "node:events"
import { setTimeout as pause } from "node:timers/promises"
import { Worker } from "node:worker_threads"
import { describe, expect, it } from "@effect/vitest"
import { Layout, type Shape } from "../src/internal/sharedLayout.ts"
import { allocate, growData } from "../src/internal/sharedMemory.ts"
import { SharedSlots } from "../src/internal/sharedSlots.ts"
import { takeAll } from "./shared/slots.ts"

const isLong = process.env["POOL_LONG"] === "1"
/** Slots taken and slots given back, over both tests. */
const OPERATIONS = isLong ? 1_000_000_000 : 20_000_000
const SLOT_BYTES = 32
/** See `stressWorker.ts`, which can't be imported: it is a worker. */
const report = { operations: 0, faults: 1, sleeps: 2, stop: 3 } as const

interface Round {
  readonly slots: number
  readonly initial: number
  readonly workers: number
  /** How many slots a worker takes at once, at most. */
  readonly most: number
}

const worker = new URL("./shared/stressWorker.ts", import.meta.url)

const run = async (round: Round, operations: number) => {
  const shape: Shape = {
    kind: "pool",
    initial: round.initial,
    maximum: round.slots,
    chunk: 0,
    slotBytes: SLOT_BYTES,
    reset: "none"
  }
  const memory = allocate(shape)
  const figures = new Int32Array(new SharedArrayBuffer(64))
  const slots = new SharedSlots(new Layout(memory.control), 0, (count) => growData(memory.data, count * SLOT_BYTES))
  slots.growTo(0, round.initial)
  let lastThread = 0
  let terminated = 0
  let reclaimed = 0
  const workers = new Map<Worker, number>()
  const spawn = async (): Promise<void> => {
    const thread = ++lastThread
    const workerData = { ...memory, report: figures.buffer, thread, slotBytes: SLOT_BYTES, most: round.most }
    const spawned = new Worker(worker, { workerData })
    workers.set(spawned, thread)
    await once(spawned, "online")
  }
  const clean = (slot: number): void => void new Uint8Array(memory.data, slot * SLOT_BYTES, SLOT_BYTES).fill(0)
  await Promise.all(Array.from({ length: round.workers }, spawn))
  // 31 bits of the counter are not enough for a long run.
  let counted = 0
  while ((counted += Atomics.exchange(figures, report.operations, 0)) < operations || terminated < 20) {
    await pause(Math.random() * (isLong ? 200 : 20))
    const [victim, thread] = Array.from(workers)[Math.floor(Math.random() * workers.size)]!
    workers.delete(victim)
    await victim.terminate()
    terminated++
    reclaimed += slots.reclaim(thread, clean)
    await spawn()
  }
  Atomics.store(figures, report.stop, 1)
  slots.turnstile.wakeAll()
  // Who was about to sleep has looked before it was told to stop, and is woken by those that stop.
  const ends = Array.from(workers.keys(), (running) => once(running, "exit"))
  await Promise.all(ends)
  return {
    slots,
    memory,
    counted,
    terminated,
    reclaimed,
    faults: figures[report.faults]!,
    sleeps: figures[report.sleeps]!
  }
}

const expectWhole = ({ faults, memory, slots }: Awaited<ReturnType<typeof run>>, count: number): void => {
  expect(faults).toBe(0)
  expect(slots.threads()).toEqual([0])
  expect(slots.countUsed()).toBe(0)
  const all = takeAll(slots)
  expect(new Set(all).size).toBe(count)
  expect(all.length).toBe(count)
  expect(new Uint8Array(memory.data).every((byte) => byte === 0)).toBe(true)
}

describe(
  "shared slots under workers that are terminated at any moment",
  { timeout: isLong ? 3_600_000 : 300_000 },
  () => {
    it("are each free exactly once in the end, when there were enough", async () => {
      const round = { slots: 64, initial: 1, workers: 3, most: 4 }
      const result = await run(round, OPERATIONS / 2)
      expect(result.reclaimed).toBeGreaterThan(0)
      expectWhole(result, 64)
    })

    it("are each free exactly once in the end, when there were too few and workers slept", async () => {
      const round = { slots: 2, initial: 1, workers: 3, most: 2 }
      const result = await run(round, OPERATIONS / 2)
      expect(result.sleeps).toBeGreaterThan(0)
      expectWhole(result, 2)
    })
  }
)
