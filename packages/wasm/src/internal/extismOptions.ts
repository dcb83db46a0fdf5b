import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import * as Pool from "@effect-pools/core/Pool"
import type { Manifest, Options } from "../ExtismPool.ts"

/** The options that concern the plugin, after checking; in what they leave open, the manifest has its say. */
export interface Checked {
  readonly name: string
  readonly config: Readonly<Record<string, string>> | undefined
  readonly allowedHosts: ReadonlyArray<string> | undefined
  readonly allowedPaths: Readonly<Record<string, string>> | undefined
  readonly useWasi: boolean
  readonly callTimeout: number | undefined
  readonly maxMemoryPages: number | undefined
  readonly exports: ReadonlyArray<string>
  readonly runInWorker: boolean | undefined
}

export const checkOptions = (options: Options<any, any, any, any>, fallbackName: string | undefined): Checked => {
  const unnamed = new InvalidOptions.Checks("extism pool")
  if (typeof options !== "object" || options === null) return unnamed.refuse("options", options, "must be an object")
  const name = unnamed.name(options.name, () => fallbackName ?? Pool.generateName("extism"))
  const checks = new InvalidOptions.Checks(name)
  // Of an instance pool's options this one is not taken.
  if ("create" in options) checks.refuse("create", options.create, "is not known")
  if (options.manifest === undefined || options.manifest === null) {
    checks.refuse("manifest", options.manifest, "is required")
  }
  checks.callback("functions", options.functions)
  return {
    name,
    config: checkTexts(checks, "config", options.config),
    allowedHosts: checkList(checks, "allowedHosts", options.allowedHosts),
    allowedPaths: checkTexts(checks, "allowedPaths", options.allowedPaths),
    useWasi: checkFlag(checks, "useWasi", options.useWasi) ?? false,
    callTimeout:
      options.callTimeout === undefined ? undefined : checkTimeout(checks, "callTimeout", options.callTimeout),
    maxMemoryPages:
      options.maxMemoryPages === undefined
        ? undefined
        : checks.limit("maxMemoryPages", options.maxMemoryPages, Infinity, 0),
    exports: checkList(checks, "exports", options.exports) ?? [],
    runInWorker: checkFlag(checks, "runInWorker", options.runInWorker)
  }
}

/** What the options say, or else the manifest, or else the default. */
export interface Settings {
  readonly config: Readonly<Record<string, string>>
  readonly allowedHosts: ReadonlyArray<string>
  readonly allowedPaths: Readonly<Record<string, string>>
  readonly callTimeout: number
  readonly maxMemoryPages: number
  readonly maxHttpBytes: number
  readonly maxVariableBytes: number
  readonly runInWorker: boolean
}

const memoryFields = ["max_pages", "max_http_response_bytes", "max_var_bytes"] as const

export const settle = (checked: Checked, manifest: Manifest): Settings => {
  const checks = new InvalidOptions.Checks(checked.name)
  const given = (field: string) => `manifest.${field}`
  const memory = checks.group(given("memory"), manifest.memory ?? undefined, new Set(memoryFields))
  const limit = (field: (typeof memoryFields)[number]) =>
    checks.limit(given(`memory.${field}`), memory?.[field] ?? undefined, Infinity, 0)
  const allowedHosts = checked.allowedHosts ?? checkList(checks, given("allowed_hosts"), manifest.allowed_hosts) ?? []
  const callTimeout = checked.callTimeout ?? checkTimeout(checks, given("timeout_ms"), manifest.timeout_ms ?? undefined)
  const needsWorker = callTimeout < Infinity || allowedHosts.length > 0
  if (needsWorker && checked.runInWorker === false) {
    const why = callTimeout < Infinity ? "calls can be ended in time" : "plugins can use HTTP"
    checks.refuse("runInWorker", false, `must be true, as only in workers ${why}`)
  }
  return {
    config: { ...checkTexts(checks, given("config"), manifest.config), ...checked.config },
    allowedHosts,
    allowedPaths: checked.allowedPaths ?? checkTexts(checks, given("allowed_paths"), manifest.allowed_paths) ?? {},
    callTimeout,
    maxMemoryPages: checked.maxMemoryPages ?? limit("max_pages"),
    maxHttpBytes: limit("max_http_response_bytes"),
    maxVariableBytes: limit("max_var_bytes"),
    runInWorker: checked.runInWorker ?? needsWorker
  }
}

const checkTimeout = (checks: InvalidOptions.Checks, field: string, timeout: Options["callTimeout"]): number =>
  checks.millis(field, timeout, Infinity, { infinity: true })

const checkFlag = (checks: InvalidOptions.Checks, field: string, flag: boolean | undefined): boolean | undefined => {
  if (flag !== undefined && typeof flag !== "boolean") checks.refuse(field, flag, "must be true or false")
  return flag
}

const checkList = (
  checks: InvalidOptions.Checks,
  field: string,
  list: ReadonlyArray<string> | null | undefined
): ReadonlyArray<string> | undefined => {
  // The serialized manifests of other languages say so for "none".
  if (list === undefined || list === null) return undefined
  if (!Array.isArray(list) || list.some((text) => typeof text !== "string")) {
    checks.refuse(field, list, "must be a list of strings")
  }
  return list
}

const checkTexts = (
  checks: InvalidOptions.Checks,
  field: string,
  texts: Readonly<Record<string, string>> | null | undefined
): Readonly<Record<string, string>> | undefined => {
  if (texts === undefined || texts === null) return undefined
  if (typeof texts !== "object" || Array.isArray(texts)) checks.refuse(field, texts, "must be an object")
  for (const [key, text] of Object.entries(texts)) {
    if (typeof text !== "string") checks.refuse(`${field}.${key}`, text, "must be a string")
  }
  return texts
}
