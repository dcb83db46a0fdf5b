import { inspect } from "node:util"

/** What something says that was thrown. It may be anything, the message of an error too. Never throws. */
export const inWords = (thrown: unknown): string => {
  if (typeof thrown === "string") return thrown
  try {
    const said = thrown instanceof Error ? thrown.message : thrown
    return typeof said === "string" ? said : inspect(said, { depth: 1, breakLength: Infinity })
  } catch {
    return "something that can't be put in words"
  }
}
