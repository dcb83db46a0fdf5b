/** What runs in a plugin's own thread. */
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from "node:worker_threads"
import { type Blocks, ExtismGuest, type LogLevel, type Value } from "./extismGuest.ts"
import {
  type Call,
  type FromThread,
  type HostAnswer,
  type HostCall,
  blockOf,
  storedIndex,
  type ThreadData,
  toThrown
} from "./extismProtocol.ts"

// Extism loads Node's WASI, used or not: each thread would warn that it is experimental.
const [warn] = process.listeners("warning")
process.removeAllListeners("warning")
process.on("warning", (warning) => {
  if (warning.name !== "ExperimentalWarning") warn?.(warning)
})

const { answers, blueprint, flag } = workerData as ThreadData
const host = parentPort!

const say = (message: FromThread): void => host.postMessage(message)

/** The guest waits for functions of the host where it is: it can't do otherwise. */
const awaitAnswer = (): HostAnswer | undefined => {
  Atomics.wait(flag, 0, 0)
  Atomics.store(flag, 0, 0)
  return receiveMessageOnPort(answers as MessagePort)?.message as HostAnswer | undefined
}

const log = (level: LogLevel, message: string): void => {
  say({ _tag: "Log", level, message })
  awaitAnswer()
}

/** What the guest is thrown when a function of the host has failed. */
let hostFailure: Error | undefined

const callHost = (blocks: Blocks, namespace: string, name: string, values: ReadonlyArray<Value>): unknown => {
  say({ _tag: "HostCall", namespace, name, values, blocks: pointedTo(blocks, values), room: blocks.room() })
  const answer = awaitAnswer()
  // What it failed with is known where it failed.
  if (answer === undefined) throw (hostFailure = new Error(`The function ${namespace}/${name} of the host failed`))
  const addresses = answer.stored.map((bytes) => blocks.store(bytes))
  const { value } = answer
  if (value === undefined) return undefined
  const index = storedIndex(value, addresses)
  return index === undefined ? value : addresses[index]
}

/** The blocks that values may be addresses of. One that several are of is sent once: a plugin has as many as it likes. */
const pointedTo = (blocks: Blocks, values: ReadonlyArray<Value>): HostCall["blocks"] => {
  const found = new Map<bigint, Uint8Array<ArrayBuffer> | undefined>()
  return values.flatMap((value): HostCall["blocks"] => {
    if (typeof value !== "bigint") return []
    const block = blockOf(value)
    if (!found.has(block)) found.set(block, blocks.read(value))
    const bytes = found.get(block)
    return bytes === undefined ? [] : [[value, bytes]]
  })
}

const threw = (cause: unknown): void =>
  say(cause === hostFailure ? { _tag: "HostThrew" } : { _tag: "Threw", thrown: toThrown(cause) })

try {
  const guest = await ExtismGuest.build(blueprint, { callHost, log })
  host.on("message", ({ input, name }: Call) => {
    guest.call(name, input).then((outcome) => say({ _tag: "Ended", outcome }), threw)
  })
  say({ _tag: "Ready" })
} catch (cause) {
  threw(cause)
}
