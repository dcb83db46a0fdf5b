/**
 * What a model run is given: the pool's settings and a list of commands, described with Schema, so that cases can be
 * generated, shrunk, written down and read back.
 *
 * Every field that has a default is optional: a case that shrinks loses fields, and a text that was written down stays
 * valid when commands get further ones.
 */
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import type { Trait } from "../Subject.ts"

const optional = Schema.optionalKey

/** How a body ends, and when; a number succeeds after that many milliseconds. `hold` waits for a `release`. */
const Body = Schema.Literals(["ok", "yield", "hold", "fail", "die", "interrupt", "die later", 5, 150])
export type Body = typeof Body.Type

const Ending = Schema.Literals(["ok", "fail", "die", "interrupt"])
export type Ending = typeof Ending.Type

const at = ["create", "validate", "reset", "check", "destroy"] as const
const quick = ["ok", "fail", "die", "false", "interrupt"] as const
const slow = ["hang", "stuck", 1, 20, 300] as const
const Late = Schema.Struct({ late: Schema.Literals([50, 1500]), ending: optional(Schema.Literals(["die", "fail"])) })

/** Which of those there are, the oldest first; counted round if there are fewer. */
const which = optional(Schema.Literals([0, 1, 2, 3, 4, 5, 6, 7]))

/** After how many steps the next command comes. If absent, after all that is due now has happened. */
const pace = { steps: optional(Schema.Literals([0, 1, 2, 3, 4, 5, 6, 7])) }

const asking = {
  /** Default 0. */
  priority: optional(Schema.Literals([1, 2])),
  /** Default: the pool's. */
  timeout: optional(Schema.Literals([0, 1, 50, 500]))
}

const use = Schema.TaggedStruct("use", {
  body: optional(Body),
  ...asking,
  /** Within a span. */
  traced: optional(Schema.Literal(true)),
  ...pace
})
const get = Schema.TaggedStruct("get", { ...asking, ...pace })
const useIfAvailable = Schema.TaggedStruct("useIfAvailable", { body: optional(Body), ...pace })
const getIfAvailable = Schema.TaggedStruct("getIfAvailable", pace)
/** Ends a body that holds. */
const release = Schema.TaggedStruct("release", { which, ending: optional(Ending), ...pace })
/** Closes the scope of a `get`, whether it has been served or not. */
const closeScope = Schema.TaggedStruct("closeScope", { which, ...pace })
const interrupt = Schema.TaggedStruct("interrupt", { which, ...pace })
/** Interrupts every second caller, or every third. */
const interruptMany = Schema.TaggedStruct("interruptMany", { every: Schema.Literals([2, 3]), ...pace })
const invalidate = Schema.TaggedStruct("invalidate", { which, ...pace })
const resize = Schema.TaggedStruct("resize", {
  min: optional(Schema.Literals([0, 1, 2])),
  max: optional(Schema.Literals([1, 2, 3, 4, 5, 6])),
  ...pace
})
const suspend = Schema.TaggedStruct("suspend", pace)
const resume = Schema.TaggedStruct("resume", pace)
const allWell = Schema.TaggedStruct("allWell", pace)
const advance = Schema.TaggedStruct("advance", { millis: Schema.Literals([1, 5, 20, 100, 700, 2500]) })
const gate = Schema.TaggedStruct("gate", {
  at: Schema.Literals(at),
  gate: Schema.Union([Schema.Literals([...quick, ...slow]), Late]),
  ...pace
})
/** All well again, everything given back; then the pool has to be at rest and every place of it to work. */
const heal = Schema.TaggedStruct("heal", {})
const drain = Schema.TaggedStruct("drain", { grace: optional(Schema.Literals([0, 10, 1000])), ...pace })
const close = Schema.TaggedStruct("close", pace)

const Command = Schema.Union([
  use,
  get,
  useIfAvailable,
  getIfAvailable,
  release,
  closeScope,
  interrupt,
  interruptMany,
  invalidate,
  resize,
  suspend,
  resume,
  allWell,
  advance,
  gate,
  heal,
  drain,
  close
])
export type Command = typeof Command.Type

/** Durations are in milliseconds. */
const settings = {
  /** Default 2,048, Effect's own. */
  maxOpsBeforeYield: optional(Schema.Literals([3, 5, 17])),
  /** Default 0; at most `max`. */
  min: optional(Schema.Literals([1, 2])),
  /** Default 1. */
  max: optional(Schema.Literals([2, 3, 4, 5])),
  /** Default `Infinity`. */
  maxWaiters: optional(Schema.Literals([1, 3])),
  /** Default 2. */
  maxCreating: optional(Schema.Literals([1, 3])),
  /** Default 400; with more, callers that wait for one that hangs are to be helped in another way. */
  createTimeout: optional(Schema.Literal(3000)),
  /** Default 1. */
  concurrency: optional(Schema.Literals([2, 3])),
  validate: optional(Schema.Literal(true)),
  reset: optional(Schema.Literal(true)),
  check: optional(Schema.Literal(true))
}
const Settings = Schema.Struct(settings)
export type Settings = typeof Settings.Type

