import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import type { Admission } from "../src/Admission.ts"
import type { Store } from "../src/Store.ts"
import type { Entry, Lease } from "../src/Lease.ts"
import * as Pool from "../src/Pool.ts"
import { PoolError } from "../src/PoolError.ts"

class Item implements Entry<Item> {
  readonly id: number
  readonly value = this
  holder: Lease<Item> | undefined = undefined
  isDoomed = false
  isGone = false
  hands = 0
  constructor(id: number) {
    this.id = id
  }
}

/** What any store of items that are there at once has in common. */
abstract class Plain implements Store<Item, never> {
  readonly admission: Admission<Item>
  readonly items = new Set<Item>()
  made = 0
  constructor(admission: Admission<Item>) {
    this.admission = admission
  }

  abstract take(): Item | undefined
  abstract giveBack(item: Item, lease: Lease<Item>, exit: Exit.Exit<unknown, unknown>, now: number): void
  turnedAway(): void {}
  abstract mayOffer(): boolean
  abstract resized(): void

  replenish(): void {}
  refusal(): undefined {}
  timeoutFailure(): undefined {}
  lastCreateFailure(): undefined {}
  idleSince(): undefined {}
  evict(): void {}

  *leases(): Generator<Lease<Item>, void> {
    for (const item of this.items) if (item.holder !== undefined) yield item.holder
  }

  invalidate(item: Item): void {
    item.isDoomed = true
    if (this.items.has(item) && item.holder === undefined) this.destroy(item, "idle")
  }

  shutdown(): void {
    for (const item of Array.from(this.items)) if (item.holder === undefined) this.destroy(item, "idle")
  }

  abandon(): void {
    for (const item of Array.from(this.items)) this.destroy(item, item.holder === undefined ? "idle" : "used")
  }

  details() {
    return { made: this.made }
  }

  protected make(count: "idle" | "used"): Item {
    const item = new Item(++this.made)
    this.items.add(item)
    this.admission[count]++
    return item
  }

  protected destroy(item: Item, count: "idle" | "used"): void {
    if (item.isGone) throw new Error(`item ${item.id} is destroyed twice`)
    item.isGone = true
    this.items.delete(item)
    this.admission[count]--
    this.admission.changed()
    this.admission.serve()
  }
}

/** As an instance pool does it: a fresh item for every lease, never used again. */
class Fresh extends Plain {
  take(): Item | undefined {
    return this.admission.live < this.admission.max ? this.make("used") : undefined
  }
  giveBack(item: Item): void {
    if (!item.isGone) this.destroy(item, "used")
  }
  mayOffer(): boolean {
    return false
  }
  resized(): void {}
}

/** As a pool of slots does it: all items exist from the start and go round. */
class Fixed extends Plain {
  constructor(admission: Admission<Item>) {
    super(admission)
    for (let n = 0; n < admission.max; n++) this.make("idle")
  }
  take(): Item | undefined {
    for (const item of this.items) {
      if (item.holder !== undefined || item.hands > 0) continue
      this.admission.idle--
      this.admission.used++
      return item
    }
    return undefined
  }
  giveBack(item: Item, _lease: Lease<Item>, _exit: Exit.Exit<unknown, unknown>, now: number): void {
    if (item.isGone) return
    const { lifecycle, live, max } = this.admission
    if (item.isDoomed || lifecycle === "closed" || lifecycle === "draining" || live > max) {
      this.destroy(item, "used")
      this.resized()
      return
    }
    if (this.admission.offer(item, now)) return
    this.admission.used--
    this.admission.idle++
  }
  mayOffer(): boolean {
    return false
  }
  resized(): void {
    if (this.admission.lifecycle !== "open") return
    while (this.admission.live < this.admission.max) this.make("idle")
    for (const item of Array.from(this.items)) {
      if (this.admission.live > this.admission.max && item.holder === undefined) this.destroy(item, "idle")
    }
    this.admission.serve()
  }
}

const kinds = { "fresh items": Fresh, "a fixed set": Fixed }

