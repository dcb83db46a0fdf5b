/**
 * A plugin of Extism's in the thread that this runs in: the application's, or one of the plugin's own.
 *
 * Extism has workers too, which are not used. With them a function that is missing, or a trap at the start, ends the whole
 * process; a call whose worker is terminated never settles; and a terminated worker's host function spins for ever.
 */
import type { CallContext, Plugin, PluginOutput } from "@extism/extism"
import { type MemoryLimits, PluginMemory } from "./extismMemory.ts"

/** All that a plugin is built of. It can be sent to another thread. */
export interface Blueprint {
  readonly modules: ReadonlyArray<NamedModule>
  readonly config: Readonly<Record<string, string>>
  readonly allowedPaths: Readonly<Record<string, string>>
  readonly useWasi: boolean
  readonly limits: MemoryLimits
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

/** The plugin's blocks, for a function of the host. */
export interface Blocks {
  readonly read: (address: bigint | number) => Uint8Array<ArrayBuffer> | undefined
  readonly store: (bytes: Uint8Array) => bigint
  /** How many bytes a new one could have. */
  readonly room: () => number
}

/** What a plugin needs of the thread that it runs in. */
export interface Surroundings {
  readonly callHost: (blocks: Blocks, namespace: string, name: string, values: ReadonlyArray<Value>) => unknown
  readonly log: (level: LogLevel, message: string) => void
}

/** What a call has come to: an output, none, or an error that the plugin reports. */
export type Outcome =
  | { readonly _tag: "Returned"; readonly output: Uint8Array<ArrayBuffer> | undefined }
  | { readonly _tag: "Reported"; readonly text: string }

type Import = (context: CallContext, ...values: Array<any>) => unknown

/** How Extism says that a plugin has reported an error. */
const reported = "Plugin-originated error: "

export class ExtismGuest {
  readonly #plugin: Plugin
  readonly #memory: PluginMemory

  private constructor(plugin: Plugin, memory: PluginMemory) {
    this.#plugin = plugin
    this.#memory = memory
  }

  static async build(blueprint: Blueprint, { callHost, log }: Surroundings): Promise<ExtismGuest> {
    const { createPlugin } = await import("@extism/extism")
    const memory = new PluginMemory(blueprint.limits)
    const functions: Record<string, Record<string, Import>> = { [extismNamespace]: kernel(memory, blueprint.config) }
    for (const [namespace, names] of Object.entries(blueprint.functions)) {
      const group = (functions[namespace] ??= {})
      for (const name of names) {
        group[name] = (context, ...values) => callHost(blocksOf(context, memory), namespace, name, values)
      }
    }
    const plugin = await createPlugin(
      { wasm: blueprint.modules as Array<{ name: string; module: any }> },
      {
        functions,
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
    return new ExtismGuest(plugin, memory)
  }

  /** Calls a function of the plugin. Throws what was thrown through the guest. */
  async call(name: string, input: string | Uint8Array): Promise<Outcome> {
    // Extism takes all of the buffer that bytes are a part of.
    const bytes = typeof input === "string" ? new TextEncoder().encode(input) : Uint8Array.from(input)
    await this.#plugin.reset()
    this.#memory.begin(bytes)
    try {
      const output = await this.#plugin.call(name, bytes)
      return { _tag: "Returned", output: output === null ? undefined : copy(output) }
    } catch (error) {
      if (error instanceof Error && error.message.startsWith(reported)) {
        return { _tag: "Reported", text: error.message.slice(reported.length) }
      }
      throw error
    }
  }

  close(): Promise<void> {
    return this.#plugin.close()
  }
}

/** Where Extism's own functions are. */
export const extismNamespace = "extism:host/env"

/** Those of Extism's own functions that make something, or keep it. Its own have no end. */
const kernel = (memory: PluginMemory, config: Blueprint["config"]): Record<string, Import> => ({
  alloc: (context, size: bigint) => memory.alloc(context, size),
  config_get: (context, key: bigint) => {
    const name = context.read(key)?.string()
    if (name === undefined || !Object.hasOwn(config, name)) return 0n
    return memory.store(context, new TextEncoder().encode(config[name]))
  },
  var_get: (context, key: bigint) => {
    const name = context.read(key)?.string()
    const value = name === undefined ? undefined : memory.variable(name)
    return value === undefined ? 0n : memory.store(context, value)
  },
  var_set: (context, key: bigint, value: bigint) => {
    const name = context.read(key)?.string()
    if (name === undefined) return
    const bytes = value === 0n ? undefined : readBlock(context, value)
    if (value !== 0n && bytes === undefined) throw new Error(`There is no block at ${value} to set a variable to`)
    memory.setVariable(context, name, bytes)
  }
})

const blocksOf = (context: CallContext, memory: PluginMemory): Blocks => ({
  read: (address) => readBlock(context, address),
  store: (bytes) => memory.store(context, bytes),
  room: () => memory.room(context)
})

/** The bytes of a block of the plugin's memory, if there is such a block. */
const readBlock = (context: CallContext, address: Value): Uint8Array<ArrayBuffer> | undefined => {
  const block = context.read(address)
  return block === null ? undefined : copy(block)
}

const copy = (output: PluginOutput): Uint8Array<ArrayBuffer> => Uint8Array.from(output.bytes())