export interface Case<O, C> {
  readonly settings: Settings
  readonly options: O
  readonly commands: ReadonlyArray<Command | C>
}

type Plain<A> = Schema.Codec<A, unknown>

/** What only one kind of pool has. */
export interface Special<O, C> {
  readonly options?: Plain<O> | undefined
  readonly commands?: ReadonlyArray<Plain<C>> | undefined
}

/** Every case that can be written down. */
export const schemaOf = <O, C>(special: Special<O, C>): Schema.Codec<Case<O, C>, string> =>
  Schema.fromJsonString(
    Schema.Struct({
      settings: Settings,
      options: special.options ?? Schema.Struct({}),
      commands: Schema.Array(Schema.Union([...Command.members, ...(special.commands ?? [])]))
    })
  ) as never

/** The cases that make sense for a pool which lacks something, with at most about `length` commands. */
export const arbitraryOf = <O, C>(
  special: Special<O, C>,
  lacks: { readonly [T in Trait]?: string },
  length: number
): Arbitrary.Arbitrary<Case<O, C>> => {
  const random = Arbitrary.schema(
    Schema.Union([...commandsFor(lacks), ...(special.commands ?? [])])
  ) as Arbitrary.Arbitrary<Command | C>
  const few = Arbitrary.array(random, { maxLength: 10 })
  const parts = Arbitrary.all({
    settings: Arbitrary.schema(settingsFor(lacks)),
    options: Arbitrary.schema(special.options ?? Schema.Struct({})) as Arbitrary.Arbitrary<O>,
    commands: Arbitrary.array(random, { maxLength: length }),
    last: Arbitrary.schema(Last),
    before: few,
    after: few
  })
  return Arbitrary.map(parts, ({ after, before, commands, last, options, settings }) => ({
    settings,
    options,
    commands: [...commands, ...(last.heal ?? []), ...before, ...(last.end ?? []), ...after]
  }))
}

/** Closing comes towards the end: nothing much happens after it. */
const Last = Schema.Struct({
  heal: optional(Schema.Tuple([heal])),
  end: optional(Schema.Array(Schema.Union([close, close, drain])).check(Schema.isMaxLength(2)))
})

/** Some of them several times: they are to be as many times as likely. */
const commandsFor = (lacks: { readonly [T in Trait]?: string }): Array<Plain<Command>> => {
  const mayFail = at.filter(
    (step) =>
      !(step === "validate" && lacks.validation !== undefined) &&
      !(step === "reset" && lacks.reset !== undefined) &&
      !(step === "check" && lacks.checks !== undefined)
  )
  const outcome =
    lacks.time === undefined ? Schema.Union([Schema.Literals([...quick, ...slow]), Late]) : Schema.Literals(quick)
  const gate = Schema.TaggedStruct("gate", { at: Schema.Literals(["create", ...mayFail]), gate: outcome, ...pace })
  return [
    ...times(4, use),
    ...times(2, get),
    useIfAvailable,
    getIfAvailable,
    ...times(2, release),
    ...times(2, closeScope),
    interrupt,
    interruptMany,
    invalidate,
    resize,
    suspend,
    ...times(3, resume),
    allWell,
    ...times(6, gate),
    ...times(5, advance)
  ]
}

const times = <A>(count: number, value: A): Array<A> => Array.from({ length: count }, () => value)

const settingsFor = (lacks: { readonly [T in Trait]?: string }) => {
  const { check, concurrency, min, reset, validate, ...others } = settings
  return Schema.Struct({
    ...others,
    ...(lacks.minimum === undefined ? { min } : {}),
    ...(lacks.sharing === undefined ? { concurrency } : {}),
    ...(lacks.validation === undefined ? { validate } : {}),
    ...(lacks.reset === undefined ? { reset } : {}),
    ...(lacks.checks === undefined ? { check } : {})
  }) as unknown as Plain<Settings>
}

/** A command in words, such as `use body=hold priority=1`. */
export const inWords = (command: object): string =>
  Object.entries(command)
    .map(([field, value]) => (field === "_tag" ? String(value) : `${field}=${JSON.stringify(value)}`))
    .join(" ")
