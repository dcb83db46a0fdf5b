/**
 * What can go wrong with an arena.
 *
 * {@link ArenaExhausted} and {@link BackingFailed} happen to sound programs and are typed failures. {@link ArenaMisuse} is
 * a mistake in the program: the synchronous functions throw it, and in an Effect it is a defect.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * An allocation does not fit. The arena is as it was before.
 *
 * **Details**
 *
 * In bytes. `remaining` may be more than was `asked` for: padding takes part of it, and an allocation of an arena that
 * chains lies in one piece. `cause` is the failure of the backing, where the arena was to chain and could not.
 *
 * @category errors
 * @since 0.1.0
 */
export class ArenaExhausted extends Schema.TaggedError<ArenaExhausted>("effect-pools/ArenaExhausted")(
  "ArenaExhausted",
  {
    arena: Schema.String,
    asked: Schema.Number,
    remaining: Schema.Number,
    capacity: Schema.Number,
    cause: Schema.optionalKey(Schema.Defect())
  }
) {
  override get message(): string {
    return `Arena "${this.arena}" has no room for ${this.asked} bytes: ${this.remaining} of ${this.capacity} remain`
  }
}

/**
 * The backing could not reserve memory, or gave memory that no arena can use.
 *
 * @category errors
 * @since 0.1.0
 */
export class BackingFailed extends Schema.TaggedError<BackingFailed>("effect-pools/ArenaBackingFailed")(
  "ArenaBackingFailed",
  {
    backing: Schema.String,
    size: Schema.Number,
    cause: Schema.Defect()
  }
) {
  override get message(): string {
    return `Backing "${this.backing}" did not give memory of ${this.size} bytes`
  }
}

/**
 * An arena was called in a way that makes no sense: with a size or alignment that is none, a mark that is not its own, or
 * after it was given back. Nothing was changed.
 *
 * @category errors
 * @since 0.1.0
 */
export class ArenaMisuse extends Schema.TaggedError<ArenaMisuse>("effect-pools/ArenaMisuse")("ArenaMisuse", {
  arena: Schema.String,
  rule: Schema.String
}) {
  override get message(): string {
    return `Arena "${this.arena}": ${this.rule}`
  }
}

/**
 * An arena that was to be made ahead could not be. The `made` ones that came before it are in the pool.
 *
 * @category errors
 * @since 0.1.0
 */
export class PrewarmFailed extends Schema.TaggedError<PrewarmFailed>("effect-pools/ArenaPrewarmFailed")(
  "ArenaPrewarmFailed",
  {
    pool: Schema.String,
    asked: Schema.Number,
    made: Schema.Number,
    cause: Schema.Defect()
  }
) {
  override get message(): string {
    return `Pool "${this.pool}": ${this.made} of ${this.asked} arenas were made, then one could not be`
  }
}
