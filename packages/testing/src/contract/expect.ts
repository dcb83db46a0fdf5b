import { isDeepStrictEqual } from "node:util"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Formatter from "effect/Formatter"

/**
 * A pool does not do what the contract says: what was looked at, what it should have been, and what it was.
 *
 * @category errors
 * @since 0.1.0
 */
export class ContractViolation extends Data.TaggedError("ContractViolation")<{
  readonly what: string
  readonly expected: unknown
  readonly actual: unknown
}> {
  override get message(): string {
    return `${this.what}: expected ${show(this.expected)}, but got ${show(this.actual)}`
  }
}

const show = (value: unknown): string => (typeof value === "string" ? value : Formatter.format(value))

/** Compares by content. */
export const equal = (what: string, actual: unknown, expected: unknown): Effect.Effect<void, ContractViolation> =>
  isDeepStrictEqual(actual, expected) ? Effect.void : new ContractViolation({ what, expected, actual })

/** Compares those fields that `expected` has. */
export const includes = (what: string, actual: unknown, expected: object): Effect.Effect<void, ContractViolation> => {
  const of = (typeof actual === "object" && actual !== null ? actual : {}) as Record<string, unknown>
  return equal(what, Object.fromEntries(Object.keys(expected).map((field) => [field, of[field]])), expected)
}

export const atMost = (what: string, actual: number, limit: number): Effect.Effect<void, ContractViolation> =>
  actual <= limit ? Effect.void : new ContractViolation({ what, expected: `at most ${limit}`, actual })

export const atLeast = (what: string, actual: number, limit: number): Effect.Effect<void, ContractViolation> =>
  actual >= limit ? Effect.void : new ContractViolation({ what, expected: `at least ${limit}`, actual })

export const says = (what: string, text: string, part: string): Effect.Effect<void, ContractViolation> =>
  text.includes(part) ? Effect.void : new ContractViolation({ what, expected: `a text with "${part}"`, actual: text })
