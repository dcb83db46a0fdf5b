import { InvalidOptions } from "@effect-pools/core"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"

const checks = new InvalidOptions.Checks("db")

/** The error that the check throws. */
const refused = (f: () => unknown): InvalidOptions.InvalidOptions => {
  try {
    f()
  } catch (error) {
    assert.instanceOf(error, InvalidOptions.InvalidOptions)
    return error
  }
  return assert.fail("accepted")
}

describe("InvalidOptions", () => {
  it("names the pool, the field, the value and the rule, and reads as a sentence", () => {
    const error = refused(() => checks.integer("max", 0, 10, 1))
    assert.deepStrictEqual(
      [error.pool, error.field, error.value, error.rule],
      ["db", "max", "0", "must be a whole number of at least 1"]
    )
    assert.strictEqual(error.message, 'Pool "db": option "max" must be a whole number of at least 1, but is 0')
  })

  it("begins with what it is about where that is no pool", () => {
    const error = refused(() => new InvalidOptions.Checks("db", "Fault 3").integer("times", 0, 1, 1))
    assert.strictEqual(error.message, 'Fault 3: option "times" must be a whole number of at least 1, but is 0')
    assert.strictEqual(error.pool, "db")
  })

  it("shows any value there is", () => {
    const shown = (value: unknown) => refused(() => checks.refuse("field", value, "must be something else")).value
    assert.strictEqual(shown("text"), '"text"')
    assert.strictEqual(shown(NaN), "NaN")
    assert.strictEqual(shown(-0.5), "-0.5")
    assert.strictEqual(shown(5n), "5")
    assert.strictEqual(shown(null), "null")
    assert.strictEqual(shown(undefined), "undefined")
    assert.strictEqual(shown(Symbol("s")), "Symbol(s)")
    assert.strictEqual(
      shown(() => 1),
      "a function"
    )
    assert.strictEqual(shown([1, 2]), "an array")
    assert.strictEqual(shown({ a: 1 }), "an object")
    assert.strictEqual(shown(Object.create(null)), "an object")
    assert.strictEqual(shown(Duration.zero), "0 millis")
  })

  it("travels as JSON", () => {
    const codec = Schema.toCodecJson(InvalidOptions.InvalidOptions)
    const error = refused(() => checks.integer("max", 0, 10, 1))
    const back = Schema.decodeUnknownSync(codec)(JSON.parse(JSON.stringify(Schema.encodeSync(codec)(error))))
    assert.strictEqual(back.message, error.message)
  })
})

describe("check", () => {
  it.effect("makes a typed failure of InvalidOptions, and a defect of everything else", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* InvalidOptions.check(() => checks.integer("max", 5, 10, 1)), 5)
      const error = yield* Effect.flip(InvalidOptions.check(() => checks.integer("max", 0, 10, 1)))
      assert.strictEqual(error._tag, "InvalidOptions")
      const exit = yield* Effect.exit(
        InvalidOptions.check(() => {
          throw new Error("bug")
        })
      )
      assert.isTrue(Exit.hasDies(exit))
    })
  )

  it.effect("runs anew each time", () =>
    Effect.gen(function* () {
      let runs = 0
      const counted = InvalidOptions.check(() => ++runs)
      assert.deepStrictEqual([yield* counted, yield* counted], [1, 2])
    })
  )
})

