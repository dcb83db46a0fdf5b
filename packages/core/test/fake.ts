import { Pool, type Admission, type Lease, type Store } from "@effect-pools/core"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"

interface Item {
  readonly id: number
  readonly value: string
  holder: Lease.Lease<string> | undefined
}

/** The smallest store there is: items are made at once, one per place, and reused. */
class FakeStore implements Store.Store<string, never> {
  readonly admission: Admission.Admission<string, never>
  readonly idle: Array<Item> = []
  readonly items = new Set<Item>()
  failure: string | undefined = undefined

  constructor(admission: Admission.Admission<string, never>) {
    this.admission = admission
  }

  take(): Item | undefined {
    const { admission } = this
    let item = this.idle.pop()
    if (item !== undefined) admission.idle--
    else if (admission.live < admission.max && this.failure === undefined) {
      const id = ++admission.observer.created
      admission.observer.create.record(20)
      item = { id, value: `item ${id}`, holder: undefined }
      this.items.add(item)
    } else return undefined
    admission.used++
    return item
  }

  giveBack(item: Item): void {
    const { admission } = this
    admission.used--
    if (admission.lifecycle === "draining" || admission.lifecycle === "closed") return this.#drop(item)
    admission.idle++
    this.idle.push(item)
    admission.serve()
  }

  shutdown(): void {
    this.admission.idle = 0
    for (const item of this.idle.splice(0)) this.#drop(item)
  }

  abandon(): void {
    this.admission.used = 0
    for (const item of this.items) this.#drop(item)
  }

  #drop(item: Item): void {
    this.items.delete(item)
    this.admission.observer.destroyed.closed++
    this.admission.changed()
  }

  idleSince(): undefined {}
  evict(): void {}
  replenish(): void {}
  turnedAway(): void {}
  mayOffer(): boolean {
    return false
  }
  refusal(): undefined {}
  timeoutFailure(): undefined {}
  lastCreateFailure(): string | undefined {
    return this.failure
  }
  *leases(): Generator<Lease.Lease<string>, void> {
    for (const { holder } of this.items) if (holder !== undefined) yield holder
  }
  invalidate(): void {}
  resized(): void {}
  details(): Record<string, number> {
    return { items: this.items.size }
  }
}

export interface Given {
  readonly name?: string
  readonly kind?: string
  readonly min?: number
  readonly max?: number
  readonly acquireTimeout?: number
  readonly maxWaiters?: number
  readonly leakThreshold?: number
}

/** A pool of strings, to see what every pool does whatever it holds. */
export const open = (given: Given = {}) =>
  Pool.open({
    kind: given.kind ?? "fake",
    settings: {
      name: given.name ?? "fakes",
      min: given.min ?? 0,
      max: given.max ?? 2,
      acquireTimeout: given.acquireTimeout ?? 30_000,
      maxWaiters: given.maxWaiters ?? Infinity,
      leakThreshold: given.leakThreshold ?? Infinity
    },
    closeGrace: 0,
    store: (admission: Admission.Admission<string, never>, _context: Context.Context<never>) => new FakeStore(admission)
  })

export const fork = Effect.forkScoped({ startImmediately: true })

/** The test's context and a count of those who sleep in it, which tells of timers that are left behind. */
export const countingSleeps = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const asleep = { count: 0 }
  const counting: Clock.Clock = {
    currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
    currentTimeMillis: clock.currentTimeMillis,
    currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
    currentTimeNanos: clock.currentTimeNanos,
    monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
    monotonicTimeNanos: clock.monotonicTimeNanos,
    sleep: (duration) =>
      Effect.suspend(() => {
        asleep.count++
        return Effect.ensuring(
          clock.sleep(duration),
          Effect.sync(() => asleep.count--)
        )
      })
  }
  const context = yield* Effect.provideService(Effect.context<never>(), Clock.Clock, counting)
  return { asleep, context }
})
