import { hasProperty, isTagged } from "effect/Predicate"
import type { FromServerEncoded } from "effect/rpc/RpcMessage"
import * as Schema from "effect/Schema"
import { tame } from "./tame.ts"

/** A message about a call. */
export type Answer =
  | { readonly _tag: "part"; readonly id: string | number; readonly response: FromServerEncoded }
  | {
      readonly _tag: "last"
      readonly id: string | number
      readonly response: FromServerEncoded
      /** Whether it says that the call was interrupted, and nothing else. */
      readonly isInterruption: boolean
    }

/** A message of a worker, as far as it says something about a call. */
export type Told = Answer | { readonly _tag: "defect"; readonly cause: unknown }

/** Guest code can send whatever it likes, so nothing is taken for granted: `undefined` is what it has made up. */
export const readMessage = (message: unknown): Told | undefined => {
  if (isTagged(message, "Defect")) {
    return { _tag: "defect", cause: readDefect(hasProperty(message, "defect") ? message.defect : undefined) }
  }
  if (!hasProperty(message, "requestId")) return undefined
  const id = message.requestId as string | number
  const response = message as unknown as FromServerEncoded
  if (isTagged(message, "Chunk")) return isPart(message) ? { _tag: "part", id, response } : undefined
  if (!isTagged(message, "Exit") || !hasProperty(message, "exit")) return undefined
  if (isTagged(message.exit, "Success")) return { _tag: "last", id, response, isInterruption: false }
  const reasons = reasonsOf(message.exit)
  if (reasons === undefined) return undefined
  const death = reasons.find((reason) => reason._tag === "Die")
  if (death !== undefined) return { _tag: "defect", cause: readDefect(death.defect) }
  return { _tag: "last", id, response, isInterruption: reasons.every((reason) => reason._tag === "Interrupt") }
}

const isPart = (message: object): boolean =>
  hasProperty(message, "values") && Array.isArray(message.values) && message.values.length > 0

interface Reason {
  readonly _tag: string
  readonly defect?: unknown
}

/** Why a call has failed: for one reason at least. */
const reasonsOf = (exit: unknown): ReadonlyArray<Reason> | undefined => {
  if (!isTagged(exit, "Failure") || !hasProperty(exit, "cause") || !Array.isArray(exit.cause)) return undefined
  const reasons = exit.cause as ReadonlyArray<unknown>
  return reasons.length > 0 && reasons.every(isReason) ? reasons : undefined
}

const isReason = (reason: unknown): reason is Reason =>
  isTagged(reason, "Fail") || isTagged(reason, "Die") || isTagged(reason, "Interrupt")

const decodeDefect = Schema.decodeUnknownOption(Schema.toCodecJson(Schema.Defect()))

const readDefect = (encoded: unknown): unknown => {
  const tamed = tame(encoded)
  const defect = decodeDefect(tamed)
  return defect._tag === "Some" ? defect.value : tamed
}
