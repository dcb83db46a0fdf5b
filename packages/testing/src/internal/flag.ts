import type { InvalidOptions } from "@effect-pools/core"

/** Checks an option that is either on or off. */
export const flag = (
  checks: InvalidOptions.Checks,
  field: string,
  value: boolean | undefined,
  fallback: boolean
): boolean => {
  if (value === undefined) return fallback
  if (typeof value !== "boolean") checks.refuse(field, value, "must be true or false")
  return value
}
