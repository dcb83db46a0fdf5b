import { InvalidOptions } from "@effect-pools/core"
import { StepRuntime } from "@effect-pools/testing"
import { assert, describe, expect, it } from "@effect/vitest"
import { ArenaBacking, ArenaError, BumpArena } from "@effect-pools/arena"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

const small = BumpArena.make({ size: 100 })

/** The defect that an effect dies with. */
const defectOf = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.map(Effect.exit(effect), (exit) =>
    Exit.isFailure(exit) ? exit.cause.reasons.find(Cause.isDieReason)?.defect : undefined
  )

describe("make", () => {
  it.effect("gives an arena that ends with its scope", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const arena = yield* Scope.provide(small, scope)
      assert.isTrue(BumpArena.isBumpArena(arena))
      assert.strictEqual(arena.state, "open")
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(arena.state, "destroyed")
    })
  )

  it.effect("an arena that was disposed of already does not disturb the end of its scope", () =>
    Effect.gen(function* () {
      const exit = yield* small.pipe(
        Effect.map((arena) => arena[Symbol.dispose]()),
        Effect.scoped,
        Effect.exit
      )
      assert.isTrue(Exit.isSuccess(exit))
    })
  )

  it.effect("fails for options that make no sense", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(BumpArena.make({ size: -1 }))
      assert.instanceOf(error, InvalidOptions.InvalidOptions)
    })
  )

  it.effect("fails for a backing that fails", () =>
    Effect.gen(function* () {
      const cause = new RangeError("no memory")
      const reserve = () => {
        throw cause
      }
      const backing: ArenaBacking.ArenaBacking = { ...ArenaBacking.heap, reserve }
      const error = yield* Effect.flip(BumpArena.make({ size: 1, backing }))
      assert.instanceOf(error, ArenaError.BackingFailed)
      assert.strictEqual(error.cause, cause)
    })
  )
})

describe("allocations", () => {
  it.effect("give views", () =>
    Effect.gen(function* () {
      const arena = yield* small
      const text = yield* BumpArena.allocString(arena, "abc")
      const bytes = yield* BumpArena.allocBytes(arena, 3)
      const aligned = yield* BumpArena.allocBytes(arena, 1, 16)
      const numbers = yield* BumpArena.allocArray(arena, Float64Array, 2)
      const view = yield* BumpArena.allocDataView(arena, 3)
      const copy = yield* BumpArena.allocCopy(arena, Uint16Array.of(5))
      const grown = yield* BumpArena.growBytes(arena, text, 4)
      assert.deepStrictEqual([...text], [97, 98, 99])
      assert.deepStrictEqual([...copy], [5])
      assert.deepStrictEqual([...grown.subarray(0, 3)], [97, 98, 99])
      assert.deepStrictEqual(
        [text, bytes, aligned, numbers, view, copy, grown].map((it) => [it.byteOffset, it.byteLength]),
        [
          [0, 3],
          [3, 3],
          [16, 1],
          [24, 16],
          [40, 3],
          [44, 2],
          [46, 4]
        ]
      )
    })
  )

  it.effect("that do not fit fail, and can be caught", () =>
    Effect.gen(function* () {
      const arena = yield* small
      const tries: ReadonlyArray<Effect.Effect<unknown, ArenaError.ArenaExhausted>> = [
        BumpArena.allocBytes(arena, 101),
        BumpArena.allocArray(arena, Uint8Array, 101),
        BumpArena.allocDataView(arena, 101),
        BumpArena.allocString(arena, "a".repeat(101)),
        BumpArena.allocCopy(arena, new Uint8Array(101)),
        BumpArena.growBytes(arena, BumpArena.allocBytesUnsafe(arena, 0), 101)
      ]
      for (const attempt of tries) {
        const asked = yield* Effect.catchTag(attempt, "ArenaExhausted", (error) => Effect.succeed(error.asked))
        assert.strictEqual(asked, 101)
      }
      assert.strictEqual(arena.allocated, 0)
    })
  )

  it.effect("happen when they are run, each time anew", () =>
    Effect.gen(function* () {
      const arena = yield* small
      const allocation = BumpArena.allocBytes(arena, 10)
      assert.strictEqual(arena.allocated, 0)
      const first = yield* allocation
      const second = yield* allocation
      assert.deepStrictEqual([first.byteOffset, second.byteOffset], [0, 10])
    })
  )

  it.effect("misused are defects", () =>
    Effect.gen(function* () {
      const arena = yield* small
      assert.instanceOf(yield* defectOf(BumpArena.allocBytes(arena, -1)), ArenaError.ArenaMisuse)
      assert.instanceOf(yield* defectOf(BumpArena.rewind(arena, -1)), ArenaError.ArenaMisuse)
      arena[Symbol.dispose]()
      for (const use of [BumpArena.allocString(arena, ""), BumpArena.mark(arena), BumpArena.reset(arena)]) {
        assert.instanceOf(yield* defectOf(Effect.asVoid(use)), ArenaError.ArenaMisuse)
      }
    })
  )
})

