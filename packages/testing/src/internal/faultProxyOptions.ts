import { InvalidOptions } from "@effect-pools/core"
import type { Options, Target, TcpAddress, UnixAddress } from "../FaultProxy.ts"
import { directions } from "./faultProxyRelay.ts"

const makeChecks = () => new InvalidOptions.Checks("fault proxy", "Fault proxy")

export const checkOptions = (options: Options) => {
  const checks = makeChecks()
  checks.known(options, new Set(["upstream", "listen"]))
  if (options.upstream === undefined) checks.refuse("upstream", options.upstream, "is required")
  return {
    upstream: checkAddress(checks, "upstream", options.upstream, 1),
    listen: options.listen === "unix" ? options.listen : checkAddress(checks, "listen", options.listen ?? {}, 0)
  }
}

/** Checks what a fault affects, and that it has the fields that are its own. */
export const checkTarget = (target: Target, fields: Readonly<Record<string, "required" | "optional">>) => {
  const checks = makeChecks()
  checks.known(target, new Set(["direction", ...Object.keys(fields)]))
  for (const [field, need] of Object.entries(fields)) {
    const value = (target as Record<string, unknown>)[field]
    if (value === undefined && need === "required") checks.refuse(field, value, "is required")
  }
  const direction = checks.oneOf("direction", target.direction, "both", ["toServer", "toClient", "both"])
  const connections = checks.oneOf("connections", target.connections, "all", ["open", "new", "all"])
  return {
    checks,
    affected: {
      directions: direction === "both" ? directions : [direction],
      open: connections !== "new",
      future: connections !== "open"
    }
  }
}

const checkAddress = (
  checks: InvalidOptions.Checks,
  field: string,
  address: UnixAddress | { readonly host?: string | undefined; readonly port?: number | undefined },
  minPort: number
): TcpAddress | UnixAddress => {
  const text = (name: string, value: string) => {
    if (typeof value !== "string" || value === "") checks.refuse(`${field}.${name}`, value, "must be a string")
    if (value.includes("\0")) checks.refuse(`${field}.${name}`, value, "must not contain a NUL character")
    return value
  }
  checks.group(field, address, new Set("path" in Object(address) ? ["path"] : ["host", "port"]))
  if ("path" in address) return { path: text("path", address.path) }
  const { host = "127.0.0.1", port = 0 } = address
  if (!Number.isInteger(port) || port < minPort || port > 65_535) {
    checks.refuse(`${field}.port`, port, `must be a port from ${minPort} to 65535`)
  }
  return { host: text("host", host), port }
}
