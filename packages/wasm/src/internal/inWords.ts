import { format } from "effect/Formatter"

/** What something says that was thrown. It may be anything. */
export const inWords = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : format(thrown))