describe("marks", () => {
  it.effect("are rewound to, and gone after a reset", () =>
    Effect.gen(function* () {
      const arena = yield* small
      yield* BumpArena.allocBytes(arena, 10)
      const mark = yield* BumpArena.mark(arena)
      yield* BumpArena.allocBytes(arena, 10)
      yield* BumpArena.rewind(arena, mark)
      assert.strictEqual(arena.allocated, 10)
      yield* BumpArena.reset(arena)
      assert.instanceOf(yield* defectOf(BumpArena.rewind(arena, mark)), ArenaError.ArenaMisuse)
    })
  )
})

describe("scope", () => {
  const take = (arena: BumpArena.BumpArena) => BumpArena.allocBytes(arena, 20)

  it.effect("frees at the end of the effect, nested ones too", () =>
    Effect.gen(function* () {
      const arena = yield* small
      yield* BumpArena.allocBytes(arena, 10)
      const inside = yield* BumpArena.scope(
        arena,
        Effect.gen(function* () {
          yield* take(arena)
          const deepest = yield* BumpArena.scope(
            arena,
            Effect.map(take(arena), () => arena.allocated)
          )
          return [deepest, arena.allocated]
        })
      )
      assert.deepStrictEqual(inside, [50, 30])
      assert.strictEqual(arena.allocated, 10)
    })
  )

  it.effect("frees after a failure, a defect and an interrupt, and passes them on", () =>
    Effect.gen(function* () {
      const arena = yield* small
      const ends = [Effect.fail("failed"), Effect.die("died"), Effect.interrupt]
      for (const end of ends) {
        const exit = yield* Effect.exit(BumpArena.scope(arena, Effect.andThen(take(arena), end)))
        assert.deepStrictEqual(exit, yield* Effect.exit(end))
        assert.strictEqual(arena.allocated, 0)
      }
    })
  )

  it.effect("a body that failed after a reset fails with its own error", () =>
    Effect.gen(function* () {
      const arena = yield* small
      const body = Effect.andThen(BumpArena.reset(arena), Effect.fail("failed"))
      assert.strictEqual(yield* Effect.flip(BumpArena.scope(arena, body)), "failed")
    })
  )

  it.effect("a body that rewound beyond its beginning is a defect", () =>
    Effect.gen(function* () {
      const arena = yield* small
      const defect = yield* defectOf(BumpArena.scope(arena, BumpArena.reset(arena)))
      assert.instanceOf(defect, ArenaError.ArenaMisuse)
    })
  )

  it.each([3, 4, 5, 7, 11, 64, 2048])(
    "leaves nothing behind wherever an interrupt strikes, at %i steps a turn",
    async (ops) => {
      using arena = BumpArena.makeUnsafe({ size: 100 })
      const body = Effect.andThen(take(arena), Effect.andThen(Effect.yieldNow, BumpArena.allocString(arena, "abc")))
      const nested = BumpArena.scope(arena, Effect.andThen(take(arena), BumpArena.scope(arena, body)))
      for (let strike = 1, primitives = Infinity; strike <= primitives; strike++) {
        const runtime = StepRuntime.make(ops)
        const fiber = runtime.fork(nested)
        const stop = runtime.watch(fiber, (count) => {
          if (count === strike) fiber.interruptUnsafe()
        })
        await runtime.run(() => fiber.pollUnsafe() !== undefined)
        primitives = stop()
        expect(arena.allocated).toBe(0)
        // Whoever had been cut off would have left it as it was.
        expect(Exit.hasInterrupts(fiber.pollUnsafe()!)).toBe(strike <= primitives)
      }
    }
  )

  it.effect("that is over leaves no mark behind, which growth would not reach over", () =>
    Effect.gen(function* () {
      const arena = yield* small
      const bytes = yield* BumpArena.allocBytes(arena, 10)
      yield* BumpArena.scope(arena, take(arena))
      yield* Effect.ignore(BumpArena.scope(arena, Effect.andThen(take(arena), Effect.fail("failed"))))
      yield* Effect.scoped(Effect.andThen(BumpArena.scoped(arena), take(arena)))
      yield* BumpArena.growBytes(arena, bytes, 20)
      assert.strictEqual(arena.allocated, 20)
    })
  )

  it.effect("scoped frees when the surrounding scope closes", () =>
    Effect.gen(function* () {
      const arena = yield* small
      yield* BumpArena.allocBytes(arena, 10)
      const inside = yield* Effect.scoped(
        Effect.gen(function* () {
          yield* BumpArena.scoped(arena)
          yield* take(arena)
          return arena.allocated
        })
      )
      assert.deepStrictEqual([inside, arena.allocated], [30, 10])
    })
  )
})
