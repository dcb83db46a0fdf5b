/** The host's side of a plugin: the functions that it may call. */
import * as ExtismError from "../ExtismError.ts"
import type { HostContext, HostFunctions } from "../ExtismPool.ts"
import type { Value } from "./extismGuest.ts"

/** Where Extism's own functions are. */
export const extismNamespace = "extism:host/env"

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

/** Adds the functions for HTTP; those of the application come first. */
export const withHttp = (
  functions: HostFunctions,
  pool: string,
  allowedHosts: ReadonlyArray<string>
): HostFunctions => ({
  ...functions,
  [extismNamespace]: { ...makeHttp(pool, allowedHosts), ...functions[extismNamespace] }
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

export const isPromise = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === "object" && value !== null && "then" in value && typeof value.then === "function"

interface HttpRequest {
  readonly url: string
  readonly method?: string
  readonly headers?: Record<string, string>
  /** As older kits call it. */
  readonly header?: Record<string, string>
}

const makeHttp = (pool: string, allowedHosts: ReadonlyArray<string>): HostFunctions[string] => {
  const allowed = allowedHosts.map(toPattern)
  let status = 0
  return {
    http_request: (context: HostContext, requestAddress: bigint, bodyAddress: bigint) => {
      const request = JSON.parse(context.read(requestAddress)?.text ?? "null") as HttpRequest
      const url = new URL(request.url)
      if (!allowed.some((pattern) => pattern.test(url.hostname))) {
        throw ExtismError.make(new ExtismError.HostNotAllowed({ pool, url: url.origin, allowed: [...allowedHosts] }))
      }
      const method = request.method ?? "GET"
      const body = method === "GET" || method === "HEAD" ? undefined : context.read(bodyAddress)?.bytes
      return ask(url, {
        method,
        headers: request.headers ?? request.header ?? {},
        ...(body === undefined ? {} : { body }),
        // It may lead to a host that is not allowed: the plugin follows it itself, or not at all.
        redirect: "manual",
        signal: context.signal
      })

      async function ask(url: URL, init: RequestInit): Promise<bigint> {
        const response = await fetch(url, init)
        status = response.status
        return context.store(new Uint8Array(await response.arrayBuffer()))
      }
    },
    http_status_code: () => status
  }
}

/** `*` stands for any characters, `?` for one. */
const toPattern = (host: string): RegExp => {
  const escaped = host.toLowerCase().replace(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
  return new RegExp(`^${escaped.replaceAll("*", ".*").replaceAll("?", ".")}$`)
}
