/** What runs in a plugin's own thread. */
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from "node:worker_threads"
import type { CallContext } from "@extism/extism"
import { build, call, readBlock, storeBlock, type Value } from "./extismGuest.ts"
import {
  type Call,
  type FromThread,
  type HostAnswer,
  type HostCall,
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

const callHost = (context: CallContext, namespace: string, name: string, values: ReadonlyArray<Value>): unknown => {
  const blocks = values.flatMap((value): HostCall["blocks"] => {
    const bytes = typeof value === "bigint" ? readBlock(context, value) : undefined
    return bytes === undefined ? [] : [[value as bigint, bytes]]
  })
  say({ _tag: "HostCall", namespace, name, values, blocks })
  const answer = awaitAnswer()
  // What it failed with is known where it failed.
  if (answer === undefined) throw new Error(`The function ${namespace}/${name} of the host failed`)
  const addresses = answer.stored.map((bytes) => storeBlock(context, bytes))
  const { value } = answer
  if (value === undefined) return undefined
  const index = storedIndex(value, addresses)
  return index === undefined ? value : addresses[index]
}

try {
  const plugin = await build(blueprint, { callHost, log: (level, message) => say({ _tag: "Log", level, message }) })
  host.on("message", ({ input, name }: Call) => {
    call(plugin, name, input).then(
      (outcome) => say({ _tag: "Ended", outcome }),
      (cause: unknown) => say({ _tag: "Threw", thrown: toThrown(cause) })
    )
  })
  say({ _tag: "Ready" })
} catch (cause) {
  say({ _tag: "Threw", thrown: toThrown(cause) })
}
