import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import { type ArenaBacking, type ArenaMemory, type BackingName, byName } from "../ArenaBacking.ts"
import type { Options } from "../BumpArena.ts"
import { MAX_SIZE } from "./limits.ts"

/** The options after checking. */
export interface Checked<M extends ArenaMemory> {
  readonly name: string
  readonly size: number
  readonly backing: ArenaBacking<M>
  readonly chains: boolean
  readonly checked: boolean
}

const fields = new Set<keyof Options<any>>(["name", "size", "backing", "overflow", "checked"])

/** Checks everything, or throws `InvalidOptions`. */
export const checkOptions = <M extends ArenaMemory>(options: Options<M>): Checked<M> => {
  const unnamed = new InvalidOptions.Checks("arena", "Arena")
  if (typeof options !== "object" || options === null) return unnamed.refuse("options", options, "must be an object")
  const name = unnamed.name(options.name, () => "arena")
  const checks = new InvalidOptions.Checks(name, `Arena "${name}"`)
  checks.known(options, fields)
  return {
    name,
    size: checkSize(checks, "size", options.size),
    backing: checkBacking(checks, "backing", options.backing),
    chains: checks.oneOf("overflow", options.overflow, "fail", ["fail", "chain"]) === "chain",
    checked: checkBoolean(checks, "checked", options.checked)
  }
}

export const checkSize = (checks: InvalidOptions.Checks, field: string, value: number): number => {
  if (!Number.isSafeInteger(value) || value < 1 || value > MAX_SIZE) {
    checks.refuse(field, value, `must be a whole number of bytes from 1 to ${MAX_SIZE}`)
  }
  return value
}

export const checkBacking = <M extends ArenaMemory>(
  checks: InvalidOptions.Checks,
  field: string,
  value: BackingName | ArenaBacking<M> | undefined
): ArenaBacking<M> => {
  if (value === undefined) return byName.heap as ArenaBacking<M>
  if (typeof value === "string") {
    const names = Object.keys(byName) as Array<BackingName>
    return byName[checks.oneOf(field, value, "heap", names)] as ArenaBacking<M>
  }
  const isBacking =
    typeof value === "object" &&
    value !== null &&
    typeof value.reserve === "function" &&
    typeof value.name === "string" &&
    [value.canRelease, value.detaches, value.isShared].every((flag) => typeof flag === "boolean")
  if (!isBacking) checks.refuse(field, value, "must be the name of a backing or an ArenaBacking")
  return value
}

export const checkBoolean = (checks: InvalidOptions.Checks, field: string, value: boolean | undefined): boolean => {
  if (value !== undefined && typeof value !== "boolean") checks.refuse(field, value, "must be true or false")
  return value ?? false
}
