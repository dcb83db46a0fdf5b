import { Pool } from "@effect-pools/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import * as TestClock from "effect/testing/TestClock"
import { fork, open } from "./fake.ts"

/** A tracer that keeps its spans, and how to see them: name, parent's name, state, how the span ended. */
const recorder = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span(options) {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  const nameOf = (span: Tracer.AnySpan) => (span._tag === "Span" ? span.name : "external")
  return {
    provide: Effect.withTracer(tracer),
    named: (name: string) => spans.filter((span) => span.name === name),
    seen: () =>
      spans.map(({ name, parent, status }) => [
        name,
        Option.getOrUndefined(Option.map(parent, nameOf)),
        status._tag === "Started" ? "goes on" : status.exit._tag
      ])
  }
}

/** A pool of one item, which is held until the returned effect is run. */
const busy = Effect.gen(function* () {
  const pool = yield* open({ max: 1, acquireTimeout: 1000 })
  const holder = yield* fork(Pool.use(pool, () => Effect.never))
  return { pool, release: Fiber.interrupt(holder) }
})

describe("spans", () => {
  it.effect("a wait is a span of its own within that of the caller, and ends before the body begins", () =>
    Effect.gen(function* () {
      const { named, provide, seen } = recorder()
      const { pool, release } = yield* busy
      const during: Array<unknown> = []
      const body = () => Effect.sync(() => during.push(...seen()))
      const caller = yield* fork(Effect.withSpan(Pool.use(pool, body), "request").pipe(provide))
      assert.deepStrictEqual(seen(), [
        ["request", undefined, "goes on"],
        ["pool.wait", "request", "goes on"]
      ])
      assert.deepStrictEqual(Object.fromEntries(named("pool.wait")[0]!.attributes), { "pool.name": "fakes" })
      yield* release
      yield* Fiber.join(caller)
      assert.deepStrictEqual(during, [
        ["request", undefined, "goes on"],
        ["pool.wait", "request", "Success"]
      ])
    })
  )

  it.effect("a wait that fails is a span that fails", () =>
    Effect.gen(function* () {
      const { provide, seen } = recorder()
      const { pool } = yield* busy
      const get = Effect.scoped(Pool.get(pool))
      const caller = yield* fork(Effect.exit(Effect.withSpan(get, "request")).pipe(provide))
      yield* TestClock.adjust(1000)
      assert.strictEqual((yield* Fiber.join(caller))._tag, "Failure")
      assert.deepStrictEqual(seen(), [
        ["request", undefined, "Failure"],
        ["pool.wait", "request", "Failure"]
      ])
    })
  )

  it.effect("a caller who takes part only if an item is idle gets its answer through the span", () =>
    Effect.gen(function* () {
      const { provide } = recorder()
      const { pool } = yield* busy
      const answer = yield* Effect.withSpan(Effect.scoped(Pool.getIfAvailable(pool)), "request").pipe(provide)
      assert.deepStrictEqual(answer, Option.none())
    })
  )

  it.effect("a scope that is closed as the span of the wait ends takes the item along, which nobody gets", () =>
    Effect.gen(function* () {
      const { pool, release } = yield* busy
      const scope = yield* Scope.make()
      class Span extends Tracer.NativeSpan {
        override end(time: bigint, exit: Exit.Exit<unknown, unknown>): void {
          super.end(time, exit)
          if (this.name === "pool.wait") Effect.runFork(Scope.close(scope, Exit.void))
        }
      }
      const get = Effect.withSpan(Scope.provide(Pool.get(pool), scope), "request")
      const caller = yield* fork(get.pipe(Effect.withTracer(Tracer.make({ span: (options) => new Span(options) }))))
      yield* release
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(caller)))
      assert.strictEqual(pool.admission.used, 0)
    })
  )

  it.effect("there is none for a caller who is served at once", () =>
    Effect.gen(function* () {
      const { provide, seen } = recorder()
      const pool = yield* open()
      yield* Effect.withSpan(
        Pool.use(pool, () => Effect.void),
        "request"
      ).pipe(provide)
      assert.deepStrictEqual(seen(), [["request", undefined, "Success"]])
    })
  )

  it.effect("there is none where nobody traces: outside of any span, or with tracing turned off", () =>
    Effect.gen(function* () {
      const { named, provide } = recorder()
      const { pool, release } = yield* busy
      const use = Pool.use(pool, () => Effect.void)
      const outside = yield* fork(use.pipe(provide))
      const untraced = yield* fork(Effect.withSpan(Effect.withTracerEnabled(use, false), "request").pipe(provide))
      assert.strictEqual(pool.admission.pending, 2)
      yield* release
      yield* Fiber.join(outside)
      yield* Fiber.join(untraced)
      assert.deepStrictEqual(named("pool.wait"), [])
    })
  )
})
