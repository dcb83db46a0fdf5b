/**
 * A resource whose every step can be made to succeed, fail, die, be slow or never end.
 *
 * A pool is given the steps of one {@link Gates}: `make` to create items, and `onValidate`, `onReset` and `onCheck` where
 * it has such options. The gates are fields that are read anew each time a step begins, so a test changes them as it goes
 * on. Every {@link Item} counts what happened to it, which tells of items that were lost, destroyed twice, or in too many
 * hands.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/**
 * The steps in an item's life that have a gate.
 *
 * @category models
 * @since 0.1.0
 */
export type Step = "create" | "validate" | "reset" | "check" | "destroy"

/**
 * How one step goes.
 *
 * **Details**
 *
 * - `ok`, `fail`, `die`: at once, with a {@link GateFailure} or a defect
 * - `false`: succeeds with `false`, which is how a check says no
 * - `interrupt`: interrupts itself
 * - `hang`: never ends unless it is interrupted; `stuck`: not even then
 * - a number: succeeds after that many milliseconds
 * - `late`: ends after that many milliseconds, and cannot be interrupted before
 *
 * @category models
 * @since 0.1.0
 */
export type Gate =
  | "ok"
  | "fail"
  | "die"
  | "false"
  | "interrupt"
  | "hang"
  | "stuck"
  | number
  | { readonly late: number; readonly ending?: "ok" | "fail" | "die" }

/**
 * The gates at which a step does not succeed.
 *
 * @category models
 * @since 0.1.0
 */
export const bad = ["fail", "die", "false", "interrupt", "hang", "stuck"] as const satisfies ReadonlyArray<Gate>

/**
 * What a step fails with whose gate is `fail`.
 *
 * @category errors
 * @since 0.1.0
 */
export class GateFailure extends Data.TaggedError("GateFailure")<{ readonly at: Step }> {}

/**
 * Goes through a gate, in the name of a step.
 *
 * @category operations
 * @since 0.1.0
 */
export const pass = (gate: Gate, at: Step): Effect.Effect<unknown, GateFailure> => {
  if (typeof gate === "number") return Effect.sleep(gate)
  if (typeof gate === "object") {
    return Effect.uninterruptible(Effect.andThen(Effect.sleep(gate.late), pass(gate.ending ?? "ok", at)))
  }
  switch (gate) {
    case "ok":
      return Effect.void
    case "fail":
      return Effect.fail(new GateFailure({ at }))
    case "die":
      return Effect.die(new Error(`${at} died`))
    case "false":
      return Effect.succeed(false)
    case "interrupt":
      return Effect.interrupt
    case "hang":
      return Effect.never
    case "stuck":
      return Effect.uninterruptible(Effect.never)
  }
}

/**
 * What a pool over {@link Gates} holds.
 *
 * @category models
 * @since 0.1.0
 */
export class Item {
  /** Its place among all items of its gates, from 1. */
  readonly id: number
  /** How often destroying it has begun, and ended. */
  destroying = 0
  destroyed = 0
  /** How many bodies use it at this moment, as {@link Gates.holding} counts them. */
  holders = 0
  /** For a test to set while it holds the item; a reset that succeeds clears it. */
  isDirty = false

  constructor(id: number) {
    this.id = id
  }
}

/**
 * @category models
 * @since 0.1.0
 */
export class Gates {
  create: Gate = "ok"
  validate: Gate = "ok"
  reset: Gate = "ok"
  check: Gate = "ok"
  destroy: Gate = "ok"
  /** How often each step has begun. */
  attempts = 0
  validations = 0
  resets = 0
  checks = 0
  /** When each attempt to create began, in milliseconds of the clock. */
  readonly attemptedAt: Array<number> = []
  /** Every item that was ever made. */
  readonly items: Array<Item> = []
  /** The most items that were there at one time, those whose end has not ended included. */
  most = 0
  /** What was wrong with an item when a body got it: it was destroyed already, or in more hands than allowed. */
  readonly faults: Array<string> = []
  #present = 0

  /** Makes an item, which is destroyed with its scope. */
  readonly make: Effect.Effect<Item, GateFailure, Scope.Scope> = Effect.suspend(() => {
    const gate = this.create
    this.attempts++
    const late = typeof gate === "object" ? Effect.uninterruptible : <A, E, R>(self: Effect.Effect<A, E, R>) => self
    return late(
      Effect.acquireRelease(
        Clock.currentTimeMillis.pipe(
          Effect.map((now) => this.attemptedAt.push(now)),
          Effect.andThen(pass(gate, "create")),
          Effect.andThen(
            Effect.sync(() => {
              const item = new Item(this.items.length + 1)
              this.items.push(item)
              this.most = Math.max(this.most, ++this.#present)
              return item
            })
          )
        ),
        (item) => {
          item.destroying++
          const end = Effect.sync(() => {
            item.destroyed++
            this.#present--
          })
          return Effect.ensuring(Effect.orDie(pass(this.destroy, "destroy")), end)
        },
        { interruptible: true }
      )
    )
  })

  readonly onValidate = (_: Item): Effect.Effect<unknown, GateFailure> =>
    Effect.suspend(() => {
      this.validations++
      return pass(this.validate, "validate")
    })

  readonly onReset = (item: Item): Effect.Effect<unknown, GateFailure> =>
    Effect.suspend(() => {
      this.resets++
      return Effect.tap(pass(this.reset, "reset"), () => Effect.sync(() => (item.isDirty = false)))
    })

  readonly onCheck = (_: Item): Effect.Effect<unknown, GateFailure> =>
    Effect.suspend(() => {
      this.checks++
      return pass(this.check, "check")
    })

  /** All goes well from now on. */
  allWell(): void {
    this.create = this.validate = this.reset = this.check = this.destroy = "ok"
  }

  /** How many items there are whose end has not begun. */
  get open(): number {
    return this.items.filter((item) => item.destroying === 0).length
  }

  /**
   * A body that counts itself among the holders of its item, and notes a fault if these are more than `limit` or the
   * item's end has begun.
   */
  holding<A, E, R>(item: Item, body: Effect.Effect<A, E, R>, limit = 1): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      // The lease rule holds here too: first the handler, then what it undoes.
      let isIn = false
      return Effect.onExit(
        Effect.suspend(() => {
          isIn = true
          if (++item.holders > limit) this.faults.push(`item ${item.id} is in ${item.holders} hands`)
          if (item.destroying > 0) this.faults.push(`item ${item.id} was handed out after its end`)
          if (this.items[item.id - 1] !== item) this.faults.push(`item ${item.id} is not of these gates`)
          return body
        }),
        () => Effect.sync(() => isIn && item.holders--)
      )
    })
  }

  /** What is wrong: faults, items destroyed more than once, and items that are there beyond those the pool has. */
  audit(open: number): Array<string> {
    const wrong = Array.from(this.faults)
    for (const item of this.items) {
      if (item.destroying > 1) wrong.push(`item ${item.id} was destroyed ${item.destroying} times`)
    }
    if (this.open !== open) wrong.push(`${this.open} items are there, the pool has ${open}`)
    return wrong
  }
}

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = (): Gates => new Gates()
