/**
 * Random commands against a pool and, beside it, against a model of what a pool has to do.
 *
 * **What it does**
 *
 * - A case is the pool's settings and a list of commands: callers come, leave, are interrupted; items are invalidated; the
 *   pool is resized, suspended, drained, closed; time passes; every step of the resource goes wrong in every way.
 * - It is played on a {@link StepRuntime}: fibers yield after a few primitives, and each command comes after a few steps of
 *   them, or when they are at rest. The same case always goes the same way.
 * - Before every step the pool is compared with the model and with the resource. The model is plain state, and knows
 *   whose turn it is, what each caller may be told, and what is held.
 * - In the end all is made well. Then everybody has an answer, every place of the pool works, and closing it leaves
 *   nothing behind.
 * - A case that fails is made as small as it can be, and told with a text that plays it again.
 *
 * @since 0.1.0
 */
import type { InvalidOptions, Pool } from "@effect-pools/core"
import * as Arbitrary from "effect/Arbitrary"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { GateFailure, Gates, Item } from "./Gates.ts"
import { arbitraryOf, type Case, type Command, inWords, schemaOf } from "./model/cases.ts"
import type { Invariant } from "./model/model.ts"
import { type Kind, type Outcome, play } from "./model/play.ts"
import type { Settings, Subject } from "./Subject.ts"

/**
 * What only one kind of pool has. All of it is optional but `make`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Special<P extends Pool.Pool<any, GateFailure>, O, C> {
  /** Opens a pool with the settings that all kinds have, and with options of its own. */
  readonly make: (
    gates: Gates,
    settings: Settings,
    options: O
  ) => Effect.Effect<P, InvalidOptions.InvalidOptions, Scope.Scope>
  /** Options of its own, which are generated with the rest. Best a struct whose every field is optional. */
  readonly options?: Schema.Codec<O, unknown> | undefined
  /**
   * Commands of its own: structs with a `_tag`. One with a number in a field `which` is given that item of all that were
   * made, counted round.
   */
  readonly commands?: ReadonlyArray<Schema.Codec<C, unknown>> | undefined
  readonly run?: ((pool: P, command: C, item: Item | undefined) => Effect.Effect<unknown, unknown>) | undefined
  /** What is wrong inside the pool, in words; asked before every step. */
  readonly look?: ((pool: P) => Iterable<string>) | undefined
  /** For how long, in milliseconds, an item that worked is handed out without being validated. Default 0. */
  readonly trust?: ((options: O) => number) | undefined
  /** How many leases the pool can have at a time, once all is well. Default: `max` times `concurrency`. */
  readonly places?: ((max: number, concurrency: number, options: O) => number) | undefined
}

/**
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** How many cases. Default 100. */
  readonly runs?: number | undefined
  /** How many commands a case has at most, about; cases grow towards it. Default 60. */
  readonly length?: number | undefined
  /** The same cases for the same seed. Default 1. */
  readonly seed?: number | string | undefined
  /** How many smaller cases are tried when one has failed. Default 5,000. */
  readonly maxShrinks?: number | undefined
}

/**
 * What was done.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tally {
  readonly runs: number
  readonly commands: number
  /** How often a pool was looked at. */
  readonly steps: number
}

/**
 * A case in which the pool does what it may not, as small as it could be made.
 *
 * **Details**
 *
 * `invariant` is the number of the invariant in the design; `contract` is what a function promises beside those, `look` is
 * a finding of {@link Special}'s `look`. `replay` is for {@link replay}.
 *
 * @category errors
 * @since 0.1.0
 */
export class ModelFailure extends Data.TaggedError("ModelFailure")<{
  readonly kind: string
  readonly invariant: Invariant
  readonly what: string
  /** The commands in words. */
  readonly commands: ReadonlyArray<string>
  /** Every command with the states of the model and of the pool after it. */
  readonly story: ReadonlyArray<string>
  readonly settings: string
  readonly replay: string
}> {
  override get message(): string {
    const { invariant } = this
    return [
      `${this.kind} pool: ${typeof invariant === "number" ? `invariant ${invariant}` : invariant}: ${this.what}`,
      `settings: ${this.settings}`,
      ...this.story,
      `replay: ${this.replay}`
    ].join("\n  ")
  }
}

