import { Lease, Pool } from "@effect-pools/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Tracer from "effect/Tracer"
import { fork, open } from "./fake.ts"

/** A call for an item of one pool, and of another once that has closed. */
class Moving extends Lease.Request<string> {
  readonly next: Pool.Pool<string>

  constructor(first: Pool.Pool<string>, next: Pool.Pool<string>, body: (item: string) => Effect.Effect<unknown>) {
    super(first.admission, body, undefined, false)
    this.next = next
  }

  override elsewhere(): Lease.Call {
    return new Next(this.next, this.body!)
  }
}

class Next extends Lease.Call {
  readonly pool: Pool.Pool<string>
  readonly body: NonNullable<Lease.Request<string>["body"]>

  constructor(pool: Pool.Pool<string>, body: Next["body"]) {
    super()
    this.pool = pool
    this.body = body
  }

  evaluate(): Effect.Effect<any, any, any> {
    return Pool.use(this.pool, this.body)
  }
}

const moving = (first: Pool.Pool<string>, next: Pool.Pool<string>) =>
  new Moving(first, next, (item) => Effect.as(Effect.yieldNow, item)) as unknown as Effect.Effect<string, unknown>

describe("a request that can be met elsewhere", () => {
  const both = Effect.all([open({ name: "first", max: 1 }), open({ name: "next", max: 1 })])

  it.effect("goes on there if its pool closes while it waits, with a span and without", () =>
    Effect.gen(function* () {
      for (const span of [false, true]) {
        const [first, next] = yield* both
        yield* fork(Pool.use(first, () => Effect.never))
        const call = span
          ? Effect.withSpan(moving(first, next), "call").pipe(
              Effect.withTracer(Tracer.make({ span: (options) => new Tracer.NativeSpan(options) }))
            )
          : moving(first, next)
        const waiting = yield* fork(call)
        assert.strictEqual(first.admission.pending, 1)
        yield* fork(Pool.drain(first, 0))
        assert.strictEqual(yield* Fiber.join(waiting), "item 1")
        assert.deepInclude(yield* Pool.stats(first), { acquired: 1, pending: 0 })
        assert.deepInclude(yield* Pool.stats(next), { acquired: 1, released: 1, used: 0 })
      }
    }).pipe(Effect.scoped)
  )

  it.effect("goes there at once if its pool has closed", () =>
    Effect.gen(function* () {
      const [first, next] = yield* both
      yield* Pool.drain(first)
      assert.strictEqual(yield* moving(first, next), "item 1")
      assert.strictEqual((yield* Pool.stats(next)).released, 1)
    }).pipe(Effect.scoped)
  )
})