describe("checks", () => {
  it("answer with the default where nothing is given", () => {
    assert.strictEqual(checks.integer("f", undefined, 7, 1), 7)
    assert.strictEqual(checks.limit("f", undefined, Infinity, 1), Infinity)
    assert.strictEqual(checks.finite("f", undefined, 0.25, 0, 1), 0.25)
    assert.strictEqual(checks.millis("f", undefined, 500), 500)
    assert.strictEqual(checks.oneOf("f", undefined, "lifo", ["lifo", "fifo"]), "lifo")
    assert.strictEqual(
      checks.name(undefined, () => "pool-1"),
      "pool-1"
    )
    assert.isUndefined(checks.callback("f", undefined))
    assert.isUndefined(checks.group("f", undefined, new Set()))
  })

  it("accept what is at the bounds", () => {
    assert.strictEqual(checks.integer("f", 1, 7, 1), 1)
    assert.strictEqual(checks.limit("f", Infinity, 7, 1), Infinity)
    assert.strictEqual(checks.finite("f", 0, 0.5, 0, 1), 0)
    assert.strictEqual(checks.finite("f", 1, 0.5, 0, 1), 1)
    assert.strictEqual(checks.finite("f", -1e300, 0), -1e300)
  })

  it("a number between bounds and one without are told apart in the rule", () => {
    assert.strictEqual(refused(() => checks.finite("f", 2, 0, 0, 1)).rule, "must be a number between 0 and 1")
    assert.strictEqual(refused(() => checks.finite("f", -1, 0, 0)).rule, "must be a number between 0 and Infinity")
    assert.strictEqual(
      refused(() => checks.finite("f", 2, 0, -Infinity, 1)).rule,
      "must be a number between -Infinity and 1"
    )
    assert.strictEqual(refused(() => checks.finite("f", NaN, 0)).rule, "must be a finite number")
  })

  it("durations: zero and infinity only where they are allowed, each refused in its own words", () => {
    assert.strictEqual(refused(() => checks.millis("f", 0, 1)).rule, "must be longer than zero")
    assert.strictEqual(refused(() => checks.millis("f", Infinity, 1)).rule, "must be finite")
    assert.strictEqual(refused(() => checks.millis("f", "5 parsecs" as never, 1)).rule, "must be a duration")
    assert.strictEqual(checks.millis("f", 0, 1, { zero: true }), 0)
    assert.strictEqual(checks.millis("f", "Infinity", 1, { infinity: true }), Infinity)
    assert.strictEqual(checks.millis("f", "5 seconds", 1), 5000)
    assert.strictEqual(checks.millis("f", { minutes: 1, seconds: 30 }, 1), 90_000)
    assert.strictEqual(checks.millis("f", [1, 500_000_000], 1), 1500)
    assert.strictEqual(checks.millis("f", 1_500_000n, 1), 1.5)
  })

  it("durations that Effect would read as zero or backwards are none", () => {
    const given = [
      NaN,
      [NaN, 0],
      {},
      { seconds: NaN },
      { minutes: 1, seconds: "5" },
      { parsecs: 5 },
      new Date(0),
      Duration.millis(-1),
      [-1, 0]
    ]
    for (const value of given) {
      assert.strictEqual(
        refused(() => checks.millis("f", value as never, 1, { zero: true, infinity: true })).rule,
        "must be a duration"
      )
    }
  })

  it("what looks like a Temporal.Duration is one", () => {
    class Temporal {
      get seconds(): number {
        return 5
      }
      get minutes(): number {
        return 0
      }
    }
    assert.strictEqual(checks.millis("f", new Temporal(), 1), 5000)
  })

  it("fields that nobody knows are refused, with the path to them", () => {
    const fields = new Set(["max"])
    checks.known({ max: 1 }, fields)
    assert.strictEqual(refused(() => checks.known({ maxx: 1 }, fields)).field, "maxx")
    assert.strictEqual(refused(() => checks.group("breaker", { maxx: 1 }, fields)).field, "breaker.maxx")
    assert.strictEqual(refused(() => checks.known({ maxx: undefined }, fields)).rule, "is not known")
  })

  it("names must say something", () => {
    assert.strictEqual(
      checks.name("db", () => ""),
      "db"
    )
    for (const name of ["", " \t", 5, null]) {
      assert.strictEqual(refused(() => checks.name(name as never, () => "")).rule, "must be a string that is not empty")
    }
  })
})

describe("withDefaults", () => {
  interface Options {
    readonly max?: number | undefined
    readonly name?: string | undefined
  }

  it("fills in what is not given, or undefined", () => {
    const defaults: Options = { max: 2, name: "fakes" }
    assert.deepStrictEqual(InvalidOptions.withDefaults<Options>({ max: 5, name: undefined }, defaults), {
      max: 5,
      name: "fakes"
    })
    assert.deepStrictEqual(defaults, { max: 2, name: "fakes" })
  })

  it("leaves what is no object to be refused", () => {
    for (const options of [undefined, null, 5] as ReadonlyArray<unknown>) {
      assert.strictEqual(InvalidOptions.withDefaults(options as Options, { max: 2 }), options)
    }
  })
})
