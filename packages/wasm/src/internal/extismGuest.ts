/**
 * Builds a plugin of Extism's in the thread that this runs in: the application's, or one of the plugin's own.
 *
 * Extism has workers too, which are not used. With them a function that is missing, or a trap at the start, ends the whole
 * process; a call whose worker is terminated never settles; and a terminated worker's host function spins for ever.
 */
import type { CallContext, Plugin, PluginOutput } from "@extism/extism"

/** All that a plugin is built of. It can be sent to another thread. */
export interface Blueprint {
  readonly modules: ReadonlyArray<NamedModule>
  readonly config: Readonly<Record<string, string>>
  readonly allowedPaths: Readonly<Record<string, string>>
  readonly useWasi: boolean
  /** How many bytes all blocks may have together. */
  readonly maxBlockBytes: number
  /** The names of the host's functions, by namespace. */
  readonly functions: Readonly<Record<string, ReadonlyArray<string>>>
}

export interface NamedModule {
  readonly name: string
  readonly module: object
}

export type LogLevel = "debug" | "info" | "warn" | "error"

/** What a function of the host takes and gives. */
export type Value = bigint | number

/** What a plugin needs of the thread that it runs in. */
export interface Surroundings {
  readonly callHost: (context: CallContext, namespace: string, name: string, values: ReadonlyArray<Value>) => unknown
  readonly log: (level: LogLevel, message: string) => void
}

/** What a call has come to: an output, none, or an error that the plugin reports. */
export type Outcome =
  | { readonly _tag: "Returned"; readonly output: Uint8Array<ArrayBuffer> | undefined }
  | { readonly _tag: "Reported"; readonly text: string }

export const build = async (blueprint: Blueprint, { callHost, log }: Surroundings): Promise<Plugin> => {
  const { createPlugin } = await import("@extism/extism")
  const functions: Record<string, Record<string, (context: CallContext, ...values: Array<Value>) => unknown>> = {}
  for (const [namespace, names] of Object.entries(blueprint.functions)) {
    const group = (functions[namespace] = {} as (typeof functions)[string])
    for (const name of names) group[name] = (context, ...values) => callHost(context, namespace, name, values)
  }
  if (blueprint.maxBlockBytes < Infinity) {
    functions["extism:host/env"] = { ...functions["extism:host/env"], alloc: limitedAlloc(blueprint.maxBlockBytes) }
  }
  return createPlugin(
    { wasm: blueprint.modules as Array<{ name: string; module: any }> },
    {
      functions,
      // Extism looks keys up in whatever the object has, inherited or not.
      config: Object.assign(Object.create(null), blueprint.config),
      allowedPaths: { ...blueprint.allowedPaths },
      useWasi: blueprint.useWasi,
      logger: {
        debug: (message: string) => log("debug", message),
        info: (message: string) => log("info", message),
        warn: (message: string) => log("warn", message),
        error: (message: string) => log("error", message)
      } as Console
    }
  )
}

/** What a block costs besides its bytes, about. */
const BLOCK_OVERHEAD = 128

/** Extism's `alloc`, with an end. What has been freed is found out when it matters. */
const limitedAlloc = (limit: number) => {
  let blocks: Array<bigint> = []
  let used = 0
  return (context: CallContext, size: Value): bigint => {
    const needed = Number(size) + BLOCK_OVERHEAD
    if (used + needed > limit) {
      blocks = blocks.filter((address) => context.length(address) > 0n)
      used = blocks.reduce((sum, address) => sum + Number(context.length(address)) + BLOCK_OVERHEAD, 0)
    }
    if (!(used + needed <= limit)) throw new RangeError(`out of memory: blocks of more than ${limit} bytes`)
    used += needed
    const address = context.alloc(size)
    blocks.push(address)
    return address
  }
}

/** How Extism says that a plugin has reported an error. */
const reported = "Plugin-originated error: "

/** Calls a function of a plugin. Throws what was thrown through the guest. */
export const call = async (plugin: Plugin, name: string, input: string | Uint8Array): Promise<Outcome> => {
  try {
    // Extism takes all of the buffer that bytes are a part of.
    const output = await plugin.call(name, typeof input === "string" ? input : Uint8Array.from(input))
    return { _tag: "Returned", output: output === null ? undefined : copy(output) }
  } catch (error) {
    if (error instanceof Error && error.message.startsWith(reported)) {
      return { _tag: "Reported", text: error.message.slice(reported.length) }
    }
    throw error
  }
}

/** The bytes of a block of the plugin's memory, if there is such a block. */
export const readBlock = (context: CallContext, address: Value): Uint8Array<ArrayBuffer> | undefined => {
  const block = context.read(address)
  return block === null ? undefined : copy(block)
}

/** Puts bytes into a new block of the plugin's memory. */
export const storeBlock = (context: CallContext, bytes: Uint8Array): bigint =>
  // Extism can't store nothing, nor bytes that are a part of a buffer.
  bytes.length === 0 ? context.alloc(0) : context.store(Uint8Array.from(bytes))

const copy = (output: PluginOutput): Uint8Array<ArrayBuffer> => Uint8Array.from(output.bytes())
