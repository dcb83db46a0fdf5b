/**
 * Options that make no sense, and the checks that find them.
 *
 * Options are checked once, when a pool is made or resized. A check that fails throws {@link InvalidOptions}; constructors
 * run their checks through {@link check}, which turns that into a typed failure.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/**
 * Names the pool, the field, the value it was given and the rule it breaks. `subject` is how the message begins, for
 * what is not a pool.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidOptions extends Schema.TaggedError<InvalidOptions>("effect-pools/InvalidOptions")(
  "InvalidOptions",
  {
    pool: Schema.String,
    subject: Schema.optionalKey(Schema.String),
    field: Schema.String,
    value: Schema.String,
    rule: Schema.String
  }
) {
  override get message(): string {
    return `${this.subject ?? `Pool "${this.pool}"`}: option "${this.field}" ${this.rule}, but is ${this.value}`
  }
}

/**
 * Runs checks and the construction that depends on them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const check = <A>(f: () => A): Effect.Effect<A, InvalidOptions> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(f())
    } catch (error) {
      return error instanceof InvalidOptions ? Effect.fail(error) : Effect.die(error)
    }
  })

/**
 * The checks for one pool's options. Each returns the checked value, or the default where the option is `undefined`.
 *
 * @category models
 * @since 0.1.0
 */
export class Checks {
  readonly pool: string
  readonly subject: string | undefined

  constructor(pool: string, subject?: string) {
    this.pool = pool
    this.subject = subject
  }

  /** Refuses a value: the rule is a phrase that follows the field's name, such as "must be at least 1". */
  refuse(field: string, value: unknown, rule: string): never {
    const subject = this.subject === undefined ? {} : { subject: this.subject }
    throw new InvalidOptions({ pool: this.pool, ...subject, field, value: show(value), rule })
  }

  integer(field: string, value: number | undefined, fallback: number, min: number): number {
    if (value === undefined) return fallback
    if (!Number.isSafeInteger(value) || value < min)
      this.refuse(field, value, `must be a whole number of at least ${min}`)
    return value
  }

  /** A whole number, or `Infinity` for "no limit". */
  limit(field: string, value: number | undefined, fallback: number, min: number): number {
    return value === Infinity ? value : this.integer(field, value, fallback, min)
  }

  finite(field: string, value: number | undefined, fallback: number, min = -Infinity, max = Infinity): number {
    if (value === undefined) return fallback
    if (!Number.isFinite(value) || value < min || value > max) {
      const isBounded = min !== -Infinity || max !== Infinity
      this.refuse(field, value, isBounded ? `must be a number between ${min} and ${max}` : "must be a finite number")
    }
    return value
  }

  /** A duration in milliseconds. Zero and infinity are refused unless allowed. */
  millis(
    field: string,
    value: Duration.Input | undefined,
    fallback: number,
    allow: { readonly zero?: boolean; readonly infinity?: boolean } = {}
  ): number {
    if (value === undefined) return fallback
    const millis = readMillis(value)
    if (!(millis >= 0)) this.refuse(field, value, "must be a duration")
    if (millis === 0 && allow.zero !== true) this.refuse(field, value, "must be longer than zero")
    if (millis === Infinity && allow.infinity !== true) this.refuse(field, value, "must be finite")
    return millis
  }

  callback<F>(field: string, value: F | undefined): F | undefined {
    if (value !== undefined && typeof value !== "function") this.refuse(field, value, "must be a function")
    return value
  }

  oneOf<const A extends string>(field: string, value: A | undefined, fallback: A, allowed: ReadonlyArray<A>): A {
    if (value === undefined) return fallback
    if (!allowed.includes(value)) this.refuse(field, value, `must be one of ${allowed.join(", ")}`)
    return value
  }

  /** A name that errors, metrics and logs can carry. */
  name(value: string | undefined, fallback: () => string): string {
    if (value === undefined) return fallback()
    if (typeof value !== "string" || value.trim() === "")
      this.refuse("name", value, "must be a string that is not empty")
    return value
  }

  /** Refuses fields that the pool does not know: a misspelt option would otherwise be ignored in silence. */
  known(options: object, fields: ReadonlySet<string>, prefix = ""): void {
    if (!isRecord(options)) this.refuse("options", options, "must be an object")
    for (const [field, value] of Object.entries(options)) {
      if (!fields.has(field)) this.refuse(prefix + field, value, "is not known")
    }
  }

  /** Options within an option: an object with known fields only. */
  group<T extends object>(field: string, value: T | undefined, fields: ReadonlySet<string>): T | undefined {
    if (value === undefined) return undefined
    if (!isRecord(value)) this.refuse(field, value, "must be an object")
    this.known(value, fields, `${field}.`)
    return value
  }
}

/**
 * Options, with others where they say nothing: as everywhere, `undefined` is as good as nothing. What is no object is left
 * as it is, for the check to refuse. For those who build pools.
 *
 * @category constructors
 * @since 0.1.0
 */
export const withDefaults = <O extends object>(options: O, defaults: Partial<O>): O => {
  if (typeof options !== "object" || options === null) return options
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  return Object.assign({}, defaults, Object.fromEntries(given) as unknown as O)
}

const isRecord = (value: unknown): boolean => typeof value === "object" && value !== null && !Array.isArray(value)

/** `NaN` for what is no duration; `Duration` itself is lenient and reads much of that as zero. */
const readMillis = (value: Duration.Input): number => {
  if (typeof value === "object" && value !== null && !Duration.isDuration(value)) {
    const isSound = Array.isArray(value) ? value.every(isNumber) : isDurationObject(value as Duration.DurationObject)
    if (!isSound) return NaN
  }
  if (Number.isNaN(value)) return NaN
  const parsed = Duration.fromInput(value)
  return Option.isNone(parsed) ? NaN : Duration.toMillis(parsed.value)
}

const units = ["weeks", "days", "hours", "minutes", "seconds", "milliseconds", "microseconds", "nanoseconds"] as const

const isDurationObject = (value: Duration.DurationObject): boolean => {
  const amounts = units.map((unit) => value[unit]).filter((amount) => amount !== undefined)
  return (
    amounts.length > 0 &&
    amounts.every(isNumber) &&
    Object.keys(value).every((field) => (units as ReadonlyArray<string>).includes(field))
  )
}

const isNumber = (value: unknown): boolean => typeof value === "number" && !Number.isNaN(value)

const show = (value: unknown): string => {
  if (typeof value === "string") return JSON.stringify(value)
  if (typeof value === "function") return "a function"
  if (typeof value === "object" && value !== null && !Duration.isDuration(value)) {
    return Array.isArray(value) ? "an array" : "an object"
  }
  return String(value)
}
