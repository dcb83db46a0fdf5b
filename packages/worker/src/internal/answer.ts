import { hasProperty, isTagged } from "effect/Predicate"
import type { FromServerEncoded } from "effect/rpc/RpcMessage"
import * as Schema from "effect/Schema"

/** A message of a worker, as far as it says something about a call; `undefined` is what a guest has made up. */
export type Answer =
  | { readonly _tag: "part" | "last"; readonly id: string | number; readonly response: FromServerEncoded }
  | { readonly _tag: "defect"; readonly cause: unknown }

/** Guest code can send whatever it likes, so nothing is taken for granted. */
export const readAnswer = (message: unknown): Answer | undefined => {
  if (isTagged(message, "Defect")) {
    return { _tag: "defect", cause: readDefect(hasProperty(message, "defect") ? message.defect : undefined) }
  }
  if (!hasProperty(message, "requestId")) return undefined
  const id = message.requestId as string | number
  const response = message as unknown as FromServerEncoded
  if (isTagged(message, "Chunk")) return { _tag: "part", id, response }
  if (!isTagged(message, "Exit")) return undefined
  const death = hasProperty(message, "exit") ? deathIn(message.exit) : undefined
  return death === undefined ? { _tag: "last", id, response } : { _tag: "defect", cause: readDefect(death.defect) }
}

/** The first defect among the reasons of a failure. */
const deathIn = (exit: unknown): { readonly defect?: unknown } | undefined => {
  if (!hasProperty(exit, "cause") || !Array.isArray(exit.cause)) return undefined
  for (const reason of exit.cause as ReadonlyArray<unknown>) {
    if (isTagged(reason, "Die")) return reason as { readonly defect?: unknown }
  }
  return undefined
}

const decodeDefect = Schema.decodeUnknownOption(Schema.toCodecJson(Schema.Defect()))

const readDefect = (encoded: unknown): unknown => {
  const defect = decodeDefect(encoded)
  return defect._tag === "Some" ? defect.value : encoded
}
