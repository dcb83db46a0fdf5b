import { format } from "effect/Formatter"

/** What something says that was thrown. It may be anything, and may throw when it is asked. */
export const inWords = (thrown: unknown): string => {
  try {
    return thrown instanceof Error ? String(thrown.message) : format(thrown)
  } catch {
    return "something that can't be put into words"
  }
}