for (const [kind, Kind] of Object.entries(kinds)) {
  const open = Effect.fnUntraced(function* (settings?: {
    readonly max?: number
    readonly maxWaiters?: number
    readonly acquireTimeout?: number
  }) {
    const scope = yield* Scope.make()
    yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
    const pool = yield* Pool.open({
      kind: "test",
      settings: {
        name: Pool.generateName("test"),
        min: 0,
        max: 2,
        acquireTimeout: 1000,
        maxWaiters: Infinity,
        ...settings
      },
      closeGrace: 500,
      store: (admission: Admission<Item>) => new Kind(admission) as Plain
    }).pipe(Scope.provide(scope))
    return { pool, admission: pool.admission, close: Scope.close(scope, Exit.void) }
  })
  type World = Effect.Success<ReturnType<typeof open>>

  const body =
    <A, E>(effect: Effect.Effect<A, E>) =>
    (item: Item): Effect.Effect<A, E> =>
      Effect.suspend(() => {
        if (item.isGone) throw new Error(`item ${item.id} is destroyed`)
        if (++item.hands > 1) throw new Error(`item ${item.id} is in two hands`)
        return Effect.ensuring(
          effect,
          Effect.sync(() => item.hands--)
        )
      })
  const start = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })
  const settle = Effect.repeat(Effect.yieldNow, { times: 5 })

  const hold = Effect.fnUntraced(function* ({ pool }: World) {
    const end = yield* Deferred.make<void>()
    const fiber = yield* start(Pool.use(pool, body(Deferred.await(end))))
    return { fiber, release: Effect.andThen(Deferred.succeed(end, undefined), Fiber.await(fiber)) }
  })
  const reasonOf = (exit: Exit.Exit<unknown, unknown>): string => {
    if (Exit.isSuccess(exit)) return "served"
    const error = Cause.squash(exit.cause)
    return error instanceof PoolError ? error.reason._tag : String(error)
  }
  const expectAtRest = ({ admission }: World) => {
    expect(admission.used).toBe(0)
    expect(admission.pending).toBe(0)
    expect(admission.observer.released).toBe(admission.observer.acquired)
    expect(Array.from(admission.store.leases())).toEqual([])
  }

  describe(`admission over ${kind}`, () => {
    it.effect("hands out at most max at a time, first come first served", () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 3 })
        const served: Array<number> = []
        let inHands = 0
        let most = 0
        const callers = yield* Effect.forEach(
          Array.from({ length: 50 }, (_, n) => n),
          (n) =>
            start(
              Pool.use(
                world.pool,
                body(
                  Effect.suspend(() => {
                    served.push(n)
                    most = Math.max(most, ++inHands)
                    return Effect.ensuring(
                      Effect.sleep(1),
                      Effect.sync(() => inHands--)
                    )
                  })
                )
              )
            )
        )
        yield* TestClock.adjust(100)
        for (const caller of callers) yield* Fiber.join(caller)
        expect(most).toBe(3)
        expect(served).toEqual(served.toSorted((a, b) => a - b))
        expectAtRest(world)
      })
    )

    it.effect("serves a higher priority first", () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 1 })
        const holder = yield* hold(world)
        const served: Array<number> = []
        yield* Effect.forEach([0, 3, 1, 3, 2], (priority, n) =>
          start(Pool.use(world.pool, body(Effect.sync(() => served.push(priority * 10 + n))), { priority }))
        )
        yield* holder.release
        yield* settle
        expect(served).toEqual([31, 33, 24, 12, 0])
      })
    )

    it.effect("a lease ends with its scope, in any order", () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 2 })
        const [one, two] = [yield* Scope.make(), yield* Scope.make()]
        yield* Scope.provide(Pool.get(world.pool), one)
        yield* Scope.provide(Pool.get(world.pool), two)
        expect(world.admission.used).toBe(2)
        yield* Scope.close(one, Exit.void)
        expect(world.admission.used).toBe(1)
        yield* Scope.close(two, Exit.fail("no"))
        expectAtRest(world)
      })
    )

    it.effect("refuses: Exhausted without waiting, QueueFull, Suspended, AcquireTimeout, Closed", () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 1, maxWaiters: 1, acquireTimeout: 100 })
        const ask = (acquireTimeout?: number) =>
          Effect.map(
            Effect.exit(
              acquireTimeout === undefined
                ? Pool.use(world.pool, () => Effect.void)
                : Pool.use(world.pool, () => Effect.void, { acquireTimeout })
            ),
            reasonOf
          )
        const holder = yield* hold(world)
        expect(yield* ask(0)).toBe("Exhausted")
        const waiter = yield* start(ask())
        expect(yield* ask()).toBe("QueueFull")
        yield* TestClock.adjust(100)
        expect(yield* Fiber.join(waiter)).toBe("AcquireTimeout")
        yield* holder.release
        yield* Pool.suspend(world.pool)
        expect(yield* ask(0)).toBe("Suspended")
        yield* world.close
        expect(yield* ask()).toBe("Closed")
        const { exhausted, timeouts } = Pool.statsUnsafe(world.pool)
        expect({ exhausted, timeouts }).toEqual({ exhausted: 3, timeouts: 1 })
      })
    )

    it.effect("a timeout explains itself, and tells a fiber that it waits for itself", () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 1 })
        const nested = yield* start(
          Effect.flip(Pool.use(world.pool, () => Pool.use(world.pool, () => Effect.void, { acquireTimeout: 70 })))
        )
        yield* TestClock.adjust(70)
        const error = yield* Fiber.join(nested)
        expect(error).toMatchObject({
          reason: {
            _tag: "AcquireTimeout",
            waited: 70,
            explanation: { used: 1, max: 1, oldestLease: 70, heldByCaller: 1 }
          }
        })
        expectAtRest(world)
      })
    )

    it.effect("a timeout tells of the oldest lease: its age, and its place while that is tracked", () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 3, acquireTimeout: 100 })
        world.admission.trackCallSites()
        yield* TestClock.adjust(5000)
        const holders = [yield* hold(world)]
        for (const age of [300, 200]) {
          yield* TestClock.adjust(age)
          holders.push(yield* hold(world))
        }
        const caller = yield* start(Effect.flip(Pool.use(world.pool, () => Effect.void)))
        yield* TestClock.adjust(100)
        const explanation = { oldestLease: 600, oldestLeaseTakenAt: expect.stringContaining("admission.test.ts") }
        expect(yield* Fiber.join(caller)).toMatchObject({ reason: { explanation } })
        for (const { release } of holders) yield* release
      })
    )

    it.live("many that are served in a row leave timers and sockets their turn", () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 1 })
        const holder = yield* hold(world)
        let served = 0
        const callers = yield* Effect.forEach(Array.from({ length: 3000 }), () =>
          start(Pool.use(world.pool, body(Effect.sync(() => served++))))
        )
        const turn = new Promise<number>((resolve) => setImmediate(() => resolve(served)))
        yield* holder.release
        for (const caller of callers) yield* Fiber.join(caller)
        expect(yield* Effect.promise(() => turn)).toBeLessThan(3000)
        expect(served).toBe(3000)
      })
    )

    it.effect("takes part only if an item is there: never waits", () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 1 })
        expect(yield* Pool.useIfAvailable(world.pool, (item) => Effect.succeed(item.id))).toEqual(Option.some(1))
        const holder = yield* hold(world)
        expect(yield* Pool.useIfAvailable(world.pool, () => Effect.void)).toEqual(Option.none())
        expect(yield* Effect.scoped(Pool.getIfAvailable(world.pool))).toEqual(Option.none())
        yield* holder.release
        expectAtRest(world)
      })
    )

    it.effect("an interrupted waiter leaves; one interrupted as it is served passes its turn on", () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 1 })
        const holder = yield* hold(world)
        const served: Array<string> = []
        const enter = (name: string) => start(Pool.use(world.pool, body(Effect.sync(() => served.push(name)))))
        const [leaves, picked] = [yield* enter("leaves"), yield* enter("picked")]
        yield* enter("last")
        yield* Fiber.interrupt(leaves)
        expect(world.admission.pending).toBe(2)
        holder.fiber.interruptUnsafe()
        picked.interruptUnsafe()
        yield* settle
        expect(served).toEqual(["last"])
        expectAtRest(world)
      })
    )

    it.effect("suspend holds callers back, resume serves them in order", () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 2 })
        yield* Pool.suspend(world.pool)
        const served: Array<number> = []
        yield* Effect.forEach([1, 2, 3, 4], (n) =>
          start(
            Pool.use(
              world.pool,
              body(
                Effect.andThen(
                  Effect.sync(() => served.push(n)),
                  Effect.sleep(1)
                )
              )
            )
          )
        )
        yield* TestClock.adjust(10)
        expect(served).toEqual([])
        yield* Pool.resume(world.pool)
        yield* TestClock.adjust(10)
        expect(served).toEqual([1, 2, 3, 4])
        expectAtRest(world)
      })
    )

    it.effect("an item that comes back while the pool is suspended is kept until it is resumed", () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 1 })
        const holder = yield* hold(world)
        const waiter = yield* start(Pool.use(world.pool, body(Effect.succeed("served"))))
        yield* Pool.suspend(world.pool)
        yield* holder.release
        yield* settle
        expect(world.admission).toMatchObject({ used: 0, pending: 1 })
        yield* Pool.resume(world.pool)
        expect(yield* Fiber.join(waiter)).toBe("served")
        expectAtRest(world)
      })
    )

    it.effect("who asks in the very moment of a resume stands behind those who wait", () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 1 })
        yield* Pool.suspend(world.pool)
        const served: Array<string> = []
        const enter = (name: string) => Pool.use(world.pool, body(Effect.sync(() => served.push(name))))
        yield* start(enter("waits"))
        world.admission.observer.listen((event) => {
          if (event._tag === "Resumed") Effect.runFork(enter("newcomer"))
        })
        yield* Pool.resume(world.pool)
        yield* settle
        expect(served).toEqual(["waits", "newcomer"])
        expectAtRest(world)
      })
    )

    it.effect("an item that comes back while a caller is on its way to the queue is that caller's", () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 1 })
        const { store } = world.admission
        // Nothing is there when the lease asks; then its fiber yields, as one that is traced may, and there is.
        const take = store.take.bind(store)
        let asked = 0
        store.take = (now, lease) => (++asked % 2 === 1 ? undefined : take(now, lease))
        const served = Effect.succeed("served")
        expect(yield* Pool.use(world.pool, () => served, { acquireTimeout: 0 })).toBe("served")
        expect(yield* Pool.useIfAvailable(world.pool, () => served)).toEqual(Option.some("served"))
        expectAtRest(world)
      }).pipe(Effect.withSpan("caller"))
    )

    it.effect("a body that answers with anything but an Effect is a defect, and its item comes back", () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 1 })
        for (const answer of [undefined, null, 0, "", true, Symbol(), {}, () => Effect.void, Promise.resolve()]) {
          const exit = yield* Effect.exit(Pool.use(world.pool, () => answer as unknown as Effect.Effect<void>))
          expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toBeInstanceOf(TypeError)
        }
        // One that can be called as well, like a class.
        const effect = Object.setPrototypeOf(
          () => {},
          Effect.suspend(() => Effect.succeed("done"))
        )
        expect(yield* Pool.use(world.pool, () => effect as Effect.Effect<string>)).toBe("done")
        expectAtRest(world)
      })
    )

    it.effect("the time waited is counted from when the wait began", () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 1 })
        yield* TestClock.adjust(5000)
        const holder = yield* hold(world)
        const waiter = yield* start(Pool.use(world.pool, body(Effect.void)))
        yield* TestClock.adjust(300)
        yield* holder.release
        yield* Fiber.join(waiter)
        expect(Pool.statsUnsafe(world.pool).wait).toMatchObject({ count: 2, max: 300 })
      })
    )

    it.effect("a waiter that is interrupted as the one before it is answered leaves in good order", () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 1 })
        const holder = yield* hold(world)
        const [first, second] = [yield* hold(world), yield* hold(world)]
        world.admission.observer.listen((event) => {
          if (event._tag === "WaitEnded") second.fiber.interruptUnsafe()
        })
        const draining = yield* start(Pool.drain(world.pool))
        expect(reasonOf(yield* Fiber.await(first.fiber))).toBe("Closed")
        expect(world.admission.pending).toBe(0)
        yield* holder.release
        yield* Fiber.join(draining)
        expectAtRest(world)
      })
    )

    it.effect("a suspended pool can be drained: waiters fail, callers are refused, it is told once", () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 1 })
        const told: Array<string> = []
        world.admission.observer.listen((event) => told.push(event._tag))
        const holder = yield* hold(world)
        yield* Pool.suspend(world.pool)
        const waiter = yield* hold(world)
        const draining = yield* Effect.forEach([1, 2], () => start(Pool.drain(world.pool)))
        expect(reasonOf(yield* Fiber.await(waiter.fiber))).toBe("Closed")
        expect(world.admission.lifecycle).toBe("draining")
        // Neither of these has a meaning any more.
        yield* Pool.suspend(world.pool)
        yield* Pool.resume(world.pool)
        expect(world.admission.lifecycle).toBe("draining")
        expect(reasonOf(yield* Effect.exit(Pool.use(world.pool, () => Effect.void)))).toBe("Closed")
        yield* holder.release
        for (const fiber of draining) yield* Fiber.join(fiber)
        expect(told.filter((tag) => tag === "Draining" || tag === "Closed")).toEqual(["Draining", "Closed"])
        expectAtRest(world)
      })
    )

    it.effect("a pool that has closed stays closed, whatever is asked of it", () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 1 })
        yield* world.close
        yield* Pool.drain(world.pool)
        yield* Pool.suspend(world.pool)
        yield* Pool.resume(world.pool)
        yield* world.admission.close(0)
        expect(Pool.statsUnsafe(world.pool).state).toBe("closed")
        expect(reasonOf(yield* Effect.exit(Pool.use(world.pool, () => Effect.void)))).toBe("Closed")
      })
    )

    it.effect("a fiber that waits for ever for a second item is told of at once, if all are in use", () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 2, acquireTimeout: Infinity })
        const told: Array<unknown> = []
        world.admission.observer.listen((event) => event._tag === "NestedAcquire" && told.push(event.held))
        const nested = Pool.use(world.pool, () => Pool.use(world.pool, () => Effect.void))
        // Here it waits for something else than itself.
        const suspended = yield* start(
          Pool.use(world.pool, () =>
            Effect.andThen(
              Pool.suspend(world.pool),
              Pool.use(world.pool, () => Effect.void)
            )
          )
        )
        expect(world.admission).toMatchObject({ used: 1, pending: 1 })
        expect(told).toEqual([])
        yield* Pool.resume(world.pool)
        yield* Fiber.join(suspended)
        const holder = yield* hold(world)
        const fiber = yield* start(nested)
        expect(told).toEqual([1])
        yield* Fiber.interrupt(fiber)
        yield* holder.release
        expectAtRest(world)
      })
    )

    it.effect("resize serves waiters at once, and shrinks as leases end", () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 1 })
        const holders = yield* Effect.forEach([1, 2, 3], () => hold(world))
        expect(world.admission.pending).toBe(2)
        yield* Pool.resize(world.pool, { max: 3 })
        expect(world.admission).toMatchObject({ used: 3, pending: 0 })
        yield* Pool.resize(world.pool, { max: 1 })
        for (const { release } of holders) yield* release
        expectAtRest(world)
        expect(world.admission.live).toBeLessThanOrEqual(1)
      })
    )

    it.effect("an invalidated item is not handed out again", () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 1 })
        const first = yield* Pool.use(world.pool, (item) => Effect.as(Pool.invalidate(world.pool, item), item))
        const second = yield* Pool.use(world.pool, (item) => Effect.succeed(item))
        expect(second).not.toBe(first)
        expect(first.isGone).toBe(true)
      })
    )

    it.effect("closing fails the queue, waits for leases, and then for no longer than the grace", () =>
      Effect.gen(function* () {
        for (const releases of [true, false]) {
          const world = yield* open({ max: 1 })
          const holder = yield* hold(world)
          const waiter = yield* start(Effect.exit(Pool.use(world.pool, () => Effect.void)))
          const before = yield* Clock.currentTimeMillis
          const closing = yield* start(Effect.andThen(world.close, Clock.currentTimeMillis))
          expect(reasonOf(yield* Fiber.join(waiter))).toBe("Closed")
          yield* TestClock.adjust(100)
          if (releases) yield* holder.release
          yield* TestClock.adjust(1000)
          expect((yield* Fiber.join(closing)) - before).toBe(releases ? 100 : 500)
          yield* holder.release
          expect(world.admission.live).toBe(0)
          expectAtRest(world)
        }
      })
    )

    it.effect("ten thousand waiters are served without growing the stack", () =>
      Effect.gen(function* () {
        const world = yield* open({ max: 1, acquireTimeout: Infinity })
        const holder = yield* hold(world)
        let served = 0
        yield* Effect.forEach(Array.from({ length: 10_000 }), () =>
          start(Pool.use(world.pool, body(Effect.sync(() => served++))))
        )
        expect(world.admission.pending).toBe(10_000)
        yield* holder.release
        yield* Effect.repeat(Effect.yieldNow, { until: () => served === 10_000 })
        expectAtRest(world)
      })
    )
  })
}
