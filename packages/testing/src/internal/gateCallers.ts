import { Pool } from "@effect-pools/core"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { GateFailure, Gates, Item } from "../Gates.ts"
import type { Subject } from "../Subject.ts"
import type { World } from "./world.ts"

interface Given<A> {
  readonly subject: Subject<A>
  readonly world: World
  readonly gates: Gates
  readonly pool: Pool.Pool<A, GateFailure>
  readonly below: (limit: number) => number
  /** The pool's `max`, and how many leases may share an item. */
  readonly max: number
  readonly concurrency: number
}

/** Callers of every sort. */
export class Callers<A> {
  readonly running = new Set<Fiber.Fiber<unknown, unknown>>()
  readonly cancelled = new Set<Fiber.Fiber<unknown, unknown>>()
  /** What callers were told that nobody should be told. */
  readonly complaints: Array<string> = []
  readonly #invalidated = new Set<Item>()
  readonly #given: Given<A>

  constructor(given: Given<A>) {
    this.#given = given
  }

  start(): void {
    const fiber = this.#given.world.fork(this.#call())
    this.running.add(fiber)
    fiber.addObserver((exit) => {
      this.running.delete(fiber)
      if (Exit.isSuccess(exit)) return
      if (Cause.hasInterrupts(exit.cause) && !this.cancelled.has(fiber)) {
        this.complaints.push("a caller ends as if it were interrupted")
      }
      for (const reason of exit.cause.reasons) {
        if (reason._tag === "Die" && String(reason.defect).includes("BUG")) this.complaints.push(String(reason.defect))
      }
    })
  }

  #call(): Effect.Effect<unknown, unknown> {
    const { below, pool, subject } = this.#given
    const bodies = [
      Effect.void,
      Effect.yieldNow,
      Effect.sleep(5),
      Effect.sleep(20),
      Effect.fail("body"),
      Effect.die("body")
    ]
    const body = this.#holding(bodies[below(bodies.length)]!)
    switch (below(7)) {
      case 0:
        return Effect.scoped(Effect.flatMap(subject.get(pool), body))
      case 1:
        return subject.use(pool, body, { acquireTimeout: 10 })
      case 2:
        return subject.use(pool, body, { acquireTimeout: 0 })
      case 3:
        return Pool.useIfAvailable(pool, body)
      case 4:
        return Effect.withSpan(subject.use(pool, body), "test")
      default:
        return subject.use(pool, body)
    }
  }

  #holding(body: Effect.Effect<unknown, unknown>): (value: A) => Effect.Effect<unknown, unknown> {
    const { concurrency, gates, subject } = this.#given
    return (value) => {
      const item = subject.item(value)
      // Who shares it may have got it before, and begin only now.
      const isInvalid = concurrency === 1 && this.#invalidated.has(item)
      if (isInvalid) this.complaints.push(`item ${item.id} was handed out after its invalidation`)
      return gates.holding(item, body, concurrency)
    }
  }

  cancelOne(): void {
    const fibers = Array.from(this.running).filter((fiber) => !this.cancelled.has(fiber))
    const fiber = fibers[this.#given.below(fibers.length)]
    if (fiber === undefined) return
    this.cancelled.add(fiber)
    fiber.interruptUnsafe()
  }

  /** Has the next body that gets an item tell the pool that it is no good. */
  invalidateOne(): void {
    const { pool, subject, world } = this.#given
    const invalidate = (value: A) =>
      Effect.andThen(
        Pool.invalidate(pool, value),
        Effect.suspend(() => {
          this.#invalidated.add(subject.item(value))
          return Effect.yieldNow
        })
      )
    const fiber = world.fork(subject.use(pool, (value) => this.#holding(invalidate(value))(value)))
    this.running.add(fiber)
    fiber.addObserver(() => this.running.delete(fiber))
  }

  /** Takes all places together, so that none waits for another: those who come after `before` have them by `after`. */
  async expectPlaces(
    faults: Array<string>,
    when: string,
    before: Effect.Effect<void, unknown>,
    after: Effect.Effect<void, unknown>
  ): Promise<void> {
    const { concurrency, max, pool, subject, world } = this.#given
    const places = max * concurrency
    let inHands = 0
    const hold = this.#holding(
      Effect.suspend(() => {
        inHands++
        return Effect.sleep(50)
      })
    )
    await world.finish(before)
    const holders = Array.from({ length: places }, () => world.fork(subject.use(pool, hold, { acquireTimeout: 40 })))
    await world.runtime.advance(5)
    const early = inHands
    await world.finish(after)
    await world.runtime.advance(10)
    const { lifecycle, pending } = pool.admission
    if (inHands !== places || pending > 0) faults.push(`${when}: ${inHands} of ${places} places work, ${pending} wait`)
    if (before !== after && lifecycle === "open" && early === places) faults.push(`${when}: nobody had to wait`)
    await world.runtime.advance(100)
    const failed = holders.filter((holder) => holder.pollUnsafe()?._tag !== "Success").length
    if (failed > 0) faults.push(`${when}: ${failed} of ${places} uses fail`)
  }

  /** As many again as there are places wait, and have theirs when the first are done. */
  async expectTurns(faults: Array<string>): Promise<void> {
    const { concurrency, max, pool, subject, world } = this.#given
    const uses = 2 * max * concurrency
    const hold = this.#holding(Effect.sleep(20))
    const holders = Array.from({ length: uses }, () => world.fork(subject.use(pool, hold, { acquireTimeout: 30 })))
    await world.runtime.advance(60)
    const failed = holders.filter((holder) => holder.pollUnsafe()?._tag !== "Success").length
    if (failed > 0) faults.push(`in turns: ${failed} of ${uses} uses fail`)
  }
}