/**
 * Plays random cases on pools of a kind; fails with the first that goes wrong, made small.
 *
 * **Example** (A pool that breaks no rule)
 *
 * ```ts
 * import { ModelRun, Subject, TestPool } from "@effect-pools/testing"
 * import { Effect } from "effect"
 *
 * const no = "a pool of fakes"
 * const subject = Subject.make({
 *   kind: "test",
 *   make: (gates, { concurrency: _sharers, maxCreating: _limit, steps: _steps, ...settings }) =>
 *     TestPool.make({ ...settings, acquire: gates.make }),
 *   item: (item) => item,
 *   lacks: { creationLimit: no, retries: no, validation: no, reset: no, checks: no, sharing: no }
 * })
 *
 * const program = Effect.gen(function*() {
 *   const { commands, runs } = yield* ModelRun.check(subject, { runs: 10 })
 *   yield* Effect.log(`${commands} commands in ${runs} cases`)
 * })
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const check = <A, P extends Pool.Pool<any, GateFailure>, O, C>(
  subject: Subject<A>,
  options?: Options,
  special?: Special<P, O, C>
): Effect.Effect<Tally, ModelFailure> =>
  Effect.gen(function* () {
    const kind = kindOf(subject, special)
    const { length = 60, maxShrinks = 5000, runs = 100, seed = 1 } = options ?? {}
    const tally = { runs: 0, commands: 0, steps: 0 }
    let found: Invariant | undefined
    const result = yield* Arbitrary.checkEffect(
      arbitraryOf<O, C>(special ?? {}, subject.lacks, length),
      (input) =>
        Effect.map(playing(kind, input), ({ steps, violation }) => {
          if (found === undefined) {
            tally.runs++
            tally.commands += input.commands.length
            tally.steps += steps
            found = violation?.invariant
          }
          // A smaller case that breaks another rule is another case.
          return violation === undefined || violation.invariant !== found
        }),
      { runs, size: length, seed, maxShrinks }
    )
    if (result._tag === "Passed") return tally
    if (result._tag !== "Falsified") return yield* Effect.die(new Error(Arbitrary.formatCheckFailure(result)))
    return yield* Effect.fail(yield* failureOf(kind, special, result.shrunkInput))
  })

/**
 * Plays one case again, from the text in a {@link ModelFailure}.
 *
 * @category running
 * @since 0.1.0
 */
export const replay = <A, P extends Pool.Pool<any, GateFailure>, O, C>(
  subject: Subject<A>,
  text: string,
  special?: Special<P, O, C>
): Effect.Effect<Tally, ModelFailure> =>
  Effect.gen(function* () {
    const kind = kindOf(subject, special)
    const input = yield* Effect.orDie(Schema.decodeEffect(schemaOf<O, C>(special ?? {}))(text))
    const { steps, violation } = yield* playing(kind, input)
    if (violation !== undefined) return yield* Effect.fail(yield* failureOf(kind, special, input))
    return { runs: 1, commands: input.commands.length, steps }
  })

const playing = <P extends Pool.Pool<any, GateFailure>, O, C>(
  kind: Kind<P, O, C>,
  input: Case<O, C>
): Effect.Effect<Outcome> => Effect.promise(() => play(kind, input))

const kindOf = <A, P extends Pool.Pool<any, GateFailure>, O, C>(
  subject: Subject<A>,
  special: Special<P, O, C> | undefined
): Kind<P, O, C> => {
  const tags = new Set((special?.commands ?? []).map(tagOf))
  return {
    subject,
    make: special?.make ?? (subject.make as unknown as Kind<P, O, C>["make"]),
    isSpecial: (command): command is C => tags.has((command as Command)._tag),
    run: special?.run ?? (() => Effect.void),
    look: special?.look ?? (() => []),
    trust: special?.trust ?? (() => 0),
    places: special?.places ?? ((max, concurrency) => max * concurrency)
  }
}

const tagOf = (command: Schema.Codec<any, unknown>): string =>
  (command as unknown as Schema.TaggedStruct<string, {}>).fields._tag.schema.literal

/** What there is to say of a case that fails. */
const failureOf = <P extends Pool.Pool<any, GateFailure>, O, C>(
  kind: Kind<P, O, C>,
  special: Special<P, O, C> | undefined,
  generated: Case<O, C>
): Effect.Effect<ModelFailure> =>
  Effect.gen(function* () {
    const schema = schemaOf<O, C>(special ?? {})
    const replay = yield* Effect.orDie(Schema.encodeEffect(schema)(generated))
    // As it will be read: with its fields in their order.
    const input = yield* Effect.orDie(Schema.decodeEffect(schema)(replay))
    const { story, violation } = yield* playing(kind, input)
    return new ModelFailure({
      kind: kind.subject.kind,
      invariant: violation!.invariant,
      what: violation!.what,
      commands: input.commands.map((command) => inWords(command as object)),
      story,
      settings: JSON.stringify({ ...input.settings, ...input.options }),
      replay
    })
  })
