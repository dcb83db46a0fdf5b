import * as Schema from "effect/Schema"

const sentences = {
  disposed: "the guard is disposed: its item is back in the pool, or somebody else's",
  foreign: "the guard is none of this pool's"
} as const

/**
 * A guard was used that does not hold an item any more, or given to another pool. It is thrown; nothing else happens.
 *
 * @category errors
 * @since 0.1.0
 */
export class GuardError extends Schema.TaggedError<GuardError>("effect-pools/LockFreePool/GuardError")("GuardError", {
  pool: Schema.String,
  problem: Schema.Literals(["disposed", "foreign"])
}) {
  override get message(): string {
    return `Pool "${this.pool}": ${sentences[this.problem]}`
  }
}
