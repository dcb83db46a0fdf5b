import { Lease, Pool, PoolError, SynchronousLeases } from "@effect-pools/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { open } from "./fake.ts"

const openLeases = Effect.fnUntraced(function* (options?: Parameters<typeof open>[0]) {
  const pool = yield* open(options)
  return { pool, leases: new SynchronousLeases.SynchronousLeases(pool.admission) }
})

const thrownBy = (f: () => unknown): unknown => {
  try {
    f()
  } catch (error) {
    return error
  }
  return assert.fail("nothing was thrown")
}

describe("leases in plain code", () => {
  it.effect("take and end as any other", () =>
    Effect.gen(function* () {
      const { leases, pool } = yield* openLeases()
      const events: Array<string> = []
      pool.admission.observer.listen((event) => events.push(event._tag))
      const lease = leases.take()
      assert.deepInclude(yield* Pool.stats(pool), { used: 1, acquired: 1, released: 0 })
      leases.end(lease)
      assert.deepInclude(yield* Pool.stats(pool), { used: 0, acquired: 1, released: 1 })
      assert.deepStrictEqual(events, ["LeaseAcquired", "LeaseReleased"])
    })
  )

  it.effect("are used again, each under a number of its own", () =>
    Effect.gen(function* () {
      const { leases, pool } = yield* openLeases({ max: 3 })
      const ids: Array<number> = []
      pool.admission.observer.listen((event) => {
        if (event._tag === "LeaseAcquired") ids.push(event.lease)
      })
      const [one, other] = [leases.take(), leases.take()]
      leases.end(one)
      assert.strictEqual(leases.take(), one)
      assert.notStrictEqual(leases.take(), other)
      assert.deepStrictEqual(ids, [1, 2, 3, 4])
      assert.isTrue(leases.owns(one))
    })
  )

  it.effect("throw why there is no item", () =>
    Effect.gen(function* () {
      const { leases, pool } = yield* openLeases({ max: 1 })
      const held = leases.take()
      const exhausted = thrownBy(() => leases.take()) as PoolError.PoolError
      assert.instanceOf(exhausted, PoolError.PoolError)
      assert.strictEqual(exhausted.reason._tag, "Exhausted")
      assert.isUndefined(leases.takeIfAvailable())
      assert.strictEqual((yield* Pool.stats(pool)).exhausted, 1)
      yield* Pool.suspend(pool)
      assert.strictEqual((thrownBy(() => leases.take()) as PoolError.PoolError).reason._tag, "Suspended")
      leases.end(held)
      assert.isUndefined(leases.takeIfAvailable())
      yield* Pool.resume(pool)
      leases.end(leases.take())
      yield* Pool.drain(pool)
      assert.strictEqual((thrownBy(() => leases.take()) as PoolError.PoolError).reason._tag, "Closed")
    })
  )

  it.effect("are used again also when they have got nothing", () =>
    Effect.gen(function* () {
      let made = 0
      class Counted extends Lease.Lease<string> {
        constructor(...args: ConstructorParameters<typeof Lease.Lease<string>>) {
          super(...args)
          made++
        }
      }
      const pool = yield* open({ max: 1 })
      const leases = new SynchronousLeases.SynchronousLeases(pool.admission, Counted)
      leases.take()
      for (let n = 0; n < 3; n++) {
        assert.isUndefined(leases.takeIfAvailable())
        thrownBy(() => leases.take())
      }
      assert.strictEqual(made, 2)
    })
  )

  it.effect("are not those of effects", () =>
    Effect.gen(function* () {
      const { leases, pool } = yield* openLeases()
      yield* Pool.use(pool, () =>
        Effect.sync(() => {
          for (const lease of pool.admission.store.leases()) assert.isFalse(leases.owns(lease))
        })
      )
    })
  )

  it.effect("taken for who has another are said to have been taken where that was", () =>
    Effect.gen(function* () {
      const { leases, pool } = yield* openLeases({ max: 4 })
      const untracked = leases.take()
      assert.isUndefined(leases.takeFor(untracked).request.callSite)
      pool.admission.trackCallSites()
      const lease = leases.take()
      const other = leases.takeFor(lease)
      assert.notStrictEqual(other, lease)
      assert.include(lease.request.callSite, "synchronousLeases.test")
      assert.strictEqual(other.request.callSite, lease.request.callSite)
    })
  )

  it.effect("know where they were taken while somebody wants to know", () =>
    Effect.gen(function* () {
      const { leases, pool } = yield* openLeases({ max: 2 })
      const forget = pool.admission.trackCallSites()
      const lease = leases.take()
      assert.include(lease.request.callSite, "synchronousLeases.test")
      assert.isTrue(leases.owns(lease))
      leases.end(lease)
      assert.notStrictEqual(leases.take(), lease)
      forget()
      assert.isUndefined(leases.take().request.callSite)
    })
  )

  it.effect("may be of a class that knows more, and end in another way than well", () =>
    Effect.gen(function* () {
      class Known extends Lease.Lease<string> {
        readonly isKnown = true
      }
      const pool = yield* open()
      const leases = new SynchronousLeases.SynchronousLeases(pool.admission, Known)
      const outcomes: Array<string> = []
      pool.admission.observer.listen((event) => {
        if (event._tag === "LeaseReleased") outcomes.push(event.outcome)
      })
      const lease = leases.take()
      assert.isTrue(lease.isKnown)
      leases.end(lease, Exit.die("lost"))
      assert.strictEqual(leases.takeIfAvailable(), lease)
      leases.end(lease)
      assert.deepStrictEqual(outcomes, ["defect", "success"])
    })
  )
})
