import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import * as Pool from "@effect-pools/core/Pool"
import type { AttachOptions, Options } from "../SharedPool.ts"
import { MOST_SLOTS, type ResetMode, type Shape } from "./sharedLayout.ts"
import { ownThread } from "./sharedMemory.ts"
import type { Reset } from "./sharedStore.ts"

/** What a pool has in one thread, checked: durations in milliseconds. */
export interface Checked {
  readonly name: string
  readonly noun: string
  readonly min: number
  readonly max: number
  readonly waits: boolean
  readonly acquireTimeout: number
  readonly maxWaiters: number
  readonly closeGrace: number
  readonly leakThreshold: number
  readonly reset: "none" | "zero" | Reset
  readonly thread: number
}

const attachFields = [
  "name",
  "wait",
  "acquireTimeout",
  "maxWaiters",
  "closeGrace",
  "leakDetection",
  "reset",
  "thread"
] as const satisfies ReadonlyArray<keyof AttachOptions>
const knownAtAttach = new Set<string>(attachFields)
const known = new Set<string>([...attachFields, "slots", "slotBytes", "scale"] satisfies ReadonlyArray<keyof Options>)
const scaleFields = new Set(["initial", "chunk"])

/** The most memory that a growable buffer can be asked for, in bytes. */
const MOST_BYTES = 2 ** 32

export const checkMake = (options: Options): { readonly checked: Checked; readonly shape: Shape } => {
  const checks = checksOf(options)
  checks.known(options, known)
  const maximum = slotCount(checks, "slots", options.slots)
  if (options.slotBytes === undefined) checks.refuse("slotBytes", undefined, "is required")
  const slotBytes = checks.integer("slotBytes", options.slotBytes, 0, 1)
  // Views of numbers of 64 bits are to fit, wherever the slot begins.
  if (slotBytes % 8 !== 0) checks.refuse("slotBytes", slotBytes, "must be a multiple of 8")
  if (slotBytes * maximum > MOST_BYTES)
    checks.refuse("slotBytes", slotBytes, `must not come to more than ${MOST_BYTES} bytes over all slots`)
  const scale = checks.group("scale", options.scale, scaleFields)
  const initial = checks.integer("scale.initial", scale?.initial, maximum, 1)
  if (initial > maximum) checks.refuse("scale.initial", initial, `must not exceed slots (${maximum})`)
  const chunk = checks.integer("scale.chunk", scale?.chunk, 1, 0)
  if (chunk > MOST_SLOTS) checks.refuse("scale.chunk", chunk, `must be at most ${MOST_SLOTS}`)
  const reset = resetOf(checks, options.reset ?? "none")
  const shape: Shape = { kind: "pool", initial, maximum, chunk, slotBytes, reset: modeOf(reset) }
  return { shape, checked: checkOwn(checks, options, () => Pool.generateName("shared"), maximum, reset) }
}

export const checkAttach = (
  options: AttachOptions,
  handle: { readonly name: string; readonly maximum: number; readonly reset: ResetMode }
): Checked => {
  const checks = checksOf(options, handle.name)
  checks.known(options, knownAtAttach)
  if (options.reset === undefined && handle.reset === "function")
    checks.refuse("reset", undefined, "is required: the pool was made with a function, which can't be posted")
  const reset = resetOf(checks, options.reset ?? (handle.reset === "function" ? "zero" : handle.reset))
  if (modeOf(reset) !== handle.reset)
    checks.refuse("reset", options.reset, `must be what the pool was made with (${handle.reset})`)
  return checkOwn(checks, options, () => handle.name, handle.maximum, reset)
}

/** A number of slots, which has to be given. */
export const slotCount = (checks: InvalidOptions.Checks, field: string, value: number | undefined): number => {
  if (value === undefined) checks.refuse(field, undefined, "is required")
  const count = checks.integer(field, value, 0, 1)
  if (count > MOST_SLOTS) checks.refuse(field, count, `must be at most ${MOST_SLOTS}`)
  return count
}

/** The thread's number, as given or as the platform knows it. */
export const threadOf = (checks: InvalidOptions.Checks, value: number | undefined): number => {
  const thread = value ?? ownThread()
  if (thread === undefined) checks.refuse("thread", undefined, "is required where threads have no numbers")
  return threadNumber(checks, thread)
}

/** The number of a thread that may have been terminated. */
export const checkThread = (name: string, thread: number): number => {
  const checks = new InvalidOptions.Checks(name)
  if (thread === undefined) checks.refuse("thread", undefined, "is required")
  return threadNumber(checks, thread)
}

const threadNumber = (checks: InvalidOptions.Checks, thread: number): number => {
  const checked = checks.integer("thread", thread, 0, 0)
  if (checked >= 2 ** 30 - 1) checks.refuse("thread", checked, "must be less than 2^30 - 1")
  return checked
}

const checksOf = (options: { readonly name?: string | undefined }, fallback = "shared pool"): InvalidOptions.Checks =>
  new InvalidOptions.Checks(typeof options?.name === "string" ? options.name : fallback)

const checkOwn = (
  checks: InvalidOptions.Checks,
  options: AttachOptions,
  name: () => string,
  max: number,
  reset: Checked["reset"]
): Checked => {
  const millis = { zero: true, infinity: true }
  const waits = options.wait ?? false
  if (typeof waits !== "boolean") checks.refuse("wait", waits, "must be true or false")
  const acquireTimeout = checks.millis("acquireTimeout", options.acquireTimeout, 30_000, millis)
  return {
    name: checks.name(options.name, name),
    noun: "slot",
    min: 0,
    max,
    waits,
    acquireTimeout: waits ? acquireTimeout : 0,
    maxWaiters: checks.limit("maxWaiters", options.maxWaiters, Infinity, 0),
    closeGrace: checks.millis("closeGrace", options.closeGrace, 30_000, millis),
    leakThreshold: checks.millis("leakDetection", options.leakDetection, Infinity, { infinity: true }),
    reset,
    thread: threadOf(checks, options.thread)
  }
}

const resetOf = (checks: InvalidOptions.Checks, reset: "none" | "zero" | Reset): Checked["reset"] =>
  typeof reset === "function" ? reset : checks.oneOf("reset", reset, "none", ["none", "zero"])

const modeOf = (reset: Checked["reset"]): ResetMode => (typeof reset === "function" ? "function" : reset)
