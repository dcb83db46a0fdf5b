/** The host's side of a plugin: the functions that it may call. */
import type { HostContext, HostFunctions } from "../ExtismPool.ts"
import { ExtismOutput } from "../ExtismOutput.ts"
import { extismNamespace, type Value } from "./extismGuest.ts"
import { type HttpLimits, makeHttp } from "./extismHttp.ts"
import { isPromise } from "./isPromise.ts"

/** What Extism itself gives every plugin, but for HTTP, which is given here. */
export const extismFunctions: ReadonlySet<string> = new Set([
  "alloc",
  "free",
  "length",
  "length_unsafe",
  "load_u8",
  "load_u64",
  "store_u8",
  "store_u64",
  "input_offset",
  "input_length",
  "input_load_u8",
  "input_load_u64",
  "output_set",
  "error_set",
  "config_get",
  "var_get",
  "var_set",
  "log_debug",
  "log_info",
  "log_warn",
  "log_error"
])

/** Adds the functions for HTTP; those of the application come first. A namespace that is none has no functions. */
export const withHttp = (functions: HostFunctions, pool: string, limits: HttpLimits): HostFunctions => ({
  ...Object.fromEntries(Object.entries(functions).filter(([, group]) => typeof group === "object" && group !== null)),
  [extismNamespace]: { ...makeHttp(pool, limits), ...functions[extismNamespace] }
})

export const namesOf = (functions: HostFunctions): Record<string, ReadonlyArray<string>> =>
  Object.fromEntries(Object.entries(functions).map(([namespace, group]) => [namespace, Object.keys(group)]))

/** Calls a function of the host. What it gives is for WebAssembly: a number or nothing, or a promise of that. */
export const callFunction = (
  functions: HostFunctions,
  context: HostContext,
  namespace: string,
  name: string,
  values: ReadonlyArray<Value>
): Value | undefined | PromiseLike<Value | undefined> => {
  const result: unknown = functions[namespace]![name]!(context, ...values)
  const checked = (value: unknown): Value | undefined => {
    if (value === undefined || typeof value === "number" || typeof value === "bigint") return value
    throw new TypeError(`The host function ${namespace}/${name} gave neither a number nor a bigint nor nothing`)
  }
  return isPromise(result) ? result.then(checked) : checked(result)
}

/** What a function of the host is given. Blocks are copied, as it may go on while the plugin does. */
export const makeContext = (parts: {
  readonly signal: AbortSignal
  readonly room: number
  readonly read: (address: bigint) => Uint8Array<ArrayBuffer> | undefined
  readonly store: (bytes: Uint8Array) => bigint
}): HostContext => ({
  signal: parts.signal,
  room: parts.room,
  read: (address) => {
    const bytes = parts.read(address)
    return bytes === undefined ? undefined : new ExtismOutput(bytes)
  },
  store: (content) => parts.store(typeof content === "string" ? new TextEncoder().encode(content) : content)
})
