/** HTTP for plugins, as their kits expect it. */
import * as ExtismError from "../ExtismError.ts"
import type { HostContext, HostFunctions } from "../ExtismPool.ts"
import { OutOfMemory } from "./extismMemory.ts"

export interface HttpLimits {
  readonly allowedHosts: ReadonlyArray<string>
  /** How many bytes an answer may have. */
  readonly maxHttpBytes: number
}

/** The plugin may not have what it asks for: not a failure of the host's. */
export class Denied extends Error {
  readonly error: ExtismError.ExtismError

  constructor(error: ExtismError.ExtismError) {
    super(error.message)
    this.error = error
  }
}

interface HttpRequest {
  readonly url: string
  readonly method?: string
  readonly headers?: Record<string, string>
  /** As older kits call it. */
  readonly header?: Record<string, string>
}

export const makeHttp = (pool: string, { allowedHosts, maxHttpBytes }: HttpLimits): HostFunctions[string] => {
  const allowed = allowedHosts.map(toPattern)
  let status = 0

  const ask = async (context: HostContext, url: URL, init: RequestInit): Promise<bigint> => {
    const response = await fetch(url, init)
    status = response.status
    return context.store(await readBody(response, Math.min(context.room, maxHttpBytes)))
  }

  return {
    http_request: (context: HostContext, requestAddress: bigint, bodyAddress: bigint) => {
      const request = JSON.parse(context.read(requestAddress)?.text ?? "null") as HttpRequest
      const url = new URL(request.url)
      if (!allowed.some((pattern) => pattern.test(url.hostname))) {
        const reason = new ExtismError.HostNotAllowed({ pool, url: url.origin, allowed: [...allowedHosts] })
        throw new Denied(ExtismError.make(reason))
      }
      const method = request.method ?? "GET"
      const body = method === "GET" || method === "HEAD" ? undefined : context.read(bodyAddress)?.bytes
      return ask(context, url, {
        method,
        headers: request.headers ?? request.header ?? {},
        ...(body === undefined ? {} : { body }),
        // It may lead to a host that is not allowed: the plugin follows it itself, or not at all.
        redirect: "manual",
        signal: context.signal
      })
    },
    http_status_code: () => status
  }
}

/** Counts while it reads. To leave the loop ends the request. */
const readBody = async (response: Response, limit: number): Promise<Uint8Array> => {
  const chunks: Array<Uint8Array> = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    length += chunk.length
    if (length > limit) throw new OutOfMemory(`the answer has more than ${limit} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** `*` stands for any characters, `?` for one. */
const toPattern = (host: string): RegExp => {
  const escaped = host.toLowerCase().replace(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
  return new RegExp(`^${escaped.replaceAll("*", ".*").replaceAll("?", ".")}$`)
}
